// SPDX-License-Identifier: BSD-2-Clause
/*
 * symvmm: the commands.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static const struct command {
	const char *name;
	int (*fn)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "run", cmd_run, "boot a guest" },
	{ "check", cmd_check, "show what this host's KVM can do" },
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *out)
{
	fprintf(out, "usage: symvmm COMMAND [OPTION...]\n\n");
	for (unsigned int i = 0; i < NR_COMMANDS; i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
	fprintf(out, "\nSee symvmm COMMAND --help for more; symctl controls running VMs.\n");
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		usage(stdout);
		return 0;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("symvmm %s\n", SYMKIT_VERSION);
		return 0;
	}
	for (unsigned int i = 0; i < NR_COMMANDS; i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].fn(argc - 1, argv + 1);
	fprintf(stderr, "symvmm: %s: no such command (see symvmm --help)\n", argv[1]);
	return EXIT_USAGE;
}

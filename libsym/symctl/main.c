// SPDX-License-Identifier: BSD-2-Clause
/*
 * symctl, the command line of libsym: the table of commands, and parsing the command
 * line.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

#define MAX_OPTIONS 16

static const struct ctl_command commands[] = {
	{ "list", false, "list the VMs that are alive", NULL, NULL, cmd_list, NULL, 0, 0 },
	{ "info", true, "show a VM's configuration and state", NULL, NULL, cmd_info, NULL, 0, 0 },
	{ "console", true, "use the guest's console",
	  "On a terminal, Ctrl-A x detaches; the guest keeps running.  Otherwise the last\n"
	  "64 KiB of output and all that follows go to standard output, and standard input\n"
	  "goes to the guest, until the VM stops.\n",
	  console_options, cmd_console, NULL, 0, 0 },
	{ "stop", true, "shut the guest down, and wait for it",
	  "Presses the power button; a guest that ignores it is stopped with --force only.\n",
	  stop_options, cmd_stop, NULL, 0, 0 },
	{ "pause", true, "pause the guest", NULL, NULL, cmd_pause, NULL, 0, 0 },
	{ "resume", true, "let a paused guest continue", NULL, NULL, cmd_resume, NULL, 0, 0 },
	{ "events", true, "show a VM's events",
	  "Prints each event as it comes, until the VM has stopped.\n", events_options,
	  cmd_events, NULL, 0, 0 },
	{ "metrics", false, "show a VM's counters, in Prometheus text format", NULL,
	  metrics_options, cmd_metrics, "NAME|--all", 0, 1 },
	{ "spy", true, "show what the guest's vCPUs run, its memory, modules and handlers", NULL,
	  spy_options, cmd_spy, NULL, 0, 0 },
	{ "call", true, "run a handler inside the guest",
	  "Arguments are numbers, decimal or 0x...; six at most.\n", call_options, cmd_call,
	  "HANDLER [ARG]...", 1, 1 + SYM_UPCALL_ARGS },
	{ "module", false, "install, list or remove modules in a running guest",
	  "module install NAME MODULE|FILE [PARAM=VALUE]...\n"
	  "module list NAME\n"
	  "module remove NAME MODULE\n",
	  module_options, cmd_module, "install|list|remove NAME ...", 2, 64 },
	{ "swapbypass", false, "control the memory that a guest swaps to",
	  "swapbypass on|device|off NAME   map swapped pages in place, use the memory as a swap\n"
	  "                                device only, or not at all\n"
	  "swapbypass stat NAME            show how it is used\n"
	  "swapbypass limit NAME SIZE      set how much of it the guest may use\n"
	  "swapbypass reclaim NAME SIZE    take this much of it back\n",
	  NULL, cmd_swapbypass, "on|device|off|stat|limit|reclaim NAME [SIZE]", 2, 3 },
	{ "service", true, "use a service of the VM; without one, list them", NULL, NULL,
	  cmd_service, "[SERVICE VERB [ARG]...]", 0, 64 },
	{ .name = NULL },
};

static int set_json(struct ctl *ctl, const char *arg)
{
	ctl->json = true;
	return 0;
}

static int set_runtime(struct ctl *ctl, const char *arg)
{
	ctl->open.runtime = arg;
	return 0;
}

static const struct ctl_option common_options[] = {
	{ "json", NULL, "print JSON", set_json },
	{ "runtime", "DIR", "folder in which the VMs' sockets are", set_runtime },
	{ "help", NULL, "print this help", NULL },
	{ "version", NULL, "print the version", NULL },
	{ .name = NULL },
};

static void print_options(const struct ctl_option *options)
{
	for (; options && options->name; options++) {
		char left[40];

		snprintf(left, sizeof(left), "--%s%s%s", options->name, options->arg ? " " : "",
			 options->arg ? options->arg : "");
		printf("  %-16s %s\n", left, options->help);
	}
}

static int print_help(const struct ctl_command *command)
{
	if (command) {
		printf("usage: symctl %s%s%s%s [OPTION]...\n\n%s\n", command->name,
		       command->takes_vm ? " NAME" : "", command->args ? " " : "",
		       command->args ? command->args : "", command->help);
		if (command->more)
			printf("\n%s", command->more);
		printf("\n");
		print_options(command->options);
	} else {
		printf("usage: symctl COMMAND [NAME] [OPTION]...\n\n"
		       "Control the virtual machines that symvmm runs for this user.\n\n");
		for (command = commands; command->name; command++)
			printf("  %-10s%-5s %s\n", command->name,
			       command->takes_vm ? " NAME" : "", command->help);
		printf("\n'symctl COMMAND --help' shows a command's options.  Common "
		       "options:\n\n");
	}
	print_options(common_options);
	return 0;
}

static const struct ctl_command *find_command(const char *name)
{
	for (const struct ctl_command *c = commands; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

/* Both tables for getopt_long(); @table has the row of each option. */
static void merge_options(const struct ctl_command *command, struct option *out,
			  const struct ctl_option **table)
{
	const struct ctl_option *tables[] = { command ? command->options : NULL, common_options };
	int nr = 0;

	for (int i = 0; i < 2; i++)
		for (const struct ctl_option *o = tables[i]; o && o->name; o++) {
			if (nr == MAX_OPTIONS)
				abort(); /* a mistake in the tables */
			table[nr] = o;
			out[nr++] = (struct option){
				.name = o->name,
				.has_arg = !o->arg	  ? no_argument :
					   *o->arg == '[' ? optional_argument :
							    required_argument,
			};
		}
	out[nr] = (struct option){ 0 };
}

/* Returns -1 to continue, or the exit status. */
static int parse_options(struct ctl *ctl, int argc, char **argv)
{
	const struct ctl_option *table[MAX_OPTIONS];
	struct option options[MAX_OPTIONS + 1];
	int c, i = 0;

	merge_options(ctl->command, options, table);
	opterr = 0;
	/* Before the command is known, an argument ends the options. */
	while ((c = getopt_long(argc, argv, ctl->command ? ":h" : "+:h", options, &i)) != -1) {
		if (c == 'h')
			return print_help(ctl->command);
		if (c == ':')
			return ctl_usage(ctl, "%s needs a value", argv[optind - 1]);
		if (c && optopt)
			return ctl_usage(ctl, "unknown option '-%c'", optopt);
		if (c)
			return ctl_usage(ctl, "unknown option '%s'", argv[optind - 1]);
		if (!strcmp(table[i]->name, "help"))
			return print_help(ctl->command);
		if (!strcmp(table[i]->name, "version")) {
			printf("symctl %s\n", sym_version());
			return 0;
		}
		/* An optional value may be the next word, if that is a number. */
		if (table[i]->arg && *table[i]->arg == '[' && !optarg && optind < argc &&
		    strspn(argv[optind], "0123456789.") == strlen(argv[optind]))
			optarg = argv[optind++];
		c = table[i]->set(ctl, optarg);
		if (c)
			return c;
	}
	return -1;
}

static int run_command(struct ctl *ctl, int argc, char **argv)
{
	int status, want = ctl->command->takes_vm;

	optind = 0; /* start again; argv[0] is the command now */
	status = parse_options(ctl, argc, argv);
	if (status >= 0)
		return status;
	if (argc - optind < want)
		return ctl_usage(ctl, "which VM?  ('symctl list' names those that are alive)");
	ctl->args = argv + optind + want;
	ctl->nr_args = argc - optind - want;
	if (ctl->nr_args > ctl->command->max_args)
		return ctl_usage(ctl, "'%s' is one argument too many",
				 ctl->args[ctl->command->max_args]);
	if (ctl->nr_args < ctl->command->min_args)
		return ctl_usage(ctl, "%s is needed", ctl->command->args);
	if (want)
		ctl->name = argv[optind];
	return ctl->command->run(ctl);
}

int main(int argc, char **argv)
{
	struct ctl ctl = { .open = { .size = sizeof(ctl.open) },
			   .upcall = { .size = sizeof(ctl.upcall) } };
	int status = parse_options(&ctl, argc, argv);
	const char *name;

	if (status >= 0)
		return status;
	name = argv[optind];
	if (!name)
		return ctl_usage(&ctl, "no command given");
	ctl.command = find_command(name);
	if (!ctl.command)
		return ctl_usage(&ctl, "unknown command '%s'", name);
	status = run_command(&ctl, argc - optind, argv + optind);
	if (fflush(stdout) || ferror(stdout))
		return ctl_error("standard output: write error");
	return status;
}

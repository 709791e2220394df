// SPDX-License-Identifier: BSD-2-Clause
/*
 * symvmm check: show what this host's KVM can do, and whether it runs kernel code at native
 * speed.  Exit status, for scripts: 0 native, 3 interpreted, 4 no usable KVM, 5 no permission
 * to use it.
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"
#include "core/kvm.h"

enum { CHECK_NATIVE = 0, CHECK_INTERPRETED = 3, CHECK_ABSENT = 4, CHECK_DENIED = 5 };

static const char *verdict_name(int verdict)
{
	return verdict == CHECK_NATIVE	    ? "native" :
	       verdict == CHECK_INTERPRETED ? "interpreted" :
	       verdict == CHECK_DENIED	    ? "denied" :
					      "absent";
}

static const char *advice(int verdict)
{
	switch (verdict) {
	case CHECK_NATIVE:
		return "guests run at full speed";
	case CHECK_INTERPRETED:
		return "ring 0 is interpreted: Linux guests would appear to hang. Use a host "
		       "with hardware or nested virtualization, or QEMU (tests/rig/run)";
	case CHECK_DENIED:
		return "this user may not use KVM, so its capabilities are unknown: run as root, "
		       "or join the group of /dev/kvm";
	default:
		return "no guest can run here: load kvm_amd or kvm_intel, enable virtualization "
		       "in the firmware, or enable nesting in the outer hypervisor";
	}
}

static void print_caps(int fd, json_t *out, bool text)
{
	for (const struct kvm_cap *c = kvm_caps; c->name; c++) {
		int value = kvm_check(fd, c->cap);

		if (text)
			printf("  %-26s %-8s %-8s %s\n", c->name, c->needed ? "needed" : "useful",
			       value ? "yes" : "MISSING", c->use);
		json_array_append_new(out,
				      json_pack("{s:s, s:b, s:i, s:s}", "name", c->name, "needed",
						c->needed, "value", value, "use", c->use));
	}
}

static int judge(int fd, double *mips, struct err *err)
{
	int ret = kvm_check_needed(fd, err);

	if (!ret)
		ret = kvm_measure(fd, mips, err);
	if (ret < 0)
		return CHECK_ABSENT;
	return ret == KVM_SPEED_NATIVE ? CHECK_NATIVE : CHECK_INTERPRETED;
}

static void usage(void)
{
	printf("usage: symvmm check [--quiet] [--json]\n\n"
	       "Shows what this host's KVM can do. Exit status: 0 native, 3 interpreted, "
	       "4 absent,\n5 no permission to use it.\n");
}

int cmd_check(int argc, char **argv)
{
	static const struct option opts[] = {
		{ "quiet", no_argument, NULL, 'q' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool quiet = false, json = false;
	struct err err = { 0 };
	int c, fd, verdict = CHECK_ABSENT;
	double mips = 0;
	json_t *caps;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "qjh", opts, NULL)) != -1) {
		if (c == 'h') {
			usage();
			return 0;
		}
		if (c == '?') {
			fprintf(stderr, "symvmm: %s: unknown option (see symvmm check --help)\n",
				argv[optind - 1]);
			return EXIT_USAGE;
		}
		quiet |= c == 'q';
		json |= c == 'j';
	}
	if (optind < argc) {
		fprintf(stderr, "symvmm: %s: unexpected argument\n", argv[optind]);
		return EXIT_USAGE;
	}
	caps = json_array();
	fd = kvm_open(&err);
	if (fd >= 0) {
		print_caps(fd, caps, !quiet && !json);
		verdict = judge(fd, &mips, &err);
		close(fd);
	} else if (err.code == -EACCES || err.code == -EPERM) {
		verdict = CHECK_DENIED;
	}
	if (json && !quiet) {
		json_t *all = json_pack("{s:s, s:f, s:o, s:s}", "verdict", verdict_name(verdict),
					"ring0_mips", mips, "capabilities", caps, "problem",
					err.msg);

		json_dumpf(all, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(all);
		return verdict;
	}
	json_decref(caps);
	if (quiet)
		return verdict;
	if (mips > 0)
		printf("Kernel code: %.1f million instructions a second\n", mips);
	if (err.msg[0])
		err_print(&err);
	printf("Verdict: %s: %s\n", verdict_name(verdict), advice(verdict));
	return verdict;
}

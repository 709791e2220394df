// SPDX-License-Identifier: BSD-2-Clause
/*
 * swaptorture [OPTION...] SCENARIO...: is memory what was written to it, whatever is done
 * to it while it is swapped out and in?  See torture.h; "swaptorture --help" lists all.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "torture.h"

const struct scenario scenarios[] = {
	{ "random", do_random, "reads and writes by threads" },
	{ "fork", do_fork, "both sides write" },
	{ "storm", do_storm, "many short children, some exec" },
	{ "mremap", do_mremap, "move, leave, grow, shrink" },
	{ "mprotect", do_mprotect, "read-only, none, and back; writes must fault" },
	{ "mapfixed", do_mapfixed, "MAP_FIXED over it: zeros" },
	{ "dontneed", do_dontneed, "MADV_DONTNEED: zeros" },
	{ "free", do_free, "MADV_FREE: as it was, or zeros" },
	{ "cold", do_cold, "MADV_COLD" },
	{ "pageout", do_pageout, "MADV_PAGEOUT" },
	{ "willneed", do_willneed, "MADV_WILLNEED" },
	{ "hugepage", do_hugepage, "MADV_HUGEPAGE, COLLAPSE, NOHUGEPAGE" },
	{ "mergeable", do_mergeable, "KSM" },
	{ "vm", do_vm, "process_vm_readv, writev" },
	{ "mem", do_mem, "/proc/PID/mem" },
	{ "ptrace", do_ptrace, "PEEK and POKE" },
	{ "direct", do_direct, "O_DIRECT from and to it" },
	{ "vmsplice", do_vmsplice, "into a pipe and back" },
	{ "softdirty", do_softdirty, "clear_refs; no page that was written is clean" },
	{ "glance", do_glance, "/proc/self/mem, a few bytes, while all is in use" },
	{ "proc", do_proc, "smaps, pagemap, numa_maps" },
	{ "mincore", do_mincore, "mincore" },
	{ "mlock", do_mlock, "mlock, mlock2, munlock" },
	{ "mlockall", do_mlockall, "in a child" },
	{ "uffd", do_uffd, "userfaultfd: missing pages" },
	{ "uffd-wp", do_uffd_wp, "userfaultfd: write protection" },
	{ "mix", do_mix, "much of the above by threads at once" },
	{ "cgroup", do_cgroup, "a child within a limit of memory" },
	{ "oom", do_oom, "a child beyond its limit is killed" },
	{ "core", do_core, "a core dump has what the memory had" },
	{ "kill", do_kill, "children killed; what they had comes back" },
	{ "swapoff", do_swapoff, "off and on under running threads" },
	{ "second", do_second, "a second device comes and goes" },
	{ NULL, NULL, NULL },
};

static const struct option options[] = {
	{ "seconds", required_argument, NULL, 's' },
	{ "set", required_argument, NULL, 'S' },
	{ "threads", required_argument, NULL, 't' },
	{ "seed", required_argument, NULL, 'e' },
	{ "swap", required_argument, NULL, 'w' },
	{ "swap2", required_argument, NULL, '2' },
	{ "disk", required_argument, NULL, 'd' },
	{ "scratch", required_argument, NULL, 'c' },
	{ "break", required_argument, NULL, 'b' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int usage(int status)
{
	printf("usage: swaptorture [OPTION...] SCENARIO...|all\n"
	       "  --seconds N    for each scenario (5)\n"
	       "  --set SIZE     of the memory (1.6 times what is available, if swap has it)\n"
	       "  --threads N    beside each scenario (4)\n"
	       "  --seed S       of all that is random (1)\n"
	       "  --swap DEV     the swap device, for swapoff\n"
	       "  --swap2 DEV    another one, made but not on\n"
	       "  --disk FILE    as large as the set, written over, for O_DIRECT\n"
	       "  --scratch DIR  for a core dump (/run)\n"
	       "  --break HOW    do a wrong that must be found: flip, stale, other, zero,\n"
	       "                 and some in one scenario: mprotect, dontneed, mlock,\n"
	       "                 softdirty, uffd-wp, core, kill\n");
	for (const struct scenario *s = scenarios; s->name; s++)
		printf("%-10s %s\n", s->name, s->what);
	return status;
}

static size_t size_of(const char *text)
{
	char *end;
	double n = strtod(text, &end);

	switch (*end) {
	case 'G':
		return (size_t)(n * (1 << 30));
	case 'M':
		return (size_t)(n * (1 << 20));
	case 'K':
		return (size_t)(n * (1 << 10));
	default:
		return (size_t)n;
	}
}

static int parse(struct run *r, int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			r->seconds = atof(optarg);
			break;
		case 'S':
			r->bytes = size_of(optarg);
			break;
		case 't':
			r->threads = atoi(optarg);
			break;
		case 'e':
			r->seed = strtoull(optarg, NULL, 0);
			break;
		case 'w':
			r->swap = optarg;
			break;
		case '2':
			r->swap2 = optarg;
			break;
		case 'd':
			r->disk = optarg;
			break;
		case 'c':
			r->scratch = optarg;
			break;
		case 'b':
			r->broken = optarg;
			break;
		case 'h':
			exit(usage(0));
		default:
			return -1;
		}
	}
	return optind < argc && r->threads > 0 && r->threads <= MAX_THREADS ? 0 : -1;
}

/* More than there is memory for, and some swap left for children that write. */
static size_t default_size(void)
{
	int64_t free = meminfo("MemAvailable"), swap = meminfo("SwapFree");
	int64_t bytes = free * 16 / 10, most = free * 9 / 10 + swap / 2;

	return (size_t)(bytes < most ? bytes : most);
}

/* What a wrong kernel might do, behind the back of who remembers. */
static void wrong(struct run *r)
{
	size_t nr = rnd_below(&r->rnd, r->set.pages / 16);
	uint8_t *page = set_page(&r->set, nr);

	if (broken(r, "flip"))
		page[rnd_below(&r->rnd, PAGE - 24) / 512 * 512 + 24 + 480] ^= 4;
	else if (broken(r, "stale"))
		r->set.version[nr]++;
	else if (broken(r, "other"))
		memcpy(page, set_page(&r->set, nr + 1), PAGE);
	else if (broken(r, "zero"))
		memset(page, 0, PAGE);
}

static void say(const struct scenario *s, struct run *r, const char *why, const long *swapped)
{
	if (why) {
		printf("%-10s skipped: %s\n", s->name, why);
		return;
	}
	printf("%-10s ok  %llu rounds%s, %llu accesses beside, longest %.1f ms, pages in %ld "
	       "out %ld\n",
	       s->name, (unsigned long long)r->rounds, r->note, (unsigned long long)r->ops,
	       (double)r->longest / 1e6, proc_number("/proc/vmstat", "pswpin") - swapped[0],
	       proc_number("/proc/vmstat", "pswpout") - swapped[1]);
}

/* 1 when it ran, 0 when it could not; what goes wrong ends the program. */
static int run_one(struct run *r, const struct scenario *s)
{
	long swapped[] = { proc_number("/proc/vmstat", "pswpin"),
			   proc_number("/proc/vmstat", "pswpout") };
	const char *why;

	now_running = s->name;
	r->rounds = r->ops = r->longest = 0;
	r->note[0] = 0;
	r->end = now_ns() + (uint64_t)(r->seconds * 1e9);
	why = s->run(r);
	/* Done to nothing, nothing is proved. */
	if (!why && !r->rounds)
		die("not one round within %g s", r->seconds);
	say(s, r, why, swapped);
	return !why;
}

static bool wanted(const char *name, int argc, char **argv)
{
	for (int i = optind; i < argc; i++)
		if (!strcmp(argv[i], name) || !strcmp(argv[i], "all"))
			return true;
	return false;
}

static bool known(const char *name)
{
	for (const struct scenario *s = scenarios; s->name; s++)
		if (!strcmp(s->name, name))
			return true;
	return !strcmp(name, "all");
}

int main(int argc, char **argv)
{
	struct run r = { .seconds = 5, .threads = 4, .seed = 1, .scratch = "/run" };
	int passed = 0, skipped = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (parse(&r, argc, argv))
		return usage(2);
	for (int i = optind; i < argc; i++)
		if (!known(argv[i]))
			return usage(2);
	catch_faults();
	peer_start();
	if (!r.bytes)
		r.bytes = default_size();
	r.rnd.state = r.seed;
	if (set_create(&r.set, r.bytes, r.seed))
		die("no memory for the set: %m");
	printf("swaptorture: set of %zu MiB, %lld MiB available, %lld MiB of swap, seed %llu\n",
	       r.bytes >> 20, (long long)meminfo("MemAvailable") >> 20,
	       (long long)meminfo("SwapFree") >> 20, (unsigned long long)r.seed);
	set_fill(&r.set);
	wrong(&r);
	for (const struct scenario *s = scenarios; s->name; s++) {
		if (!wanted(s->name, argc, argv))
			continue;
		if (run_one(&r, s))
			passed++;
		else
			skipped++;
	}
	now_running = "the end";
	set_check_all(&r.set);
	set_destroy(&r.set);
	peer_stop();
	printf("swaptorture: %d passed, %d skipped, every page as it was written\n", passed,
	       skipped);
	return 0;
}

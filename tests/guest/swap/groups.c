// SPDX-License-Identifier: BSD-2-Clause
/* Memory cgroups: a limit far below what is used, and one that kills. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "torture.h"

#define ROOT	    "/sys/fs/cgroup"
#define GROUP	    ROOT "/swaptorture"
#define CGROUP2	    0x63677270
#define CHILD_BYTES (48ul << 20)

static bool set_limit(const char *file, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static bool set_limit(const char *file, const char *fmt, ...)
{
	char path[128], text[64];
	va_list args;

	snprintf(path, sizeof(path), GROUP "/%s", file);
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return put_file(path, text);
}

/* A group of our own, in a hierarchy that we mount if nobody has. */
static const char *make_group(void)
{
	struct statfs fs;

	if (statfs(ROOT, &fs))
		return "no cgroups in this kernel";
	if (fs.f_type != CGROUP2 && mount("none", ROOT, "cgroup2", 0, NULL))
		return "no cgroup2 hierarchy";
	put_file(ROOT "/cgroup.subtree_control", "+memory");
	if (mkdir(GROUP, 0755) && errno != EEXIST)
		return "cannot make a cgroup";
	return access(GROUP "/memory.max", W_OK) ? "no memory controller" : NULL;
}

/* In the child: into the group, without the parent's pages, with a set of its own. */
static void enter(struct run *r, size_t bytes)
{
	munmap(r->set.base, r->set.pages * PAGE);
	if (!put_file(GROUP "/cgroup.procs", "0"))
		die("cannot enter the cgroup: %m");
	if (set_create(&r->set, bytes, r->seed + 11))
		die("mmap: %m");
	set_fill(&r->set);
}

static void live_in_group(struct run *r)
{
	struct crew crew;

	enter(r, CHILD_BYTES);
	/*
	 * What is above the limit must be there.  How often that is met says less: a page of
	 * SwapBypass is no memory of the group's.
	 */
	if (!proc_number(GROUP "/memory.swap.current", ""))
		die("the group holds more than its limit and has nothing on swap");
	crew_start(&crew, &r->set, 2, PEEK_VERSION, r->seed);
	while (more(r, 1))
		usleep(10000);
	crew_stop(&crew, r);
	set_check_all(&r->set);
	_exit(0);
}

const char *do_cgroup(struct run *r)
{
	const char *why = make_group();
	struct crew crew;
	pid_t pid;

	if (why)
		return why;
	if (!set_limit("memory.max", "%lu", CHILD_BYTES / 2))
		die("memory.max: %m");
	crew_start(&crew, &r->set, r->threads, PEEK_VERSION, r->seed);
	pid = fork_quiet();
	if (!pid)
		live_in_group(r);
	while (more(r, r->rounds)) {
		usleep(50000);
		set_limit("memory.max", "%lu",
			  CHILD_BYTES / 3 + rnd_below(&r->rnd, CHILD_BYTES / 3));
		set_limit("memory.reclaim", "4194304");
		r->rounds++;
	}
	reap(pid, "the child in a cgroup");
	crew_stop(&crew, r);
	snprintf(r->note, sizeof(r->note), ", limit met %ld times",
		 proc_number(GROUP "/memory.events", "max"));
	rmdir(GROUP);
	return NULL;
}

/* It asks for more than its group may have in memory and on swap together. */
const char *do_oom(struct run *r)
{
	const char *why = make_group();
	struct crew crew;
	int status;
	pid_t pid;

	if (why)
		return why;
	if (!set_limit("memory.max", "%lu", CHILD_BYTES / 4) ||
	    !set_limit("memory.swap.max", "%lu", CHILD_BYTES / 4)) {
		rmdir(GROUP);
		return "no limit of swap";
	}
	crew_start(&crew, &r->set, r->threads, PEEK_VERSION, r->seed);
	do {
		pid = fork_quiet();
		if (!pid) {
			enter(r, CHILD_BYTES);
			_exit(0);
		}
		if (waitpid(pid, &status, 0) != pid)
			die("waitpid: %m");
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			die("a child beyond its limits was not killed: %#x", status);
		r->rounds++;
	} while (more(r, r->rounds));
	crew_stop(&crew, r);
	if (proc_number(GROUP "/memory.events", "oom_kill") < (long)r->rounds)
		die("%ld kills by lack of memory in %llu rounds",
		    proc_number(GROUP "/memory.events", "oom_kill"),
		    (unsigned long long)r->rounds);
	rmdir(GROUP);
	return NULL;
}

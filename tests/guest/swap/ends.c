// SPDX-License-Identifier: BSD-2-Clause
/* Processes that end amid it: what a core dump shows, and that nothing is lost. */
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "torture.h"

#define CORE_PAGES 4096
#define PATTERN	   "/proc/sys/kernel/core_pattern"

/* Pages in memory, on swap, and read back from there; then the end. */
static void dump_core(struct run *r, struct set *set)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	munmap(r->set.base, r->set.pages * PAGE);
	setrlimit(RLIMIT_CORE, &all);
	if (mmap(set->base, set->pages * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != set->base)
		die("mmap: %m");
	set_fill(set);
	swap_out(set->base, set->pages * PAGE);
	for (size_t i = 0; i < set->pages; i++) {
		set_check(set, rnd_below(&r->rnd, set->pages), false);
		if (i % 4 == 0)
			set_write(set, rnd_below(&r->rnd, set->pages));
	}
	if (broken(r, "core"))
		set->version[rnd_below(&r->rnd, set->pages)]++;
	signal(SIGABRT, SIG_DFL);
	abort();
}

/* Where in the file the memory at @at is, or -1. */
static off_t find(const Elf64_Phdr *ph, int n, uintptr_t at)
{
	for (int i = 0; i < n; i++)
		if (ph[i].p_type == PT_LOAD && at >= ph[i].p_vaddr &&
		    at + PAGE <= ph[i].p_vaddr + ph[i].p_filesz)
			return (off_t)(ph[i].p_offset + (at - ph[i].p_vaddr));
	return -1;
}

static void check_core(const char *file, const struct set *set)
{
	static uint64_t page[WORDS];
	Elf64_Phdr *ph;
	Elf64_Ehdr eh;
	off_t where;
	ssize_t bytes;
	int fd = open(file, O_RDONLY);

	if (fd < 0 || read(fd, &eh, sizeof(eh)) != sizeof(eh) || eh.e_type != ET_CORE)
		die("no core dump at %s: %m", file);
	bytes = eh.e_phnum * (ssize_t)sizeof(*ph);
	ph = malloc(bytes);
	if (!ph || pread(fd, ph, bytes, (off_t)eh.e_phoff) != bytes)
		die("%s: no program headers: %m", file);
	for (size_t nr = 0; nr < set->pages; nr++) {
		where = find(ph, eh.e_phnum, (uintptr_t)set_page(set, nr));
		if (where < 0 || pread(fd, page, PAGE, where) != PAGE)
			die("page %zu is not in the core dump", nr);
		page_check(set, nr, page, set->version[nr], true);
	}
	free(ph);
	close(fd);
}

static void one_core(struct run *r, struct set *set)
{
	char file[160];
	int status;
	pid_t pid = fork_quiet();

	r->rnd.state++;
	if (!pid)
		dump_core(r, set);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) ||
	    WTERMSIG(status) != SIGABRT)
		die("a child did not abort: %#x", status);
	if (!WCOREDUMP(status))
		die("an aborted child left no core dump");
	snprintf(file, sizeof(file), "%.100s/core.%d", r->scratch, (int)pid);
	check_core(file, set);
	unlink(file);
}

const char *do_core(struct run *r)
{
	struct set set = { .pages = CORE_PAGES, .seed = r->seed + 5 };
	char pattern[160], old[160] = "";
	int fd = open(PATTERN, O_RDONLY);

	if (fd < 0 || read(fd, old, sizeof(old) - 1) <= 0)
		return "no core_pattern";
	close(fd);
	snprintf(pattern, sizeof(pattern), "%.100s/core.%%p", r->scratch);
	if (access(r->scratch, W_OK) || !put_file(PATTERN, pattern))
		return "cannot say where to dump";
	set.version = mmap(NULL, set.pages * 4, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	set.base = mmap(NULL, set.pages * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (set.version == MAP_FAILED || set.base == MAP_FAILED)
		die("mmap: %m");
	do {
		set_zeroed(&set, 0, set.pages);
		one_core(r, &set);
		r->rounds++;
	} while (more(r, r->rounds));
	put_file(PATTERN, old);
	munmap(set.base, set.pages * PAGE);
	munmap(set.version, set.pages * 4);
	return NULL;
}

/* Until it is killed: threads, and changes of all kinds. */
static void live_until_killed(struct run *r, size_t bytes)
{
	if (set_create(&r->set, bytes, r->seed + 13))
		die("mmap: %m");
	set_fill(&r->set);
	r->end = ~0ull;
	mix(r);
	_exit(0);
}

static void one_kill(struct run *r, size_t most)
{
	size_t bytes = (4u << 20) + rnd_below(&r->rnd, rnd_next(&r->rnd) & 1 ? most : most / 8);
	useconds_t time = rnd_below(&r->rnd, rnd_next(&r->rnd) & 1 ? 1000000 : 100000);
	int status;
	pid_t pid = fork_quiet();

	if (!pid)
		live_until_killed(r, bytes);
	usleep(time);
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) ||
	    WTERMSIG(status) != SIGKILL)
		die("a child that was to be killed ended by itself: %#x", status);
}

/* Less than what a child has; more than what the kernel allocates once and keeps. */
#define SLACK (16 << 20)

/* What the kernel keeps in caches and would free is not lost. */
static int64_t measure(const char *what)
{
	put_file("/proc/sys/vm/drop_caches", "3");
	return meminfo(what);
}

/* Some is given back only in the background. */
static void is_back(const char *what, int64_t before)
{
	int64_t now = 0;

	for (int i = 0; i < 100; i++) {
		now = measure(what);
		if (now >= before - SLACK)
			return;
		usleep(100000);
	}
	die("%s was %lld KiB before children were killed, and is %lld", what,
	    (long long)before >> 10, (long long)now >> 10);
}

/*
 * The set is given up for it, or what the kernel keeps twice, on swap and in memory, would
 * hide what is lost.
 */
const char *do_kill(struct run *r)
{
	struct set saved = r->set;
	int64_t swap, memory;
	size_t bytes = r->set.pages * PAGE;

	if (madvise(r->set.base, bytes, MADV_DONTNEED))
		die("madvise: %m");
	usleep(200000);
	swap = measure("SwapFree");
	memory = measure("MemAvailable");
	while (more(r, r->rounds)) {
		one_kill(r, bytes);
		r->rounds++;
	}
	if (broken(r, "kill"))
		set_fill(&r->set);
	is_back("SwapFree", swap);
	is_back("MemAvailable", memory);
	r->set = saved;
	set_zeroed(&r->set, 0, r->set.pages);
	set_fill(&r->set);
	return NULL;
}

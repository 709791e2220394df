// SPDX-License-Identifier: BSD-2-Clause
/*
 * Another process that reads and writes the set: process_vm_readv and writev,
 * /proc/PID/mem, and ptrace the other way around.  The peer is started before there is a
 * set, for a copy of it would make every page a shared one.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/swap.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "torture.h"

enum ask { ASK_VM, ASK_MEM, ASK_SWAPOFF };

struct request {
	enum ask ask;
	bool write;
	uint64_t at, seed;
	size_t first, count;
	uint32_t version[64];
	char device[64];
};

static int line[2];
static pid_t peer, parent;

/* Other memory: from or to @page, by @ask. */
static void transfer(const struct request *q, uint8_t *page, size_t bytes)
{
	struct iovec here = { page, bytes }, there = { (void *)(uintptr_t)q->at, bytes };
	char file[64];
	ssize_t n;
	int fd;

	if (q->ask == ASK_VM) {
		n = q->write ? process_vm_writev(parent, &here, 1, &there, 1, 0) :
			       process_vm_readv(parent, &here, 1, &there, 1, 0);
	} else {
		snprintf(file, sizeof(file), "/proc/%d/mem", (int)parent);
		fd = open(file, O_RDWR);
		n = q->write ? pwrite(fd, page, bytes, (off_t)q->at) :
			       pread(fd, page, bytes, (off_t)q->at);
		close(fd);
	}
	if (n != (ssize_t)bytes)
		die("the peer: %zd of %zu bytes: %m", n, bytes);
}

static int serve(const struct request *q)
{
	static uint8_t page[64 * PAGE];
	struct set set = { .seed = q->seed };

	now_running = "peer";
	if (q->ask == ASK_SWAPOFF)
		return swapoff(q->device) ? errno : 0;
	if (q->write)
		for (size_t i = 0; i < q->count; i++)
			page_make((uint64_t *)(page + i * PAGE), q->seed, q->first + i,
				  q->version[i]);
	transfer(q, page, q->count * PAGE);
	if (!q->write)
		for (size_t i = 0; i < q->count; i++)
			page_check(&set, q->first + i, page + i * PAGE, q->version[i], true);
	return 0;
}

void peer_start(void)
{
	struct request q;
	int answer;

	parent = getpid();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, line))
		die("socketpair: %m");
	fflush(stdout);
	peer = fork();
	if (peer) {
		close(line[1]);
		return;
	}
	close(line[0]);
	while (recv(line[1], &q, sizeof(q), 0) == sizeof(q)) {
		answer = serve(&q);
		if (send(line[1], &answer, sizeof(answer), 0) < 0)
			break;
	}
	_exit(0);
}

void peer_stop(void)
{
	close(line[0]);
	reap(peer, "the peer");
}

static int ask(struct request *q)
{
	int answer;

	if (send(line[0], q, sizeof(*q), MSG_NOSIGNAL) != sizeof(*q) ||
	    recv(line[0], &answer, sizeof(answer), 0) != sizeof(answer))
		die("the peer is gone");
	return answer;
}

int peer_swapoff(const char *device)
{
	struct request q = { .ask = ASK_SWAPOFF };

	snprintf(q.device, sizeof(q.device), "%s", device);
	return ask(&q);
}

static void by_peer(struct run *r, struct span *s, enum ask how)
{
	struct request q = { .ask = how,
			     .at = (uintptr_t)s->at,
			     .seed = r->set.seed,
			     .first = s->first,
			     .count = s->count };

	memcpy(q.version, &r->set.version[s->first], s->count * sizeof(*q.version));
	ask(&q);
	for (size_t i = 0; i < s->count; i++)
		q.version[i] = (q.version[i] & ~ZEROED) + 1;
	q.write = true;
	ask(&q);
	memcpy(&r->set.version[s->first], q.version, s->count * sizeof(*q.version));
}

static void by_vm(struct run *r, struct span *s)
{
	by_peer(r, s, ASK_VM);
}

static void by_mem(struct run *r, struct span *s)
{
	by_peer(r, s, ASK_MEM);
}

const char *do_vm(struct run *r)
{
	return over_spans(r, 64, by_vm, PEEK_NONE);
}

const char *do_mem(struct run *r)
{
	return over_spans(r, 64, by_mem, PEEK_NONE);
}

/* A set of its own, partly on swap, its versions shared; it stops, and then looks. */
static void tracee(struct run *r, struct set *set)
{
	munmap(r->set.base, r->set.pages * PAGE);
	if (mmap(set->base, set->pages * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != set->base)
		die("mmap: %m");
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	for (;;) {
		for (size_t nr = 0; nr < set->pages; nr++) {
			set_check(set, nr, true);
			if (rnd_next(&r->rnd) & 1)
				set_write(set, nr);
		}
		swap_out(set->base, set->pages * PAGE);
		for (int i = 0; i < 100; i++)
			set_check(set, rnd_below(&r->rnd, set->pages), true);
		raise(SIGSTOP);
	}
}

static void peek_and_poke(struct run *r, pid_t pid, struct set *set)
{
	size_t nr = rnd_below(&r->rnd, set->pages);
	uint64_t *at = (uint64_t *)set_page(set, nr), version;
	int word = (int)rnd_below(&r->rnd, WORDS);
	long found;

	errno = 0;
	found = ptrace(PTRACE_PEEKDATA, pid, at + word, NULL);
	if (errno)
		die("PTRACE_PEEKDATA: %m");
	if (word != SPARE && (uint64_t)found != page_word(set->seed, nr, set->version[nr], word))
		die("PTRACE_PEEKDATA of page %zu, word %d: found %#lx, version %u", nr, word,
		    found, set->version[nr]);
	version = set->version[nr] + 1;
	if (set->version[nr] & ZEROED || !(version & 3))
		return; /* the next write is of the whole page */
	set->version[nr] = (uint32_t)version;
	if (ptrace(PTRACE_POKEDATA, pid, at + 1, version) ||
	    ptrace(PTRACE_POKEDATA, pid, at + TAIL, page_word(set->seed, nr, version, TAIL)))
		die("PTRACE_POKEDATA: %m");
}

static void wait_stopped(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		die("the tracee ended: %#x", status);
}

static void trace(struct run *r, pid_t pid, struct set *set)
{
	wait_stopped(pid);
	ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_EXITKILL);
	while (more(r, r->rounds)) {
		for (int i = 0; i < 200; i++)
			peek_and_poke(r, pid, set);
		r->rounds += 200;
		if (ptrace(PTRACE_CONT, pid, NULL, NULL))
			die("PTRACE_CONT: %m");
		wait_stopped(pid);
	}
}

const char *do_ptrace(struct run *r)
{
	struct set set = { .pages = 2048, .seed = r->seed + 7 };
	struct crew crew;
	pid_t pid;

	set.version = mmap(NULL, set.pages * 4, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	set.base = mmap(NULL, set.pages * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (set.version == MAP_FAILED || set.base == MAP_FAILED)
		die("mmap: %m");
	set_zeroed(&set, 0, set.pages);
	pid = fork_quiet();
	if (!pid)
		tracee(r, &set);
	crew_start(&crew, &r->set, r->threads, PEEK_VERSION, r->seed);
	trace(r, pid, &set);
	crew_stop(&crew, r);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	munmap(set.base, set.pages * PAGE);
	munmap(set.version, set.pages * 4);
	return NULL;
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the scenarios share: threads of random accesses beside them, spans of pages to do
 * something to, children, and reads and writes that are expected to fault.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "torture.h"

static pthread_rwlock_t gate;
static __thread sigjmp_buf back;
static __thread volatile sig_atomic_t armed;

void gate_close(void)
{
	pthread_rwlock_wrlock(&gate);
}

void gate_open(void)
{
	pthread_rwlock_unlock(&gate);
}

/* Otherwise a fork would wait for ever. */
static void gate_make(void)
{
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&gate, &attr);
}

/* A fork while no thread is amid an operation: the child knows what to expect. */
pid_t fork_quiet(void)
{
	pid_t pid;

	fflush(stdout);
	gate_close();
	pid = fork();
	if (pid < 0)
		die("fork: %m");
	/* The lock knows its holder by a thread number, which the child has not. */
	if (pid)
		gate_open();
	else
		gate_make();
	return pid;
}

/*
 * Without its lock a page may be anything but another page: its number never changes, and
 * its version only grows.
 */
static void peek_at(struct set *set, size_t nr, enum peek peek)
{
	uint32_t before = __atomic_load_n(&set->version[nr], __ATOMIC_ACQUIRE);
	volatile uint64_t *w = (volatile uint64_t *)set_page(set, nr);
	uint64_t number, version;

	if (before & ZEROED)
		return;
	number = w[0];
	version = w[1];
	if (number != nr + 1 || (peek == PEEK_VERSION && version < before))
		die("page %zu, read beside others: number %lld, version %llu after %u", nr,
		    (long long)number - 1, (unsigned long long)version, before);
}

static void access_one(struct worker *w)
{
	struct set *set = w->crew->set;
	uint64_t dice = rnd_next(&w->rnd);
	size_t nr = rnd_below(&w->rnd, dice & 1 ? set->pages : set->pages / HOT);

	if (w->crew->peek && !(dice & 6)) {
		peek_at(set, nr, w->crew->peek);
		return;
	}
	if (!set_trylock(set, nr))
		return;
	if ((dice >> 8) % 10 < 3)
		set_write(set, nr);
	else
		set_check(set, nr, !(dice & 0x70000));
	set_unlock(set, nr, 1);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	uint64_t start, took;

	while (!__atomic_load_n(&w->crew->stop, __ATOMIC_RELAXED)) {
		pthread_rwlock_rdlock(&gate);
		start = now_ns();
		access_one(w);
		took = now_ns() - start;
		pthread_rwlock_unlock(&gate);
		w->ops++;
		if (took > w->longest)
			w->longest = took;
	}
	return NULL;
}

void crew_start(struct crew *c, struct set *set, int threads, enum peek peek, uint64_t seed)
{
	*c = (struct crew){ .set = set, .threads = threads, .peek = peek };
	for (int i = 0; i < threads; i++) {
		c->worker[i].crew = c;
		c->worker[i].rnd.state = seed * 1000 + i;
		if (pthread_create(&c->worker[i].thread, NULL, work, &c->worker[i]))
			die("no thread: %m");
	}
}

void crew_stop(struct crew *c, struct run *r)
{
	__atomic_store_n(&c->stop, true, __ATOMIC_RELAXED);
	for (int i = 0; i < c->threads; i++) {
		pthread_join(c->worker[i].thread, NULL);
		c->ops += c->worker[i].ops;
		if (c->worker[i].longest > c->longest)
			c->longest = c->worker[i].longest;
	}
	r->ops += c->ops;
	if (c->longest > r->longest)
		r->longest = c->longest;
}

/* There is time left, or, on a slow machine, nothing was @done yet. */
bool more(const struct run *r, uint64_t done)
{
	uint64_t now = now_ns();

	return now < r->end || (!done && now < r->end + 60 * 1000000000ull);
}

/* Up to @max pages, half the time where the threads are busiest. */
void span_take(struct run *r, struct span *s, size_t max)
{
	size_t within = rnd_next(&r->rnd) & 1 ? r->set.pages : r->set.pages / HOT;

	if (within < max)
		within = r->set.pages;
	s->count = 1 + rnd_below(&r->rnd, max);
	s->first = rnd_below(&r->rnd, within - s->count);
	s->at = set_page(&r->set, s->first);
	s->bytes = s->count * PAGE;
	set_lock(&r->set, s->first, s->count);
}

/* Where the kernel takes the advice, and has room, these pages are on the swap device. */
bool swap_out(void *at, size_t bytes)
{
	return !madvise(at, bytes, MADV_PAGEOUT);
}

/* Before something is done to a span: in memory, on swap, or some of it read back. */
void span_stir(struct run *r, struct span *s)
{
	uint64_t dice = rnd_next(&r->rnd);

	if (!(dice & 3))
		return;
	swap_out(s->at, s->bytes);
	for (size_t i = 0; i < s->count; i++) {
		dice = rnd_next(&r->rnd);
		if (dice & 1)
			set_check(&r->set, s->first + i, !(dice & 0x30));
		if ((dice & 7) == 1)
			set_write(&r->set, s->first + i);
	}
}

void span_check(struct run *r, struct span *s)
{
	for (size_t i = 0; i < s->count; i++)
		set_check(&r->set, s->first + i, true);
}

void span_write(struct run *r, struct span *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (rnd_next(&r->rnd) & 1)
			set_write(&r->set, s->first + i);
}

void span_drop(struct run *r, struct span *s)
{
	set_unlock(&r->set, s->first, s->count);
}

/* @fn to spans of the set, one after the other, while threads use the rest of it. */
const char *over_spans(struct run *r, size_t max, span_fn fn, enum peek peek)
{
	struct crew crew;
	struct span s;

	crew_start(&crew, &r->set, r->threads, peek, r->seed);
	while (more(r, r->rounds)) {
		span_take(r, &s, max);
		span_stir(r, &s);
		fn(r, &s);
		span_check(r, &s);
		span_drop(r, &s);
		r->rounds++;
	}
	crew_stop(&crew, r);
	return NULL;
}

/* A child that found something has said so. */
void reap(pid_t pid, const char *what)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		die("%s: waitpid: %m", what);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		die("%s ended with %s %d", what, WIFEXITED(status) ? "status" : "signal",
		    WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	if (!armed)
		die("signal %d at %p", sig, info->si_addr);
	armed = 0;
	siglongjmp(back, 1);
}

void catch_faults(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	gate_make();
}

/* Does a read of @at, or a write of what is there, end in a signal? */
bool faults(volatile void *at, bool write)
{
	volatile uint64_t *w = at;

	if (sigsetjmp(back, 1))
		return true;
	armed = 1;
	if (write)
		w[SPARE] = 1;
	else
		(void)w[0];
	armed = 0;
	return false;
}

bool broken(const struct run *r, const char *how)
{
	return r->broken && !strcmp(r->broken, how);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * swaptorture: a set of pages larger than free memory, every one with contents that say
 * which page it is and how often it was written, and things done to it that a kernel does
 * to swapped pages.  Nothing here knows what it swaps to.
 */
#ifndef TORTURE_H
#define TORTURE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HOT    16 /* every second access goes to one part of so many */
#define PAGE   4096u
#define WORDS  (PAGE / 8)
#define ZEROED (1u << 31) /* of a version: the page reads as zeros now */
#define TAIL   (WORDS - 1)
#define SPARE  2 /* the word of a page that is in no check */

struct rnd {
	uint64_t state;
};

/* Pages at @base; @version and @lock stay outside of what is tortured. */
struct set {
	uint8_t *base;
	size_t pages;
	uint64_t seed;
	uint32_t *version;
	uint8_t *lock;
};

/* Do threads also look at pages that somebody else has locked, and at what there? */
enum peek { PEEK_NONE, PEEK_NUMBER, PEEK_VERSION };

/* One thread of random accesses, and what it saw. */
struct worker {
	pthread_t thread;
	struct crew *crew;
	struct rnd rnd;
	uint64_t ops, longest;
};

#define MAX_THREADS 64
struct crew {
	struct set *set;
	int threads;
	enum peek peek;
	bool stop;
	struct worker worker[MAX_THREADS];
	uint64_t ops, longest; /* of all, once stopped */
};

/* The options, and what the scenario at work counts. */
struct run {
	struct set set;
	struct rnd rnd;
	double seconds;
	int threads;
	size_t bytes;
	uint64_t seed;
	const char *swap, *swap2, *disk, *scratch, *broken;
	uint64_t end;
	uint64_t rounds, ops, longest;
	char note[160];
};

/* Pages that a scenario holds the locks of. */
struct span {
	size_t first, count;
	uint8_t *at;
	size_t bytes;
};

typedef void (*span_fn)(struct run *r, struct span *s);
/* NULL, or why it could not run here. */
typedef const char *(*scenario_fn)(struct run *r);

struct scenario {
	const char *name;
	scenario_fn run;
	const char *what;
};
extern const struct scenario scenarios[];
extern const char *now_running;

/* set.c: contents and their checks; a mismatch ends the process with status 1 */
uint64_t rnd_next(struct rnd *r);
size_t rnd_below(struct rnd *r, size_t n);
uint64_t now_ns(void);
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
int set_create(struct set *set, size_t bytes, uint64_t seed);
void set_destroy(struct set *set);
void set_fill(struct set *set);
uint8_t *set_page(const struct set *set, size_t nr);
void page_make(uint64_t *w, uint64_t seed, size_t nr, uint32_t version);
int page_wrong(const volatile uint64_t *w, uint64_t seed, size_t nr, uint32_t version,
	       bool whole);
uint64_t page_word(uint64_t seed, size_t nr, uint32_t version, int i);
void page_check(const struct set *set, size_t nr, const void *at, uint32_t version, bool whole);
void set_write(struct set *set, size_t nr);
void set_check(const struct set *set, size_t nr, bool whole);
void set_check_all(const struct set *set);
void set_zeroed(struct set *set, size_t first, size_t count);
void set_lock(struct set *set, size_t first, size_t count);
bool set_trylock(struct set *set, size_t nr);
void set_unlock(struct set *set, size_t first, size_t count);

/* crew.c: threads, spans, children */
void crew_start(struct crew *c, struct set *set, int threads, enum peek peek, uint64_t seed);
void crew_stop(struct crew *c, struct run *r);
void gate_close(void); /* no thread is amid an operation until it opens */
void gate_open(void);
pid_t fork_quiet(void);
bool more(const struct run *r, uint64_t done);
void span_take(struct run *r, struct span *s, size_t max);
void span_stir(struct run *r, struct span *s);
void span_check(struct run *r, struct span *s);
void span_write(struct run *r, struct span *s);
void span_drop(struct run *r, struct span *s);
const char *over_spans(struct run *r, size_t max, span_fn fn, enum peek peek);
void reap(pid_t pid, const char *what);
bool faults(volatile void *at, bool write);
bool broken(const struct run *r, const char *how);
void catch_faults(void);
bool swap_out(void *at, size_t bytes);

/* Each does one of several things, for threads that do all at once. */
void change_span(struct run *r, struct span *s);
void advise_span(struct run *r, struct span *s);
void lock_span(struct run *r, struct span *s);
void mix(struct run *r);

/* peer.c: a process of its own, started before there is a set */
void peer_start(void);
void peer_stop(void);
int peer_swapoff(const char *device);

/* proc.c: small files */
/* The number after @key, of the first line if that is empty; -1. */
long proc_number(const char *file, const char *key);
bool put_file(const char *file, const char *text);
int64_t meminfo(const char *key);

/* the scenarios, by file */
const char *do_random(struct run *r);
const char *do_mix(struct run *r);
const char *do_fork(struct run *r);
const char *do_storm(struct run *r);
const char *do_mremap(struct run *r);
const char *do_mprotect(struct run *r);
const char *do_mapfixed(struct run *r);
const char *do_dontneed(struct run *r);
const char *do_free(struct run *r);
const char *do_cold(struct run *r);
const char *do_pageout(struct run *r);
const char *do_willneed(struct run *r);
const char *do_hugepage(struct run *r);
const char *do_mergeable(struct run *r);
const char *do_vm(struct run *r);
const char *do_mem(struct run *r);
const char *do_ptrace(struct run *r);
const char *do_direct(struct run *r);
const char *do_vmsplice(struct run *r);
const char *do_softdirty(struct run *r);
const char *do_glance(struct run *r);
const char *do_proc(struct run *r);
const char *do_mlock(struct run *r);
const char *do_mlockall(struct run *r);
const char *do_mincore(struct run *r);
const char *do_uffd(struct run *r);
const char *do_uffd_wp(struct run *r);
const char *do_cgroup(struct run *r);
const char *do_oom(struct run *r);
const char *do_core(struct run *r);
const char *do_kill(struct run *r);
const char *do_swapoff(struct run *r);
const char *do_second(struct run *r);

#endif

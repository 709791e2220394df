/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fake guest for swapbypass/.  It replaces the interface too: a test sets what the guest
 * answers, and looks at the calls that it got.
 */
#ifndef TESTS_UNIT_FAKE_WINDOW_GUEST_H
#define TESTS_UNIT_FAKE_WINDOW_GUEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "swapbypass/window.h"

#define SIZE  (4ull << 20)
#define SLOTS (SIZE / PAGE)
#define GPA   (4ull << 30)

enum { SET, STAT, RECLAIM, RECLAIMED };

struct window_guest {
	uint32_t generation;
	uint32_t first_handler;
	bool has_state;
	struct sym_item_window_state state;
	int code[4]; /* what each handler returns */
	int times; /* that SET fails; 0: always */
	unsigned int dead_vcpus;
	struct sym_window_run runs[SYM_WINDOW_RUNS + 1];
	unsigned int nr_runs; /* of one reply */
	unsigned int rounds; /* replies that have runs */
	uint32_t reply_len; /* 0: that of the runs */
	uint64_t said; /* pages, as the reply says; 0: the true sum */
	bool reset_meanwhile, other_meanwhile;
	uint64_t freed_meanwhile; /* pages */
	uint64_t refreshed_writes; /* what STAT shows, if not 0 */
	uint64_t late_ms;
	uint64_t reclaim_seq;
	uint64_t flags; /* of the last reclaim */
	uint64_t taken; /* runs, by the last "reclaimed" */
	uint64_t reached;
	const char *reason;

	unsigned int calls[4];
	uint64_t asked, level, limit;
	struct sym_item_window shown;
	void *host;
	bool regions;
	char violation[256];
	uint64_t now;
};

extern struct window_guest guest;
extern struct sym_window *window;
extern struct sym_err err;
extern char path[128]; /* of a file, in a folder of its own */

/* For cmocka: without a window, with one in memory, with one in a file; and removing it. */
int setup(void **state);
int in_memory(void **state);
int in_file(void **state);
int teardown(void **state);

int create(const char *file, uint64_t limit);

/* The guest writes to slots. */
void touch(unsigned int first, unsigned int count);
bool holds(unsigned int slot);

/* What it gives back at the next reclaim. */
void reply(unsigned int nr, const struct sym_window_run *runs);

#define REPLY(...)                                                                               \
	do {                                                                                     \
		const struct sym_window_run r[] = { __VA_ARGS__ };                               \
		reply(sizeof(r) / sizeof(r[0]), r);                                              \
	} while (0)
#define FREE SYM_WINDOW_RUN_FREE

#define PLAIN(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
#define MEM(fn)	  cmocka_unit_test_setup_teardown(fn, in_memory, teardown)
#define FILED(fn) cmocka_unit_test_setup_teardown(fn, in_file, teardown)

#endif

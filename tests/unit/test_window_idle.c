// SPDX-License-Identifier: BSD-2-Clause
/* swapbypass/: memory that the guest does not use comes back by itself. */
#include <errno.h>

#include "fake/window_guest.h"

#define MOST (SLOTS / 16)
#define LEFT (SLOTS / 32)

static void pass(unsigned int seconds)
{
	while (seconds--) {
		guest.now += 1000;
		if (sym_window_watch(window))
			sym_window_enforce(window);
	}
}

static void test_little(void **state)
{
	touch(1, 500);
	guest.state.idle = MOST;
	pass(100);
	assert_int_equal(guest.calls[RECLAIM], 0);
}

static void test_for_a_moment(void **state)
{
	touch(1, 500);
	for (int i = 0; i < 5; i++) {
		guest.state.idle = 400;
		pass(2);
		guest.state.idle = MOST;
		pass(1);
	}
	assert_int_equal(guest.calls[RECLAIM], 0);
}

static void test_comes_back(void **state)
{
	touch(1, 500);
	guest.state.idle = 400;
	REPLY({ 101, 400 - LEFT, FREE });
	pass(3);
	assert_int_equal(guest.calls[RECLAIM], 1);
	assert_int_equal(guest.calls[RECLAIMED], 1);
	assert_int_equal(guest.flags, SYM_WINDOW_RECLAIM_FREE);
	assert_int_equal(guest.asked, 400 - LEFT);
	assert_int_equal(sym_window_lent(window), (100 + LEFT) * PAGE);
	assert_int_equal(sym_window_idle_returned(window), (400 - LEFT) * PAGE);
	guest.state.idle = LEFT;
	pass(100);
	assert_int_equal(guest.calls[RECLAIM], 1);
}

/* A guest that swaps will use free slots again soon. */
static void test_in_use_soon(void **state)
{
	touch(1, 500);
	guest.state.idle = 400;
	for (int i = 0; i < 20; i++) {
		guest.state.writes += 40;
		pass(1);
	}
	assert_int_equal(guest.calls[RECLAIM], 0);
	/* The state is old: it is looked at again. */
	guest.refreshed_writes = guest.state.writes + 40;
	pass(3);
	assert_int_equal(guest.calls[STAT], 1);
	assert_int_equal(guest.calls[RECLAIM], 0);
	guest.refreshed_writes = 0;
	pass(1);
	guest.state.writes += 10;
	REPLY({ 101, 100, FREE });
	pass(2);
	guest.state.writes += 10;
	pass(1);
	assert_int_equal(guest.asked, 400 - LEFT - 100);
}

/* It cannot have more than the host has lent. */
static void test_more_than_lent(void **state)
{
	touch(1, 100);
	guest.state.idle = UINT64_MAX;
	pass(3);
	assert_int_equal(guest.asked, 100 - LEFT);
}

/* Asked less and less often, and again as soon as there was little. */
static void test_gives_nothing(void **state)
{
	touch(1, 500);
	guest.state.idle = 400;
	pass(3);
	assert_int_equal(guest.calls[RECLAIM], 1);
	pass(5);
	assert_int_equal(guest.calls[RECLAIM], 1);
	pass(1);
	assert_int_equal(guest.calls[RECLAIM], 2);
	pass(600);
	assert_in_range(guest.calls[RECLAIM], 6, 14);
	guest.state.idle = 0;
	pass(1);
	guest.state.idle = 400;
	guest.calls[RECLAIM] = 0;
	pass(3);
	assert_int_equal(guest.calls[RECLAIM], 1);
}

static void test_fails(void **state)
{
	touch(1, 500);
	guest.state.idle = 400;
	guest.code[RECLAIM] = -EIO;
	pass(3);
	assert_int_equal(guest.calls[RECLAIMED], 1);
	assert_int_equal(sym_window_idle_returned(window), 0);
	assert_string_equal(guest.violation, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MEM(test_little),	  MEM(test_for_a_moment),  MEM(test_comes_back),
		MEM(test_more_than_lent), MEM(test_gives_nothing), MEM(test_fails),
		MEM(test_in_use_soon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

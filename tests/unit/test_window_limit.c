// SPDX-License-Identifier: BSD-2-Clause
/* swapbypass/: guests that exceed their limit, and guests that only seem to. */
#include <errno.h>
#include <string.h>

#include "fake/window_guest.h"

static void pass(unsigned int seconds)
{
	for (unsigned int i = 0; i < seconds; i++) {
		guest.now += 1000;
		if (sym_window_watch(window))
			sym_window_enforce(window);
	}
}

static void sync_guest(void)
{
	struct sym_window_reached reached;

	assert_int_equal(sym_window_sync(window, &reached), 0);
}

static void set_limit(uint64_t pages)
{
	assert_int_equal(sym_window_set_limit(window, pages * PAGE), 0);
	sync_guest();
	pass(1);
}

static void test_limit_kept(void **state)
{
	set_limit(100);
	touch(1, 100 + 64);
	pass(30);
	assert_string_equal(guest.violation, "");
	assert_int_equal(sym_window_lent(window), 164 * PAGE);
}

static void test_limit_for_a_moment(void **state)
{
	set_limit(100);
	for (int i = 0; i < 5; i++) {
		touch(1, 300);
		pass(9);
		backing_punch(&window->backing, 200 * PAGE, 200 * PAGE);
		backing_punch(&window->backing, 100 * PAGE, 200 * PAGE);
		pass(1);
	}
	assert_string_equal(guest.violation, "");
}

static void test_limit_broken(void **state)
{
	set_limit(100);
	guest.state.used = 50;
	touch(1, 500);
	pass(11);
	assert_string_equal(guest.violation, "");
	pass(1);
	assert_non_null(
		strstr(guest.violation, "has 2000 KiB of the window, its limit is 400 KiB"));
	assert_true(sym_window_lent(window) <= 164 * PAGE);
	assert_true(holds(1)); /* it was punched from the end */
	assert_int_equal(guest.calls[RECLAIM], 1); /* it was asked first */
}

/* Pages that it gives back when asked are no violation. */
static void test_limit_given_back(void **state)
{
	set_limit(100);
	touch(1, 300);
	REPLY({ 101, 136, FREE });
	pass(15);
	assert_string_equal(guest.violation, "");
	assert_int_equal(sym_window_lent(window), 164 * PAGE);
	assert_true(holds(300));
}

/* Of a large window, each answer brings a part. */
static void test_limit_slowly(void **state)
{
	set_limit(100);
	guest.state.used = 50;
	touch(1, 1000);
	for (unsigned int i = 1; i <= 9; i++) {
		REPLY({ 1001 - i * 80, 80, FREE });
		pass(12);
		assert_true(guest.calls[RECLAIM] >= i);
	}
	assert_string_equal(guest.violation, "");
	assert_int_equal(sym_window_lent(window), 280 * PAGE);
}

/* Giving back a page now and then, and taking it again, does not help. */
static void test_limit_never_less(void **state)
{
	set_limit(100);
	guest.state.used = 50;
	for (unsigned int i = 0; i < 6; i++) {
		touch(1, 1000);
		REPLY({ 1000, 1, FREE });
		pass(12);
	}
	assert_string_not_equal(guest.violation, "");
	assert_true(sym_window_lent(window) <= 164 * PAGE);
}

static void test_limit_lowered(void **state)
{
	pass(1);
	touch(1, 500);
	guest.state.used = 500;
	pass(20);
	set_limit(100);
	pass(30);
	assert_string_equal(guest.violation, ""); /* it reports them as in use */
	guest.state.used = SLOTS;
	touch(501, 100);
	pass(15);
	assert_string_not_equal(guest.violation, ""); /* but it may not have more */
	assert_true(sym_window_lent(window) <= 564 * PAGE);
	guest.violation[0] = '\0';
	guest.state.used = 60;
	pass(15);
	assert_string_not_equal(guest.violation, "");
}

/* The old limit applies until the guest acknowledges the new one; two minutes at most. */
static void test_limit_not_acked(void **state)
{
	pass(1);
	touch(1, 400);
	guest.state.used = 400;
	assert_int_equal(sym_window_set_limit(window, 100 * PAGE), 0);
	touch(401, 200);
	guest.state.used = 600;
	pass(30);
	assert_string_equal(guest.violation, "");
	guest.state.used = 680; /* some are not written yet */
	sync_guest();
	touch(601, 80);
	pass(30);
	assert_string_equal(guest.violation, "");
	guest.state.used = 800;
	touch(681, 100);
	pass(15);
	assert_string_not_equal(guest.violation, "");
}

static void test_limit_never_acked(void **state)
{
	pass(1);
	touch(1, 500);
	assert_int_equal(sym_window_set_limit(window, 100 * PAGE), 0);
	pass(115);
	assert_string_equal(guest.violation, "");
	pass(20);
	assert_string_not_equal(guest.violation, "");
}

/* Pages freed while it was being asked are no violation. */
static void test_limit_freed_meanwhile(void **state)
{
	pass(1);
	touch(1, 500);
	guest.state.used = 500;
	set_limit(100);
	guest.state.used = 400;
	guest.freed_meanwhile = 100;
	REPLY({ 401, 36, FREE });
	pass(12);
	assert_string_equal(guest.violation, "");
	assert_int_equal(sym_window_lent(window), 464 * PAGE);
}

static void test_limit_no_answer(void **state)
{
	set_limit(100);
	touch(1, 500);
	guest.code[RECLAIM] = -ETIMEDOUT;
	pass(15);
	assert_string_not_equal(guest.violation, "");
	assert_int_equal(sym_window_lent(window), 500 * PAGE);
	guest.first_handler = 0; /* no module that could answer */
	guest.has_state = false;
	pass(15);
	assert_true(sym_window_lent(window) <= 164 * PAGE);
}

static void test_limit_other_module(void **state)
{
	pass(1);
	set_limit(100);
	touch(1, 300);
	guest.first_handler = 20;
	pass(15);
	assert_string_equal(guest.violation, "");
	assert_int_equal(sym_window_lent(window), 300 * PAGE);
	/* Loading it again gains nothing. */
	touch(301, 200);
	guest.first_handler = 30;
	pass(15);
	assert_string_not_equal(guest.violation, "");
	assert_true(sym_window_lent(window) <= 328 * PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MEM(test_limit_kept),
		MEM(test_limit_for_a_moment),
		MEM(test_limit_broken),
		MEM(test_limit_given_back),
		MEM(test_limit_slowly),
		MEM(test_limit_never_less),
		MEM(test_limit_lowered),
		MEM(test_limit_no_answer),
		MEM(test_limit_not_acked),
		MEM(test_limit_never_acked),
		MEM(test_limit_freed_meanwhile),
		MEM(test_limit_other_module),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

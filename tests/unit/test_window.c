// SPDX-License-Identifier: BSD-2-Clause
/* swapbypass/: creating a window, syncing it with the guest, reclaim. */
#include <errno.h>
#include <string.h>

#include "fake/window_guest.h"

static void test_life(void **state)
{
	assert_true(guest.regions);
	assert_int_equal(guest.shown.gpa, GPA);
	assert_int_equal(guest.shown.size, SIZE);
	assert_int_equal(guest.shown.limit, SIZE);
	assert_int_equal(guest.shown.level, SYM_WINDOW_BYPASS);
	assert_int_equal(sym_window_lent(window), 0);
	touch(3, 2);
	assert_int_equal(sym_window_lent(window), 2 * PAGE);
	sym_window_reset(window);
	assert_int_equal(sym_window_lent(window), 0);
	assert_false(holds(3));
	sym_window_destroy(window);
	window = NULL;
	assert_false(guest.regions);
	assert_int_equal(guest.shown.size, 0);
}

static void test_bad_config(void **state)
{
	assert_int_equal(create(NULL, SIZE + PAGE), -EINVAL);
	assert_int_equal(create(NULL, 0), -EINVAL);
	assert_int_equal(create(NULL, 100), -EINVAL);
	assert_null(window);
}

static void test_sync(void **state)
{
	struct sym_window_reached reached;

	assert_true(sym_window_needs_sync(window));
	assert_int_equal(sym_window_sync(window, &reached), 0);
	assert_int_equal(guest.level, SYM_WINDOW_BYPASS);
	assert_int_equal(guest.limit, SIZE);
	assert_int_equal(reached.level, SYM_WINDOW_BYPASS);
	assert_string_equal(reached.reason, "");
	assert_false(sym_window_needs_sync(window));
	assert_int_equal(sym_window_set_limit(window, SIZE / 2), 0);
	assert_int_equal(guest.shown.limit, SIZE / 2); /* shown before the guest is called */
	assert_int_equal(guest.calls[SET], 1);
	assert_true(sym_window_needs_sync(window));
	assert_int_equal(sym_window_set_level(window, SYM_WINDOW_DEVICE), 0);
	guest.reached = SYM_WINDOW_OFF;
	guest.reason = "no\nroom \033[2J\n";
	assert_int_equal(sym_window_sync(window, &reached), 0);
	assert_int_equal(guest.level, SYM_WINDOW_DEVICE);
	assert_int_equal(guest.limit, SIZE / 2);
	assert_int_equal(reached.level, SYM_WINDOW_OFF);
	assert_string_equal(reached.reason, "no room  [2J");
	assert_int_equal(sym_window_set_level(window, 3), -EINVAL);
	assert_int_equal(sym_window_set_limit(window, SIZE + PAGE), -EINVAL);
	assert_int_equal(sym_window_set_limit(window, 1), -EINVAL);
	assert_int_equal(sym_window_set_limit(window, 0), -EINVAL);
}

static void test_sync_trouble(void **state)
{
	struct sym_window_reached reached;

	guest.reached = 77;
	assert_int_equal(sym_window_sync(window, &reached), -EPROTO);
	assert_false(sym_window_needs_sync(window));
	guest.reached = 0;
	guest.code[SET] = -EBUSY;
	guest.times = 3;
	guest.calls[SET] = 0;
	assert_int_equal(sym_window_sync(window, &reached), 0);
	assert_int_equal(guest.calls[SET], 4);
	guest.times = 0;
	sym_window_set_level(window, SYM_WINDOW_OFF);
	assert_int_equal(sym_window_sync(window, &reached), -EBUSY);
	assert_true(sym_window_needs_sync(window)); /* to be tried again */
	guest.code[SET] = 0;
	guest.dead_vcpus = 1;
	assert_int_equal(sym_window_sync(window, &reached), 0);
	guest.dead_vcpus = 2;
	assert_int_equal(sym_window_sync(window, &reached), -ESHUTDOWN);
}

static void test_not_ready(void **state)
{
	struct sym_window_reached reached;
	struct sym_window_reclaimed got;

	guest.first_handler = 0;
	assert_false(sym_window_ready(window));
	assert_false(sym_window_needs_sync(window));
	assert_int_equal(sym_window_sync(window, &reached), -ENOSYS);
	assert_int_equal(sym_window_reclaim(window, PAGE, &got), -ENOSYS);
	guest.generation = 0;
	assert_int_equal(sym_window_sync(window, &reached), -ENODEV);
	guest.generation = 1;
	guest.first_handler = 10;
	assert_int_equal(sym_window_sync(window, &reached), 0);
	assert_false(sym_window_needs_sync(window));
	guest.first_handler = 20; /* the module was loaded again */
	assert_true(sym_window_needs_sync(window));
	assert_int_equal(sym_window_sync(window, &reached), 0);
	guest.generation = 2;
	assert_true(sym_window_needs_sync(window));
}

static void test_state(void **state)
{
	struct sym_item_window_state s;

	guest.state.level = SYM_WINDOW_DEVICE;
	memset(guest.state.reason, '\n', sizeof(guest.state.reason));
	guest.state.reason[0] = 'x';
	assert_int_equal(sym_window_state(window, &s), 0);
	assert_string_equal(s.reason, "x");
	guest.state.level = 3;
	assert_int_equal(sym_window_state(window, &s), -EPROTO);
	guest.has_state = false;
	assert_int_equal(sym_window_state(window, &s), -ENOENT);
}

/* Reclaim */

static void test_reclaim(void **state)
{
	struct sym_window_reclaimed got;

	touch(1, 20);
	REPLY({ 2, 3, FREE }, { 10, 1, FREE }, { 5, 2, 0 });
	assert_int_equal(sym_window_reclaim(window, 100 * PAGE, &got), 0);
	assert_int_equal(got.punched, 4 * PAGE);
	assert_int_equal(sym_window_lent(window), 16 * PAGE);
	for (unsigned int i = 1; i <= 20; i++)
		assert_int_equal(holds(i), (i < 2 || i > 4) && i != 10);
	/* The second request, when there were no more. */
	assert_int_equal(guest.asked, 100 - (got.punched + got.evicted) / PAGE);
	assert_int_equal(guest.calls[RECLAIM], 2);
	assert_int_equal(guest.calls[RECLAIMED], 2);
}

static void test_reclaim_enough(void **state)
{
	struct sym_window_reclaimed got;

	touch(1, 8);
	REPLY({ 1, 8, FREE });
	guest.rounds = 100;
	assert_int_equal(sym_window_reclaim(window, 8 * PAGE - 5, &got), 0);
	assert_int_equal(guest.calls[RECLAIM], 1);
	assert_int_equal(got.punched, 8 * PAGE);
}

static void test_reclaim_file(void **state)
{
	struct sym_window_reclaimed got;

	touch(1, 200);
	REPLY({ 1, 100, FREE }, { 101, 100, 0 });
	assert_int_equal(sym_window_reclaim(window, 200 * PAGE, &got), 0);
	assert_int_equal(got.punched, 100 * PAGE);
	assert_true(got.evicted <= 100 * PAGE);
	assert_false(holds(100));
	for (unsigned int i = 101; i <= 200; i++)
		assert_true(holds(i));
}

/* Slots that are out of memory already do not count, or this would never end. */
static void test_reclaim_same(void **state)
{
	struct sym_window_reclaimed got;

	touch(1, 100);
	REPLY({ 1, 100, 0 });
	guest.rounds = 1000;
	assert_int_equal(sym_window_reclaim(window, SIZE, &got), 0);
	assert_true(got.evicted <= 100 * PAGE);
	assert_true(guest.calls[RECLAIM] <= 3);
	assert_int_equal(guest.calls[RECLAIMED], guest.calls[RECLAIM]);
}

/* The guest's answer is refused as a whole, and the guest gets "reclaimed". */
static void refused(void)
{
	struct sym_window_reclaimed got;
	unsigned int before = guest.calls[RECLAIMED];

	touch(1, 50);
	assert_int_equal(sym_window_reclaim(window, 20 * PAGE, &got), -EPROTO);
	assert_int_equal(got.punched + got.evicted, 0);
	assert_int_equal(guest.calls[RECLAIMED], before + 1);
	for (unsigned int i = 1; i <= 50; i++)
		assert_true(holds(i));
}

static void test_reclaim_lies(void **state)
{
	touch(0, 1);
	REPLY({ 2, 1, FREE }, { 5, 0, FREE });
	refused(); /* no count */
	REPLY({ 2, 1, FREE }, { 0, 1, FREE });
	refused(); /* slot 0 */
	REPLY({ 2, 1, FREE }, { SLOTS, 1, FREE });
	refused(); /* beyond the end */
	REPLY({ 2, 1, FREE }, { SLOTS - 2, 3, FREE });
	refused(); /* across it */
	REPLY({ UINT32_MAX, 1, FREE });
	refused();
	REPLY({ 2, 3, FREE }, { 8, 1, FREE }, { 4, 2, 0 });
	refused(); /* an overlap */
	REPLY({ 2, 3, FREE }, { 2, 3, FREE });
	refused(); /* the same */
	REPLY({ 2, 21, FREE });
	refused(); /* more than was asked for */
	REPLY({ 2, 1, 2 });
	refused(); /* an unknown flag */
	REPLY({ 2, 1, FREE });
	guest.said = 2;
	refused(); /* a wrong sum */
	guest.said = 0;
	REPLY({ 2, 1, FREE });
	guest.reply_len = 12;
	refused(); /* half a run */
	assert_true(holds(0));
}

static void test_reclaim_most(void **state)
{
	struct sym_window_reclaimed got;
	struct sym_window_run runs[SYM_WINDOW_RUNS];

	for (unsigned int i = 0; i < SYM_WINDOW_RUNS; i++)
		runs[i] = (struct sym_window_run){ 1 + 2 * (SYM_WINDOW_RUNS - 1 - i), 1, FREE };
	touch(1, SLOTS - 1);
	reply(SYM_WINDOW_RUNS - 1, runs + 1); /* the window is one slot too short for all */
	assert_int_equal(sym_window_reclaim(window, SIZE, &got), 0);
	assert_int_equal(got.punched, (SYM_WINDOW_RUNS - 1) * PAGE);
}

static void test_reclaim_errors(void **state)
{
	struct sym_window_reclaimed got;

	touch(1, 10);
	guest.code[RECLAIM] = -ETIMEDOUT;
	assert_int_equal(sym_window_reclaim(window, PAGE, &got), -ETIMEDOUT);
	assert_int_equal(guest.calls[RECLAIMED], 1);
	guest.code[RECLAIM] = 0;
	guest.code[RECLAIMED] = -EIO;
	REPLY({ 2, 1, FREE });
	assert_int_equal(sym_window_reclaim(window, 10 * PAGE, &got), -EIO);
	assert_int_equal(got.punched, PAGE);
}

/* What the last guest called free is not the next one's. */
static void test_reclaim_reset(void **state)
{
	struct sym_window_reclaimed got;

	REPLY({ 2, 1, FREE });
	touch(2, 1);
	guest.other_meanwhile = true;
	assert_int_equal(sym_window_reclaim(window, PAGE, &got), -ECANCELED);
	assert_true(holds(2));
	guest.other_meanwhile = false;
	guest.reset_meanwhile = true;
	REPLY({ 2, 1, FREE });
	assert_int_equal(sym_window_reclaim(window, PAGE, &got), -ECANCELED);
	assert_int_equal(got.punched, 0);
}

static void test_reclaim_late(void **state)
{
	struct sym_window_reclaimed got;

	touch(2, 1);
	guest.late_ms = 10001;
	REPLY({ 2, 1, FREE });
	assert_int_equal(sym_window_reclaim(window, PAGE, &got), -ETIMEDOUT);
	assert_true(holds(2));
	assert_int_equal(guest.calls[RECLAIMED], 1);
	assert_int_equal(guest.taken, 0);
	guest.late_ms = 0;
	REPLY({ 2, 1, FREE }, { 4, 1, 0 });
	assert_int_equal(sym_window_reclaim(window, 2 * PAGE, &got), 0);
	assert_int_equal(guest.taken, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MEM(test_life),		  PLAIN(test_bad_config),   MEM(test_sync),
		MEM(test_sync_trouble),	  MEM(test_not_ready),	    MEM(test_state),
		MEM(test_reclaim),	  MEM(test_reclaim_enough), FILED(test_reclaim_file),
		FILED(test_reclaim_same), MEM(test_reclaim_lies),   MEM(test_reclaim_most),
		MEM(test_reclaim_errors), MEM(test_reclaim_reset),  MEM(test_reclaim_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

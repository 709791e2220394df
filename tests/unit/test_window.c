// SPDX-License-Identifier: BSD-2-Clause
/*
 * swapbypass/: a window for a guest that is made up here: one that keeps its limit and
 * gives back what it is asked for, one that is not there, and those that lie.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "swapbypass/window.h"

#define SIZE  (4ull << 20)
#define SLOTS (SIZE / PAGE)
#define GPA   (4ull << 30)

static const char *const handlers[] = { SYM_WINDOW_SET, SYM_WINDOW_STAT, SYM_WINDOW_RECLAIM,
					SYM_WINDOW_RECLAIMED };
enum { SET, STAT, RECLAIM, RECLAIMED };

static struct {
	uint32_t generation;
	uint32_t first_handler;
	bool has_state;
	struct sym_item_window_state state;
	int code[4]; /* what each handler returns */
	int times; /* how often the code of SET; 0: always */
	unsigned int dead_vcpus;
	struct sym_window_run runs[SYM_WINDOW_RUNS + 1];
	unsigned int nr_runs; /* of one reply */
	unsigned int rounds; /* replies that have any */
	uint32_t reply_len; /* 0: as many as there are */
	uint64_t said; /* 0: what is in them */
	bool reset_meanwhile, other_meanwhile;
	uint64_t freed_meanwhile; /* pages */
	uint64_t late_ms;
	uint64_t question;
	uint64_t taken; /* runs, as it was told */
	uint64_t reached;
	const char *reason;

	unsigned int calls[4];
	uint64_t asked, level, limit;
	struct sym_item_window shown;
	void *host;
	bool regions;
	char violation[256];
	uint64_t now;
} guest;

static struct sym_window *window;
static struct sym_window_err err;
static char dir[64], path[128];

/* What swapbypass/ needs of the interface. */

uint32_t sym_generation(const struct sym *sym)
{
	return guest.generation;
}

int sym_spy_get(struct sym *sym, uint16_t type, void *value, size_t size)
{
	assert_int_equal(type, SYM_ITEM_WINDOW_STATE);
	assert_int_equal(size, sizeof(guest.state));
	memcpy(value, &guest.state, size);
	return guest.has_state ? 0 : -ENOENT;
}

void sym_show_window(struct sym *sym, const struct sym_item_window *item)
{
	guest.shown = item ? *item : (struct sym_item_window){ 0 };
}

int sym_handler_find(struct sym *sym, const char *name, struct sym_item_handler *handler)
{
	for (unsigned int i = 0; i < 4 && guest.first_handler; i++)
		if (!strcmp(handlers[i], name)) {
			handler->number = guest.first_handler + i;
			return 0;
		}
	return -ENOSYS;
}

static void answer_reclaim(struct sym_call *call)
{
	uint64_t pages = 0;

	guest.asked = call->arg[0];
	guest.now += guest.late_ms;
	guest.state.used -= guest.freed_meanwhile;
	if (guest.reset_meanwhile)
		sym_window_reset(window);
	if (guest.other_meanwhile)
		guest.generation++;
	if (!guest.rounds)
		return;
	guest.rounds--;
	for (unsigned int i = 0; i < guest.nr_runs; i++)
		pages += guest.runs[i].count;
	call->value[0] = guest.said ? guest.said : pages;
	call->reply_len = guest.reply_len ? guest.reply_len :
					    guest.nr_runs * sizeof(guest.runs[0]);
	assert_true(call->reply_max >= SYM_CALL_PAYLOAD);
	memcpy(call->reply, guest.runs, SYM_CALL_PAYLOAD);
}

int sym_call_wait(struct sym *sym, unsigned int id, struct sym_call *call)
{
	unsigned int which = call->handler - guest.first_handler;

	assert_true(id < 2 && which < 4);
	assert_int_equal(call->context, SYM_CONTEXT_THREAD);
	assert_true(call->deadline_ms);
	if (id < guest.dead_vcpus)
		return -ESHUTDOWN;
	assert_true(++guest.calls[which] < 10000);
	if (which == SET) {
		guest.level = call->arg[0];
		guest.limit = call->arg[1];
		call->value[0] = guest.reached;
		if (guest.reason) {
			call->reply_len = strlen(guest.reason) + 1;
			strncpy((char *)call->reply, guest.reason, call->reply_max);
		}
		if (guest.times && guest.calls[SET] > (unsigned int)guest.times)
			return 0;
	}
	if (which == RECLAIM) {
		assert_true(call->arg[1] > guest.question);
		guest.question = call->arg[1];
	}
	if (which == RECLAIMED) {
		assert_int_equal(call->arg[0], guest.question);
		if (call->arg[1])
			guest.taken = call->arg[1];
	}
	if (which == RECLAIM && !guest.code[RECLAIM])
		answer_reclaim(call);
	return guest.code[which];
}

uint64_t __wrap_window_now_ms(void);
uint64_t __wrap_window_now_ms(void)
{
	return guest.now;
}

static int region_add(void *vm, uint64_t gpa, uint64_t size, void *host, uint32_t flags)
{
	assert_int_equal(gpa, GPA);
	guest.host = host;
	guest.regions = true;
	return 0;
}

static int region_del(void *vm, uint64_t gpa)
{
	assert_int_equal(gpa, GPA);
	guest.regions = false;
	return 0;
}

static unsigned int nr_vcpus(void *vm)
{
	return 2;
}

static const struct sym_host_ops ops = {
	.version = SYM_HOST_OPS_VERSION, .size = sizeof(ops), .region_add = region_add,
	.region_del = region_del, .nr_vcpus = nr_vcpus,
};

static void on_violation(void *arg, const char *text)
{
	snprintf(guest.violation, sizeof(guest.violation), "%s", text);
}

static int create(const char *file, uint64_t limit)
{
	const struct sym_window_config config = {
		.size = sizeof(config), .gpa = GPA, .bytes = SIZE, .limit = limit,
		.level = SYM_WINDOW_BYPASS, .file = file, .name = "web",
		.violation = on_violation,
	};

	memset(&err, 0, sizeof(err));
	window = NULL;
	return sym_window_create(NULL, &ops, NULL, &config, &window, &err);
}

static int setup(void **state)
{
	memset(&guest, 0, sizeof(guest));
	guest.generation = 1;
	guest.first_handler = 10;
	guest.has_state = true;
	guest.reached = SYM_WINDOW_BYPASS;
	guest.now = 1000;
	strcpy(dir, "/tmp/symkit-test.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/window", dir);
	window = NULL;
	return 0;
}

static int teardown(void **state)
{
	sym_window_destroy(window);
	unlink(path);
	rmdir(dir);
	return 0;
}

static int in_memory(void **state)
{
	setup(state);
	return create(NULL, SIZE);
}

static int in_file(void **state)
{
	setup(state);
	return create(path, SIZE);
}

/* The guest writes to slots. */
static void touch(unsigned int first, unsigned int count)
{
	memset((char *)guest.host + first * PAGE, 0x55, count * PAGE);
}

static bool holds(unsigned int slot)
{
	return ((char *)guest.host)[slot * PAGE] == 0x55;
}

/* Its life, and what is wanted */

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

static void test_tell(void **state)
{
	struct sym_window_told told;

	assert_true(sym_window_untold(window));
	assert_int_equal(sym_window_tell(window, &told), 0);
	assert_int_equal(guest.level, SYM_WINDOW_BYPASS);
	assert_int_equal(guest.limit, SIZE);
	assert_int_equal(told.level, SYM_WINDOW_BYPASS);
	assert_string_equal(told.reason, "");
	assert_false(sym_window_untold(window));
	assert_int_equal(sym_window_set_limit(window, SIZE / 2), 0);
	assert_int_equal(guest.shown.limit, SIZE / 2); /* shown before it is told */
	assert_int_equal(guest.calls[SET], 1);
	assert_true(sym_window_untold(window));
	assert_int_equal(sym_window_set_level(window, SYM_WINDOW_DEVICE), 0);
	guest.reached = SYM_WINDOW_OFF;
	guest.reason = "no\nroom \033[2J\n";
	assert_int_equal(sym_window_tell(window, &told), 0);
	assert_int_equal(guest.level, SYM_WINDOW_DEVICE);
	assert_int_equal(guest.limit, SIZE / 2);
	assert_int_equal(told.level, SYM_WINDOW_OFF);
	assert_string_equal(told.reason, "no room  [2J");
	assert_int_equal(sym_window_set_level(window, 3), -EINVAL);
	assert_int_equal(sym_window_set_limit(window, SIZE + PAGE), -EINVAL);
	assert_int_equal(sym_window_set_limit(window, 1), -EINVAL);
	assert_int_equal(sym_window_set_limit(window, 0), -EINVAL);
}

static void test_tell_trouble(void **state)
{
	struct sym_window_told told;

	guest.reached = 77;
	assert_int_equal(sym_window_tell(window, &told), -EPROTO);
	assert_false(sym_window_untold(window));
	guest.reached = 0;
	guest.code[SET] = -EBUSY;
	guest.times = 3;
	guest.calls[SET] = 0;
	assert_int_equal(sym_window_tell(window, &told), 0);
	assert_int_equal(guest.calls[SET], 4);
	guest.times = 0;
	sym_window_set_level(window, SYM_WINDOW_OFF);
	assert_int_equal(sym_window_tell(window, &told), -EBUSY);
	assert_true(sym_window_untold(window)); /* it is asked again */
	guest.code[SET] = 0;
	guest.dead_vcpus = 1;
	assert_int_equal(sym_window_tell(window, &told), 0);
	guest.dead_vcpus = 2;
	assert_int_equal(sym_window_tell(window, &told), -ESHUTDOWN);
}

static void test_not_ready(void **state)
{
	struct sym_window_told told;
	struct sym_window_reclaimed got;

	guest.first_handler = 0;
	assert_false(sym_window_ready(window));
	assert_false(sym_window_untold(window));
	assert_int_equal(sym_window_tell(window, &told), -ENOSYS);
	assert_int_equal(sym_window_reclaim(window, PAGE, &got), -ENOSYS);
	guest.generation = 0;
	assert_int_equal(sym_window_tell(window, &told), -ENODEV);
	guest.generation = 1;
	guest.first_handler = 10;
	assert_int_equal(sym_window_tell(window, &told), 0);
	assert_false(sym_window_untold(window));
	guest.first_handler = 20; /* the module was loaded anew */
	assert_true(sym_window_untold(window));
	assert_int_equal(sym_window_tell(window, &told), 0);
	guest.generation = 2;
	assert_true(sym_window_untold(window));
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

static void reply(unsigned int nr, const struct sym_window_run *runs)
{
	memcpy(guest.runs, runs, nr * sizeof(*runs));
	guest.nr_runs = nr;
	guest.rounds = 1;
}

#define REPLY(...)                                                         \
	do {                                                               \
		const struct sym_window_run r[] = { __VA_ARGS__ };         \
		reply(sizeof(r) / sizeof(r[0]), r);                        \
	} while (0)
#define FREE SYM_WINDOW_RUN_FREE

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
	/* The second time, when there were no more. */
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

/* Slots that are out already do not count, or this would never end. */
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

/* The guest's answer is refused as a whole, and the guest is told that it is over. */
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
	refused(); /* a flag that there is not */
	REPLY({ 2, 1, FREE });
	guest.said = 2;
	refused(); /* another sum */
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

/* The limit */

static void pass(unsigned int seconds)
{
	for (unsigned int i = 0; i < seconds; i++) {
		guest.now += 1000;
		if (sym_window_watch(window))
			sym_window_enforce(window);
	}
}

static void tell(void)
{
	struct sym_window_told told;

	assert_int_equal(sym_window_tell(window, &told), 0);
}

static void set_limit(uint64_t pages)
{
	assert_int_equal(sym_window_set_limit(window, pages * PAGE), 0);
	tell();
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
	assert_non_null(strstr(guest.violation, "has 2000 KiB of the window, its limit is 400 KiB"));
	assert_true(sym_window_lent(window) <= 164 * PAGE);
	assert_true(holds(1)); /* from the end */
	assert_int_equal(guest.calls[RECLAIM], 1); /* it was asked first */
}

/* What it can give back is not held against it. */
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

static void test_limit_lowered(void **state)
{
	pass(1);
	touch(1, 500);
	guest.state.used = 500;
	pass(20);
	set_limit(100);
	pass(30);
	assert_string_equal(guest.violation, ""); /* it owns up to them */
	guest.state.used = SLOTS;
	touch(501, 100);
	pass(15);
	assert_string_not_equal(guest.violation, ""); /* but more it must not have */
	assert_true(sym_window_lent(window) <= 564 * PAGE);
	guest.violation[0] = '\0';
	guest.state.used = 60;
	pass(15);
	assert_string_not_equal(guest.violation, "");
}

/* Until it hears of it, the old limit is the guest's; for two minutes at most. */
static void test_limit_unheard(void **state)
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
	tell();
	touch(601, 80);
	pass(30);
	assert_string_equal(guest.violation, "");
	guest.state.used = 800;
	touch(681, 100);
	pass(15);
	assert_string_not_equal(guest.violation, "");
}

static void test_limit_never_heard(void **state)
{
	pass(1);
	touch(1, 500);
	assert_int_equal(sym_window_set_limit(window, 100 * PAGE), 0);
	pass(115);
	assert_string_equal(guest.violation, "");
	pass(20);
	assert_string_not_equal(guest.violation, "");
}

/* What it came to need no more while it was asked is no offence. */
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

static void test_limit_not_heard(void **state)
{
	set_limit(100);
	touch(1, 500);
	guest.code[RECLAIM] = -ETIMEDOUT;
	pass(15);
	assert_string_not_equal(guest.violation, "");
	assert_int_equal(sym_window_lent(window), 500 * PAGE);
	guest.first_handler = 0; /* there is nobody to be heard */
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
	/* Again and again it gains nothing by that. */
	touch(301, 200);
	guest.first_handler = 30;
	pass(15);
	assert_string_not_equal(guest.violation, "");
	assert_true(sym_window_lent(window) <= 328 * PAGE);
}

/* Files */

static off_t size_of(void)
{
	struct stat st;

	return stat(path, &st) ? -1 : st.st_size;
}

static void write_file(const char *text, size_t len, off_t at)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, text, len, at), len);
	close(fd);
}

static void file_refused(int code, const char *why)
{
	off_t before = size_of();

	assert_int_equal(create(path, SIZE), code);
	if (!strstr(err.text, why) || !strstr(err.text, path) || strchr(err.text, '\n'))
		fail_msg("\"%s\" does not say \"%s\"", err.text, why);
	assert_null(window);
	assert_int_equal(size_of(), before);
}

static void test_file_created(void **state)
{
	struct stat st;

	assert_int_equal(create(path, SIZE), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, SIZE + PAGE);
	assert_true(st.st_blocks * 512 < st.st_size / 2); /* sparse */
	assert_int_equal(sym_window_lent(window), 0);
	assert_null(sym_window_leftover(window));
	sym_window_destroy(window);
	window = NULL;
	assert_int_equal(size_of(), -1);
}

static void test_file_there(void **state)
{
	write_file("", 0, 0);
	assert_int_equal(create(path, SIZE), 0);
	touch(1, 1);
	sym_window_destroy(window);
	window = NULL;
	assert_int_equal(size_of(), 0);
}

static void test_file_foreign(void **state)
{
	static const char text[] = "symkit swap window\n";

	write_file("x", 1, 0);
	file_refused(-EEXIST, "not empty, and not a swap window of symkit");
	write_file("x", 1, SIZE + PAGE - 1);
	file_refused(-EEXIST, "not a swap window");
	write_file(text, sizeof(text), SIZE - PAGE); /* not where it belongs */
	file_refused(-EEXIST, "not a swap window");
	unlink(path);
	write_file(text, sizeof(text), 0); /* a mark alone, and a short one */
	file_refused(-EEXIST, "not a swap window");
}

static void test_file_in_use(void **state)
{
	struct sym_window *first;

	assert_int_equal(create(path, SIZE), 0);
	first = window;
	file_refused(-EBUSY, "in use by another VM");
	window = first;
}

static void test_file_not_regular(void **state)
{
	assert_int_equal(mkfifo(path, 0600), 0);
	file_refused(-EINVAL, "not a regular file");
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	file_refused(-EISDIR, "directory");
	rmdir(path);
	assert_int_equal(symlink("/nonexistent/x", path), 0);
	assert_int_equal(create(path, SIZE), -ENOENT);
}

/* A VM that is killed while it has the window. */
static void killed(const char *file)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		_exit(create(file, SIZE) ? 1 : (touch(1, 5), 0));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(size_of(), SIZE + PAGE);
}

static void test_file_left(void **state)
{
	killed(path);
	assert_int_equal(create(path, SIZE), 0);
	assert_string_equal(sym_window_leftover(window), "web");
	assert_int_equal(sym_window_lent(window), 0);
	assert_false(holds(1));
	sym_window_destroy(window);
	window = NULL;
	assert_int_equal(size_of(), -1); /* it was made by us, if not by this run */
	write_file("", 0, 0);
	killed(path);
	assert_int_equal(create(path, SIZE), 0);
	sym_window_destroy(window);
	window = NULL;
	assert_int_equal(size_of(), 0);
}

static void test_file_reset(void **state)
{
	touch(1, 100);
	sym_window_reset(window);
	assert_false(holds(1));
	assert_int_equal(sym_window_lent(window), 0);
	assert_int_equal(size_of(), SIZE + PAGE); /* the mark stays */
}

int main(void)
{
#define PLAIN(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
#define MEM(fn)	  cmocka_unit_test_setup_teardown(fn, in_memory, teardown)
#define FILED(fn) cmocka_unit_test_setup_teardown(fn, in_file, teardown)
	const struct CMUnitTest tests[] = {
		MEM(test_life), PLAIN(test_bad_config), MEM(test_tell), MEM(test_tell_trouble),
		MEM(test_not_ready), MEM(test_state),
		MEM(test_reclaim), MEM(test_reclaim_enough), FILED(test_reclaim_file),
		FILED(test_reclaim_same),
		MEM(test_reclaim_lies), MEM(test_reclaim_most), MEM(test_reclaim_errors),
		MEM(test_reclaim_reset),
		MEM(test_limit_kept), MEM(test_limit_for_a_moment), MEM(test_limit_broken),
		MEM(test_limit_given_back), MEM(test_limit_lowered), MEM(test_limit_not_heard),
		MEM(test_limit_unheard), MEM(test_limit_never_heard),
		MEM(test_limit_freed_meanwhile), MEM(test_reclaim_late),
		MEM(test_limit_other_module),
		PLAIN(test_file_created), PLAIN(test_file_there), PLAIN(test_file_foreign),
		PLAIN(test_file_in_use), PLAIN(test_file_not_regular), PLAIN(test_file_left),
		FILED(test_file_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
/* events.c: order, history, overflow, and subscribers that come and go in a callback. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/loop.h"
#include "host/events.h"

struct log {
	int left_out;
	struct events *ev;
	struct loop *loop;
	int id; /* to unsubscribe at the first event, or -1 */
	unsigned int nr;
	unsigned int quit_at;
	int dropped;
	char names[400][16];
};

static void on_event(void *arg, const json_t *event)
{
	struct log *log = arg;

	assert_true(log->nr < 400);
	assert_true(json_is_real(json_object_get(event, "time")));
	assert_true(json_is_object(json_object_get(event, "data")));
	log->left_out += json_integer_value(json_object_get(event, "left_out"));
	log->dropped += json_integer_value(json_object_get(event, "dropped"));
	snprintf(log->names[log->nr++], 16, "%s",
		 json_string_value(json_object_get(event, "event")));
	if (log->id >= 0) {
		events_unsubscribe(log->ev, log->id);
		log->id = -1;
	}
	if (log->quit_at == log->nr)
		loop_quit(log->loop);
}

static struct log *log_new(struct loop *loop, struct events *ev)
{
	struct log *log = test_calloc(1, sizeof(*log));

	log->ev = ev;
	log->loop = loop;
	log->id = -1;
	return log;
}

static void make(struct loop **loop, struct events **ev)
{
	assert_int_equal(loop_create(loop), 0);
	assert_int_equal(events_create(*loop, ev), 0);
}

static void unmake(struct loop *loop, struct events *ev)
{
	events_destroy(ev);
	loop_destroy(loop);
}

static void test_order_and_history(void **state)
{
	struct log *first, *late, *without;
	struct events *ev;
	struct loop *loop;
	char name[16];

	make(&loop, &ev);
	first = log_new(loop, ev);
	late = log_new(loop, ev);
	without = log_new(loop, ev);
	assert_true(events_subscribe(ev, 1, on_event, first) >= 0);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "e%d", i);
		events_emit(ev, name, i % 2 ? json_object() : NULL);
	}
	assert_int_equal(first->nr, 0);
	events_flush(ev);
	assert_int_equal(first->nr, 100);
	assert_string_equal(first->names[99], "e99");
	assert_true(events_subscribe(ev, 0, on_event, without) >= 0);
	assert_int_equal(without->nr, 0);
	assert_true(events_subscribe(ev, 1, on_event, late) >= 0);
	assert_int_equal(late->nr, 64);
	assert_string_equal(late->names[0], "e36");
	assert_string_equal(late->names[63], "e99");
	assert_int_equal(first->dropped + late->dropped, 0);
	unmake(loop, ev);
	test_free(first);
	test_free(late);
	test_free(without);
}

static void test_overflow_is_counted(void **state)
{
	struct events *ev;
	struct loop *loop;
	struct log *log;

	make(&loop, &ev);
	log = log_new(loop, ev);
	events_subscribe(ev, 0, on_event, log);
	for (int i = 0; i < 300; i++)
		events_emit(ev, i < 44 ? "old" : "new", NULL);
	events_flush(ev);
	assert_int_equal(log->nr, 256);
	assert_int_equal(log->dropped, 44);
	assert_string_equal(log->names[0], "new");
	events_emit(ev, "last", NULL);
	events_flush(ev);
	assert_int_equal(log->dropped, 44);
	for (int i = 0; i < 10; i++) /* undelivered ones are freed too */
		events_emit(ev, "never", json_object());
	unmake(loop, ev);
	test_free(log);
}

static void test_unsubscribe_in_callback(void **state)
{
	struct log *one, *other;
	struct events *ev;
	struct loop *loop;

	make(&loop, &ev);
	one = log_new(loop, ev);
	other = log_new(loop, ev);
	one->id = events_subscribe(ev, 0, on_event, one);
	events_subscribe(ev, 0, on_event, other);
	events_emit(ev, "a", NULL);
	events_emit(ev, "b", NULL);
	events_flush(ev);
	assert_int_equal(one->nr, 1);
	assert_int_equal(other->nr, 2);
	events_unsubscribe(ev, -1);
	events_unsubscribe(ev, 1000);
	unmake(loop, ev);
	test_free(one);
	test_free(other);
}

static void *emit_50(void *arg)
{
	for (int i = 0; i < 50; i++)
		events_emit(arg, "threaded", json_pack("{s:i}", "i", i));
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[4];
	struct events *ev;
	struct loop *loop;
	struct log *log;

	make(&loop, &ev);
	log = log_new(loop, ev);
	log->quit_at = 200;
	events_subscribe(ev, 0, on_event, log);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, emit_50, ev), 0);
	assert_int_equal(loop_run(loop), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(log->nr, 200);
	unmake(loop, ev);
	test_free(log);
}

static void test_text(void **state)
{
	json_t *string = events_text("caf\xc3\xa9");

	assert_string_equal(json_string_value(string), "caf\xc3\xa9");
	json_decref(string);
	string = events_text("a\xff\x1b[b");
	assert_string_equal(json_string_value(string), "a?\x1b[b");
	json_decref(string);
}

/* A guest's events have a limited rate; the last of a kind always arrives. */
static void test_limited(void **state)
{
	struct events *ev;
	struct loop *loop;
	struct log *log;

	make(&loop, &ev);
	log = log_new(loop, ev);
	assert_int_equal(events_subscribe(ev, 0, on_event, log), 0);
	for (int i = 0; i < 100; i++) {
		events_emit_limited(ev, EVENTS_OF_GUEST, "broken", "blk0", NULL);
		events_emit_limited(ev, EVENTS_OF_GUEST, "broken", "net0", NULL);
		events_emit_limited(ev, EVENTS_OF_SERVICE, i < 99 ? "busy" : "idle", "s", NULL);
	}
	events_flush(ev);
	/* Each of two devices, and two kinds of events of a service. */
	assert_int_equal(log->nr, 8 + 8 + 64 + 1);
	assert_string_equal(log->names[log->nr - 1], "idle");
	log->quit_at = log->nr + 3;
	loop_run(loop); /* the held ones, one of each kind, when the rate allows */
	assert_int_equal(log->nr, 8 + 8 + 64 + 1 + 3);
	assert_int_equal(log->left_out, 91 + 91 + 34);
	assert_int_equal(log->dropped, 0);
	/* Held events are not lost at the end. */
	for (int i = 0; i < 20; i++)
		events_emit_limited(ev, EVENTS_OF_GUEST, "broken", "blk0", NULL);
	events_release(ev);
	events_flush(ev);
	assert_int_equal(log->nr + log->left_out, 8 + 8 + 64 + 1 + 3 + 91 + 91 + 34 + 20);
	test_free(log);
	unmake(loop, ev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_and_history),
		cmocka_unit_test(test_overflow_is_counted),
		cmocka_unit_test(test_unsubscribe_in_callback),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

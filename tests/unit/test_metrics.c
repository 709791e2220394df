// SPDX-License-Identifier: BSD-2-Clause
/* metrics.c: both renderings, and families kept together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/metrics.h"

static uint64_t reads, writes, boots;

static uint64_t forty_two(void *arg)
{
	return 42 + *(uint64_t *)arg;
}

static struct metrics *make(void)
{
	struct metrics *m;

	reads = 7;
	writes = 0;
	boots = 1;
	assert_int_equal(metrics_create("web", &m), 0);
	assert_int_equal(
		metrics_counter(m, "io_total", "I/O", "device=\"a\\\"b\",op=\"read\"", &reads),
		0);
	assert_int_equal(metrics_counter(m, "boots_total", "Boots", NULL, &boots), 0);
	assert_int_equal(
		metrics_counter(m, "io_total", "I/O", "device=\"x\",op=\"write\"", &writes), 0);
	assert_int_equal(metrics_gauge(m, "answer", "The answer", "", forty_two, &boots), 0);
	assert_int_equal(metrics_counter_of(m, "asked_total", "Asked for", "", forty_two, &boots),
			 0);
	return m;
}

static void test_text(void **state)
{
	struct metrics *m = make();
	char *text = metrics_text(m);

	counter_add(&writes, 3);
	assert_string_equal(text, "# HELP symkit_io_total I/O\n"
				  "# TYPE symkit_io_total counter\n"
				  "symkit_io_total{vm=\"web\",device=\"a\\\"b\",op=\"read\"} 7\n"
				  "symkit_io_total{vm=\"web\",device=\"x\",op=\"write\"} 0\n"
				  "# HELP symkit_boots_total Boots\n"
				  "# TYPE symkit_boots_total counter\n"
				  "symkit_boots_total{vm=\"web\"} 1\n"
				  "# HELP symkit_answer The answer\n"
				  "# TYPE symkit_answer gauge\n"
				  "symkit_answer{vm=\"web\"} 43\n"
				  "# HELP symkit_asked_total Asked for\n"
				  "# TYPE symkit_asked_total counter\n"
				  "symkit_asked_total{vm=\"web\"} 43\n");
	free(text);
	text = metrics_text(m);
	assert_non_null(strstr(text, "op=\"write\"} 3\n"));
	free(text);
	metrics_destroy(m);
}

static void test_json(void **state)
{
	struct metrics *m = make();
	json_t *got = metrics_json(m);
	json_t *want = json_pack("[{s:s,s:{s:s,s:s,s:s},s:s,s:i},{s:s,s:{s:s,s:s,s:s},s:s,s:i},"
				 "{s:s,s:{s:s},s:s,s:i},{s:s,s:{s:s},s:s,s:i},"
				 "{s:s,s:{s:s},s:s,s:i}]",
				 "name", "symkit_io_total", "labels", "vm", "web", "device",
				 "a\"b", "op", "read", "type", "counter", "value", 7, "name",
				 "symkit_io_total", "labels", "vm", "web", "device", "x", "op",
				 "write", "type", "counter", "value", 0, "name",
				 "symkit_boots_total", "labels", "vm", "web", "type", "counter",
				 "value", 1, "name", "symkit_answer", "labels", "vm", "web",
				 "type", "gauge", "value", 43, "name", "symkit_asked_total",
				 "labels", "vm", "web", "type", "counter", "value", 43);

	assert_non_null(want);
	assert_true(json_equal(got, want));
	json_decref(want);
	json_decref(got);
	metrics_destroy(m);
}

static void test_empty(void **state)
{
	struct metrics *m;
	char *text;

	assert_int_equal(metrics_create("web", &m), 0);
	text = metrics_text(m);
	assert_string_equal(text, "");
	free(text);
	metrics_destroy(m);
	metrics_destroy(NULL);
}

/* A label that is not valid for Prometheus must not confuse the parser. */
static void test_bad_labels(void **state)
{
	static const char *const bad[] = { "a", "a=", "a=b", "a=\"", "=\"\"", "a=\"b\\" };
	struct metrics *m;
	json_t *got;

	assert_int_equal(metrics_create("web", &m), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(metrics_counter(m, "x", "x", bad[i], &reads), 0);
	got = metrics_json(m);
	assert_int_equal(json_array_size(got), sizeof(bad) / sizeof(bad[0]));
	json_decref(got);
	metrics_destroy(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_bad_labels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
/* text.c and rate.c: sanitizing text, and limiting rates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/rate.h"
#include "core/text.h"

static void check(const char *text, const char *wanted)
{
	char copy[64];

	strcpy(copy, text);
	text_sanitize(copy);
	assert_string_equal(copy, wanted);
}

static void test_sanitize(void **state)
{
	check("", "");
	check("Attempted to kill init!", "Attempted to kill init!");
	check("a\x1b[31mb\r\nc\td\x7f", "a?[31mb??c?d?");
	check("\xc2\x9b"
	      "31m",
	      "?31m"); /* CSI as one C1 character */
	check("gr\xc3\xbc\xc3\x9f, \xe2\x82\xac, \xf0\x9f\x90\xa7",
	      "gr\xc3\xbc\xc3\x9f, \xe2\x82\xac, \xf0\x9f\x90\xa7");
	check("\x9b", "?"); /* not UTF-8: a byte alone */
	check("\xc3", "?"); /* truncated */
	check("\xc0\x9b", "??"); /* overlong */
	check("\xe0\x82\x9b", "???");
	check("\xed\xa0\x80", "???"); /* a surrogate */
	check("\xf4\x90\x80\x80", "????"); /* beyond Unicode */
}

static void test_rate(void **state)
{
	struct rate rate = RATE(3, 2);
	uint64_t now = 1000 * NS_PER_S;

	for (int i = 0; i < 3; i++)
		assert_true(rate_take(&rate, now));
	assert_false(rate_take(&rate, now));
	now += NS_PER_S / 2 - 1;
	assert_false(rate_ready(&rate, now));
	now += 1;
	assert_true(rate_ready(&rate, now));
	assert_true(rate_take(&rate, now));
	assert_false(rate_take(&rate, now));
	/* Never more than the burst, even after a long time. */
	now += 3600 * NS_PER_S;
	for (int i = 0; i < 3; i++)
		assert_true(rate_take(&rate, now));
	assert_false(rate_take(&rate, now));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sanitize),
		cmocka_unit_test(test_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

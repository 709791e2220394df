// SPDX-License-Identifier: BSD-2-Clause
/* panic_text.c: a kernel's panic, and text that only looks like one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "devices/panic_text.h"

#define PANIC "[   12.345678] Kernel panic - not syncing: VFS: no root\r\n"
#define STACK                                                                                    \
	"[   12.345679] CPU: 0 PID: 1 Comm: swapper/0 Not tainted\r\n"                           \
	"[   12.345680] Call Trace:\r\n"                                                         \
	"[   12.345681]  <TASK>\r\n"
#define OFFSET "[   12.345690] Kernel Offset: disabled\r\n"
#define REBOOT "[   13.000000] reboot: Restarting system\r\n"

static void is_end(const char *text, const char *wanted)
{
	char reason[128] = "";

	assert_true(panic_text_is_end(text));
	assert_true(panic_text_reason(text, reason, sizeof(reason)));
	assert_string_equal(reason, wanted);
}

static void test_panics(void **state)
{
	is_end(PANIC STACK OFFSET, "VFS: no root");
	is_end("boot\r\n" PANIC OFFSET, "VFS: no root");
	is_end(PANIC OFFSET
	       "[   12.4] ---[ end Kernel panic - not syncing: VFS: no root ]---\r\n",
	       "VFS: no root");
	is_end(PANIC OFFSET "[   12.4] Rebooting in 1 seconds..", "VFS: no root");
	/* printk.time=0, and CONFIG_PRINTK_CALLER */
	is_end("Kernel panic - not syncing: no time\nKernel Offset: disabled\n", "no time");
	is_end("[    1.0][    T1] Kernel panic - not syncing: caller\n"
	       "[    1.1][    T1] Kernel Offset: disabled\n",
	       "caller");
	/* The last one counts. */
	is_end("[    1.0] Kernel panic - not syncing: old\n" PANIC OFFSET, "VFS: no root");
}

static void test_only_text(void **state)
{
	assert_false(panic_text_is_end(""));
	assert_false(panic_text_is_end("login: "));
	/* A user prints an old log, and reboots. */
	assert_false(panic_text_is_end(PANIC STACK OFFSET REBOOT));
	assert_false(panic_text_is_end(PANIC STACK OFFSET "root@guest:~# reboot -f\r\n"));
	assert_false(panic_text_is_end("Kernel panic - not syncing: said by echo\r\n"));
	assert_false(panic_text_is_end("he said: " PANIC OFFSET));
	/* A crash kernel, which then reboots. */
	assert_false(panic_text_is_end(PANIC STACK OFFSET
				       "[    0.000000] Linux version 6.1\r\n" REBOOT));
}

static void test_reason_is_safe(void **state)
{
	char reason[16];

	assert_true(panic_text_reason("Kernel panic - not syncing: \x1b[31m\x9b"
				      "red and more\n",
				      reason, sizeof(reason)));
	assert_string_equal(reason, "?[31m?red and m");
	assert_false(panic_text_reason("all is well\n", reason, sizeof(reason)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_panics),
		cmocka_unit_test(test_only_text),
		cmocka_unit_test(test_reason_is_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

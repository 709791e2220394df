// SPDX-License-Identifier: BSD-2-Clause
/*
 * What panic() of Linux prints (kernel/panic.c): its reason, a stack, "Kernel Offset: ..."
 * (arch/x86/kernel/setup.c), then perhaps "Rebooting in N seconds.." before it resets the
 * machine.  An ordinary reboot always prints "reboot: Restarting system".
 */
#include "devices/panic_text.h"

#include <stdio.h>
#include <string.h>

#include "core/text.h"

#define MARK "Kernel panic - not syncing: "

/* Skip the time that printk() puts in front of a line. */
static const char *skip_time(const char *line)
{
	const char *p = line + strspn(line, "\r"), *digits;

	if (*p != '[')
		return p;
	digits = p + 1 + strspn(p + 1, " ");
	if (!strspn(digits, "0123456789"))
		return p;
	digits += strspn(digits, "0123456789.");
	/* "[    1.234567][    T1] " with CONFIG_PRINTK_CALLER */
	if (digits[0] == ']' && digits[1] == '[')
		digits = digits + strcspn(digits + 1, "]\n") + 1;
	return digits[0] == ']' && digits[1] == ' ' ? digits + 2 : p;
}

static const char *next_line(const char *line)
{
	line += strcspn(line, "\n");
	return *line ? line + 1 : NULL;
}

static bool begins(const char *line, const char *with)
{
	return !strncmp(line, with, strlen(with));
}

/* The message of the last panic; NULL: there is none. */
static const char *last_panic(const char *text)
{
	const char *found = NULL;

	for (const char *line = text; line; line = next_line(line))
		if (begins(skip_time(line), MARK))
			found = skip_time(line);
	return found;
}

bool panic_text_reason(const char *text, char *reason, size_t size)
{
	const char *panic = last_panic(text);

	if (!panic)
		return false;
	panic += strlen(MARK);
	snprintf(reason, size, "%.*s", (int)strcspn(panic, "\r\n"), panic);
	text_sanitize(reason);
	return true;
}

bool panic_text_is_end(const char *text)
{
	const char *line = last_panic(text);
	bool offset = false;

	while (line && (line = next_line(line))) {
		const char *message = skip_time(line);

		if (begins(message, "reboot: "))
			return false;
		if (begins(message, "Kernel Offset: "))
			offset = true;
		else if (offset && *message && *message != '\r' && *message != '\n' &&
			 !begins(message, "---[ end Kernel panic") &&
			 !begins(message, "Rebooting in "))
			return false;
	}
	return offset;
}

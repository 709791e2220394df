/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A Linux kernel's panic, as far as its console tells of it.
 */
#ifndef VMM_DEVICES_PANIC_TEXT_H
#define VMM_DEVICES_PANIC_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * panic_text_reason - the reason of the last panic in @text, safe for a terminal, in
 * @reason; false when there is none.  Only a line of the form that the kernel gives it
 * counts, but a program of the guest's may have written that too.
 */
bool panic_text_reason(const char *text, char *reason, size_t size);

/*
 * panic_text_is_end - is that panic what @text ends with?  Then nothing but the rest of the
 * kernel's own message follows it, and no orderly reboot.
 */
bool panic_text_is_end(const char *text);

#endif

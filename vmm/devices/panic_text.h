/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Recognising a Linux kernel's panic in its console output.
 */
#ifndef VMM_DEVICES_PANIC_TEXT_H
#define VMM_DEVICES_PANIC_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * panic_text_reason - copy the reason of the last panic in @text, safe for a terminal, to
 * @reason; false if there is none.  Only a line in the kernel's own form counts, but a
 * program in the guest can write such a line too.
 */
bool panic_text_reason(const char *text, char *reason, size_t size);

/*
 * panic_text_is_end - does @text end with that panic?  Then only the rest of the kernel's own
 * message follows it, and no orderly reboot.
 */
bool panic_text_is_end(const char *text);

#endif

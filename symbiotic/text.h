/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text from the guest.
 */
#ifndef SYM_TEXT_H
#define SYM_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* sym_printable - are these @len bytes all printable ASCII? */
static inline bool sym_printable(const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		if (p[i] < 0x20 || p[i] > 0x7e)
			return false;
	return true;
}

/*
 * sym_text_line - turn @text, @len bytes or up to a NUL, into a line of printable ASCII in place,
 * without trailing blanks.  It must have room for @len + 1 bytes.
 */
static inline void sym_text_line(char *text, size_t len)
{
	size_t n = 0;

	for (; n < len && text[n]; n++)
		if (!sym_printable(&text[n], 1))
			text[n] = ' ';
	while (n && text[n - 1] == ' ')
		n--;
	text[n] = '\0';
}

#endif

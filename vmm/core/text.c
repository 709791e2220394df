// SPDX-License-Identifier: BSD-2-Clause
#include "core/text.h"

#include <stdint.h>

/* The length of the UTF-8 sequence at @p and its code point; 0: not valid (RFC 3629). */
static unsigned int decode(const unsigned char *p, uint32_t *point)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned int len = *p < 0x80 ? 1 :
			   *p < 0xc2 ? 0 :
			   *p < 0xe0 ? 2 :
			   *p < 0xf0 ? 3 :
			   *p < 0xf5 ? 4 :
				       0;

	if (!len)
		return 0;
	*point = len == 1 ? *p : *p & (0x7f >> len);
	for (unsigned int i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*point = *point << 6 | (p[i] & 0x3f);
	}
	if (*point < smallest[len] || *point > 0x10ffff || (*point >= 0xd800 && *point < 0xe000))
		return 0;
	return len;
}

void text_sanitize(char *text)
{
	unsigned char *in = (unsigned char *)text, *out = in;

	while (*in) {
		uint32_t point;
		unsigned int len = decode(in, &point);

		if (!len || point < 0x20 || (point >= 0x7f && point < 0xa0)) {
			*out++ = '?';
			in += len ? len : 1;
			continue;
		}
		while (len--)
			*out++ = *in++;
	}
	*out = '\0';
}

// SPDX-License-Identifier: BSD-2-Clause
#include "core/parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int parse_size(const char *s, const char *where, uint64_t *out, struct err *err)
{
	static const char units[] = "KMGT";
	unsigned int shift = 0;
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(s, &end, 10);
	if (isalpha(*end) && strchr(units, toupper(*end))) {
		shift = 10 * (strchr(units, toupper(*end)) - units + 1);
		end++;
	}
	if (!isdigit(*s) || *end || errno || n > UINT64_MAX >> shift)
		return err_set(err, -EINVAL, "%s %s: not a size (e.g. 512M, 4G)", where, s);
	*out = (uint64_t)n << shift;
	return 0;
}

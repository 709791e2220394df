// SPDX-License-Identifier: BSD-2-Clause
#include "sym/err.h"

#include <stdarg.h>
#include <stdio.h>

int sym_fail(struct sym_err *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	err->code = code;
	return code;
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * Errors with a reason, and messages on stderr.
 */
#include "core/err.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/rate.h"
#include "core/text.h"

int err_set(struct err *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (err->code)
		return err->code;
	err->code = code;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	return code;
}

int err_errno(struct err *err, const char *fmt, ...)
{
	int saved = errno;
	char text[sizeof(err->msg)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(err, -saved, "%s: %s", text, strerror(saved));
}

/* The guest can cause many of these lines: they must not flood the log. */
static bool may_log(unsigned int *left_out)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct rate rate = RATE(32, 2);
	static unsigned int held_back;
	bool may;

	pthread_mutex_lock(&lock);
	may = rate_take(&rate, clock_ns());
	*left_out = held_back;
	held_back = may ? 0 : held_back + 1;
	pthread_mutex_unlock(&lock);
	return may;
}

static void log_line(const char *fmt, va_list ap)
{
	unsigned int left_out;
	char line[600];

	if (!may_log(&left_out))
		return;
	vsnprintf(line, sizeof(line), fmt, ap);
	text_sanitize(line);
	if (left_out)
		fprintf(stderr, "symvmm: %u messages were left out\n", left_out);
	fprintf(stderr, "symvmm: %s\n", line);
}

void err_print(const struct err *err)
{
	char line[sizeof(err->msg)];

	memcpy(line, err->msg, sizeof(line));
	text_sanitize(line);
	fprintf(stderr, "symvmm: %s\n", line);
}

void log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(fmt, ap);
	va_end(ap);
}

void log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(fmt, ap);
	va_end(ap);
}

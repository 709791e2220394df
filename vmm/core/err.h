/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Errors with a reason.  A function whose error the user must understand takes a struct
 * err and returns -errno; the message names the file, option or guest address at fault.
 * Only main() prints it.
 */
#ifndef VMM_CORE_ERR_H
#define VMM_CORE_ERR_H

struct err {
	int code; /* -errno; 0: no error */
	char msg[512];
};

/*
 * err_set - record @code (a negative errno) and a message, unless an error is recorded already.
 * Returns @code, so that callers can write "return err_set(...)".
 */
int err_set(struct err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* err_errno - as err_set(), with -errno for a code and ": strerror" at the end. */
int err_errno(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* err_print - the message as one line on stderr, safe for a terminal.  For main(). */
void err_print(const struct err *err);

/*
 * log_warn, log_info - one line on stderr, prefixed with the program's name and safe for a
 * terminal.  Any thread.  Beyond 32 at once and 2 a second lines are left out and counted.
 */
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif

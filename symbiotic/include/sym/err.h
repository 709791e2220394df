/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why something failed, as one line of text.
 */
#ifndef SYM_ERR_H
#define SYM_ERR_H

#ifdef __cplusplus
extern "C" {
#endif

struct sym_err {
	int code; /* negative errno; 0: no error */
	char text[512];
};

/* sym_fail - set @err; returns @code. */
int sym_fail(struct sym_err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif

#endif

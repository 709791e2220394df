/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Internal to libsym.  The prefix sym__ avoids conflicts in programs that link the static
 * library.
 */
#ifndef LIBSYM_INTERNAL_H
#define LIBSYM_INTERNAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "symkit/sym.h"

#define SYM_PROTOCOL   1
#define SYM_LINE_MAX   (4 * 1024 * 1024) /* of an answer */
#define SYM_EVENTS_MAX 1024
#define SYM_TIMEOUT_MS 10000

struct event_record {
	struct event_record *next;
	char *text;
};

struct sym_conn {
	int fd;
	char *name;
	char *runtime; /* NULL: the default */
	unsigned int timeout_ms;
	json_int_t last_id;
	bool subscribed;
	bool ended; /* no more data will come */

	struct event_record *events;
	struct event_record **events_tail;
	unsigned int nr_events;

	char *buf; /* bytes after the last line that was taken */
	size_t buf_size;
	size_t buf_start;
	size_t buf_len;

	char error[512];
};

/* sym__fail - record why, on @conn or, with NULL, for this thread; returns @code. */
int sym__fail(struct sym_conn *conn, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void sym__clear_error(struct sym_conn *conn);

/*
 * sym__opts - copy the caller's struct of options over @known, whose size field says
 * how much this library knows.  -EINVAL when it asks for more than that.
 */
int sym__opts(void *known, const void *opts);

/* Deadlines, in milliseconds of CLOCK_MONOTONIC. */
int64_t sym__deadline(unsigned int timeout_ms);
int sym__left(int64_t deadline); /* for poll(); 0 when it has passed */
/* sym__late - -ETIMEDOUT with the error set when @deadline has passed, 0 before. */
int sym__late(struct sym_conn *conn, int64_t deadline);

/*
 * sym__connect - to NAME.@suffix in the runtime folder: a non-blocking socket, or
 * -errno with the thread's error set.
 */
int sym__connect(const char *runtime, const char *name, const char *suffix, int64_t deadline);

/*
 * sym__name_free - has the VM of that name ended?  The lock on the name shows it, even if the
 * socket is gone.  1, 0, or -errno with the thread's error set.
 */
int sym__name_free(const char *runtime, const char *name);

/* sym__call - sym_call_method() on JSON values; takes over @params. */
int sym__call(struct sym_conn *conn, const char *method, json_t *params, json_t **result);

/*
 * sym__call_long - the same for a method that may take @extra_ms longer than others; sends
 * the descriptor @fd unless it is -1 (the caller keeps it).
 */
int sym__call_long(struct sym_conn *conn, const char *method, json_t *params, int fd,
		   unsigned int extra_ms, json_t **result);

/* sym__dump - convert @json (taken over) to text for the caller. */
int sym__dump(struct sym_conn *conn, json_t *json, char **text);

/* sym__receive - the next line, parsed.  -ETIMEDOUT, -EPIPE at the end, -EPROTO. */
int sym__receive(struct sym_conn *conn, int64_t deadline, json_t **line);

/* sym__keep_event - queue an event that came while waiting for something else. */
void sym__keep_event(struct sym_conn *conn, const json_t *event);

#endif

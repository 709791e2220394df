// SPDX-License-Identifier: BSD-2-Clause
/*
 * A connection: opening it, lines in and out with a deadline, and the raw call on
 * which all others are built.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

static __thread char thread_error[sizeof(((struct sym_conn *)0)->error)];

const char *sym_version(void)
{
	return SYMKIT_VERSION;
}

const char *sym_conn_error(const struct sym_conn *conn)
{
	return conn ? conn->error : thread_error;
}

int sym__fail(struct sym_conn *conn, int code, const char *fmt, ...)
{
	char *error = conn ? conn->error : thread_error;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, sizeof(thread_error), fmt, ap);
	va_end(ap);
	return code;
}

void sym__clear_error(struct sym_conn *conn)
{
	*(conn ? conn->error : thread_error) = '\0';
}

int sym__opts(void *known, const void *opts)
{
	size_t ours = *(size_t *)known, theirs;

	if (!opts)
		return 0;
	theirs = *(const size_t *)opts;
	if (theirs < sizeof(size_t))
		return -EINVAL;
	for (size_t i = ours; i < theirs; i++)
		if (((const char *)opts)[i])
			return -EINVAL; /* an option of a newer library */
	memcpy((char *)known + sizeof(size_t), (const char *)opts + sizeof(size_t),
	       (theirs < ours ? theirs : ours) - sizeof(size_t));
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

int64_t sym__deadline(unsigned int timeout_ms)
{
	return now_ms() + timeout_ms;
}

int sym__late(struct sym_conn *conn, int64_t deadline)
{
	if (sym__left(deadline))
		return 0;
	return sym__fail(conn, -ETIMEDOUT, "VM '%s' did not answer in time", conn->name);
}

int sym__left(int64_t deadline)
{
	int64_t left = deadline - now_ms();

	if (left <= 0)
		return 0;
	return left > 1000000 ? 1000000 : left;
}

static int wait_for(struct sym_conn *conn, short events, int64_t deadline)
{
	struct pollfd pfd = { .fd = conn->fd, .events = events };
	int n;

	do
		n = poll(&pfd, 1, sym__left(deadline));
	while ((n < 0 && errno == EINTR) || (n == 0 && sym__left(deadline)));
	if (n < 0)
		return sym__fail(conn, -errno, "poll: %s", strerror(errno));
	return n ? 0 : sym__late(conn, deadline);
}

static int conn_gone(struct sym_conn *conn)
{
	conn->ended = true;
	return sym__fail(conn, -EPIPE, "VM '%s' has ended", conn->name);
}

/* The descriptor is sent with the first byte. */
static ssize_t send_some(struct sym_conn *conn, const char *text, size_t len, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (char *)text, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(int));
	}
	return sendmsg(conn->fd, &msg, MSG_NOSIGNAL);
}

static int send_all(struct sym_conn *conn, const char *text, size_t len, int fd, int64_t deadline)
{
	while (len) {
		ssize_t n = send_some(conn, text, len, fd);
		int ret = 0;

		if (n >= 0) {
			text += n;
			len -= n;
			if (n)
				fd = -1;
			if (len)
				ret = sym__late(conn, deadline);
		} else if (errno == EAGAIN) {
			ret = wait_for(conn, POLLOUT, deadline);
		} else if (errno != EINTR) {
			ret = conn_gone(conn);
		}
		if (ret)
			return ret;
	}
	return 0;
}

static int buf_room(struct sym_conn *conn)
{
	size_t size = conn->buf_size ? conn->buf_size * 2 : 16384;
	char *grown;

	if (conn->buf_start) {
		conn->buf_len -= conn->buf_start;
		memmove(conn->buf, conn->buf + conn->buf_start, conn->buf_len);
		conn->buf_start = 0;
	}
	if (conn->buf_len < conn->buf_size)
		return 0;
	if (size > SYM_LINE_MAX)
		return sym__fail(conn, -EPROTO, "VM '%s' sent an answer that is too long",
				 conn->name);
	grown = realloc(conn->buf, size);
	if (!grown)
		return sym__fail(conn, -ENOMEM, "out of memory");
	conn->buf = grown;
	conn->buf_size = size;
	return 0;
}

static int buf_fill(struct sym_conn *conn, int64_t deadline)
{
	int ret = buf_room(conn);
	ssize_t n;

	while (!ret) {
		n = recv(conn->fd, conn->buf + conn->buf_len, conn->buf_size - conn->buf_len, 0);
		if (n > 0) {
			conn->buf_len += n;
			return 0;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			ret = wait_for(conn, POLLIN, deadline);
		else
			ret = conn_gone(conn);
	}
	return ret;
}

int sym__receive(struct sym_conn *conn, int64_t deadline, json_t **line)
{
	size_t scanned = 0;

	/* A peer that never stops sending must not make us miss the deadline. */
	for (bool first = true;; first = false) {
		char *start = conn->buf + conn->buf_start;
		size_t len = conn->buf_len - conn->buf_start;
		char *end = len > scanned ? memchr(start + scanned, '\n', len - scanned) : NULL;
		int ret;

		if (end) {
			*line = json_loadb(start, end - start, 0, NULL);
			conn->buf_start += end - start + 1;
			if (json_is_object(*line))
				return 0;
			json_decref(*line);
			return sym__fail(conn, -EPROTO,
					 "VM '%s' sent a line that is not a JSON object",
					 conn->name);
		}
		scanned = len;
		ret = first ? 0 : sym__late(conn, deadline);
		if (!ret)
			ret = conn->ended ? conn_gone(conn) : buf_fill(conn, deadline);
		if (ret)
			return ret;
	}
}

static int send_request(struct sym_conn *conn, const char *method, json_t *params, int fd,
			int64_t deadline)
{
	json_t *request = json_pack("{s:I, s:s, s:o*}", "id", ++conn->last_id, "method", method,
				    "params", params);
	char *text = request ? json_dumps(request, JSON_COMPACT) : NULL, *line = NULL;
	int ret = -ENOMEM, len = -1;

	json_decref(request);
	if (text)
		len = asprintf(&line, "%s\n", text);
	if (len >= 0)
		ret = send_all(conn, line, len, fd, deadline);
	else
		sym__fail(conn, ret, "out of memory");
	free(text);
	if (len >= 0)
		free(line);
	return ret;
}

static int answer_error(struct sym_conn *conn, const json_t *error)
{
	json_int_t number = json_integer_value(json_object_get(error, "errno"));
	const char *message = json_string_value(json_object_get(error, "message"));

	if (number < 1 || number > 4095)
		number = EIO;
	return sym__fail(conn, -(int)number, "%s", message ? message : strerror(number));
}

int sym__call(struct sym_conn *conn, const char *method, json_t *params, json_t **result)
{
	return sym__call_long(conn, method, params, -1, 0, result);
}

int sym__dump(struct sym_conn *conn, json_t *json, char **text)
{
	*text = json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY |
					 JSON_REAL_PRECISION(16));
	json_decref(json);
	return *text ? 0 : sym__fail(conn, -ENOMEM, "out of memory");
}

int sym__call_long(struct sym_conn *conn, const char *method, json_t *params, int fd,
		   unsigned int extra_ms, json_t **result)
{
	int64_t deadline = sym__deadline(conn->timeout_ms) + extra_ms;
	json_t *line, *id;
	int ret;

	sym__clear_error(conn);
	ret = send_request(conn, method, params, fd, deadline);
	if (ret)
		return ret;
	for (;;) {
		ret = sym__receive(conn, deadline, &line);
		if (ret)
			return ret;
		id = json_object_get(line, "id");
		if (json_object_get(line, "event"))
			sym__keep_event(conn, line);
		else if (json_integer_value(id) == conn->last_id || json_is_null(id))
			break;
		json_decref(line); /* an event, or the answer to a call that timed out */
		ret = sym__late(conn, deadline);
		if (ret)
			return ret;
	}
	if (json_object_get(line, "error"))
		ret = answer_error(conn, json_object_get(line, "error"));
	else if (result)
		*result = json_incref(json_object_get(line, "result"));
	json_decref(line);
	if (!ret && result && !*result)
		ret = sym__fail(conn, -EPROTO, "VM '%s' sent an answer without a result",
				conn->name);
	return ret;
}

int sym_call_method(struct sym_conn *conn, const char *method, const char *params, char **result)
{
	json_t *in = NULL, *out = NULL;
	int ret;

	sym__clear_error(conn);
	if (params) {
		in = json_loads(params, JSON_REJECT_DUPLICATES, NULL);
		if (!json_is_object(in)) {
			json_decref(in);
			return sym__fail(conn, -EINVAL,
					 "the parameters of '%s' are not a JSON object", method);
		}
	}
	ret = sym__call(conn, method, in, result ? &out : NULL);
	return ret || !result ? ret : sym__dump(conn, out, result);
}

static int greet(struct sym_conn *conn, int64_t deadline)
{
	json_int_t version;
	json_t *line;
	int ret;

	ret = sym__receive(conn, deadline, &line);
	if (ret)
		return ret;
	version = json_integer_value(json_object_get(line, "symkit"));
	if (json_object_get(line, "error"))
		ret = answer_error(conn, json_object_get(line, "error"));
	else if (version != SYM_PROTOCOL)
		ret = sym__fail(conn, -EPROTO,
				"VM '%s' uses version %lld of the protocol, libsym %d",
				conn->name, (long long)version, SYM_PROTOCOL);
	json_decref(line);
	return ret;
}

int sym_open(const char *name, const struct sym_open_opts *opts, struct sym_conn **out)
{
	struct sym_open_opts known = { .size = sizeof(known) };
	struct sym_conn *conn;
	int64_t deadline;
	int ret;

	sym__clear_error(NULL);
	ret = sym__opts(&known, opts);
	if (ret)
		return sym__fail(NULL, ret, "sym_open: options that this library does not know");
	conn = calloc(1, sizeof(*conn));
	if (!conn)
		return sym__fail(NULL, -ENOMEM, "out of memory");
	conn->fd = -1;
	conn->events_tail = &conn->events;
	conn->timeout_ms = known.timeout_ms ? known.timeout_ms : SYM_TIMEOUT_MS;
	conn->name = strdup(name);
	conn->runtime = known.runtime ? strdup(known.runtime) : NULL;
	if (!conn->name || (known.runtime && !conn->runtime)) {
		ret = sym__fail(NULL, -ENOMEM, "out of memory");
		goto fail;
	}
	deadline = sym__deadline(conn->timeout_ms);
	ret = conn->fd = sym__connect(conn->runtime, name, "sock", deadline);
	if (ret < 0)
		goto fail;
	ret = greet(conn, deadline);
	if (ret) {
		sym__fail(NULL, ret, "%s", conn->error);
		goto fail;
	}
	*out = conn;
	return 0;
fail:
	sym_close(conn);
	return ret;
}

void sym_close(struct sym_conn *conn)
{
	struct event_record *event;

	if (!conn)
		return;
	while ((event = conn->events)) {
		conn->events = event->next;
		free(event->text);
		free(event);
	}
	if (conn->fd >= 0)
		close(conn->fd);
	free(conn->buf);
	free(conn->runtime);
	free(conn->name);
	free(conn);
}

int sym_conn_fd(const struct sym_conn *conn)
{
	return conn->fd;
}

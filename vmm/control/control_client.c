// SPDX-License-Identifier: BSD-2-Clause
/*
 * A client of the control socket, as a stream of lines in and out.  A client that
 * does not read its answers is not read from either; one that does not read its
 * events loses some, and gets their number.
 */
#include "control/control_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/loop.h"
#include "host/events.h"

#define OUT_PAUSE  (64 * 1024) /* no further request is taken beyond this */
#define OUT_MAX	   (1024 * 1024)
#define OUT_EVENTS (512 * 1024) /* no further event is queued beyond this */

static void on_ready(void *arg, uint32_t events);

void control_client_new(struct control *control, int fd)
{
	struct control_client *client = calloc(1, sizeof(*client));

	if (client)
		client->in = malloc(CONTROL_LINE_MAX);
	if (!client || !client->in)
		goto fail;
	client->control = control;
	client->fd = fd;
	client->subscription = -1;
	client->passed_fd = -1;
	if (loop_add(control->loop, fd, EPOLLIN, on_ready, client, &client->source))
		goto fail;
	client->next = control->clients;
	control->clients = client;
	control->nr_clients++;
	control_client_send(client,
			    json_pack("{s:i, s:s, s:s}", "symkit", CONTROL_VERSION, "name",
				      control->name.name, "version", SYMKIT_VERSION));
	control_client_write(client);
	control_client_settle(client);
	return;
fail:
	if (client)
		free(client->in);
	free(client);
	close(fd);
}

void control_client_free(struct control_client *client)
{
	struct control_client **link = &client->control->clients;

	while (*link != client)
		link = &(*link)->next;
	*link = client->next;
	client->control->nr_clients--;
	events_unsubscribe(client->control->events, client->subscription);
	loop_del(client->source);
	close(client->fd);
	if (client->passed_fd >= 0)
		close(client->passed_fd);
	unix_refill(&client->control->listener);
	if (client->later)
		client->later->client = NULL;
	free(client->in);
	free(client->out);
	free(client);
}

static char *out_room(struct control_client *client, size_t len)
{
	size_t queued = control_client_queued(client), size = client->out_size;
	char *out;

	if (queued + len > OUT_MAX)
		return NULL;
	if (client->out_start) {
		memmove(client->out, client->out + client->out_start, queued);
		client->out_start = 0;
		client->out_len = queued;
	}
	while (queued + len > size)
		size = size ? size * 2 : 4096;
	if (size != client->out_size) {
		out = realloc(client->out, size);
		if (!out)
			return NULL;
		client->out = out;
		client->out_size = size;
	}
	return client->out + queued;
}

void control_client_send(struct control_client *client, json_t *line)
{
	/* ASCII only: text from a guest must not control a terminal. */
	const size_t flags = JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(16);
	char *text = line ? json_dumps(line, flags) : NULL, *out;
	size_t len = text ? strlen(text) : 0;

	json_decref(line);
	for (size_t i = 0; i < len; i++)
		if (text[i] == 0x7f) /* the one control character that JSON does not escape */
			text[i] = '?';
	out = text && !client->dead ? out_room(client, len + 1) : NULL;
	if (out) {
		memcpy(out, text, len);
		out[len] = '\n';
		client->out_len += len + 1;
	} else {
		client->dead = true;
	}
	free(text);
}

/* The record comes after the events that the client did get, and before any later one. */
static void send_lost(struct control_client *client)
{
	json_t *lost;

	if (!client->lost || control_client_queued(client) > OUT_EVENTS / 2)
		return;
	lost = events_make("lost", json_pack("{s:i}", "count", (int)client->lost));
	client->lost = 0;
	control_client_send(client, lost);
}

void control_client_event(struct control_client *client, const json_t *event, bool last)
{
	send_lost(client);
	if (!last && (client->lost || control_client_queued(client) > OUT_EVENTS))
		client->lost++;
	else
		control_client_send(client, json_incref((json_t *)event));
}

void control_client_write(struct control_client *client)
{
	while (control_client_queued(client) && !client->dead) {
		ssize_t n = send(client->fd, client->out + client->out_start,
				 control_client_queued(client), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0) {
			client->out_start += n;
			send_lost(client);
		} else if (errno == EAGAIN) {
			return;
		} else if (errno != EINTR) {
			client->dead = true;
		}
	}
}

static bool may_read(const struct control_client *client)
{
	return !client->closing && !client->later && control_client_queued(client) < OUT_PAUSE;
}

void control_client_settle(struct control_client *client)
{
	size_t queued = control_client_queued(client);

	if (client->busy)
		return;
	if (client->dead || (client->closing && !queued && !client->later)) {
		control_client_free(client);
		return;
	}
	loop_mod(client->source, (may_read(client) ? EPOLLIN : 0) | (queued ? EPOLLOUT : 0));
}

/* Take every whole line in the buffer, as long as the client reads its answers. */
static void take_lines(struct control_client *client)
{
	client->busy = true;
	while (may_read(client) && !client->dead) {
		const char *line = client->in + client->in_start;
		size_t len = client->in_len - client->in_start;
		const char *end = memchr(line, '\n', len);

		if (!end) {
			memmove(client->in, line, len);
			client->in_start = 0;
			client->in_len = len;
			if (len == CONTROL_LINE_MAX) {
				control_line_too_long(client);
				client->closing = true;
			}
			break;
		}
		client->in_start += end - line + 1;
		control_line(client, line, end - line);
		control_client_write(client);
	}
	client->busy = false;
}

/* One descriptor goes to the request; others are closed, so that none accumulate. */
static void take_fds(struct control_client *client, struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t nr = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < nr; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (client->passed_fd < 0) {
				client->passed_fd = fd;
			} else {
				close(fd);
				client->too_many_fds = true;
			}
		}
	}
	if (msg->msg_flags & MSG_CTRUNC)
		client->too_many_fds = true;
}

static bool read_more(struct control_client *client)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} fds;
	struct iovec iov = { client->in + client->in_len, CONTROL_LINE_MAX - client->in_len };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &fds,
		.msg_controllen = sizeof(fds),
	};
	ssize_t n = recvmsg(client->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n >= 0)
		take_fds(client, &msg);
	if (n > 0)
		client->in_len += n;
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

void control_client_resume(struct control_client *client)
{
	if (client->busy)
		return;
	control_client_write(client);
	take_lines(client);
	control_client_settle(client);
}

static void on_ready(void *arg, uint32_t events)
{
	struct control_client *client = arg;
	bool more = true;

	control_client_write(client);
	take_lines(client); /* those that waited for the client to read its answers */
	if (may_read(client) && events & EPOLLIN) {
		more = read_more(client);
		take_lines(client);
	}
	if (!more && may_read(client)) {
		if (client->in_len) /* the last line may lack its newline */
			control_line(client, client->in, client->in_len);
		client->closing = true;
		control_client_write(client);
	} else if (!(events & EPOLLIN) && events & (EPOLLHUP | EPOLLERR))
		client->dead = true;
	control_client_settle(client);
}

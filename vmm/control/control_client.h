/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between control.c (requests and answers) and control_client.c (bytes and lines).
 */
#ifndef VMM_CONTROL_CONTROL_CLIENT_H
#define VMM_CONTROL_CONTROL_CLIENT_H

#include <limits.h>
#include <stdbool.h>

#include "control/control.h"
#include "control/runtime.h"
#include "host/unix_socket.h"

#define CONTROL_CLIENTS 32

struct loop_source;

struct control_client {
	struct control_client *next;
	struct control *control;
	int fd;
	struct loop_source *source;
	int subscription; /* to the events; -1: none */
	unsigned int lost; /* events left out and not reported yet */
	bool busy; /* its lines are being taken: the function that set this frees it */
	bool closing; /* to be closed once everything queued is sent */
	bool dead;
	struct control_later *later; /* the answer that is pending */
	int passed_fd; /* for the request that is being read; -1: none */
	bool too_many_fds; /* came with it */

	char *in; /* CONTROL_LINE_MAX bytes */
	size_t in_start;
	size_t in_len;

	char *out;
	size_t out_size;
	size_t out_start;
	size_t out_len;
};

struct control {
	struct runtime_name name;
	char path[PATH_MAX];
	struct unix_listener listener;
	struct loop_source *listen_source;
	struct loop *loop;
	struct events *events; /* NULL: not serving yet */
	struct control_table tables[1 + CONTROL_MAX_TABLES]; /* the built-in one first */
	unsigned int nr_tables;
	struct control_client *clients;
	unsigned int nr_clients;
};

/* control_client_new - takes over @fd, also on failure. */
void control_client_new(struct control *control, int fd);
void control_client_free(struct control_client *client);

/* control_client_send - queue @line (taken over); on failure the client is marked dead. */
void control_client_send(struct control_client *client, json_t *line);

/*
 * control_client_event - as control_client_send(), for an event (the caller keeps its
 * reference).  While the client lags too far behind, events are left out; a record "lost" with
 * their number follows as soon as there is room.  @last is never left out: room is kept for it.
 */
void control_client_event(struct control_client *client, const json_t *event, bool last);

/* control_client_write - send as much of the queue as the socket takes. */
void control_client_write(struct control_client *client);

/* control_client_resume - take the requests that waited for an answer; may free @client. */
void control_client_resume(struct control_client *client);

/* control_client_settle - set the events to wait for; may free @client. */
void control_client_settle(struct control_client *client);

static inline size_t control_client_queued(const struct control_client *client)
{
	return client->out_len - client->out_start;
}

/* An answer that is pending; a client that has disconnected gets none. */
struct control_later {
	struct control_client *client; /* NULL: disconnected */
	json_t *id;
};

/* Called by control_client.c: a whole line without its newline; a line that is too long. */
void control_line(struct control_client *client, const char *line, size_t len);
void control_line_too_long(struct control_client *client);

#endif

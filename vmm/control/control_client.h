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
	unsigned int lost; /* events that it was too slow for, and was not told of yet */
	bool busy;	  /* in the middle of its lines: whoever set this frees it */
	bool closing;	  /* once everything queued is sent */
	bool dead;
	struct control_later *later; /* the answer that is being waited for */
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
	struct events *events; /* NULL: it does not serve yet */
	struct control_table tables[1 + CONTROL_MAX_TABLES]; /* first what is built in */
	unsigned int nr_tables;
	struct control_client *clients;
	unsigned int nr_clients;
};

/* control_client_new - takes over @fd in any case. */
void control_client_new(struct control *control, int fd);
void control_client_free(struct control_client *client);

/* control_client_send - queue @line, whose reference is taken over; never fails, may kill. */
void control_client_send(struct control_client *client, json_t *line);

/*
 * control_client_event - as control_client_send(), for an event (the reference stays the
 * caller's): while the client lags too far behind, events are left out; a record "lost" with
 * their number comes as soon as there is room.  Unless @last, which takes the room that is
 * kept for it.
 */
void control_client_event(struct control_client *client, const json_t *event, bool last);

/* control_client_write - send what the socket takes of what is queued. */
void control_client_write(struct control_client *client);

/* control_client_resume - take the requests that waited for an answer; may free @client. */
void control_client_resume(struct control_client *client);

/* control_client_settle - wait for what is next; may free @client. */
void control_client_settle(struct control_client *client);

static inline size_t control_client_queued(const struct control_client *client)
{
	return client->out_len - client->out_start;
}

/* One that has left need not be answered. */
struct control_later {
	struct control_client *client; /* NULL: it has */
	json_t *id;
};

/* Upwards: a whole line without its newline; a line that is none. */
void control_line(struct control_client *client, const char *line, size_t len);
void control_line_too_long(struct control_client *client);

#endif

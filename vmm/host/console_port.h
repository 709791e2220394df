/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between console.c, which knows the output ring and the input queue, and
 * console_port.c, which knows the readers and writers on the host.
 */
#ifndef VMM_HOST_CONSOLE_PORT_H
#define VMM_HOST_CONSOLE_PORT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "host/console.h"
#include "host/unix_socket.h"

#define CONSOLE_RING	(256 * 1024)
#define CONSOLE_HISTORY (64 * 1024)
#define CONSOLE_INPUT	(64 * 1024)
#define CONSOLE_CLIENTS 32

struct loop_source;

/* A destination of output, a source of input, or both. */
struct console_port {
	struct console_port *next;
	struct console *console;

	int in_fd; /* -1: no input, or its end was reached */
	struct loop_source *in_source; /* NULL: in_fd cannot be polled, only read */
	bool is_tty; /* has the escape key */
	bool escape; /* the last byte was Ctrl-A */

	int out_fd; /* -1: no output any more */
	struct loop_source *out_source;
	bool is_socket;
	bool blocking; /* could not be made non-blocking */
	bool is_file; /* a regular file: never ready, but there may be room later */
	uint64_t size; /* of a regular file, as far as we wrote it */
	uint64_t size_max; /* 0: no limit */
	bool full; /* wait until it can be written to */
	bool failed; /* to be closed by the loop's thread */
	uint64_t pos; /* bytes of output that were written to it */
	uint64_t end; /* close it at this position: the client has closed its half */
	uint64_t lost; /* bytes overwritten before they were written, not yet reported */
};

struct console {
	struct loop *loop;
	struct loop_source *timer;
	struct loop_source *kick_source;
	int kick_fd;
	struct unix_listener listener;
	struct loop_source *listen_source;
	char *socket_path;
	void (*quit)(void *arg);
	void *quit_arg;

	pthread_mutex_t lock; /* guards the ring and every port's output half */
	bool armed; /* the timer will serve the ports */
	struct console_port *ports; /* changed by the loop's thread only */
	unsigned int nr_clients;
	uint64_t total; /* bytes of output so far; the next goes to [total % CONSOLE_RING] */
	uint8_t *ring;

	pthread_mutex_t input_lock; /* held over calls of input_fn */
	console_input_fn input_fn;
	void *input_arg;
	size_t input_len; /* read by console_kick() without a lock */
	uint8_t *input; /* loop's thread only */
};

int console_port_stdio(struct console *console, struct err *err);
int console_port_file(struct console *console, const char *path, uint64_t size_max,
		      struct err *err);
void console_port_client(struct console *console, int fd);
void console_port_close(struct console_port *port);

/* console_port_flush - write what can be written.  Any thread, lock held. */
void console_port_flush(struct console_port *port);

/*
 * console_port_serve - after a flush: wait for room, or close what has ended.
 * Loop's thread, lock not held.  Returns false when @port is gone.
 */
bool console_port_serve(struct console_port *port);

/* console_port_waits - is there output for which no event of the loop will come? */
bool console_port_waits(const struct console_port *port);

/* console_port_input - watch for input if there is @room for it, or stop watching. */
void console_port_input(struct console_port *port, bool room);

/* console_push - @len bytes of input; what does not fit is lost.  Loop's thread. */
void console_push(struct console *console, const uint8_t *buf, size_t len);

/* console_room - how much input to read at once. */
size_t console_room(const struct console *console);

/* console_wake - have console_pump() called from the loop.  Any thread. */
void console_wake(struct console *console);

/* console_pump - pass the queued input on, and read more.  Loop's thread. */
void console_pump(struct console *console);

#endif

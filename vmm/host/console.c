// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guest's console: one ring of output that every port (the terminal, a file,
 * each client of the socket) reads at its own speed, and one queue of input that
 * they all fill.  Output is passed on after a millisecond, in batches, because a
 * serial port delivers single bytes.  The ports are in console_port.c.
 */
#include "host/console.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "core/loop.h"
#include "host/console_port.h"
#include "host/terminal.h"

#define SERVE_DELAY_NS	    1000000
#define RETRY_DELAY_NS	    1000000000ull /* for a file that had no room */
#define FLUSH_LAG	    (64 * 1024) /* a port this far behind is served by the writer itself */
#define READ_ROOM	    4096
#define DESTROY_DEADLINE_MS 1000

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void ring_put(struct console *console, const uint8_t *buf, size_t len)
{
	size_t at = console->total % CONSOLE_RING;
	size_t first = min_u64(len, CONSOLE_RING - at);

	memcpy(console->ring + at, buf, first);
	memcpy(console->ring, buf + first, len - first);
	console->total += len;
}

/* The port's next byte was overwritten: a client is dropped, others lose output. */
static void port_overrun(struct console *console, struct console_port *port)
{
	uint64_t oldest = console->total - CONSOLE_RING;

	if (port->is_socket) {
		port->failed = true;
		return;
	}
	port->lost += oldest - port->pos;
	port->pos = oldest;
}

void console_write(struct console *console, const uint8_t *buf, size_t len)
{
	struct console_port *port;

	pthread_mutex_lock(&console->lock);
	while (len) {
		size_t n = min_u64(len, FLUSH_LAG);

		ring_put(console, buf, n);
		buf += n;
		len -= n;
		for (port = console->ports; port; port = port->next) {
			if (port->out_fd < 0 || port->failed)
				continue;
			if (console->total - port->pos > CONSOLE_RING)
				port_overrun(console, port);
			if (console->total - port->pos >= FLUSH_LAG)
				console_port_flush(port);
		}
	}
	if (!console->armed && console->ports)
		console->armed = !loop_arm(console->timer, SERVE_DELAY_NS);
	pthread_mutex_unlock(&console->lock);
}

/* A regular file does not signal that it has room again. */
static void retry_later(struct console *console)
{
	pthread_mutex_lock(&console->lock);
	for (struct console_port *port = console->ports; port; port = port->next)
		if (!console->armed && console_port_waits(port))
			console->armed = !loop_arm(console->timer, RETRY_DELAY_NS);
	pthread_mutex_unlock(&console->lock);
}

static void on_timer(void *arg, uint32_t events)
{
	struct console *console = arg;
	struct console_port *port, *next;

	pthread_mutex_lock(&console->lock);
	console->armed = false;
	for (port = console->ports; port; port = port->next)
		console_port_flush(port);
	pthread_mutex_unlock(&console->lock);
	for (port = console->ports; port; port = next) {
		next = port->next; /* serving may free it */
		console_port_serve(port);
	}
	retry_later(console);
}

size_t console_tail(struct console *console, char *buf, size_t len)
{
	uint64_t start;

	pthread_mutex_lock(&console->lock);
	len = min_u64(len, min_u64(console->total, CONSOLE_RING));
	start = console->total - len;
	for (size_t i = 0; i < len; i++) {
		char c = console->ring[(start + i) % CONSOLE_RING];

		buf[i] = c ? c : ' ';
	}
	pthread_mutex_unlock(&console->lock);
	buf[len] = '\0';
	return len;
}

void console_set_input(struct console *console, console_input_fn fn, void *arg)
{
	pthread_mutex_lock(&console->input_lock);
	console->input_fn = fn;
	console->input_arg = arg;
	pthread_mutex_unlock(&console->input_lock);
	if (fn)
		console_kick(console);
}

void console_wake(struct console *console)
{
	eventfd_write(console->kick_fd, 1);
}

void console_kick(struct console *console)
{
	if (__atomic_load_n(&console->input_len, __ATOMIC_SEQ_CST))
		console_wake(console);
}

static void on_kick(void *arg, uint32_t events)
{
	struct console *console = arg;
	uint64_t count;

	if (read(console->kick_fd, &count, sizeof(count)) > 0)
		console_pump(console);
}

void console_push(struct console *console, const uint8_t *buf, size_t len)
{
	len = min_u64(len, CONSOLE_INPUT - console->input_len);
	memcpy(console->input + console->input_len, buf, len);
	__atomic_store_n(&console->input_len, console->input_len + len, __ATOMIC_SEQ_CST);
}

size_t console_room(const struct console *console)
{
	return console->input_len < READ_ROOM ? READ_ROOM - console->input_len : 0;
}

static void input_deliver(struct console *console)
{
	while (console->input_len) {
		size_t n = 0;

		pthread_mutex_lock(&console->input_lock);
		if (console->input_fn)
			n = console->input_fn(console->input_arg, console->input,
					      console->input_len);
		pthread_mutex_unlock(&console->input_lock);
		if (!n)
			return;
		memmove(console->input, console->input + n, console->input_len - n);
		__atomic_store_n(&console->input_len, console->input_len - n, __ATOMIC_SEQ_CST);
	}
}

void console_pump(struct console *console)
{
	struct console_port *port, *next;

	input_deliver(console);
	for (port = console->ports; port; port = next) {
		next = port->next;
		console_port_input(port, console_room(console) > 0);
	}
}

static void on_client(void *arg, uint32_t events)
{
	struct console *console = arg;
	int fd = unix_accept(&console->listener);

	if (fd >= 0)
		console_port_client(console, fd);
}

static int open_spec(struct console *console, const char *spec, uint64_t file_max,
		     struct err *err)
{
	if (!strcmp(spec, "stdio"))
		return console_port_stdio(console, err);
	if (!strncmp(spec, "file:", 5) && spec[5])
		return console_port_file(console, spec + 5, file_max, err);
	if (!strcmp(spec, "socket") || !strcmp(spec, "off"))
		return 0;
	return err_set(err, -EINVAL, "--console %s: must be stdio, socket, file:PATH or off",
		       spec);
}

int console_create(struct loop *loop, const char *spec, uint64_t file_max,
		   const char *socket_path, void (*quit)(void *arg), void *arg,
		   struct console **out, struct err *err)
{
	struct console *console = calloc(1, sizeof(*console));
	int ret = -ENOMEM;

	if (!console)
		return err_set(err, -ENOMEM, "console: out of memory");
	console->loop = loop;
	console->quit = quit;
	console->quit_arg = arg;
	console->listener = (struct unix_listener)UNIX_LISTENER_NONE;
	pthread_mutex_init(&console->lock, NULL);
	pthread_mutex_init(&console->input_lock, NULL);
	console->ring = malloc(CONSOLE_RING); /* pages that are never written cost nothing */
	console->input = malloc(CONSOLE_INPUT);
	console->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!console->ring || !console->input || console->kick_fd < 0)
		goto nomem;
	if (loop_add(loop, console->kick_fd, EPOLLIN, on_kick, console, &console->kick_source) ||
	    loop_add_timer(loop, on_timer, console, &console->timer))
		goto nomem;
	ret = unix_listen(&console->listener, socket_path, 1, err);
	if (ret)
		goto fail;
	console->socket_path = strdup(socket_path);
	if (!console->socket_path || loop_add(loop, console->listener.fd, EPOLLIN, on_client,
					      console, &console->listen_source))
		goto nomem;
	ret = open_spec(console, spec, file_max, err);
	if (ret)
		goto fail;
	*out = console;
	return 0;
nomem:
	ret = err_set(err, -ENOMEM, "console: out of memory or file descriptors");
fail:
	console_destroy(console);
	return ret;
}

static bool output_waits(struct console *console, struct pollfd *pfd, unsigned int *nr)
{
	*nr = 0;
	pthread_mutex_lock(&console->lock);
	for (struct console_port *port = console->ports; port; port = port->next) {
		console_port_flush(port);
		if (port->out_fd < 0 || port->failed || port->pos == console->total ||
		    console_port_waits(port))
			continue;
		if (*nr < CONSOLE_CLIENTS + 1)
			pfd[(*nr)++] = (struct pollfd){ .fd = port->out_fd, .events = POLLOUT };
	}
	pthread_mutex_unlock(&console->lock);
	return *nr;
}

/* The guest's last output matters most: give slow readers some time. */
static void flush_all(struct console *console)
{
	struct pollfd pfd[CONSOLE_CLIENTS + 1];
	struct timespec start, now;
	int left = DESTROY_DEADLINE_MS;
	unsigned int nr;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (left > 0 && output_waits(console, pfd, &nr)) {
		if (poll(pfd, nr, left) == 0)
			break;
		clock_gettime(CLOCK_MONOTONIC, &now);
		left = DESTROY_DEADLINE_MS - (now.tv_sec - start.tv_sec) * 1000 -
		       (now.tv_nsec - start.tv_nsec) / 1000000;
	}
}

void console_destroy(struct console *console)
{
	if (!console)
		return;
	flush_all(console);
	terminal_restore();
	while (console->ports)
		console_port_close(console->ports);
	loop_del(console->listen_source);
	loop_del(console->kick_source);
	loop_del(console->timer);
	unix_unlisten(&console->listener);
	if (console->socket_path)
		unlink(console->socket_path);
	if (console->kick_fd >= 0)
		close(console->kick_fd);
	pthread_mutex_destroy(&console->input_lock);
	pthread_mutex_destroy(&console->lock);
	free(console->socket_path);
	free(console->input);
	free(console->ring);
	free(console);
}

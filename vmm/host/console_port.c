// SPDX-License-Identifier: BSD-2-Clause
/*
 * The ports of the console: the terminal with its escape key, a file, the clients of
 * the socket.  Each has an input half and an output half that may end on their own;
 * a port without either is freed.  Some files cannot be waited for (regular ones,
 * /dev/null): they are read whenever there is room.
 */
#include "host/console_port.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/loop.h"
#include "host/terminal.h"

#define ESCAPE 0x01 /* Ctrl-A */

static struct console_port *port_new(struct console *console)
{
	struct console_port *port = calloc(1, sizeof(*port));

	if (!port)
		return NULL;
	port->console = console;
	port->in_fd = -1;
	port->out_fd = -1;
	port->end = UINT64_MAX;
	return port;
}

/* Other threads write to the port after this; it starts @history bytes back in the output. */
static void port_link(struct console_port *port, uint64_t history)
{
	struct console *console = port->console;

	pthread_mutex_lock(&console->lock);
	port->pos = console->total < history ? 0 : console->total - history;
	port->next = console->ports;
	console->ports = port;
	pthread_mutex_unlock(&console->lock);
}

static void port_end_input(struct console_port *port)
{
	loop_del(port->in_source);
	port->in_source = NULL;
	if (port->in_fd >= 0)
		close(port->in_fd);
	port->in_fd = -1;
}

static void port_end_output(struct console_port *port)
{
	int fd = port->out_fd;

	loop_del(port->out_source);
	port->out_source = NULL;
	pthread_mutex_lock(&port->console->lock);
	port->out_fd = -1;
	pthread_mutex_unlock(&port->console->lock);
	if (fd >= 0)
		close(fd);
}

void console_port_close(struct console_port *port)
{
	struct console *console = port->console;
	struct console_port **link = &console->ports;

	port_end_input(port);
	port_end_output(port);
	pthread_mutex_lock(&console->lock);
	while (*link != port)
		link = &(*link)->next;
	*link = port->next;
	pthread_mutex_unlock(&console->lock);
	if (port->is_socket)
		console->nr_clients--;
	free(port);
}

static ssize_t port_write(struct console_port *port, const void *buf, size_t len)
{
	if (port->is_socket)
		return send(port->out_fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (port->blocking) {
		struct pollfd pfd = { .fd = port->out_fd, .events = POLLOUT };

		if (poll(&pfd, 1, 0) == 0) {
			errno = EAGAIN;
			return -1;
		}
		len = len < 512 ? len : 512;
	}
	return write(port->out_fd, buf, len);
}

/* Best effort: do not wait to write the notice. */
static void port_tell_loss(struct console_port *port)
{
	char line[80];
	int len = snprintf(line, sizeof(line),
			   "\r\n[symvmm: %" PRIu64 " bytes of output lost]\r\n", port->lost);

	if (port_write(port, line, len) > 0)
		port->lost = 0;
}

/*
 * A guest must not fill the host's disk: a log at its limit is truncated, and starts again
 * with the output that is in the ring.
 */
static void port_limit(struct console_port *port)
{
	struct console *console = port->console;
	uint64_t kept = console->total < CONSOLE_RING ? console->total : CONSOLE_RING;

	if (!port->size_max || port->size < port->size_max || ftruncate(port->out_fd, 0))
		return;
	port->size = 0;
	if (console->total - kept < port->pos)
		port->pos = console->total - kept;
}

/* Errors that may be temporary: a file is tried again as long as the VM runs. */
static bool may_pass(const struct console_port *port, int error)
{
	return error == EAGAIN || (port->is_file && (error == ENOSPC || error == EDQUOT ||
						     error == EFBIG || error == EIO));
}

void console_port_flush(struct console_port *port)
{
	struct console *console = port->console;

	if (port->out_fd < 0 || port->failed)
		return;
	port->full = false;
	if (port->lost)
		port_tell_loss(port);
	while (port->pos < console->total) {
		size_t at;
		uint64_t len;
		ssize_t n;

		port_limit(port);
		at = port->pos % CONSOLE_RING;
		len = console->total - port->pos;
		if (len > CONSOLE_RING - at)
			len = CONSOLE_RING - at;
		n = port_write(port, console->ring + at, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			port->full = n < 0 && may_pass(port, errno);
			port->failed = !port->full;
			return;
		}
		port->pos += n;
		port->size += n;
	}
}

bool console_port_waits(const struct console_port *port)
{
	return port->full && !port->out_source && port->out_fd >= 0;
}

bool console_port_serve(struct console_port *port)
{
	struct console *console = port->console;
	bool full, ended;

	pthread_mutex_lock(&console->lock);
	full = port->full;
	ended = port->failed || port->pos >= port->end;
	pthread_mutex_unlock(&console->lock);
	if (ended && port->is_socket) { /* a reader that was too slow loses its input half too */
		console_port_close(port);
		return false;
	}
	if (ended)
		port_end_output(port);
	else if (port->out_source)
		loop_mod(port->out_source, full ? EPOLLOUT : 0);
	if (port->in_fd >= 0 || port->out_fd >= 0)
		return true;
	console_port_close(port);
	return false;
}

static void on_output(void *arg, uint32_t events)
{
	struct console_port *port = arg;

	if (events & (EPOLLHUP | EPOLLERR)) {
		port_end_output(port); /* but its input up to now is still used */
		if (port->in_fd < 0)
			console_port_close(port);
		return;
	}
	pthread_mutex_lock(&port->console->lock);
	console_port_flush(port);
	pthread_mutex_unlock(&port->console->lock);
	console_port_serve(port);
}

static void terminal_help(struct console_port *port)
{
	static const char help[] = "\r\n"
				   "Ctrl-A x       stop the guest at once\r\n"
				   "Ctrl-A Ctrl-A  send a Ctrl-A\r\n"
				   "Ctrl-A h       this help\r\n";

	if (port->out_fd < 0 || port_write(port, help, sizeof(help) - 1) < 0)
		return; /* a terminal that takes no output cannot show it */
}

static void terminal_byte(struct console_port *port, uint8_t byte)
{
	struct console *console = port->console;

	if (!port->escape && byte == ESCAPE) {
		port->escape = true;
		return;
	}
	if (!port->escape || byte == ESCAPE)
		console_push(console, &byte, 1);
	else if (byte == 'x' || byte == 'X')
		console->quit(console->quit_arg);
	else if (byte == 'h' || byte == '?')
		terminal_help(port);
	port->escape = false;
}

/* The end of the input: a client still gets the output up to now, and no more. */
static bool port_read_end(struct console_port *port)
{
	struct console *console = port->console;

	port_end_input(port);
	if (port->is_socket) {
		pthread_mutex_lock(&console->lock);
		port->end = console->total;
		console_port_flush(port);
		pthread_mutex_unlock(&console->lock);
	}
	return console_port_serve(port);
}

/* Returns false when the port is gone. */
static bool port_read(struct console_port *port)
{
	struct console *console = port->console;
	size_t room = console_room(console);
	uint8_t buf[4096];
	ssize_t n;

	/* The escape key must work even if the guest no longer reads. */
	n = read(port->in_fd, buf, port->is_tty || room > sizeof(buf) ? sizeof(buf) : room);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return port_read_end(port);
	if (!port->is_tty)
		console_push(console, buf, n);
	else
		for (ssize_t i = 0; i < n; i++)
			terminal_byte(port, buf[i]);
	return true;
}

void console_port_input(struct console_port *port, bool room)
{
	if (port->in_fd < 0 || port->is_tty)
		return;
	if (port->in_source)
		loop_mod(port->in_source, room ? EPOLLIN : 0);
	else if (room && port_read(port))
		console_kick(port->console); /* and again, from the loop */
}

static void on_input(void *arg, uint32_t events)
{
	struct console_port *port = arg;
	struct console *console = port->console;

	if (!port->is_tty && !console_room(console)) {
		/* A hang-up cannot be masked: read the rest when there is room. */
		if (events & (EPOLLHUP | EPOLLERR)) {
			loop_del(port->in_source);
			port->in_source = NULL;
		}
		return;
	}
	port_read(port);
	console_pump(console);
}

static int port_watch(struct console_port *port)
{
	struct loop *loop = port->console->loop;
	int ret = 0;

	if (port->in_fd >= 0)
		ret = loop_add(loop, port->in_fd, EPOLLIN, on_input, port, &port->in_source);
	if ((!ret || ret == -EPERM) && port->out_fd >= 0)
		ret = loop_add(loop, port->out_fd, 0, on_output, port, &port->out_source);
	return ret == -EPERM ? 0 : ret; /* a file that is always ready */
}

int console_port_stdio(struct console *console, struct err *err)
{
	struct console_port *port = port_new(console);
	struct stat st;
	int ret;

	if (!port)
		return err_set(err, -ENOMEM, "console: out of memory");
	port->in_fd = terminal_open(STDIN_FILENO, false);
	port->out_fd = terminal_open(STDOUT_FILENO, true);
	port->is_file = port->out_fd >= 0 && !fstat(port->out_fd, &st) && S_ISREG(st.st_mode);
	port->blocking = port->out_fd >= 0 && !(fcntl(port->out_fd, F_GETFL) & O_NONBLOCK);
	port->is_tty = port->in_fd >= 0 && isatty(port->in_fd);
	port_link(port, 0);
	ret = port_watch(port);
	if (ret)
		return err_set(err, ret, "console: %s", strerror(-ret));
	if (port->in_fd < 0 && port->out_fd < 0) {
		console_port_close(port); /* both were closed: the socket still serves */
		return 0;
	}
	if (port->is_tty) {
		log_info("the console is on this terminal: Ctrl-A x stops the guest, Ctrl-A h "
			 "shows help");
		ret = terminal_raw(port->in_fd);
		if (ret)
			return err_set(err, ret, "console: terminal: %s", strerror(-ret));
	}
	if (port->in_fd >= 0 && !port->in_source)
		console_wake(console);
	return 0;
}

int console_port_file(struct console *console, const char *path, uint64_t size_max,
		      struct err *err)
{
	struct console_port *port = port_new(console);
	struct stat st;
	int ret;

	if (!port)
		return err_set(err, -ENOMEM, "console: out of memory");
	port->out_fd = open(
		path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0600);
	port_link(port, 0);
	if (port->out_fd < 0 || fstat(port->out_fd, &st))
		return err_errno(err, "--console file:%s", path);
	port->is_file = S_ISREG(st.st_mode);
	if (port->is_file) {
		port->size = st.st_size;
		port->size_max = size_max;
	}
	ret = port_watch(port);
	return ret ? err_set(err, ret, "--console file:%s: %s", path, strerror(-ret)) : 0;
}

void console_port_client(struct console *console, int fd)
{
	struct console_port *port;

	if (console->nr_clients == CONSOLE_CLIENTS || !(port = port_new(console))) {
		close(fd);
		return;
	}
	console->nr_clients++;
	port->is_socket = true;
	port->in_fd = fd;
	port->out_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0); /* each half needs its own loop source */
	port_link(port, CONSOLE_HISTORY);
	if (port->out_fd < 0 || port_watch(port)) {
		console_port_close(port);
		return;
	}
	pthread_mutex_lock(&console->lock);
	console_port_flush(port);
	pthread_mutex_unlock(&console->lock);
	console_port_serve(port);
}

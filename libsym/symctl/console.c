// SPDX-License-Identifier: BSD-2-Clause
/*
 * symctl console: connect a terminal, or a pipe, to the guest's console.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "ctl.h"

#define ESCAPE		   0x01 /* Ctrl-A */
#define HISTORY_MAX	   (64 * 1024)
#define HISTORY_TIMEOUT_MS 10000

static const char help[] = "\r\n"
			   "Ctrl-A x       detach; the guest keeps running\r\n"
			   "Ctrl-A Ctrl-A  send a Ctrl-A\r\n"
			   "Ctrl-A h       this help\r\n";

const struct ctl_option console_options[] = {
	{ "history", NULL, "print the output so far, and exit", set_history },
	{ .name = NULL },
};

struct session {
	int fd;
	int in; /* -1: no more input */
	bool on_terminal;
	bool escape;
	bool detached;
	char typed[4096]; /* input not sent yet */
	size_t len;
};

static volatile sig_atomic_t signalled;

static void on_signal(int sig)
{
	signalled = sig;
}

static int write_all(int fd, const char *buf, size_t len)
{
	while (len && !signalled) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			buf += n;
			len -= n;
		}
	}
	return 0;
}

/* Remove the escapes from the input; returns the number of bytes for the guest. */
static size_t take_escapes(struct session *s, char *buf, size_t len)
{
	size_t out = 0;

	for (size_t i = 0; i < len && !s->detached; i++) {
		if (!s->escape && buf[i] == ESCAPE) {
			s->escape = true;
			continue;
		}
		if (!s->escape || buf[i] == ESCAPE)
			buf[out++] = buf[i];
		else if (buf[i] == 'x' || buf[i] == 'X')
			s->detached = true;
		else if (buf[i] == 'h' || buf[i] == '?')
			write_all(STDOUT_FILENO, help, sizeof(help) - 1);
		s->escape = false;
	}
	return out;
}

/* Never blocks: the escape key must work even if the guest no longer reads. */
static void send_input(struct session *s)
{
	ssize_t n = send(s->fd, s->typed, s->len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n > 0) {
		s->len -= n;
		memmove(s->typed, s->typed + n, s->len);
	} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
		s->in = -1; /* it has ended; its output can still be read */
		s->len = 0;
	}
}

static void type_input(struct session *s)
{
	char buf[1024];
	ssize_t n = read(s->in, buf, sizeof(buf));
	size_t len = n;

	if (n < 0 && errno == EINTR)
		return;
	if (n <= 0) {
		s->in = -1;
		return;
	}
	if (s->on_terminal)
		len = take_escapes(s, buf, len);
	if (len > sizeof(s->typed) - s->len)
		len = sizeof(s->typed) - s->len;
	memcpy(s->typed + s->len, buf, len);
	s->len += len;
	send_input(s);
}

/* Returns 1 at the end of the console. */
static int show_output(struct session *s)
{
	char buf[4096];
	ssize_t n = read(s->fd, buf, sizeof(buf));

	if (n < 0 && errno == EINTR)
		return 0;
	if (n <= 0)
		return 1;
	return write_all(STDOUT_FILENO, buf, n);
}

/* Returns 0 when detached, 1 at the end of the console, or -errno. */
static int converse(struct session *s)
{
	while (!s->detached && !signalled) {
		/* Read a pipe only when there is room, a terminal always. */
		bool read_more = s->on_terminal || !s->len;
		struct pollfd pfd[] = {
			{ .fd = s->fd, .events = POLLIN | (s->len ? POLLOUT : 0) },
			{ .fd = read_more ? s->in : -1, .events = POLLIN },
		};
		int ret = 0;

		if (poll(pfd, 2, -1) < 0) {
			if (errno != EINTR)
				return -errno;
			continue;
		}
		if (pfd[0].revents & (POLLIN | POLLHUP | POLLERR))
			ret = show_output(s);
		if (pfd[0].revents & POLLOUT)
			send_input(s);
		if (!ret && pfd[1].revents)
			type_input(s);
		if (ret)
			return ret;
	}
	return 0;
}

static int on_terminal(struct ctl *ctl, struct session *s)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction sa = { .sa_handler = on_signal };
	struct termios saved, raw;
	int ret;

	if (tcgetattr(STDIN_FILENO, &saved))
		return ctl_error("terminal: %s", strerror(errno));
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &sa, NULL);
	fprintf(stderr, "[console of %s; Ctrl-A x detaches, the guest keeps running]\n",
		ctl->name);
	raw = saved;
	cfmakeraw(&raw);
	raw.c_oflag |= OPOST;
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	ret = converse(s);
	tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	if (ret < 0)
		return ctl_error("%s: console: %s", ctl->name, strerror(-ret));
	fprintf(stderr,
		ret ? "\n[%s has closed its console]\n" :
		      "\n[detached from %s, which keeps running]\n",
		ctl->name);
	return signalled ? 1 : 0;
}

static ssize_t read_history(int fd, char *buf, size_t size)
{
	struct timeval tv = { .tv_sec = HISTORY_TIMEOUT_MS / 1000 };
	size_t len = 0;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	shutdown(fd, SHUT_WR);
	for (;;) {
		ssize_t n = read(fd, buf + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		len += n;
		if (!n || len == size)
			return len;
	}
}

/* JSON is UTF-8; a console's output may not be. */
static json_t *console_text(char *buf, size_t len)
{
	json_t *text = json_stringn(buf, len);

	for (size_t i = 0; !text && i < len; i++)
		if (buf[i] & 0x80)
			buf[i] = '?';
	return text ? text : json_stringn(buf, len);
}

static int print_history(struct ctl *ctl, int fd)
{
	static char buf[2 * HISTORY_MAX]; /* the guest may write more meanwhile */
	ssize_t len = read_history(fd, buf, sizeof(buf));

	if (len < 0)
		return ctl_error("%s: console: %s", ctl->name,
				 len == -EAGAIN ? "it does not answer" : strerror(-len));
	if (ctl->json)
		return ctl_print_json(json_pack("{s:s, s:o}", "name", ctl->name, "output",
						console_text(buf, len)));
	fwrite(buf, 1, len, stdout);
	return 0;
}

int cmd_console(struct ctl *ctl)
{
	struct session s = { .in = STDIN_FILENO };
	int ret;

	if (ctl->json && !ctl->history)
		return ctl_usage(ctl, "--json needs --history");
	s.fd = sym_console_open(ctl->name, &ctl->open);
	if (s.fd < 0)
		return ctl_open_failed(ctl, s.fd);
	signal(SIGPIPE, SIG_IGN);
	if (ctl->history) {
		ret = print_history(ctl, s.fd);
	} else if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) {
		s.on_terminal = true;
		ret = on_terminal(ctl, &s);
	} else {
		if (isatty(STDIN_FILENO))
			s.in = -1; /* output is redirected: do not read the terminal */
		ret = converse(&s);
		ret = ret < 0 ? ctl_error("standard output: %s", strerror(-ret)) : 0;
	}
	close(s.fd);
	return ret;
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * Listening Unix sockets: who may connect, and what happens when file descriptors
 * run out (a guest with many network connections can bring that about).
 */
#include "host/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 16

int unix_listen(struct unix_listener *l, const char *path, struct err *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	*l = (struct unix_listener){ .fd = -1, .spare = -1, .owner = geteuid() };
	if (strlen(path) >= sizeof(addr.sun_path))
		return err_set(err, -ENAMETOOLONG,
			       "%s: too long for the path of a socket (at most %zu characters)",
			       path, sizeof(addr.sun_path) - 1);
	strcpy(addr.sun_path, path);
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return err_errno(err, "%s", path);
	if (unlink(path) && errno != ENOENT)
		goto fail;
	if (bind(l->fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(l->fd, BACKLOG))
		goto fail;
	l->spare = fcntl(l->fd, F_DUPFD_CLOEXEC, 0);
	return 0;
fail:
	err_errno(err, "%s", path);
	unix_unlisten(l);
	return err->code;
}

static bool peer_allowed(const struct unix_listener *l, int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) &&
	       (cred.uid == l->owner || cred.uid == 0);
}

int unix_accept(struct unix_listener *l)
{
	int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	bool starved = fd < 0 && (errno == EMFILE || errno == ENFILE);

	if (starved) {
		close(l->spare);
		fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	}
	if (fd >= 0 && (starved || !peer_allowed(l, fd))) {
		close(fd);
		fd = -1;
	}
	if (starved)
		l->spare = fcntl(l->fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -EAGAIN : fd;
}

void unix_unlisten(struct unix_listener *l)
{
	if (l->fd >= 0)
		close(l->fd);
	if (l->spare >= 0)
		close(l->spare);
	*l = (struct unix_listener){ .fd = -1, .spare = -1 };
}

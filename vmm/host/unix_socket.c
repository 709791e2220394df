// SPDX-License-Identifier: BSD-2-Clause
/*
 * Listening Unix sockets: who may connect, and what happens when file descriptors
 * run out (a guest with many network connections can cause that).
 */
#include "host/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/cleanup.h"

#define BACKLOG 16

/* Remove a socket at @addr, if nobody listens at it. */
static int clear_path(const struct sockaddr_un *addr, struct err *err)
{
	struct stat st;
	int fd, ret;

	if (lstat(addr->sun_path, &st))
		return errno == ENOENT ? 0 : err_errno(err, "%s", addr->sun_path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, -EEXIST, "%s: exists and is not a socket", addr->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(err, "%s", addr->sun_path);
	ret = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) ? errno : 0;
	close(fd);
	if (ret != ECONNREFUSED && ret != ENOENT)
		return err_set(err, -EADDRINUSE, "%s: in use by another program", addr->sun_path);
	if (unlink(addr->sun_path) && errno != ENOENT)
		return err_errno(err, "%s", addr->sun_path);
	return 0;
}

void unix_refill(struct unix_listener *l)
{
	for (unsigned int i = 0; i < l->nr_spares; i++)
		if (l->spare[i] < 0)
			l->spare[i] = fcntl(l->fd, F_DUPFD_CLOEXEC, 0);
}

int unix_listen(struct unix_listener *l, const char *path, unsigned int nr_spares,
		struct err *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int ret;

	*l = (struct unix_listener){ .fd = -1, .owner = geteuid() };
	if (strlen(path) >= sizeof(addr.sun_path))
		return err_set(err, -ENAMETOOLONG,
			       "%s: too long for the path of a socket (at most %zu characters)",
			       path, sizeof(addr.sun_path) - 1);
	strcpy(addr.sun_path, path);
	if (clear_path(&addr, err))
		return err->code;
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return err_errno(err, "%s", path);
	if (bind(l->fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(l->fd, BACKLOG)) {
		err_errno(err, "%s", path);
		unix_unlisten(l);
		return err->code;
	}
	ret = cleanup_add(path, CLEANUP_ALWAYS);
	if (ret) {
		unix_unlisten(l);
		return err_set(err, ret, "%s: %s", path, strerror(-ret));
	}
	while (l->nr_spares < nr_spares)
		l->spare[l->nr_spares++] = -1;
	unix_refill(l);
	return 0;
}

static bool peer_allowed(const struct unix_listener *l, int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	return l->any_peer || (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) &&
			       (cred.uid == l->owner || cred.uid == 0));
}

/* Close one; returns how many are left. */
static unsigned int give_up_spare(struct unix_listener *l)
{
	unsigned int left = 0;
	bool given = false;

	for (unsigned int i = 0; i < l->nr_spares; i++) {
		if (l->spare[i] < 0)
			continue;
		if (given) {
			left++;
			continue;
		}
		close(l->spare[i]);
		l->spare[i] = -1;
		given = true;
	}
	return left;
}

int unix_accept(struct unix_listener *l)
{
	int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	bool starved = fd < 0 && (errno == EMFILE || errno == ENFILE), last = false;

	if (starved) {
		last = !give_up_spare(l);
		fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	}
	if (fd >= 0 && (last || !peer_allowed(l, fd))) {
		close(fd);
		fd = -1;
	}
	/* A client that is served keeps the descriptor until it leaves. */
	if (fd < 0)
		unix_refill(l);
	return fd < 0 ? -EAGAIN : fd;
}

void unix_unlisten(struct unix_listener *l)
{
	if (l->fd >= 0)
		close(l->fd);
	for (unsigned int i = 0; i < l->nr_spares; i++)
		if (l->spare[i] >= 0)
			close(l->spare[i]);
	*l = (struct unix_listener)UNIX_LISTENER_NONE;
}

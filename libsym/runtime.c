// SPDX-License-Identifier: BSD-2-Clause
/*
 * The runtime folder, for clients: listing the VMs that are alive, and connecting to
 * their sockets.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "folder.h"
#include "internal.h"

#define RETRY_MS 10

static bool name_ok(const char *name)
{
	return vm_name_ok(name, SYM_NAME_MAX);
}

static int socket_address(const char *runtime, const char *name, const char *suffix,
			  struct sockaddr_un *addr)
{
	char folder[PATH_MAX];
	int n;

	vm_folder(runtime, folder, sizeof(folder));
	addr->sun_family = AF_UNIX;
	n = snprintf(addr->sun_path, sizeof(addr->sun_path), "%s/%s.%s", folder, name, suffix);
	if (n < 0 || (size_t)n >= sizeof(addr->sun_path))
		return sym__fail(NULL, -ENAMETOOLONG,
				 "%s/%s.%s: too long for the path of a socket", folder, name,
				 suffix);
	return 0;
}

/* In a folder like /tmp, another user could have created the socket. */
static bool server_trusted(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return false;
	return cred.uid == geteuid() || cred.uid == 0 || geteuid() == 0;
}

int sym__connect(const char *runtime, const char *name, const char *suffix, int64_t deadline)
{
	struct sockaddr_un addr = { 0 };
	char folder[PATH_MAX];
	int fd, ret;

	if (!name_ok(name))
		return sym__fail(NULL, -EINVAL, "'%s' cannot be the name of a VM", name);
	ret = socket_address(runtime, name, suffix, &addr);
	if (ret)
		return ret;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return sym__fail(NULL, -errno, "socket: %s", strerror(errno));
	while (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		ret = -errno;
		if (ret == -EAGAIN && sym__left(deadline)) {
			poll(NULL, 0, RETRY_MS); /* its backlog is full */
			continue;
		}
		close(fd);
		if (ret == -ENOENT || ret == -ECONNREFUSED) {
			vm_folder(runtime, folder, sizeof(folder));
			return sym__fail(NULL, -ENOENT, "no VM named '%s' in %s", name, folder);
		}
		if (ret == -EAGAIN)
			return sym__fail(NULL, -ETIMEDOUT, "VM '%s' does not answer", name);
		return sym__fail(NULL, ret, "%s: %s", addr.sun_path, strerror(-ret));
	}
	if (!server_trusted(fd)) {
		close(fd);
		return sym__fail(NULL, -EPERM, "%s: belongs to another user", addr.sun_path);
	}
	return fd;
}

int sym__name_free(const char *runtime, const char *name)
{
	char folder[PATH_MAX - SYM_NAME_MAX - 8], path[PATH_MAX];
	int fd, ret = 1;

	vm_folder(runtime, folder, sizeof(folder));
	snprintf(path, sizeof(path), "%s/%s.lock", folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return 1;
	/* We hold it for a moment only; a VM that is starting then tries again. */
	if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB))
		ret = fd >= 0 && errno == EWOULDBLOCK ? 0 : -errno;
	if (ret < 0)
		sym__fail(NULL, ret, "%s: %s", path, strerror(-ret));
	if (fd >= 0)
		close(fd);
	return ret;
}

/* The name from "NAME.sock", if a program listens on that socket. */
static char *live_name(const char *runtime, const char *file)
{
	const char *dot = strrchr(file, '.');
	struct sockaddr_un addr = { 0 };
	bool alive = false;
	char *name;
	int fd;

	if (!dot || strcmp(dot, ".sock"))
		return NULL;
	name = strndup(file, dot - file);
	if (!name || !name_ok(name) || socket_address(runtime, name, "sock", &addr)) {
		free(name);
		return NULL;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0) {
		alive = !connect(fd, (struct sockaddr *)&addr, sizeof(addr)) || errno == EAGAIN;
		close(fd);
	}
	if (alive)
		return name;
	free(name);
	return NULL;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_add(char ***names, size_t *nr, char *name)
{
	char **grown = realloc(*names, (*nr + 2) * sizeof(*grown));

	if (!grown) {
		free(name);
		return -ENOMEM;
	}
	grown[(*nr)++] = name;
	grown[*nr] = NULL;
	*names = grown;
	return 0;
}

int sym_runtime_folder(const struct sym_open_opts *opts, char *path, size_t size)
{
	struct sym_open_opts known = { .size = sizeof(known) };
	char folder[PATH_MAX];
	int ret;

	sym__clear_error(NULL);
	ret = sym__opts(&known, opts);
	if (ret)
		return sym__fail(NULL, ret, "sym_runtime_folder: %s", strerror(-ret));
	vm_folder(known.runtime, folder, sizeof(folder));
	if (snprintf(path, size, "%s", folder) >= (int)size)
		return sym__fail(NULL, -ENAMETOOLONG, "%s: too long", folder);
	return 0;
}

int sym_list(const struct sym_open_opts *opts, char ***names, size_t *nr)
{
	struct sym_open_opts known = { .size = sizeof(known) };
	char folder[PATH_MAX], **list = calloc(1, sizeof(*list)), *name;
	struct dirent *entry;
	size_t count = 0;
	DIR *dir;
	int ret;

	sym__clear_error(NULL);
	ret = list ? sym__opts(&known, opts) : -ENOMEM;
	if (ret) {
		free(list);
		return sym__fail(NULL, ret, "sym_list: %s", strerror(-ret));
	}
	vm_folder(known.runtime, folder, sizeof(folder));
	dir = opendir(folder);
	if (!dir && errno != ENOENT) {
		ret = -errno;
		free(list);
		return sym__fail(NULL, ret, "%s: %s", folder, strerror(-ret));
	}
	while (dir && !ret && (entry = readdir(dir))) {
		name = live_name(known.runtime, entry->d_name);
		if (name)
			ret = list_add(&list, &count, name);
	}
	if (dir)
		closedir(dir);
	if (ret) {
		sym_list_free(list);
		return sym__fail(NULL, ret, "%s: %s", folder, strerror(-ret));
	}
	qsort(list, count, sizeof(*list), by_name);
	*names = list;
	if (nr)
		*nr = count;
	return 0;
}

void sym_list_free(char **names)
{
	for (char **p = names; p && *p; p++)
		free(*p);
	free(names);
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * The repository: DIR/RELEASE/NAME.ko, or compressed, as distributions ship modules.
 * The release comes from the guest, and must not lead out of the folder.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sym/symmod.h"

/* Extensions of a module's file, in the order in which they are tried. */
static const char *const extensions[] = { ".ko", ".ko.xz", ".ko.zst", ".ko.gz" };
#define NR_EXTENSIONS (sizeof(extensions) / sizeof(extensions[0]))

bool symmod_is_file(const char *word)
{
	size_t len = strlen(word), n;

	for (size_t i = 0; i < NR_EXTENSIONS; i++) {
		n = strlen(extensions[i]);
		if (len > n && !strcmp(word + len - n, extensions[i]))
			return true;
	}
	return strchr(word, '/');
}

static bool release_ok(const char *release)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._+~-";
	size_t len = strlen(release);

	return len && len < 64 && release[0] != '.' && strspn(release, allowed) == len;
}

/* DIR/RELEASE/NAME with each extension. */
static int open_any(const char *dir, int dir_len, const char *release, const char *name,
		    char *path, size_t size)
{
	int fd = -1;

	for (size_t i = 0; i < NR_EXTENSIONS && fd < 0; i++) {
		if (snprintf(path, size, "%.*s/%s/%s%s", dir_len, dir, release, name,
			     extensions[i]) >= (int)size)
			return -ENAMETOOLONG;
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0 && errno != ENOENT && errno != ENOTDIR)
			return -errno;
	}
	return fd < 0 ? -ENOENT : fd;
}

/* A module may be called a_b and its file a-b.ko, or vice versa. */
static int open_either(const char *dir, int dir_len, const char *release, const char *name,
		       char *path, size_t size)
{
	char other[SYM_NAME_LEN];
	int fd = -ENOENT;

	for (int i = 0; i < 3 && fd == -ENOENT; i++) {
		snprintf(other, sizeof(other), "%s", name);
		for (char *p = other; i && *p; p++)
			if (*p == '-' || *p == '_')
				*p = i == 1 ? '_' : '-';
		fd = open_any(dir, dir_len, release, other, path, size);
	}
	return fd;
}

int symmod_find(const char *dirs, const char *release, const char *name, char *path, size_t size,
		struct sym_err *err)
{
	if (!dirs || !*dirs)
		dirs = symmod_default_dirs();
	if (!symmod_name_ok(name))
		return sym_fail(err, -EINVAL, "'%.64s' cannot be the name of a module", name);
	if (!release_ok(release))
		return sym_fail(err, -EINVAL, "'%.64s' cannot be the release of a kernel",
				release);
	for (const char *dir = dirs; *dir;) {
		int len = strcspn(dir, ":"), fd;

		fd = len ? open_either(dir, len, release, name, path, size) : -ENOENT;
		if (fd >= 0)
			return fd;
		if (fd != -ENOENT)
			return sym_fail(err, fd, "%.200s: %s", path, strerror(-fd));
		dir += len + (dir[len] == ':');
	}
	return sym_fail(err, -ENOENT, "no module %s for Linux %s in %.300s", name, release, dirs);
}

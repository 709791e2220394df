// SPDX-License-Identifier: BSD-2-Clause
/*
 * Landlock by its system calls: the C library has no functions for them, and the kernel's
 * header may be older than the kernel.
 */
#include "host/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* struct landlock_ruleset_attr as of ABI 6. */
struct ruleset {
	uint64_t fs, net, scoped;
};

#define FS_ABI_1     ((1ull << 13) - 1) /* LANDLOCK_ACCESS_FS_EXECUTE to MAKE_SYM */
#define FS_REFER     (1ull << 13) /* ABI 2 */
#define FS_TRUNCATE  (1ull << 14) /* ABI 3 */
#define NET_BIND_TCP (1ull << 0) /* ABI 4 */
#define FS_IOCTL_DEV (1ull << 15) /* ABI 5 */
#define SCOPE_UNIX   (1ull << 0) /* ABI 6: abstract sockets */
#define SCOPE_SIGNAL (1ull << 1) /* ABI 6 */

/* The ruleset's descriptor, -EOPNOTSUPP without Landlock, another -errno. */
static int create(void)
{
	struct ruleset attr = { .fs = FS_ABI_1 };
	size_t size = sizeof(attr.fs);
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	long fd;

	if (abi < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP ? -EOPNOTSUPP : -errno;
	if (abi >= 2)
		attr.fs |= FS_REFER;
	if (abi >= 3)
		attr.fs |= FS_TRUNCATE;
	if (abi >= 4) {
		attr.net = NET_BIND_TCP;
		size = offsetof(struct ruleset, scoped);
	}
	if (abi >= 5)
		attr.fs |= FS_IOCTL_DEV;
	if (abi >= 6) {
		attr.scoped = SCOPE_UNIX | SCOPE_SIGNAL;
		size = sizeof(attr);
	}
	fd = syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	return fd < 0 ? -errno : (int)fd;
}

static int allow_reading(int ruleset, const char *path)
{
	struct landlock_path_beneath_attr beneath = {
		.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE,
	};
	long ret;

	beneath.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (beneath.parent_fd < 0)
		return 0; /* it does not exist */
	ret = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0);
	if (ret)
		ret = -errno;
	close(beneath.parent_fd);
	return ret;
}

int landlock_create(const char *const *paths, int *ruleset, struct err *err)
{
	int ret = 0, fd = create();

	*ruleset = -1;
	if (fd == -EOPNOTSUPP)
		return 0;
	if (fd < 0)
		ret = fd;
	for (; *paths && !ret; paths++)
		ret = allow_reading(fd, *paths);
	if (!ret) {
		*ruleset = fd;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	errno = -ret;
	return err_errno(err, "Landlock");
}

int landlock_enter(int ruleset, struct err *err)
{
	if (ruleset >= 0 && syscall(SYS_landlock_restrict_self, ruleset, 0))
		return err_errno(err, "Landlock");
	return 0;
}

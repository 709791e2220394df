/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * --user: root opens what a VM needs, an ordinary user runs it.
 */
#ifndef VMM_HOST_USER_H
#define VMM_HOST_USER_H

#include <sys/types.h>

#include "core/err.h"

struct user_ids {
	char name[64];
	uid_t uid;
	gid_t gid;
};

/*
 * user_find - look up @name.  -EPERM if we are not root and so could not become it,
 * -EINVAL if it is root, -ENOENT if there is no such user; with @err set.
 */
int user_find(const char *name, struct user_ids *ids, struct err *err);

/*
 * user_become - the whole process becomes this user for good, with the groups that the
 * system's database has for it and no capabilities.  0, or -errno with @err set.
 */
int user_become(const struct user_ids *ids, struct err *err);

#endif

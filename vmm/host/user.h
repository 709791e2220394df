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
 * user_find - who @name is.  -EPERM when we are not root and so could not become it,
 * -EINVAL when it is root, -ENOENT when there is none; with @err set.
 */
int user_find(const char *name, struct user_ids *ids, struct err *err);

/*
 * user_become - for the whole process, for good: its user, its groups as the system's
 * database has them, no capabilities.  0, or -errno with @err set.
 */
int user_become(const struct user_ids *ids, struct err *err);

#endif

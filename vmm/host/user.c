// SPDX-License-Identifier: BSD-2-Clause
#include "host/user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int user_find(const char *name, struct user_ids *ids, struct err *err)
{
	struct passwd *pw;

	errno = 0;
	pw = getpwnam(name);
	if (!pw && errno && errno != ENOENT && errno != ESRCH)
		return err_errno(err, "--user %s", name);
	if (!pw)
		return err_set(err, -ENOENT, "--user %s: no such user", name);
	if (!pw->pw_uid || !pw->pw_gid)
		return err_set(err, -EINVAL, "--user %s: is root, or in root's group", name);
	if (geteuid())
		return err_set(err, -EPERM, "--user %s: only root can become another user", name);
	*ids = (struct user_ids){ .uid = pw->pw_uid, .gid = pw->pw_gid };
	snprintf(ids->name, sizeof(ids->name), "%s", name);
	return 0;
}

int user_become(const struct user_ids *ids, struct err *err)
{
	if (initgroups(ids->name, ids->gid) || setresgid(ids->gid, ids->gid, ids->gid) ||
	    setresuid(ids->uid, ids->uid, ids->uid))
		return err_errno(err, "--user %s", ids->name);
	/* Capabilities that securebits preserve would be as good as root. */
	if (!setresuid(0, 0, 0))
		return err_set(err, -EPERM, "--user %s: could become root again", ids->name);
	return 0;
}

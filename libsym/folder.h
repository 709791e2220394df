/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the sockets of the VMs are, and which names a VM may have: common to the VMM, which
 * creates them, and libsym, which looks for them.  See docs/control-protocol.md.
 */
#ifndef LIBSYM_FOLDER_H
#define LIBSYM_FOLDER_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* vm_folder - the runtime folder: @chosen, if not NULL, or that of the environment. */
static inline void vm_folder(const char *chosen, char *buf, size_t size)
{
	const char *dir = chosen ? chosen : getenv("SYMKIT_RUNTIME");
	const char *user = getenv("XDG_RUNTIME_DIR");

	/* Root's folder is the same in a service, in a login shell and under sudo. */
	if (dir && *dir)
		snprintf(buf, size, "%s", dir);
	else if (geteuid() == 0)
		snprintf(buf, size, "/run/symkit");
	else if (user && *user)
		snprintf(buf, size, "%s/symkit", user);
	else
		snprintf(buf, size, "/tmp/symkit-%u", geteuid());
}

/* vm_name_ok - [A-Za-z0-9][A-Za-z0-9._-]*, @max characters at most. */
static inline bool vm_name_ok(const char *name, size_t max)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-";
	size_t len = strlen(name);

	return len && len <= max && strspn(name, allowed) == len && !strchr("._-", name[0]);
}

#endif

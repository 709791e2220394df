// SPDX-License-Identifier: BSD-2-Clause
/*
 * The folders of modules and services of an installation.  They are found at run time, from
 * the program's location: a package's prefix is chosen after the programs were built.
 */
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sym/symmod.h"

static struct {
	char modules[PATH_MAX];
	char services[PATH_MAX];
} folders;

static bool is_folder(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

/* @bin: the folder of the program; "" if unknown. */
static void find_one(const char *bin, const char *kind, char *path, size_t size)
{
	const char *slash = strrchr(bin, '/');
	int n;

	if (slash && !strcmp(slash, "/bin")) {
		n = snprintf(path, size, "%.*s/lib/symkit/%s", (int)(slash - bin), bin, kind);
		if (n < (int)size)
			return;
	} else if (*bin) { /* the build tree */
		n = snprintf(path, size, "%s/%s", bin, kind);
		if (n < (int)size && is_folder(path))
			return;
	}
	/* Another VMM that embeds the interface. */
	snprintf(path, size, "/usr/lib/symkit/%s", kind);
	if (!is_folder(path))
		snprintf(path, size, "/usr/local/lib/symkit/%s", kind);
}

static void find(void)
{
	char bin[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", bin, sizeof(bin) - 1);

	bin[n > 0 ? n : 0] = '\0';
	if (strrchr(bin, '/'))
		*strrchr(bin, '/') = '\0';
	find_one(bin, "modules", folders.modules, sizeof(folders.modules));
	find_one(bin, "services", folders.services, sizeof(folders.services));
}

static const char *folder(const char *variable, const char *found)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const char *dirs = getenv(variable);

	pthread_once(&once, find);
	return dirs && *dirs ? dirs : found;
}

const char *symmod_default_dirs(void)
{
	return folder("SYMKIT_MODULES", folders.modules);
}

const char *symmod_services_dir(void)
{
	return folder("SYMKIT_SERVICES", folders.services);
}

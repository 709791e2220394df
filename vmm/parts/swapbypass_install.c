// SPDX-License-Identifier: BSD-2-Clause
/*
 * Installing symswap in a guest that has none.  The system call filter forbids opening files
 * while a guest runs, so the modules for all kernels are opened at the start.  The guest
 * reports its kernel when its symbiotic module registers.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "boot/boot.h"
#include "control/work.h"
#include "core/clock.h"
#include "core/config.h"
#include "host/events.h"
#include "parts/swapbypass.h"
#include "sym/symmod.h"

#define MAX_MODULES 64
#define INITRD_MS   20000 /* for the initrd's own copy to be loaded */
#define TRIES	    6
#define RETRY_MS    2000 /* doubled each time */

static const struct swapbypass_module *find(const struct swapbypass *sb, const char *release)
{
	for (const struct swapbypass_module *m = sb->modules; m; m = m->next)
		if (!strcmp(m->release, release))
			return m;
	return NULL;
}

static const char *module_dirs(const struct swapbypass *sb)
{
	const char *dirs = sb->vm->config->modules;

	return dirs && *dirs ? dirs : symmod_default_dirs();
}

static int add_module(struct swapbypass *sb, const char *dirs, const char *release)
{
	struct swapbypass_module *m;
	struct sym_err ignored = { 0 };
	char path[PATH_MAX];
	int fd;

	if (release[0] == '.' || strlen(release) >= sizeof(m->release) || find(sb, release))
		return 0;
	fd = symmod_find(dirs, release, SWAPBYPASS_MODULE, path, sizeof(path), &ignored);
	if (fd < 0)
		return 0; /* no module for that release */
	m = calloc(1, sizeof(*m));
	if (m)
		m->path = strdup(path);
	if (!m || !m->path) {
		free(m);
		close(fd);
		return -ENOMEM;
	}
	strcpy(m->release, release);
	m->fd = fd;
	m->next = sb->modules;
	sb->modules = m;
	return 0;
}

static int scan(struct swapbypass *sb, const char *dirs, const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	unsigned int nr = 0;
	int ret = 0;

	if (!d)
		return 0; /* symmod_find() skips it, too */
	while (!ret && nr < MAX_MODULES && (entry = readdir(d))) {
		ret = add_module(sb, dirs, entry->d_name);
		nr++;
	}
	closedir(d);
	return ret;
}

int swapbypass_find_modules(struct swapbypass *sb, struct err *err)
{
	const struct boot_image *image = sb->vm->image;
	const char *dirs = module_dirs(sb);
	char *copy, *rest, *dir;
	int ret = 0;

	copy = rest = strdup(dirs);
	if (!copy)
		return err_set(err, -ENOMEM, "--swapbypass: out of memory");
	while (!ret && (dir = strsep(&rest, ":")))
		if (*dir)
			ret = scan(sb, dirs, dir);
	free(copy);
	if (ret)
		return err_set(err, ret, "--swapbypass: out of memory");
	if (image && image->release[0] && !image->missing[0] && !find(sb, image->release))
		log_warn(
			"no module %s for Linux %s in %s: --swapbypass waits for the guest's own",
			SWAPBYPASS_MODULE, image->release, dirs);
	return 0;
}

void swapbypass_free_modules(struct swapbypass *sb)
{
	struct swapbypass_module *m;

	while ((m = sb->modules)) {
		sb->modules = m->next;
		close(m->fd);
		free(m->path);
		free(m);
	}
}

/* Is it in the initrd?  Then the guest will load it. */
static bool in_initrd(const struct part_vm *vm)
{
	const char *list = vm->image ? vm->image->modules : "";
	size_t len = strlen(SWAPBYPASS_MODULE);

	for (; *list; list += strcspn(list, ","), list += *list == ',')
		if (strcspn(list, ",") == len && !strncmp(list, SWAPBYPASS_MODULE, len))
			return true;
	return false;
}

void swapbypass_guest_ready(void *state, uint32_t generation)
{
	struct swapbypass *sb = state;

	pthread_mutex_lock(&sb->lock);
	if (generation != sb->install_generation) {
		sb->install = INSTALL_WAIT;
		sb->install_generation = generation;
		sb->install_tries = 0;
		sb->install_failed[0] = '\0';
		sb->install_at_ms = clock_ms() + (in_initrd(sb->vm) ? INITRD_MS : 0);
	}
	pthread_mutex_unlock(&sb->lock);
}

/* The module for this guest; NULL with the reason in @why if there is none. */
static const struct swapbypass_module *choose(const struct swapbypass *sb, struct sym_err *why)
{
	const struct swapbypass_module *module;
	struct sym *sym = sb->vm->sym;
	uint32_t granted = sym_granted(sym);
	struct sym_item_kernel kernel;

	if (sym_spy_get(sym, SYM_ITEM_KERNEL, &kernel, sizeof(kernel))) {
		sym_fail(why, -EAGAIN, "the guest does not show its kernel");
		return NULL;
	}
	if (!(granted & SYM_FEATURE_WINDOW) || !(granted & SYM_FEATURE_MODULES)) {
		sym_fail(why, -ENOTSUP, "the guest's symbiotic module does not support %s",
			 granted & SYM_FEATURE_WINDOW ? "modules" : "a window");
		return NULL;
	}
	kernel.release[sizeof(kernel.release) - 1] = '\0';
	module = find(sb, kernel.release);
	if (!module)
		sym_fail(why, -ENOENT, "no module %s for Linux %s in %.200s", SWAPBYPASS_MODULE,
			 kernel.release, module_dirs(sb));
	return module;
}

/*
 * The host has no module for this guest, as @why says; the guest may have one of its own.  If
 * its symbiotic module is too old to be asked, @why stays.
 */
static int load_own(const struct swapbypass *sb, struct sym_err *why)
{
	struct sym_err own = { 0 }, none = *why;
	int ret = symmod_load(sb->vm->sym, SWAPBYPASS_MODULE, "", &own);

	if (ret && ret != -ENOSYS)
		sym_fail(why, ret, "%.250s; %.250s", none.text, own.text);
	return ret == -ENOSYS ? none.code : ret;
}

/* @lacking: the host has no module, whatever the guest has. */
static int install(const struct swapbypass *sb, bool *lacking, struct sym_err *why)
{
	const struct swapbypass_module *module = choose(sb, why);
	struct symmod_image image;
	int ret;

	*lacking = !module && why->code == -ENOENT;
	if (!module)
		return *lacking ? load_own(sb, why) : why->code;
	ret = symmod_read(module->fd, module->path, &image, why);
	if (ret)
		return ret;
	ret = symmod_install(sb->vm->sym, &image, "", why);
	symmod_free(&image);
	return ret;
}

static bool hopeless(int ret)
{
	return ret == -ENOENT || ret == -ENOTSUP || ret == -ENOEXEC || ret == -EINVAL;
}

/* after_try - true: there will be another one.  Lock held. */
static bool after_try(struct swapbypass *sb, int ret)
{
	sb->install = INSTALL_NONE;
	if (!ret || hopeless(ret) || ++sb->install_tries == TRIES)
		return false;
	sb->install = INSTALL_WAIT;
	sb->install_at_ms = clock_ms() + (RETRY_MS << sb->install_tries) / 2;
	return true;
}

/*
 * The guest may not be able to load modules yet: try several times.  If only the guest could
 * have the module, the reason can be read after the first try.
 */
static int do_install(void *arg, json_t **result, struct err *err)
{
	struct swapbypass *sb = arg;
	struct sym_err why = { 0 };
	uint32_t generation = sym_generation(sb->vm->sym);
	bool failed = false, lacking, same;
	int ret = install(sb, &lacking, &why);

	if (ret == -EEXIST)
		ret = 0;
	pthread_mutex_lock(&sb->lock);
	/* Another guest may run by now. */
	same = sb->install == INSTALL_BUSY && sb->install_generation == generation;
	if (same)
		failed = !after_try(sb, ret) && ret;
	if (failed || (same && lacking))
		snprintf(sb->install_failed, sizeof(sb->install_failed), "%s",
			 ret ? why.text : "");
	pthread_mutex_unlock(&sb->lock);
	if (failed)
		events_emit(sb->vm->board->events, "swapbypass_failed",
			    json_pack("{s:o}", "reason", events_text(why.text)));
	return 0;
}

void swapbypass_install(struct swapbypass *sb)
{
	bool ready = sym_window_ready(sb->window), now = false;

	pthread_mutex_lock(&sb->lock);
	if (sb->install == INSTALL_WAIT && ready)
		sb->install = INSTALL_NONE;
	if (sb->install == INSTALL_WAIT && clock_ms() >= sb->install_at_ms) {
		sb->install = INSTALL_BUSY;
		now = true;
	}
	pthread_mutex_unlock(&sb->lock);
	/* The worker that does all other transfers: the guest takes one at a time. */
	if (now && work_post(sb->vm->work, do_install, sb, NULL)) {
		pthread_mutex_lock(&sb->lock);
		sb->install = INSTALL_WAIT;
		pthread_mutex_unlock(&sb->lock);
	}
}

bool swapbypass_hopeless(struct swapbypass *sb, char *why, size_t size)
{
	uint32_t generation = sym_generation(sb->vm->sym);
	const struct boot_image *image = sb->vm->image;

	why[0] = '\0';
	if (sym_window_ready(sb->window))
		return false;
	pthread_mutex_lock(&sb->lock);
	if (!generation)
		snprintf(why, size, "%s", image ? image->missing : "");
	else if (generation == sb->install_generation)
		snprintf(why, size, "%s", sb->install_failed);
	pthread_mutex_unlock(&sb->lock);
	return why[0];
}

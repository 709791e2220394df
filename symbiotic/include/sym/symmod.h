/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SymMod, the host's half: find guest kernel modules by kernel release, check them, and send
 * them into a running guest or append them to its initrd.  docs/symmod.md is the manual.
 */
#ifndef SYM_SYMMOD_H
#define SYM_SYMMOD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sym/abi.h"
#include "sym/err.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SYMMOD_MAX_DEPENDS 16
#define SYMMOD_MAX_PARAMS  1024 /* bytes of parameters */

struct sym;

/* A module in memory, and the contents of its .modinfo. */
struct symmod_image {
	void *data;
	size_t size;
	char name[SYM_NAME_LEN];
	char vermagic[128];
	char release[64]; /* the first word of that */
	char depends[SYMMOD_MAX_DEPENDS][SYM_NAME_LEN];
	unsigned int nr_depends;
};

/*
 * symmod_read - read and check a module: an ELF file for x86-64 with a .modinfo.  It may be
 * compressed by xz, zstd or gzip: @image has it decompressed, at most SYM_MOD_MAX bytes.  @fd
 * is not closed; @file names it in messages.  symmod_check - the same for a copy in memory,
 * @image->data and @image->size, which the caller still owns if it fails.
 */
int symmod_read(int fd, const char *file, struct symmod_image *image, struct sym_err *err);
int symmod_check(const char *file, struct symmod_image *image, struct sym_err *err);
void symmod_free(struct symmod_image *image);

/* symmod_match - 0, or -ENOEXEC if @image is not for kernel @release; @err names both. */
int symmod_match(const struct symmod_image *image, const char *release, struct sym_err *err);

/*
 * symmod_check_params - 0, or -EINVAL if a word of @params is not a parameter of @image, which
 * symmod_check() has accepted; the guest's kernel would only log it.
 */
int symmod_check_params(const struct symmod_image *image, const char *params,
			struct sym_err *err);

/* symmod_name_ok - is it valid as a module's name?  '-' and '_' are equivalent in names. */
bool symmod_name_ok(const char *name);
bool symmod_name_equal(const char *a, const char *b);

/* symmod_is_file - does @word name a file (by its extension, or a '/'), not a module? */
bool symmod_is_file(const char *word);

/*
 * symmod_find - open the module @name for kernel @release in the first of @dirs (separated
 * by ':'; NULL or "": symmod_default_dirs()) that has it: DIR/RELEASE/NAME.ko, or else
 * NAME.ko.xz, NAME.ko.zst or NAME.ko.gz there.  Returns the descriptor and sets @path to the
 * file's name, or returns -ENOENT or -EINVAL with @err set.
 */
int symmod_find(const char *dirs, const char *release, const char *name, char *path, size_t size,
		struct sym_err *err);

/*
 * symmod_default_dirs, symmod_services_dir - SYMKIT_MODULES and SYMKIT_SERVICES of the
 * environment, or the folders of the build tree or the installation that the program belongs
 * to.  Determined at the first call: a program with a sandbox makes it before.  Any thread.
 */
const char *symmod_default_dirs(void);
const char *symmod_services_dir(void);

/*
 * symmod_install - have the guest load the modules that @image depends on, send @image into
 * the guest and have it loaded.  Takes as long as loading does; any thread but a vCPU's.
 * symmod_remove - have it unloaded.
 */
int symmod_install(struct sym *sym, const struct symmod_image *image, const char *params,
		   struct sym_err *err);

/*
 * symmod_load - have the guest's own modprobe load a module that only the guest has
 * @name: of the module
 * @params: its parameters, not checked; NULL: none
 *
 * May take half a minute; any thread but a vCPU's.
 *
 * Returns 0 when the module is loaded, also if it was loaded before and does not use the
 * interface.  With @err set: -EINVAL (not a name), -ENODEV (no symbiotic module), -ENOTSUP
 * (it does not support modules), -EEXIST, -E2BIG, -ENOSYS (it is too old for this), -ENOENT
 * (no modprobe in the guest), -EIO (modprobe failed; its output is in @err), -ETIMEDOUT, and
 * those of sym_call_wait().
 */
int symmod_load(struct sym *sym, const char *name, const char *params, struct sym_err *err);
int symmod_remove(struct sym *sym, const char *name, struct sym_err *err);

/*
 * symmod_archive - make a cpio archive to append to an initrd of @initrd_size bytes, with
 * the padding between them, @nr modules and the hooks that load them.  *@out is malloc'ed.
 */
int symmod_archive(const struct symmod_image *images, unsigned int nr, uint64_t initrd_size,
		   uint8_t **out, size_t *size);

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libsym, the guest's side: what a program inside a symbiotic guest shows the VMM, and
 * what the VMM's services show it.  Needs /dev/symbiotic, which the module symbiotic
 * makes; nothing here makes an exit.
 *
 * Functions return 0 or a negative errno.  A handle serves one thread at a time.
 */
#ifndef SYMKIT_GUEST_H
#define SYMKIT_GUEST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef SYM_API
#define SYM_API __attribute__((visibility("default")))
#endif

#define SYM_GUEST_NAME_MAX  31 /* bytes of a value's name */
#define SYM_GUEST_VALUE_MAX 64 /* bytes of a value */

struct sym_guest;

/*
 * sym_guest_open - @path is NULL for /dev/symbiotic.  -ENOENT: no such module, or no such
 * VMM; -EACCES: not for this user.  sym_guest_close takes NULL; what was set is gone then,
 * as it is when the program ends.
 */
SYM_API int sym_guest_open(const char *path, struct sym_guest **guest);
SYM_API void sym_guest_close(struct sym_guest *guest);

/*
 * sym_guest_set - show the VMM @value under @name; the next one replaces it.
 * -ENOSPC: too many values in this guest; -E2BIG: too long.
 */
SYM_API int sym_guest_set(struct sym_guest *guest, const char *name, const void *value,
			  size_t len);
SYM_API int sym_guest_clear(struct sym_guest *guest, const char *name);

/*
 * sym_guest_get - what a service of the VMM shows under @name: up to @max bytes into
 * @value; returns the length.  -ENOENT: nothing.
 */
SYM_API int sym_guest_get(struct sym_guest *guest, const char *name, void *value, size_t max);

struct sym_guest_info {
	size_t size; /* sizeof(struct sym_guest_info) */
	uint32_t version; /* of the interface */
	uint32_t features;
	uint32_t generation;
	char vm_name[72];
	char vm_uuid[40];
};

/* sym_guest_info - of the VM that this guest is in; set info->size first. */
SYM_API int sym_guest_info(struct sym_guest *guest, struct sym_guest_info *info);

#ifdef __cplusplus
}
#endif

#endif

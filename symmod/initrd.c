// SPDX-License-Identifier: BSD-2-Clause
/*
 * The boot route: a second archive appended to the guest's initrd, which the kernel unpacks
 * over the first (Documentation/driver-api/early-userspace/buffer-format.rst).  The modules
 * get a folder of their own, so that no file of the guest is replaced; the hooks go where the
 * two usual kinds of initrd look for them, and the kernel skips a file whose folder does not
 * exist.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sym/symmod.h"

#define MODE_DIR  0040755u
#define MODE_FILE 0100644u
#define MODE_EXEC 0100755u

#define LOAD "for symkit_ko in /symkit/*.ko; do insmod \"$symkit_ko\" 2>/dev/null || :; done\n"

/* initramfs-tools: sourced early by /init, with the shell's errors not fatal. */
static const char hook_initramfs_tools[] = "# Put here by the virtual machine monitor.\n" LOAD;
/* dracut: sourced before udev starts. */
static const char hook_dracut[] = "#!/bin/sh\n# Put here by the virtual machine monitor.\n" LOAD;

struct writer {
	uint8_t *data; /* NULL: only count */
	size_t len;
	unsigned int inode;
};

static void put(struct writer *w, const void *data, size_t len)
{
	if (w->data)
		memcpy(w->data + w->len, data, len);
	w->len += len;
}

static void pad(struct writer *w, size_t align)
{
	static const uint8_t zeroes[4];

	put(w, zeroes, (align - w->len % align) % align);
}

static void entry(struct writer *w, const char *name, unsigned int mode, const void *data,
		  size_t size)
{
	char head[111];

	snprintf(head, sizeof(head), "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		 ++w->inode, mode, 0u, 0u, mode == MODE_DIR ? 2u : 1u, 0u, (unsigned int)size, 0u,
		 0u, 0u, 0u, (unsigned int)strlen(name) + 1, 0u);
	put(w, head, 110);
	put(w, name, strlen(name) + 1);
	pad(w, 4);
	put(w, data, size);
	pad(w, 4);
}

static void write_all(struct writer *w, const struct symmod_image *images, unsigned int nr)
{
	char name[SYM_NAME_LEN + 24];

	entry(w, "symkit", MODE_DIR, "", 0);
	for (unsigned int i = 0; i < nr; i++) {
		/* In the order in which they are to be loaded. */
		snprintf(name, sizeof(name), "symkit/%02u-%s.ko", i, images[i].name);
		entry(w, name, MODE_FILE, images[i].data, images[i].size);
	}
	entry(w, "conf/conf.d/symkit", MODE_FILE, hook_initramfs_tools,
	      sizeof(hook_initramfs_tools) - 1);
	entry(w, "lib/dracut/hooks/pre-udev/10-symkit.sh", MODE_EXEC, hook_dracut,
	      sizeof(hook_dracut) - 1);
	entry(w, "TRAILER!!!", 0, "", 0);
}

int symmod_archive(const struct symmod_image *images, unsigned int nr, uint64_t initrd_size,
		   uint8_t **out, size_t *size)
{
	/* Some compressed formats end with zeroes; the archive must begin at a multiple of 4. */
	size_t gap = 4 + (4 - initrd_size % 4) % 4;
	struct writer count = { 0 }, w = { 0 };

	write_all(&count, images, nr);
	w.data = calloc(1, count.len);
	*out = calloc(1, gap + count.len);
	if (!w.data || !*out) {
		free(w.data);
		free(*out);
		return -ENOMEM;
	}
	write_all(&w, images, nr);
	memcpy(*out + gap, w.data, w.len);
	*size = gap + w.len;
	free(w.data);
	return 0;
}

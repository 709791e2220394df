// SPDX-License-Identifier: GPL-2.0
/*
 * The transfer of a module from the VMM into the guest.  Data arrives in order; a transfer
 * may be continued where it stopped, and is complete only when the checksum matches.
 */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/shmem_fs.h>
#include <linux/string.h>
#include <linux/vmalloc.h>
#include <linux/xxhash.h>

#include "symbiotic.h"

static struct {
	char name[SYM_NAME_LEN];
	u8 *data;
	u64 size;
	u64 have;
	u64 hash;
} sym_transfer; /* symmod.c serializes access */

void sym_transfer_drop(void)
{
	vfree(sym_transfer.data);
	memset(&sym_transfer, 0, sizeof(sym_transfer));
}

int sym_transfer_begin(const char *name, u64 size, u64 hash, u64 *have)
{
	if (!size || size > SYM_MOD_MAX)
		return -EFBIG;
	if (sym_transfer.data && sym_transfer.size == size && sym_transfer.hash == hash &&
	    !strcmp(sym_transfer.name, name)) {
		*have = sym_transfer.have;
		return 0;
	}
	sym_transfer_drop();
	sym_transfer.data = vzalloc(size);
	if (!sym_transfer.data)
		return -ENOMEM;
	strscpy(sym_transfer.name, name, sizeof(sym_transfer.name));
	sym_transfer.size = size;
	sym_transfer.hash = hash;
	*have = 0;
	return 0;
}

int sym_transfer_data(u64 offset, const void *data, size_t len)
{
	if (!sym_transfer.data)
		return -ENOENT;
	/* No gaps; data that is there already may be sent again. */
	if (offset > sym_transfer.have || len > sym_transfer.size - offset)
		return -EINVAL;
	memcpy(sym_transfer.data + offset, data, len);
	sym_transfer.have = max(sym_transfer.have, offset + len);
	return 0;
}

/* Return the module as an unnamed file, and end the transfer. */
struct file *sym_transfer_file(void)
{
	struct file *file;
	loff_t at = 0;
	ssize_t ret;

	if (!sym_transfer.data || sym_transfer.have != sym_transfer.size)
		return ERR_PTR(-ENODATA);
	if (xxh64(sym_transfer.data, sym_transfer.size, 0) != sym_transfer.hash) {
		sym_transfer_drop();
		return ERR_PTR(-EBADMSG);
	}
	file = shmem_file_setup(sym_transfer.name, sym_transfer.size, SYM_SHMEM_NORESERVE);
	if (IS_ERR(file))
		return file;
	while (at < sym_transfer.size) {
		ret = kernel_write(file, sym_transfer.data + at, sym_transfer.size - at, &at);
		if (ret <= 0) {
			fput(file);
			return ERR_PTR(ret ?: -EIO);
		}
	}
	sym_transfer_drop();
	return file;
}

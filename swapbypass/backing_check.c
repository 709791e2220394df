// SPDX-License-Identifier: BSD-2-Clause
/*
 * Is a window's file as it should be?  If it was cut, its file system is full, or it cannot be
 * read, the guest's access to a page cannot be completed: KVM tries again for ever.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "swapbypass/window.h"

#define SCARCE (64ull << 20) /* file systems with less are probed each time */

static uint64_t room(const struct backing *b)
{
	struct statvfs fs;

	return fstatvfs(b->fd, &fs) ? 0 : (uint64_t)fs.f_bavail * fs.f_frsize;
}

/*
 * Quotas and reserved blocks are known to the file system only: allocate, and free again.  Not
 * behind the end of the file, where some file systems do not punch.
 */
static int probe(const struct backing *b)
{
	int ret = fallocate(b->fd, FALLOC_FL_KEEP_SIZE, (off_t)b->size, SPARE) ? -errno : 0;

	if (ret == -EOPNOTSUPP || ret == -EINTR)
		return 0; /* unknown */
	backing_punch(b, b->size, SPARE);
	return ret;
}

int sym_window_check(struct sym_window *w, struct sym_err *err)
{
	struct backing *b = &w->backing;
	struct stat st;
	int ret;

	if (!b->file)
		return 0;
	if (fstat(b->fd, &st))
		return sym_fail(err, -errno, "%s: %s", b->file, strerror(errno));
	if ((uint64_t)st.st_size < b->size)
		return sym_fail(err, -ESTALE,
				"%s was cut to %llu bytes: pages of the guest are lost", b->file,
				(unsigned long long)st.st_size);
	ret = backing_read(b);
	if (ret)
		return sym_fail(err, -EIO, "%s: cannot be read at offset %llu: %s", b->file,
				(unsigned long long)b->read_at, strerror(-ret));
	/* Only a guest that takes more needs room. */
	if (!b->full && (uint64_t)st.st_blocks == b->checked_blocks && room(b) >= SCARCE)
		return 0;
	b->checked_blocks = st.st_blocks;
	ret = probe(b);
	b->full = ret;
	return ret ? sym_fail(err, ret, "%s: no room for more pages: %s", b->file,
			      strerror(-ret)) :
		     0;
}

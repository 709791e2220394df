// SPDX-License-Identifier: BSD-2-Clause
/*
 * A disk's steps as system calls, for when there is no ring or the ring would be slower.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "virtio/blk_request.h"

long blk_io(int fd, const struct blk_step *step)
{
	long ret = 0;

	switch (step->op) {
	case BLK_READ:
		ret = preadv(fd, step->iov, step->nr, step->offset);
		break;
	case BLK_WRITE:
		ret = pwritev(fd, step->iov, step->nr, step->offset);
		break;
	case BLK_SYNC:
		ret = fdatasync(fd);
		break;
	case BLK_ALLOCATE:
		ret = fallocate(fd, step->mode, step->offset, step->len);
		break;
	case BLK_DONE:
		break;
	}
	return ret < 0 ? -errno : ret;
}

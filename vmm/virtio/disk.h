/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host side of a disk: a raw image file or a block device.
 */
#ifndef VMM_VIRTIO_DISK_H
#define VMM_VIRTIO_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/config.h"
#include "core/err.h"

/*
 * disk_open - open and lock the image @config names.  Refused: odd sizes, images that
 * carry another format's magic (unless format=raw was given), images in use by another
 * VM.  Returns a file descriptor and the size in bytes, or -errno with @err set.
 */
int disk_open(const struct disk_config *config, uint64_t *size, struct err *err);

/* disk_in_memory - is the image @fd in a file system that is only in memory? */
bool disk_in_memory(int fd);

/*
 * disk_lock - lock the image @fd, exclusively or @shared with other readers.  Waits two
 * seconds for another holder; then -EBUSY with @err naming it; or -errno.
 */
int disk_lock(int fd, const char *path, bool shared, struct err *err);

#endif

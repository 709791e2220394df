/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request of virtio-blk as a series of steps, each one call to the kernel that moves a
 * bounded amount of data.  It does not matter here whether steps are system calls or go through a
 * ring.
 */
#ifndef VMM_VIRTIO_BLK_REQUEST_H
#define VMM_VIRTIO_BLK_REQUEST_H

#include <linux/virtio_blk.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "virtio/virtio.h"

#define BLK_SECTOR	512
#define BLK_CHUNK	(1u << 20) /* bytes that one step moves */
#define BLK_DISCARD_MAX (1u << 22) /* sectors in one discard segment: 2 GiB */
#define BLK_DISCARD_SEG 16 /* segments in one request */

struct blk_image {
	int fd;
	bool readonly;
	uint64_t sectors;
	char serial[VIRTIO_BLK_ID_BYTES];
};

enum blk_kind {
	BLK_KIND_READ,
	BLK_KIND_WRITE,
	BLK_KIND_FLUSH,
	BLK_KIND_DISCARD,
	BLK_KIND_ERROR,
	BLK_KINDS
};

enum blk_op { BLK_DONE, BLK_READ, BLK_WRITE, BLK_SYNC, BLK_ALLOCATE };

struct blk_step {
	enum blk_op op;
	const struct iovec *iov; /* BLK_READ, BLK_WRITE */
	unsigned int nr;
	uint64_t offset;
	uint64_t len; /* BLK_ALLOCATE */
	int mode; /* the same, as in fallocate(2) */
};

struct blk_request {
	struct blk_step step; /* what to do next */
	/* Once that is BLK_DONE: */
	enum blk_kind kind;
	uint8_t status;
	uint32_t written; /* bytes of data in the in-buffers */
	size_t len; /* bytes of data that were moved either way */
	/* What is left to do. */
	struct iovec *iov;
	unsigned int nr;
	uint64_t offset, left;
	struct iovec one;
	size_t segment; /* of a discard: where the next one is in the chain */
	bool zero; /* write zeroes */
	bool sync; /* a completed write must be durable */
	unsigned int retries;
	/* For the device: its place in the table, the bytes that it counts for. */
	unsigned int place;
	size_t weight;
	/* The driver's. */
	uint8_t *status_byte;
	struct virtq_chain chain;
};

/*
 * blk_request_begin - @req->chain has been popped: read it, and set the first step, if there
 * is anything to do.  @sync: writes must be durable.  False if the chain has no status byte.
 */
bool blk_request_begin(struct blk_request *req, const struct blk_image *image, bool sync);

/* blk_request_step - the current step returned @result or -errno: set the next one. */
void blk_request_step(struct blk_request *req, const struct blk_image *image, long result);

/* blk_io - do @step by a system call; returns its result, or -errno. */
long blk_io(int fd, const struct blk_step *step);

#endif

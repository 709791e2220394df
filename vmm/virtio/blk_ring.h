/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk's steps through io_uring, many at a time.  Used by the disk's own thread once it is
 * made.
 */
#ifndef VMM_VIRTIO_BLK_RING_H
#define VMM_VIRTIO_BLK_RING_H

#include <stdbool.h>

#include "virtio/blk_request.h"

#define BLK_DEPTH 64 /* requests in flight */

struct blk_ring;

/*
 * blk_ring_create - a ring that can read, write, flush and allocate the file @fd and do nothing
 * else.  NULL where the kernel has none for us.  Before the process is confined.
 */
struct blk_ring *blk_ring_create(int fd);

/* blk_ring_destroy - nothing is in flight any more. */
void blk_ring_destroy(struct blk_ring *ring);

/*
 * blk_ring_queue - the step of @req, of BLK_DEPTH at most, is to be made.  @req stays where it
 * is until it is reaped.
 */
void blk_ring_queue(struct blk_ring *ring, struct blk_request *req);

/* blk_ring_cancel - all @nr that are in flight had better end soon. */
void blk_ring_cancel(struct blk_ring *ring, struct blk_request *const *reqs, unsigned int nr);

/*
 * blk_ring_submit - hand over what is queued.  What can be done at once is done meanwhile: the
 * device's lock is not held.
 */
void blk_ring_submit(struct blk_ring *ring);

/* blk_ring_reap - a request whose step has been made, and what it returned; NULL: none. */
struct blk_request *blk_ring_reap(struct blk_ring *ring, long *result);

/* blk_ring_busy - how much is queued or in flight. */
unsigned int blk_ring_busy(const struct blk_ring *ring);

/* blk_ring_fd - readable when there is something to reap. */
int blk_ring_fd(const struct blk_ring *ring);

/* blk_ring_timeout - ms until submitting is worth while again, -1: nothing is queued. */
int blk_ring_timeout(const struct blk_ring *ring);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk's steps through io_uring, many at a time.  After its creation it
 * belongs to the disk's own thread.
 */
#ifndef VMM_VIRTIO_BLK_RING_H
#define VMM_VIRTIO_BLK_RING_H

#include <stdbool.h>

#include "virtio/blk_request.h"

#define BLK_DEPTH 64 /* requests in flight */

struct blk_ring;

/*
 * blk_ring_create - a ring that can read, write, flush and allocate the file @fd and do nothing
 * else.  NULL if the kernel does not offer io_uring.  To be called before the process is
 * confined.
 */
struct blk_ring *blk_ring_create(int fd);

/* blk_ring_destroy - nothing is in flight any more. */
void blk_ring_destroy(struct blk_ring *ring);

/*
 * blk_ring_queue - queue the step of @req; at most BLK_DEPTH may be queued or in flight.  @req
 * must stay until it is reaped.
 */
void blk_ring_queue(struct blk_ring *ring, struct blk_request *req);

/* blk_ring_cancel - ask the kernel to cancel the @nr requests in flight. */
void blk_ring_cancel(struct blk_ring *ring, struct blk_request *const *reqs, unsigned int nr);

/*
 * blk_ring_submit - submit what is queued.  The kernel may do some of it before this returns, so
 * the device's lock must not be held.
 */
void blk_ring_submit(struct blk_ring *ring);

/* blk_ring_reap - a request whose step has completed, with its @result; NULL: none. */
struct blk_request *blk_ring_reap(struct blk_ring *ring, long *result);

/* blk_ring_busy - the number of steps that are queued or in flight. */
unsigned int blk_ring_busy(const struct blk_ring *ring);

/* blk_ring_fd - readable when there is something to reap. */
int blk_ring_fd(const struct blk_ring *ring);

/* blk_ring_timeout - milliseconds until the next submission; -1: nothing is queued. */
int blk_ring_timeout(const struct blk_ring *ring);

#endif

// SPDX-License-Identifier: BSD-2-Clause
/*
 * io_uring for a disk.  What it does is not seen by seccomp, so the ring itself is
 * restricted: to the operations below, on the one file that is registered with it.
 */
#include "virtio/blk_ring.h"

#include <liburing.h>
#include <stdlib.h>

/* For each request there may be a cancellation; the completion ring is twice as large. */
#define ENTRIES	 (2 * BLK_DEPTH)
#define WORKERS	 32 /* kernel threads for operations that would block */
#define RETRY_MS 10 /* the kernel was out of memory */

struct blk_ring {
	struct io_uring uring;
	unsigned int busy;
	bool stuck; /* the last submission failed */
};

/* liburing 2.3 declares functions for this, but its shared object does not have them. */
static int enable(struct io_uring *uring)
{
	return io_uring_register(uring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

static int restrict_to_disk(struct io_uring *uring)
{
	static const uint8_t ops[] = { IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC,
				       IORING_OP_FALLOCATE, IORING_OP_ASYNC_CANCEL };
	struct io_uring_restriction rules[sizeof(ops) + 1] = { 0 };
	unsigned int n;

	for (n = 0; n < sizeof(ops); n++) {
		rules[n].opcode = IORING_RESTRICTION_SQE_OP;
		rules[n].sqe_op = ops[n];
	}
	rules[n].opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED;
	rules[n++].sqe_flags = IOSQE_FIXED_FILE;
	return io_uring_register(uring->ring_fd, IORING_REGISTER_RESTRICTIONS, rules, n);
}

struct blk_ring *blk_ring_create(int fd)
{
	struct io_uring_params params = { .flags = IORING_SETUP_R_DISABLED };
	unsigned int workers[2] = { WORKERS, WORKERS };
	struct blk_ring *ring = calloc(1, sizeof(*ring));

	if (!ring || io_uring_queue_init_params(ENTRIES, &ring->uring, &params)) {
		free(ring);
		return NULL;
	}
	/* Older kernels have limits of their own. */
	io_uring_register_iowq_max_workers(&ring->uring, workers);
	if (!(params.features & IORING_FEAT_NODROP) ||
	    io_uring_register_files(&ring->uring, &fd, 1) || restrict_to_disk(&ring->uring) ||
	    enable(&ring->uring)) {
		blk_ring_destroy(ring);
		return NULL;
	}
	return ring;
}

void blk_ring_destroy(struct blk_ring *ring)
{
	if (!ring)
		return;
	io_uring_queue_exit(&ring->uring);
	free(ring);
}

/* Never fails: the ring has room for all that is queued. */
static struct io_uring_sqe *get_sqe(struct blk_ring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

	if (!sqe)
		abort();
	ring->busy++;
	return sqe;
}

/* The image is registered file 0. */
void blk_ring_queue(struct blk_ring *ring, struct blk_request *req)
{
	struct io_uring_sqe *sqe = get_sqe(ring);
	const struct blk_step *step = &req->step;

	switch (step->op) {
	case BLK_READ:
		io_uring_prep_readv(sqe, 0, step->iov, step->nr, step->offset);
		break;
	case BLK_WRITE:
		io_uring_prep_writev(sqe, 0, step->iov, step->nr, step->offset);
		break;
	case BLK_SYNC:
		io_uring_prep_fsync(sqe, 0, IORING_FSYNC_DATASYNC);
		break;
	case BLK_ALLOCATE:
		io_uring_prep_fallocate(sqe, 0, step->mode, step->offset, step->len);
		break;
	case BLK_DONE:
		abort();
	}
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data(sqe, req);
}

void blk_ring_cancel(struct blk_ring *ring, struct blk_request *const *reqs, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		struct io_uring_sqe *sqe = get_sqe(ring);

		io_uring_prep_cancel(sqe, reqs[i], 0);
		io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
		io_uring_sqe_set_data(sqe, NULL);
	}
}

void blk_ring_submit(struct blk_ring *ring)
{
	ring->stuck = io_uring_submit(&ring->uring) < 0;
}

struct blk_request *blk_ring_reap(struct blk_ring *ring, long *result)
{
	struct blk_request *req = NULL;
	struct io_uring_cqe *cqe;

	while (!req && io_uring_peek_batch_cqe(&ring->uring, &cqe, 1)) {
		req = io_uring_cqe_get_data(cqe);
		*result = cqe->res;
		io_uring_cqe_seen(&ring->uring, cqe);
		ring->busy--;
	}
	return req;
}

unsigned int blk_ring_busy(const struct blk_ring *ring)
{
	return ring->busy;
}

int blk_ring_fd(const struct blk_ring *ring)
{
	return ring->uring.ring_fd;
}

int blk_ring_timeout(const struct blk_ring *ring)
{
	if (!io_uring_sq_ready(&ring->uring))
		return -1;
	return ring->stuck ? RETRY_MS : 0;
}

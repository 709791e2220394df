// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a virtio-blk request asks for (virtio 1.2, 5.2.6), cut into steps.  Data goes straight
 * between the image and guest memory, in chunks, so that a reset or the VM's end waits for
 * those under way at most.
 */
#include "virtio/blk_request.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#define DATA_MAX   (256u << 20) /* bytes in one request; Linux asks for 1280 KiB */
#define ZERO_CHUNK (64u << 20) /* larger than BLK_CHUNK: the file system only records them */
#define RETRIES	   100 /* of one step that was interrupted */

static uint8_t zeroes[65536]; /* never written */

static void finish(struct blk_request *req, uint8_t status)
{
	req->step.op = BLK_DONE;
	req->status = status;
	if (status != VIRTIO_BLK_S_OK)
		req->kind = BLK_KIND_ERROR;
}

/* Cut @skip bytes off the front of the buffers.  The caller knows that there are as many. */
static void iov_skip(struct blk_request *req, size_t skip)
{
	while (skip && req->nr) {
		size_t n = req->iov->iov_len < skip ? req->iov->iov_len : skip;

		req->iov->iov_base = (uint8_t *)req->iov->iov_base + n;
		req->iov->iov_len -= n;
		skip -= n;
		if (!req->iov->iov_len) {
			req->iov++;
			req->nr--;
		}
	}
}

/* As many of the buffers as hold BLK_CHUNK bytes; of a larger one that much. */
static void next_chunk(struct blk_request *req)
{
	const struct iovec *iov = req->iov;
	size_t len = 0;
	unsigned int n;

	for (n = 0; n < req->nr && n < IOV_MAX && len + iov[n].iov_len <= BLK_CHUNK; n++)
		len += iov[n].iov_len;
	if (!len) {
		req->one = (struct iovec){ iov[n].iov_base, BLK_CHUNK };
		iov = &req->one;
		n = 1;
	}
	req->step = (struct blk_step){
		.op = req->kind == BLK_KIND_WRITE ? BLK_WRITE : BLK_READ,
		.iov = iov,
		.nr = n,
		.offset = req->offset,
	};
}

static void data_moved(struct blk_request *req)
{
	if (req->kind == BLK_KIND_READ)
		req->written = req->len;
	if (req->kind == BLK_KIND_WRITE && req->sync)
		req->step = (struct blk_step){ .op = BLK_SYNC };
	else
		finish(req, VIRTIO_BLK_S_OK);
}

/* Continue a short transfer where it stopped. */
static void moved(struct blk_request *req, long result)
{
	if (result <= 0) { /* 0: the image shrank */
		finish(req, VIRTIO_BLK_S_IOERR);
		return;
	}
	iov_skip(req, result);
	req->offset += result;
	req->left -= result;
	if (req->left)
		next_chunk(req);
	else
		data_moved(req);
}

static bool in_range(const struct blk_image *image, uint64_t sector, uint64_t count)
{
	return sector <= image->sectors && count <= image->sectors - sector;
}

static void begin_data(struct blk_request *req, const struct blk_image *image, uint64_t sector)
{
	struct virtq_chain *c = &req->chain;
	bool write = req->kind == BLK_KIND_WRITE;
	size_t len = write ? c->out_len - sizeof(struct virtio_blk_outhdr) : c->in_len;

	if (len % BLK_SECTOR || len > DATA_MAX || !in_range(image, sector, len / BLK_SECTOR) ||
	    (write && image->readonly)) {
		finish(req, VIRTIO_BLK_S_IOERR);
		return;
	}
	req->iov = write ? c->iov : c->iov + c->nr_out;
	req->nr = write ? c->nr_out : c->nr_in;
	if (write)
		iov_skip(req, sizeof(struct virtio_blk_outhdr));
	req->offset = sector * BLK_SECTOR;
	req->len = req->left = len;
	if (len)
		next_chunk(req);
	else
		data_moved(req);
}

/* Use the file system's own operation where it has one. */
static void next_range(struct blk_request *req)
{
	req->step.op = BLK_ALLOCATE;
	req->step.offset = req->offset;
	req->step.len = req->left < ZERO_CHUNK ? req->left : ZERO_CHUNK;
}

static void next_zeroes(struct blk_request *req)
{
	req->one = (struct iovec){ zeroes,
				   req->left < sizeof(zeroes) ? req->left : sizeof(zeroes) };
	req->step = (struct blk_step){
		.op = BLK_WRITE, .iov = &req->one, .nr = 1, .offset = req->offset
	};
}

static void next_segment(struct blk_request *req, const struct blk_image *image)
{
	struct virtio_blk_discard_write_zeroes seg;
	bool unmap;

	do {
		if (req->segment >= req->chain.out_len) {
			finish(req, VIRTIO_BLK_S_OK);
			return;
		}
		chain_read(&req->chain, req->segment, &seg, sizeof(seg));
		req->segment += sizeof(seg);
		if (seg.num_sectors > BLK_DISCARD_MAX ||
		    !in_range(image, seg.sector, seg.num_sectors)) {
			finish(req, VIRTIO_BLK_S_IOERR);
			return;
		}
		if (seg.flags & ~(req->zero ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0)) {
			finish(req, VIRTIO_BLK_S_UNSUPP);
			return;
		}
	} while (!seg.num_sectors);
	unmap = !req->zero || seg.flags;
	req->offset = seg.sector * BLK_SECTOR;
	req->left = (uint64_t)seg.num_sectors * BLK_SECTOR;
	req->step = (struct blk_step){
		.mode = FALLOC_FL_KEEP_SIZE |
			(unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE),
	};
	next_range(req);
}

static void allocated(struct blk_request *req, const struct blk_image *image, long result)
{
	/* A discard is only a hint; write zeroes must zero. */
	if (result < 0 && req->zero) {
		next_zeroes(req);
		return;
	}
	req->offset += req->step.len;
	req->left -= req->step.len;
	if (req->left && result >= 0)
		next_range(req);
	else
		next_segment(req, image);
}

static void zeroes_written(struct blk_request *req, const struct blk_image *image, long result)
{
	if (result <= 0) {
		finish(req, VIRTIO_BLK_S_IOERR);
		return;
	}
	req->offset += result;
	req->left -= result;
	if (req->left)
		next_zeroes(req);
	else
		next_segment(req, image);
}

static void begin_discard(struct blk_request *req, const struct blk_image *image)
{
	size_t len = req->chain.out_len - sizeof(struct virtio_blk_outhdr);
	size_t size = sizeof(struct virtio_blk_discard_write_zeroes);

	if (image->readonly || len % size || len / size > BLK_DISCARD_SEG) {
		finish(req, VIRTIO_BLK_S_IOERR);
		return;
	}
	req->segment = sizeof(struct virtio_blk_outhdr);
	next_segment(req, image);
}

/*
 * Take the status byte, the last of the in-buffers, out of the chain, so that what is
 * left there is data.  NULL when the driver left no room for it.
 */
static uint8_t *take_status(struct virtq_chain *c)
{
	for (unsigned int i = c->nr_out + c->nr_in; i-- > c->nr_out;) {
		struct iovec *iov = &c->iov[i];

		if (!iov->iov_len)
			continue;
		iov->iov_len--;
		c->in_len--;
		return (uint8_t *)iov->iov_base + iov->iov_len;
	}
	return NULL;
}

bool blk_request_begin(struct blk_request *req, const struct blk_image *image, bool sync)
{
	struct virtio_blk_outhdr hdr;

	req->step.op = BLK_DONE;
	req->kind = BLK_KIND_ERROR;
	req->written = 0;
	req->len = 0;
	req->left = 0;
	req->zero = false;
	req->sync = sync;
	req->retries = 0;
	req->status_byte = take_status(&req->chain);
	if (!req->status_byte)
		return false;
	if (chain_read(&req->chain, 0, &hdr, sizeof(hdr)) != sizeof(hdr)) {
		finish(req, VIRTIO_BLK_S_IOERR);
		return true;
	}
	switch (hdr.type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		req->kind = hdr.type == VIRTIO_BLK_T_IN ? BLK_KIND_READ : BLK_KIND_WRITE;
		begin_data(req, image, hdr.sector);
		break;
	case VIRTIO_BLK_T_FLUSH:
		req->kind = BLK_KIND_FLUSH;
		req->step = (struct blk_step){ .op = BLK_SYNC };
		break;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		req->kind = BLK_KIND_DISCARD;
		req->zero = hdr.type == VIRTIO_BLK_T_WRITE_ZEROES;
		begin_discard(req, image);
		break;
	case VIRTIO_BLK_T_GET_ID:
		req->kind = BLK_KIND_READ;
		req->written = chain_write(&req->chain, 0, image->serial, sizeof(image->serial));
		finish(req, VIRTIO_BLK_S_OK);
		break;
	default:
		finish(req, VIRTIO_BLK_S_UNSUPP);
	}
	return true;
}

void blk_request_step(struct blk_request *req, const struct blk_image *image, long result)
{
	if ((result == -EINTR || result == -EAGAIN) && req->retries++ < RETRIES)
		return;
	req->retries = 0;
	switch (req->step.op) {
	case BLK_READ:
	case BLK_WRITE:
		if (req->kind == BLK_KIND_DISCARD)
			zeroes_written(req, image, result);
		else
			moved(req, result);
		break;
	case BLK_SYNC:
		/* A read-only image may be on a file system that cannot flush. */
		finish(req,
		       result < 0 && !image->readonly ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
		break;
	case BLK_ALLOCATE:
		allocated(req, image, result);
		break;
	case BLK_DONE:
		break;
	}
}

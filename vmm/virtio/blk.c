// SPDX-License-Identifier: BSD-2-Clause
/*
 * virtio-blk (virtio 1.2, 5.2): reads, writes, flush, discard, write-zeroes, id.
 * Requests are served in order in the disk's own thread, straight between the image
 * and guest memory, in chunks, so that a reset or the VM's end waits for one at most.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/config.h"
#include "devices/board.h"
#include "host/metrics.h"
#include "virtio/disk.h"
#include "virtio/virtio.h"

#define SECTOR	    512
#define BLOCK	    4096
#define SEG_MAX	    (VIRTQ_MAX_SIZE - 2)
#define DISCARD_MAX (1u << 22) /* sectors in one discard segment: 2 GiB */
#define DISCARD_SEG 16
#define BATCH	    16 /* completions before the driver is interrupted */
#define DATA_MAX    (256u << 20) /* bytes in one request; Linux asks for 1280 KiB */
#define CHUNK	    (1u << 20)	 /* bytes between two looks at whether to go on */
#define ZERO_CHUNK  (64u << 20)	 /* the same, where the file system only notes them */

enum { OP_READ, OP_WRITE, OP_FLUSH, OP_DISCARD, OP_ERROR, OP_COUNT };

static const char *const op_labels[OP_COUNT] = { "read", "write", "flush", "discard", "error" };

struct blk {
	struct virtio_device dev;
	struct virtio_blk_config config;
	struct virtq_chain chain;
	char serial[VIRTIO_BLK_ID_BYTES];
	int fd;
	bool readonly;
	uint64_t sectors;
	uint64_t ops[OP_COUNT];
	uint64_t bytes_read, bytes_written;
};

/* Cut @skip bytes off the front of the buffers.  The caller knows that there are as many. */
static void iov_skip(struct iovec **iov, unsigned int *nr, size_t skip)
{
	while (skip && *nr) {
		size_t n = (*iov)->iov_len < skip ? (*iov)->iov_len : skip;

		(*iov)->iov_base = (uint8_t *)(*iov)->iov_base + n;
		(*iov)->iov_len -= n;
		skip -= n;
		if (!(*iov)->iov_len) {
			(*iov)++;
			(*nr)--;
		}
	}
}

/*
 * The first @nr_out buffers of @iov that hold at most CHUNK bytes; where the first one alone
 * is larger, that much of it, in *@one.
 */
static const struct iovec *first_chunk(const struct iovec *iov, unsigned int nr,
				       unsigned int *nr_out, struct iovec *one)
{
	size_t len = 0;
	unsigned int n;

	for (n = 0; n < nr && n < IOV_MAX && len + iov[n].iov_len <= CHUNK; n++)
		len += iov[n].iov_len;
	*nr_out = n;
	if (n)
		return iov;
	*one = (struct iovec){ iov->iov_base, CHUNK };
	*nr_out = 1;
	return one;
}

/* Move @len bytes; short transfers go on where they stopped.  0 or -errno. */
static int transfer(struct blk *blk, bool write, struct iovec *iov, unsigned int nr, size_t len,
		    uint64_t offset)
{
	while (len) {
		const struct iovec *chunk;
		unsigned int count;
		struct iovec one;
		ssize_t n;

		if (virtio_cancelled(&blk->dev))
			return -ECANCELED;
		chunk = first_chunk(iov, nr, &count, &one);
		n = write ? pwritev(blk->fd, chunk, count, offset) :
			    preadv(blk->fd, chunk, count, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -EIO; /* the image shrank */
		iov_skip(&iov, &nr, n);
		len -= n;
		offset += n;
	}
	return 0;
}

static bool in_range(const struct blk *blk, uint64_t sector, uint64_t count)
{
	return sector <= blk->sectors && count <= blk->sectors - sector;
}

static uint8_t do_rw(struct blk *blk, uint64_t sector, bool write, uint32_t *written)
{
	struct virtq_chain *c = &blk->chain;
	struct iovec *iov = write ? c->iov : c->iov + c->nr_out;
	unsigned int nr = write ? c->nr_out : c->nr_in;
	size_t len = write ? c->out_len - sizeof(struct virtio_blk_outhdr) : c->in_len;

	if (len % SECTOR || len > DATA_MAX || !in_range(blk, sector, len / SECTOR) || (write && blk->readonly))
		return VIRTIO_BLK_S_IOERR;
	if (write)
		iov_skip(&iov, &nr, sizeof(struct virtio_blk_outhdr));
	if (transfer(blk, write, iov, nr, len, sector * SECTOR))
		return VIRTIO_BLK_S_IOERR;
	if (!write)
		*written = len;
	counter_add(write ? &blk->bytes_written : &blk->bytes_read, len);
	/* A driver without flush expects its writes to last. */
	if (write && !(blk->dev.features >> VIRTIO_BLK_F_FLUSH & 1) && fdatasync(blk->fd))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

static int write_zeroes(struct blk *blk, uint64_t offset, uint64_t len)
{
	static const uint8_t zeroes[65536];

	while (len) {
		size_t n = len < sizeof(zeroes) ? len : sizeof(zeroes);
		ssize_t done;

		if (virtio_cancelled(&blk->dev))
			return -ECANCELED;
		done = pwrite(blk->fd, zeroes, n, offset);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 ? -errno : -EIO;
		offset += done;
		len -= done;
	}
	return 0;
}

/* By the file system where it can; 0 or -errno. */
static int zero_range(struct blk *blk, int mode, uint64_t offset, uint64_t len)
{
	while (len) {
		uint64_t n = len < ZERO_CHUNK ? len : ZERO_CHUNK;

		if (virtio_cancelled(&blk->dev))
			return -ECANCELED;
		if (fallocate(blk->fd, FALLOC_FL_KEEP_SIZE | mode, offset, n)) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		offset += n;
		len -= n;
	}
	return 0;
}

static uint8_t discard_segment(struct blk *blk, bool zero,
			       const struct virtio_blk_discard_write_zeroes *seg)
{
	uint64_t offset = seg->sector * SECTOR, len = (uint64_t)seg->num_sectors * SECTOR;
	int mode = !zero || seg->flags ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;

	if (seg->num_sectors > DISCARD_MAX || !in_range(blk, seg->sector, seg->num_sectors))
		return VIRTIO_BLK_S_IOERR;
	if (seg->flags & ~(zero ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0))
		return VIRTIO_BLK_S_UNSUPP;
	/* A discard is only a hint; zeroes are a promise. */
	if (zero_range(blk, mode, offset, len) && zero && write_zeroes(blk, offset, len))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

static uint8_t do_discard(struct blk *blk, bool zero)
{
	struct virtio_blk_discard_write_zeroes seg;
	struct virtq_chain *c = &blk->chain;
	size_t at = sizeof(struct virtio_blk_outhdr);
	uint8_t status = VIRTIO_BLK_S_OK;

	if (blk->readonly || (c->out_len - at) % sizeof(seg) ||
	    (c->out_len - at) / sizeof(seg) > DISCARD_SEG)
		return VIRTIO_BLK_S_IOERR;
	for (; at < c->out_len && status == VIRTIO_BLK_S_OK; at += sizeof(seg)) {
		chain_read(c, at, &seg, sizeof(seg));
		status = discard_segment(blk, zero, &seg);
	}
	return status;
}

/* A read-only image may lie where there is nothing to flush. */
static uint8_t do_flush(struct blk *blk)
{
	return fdatasync(blk->fd) && !blk->readonly ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK;
}

/* serve - one request; returns the status byte. */
static uint8_t serve(struct blk *blk, uint32_t *written)
{
	struct virtq_chain *c = &blk->chain;
	struct virtio_blk_outhdr hdr;
	unsigned int op = OP_ERROR;
	uint8_t status = VIRTIO_BLK_S_UNSUPP;

	if (chain_read(c, 0, &hdr, sizeof(hdr)) != sizeof(hdr))
		return VIRTIO_BLK_S_IOERR;
	switch (hdr.type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		op = hdr.type == VIRTIO_BLK_T_IN ? OP_READ : OP_WRITE;
		status = do_rw(blk, hdr.sector, op == OP_WRITE, written);
		break;
	case VIRTIO_BLK_T_FLUSH:
		op = OP_FLUSH;
		status = do_flush(blk);
		break;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		op = OP_DISCARD;
		status = do_discard(blk, hdr.type == VIRTIO_BLK_T_WRITE_ZEROES);
		break;
	case VIRTIO_BLK_T_GET_ID:
		op = OP_READ;
		*written = chain_write(c, 0, blk->serial, sizeof(blk->serial));
		status = VIRTIO_BLK_S_OK;
		break;
	}
	counter_add(&blk->ops[status == VIRTIO_BLK_S_OK ? op : OP_ERROR], 1);
	return status;
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

/* One request, with the lock let go meanwhile; false when the queue is gone after it. */
static bool blk_request(struct blk *blk, struct virtq *vq)
{
	struct virtq_chain *c = &blk->chain;
	uint8_t *status = take_status(c), result;
	uint32_t written = 0;

	if (!status) {
		virtio_broken(&blk->dev, "queue %u: a request without a status byte", vq->index);
		return false;
	}
	virtio_io_begin(&blk->dev);
	result = serve(blk, &written);
	if (!virtio_io_end(&blk->dev))
		return false;
	*status = result;
	virtq_push(vq, c, written + 1);
	return true;
}

static void blk_notify(struct virtio_device *dev, unsigned int q)
{
	struct blk *blk = (struct blk *)dev;
	struct virtq *vq = &dev->queues[q];
	unsigned int batch = 0;

	do {
		virtq_quiet(vq);
		while (virtq_pop(vq, &blk->chain) > 0) {
			if (!blk_request(blk, vq))
				return;
			if (++batch % BATCH == 0)
				virtq_flush(vq);
		}
		virtq_flush(vq);
	} while (virtq_rearm(vq));
}

static void blk_config_read(struct virtio_device *dev, uint32_t off, uint8_t *data,
			    unsigned int len)
{
	struct blk *blk = (struct blk *)dev;

	if (off < sizeof(blk->config) && len <= sizeof(blk->config) - off)
		memcpy(data, (uint8_t *)&blk->config + off, len);
}

static void blk_destroy(struct virtio_device *dev)
{
	struct blk *blk = (struct blk *)dev;

	virtio_free_common(dev); /* ends the thread first */
	if (blk->fd >= 0)
		close(blk->fd);
	free(blk);
}

static const struct virtio_ops blk_ops = {
	.kind = "blk",
	.id = VIRTIO_ID_BLOCK,
	.pci_class = 0x010000,
	.nr_queues = 1,
	.config_read = blk_config_read,
	.notify = blk_notify,
	.destroy = blk_destroy,
	.thread = SECCOMP_DISK,
};

static int add_metrics(struct blk *blk)
{
	struct metrics *m = blk->dev.board->metrics;
	char labels[64];
	int ret = 0;

	for (unsigned int i = 0; i < OP_COUNT && !ret; i++) {
		snprintf(labels, sizeof(labels), "device=\"%s\",op=\"%s\"", blk->dev.name,
			 op_labels[i]);
		ret = metrics_counter(m, "disk_requests_total", "Disk requests by kind", labels,
				      &blk->ops[i]);
	}
	snprintf(labels, sizeof(labels), "device=\"%s\"", blk->dev.name);
	if (!ret)
		ret = metrics_counter(m, "disk_read_bytes_total", "Bytes read from disks", labels,
				      &blk->bytes_read);
	if (!ret)
		ret = metrics_counter(m, "disk_written_bytes_total", "Bytes written to disks",
				      labels, &blk->bytes_written);
	return ret;
}

int virtio_blk_create(struct board *board, const struct disk_config *config, unsigned int index,
		      struct err *err)
{
	struct blk *blk = calloc(1, sizeof(*blk));
	uint64_t features = 1ull << VIRTIO_BLK_F_SEG_MAX | 1ull << VIRTIO_BLK_F_BLK_SIZE |
			    1ull << VIRTIO_BLK_F_FLUSH | 1ull << VIRTIO_BLK_F_TOPOLOGY;
	uint64_t size;
	int ret;

	if (!blk)
		return err_set(err, -ENOMEM, "disk %s: out of memory", config->path);
	features |= config->readonly ? 1ull << VIRTIO_BLK_F_RO :
				       1ull << VIRTIO_BLK_F_DISCARD |
					       1ull << VIRTIO_BLK_F_WRITE_ZEROES;
	blk->fd = -1;
	ret = virtio_init(&blk->dev, board, &blk_ops, index, features, err);
	if (ret)
		goto out;
	blk->dev.notify_exit = config->notify_exit;
	blk->fd = disk_open(config, &size, err);
	if (blk->fd < 0) {
		ret = blk->fd;
		goto out;
	}
	blk->readonly = config->readonly;
	blk->sectors = size / SECTOR;
	if (config->serial[0])
		memcpy(blk->serial, config->serial, sizeof(blk->serial));
	else
		snprintf(blk->serial, sizeof(blk->serial), "symvmm-%u", index);
	blk->config = (struct virtio_blk_config){
		.capacity = blk->sectors,
		.seg_max = SEG_MAX,
		.blk_size = SECTOR,
		.physical_block_exp = 3,
		.opt_io_size = 1,
		.max_discard_sectors = DISCARD_MAX,
		.max_discard_seg = DISCARD_SEG,
		.discard_sector_alignment = BLOCK / SECTOR,
		.max_write_zeroes_sectors = DISCARD_MAX,
		.max_write_zeroes_seg = DISCARD_SEG,
		.write_zeroes_may_unmap = 1,
	};
	ret = add_metrics(blk);
out:
	return virtio_attach(&blk->dev, ret, err);
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * virtio-blk (virtio 1.2, 5.2): the device.  Requests are taken as the driver offers them and
 * are in flight together, through a ring (blk_ring.c), or are served one after the other if there
 * is no ring.  Everything runs in the disk's own thread.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/config.h"
#include "core/poll_set.h"
#include "devices/board.h"
#include "host/metrics.h"
#include "virtio/blk_request.h"
#include "virtio/blk_ring.h"
#include "virtio/disk.h"
#include "virtio/virtio.h"

#define BLOCK	      4096
#define SEG_MAX	      (VIRTQ_MAX_SIZE - 2)
#define BATCH	      16 /* requests before the driver is interrupted */
#define IN_FLIGHT_MAX (8u << 20) /* bytes: what a reset waits for */

static const char *const kind_labels[BLK_KINDS] = { "read", "write", "flush", "discard",
						    "error" };

struct blk {
	struct virtio_device dev;
	struct virtio_blk_config config;
	struct blk_image image;
	struct blk_ring *ring; /* NULL: one request at a time */
	/* The first nr_busy of the table are in use; the next one is the most recently used. */
	struct blk_request *requests;
	struct blk_request *table[BLK_DEPTH];
	unsigned int nr_busy, depth;
	size_t in_flight; /* the most bytes that the next steps of all requests move */
	bool held; /* a reset waits for the ring */
	bool cancelled; /* the requests in the ring were cancelled */
	bool full; /* requests were left in the queue, for lack of room */
	uint64_t ops[BLK_KINDS];
	uint64_t bytes_read, bytes_written;
};

static bool has_room(const struct blk *blk)
{
	return blk->nr_busy < blk->depth && blk->in_flight < IN_FLIGHT_MAX;
}

static void use_request(struct blk *blk, struct blk_request *req)
{
	req->place = blk->nr_busy++;
	req->weight = req->left < BLK_CHUNK ? req->left : BLK_CHUNK;
	blk->in_flight += req->weight;
}

static void free_request(struct blk *blk, struct blk_request *req)
{
	struct blk_request *last = blk->table[--blk->nr_busy];

	blk->in_flight -= req->weight;
	blk->table[req->place] = last;
	last->place = req->place;
	blk->table[blk->nr_busy] = req;
}

/* Return @req, which is done, to the driver. */
static void complete(struct blk *blk, struct virtq *vq, struct blk_request *req)
{
	counter_add(&blk->ops[req->kind], 1);
	if (req->kind == BLK_KIND_READ)
		counter_add(&blk->bytes_read, req->len);
	else if (req->kind == BLK_KIND_WRITE)
		counter_add(&blk->bytes_written, req->len);
	*req->status_byte = req->status;
	virtq_push(vq, &req->chain, req->written + 1);
}

/* Do all of @req with the lock released; false if the queue no longer exists afterwards. */
static bool serve(struct blk *blk, struct blk_request *req)
{
	virtio_io_begin(&blk->dev);
	while (req->step.op != BLK_DONE && !virtio_cancelled(&blk->dev))
		blk_request_step(req, &blk->image, blk_io(blk->image.fd, &req->step));
	return virtio_io_end(&blk->dev);
}

/*
 * A single write goes to the page cache at once: through the ring, many file systems would leave
 * it to a kernel thread.
 */
static bool at_once(const struct blk *blk, struct virtq *vq, const struct blk_request *req)
{
	return !blk->ring || (req->step.op == BLK_WRITE && !blk->nr_busy && !virtq_more(vq));
}

/* Start the request popped last; false if the queue no longer exists afterwards. */
static bool start(struct blk *blk, struct virtq *vq, struct blk_request *req)
{
	/* A driver without flush expects its writes to last. */
	bool sync = !(blk->dev.features >> VIRTIO_BLK_F_FLUSH & 1);

	if (!blk_request_begin(req, &blk->image, sync)) {
		virtio_broken(&blk->dev, "queue %u: a request without a status byte", vq->index);
		return false;
	}
	if (req->step.op != BLK_DONE && at_once(blk, vq, req) && !serve(blk, req))
		return false;
	if (req->step.op == BLK_DONE) {
		complete(blk, vq, req);
		return true;
	}
	use_request(blk, req);
	blk_ring_queue(blk->ring, req);
	return true;
}

/* A reset must not pass while the ring has requests. */
static void update_hold(struct blk *blk)
{
	bool busy = blk_ring_busy(blk->ring);

	if (busy && !blk->held)
		virtio_hold(&blk->dev);
	else if (!busy && blk->held)
		virtio_release(&blk->dev);
	blk->held = busy;
	blk->cancelled &= busy;
}

/* For each completed step, return the request or queue its next step. */
static void reap(struct blk *blk, struct virtq *vq)
{
	struct blk_request *req;
	long result;

	while ((req = blk_ring_reap(blk->ring, &result))) {
		bool gone = virtio_cancelled(&blk->dev);

		blk_request_step(req, &blk->image, result);
		if (!gone && req->step.op != BLK_DONE) {
			blk_ring_queue(blk->ring, req);
			continue;
		}
		if (!gone)
			complete(blk, vq, req);
		free_request(blk, req);
	}
}

/* Submit queued steps and reap completed ones; false if the queue no longer exists. */
static bool move_on(struct blk *blk, struct virtq *vq)
{
	bool ok = true;

	if (blk->ring) {
		update_hold(blk);
		if (blk_ring_timeout(blk->ring) >= 0) {
			virtio_io_begin(&blk->dev);
			blk_ring_submit(blk->ring);
			ok = virtio_io_end(&blk->dev);
		}
		reap(blk, vq);
		update_hold(blk);
	}
	if (ok)
		virtq_flush(vq);
	return ok;
}

/* Take what the driver offers, as far as there is room. */
static void take(struct blk *blk, struct virtq *vq)
{
	unsigned int batch = 0;

	do {
		virtq_quiet(vq);
		while (has_room(blk)) {
			struct blk_request *req = blk->table[blk->nr_busy];

			if (virtq_pop(vq, &req->chain) <= 0)
				break;
			if (!start(blk, vq, req))
				break;
			if (++batch % BATCH == 0 && !move_on(blk, vq))
				return;
		}
		if (!move_on(blk, vq))
			return;
		blk->full = !has_room(blk);
	} while (!blk->full && !virtio_cancelled(&blk->dev) && virtq_rearm(vq));
}

/* Return completed requests, and take those that had no room before. */
static void resume(struct blk *blk, struct virtq *vq)
{
	if (move_on(blk, vq) && blk->full && has_room(blk))
		take(blk, vq);
}

/* In unit tests there is no thread that does this. */
static void finish(struct blk *blk, struct virtq *vq)
{
	while (blk->held) {
		struct pollfd pfd = { blk_ring_fd(blk->ring), POLLIN, 0 };

		poll(&pfd, 1, blk_ring_timeout(blk->ring));
		resume(blk, vq);
	}
}

static void blk_notify(struct virtio_device *dev, unsigned int q)
{
	struct blk *blk = (struct blk *)dev;
	struct virtq *vq = &dev->queues[q];

	take(blk, vq);
	if (!dev->board->loop)
		finish(blk, vq);
}

static void blk_poll_fill(struct virtio_device *dev, struct poll_set *set)
{
	struct blk *blk = (struct blk *)dev;
	int timeout;

	if (!blk->held)
		return;
	timeout = blk_ring_timeout(blk->ring);
	if (poll_set_add(set, blk_ring_fd(blk->ring), POLLIN) < 0)
		timeout = 1;
	if (timeout >= 0)
		poll_set_timeout(set, timeout);
}

/* The thread was woken, by the ring or by a reset that waits for it. */
static void blk_poll_done(struct virtio_device *dev, struct poll_set *set)
{
	struct blk *blk = (struct blk *)dev;
	struct virtq *vq = &dev->queues[0];

	if (!blk->held)
		return;
	if (virtio_cancelled(dev) && !blk->cancelled) {
		blk->cancelled = true;
		blk_ring_cancel(blk->ring, blk->table, blk->nr_busy);
	}
	virtq_turn(vq);
	resume(blk, vq);
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
	blk_ring_destroy(blk->ring);
	if (blk->image.fd >= 0)
		close(blk->image.fd);
	free(blk->requests);
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
	.poll_fill = blk_poll_fill,
	.poll_done = blk_poll_done,
	.thread = SECCOMP_DISK,
};

static int add_metrics(struct blk *blk)
{
	struct metrics *m = blk->dev.board->metrics;
	char labels[64];
	int ret = 0;

	for (unsigned int i = 0; i < BLK_KINDS && !ret; i++) {
		snprintf(labels, sizeof(labels), "device=\"%s\",op=\"%s\"", blk->dev.name,
			 kind_labels[i]);
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

/* An image in memory needs no ring: its requests never wait. */
static int make_requests(struct blk *blk, const struct disk_config *config)
{
	if (config->io == DISK_IO_RING ||
	    (config->io == DISK_IO_AUTO && !disk_in_memory(blk->image.fd)))
		blk->ring = blk_ring_create(blk->image.fd);
	blk->depth = blk->ring ? BLK_DEPTH : 1;
	/* Entries that are never used take no memory. */
	blk->requests = calloc(blk->depth, sizeof(*blk->requests));
	if (!blk->requests)
		return -ENOMEM;
	for (unsigned int i = 0; i < blk->depth; i++)
		blk->table[i] = &blk->requests[i];
	return 0;
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
	features |= config->readonly ?
			    1ull << VIRTIO_BLK_F_RO :
			    1ull << VIRTIO_BLK_F_DISCARD | 1ull << VIRTIO_BLK_F_WRITE_ZEROES;
	blk->image.fd = -1;
	ret = virtio_init(&blk->dev, board, &blk_ops, index, features, err);
	if (ret)
		goto out;
	blk->dev.notify_exit = config->notify_exit;
	blk->image.fd = disk_open(config, &size, err);
	if (blk->image.fd < 0) {
		ret = blk->image.fd;
		goto out;
	}
	blk->image.readonly = config->readonly;
	blk->image.sectors = size / BLK_SECTOR;
	if (config->serial[0])
		memcpy(blk->image.serial, config->serial, sizeof(blk->image.serial));
	else
		snprintf(blk->image.serial, sizeof(blk->image.serial), "symvmm-%u", index);
	blk->config = (struct virtio_blk_config){
		.capacity = blk->image.sectors,
		.seg_max = SEG_MAX,
		.blk_size = BLK_SECTOR,
		.physical_block_exp = 3,
		.opt_io_size = 1,
		.max_discard_sectors = BLK_DISCARD_MAX,
		.max_discard_seg = BLK_DISCARD_SEG,
		.discard_sector_alignment = BLOCK / BLK_SECTOR,
		.max_write_zeroes_sectors = BLK_DISCARD_MAX,
		.max_write_zeroes_seg = BLK_DISCARD_SEG,
		.write_zeroes_may_unmap = 1,
	};
	ret = make_requests(blk, config);
	if (ret)
		err_set(err, ret, "disk %s: out of memory", config->path);
	else
		ret = add_metrics(blk);
out:
	return virtio_attach(&blk->dev, ret, err);
}

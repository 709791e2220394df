// SPDX-License-Identifier: BSD-2-Clause
/*
 * virtio-rng: entropy from the host's getrandom().  The smallest device:
 * read it first.
 */
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/random.h>

#include "devices/board.h"
#include "host/metrics.h"
#include "virtio/virtio.h"

#define RNG_MAX 4096 /* bytes for one request; the driver asks again */

struct rng {
	struct virtio_device dev;
	struct virtq_chain chain;
	uint64_t bytes;
};

/* Does not block: the pool was ready when symvmm started.  False: it failed. */
static bool fill(uint8_t *buf, size_t len)
{
	while (len) {
		ssize_t n = getrandom(buf, len, 0);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			buf += n;
			len -= n;
		}
	}
	return true;
}

static void rng_notify(struct virtio_device *dev, unsigned int q)
{
	struct rng *rng = (struct rng *)dev;
	struct virtq *vq = &dev->queues[q];
	struct virtq_chain *c = &rng->chain;
	uint8_t buf[RNG_MAX];

	do {
		while (virtq_pop(vq, c) > 0) {
			size_t want = c->in_len < sizeof(buf) ? c->in_len : sizeof(buf);

			/* The device must put at least one byte in a buffer (5.4.6.2). */
			if (!want || !fill(buf, want)) {
				virtio_broken(dev, "queue %u: %s", q,
					      want ? "the host has no random numbers" :
						     "a buffer without room");
				return;
			}
			virtq_push(vq, c, chain_write(c, 0, buf, want));
			counter_add(&rng->bytes, want);
		}
		virtq_flush(vq);
	} while (virtq_rearm(vq));
}

static void rng_destroy(struct virtio_device *dev)
{
	virtio_free_common(dev);
	free(dev);
}

static const struct virtio_ops rng_ops = {
	.kind = "rng",
	.id = VIRTIO_ID_RNG,
	.pci_class = 0xff0000,
	.nr_queues = 1,
	.notify = rng_notify,
	.destroy = rng_destroy,
};

int virtio_rng_create(struct board *board, struct err *err)
{
	struct rng *rng = calloc(1, sizeof(*rng));
	int ret;

	if (!rng)
		return err_set(err, -ENOMEM, "rng: out of memory");
	ret = virtio_init(&rng->dev, board, &rng_ops, 0, 0, err);
	if (!ret)
		ret = metrics_counter(board->metrics, "rng_bytes_total",
				      "Random bytes given to the guest", NULL, &rng->bytes);
	return virtio_attach(&rng->dev, ret, err);
}

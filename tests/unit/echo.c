// SPDX-License-Identifier: BSD-2-Clause
/* See echo.h. */
#include "echo.h"

#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

static void echo_notify(struct virtio_device *dev, unsigned int q)
{
	struct echo *echo = (struct echo *)dev;
	struct virtq *vq = &dev->queues[q];
	struct virtq_chain *c = &echo->chain;
	char buf[4096];

	echo->notified++;
	do {
		virtq_quiet(vq);
		while (virtq_pop(vq, c) > 0) {
			size_t n = chain_read(c, 0, buf, sizeof(buf));

			echo->served++;
			virtq_push(vq, c, chain_write(c, 0, buf, n));
		}
		virtq_flush(vq);
	} while (virtq_rearm(vq));
}

static void echo_start(struct virtio_device *dev)
{
	((struct echo *)dev)->starts++;
}

static void echo_stop(struct virtio_device *dev)
{
	((struct echo *)dev)->stops++;
}

static void echo_destroy(struct virtio_device *dev)
{
	virtio_free_common(dev);
	free(dev);
}

static const struct virtio_ops echo_ops = {
	.kind = "echo",
	.id = VIRTIO_ID_RNG,
	.pci_class = 0xff0000,
	.nr_queues = 2,
	.start = echo_start,
	.stop = echo_stop,
	.notify = echo_notify,
	.destroy = echo_destroy,
};

int echo_setup(void **state)
{
	struct echo *echo = calloc(1, sizeof(*echo));
	struct err err = { 0 };
	struct guest *g;

	guest_setup(state);
	g = *state;
	assert_non_null(echo);
	assert_int_equal(virtio_init(&echo->dev, &g->board, &echo_ops, 0, 0, &err), 0);
	assert_int_equal(virtio_attach(&echo->dev, 0, &err), 0);
	guest_find(g, VIRTIO_ID_RNG);
	assert_ptr_equal(g->dev, &echo->dev);
	return 0;
}

struct echo *echo_of(struct guest *g)
{
	return (struct echo *)g->dev;
}

uint16_t offer_hello(struct ring *r)
{
	memcpy(guest_ptr(r->g, DATA_GPA), "hello", 5);
	ring_begin(r);
	ring_out(r, DATA_GPA, 5);
	ring_in(r, DATA_GPA + 0x100, 16);
	return ring_offer(r);
}

void echoed_hello(struct ring *r, uint16_t head)
{
	assert_int_equal(ring_take(r, head), 5);
	assert_memory_equal(guest_ptr(r->g, DATA_GPA + 0x100), "hello\0\0\0", 8);
	ring_idle(r);
}

void write_table(struct guest *g)
{
	struct vring_desc table[3] = {
		{ DATA_GPA, 5, VRING_DESC_F_NEXT, 2 },
		{ OUTSIDE_GPA, 1, 0, 0 },
		{ DATA_GPA + 0x100, 16, VRING_DESC_F_WRITE, 0 },
	};

	memcpy(guest_ptr(g, DATA_GPA), "hello", 5);
	memcpy(guest_ptr(g, TABLE_GPA), table, sizeof(table));
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * virtq.c, virtio.c and the PCI transport, with a device that echoes what it is sent:
 * requests as a good driver makes them, and everything a hostile one may try, each of
 * which must end with a broken device and untouched memory.
 */
#include "guest.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct echo {
	struct virtio_device dev;
	struct virtq_chain chain;
	unsigned int notified, served, starts, stops;
};

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

static int setup(void **state)
{
	struct echo *echo = calloc(1, sizeof(*echo));
	struct err err = { 0 };
	struct guest *g;

	guest_setup(state);
	g = *state;
	assert_non_null(echo);
	assert_int_equal(virtio_init(&echo->dev, &g->vm, &echo_ops, 0, 0, &err), 0);
	assert_int_equal(virtio_attach(&echo->dev, &err), 0);
	guest_find(g, VIRTIO_ID_RNG);
	assert_ptr_equal(g->dev, &echo->dev);
	return 0;
}

static struct echo *echo_of(struct guest *g)
{
	return (struct echo *)g->dev;
}

#define EVENT_IDX BIT64(VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT  BIT64(VIRTIO_RING_F_INDIRECT_DESC)

/* "hello" from DATA_GPA, back to DATA_GPA + 0x100. */
static uint16_t offer_hello(struct ring *r)
{
	memcpy(guest_ptr(r->g, DATA_GPA), "hello", 5);
	ring_begin(r);
	ring_out(r, DATA_GPA, 5);
	ring_in(r, DATA_GPA + 0x100, 16);
	return ring_offer(r);
}

static void echoed_hello(struct ring *r, uint16_t head)
{
	assert_int_equal(ring_take(r, head), 5);
	assert_memory_equal(guest_ptr(r->g, DATA_GPA + 0x100), "hello\0\0\0", 8);
	ring_idle(r);
}

/* Requests */

static void test_direct(void **state)
{
	struct ring r;
	uint16_t head;

	guest_start(*state, &r, 0, 8);
	head = offer_hello(&r);
	guest_kick(*state, 0);
	echoed_hello(&r, head);
}

static void test_nothing_offered(void **state)
{
	struct guest *g = *state;
	struct ring r;

	guest_start(g, &r, 0, 8);
	guest_kick(g, 0);
	ring_idle(&r);
	assert_int_equal(g->signals, 0);
	assert_false(g->dev->broken);
}

static void test_scattered(void **state)
{
	struct guest *g = *state;
	struct ring r;
	uint16_t head;

	guest_start(g, &r, 0, 8);
	memcpy(guest_ptr(g, DATA_GPA), "abcdefgh", 8);
	ring_begin(&r);
	ring_out(&r, DATA_GPA, 3);
	ring_out(&r, DATA_GPA + 3, 0);
	ring_out(&r, DATA_GPA + 3, 5);
	ring_in(&r, DATA_GPA + 0x100, 1);
	ring_in(&r, DATA_GPA + 0x200, 2);
	ring_in(&r, DATA_GPA + 0x300, 9);
	head = ring_offer(&r);
	guest_kick(g, 0);
	assert_int_equal(ring_take(&r, head), 8);
	assert_memory_equal(guest_ptr(g, DATA_GPA + 0x100), "a\0", 2);
	assert_memory_equal(guest_ptr(g, DATA_GPA + 0x200), "bc\0", 3);
	assert_memory_equal(guest_ptr(g, DATA_GPA + 0x300), "defgh\0", 6);
}

static void test_chain_of_the_whole_ring(void **state)
{
	struct guest *g = *state;
	struct ring r;
	uint16_t head;

	guest_start(g, &r, 0, 8);
	ring_begin(&r);
	for (int i = 0; i < 8; i++)
		ring_out(&r, DATA_GPA + i, 1);
	head = ring_offer(&r);
	guest_kick(g, 0);
	assert_int_equal(ring_take(&r, head), 0);
	assert_int_equal(echo_of(g)->chain.nr_out, 8);
}

static void test_several_at_once(void **state)
{
	struct guest *g = *state;
	struct ring r;

	guest_start(g, &r, 0, 4);
	for (uint16_t i = 0; i < 4; i++) {
		ring_desc(&r, i, DATA_GPA, i + 1, 0, 0);
		ring_offer_head(&r, i);
	}
	guest_kick(g, 0);
	for (uint16_t i = 0; i < 4; i++)
		ring_take(&r, i);
	ring_idle(&r);
	assert_int_equal(g->signals, 1);
	assert_int_equal(g->vector, 1);
}

/* Two buffers in a table of three, the last of which is not in the chain. */
static void write_table(struct guest *g)
{
	struct vring_desc table[3] = {
		{ DATA_GPA, 5, VRING_DESC_F_NEXT, 2 },
		{ OUTSIDE_GPA, 1, 0, 0 },
		{ DATA_GPA + 0x100, 16, VRING_DESC_F_WRITE, 0 },
	};

	memcpy(guest_ptr(g, DATA_GPA), "hello", 5);
	memcpy(guest_ptr(g, TABLE_GPA), table, sizeof(table));
}

static void test_indirect(void **state)
{
	struct ring r;

	guest_start(*state, &r, INDIRECT, 4);
	write_table(*state);
	ring_desc(&r, 3, TABLE_GPA, 48, VRING_DESC_F_INDIRECT, 0);
	ring_offer_head(&r, 3);
	guest_kick(*state, 0);
	echoed_hello(&r, 3);
}

/* A table may be longer than the ring, and follow direct descriptors (2.7.5.3.2). */
static void test_indirect_after_direct(void **state)
{
	struct ring r;
	struct vring_desc in = { DATA_GPA + 0x100, 16, VRING_DESC_F_WRITE, 0 };

	guest_start(*state, &r, INDIRECT, 2);
	memcpy(guest_ptr(*state, DATA_GPA), "hello", 5);
	memcpy(guest_ptr(*state, TABLE_GPA), &in, sizeof(in));
	ring_desc(&r, 0, DATA_GPA, 5, VRING_DESC_F_NEXT, 1);
	ring_desc(&r, 1, TABLE_GPA, 16, VRING_DESC_F_INDIRECT, 0);
	ring_offer_head(&r, 0);
	guest_kick(*state, 0);
	echoed_hello(&r, 0);
}

static void test_index_wraps(void **state)
{
	struct guest *g = *state;
	struct ring r;

	guest_start(g, &r, 0, 4);
	for (int i = 0; i < 65536 + 10; i++) {
		ring_desc(&r, i % 4, DATA_GPA, 1, 0, 0);
		ring_offer_head(&r, i % 4);
		guest_kick(g, 0);
		ring_take(&r, i % 4);
	}
	ring_idle(&r);
	assert_int_equal(r.used->idx, 10);
	assert_int_equal(g->signals, 65536 + 10);
	assert_false(g->dev->broken);
}

static void test_second_queue(void **state)
{
	struct guest *g = *state;
	struct ring r0, r1;
	uint16_t head;

	guest_negotiate(g, 0);
	guest_ring(g, &r0, 0, 4);
	guest_ring(g, &r1, 1, 8);
	guest_status_add(g, VIRTIO_CONFIG_S_DRIVER_OK);
	head = offer_hello(&r1);
	guest_kick(g, 1);
	echoed_hello(&r1, head);
	ring_idle(&r0);
	assert_int_equal(g->vector, 2);
}

static void test_unpop(void **state)
{
	struct guest *g = *state;
	struct virtq *vq = &g->dev->queues[0];
	struct virtq_chain *c = &echo_of(g)->chain;
	struct ring r;
	uint16_t head;

	guest_start(g, &r, 0, 8);
	head = offer_hello(&r);
	assert_int_equal(virtq_pop(vq, c), 1);
	assert_int_equal(virtq_pop(vq, c), 0);
	virtq_unpop(vq);
	guest_kick(g, 0);
	echoed_hello(&r, head);
}

static void test_staged_is_not_seen(void **state)
{
	struct guest *g = *state;
	struct virtq *vq = &g->dev->queues[0];
	struct virtq_chain *c = &echo_of(g)->chain;
	struct ring r;
	uint16_t a, b;

	guest_start(g, &r, 0, 8);
	a = offer_hello(&r);
	b = offer_hello(&r);
	assert_int_equal(virtq_pop(vq, c), 1);
	virtq_stage(vq, c, 1, 0);
	assert_int_equal(virtq_pop(vq, c), 1);
	virtq_stage(vq, c, 2, 1);
	ring_idle(&r);
	virtq_publish(vq, vq->next_used + 2);
	assert_int_equal(ring_take(&r, a), 1);
	assert_int_equal(ring_take(&r, b), 2);
	ring_idle(&r);
}

/* Interrupts and notifications */

static void test_interrupt_suppressed_by_flag(void **state)
{
	struct guest *g = *state;
	struct ring r;

	guest_start(g, &r, 0, 8);
	r.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	offer_hello(&r);
	guest_kick(g, 0);
	assert_int_equal(g->signals, 0);
	r.avail->flags = 0;
	offer_hello(&r);
	guest_kick(g, 0);
	assert_int_equal(g->signals, 1);
}

static uint16_t *used_event(struct ring *r)
{
	return &r->avail->ring[r->size];
}

static uint16_t *avail_event(struct ring *r)
{
	return (uint16_t *)&r->used->ring[r->size];
}

static void test_event_idx_interrupts_when_passed(void **state)
{
	struct guest *g = *state;
	struct ring r;

	guest_start(g, &r, EVENT_IDX, 8);
	*used_event(&r) = 2; /* wake me when the third is done */
	for (int i = 0; i < 5; i++) {
		offer_hello(&r);
		guest_kick(g, 0);
		assert_int_equal(g->signals, i >= 2);
	}
}

/* The flag has no meaning with EVENT_IDX (2.7.7.2). */
static void test_event_idx_ignores_the_flag(void **state)
{
	struct guest *g = *state;
	struct ring r;

	guest_start(g, &r, EVENT_IDX, 8);
	r.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	offer_hello(&r);
	guest_kick(g, 0);
	assert_int_equal(g->signals, 1);
}

static void test_event_idx_in_the_middle_of_a_batch(void **state)
{
	struct guest *g = *state;
	struct ring r;

	guest_start(g, &r, EVENT_IDX, 8);
	*used_event(&r) = 1;
	for (int i = 0; i < 3; i++)
		offer_hello(&r);
	guest_kick(g, 0);
	assert_int_equal(g->signals, 1);
}

static void test_event_idx_at_the_wrap(void **state)
{
	struct guest *g = *state;
	struct ring r;

	guest_start(g, &r, EVENT_IDX, 4);
	*used_event(&r) = 0xffff;
	for (int i = 0; i < 65536 + 4; i++) {
		ring_desc(&r, i % 4, DATA_GPA, 1, 0, 0);
		ring_offer_head(&r, i % 4);
		guest_kick(g, 0);
		assert_int_equal(g->signals, i >= 65535);
	}
}

static void test_asks_for_the_next_kick(void **state)
{
	struct guest *g = *state;
	struct ring r;

	guest_start(g, &r, EVENT_IDX, 8);
	offer_hello(&r);
	offer_hello(&r);
	guest_kick(g, 0);
	assert_int_equal(*avail_event(&r), 2);
}

static void test_kicks_wanted_again_by_flag(void **state)
{
	struct guest *g = *state;
	struct ring r;

	guest_start(g, &r, 0, 8);
	virtq_quiet(&g->dev->queues[0]);
	assert_int_equal(r.used->flags, VRING_USED_F_NO_NOTIFY);
	offer_hello(&r);
	guest_kick(g, 0);
	assert_int_equal(r.used->flags, 0);
}

static void test_rearm_sees_a_late_request(void **state)
{
	struct guest *g = *state;
	struct ring r;

	guest_start(g, &r, EVENT_IDX, 8);
	assert_false(virtq_rearm(&g->dev->queues[0]));
	offer_hello(&r);
	assert_true(virtq_rearm(&g->dev->queues[0]));
}

static void test_no_interrupt_without_completion(void **state)
{
	struct guest *g = *state;
	struct ring r;

	guest_start(g, &r, 0, 8);
	offer_hello(&r);
	guest_kick(g, 0);
	virtq_flush(&g->dev->queues[0]);
	virtq_flush(&g->dev->queues[0]);
	assert_int_equal(g->signals, 1);
}

/* Hostile drivers */

/* Serve queue 0; it must break for @reason, and nothing of RAM may change. */
static void must_break(struct guest *g, const char *reason)
{
	unsigned int before;

	guest_remember(g);
	virtq_rearm(&g->dev->queues[0]); /* so that the ring's flags are as they will be */
	guest_kick(g, 0);
	guest_unchanged(g);
	guest_is_broken(g, reason);
	assert_int_equal(echo_of(g)->served, 0);
	/* And its rings are not looked at any more. */
	before = echo_of(g)->notified;
	guest_kick(g, 0);
	guest_unchanged(g);
	assert_int_equal(echo_of(g)->notified, before);
}

/* The rings of queue 0, with EVENT_IDX: virtq_quiet() then writes nothing. */
static void start_hostile(struct guest *g, struct ring *r)
{
	guest_start(g, r, EVENT_IDX | INDIRECT, 4);
}

static void test_head_out_of_range(void **state)
{
	struct ring r;

	start_hostile(*state, &r);
	ring_offer_head(&r, 4);
	must_break(*state, "descriptor index 4");
}

static void test_next_out_of_range(void **state)
{
	struct ring r;

	start_hostile(*state, &r);
	ring_desc(&r, 0, DATA_GPA, 1, VRING_DESC_F_NEXT, 0xffff);
	ring_offer_head(&r, 0);
	must_break(*state, "descriptor index 65535");
}

static void test_loop(void **state)
{
	struct ring r;

	start_hostile(*state, &r);
	ring_desc(&r, 0, DATA_GPA, 1, VRING_DESC_F_NEXT, 1);
	ring_desc(&r, 1, DATA_GPA, 1, VRING_DESC_F_NEXT, 0);
	ring_offer_head(&r, 0);
	must_break(*state, "without end");
}

static void test_loop_to_itself(void **state)
{
	struct ring r;

	start_hostile(*state, &r);
	ring_desc(&r, 2, DATA_GPA, 1, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2);
	ring_offer_head(&r, 2);
	must_break(*state, "without end");
}

static void offer_table(struct guest *g, struct ring *r, const struct vring_desc *table,
			unsigned int n, uint32_t len)
{
	memcpy(guest_ptr(g, TABLE_GPA), table, n * sizeof(*table));
	ring_desc(r, 0, TABLE_GPA, len, VRING_DESC_F_INDIRECT, 0);
	ring_offer_head(r, 0);
}

static void test_indirect_in_indirect(void **state)
{
	struct vring_desc table = { TABLE_GPA + 16, 16, VRING_DESC_F_INDIRECT, 0 };
	struct ring r;

	start_hostile(*state, &r);
	offer_table(*state, &r, &table, 1, 16);
	must_break(*state, "bad indirect table");
}

static void test_indirect_with_next(void **state)
{
	struct ring r;

	start_hostile(*state, &r);
	write_table(*state);
	ring_desc(&r, 0, TABLE_GPA, 48, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1);
	ring_desc(&r, 1, DATA_GPA, 1, 0, 0);
	ring_offer_head(&r, 0);
	must_break(*state, "bad indirect table");
}

static void test_indirect_of_odd_length(void **state)
{
	static const uint32_t lens[] = { 0, 1, 15, 17, 47 };
	struct vring_desc table[3] = { { DATA_GPA, 1, 0, 0 } };

	for (unsigned int i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct ring r;

		start_hostile(*state, &r);
		offer_table(*state, &r, table, 3, lens[i]);
		must_break(*state, "bad indirect table");
	}
}

static void test_indirect_too_long(void **state)
{
	struct ring r;

	start_hostile(*state, &r);
	ring_desc(&r, 0, TABLE_GPA, (VIRTQ_MAX_SIZE + 1) * 16, VRING_DESC_F_INDIRECT, 0);
	ring_offer_head(&r, 0);
	must_break(*state, "bad indirect table");
}

static void test_indirect_outside_ram(void **state)
{
	struct ring r;

	start_hostile(*state, &r);
	ring_desc(&r, 0, GUEST_RAM - 16, 32, VRING_DESC_F_INDIRECT, 0);
	ring_offer_head(&r, 0);
	must_break(*state, "bad indirect table");
}

static void test_indirect_next_out_of_range(void **state)
{
	struct vring_desc table[3] = { { DATA_GPA, 1, VRING_DESC_F_NEXT, 2 } };
	struct ring r;

	start_hostile(*state, &r);
	offer_table(*state, &r, table, 3, 32); /* the third lies behind the end */
	must_break(*state, "descriptor index 2");
}

static void test_indirect_loop(void **state)
{
	struct vring_desc table[2] = { { DATA_GPA, 1, VRING_DESC_F_NEXT, 1 },
				       { DATA_GPA, 1, VRING_DESC_F_NEXT, 0 } };
	struct ring r;

	start_hostile(*state, &r);
	offer_table(*state, &r, table, 2, 32);
	must_break(*state, "without end");
}

/* Direct descriptors and a full table together are more than a request may have. */
static void test_too_many_buffers(void **state)
{
	struct vring_desc table[VIRTQ_MAX_SIZE];
	struct ring r;

	start_hostile(*state, &r);
	for (unsigned int i = 0; i < VIRTQ_MAX_SIZE; i++)
		table[i] = (struct vring_desc){ DATA_GPA, 1, VRING_DESC_F_NEXT, i + 1 };
	table[VIRTQ_MAX_SIZE - 1].flags = 0;
	memcpy(guest_ptr(*state, TABLE_GPA), table, sizeof(table));
	ring_desc(&r, 0, DATA_GPA, 1, VRING_DESC_F_NEXT, 1);
	ring_desc(&r, 1, TABLE_GPA, sizeof(table), VRING_DESC_F_INDIRECT, 0);
	ring_offer_head(&r, 0);
	must_break(*state, "a chain of more than 256");
}

static void test_buffer_outside_ram(void **state)
{
	static const struct { uint64_t gpa; uint32_t len; } bad[] = {
		{ GUEST_RAM, 1 },
		{ GUEST_RAM - 1, 2 },
		{ OUTSIDE_GPA, 16 },
		{ DATA_GPA, UINT32_MAX },
		{ UINT64_MAX, 1 },
		{ UINT64_MAX - 3, 16 }, /* around the end of the address space */
		{ PCI_MEM_BASE, 4 },
	};

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ring r;

		start_hostile(*state, &r);
		ring_desc(&r, 0, bad[i].gpa, bad[i].len, VRING_DESC_F_WRITE, 0);
		ring_offer_head(&r, 0);
		must_break(*state, "outside RAM");
	}
}

/*
 * The device's flags lie over the driver's index, so that whatever the device says looks
 * like a new request.  That breaks no rule that it checks, but must come to an end.
 */
static void test_rings_over_each_other(void **state)
{
	struct guest *g = *state;

	guest_negotiate(g, 0);
	guest_ring_at(g, 0, 4, 0x4000, 0x5002, 0x5004);
	guest_status_add(g, VIRTIO_CONFIG_S_DRIVER_OK);
	guest_kick(g, 0); /* returns */
	assert_in_range(echo_of(g)->served, 0, VIRTQ_BUDGET);
}

/* Who always has more gets a turn, and then, by its own doorbell, another one. */
static void test_turns(void **state)
{
	struct guest *g = *state;
	struct virtq *vq = &g->dev->queues[0];
	uint64_t count;
	struct ring r;

	guest_start(g, &r, 0, 256);
	for (int i = 0; i < 100; i++)
		offer_hello(&r);
	for (int i = 0; i < 100; i++)
		assert_int_equal(virtq_pop(vq, &echo_of(g)->chain), 1);
	assert_int_equal(read(vq->kick_fd, &count, sizeof(count)), sizeof(count));
	for (int i = 0; i < 200; i++)
		offer_hello(&r);
	while (virtq_pop(vq, &echo_of(g)->chain) > 0)
		;
	assert_int_equal(vq->next_avail, VIRTQ_BUDGET);
	assert_int_equal(read(vq->kick_fd, &count, sizeof(count)), -1);
	assert_false(virtq_rearm(vq));
	assert_int_equal(read(vq->kick_fd, &count, sizeof(count)), sizeof(count));
	guest_kick(g, 0);
	assert_int_equal(vq->next_avail, 300);
	assert_int_equal(r.used->flags, 0);
}

/* The good buffer before the bad one must not be filled either. */
static void test_second_buffer_outside_ram(void **state)
{
	struct ring r;

	start_hostile(*state, &r);
	memset(guest_ptr(*state, DATA_GPA), 'x', 16);
	ring_begin(&r);
	ring_out(&r, DATA_GPA, 16);
	ring_in(&r, DATA_GPA + 0x100, 16);
	ring_in(&r, OUTSIDE_GPA, 16);
	ring_offer(&r);
	must_break(*state, "outside RAM");
}

static void test_avail_jump(void **state)
{
	struct ring r;

	start_hostile(*state, &r);
	ring_desc(&r, 0, DATA_GPA, 1, 0, 0);
	r.avail->idx = 5;
	must_break(*state, "5 new requests in a ring of 4");
}

static void test_avail_going_back(void **state)
{
	struct guest *g = *state;
	struct ring r;

	start_hostile(g, &r);
	offer_hello(&r);
	guest_kick(g, 0);
	assert_int_equal(echo_of(g)->served, 1);
	echo_of(g)->served = 0;
	r.avail->idx = 0;
	must_break(g, "65535 new requests");
}

static void test_readable_after_writable(void **state)
{
	struct ring r;

	start_hostile(*state, &r);
	ring_begin(&r);
	ring_in(&r, DATA_GPA, 1);
	ring_out(&r, DATA_GPA, 1);
	ring_offer(&r);
	must_break(*state, "readable buffer after a writable one");
}

static void test_readable_in_table_after_writable(void **state)
{
	struct vring_desc table = { DATA_GPA, 1, 0, 0 };
	struct ring r;

	start_hostile(*state, &r);
	memcpy(guest_ptr(*state, TABLE_GPA), &table, sizeof(table));
	ring_desc(&r, 0, DATA_GPA, 1, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1);
	ring_desc(&r, 1, TABLE_GPA, 16, VRING_DESC_F_INDIRECT, 0);
	ring_offer_head(&r, 0);
	must_break(*state, "readable buffer after a writable one");
}

/* Rings in bad places or of bad sizes: found when the driver says it is ready. */
static void test_bad_rings(void **state)
{
	static const struct {
		uint16_t size;
		uint64_t desc, avail, used;
	} bad[] = {
		{ 0, 0x4000, 0x5000, 0x6000 },
		{ 3, 0x4000, 0x5000, 0x6000 },
		{ 512, 0x4000, 0x8000, 0x9000 },
		{ 8, OUTSIDE_GPA, 0x5000, 0x6000 },
		{ 8, 0x4000, OUTSIDE_GPA, 0x6000 },
		{ 8, 0x4000, 0x5000, OUTSIDE_GPA },
		{ 8, GUEST_RAM - 112, 0x5000, 0x6000 },	/* seven descriptors fit */
		{ 8, 0x4000, GUEST_RAM - 20, 0x6000 },	/* without room for used_event */
		{ 8, 0x4000, 0x5000, GUEST_RAM - 68 },	/* without room for avail_event */
		{ 8, 0x4008, 0x5000, 0x6000 },		/* misaligned */
		{ 8, 0x4000, 0x5001, 0x6000 },
		{ 8, 0x4000, 0x5000, 0x6002 },
		{ 8, UINT64_MAX - 15, 0x5000, 0x6000 },
		{ 8, 1ull << 32 | 0x4000, 0x5000, 0x6000 }, /* the high half counts */
	};
	struct guest *g = *state;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		guest_remember(g);
		guest_negotiate(g, EVENT_IDX);
		guest_ring_at(g, 0, bad[i].size, bad[i].desc, bad[i].avail, bad[i].used);
		guest_status_add(g, VIRTIO_CONFIG_S_DRIVER_OK);
		guest_is_broken(g, "are not valid");
		assert_false(g->dev->queues[0].live);
		guest_kick(g, 0);
		guest_unchanged(g);
	}
	assert_int_equal(echo_of(g)->starts, 0);
}

static void test_rings_at_the_very_end_of_ram(void **state)
{
	struct guest *g = *state;

	guest_negotiate(g, EVENT_IDX);
	guest_ring_at(g, 0, 8, GUEST_RAM - 128, 0x5000, 0x6000);
	guest_ring_at(g, 1, 8, 0x7000, GUEST_RAM - 128 - 22, GUEST_RAM - 256);
	guest_status_add(g, VIRTIO_CONFIG_S_DRIVER_OK);
	assert_false(g->dev->broken);
	assert_true(g->dev->queues[0].live);
	assert_true(g->dev->queues[1].live);
}

/* Registers */

static void test_frozen_after_enable(void **state)
{
	struct guest *g = *state;
	struct ring r;
	uint16_t head;

	guest_negotiate(g, 0);
	guest_ring(g, &r, 0, 8);
	guest_ring_at(g, 0, 4, 0, OUTSIDE_GPA, OUTSIDE_GPA);
	guest_reg_write(g, COMMON(queue_enable), 2, 0);
	assert_int_equal(guest_reg(g, COMMON(queue_size), 2), 8);
	assert_int_equal(guest_reg(g, COMMON(queue_desc_lo), 4), RING_GPA(0));
	assert_int_equal(guest_reg(g, COMMON(queue_avail_lo), 4), RING_GPA(0) + 0x1000);
	assert_int_equal(guest_reg(g, COMMON(queue_used_lo), 4), RING_GPA(0) + 0x2000);
	assert_int_equal(guest_reg(g, COMMON(queue_enable), 2), 1);
	guest_status_add(g, VIRTIO_CONFIG_S_DRIVER_OK);
	head = offer_hello(&r);
	guest_kick(g, 0);
	echoed_hello(&r, head);
}

/* A queue the driver left alone stays dead after DRIVER_OK. */
static void test_frozen_after_driver_ok(void **state)
{
	struct guest *g = *state;
	struct ring r0, r1;

	guest_start(g, &r0, 0, 8);
	guest_ring(g, &r1, 1, 8);
	guest_remember(g);
	assert_int_equal(guest_reg(g, COMMON(queue_enable), 2), 0);
	offer_hello(&r1);
	guest_remember(g);
	guest_kick(g, 1);
	guest_unchanged(g);
	assert_int_equal(echo_of(g)->served, 0);
}

static void test_no_such_queue(void **state)
{
	struct guest *g = *state;

	guest_negotiate(g, 0);
	guest_ring_at(g, 2, 8, 0x4000, 0x5000, 0x6000);
	assert_int_equal(guest_reg(g, COMMON(queue_size), 2), 0);
	guest_ring_at(g, 0xffff, 8, 0x4000, 0x5000, 0x6000);
	assert_int_equal(guest_reg(g, COMMON(queue_size), 2), 0);
	assert_int_equal(guest_reg(g, COMMON(num_queues), 2), 2);
}

static void test_features_offered(void **state)
{
	struct guest *g = *state;
	uint64_t offered;

	guest_reg_write(g, COMMON(device_feature_select), 4, 0);
	offered = guest_reg(g, COMMON(device_feature), 4);
	guest_reg_write(g, COMMON(device_feature_select), 4, 1);
	offered |= guest_reg(g, COMMON(device_feature), 4) << 32;
	assert_int_equal(offered, EVENT_IDX | INDIRECT | BIT64(VIRTIO_F_VERSION_1));
	guest_reg_write(g, COMMON(device_feature_select), 4, 2);
	assert_int_equal(guest_reg(g, COMMON(device_feature), 4), 0);
}

static void test_feature_not_offered(void **state)
{
	struct guest *g = *state;

	guest_negotiate(g, BIT64(5));
	assert_false(guest_reg(g, COMMON(device_status), 1) & VIRTIO_CONFIG_S_FEATURES_OK);
}

static void test_legacy_driver(void **state)
{
	struct guest *g = *state;

	guest_reg_write(g, COMMON(device_status), 1, 0);
	guest_status_add(g, VIRTIO_CONFIG_S_FEATURES_OK); /* without VERSION_1 */
	assert_false(guest_reg(g, COMMON(device_status), 1) & VIRTIO_CONFIG_S_FEATURES_OK);
}

static void test_features_frozen(void **state)
{
	struct guest *g = *state;

	guest_negotiate(g, 0);
	guest_reg_write(g, COMMON(guest_feature_select), 4, 0);
	guest_reg_write(g, COMMON(guest_feature), 4, (uint32_t)EVENT_IDX);
	assert_int_equal(guest_reg(g, COMMON(guest_feature), 4), 0);
	assert_int_equal(g->dev->features, BIT64(VIRTIO_F_VERSION_1));
}

static void test_driver_ok_too_early(void **state)
{
	struct guest *g = *state;

	guest_reg_write(g, COMMON(device_status), 1, 0);
	guest_reg_write(g, COMMON(msix_config), 2, 0);
	guest_status_add(g, VIRTIO_CONFIG_S_DRIVER_OK);
	guest_is_broken(g, "DRIVER_OK without FEATURES_OK");
}

static void test_reset_mends(void **state)
{
	struct guest *g = *state;
	struct ring r;
	uint16_t head;

	start_hostile(g, &r);
	ring_offer_head(&r, 9);
	guest_kick(g, 0);
	assert_true(g->dev->broken);
	guest_reg_write(g, COMMON(device_status), 1, 0);
	assert_int_equal(guest_reg(g, COMMON(device_status), 1), 0);
	assert_int_equal(guest_reg(g, COMMON(queue_enable), 2), 0);
	assert_int_equal(guest_reg(g, COMMON(queue_desc_lo), 4), 0);
	assert_int_equal(echo_of(g)->stops, 1);
	guest_start(g, &r, 0, 8);
	assert_int_equal(echo_of(g)->starts, 2);
	head = offer_hello(&r);
	guest_kick(g, 0);
	echoed_hello(&r, head);
}

static void test_not_served_after_reset(void **state)
{
	struct guest *g = *state;
	struct ring r;

	guest_start(g, &r, 0, 8);
	offer_hello(&r);
	guest_reg_write(g, COMMON(device_status), 1, 0);
	guest_remember(g);
	guest_kick(g, 0);
	guest_unchanged(g);
}

static void test_bad_vector(void **state)
{
	struct guest *g = *state;

	guest_reg_write(g, COMMON(msix_config), 2, 3); /* there are 0 to 2 */
	assert_int_equal(guest_reg(g, COMMON(msix_config), 2), VIRTIO_MSI_NO_VECTOR);
	guest_reg_write(g, COMMON(queue_msix_vector), 2, 64);
	assert_int_equal(guest_reg(g, COMMON(queue_msix_vector), 2), VIRTIO_MSI_NO_VECTOR);
	guest_reg_write(g, COMMON(msix_config), 2, 2);
	assert_int_equal(guest_reg(g, COMMON(msix_config), 2), 2);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, guest_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_direct),
		TEST(test_nothing_offered),
		TEST(test_scattered),
		TEST(test_chain_of_the_whole_ring),
		TEST(test_several_at_once),
		TEST(test_indirect),
		TEST(test_indirect_after_direct),
		TEST(test_index_wraps),
		TEST(test_second_queue),
		TEST(test_unpop),
		TEST(test_staged_is_not_seen),
		TEST(test_interrupt_suppressed_by_flag),
		TEST(test_event_idx_interrupts_when_passed),
		TEST(test_event_idx_ignores_the_flag),
		TEST(test_event_idx_in_the_middle_of_a_batch),
		TEST(test_event_idx_at_the_wrap),
		TEST(test_asks_for_the_next_kick),
		TEST(test_kicks_wanted_again_by_flag),
		TEST(test_rearm_sees_a_late_request),
		TEST(test_no_interrupt_without_completion),
		TEST(test_head_out_of_range),
		TEST(test_next_out_of_range),
		TEST(test_loop),
		TEST(test_loop_to_itself),
		TEST(test_indirect_in_indirect),
		TEST(test_indirect_with_next),
		TEST(test_indirect_of_odd_length),
		TEST(test_indirect_too_long),
		TEST(test_indirect_outside_ram),
		TEST(test_indirect_next_out_of_range),
		TEST(test_indirect_loop),
		TEST(test_too_many_buffers),
		TEST(test_buffer_outside_ram),
		TEST(test_rings_over_each_other),
		TEST(test_turns),
		TEST(test_second_buffer_outside_ram),
		TEST(test_avail_jump),
		TEST(test_avail_going_back),
		TEST(test_readable_after_writable),
		TEST(test_readable_in_table_after_writable),
		TEST(test_bad_rings),
		TEST(test_rings_at_the_very_end_of_ram),
		TEST(test_frozen_after_enable),
		TEST(test_frozen_after_driver_ok),
		TEST(test_no_such_queue),
		TEST(test_features_offered),
		TEST(test_feature_not_offered),
		TEST(test_legacy_driver),
		TEST(test_features_frozen),
		TEST(test_driver_ok_too_early),
		TEST(test_reset_mends),
		TEST(test_not_served_after_reset),
		TEST(test_bad_vector),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

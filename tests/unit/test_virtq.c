// SPDX-License-Identifier: BSD-2-Clause
/* virtq.c: requests as a good driver makes them, and who is told of them when. */
#include "echo.h"

#include <string.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		ECHO_TEST(test_direct),
		ECHO_TEST(test_nothing_offered),
		ECHO_TEST(test_scattered),
		ECHO_TEST(test_chain_of_the_whole_ring),
		ECHO_TEST(test_several_at_once),
		ECHO_TEST(test_indirect),
		ECHO_TEST(test_indirect_after_direct),
		ECHO_TEST(test_index_wraps),
		ECHO_TEST(test_second_queue),
		ECHO_TEST(test_unpop),
		ECHO_TEST(test_staged_is_not_seen),
		ECHO_TEST(test_interrupt_suppressed_by_flag),
		ECHO_TEST(test_event_idx_interrupts_when_passed),
		ECHO_TEST(test_event_idx_ignores_the_flag),
		ECHO_TEST(test_event_idx_in_the_middle_of_a_batch),
		ECHO_TEST(test_event_idx_at_the_wrap),
		ECHO_TEST(test_asks_for_the_next_kick),
		ECHO_TEST(test_kicks_wanted_again_by_flag),
		ECHO_TEST(test_rearm_sees_a_late_request),
		ECHO_TEST(test_no_interrupt_without_completion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

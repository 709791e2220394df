// SPDX-License-Identifier: BSD-2-Clause
/*
 * virtq.c: everything a hostile driver may try with its rings, each of which must end with a
 * broken device and untouched memory.
 */
#include "echo.h"

#include <string.h>
#include <unistd.h>

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
	static const struct {
		uint64_t gpa;
		uint32_t len;
	} bad[] = {
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
		{ 8, GUEST_RAM - 112, 0x5000, 0x6000 }, /* seven descriptors fit */
		{ 8, 0x4000, GUEST_RAM - 20, 0x6000 }, /* without room for used_event */
		{ 8, 0x4000, 0x5000, GUEST_RAM - 68 }, /* without room for avail_event */
		{ 8, 0x4008, 0x5000, 0x6000 }, /* misaligned */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		ECHO_TEST(test_head_out_of_range),
		ECHO_TEST(test_next_out_of_range),
		ECHO_TEST(test_loop),
		ECHO_TEST(test_loop_to_itself),
		ECHO_TEST(test_indirect_in_indirect),
		ECHO_TEST(test_indirect_with_next),
		ECHO_TEST(test_indirect_of_odd_length),
		ECHO_TEST(test_indirect_too_long),
		ECHO_TEST(test_indirect_outside_ram),
		ECHO_TEST(test_indirect_next_out_of_range),
		ECHO_TEST(test_indirect_loop),
		ECHO_TEST(test_too_many_buffers),
		ECHO_TEST(test_buffer_outside_ram),
		ECHO_TEST(test_rings_over_each_other),
		ECHO_TEST(test_turns),
		ECHO_TEST(test_second_buffer_outside_ram),
		ECHO_TEST(test_avail_jump),
		ECHO_TEST(test_avail_going_back),
		ECHO_TEST(test_readable_after_writable),
		ECHO_TEST(test_readable_in_table_after_writable),
		ECHO_TEST(test_bad_rings),
		ECHO_TEST(test_rings_at_the_very_end_of_ram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

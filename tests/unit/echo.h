/* SPDX-License-Identifier: BSD-2-Clause */
/* A virtio device that echoes what it is sent, and a guest that has found it. */
#ifndef TESTS_UNIT_ECHO_H
#define TESTS_UNIT_ECHO_H

#include "guest.h"

struct echo {
	struct virtio_device dev;
	struct virtq_chain chain;
	unsigned int notified, served, starts, stops;
};

/* For cmocka; guest_teardown() removes it. */
int echo_setup(void **state);
struct echo *echo_of(struct guest *g);

#define EVENT_IDX BIT64(VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT  BIT64(VIRTIO_RING_F_INDIRECT_DESC)

/* "hello" from DATA_GPA, back to DATA_GPA + 0x100. */
uint16_t offer_hello(struct ring *r);
void echoed_hello(struct ring *r, uint16_t head);

/* At TABLE_GPA: the same two buffers in three descriptors, one of which is not in the chain. */
void write_table(struct guest *g);

#define ECHO_TEST(fn) cmocka_unit_test_setup_teardown(fn, echo_setup, guest_teardown)

#endif

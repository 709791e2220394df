/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an input of fuzz_virtio.c is: a head that says which device and how its queues
 * are set up, the steps to take, then guest memory from address 0 on.
 */
#ifndef TESTS_FUZZ_FUZZ_INPUT_H
#define TESTS_FUZZ_FUZZ_INPUT_H

#include <stdint.h>

enum fuzz_device { FUZZ_BLK, FUZZ_RNG, FUZZ_NET, FUZZ_CONSOLE, FUZZ_VSOCK, FUZZ_DEVICES };

#define FUZZ_QUEUES 3

/* Sizes and addresses are taken as they are, not rounded to what is legal. */
#define FUZZ_RAW 1
/* RAM is as large as a guest's, so that buffers can be: what is done with them is bounded. */
#define FUZZ_LARGE 2

struct fuzz_head {
	uint8_t device; /* modulo FUZZ_DEVICES */
	uint8_t flags;
	uint8_t steps;
	uint8_t unused;
	uint32_t features; /* accepted, of those below 32 */
	struct {
		uint16_t size, desc, avail, used;
	} queue[FUZZ_QUEUES];
};

enum fuzz_op {
	FUZZ_KICK, /* offer descriptor @b in queue @a, and serve it */
	FUZZ_OFFER, /* only offer it */
	FUZZ_SERVE, /* only serve it */
	FUZZ_POLL, /* what the device's thread does in between */
	FUZZ_HOST, /* something comes from the host: see host_*() */
	FUZZ_POKE, /* the driver writes byte @a to memory at @b */
	FUZZ_COMMON, /* write @b to the common register at @a */
	FUZZ_CONFIG, /* read (or, @b odd, write) the device's configuration at @a */
	FUZZ_PCI, /* write @b to the device's PCI configuration at @a */
	FUZZ_MSIX, /* write @b to the vector table at @a */
	FUZZ_DOORBELL, /* write to port @a of the doorbells */
	FUZZ_RESTART, /* reset, and set it up again */
	FUZZ_OPS
};

struct fuzz_step {
	uint8_t op; /* modulo FUZZ_OPS */
	uint8_t a;
	uint16_t b;
};

_Static_assert(sizeof(struct fuzz_head) == 32, "no holes");
_Static_assert(sizeof(struct fuzz_step) == 4, "no holes");

#endif

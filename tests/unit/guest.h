/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine without KVM for the unit tests: memory, buses, a PCI bus, and a driver that
 * speaks to one virtio device through its registers and rings, well-behaved or not.
 * Requests are served when guest_kick() is called, in the test's own thread.
 */
#ifndef TESTS_UNIT_GUEST_H
#define TESTS_UNIT_GUEST_H

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/config.h"
#include "core/layout.h"
#include "devices/board.h"
#include "virtio/virtio.h"

#define GUEST_RAM (256 * KiB)

/* What the driver's side of the tests puts where. */
#define RING_GPA(q) (0x4000ull + (q)*0x4000ull)
#define TABLE_GPA   0x18000ull /* indirect tables */
#define DATA_GPA    0x20000ull
#define OUTSIDE_GPA 0x800000ull

#define COMMON(name) offsetof(struct virtio_pci_common_cfg, name)
#define BIT64(n)     (1ull << (n))

struct guest {
	struct board board;
	struct loop *loop; /* of the events only: board.loop is NULL */
	char dir[32]; /* a folder for the test's files */
	char reason[256]; /* of the last device_broken event, "" while there was none */
	uint8_t before[GUEST_RAM];
	/* The device the driver drives. */
	struct virtio_device *dev;
	uint64_t regs; /* where BAR 0 is */
	unsigned int signals;
	uint16_t vector; /* of the last interrupt */
};

/* One queue, the driver's view. */
struct ring {
	struct guest *g;
	unsigned int q;
	uint16_t size;
	uint16_t next; /* descriptor to use next */
	uint16_t first; /* of the chain being made */
	uint16_t avail_idx;
	uint16_t used_seen;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
};

/* guest_setup, guest_teardown - for cmocka; *state is the struct guest. */
int guest_setup(void **state);
int guest_teardown(void **state);

/* guest_ptr - RAM at @gpa, for the test's own looking and poking. */
void *guest_ptr(struct guest *g, uint64_t gpa);

/* guest_config - the configuration space register of @slot at @off. */
uint32_t guest_config(struct guest *g, unsigned int slot, unsigned int off, unsigned int len);
void guest_config_write(struct guest *g, unsigned int slot, unsigned int off, unsigned int len,
			uint32_t value);

/* guest_find - drive the virtio device of type @id from now on: decode on, vectors set. */
void guest_find(struct guest *g, uint16_t id);

uint64_t guest_reg(struct guest *g, uint64_t off, unsigned int len);
void guest_reg_write(struct guest *g, uint64_t off, unsigned int len, uint64_t value);

/* guest_negotiate - reset, then up to FEATURES_OK with @features and VERSION_1. */
void guest_negotiate(struct guest *g, uint64_t features);
void guest_status_add(struct guest *g, uint8_t bit);

/* guest_ring - configure and enable queue @q at its usual place; ring_at - elsewhere. */
void guest_ring(struct guest *g, struct ring *r, unsigned int q, uint16_t size);
void guest_ring_at(struct guest *g, unsigned int q, uint16_t size, uint64_t desc, uint64_t avail,
		   uint64_t used);

/* guest_start - all of it for a device with one queue. */
void guest_start(struct guest *g, struct ring *r, uint64_t features, uint16_t size);

/* guest_kick - ring the doorbell of @q and let the device serve it. */
void guest_kick(struct guest *g, unsigned int q);

/* guest_remember - what RAM holds now; guest_unchanged - it still does. */
void guest_remember(struct guest *g);
void guest_unchanged(struct guest *g);

/* guest_is_broken - the device gave up, said so everywhere, and @reason is part of why. */
void guest_is_broken(struct guest *g, const char *reason);

/* Make a chain: ring_begin(), a few ring_out(), then ring_in(), ring_offer(): its head. */
void ring_begin(struct ring *r);
void ring_out(struct ring *r, uint64_t gpa, uint32_t len);
void ring_in(struct ring *r, uint64_t gpa, uint32_t len);
uint16_t ring_offer(struct ring *r);

/* ring_desc - write a descriptor of the ring's table, as it is; ring_offer_head - offer it. */
void ring_desc(struct ring *r, uint16_t i, uint64_t gpa, uint32_t len, uint16_t flags,
	       uint16_t next);
void ring_offer_head(struct ring *r, uint16_t head);

/* ring_take - the next used element must be @head; returns its length. */
uint32_t ring_take(struct ring *r, uint16_t head);
/* ring_idle - nothing more was given back. */
void ring_idle(struct ring *r);

#endif

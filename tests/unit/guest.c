// SPDX-License-Identifier: BSD-2-Clause
/*
 * A machine without KVM, and the driver's half of virtio: see guest.h.
 */
#include "guest.h"

#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/loop.h"
#include "devices/pci.h"
#include "host/events.h"
#include "host/metrics.h"

static void on_event(void *arg, const json_t *event)
{
	struct guest *g = arg;
	const char *name = json_string_value(json_object_get(event, "event"));
	const json_t *data = json_object_get(event, "data");

	if (name && !strcmp(name, "device_broken"))
		snprintf(g->reason, sizeof(g->reason), "%s",
			 json_string_value(json_object_get(data, "reason")));
}

static void on_signal(struct virtio_device *dev, uint16_t vector)
{
	struct guest *g = (struct guest *)((char *)dev->board - offsetof(struct guest, board));

	g->signals++;
	g->vector = vector;
}

int guest_setup(void **state)
{
	struct guest *g = calloc(1, sizeof(*g));
	struct err err = { 0 };

	assert_non_null(g);
	strcpy(g->dir, "/tmp/symkit-test.XXXXXX");
	assert_non_null(mkdtemp(g->dir));
	g->board.name = "vm";
	g->board.vm_fd = -1;
	assert_int_equal(gmem_create(&g->board.mem, GUEST_RAM, &err), 0);
	bus_init(&g->board.pio);
	bus_init(&g->board.mmio);
	irq_init(&g->board.irq);
	assert_int_equal(loop_create(&g->loop), 0);
	assert_int_equal(metrics_create("test", &g->board.metrics), 0);
	assert_int_equal(events_create(g->loop, &g->board.events), 0);
	assert_true(events_subscribe(g->board.events, 0, on_event, g) >= 0);
	assert_int_equal(pci_bus_create(&g->board, &g->board.pci, &err), 0);
	*state = g;
	return 0;
}

int guest_teardown(void **state)
{
	struct guest *g = *state;

	pci_bus_destroy(g->board.pci);
	events_destroy(g->board.events);
	metrics_destroy(g->board.metrics);
	loop_destroy(g->loop);
	irq_destroy(&g->board.irq);
	bus_destroy(&g->board.mmio);
	bus_destroy(&g->board.pio);
	gmem_destroy(&g->board.mem);
	/* The test must have removed its files: the folder must be empty. */
	if (rmdir(g->dir))
		return -1;
	free(g);
	return 0;
}

void *guest_ptr(struct guest *g, uint64_t gpa)
{
	void *p = gmem_map(&g->board.mem, gpa, 1);

	assert_non_null(p);
	return p;
}

static uint64_t config_addr(unsigned int slot, unsigned int off)
{
	return PCI_ECAM_BASE + (slot << 15) + off;
}

uint32_t guest_config(struct guest *g, unsigned int slot, unsigned int off, unsigned int len)
{
	uint8_t data[4];

	assert_true(bus_access(&g->board.mmio, config_addr(slot, off), data, len, false));
	return le_load(data, len);
}

void guest_config_write(struct guest *g, unsigned int slot, unsigned int off, unsigned int len,
			uint32_t value)
{
	uint8_t data[4];

	le_store(data, len, value);
	assert_true(bus_access(&g->board.mmio, config_addr(slot, off), data, len, true));
}

void guest_find(struct guest *g, uint16_t id)
{
	uint32_t want = (0x1040u + id) << 16 | 0x1af4;
	unsigned int slot = 0;

	while (slot < PCI_SLOTS && guest_config(g, slot, 0, 4) != want)
		slot++;
	assert_true(slot < PCI_SLOTS);
	guest_config_write(g, slot, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
	g->regs = guest_config(g, slot, PCI_BASE_ADDRESS_0, 4) & ~15u;
	g->dev = NULL;
	for (struct bus_region *r = g->board.mmio.regions; r; r = r->next)
		if (r->base == g->regs)
			g->dev = r->arg;
	assert_non_null(g->dev);
	g->dev->signal = on_signal;
}

uint64_t guest_reg(struct guest *g, uint64_t off, unsigned int len)
{
	uint8_t data[8];

	assert_true(bus_access(&g->board.mmio, g->regs + off, data, len, false));
	return le_load(data, len);
}

void guest_reg_write(struct guest *g, uint64_t off, unsigned int len, uint64_t value)
{
	uint8_t data[8];

	le_store(data, len, value);
	assert_true(bus_access(&g->board.mmio, g->regs + off, data, len, true));
}

void guest_status_add(struct guest *g, uint8_t bit)
{
	uint8_t status = guest_reg(g, COMMON(device_status), 1);

	guest_reg_write(g, COMMON(device_status), 1, status | bit);
}

void guest_negotiate(struct guest *g, uint64_t features)
{
	features |= BIT64(VIRTIO_F_VERSION_1);
	guest_reg_write(g, COMMON(device_status), 1, 0);
	guest_status_add(g, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	guest_status_add(g, VIRTIO_CONFIG_S_DRIVER);
	for (unsigned int half = 0; half < 2; half++) {
		guest_reg_write(g, COMMON(guest_feature_select), 4, half);
		guest_reg_write(g, COMMON(guest_feature), 4, (uint32_t)(features >> 32 * half));
	}
	guest_status_add(g, VIRTIO_CONFIG_S_FEATURES_OK);
	guest_reg_write(g, COMMON(msix_config), 2, 0);
}

static void write_addr(struct guest *g, uint64_t off, uint64_t gpa)
{
	guest_reg_write(g, off, 4, (uint32_t)gpa);
	guest_reg_write(g, off + 4, 4, gpa >> 32);
}

void guest_ring_at(struct guest *g, unsigned int q, uint16_t size, uint64_t desc, uint64_t avail,
		   uint64_t used)
{
	guest_reg_write(g, COMMON(queue_select), 2, q);
	guest_reg_write(g, COMMON(queue_size), 2, size);
	guest_reg_write(g, COMMON(queue_msix_vector), 2, 1 + q);
	write_addr(g, COMMON(queue_desc_lo), desc);
	write_addr(g, COMMON(queue_avail_lo), avail);
	write_addr(g, COMMON(queue_used_lo), used);
	guest_reg_write(g, COMMON(queue_enable), 2, 1);
}

void guest_ring(struct guest *g, struct ring *r, unsigned int q, uint16_t size)
{
	uint64_t gpa = RING_GPA(q);

	*r = (struct ring){ .g = g, .q = q, .size = size };
	r->desc = guest_ptr(g, gpa);
	r->avail = guest_ptr(g, gpa + 0x1000);
	r->used = guest_ptr(g, gpa + 0x2000);
	memset(r->desc, 0, 0x3000);
	guest_ring_at(g, q, size, gpa, gpa + 0x1000, gpa + 0x2000);
}

void guest_start(struct guest *g, struct ring *r, uint64_t features, uint16_t size)
{
	guest_negotiate(g, features);
	guest_ring(g, r, 0, size);
	guest_status_add(g, VIRTIO_CONFIG_S_DRIVER_OK);
	assert_false(g->dev->broken);
	assert_true(g->dev->queues[0].live);
}

void guest_kick(struct guest *g, unsigned int q)
{
	virtio_serve(g->dev, q);
}

void guest_remember(struct guest *g)
{
	memcpy(g->before, guest_ptr(g, 0), GUEST_RAM);
}

void guest_unchanged(struct guest *g)
{
	assert_memory_equal(g->before, guest_ptr(g, 0), GUEST_RAM);
}

void guest_is_broken(struct guest *g, const char *reason)
{
	assert_true(g->dev->broken);
	assert_true(guest_reg(g, COMMON(device_status), 1) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(g->vector, 0); /* the configuration vector */
	events_flush(g->board.events);
	if (!strstr(g->reason, reason))
		fail_msg("broken by \"%s\", not by \"%s\"", g->reason, reason);
}

void ring_begin(struct ring *r)
{
	r->first = r->next;
}

static void add(struct ring *r, uint64_t gpa, uint32_t len, uint16_t flags)
{
	uint16_t i = r->next % r->size;

	if (r->next != r->first)
		r->desc[(uint16_t)(r->next - 1) % r->size].flags |= VRING_DESC_F_NEXT;
	r->next++;
	r->desc[i] = (struct vring_desc){ gpa, len, flags, r->next % r->size };
}

void ring_out(struct ring *r, uint64_t gpa, uint32_t len)
{
	add(r, gpa, len, 0);
}

void ring_in(struct ring *r, uint64_t gpa, uint32_t len)
{
	add(r, gpa, len, VRING_DESC_F_WRITE);
}

uint16_t ring_offer(struct ring *r)
{
	uint16_t head = r->first % r->size;

	ring_offer_head(r, head);
	return head;
}

void ring_desc(struct ring *r, uint16_t i, uint64_t gpa, uint32_t len, uint16_t flags,
	       uint16_t next)
{
	r->desc[i] = (struct vring_desc){ gpa, len, flags, next };
}

void ring_offer_head(struct ring *r, uint16_t head)
{
	r->avail->ring[r->avail_idx % r->size] = head;
	__atomic_store_n(&r->avail->idx, ++r->avail_idx, __ATOMIC_RELEASE);
}

uint32_t ring_take(struct ring *r, uint16_t head)
{
	struct vring_used_elem *e = &r->used->ring[r->used_seen % r->size];

	assert_int_not_equal(__atomic_load_n(&r->used->idx, __ATOMIC_ACQUIRE), r->used_seen);
	assert_int_equal(e->id, head);
	r->used_seen++;
	return e->len;
}

void ring_idle(struct ring *r)
{
	assert_int_equal(r->used->idx, r->used_seen);
}

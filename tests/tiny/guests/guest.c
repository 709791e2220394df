// SPDX-License-Identifier: BSD-2-Clause
#include "guest.h"

#define COM1	     0x3f8
#define ACPI_SLEEP   0x600
#define SLEEP_S5     0x34
#define CMDLINE_PTR  0x228 /* in the boot parameters */
#define PCI_ECAM     0xe0000000u
#define PCI_COMMAND  0x04
#define PCI_BAR0     0x10
#define PCI_BAR2     0x18
#define VIRTIO_ID(n) (0x1af4u | (0x1040u + (n)) << 16)

/* struct virtio_pci_common_cfg */
#define DRIVER_FEATURE_SELECT 8
#define DRIVER_FEATURE	      12
#define DEVICE_STATUS	      20
#define QUEUE_SELECT	      22
#define QUEUE_SIZE_REG	      24
#define QUEUE_ENABLE	      28
#define QUEUE_DESC	      32
#define QUEUE_AVAIL	      40
#define QUEUE_USED	      48

#define ACKNOWLEDGE 1
#define DRIVER	    2
#define DRIVER_OK   4
#define FEATURES_OK 8

#define RINGS 0x1800000ull

/* Entered in 64-bit mode, paging on, RSI the boot parameters. */
asm(".section .text.start, \"ax\"\n"
    ".globl _start\n"
    "_start:\n"
    "	movq $0x1f00000, %rsp\n"
    "	xorl %ebp, %ebp\n"
    "	movq %rsi, %rdi\n"
    "	call start\n"
    "1:	hlt\n"
    "	jmp 1b\n"
    ".text\n");

void start(const uint8_t *boot_params);

void start(const uint8_t *boot_params)
{
	guest_main((const char *)(uintptr_t) * (const uint32_t *)(boot_params + CMDLINE_PTR));
}

void print(const char *text)
{
	while (*text)
		outb(COM1, *text++);
}

bool has_word(const char *cmdline, const char *word)
{
	static const char key[] = "attack=";

	for (; *cmdline; cmdline++) {
		const char *p = cmdline, *k = key, *w = word;

		while (*k && *p == *k)
			p++, k++;
		while (!*k && *w && *p == *w)
			p++, w++;
		if (!*k && !*w && (!*p || *p == ' '))
			return true;
	}
	return false;
}

struct desc *ring_desc(unsigned int q)
{
	return (struct desc *)(RINGS + q * 0x10000);
}

volatile uint16_t *ring_avail(unsigned int q)
{
	return (volatile uint16_t *)(RINGS + q * 0x10000 + 0x4000);
}

/* Register @reg of the configuration space of function 0 of @slot. */
static uint64_t pci_config(unsigned int slot, unsigned int reg)
{
	return PCI_ECAM | slot << 15 | reg;
}

bool virtio_find(uint16_t id, struct virtio *dev)
{
	for (unsigned int slot = 0; slot < 32; slot++) {
		if (read32(pci_config(slot, 0)) != VIRTIO_ID(id))
			continue;
		dev->common = read32(pci_config(slot, PCI_BAR0)) & ~15u;
		dev->notify_port = read32(pci_config(slot, PCI_BAR2)) & ~3u;
		write32(pci_config(slot, PCI_COMMAND), 7);
		return true;
	}
	/* A guest without its device attacks nothing: its end makes the test fail. */
	print("no such device\n");
	outb(ACPI_SLEEP, SLEEP_S5);
	return false;
}

void virtio_set_status(struct virtio *dev, uint8_t status)
{
	write8(dev->common + DEVICE_STATUS, status);
}

static void set_ring(struct virtio *dev, unsigned int reg, uint64_t gpa)
{
	write32(dev->common + reg, gpa);
	write32(dev->common + reg + 4, gpa >> 32);
}

void virtio_start(struct virtio *dev, uint32_t features, unsigned int queues)
{
	virtio_set_status(dev, 0);
	while (read8(dev->common + DEVICE_STATUS))
		;
	virtio_set_status(dev, ACKNOWLEDGE | DRIVER);
	write32(dev->common + DRIVER_FEATURE_SELECT, 0);
	write32(dev->common + DRIVER_FEATURE, features);
	write32(dev->common + DRIVER_FEATURE_SELECT, 1);
	write32(dev->common + DRIVER_FEATURE, 1); /* VERSION_1 */
	virtio_set_status(dev, ACKNOWLEDGE | DRIVER | FEATURES_OK);
	for (unsigned int q = 0; q < queues; q++) {
		uint64_t gpa = (uint64_t)ring_desc(q);

		write16(dev->common + QUEUE_SELECT, q);
		write16(dev->common + QUEUE_SIZE_REG, QUEUE_SIZE);
		set_ring(dev, QUEUE_DESC, gpa);
		set_ring(dev, QUEUE_AVAIL, gpa + 0x4000);
		set_ring(dev, QUEUE_USED, gpa + 0x8000);
		write16(dev->common + QUEUE_ENABLE, 1);
	}
	virtio_set_status(dev, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

void virtio_offer(struct virtio *dev, unsigned int q)
{
	volatile uint16_t *avail = ring_avail(q);

	for (unsigned int i = 0; i < QUEUE_SIZE; i++)
		avail[2 + i] = 0;
	asm volatile("" : : : "memory");
	avail[1] += QUEUE_SIZE;
	virtio_kick(dev, q);
}

void virtio_kick(struct virtio *dev, unsigned int q)
{
	outw(dev->notify_port + 2 * q, q);
}

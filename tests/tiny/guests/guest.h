/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For guests of a page of C, which symvmm boots as a vmlinux: ports, registers, the kernel
 * command line, and just enough of a virtio 1.x driver to be a bad one.
 */
#ifndef TESTS_TINY_GUESTS_GUEST_H
#define TESTS_TINY_GUESTS_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUEUE_SIZE 256

#define DESC_NEXT  1
#define DESC_WRITE 2

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct virtio {
	uint64_t common; /* BAR 0: the common configuration comes first */
	uint16_t notify_port; /* of queue 0; each queue has two bytes */
};

static inline void outb(uint16_t port, uint8_t v)
{
	asm volatile("outb %0, %1" : : "a"(v), "d"(port));
}

static inline void outw(uint16_t port, uint16_t v)
{
	asm volatile("outw %0, %1" : : "a"(v), "d"(port));
}

static inline void wrmsr(uint32_t msr, uint64_t v)
{
	asm volatile("wrmsr" : : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
}

/* One plain access each: KVM must be able to emulate it. */
static inline void write8(uint64_t addr, uint8_t v)
{
	asm volatile("movb %0, (%1)" : : "q"(v), "r"(addr) : "memory");
}

static inline void write16(uint64_t addr, uint16_t v)
{
	asm volatile("movw %0, (%1)" : : "r"(v), "r"(addr) : "memory");
}

static inline void write32(uint64_t addr, uint32_t v)
{
	asm volatile("movl %0, (%1)" : : "r"(v), "r"(addr) : "memory");
}

static inline uint32_t read32(uint64_t addr)
{
	uint32_t v;

	asm volatile("movl (%1), %0" : "=r"(v) : "r"(addr) : "memory");
	return v;
}

static inline uint8_t read8(uint64_t addr)
{
	uint8_t v;

	asm volatile("movb (%1), %0" : "=q"(v) : "r"(addr) : "memory");
	return v;
}

void print(const char *text);

/* has_word - is "attack=@word" on the kernel's command line? */
bool has_word(const char *cmdline, const char *word);

/* The rings of queue @q: descriptors, the available ring as words, the used ring. */
struct desc *ring_desc(unsigned int q);
volatile uint16_t *ring_avail(unsigned int q);

/* virtio_find - the device of type @id (virtio 1.2, chapter 5), its registers mapped. */
bool virtio_find(uint16_t id, struct virtio *dev);

/* virtio_start - with the low feature bits @features and @queues queues. */
void virtio_start(struct virtio *dev, uint32_t features, unsigned int queues);
void virtio_set_status(struct virtio *dev, uint8_t status);

/* virtio_offer - all of queue @q's entries are the chain at descriptor 0; then its doorbell. */
void virtio_offer(struct virtio *dev, unsigned int q);
void virtio_kick(struct virtio *dev, unsigned int q);

/* The guest, with its command line. */
void guest_main(const char *cmdline);

#endif

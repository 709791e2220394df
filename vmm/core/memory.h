/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory and the only ways to touch it.  Every accessor takes a GPA and a
 * length and checks both; nothing else in the VMM turns a guest address into a
 * pointer.
 */
#ifndef VMM_CORE_MEMORY_H
#define VMM_CORE_MEMORY_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

#define MEM_MAX_REGIONS 8
#define MEM_MAX_PAGES	32

struct mem_region {
	uint64_t gpa;
	uint64_t size; /* 0: unused */
	uint8_t *host;
	uint32_t flags; /* KVM_MEM_* */
};

struct guest_memory {
	uint8_t *host; /* the whole of RAM, low part first */
	uint64_t size;
	uint64_t low_size;
	uint64_t high_size;
	int vm_fd; /* -1 until gmem_bind() */
	pthread_rwlock_t lock; /* guards regions */
	struct mem_region regions[MEM_MAX_REGIONS]; /* beside RAM, by gmem_region_add() */
	struct mem_region pages[MEM_MAX_PAGES]; /* by gmem_show_page() */
	unsigned int nr_pages;
};

/* gmem_create - @size bytes of RAM, page multiple, not yet known to KVM. */
int gmem_create(struct guest_memory *mem, uint64_t size, struct err *err);
void gmem_destroy(struct guest_memory *mem);

/* gmem_bind - make RAM and the regions memslots of @vm_fd (a fresh VM). */
int gmem_bind(struct guest_memory *mem, int vm_fd, struct err *err);

/* gmem_discard - give every page of RAM back; it reads as zeroes afterwards. */
int gmem_discard(struct guest_memory *mem);

/* gmem_resident - bytes of RAM that the host has allocated; slow, for metrics. */
uint64_t gmem_resident(const struct guest_memory *mem);

/*
 * gmem_map - host address of [gpa, gpa + len), or NULL unless all of it lies in one
 * piece of RAM.  The guest can change that memory at any time.
 */
void *gmem_map(const struct guest_memory *mem, uint64_t gpa, uint64_t len);

/* gmem_read, gmem_write - copy; 0 or -EFAULT, in which case nothing was copied. */
int gmem_read(const struct guest_memory *mem, uint64_t gpa, void *dst, size_t len);
int gmem_write(const struct guest_memory *mem, uint64_t gpa, const void *src, size_t len);

/*
 * gmem_region_add - show @size bytes at @host to the guest at @gpa, above and beside
 * RAM.  @flags: KVM_MEM_*.  Returns 0, -EINVAL (alignment), -EEXIST (overlap),
 * -ENOSPC, or KVM's -errno.  gmem_region_del - remove it.
 */
int gmem_region_add(struct guest_memory *mem, uint64_t gpa, uint64_t size, void *host,
		    uint32_t flags);
int gmem_region_del(struct guest_memory *mem, uint64_t gpa);

/*
 * gmem_show_page - from the next gmem_bind() on the guest reads the page-aligned page at
 * @host without an exit at @gpa, the address of a device.  Its writes go to that device,
 * whose read handler must return the same data: reads are exits as before if KVM does not
 * map the page, or beyond MEM_MAX_PAGES pages.  Before the first boot; @host must stay valid.
 */
void gmem_show_page(struct guest_memory *mem, uint64_t gpa, uint8_t *host);

/* gmem_top - the end of everything: RAM, regions, and devices below 4 GiB. */
uint64_t gmem_top(struct guest_memory *mem);

#endif

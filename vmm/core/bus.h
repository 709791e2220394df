/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An address space of device registers: ports or MMIO.  A handler is called on the
 * vCPU's thread, without any lock of the bus, so it may add and remove regions.
 */
#ifndef VMM_CORE_BUS_H
#define VMM_CORE_BUS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * @offset is from the region's start; @data has @len (1, 2, 4 or 8) bytes, which a read
 * fills.
 */
typedef void (*bus_fn)(void *arg, uint64_t offset, uint8_t *data, unsigned int len,
		       bool is_write);

struct bus_region {
	uint64_t base;
	uint64_t len;
	bus_fn fn;
	void *arg;
	struct bus_region *next;
};

struct bus {
	pthread_rwlock_t lock;
	struct bus_region *regions;
};

void bus_init(struct bus *bus);
void bus_destroy(struct bus *bus);

/* bus_add - @region must stay valid until bus_del(); -EEXIST on overlap. */
int bus_add(struct bus *bus, struct bus_region *region);
void bus_del(struct bus *bus, struct bus_region *region);

/*
 * bus_access - pass an access to its region.  If there is none, or the access crosses the
 * region's end, a read returns all ones and a write is ignored; returns false then.
 */
bool bus_access(struct bus *bus, uint64_t addr, uint8_t *data, unsigned int len, bool is_write);

/* le_load, le_store - a register value of @len (at most 8) bytes from and to @data. */
uint64_t le_load(const uint8_t *data, unsigned int len);
void le_store(uint8_t *data, unsigned int len, uint64_t value);

#endif

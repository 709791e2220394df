// SPDX-License-Identifier: BSD-2-Clause
/*
 * Dispatch of port and MMIO accesses.  There are a few dozen regions at most, and the
 * busy ones are ioeventfds, which do not get here: a list is enough.
 */
#include "core/bus.h"

#include <errno.h>
#include <string.h>

void bus_init(struct bus *bus)
{
	bus->regions = NULL;
	pthread_rwlock_init(&bus->lock, NULL);
}

void bus_destroy(struct bus *bus)
{
	pthread_rwlock_destroy(&bus->lock);
}

int bus_add(struct bus *bus, struct bus_region *region)
{
	struct bus_region *r;
	int ret = 0;

	pthread_rwlock_wrlock(&bus->lock);
	for (r = bus->regions; r; r = r->next)
		if (region->base < r->base + r->len && r->base < region->base + region->len)
			ret = -EEXIST;
	if (!ret) {
		region->next = bus->regions;
		bus->regions = region;
	}
	pthread_rwlock_unlock(&bus->lock);
	return ret;
}

void bus_del(struct bus *bus, struct bus_region *region)
{
	struct bus_region **link;

	pthread_rwlock_wrlock(&bus->lock);
	for (link = &bus->regions; *link; link = &(*link)->next) {
		if (*link == region) {
			*link = region->next;
			break;
		}
	}
	pthread_rwlock_unlock(&bus->lock);
}

bool bus_access(struct bus *bus, uint64_t addr, uint8_t *data, unsigned int len, bool is_write)
{
	struct bus_region *r;
	bus_fn fn = NULL;
	void *arg = NULL;
	uint64_t offset = 0;

	pthread_rwlock_rdlock(&bus->lock);
	for (r = bus->regions; r; r = r->next) {
		if (addr < r->base || addr - r->base >= r->len)
			continue;
		offset = addr - r->base;
		if (len <= r->len - offset) {
			fn = r->fn;
			arg = r->arg;
		}
		break;
	}
	pthread_rwlock_unlock(&bus->lock);
	if (!fn) {
		if (!is_write)
			memset(data, 0xff, len);
		return false;
	}
	fn(arg, offset, data, len, is_write);
	return true;
}

uint64_t le_load(const uint8_t *data, unsigned int len)
{
	uint64_t value = 0;

	memcpy(&value, data, len < 8 ? len : 8);
	return value;
}

void le_store(uint8_t *data, unsigned int len, uint64_t value)
{
	memcpy(data, &value, len < 8 ? len : 8);
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * The PCI bus.  The guest reaches configuration space through ECAM: a device's is a page that
 * it reads without an exit; writes, and slots without a device, come here.  The ports 0xcf8 and
 * 0xcfc do not exist: Linux would prefer them, at two exits an access, after a thousand exits
 * to find them.  BARs are assigned before the guest starts, and updated when it moves them (PCI
 * Local Bus 3.0, chapter 6; PCI Express 4.0, 7.2.2).
 */
#include "devices/pci.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/layout.h"
#include "devices/board.h"

#define CONFIG_PAGE 4096u

struct pci_bus {
	struct board *board;
	pthread_mutex_t lock; /* guards configuration space */
	struct bus_region ecam;
	uint8_t *pages; /* configuration space of function 0 of each slot */
	struct pci_device *slots[PCI_SLOTS];
	uint64_t next_mem;
	uint64_t next_io;
};

static uint16_t get16(const struct pci_device *dev, unsigned int off)
{
	return le_load(&dev->config[off], 2);
}

static uint32_t bar_value(const struct pci_device *dev, int bar)
{
	return le_load(&dev->config[PCI_BASE_ADDRESS_0 + bar * 4], 4);
}

static void unmap_bar(struct pci_device *dev, int i)
{
	struct pci_bar *bar = &dev->bars[i];

	if (!bar->mapped)
		return;
	bar->mapped = false;
	if (dev->bar_mapped)
		dev->bar_mapped(dev, i, false);
	bus_del(bar->is_io ? &dev->board->pio : &dev->board->mmio, &bar->region);
}

static void map_bar(struct pci_device *dev, int i, uint64_t base)
{
	struct pci_bar *bar = &dev->bars[i];
	uint64_t start = bar->is_io ? PCI_PORT_BASE : PCI_MEM_BASE;
	uint64_t size = bar->is_io ? PCI_PORT_SIZE : PCI_MEM_SIZE;

	/* Only inside the bus's windows: a BAR must not cover RAM or the board. */
	if (base < start || base - start > size - bar->size)
		return;
	bar->region.base = base;
	if (bus_add(bar->is_io ? &dev->board->pio : &dev->board->mmio, &bar->region))
		return; /* overlaps another BAR, which keeps its place */
	bar->mapped = true;
	if (dev->bar_mapped)
		dev->bar_mapped(dev, i, true);
}

/* Update the buses to the command register and the BARs. */
static void update_bars(struct pci_device *dev)
{
	uint16_t command = get16(dev, PCI_COMMAND);

	for (int i = 0; i < PCI_BARS; i++) {
		struct pci_bar *bar = &dev->bars[i];
		uint64_t base = bar_value(dev, i) & (bar->is_io ? ~3u : ~15u);
		bool on = command & (bar->is_io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY);

		if (!bar->size || (bar->mapped && on && base == bar->region.base))
			continue;
		unmap_bar(dev, i);
		if (on)
			map_bar(dev, i, base);
	}
}

static void config_write(struct pci_device *dev, unsigned int off, const uint8_t *data,
			 unsigned int len)
{
	bool bars = false, msix = false;

	for (unsigned int i = 0; i < len; i++) {
		unsigned int at = off + i;
		uint8_t mask = dev->wmask[at];

		dev->config[at] = (dev->config[at] & ~mask) | (data[i] & mask);
		bars |= at < PCI_COMMAND + 2 ||
			(at >= PCI_BASE_ADDRESS_0 && at < PCI_BASE_ADDRESS_0 + PCI_BARS * 4);
		msix |= dev->msix.nr && at == dev->msix.cap + PCI_MSIX_FLAGS + 1;
	}
	if (bars)
		update_bars(dev);
	if (msix)
		msix_control_written(dev);
}

/* One access to configuration space.  Lock held. */
static void config_access(struct pci_bus *bus, unsigned int devfn, unsigned int off,
			  uint8_t *data, unsigned int len, bool is_write)
{
	struct pci_device *dev = devfn & 7 ? NULL : bus->slots[devfn >> 3];

	if (!is_write)
		memset(data, 0xff, len);
	if (off % len)
		return;
	if (dev && off + len <= PCI_CFG_SIZE) {
		if (is_write)
			config_write(dev, off, data, len);
		else
			memcpy(data, &dev->config[off], len);
	} else if (dev && !is_write) {
		memset(data, 0, len); /* no extended capabilities */
	}
}

static void ecam_access(void *arg, uint64_t offset, uint8_t *data, unsigned int len,
			bool is_write)
{
	struct pci_bus *bus = arg;

	pthread_mutex_lock(&bus->lock);
	config_access(bus, offset >> 12 & 0xff, offset & 0xfff, data, len, is_write);
	pthread_mutex_unlock(&bus->lock);
}

int pci_bus_create(struct board *board, struct pci_bus **out, struct err *err)
{
	struct pci_bus *bus = calloc(1, sizeof(*bus));

	if (!bus)
		return err_set(err, -ENOMEM, "PCI bus: out of memory");
	bus->pages = mmap(NULL, PCI_SLOTS * CONFIG_PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (bus->pages == MAP_FAILED) {
		free(bus);
		return err_set(err, -ENOMEM, "PCI bus: out of memory");
	}
	bus->board = board;
	bus->next_mem = PCI_MEM_BASE;
	bus->next_io = PCI_PORT_BASE;
	pthread_mutex_init(&bus->lock, NULL);
	bus->ecam = (struct bus_region){ PCI_ECAM_BASE, PCI_ECAM_SIZE, ecam_access, bus, NULL };
	bus_add(&board->mmio, &bus->ecam);
	*out = bus;
	return 0;
}

void pci_bus_destroy(struct pci_bus *bus)
{
	if (!bus)
		return;
	pci_bus_reset(bus);
	for (int i = 0; i < PCI_SLOTS; i++) {
		if (!bus->slots[i])
			continue;
		msix_destroy(bus->slots[i]);
		bus->slots[i]->destroy(bus->slots[i]);
	}
	bus_del(&bus->board->mmio, &bus->ecam);
	pthread_mutex_destroy(&bus->lock);
	munmap(bus->pages, PCI_SLOTS * CONFIG_PAGE);
	free(bus);
}

static void set_bar(struct pci_device *dev, int i)
{
	const struct pci_bar *bar = &dev->bars[i];

	le_store(&dev->config[PCI_BASE_ADDRESS_0 + i * 4], 4,
		 bar->home | (bar->is_io ? PCI_BASE_ADDRESS_SPACE_IO : 0));
}

void pci_bus_reset(struct pci_bus *bus)
{
	pthread_mutex_lock(&bus->lock);
	for (int i = 0; i < PCI_SLOTS; i++) {
		struct pci_device *dev = bus->slots[i];

		if (!dev)
			continue;
		memset(&dev->config[PCI_COMMAND], 0, 2);
		update_bars(dev);
		for (int bar = 0; bar < PCI_BARS; bar++)
			if (dev->bars[bar].size)
				set_bar(dev, bar);
		msix_reset(dev);
		if (dev->reset)
			dev->reset(dev);
	}
	pthread_mutex_unlock(&bus->lock);
}

void pci_init(struct pci_device *dev, struct board *board, const char *name, uint16_t vendor,
	      uint16_t device, uint32_t class_code, uint8_t revision)
{
	struct pci_bus *bus = board->pci;
	unsigned int slot = 1; /* 0 is where a host bridge would be */

	while (slot < PCI_SLOTS && bus->slots[slot])
		slot++;
	dev->board = board;
	dev->name = name;
	dev->slot = slot;
	/* If there is no free slot, pci_attach() fails. */
	dev->config = bus->pages + (slot % PCI_SLOTS) * CONFIG_PAGE;
	memset(dev->config, 0, CONFIG_PAGE);
	le_store(&dev->config[PCI_VENDOR_ID], 2, vendor);
	le_store(&dev->config[PCI_DEVICE_ID], 2, device);
	le_store(&dev->config[PCI_STATUS], 2, PCI_STATUS_CAP_LIST);
	dev->config[PCI_REVISION_ID] = revision;
	le_store(&dev->config[PCI_CLASS_PROG], 3, class_code);
	le_store(&dev->config[PCI_SUBSYSTEM_VENDOR_ID], 2, vendor);
	le_store(&dev->config[PCI_SUBSYSTEM_ID], 2, device);
	le_store(&dev->wmask[PCI_COMMAND], 2,
		 PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
			 PCI_COMMAND_INTX_DISABLE);
	dev->wmask[PCI_CACHE_LINE_SIZE] = 0xff;
	dev->wmask[PCI_INTERRUPT_LINE] = 0xff;
	dev->cap_last = PCI_CAPABILITY_LIST;
	dev->cap_next = 0x40;
}

void pci_add_bar(struct pci_device *dev, int i, uint32_t size, bool is_io, bus_fn fn, void *arg)
{
	struct pci_bar *bar = &dev->bars[i];

	bar->size = size;
	bar->is_io = is_io;
	bar->region = (struct bus_region){ .len = size, .fn = fn, .arg = arg };
	le_store(&dev->wmask[PCI_BASE_ADDRESS_0 + i * 4], 4, ~(size - 1) & (is_io ? ~3u : ~15u));
}

unsigned int pci_add_cap(struct pci_device *dev, uint8_t id, const void *body, unsigned int len)
{
	unsigned int at = dev->cap_next;

	dev->config[at] = id;
	memcpy(&dev->config[at + 2], body, len - 2);
	dev->config[dev->cap_last] = at;
	dev->cap_last = at + PCI_CAP_LIST_NEXT;
	dev->cap_next = (at + len + 3) & ~3u;
	return at;
}

struct pci_device *pci_io_device(const struct pci_bus *bus, uint64_t port, int *bar)
{
	for (unsigned int i = 0; i < PCI_SLOTS; i++)
		for (*bar = 0; bus->slots[i] && *bar < PCI_BARS; ++*bar) {
			const struct pci_bar *b = &bus->slots[i]->bars[*bar];
			uint64_t base = __atomic_load_n(&b->region.base, __ATOMIC_RELAXED);

			if (b->is_io && __atomic_load_n(&b->mapped, __ATOMIC_RELAXED) &&
			    port >= base && port - base < b->size)
				return bus->slots[i];
		}
	return NULL;
}

int pci_attach(struct pci_bus *bus, struct pci_device *dev, struct err *err)
{
	uint64_t gpa = PCI_ECAM_BASE + ((uint64_t)dev->slot << 15);

	if (dev->slot == PCI_SLOTS)
		return err_set(err, -ENOSPC, "%s: more than %d PCI devices", dev->name,
			       PCI_SLOTS - 1);
	for (int i = 0; i < PCI_BARS; i++) {
		struct pci_bar *bar = &dev->bars[i];
		uint64_t *next = bar->is_io ? &bus->next_io : &bus->next_mem;

		if (!bar->size)
			continue;
		bar->home = (*next + bar->size - 1) & ~((uint64_t)bar->size - 1);
		*next = bar->home + bar->size;
		set_bar(dev, i);
	}
	dev->bus = bus;
	bus->slots[dev->slot] = dev;
	gmem_show_page(&bus->board->mem, gpa, dev->config);
	return 0;
}

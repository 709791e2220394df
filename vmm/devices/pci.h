/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One PCI bus, its configuration space memory-mapped (ECAM).  A device provides its identity
 * and BARs; pci.c implements configuration space, pci_msix.c the vectors.
 */
#ifndef VMM_DEVICES_PCI_H
#define VMM_DEVICES_PCI_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/bus.h"
#include "core/err.h"
#include "core/irq.h"

#define PCI_SLOTS     32
#define PCI_BARS      6
#define PCI_CFG_SIZE  256
#define MSIX_MAX_VECS 64

struct pci_bus;
struct board;

struct pci_bar {
	uint32_t size; /* power of two; 0: no such BAR */
	bool is_io;
	bool mapped;
	uint64_t home; /* base at power-on */
	struct bus_region region; /* base follows the guest's programming */
};

struct msix_vec {
	uint32_t word[4]; /* address low and high, data, control: as in the table */
	int gsi;
	int fd; /* eventfd: written to raise the interrupt */
	bool attached; /* fd raises gsi; otherwise a write stays pending in fd */
};

struct msix {
	unsigned int nr; /* 0: the device has none */
	unsigned int cap; /* offset in configuration space */
	int bar;
	pthread_mutex_t lock; /* guards vec; taken inside the bus's lock */
	struct msix_vec vec[MSIX_MAX_VECS];
};

struct pci_device {
	const char *name;
	struct board *board;
	struct pci_bus *bus;
	unsigned int slot;
	uint8_t *config; /* a page of the bus, which the guest reads */
	uint8_t wmask[PCI_CFG_SIZE]; /* which bits the guest may write */
	unsigned int cap_next; /* where the next capability goes */
	unsigned int cap_last; /* link to patch */
	struct pci_bar bars[PCI_BARS];
	struct msix msix;

	/* A BAR was mapped at, or unmapped from, region.base.  vCPU thread, bus locked. */
	void (*bar_mapped)(struct pci_device *dev, int bar, bool mapped);
	/* Back to power-on state; the guest does not run. */
	void (*reset)(struct pci_device *dev);
	void (*destroy)(struct pci_device *dev);
};

int pci_bus_create(struct board *board, struct pci_bus **out, struct err *err);
/* pci_bus_destroy - destroy the bus and every device on it. */
void pci_bus_destroy(struct pci_bus *bus);
/* pci_bus_reset - reset every device, between boots: no BAR mapped, no vector attached. */
void pci_bus_reset(struct pci_bus *bus);

/*
 * pci_init - set vendor and device ids and 24-bit class code.  The device gets the next free
 * slot of board->pci: call pci_attach() before another device's pci_init().
 */
void pci_init(struct pci_device *dev, struct board *board, const char *name, uint16_t vendor,
	      uint16_t device, uint32_t class_code, uint8_t revision);

/* pci_add_bar - @size a power of two (16 and up for memory, 4 for ports). */
void pci_add_bar(struct pci_device *dev, int bar, uint32_t size, bool is_io, bus_fn fn,
		 void *arg);

/* pci_add_cap - append a capability; @len includes its 2 header bytes.  Returns its offset. */
unsigned int pci_add_cap(struct pci_device *dev, uint8_t id, const void *body, unsigned int len);

/* msix_add - add @nr vectors; their table is in memory BAR @bar (one page, added here). */
int msix_add(struct pci_device *dev, int bar, unsigned int nr, struct err *err);

/* msix_signal - raise vector @vec.  Any thread.  Ignored while MSI-X is off. */
void msix_signal(struct pci_device *dev, unsigned int vec);

/*
 * pci_io_device - the device with a BAR at I/O port @port, and the BAR's number; NULL if there
 * is none.  Any thread: if the guest is moving BARs, the answer may be from before or after.
 */
struct pci_device *pci_io_device(const struct pci_bus *bus, uint64_t port, int *bar);

/* pci_attach - put it on the bus; the bus chooses the addresses of its BARs. */
int pci_attach(struct pci_bus *bus, struct pci_device *dev, struct err *err);

/* For pci.c: the MSI-X control word was written; turn everything off; free. */
void msix_control_written(struct pci_device *dev);
void msix_reset(struct pci_device *dev);
void msix_destroy(struct pci_device *dev);

#endif

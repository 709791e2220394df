/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupt routes: GSI 0 to 23 are the IOAPIC's pins (0 to 15 the PIC's too), the
 * ones above carry MSIs.  Devices raise interrupts by writing to an eventfd.
 */
#ifndef VMM_CORE_IRQ_H
#define VMM_CORE_IRQ_H

#include <pthread.h>
#include <stdint.h>

#define IRQ_MAX_MSI 512

struct irq_msi {
	uint64_t addr;
	uint32_t data;
	int used;
};

struct irq_router {
	int vm_fd; /* -1: no boot in progress */
	pthread_mutex_t lock;
	unsigned int nr_msi;
	struct irq_msi msi[IRQ_MAX_MSI];
};

void irq_init(struct irq_router *irq);
void irq_destroy(struct irq_router *irq);

/* irq_bind - use @vm_fd from now on (-1: none), with the standard routes only. */
int irq_bind(struct irq_router *irq, int vm_fd);

/* irq_alloc_msi - a GSI for a vector, for the life of the machine; -ENOSPC. */
int irq_alloc_msi(struct irq_router *irq);

/* irq_set_msi - route @gsi to the MSI message.  0 or -errno. */
int irq_set_msi(struct irq_router *irq, int gsi, uint64_t addr, uint32_t data);

/* irq_attach - raise @gsi (an edge) whenever @eventfd is written; irq_detach ends that. */
int irq_attach(struct irq_router *irq, int gsi, int eventfd);
int irq_detach(struct irq_router *irq, int gsi, int eventfd);

#endif

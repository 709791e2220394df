// SPDX-License-Identifier: BSD-2-Clause
/*
 * Interrupt routes.  KVM_SET_GSI_ROUTING replaces the whole table, so it is rebuilt at
 * each change; changes are rare (a driver sets up its vectors).
 */
#include "core/irq.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "core/layout.h"

void irq_init(struct irq_router *irq)
{
	*irq = (struct irq_router){ .vm_fd = -1 };
	pthread_mutex_init(&irq->lock, NULL);
}

void irq_destroy(struct irq_router *irq)
{
	pthread_mutex_destroy(&irq->lock);
}

static void add_pin(struct kvm_irq_routing *table, unsigned int gsi, unsigned int chip,
		    unsigned int pin)
{
	table->entries[table->nr++] = (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = { .irqchip = chip, .pin = pin },
	};
}

static int commit(struct irq_router *irq)
{
	struct kvm_irq_routing *table;
	int ret = 0;

	if (irq->vm_fd < 0)
		return 0;
	table = calloc(1, sizeof(*table) +
				  (2 * GSI_MSI_BASE + irq->nr_msi) * sizeof(table->entries[0]));
	if (!table)
		return -ENOMEM;
	for (unsigned int gsi = 0; gsi < 16; gsi++)
		if (gsi != 2) /* the PIC's cascade */
			add_pin(table, gsi,
				gsi < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE,
				gsi % 8);
	for (unsigned int gsi = 0; gsi < GSI_MSI_BASE; gsi++)
		add_pin(table, gsi, KVM_IRQCHIP_IOAPIC, gsi);
	for (unsigned int i = 0; i < irq->nr_msi; i++) {
		if (!irq->msi[i].used)
			continue;
		table->entries[table->nr++] = (struct kvm_irq_routing_entry){
			.gsi = GSI_MSI_BASE + i,
			.type = KVM_IRQ_ROUTING_MSI,
			.u.msi = { .address_lo = irq->msi[i].addr,
				   .address_hi = irq->msi[i].addr >> 32,
				   .data = irq->msi[i].data },
		};
	}
	if (ioctl(irq->vm_fd, KVM_SET_GSI_ROUTING, table))
		ret = -errno;
	free(table);
	return ret;
}

int irq_bind(struct irq_router *irq, int vm_fd)
{
	int ret;

	pthread_mutex_lock(&irq->lock);
	irq->vm_fd = vm_fd;
	for (unsigned int i = 0; i < irq->nr_msi; i++)
		irq->msi[i].used = 0;
	ret = commit(irq);
	pthread_mutex_unlock(&irq->lock);
	return ret;
}

int irq_alloc_msi(struct irq_router *irq)
{
	int ret = -ENOSPC;

	pthread_mutex_lock(&irq->lock);
	if (irq->nr_msi < IRQ_MAX_MSI)
		ret = GSI_MSI_BASE + irq->nr_msi++;
	pthread_mutex_unlock(&irq->lock);
	return ret;
}

int irq_set_msi(struct irq_router *irq, int gsi, uint64_t addr, uint32_t data)
{
	struct irq_msi *msi = &irq->msi[gsi - GSI_MSI_BASE];
	int ret = 0;

	pthread_mutex_lock(&irq->lock);
	if (!msi->used || msi->addr != addr || msi->data != data) {
		*msi = (struct irq_msi){ .addr = addr, .data = data, .used = 1 };
		ret = commit(irq);
	}
	pthread_mutex_unlock(&irq->lock);
	return ret;
}

static int irqfd(struct irq_router *irq, int gsi, int eventfd, uint32_t flags)
{
	struct kvm_irqfd req = { .fd = eventfd, .gsi = gsi, .flags = flags };
	int ret = 0;

	pthread_mutex_lock(&irq->lock);
	if (irq->vm_fd >= 0 && ioctl(irq->vm_fd, KVM_IRQFD, &req))
		ret = -errno;
	pthread_mutex_unlock(&irq->lock);
	return ret;
}

int irq_attach(struct irq_router *irq, int gsi, int eventfd)
{
	return irqfd(irq, gsi, eventfd, 0);
}

int irq_detach(struct irq_router *irq, int gsi, int eventfd)
{
	return irqfd(irq, gsi, eventfd, KVM_IRQFD_FLAG_DEASSIGN);
}

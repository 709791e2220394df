// SPDX-License-Identifier: BSD-2-Clause
/*
 * The PCI transport (virtio 1.2, 4.1).  BAR 0 holds the registers, BAR 1 the MSI-X
 * table, BAR 2 the doorbells: a port each, because an "out" is the cheapest exit,
 * and with an ioeventfd it is handled in the kernel.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "devices/board.h"
#include "virtio/virtio.h"

#define VENDOR_VIRTIO 0x1af4
#define DEVICE_BASE   0x1040
#define REVISION      1

#define BAR_REGS   0
#define BAR_MSIX   1
#define BAR_NOTIFY 2

#define REGS_SIZE     0x4000
#define COMMON_OFFSET 0x0000
#define ISR_OFFSET    0x1000
#define CONFIG_OFFSET 0x2000
#define CONFIG_SIZE   0x1000
#define NOTIFY_STEP   2
#define NOTIFY_SIZE   64

static struct virtq *selected(struct virtio_device *dev)
{
	return dev->queue_select < dev->ops->nr_queues ? &dev->queues[dev->queue_select] : NULL;
}

static uint64_t common_read(struct virtio_device *dev, uint64_t off)
{
	const struct virtq *vq = selected(dev);

	switch (off) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		return dev->offer_select;
	case VIRTIO_PCI_COMMON_DF:
		return dev->offer_select < 2 ?
			       (uint32_t)(dev->offered >> 32 * dev->offer_select) :
			       0;
	case VIRTIO_PCI_COMMON_GFSELECT:
		return dev->accept_select;
	case VIRTIO_PCI_COMMON_GF:
		return dev->accept_select < 2 ?
			       (uint32_t)(dev->features >> 32 * dev->accept_select) :
			       0;
	case VIRTIO_PCI_COMMON_MSIX:
		return dev->config_vector;
	case VIRTIO_PCI_COMMON_NUMQ:
		return dev->ops->nr_queues;
	case VIRTIO_PCI_COMMON_STATUS:
		return dev->status;
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		return dev->generation;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		return dev->queue_select;
	}
	if (!vq)
		return 0; /* also the queue's size: there is no such queue */
	switch (off) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		return vq->size;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		return vq->vector;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		return vq->enabled;
	case VIRTIO_PCI_COMMON_Q_NOFF:
		return vq->index;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
		return (uint32_t)vq->desc_gpa;
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		return vq->desc_gpa >> 32;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
		return (uint32_t)vq->avail_gpa;
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		return vq->avail_gpa >> 32;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
		return (uint32_t)vq->used_gpa;
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		return vq->used_gpa >> 32;
	}
	return 0;
}

static uint16_t valid_vector(const struct virtio_device *dev, uint64_t vec)
{
	return vec < dev->pci.msix.nr ? vec : VIRTIO_NO_VEC;
}

static void set_half(uint64_t *field, uint64_t value, bool high)
{
	unsigned int shift = high ? 32 : 0;

	*field = (*field & ~(0xffffffffull << shift)) | (value & 0xffffffff) << shift;
}

static void queue_write(struct virtio_device *dev, struct virtq *vq, uint64_t off, uint64_t value)
{
	if (off == VIRTIO_PCI_COMMON_Q_MSIX) {
		vq->vector = valid_vector(dev, value);
		return;
	}
	/* Frozen when it is enabled, until a reset. */
	if (vq->enabled || dev->status & VIRTIO_CONFIG_S_DRIVER_OK)
		return;
	switch (off) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		vq->size = value; /* checked when the driver is ready */
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		vq->enabled = value == 1;
		break;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		set_half(&vq->desc_gpa, value, off == VIRTIO_PCI_COMMON_Q_DESCHI);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		set_half(&vq->avail_gpa, value, off == VIRTIO_PCI_COMMON_Q_AVAILHI);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		set_half(&vq->used_gpa, value, off == VIRTIO_PCI_COMMON_Q_USEDHI);
		break;
	}
}

static void common_write(struct virtio_device *dev, uint64_t off, uint64_t value)
{
	struct virtq *vq = selected(dev);

	switch (off) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		dev->offer_select = value;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		dev->accept_select = value;
		break;
	case VIRTIO_PCI_COMMON_GF:
		if (dev->accept_select < 2 && !(dev->status & VIRTIO_CONFIG_S_FEATURES_OK))
			set_half(&dev->features, value, dev->accept_select);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		dev->config_vector = valid_vector(dev, value);
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		virtio_set_status(dev, value);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		dev->queue_select = value;
		break;
	default:
		if (vq)
			queue_write(dev, vq, off, value);
	}
}

static void regs_access(void *arg, uint64_t off, uint8_t *data, unsigned int len, bool is_write)
{
	struct virtio_device *dev = arg;

	pthread_mutex_lock(&dev->lock);
	if (!is_write)
		memset(data, 0, len);
	if (off < ISR_OFFSET) {
		/* 64-bit fields may only be written by halves (4.1.3.1). */
		if (is_write && len <= 4)
			common_write(dev, off, le_load(data, len));
		else if (!is_write)
			le_store(data, len, common_read(dev, off));
	} else if (off >= CONFIG_OFFSET && off < CONFIG_OFFSET + CONFIG_SIZE) {
		/* The ISR register before it reads as zero: there is no INTx. */
		if (!is_write && dev->ops->config_read)
			dev->ops->config_read(dev, off - CONFIG_OFFSET, data, len);
		else if (is_write && dev->ops->config_write)
			dev->ops->config_write(dev, off - CONFIG_OFFSET, data, len);
	}
	pthread_mutex_unlock(&dev->lock);
}

/* Only reached if there is no ioeventfd, or by an unusual access. */
static void notify_access(void *arg, uint64_t off, uint8_t *data, unsigned int len, bool is_write)
{
	struct virtio_device *dev = arg;
	uint64_t q = off / NOTIFY_STEP;

	if (!is_write)
		memset(data, 0, len);
	else if (q < dev->ops->nr_queues)
		eventfd_write(dev->queues[q].kick_fd, 1);
}

static void bar_mapped(struct pci_device *pci, int bar, bool mapped)
{
	struct virtio_device *dev = (struct virtio_device *)pci;

	if (bar != BAR_NOTIFY || dev->board->vm_fd < 0 || dev->notify_exit)
		return;
	for (unsigned int q = 0; q < dev->ops->nr_queues; q++) {
		struct kvm_ioeventfd io = {
			.addr = pci->bars[bar].region.base + q * NOTIFY_STEP,
			.len = NOTIFY_STEP,
			.fd = dev->queues[q].kick_fd,
			.flags = KVM_IOEVENTFD_FLAG_PIO |
				 (mapped ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN),
		};

		/* If this fails, notify_access() does the same more slowly. */
		if (ioctl(dev->board->vm_fd, KVM_IOEVENTFD, &io) && mapped)
			log_warn("%s: no ioeventfd: %s", dev->name, strerror(errno));
	}
}

const char *virtio_notify_at(struct pci_bus *bus, uint64_t port)
{
	struct pci_device *pci;
	int bar;

	pci = pci_io_device(bus, port, &bar);
	if (!pci || bar != BAR_NOTIFY || pci->bar_mapped != bar_mapped)
		return NULL;
	return ((struct virtio_device *)pci)->name;
}

static void pci_reset(struct pci_device *pci)
{
	struct virtio_device *dev = (struct virtio_device *)pci;

	pthread_mutex_lock(&dev->lock);
	virtio_reset(dev);
	pthread_mutex_unlock(&dev->lock);
}

static void pci_destroy(struct pci_device *pci)
{
	struct virtio_device *dev = (struct virtio_device *)pci;

	dev->ops->destroy(dev);
}

static void signal_msix(struct virtio_device *dev, uint16_t vector)
{
	msix_signal(&dev->pci, vector);
}

/* The vendor capability that says where one of the structures is (4.1.4). */
static void add_cap(struct pci_device *pci, uint8_t type, uint8_t bar, uint32_t offset,
		    uint32_t length, uint32_t extra, bool has_extra)
{
	struct virtio_pci_notify_cap cap = {
		.cap.cap_len = has_extra ? sizeof(cap) : sizeof(cap.cap),
		.cap.cfg_type = type,
		.cap.bar = bar,
		.cap.offset = offset,
		.cap.length = length,
		.notify_off_multiplier = extra,
	};

	pci_add_cap(pci, 0x09, (uint8_t *)&cap + 2, cap.cap.cap_len);
}

int virtio_pci_attach(struct virtio_device *dev, struct err *err)
{
	struct pci_device *pci = &dev->pci;
	int ret;

	_Static_assert(offsetof(struct virtio_device, pci) == 0, "cast from pci_device");
	pci_init(pci, dev->board, dev->name, VENDOR_VIRTIO, DEVICE_BASE + dev->ops->id,
		 dev->ops->pci_class, REVISION);
	pci->bar_mapped = bar_mapped;
	pci->reset = pci_reset;
	pci->destroy = pci_destroy;
	pci_add_bar(pci, BAR_REGS, REGS_SIZE, false, regs_access, dev);
	pci_add_bar(pci, BAR_NOTIFY, NOTIFY_SIZE, true, notify_access, dev);
	add_cap(pci, VIRTIO_PCI_CAP_COMMON_CFG, BAR_REGS, COMMON_OFFSET,
		sizeof(struct virtio_pci_common_cfg), 0, false);
	add_cap(pci, VIRTIO_PCI_CAP_ISR_CFG, BAR_REGS, ISR_OFFSET, 4, 0, false);
	add_cap(pci, VIRTIO_PCI_CAP_DEVICE_CFG, BAR_REGS, CONFIG_OFFSET, CONFIG_SIZE, 0, false);
	add_cap(pci, VIRTIO_PCI_CAP_NOTIFY_CFG, BAR_NOTIFY, 0, NOTIFY_SIZE, NOTIFY_STEP, true);
	dev->signal = signal_msix;
	ret = msix_add(pci, BAR_MSIX, dev->ops->nr_queues + 1, err);
	if (ret)
		return ret;
	return pci_attach(dev->board->pci, pci, err);
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * MSI-X.  Each vector has an eventfd; a device raises the vector by writing to it.
 * While the vector is enabled the eventfd is an irqfd of KVM; while it is masked the
 * write stays in the eventfd, which thus is the pending bit, and KVM checks it when
 * the irqfd is attached again.  (PCI Local Bus 3.0, 6.8.2.)
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "devices/board.h"
#include "devices/pci.h"

#define MSIX_BAR_SIZE	4096
#define MSIX_PBA_OFFSET 2048
#define ENTRY_SIZE	16

enum { ADDR_LO, ADDR_HI, DATA, CTRL };

static uint16_t control(const struct pci_device *dev)
{
	return le_load(&dev->config[dev->msix.cap + PCI_MSIX_FLAGS], 2);
}

/* Attach or detach the vector's irqfd, by the enable and mask bits.  Lock held. */
static void update_vec(struct pci_device *dev, struct msix_vec *v)
{
	struct irq_router *irq = &dev->board->irq;
	uint16_t flags = control(dev);
	bool live = flags & PCI_MSIX_FLAGS_ENABLE && !(flags & PCI_MSIX_FLAGS_MASKALL) &&
		    !(v->word[CTRL] & PCI_MSIX_ENTRY_CTRL_MASKBIT);
	int ret = 0;

	if (live)
		ret = irq_set_msi(irq, v->gsi,
				  (uint64_t)v->word[ADDR_HI] << 32 | v->word[ADDR_LO],
				  v->word[DATA]);
	if (!ret && live && !v->attached)
		ret = irq_attach(irq, v->gsi, v->fd);
	if (!live && v->attached)
		irq_detach(irq, v->gsi, v->fd);
	v->attached = live && !ret;
	if (ret)
		board_stop(dev->board, VM_STOP_ERROR, "%s: KVM refused an MSI-X route: %s",
			   dev->name, strerror(-ret));
}

void msix_control_written(struct pci_device *dev)
{
	pthread_mutex_lock(&dev->msix.lock);
	for (unsigned int i = 0; i < dev->msix.nr; i++)
		update_vec(dev, &dev->msix.vec[i]);
	pthread_mutex_unlock(&dev->msix.lock);
}

static uint64_t pending_bits(const struct msix *m)
{
	uint64_t bits = 0;

	for (unsigned int i = 0; i < m->nr; i++) {
		struct pollfd p = { .fd = m->vec[i].fd, .events = POLLIN };

		if (!m->vec[i].attached && poll(&p, 1, 0) > 0)
			bits |= 1ull << i;
	}
	return bits;
}

static void table_access(void *arg, uint64_t offset, uint8_t *data, unsigned int len,
			 bool is_write)
{
	struct pci_device *dev = arg;
	struct msix *m = &dev->msix;
	uint64_t index = offset / ENTRY_SIZE;
	unsigned int at = offset % ENTRY_SIZE;
	struct msix_vec *v;

	if (!is_write)
		memset(data, 0, len);
	pthread_mutex_lock(&m->lock);
	if (offset == MSIX_PBA_OFFSET && !is_write)
		le_store(data, len, pending_bits(m));
	if (index < m->nr && (len == 4 || len == 8) && at % len == 0) {
		v = &m->vec[index];
		if (is_write)
			memcpy((uint8_t *)v->word + at, data, len);
		else
			memcpy(data, (uint8_t *)v->word + at, len);
		/* Drivers mask a vector before they change it: only the mask bit counts. */
		v->word[CTRL] &= PCI_MSIX_ENTRY_CTRL_MASKBIT;
		if (is_write && at + len > PCI_MSIX_ENTRY_VECTOR_CTRL)
			update_vec(dev, v);
	}
	pthread_mutex_unlock(&m->lock);
}

int msix_add(struct pci_device *dev, int bar, unsigned int nr, struct err *err)
{
	struct msix *m = &dev->msix;
	uint8_t body[10];

	le_store(body, 2, nr - 1);
	le_store(body + 2, 4, bar);
	le_store(body + 6, 4, MSIX_PBA_OFFSET | bar);
	pthread_mutex_init(&m->lock, NULL);
	m->bar = bar;
	m->cap = pci_add_cap(dev, PCI_CAP_ID_MSIX, body, sizeof(body) + 2);
	dev->wmask[m->cap + PCI_MSIX_FLAGS + 1] =
		(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL) >> 8;
	pci_add_bar(dev, bar, MSIX_BAR_SIZE, false, table_access, dev);
	for (unsigned int i = 0; i < nr; i++) {
		struct msix_vec *v = &m->vec[i];

		v->word[CTRL] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
		v->gsi = irq_alloc_msi(&dev->board->irq);
		v->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		m->nr = i + 1; /* for msix_destroy() after an error */
		if (v->gsi < 0)
			return err_set(err, v->gsi, "%s: out of MSI routes", dev->name);
		if (v->fd < 0)
			return err_errno(err, "%s: eventfd", dev->name);
	}
	return 0;
}

void msix_signal(struct pci_device *dev, unsigned int vec)
{
	if (vec >= dev->msix.nr || !(control(dev) & PCI_MSIX_FLAGS_ENABLE))
		return;
	eventfd_write(dev->msix.vec[vec].fd, 1);
}

void msix_reset(struct pci_device *dev)
{
	struct msix *m = &dev->msix;
	uint64_t count;

	if (!m->nr)
		return;
	memset(&dev->config[m->cap + PCI_MSIX_FLAGS + 1], 0, 1);
	for (unsigned int i = 0; i < m->nr; i++) {
		struct msix_vec *v = &m->vec[i];

		memset(v->word, 0, sizeof(v->word));
		v->word[CTRL] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
		update_vec(dev, v);
		while (read(v->fd, &count, sizeof(count)) > 0)
			; /* discard a pending interrupt */
	}
}

void msix_destroy(struct pci_device *dev)
{
	for (unsigned int i = 0; i < dev->msix.nr; i++)
		if (dev->msix.vec[i].fd >= 0)
			close(dev->msix.vec[i].fd);
}

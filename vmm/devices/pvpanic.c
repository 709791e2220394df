// SPDX-License-Identifier: BSD-2-Clause
/*
 * pvpanic-pci: a byte with a bit that says that the kernel panicked (the interface
 * is QEMU's, docs/specs/pvpanic; Linux has the driver in drivers/misc/pvpanic).
 */
#include "devices/pvpanic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/board.h"
#include "devices/pci.h"
#include "devices/platform.h"

#define VENDOR	 0x1b36
#define DEVICE	 0x0011
#define BAR_SIZE 16

#define PANICKED     1
#define CRASH_LOADED 2 /* a crash kernel takes over: the VM continues */

static void pvpanic_access(void *arg, uint64_t offset, uint8_t *data, unsigned int len,
			   bool is_write)
{
	struct pci_device *dev = arg;

	if (!is_write) {
		memset(data, 0, len);
		if (offset)
			return;
		/* A driver first reads which bits are supported. */
		data[0] = PANICKED | CRASH_LOADED;
		platform_panic_driver(dev->board);
	} else if (!offset && data[0] & PANICKED) {
		platform_panicked(dev->board);
	} else if (!offset && data[0] & CRASH_LOADED) {
		platform_crash_kernel(dev->board);
	}
}

static void pvpanic_destroy(struct pci_device *dev)
{
	free(dev);
}

int pvpanic_create(struct board *board, struct err *err)
{
	struct pci_device *dev = calloc(1, sizeof(*dev));
	int ret;

	if (!dev)
		return err_set(err, -ENOMEM, "pvpanic: out of memory");
	pci_init(dev, board, "pvpanic", VENDOR, DEVICE, 0x080000, 0);
	dev->destroy = pvpanic_destroy;
	pci_add_bar(dev, 0, BAR_SIZE, false, pvpanic_access, dev);
	ret = pci_attach(board->pci, dev, err);
	if (ret)
		free(dev);
	return ret;
}

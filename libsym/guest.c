// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guest's side: /dev/symbiotic.
 */
#include "symkit/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "sym/abi.h"

_Static_assert(SYM_GUEST_VALUE_MAX == SYM_VALUE_MAX, "one size");

struct sym_guest {
	int fd;
};

int sym_guest_open(const char *path, struct sym_guest **out)
{
	struct sym_guest *guest = calloc(1, sizeof(*guest));
	struct sym_dev_info info;
	int ret;

	if (!guest)
		return -ENOMEM;
	guest->fd = open(path ? path : "/dev/symbiotic", O_RDWR | O_CLOEXEC);
	if (guest->fd < 0) {
		ret = -errno;
	} else if (ioctl(guest->fd, SYM_DEV_INFO, &info)) {
		ret = -errno;
	} else {
		*out = guest;
		return 0;
	}
	sym_guest_close(guest);
	return ret;
}

void sym_guest_close(struct sym_guest *guest)
{
	if (!guest)
		return;
	if (guest->fd >= 0)
		close(guest->fd);
	free(guest);
}

static int fill(struct sym_dev_value *dev, const char *name)
{
	size_t n = strlen(name);

	memset(dev, 0, sizeof(*dev));
	if (!n || n >= sizeof(dev->name))
		return -EINVAL;
	memcpy(dev->name, name, n);
	return 0;
}

int sym_guest_set(struct sym_guest *guest, const char *name, const void *value, size_t len)
{
	struct sym_dev_value dev;
	int ret = fill(&dev, name);

	if (ret)
		return ret;
	if (len > sizeof(dev.value))
		return -E2BIG;
	if (len)
		memcpy(dev.value, value, len);
	dev.len = len;
	return ioctl(guest->fd, SYM_DEV_SET, &dev) ? -errno : 0;
}

int sym_guest_clear(struct sym_guest *guest, const char *name)
{
	struct sym_dev_value dev;
	int ret = fill(&dev, name);

	if (ret)
		return ret;
	return ioctl(guest->fd, SYM_DEV_CLEAR, &dev) ? -errno : 0;
}

int sym_guest_get(struct sym_guest *guest, const char *name, void *value, size_t max)
{
	struct sym_dev_value dev;
	int ret = fill(&dev, name);

	if (ret)
		return ret;
	if (ioctl(guest->fd, SYM_DEV_GET, &dev))
		return -errno;
	if (dev.len > sizeof(dev.value))
		return -EPROTO;
	memcpy(value, dev.value, dev.len < max ? dev.len : max);
	return dev.len;
}

int sym_guest_info(struct sym_guest *guest, struct sym_guest_info *info)
{
	struct sym_guest_info known = { 0 };
	struct sym_dev_info dev;

	if (info->size < sizeof(size_t))
		return -EINVAL;
	if (ioctl(guest->fd, SYM_DEV_INFO, &dev))
		return -errno;
	known.size = info->size < sizeof(known) ? info->size : sizeof(known);
	known.version = dev.version;
	known.features = dev.features;
	known.generation = dev.generation;
	memcpy(known.vm_name, dev.vm.name, sizeof(known.vm_name));
	memcpy(known.vm_uuid, dev.vm.uuid, sizeof(known.vm_uuid));
	known.vm_name[sizeof(known.vm_name) - 1] = '\0';
	known.vm_uuid[sizeof(known.vm_uuid) - 1] = '\0';
	memcpy(info, &known, known.size);
	return 0;
}

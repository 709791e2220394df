// SPDX-License-Identifier: BSD-2-Clause
/*
 * Opening disk images.  An unusable image is refused here, before the guest starts.
 */
#include "virtio/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define SECTOR 512

/* Formats that a raw disk is easily mistaken for. */
static const struct {
	const char *name;
	unsigned int offset;
	const char *magic;
	unsigned int len;
} formats[] = {
	{ "qcow2", 0, "QFI\xfb", 4 },
	{ "qed", 0, "QED\0", 4 },
	{ "vmdk", 0, "KDMV", 4 },
	{ "vmdk", 0, "# Disk DescriptorFile", 21 },
	{ "vhd", 0, "conectix", 8 },
	{ "vhdx", 0, "vhdxfile", 8 },
	{ "vdi", 0x40, "\x7f\x10\xda\xbe", 4 },
};

static int check_format(int fd, const char *path, struct err *err)
{
	char head[SECTOR];

	if (pread(fd, head, sizeof(head), 0) != sizeof(head))
		return err_errno(err, "disk %s", path);
	for (unsigned int i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (!memcmp(head + formats[i].offset, formats[i].magic, formats[i].len))
			return err_set(
				err, -EINVAL,
				"disk %s: looks like a %s image, only raw ones are supported "
				"(qemu-img convert -O raw; if it is raw, say format=raw)",
				path, formats[i].name);
	return 0;
}

static int check_size(int fd, const char *path, uint64_t *size, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return err_errno(err, "disk %s", path);
	if (S_ISBLK(st.st_mode)) {
		if (ioctl(fd, BLKGETSIZE64, size))
			return err_errno(err, "disk %s: its size", path);
	} else if (S_ISREG(st.st_mode)) {
		*size = st.st_size;
	} else {
		return err_set(err, -EINVAL, "disk %s: neither a file nor a block device", path);
	}
	if (!*size || *size % SECTOR)
		return err_set(err, -EINVAL,
			       "disk %s: %llu bytes, not a multiple of %d: no disk image or a "
			       "damaged one",
			       path, (unsigned long long)*size, SECTOR);
	return 0;
}

bool disk_in_memory(int fd)
{
	struct statfs fs;
	struct stat st;

	/* A device's node is in /dev, which is in memory. */
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return false;
	return !fstatfs(fd, &fs) && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC ||
				     fs.f_type == HUGETLBFS_MAGIC);
}

int disk_open(const struct disk_config *config, uint64_t *size, struct err *err)
{
	const char *path = config->path;
	int fd = open(path, (config->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
	int ret;

	if (fd < 0)
		return err_errno(err, "disk %s", path);
	ret = check_size(fd, path, size, err);
	/* O_NONBLOCK was for FIFOs; io_uring would return EAGAIN instead of waiting. */
	if (!ret && fcntl(fd, F_SETFL, 0))
		ret = err_errno(err, "disk %s", path);
	if (!ret && !config->raw)
		ret = check_format(fd, path, err);
	if (!ret)
		ret = disk_lock(fd, path, config->readonly, err);
	if (ret) {
		close(fd);
		return ret;
	}
	return fd;
}

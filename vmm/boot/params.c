// SPDX-License-Identifier: BSD-2-Clause
/*
 * The zero page (struct boot_params) with the e820 map, and the command line.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "boot/boot.h"
#include "core/layout.h"
#include "core/memory.h"

#define E820_RAM      1
#define E820_RESERVED 2
#define LOADER_OTHER  0xff

static void e820_add(struct boot_params *bp, uint64_t addr, uint64_t size, uint32_t type)
{
	if (size)
		bp->e820_table[bp->e820_entries++] =
			(struct boot_e820_entry){ .addr = addr, .size = size, .type = type };
}

static int write_cmdline(const struct boot_image *img, struct guest_memory *mem, int vcpu_fd,
			 struct err *err)
{
	uint32_t max = img->hdr.cmdline_size;
	char *line = cmdline_make(img, vcpu_fd);
	size_t len;
	int ret = 0;

	if (!line)
		return err_set(err, -ENOMEM, "command line: out of memory");
	if (max >= BOOT_CMDLINE_SIZE)
		max = BOOT_CMDLINE_SIZE - 1;
	len = strlen(line);
	if (len > max)
		ret = err_set(err, -E2BIG, "--cmdline: %zu bytes, the kernel takes %u", len, max);
	else if (gmem_write(mem, BOOT_CMDLINE_GPA, line, len + 1))
		ret = err_set(err, -EFAULT, "--cmdline: does not fit into the guest's memory");
	free(line);
	return ret;
}

int params_write(const struct boot_image *img, struct guest_memory *mem, int vcpu_fd,
		 uint64_t initrd_gpa, struct err *err)
{
	struct boot_params bp = { .hdr = img->hdr };

	bp.hdr.type_of_loader = LOADER_OTHER;
	bp.hdr.cmd_line_ptr = BOOT_CMDLINE_GPA;
	if (img->initrd_fd >= 0) {
		bp.hdr.ramdisk_image = initrd_gpa;
		bp.hdr.ramdisk_size = boot_initrd_bytes(img);
	}
	bp.acpi_rsdp_addr = ACPI_GPA;
	e820_add(&bp, 0, EBDA_GPA, E820_RAM);
	e820_add(&bp, EBDA_GPA, KERNEL_MIN_GPA - EBDA_GPA, E820_RESERVED);
	e820_add(&bp, KERNEL_MIN_GPA, mem->low_size - KERNEL_MIN_GPA, E820_RAM);
	e820_add(&bp, PCI_ECAM_BASE, PCI_ECAM_SIZE, E820_RESERVED);
	e820_add(&bp, RAM_HIGH_BASE, mem->high_size, E820_RAM);
	if (gmem_write(mem, BOOT_PARAMS_GPA, &bp, sizeof(bp)))
		return err_set(err, -EFAULT, "boot parameters: guest memory too small");
	return write_cmdline(img, mem, vcpu_fd, err);
}

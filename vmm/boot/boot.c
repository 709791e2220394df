// SPDX-License-Identifier: BSD-2-Clause
/*
 * The steps of a boot: files are checked before the KVM VM exists and loaded again at
 * each reset, and the boot vCPU starts at the 64-bit entry point
 * (Documentation/arch/x86/boot.rst, "64-bit Boot Protocol").
 */
#include "boot/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/layout.h"
#include "core/memory.h"

#define BOOT_CS 0x10
#define BOOT_DS 0x18

#define CR0_PE	 0x1ull
#define CR0_ET	 0x10ull
#define CR0_PG	 0x80000000ull
#define CR4_PAE	 0x20ull
#define EFER_LME 0x100ull
#define EFER_LMA 0x400ull

#define PTE_PRESENT_RW 0x3ull
#define PTE_HUGE       0x80ull

static int open_file(const char *what, const char *path, uint64_t *size, struct err *err)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return err_errno(err, "%s %s", what, path);
	if (fstat(fd, &st)) {
		err_errno(err, "%s %s", what, path);
	} else if (!S_ISREG(st.st_mode)) {
		err_set(err, -EINVAL, "%s %s: not a regular file", what, path);
	} else if (!st.st_size) {
		err_set(err, -EINVAL, "%s %s: empty file", what, path);
	} else {
		*size = st.st_size;
		return fd;
	}
	close(fd);
	return err->code;
}

/* The initrd goes to the top of low RAM, below the kernel's limit. */
static uint64_t initrd_gpa(const struct boot_image *img, uint64_t low_size)
{
	uint64_t top = (uint64_t)img->hdr.initrd_addr_max + 1;

	if (top > low_size)
		top = low_size;
	if (top < boot_initrd_bytes(img))
		return 0;
	return (top - boot_initrd_bytes(img)) & ~0xfffull;
}

static int check_fit(const struct boot_image *img, struct err *err)
{
	const struct vm_config *config = img->config;
	uint64_t low = config->memory < RAM_LOW_MAX ? config->memory : RAM_LOW_MAX;

	if (img->load_end > low)
		return err_set(err, -E2BIG,
			       "kernel %s: needs %llu MiB to start, --memory gives %llu MiB",
			       config->kernel, (img->load_end + MiB - 1) / MiB,
			       config->memory / MiB);
	if (img->initrd_fd >= 0 && initrd_gpa(img, low) < img->load_end)
		return err_set(err, -E2BIG,
			       "initrd %s: %llu MiB do not fit beside the kernel (%llu MiB) in "
			       "--memory of %llu MiB",
			       config->initrd, (boot_initrd_bytes(img) + MiB - 1) / MiB,
			       (img->load_end + MiB - 1) / MiB, config->memory / MiB);
	return 0;
}

int boot_open(struct boot_image *img, const struct vm_config *config, struct err *err)
{
	int ret;

	*img = (struct boot_image){ .config = config, .kernel_fd = -1, .initrd_fd = -1 };
	img->kernel_fd = open_file("kernel", config->kernel, &img->kernel_size, err);
	if (img->kernel_fd < 0)
		return img->kernel_fd;
	if (config->initrd) {
		img->initrd_fd = open_file("initrd", config->initrd, &img->initrd_size, err);
		if (img->initrd_fd < 0) {
			ret = img->initrd_fd;
			goto fail;
		}
	}
	ret = bzimage_open(img, err);
	if (ret == -ENOEXEC && !err->code)
		ret = vmlinux_open(img, err);
	if (ret == -ENOEXEC && !err->code)
		err_set(err, ret, "kernel %s: neither a bzImage nor a 64-bit x86 vmlinux",
			config->kernel);
	if (!ret)
		ret = boot_add_modules(img, err);
	if (!ret)
		ret = check_fit(img, err);
	if (!ret)
		return 0;
fail:
	boot_close(img);
	return ret;
}

void boot_close(struct boot_image *img)
{
	if (img->kernel_fd >= 0)
		close(img->kernel_fd);
	if (img->initrd_fd >= 0)
		close(img->initrd_fd);
	img->kernel_fd = -1;
	img->initrd_fd = -1;
	boot_close_modules(img);
}

int boot_read_into(int fd, const char *path, uint64_t offset, uint64_t len,
		   struct guest_memory *mem, uint64_t gpa, struct err *err)
{
	uint8_t *dst = gmem_map(mem, gpa, len);

	if (!dst)
		return err_set(err, -EFAULT, "%s: does not fit at guest address 0x%llx", path,
			       (unsigned long long)gpa);
	while (len) {
		ssize_t n = pread(fd, dst, len, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, "%s", path);
		if (!n)
			return err_set(err, -EIO, "%s: truncated while being read", path);
		dst += n;
		offset += n;
		len -= n;
	}
	return 0;
}

/*
 * On a hardware-reduced platform, a Linux guest that was not started by EFI reboots by a
 * jump to the PC's reset vector, f000:fff0 in real mode (its reboot_init() chooses EFI, and
 * without EFI that is the fallback).  The code there:
 *	mov dx, PORT_ACPI_RESET; mov al, 1; out dx, al; 1: hlt; jmp 1b
 */
static int write_reset_vector(struct guest_memory *mem)
{
	static const uint8_t code[] = {
		0xba, PORT_ACPI_RESET & 0xff, PORT_ACPI_RESET >> 8, 0xb0, 0x01, 0xee, 0xf4, 0xeb,
		0xfd,
	};

	return gmem_write(mem, RESET_VECTOR_GPA, code, sizeof(code));
}

int boot_load(const struct boot_image *img, struct guest_memory *mem, int vcpu_fd,
	      struct err *err)
{
	uint64_t initrd = initrd_gpa(img, mem->low_size);
	int ret;

	ret = img->kind == KERNEL_BZIMAGE ? bzimage_load(img, mem, err) :
					    vmlinux_load(img, mem, err);
	if (!ret && img->initrd_fd >= 0)
		ret = boot_read_into(img->initrd_fd, img->config->initrd, 0, img->initrd_size,
				     mem, initrd, err);
	if (!ret && img->nr_modules)
		ret = boot_load_modules(img, mem, initrd + img->initrd_size, err);
	if (!ret)
		ret = params_write(img, mem, vcpu_fd, initrd, err);
	if (!ret && write_reset_vector(mem))
		ret = err_set(err, -EFAULT, "guest memory: no room for the reset vector");
	if (!ret)
		ret = acpi_write(mem, img->config->cpus, err);
	return ret;
}

static int write_tables(struct guest_memory *mem)
{
	/* Null, unused, flat 64-bit code, flat data: required by the boot protocol. */
	static const uint64_t gdt[4] = { 0, 0, 0x00af9b000000ffffull, 0x00cf93000000ffffull };
	uint64_t page[512] = { PTE_PRESENT_RW | (BOOT_PAGES_GPA + 0x1000) };
	int ret;

	ret = gmem_write(mem, BOOT_GDT_GPA, gdt, sizeof(gdt));
	if (!ret)
		ret = gmem_write(mem, BOOT_PAGES_GPA, page, sizeof(page));
	/* The first 4 GiB, identity-mapped by 2 MiB pages. */
	for (uint64_t gb = 0; gb < 4; gb++)
		page[gb] = PTE_PRESENT_RW | (BOOT_PAGES_GPA + 0x2000 + gb * 0x1000);
	if (!ret)
		ret = gmem_write(mem, BOOT_PAGES_GPA + 0x1000, page, sizeof(page));
	for (uint64_t gb = 0; gb < 4 && !ret; gb++) {
		for (uint64_t i = 0; i < 512; i++)
			page[i] = (gb * GiB + i * 2 * MiB) | PTE_PRESENT_RW | PTE_HUGE;
		ret = gmem_write(mem, BOOT_PAGES_GPA + 0x2000 + gb * 0x1000, page, sizeof(page));
	}
	return ret;
}

int boot_start_state(const struct boot_image *img, struct guest_memory *mem, int vcpu_fd,
		     struct err *err)
{
	struct kvm_segment code = {
		.selector = BOOT_CS,
		.limit = 0xffffffff,
		.type = 0xb,
		.present = 1,
		.s = 1,
		.l = 1,
		.g = 1,
	};
	struct kvm_segment data = {
		.selector = BOOT_DS,
		.limit = 0xffffffff,
		.type = 0x3,
		.present = 1,
		.s = 1,
		.db = 1,
		.g = 1,
	};
	struct kvm_regs regs = { .rip = img->entry, .rsi = BOOT_PARAMS_GPA, .rflags = 2 };
	struct kvm_sregs sregs;

	if (write_tables(mem))
		return err_set(err, -EFAULT, "guest memory: no room for the boot page tables");
	if (ioctl(vcpu_fd, KVM_GET_SREGS, &sregs))
		return err_errno(err, "vCPU 0: KVM_GET_SREGS");
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.gdt.base = BOOT_GDT_GPA;
	sregs.gdt.limit = 4 * 8 - 1;
	sregs.cr0 = CR0_PE | CR0_ET | CR0_PG;
	sregs.cr3 = BOOT_PAGES_GPA;
	sregs.cr4 = CR4_PAE;
	sregs.efer = EFER_LME | EFER_LMA;
	if (ioctl(vcpu_fd, KVM_SET_SREGS, &sregs))
		return err_errno(err, "vCPU 0: KVM_SET_SREGS");
	if (ioctl(vcpu_fd, KVM_SET_REGS, &regs))
		return err_errno(err, "vCPU 0: KVM_SET_REGS");
	return 0;
}

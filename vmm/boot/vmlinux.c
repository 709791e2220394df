// SPDX-License-Identifier: BSD-2-Clause
/*
 * vmlinux: an uncompressed kernel, an ELF executable loaded by its physical
 * addresses and entered at startup_64, its ELF entry point.
 */
#include <errno.h>
#include <gelf.h>
#include <string.h>

#include "boot/boot.h"
#include "core/layout.h"

/* The limits that a bzImage of the same kernel has in its header. */
#define VMLINUX_INITRD_MAX 0x7fffffffu
#define VMLINUX_CMDLINE	   2047u

static int elf_fail(const struct boot_image *img, const char *what, struct err *err)
{
	return err_set(err, -ENOEXEC, "kernel %s: %s", img->config->kernel, what);
}

/*
 * for_each_load - call @fn for each PT_LOAD after checking it against the file.
 */
static int for_each_load(const struct boot_image *img, Elf *elf,
			 int (*fn)(const struct boot_image *img, const GElf_Phdr *ph, void *arg,
				   struct err *err),
			 void *arg, struct err *err)
{
	size_t n;
	int ret;

	if (elf_getphdrnum(elf, &n))
		return elf_fail(img, "truncated: no program headers", err);
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr ph;

		if (!gelf_getphdr(elf, i, &ph))
			return elf_fail(img, "truncated: a program header is missing", err);
		if (ph.p_type != PT_LOAD)
			continue;
		if (ph.p_offset > img->kernel_size ||
		    ph.p_filesz > img->kernel_size - ph.p_offset)
			return elf_fail(img, "truncated: a segment lies past the end of the file",
					err);
		if (ph.p_filesz > ph.p_memsz || ph.p_paddr < KERNEL_MIN_GPA ||
		    ph.p_paddr > RAM_LOW_MAX || ph.p_memsz > RAM_LOW_MAX - ph.p_paddr)
			return elf_fail(img, "a segment has an impossible address or size", err);
		ret = fn(img, &ph, arg, err);
		if (ret)
			return ret;
	}
	return 0;
}

static int measure(const struct boot_image *img, const GElf_Phdr *ph, void *arg, struct err *err)
{
	struct boot_image *out = arg;

	if (!out->load_gpa || ph->p_paddr < out->load_gpa)
		out->load_gpa = ph->p_paddr;
	if (ph->p_paddr + ph->p_memsz > out->load_end)
		out->load_end = ph->p_paddr + ph->p_memsz;
	return 0;
}

static int load(const struct boot_image *img, const GElf_Phdr *ph, void *arg, struct err *err)
{
	/* The rest up to p_memsz reads as zeroes: RAM is fresh at every boot. */
	return boot_read_into(img->kernel_fd, img->config->kernel, ph->p_offset, ph->p_filesz,
			      arg, ph->p_paddr, err);
}

static Elf *begin(const struct boot_image *img)
{
	elf_version(EV_CURRENT);
	return elf_begin(img->kernel_fd, ELF_C_READ, NULL);
}

int vmlinux_open(struct boot_image *img, struct err *err)
{
	Elf *elf = begin(img);
	GElf_Ehdr eh;
	int ret;

	if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &eh) ||
	    eh.e_machine != EM_X86_64 || eh.e_type != ET_EXEC) {
		elf_end(elf);
		return -ENOEXEC;
	}
	img->load_gpa = 0;
	img->load_end = 0;
	ret = for_each_load(img, elf, measure, img, err);
	elf_end(elf);
	if (ret)
		return ret;
	if (eh.e_entry < img->load_gpa || eh.e_entry >= img->load_end)
		return elf_fail(img, "its entry point lies outside its segments", err);
	img->entry = eh.e_entry;
	img->kind = KERNEL_VMLINUX;
	memset(&img->hdr, 0, sizeof(img->hdr));
	img->hdr.boot_flag = 0xaa55;
	img->hdr.header = 0x53726448;
	img->hdr.version = 0x020c;
	img->hdr.initrd_addr_max = VMLINUX_INITRD_MAX;
	img->hdr.cmdline_size = VMLINUX_CMDLINE;
	img->hdr.kernel_alignment = 2 * MiB;
	return 0;
}

int vmlinux_load(const struct boot_image *img, struct guest_memory *mem, struct err *err)
{
	Elf *elf = begin(img);
	int ret;

	if (!elf)
		return elf_fail(img, "no longer an ELF file", err);
	ret = for_each_load(img, elf, load, mem, err);
	elf_end(elf);
	return ret;
}

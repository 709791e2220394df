/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From kernel and initrd files to a guest that is ready to run its first
 * instruction.  boot.c has the steps; bzimage.c and vmlinux.c read the two kernel
 * formats, params.c writes the zero page, acpi.c the tables.
 */
#ifndef VMM_BOOT_BOOT_H
#define VMM_BOOT_BOOT_H

#include <asm/bootparam.h>
#include <stddef.h>
#include <stdint.h>

#include "core/config.h"
#include "core/err.h"

struct guest_memory;

#define BOOT_MAX_MODULES 16

enum kernel_kind { KERNEL_BZIMAGE, KERNEL_VMLINUX };

struct boot_image {
	const struct vm_config *config;
	int kernel_fd;
	int initrd_fd; /* -1: none */
	uint64_t kernel_size;
	uint64_t initrd_size;
	/* Guest modules to put behind the initrd: open files, and what they take there. */
	struct {
		int fd;
		char *path;
	} module[BOOT_MAX_MODULES];
	unsigned int nr_modules;
	size_t archive_size;
	char modules[256]; /* their names, separated by ',' */
	char missing[512]; /* why "symbiotic" is not among them, if it was wanted; or "" */
	char release[64]; /* of the kernel; "": unknown */
	enum kernel_kind kind;
	struct setup_header hdr; /* of a bzImage; filled in by vmlinux.c for a vmlinux */
	uint64_t payload; /* bzImage: file offset of the protected-mode part */
	uint64_t payload_size;
	uint64_t load_gpa; /* of the kernel */
	uint64_t load_end; /* the end of the memory that it needs to unpack itself */
	uint64_t entry;
};

/*
 * boot_open - open the kernel and the initrd that @config names and check them: format,
 * truncation, whether they fit into the memory.  The files stay open, for reboots.
 */
int boot_open(struct boot_image *img, const struct vm_config *config, struct err *err);
void boot_close(struct boot_image *img);

/*
 * boot_load - fill @mem for a boot: kernel, initrd, parameters, ACPI.  The command line gets
 * the TSC frequency of the vCPU @vcpu_fd, unless that is -1.
 */
int boot_load(const struct boot_image *img, struct guest_memory *mem, int vcpu_fd,
	      struct err *err);

/* boot_start_state - set up the vCPU @vcpu_fd to start at the kernel's 64-bit entry. */
int boot_start_state(const struct boot_image *img, struct guest_memory *mem, int vcpu_fd,
		     struct err *err);

/* The two formats.  *_open recognises and checks the file, *_load copies it into memory. */
int bzimage_open(struct boot_image *img, struct err *err);
int bzimage_load(const struct boot_image *img, struct guest_memory *mem, struct err *err);
int vmlinux_open(struct boot_image *img, struct err *err);
int vmlinux_load(const struct boot_image *img, struct guest_memory *mem, struct err *err);

/*
 * boot_add_modules - open the guest modules that the configuration names and the kernel's
 * release has (initrd_modules.c).  Those it names must be there.  boot_load_modules - put
 * the archive with them at @gpa.  boot_close_modules - close them.
 */
int boot_add_modules(struct boot_image *img, struct err *err);
int boot_load_modules(const struct boot_image *img, struct guest_memory *mem, uint64_t gpa,
		      struct err *err);
void boot_close_modules(struct boot_image *img);

/* boot_initrd_bytes - its size in guest memory, with the archive; 0: no initrd. */
static inline uint64_t boot_initrd_bytes(const struct boot_image *img)
{
	return img->initrd_fd < 0 ? 0 : img->initrd_size + img->archive_size;
}

/* boot_read_into - read all @len bytes into guest memory; errors name @path. */
int boot_read_into(int fd, const char *path, uint64_t offset, uint64_t len,
		   struct guest_memory *mem, uint64_t gpa, struct err *err);

/*
 * params_write - zero page, command line, e820 map; the initrd is at @initrd_gpa.
 * @vcpu_fd as for boot_load().
 */
int params_write(const struct boot_image *img, struct guest_memory *mem, int vcpu_fd,
		 uint64_t initrd_gpa, struct err *err);

/*
 * cmdline_make - the kernel's command line, malloc'ed; NULL: out of memory.  @vcpu_fd as for
 * boot_load().
 * cmdline_check - print a warning for each of the user's options that cannot work.
 */
char *cmdline_make(const struct boot_image *img, int vcpu_fd);
void cmdline_check(const char *cmdline);

/* acpi_write - RSDP and tables for @cpus processors. */
int acpi_write(struct guest_memory *mem, unsigned int cpus, struct err *err);

#endif

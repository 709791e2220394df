// SPDX-License-Identifier: BSD-2-Clause
/*
 * boot.c, bzimage.c, vmlinux.c and params.c: kernels that must be refused, and why, and
 * the contents of memory after one was loaded.  The kernels are made here, of a header and a
 * pattern.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "boot/boot.h"
#include "core/layout.h"
#include "core/memory.h"

#define PAYLOAD	   8192u
#define SETUP	   (2 * 512u) /* boot sector and one sector of setup code */
#define LOAD_GPA   0x1000000u
#define INIT_SIZE  (4 * MiB)
#define RAM	   (32 * MiB)
#define INITRD_MAX 0x7fffffffu

struct fixture {
	char dir[32];
	char kernel[48], initrd[48];
	struct vm_config config;
	struct boot_image img;
	struct err err;
	struct setup_header hdr; /* of the bzImage to be made */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	strcpy(f->dir, "/tmp/symkit-test.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->kernel, sizeof(f->kernel), "%s/kernel", f->dir);
	snprintf(f->initrd, sizeof(f->initrd), "%s/initrd", f->dir);
	f->config = (struct vm_config){ .kernel = f->kernel, .memory = RAM, .cpus = 1 };
	f->hdr = (struct setup_header){
		.setup_sects = 1,
		.syssize = PAYLOAD / 16,
		.boot_flag = 0xaa55,
		.header = 0x53726448,
		.version = 0x020f,
		.loadflags = LOADED_HIGH,
		.xloadflags = XLF_KERNEL_64,
		.pref_address = LOAD_GPA,
		.init_size = INIT_SIZE,
		.initrd_addr_max = INITRD_MAX,
		.cmdline_size = 2047,
	};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	unlink(f->kernel);
	unlink(f->initrd);
	if (rmdir(f->dir))
		return -1;
	free(f);
	return 0;
}

static void write_file(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

static uint8_t payload_byte(unsigned int i)
{
	return i * 7 + i / 256 + 1;
}

/* The first @len bytes of the bzImage that f->hdr describes. */
static void write_bzimage(struct fixture *f, size_t len)
{
	static uint8_t image[SETUP + PAYLOAD];

	memset(image, 0, SETUP);
	memcpy(image + 0x1f1, &f->hdr, sizeof(f->hdr));
	for (unsigned int i = 0; i < PAYLOAD; i++)
		image[SETUP + i] = payload_byte(i);
	assert_true(len <= sizeof(image));
	write_file(f->kernel, image, len);
}

/* A sparse initrd: only its size matters here. */
static void write_initrd(struct fixture *f, uint64_t size)
{
	write_file(f->initrd, "initrd", 6);
	assert_int_equal(truncate(f->initrd, size), 0);
	f->config.initrd = f->initrd;
}

static void opened(struct fixture *f)
{
	if (boot_open(&f->img, &f->config, &f->err))
		fail_msg("%s", f->err.msg);
	boot_close(&f->img);
}

static void refused(struct fixture *f, int code, const char *who, const char *why)
{
	assert_int_equal(boot_open(&f->img, &f->config, &f->err), code);
	assert_int_equal(f->err.code, code);
	if (!strstr(f->err.msg, who) || !strstr(f->err.msg, why))
		fail_msg("\"%s\" does not say \"%s\" and \"%s\"", f->err.msg, who, why);
	assert_true(f->img.kernel_fd < 0);
	assert_true(f->img.initrd_fd < 0);
}

/* bzImage */

static void test_bzimage(void **state)
{
	struct fixture *f = *state;

	write_bzimage(f, SETUP + PAYLOAD);
	opened(f);
	assert_int_equal(f->img.kind, KERNEL_BZIMAGE);
	assert_int_equal(f->img.load_gpa, LOAD_GPA);
	assert_int_equal(f->img.entry, LOAD_GPA + 0x200);
	assert_int_equal(f->img.load_end, LOAD_GPA + INIT_SIZE);
}

static void test_missing(void **state)
{
	refused(*state, -ENOENT, ((struct fixture *)*state)->kernel, "No such file");
}

static void test_directory(void **state)
{
	struct fixture *f = *state;

	f->config.kernel = f->dir;
	refused(f, -EINVAL, f->dir, "not a regular file");
}

static void test_empty(void **state)
{
	struct fixture *f = *state;

	write_file(f->kernel, "", 0);
	refused(f, -EINVAL, f->kernel, "empty file");
}

static void test_text(void **state)
{
	struct fixture *f = *state;

	write_file(f->kernel, "#!/bin/sh\n", 10);
	refused(f, -ENOEXEC, f->kernel, "neither a bzImage nor a 64-bit x86 vmlinux");
}

static void test_zeroes(void **state)
{
	static const uint8_t zeroes[4096];
	struct fixture *f = *state;

	write_file(f->kernel, zeroes, sizeof(zeroes));
	refused(f, -ENOEXEC, f->kernel, "neither a bzImage");
}

static void test_truncated_in_the_header(void **state)
{
	struct fixture *f = *state;

	write_bzimage(f, 0x1f1 + 20);
	refused(f, -ENOEXEC, f->kernel, "neither a bzImage");
}

static void test_truncated(void **state)
{
	struct fixture *f = *state;

	write_bzimage(f, SETUP + PAYLOAD - 1);
	refused(f, -ENOEXEC, f->kernel, "truncated: 9215 bytes, its header says 9216");
}

static void test_no_payload(void **state)
{
	struct fixture *f = *state;

	f->hdr.syssize = 0;
	write_bzimage(f, SETUP + PAYLOAD);
	refused(f, -ENOEXEC, f->kernel, "truncated");
}

static void test_32_bit(void **state)
{
	struct fixture *f = *state;

	f->hdr.xloadflags = 0;
	write_bzimage(f, SETUP + PAYLOAD);
	refused(f, -ENOEXEC, f->kernel, "not a 64-bit kernel");
}

static void test_old_protocol(void **state)
{
	struct fixture *f = *state;

	f->hdr.version = 0x020b;
	write_bzimage(f, SETUP + PAYLOAD);
	refused(f, -ENOEXEC, f->kernel, "boot protocol 2.11");
}

static void test_not_loaded_high(void **state)
{
	struct fixture *f = *state;

	f->hdr.loadflags = 0;
	write_bzimage(f, SETUP + PAYLOAD);
	refused(f, -ENOEXEC, f->kernel, "boot protocol");
}

static void test_bad_load_addresses(void **state)
{
	static const uint64_t bad[] = { 0, 0x1000, LOAD_GPA + 1, RAM_HIGH_BASE,
					UINT64_MAX - 4095 };
	struct fixture *f = *state;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		f->err = (struct err){ 0 };
		f->hdr.pref_address = bad[i];
		write_bzimage(f, SETUP + PAYLOAD);
		refused(f, -ENOEXEC, f->kernel, "bad load address");
	}
}

static void test_too_large_for_memory(void **state)
{
	struct fixture *f = *state;

	f->hdr.init_size = RAM - LOAD_GPA + 1;
	write_bzimage(f, SETUP + PAYLOAD);
	refused(f, -E2BIG, f->kernel, "needs 33 MiB to start, --memory gives 32 MiB");
}

static void test_just_fits(void **state)
{
	struct fixture *f = *state;

	f->hdr.init_size = RAM - LOAD_GPA;
	write_bzimage(f, SETUP + PAYLOAD);
	opened(f);
}

/* By the protocol zero means four; then the payload begins later. */
static void test_no_setup_sects(void **state)
{
	struct fixture *f = *state;

	f->hdr.setup_sects = 0;
	f->hdr.syssize = (PAYLOAD + SETUP - 5 * 512) / 16;
	write_bzimage(f, SETUP + PAYLOAD);
	opened(f);
	assert_int_equal(f->img.payload, 5 * 512);
}

/* initrd */

static void test_initrd_missing(void **state)
{
	struct fixture *f = *state;

	write_bzimage(f, SETUP + PAYLOAD);
	f->config.initrd = f->initrd;
	refused(f, -ENOENT, f->initrd, "No such file");
}

static void test_initrd_empty(void **state)
{
	struct fixture *f = *state;

	write_bzimage(f, SETUP + PAYLOAD);
	write_initrd(f, 0);
	refused(f, -EINVAL, f->initrd, "empty file");
}

static void test_initrd_just_fits(void **state)
{
	struct fixture *f = *state;

	write_bzimage(f, SETUP + PAYLOAD);
	write_initrd(f, RAM - LOAD_GPA - INIT_SIZE);
	opened(f);
}

static void test_initrd_does_not_fit(void **state)
{
	struct fixture *f = *state;

	write_bzimage(f, SETUP + PAYLOAD);
	write_initrd(f, RAM - LOAD_GPA - INIT_SIZE + 1);
	refused(f, -E2BIG, f->initrd, "do not fit beside the kernel");
}

static void test_initrd_larger_than_memory(void **state)
{
	struct fixture *f = *state;

	write_bzimage(f, SETUP + PAYLOAD);
	write_initrd(f, 1024 * GiB);
	refused(f, -E2BIG, f->initrd, "do not fit beside the kernel");
}

/* Enough memory, but not where this kernel needs it. */
static void test_initrd_out_of_reach(void **state)
{
	struct fixture *f = *state;

	f->hdr.initrd_addr_max = LOAD_GPA + INIT_SIZE + MiB - 1;
	write_bzimage(f, SETUP + PAYLOAD);
	write_initrd(f, MiB);
	opened(f);
	write_initrd(f, MiB + 1);
	refused(f, -E2BIG, f->initrd, "do not fit beside the kernel");
}

/* What is loaded */

static struct guest_memory mem;

static void load(struct fixture *f)
{
	if (boot_open(&f->img, &f->config, &f->err) ||
	    gmem_create(&mem, f->config.memory, &f->err) || boot_load(&f->img, &mem, -1, &f->err))
		fail_msg("%s", f->err.msg);
}

static void unload(struct fixture *f)
{
	gmem_destroy(&mem);
	boot_close(&f->img);
}

static const struct boot_params *zero_page(void)
{
	return gmem_map(&mem, BOOT_PARAMS_GPA, sizeof(struct boot_params));
}

static void test_load_payload(void **state)
{
	struct fixture *f = *state;
	const uint8_t *p;

	write_bzimage(f, SETUP + PAYLOAD);
	load(f);
	p = gmem_map(&mem, LOAD_GPA, PAYLOAD);
	for (unsigned int i = 0; i < PAYLOAD; i++)
		assert_int_equal(p[i], payload_byte(i));
	unload(f);
}

static void test_load_cmdline(void **state)
{
	struct fixture *f = *state;
	const char *line;

	f->config.cmdline = "root=/dev/vda";
	write_bzimage(f, SETUP + PAYLOAD);
	load(f);
	assert_int_equal(zero_page()->hdr.cmd_line_ptr, BOOT_CMDLINE_GPA);
	line = gmem_map(&mem, BOOT_CMDLINE_GPA, BOOT_CMDLINE_SIZE);
	assert_non_null(strstr(line, "console=ttyS0 "));
	assert_string_equal(line + strlen(line) - 14, " root=/dev/vda");
	unload(f);
}

static void test_load_cmdline_too_long(void **state)
{
	struct fixture *f = *state;

	f->hdr.cmdline_size = 40;
	f->config.cmdline = "0123456789012345678901234567890123456789";
	write_bzimage(f, SETUP + PAYLOAD);
	assert_int_equal(boot_open(&f->img, &f->config, &f->err), 0);
	assert_int_equal(gmem_create(&mem, RAM, &f->err), 0);
	assert_int_equal(boot_load(&f->img, &mem, -1, &f->err), -E2BIG);
	assert_non_null(strstr(f->err.msg, "--cmdline"));
	unload(f);
}

static void test_load_initrd(void **state)
{
	struct fixture *f = *state;
	const struct boot_params *bp;

	write_bzimage(f, SETUP + PAYLOAD);
	write_initrd(f, 10000);
	load(f);
	bp = zero_page();
	assert_int_equal(bp->hdr.ramdisk_size, 10000);
	assert_int_equal(bp->hdr.ramdisk_image % 4096, 0);
	assert_true(bp->hdr.ramdisk_image + 10000 <= RAM);
	assert_memory_equal(gmem_map(&mem, bp->hdr.ramdisk_image, 10000), "initrd\0", 7);
	unload(f);
}

/* The map must cover all of RAM, sorted, without overlaps, and nothing else as RAM. */
static void test_load_e820(void **state)
{
	struct fixture *f = *state;
	const struct boot_params *bp;
	uint64_t end = 0, ram = 0;

	f->config.memory = RAM_LOW_MAX + 64 * MiB;
	write_bzimage(f, SETUP + PAYLOAD);
	load(f);
	bp = zero_page();
	for (unsigned int i = 0; i < bp->e820_entries; i++) {
		const struct boot_e820_entry *e = &bp->e820_table[i];

		assert_true(e->addr >= end);
		end = e->addr + e->size;
		if (e->type != 1)
			continue;
		assert_non_null(gmem_map(&mem, e->addr, e->size));
		ram += e->size;
	}
	assert_int_equal(end, RAM_HIGH_BASE + 64 * MiB);
	assert_int_equal(ram, f->config.memory - (KERNEL_MIN_GPA - EBDA_GPA));
	assert_int_equal(bp->acpi_rsdp_addr, ACPI_GPA);
	unload(f);
}

/* vmlinux */

struct vmlinux {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[2];
	char text[4096];
};

static struct vmlinux vmlinux(void)
{
	struct vmlinux v = {
		.eh = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
				     ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_version = EV_CURRENT,
			.e_entry = LOAD_GPA + 16,
			.e_phoff = sizeof(Elf64_Ehdr),
			.e_ehsize = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 2,
		},
		.ph[0] = { .p_type = PT_NOTE },
		.ph[1] = {
			.p_type = PT_LOAD,
			.p_offset = offsetof(struct vmlinux, text),
			.p_vaddr = 0xffffffff81000000,
			.p_paddr = LOAD_GPA,
			.p_filesz = sizeof(v.text),
			.p_memsz = MiB,
		},
		.text = "the kernel",
	};

	return v;
}

static void test_vmlinux(void **state)
{
	struct fixture *f = *state;
	struct vmlinux v = vmlinux();

	write_file(f->kernel, &v, sizeof(v));
	load(f);
	assert_int_equal(f->img.kind, KERNEL_VMLINUX);
	assert_int_equal(f->img.entry, LOAD_GPA + 16);
	assert_int_equal(f->img.load_end, LOAD_GPA + MiB);
	assert_memory_equal(gmem_map(&mem, LOAD_GPA, 16), "the kernel\0\0\0\0\0", 16);
	unload(f);
}

static void test_vmlinux_truncated(void **state)
{
	struct fixture *f = *state;
	struct vmlinux v = vmlinux();

	write_file(f->kernel, &v, sizeof(v) - 1);
	refused(f, -ENOEXEC, f->kernel, "truncated: a segment");
}

static void test_vmlinux_bad_segments(void **state)
{
	static const struct {
		uint64_t paddr, filesz, memsz;
	} bad[] = {
		{ LOAD_GPA, 4096, 4095 }, /* more in the file than in memory */
		{ 0, 4096, 4096 }, /* over the boot parameters */
		{ RAM_HIGH_BASE, 4096, 4096 },
		{ RAM_LOW_MAX - 4096, 4096, 8192 }, /* into the devices */
		{ UINT64_MAX - 4095, 4096, 8192 },
		{ LOAD_GPA, 4096, UINT64_MAX },
	};
	struct fixture *f = *state;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct vmlinux v = vmlinux();

		f->err = (struct err){ 0 };
		v.ph[1].p_paddr = bad[i].paddr;
		v.ph[1].p_filesz = bad[i].filesz;
		v.ph[1].p_memsz = bad[i].memsz;
		write_file(f->kernel, &v, sizeof(v));
		refused(f, -ENOEXEC, f->kernel, "impossible address or size");
	}
}

static void test_vmlinux_entry_outside(void **state)
{
	struct fixture *f = *state;
	struct vmlinux v = vmlinux();

	v.eh.e_entry = LOAD_GPA - 1;
	write_file(f->kernel, &v, sizeof(v));
	refused(f, -ENOEXEC, f->kernel, "entry point");
}

static void test_vmlinux_nothing_to_load(void **state)
{
	struct fixture *f = *state;
	struct vmlinux v = vmlinux();

	v.ph[1].p_type = PT_NOTE;
	write_file(f->kernel, &v, sizeof(v));
	refused(f, -ENOEXEC, f->kernel, "entry point");
}

static void test_vmlinux_of_another_machine(void **state)
{
	struct fixture *f = *state;
	struct vmlinux v = vmlinux();

	v.eh.e_machine = EM_AARCH64;
	write_file(f->kernel, &v, sizeof(v));
	refused(f, -ENOEXEC, f->kernel, "neither a bzImage nor a 64-bit x86 vmlinux");
}

static void test_vmlinux_too_large_for_memory(void **state)
{
	struct fixture *f = *state;
	struct vmlinux v = vmlinux();

	v.ph[1].p_memsz = RAM;
	write_file(f->kernel, &v, sizeof(v));
	refused(f, -E2BIG, f->kernel, "needs 48 MiB");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bzimage),
		TEST(test_missing),
		TEST(test_directory),
		TEST(test_empty),
		TEST(test_text),
		TEST(test_zeroes),
		TEST(test_truncated_in_the_header),
		TEST(test_truncated),
		TEST(test_no_payload),
		TEST(test_32_bit),
		TEST(test_old_protocol),
		TEST(test_not_loaded_high),
		TEST(test_bad_load_addresses),
		TEST(test_too_large_for_memory),
		TEST(test_just_fits),
		TEST(test_no_setup_sects),
		TEST(test_initrd_missing),
		TEST(test_initrd_empty),
		TEST(test_initrd_just_fits),
		TEST(test_initrd_does_not_fit),
		TEST(test_initrd_larger_than_memory),
		TEST(test_initrd_out_of_reach),
		TEST(test_load_payload),
		TEST(test_load_cmdline),
		TEST(test_load_cmdline_too_long),
		TEST(test_load_initrd),
		TEST(test_load_e820),
		TEST(test_vmlinux),
		TEST(test_vmlinux_truncated),
		TEST(test_vmlinux_bad_segments),
		TEST(test_vmlinux_entry_outside),
		TEST(test_vmlinux_nothing_to_load),
		TEST(test_vmlinux_of_another_machine),
		TEST(test_vmlinux_too_large_for_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

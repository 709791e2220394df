// SPDX-License-Identifier: BSD-2-Clause
/*
 * Guest modules appended to the initrd: finding the kernel's release and its modules, and
 * the result in memory.
 */
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
#include "module_file.h"
#include "packed.h"

#define PAYLOAD	   8192u
#define SETUP	   (2 * 512u)
#define INITRD	   "an initrd of 22 bytes."
#define VERSION_AT 0x300

struct fixture {
	char dir[32];
	char kernel[64], initrd[64], repo[64], module[96];
	struct vm_config config;
	struct boot_image img;
	struct err err;
};

static void write_file(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

static void write_kernel(struct fixture *f, const char *version)
{
	static uint8_t image[SETUP + PAYLOAD];
	struct setup_header hdr = {
		.setup_sects = 1,
		.syssize = PAYLOAD / 16,
		.boot_flag = 0xaa55,
		.header = 0x53726448,
		.version = 0x020f,
		.loadflags = LOADED_HIGH,
		.xloadflags = XLF_KERNEL_64,
		.pref_address = 0x1000000,
		.init_size = 4 * MiB,
		.initrd_addr_max = 0x7fffffff,
		.cmdline_size = 2047,
		.kernel_version = version ? VERSION_AT - 0x200 : 0,
	};

	memset(image, 0, sizeof(image));
	memcpy(image + 0x1f1, &hdr, sizeof(hdr));
	if (version)
		strcpy((char *)image + VERSION_AT, version);
	write_file(f->kernel, image, sizeof(image));
}

static struct module_file *make_module(const char *release)
{
	char text[128];
	int len = snprintf(text, sizeof(text), "name=symbiotic%cvermagic=%s SMP ", 0, release);

	return module_make(text, len + 1);
}

static void write_module(struct fixture *f, const char *release)
{
	struct module_file *m = make_module(release);

	write_file(f->module, m, sizeof(*m));
	free(m);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	strcpy(f->dir, "/tmp/symkit-test.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->kernel, sizeof(f->kernel), "%s/kernel", f->dir);
	snprintf(f->initrd, sizeof(f->initrd), "%s/initrd", f->dir);
	snprintf(f->repo, sizeof(f->repo), "%s/6.1.0-x", f->dir);
	snprintf(f->module, sizeof(f->module), "%s/symbiotic.ko", f->repo);
	assert_int_equal(mkdir(f->repo, 0700), 0);
	write_kernel(f, "6.1.0-x (somebody@somewhere) #1 SMP");
	write_file(f->initrd, INITRD, strlen(INITRD));
	write_module(f, "6.1.0-x");
	f->config = (struct vm_config){ .kernel = f->kernel,
					.initrd = f->initrd,
					.memory = 32 * MiB,
					.cpus = 1,
					.symbiotic = true,
					.modules = f->dir };
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	boot_close(&f->img);
	unlink(f->module);
	unlink(f->kernel);
	unlink(f->initrd);
	if (rmdir(f->repo) || rmdir(f->dir))
		return -1;
	free(f);
	return 0;
}

static void opened(struct fixture *f, bool with_archive)
{
	if (boot_open(&f->img, &f->config, &f->err))
		fail_msg("%s", f->err.msg);
	assert_int_equal(!!f->img.archive_size, with_archive);
	assert_int_equal(boot_initrd_bytes(&f->img), strlen(INITRD) + f->img.archive_size);
}

static void refused(struct fixture *f, int code, const char *why)
{
	assert_int_equal(boot_open(&f->img, &f->config, &f->err), code);
	if (!strstr(f->err.msg, why))
		fail_msg("\"%s\" does not say \"%s\"", f->err.msg, why);
	assert_int_equal(f->img.archive_size, 0);
}

static void test_by_default(void **state)
{
	struct fixture *f = *state;

	opened(f, true);
	assert_string_equal(f->img.release, "6.1.0-x");
	assert_string_equal(f->img.modules, "symbiotic");
	assert_string_equal(f->img.missing, "");
}

/* Is @m in what is put into the guest's memory? */
static bool loads(struct fixture *f, const struct module_file *m)
{
	struct guest_memory mem;
	bool found;

	assert_int_equal(gmem_create(&mem, f->config.memory, &f->err), 0);
	assert_int_equal(boot_load_modules(&f->img, &mem, 2 * MiB, &f->err), 0);
	found = memmem(gmem_map(&mem, 2 * MiB, f->img.archive_size), f->img.archive_size, m,
		       sizeof(*m));
	gmem_destroy(&mem);
	return found;
}

/* The guest's insmod may not know the form: it gets the module as it is. */
static void test_compressed(void **state)
{
	struct fixture *f = *state;

	for_each_form(form) {
		struct module_file *m = make_module("6.1.0-x");

		unlink(f->module);
		snprintf(f->module, sizeof(f->module), "%s/symbiotic%s", f->repo, form->ending);
		write_file(f->module, packed, form->pack(m, sizeof(*m)));
		opened(f, true);
		assert_string_equal(f->img.modules, "symbiotic");
		assert_true(loads(f, m));
		boot_close(&f->img);
		free(m);
	}
}

static void test_none_for_this_kernel(void **state)
{
	struct fixture *f = *state;

	write_kernel(f, "6.2.0 x");
	opened(f, false);
	assert_non_null(strstr(f->img.missing, "no module symbiotic for Linux 6.2.0 in /"));
}

static void test_no_release(void **state)
{
	struct fixture *f = *state;

	write_kernel(f, NULL);
	opened(f, false);
	f->config.initrd_modules = "symbiotic";
	boot_close(&f->img);
	refused(f, -EINVAL, "does not contain its release");
}

static void test_off(void **state)
{
	struct fixture *f = *state;

	f->config.symbiotic = false;
	opened(f, false);
	assert_string_equal(f->img.missing, "");
	boot_close(&f->img);
	f->config.symbiotic = true;
	f->config.initrd_modules = "";
	opened(f, false);
}

static void test_named_but_missing(void **state)
{
	struct fixture *f = *state;

	f->config.initrd_modules = "symbiotic,nosuch";
	refused(f, -ENOENT, "no module nosuch for Linux 6.1.0-x");
}

/* In the folder of one kernel, but built for another: never sent. */
static void test_other_kernels_module(void **state)
{
	struct fixture *f = *state;

	write_module(f, "6.1.0-y");
	refused(f, -ENOEXEC, "6.1.0-y");
}

static void test_without_initrd(void **state)
{
	struct fixture *f = *state;

	f->config.initrd = NULL;
	assert_int_equal(boot_open(&f->img, &f->config, &f->err), 0);
	assert_int_equal(f->img.archive_size, 0);
	boot_close(&f->img);
	f->config.initrd_modules = "symbiotic";
	refused(f, -EINVAL, "no --initrd");
}

static void test_in_memory(void **state)
{
	struct fixture *f = *state;
	struct module_file *m = make_module("6.1.0-x");
	struct boot_params *bp;
	struct guest_memory mem;
	const uint8_t *initrd;

	opened(f, true);
	assert_int_equal(gmem_create(&mem, f->config.memory, &f->err), 0);
	assert_int_equal(boot_load(&f->img, &mem, -1, &f->err), 0);
	bp = gmem_map(&mem, BOOT_PARAMS_GPA, sizeof(*bp));
	assert_int_equal(bp->hdr.ramdisk_size, boot_initrd_bytes(&f->img));
	assert_true(bp->hdr.ramdisk_image + bp->hdr.ramdisk_size <= f->config.memory);
	initrd = gmem_map(&mem, bp->hdr.ramdisk_image, bp->hdr.ramdisk_size);
	assert_memory_equal(initrd, INITRD, strlen(INITRD));
	assert_non_null(memmem(initrd + strlen(INITRD), f->img.archive_size, m, sizeof(*m)));
	free(m);
	/* Again at a reset; by then the file may be another one. */
	assert_int_equal(boot_load(&f->img, &mem, -1, &f->err), 0);
	assert_int_equal(truncate(f->module, 100), 0);
	assert_true(boot_load(&f->img, &mem, -1, &f->err) < 0);
	assert_non_null(strstr(f->err.msg, f->module));
	gmem_destroy(&mem);
}

/* The archive counts when checking that everything fits. */
static void test_fit(void **state)
{
	struct fixture *f = *state;

	opened(f, true);
	boot_close(&f->img);
	/* Kernel and initrd without it would just fit into memory. */
	assert_int_equal(truncate(f->initrd, (off_t)(f->config.memory - 0x1400000)), 0);
	f->config.initrd_modules = "";
	if (boot_open(&f->img, &f->config, &f->err))
		fail_msg("%s", f->err.msg);
	boot_close(&f->img);
	f->config.initrd_modules = NULL;
	refused(f, -E2BIG, "do not fit");
}

int main(void)
{
#define FIXTURE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		FIXTURE(test_by_default),
		FIXTURE(test_compressed),
		FIXTURE(test_none_for_this_kernel),
		FIXTURE(test_no_release),
		FIXTURE(test_off),
		FIXTURE(test_named_but_missing),
		FIXTURE(test_other_kernels_module),
		FIXTURE(test_without_initrd),
		FIXTURE(test_in_memory),
		FIXTURE(test_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

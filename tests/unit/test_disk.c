// SPDX-License-Identifier: BSD-2-Clause
/* disk_open(): the images that it takes and refuses, and who else may have them open. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/config.h"
#include "virtio/disk.h"

#define IMAGE_SIZE (64 * 1024)

static char dir[] = "/tmp/symkit-test-XXXXXX";
static char path[sizeof(dir) + 8];
static struct disk_config config;
static int image; /* as the host sees it */
static const uint8_t zeroes[512];

static int setup(void **state)
{
	config = (struct disk_config){ .path = path };
	image = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return image < 0 || ftruncate(image, IMAGE_SIZE);
}

static int teardown(void **state)
{
	close(image);
	unlink(path);
	return 0;
}

static void write_at(off_t at, const void *data, size_t len)
{
	assert_int_equal(pwrite(image, data, len, at), len);
}

/* Must fail with @code, and a message that has the path and @why in it. */
static void refused(int code, const char *why)
{
	struct err err = { 0 };
	uint64_t size;

	assert_int_equal(disk_open(&config, &size, &err), code);
	assert_int_equal(err.code, code);
	assert_non_null(strstr(err.msg, config.path));
	if (!strstr(err.msg, why))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, why);
}

static void accepted(void)
{
	struct err err = { 0 };
	uint64_t size;
	int fd = disk_open(&config, &size, &err);

	if (fd < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(size, IMAGE_SIZE);
	close(fd);
}

static void test_open(void **state)
{
	accepted();
	config.readonly = true;
	accepted();
}

static void test_open_missing(void **state)
{
	unlink(path);
	refused(-ENOENT, "No such file");
}

static void test_open_odd_size(void **state)
{
	assert_int_equal(ftruncate(image, IMAGE_SIZE + 1), 0);
	refused(-EINVAL, "not a multiple of 512");
	config.raw = true;
	refused(-EINVAL, "not a multiple of 512");
}

static void test_open_empty(void **state)
{
	assert_int_equal(ftruncate(image, 0), 0);
	refused(-EINVAL, "0 bytes");
}

static void test_open_other_formats(void **state)
{
	static const struct {
		const char *name;
		off_t at;
		const char *magic;
		size_t len;
	} f[] = {
		{ "qcow2", 0, "QFI\xfb", 4 },
		{ "qed", 0, "QED", 4 },
		{ "vmdk", 0, "KDMV", 4 },
		{ "vmdk", 0, "# Disk DescriptorFile", 21 },
		{ "vhd ", 0, "conectix", 8 },
		{ "vhdx", 0, "vhdxfile", 8 },
		{ "vdi", 64, "\x7f\x10\xda\xbe", 4 },
	};

	for (unsigned int i = 0; i < sizeof(f) / sizeof(f[0]); i++) {
		write_at(0, zeroes, sizeof(zeroes));
		write_at(f[i].at, f[i].magic, f[i].len);
		refused(-EINVAL, f[i].name);
	}
}

static void test_open_other_format_as_raw(void **state)
{
	write_at(0, "QFI\xfb", 4);
	config.raw = true;
	accepted();
}

static void test_open_directory(void **state)
{
	config.path = dir;
	refused(-EISDIR, "directory");
	config.readonly = true;
	refused(-EINVAL, "neither a file nor a block device");
}

static void test_open_in_use(void **state)
{
	char holder[64];

	snprintf(holder, sizeof(holder), "in use by process %d (test_disk)", (int)getpid());
	assert_int_equal(flock(image, LOCK_EX), 0);
	refused(-EBUSY, holder);
}

static void *unlock_soon(void *arg)
{
	usleep(300000);
	flock(image, LOCK_UN);
	return NULL;
}

/* udev looks at block devices, and lets go. */
static void test_open_in_use_for_a_moment(void **state)
{
	pthread_t thread;

	assert_int_equal(flock(image, LOCK_SH), 0);
	assert_int_equal(pthread_create(&thread, NULL, unlock_soon, NULL), 0);
	accepted();
	pthread_join(thread, NULL);
}

static void test_open_readers_share(void **state)
{
	assert_int_equal(flock(image, LOCK_SH), 0);
	refused(-EBUSY, "in use");
	config.readonly = true;
	accepted();
}

/* Whether requests wait for a device: not those of an image in memory. */
static void test_in_memory(void **state)
{
	int memory = memfd_create("disk", MFD_CLOEXEC),
	    node = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(memory >= 0 && node >= 0);
	assert_true(disk_in_memory(memory));
	assert_false(disk_in_memory(node)); /* its node is, in /dev */
	close(memory);
	close(node);
}

#define IMAGE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IMAGE(test_open),
		cmocka_unit_test(test_in_memory),
		IMAGE(test_open_missing),
		IMAGE(test_open_odd_size),
		IMAGE(test_open_empty),
		IMAGE(test_open_other_formats),
		IMAGE(test_open_other_format_as_raw),
		IMAGE(test_open_directory),
		IMAGE(test_open_in_use),
		IMAGE(test_open_in_use_for_a_moment),
		IMAGE(test_open_readers_share),
	};
	int ret;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/image", dir);
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return ret;
}

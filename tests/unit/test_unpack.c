// SPDX-License-Identifier: BSD-2-Clause
/*
 * Compressed modules, in each format: complete, truncated, damaged, too large; and where
 * they are looked for.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <lzma.h>

#include "module_file.h"
#include "packed.h"
#include "sym/symmod.h"

#define MODINFO "name=symtest\0vermagic=6.1 SMP "

static struct symmod_image image;
static struct sym_err err;
static char dir[] = "/tmp/symkit-test.XXXXXX";

/* A file of these bytes, read as "x.ko". */
static int read_file(const void *data, size_t size)
{
	char path[] = "/tmp/symkit-test.XXXXXX";
	int fd = mkstemp(path), ret;

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(write(fd, data, size), size);
	memset(&err, 0, sizeof(err));
	ret = symmod_read(fd, "x.ko", &image, &err);
	close(fd);
	assert_int_equal(err.code, ret);
	return ret;
}

static void refused(size_t size, int code, const char *form, const char *why)
{
	assert_int_equal(read_file(packed, size), code);
	assert_null(image.data);
	if (strncmp(err.text, "x.ko: ", 6) || !strstr(err.text, form) || !strstr(err.text, why) ||
	    strchr(err.text, '\n'))
		fail_msg("\"%s\" does not say \"%s\" of %s", err.text, why, form);
}

static struct module_file *module(void)
{
	struct module_file *f = module_make(MODINFO, sizeof(MODINFO));

	/* So that it has some size when compressed. */
	for (size_t i = sizeof(MODINFO); i < sizeof(f->modinfo); i++)
		f->modinfo[i] = i * i * 37 >> 3;
	return f;
}

static void test_whole(void **state)
{
	struct module_file *f = module();

	for_each_form(form) {
		assert_int_equal(read_file(packed, form->pack(f, sizeof(*f))), 0);
		assert_string_equal(image.name, "symtest");
		assert_int_equal(image.size, sizeof(*f));
		assert_memory_equal(image.data, f, sizeof(*f));
		symmod_free(&image);
	}
	free(f);
}

static void test_truncated(void **state)
{
	struct module_file *f = module();

	for_each_form(form) {
		size_t size = form->pack(f, sizeof(*f));

		for (size_t n = 100; n < size; n += 7)
			refused(n, -ENOEXEC, form->says, "truncated");
		refused(size - 1, -ENOEXEC, form->says, "truncated");
	}
	free(f);
}

static void test_damaged(void **state)
{
	struct module_file *f = module();

	for_each_form(form) {
		size_t size = form->pack(f, sizeof(*f));

		packed[size - 2] ^=
			0x10; /* of the checksum, the length, or the magic at the end */
		refused(size, -ENOEXEC, form->says, "damaged");
		packed[size - 2] ^= 0x10;
		packed[size / 2] ^= 0x10; /* it may look as if something were missing */
		refused(size, -ENOEXEC, form->says, "");
		packed[size / 2] ^= 0x10;
		memcpy(packed + size, "something behind it", 20);
		refused(size + 20, -ENOEXEC, form->says, "damaged");
	}
	free(f);
}

/* The first bytes are of no known format, whatever the name is. */
static void test_wrong_magic(void **state)
{
	struct module_file *f = module();

	for_each_form(form) {
		size_t size = form->pack(f, sizeof(*f));

		packed[1] ^= 1;
		refused(size, -ENOEXEC, "", "not a kernel module (not an ELF file)");
	}
	free(f);
}

static void test_not_a_module(void **state)
{
	char text[1000] = "no module\n";

	for_each_form(form)
		refused(form->pack(text, sizeof(text)), -ENOEXEC, "", "not a kernel module");
}

/* A small file that would fill the memory; and one of the maximum size of a module. */
static void test_bomb(void **state)
{
	struct module_file *f = module();
	uint8_t *big = calloc(2, SYM_MOD_MAX);

	assert_non_null(big);
	memcpy(big, f, sizeof(*f));
	for_each_form(form) {
		refused(form->pack(big, 2 * SYM_MOD_MAX), -EFBIG, "",
			"larger than 16 MiB when decompressed");
		refused(form->pack(big, SYM_MOD_MAX + 1), -EFBIG, "", "larger than 16 MiB");
		assert_int_equal(read_file(packed, form->pack(big, SYM_MOD_MAX)), 0);
		assert_int_equal(image.size, SYM_MOD_MAX);
		symmod_free(&image);
	}
	free(big);
	free(f);
}

/* A file whose header declares a dictionary of 1.5 GiB, and no data. */
static void test_xz_memory(void **state)
{
	struct module_file *f = module();
	uint32_t crc;
	size_t size = forms[0].pack(f, sizeof(*f));

	/* The block's header: size, flags, LZMA2, length of its properties, dictionary, CRC. */
	assert_int_equal(packed[14], 0x21);
	packed[16] = 39;
	crc = lzma_crc32(packed + 12, 8, 0);
	memcpy(packed + 20, &crc, sizeof(crc));
	refused(size, -ENOMEM, "", "too much memory");
	free(f);
}

static void put(const char *name, size_t size)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/6.1/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, packed, size), size);
	close(fd);
}

static void found(const char *name, const char *file)
{
	char path[128], wanted[128];
	int fd = symmod_find(dir, "6.1", name, path, sizeof(path), &err);

	snprintf(wanted, sizeof(wanted), "%s/6.1/%s", dir, file);
	assert_true(fd >= 0);
	assert_string_equal(path, wanted);
	assert_int_equal(symmod_read(fd, path, &image, &err), 0);
	symmod_free(&image);
	close(fd);
}

static void test_repository(void **state)
{
	struct module_file *f = module();
	char path[128];

	snprintf(path, sizeof(path), "%s/6.1", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	for_each_form(form) {
		size_t size = form->pack(f, sizeof(*f));
		char name[32];

		snprintf(name, sizeof(name), "a-b%s", form->ending);
		put(name, size);
		found("a_b", name);
		snprintf(path, sizeof(path), "%s/6.1/%s", dir, name);
		unlink(path);
	}
	/* One that is not compressed comes first. */
	put("a-b.ko.gz", forms[2].pack(f, sizeof(*f)));
	memcpy(packed, f, sizeof(*f));
	put("a-b.ko", sizeof(*f));
	found("a-b", "a-b.ko");
	snprintf(path, sizeof(path), "%s/6.1/a-b.ko", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/6.1/a-b.ko.gz", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/6.1", dir);
	assert_int_equal(rmdir(path), 0);
	free(f);
}

static void test_is_file(void **state)
{
	static const char *const files[] = { "a.ko", "a.ko.xz", "a.ko.zst", "a.ko.gz", "./a" };
	static const char *const names[] = { "a", ".ko", ".ko.xz", "a.xz", "ako.xz", "a.ko.bz2" };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		assert_true(symmod_is_file(files[i]));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_false(symmod_is_file(names[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),	     cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_damaged),	     cmocka_unit_test(test_wrong_magic),
		cmocka_unit_test(test_not_a_module), cmocka_unit_test(test_bomb),
		cmocka_unit_test(test_xz_memory),    cmocka_unit_test(test_repository),
		cmocka_unit_test(test_is_file),
	};
	int ret;

	if (!mkdtemp(dir))
		return 1;
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return ret;
}

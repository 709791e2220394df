// SPDX-License-Identifier: BSD-2-Clause
/*
 * SymMod's host half: checking modules, finding them, the archive appended to the
 * initrd.
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

#include "module_file.h"
#include "sym/symmod.h"

#define RELEASE "6.1.0-56-cloud-amd64"
#define GOOD                                                                                     \
	"license=GPL\0depends=symbiotic,virtio_blk\0name=symtest\0vermagic=" RELEASE             \
	" SMP preempt mod_unload modversions "

static struct symmod_image image;
static struct sym_err err;

static int check(struct module_file *f, size_t size)
{
	/* In memory of exactly its size, for the sanitizers and valgrind. */
	void *copy = malloc(size);
	int ret;

	assert_non_null(copy);
	memcpy(copy, f, size);
	memset(&image, 0, sizeof(image));
	memset(&err, 0, sizeof(err));
	image.data = copy;
	image.size = size;
	ret = symmod_check("x.ko", &image, &err);
	free(copy);
	free(f);
	assert_int_equal(err.code, ret);
	return ret;
}

static void refused(struct module_file *f, size_t size, const char *why)
{
	assert_int_equal(check(f, size), -ENOEXEC);
	if (!strstr(err.text, "x.ko") || !strstr(err.text, why))
		fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static struct module_file *good(void)
{
	return module_make(GOOD, sizeof(GOOD));
}

static void test_good(void **state)
{
	assert_int_equal(check(good(), sizeof(struct module_file)), 0);
	assert_string_equal(image.name, "symtest");
	assert_string_equal(image.release, RELEASE);
	assert_int_equal(image.nr_depends, 2);
	assert_string_equal(image.depends[0], "symbiotic");
	assert_string_equal(image.depends[1], "virtio_blk");
	assert_int_equal(symmod_match(&image, RELEASE, &err), 0);
}

static void test_other_release(void **state)
{
	assert_int_equal(check(good(), sizeof(struct module_file)), 0);
	assert_int_equal(symmod_match(&image, "6.12.1", &err), -ENOEXEC);
	assert_non_null(strstr(err.text, RELEASE));
	assert_non_null(strstr(err.text, "6.12.1"));
	/* Not by the beginning. */
	assert_int_equal(symmod_match(&image, "6.1.0-56-cloud", &err), -ENOEXEC);
}

static void test_no_depends(void **state)
{
	static const char info[] = "name=a\0depends=\0vermagic=6.1 SMP ";

	assert_int_equal(check(module_make(info, sizeof(info)), sizeof(struct module_file)), 0);
	assert_int_equal(image.nr_depends, 0);
}

static void test_truncated(void **state)
{
	for (size_t size = 16; size < sizeof(struct module_file); size += 7)
		assert_int_equal(check(good(), size), -ENOEXEC);
}

static void test_not_elf(void **state)
{
	struct module_file *f = good();

	memcpy(f, "#!/bin/sh\n", 10);
	refused(f, sizeof(*f), "not an ELF file");
}

static void test_architecture(void **state)
{
	struct module_file *f = good();

	f->head.e_machine = EM_AARCH64;
	refused(f, sizeof(*f), "wrong architecture");
	f = good();
	f->head.e_ident[EI_CLASS] = ELFCLASS32;
	refused(f, sizeof(*f), "wrong architecture");
}

static void test_program(void **state)
{
	struct module_file *f = good();

	f->head.e_type = ET_DYN;
	refused(f, sizeof(*f), "not a kernel module");
}

static void test_no_modinfo(void **state)
{
	struct module_file *f = good();

	f->names[2] = 'x';
	refused(f, sizeof(*f), "no .modinfo");
}

static void test_hostile_sections(void **state)
{
	static const uint64_t values[] = { UINT64_MAX, INT64_MAX, 1ull << 32, 4096, 1000 };

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct module_file *f = good();

		f->sections[1].sh_size = values[i];
		refused(f, sizeof(*f), "");
		f = good();
		f->sections[1].sh_offset = values[i];
		refused(f, sizeof(*f), "");
		f = good();
		f->sections[2].sh_size = values[i];
		check(f, sizeof(*f)); /* may be read, must not be read beyond */
		f = good();
		f->head.e_shoff = values[i];
		refused(f, sizeof(*f), "");
		f = good();
		f->sections[1].sh_name = values[i];
		refused(f, sizeof(*f), "");
		f = good();
		f->head.e_shstrndx = values[i];
		refused(f, sizeof(*f), "");
	}
}

static void test_misaligned_headers(void **state)
{
	const size_t size = sizeof(struct module_file) + 256, at = sizeof(struct module_file) + 5;
	char *copy = calloc(1, size);
	struct module_file *f = (struct module_file *)copy, *whole = good();

	*f = *whole;
	free(whole);
	memcpy(copy + at, f->sections, sizeof(f->sections));
	f->head.e_shoff = at;
	refused(f, size, "not aligned");
}

static void test_hostile_modinfo(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *why;
	} bad[] = {
#define BAD(text, why) { text, sizeof(text), why }
		BAD("vermagic=6.1 ", "without a name"),
		BAD("name=../../etc\0vermagic=6.1 ", "without a name"),
		BAD("name=\0vermagic=6.1 ", "without a name"),
		BAD("name=a", "which kernel"),
		BAD("name=a\0vermagic=6.1\x1b[2J ", "which kernel"),
		BAD("name=a\0vermagic=6.1 \0depends=a,,b", "dependencies"),
		BAD("name=a\0vermagic=6.1 \0depends=a b", "dependencies"),
		BAD("name=a\0vermagic=6.1 \0depends=a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a",
		    "dependencies"),
		{ "name=a\0vermagic=6.1", 19, "which kernel" }, /* no NUL at the end */
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refused(module_make(bad[i].text, bad[i].len), sizeof(struct module_file),
			bad[i].why);
}

static void test_params(void **state)
{
	static const char text[] = "name=a\0vermagic=6.1 \0parmtype=plus:uint\0parmtype=a_b:int\0"
				   "parm=plus:What to add\0parmtypes=no:int";
	static const char *const words[] = { "minus=1", "plu=1", "pluss", "plus=1 a_c",
					     "=3",	"What",	 "no=1",  "name=1" };
	struct module_file *f = module_make(text, sizeof(text));

	assert_int_equal(check(module_make(text, sizeof(text)), sizeof(*f)), 0);
	image.data = f;
	image.size = sizeof(*f);
	assert_int_equal(symmod_check_params(&image, "", &err), 0);
	assert_int_equal(symmod_check_params(&image, " plus=1\ta-b=2  dyndbg=+p ", &err), 0);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		assert_int_equal(symmod_check_params(&image, words[i], &err), -EINVAL);
		assert_non_null(strstr(err.text, "module a has no parameter"));
	}
	free(f);
}

static void test_names(void **state)
{
	assert_true(symmod_name_equal("virtio_blk", "virtio-blk"));
	assert_false(symmod_name_equal("virtio_blk", "virtio_bl"));
	assert_false(symmod_name_ok(""));
	assert_false(symmod_name_ok("a/b"));
	assert_false(symmod_name_ok("."));
	assert_true(symmod_name_ok("a-B_9"));
}

static void test_repository(void **state)
{
	char dir[] = "/tmp/symkit-test.XXXXXX", path[128], file[160], dirs[128];
	int fd;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/6.1", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(file, sizeof(file), "%s/a-b.ko", path);
	fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	snprintf(dirs, sizeof(dirs), "/nosuch:%s", dir);
	fd = symmod_find(dirs, "6.1", "a_b", path, sizeof(path), &err);
	assert_true(fd >= 0);
	close(fd);
	assert_string_equal(path, file);
	assert_int_equal(symmod_find(dirs, "6.1", "c", path, sizeof(path), &err), -ENOENT);
	assert_non_null(strstr(err.text, dir));
	assert_non_null(strstr(err.text, "6.1"));
	assert_int_equal(symmod_find(dirs, "6.2", "a_b", path, sizeof(path), &err), -ENOENT);
	assert_int_equal(symmod_find(dirs, "../6.1", "a_b", path, sizeof(path), &err), -EINVAL);
	assert_int_equal(symmod_find(dirs, "..", "a_b", path, sizeof(path), &err), -EINVAL);
	assert_int_equal(symmod_find(dirs, "6.1", "../6.1/a_b", path, sizeof(path), &err),
			 -EINVAL);
	unlink(file);
	snprintf(path, sizeof(path), "%s/6.1", dir);
	rmdir(path);
	rmdir(dir);
}

/* A field of a newc header: eight hexadecimal digits. */
static unsigned long field(const uint8_t *head, int n)
{
	char text[9] = "", *end;
	unsigned long value;

	memcpy(text, head + 6 + 8 * n, 8);
	value = strtoul(text, &end, 16);
	assert_int_equal(*end, 0);
	return value;
}

static void test_archive(void **state)
{
	struct symmod_image images[2] = {
		{ .data = "abcdefghi", .size = 9, .name = "one" },
		{ .data = "xyz", .size = 3, .name = "two" },
	};
	const uint8_t *found = NULL;

	for (uint64_t initrd = 1000; initrd < 1008; initrd++) {
		unsigned int entries = 0;
		size_t size, at = 0;
		uint8_t *out;

		assert_int_equal(symmod_archive(images, 2, initrd, &out, &size), 0);
		while (!out[at])
			at++;
		assert_true(at >= 4);
		assert_int_equal((initrd + at) % 4, 0);
		for (;;) {
			const uint8_t *head = out + at;
			unsigned long name_size, data_size;

			assert_true(at + 110 <= size);
			assert_memory_equal(head, "070701", 6);
			data_size = field(head, 6);
			name_size = field(head, 11);
			assert_int_equal(head[110 + name_size - 1], 0);
			entries++;
			at += (110 + name_size + 3) / 4 * 4;
			if (!strcmp((char *)head + 110, "TRAILER!!!"))
				break;
			if (!strcmp((char *)head + 110, "symkit/00-one.ko")) {
				found = out + at;
				assert_int_equal(data_size, 9);
				assert_memory_equal(found, "abcdefghi", 9);
			}
			at += (data_size + 3) / 4 * 4;
		}
		assert_int_equal(at, size);
		assert_int_equal(entries, 6);
		assert_non_null(found);
		free(out);
	}
}

/* The system's own cpio must read it. */
static void test_archive_by_cpio(void **state)
{
	static const char want[] = "symkit\nsymkit/00-one.ko\nconf/conf.d/symkit\n"
				   "lib/dracut/hooks/pre-udev/10-symkit.sh\n";
	struct symmod_image one = { .data = "abc", .size = 3, .name = "one" };
	char file[] = "/tmp/symkit-test.XXXXXX", command[128], list[512] = "";
	size_t size;
	uint8_t *out;
	FILE *p;
	int fd;

	if (system("command -v cpio >/dev/null"))
		skip();
	assert_int_equal(symmod_archive(&one, 1, 0, &out, &size), 0);
	fd = mkstemp(file);
	assert_int_equal(write(fd, out + 4, size - 4), size - 4);
	close(fd);
	snprintf(command, sizeof(command), "cpio -t --quiet <%s", file);
	p = popen(command, "re");
	assert_non_null(p);
	assert_true(fread(list, 1, sizeof(list) - 1, p) > 0);
	assert_int_equal(pclose(p), 0);
	unlink(file);
	assert_string_equal(list, want);
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_other_release),
		cmocka_unit_test(test_no_depends),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_not_elf),
		cmocka_unit_test(test_architecture),
		cmocka_unit_test(test_program),
		cmocka_unit_test(test_no_modinfo),
		cmocka_unit_test(test_hostile_sections),
		cmocka_unit_test(test_misaligned_headers),
		cmocka_unit_test(test_hostile_modinfo),
		cmocka_unit_test(test_params),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_repository),
		cmocka_unit_test(test_archive),
		cmocka_unit_test(test_archive_by_cpio),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

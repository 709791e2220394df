// SPDX-License-Identifier: BSD-2-Clause
/*
 * memory.c: every accessor at every edge of RAM, and the rules for regions beside
 * it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/layout.h"
#include "core/memory.h"

#define SMALL (64 * KiB)
#define HIGH  (16 * MiB) /* of a machine with this much above 4 GiB */

static struct guest_memory *create(uint64_t size)
{
	struct guest_memory *mem = malloc(sizeof(*mem));
	struct err err = { 0 };

	assert_non_null(mem);
	assert_int_equal(gmem_create(mem, size, &err), 0);
	return mem;
}

static int setup_small(void **state)
{
	*state = create(SMALL);
	return 0;
}

/* Only a few pages of it are touched, so its size costs nothing. */
static int setup_high(void **state)
{
	*state = create(RAM_LOW_MAX + HIGH);
	return 0;
}

static int teardown(void **state)
{
	gmem_destroy(*state);
	free(*state);
	return 0;
}

static void test_read_back(void **state)
{
	struct guest_memory *mem = *state;
	char buf[6] = "";

	assert_int_equal(gmem_write(mem, 0x1234, "hello", 6), 0);
	assert_int_equal(gmem_read(mem, 0x1234, buf, 6), 0);
	assert_string_equal(buf, "hello");
	assert_memory_equal(gmem_map(mem, 0x1234, 6), "hello", 6);
}

static void test_first_byte(void **state)
{
	struct guest_memory *mem = *state;

	assert_ptr_equal(gmem_map(mem, 0, 1), mem->host);
}

static void test_last_byte(void **state)
{
	struct guest_memory *mem = *state;

	assert_ptr_equal(gmem_map(mem, SMALL - 1, 1), mem->host + SMALL - 1);
	assert_ptr_equal(gmem_map(mem, 0, SMALL), mem->host);
}

static void test_past_the_end(void **state)
{
	struct guest_memory *mem = *state;

	assert_null(gmem_map(mem, SMALL - 1, 2));
	assert_null(gmem_map(mem, SMALL, 1));
	assert_null(gmem_map(mem, 0, SMALL + 1));
}

static void test_empty_range(void **state)
{
	struct guest_memory *mem = *state;

	assert_non_null(gmem_map(mem, SMALL - 1, 0));
	assert_null(gmem_map(mem, SMALL, 0));
}

static void test_wrap_around(void **state)
{
	struct guest_memory *mem = *state;

	assert_null(gmem_map(mem, UINT64_MAX, 2));
	assert_null(gmem_map(mem, UINT64_MAX - 15, 16));
	assert_null(gmem_map(mem, 4096, UINT64_MAX));
	assert_null(gmem_map(mem, 4096, UINT64_MAX - 4095)); /* the sum is 0 */
}

static void test_refused_write_writes_nothing(void **state)
{
	struct guest_memory *mem = *state;
	const uint8_t *end = mem->host + SMALL - 4;

	assert_int_equal(gmem_write(mem, SMALL - 4, "12345678", 8), -EFAULT);
	assert_memory_equal(end, "\0\0\0\0", 4);
}

static void test_refused_read_reads_nothing(void **state)
{
	struct guest_memory *mem = *state;
	char buf[8] = "1234567";

	assert_int_equal(gmem_read(mem, SMALL - 4, buf, 8), -EFAULT);
	assert_string_equal(buf, "1234567");
}

static void test_no_high_ram(void **state)
{
	assert_null(gmem_map(*state, RAM_HIGH_BASE, 1));
}

static void test_end_of_low_ram(void **state)
{
	struct guest_memory *mem = *state;

	assert_ptr_equal(gmem_map(mem, RAM_LOW_MAX - 8, 8), mem->host + RAM_LOW_MAX - 8);
	assert_null(gmem_map(mem, RAM_LOW_MAX - 8, 9));
	assert_null(gmem_map(mem, RAM_LOW_MAX, 1));
}

static void test_hole(void **state)
{
	struct guest_memory *mem = *state;

	assert_null(gmem_map(mem, PCI_MEM_BASE, 4));
	assert_null(gmem_map(mem, RAM_HIGH_BASE - 1, 1));
	assert_null(gmem_map(mem, RAM_HIGH_BASE - 1, 2));
}

/* Low and high RAM are adjacent in the host: no range may cross from one to the other. */
static void test_not_across_the_hole(void **state)
{
	struct guest_memory *mem = *state;

	assert_null(gmem_map(mem, RAM_LOW_MAX - 4, RAM_HIGH_BASE - RAM_LOW_MAX + 8));
	assert_null(gmem_map(mem, RAM_LOW_MAX - 4, 8));
}

static void test_high_ram(void **state)
{
	struct guest_memory *mem = *state;
	uint64_t end = RAM_HIGH_BASE + HIGH;

	assert_ptr_equal(gmem_map(mem, RAM_HIGH_BASE, 1), mem->host + RAM_LOW_MAX);
	assert_ptr_equal(gmem_map(mem, end - 1, 1), mem->host + mem->size - 1);
	assert_null(gmem_map(mem, end - 1, 2));
	assert_null(gmem_map(mem, end, 1));
}

static void test_discard(void **state)
{
	struct guest_memory *mem = *state;

	assert_int_equal(gmem_write(mem, 0x1000, "secret", 6), 0);
	assert_int_equal(gmem_discard(mem), 0);
	assert_memory_equal(gmem_map(mem, 0x1000, 6), "\0\0\0\0\0\0", 6);
}

/* Regions need page-aligned host memory; its contents do not matter here. */
static void *page(void)
{
	static char pages[2 * 4096] __attribute__((aligned(4096)));

	return pages;
}

#define REGION_GPA 0x200000000ull

static void test_region_alignment(void **state)
{
	struct guest_memory *mem = *state;
	char *p = page();

	assert_int_equal(gmem_region_add(mem, REGION_GPA + 1, 4096, p, 0), -EINVAL);
	assert_int_equal(gmem_region_add(mem, REGION_GPA, 4095, p, 0), -EINVAL);
	assert_int_equal(gmem_region_add(mem, REGION_GPA, 4096, p + 1, 0), -EINVAL);
	assert_int_equal(gmem_region_add(mem, REGION_GPA, 0, p, 0), -EINVAL);
}

static void test_region_wrap_around(void **state)
{
	assert_int_equal(gmem_region_add(*state, UINT64_MAX - 4095, 8192, page(), 0), -EINVAL);
}

static void test_region_not_below_4g(void **state)
{
	struct guest_memory *mem = *state;

	assert_int_equal(gmem_region_add(mem, 0, 4096, page(), 0), -EEXIST);
	assert_int_equal(gmem_region_add(mem, SMALL, 4096, page(), 0), -EEXIST);
	assert_int_equal(gmem_region_add(mem, RAM_HIGH_BASE - 4096, 4096, page(), 0), -EEXIST);
}

static void test_region_not_over_high_ram(void **state)
{
	struct guest_memory *mem = *state;
	uint64_t end = RAM_HIGH_BASE + HIGH;

	assert_int_equal(gmem_region_add(mem, RAM_HIGH_BASE, 4096, page(), 0), -EEXIST);
	assert_int_equal(gmem_region_add(mem, end - 4096, 8192, page(), 0), -EEXIST);
	assert_int_equal(gmem_region_add(mem, end, 4096, page(), 0), 0);
}

static void test_region_overlap(void **state)
{
	struct guest_memory *mem = *state;

	assert_int_equal(gmem_region_add(mem, REGION_GPA, 8192, page(), 0), 0);
	assert_int_equal(gmem_region_add(mem, REGION_GPA + 4096, 4096, page(), 0), -EEXIST);
	assert_int_equal(gmem_region_add(mem, REGION_GPA - 4096, 8192, page(), 0), -EEXIST);
	assert_int_equal(gmem_region_add(mem, REGION_GPA + 8192, 4096, page(), 0), 0);
	assert_int_equal(gmem_region_add(mem, REGION_GPA - 4096, 4096, page(), 0), 0);
}

static void test_top(void **state)
{
	struct guest_memory *mem = *state;
	uint64_t end = RAM_HIGH_BASE + HIGH;

	assert_int_equal(gmem_top(mem), end);
	assert_int_equal(gmem_region_add(mem, end + 4096, 8192, page(), 0), 0);
	assert_int_equal(gmem_top(mem), end + 3 * 4096);
	assert_int_equal(gmem_region_del(mem, end + 4096), 0);
	assert_int_equal(gmem_top(mem), end);
}

static void test_region_table_full(void **state)
{
	struct guest_memory *mem = *state;
	uint64_t gpa = REGION_GPA;

	for (int i = 0; i < MEM_MAX_REGIONS; i++, gpa += 4096)
		assert_int_equal(gmem_region_add(mem, gpa, 4096, page(), 0), 0);
	assert_int_equal(gmem_region_add(mem, gpa, 4096, page(), 0), -ENOSPC);
	assert_int_equal(gmem_region_del(mem, REGION_GPA), 0);
	assert_int_equal(gmem_region_add(mem, gpa, 4096, page(), 0), 0);
}

static void test_region_del(void **state)
{
	struct guest_memory *mem = *state;

	assert_int_equal(gmem_region_del(mem, REGION_GPA), -ENOENT);
	assert_int_equal(gmem_region_add(mem, REGION_GPA, 4096, page(), 0), 0);
	assert_int_equal(gmem_region_del(mem, REGION_GPA), 0);
	assert_int_equal(gmem_region_del(mem, REGION_GPA), -ENOENT);
	assert_int_equal(gmem_region_add(mem, REGION_GPA, 4096, page(), 0), 0);
}

/* The guest can use a region, devices cannot. */
static void test_region_is_not_ram(void **state)
{
	struct guest_memory *mem = *state;

	assert_int_equal(gmem_region_add(mem, REGION_GPA, 4096, page(), 0), 0);
	assert_null(gmem_map(mem, REGION_GPA, 1));
}

#define SMALL_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup_small, teardown)
#define HIGH_TEST(fn)  cmocka_unit_test_setup_teardown(fn, setup_high, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SMALL_TEST(test_read_back),
		SMALL_TEST(test_first_byte),
		SMALL_TEST(test_last_byte),
		SMALL_TEST(test_past_the_end),
		SMALL_TEST(test_empty_range),
		SMALL_TEST(test_wrap_around),
		SMALL_TEST(test_refused_write_writes_nothing),
		SMALL_TEST(test_refused_read_reads_nothing),
		SMALL_TEST(test_no_high_ram),
		HIGH_TEST(test_end_of_low_ram),
		HIGH_TEST(test_hole),
		HIGH_TEST(test_not_across_the_hole),
		HIGH_TEST(test_high_ram),
		HIGH_TEST(test_wrap_around),
		SMALL_TEST(test_discard),
		SMALL_TEST(test_region_alignment),
		SMALL_TEST(test_region_wrap_around),
		SMALL_TEST(test_region_not_below_4g),
		HIGH_TEST(test_region_not_over_high_ram),
		SMALL_TEST(test_region_overlap),
		HIGH_TEST(test_top),
		SMALL_TEST(test_region_table_full),
		SMALL_TEST(test_region_del),
		SMALL_TEST(test_region_is_not_ram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

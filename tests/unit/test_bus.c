// SPDX-License-Identifier: BSD-2-Clause
/* bus.c: which region gets an access, and accesses without a region. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/bus.h"

struct probe {
	struct bus_region region;
	int calls;
	uint64_t offset;
	unsigned int len;
	bool is_write;
	uint64_t value; /* written, or to be read */
	struct bus *bus; /* remove the region when called */
};

static void on_access(void *arg, uint64_t offset, uint8_t *data, unsigned int len, bool is_write)
{
	struct probe *p = arg;

	p->calls++;
	p->offset = offset;
	p->len = len;
	p->is_write = is_write;
	if (is_write)
		p->value = le_load(data, len);
	else
		le_store(data, len, p->value);
	if (p->bus)
		bus_del(p->bus, &p->region);
}

static void probe_init(struct probe *p, uint64_t base, uint64_t len)
{
	*p = (struct probe){
		.region = { .base = base, .len = len, .fn = on_access, .arg = p },
	};
}

static int setup(void **state)
{
	static struct bus bus;

	bus_init(&bus);
	*state = &bus;
	return 0;
}

static int teardown(void **state)
{
	bus_destroy(*state);
	return 0;
}

static void test_write(void **state)
{
	struct probe p;
	uint8_t data[4] = { 0x78, 0x56, 0x34, 0x12 };

	probe_init(&p, 0x1000, 0x100);
	assert_int_equal(bus_add(*state, &p.region), 0);
	assert_true(bus_access(*state, 0x1010, data, 4, true));
	assert_int_equal(p.calls, 1);
	assert_int_equal(p.offset, 0x10);
	assert_int_equal(p.len, 4);
	assert_true(p.is_write);
	assert_int_equal(p.value, 0x12345678);
}

static void test_read(void **state)
{
	struct probe p;
	uint8_t data[8] = { 0 };

	probe_init(&p, 0x1000, 0x100);
	p.value = 0x1122334455667788;
	assert_int_equal(bus_add(*state, &p.region), 0);
	assert_true(bus_access(*state, 0x1000, data, 2, false));
	assert_memory_equal(data, "\x88\x77\0\0\0\0\0\0", 8);
	assert_true(bus_access(*state, 0x10f8, data, 8, false));
	assert_int_equal(le_load(data, 8), 0x1122334455667788);
}

static void test_right_region(void **state)
{
	struct probe a, b, c;
	uint8_t byte = 0;

	probe_init(&a, 0x1000, 0x100);
	probe_init(&b, 0x1100, 0x10);
	probe_init(&c, 0xf00, 0x100);
	assert_int_equal(bus_add(*state, &a.region), 0);
	assert_int_equal(bus_add(*state, &b.region), 0);
	assert_int_equal(bus_add(*state, &c.region), 0);
	assert_true(bus_access(*state, 0x1100, &byte, 1, true));
	assert_true(bus_access(*state, 0x10ff, &byte, 1, true));
	assert_true(bus_access(*state, 0xfff, &byte, 1, true));
	assert_int_equal(a.calls, 1);
	assert_int_equal(a.offset, 0xff);
	assert_int_equal(b.calls, 1);
	assert_int_equal(b.offset, 0);
	assert_int_equal(c.calls, 1);
	assert_int_equal(c.offset, 0xff);
}

static void test_overlap_refused(void **state)
{
	static const struct {
		uint64_t base, len;
	} bad[] = {
		{ 0x1000, 0x100 }, { 0x1010, 1 }, { 0xfff, 2 }, { 0x10ff, 0x100 }, { 0, 0x10000 },
	};
	struct probe p, other;
	uint8_t byte = 0;

	probe_init(&p, 0x1000, 0x100);
	assert_int_equal(bus_add(*state, &p.region), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		probe_init(&other, bad[i].base, bad[i].len);
		assert_int_equal(bus_add(*state, &other.region), -EEXIST);
	}
	assert_true(bus_access(*state, 0x1010, &byte, 1, true));
	assert_int_equal(p.calls, 1);
}

static void test_nobody_reads_ones(void **state)
{
	uint8_t data[4] = { 0 };

	assert_false(bus_access(*state, 0x1000, data, 4, false));
	assert_memory_equal(data, "\xff\xff\xff\xff", 4);
}

static void test_nobody_takes_a_write(void **state)
{
	struct probe p;
	uint8_t data[4] = { 1, 2, 3, 4 };

	probe_init(&p, 0x1000, 0x100);
	assert_int_equal(bus_add(*state, &p.region), 0);
	assert_false(bus_access(*state, 0x1100, data, 4, true));
	assert_false(bus_access(*state, 0xfff, data, 1, true));
	assert_int_equal(p.calls, 0);
	assert_memory_equal(data, "\1\2\3\4", 4);
}

static void test_past_the_end(void **state)
{
	struct probe p;
	uint8_t data[4] = { 0 };

	probe_init(&p, 0x1000, 0x100);
	assert_int_equal(bus_add(*state, &p.region), 0);
	assert_false(bus_access(*state, 0x10fd, data, 4, false));
	assert_memory_equal(data, "\xff\xff\xff\xff", 4);
	assert_false(bus_access(*state, 0x10fd, data, 4, true));
	assert_int_equal(p.calls, 0);
	assert_true(bus_access(*state, 0x10fc, data, 4, false));
}

static void test_del(void **state)
{
	struct probe a, b;
	uint8_t byte;

	probe_init(&a, 0x1000, 0x100);
	probe_init(&b, 0x2000, 0x100);
	assert_int_equal(bus_add(*state, &a.region), 0);
	assert_int_equal(bus_add(*state, &b.region), 0);
	bus_del(*state, &a.region);
	assert_false(bus_access(*state, 0x1000, &byte, 1, false));
	assert_true(bus_access(*state, 0x2000, &byte, 1, false));
	assert_int_equal(bus_add(*state, &a.region), 0);
	assert_true(bus_access(*state, 0x1000, &byte, 1, false));
}

/* As a driver does when it switches off the device whose register it writes. */
static void test_del_from_handler(void **state)
{
	struct probe p;
	uint8_t byte = 0;

	probe_init(&p, 0x1000, 0x100);
	p.bus = *state;
	assert_int_equal(bus_add(*state, &p.region), 0);
	assert_true(bus_access(*state, 0x1000, &byte, 1, true));
	assert_false(bus_access(*state, 0x1000, &byte, 1, true));
	assert_int_equal(p.calls, 1);
}

static void test_top_of_the_address_space(void **state)
{
	uint8_t data[8] = { 0 };
	struct probe p;

	probe_init(&p, 0x1000, 0x100);
	assert_int_equal(bus_add(*state, &p.region), 0);
	assert_false(bus_access(*state, UINT64_MAX, data, 8, false));
	assert_memory_equal(data, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_write),
		TEST(test_read),
		TEST(test_right_region),
		TEST(test_overlap_refused),
		TEST(test_nobody_reads_ones),
		TEST(test_nobody_takes_a_write),
		TEST(test_past_the_end),
		TEST(test_del),
		TEST(test_del_from_handler),
		TEST(test_top_of_the_address_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-2-Clause
/*
 * acpi.c, read back as a guest's firmware parser would: from the RSDP to every table,
 * each checksum, each length inside the reserved area.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "boot/boot.h"
#include "core/layout.h"
#include "core/memory.h"
#include "machine/vm.h"

#define HEADER 36

static struct guest_memory mem;

static int setup(void **state)
{
	struct err err = { 0 };

	return gmem_create(&mem, 2 * MiB, &err);
}

static int teardown(void **state)
{
	gmem_destroy(&mem);
	return 0;
}

static void write_tables(unsigned int cpus)
{
	struct err err = { 0 };

	if (acpi_write(&mem, cpus, &err))
		fail_msg("%s", err.msg);
}

static uint64_t get(uint64_t gpa, unsigned int len)
{
	uint64_t value = 0;

	assert_int_equal(gmem_read(&mem, gpa, &value, len), 0);
	return value;
}

static void check_sum(uint64_t gpa, uint64_t len)
{
	uint8_t sum = 0;

	for (uint64_t i = 0; i < len; i++)
		sum += get(gpa + i, 1);
	assert_int_equal(sum, 0);
}

/* A sound table at @gpa with this signature; returns its length. */
static uint32_t check_table(uint64_t gpa, const char *signature)
{
	uint32_t len = get(gpa + 4, 4);

	assert_in_range(gpa, ACPI_GPA + 36, ACPI_GPA + ACPI_SIZE - HEADER);
	assert_memory_equal(gmem_map(&mem, gpa, 4), signature, 4);
	assert_in_range(len, HEADER, ACPI_GPA + ACPI_SIZE - gpa);
	check_sum(gpa, len);
	return len;
}

static uint64_t find_table(const char *signature)
{
	uint64_t xsdt = get(ACPI_GPA + 24, 8);
	uint32_t len = check_table(xsdt, "XSDT");

	for (uint64_t at = xsdt + HEADER; at < xsdt + len; at += 8) {
		uint64_t gpa = get(at, 8);

		if (!memcmp(gmem_map(&mem, gpa, 4), signature, 4))
			return gpa;
	}
	fail_msg("no table %s", signature);
	return 0;
}

static void test_rsdp(void **state)
{
	write_tables(1);
	assert_memory_equal(gmem_map(&mem, ACPI_GPA, 8), "RSD PTR ", 8);
	assert_int_equal(get(ACPI_GPA + 15, 1), 2); /* revision: there is an XSDT */
	assert_int_equal(get(ACPI_GPA + 20, 4), 36); /* length */
	check_sum(ACPI_GPA, 20);
	check_sum(ACPI_GPA, 36);
}

/* A kernel that does not use the address in the zero page scans every 16th byte. */
static void test_rsdp_where_it_is_looked_for(void **state)
{
	assert_int_equal(ACPI_GPA % 16, 0);
	assert_in_range(ACPI_GPA, 0xe0000, 0xfffff);
}

static void test_tables(void **state)
{
	uint64_t xsdt, at;
	uint32_t len;

	write_tables(4);
	xsdt = get(ACPI_GPA + 24, 8);
	len = check_table(xsdt, "XSDT");
	assert_int_equal((len - HEADER) % 8, 0);
	for (at = xsdt + HEADER; at < xsdt + len; at += 8) {
		uint64_t gpa = get(at, 8);

		check_table(gpa, gmem_map(&mem, gpa, 4));
	}
	check_table(find_table("FACP"), "FACP");
	check_table(find_table("APIC"), "APIC");
	check_table(find_table("MCFG"), "MCFG");
}

static void test_tables_do_not_overlap(void **state)
{
	uint64_t start[6], end[6];
	unsigned int n = 0;

	write_tables(VM_MAX_CPUS);
	start[n++] = ACPI_GPA;
	start[n++] = get(ACPI_GPA + 24, 8);
	start[n++] = find_table("FACP");
	start[n++] = find_table("APIC");
	start[n++] = find_table("MCFG");
	start[n++] = get(find_table("FACP") + 140, 8);
	for (unsigned int i = 0; i < n; i++)
		end[i] = start[i] + (i ? get(start[i] + 4, 4) : 36);
	for (unsigned int i = 0; i < n; i++)
		for (unsigned int j = 0; j < n; j++)
			assert_true(i == j || end[i] <= start[j] || end[j] <= start[i]);
}

static void test_dsdt(void **state)
{
	uint32_t len;

	write_tables(1);
	len = check_table(get(find_table("FACP") + 140, 8), "DSDT");
	assert_true(len > HEADER);
}

static void test_fadt(void **state)
{
	uint64_t fadt;

	write_tables(1);
	fadt = find_table("FACP");
	assert_int_equal(get(fadt + 4, 4), 276);
	assert_true(get(fadt + 112, 4) & 1 << 20); /* hardware-reduced */
	assert_int_equal(get(fadt + 120, 8), PORT_ACPI_RESET);
	assert_int_equal(get(fadt + 248, 8), PORT_ACPI_SLEEP);
	assert_int_equal(get(fadt + 260, 8), PORT_ACPI_STATUS);
}

/* The MADT's entries, by type; the ids of the processors must count up. */
static unsigned int count_madt(uint8_t type)
{
	uint64_t madt = find_table("APIC"), end = madt + get(madt + 4, 4), at;
	unsigned int n = 0;

	for (at = madt + 44; at < end; at += get(at + 1, 1)) {
		assert_in_range(get(at + 1, 1), 2, end - at);
		if (get(at, 1) != type)
			continue;
		if (type == 0) {
			assert_int_equal(get(at + 3, 1), n);
			assert_int_equal(get(at + 4, 4), 1);
		}
		n++;
	}
	assert_int_equal(at, end);
	return n;
}

static void test_madt(void **state)
{
	static const unsigned int cpus[] = { 1, 2, 17, VM_MAX_CPUS };

	for (unsigned int i = 0; i < sizeof(cpus) / sizeof(cpus[0]); i++) {
		write_tables(cpus[i]);
		assert_int_equal(count_madt(0), cpus[i]);
		assert_int_equal(count_madt(1), 1);
	}
}

static void test_mcfg(void **state)
{
	uint64_t mcfg;

	write_tables(1);
	mcfg = find_table("MCFG");
	assert_int_equal(get(mcfg + 4, 4), 60);
	assert_int_equal(get(mcfg + 44, 8), PCI_ECAM_BASE);
	assert_int_equal(get(mcfg + 54, 1), 0);
	assert_int_equal(get(mcfg + 55, 1), PCI_ECAM_SIZE / MiB - 1);
}

static void test_nothing_outside_the_area(void **state)
{
	static const uint8_t zeroes[4096];

	write_tables(VM_MAX_CPUS);
	for (uint64_t gpa = 0; gpa < 2 * MiB; gpa += 4096)
		if (gpa < ACPI_GPA || gpa >= ACPI_GPA + ACPI_SIZE)
			assert_memory_equal(gmem_map(&mem, gpa, 4096), zeroes, 4096);
}

static void test_no_room(void **state)
{
	struct guest_memory small;
	struct err err = { 0 };

	assert_int_equal(gmem_create(&small, ACPI_GPA + 512, &err), 0);
	assert_int_equal(acpi_write(&small, VM_MAX_CPUS, &err), -EFAULT);
	assert_non_null(strstr(err.msg, "0xe0000"));
	gmem_destroy(&small);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_rsdp),
		TEST(test_rsdp_where_it_is_looked_for),
		TEST(test_tables),
		TEST(test_tables_do_not_overlap),
		TEST(test_dsdt),
		TEST(test_fadt),
		TEST(test_madt),
		TEST(test_mcfg),
		TEST(test_nothing_outside_the_area),
		TEST(test_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

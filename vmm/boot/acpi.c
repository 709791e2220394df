// SPDX-License-Identifier: BSD-2-Clause
/*
 * ACPI tables: hardware-reduced (ACPI 6.5, 4.1), so there is no SMI and no legacy device to
 * emulate.  The only fixed hardware is the power management timer: Linux uses it as a
 * reference clock even so, and needs one when it does not use KVM's clock.  dsdt.asl lists the
 * devices.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "boot/boot.h"
#include "core/layout.h"
#include "core/memory.h"
#include "dsdt.h"

#define PACKED __attribute__((packed))

struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} PACKED;

struct acpi_gas {
	uint8_t space; /* 1: I/O ports */
	uint8_t width;
	uint8_t offset;
	uint8_t access; /* 1: byte */
	uint64_t address;
} PACKED;

struct acpi_rsdp {
	char signature[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t ext_checksum;
	uint8_t reserved[3];
} PACKED;

/* ACPI 6.5, 5.2.9; only fields that a hardware-reduced platform uses have names. */
struct acpi_fadt {
	struct acpi_header h;
	uint8_t unused1[40];
	uint32_t pm_timer; /* 76 */
	uint8_t unused4[11];
	uint8_t pm_timer_len; /* 91 */
	uint8_t unused5[17];
	uint16_t boot_arch; /* 109 */
	uint8_t unused2;
	uint32_t flags; /* 112 */
	struct acpi_gas reset_reg;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor;
	uint64_t x_facs;
	uint64_t x_dsdt; /* 140 */
	struct acpi_gas unused3[5];
	struct acpi_gas x_pm_timer; /* 208 */
	struct acpi_gas unused6[2];
	struct acpi_gas sleep_control; /* 244 */
	struct acpi_gas sleep_status;
	uint64_t hypervisor_vendor;
} PACKED;

_Static_assert(sizeof(struct acpi_header) == 36, "ACPI 5.2.6");
_Static_assert(offsetof(struct acpi_fadt, boot_arch) == 109, "ACPI 5.2.9");
_Static_assert(offsetof(struct acpi_fadt, x_dsdt) == 140, "ACPI 5.2.9");
_Static_assert(offsetof(struct acpi_fadt, pm_timer) == 76, "ACPI 5.2.9");
_Static_assert(offsetof(struct acpi_fadt, pm_timer_len) == 91, "ACPI 5.2.9");
_Static_assert(offsetof(struct acpi_fadt, x_pm_timer) == 208, "ACPI 5.2.9");
_Static_assert(offsetof(struct acpi_fadt, sleep_control) == 244, "ACPI 5.2.9");
_Static_assert(sizeof(struct acpi_fadt) == 276, "ACPI 5.2.9");

#define FADT_WBINVD	   (1u << 0)
#define FADT_TIMER_32_BITS (1u << 8)
#define FADT_RESET_REG	   (1u << 10)
#define FADT_HW_REDUCED	   (1u << 20)
#define BOOT_ARCH_NO_VGA   (1u << 2)
#define BOOT_ARCH_NO_ASPM  (1u << 4)
#define BOOT_ARCH_NO_CMOS  (1u << 5)
#define PORT32_GAS(port)                                                                         \
	{                                                                                        \
		1, 32, 0, 3, (port)                                                              \
	}
#define PORT_GAS(port)                                                                           \
	{                                                                                        \
		1, 8, 0, 1, (port)                                                               \
	}

struct acpi_madt {
	struct acpi_header h;
	uint32_t lapic;
	uint32_t flags;
	struct {
		uint8_t type, length, id, reserved;
		uint32_t addr, gsi_base;
	} PACKED ioapic;
	struct {
		uint8_t type, length, uid, apic_id;
		uint32_t flags;
	} PACKED cpu[VM_MAX_CPUS];
} PACKED;

struct acpi_mcfg {
	struct acpi_header h;
	uint64_t reserved;
	uint64_t base;
	uint16_t segment;
	uint8_t first_bus, last_bus;
	uint32_t reserved2;
} PACKED;

struct acpi_xsdt {
	struct acpi_header h;
	uint64_t table[3];
} PACKED;

/* Where the next table goes. */
struct cursor {
	struct guest_memory *mem;
	uint64_t next;
	int ret;
};

static uint8_t sum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint8_t total = 0;

	while (len--)
		total += *p++;
	return total;
}

static void seal(struct acpi_header *h, const char *signature, uint8_t revision, uint32_t length)
{
	memcpy(h->signature, signature, 4);
	h->length = length;
	h->revision = revision;
	memcpy(h->oem_id, "SYMKIT", 6);
	memcpy(h->oem_table_id, "SYMVMM  ", 8);
	h->oem_revision = 1;
	memcpy(h->creator_id, "SYMK", 4);
	h->creator_revision = 1;
	h->checksum = 0;
	h->checksum = -sum(h, length);
}

/* put - append a table; returns its GPA. */
static uint64_t put(struct cursor *c, const void *table, size_t len)
{
	uint64_t gpa = c->next;

	if (gpa + len > ACPI_GPA + ACPI_SIZE)
		c->ret = -ENOSPC;
	if (!c->ret)
		c->ret = gmem_write(c->mem, gpa, table, len);
	c->next = (gpa + len + 15) & ~15ull;
	return gpa;
}

static uint64_t put_fadt(struct cursor *c, uint64_t dsdt)
{
	struct acpi_fadt fadt = {
		.boot_arch = BOOT_ARCH_NO_VGA | BOOT_ARCH_NO_ASPM | BOOT_ARCH_NO_CMOS,
		.flags = FADT_WBINVD | FADT_TIMER_32_BITS | FADT_RESET_REG | FADT_HW_REDUCED,
		.pm_timer = PORT_PM_TIMER,
		.pm_timer_len = 4,
		.x_pm_timer = PORT32_GAS(PORT_PM_TIMER),
		.reset_reg = PORT_GAS(PORT_ACPI_RESET),
		.reset_value = 1,
		.minor = 5,
		.x_dsdt = dsdt,
		.sleep_control = PORT_GAS(PORT_ACPI_SLEEP),
		.sleep_status = PORT_GAS(PORT_ACPI_STATUS),
	};

	seal(&fadt.h, "FACP", 6, sizeof(fadt));
	return put(c, &fadt, sizeof(fadt));
}

static uint64_t put_madt(struct cursor *c, unsigned int cpus)
{
	struct acpi_madt madt = { .lapic = LAPIC_GPA };
	size_t len = offsetof(struct acpi_madt, cpu) + cpus * sizeof(madt.cpu[0]);

	madt.ioapic.type = 1;
	madt.ioapic.length = sizeof(madt.ioapic);
	madt.ioapic.addr = IOAPIC_GPA;
	for (unsigned int i = 0; i < cpus; i++) {
		madt.cpu[i].length = sizeof(madt.cpu[i]);
		madt.cpu[i].uid = i;
		madt.cpu[i].apic_id = i;
		madt.cpu[i].flags = 1; /* enabled */
	}
	seal(&madt.h, "APIC", 5, len);
	return put(c, &madt, len);
}

static uint64_t put_mcfg(struct cursor *c)
{
	struct acpi_mcfg mcfg = {
		.base = PCI_ECAM_BASE,
		.last_bus = PCI_ECAM_SIZE / MiB - 1,
	};

	seal(&mcfg.h, "MCFG", 1, sizeof(mcfg));
	return put(c, &mcfg, sizeof(mcfg));
}

int acpi_write(struct guest_memory *mem, unsigned int cpus, struct err *err)
{
	struct cursor c = { .mem = mem, .next = ACPI_GPA + 64 };
	struct acpi_rsdp rsdp = { .signature = "RSD PTR ", .revision = 2 };
	struct acpi_xsdt xsdt = { 0 };

	xsdt.table[0] = put_fadt(&c, put(&c, dsdt_aml_code, sizeof(dsdt_aml_code)));
	xsdt.table[1] = put_madt(&c, cpus);
	xsdt.table[2] = put_mcfg(&c);
	seal(&xsdt.h, "XSDT", 1, sizeof(xsdt));
	memcpy(rsdp.oem_id, "SYMKIT", 6);
	rsdp.length = sizeof(rsdp);
	rsdp.xsdt = put(&c, &xsdt, sizeof(xsdt));
	rsdp.checksum = -sum(&rsdp, 20);
	rsdp.ext_checksum = -sum(&rsdp, sizeof(rsdp));
	if (!c.ret)
		c.ret = gmem_write(mem, ACPI_GPA, &rsdp, sizeof(rsdp));
	if (c.ret)
		return err_set(err, c.ret, "ACPI tables: no room at guest address 0x%llx",
			       ACPI_GPA);
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest-physical address map and the port map, in one place.  vmm/boot/dsdt.asl
 * repeats the PCI windows, the ports and the GSIs; acpi.c asserts that they agree
 * where it can.
 */
#ifndef VMM_CORE_LAYOUT_H
#define VMM_CORE_LAYOUT_H

#define KiB 1024ULL
#define MiB (1024 * KiB)
#define GiB (1024 * MiB)

/* RAM: [0, RAM_LOW_MAX) and, for what does not fit there, from RAM_HIGH_BASE up. */
#define RAM_LOW_MAX   0xc0000000ULL
#define RAM_HIGH_BASE 0x100000000ULL
#define RAM_MIN	      (32 * MiB)
#define RAM_MAX	      (1024 * GiB)

/* The first mebibyte, as boot/ lays it out. */
#define BOOT_GDT_GPA	  0x500ULL
#define BOOT_PARAMS_GPA	  0x7000ULL
#define BOOT_PAGES_GPA	  0x9000ULL /* six page-table pages */
#define BOOT_CMDLINE_GPA  0x20000ULL
#define BOOT_CMDLINE_SIZE 0x10000ULL
#define EBDA_GPA	  0x9fc00ULL
#define ACPI_GPA	  0xe0000ULL
#define ACPI_SIZE	  0x10000ULL
#define RESET_VECTOR_GPA  0xffff0ULL
#define KERNEL_MIN_GPA	  0x100000ULL

/* Devices. */
#define PCI_MEM_BASE	 0xd0000000ULL
#define PCI_MEM_SIZE	 0x10000000ULL
#define PCI_ECAM_BASE	 0xe0000000ULL
#define PCI_ECAM_SIZE	 (1 * MiB) /* bus 0 only */
#define IOAPIC_GPA	 0xfec00000ULL
#define LAPIC_GPA	 0xfee00000ULL
#define KVM_IDENTITY_GPA 0xfffbc000ULL
#define KVM_TSS_GPA	 0xfffbd000ULL

/* Ports. */
#define PORT_ACPI_BASE	 0x600 /* sleep control, sleep status, reset, GED events */
#define PORT_ACPI_SLEEP	 0x600
#define PORT_ACPI_STATUS 0x601
#define PORT_ACPI_RESET	 0x602
#define PORT_ACPI_EVENT	 0x603
#define PORT_PM_TIMER	 0x608 /* four bytes */
#define PORT_COM1	 0x3f8
#define PORT_KBD	 0x60
#define PCI_PORT_BASE	 0xc000
#define PCI_PORT_SIZE	 0x1000

/* Interrupts. */
#define GSI_COM1     4
#define GSI_GED	     16
#define GSI_DOORBELL 17 /* the symbiotic interface's */
#define GSI_MSI_BASE 24 /* MSI routes follow the IOAPIC's pins */

#endif

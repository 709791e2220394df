// SPDX-License-Identifier: BSD-2-Clause
/*
 * The DSDT: PCI bus, serial port, power button, and the sleep state for power-off.
 * Addresses, ports and GSIs are those of core/layout.h.
 */
DefinitionBlock ("", "DSDT", 2, "SYMKIT", "SYMVMM", 0x00000001)
{
    // Power off: SLP_TYP 5 in the sleep control register.
    Name (\_S5, Package () { 5, 0, 0, 0 })

    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A08"))
            Name (_CID, EisaId ("PNP0A03"))
            Name (_UID, 0)
            Name (_SEG, 0)
            Name (_BBN, 0)
            Name (_CRS, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
                    0, 0, 0, 0, 1)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0, 0xC000, 0xCFFF, 0, 0x1000)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
                    NonCacheable, ReadWrite,
                    0, 0xD0000000, 0xDFFFFFFF, 0, 0x10000000)
            })
        }

        // Reserves configuration space, so that the kernel trusts the MCFG table.
        Device (ECAM)
        {
            Name (_HID, EisaId ("PNP0C02"))
            Name (_CRS, ResourceTemplate ()
            {
                Memory32Fixed (ReadWrite, 0xE0000000, 0x00100000)
            })
        }

        Device (COM1)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, 1)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x03F8, 0x03F8, 0x00, 0x08)
                IRQ (Edge, ActiveHigh, Exclusive) { 4 }
            })
        }

        Device (PWRB)
        {
            Name (_HID, EisaId ("PNP0C0C"))
            Name (_UID, 0)
        }

        // Generic Event Device: one GSI; its reason is in a port, cleared by reading.
        Device (GED)
        {
            Name (_HID, "ACPI0013")
            Name (_UID, 0)
            Name (_CRS, ResourceTemplate ()
            {
                Interrupt (ResourceConsumer, Edge, ActiveHigh, ExclusiveAndWake) { 16 }
            })
            OperationRegion (EVNT, SystemIO, 0x0603, 1)
            Field (EVNT, ByteAcc, NoLock, Preserve) { EVT, 8 }
            Method (_EVT, 1, Serialized)
            {
                Local0 = EVT
                If (Local0 & 1)
                {
                    Notify (\_SB.PWRB, 0x80)
                }
            }
        }
    }
}

// SPDX-License-Identifier: MIT
// ACPI tables as the core needs them. Privileged; immutable after boot. Parsing of their bytes is
// in base/acpi.h.
#pragma once
#include "base/types.h"
// The nth table with this signature ("APIC", "MCFG", …), mapped, checksum good; *len its bytes.
// nullptr: none.
const void *acpi_table(const char signature[4], u32 nth, u32 *len);
// What firmware left at a physical address, readable: through the direct map where that has it,
// else mapped for good. nullptr: no memory.
const void *acpi_map(phys_t at, size_t len);
void acpi_init(void); // from bootinfo.rsdp, or by searching where the platform says
void power_off(void); // returns only when the machine has no way to
void power_restart(void);

// SPDX-License-Identifier: MIT
// firmware.c: the RSDP where a PC BIOS puts it, for loaders that do not hand it over. Privileged.
#include <arch/firmware.h>

#include "base/acpi.h"
#include "base/bytes.h"
#include "core/acpi.h"

// ACPI 6.5, 5.2.5.1: the first KiB of the extended BIOS data area, and the BIOS's last 128 KiB.
constexpr u64 EBDA_SEGMENT = 0x40e;
constexpr u64 BIOS_START = 0xe0000, BIOS_END = 0x100000;

static phys_t scan(u64 start, size_t len)
{
	const void *bytes = acpi_map(phys(start), len);
	ssize_t at = bytes ? acpi_rsdp_scan(bytes, len) : -1;

	return at < 0 ? phys(0) : phys(start + (u64)at);
}

phys_t firmware_find_rsdp(void)
{
	const void *segment = acpi_map(phys(EBDA_SEGMENT), 2);
	u64 ebda = segment ? (u64)load_le16(segment) << 4 : 0;
	phys_t found = phys(0);

	if (ebda >= 0x80000 && ebda < 0xa0000)
		found = scan(ebda, KiB);
	return found.addr ? found : scan(BIOS_START, BIOS_END - BIOS_START);
}

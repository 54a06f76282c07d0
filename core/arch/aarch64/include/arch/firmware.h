// SPDX-License-Identifier: MIT
// What firmware left where, when the loader did not say (AArch64: nowhere). Privileged. Callers:
// core/acpi/.
#pragma once
#include "base/types.h"

// Physical address of the RSDP in places known beforehand; 0: none.
static inline phys_t firmware_find_rsdp(void)
{
	return phys(0);
}

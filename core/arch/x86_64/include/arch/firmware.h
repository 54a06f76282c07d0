// SPDX-License-Identifier: MIT
// What firmware left where, when the loader did not say (x86-64). Privileged. Callers: core/acpi/.
#pragma once
#include "base/types.h"

// Physical address of the RSDP in the places that the BIOS had for it; 0: none.
phys_t firmware_find_rsdp(void);

// SPDX-License-Identifier: MIT
// early_map.h: a page of device registers before the kernel has page tables of its own. Privileged.
#pragma once

#include "base/types.h"

// Where the page that holds `at` can be read and written until irq_init() is through; nullptr: the
// memory types that the door left know no devices. One page: the last call's. Boot CPU.
volatile void *early_device_map(phys_t at);

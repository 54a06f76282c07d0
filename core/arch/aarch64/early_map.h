// SPDX-License-Identifier: MIT
// early_map.h: what can be reached before the kernel has page tables of its own. Privileged; boot
// CPU.
#pragma once

#include "base/types.h"
#include <arch/pte.h>

// The first root, and the 512 GiB of its direct map, by GiB (boot_image.S).
extern pte_t early_root[PT_ENTRIES], early_direct[PT_ENTRIES];
// Once bootinfo knows memory: where the loaded tables' direct map has devices, it has memory in
// each GiB that has some. (image.c)
void early_map_memory(void);

// Where the page that holds `at` can be read and written until irq_init() is through; nullptr: the
// memory types that the door left know no devices. One page: the last call's. Boot CPU.
volatile void *early_device_map(phys_t at);

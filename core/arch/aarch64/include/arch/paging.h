// SPDX-License-Identifier: MIT
// Geometry of paging and of the kernel's address space (AArch64, pages of 4 KiB, four levels, 47
// bits in each half). Privileged. Both halves of a root lie in one page: TTBR0 points at its lower
// 256 entries, TTBR1 at the others.
#pragma once
#include "base/types.h"
constexpr u32 PAGE_SHIFT = 12;
constexpr u64 PAGE_SIZE = 1ull << PAGE_SHIFT;
constexpr u64 PAGE_MASK = ~(PAGE_SIZE - 1);
constexpr u64 HUGE_SHIFT = 21;
constexpr u64 HUGE_SIZE = 1ull << HUGE_SHIFT;
// Upper half, by top-level slot (512 GiB):
constexpr u64 DIRECT_MAP_BASE = 0xffff800000000000; // slots 256..287: 16 TiB of physical memory
constexpr u64 DIRECT_MAP_SIZE = 1ull << 44;
constexpr u64 KERNEL_MAP_BASE = 0xffffc00000000000; // slot 384: stacks, vmap, MMIO
constexpr u64 KERNEL_MAP_SIZE = 1ull << 39;
constexpr u64 SERVICE_BASE = 0xffffd00000000000; // slots 416 to 447: one each service
constexpr u64 SERVICE_SLOTS = 32;
constexpr u64 KERNEL_IMAGE_BASE = 0xffffffff80000000;
// Lower half. The last page is never mapped: a program that runs or is sent there faults.
constexpr u64 USER_MIN = 0x10000;
constexpr u64 USER_TOP = 0x00007ffffffff000;

// SPDX-License-Identifier: MIT
// personality(2).
#pragma once
#include "base/types.h"
constexpr u32 UNAME26 = 0x0020000;
constexpr u32 ADDR_NO_RANDOMIZE = 0x0040000;
constexpr u32 MMAP_PAGE_ZERO = 0x0100000;
constexpr u32 ADDR_COMPAT_LAYOUT = 0x0200000;
constexpr u32 READ_IMPLIES_EXEC = 0x0400000;
constexpr u32 ADDR_LIMIT_32BIT = 0x0800000;
constexpr u32 ADDR_LIMIT_3GB = 0x8000000;

// SPDX-License-Identifier: MIT
// Load averages. Private to linux/.
#pragma once
#include "base/types.h"

constexpr u32 LOADAVG_SHIFT = 11; // fraction bits
constexpr u64 LOADAVG_ONE = 1ull << LOADAVG_SHIFT;

// Of the last 1, 5 and 15 minutes: how many threads ran or could have. Any context.
void loadavg_read(u64 out[3]);

// SPDX-License-Identifier: MIT
// Constants of signals that differ between CPUs (AArch64).
#pragma once
#include "base/types.h"
constexpr u64 MINSIGSTKSZ = 5120;

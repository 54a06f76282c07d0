// SPDX-License-Identifier: MIT
// Constants of signals that differ between CPUs (x86-64).
#pragma once
#include "base/types.h"
constexpr u64 MINSIGSTKSZ = 2048;

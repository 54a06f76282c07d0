// SPDX-License-Identifier: MIT
// This CPU's part of the file calls' ABI (AArch64).
#pragma once
#include "abi/linux/arch/aarch64/fcntl.h"
#include "abi/linux/arch/aarch64/stat.h"

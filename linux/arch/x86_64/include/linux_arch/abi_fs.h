// SPDX-License-Identifier: MIT
// This CPU's part of the file calls' ABI (x86-64).
#pragma once
#include "abi/linux/arch/x86_64/fcntl.h"
#include "abi/linux/arch/x86_64/stat.h"

// SPDX-License-Identifier: MIT
// Machine code for a program made by hand (AArch64).
#pragma once
#include <elf.h>

enum { CPU_ELF_MACHINE = EM_AARCH64 };
// exit(7): mov x8, #93; mov x0, #7; svc #0
static const unsigned char cpu_exit_7[] = {0xa8, 0x0b, 0x80, 0xd2, 0xe0, 0x00,
					   0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4};

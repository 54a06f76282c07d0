// SPDX-License-Identifier: MIT
// Machine code for a program made by hand (x86-64).
#pragma once
#include <elf.h>

enum { CPU_ELF_MACHINE = EM_X86_64 };
// exit(7)
static const unsigned char cpu_exit_7[] = {0xb8, 60, 0, 0, 0, 0xbf, 7, 0, 0, 0, 0x0f, 0x05};

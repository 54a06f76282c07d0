/* SPDX-License-Identifier: MIT */
/* Native system calls: numbers above Linux's. Numbers only; shared by the kernel and programs (C
 * and assembly). */
#pragma once
#define HALYARD_NR_ELEVATE \
	0x10000 /* run the next instructions in ring 0 / EL1: 0, or -EPERM when not granted */
#define HALYARD_NR_LOWER 0x10001 /* back to ring 3 / EL0: 0 */

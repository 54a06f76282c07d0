/* SPDX-License-Identifier: MIT */
/* Native system calls: numbers above Linux's. Numbers only; shared by the kernel and programs (C
 * and assembly). */
#pragma once
#define HALYARD_NR_ELEVATE \
	0x10000 /* run the next instructions in ring 0 / EL1: 0, or -EPERM when not granted */
#define HALYARD_NR_LOWER       0x10001 /* back to ring 3 / EL0: 0 */
/* From here on only services, by the gate stubs; a program gets ENOSYS. */
#define HALYARD_NR_GATE_RETURN 0x10002
#define HALYARD_NR_GATE_CALL   0x10100 /* + number of the call in abi/gate/calls.def */

// SPDX-License-Identifier: MIT
// Initialisation order: functions that kernel_main calls by level. Privileged.
#pragma once
#include "base/compiler.h"

typedef void (*initcall_t)(void);
// INITCALL(level, fn): level 0 what the others stand on, 1 early subsystems, 2 buses and devices, 3
// file systems, 4 personality. Within one level: link order. They run in a kernel thread on the
// boot CPU, all CPUs up, sleeping allowed.
#define INITCALL(level, fn)  \
	__attribute__((used, \
		       section(".initcall." #level))) static const initcall_t initcall_##fn = fn

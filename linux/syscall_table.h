// SPDX-License-Identifier: MIT
// The table of system calls that the core dispatches by. Private to linux/.
#pragma once
#include "base/types.h"
extern const void *const syscall_functions[];
long syscall_count_unknown(u64 nr); // counts it; -ENOSYS

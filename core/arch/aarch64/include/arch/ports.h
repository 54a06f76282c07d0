// SPDX-License-Identifier: MIT
// I/O ports (AArch64: there are none). Privileged. Callers: core/gate/.
#pragma once
#include "base/errno.h"
#include "base/types.h"

static inline s64 arch_port_read(u16, u32)
{
	return -ENODEV;
}
static inline int arch_port_write(u16, u32, u32)
{
	return -ENODEV;
}

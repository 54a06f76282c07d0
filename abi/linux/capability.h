// SPDX-License-Identifier: MIT
// Capability sets as capget and capset take them, and securebits.
#pragma once
#include "base/types.h"
constexpr u32 LINUX_CAPABILITY_VERSION_1 = 0x19980330;
constexpr u32 LINUX_CAPABILITY_VERSION_2 = 0x20071026;
constexpr u32 LINUX_CAPABILITY_VERSION_3 = 0x20080522;
struct linux_cap_header {
	u32 version;
	s32 pid;
};
struct linux_cap_data {
	u32 effective, permitted, inheritable;
};
enum {
	SECBIT_NOROOT = 1 << 0,
	SECBIT_NOROOT_LOCKED = 1 << 1,
	SECBIT_NO_SETUID_FIXUP = 1 << 2,
	SECBIT_NO_SETUID_FIXUP_LOCKED = 1 << 3,
	SECBIT_KEEP_CAPS = 1 << 4,
	SECBIT_KEEP_CAPS_LOCKED = 1 << 5,
	SECBIT_NO_CAP_AMBIENT_RAISE = 1 << 6,
	SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED = 1 << 7,
};

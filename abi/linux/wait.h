// SPDX-License-Identifier: MIT
// wait4 and waitid as programs see them.
#pragma once
#include "base/types.h"
constexpr u32 WNOHANG = 1;
constexpr u32 WUNTRACED = 2; // also WSTOPPED
constexpr u32 WEXITED = 4;
constexpr u32 WCONTINUED = 8;
constexpr u32 WNOWAIT = 0x01000000;
constexpr u32 WNOTHREAD = 0x20000000; // __WNOTHREAD
constexpr u32 WALL = 0x40000000;      // __WALL
constexpr u32 WCLONE = 0x80000000;    // __WCLONE
enum { P_ALL = 0, P_PID = 1, P_PGID = 2, P_PIDFD = 3 };
constexpr u32 WAIT_STATUS_CONTINUED = 0xffff;
static inline u32 wait_status_exit(u32 code)
{
	return (code & 0xff) << 8;
}
static inline u32 wait_status_stop(u32 sig)
{
	return sig << 8 | 0x7f;
}

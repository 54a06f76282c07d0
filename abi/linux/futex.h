// SPDX-License-Identifier: MIT
// futex(2) as programs see it.
#pragma once
#include "base/types.h"
enum {
	FUTEX_WAIT = 0,
	FUTEX_WAKE = 1,
	FUTEX_REQUEUE = 3,
	FUTEX_CMP_REQUEUE = 4,
	FUTEX_WAKE_OP = 5,
	FUTEX_LOCK_PI = 6,
	FUTEX_UNLOCK_PI = 7,
	FUTEX_TRYLOCK_PI = 8,
	FUTEX_WAIT_BITSET = 9,
	FUTEX_WAKE_BITSET = 10,
	FUTEX_WAIT_REQUEUE_PI = 11,
	FUTEX_CMP_REQUEUE_PI = 12,
	FUTEX_LOCK_PI2 = 13,
	FUTEX_PRIVATE_FLAG = 128,
	FUTEX_CLOCK_REALTIME = 256,
};
enum {
	FUTEX_OP_SET = 0,
	FUTEX_OP_ADD,
	FUTEX_OP_OR,
	FUTEX_OP_ANDN,
	FUTEX_OP_XOR,
	FUTEX_OP_CMP_EQ = 0,
	FUTEX_OP_CMP_NE,
	FUTEX_OP_CMP_LT,
	FUTEX_OP_CMP_LE,
	FUTEX_OP_CMP_GT,
	FUTEX_OP_CMP_GE
};
constexpr u32 FUTEX_WAITERS = 0x80000000;
constexpr u32 FUTEX_OWNER_DIED = 0x40000000;
constexpr u32 FUTEX_TID_MASK = 0x3fffffff;
constexpr u32 ROBUST_LIST_LIMIT = 2048;
struct linux_robust_list_head {
	u64 next;
	s64 futex_offset;
	u64 list_op_pending;
};

// futex_waitv(2)
enum { FUTEX_32 = 2 };
constexpr u32 FUTEX_WAITV_MAX = 128;
struct linux_futex_waitv {
	u64 val;
	u64 uaddr;
	u32 flags;
	u32 reserved;
};

// SPDX-License-Identifier: MIT
// rseq(2) as programs see it.
#pragma once
#include "base/types.h"
#include <stddef.h>

enum { RSEQ_FLAG_UNREGISTER = 1 };
constexpr u32 RSEQ_CPU_ID_UNINITIALIZED = ~0u;

// A thread's area. The first struct had 32 bytes, features or not.
struct linux_rseq {
	u32 cpu_id_start;
	u32 cpu_id;
	u64 rseq_cs; // struct linux_rseq_cs of the critical section, 0: none
	u32 flags;
	u32 node_id;
	u32 mm_cid;
};
constexpr u32 RSEQ_SIZE_FIRST = 32, RSEQ_ALIGN = 32;
constexpr u32 RSEQ_FEATURE_SIZE = 28; // up to the end of mm_cid
static_assert(offsetof(struct linux_rseq, mm_cid) + sizeof(u32) == RSEQ_FEATURE_SIZE);

struct linux_rseq_cs {
	u32 version; // 0
	u32 flags;   // 0
	u64 start_ip;
	u64 post_commit_offset;
	u64 abort_ip;
};

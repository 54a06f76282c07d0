// SPDX-License-Identifier: MIT
// Native calls of Halyard for programs: elevation. Header only; works with any libc. Runs in ring
// 3, and between elevate() and lower() in ring 0 on the program's own stack and memory.
//
//	if (halyard_elevate() == 0) {		// 0, or a negative errno: -EPERM when this program
// was not granted
//		... privileged instructions ...
//		halyard_lower();
//	}
//	with_privilege {			// lowers at the end of the block, also by break and
// return
//		... only entered when elevation worked ...
//	}
//
// They nest by count, per thread: only the outermost pair enters the kernel. An elevated thread may
// make system calls, take page faults and signals, be preempted and be killed like any other. A
// child or a new thread begins lowered.
#pragma once
#include "abi/native.h"
#include <halyard_arch.h> // halyard_call_(number)

static __thread unsigned halyard_depth_;

// Elevates this thread: 0, or -EPERM (not granted) or -ENOSYS (not Halyard).
static inline long halyard_elevate(void)
{
	if (halyard_depth_) {
		halyard_depth_++;
		return 0;
	}
	long r = halyard_call_(HALYARD_NR_ELEVATE);
	if (!r)
		halyard_depth_ = 1;
	return r;
}

// Ends the innermost elevation. Without one it does nothing.
static inline void halyard_lower(void)
{
	if (halyard_depth_ && !--halyard_depth_)
		halyard_call_(HALYARD_NR_LOWER);
}

static inline unsigned halyard_elevated(void)
{
	return halyard_depth_;
}

// After fork() or in a signal handler that never returns (siglongjmp out of a privileged block):
// forget what was counted.
static inline void halyard_reset(void)
{
	halyard_depth_ = 0;
	halyard_call_(HALYARD_NR_LOWER);
}

static inline void halyard_scope_end_(int *entered)
{
	if (*entered)
		halyard_lower();
}
#define with_privilege                                                                           \
	for (int hp_once_ __attribute__((cleanup(halyard_scope_end_))) = halyard_elevate() == 0, \
			  hp_go_ = hp_once_;                                                     \
	     hp_go_; hp_go_ = 0)

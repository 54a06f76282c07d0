// SPDX-License-Identifier: MIT
// What gate.S, gate.c and elevate.c share (AArch64). Privileged.
#pragma once
#include "base/types.h"
#include <arch/frame.h>

// A native call, all registers in its frame; the result goes there. False: there is no such call.
// Interrupts off at entry and exit.
bool native_slow_path(struct trap_frame *f);
bool program_native_call(struct trap_frame *f); // the same, by a thread that is in no service
void gate_up_resume(struct trap_frame *f);
[[noreturn]] void gate_strange_call(struct trap_frame *f);

// Was it elevated code that the frame interrupted; and what it returns to.
static inline bool frame_elevated(const struct trap_frame *f)
{
	return (f->pstate & PSTATE_MODE) == PSTATE_EL1T;
}
static inline void frame_raise(struct trap_frame *f)
{
	f->pstate = (f->pstate & ~PSTATE_MODE) | PSTATE_EL1T;
}
static inline void frame_lower(struct trap_frame *f)
{
	f->pstate = (f->pstate & ~PSTATE_MODE) | PSTATE_EL0;
}

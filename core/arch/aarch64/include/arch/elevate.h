// SPDX-License-Identifier: MIT
// What this architecture's files ask of elevate.c (AArch64). Privileged.
#pragma once
#include "base/types.h"

struct thread;
struct trap_frame;

// The word `native` of a program's frame, at its first entry into the program.
s64 elevate_native(const struct thread *t);
// Elevated code executed a page at addr that the tables let it, and got a permission fault: is it
// one that will not go away, because the page is writable at EL0? Any context.
bool elevate_fetch_is_refused(const struct trap_frame *f, u64 addr);
// Elevations by the short way are counted in the thread's frame; this takes them over. t is current
// or being left; interrupts off.
void elevate_fold(struct thread *t);

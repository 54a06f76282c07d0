// SPDX-License-Identifier: MIT
// Elevation of programs: a granted thread runs its own code in ring 0 / EL1 for a moment.
// Privileged.
//
// Two backends, chosen by elevate=views|flat|auto. views: the thread switches to its space's
// elevated root, in which its half is supervisor memory, with all protections on. flat: no root
// switch; supervisor access to program pages is allowed while it lasts.
#pragma once
#include "core/thread.h"

enum elevate_backend { ELEVATE_VIEWS, ELEVATE_FLAT };
extern enum elevate_backend elevate_backend; // immutable after boot
const char *elevate_backend_name(void);
void elevate_init(void); // boot CPU
// Something that may elevate is going to run, a program or a service: makes sure that it works. In
// a thread that may sleep; all CPUs up.
void elevate_allow(void);
// The current thread execs a program, which may elevate or not, and begins lowered. May sleep.
void elevate_exec(bool granted);
struct elevate_counts {
	u64 elevations, refused;
};
void elevate_counts_read(struct elevate_counts *c);

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
void elevate_init(void);
void elevate_init_cpu(void); // every other CPU
// May a program at this path elevate (halyard.elevate=/path on the command line)?
bool elevate_path_granted(const char *path);
// exec of a program: sets thread.may_elevate and makes sure that the thread is lowered.
void elevate_exec(struct thread *t, const char *path);
// A lowered service that has recorded places of elevation is loaded: makes sure that they work. In
// a thread; services' lock held.
void elevate_allow_services(void);
struct elevate_counts {
	u64 elevations, refused;
};
void elevate_counts_read(struct elevate_counts *c);

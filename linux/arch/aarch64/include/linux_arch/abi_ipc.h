// SPDX-License-Identifier: MIT
// What of System V IPC this CPU's Linux lays out in its own way.
#pragma once
#include "abi/linux/ipc.h"

struct semid64_ds {
	struct ipc64_perm perm;
	s64 otime, ctime;
	u64 nsems, unused[2];
};
static_assert(sizeof(struct semid64_ds) == 88);

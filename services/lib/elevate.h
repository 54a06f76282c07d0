// SPDX-License-Identifier: MIT
// Elevation in services: with_privilege { ... }. Every place is recorded at link time, and core
// lets no other place elevate; `make audit` lists them. Isolated services may not: ask
// service_elevate() first.
#pragma once
#include "services/lib/service.h"

struct service_privilege {
	int taken; // as service_elevate() returned; <= 0: not to be given back
	bool done;
};
static inline void service_privilege_end(struct service_privilege *p)
{
	if (p->taken > 0)
		service_lower();
}

// Runs the block elevated; skips it when that is refused. Nests.
#define with_privilege                                                                           \
	for (struct service_privilege sp_ __cleanup(service_privilege_end) = {service_elevate(), \
									      false};            \
	     sp_.taken >= 0 && !sp_.done; sp_.done = true)

// SPDX-License-Identifier: MIT
// What the generated table of calls (tools/gate.py) needs. Privileged; private to core/.
#pragma once
#include "core/gate/service.h"

typedef long (*gate_function_t)(u64, u64, u64, u64, u64, u64);
struct gate_call {
	const char *name;
	u32 importers;
	const void *
		function; // what a privileged service calls; nullptr: this kernel was built without
};
extern const gate_function_t gate_functions[]; // what unprivileged ones do
extern const struct gate_call gate_calls[];
extern const u32 gate_ncalls;

// The service that makes this call. In a call from an unprivileged service.
static __always_inline struct service *gate_caller(void)
{
	return current()->gate->service;
}
// Is it a living handle of that kind that belongs to s?
bool handle_owned(const struct service *s, u64 handle, u32 kind);
// Notes that an argument of a call was bad (it is counted and logged); returns err.
long gate_refuse(u32 call, u32 argument, int err);
void gate_bytes_free(u8 **p);

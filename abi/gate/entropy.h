// SPDX-License-Identifier: MIT
// The class interface of random number generators in hardware.
//
// A driver registers a source (gate_entropy_register). Core asks it now and then by request(); the
// driver answers, during the call or later, by gate_entropy_add(), with as many bytes or fewer. Its
// bytes are mixed into the pool, and credited only as far as core's policy trusts the device; or
// /dev/hwrng reads them unmixed.
//
// Faults. A question that was open is asked again.
#pragma once
#include "base/types.h"

constexpr u32 ENTROPY_BYTES_MAX = 256;

struct entropy_params {
	char name[24]; // as /sys/class/misc/hw_random shows it; the same in each life
	u64 cookie;
};

struct entropy_ops {
	// len 1 to ENTROPY_BYTES_MAX: 0; -EAGAIN when it is busy, and will be asked again. Of a
	// source, one call at a time, and none while a question is open.
	int (*request)(u64 cookie, u32 len);
};

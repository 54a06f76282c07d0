// SPDX-License-Identifier: MIT
// null.c: a service that does nothing, to measure what gates and elevation cost.
#include "services/lib/elevate.h"
#include "abi/gate/test.h"

enum {
	NULL_RETURN,  // what the gate down costs
	NULL_CALLS,   // a times gate_test_null: what the gate up costs
	NULL_ELEVATE, // a times elevate and lower
	NULL_LOOP,    // a times nothing, to subtract
	NULL_SLEEP,   // sleeps for a nanoseconds
};

static __noinline s64 work(u32 number, u64 a)
{
	switch (number) {
	case NULL_CALLS:
		for (u64 i = 0; i < a; i++)
			(void)gate_test_null(i);
		return 0;
	case NULL_ELEVATE:
		for (u64 i = 0; i < a; i++)
			with_privilege __asm__ volatile("");
		return 0;
	case NULL_LOOP:
		for (u64 i = 0; i < a; i++)
			__asm__ volatile("");
		return 0;
	case NULL_SLEEP:
		return gate_sleep_ns(a);
	default:
		return -EINVAL;
	}
}

// Its twin for direct calls stands in linux/service/test.c.
static s64 run(u64 cookie, u32 number, u64 a, u64 b)
{
	(void)cookie, (void)b;
	return likely(number == NULL_RETURN) ? 0 : work(number, a);
}

static int start(u64 self)
{
	static const struct test_ops ops = {.run = run};
	struct test_params params = {.name = "null_service"};

	service_self = self;
	s64 r = gate_test_register(self, &params, &ops);

	return r < 0 ? (int)r : 0;
}

SERVICE(null, "does nothing, for measuring", .provides = GATE_TEST, .ops.start = start);

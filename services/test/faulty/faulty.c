// SPDX-License-Identifier: MIT
// faulty.c: a service that misbehaves on request, to show what becomes of it: each number written
// to /dev/faulty is a way to break (faulty.h).
#include "services/test/faulty/faulty.h"

u64 faulty_test;
static u64 program_hint; // an address in the calling program

static volatile u64 *target(enum test_target t)
{
	return (volatile u64 *)gate_test_target(faulty_test, t, program_hint);
}

// A word is changed so that it can be told apart from what was there.
static __noinline s64 scribble(volatile u64 *at)
{
	if (GATE_IS_ERROR(at))
		return (s64)at;
	*at = 0xfa017fa017fa017f;
	return 0;
}

static const u64 constant_word = 0x5e47191e15a11c0d;
static u8 data_code[16] = {0xc3, 0xc3, 0xc3, 0xc3}; // RET, were it x86 and executable

static s64 write_case(u32 number)
{
	switch (number) {
	case FAULT_WRITE_CORE_DATA:
		return scribble(target(TEST_CORE_DATA));
	case FAULT_WRITE_CORE_TEXT:
		return scribble(target(TEST_CORE_TEXT));
	case FAULT_WRITE_PAGE_TABLE:
		return scribble(target(TEST_PAGE_TABLE));
	case FAULT_WRITE_PERCPU:
		return scribble(target(TEST_PERCPU));
	case FAULT_WRITE_THREAD_STACK:
		return scribble(target(TEST_KERNEL_STACK));
	case FAULT_WRITE_PROGRAM:
		return scribble(target(TEST_PROGRAM));
	case FAULT_WRITE_OTHER_SERVICE:
		return scribble(target(TEST_OTHER_SERVICE));
	case FAULT_WRITE_STUBS:
		return scribble(target(TEST_STUBS));
	case FAULT_WRITE_OWN_TEXT:
		return scribble((volatile u64 *)(((u64)write_case + 7) & ~7ull));
	case FAULT_WRITE_OWN_CONSTANTS:
		return scribble((volatile u64 *)&constant_word);
	case FAULT_WRITE_NULL:
		return scribble((volatile u64 *)8);
	case FAULT_WRITE_NOWHERE:
		return scribble((volatile u64 *)0x1234567890abcde8);
	case FAULT_WRITE_REVOKED: {
		s64 page = gate_test_grant(faulty_test, true);

		if (GATE_IS_ERROR(page))
			return page;
		*(volatile u64 *)page = 1; // it may, still
		return scribble(target(TEST_GRANT));
	}
	case FAULT_WRITE_READ_ONLY_GRANT:
		return scribble((volatile u64 *)gate_test_grant(faulty_test, false));
	default:
		return -ENOSYS;
	}
}

static __noinline s64 look(const volatile u64 *at)
{
	return GATE_IS_ERROR(at) ? (s64)at : (s64)(*at & 0x7fffffff);
}

static s64 read_case(u32 number)
{
	switch (number) {
	case FAULT_READ_CORE:
		return look(target(TEST_CORE_DATA));
	case FAULT_READ_PROGRAM:
		return look(target(TEST_PROGRAM));
	default:
		return look((const volatile u64 *)program_hint);
	}
}

// ---- control flow ----

static __noinline s64 jump(u64 at)
{
	void (*volatile f)(void) = (void (*)(void))at;

	f();
	return 0;
}

static volatile u64 recursion_end = ~0ull;

static __noinline u64 recurse(u64 depth, const volatile u64 *outer)
{
	volatile u64 local[32];

	for (u32 i = 0; i < 32; i++)
		local[i] = depth + (outer ? outer[i] : 0);
	return depth == recursion_end ? 0 : recurse(depth + 1, local) + local[7];
}

static void thread_main(u64 argument)
{
	(void)scribble((volatile u64 *)argument);
}

static s64 thread_fault(void)
{
	int err = gate_thread_start(service_self, (u64)thread_main, 8, "faulty-thread", 13);

	if (err)
		return err;
	// Leaves when the thread has ended the service's life.
	return gate_sleep_ns(5'000'000'000);
}

static s64 control_case(u32 number)
{
	u8 on_stack[16] = {0xc3};

	switch (number) {
	case FAULT_JUMP_NULL:
		return jump(0);
	case FAULT_JUMP_DATA:
		return jump((u64)data_code);
	case FAULT_JUMP_STACK:
		return jump((u64)on_stack);
	case FAULT_JUMP_CORE:
		return jump((u64)target(TEST_CORE_TEXT));
	case FAULT_JUMP_PROGRAM:
		return jump(program_hint);
	case FAULT_STACK_OVERFLOW:
		return (s64)recurse(0, nullptr);
	case FAULT_STACK_POINTER_NULL:
		fault_stack_pointer(8);
	case FAULT_STACK_POINTER_CORE:
		fault_stack_pointer((u64)target(TEST_KERNEL_STACK));
	case FAULT_ASSERTION:
		service_assert(number == FAULT_NONE);
		return 0;
	case FAULT_ABORT:
		return gate_abort(service_self, "as it was told", 14);
	case FAULT_RETURN_GARBAGE:
		return (s64)0x8badf00d8badf00d;
	case FAULT_THREAD:
		return thread_fault();
	case FAULT_IN_NESTED:
		(void)gate_clock_ns();
		return scribble((volatile u64 *)8);
	default:
		return -ENOSYS;
	}
}

// ---- time ----

static s64 time_case(u32 number)
{
	s64 event;

	switch (number) {
	case FAULT_LOOP:
		for (;;)
			__asm__ volatile("");
	case FAULT_LOOP_CALLING:
		for (;;)
			(void)gate_test_null(1);
	case FAULT_SLEEP:
		for (;;)
			(void)gate_sleep_ns(~0ull);
	case FAULT_WAIT:
		event = gate_event_create(service_self);
		for (;;)
			(void)gate_event_wait((u64)event, 0, ~0ull);
	default:
		return -ENOSYS;
	}
}

// ---- privilege ----

static s64 privilege_case(u32 number)
{
	int taken;

	switch (number) {
	case FAULT_ELEVATE_UNRECORDED:
		fault_elevate_unrecorded();
		return 0;
	case FAULT_ELEVATED_WRITE_NULL:
		with_privilege return scribble((volatile u64 *)8);
		return -EPERM;
	case FAULT_ELEVATED_LOOP:
		with_privilege for (;;) __asm__ volatile("");
		return -EPERM;
	case FAULT_ELEVATED_RETURN:
		taken = service_elevate();
		return taken < 0 ? taken : 0;
	case FAULT_SYSTEM_CALL:
		return fault_raw_call(1); // write, or on another CPU whatever it is
	case FAULT_CALL_UNKNOWN:
		return fault_raw_call(HALYARD_NR_GATE_CALL + 1000);
	case FAULT_CALL_NOT_IMPORTED:
		return fault_raw_call(HALYARD_NR_GATE_CALL + 127);
	case FAULT_GATE_RETURN_EARLY:
		fault_gate_return(); // is what returning is
	default:
		return -ENOSYS;
	}
}

static s64 run(u64 cookie, u32 number, u64 a, u64 b)
{
	(void)cookie, (void)b;
	program_hint = a;
	if (number == FAULT_NONE)
		return 0;
	if (number < FAULT_READ_CORE)
		return write_case(number);
	if (number < FAULT_JUMP_NULL)
		return read_case(number);
	if (number < FAULT_LOOP)
		return control_case(number);
	if (number < FAULT_ELEVATE_UNRECORDED)
		return time_case(number);
	if (number < FAULT_BAD_ARGUMENTS)
		return privilege_case(number);
	if (number == FAULT_BAD_ARGUMENTS)
		return fault_bad_arguments();
	return number < FAULT_ARCH ? fault_exhaust(number) : fault_arch(number);
}

static int start(u64 self)
{
	static const struct test_ops ops = {.run = run};
	struct test_params params = {.name = "faulty"};

	service_self = self;
	s64 r = gate_test_register(self, &params, &ops);

	if (r < 0)
		return (int)r;
	faulty_test = (u64)r;
	return 0;
}

// It has every class interface, so that it may import every call.
SERVICE(faulty, "misbehaves on request", .provides = 0xff & ~(u32)GATE_DEVICE, .ops.start = start);

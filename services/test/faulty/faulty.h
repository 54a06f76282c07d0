// SPDX-License-Identifier: MIT
// The ways in which the service `faulty` misbehaves: its numbers, one a case, and what its files
// share.
#pragma once
#include "services/lib/elevate.h"
#include "abi/gate/test.h"

enum fault : u32 {
	FAULT_NONE = 0,
	// memory that is not its own
	FAULT_WRITE_CORE_DATA,
	FAULT_WRITE_CORE_TEXT,
	FAULT_WRITE_PAGE_TABLE,
	FAULT_WRITE_PERCPU,
	FAULT_WRITE_THREAD_STACK,
	FAULT_WRITE_PROGRAM,
	FAULT_WRITE_OTHER_SERVICE,
	FAULT_WRITE_STUBS,
	FAULT_WRITE_OWN_TEXT,
	FAULT_WRITE_OWN_CONSTANTS,
	FAULT_WRITE_NULL,
	FAULT_WRITE_NOWHERE, // no canonical address
	FAULT_WRITE_REVOKED, // a page that was granted
	FAULT_WRITE_READ_ONLY_GRANT,
	FAULT_READ_CORE,
	FAULT_READ_PROGRAM,
	FAULT_READ_PROGRAM_ADDRESS, // by the program's own address
	// control flow
	FAULT_JUMP_NULL = 32,
	FAULT_JUMP_DATA,
	FAULT_JUMP_STACK,
	FAULT_JUMP_CORE,
	FAULT_JUMP_PROGRAM,
	FAULT_STACK_OVERFLOW,
	FAULT_STACK_POINTER_NULL,
	FAULT_STACK_POINTER_CORE,
	FAULT_ASSERTION,
	FAULT_ABORT,
	FAULT_RETURN_GARBAGE,
	FAULT_THREAD,	 // another thread of the service's writes to null
	FAULT_IN_NESTED, // after a call into core
	// time
	FAULT_LOOP = 64,
	FAULT_LOOP_CALLING,
	FAULT_SLEEP,
	FAULT_WAIT,
	// privilege
	FAULT_ELEVATE_UNRECORDED = 80,
	FAULT_ELEVATED_WRITE_NULL,
	FAULT_ELEVATED_LOOP,
	FAULT_ELEVATED_RETURN, // forgets to lower
	FAULT_SYSTEM_CALL,
	FAULT_CALL_UNKNOWN,
	FAULT_CALL_NOT_IMPORTED,
	FAULT_GATE_RETURN_EARLY,
	// calls with bad arguments: nothing but errors come back
	FAULT_BAD_ARGUMENTS = 100,
	FAULT_FREE_TWICE,
	FAULT_CLOSE_TWICE,
	FAULT_EXHAUST_MEMORY,
	FAULT_EXHAUST_HANDLES,
	FAULT_EXHAUST_THREADS,
	// of the CPU: fault_arch()
	FAULT_ARCH = 128,
};

// One of the CPU's own cases. -ENOSYS: there is none with this number.
s64 fault_arch(u32 number);
void fault_elevate_unrecorded(void);
[[noreturn]] void fault_stack_pointer(u64 sp);
s64 fault_raw_call(u64 number);
[[noreturn]] void fault_gate_return(void);

s64 fault_bad_arguments(void);
s64 fault_exhaust(u32 number);
extern u64 faulty_test; // HANDLE_TEST

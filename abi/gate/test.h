// SPDX-License-Identifier: MIT
// The class interface of services that exist for tests: a character device whose ioctl enters the
// service with a number and two arguments.
//
// Faults. The ioctl returns -EIO.
#pragma once
#include "abi/test_device.h"
#include "base/types.h"

struct test_params {
	char name[16]; // of the device file: /dev/NAME
	u64 cookie;
};

// Real objects of core's and of other services' for a test service to misuse. gate_test_target().
enum test_target : u32 {
	TEST_CORE_DATA,	    // a word of core's data
	TEST_CORE_TEXT,	    // core's code
	TEST_PAGE_TABLE,    // a page table of the calling program
	TEST_PERCPU,	    // this CPU's own data
	TEST_KERNEL_STACK,  // another thread's kernel stack
	TEST_PROGRAM,	    // a page of the calling program, by core's mapping
	TEST_OTHER_SERVICE, // a word of another service's data
	TEST_GRANT,	    // a page that was granted to this service and is no longer
	TEST_STUBS,	    // the page of gate stubs
	TEST_TARGETS,
};

struct test_ops {
	s64 (*run)(u64 cookie, u32 number, u64 a, u64 b);
};

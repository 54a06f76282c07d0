/* SPDX-License-Identifier: MIT */
/* The device files of test services (abi/gate/test.h), for programs too: plain C of any age.
 * Writing "NUMBER [A [B]]" does the same as TEST_RUN; the write fails with the result's errno. */
#pragma once
#include <stdint.h>

struct test_request {
	uint64_t number, a, b;
	int64_t result;
};
/* result = run(number, a, b). The ioctl itself fails when the service did. */
#define TEST_RUN     0xc0204801u
/* run(0, 0, 0), a times: for measuring. */
#define TEST_REPEAT  0xc0204802u
/* The same with a function of core's own, called directly. */
#define TEST_DIRECT  0xc0204803u
/* As TEST_REPEAT, loading the program's view after each call. */
#define TEST_REENTER 0xc0204804u
/* As TEST_REPEAT, calling nothing: the loop itself, to subtract. */
#define TEST_LOOP    0xc0204805u

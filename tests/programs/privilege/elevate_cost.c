// SPDX-License-Identifier: MIT
// What elevate()+lower() and a null system call cost. Under QEMU's -icount shift=0 the clock counts
// instructions, so the figures repeat to the digit; they include those that load the number and
// make the call. Needs the grant of tests/system/test_elevate.py.
#include <halyard.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>

static long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

// Runs the body n times; the loop itself takes two instructions a turn.
#define MEASURE(n, ...)                         \
	({                                      \
		long t0_ = now();               \
		for (long i_ = (n); i_; i_--) { \
			__VA_ARGS__;            \
		}                               \
		(double)(now() - t0_) / (n);    \
	})

int main(void)
{
	enum { N = 20000 };
	if (halyard_call_(HALYARD_NR_ELEVATE)) {
		puts("not granted");
		return 1;
	}
	halyard_call_(HALYARD_NR_LOWER);
	double empty = MEASURE(N, __asm__ volatile(""));
	double pair =
		MEASURE(N, halyard_call_(HALYARD_NR_ELEVATE); halyard_call_(HALYARD_NR_LOWER));
	double null = MEASURE(N, halyard_call_(SYS_getppid));
	printf("elevate+lower %.1f\nnull system call %.1f\n", pair - empty, null - empty);
	return 0;
}

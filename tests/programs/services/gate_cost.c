// SPDX-License-Identifier: MIT
// What gates cost, by the service `null`. Under QEMU's -icount shift=0 the clock counts
// instructions, so the figures repeat to the digit.
#include "abi/test_device.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

static long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

// Nanoseconds (instructions) a turn of one ioctl that does the work n times.
static double measure(int fd, unsigned long cmd, uint64_t number, uint64_t n)
{
	struct test_request r = {.number = number, .a = n};
	long t0 = now();

	if (ioctl(fd, cmd, &r) || r.result < 0) {
		perror("ioctl");
		return -1;
	}
	return (double)(now() - t0) / (double)n;
}

// The same with the ioctl itself taken out: the difference between many turns and twice as many.
static double each(int fd, unsigned long cmd, uint64_t number)
{
	enum { N = 20000 };
	(void)measure(fd, cmd, number, 100);
	double one = measure(fd, cmd, number, N) * N, two = measure(fd, cmd, number, 2 * N) * 2 * N;

	return (two - one) / N;
}

int main(void)
{
	enum { CALLS = 1, ELEVATE = 2, LOOP = 3 }; // services/test/null
	int fd = open("/dev/null_service", O_RDWR);

	if (fd < 0) {
		perror("/dev/null_service");
		return 1;
	}
	double turn = each(fd, TEST_LOOP, 0), loop = each(fd, TEST_RUN, LOOP);

	printf("direct call %.1f\n", each(fd, TEST_DIRECT, 0) - turn);
	printf("gate down and back %.1f\n", each(fd, TEST_REPEAT, 0) - turn);
	printf("gate down and back, both views loaded %.1f\n", each(fd, TEST_REENTER, 0) - turn);
	printf("gate up and back %.1f\n", each(fd, TEST_RUN, CALLS) - loop);
	printf("elevate+lower %.1f\n", each(fd, TEST_RUN, ELEVATE) - loop);
	return 0;
}

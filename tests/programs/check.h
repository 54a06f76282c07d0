// SPDX-License-Identifier: MIT
// What the test programs share: checks that say where they failed, and exit codes. A program passes
// on Linux too.
#pragma once
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// A program whose checks build on each other defines CHECK_FATAL: the first that fails ends it.
#ifndef CHECK_FATAL
#define CHECK_FATAL 0
#endif

static int check_failures;

static inline void check_failed(void)
{
	check_failures++;
	fflush(stdout);
	if (CHECK_FATAL)
		exit(1);
}

#define CHECK(cond)                                                                            \
	do {                                                                                   \
		if (!(cond)) {                                                                 \
			printf("FAILED %s:%d: %s (errno %d, %s)\n", __FILE__, __LINE__, #cond, \
			       errno, strerror(errno));                                        \
			check_failed();                                                        \
		}                                                                              \
	} while (0)
#define CHECK_EQ(a, b)                                                                      \
	do {                                                                                \
		long long check_a = (long long)(a), check_b = (long long)(b);               \
		if (check_a != check_b) {                                                   \
			printf("FAILED %s:%d: %s == %s (%lld, %lld; errno %d)\n", __FILE__, \
			       __LINE__, #a, #b, check_a, check_b, errno);                  \
			check_failed();                                                     \
		}                                                                           \
	} while (0)
#define CHECK_ERR(expr, err)                                                                       \
	do {                                                                                       \
		errno = 0;                                                                         \
		long long check_r = (long long)(expr);                                             \
		if (check_r != -1 || errno != (err)) {                                             \
			printf("FAILED %s:%d: %s gives %s (%lld, errno %d)\n", __FILE__, __LINE__, \
			       #expr, #err, check_r, errno);                                       \
			check_failed();                                                            \
		}                                                                                  \
	} while (0)

static inline int check_done(const char *name)
{
	printf("%s: %s\n", name, check_failures ? "FAILED" : "ok");
	return check_failures != 0;
}

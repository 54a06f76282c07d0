// SPDX-License-Identifier: MIT
// ktest_main.c: runs the tests of base/ on the host. Usage: base_tests [FILTER]. Exit status 1 on
// failure.
#include <stdio.h>

#include "base/ktest.h"

static void print(const char *line)
{
	puts(line);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	if (argc > 2) {
		fprintf(stderr, "usage: %s [FILTER]\n", argv[0]);
		return 2;
	}
	return ktest_run_all(argc == 2 ? argv[1] : nullptr, print) ? 1 : 0;
}

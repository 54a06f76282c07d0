// SPDX-License-Identifier: MIT
// What the proc_*.c programs share: reading a file of /proc whole, and the first check that fails
// ends the program.
#pragma once
#include <fcntl.h>
#define CHECK_FATAL 1
#include "tests/programs/check.h"

static char text[1 << 16];

// The file's whole content, NUL-terminated; its length.
static ssize_t slurp(const char *path)
{
	int fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	ssize_t len = 0, n;
	while ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += n;
	CHECK(n == 0);
	text[len] = 0;
	close(fd);
	return len;
}

// The number behind a key at the beginning of a line of `text`.
static long long value(const char *key)
{
	for (char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		if (!strncmp(line, key, strlen(key)))
			return strtoll(line + strlen(key), NULL, 10);
	printf("no line %s in:\n%s", key, text);
	exit(1);
}

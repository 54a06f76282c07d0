// SPDX-License-Identifier: MIT
// What the sysv_*.c programs share: children, an ordinary user, files of /proc.
#define _GNU_SOURCE
#pragma once
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include "tests/programs/check.h"

// Bad arguments are given on purpose.
#pragma GCC diagnostic ignored "-Wnonnull"

enum { PAGE = 4096, KEY = 0x48414c59 };

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
	struct seminfo *info;
};

static inline void sysv_wait(pid_t p)
{
	int st = -1;
	CHECK_EQ(waitpid(p, &st, 0), p);
	CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 0);
}

// Runs fn in a child as an ordinary user (when we may choose), and hopes for no failures.
static inline void sysv_as_user(void (*fn)(int id), int id)
{
	pid_t p = fork();
	if (!p) {
		check_failures = 0;
		if (!geteuid() && (setgid(1000) || setuid(1000)))
			_exit(1);
		fn(id);
		fflush(stdout);
		_exit(check_failures != 0);
	}
	sysv_wait(p);
}

// The line of a file of /proc/sysvipc that has the id in its second column; 0: there is none.
static inline int sysv_line(const char *file, int id, char line[512])
{
	FILE *f = fopen(file, "r");
	int found = 0, key, other;
	while (f && !found && fgets(line, 512, f))
		found = sscanf(line, "%d %d", &key, &other) == 2 && other == id;
	if (f)
		fclose(f);
	return found;
}

static inline long sysv_free_kib(void)
{
	char text[256] = "";
	int fd = open("/proc/meminfo", O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	const char *at = strstr(text, "MemFree:");
	return at ? atol(at + 8) : -1;
}

// Memory is back to what it was, but for what caches may hold.
static inline void sysv_all_back(long before_kib)
{
	long lost = 0;
	for (int n = 0; n < 40; n++) {
		lost = before_kib - sysv_free_kib();
		if (lost <= 768)
			return;
		usleep(50000);
	}
	printf("FAILED %ld KiB are gone\n", lost);
	check_failed();
}

static inline int on_halyard(void)
{
	return access("/proc/halyard/version", F_OK) == 0;
}

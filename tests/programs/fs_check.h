// SPDX-License-Identifier: MIT
// What the fs_*.c programs share: a directory of their own to work in, and what they ask of files.
// Arguments: [directory to work below] (default: /tmp, made when missing).
#define _GNU_SOURCE
#pragma once
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/sysmacros.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <utime.h>
#include "tests/programs/check.h"

// Bad arguments are given on purpose.
#pragma GCC diagnostic ignored "-Wstringop-overflow"
#pragma GCC diagnostic ignored "-Wstringop-overread"
#pragma GCC diagnostic ignored "-Wnonnull"

static char fs_work[PATH_MAX];

static inline void fs_begin(int argc, char **argv)
{
	const char *base = argc > 1 ? argv[1] : "/tmp";
	setvbuf(stdout, NULL, _IOLBF, 0);
	mkdir(base, 01777);
	snprintf(fs_work, sizeof(fs_work), "%s/fs_test.%d", base, (int)getpid());
	umask(022);
	if (mkdir(fs_work, 0755) || chdir(fs_work)) {
		printf("FAILED cannot work in %s: %s\n", fs_work, strerror(errno));
		exit(1);
	}
}

static inline int fs_end(void)
{
	if (chdir("/") || rmdir(fs_work)) {
		printf("FAILED %s is not empty at the end: %s\n", fs_work, strerror(errno));
		check_failed();
	}
	return check_done(program_invocation_short_name);
}

static inline void fs_put(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	CHECK(fd >= 0);
	CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
	CHECK_EQ(close(fd), 0);
}

// Does the file hold exactly this text?
static inline int fs_holds(const char *name, const char *text)
{
	char buf[8192];
	int fd = open(name, O_RDONLY);
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, buf, sizeof(buf));
	close(fd);
	return n == (ssize_t)strlen(text) && !memcmp(buf, text, (size_t)n);
}

static inline long fs_nlink(const char *name)
{
	struct stat st;
	return lstat(name, &st) ? -1 : (long)st.st_nlink;
}

// The child's exit status is its number of failures.
static inline void fs_wait(pid_t p)
{
	int st = -1;
	CHECK_EQ(waitpid(p, &st, 0), p);
	CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 0);
}

// SPDX-License-Identifier: MIT
// What the fs_*.c programs share: checks that report and go on, and a directory of their own to
// work in. Arguments: [directory to work below] (default: /tmp, made when missing).
#define _GNU_SOURCE
#pragma once
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
#include <unistd.h>
#include <utime.h>

// Bad arguments are given on purpose.
#pragma GCC diagnostic ignored "-Wstringop-overflow"
#pragma GCC diagnostic ignored "-Wstringop-overread"
#pragma GCC diagnostic ignored "-Wnonnull"

static int fs_failures;

#define CHECK(x)                                                                                \
	do {                                                                                    \
		errno = 0;                                                                      \
		if (!(x)) {                                                                     \
			printf("FAIL %s:%d: %s (errno %d %s)\n", __func__, __LINE__, #x, errno, \
			       strerror(errno));                                                \
			fs_failures++;                                                          \
		}                                                                               \
	} while (0)

// The call must fail with that errno.
#define CHECK_ERR(x, e)                                                                    \
	do {                                                                               \
		errno = 0;                                                                 \
		long r_ = (long)(x);                                                       \
		int e_ = errno;                                                            \
		if (r_ != -1 || e_ != (e)) {                                               \
			printf("FAIL %s:%d: %s gave %ld, errno %d %s, not %s\n", __func__, \
			       __LINE__, #x, r_, e_, strerror(e_), #e);                    \
			fs_failures++;                                                     \
		}                                                                          \
	} while (0)

#define CHECK_EQ(x, y)                                                                    \
	do {                                                                              \
		errno = 0;                                                                \
		long long a_ = (long long)(x), b_ = (long long)(y);                       \
		if (a_ != b_) {                                                           \
			printf("FAIL %s:%d: %s is %lld, not %lld (errno %d)\n", __func__, \
			       __LINE__, #x, a_, b_, errno);                              \
			fs_failures++;                                                    \
		}                                                                         \
	} while (0)

static char fs_work[PATH_MAX];

static inline void fs_begin(int argc, char **argv)
{
	const char *base = argc > 1 ? argv[1] : "/tmp";
	setvbuf(stdout, NULL, _IOLBF, 0);
	mkdir(base, 01777);
	snprintf(fs_work, sizeof(fs_work), "%s/fs_test.%d", base, (int)getpid());
	umask(022);
	if (mkdir(fs_work, 0755) || chdir(fs_work)) {
		printf("FAIL cannot work in %s: %s\n", fs_work, strerror(errno));
		exit(1);
	}
}

static inline int fs_end(void)
{
	if (chdir("/") || rmdir(fs_work)) {
		printf("FAIL %s is not empty at the end: %s\n", fs_work, strerror(errno));
		fs_failures++;
	}
	printf("%d failures\n", fs_failures);
	return fs_failures != 0;
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

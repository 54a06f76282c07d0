// SPDX-License-Identifier: MIT
// Reads a disk's partition table again and again while the service that understands it is killed.
//
// usage: rescan DEVICE SERVICE SECONDS
// Prints how many scans worked, were cut short (EIO), and found no service (ENODEV). In the end,
// when the service is there again, a scan must work.
#define _GNU_SOURCE
#define CHECK_FATAL 1
#include "tests/programs/check.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <time.h>

static atomic_int stop;

// Leaves it alone for 0 to 60 ms between two deaths.
static void *killer(void *service)
{
	char command[64];
	int n = snprintf(command, sizeof(command), "kill %s\n", (const char *)service);
	unsigned turn = 0;

	while (!stop) {
		int fd = open("/proc/halyard/services", O_WRONLY);

		CHECK(fd >= 0);
		CHECK(write(fd, command, (size_t)n) == n || errno == EBUSY);
		close(fd);
		usleep(++turn * 9770 % 60000);
	}
	return NULL;
}

static time_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

int main(int argc, char **argv)
{
	unsigned good = 0, cut = 0, away = 0;
	char before[512], after[512];
	pthread_t thread;

	if (argc != 4) {
		fprintf(stderr, "usage: %s DEVICE SERVICE SECONDS\n", argv[0]);
		return 2;
	}
	alarm(100);
	int fd = open(argv[1], O_RDONLY);

	CHECK(fd >= 0);
	CHECK_EQ(pread(fd, before, sizeof(before), 0), sizeof(before));
	CHECK_EQ(pthread_create(&thread, NULL, killer, argv[2]), 0);
	for (time_t end = now() + atoi(argv[3]); now() < end;) {
		if (!ioctl(fd, BLKRRPART, 0)) {
			good++;
		} else if (errno == EIO) {
			cut++;
		} else {
			CHECK_EQ(errno, ENODEV);
			away++;
		}
		CHECK_EQ(pread(fd, after, sizeof(after), 0), sizeof(after));
		CHECK(!memcmp(before, after, sizeof(before)));
	}
	stop = 1;
	CHECK_EQ(pthread_join(thread, NULL), 0);
	while (ioctl(fd, BLKRRPART, 0)) // the last restart may be under way; alarm() ends this
		CHECK(errno == ENODEV || errno == EIO);
	printf("good %u cut %u away %u\n", good, cut, away);
	return check_done(argv[0]);
}

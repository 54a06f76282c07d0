// SPDX-License-Identifier: MIT
// Makes the service `faulty` misbehave once and tells what became of it, line by line:
//	result N        what the ioctl returned, or -errno
//	stuck           instead: it did not return in time
//	back N us       the service answers again, so long after the call
//	core S, program S, services S      unchanged or changed: checksums before and after
// Usage: faulty_case NUMBER [DEVICE [SECONDS]]
#include "abi/test_device.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t pages[1 << 14]; // of this program: the service gets the address of one word

static long now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

static uint64_t own_sum(void)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		sum = sum * 31 + pages[i];
	return sum;
}

// The lines of /proc/halyard/sentinels: core's and the services' sum.
static void sentinels(char out[2][64])
{
	FILE *f = fopen("/proc/halyard/sentinels", "r");
	memset(out, 0, 2 * 64);
	if (!f || !fgets(out[0], 64, f) || !fgets(out[1], 64, f)) {
		perror("/proc/halyard/sentinels");
		exit(2);
	}
	fclose(f);
}

static long run(int fd, uint64_t number)
{
	struct test_request r = {
		.number = number, .a = (uint64_t)(uintptr_t)&pages[4242], .result = 0};
	return ioctl(fd, TEST_RUN, &r) ? -errno : r.result;
}

struct shared {
	long result, us;
	int done;
};

int main(int argc, char **argv)
{
	char device[64], before[2][64], after[2][64];
	unsigned seconds = argc > 3 ? (unsigned)atoi(argv[3]) : 20;
	uint64_t number = argc > 1 ? strtoull(argv[1], NULL, 0) : 0;

	snprintf(device, sizeof(device), "/dev/%s", argc > 2 ? argv[2] : "faulty");
	int fd = open(device, O_RDWR);
	if (fd < 0) {
		perror(device);
		return 2;
	}
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		pages[i] = i * 0x9e3779b97f4a7c15u;
	struct shared *s =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t own = own_sum();
	sentinels(before);

	pid_t child = fork();
	if (child == 0) {
		long t0 = now_us();
		s->result = run(fd, number);
		s->us = now_us() - t0;
		s->done = 1 + (own_sum() != own);
		_exit(0);
	}
	int status;
	for (long end = now_us() + seconds * 1000000L; waitpid(child, &status, WNOHANG) == 0;) {
		if (now_us() > end) {
			puts("stuck");
			fflush(stdout);
			return 1;
		}
		usleep(1000);
	}
	if (!s->done)
		printf("killed by signal %d\n", WTERMSIG(status));
	else
		printf("result %ld\n", s->result);
	long t0 = now_us();
	while (run(fd, 0) && now_us() - t0 < 10000000)
		usleep(500);
	if (run(fd, 0))
		puts("not back");
	else
		printf("back %ld us\n", now_us() - t0);
	sentinels(after);
	printf("core %s\n", strcmp(before[0], after[0]) ? "changed" : "unchanged");
	printf("program %s\n", s->done == 2 || own_sum() != own ? "changed" : "unchanged");
	printf("services %s\n", strcmp(before[1], after[1]) ? "changed" : "unchanged");
	return 0;
}

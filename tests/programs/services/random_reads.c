// SPDX-License-Identifier: MIT
// What random reads of 4 KiB of a disk cost: random_reads DEVICE [MiB [READS]]. Runs on Linux too.
// Each page's first word has to be its number, as random_reads_image of the tests makes it, so that
// no answer can be quick and wrong. Prints a line for each way of reading: name and reads a second.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, ROUNDS = 5, THREADS_MAX = 8 };
static uint64_t npages, nreads;
static const char *device;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what)
{
	fprintf(stderr, "random_reads: %s: %s\n", what, strerror(errno));
	exit(1);
}

struct job {
	pthread_t thread;
	int fd;
	uint64_t seed, count;
};

static void *run(void *arg)
{
	struct job *j = arg;
	uint64_t x = j->seed, *buf = aligned_alloc(PAGE, PAGE);

	memset(buf, 0, PAGE);
	for (uint64_t i = 0; i < j->count; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		uint64_t page = x % npages;

		if (pread(j->fd, buf, PAGE, (off_t)(page * PAGE)) != PAGE)
			die("read");
		if (buf[0] != page) {
			fprintf(stderr, "random_reads: page %llu holds %llx\n",
				(unsigned long long)page, (unsigned long long)buf[0]);
			exit(1);
		}
	}
	free(buf);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static void measure(const char *name, int flags, unsigned threads)
{
	struct job jobs[THREADS_MAX] = {};
	double speed[ROUNDS];

	for (int round = 0; round < ROUNDS; round++) {
		int fd = open(device, O_RDONLY | flags);

		if (fd < 0)
			die(device);
		if (ioctl(fd, BLKFLSBUF)) // nothing is read from memory
			die("BLKFLSBUF");
		double t0 = now();
		for (unsigned i = 0; i < threads; i++) {
			jobs[i] = (struct job){.fd = fd,
					       .seed = (uint64_t)round * 131 + i + 12345,
					       .count = nreads / threads};
			if (threads == 1)
				run(&jobs[i]);
			else if ((errno = pthread_create(&jobs[i].thread, NULL, run, &jobs[i])))
				die("pthread_create");
		}
		for (unsigned i = 0; threads > 1 && i < threads; i++)
			pthread_join(jobs[i].thread, NULL);
		speed[round] = (double)(nreads / threads * threads) / (now() - t0);
		close(fd);
	}
	qsort(speed, ROUNDS, sizeof(speed[0]), compare);
	printf("%s %.0f\n", name, speed[ROUNDS / 2]);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	device = argc > 1 ? argv[1] : "/dev/vda";
	npages = (argc > 2 ? strtoull(argv[2], NULL, 0) : 64) * 256;
	nreads = argc > 3 ? strtoull(argv[3], NULL, 0) : 4000;
	measure("direct_1", O_DIRECT, 1);
	measure("direct_4", O_DIRECT, 4);
	measure("cache_1", 0, 1);
	measure("cache_4", 0, 4);
	return 0;
}

// SPDX-License-Identifier: MIT
// Writes a whole block device in several ways and reads it back: through the page cache, past it
// (O_DIRECT), by several threads, as mkfs does.
//
// usage: block_check DEVICE                      what is written is read again
//        block_check DEVICE kill SERVICE SECONDS  while SERVICE is killed all the time: of each
//        page
//                                                one finds what was written, or (a RAM disk) zeroes
#define _GNU_SOURCE
#define CHECK_FATAL 1
#include "tests/programs/check.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h> // BLK...
#include <time.h>

#ifndef BLKZEROOUT // <linux/fs.h> would be our own
#define BLKZEROOUT _IO(0x12, 127)
#endif

enum { PAGE = 4096, RUN_MAX = 80, THREADS = 6 };

static const char *device;
static uint64_t npages;

// ---- contents ----

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static uint64_t word(uint64_t page, uint64_t version, unsigned at)
{
	return at ? mix(page * 0x9e3779b97f4a7c15ull + version * 512 + at) : version;
}

static void fill(void *buf, uint64_t page, uint64_t n, uint64_t version)
{
	uint64_t *to = buf;

	for (uint64_t i = 0; i < n; i++)
		for (unsigned at = 0; at < PAGE / 8; at++)
			*to++ = word(page + i, version, at);
}

static int is_zero(const void *buf, size_t len)
{
	const char *c = buf;

	return !len || (!c[0] && !memcmp(c, c + 1, len - 1));
}

// Pages that must be as fill() made them; version 0: any one version, or zeroes.
static void compare(const void *buf, uint64_t page, uint64_t n, uint64_t version)
{
	const uint64_t *is = buf;

	for (uint64_t i = 0; i < n; i++, is += PAGE / 8) {
		uint64_t wanted = version ?: is[0];

		if (!version && is_zero(is, PAGE))
			continue;
		for (unsigned at = 0; at < PAGE / 8; at++) {
			if (is[at] == word(page + i, wanted, at))
				continue;
			printf("page %llu, word %u: %llx, not %llx (version %llu)\n",
			       (unsigned long long)(page + i), at, (unsigned long long)is[at],
			       (unsigned long long)word(page + i, wanted, at),
			       (unsigned long long)wanted);
			CHECK(!"contents");
		}
	}
}

// ---- the device ----

static int device_open(int flags)
{
	int fd = open(device, O_RDWR | flags);

	CHECK(fd >= 0);
	return fd;
}

static void *pages_alloc(uint64_t n)
{
	void *buf = aligned_alloc(PAGE, n * PAGE);

	CHECK(buf);
	return buf;
}

static void write_pages(int fd, const void *buf, uint64_t page, uint64_t n)
{
	CHECK_EQ(pwrite(fd, buf, n * PAGE, (off_t)(page * PAGE)), n * PAGE);
}

static void read_pages(int fd, void *buf, uint64_t page, uint64_t n)
{
	CHECK_EQ(pread(fd, buf, n * PAGE, (off_t)(page * PAGE)), n * PAGE);
}

// Writes what is dirty and forgets it: what is read next comes from the device.
static void cache_drop(int fd)
{
	CHECK_EQ(ioctl(fd, BLKFLSBUF, 0), 0);
}

static void whole_compare(int flags, uint64_t version)
{
	int fd = device_open(flags);
	char *buf = pages_alloc(RUN_MAX);

	for (uint64_t page = 0, n; page < npages; page += n) {
		n = npages - page < RUN_MAX ? npages - page : RUN_MAX;
		read_pages(fd, buf, page, n);
		compare(buf, page, n, version);
	}
	free(buf);
	close(fd);
}

// ---- ways to write ----

// In pieces that are no multiple of anything.
static void cached_pieces(uint64_t version)
{
	enum { PIECE = 12345 };
	int fd = device_open(0);
	uint64_t bytes = npages * PAGE;
	char *all = pages_alloc(npages), piece[PIECE];

	fill(all, 0, npages, version);
	for (uint64_t at = 0, n; at < bytes; at += n) {
		n = bytes - at < PIECE ? bytes - at : PIECE;
		CHECK_EQ(pwrite(fd, all + at, n, (off_t)at), n);
	}
	CHECK_EQ(fsync(fd), 0);
	cache_drop(fd);
	for (uint64_t at = 0, n; at < bytes; at += n) {
		n = bytes - at < PIECE ? bytes - at : PIECE;
		CHECK_EQ(pread(fd, piece, n, (off_t)at), n);
		CHECK(!memcmp(piece, all + at, n));
	}
	free(all);
	close(fd);
}

// In runs of several lengths, the odd ones first.
static void direct_runs(uint64_t version)
{
	int fd = device_open(O_DIRECT);
	char *buf = pages_alloc(RUN_MAX);

	for (unsigned odd = 2; odd--;) {
		uint64_t page = 0, n;

		for (unsigned run = 0; page < npages; run++, page += n) {
			n = 1 + mix(run) % RUN_MAX;
			if (n > npages - page)
				n = npages - page;
			if (run % 2 != odd)
				continue;
			fill(buf, page, n, version);
			write_pages(fd, buf, page, n);
		}
	}
	free(buf);
	close(fd);
}

// What a program reads through the cache is what another wrote past it, and the other way round.
static void both_ways(uint64_t version)
{
	int cached = device_open(0), direct = device_open(O_DIRECT);
	char *buf = pages_alloc(8);

	for (uint64_t page = 0; page + 8 <= npages; page += 97) {
		read_pages(cached, buf, page, 8);
		fill(buf, page, 8, version);
		write_pages(direct, buf, page, 8);
		memset(buf, 0, 8 * PAGE);
		read_pages(cached, buf, page, 8);
		compare(buf, page, 8, version);
		fill(buf, page, 8, version + 1);
		write_pages(cached, buf, page, 8);
		memset(buf, 0, 8 * PAGE);
		read_pages(direct, buf, page, 8);
		compare(buf, page, 8, version + 1);
	}
	free(buf);
	close(cached);
	close(direct);
}

static void limits(void)
{
	int cached = device_open(0), direct = device_open(O_DIRECT);
	off_t end = (off_t)(npages * PAGE);
	int block = 0;
	char *buf = pages_alloc(2);

	CHECK_EQ(pread(cached, buf, PAGE, end), 0);
	CHECK_EQ(pread(cached, buf, 2 * PAGE, end - 100), 100);
	CHECK_EQ(pread(direct, buf, 2 * PAGE, end - PAGE), PAGE);
	CHECK_EQ(pread(direct, buf, PAGE, end), 0);
	CHECK_ERR(pwrite(cached, buf, 1, end), ENOSPC);
	CHECK_ERR(pwrite(direct, buf, PAGE, end), ENOSPC);
	CHECK_EQ(ioctl(direct, BLKSSZGET, &block), 0);
	CHECK(block >= 512 && block <= PAGE);
	CHECK_ERR(pread(direct, buf + block / 2, PAGE, 0), EINVAL);
	CHECK_ERR(pread(direct, buf, (size_t)block / 2, 0), EINVAL);
	CHECK_ERR(pread(direct, buf, PAGE, block / 2), EINVAL);
	CHECK_EQ(pread(direct, buf, (size_t)block, end - block), block);
	free(buf);
	close(cached);
	close(direct);
}

// A mapping shows what the device holds, after whatever way it got there.
static void mapped(uint64_t version)
{
	enum { PAGES = 4, FIRST = 3 };
	int cached = device_open(0), direct = device_open(O_DIRECT);
	char *buf = pages_alloc(PAGES), *map = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
						    MAP_SHARED, cached, FIRST * PAGE);
	uint64_t range[2] = {FIRST * PAGE, PAGES * PAGE};

	CHECK(map != MAP_FAILED);
	fill(map, FIRST, PAGES, version);
	read_pages(direct, buf, FIRST, PAGES);
	compare(buf, FIRST, PAGES, version);
	fill(buf, FIRST, PAGES, version + 1);
	write_pages(direct, buf, FIRST, PAGES);
	compare(map, FIRST, PAGES, version + 1);
	fill(map, FIRST, PAGES, version + 2);
	CHECK_EQ(ioctl(cached, BLKZEROOUT, range), 0);
	CHECK(is_zero(map, PAGES * PAGE));
	CHECK_EQ(fsync(cached), 0);
	read_pages(direct, buf, FIRST, PAGES);
	CHECK(is_zero(buf, PAGES * PAGE));
	CHECK_EQ(munmap(map, PAGES * PAGE), 0);
	free(buf);
	close(cached);
	close(direct);
}

// As mkfs: zeroes at both ends, then small pieces of a page here and there, all of it synced.
static void mkfs_like(void)
{
	enum { PIECE = 1024, GROUP = 64 };
	int fd = device_open(0);
	uint64_t range[2] = {0, 16 * PAGE};
	char *zeroes = calloc(1, 16 * PAGE), *buf = pages_alloc(GROUP), piece[PIECE];

	CHECK_EQ(ioctl(fd, BLKZEROOUT, range), 0);
	range[0] = (npages - 16) * PAGE;
	CHECK_EQ(ioctl(fd, BLKZEROOUT, range), 0);
	for (uint64_t page = 0; page + GROUP <= npages; page += GROUP) {
		write_pages(fd, zeroes, page, 16);
		memset(piece, (int)(page / GROUP) + 1, PIECE);
		CHECK_EQ(pwrite(fd, piece, PIECE, (off_t)(page * PAGE + PIECE)), PIECE);
		CHECK_EQ(pwrite(fd, piece, 7, (off_t)((page + 5) * PAGE - 3)), 7);
	}
	CHECK_EQ(fsync(fd), 0);
	cache_drop(fd);
	for (uint64_t page = 0; page + GROUP <= npages; page += GROUP) {
		memset(piece, (int)(page / GROUP) + 1, PIECE);
		read_pages(fd, buf, page, GROUP);
		CHECK(is_zero(buf, PIECE) && !memcmp(buf + PIECE, piece, PIECE));
		CHECK(is_zero(buf + 2 * PIECE, 5 * PAGE - 3 - 2 * PIECE));
		CHECK(!memcmp(buf + 5 * PAGE - 3, piece, 7));
		CHECK(is_zero(buf + 5 * PAGE + 4, 11 * PAGE - 4));
	}
	free(zeroes);
	free(buf);
	close(fd);
}

// ---- several threads ----

static atomic_int stop;
static atomic_ulong transfers;
static int tolerant; // zeroes may be read

// Each thread has a part of the device. Every second one goes past the cache; of the others all but
// the last make the cache forget everything now and then, also what it has of others' parts.
static void *worker(void *arg)
{
	uint64_t me = (uintptr_t)arg, part = npages / THREADS, first = me * part;
	int fd = device_open(me % 2 ? O_DIRECT : 0);
	char *buf = pages_alloc(RUN_MAX);

	for (uint64_t turn = 1; !stop; turn++) {
		uint64_t n = 1 + mix(turn * THREADS + me) % RUN_MAX,
			 page = first + mix(turn) % (part - n);

		fill(buf, page, n, turn);
		write_pages(fd, buf, page, n);
		if (!(me % 2) && me < THREADS - 2 && turn % 4 == 0)
			cache_drop(fd);
		memset(buf, 0xcc, n * PAGE);
		read_pages(fd, buf, page, n);
		compare(buf, page, n, tolerant ? 0 : turn);
		transfers += 2 * n;
	}
	free(buf);
	close(fd);
	return NULL;
}

static void workers_run(void (*meanwhile)(const char *service), const char *service)
{
	pthread_t threads[THREADS];

	stop = 0;
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, worker, (void *)i), 0);
	meanwhile(service);
	stop = 1;
	for (unsigned i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

static void until_moved(const char *service)
{
	(void)service;
	while (transfers < 20000)
		usleep(1000);
}

static double seconds;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// Kills the service when it is there, at moments that differ: for some seconds, and on a slow
// machine until that has been worth something.
static void kill_often(const char *service)
{
	double end = now() + seconds;
	unsigned kills = 0;
	char command[64];
	int n = snprintf(command, sizeof(command), "kill %s\n", service);

	for (unsigned i = 0; now() < end || (kills <= 10 && now() < end + 30); i++) {
		int fd = open("/proc/halyard/services", O_WRONLY);

		CHECK(fd >= 0);
		if (write(fd, command, (size_t)n) == n)
			kills++;
		else
			CHECK(errno == EBUSY); // between two lives
		close(fd);
		usleep((useconds_t)(mix(i) % 30000));
	}
	printf("kills %u, pages moved %lu\n", kills, transfers);
	CHECK(kills > 10 && transfers > 100);
}

int main(int argc, char **argv)
{
	uint64_t bytes;
	int fd;

	if (argc != 2 && (argc != 5 || strcmp(argv[2], "kill") != 0)) {
		fprintf(stderr, "usage: %s DEVICE [kill SERVICE SECONDS]\n", argv[0]);
		return 2;
	}
	device = argv[1];
	alarm(200);
	fd = device_open(0);
	CHECK_EQ(ioctl(fd, BLKGETSIZE64, &bytes), 0);
	CHECK(bytes % PAGE == 0 && bytes >= 1 << 20);
	npages = bytes / PAGE;
	close(fd);
	if (argc == 5) {
		tolerant = 1;
		seconds = atof(argv[4]);
		workers_run(kill_often, argv[3]);
		return check_done(argv[0]);
	}
	cached_pieces(1);
	whole_compare(O_DIRECT, 1);
	direct_runs(2);
	whole_compare(O_DIRECT, 2);
	whole_compare(0, 2);
	both_ways(3);
	mapped(5);
	limits();
	mkfs_like();
	workers_run(until_moved, NULL);
	return check_done(argv[0]);
}

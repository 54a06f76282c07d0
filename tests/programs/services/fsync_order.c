// SPDX-License-Identifier: MIT
// Writes numbered blocks to a disk, each followed by an fsync that succeeds before the next is
// written: fsync_order DEVICE COUNT. Whoever sees the device's side can tell from the order of
// writes and flushes whether an fsync ever returned too early.
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static uint64_t block[512];
	int fd = argc == 3 ? open(argv[1], O_RDWR) : -1;
	uint64_t count = argc == 3 ? strtoull(argv[2], NULL, 0) : 0;

	if (fd < 0) {
		fprintf(stderr, "fsync_order: DEVICE COUNT: %s\n", strerror(errno));
		return 1;
	}
	for (uint64_t i = 1; i <= count; i++) {
		for (unsigned w = 0; w < 512; w++)
			block[w] = i;
		if (pwrite(fd, block, sizeof(block), (off_t)(i * sizeof(block))) != sizeof(block) ||
		    (i % 3 ? fsync(fd) : fdatasync(fd))) {
			fprintf(stderr, "fsync_order: block %llu: %s\n", (unsigned long long)i,
				strerror(errno));
			return 1;
		}
	}
	printf("%llu blocks\n", (unsigned long long)count);
	return 0;
}

// SPDX-License-Identifier: MIT
// What O_DIRECT demands: direct_io DEVICE BLOCK. Positions, lengths and addresses that are no
// multiples of the block are refused with EINVAL, others work; a program's memory that is not there
// is EFAULT. Must pass on Linux too.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

static int failures;

static void expect(const char *what, ssize_t got, ssize_t want, int error)
{
	if (got == want && (got >= 0 || errno == error))
		return;
	printf("%s: %zd (%s), not %zd (%s)\n", what, got, got < 0 ? strerror(errno) : "-", want,
	       want < 0 ? strerror(error) : "-");
	failures++;
}

int main(int argc, char **argv)
{
	size_t block = argc == 3 ? strtoul(argv[2], NULL, 0) : 0;
	int fd = argc == 3 ? open(argv[1], O_RDONLY | O_DIRECT) : -1;
	int cached = argc == 3 ? open(argv[1], O_RDONLY) : -1;
	char *buf = aligned_alloc(4096, 1 << 16), *other = aligned_alloc(4096, 1 << 16);

	if (fd < 0 || cached < 0) {
		perror("direct_io: DEVICE BLOCK");
		return 1;
	}
	memset(buf, 1, 1 << 16);
	expect("a block", pread(fd, buf, block, (off_t)block), (ssize_t)block, 0);
	expect("the same, cached", pread(cached, other, block, (off_t)block), (ssize_t)block, 0);
	expect("the same bytes", memcmp(buf, other, block), 0, 0);
	expect("a length", pread(fd, buf, block + 100, 0), -1, EINVAL);
	expect("a position", pread(fd, buf, block, 100), -1, EINVAL);
	expect("an address", pread(fd, buf + 1, block, 0), -1, EINVAL);
	if (block > 512) {
		expect("half a block", pread(fd, buf, 512, 0), -1, EINVAL);
		expect("half a block further", pread(fd, buf, block, 512), -1, EINVAL);
	}
	expect("across pages", pread(fd, buf + 2 * block, 12 * 4096, 0), 12 * 4096, 0);
	pread(cached, other, 12 * 4096, 0);
	expect("the same bytes across pages", memcmp(buf + 2 * block, other, 12 * 4096), 0, 0);

	struct iovec v[3] = {{buf + 4096, block}, {buf + 8192, 2 * block}, {buf, block}};

	expect("a vector", preadv(fd, v, 3, 0), (ssize_t)(4 * block), 0);
	expect("its last part", memcmp(buf, other + 3 * block, block), 0, 0);

	char *hole =
		mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(hole + 4096, 4096);
	expect("memory that is not there", pread(fd, hole + 4096, 4096, 0), -1, EFAULT);
	mprotect(hole, 4096, PROT_READ);
	expect("memory that is not to be written", pread(fd, hole, 4096, 0), -1, EFAULT);
	expect("beyond the end", pread(fd, buf, block, 1ll << 50), 0, 0);
	return failures != 0;
}

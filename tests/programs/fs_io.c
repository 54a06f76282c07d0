// SPDX-License-Identifier: MIT
// Contents: read, write, positions, holes, truncation, mappings, vectors, copies, limits. Must pass
// on Linux too (on tmpfs).
#include "tests/programs/fs_check.h"
#include <sys/resource.h>

static char big[1 << 20], back[1 << 20];

static void fill(char *p, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1103515245 + 12345;
		p[i] = (char)(seed >> 16);
	}
}

static void test_basic(void)
{
	struct stat st;
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	CHECK_EQ(write(fd, "hello world", 11), 11);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 11);
	CHECK_EQ(read(fd, back, 10), 0);
	CHECK_EQ(lseek(fd, 6, SEEK_SET), 6);
	CHECK_EQ(read(fd, back, 100), 5);
	CHECK(!memcmp(back, "world", 5));
	CHECK_EQ(pread(fd, back, 5, 0), 5);
	CHECK(!memcmp(back, "hello", 5));
	CHECK_EQ(pwrite(fd, "J", 1, 0), 1);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 11);
	CHECK_EQ(lseek(fd, -3, SEEK_END), 8);
	CHECK_ERR(lseek(fd, -1, SEEK_SET), EINVAL);
	CHECK_ERR(lseek(fd, 0, 9), EINVAL);
	CHECK_ERR(pread(fd, back, 1, -1), EINVAL);
	CHECK_ERR(read(fd, (void *)8, 5), EFAULT);
	CHECK_ERR(read(99, back, 5), EBADF);
	CHECK_ERR(write(fd, (void *)8, 5), EFAULT);
	int ro = open("f", O_RDONLY), wo = open("f", O_WRONLY);
	CHECK_ERR(write(ro, "x", 1), EBADF);
	CHECK_ERR(read(wo, back, 1), EBADF);
	CHECK_ERR(pwrite(ro, "x", 1, 0), EBADF);
	CHECK_ERR(ftruncate(ro, 0), EINVAL);
	int dir = open(".", O_RDONLY);
	CHECK_ERR(read(dir, back, 1), EISDIR);
	CHECK_ERR(ftruncate(dir, 0), EINVAL);
	CHECK_ERR(truncate(".", 0), EISDIR);
	close(dir);
	close(ro);
	close(wo);
	int ap = open("f", O_WRONLY | O_APPEND);
	CHECK_EQ(pwrite(ap, "!", 1, 0), 1); // appends all the same
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_size, 12);
	CHECK_EQ(write(ap, "?", 1), 1);
	CHECK_EQ(lseek(ap, 0, SEEK_CUR), 13);
	close(ap);
	CHECK(fs_holds("f", "Jello world!?"));
	ap = open("f", O_WRONLY | O_TRUNC);
	CHECK_EQ(fstat(ap, &st), 0);
	CHECK_EQ(st.st_size, 0);
	CHECK_EQ(read(fd, back, 10), 0);
	close(ap);
	close(fd);
	CHECK_EQ(unlink("f"), 0);
}

static void test_large(void)
{
	struct stat st;
	fill(big, sizeof(big), 1);
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	size_t chunks[] = {1, 4095, 4096, 4097, 10000, 65536, 100003};
	size_t at = 0;
	for (unsigned i = 0; at < sizeof(big); i++) {
		size_t n = chunks[i % 7];
		if (n > sizeof(big) - at)
			n = sizeof(big) - at;
		CHECK_EQ(write(fd, big + at, n), n);
		at += n;
	}
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_size, sizeof(big));
	CHECK_EQ(st.st_blocks, sizeof(big) / 512);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	at = 0;
	for (unsigned i = 3; at < sizeof(big); i++) {
		ssize_t n = read(fd, back + at, chunks[i % 7]);
		CHECK(n > 0);
		at += (size_t)n;
	}
	CHECK(!memcmp(big, back, sizeof(big)));
	for (unsigned i = 0; i < 1000; i++) {
		size_t off = (i * 7919) % (sizeof(big) - 9000), n = (i * 331) % 9000;
		fill(back, n, i);
		memcpy(big + off, back, n);
		CHECK_EQ(pwrite(fd, back, n, (off_t)off), n);
	}
	CHECK_EQ(pread(fd, back, sizeof(back), 0), sizeof(back));
	CHECK(!memcmp(big, back, sizeof(big)));
	close(fd);
	CHECK_EQ(unlink("f"), 0);
}

static void test_sparse(void)
{
	struct stat st;
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	off_t far = 1ll << 40;
	CHECK_EQ(pwrite(fd, "end", 3, far), 3);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_size, far + 3);
	CHECK_EQ(st.st_blocks, 8);
	memset(back, 'x', 100);
	CHECK_EQ(pread(fd, back, 100, far / 2), 100);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(back[i], 0);
	CHECK_EQ(pread(fd, back, 100, far - 50), 53);
	CHECK(!memcmp(back + 50, "end", 3) && !back[49]);
	CHECK_EQ(pwrite(fd, "mid", 3, 1 << 20), 3);
	CHECK_EQ(lseek(fd, 0, SEEK_DATA), 1 << 20);
	CHECK_EQ(lseek(fd, 0, SEEK_HOLE), 0);
	CHECK_EQ(lseek(fd, 1 << 20, SEEK_HOLE), (1 << 20) + 4096);
	CHECK_EQ(lseek(fd, (1 << 20) + 4096, SEEK_DATA), far);
	CHECK_EQ(lseek(fd, far, SEEK_HOLE), far + 3);
	CHECK_ERR(lseek(fd, far + 3, SEEK_DATA), ENXIO);
	// Down into a page: the rest of it must be gone when the file grows again.
	CHECK_EQ(ftruncate(fd, (1 << 20) + 1), 0);
	CHECK_EQ(ftruncate(fd, (1 << 20) + 10), 0);
	CHECK_EQ(pread(fd, back, 10, 1 << 20), 10);
	CHECK(!memcmp(back, "m\0\0\0\0\0\0\0\0\0", 10));
	CHECK_EQ(ftruncate(fd, 0), 0);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_blocks, 0);
	CHECK_ERR(ftruncate(fd, -1), EINVAL);
	CHECK_EQ(truncate("f", 5000), 0);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_size, 5000);
	close(fd);
	CHECK_EQ(unlink("f"), 0);
}

static void test_fallocate(void)
{
	struct stat st;
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	CHECK_EQ(fallocate(fd, 0, 0, 100000), 0);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_size, 100000);
	CHECK(st.st_blocks >= 25 * 8);
	CHECK_EQ(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 200000), 0);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_size, 100000);
	memset(big, 'a', 100000);
	CHECK_EQ(pwrite(fd, big, 100000, 0), 100000);
	CHECK_EQ(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1000, 20000), 0);
	CHECK_EQ(pread(fd, back, 100000, 0), 100000);
	memset(big + 1000, 0, 20000);
	CHECK(!memcmp(big, back, 100000));
	CHECK_EQ(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 30001, 10), 0);
	memset(big + 30001, 0, 10);
	CHECK_EQ(pread(fd, back, 100000, 0), 100000);
	CHECK(!memcmp(big, back, 100000));
	CHECK_ERR(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10), EOPNOTSUPP);
	CHECK_ERR(fallocate(fd, 0, -1, 10), EINVAL);
	CHECK_ERR(fallocate(fd, 0, 0, 0), EINVAL);
	int p[2];
	CHECK_EQ(pipe(p), 0);
	CHECK_ERR(fallocate(p[1], 0, 0, 10), ESPIPE);
	close(p[0]);
	close(p[1]);
	CHECK_EQ(posix_fallocate(fd, 0, 300000), 0);
	close(fd);
	CHECK_EQ(unlink("f"), 0);
}

static void test_mmap(void)
{
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	fill(big, 20000, 3);
	CHECK_EQ(write(fd, big, 20000), 20000);
	char *s = mmap(NULL, 20480, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *p = mmap(NULL, 20480, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(s != MAP_FAILED && p != MAP_FAILED);
	CHECK(!memcmp(s, big, 20000) && !memcmp(p, big, 20000));
	s[5000] = 'S';
	CHECK_EQ(pread(fd, back, 1, 5000), 1);
	CHECK_EQ(back[0], 'S');
	CHECK_EQ(p[5000], 'S'); // not copied yet
	p[5001] = 'P';
	CHECK_EQ(pread(fd, back, 1, 5001), 1);
	CHECK_EQ(back[0], big[5001]);
	CHECK_EQ(pwrite(fd, "W", 1, 5002), 1);
	CHECK_EQ(s[5002], 'W');
	CHECK_EQ(s[20100], 0); // behind the end of the file, within its last page
	// write(2) from a mapping of the same file
	CHECK_EQ(pwrite(fd, s, 4096, 8192), 4096);
	CHECK(!memcmp(s + 8192, s, 4096));
	CHECK_EQ(pread(fd, s + 12288, 4096, 0), 4096);
	CHECK(!memcmp(s + 12288, s, 4096));
	CHECK_EQ(munmap(p, 20480), 0);
	CHECK_EQ(close(fd), 0);
	s[0] = 'z'; // the mapping keeps the file
	CHECK_EQ(unlink("f"), 0);
	CHECK_EQ(s[0], 'z');
	CHECK_EQ(munmap(s, 20480), 0);
	fd = open("r", O_RDONLY | O_CREAT, 0644);
	CHECK_EQ(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EACCES,
		 1);
	close(fd);
	CHECK_EQ(unlink("r"), 0);
}

static void test_vectors(void)
{
	char a[10] = "0123456789", b[5] = "abcde";
	struct iovec v[3] = {{a, 10}, {NULL, 0}, {b, 5}};
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	CHECK_EQ(writev(fd, v, 3), 15);
	CHECK_EQ(pwritev(fd, v, 1, 20), 10);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 15);
	CHECK_EQ(lseek(fd, 3, SEEK_SET), 3);
	memset(a, 0, 10);
	memset(b, 0, 5);
	CHECK_EQ(readv(fd, v, 3), 15);
	CHECK(!memcmp(a, "3456789abc", 10) && !memcmp(b, "de\0\0\0", 5));
	CHECK_EQ(preadv(fd, v, 3, 0), 15);
	CHECK(!memcmp(a, "0123456789", 10) && !memcmp(b, "abcde", 5));
	CHECK_EQ(preadv2(fd, v, 3, 0, 0), 15);
	CHECK_ERR(preadv2(fd, v, 3, 0, 0x4000), EOPNOTSUPP);
	CHECK_EQ(pwritev2(fd, v, 1, 0, RWF_APPEND), 10);
	CHECK_EQ(lseek(fd, 0, SEEK_END), 40);
	CHECK_ERR(readv(fd, v, -1), EINVAL);
	CHECK_ERR(readv(fd, v, 1025), EINVAL);
	CHECK_ERR(readv(fd, (struct iovec *)8, 1), EFAULT);
	CHECK_EQ(readv(fd, v, 0), 0);
	struct iovec many[100];
	for (int i = 0; i < 100; i++)
		many[i] = (struct iovec){big + i * 100, 50};
	fill(big, 10000, 9);
	CHECK_EQ(pwritev(fd, many, 100, 0), 5000);
	for (int i = 0; i < 100; i++)
		many[i].iov_base = back + i * 100;
	CHECK_EQ(preadv(fd, many, 100, 0), 5000);
	for (int i = 0; i < 100; i++)
		CHECK(!memcmp(big + i * 100, back + i * 100, 50));
	close(fd);
	CHECK_EQ(unlink("f"), 0);
}

// Part of a buffer is not mapped: what could be moved counts.
static void test_faults(void)
{
	char *m = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK_EQ(munmap(m + 8192, 4096), 0);
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	memset(m, 'q', 8192);
	ssize_t n = write(fd, m, 12288);
	CHECK(n > 0 && n <= 8192);
	CHECK_EQ(pwrite(fd, m + 4096, 4096, 4096), 4096);
	CHECK_EQ(ftruncate(fd, 20000), 0);
	n = pread(fd, m, 12288, 0);
	CHECK_EQ(n, 8192);
	CHECK_ERR(pread(fd, m + 8192, 10, 0), EFAULT);
	close(fd);
	munmap(m, 8192);
	CHECK_EQ(unlink("f"), 0);
}

static void test_copies(void)
{
	fill(big, 300000, 5);
	int a = open("a", O_RDWR | O_CREAT, 0644), b = open("b", O_RDWR | O_CREAT, 0644);
	CHECK_EQ(write(a, big, 300000), 300000);
	off_t off = 100;
	CHECK_EQ(sendfile(b, a, &off, 250000), 250000);
	CHECK_EQ(off, 250100);
	CHECK_EQ(lseek(b, 0, SEEK_CUR), 250000);
	CHECK_EQ(sendfile(b, a, &off, 1000000), 49900);
	CHECK_EQ(sendfile(b, a, &off, 1000000), 0);
	CHECK_EQ(pread(b, back, 300000, 0), 299900);
	CHECK(!memcmp(back, big + 100, 299900));
	loff_t in = 0, out = 0;
	CHECK_EQ(copy_file_range(a, &in, b, &out, 5000, 0), 5000);
	CHECK_EQ(in, 5000);
	CHECK_EQ(out, 5000);
	CHECK_EQ(pread(b, back, 5000, 0), 5000);
	CHECK(!memcmp(back, big, 5000));
	CHECK_ERR(copy_file_range(a, &in, b, &out, 5000, 1), EINVAL);
	in = out = 0;
	CHECK_ERR(copy_file_range(a, &in, a, &out, 5000, 0), EINVAL);
	int p[2];
	CHECK_EQ(pipe(p), 0);
	off = 0;
	CHECK_EQ(sendfile(p[1], a, &off, 1000), 1000);
	CHECK_EQ(read(p[0], back, 2000), 1000);
	CHECK(!memcmp(back, big, 1000));
	CHECK_ERR(sendfile(b, p[0], NULL, 10), EINVAL);
	close(p[0]);
	close(p[1]);
	close(a);
	close(b);
	CHECK_EQ(unlink("a"), 0);
	CHECK_EQ(unlink("b"), 0);
}

static void test_limits(void)
{
	pid_t pid = fork();
	if (!pid) {
		struct rlimit rl = {10000, 10000};
		signal(SIGXFSZ, SIG_IGN);
		CHECK_EQ(setrlimit(RLIMIT_FSIZE, &rl), 0);
		int fd = open("f", O_RDWR | O_CREAT, 0644);
		CHECK_EQ(write(fd, big, 9000), 9000);
		CHECK_EQ(write(fd, big, 9000), 1000);
		CHECK_ERR(write(fd, big, 9000), EFBIG);
		CHECK_ERR(ftruncate(fd, 20000), EFBIG);
		CHECK_EQ(ftruncate(fd, 5000), 0);
		_exit(check_failures != 0);
	}
	fs_wait(pid);
	CHECK_EQ(unlink("f"), 0);
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	CHECK_EQ(lseek(fd, INT64_MAX, SEEK_SET), INT64_MAX);
	CHECK_ERR(write(fd, "xx", 2), EINVAL);
	CHECK_ERR(lseek(fd, 1, SEEK_CUR), EINVAL);
	close(fd);
	CHECK_EQ(unlink("f"), 0);
}

static void test_exec_busy(void)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	if (fd < 0)
		return;
	int out = open("prog", O_WRONLY | O_CREAT, 0755);
	ssize_t n;
	while ((n = read(fd, back, sizeof(back))) > 0)
		CHECK_EQ(write(out, back, (size_t)n), n);
	close(fd);
	char *args[] = {"./prog", "child", NULL};
	pid_t p = fork();
	if (!p) {
		execv("./prog", args); // still open for writing
		_exit(errno == ETXTBSY ? 0 : 1);
	}
	fs_wait(p);
	close(out);
	int go[2];
	CHECK_EQ(pipe(go), 0);
	p = fork();
	if (!p) {
		dup2(go[0], 0);
		close(go[1]);
		execv("./prog", args);
		_exit(1);
	}
	close(go[0]);
	usleep(300000);
	CHECK_ERR(open("prog", O_WRONLY), ETXTBSY);
	CHECK_ERR(truncate("prog", 0), ETXTBSY);
	close(go[1]);
	fs_wait(p);
	out = open("prog", O_WRONLY);
	CHECK(out >= 0);
	close(out);
	CHECK_EQ(unlink("prog"), 0);
}

static void test_memfd(void)
{
	struct stat st;
	int fd = memfd_create("test", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(write(fd, "data", 4), 4);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_nlink, 0);
	CHECK(S_ISREG(st.st_mode));
	char *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(m != MAP_FAILED && !memcmp(m, "data", 4));
	CHECK_ERR(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
	CHECK_EQ(munmap(m, 4096), 0);
	CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW);
	CHECK_ERR(ftruncate(fd, 0), EPERM);
	CHECK_ERR(ftruncate(fd, 100), EPERM);
	CHECK_ERR(pwrite(fd, "x", 1, 4), EPERM);
	CHECK_EQ(pwrite(fd, "x", 1, 3), 1);
	CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	CHECK_ERR(pwrite(fd, "x", 1, 3), EPERM);
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED &&
	      errno == EPERM);
	CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL), 0);
	CHECK_ERR(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
	close(fd);
	fd = memfd_create("plain", 0);
	CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL);
	close(fd);
	CHECK_ERR(memfd_create("x", 0x4000), EINVAL);
}

static void test_devices(void)
{
	int fd = open("/dev/zero", O_RDWR);
	CHECK(fd >= 0);
	memset(back, 1, 100000);
	CHECK_EQ(read(fd, back, 100000), 100000);
	for (int i = 0; i < 100000; i++)
		if (back[i]) {
			CHECK(!back[i]);
			break;
		}
	CHECK_EQ(write(fd, back, 1000), 1000);
	char *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(m != MAP_FAILED && !m[5000]);
	m[5000] = 1;
	munmap(m, 8192);
	close(fd);
	fd = open("/dev/null", O_RDWR);
	CHECK_EQ(read(fd, back, 10), 0);
	CHECK_EQ(write(fd, back, 10), 10);
	CHECK_EQ(lseek(fd, 100, SEEK_SET), 0);
	CHECK_ERR(ioctl(fd, 0x5401, back), ENOTTY);
	close(fd);
	fd = open("/dev/full", O_RDWR);
	CHECK_ERR(write(fd, back, 10), ENOSPC);
	CHECK_EQ(read(fd, back, 10), 10);
	close(fd);
	fd = open("/dev/urandom", O_RDONLY);
	CHECK_EQ(read(fd, back, 1000), 1000);
	CHECK_EQ(read(fd, back + 1000, 1000), 1000);
	CHECK(memcmp(back, back + 1000, 1000));
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "child")) {
		char c;
		return read(0, &c, 1) != 0; // until the parent lets go
	}
	fs_begin(argc, argv);
	test_basic();
	test_large();
	test_sparse();
	test_fallocate();
	test_mmap();
	test_vectors();
	test_faults();
	test_copies();
	test_limits();
	test_exec_busy();
	test_memfd();
	test_devices();
	return fs_end();
}

// SPDX-License-Identifier: MIT
// Pipes and FIFOs: order, atomicity, ends, sizes, splicing. Must pass on Linux too.
#include "tests/programs/fs_check.h"
#include <poll.h>

static char big[1 << 20], back[1 << 20];
static volatile int got_sigpipe;

static void on_sigpipe(int sig)
{
	(void)sig;
	got_sigpipe++;
}

static int ready(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	return poll(&p, 1, 0) > 0 ? p.revents : 0;
}

static void test_ends(void)
{
	int p[2], n;
	struct stat st;
	CHECK_EQ(pipe(p), 0);
	CHECK_EQ(fstat(p[0], &st), 0);
	CHECK(S_ISFIFO(st.st_mode));
	CHECK_EQ(write(p[1], "abc", 3), 3);
	CHECK_EQ(write(p[1], "def", 3), 3);
	CHECK_EQ(ioctl(p[0], FIONREAD, &n), 0);
	CHECK_EQ(n, 6);
	CHECK_EQ(read(p[0], back, 4), 4);
	CHECK_EQ(read(p[0], back + 4, 4), 2);
	CHECK(!memcmp(back, "abcdef", 6));
	CHECK_ERR(read(p[1], back, 1), EBADF);
	CHECK_ERR(write(p[0], back, 1), EBADF);
	CHECK_ERR(lseek(p[0], 0, SEEK_CUR), ESPIPE);
	CHECK_ERR(pread(p[0], back, 1, 0), ESPIPE);
	CHECK_EQ(ready(p[0], POLLIN), 0);
	CHECK_EQ(ready(p[1], POLLOUT), POLLOUT);
	CHECK_EQ(write(p[1], "", 0), 0);
	CHECK_EQ(read(p[0], back, 0), 0);
	CHECK_EQ(write(p[1], "last", 4), 4);
	close(p[1]);
	CHECK_EQ(ready(p[0], POLLIN), POLLIN | POLLHUP);
	CHECK_EQ(read(p[0], back, 10), 4);
	CHECK_EQ(read(p[0], back, 10), 0);
	CHECK_EQ(ready(p[0], POLLIN), POLLHUP);
	close(p[0]);

	CHECK_EQ(pipe(p), 0);
	close(p[0]);
	signal(SIGPIPE, on_sigpipe);
	CHECK_ERR(write(p[1], "x", 1), EPIPE);
	CHECK_EQ(got_sigpipe, 1);
	CHECK_EQ(ready(p[1], POLLOUT) & POLLERR, POLLERR);
	signal(SIGPIPE, SIG_IGN);
	close(p[1]);
	CHECK_ERR(pipe2(p, 0x8), EINVAL);
	CHECK_ERR(syscall(SYS_pipe2, (int *)8, 0), EFAULT);
}

static void test_nonblock(void)
{
	int p[2];
	CHECK_EQ(pipe2(p, O_NONBLOCK | O_CLOEXEC), 0);
	CHECK_EQ(fcntl(p[0], F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(p[0], F_GETFL), O_RDONLY | O_NONBLOCK);
	CHECK_EQ(fcntl(p[1], F_GETFL), O_WRONLY | O_NONBLOCK);
	CHECK_ERR(read(p[0], back, 1), EAGAIN);
	CHECK_EQ(fcntl(p[1], F_GETPIPE_SZ), 65536);
	CHECK_EQ(write(p[1], big, 100000), 65536);
	CHECK_ERR(write(p[1], big, 1), EAGAIN);
	CHECK_EQ(ready(p[1], POLLOUT), 0);
	CHECK_EQ(read(p[0], back, 4096), 4096);
	CHECK_EQ(ready(p[1], POLLOUT), POLLOUT);
	CHECK_EQ(write(p[1], big, 4096), 4096);
	CHECK_ERR(write(p[1], big, 4096), EAGAIN);
	CHECK_ERR(fcntl(p[1], F_SETPIPE_SZ, 4096), EBUSY);
	CHECK_EQ(fcntl(p[1], F_SETPIPE_SZ, 100000), 131072);
	CHECK_EQ(write(p[1], big, 100000), 65536);
	CHECK_EQ(read(p[0], back, sizeof(back)), 131072);
	CHECK_EQ(fcntl(p[1], F_SETPIPE_SZ, 1), 4096);
	CHECK_EQ(write(p[1], big, 100000), 4096);
	int fd = open("/dev/null", O_RDWR);
	CHECK_ERR(fcntl(fd, F_GETPIPE_SZ), EBADF);
	close(fd);
	int flags = fcntl(p[0], F_GETFL);
	CHECK_EQ(fcntl(p[0], F_SETFL, flags & ~O_NONBLOCK), 0);
	CHECK_EQ(fcntl(p[0], F_GETFL), O_RDONLY);
	int one = 1;
	CHECK_EQ(ioctl(p[0], FIONBIO, &one), 0);
	CHECK_EQ(fcntl(p[0], F_GETFL), O_RDONLY | O_NONBLOCK);
	close(p[0]);
	close(p[1]);
}

// Several writers of records up to PIPE_BUF: none may be torn.
static void test_atomic(void)
{
	enum { WRITERS = 4, RECORDS = 400 };
	int p[2];
	CHECK_EQ(pipe(p), 0);
	for (int w = 0; w < WRITERS; w++) {
		if (fork())
			continue;
		char rec[4096];
		for (int i = 0; i < RECORDS; i++) {
			uint16_t len = (uint16_t)(4 + (i * 997 + w * 131) % 4093);
			memset(rec, 'a' + w, sizeof(rec));
			memcpy(rec, &len, 2);
			rec[2] = (char)w;
			if (write(p[1], rec, len) != len)
				_exit(1);
		}
		_exit(0);
	}
	close(p[1]);
	size_t have = 0;
	int records = 0, torn = 0;
	for (;;) {
		ssize_t n = read(p[0], back + have,
				 sizeof(back) - have > 5000 ? 5000 : sizeof(back) - have);
		if (n <= 0)
			break;
		have += (size_t)n;
		for (;;) {
			uint16_t len;
			memcpy(&len, back, 2);
			if (have < 4 || have < len)
				break;
			for (int i = 3; i < len; i++)
				torn |= back[i] != 'a' + back[2];
			records++;
			have -= len;
			memmove(back, back + len, have);
		}
	}
	CHECK_EQ(have, 0);
	CHECK_EQ(torn, 0);
	CHECK_EQ(records, WRITERS * RECORDS);
	for (int w = 0; w < WRITERS; w++) {
		int st;
		CHECK(wait(&st) > 0 && st == 0);
	}
	close(p[0]);
}

static void test_bulk(void)
{
	int p[2];
	CHECK_EQ(pipe(p), 0);
	enum { TOTAL = 20 << 20 };
	pid_t kid = fork();
	if (!kid) {
		close(p[0]);
		unsigned x = 1;
		for (size_t at = 0; at < TOTAL;) {
			size_t n = (x = x * 1103515245 + 12345) % 200000 + 1;
			if (n > TOTAL - at)
				n = TOTAL - at;
			for (size_t i = 0; i < n; i++)
				big[i] = (char)((at + i) * 31 >> 3);
			if (write(p[1], big, n) != (ssize_t)n)
				_exit(1);
			at += n;
		}
		_exit(0);
	}
	close(p[1]);
	size_t at = 0;
	int bad = 0;
	ssize_t n;
	unsigned x = 7;
	while ((n = read(p[0], back, (x = x * 1103515245 + 12345) % 100000 + 1)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			bad |= back[i] != (char)((at + (size_t)i) * 31 >> 3);
		at += (size_t)n;
	}
	CHECK_EQ(at, TOTAL);
	CHECK_EQ(bad, 0);
	fs_wait(kid);
	close(p[0]);
}

static void test_pingpong(void)
{
	int a[2], b[2];
	char c = 0;
	CHECK_EQ(pipe(a), 0);
	CHECK_EQ(pipe(b), 0);
	pid_t kid = fork();
	if (!kid) {
		while (read(a[0], &c, 1) == 1 && c != 'q')
			if (write(b[1], &c, 1) != 1)
				_exit(1);
		_exit(0);
	}
	for (int i = 0; i < 2000; i++) {
		char x = (char)('A' + i % 20), y = 0;
		if (write(a[1], &x, 1) != 1 || read(b[0], &y, 1) != 1 || x != y) {
			CHECK_EQ(x, y);
			break;
		}
	}
	CHECK_EQ(write(a[1], "q", 1), 1);
	fs_wait(kid);
	close(a[0]), close(a[1]), close(b[0]), close(b[1]);
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void test_interrupted(void)
{
	int p[2];
	struct sigaction sa = {.sa_handler = on_alarm};
	CHECK_EQ(pipe(p), 0);
	sigaction(SIGALRM, &sa, NULL);
	struct itimerval it = {.it_value = {0, 50000}};
	setitimer(ITIMER_REAL, &it, NULL);
	CHECK_ERR(read(p[0], back, 1), EINTR);
	CHECK_EQ(fcntl(p[1], F_SETPIPE_SZ, 4096), 4096);
	setitimer(ITIMER_REAL, &it, NULL);
	CHECK_EQ(write(p[1], big, 8192), 4096); // what was done before the signal counts
	signal(SIGALRM, SIG_DFL);
	close(p[0]);
	close(p[1]);
}

static void test_fifo(void)
{
	struct stat st;
	CHECK_EQ(mkfifo("ff", 0600), 0);
	CHECK_EQ(stat("ff", &st), 0);
	CHECK(S_ISFIFO(st.st_mode));
	CHECK_ERR(open("ff", O_WRONLY | O_NONBLOCK), ENXIO);
	int r = open("ff", O_RDONLY | O_NONBLOCK);
	CHECK(r >= 0);
	CHECK_EQ(read(r, back, 1), 0);
	CHECK_EQ(ready(r, POLLIN), 0); // no writer yet is not a hang-up
	int w = open("ff", O_WRONLY | O_NONBLOCK);
	CHECK(w >= 0);
	CHECK_ERR(read(r, back, 1), EAGAIN);
	CHECK_EQ(write(w, "x", 1), 1);
	CHECK_EQ(read(r, back, 10), 1);
	close(w);
	CHECK_EQ(ready(r, POLLIN), POLLHUP);
	CHECK_EQ(read(r, back, 1), 0);
	close(r);
	pid_t kid = fork();
	if (!kid) {
		int fd = open("ff", O_WRONLY); // waits for the reader
		_exit(fd < 0 || write(fd, "from child", 10) != 10);
	}
	usleep(50000);
	r = open("ff", O_RDONLY);
	CHECK_EQ(read(r, back, 100), 10);
	CHECK_EQ(read(r, back, 100), 0);
	fs_wait(kid);
	close(r);
	kid = fork();
	if (!kid) {
		int fd = open("ff", O_RDONLY); // waits for the writer
		_exit(fd < 0 || read(fd, back, 10) != 4);
	}
	usleep(50000);
	w = open("ff", O_WRONLY);
	CHECK_EQ(write(w, "four", 4), 4);
	fs_wait(kid);
	close(w);
	r = open("ff", O_RDWR);
	CHECK_EQ(write(r, "self", 4), 4);
	CHECK_EQ(read(r, back, 10), 4);
	close(r);
	CHECK_EQ(unlink("ff"), 0);
}

// A pipe has names in /proc/PID/fd, as shells use them. Nobody waits there for the other end.
static void test_reopened(void)
{
	char name[32];
	int p[2], again;

	CHECK_EQ(pipe(p), 0);
	CHECK_EQ(write(p[1], "ab", 2), 2);
	close(p[1]);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", p[0]);
	struct sigaction sa = {.sa_handler = on_alarm}; // without SA_RESTART
	sigaction(SIGALRM, &sa, NULL);
	alarm(5);
	CHECK((again = open(name, O_RDONLY)) >= 0);
	CHECK_EQ(read(again, back, 1), 1);
	CHECK_EQ(read(p[0], back + 1, 1), 1);
	CHECK(!memcmp(back, "ab", 2));
	CHECK_EQ(read(again, back, 1), 0);
	CHECK_EQ(ready(again, POLLIN), POLLHUP);
	close(again);
	CHECK((again = open(name, O_WRONLY | O_NONBLOCK)) >= 0);
	CHECK_EQ(ready(p[0], POLLIN), 0);
	CHECK_EQ(write(again, "c", 1), 1);
	CHECK_EQ(read(p[0], back, 1), 1);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", again);
	close(p[0]);
	CHECK((p[1] = open(name, O_WRONLY)) >= 0); // without a reader
	CHECK_EQ(ready(again, POLLOUT) & POLLERR, POLLERR);
	alarm(0);
	close(p[1]);
	close(again);
}

static void test_splice(void)
{
	int p[2], q[2];
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7 >> 2);
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	CHECK_EQ(write(fd, big, 100000), 100000);
	CHECK_EQ(pipe(p), 0);
	CHECK_EQ(pipe(q), 0);
	loff_t off = 10;
	CHECK_EQ(splice(fd, &off, p[1], NULL, 20000, 0), 20000);
	CHECK_EQ(off, 20010);
	CHECK_EQ(tee(p[0], q[1], 5000, 0), 5000);
	CHECK_EQ(read(q[0], back, 10000), 5000);
	CHECK(!memcmp(back, big + 10, 5000));
	CHECK_EQ(splice(p[0], NULL, q[1], NULL, 1000, 0), 1000);
	CHECK_EQ(read(q[0], back, 10000), 1000);
	CHECK(!memcmp(back, big + 10, 1000));
	int out = open("g", O_RDWR | O_CREAT, 0644);
	CHECK_EQ(splice(p[0], NULL, out, NULL, 100000, 0), 19000);
	CHECK_EQ(lseek(out, 0, SEEK_CUR), 19000);
	CHECK_EQ(pread(out, back, 20000, 0), 19000);
	CHECK(!memcmp(back, big + 1010, 19000));
	CHECK_ERR(splice(p[0], NULL, out, NULL, 10, SPLICE_F_NONBLOCK), EAGAIN);
	CHECK_ERR(splice(fd, NULL, out, NULL, 10, 0), EINVAL);
	CHECK_ERR(splice(p[0], &off, out, NULL, 10, 0), ESPIPE);
	struct iovec v = {big, 3000};
	CHECK_EQ(vmsplice(p[1], &v, 1, 0), 3000);
	CHECK_EQ(read(p[0], back, 10000), 3000);
	CHECK(!memcmp(back, big, 3000));
	close(p[1]);
	CHECK_EQ(splice(p[0], NULL, out, NULL, 10, 0), 0);
	close(p[0]), close(q[0]), close(q[1]), close(fd), close(out);
	CHECK_EQ(unlink("f"), 0);
	CHECK_EQ(unlink("g"), 0);
}

int main(int argc, char **argv)
{
	fs_begin(argc, argv);
	test_ends();
	test_nonblock();
	test_atomic();
	test_bulk();
	test_pingpong();
	test_interrupted();
	test_fifo();
	test_reopened();
	test_splice();
	return fs_end();
}

// SPDX-License-Identifier: MIT
// Descriptors: duplicates, flags, close-on-exec, locks, limits, threads that share a table. Must
// pass on Linux too.
#include "tests/programs/fs_check.h"
#include <sys/resource.h>

#ifndef F_OFD_SETLK
#define F_OFD_GETLK  36
#define F_OFD_SETLK  37
#define F_OFD_SETLKW 38
#endif

static void test_dup(void)
{
	char c;
	fs_put("f", "0123456789");
	int a = open("f", O_RDONLY), b = dup(a);
	CHECK(b > a);
	CHECK_EQ(read(a, &c, 1), 1);
	CHECK_EQ(read(b, &c, 1), 1);
	CHECK_EQ(c, '1'); // one position
	CHECK_EQ(dup2(a, 100), 100);
	CHECK_EQ(dup2(a, a), a);
	CHECK_ERR(dup2(99, 98), EBADF);
	CHECK_ERR(dup2(a, -1), EBADF);
	CHECK_ERR(dup3(a, a, 0), EINVAL);
	CHECK_EQ(dup3(a, 101, O_CLOEXEC), 101);
	CHECK_EQ(fcntl(101, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(100, F_GETFD), 0);
	CHECK_EQ(fcntl(a, F_DUPFD, 150), 150);
	CHECK_EQ(fcntl(a, F_DUPFD_CLOEXEC, 150), 151);
	CHECK_EQ(fcntl(151, F_GETFD), FD_CLOEXEC);
	CHECK_ERR(fcntl(a, F_DUPFD, 100000000), EINVAL);
	CHECK_EQ(close(100), 0);
	CHECK_ERR(close(100), EBADF);
	CHECK_ERR(close(-1), EBADF);
	CHECK_EQ(fcntl(a, F_SETFD, FD_CLOEXEC), 0);
	CHECK_EQ(fcntl(a, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(ioctl(a, FIONCLEX), 0);
	CHECK_EQ(fcntl(a, F_GETFD), 0);
	CHECK_ERR(fcntl(99, F_GETFD), EBADF);
	CHECK_EQ(syscall(SYS_close_range, 101, 150, 0), 0);
	CHECK_ERR(fcntl(150, F_GETFD), EBADF);
	CHECK_EQ(fcntl(151, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(syscall(SYS_close_range, (unsigned)a, 200, 4), 0); // CLOSE_RANGE_CLOEXEC
	CHECK_EQ(fcntl(b, F_GETFD), FD_CLOEXEC);
	CHECK_ERR(syscall(SYS_close_range, 10, 5, 0), EINVAL);
	close(a), close(b), close(151);
	CHECK_EQ(unlink("f"), 0);
}

static void test_many(void)
{
	struct rlimit rl;
	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &rl), 0);
	rlim_t old = rl.rlim_cur;
	rl.rlim_cur = 1000;
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &rl), 0);
	int n = 0, last = -1, fd;
	while ((fd = open("/dev/null", O_RDONLY)) >= 0) {
		CHECK(fd > last);
		last = fd;
		n++;
	}
	int why = errno;
	CHECK_EQ(why, EMFILE);
	CHECK_EQ(last, 999);
	CHECK_ERR(dup2(0, 1000), EBADF);
	CHECK_ERR(open("must_not_exist", O_CREAT | O_RDWR, 0644), EMFILE);
	CHECK_ERR(access("must_not_exist", F_OK), ENOENT);
	close(500);
	close(77);
	CHECK_EQ(open("/dev/null", O_RDONLY), 77);
	CHECK_EQ(open("/dev/null", O_RDONLY), 500);
	pid_t p = fork();
	if (!p) {
		for (int i = last; i > last - n; i--)
			if (fcntl(i, F_GETFD) < 0)
				_exit(1);
		_exit(0);
	}
	fs_wait(p);
	for (int i = last; i > last - n; i--)
		CHECK_EQ(close(i), 0);
	rl.rlim_cur = old;
	setrlimit(RLIMIT_NOFILE, &rl);
}

static void test_flags(void)
{
	const int known = O_ACCMODE | O_APPEND | O_NONBLOCK | O_ASYNC | O_NOATIME | O_PATH;
	int fd = open("f", O_RDWR | O_CREAT | O_APPEND | O_TRUNC, 0644);
	CHECK_EQ(fcntl(fd, F_GETFL) & known, O_RDWR | O_APPEND);
	CHECK_EQ(fcntl(fd, F_SETFL, O_NONBLOCK | O_RDONLY), 0); // the access mode stays
	CHECK_EQ(fcntl(fd, F_GETFL) & known, O_RDWR | O_NONBLOCK);
	CHECK_ERR(fcntl(fd, 12345), EINVAL);
	CHECK_EQ(fcntl(fd, F_SETOWN, getpid()), 0);
	CHECK_EQ(fcntl(fd, F_GETOWN), getpid());
	int n = 7;
	CHECK_EQ(write(fd, "abc", 3), 3);
	CHECK_EQ(lseek(fd, 1, SEEK_SET), 1);
	CHECK_EQ(ioctl(fd, FIONREAD, &n), 0);
	CHECK_EQ(n, 2);
	close(fd);
	int path = open("f", O_PATH);
	CHECK_EQ(fcntl(path, F_GETFL) & O_PATH, O_PATH);
	CHECK_ERR(fcntl(path, F_SETFL, 0), EBADF);
	CHECK_ERR(ioctl(path, FIONREAD, &n), EBADF);
	CHECK_ERR(fchmod(path, 0), EBADF);
	close(path);
	CHECK_EQ(unlink("f"), 0);
}

static struct flock fl(int type, off_t start, off_t len)
{
	return (struct flock){
		.l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
}

// What another process finds in the way of a write lock on [start, start + len); *type F_UNLCK:
// nothing.
static struct flock probe(int fd, off_t start, off_t len)
{
	int p[2];
	struct flock f = fl(F_WRLCK, start, len);
	if (pipe(p))
		return f;
	pid_t kid = fork();
	if (!kid) {
		fcntl(fd, F_GETLK, &f);
		_exit(write(p[1], &f, sizeof(f)) != sizeof(f));
	}
	fs_wait(kid);
	CHECK_EQ(read(p[0], &f, sizeof(f)), sizeof(f));
	close(p[0]), close(p[1]);
	return f;
}

static void test_posix_locks(void)
{
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	struct flock f = fl(F_WRLCK, 100, 100), g;
	CHECK_EQ(fcntl(fd, F_SETLK, &f), 0);
	g = probe(fd, 0, 0);
	CHECK_EQ(g.l_type, F_WRLCK);
	CHECK_EQ(g.l_start, 100);
	CHECK_EQ(g.l_len, 100);
	CHECK_EQ(g.l_pid, getpid());
	CHECK_EQ(probe(fd, 200, 0).l_type, F_UNLCK);
	f = fl(F_UNLCK, 140, 20); // cut in two
	CHECK_EQ(fcntl(fd, F_SETLK, &f), 0);
	g = probe(fd, 120, 100);
	CHECK_EQ(g.l_start, 100);
	CHECK_EQ(g.l_len, 40);
	CHECK_EQ(probe(fd, 140, 20).l_type, F_UNLCK);
	CHECK_EQ(probe(fd, 145, 100).l_start, 160);
	f = fl(F_WRLCK, 140, 20); // and joined again
	CHECK_EQ(fcntl(fd, F_SETLK, &f), 0);
	CHECK_EQ(probe(fd, 0, 0).l_len, 100);
	f = fl(F_RDLCK, 150, 0);
	CHECK_EQ(fcntl(fd, F_SETLK, &f), 0);
	g = probe(fd, 160, 0);
	CHECK_EQ(g.l_type, F_RDLCK);
	CHECK_EQ(g.l_start, 150);
	CHECK_EQ(g.l_len, 0);
	pid_t kid = fork();
	if (!kid) {
		f = fl(F_WRLCK, 0, 10);
		CHECK_EQ(fcntl(fd, F_SETLK, &f), 0);
		f = fl(F_RDLCK, 200, 10);
		CHECK_EQ(fcntl(fd, F_SETLK, &f), 0); // readers share
		f = fl(F_WRLCK, 120, 1);
		CHECK_ERR(fcntl(fd, F_SETLK, &f), EAGAIN);
		CHECK_EQ(fcntl(fd, F_SETLKW, &f), 0); // until the parent lets go
		_exit(check_failures != 0);
	}
	usleep(100000);
	int other = open("f", O_RDONLY);
	close(other); // closing any descriptor of the file drops the process's locks
	fs_wait(kid);
	CHECK_EQ(probe(fd, 0, 0).l_type, F_UNLCK);
	int ro = open("f", O_RDONLY);
	f = fl(F_WRLCK, 0, 0);
	CHECK_ERR(fcntl(ro, F_SETLK, &f), EBADF);
	f.l_type = 9;
	CHECK_ERR(fcntl(fd, F_SETLK, &f), EINVAL);
	close(ro);

	// Two processes that wait for each other.
	int up[2], down[2];
	char c = 0;
	CHECK_EQ(pipe(up), 0);
	CHECK_EQ(pipe(down), 0);
	f = fl(F_WRLCK, 0, 1);
	CHECK_EQ(fcntl(fd, F_SETLK, &f), 0);
	kid = fork();
	if (!kid) {
		f = fl(F_WRLCK, 1, 1);
		CHECK_EQ(fcntl(fd, F_SETLK, &f), 0);
		CHECK_EQ(write(up[1], "x", 1), 1);
		f = fl(F_WRLCK, 0, 1);
		CHECK_EQ(fcntl(fd, F_SETLKW, &f), 0);
		_exit(check_failures != 0);
	}
	CHECK_EQ(read(up[0], &c, 1), 1);
	usleep(100000);
	f = fl(F_WRLCK, 1, 1);
	CHECK_ERR(fcntl(fd, F_SETLKW, &f), EDEADLK);
	f = fl(F_UNLCK, 0, 0);
	CHECK_EQ(fcntl(fd, F_SETLK, &f), 0);
	fs_wait(kid);
	close(up[0]), close(up[1]), close(down[0]), close(down[1]);
	close(fd);
	CHECK_EQ(unlink("f"), 0);
}

static void test_other_locks(void)
{
	int a = open("f", O_RDWR | O_CREAT, 0644), b = open("f", O_RDWR);
	struct flock f = fl(F_WRLCK, 0, 10);
	CHECK_EQ(fcntl(a, F_OFD_SETLK, &f), 0);
	CHECK_ERR(fcntl(b, F_OFD_SETLK, &f), EAGAIN);
	f = fl(F_WRLCK, 5, 10);
	CHECK_EQ(fcntl(b, F_OFD_GETLK, &f), 0);
	CHECK_EQ(f.l_type, F_WRLCK);
	CHECK_EQ(f.l_pid, -1);
	CHECK_EQ(f.l_start, 0);
	int a2 = dup(a);
	close(a);
	f = fl(F_WRLCK, 0, 10);
	CHECK_ERR(fcntl(b, F_OFD_SETLK, &f), EAGAIN); // a2 is the same open file
	close(a2);
	CHECK_EQ(fcntl(b, F_OFD_SETLK, &f), 0);
	f.l_pid = 1;
	CHECK_ERR(fcntl(b, F_OFD_SETLK, &f), EINVAL);

	a = open("f", O_RDONLY);
	CHECK_EQ(flock(a, LOCK_SH), 0);
	CHECK_EQ(flock(b, LOCK_SH | LOCK_NB), 0);
	CHECK_ERR(flock(b, LOCK_EX | LOCK_NB), EAGAIN);
	CHECK_EQ(flock(a, LOCK_UN), 0);
	CHECK_EQ(flock(b, LOCK_EX | LOCK_NB), 0);
	CHECK_ERR(flock(a, LOCK_SH | LOCK_NB), EAGAIN);
	CHECK_ERR(flock(a, 77), EINVAL);
	pid_t kid = fork();
	if (!kid) {
		int c = open("f", O_RDONLY);
		CHECK_EQ(flock(c, LOCK_EX), 0); // waits for b's end
		_exit(check_failures != 0);
	}
	usleep(50000);
	CHECK_EQ(flock(b, LOCK_UN), 0);
	fs_wait(kid);
	close(a), close(b);
	CHECK_EQ(unlink("f"), 0);
}

// Threads open, duplicate, close and use the same few descriptors: errors are fine, crashes and
// strays are not.
static volatile int stop;

static void *churn(void *arg)
{
	unsigned x = (unsigned)(uintptr_t)arg * 7919 + 1;
	char buf[16];
	while (!stop) {
		x = x * 1103515245 + 12345;
		int fd = 200 + (int)(x >> 16) % 4;
		switch ((x >> 20) % 6) {
		case 0:
			dup2(3, fd);
			break;
		case 1:
			close(fd);
			break;
		case 2:
			(void)!read(fd, buf, sizeof(buf));
			break;
		case 3:
			(void)!pread(fd, buf, sizeof(buf), 0);
			break;
		case 4: {
			struct stat st;
			fstat(fd, &st);
			break;
		}
		default: {
			int n = open("f", O_RDONLY | O_CLOEXEC);
			if (n >= 0)
				close(n);
			break;
		}
		}
	}
	return NULL;
}

static void test_threads(void)
{
	pthread_t t[4];
	fs_put("f", "some text in the file");
	int fd = open("f", O_RDONLY);
	dup2(fd, 3);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, churn, (void *)(uintptr_t)(i + 1)), 0);
	usleep(1000000);
	for (int i = 0; i < 20; i++) {
		pid_t p = fork(); // copies a table that changes
		if (!p)
			_exit(0);
		fs_wait(p);
	}
	stop = 1;
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	for (int i = 200; i < 204; i++)
		close(i);
	if (fd != 3)
		close(fd);
	close(3);
	CHECK_EQ(unlink("f"), 0);
}

int main(int argc, char **argv)
{
	fs_begin(argc, argv);
	test_dup();
	test_many();
	test_flags();
	test_posix_locks();
	test_other_locks();
	test_threads();
	return fs_end();
}

// SPDX-License-Identifier: MIT
// POSIX message queues: names and rights, order, full and empty queues, time limits, signals, being
// told of a message, poll, limits, and the file system of names.
#define _GNU_SOURCE
#define CHECK_FATAL 1
#include "tests/programs/check.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wnonnull"

#define NAME "/halyard_mqueue_test"

static mqd_t open_new(long maxmsg, long msgsize, int flags)
{
	struct mq_attr a = {.mq_maxmsg = maxmsg, .mq_msgsize = msgsize};
	mqd_t q = mq_open(NAME, O_RDWR | O_CREAT | O_EXCL | flags, 0600, &a);
	CHECK(q >= 0);
	CHECK_EQ(mq_unlink(NAME), 0);
	return q;
}

static void expect_at(int line, mqd_t q, const char *text, unsigned priority)
{
	char buf[8192];
	unsigned got = 0;
	ssize_t n = mq_receive(q, buf, sizeof(buf), &got);
	if (n == (ssize_t)strlen(text) && !memcmp(buf, text, (size_t)n) && got == priority)
		return;
	printf("FAILED line %d: wanted '%s' (%u), got %zd bytes (%u), errno %d\n", line, text,
	       priority, n, got, errno);
	check_failed();
}
#define EXPECT(q, text, priority) expect_at(__LINE__, q, text, priority)

static int send(mqd_t q, const char *text, unsigned priority)
{
	return mq_send(q, text, strlen(text), priority);
}

static struct timespec from_now(long ms)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += ms % 1000 * 1000000;
	t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

static void names(void)
{
	char longest[NAME_MAX + 3];
	struct mq_attr a;

	CHECK_ERR(mq_open(NAME, O_RDWR), ENOENT);
	CHECK_ERR(mq_unlink(NAME), ENOENT);
	CHECK_ERR(mq_open("/", O_RDWR | O_CREAT, 0600, NULL), ENOENT);
	CHECK_ERR(mq_open("/a/b", O_RDWR | O_CREAT, 0600, NULL), EACCES);
	CHECK_ERR(mq_open("/..", O_RDWR | O_CREAT, 0600, NULL), EACCES);
	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	longest[NAME_MAX + 2] = 0;
	CHECK_ERR(mq_open(longest, O_RDWR | O_CREAT, 0600, NULL), ENAMETOOLONG);
	longest[NAME_MAX + 1] = 0;
	mqd_t q = mq_open(longest, O_RDWR | O_CREAT, 0600, NULL);
	CHECK(q >= 0);
	CHECK_EQ(mq_unlink(longest), 0);
	CHECK_EQ(mq_getattr(q, &a), 0); // without a name it lives on
	CHECK_EQ(mq_close(q), 0);
	CHECK_ERR(mq_getattr(q, &a), EBADF);

	q = mq_open(NAME, O_WRONLY | O_CREAT, 0600, NULL);
	CHECK(q >= 0);
	CHECK_EQ(fcntl(q, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(mq_getattr(q, &a), 0);
	CHECK_EQ(a.mq_maxmsg, 10);
	CHECK_EQ(a.mq_msgsize, 8192);
	CHECK_EQ(a.mq_curmsgs, 0);
	CHECK_EQ(a.mq_flags, 0);
	CHECK_ERR(mq_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600, NULL), EEXIST);
	mqd_t r = mq_open(NAME, O_RDONLY | O_NONBLOCK);
	CHECK(r >= 0);
	CHECK_EQ(send(q, "one", 1), 0);
	CHECK_ERR(send(r, "two", 1), EBADF);
	CHECK_ERR(mq_receive(q, (char[8192]){}, 8192, NULL), EBADF);
	EXPECT(r, "one", 1);
	CHECK_ERR(mq_receive(r, (char[8192]){}, 8192, NULL), EAGAIN);
	CHECK_ERR(send(0, "x", 0), EBADF);
	CHECK_EQ(mq_unlink(NAME), 0);
	mq_close(q);
	mq_close(r);
}

static void attributes(void)
{
	static const struct {
		long maxmsg, msgsize;
	} bad[] = {{0, 1}, {1, 0}, {-1, 1}, {1, -1}, {65537, 1}, {1, 16777217}};
	struct mq_attr a, old;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		a = (struct mq_attr){.mq_maxmsg = bad[i].maxmsg, .mq_msgsize = bad[i].msgsize};
		CHECK_ERR(mq_open(NAME, O_RDWR | O_CREAT, 0600, &a), EINVAL);
	}
	CHECK_ERR(mq_open(NAME, O_RDWR | O_CREAT, 0600, (void *)8), EFAULT);
	mqd_t q = open_new(3, 16, 0);
	a = (struct mq_attr){.mq_flags = O_NONBLOCK, .mq_maxmsg = 9};
	CHECK_EQ(mq_setattr(q, &a, &old), 0);
	CHECK_EQ(old.mq_flags, 0);
	CHECK_EQ(mq_getattr(q, &old), 0);
	CHECK(old.mq_flags == O_NONBLOCK && old.mq_maxmsg == 3 && old.mq_msgsize == 16);
	CHECK_EQ(fcntl(q, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	a.mq_flags = O_APPEND;
	CHECK_ERR(mq_setattr(q, &a, NULL), EINVAL);
	a.mq_flags = 0;
	CHECK_EQ(mq_setattr(q, &a, NULL), 0);
	CHECK_EQ(fcntl(q, F_GETFL) & O_NONBLOCK, 0);
	mq_close(q);
}

static void order(void)
{
	mqd_t q = open_new(6, 16, O_NONBLOCK);
	struct mq_attr a;
	char buf[17];

	CHECK_EQ(send(q, "a0", 0), 0);
	CHECK_EQ(send(q, "b5", 5), 0);
	CHECK_EQ(send(q, "c5", 5), 0);
	CHECK_EQ(send(q, "d9", 32767), 0);
	CHECK_EQ(send(q, "", 1), 0);
	CHECK_ERR(send(q, "x", 32768), EINVAL);
	CHECK_ERR(send(q, "seventeen letters", 0), EMSGSIZE);
	CHECK_EQ(send(q, "sixteen letters!", 0), 0);
	CHECK_ERR(send(q, "g", 0), EAGAIN);
	CHECK_ERR(mq_receive(q, buf, 15, NULL), EMSGSIZE);
	CHECK_EQ(mq_getattr(q, &a), 0);
	CHECK_EQ(a.mq_curmsgs, 6);
	EXPECT(q, "d9", 32767);
	EXPECT(q, "b5", 5);
	EXPECT(q, "c5", 5);
	EXPECT(q, "", 1);
	EXPECT(q, "a0", 0);
	EXPECT(q, "sixteen letters!", 0);
	CHECK_ERR(mq_receive(q, buf, 16, NULL), EAGAIN);
	CHECK_ERR(syscall(SYS_mq_timedsend, q, (void *)8, 4, 0, NULL), EFAULT);
	mq_close(q);
}

static void nothing(int sig)
{
	(void)sig;
}

static void time_limits(void)
{
	mqd_t q = open_new(1, 16, 0);
	char buf[16];
	struct timespec t = from_now(30), past = {1, 0}, bad = {1, 1000000000};

	CHECK_ERR(mq_timedreceive(q, buf, 16, NULL, &t), ETIMEDOUT);
	CHECK_ERR(mq_timedreceive(q, buf, 16, NULL, &past), ETIMEDOUT);
	CHECK_ERR(mq_timedreceive(q, buf, 16, NULL, &bad), EINVAL);
	CHECK_EQ(mq_timedsend(q, "1", 1, 0, &past), 0); // there is room: nobody waits
	t = from_now(30);
	CHECK_ERR(mq_timedsend(q, "2", 1, 0, &t), ETIMEDOUT);
	struct sigaction sa = {.sa_handler = nothing};
	sigaction(SIGALRM, &sa, NULL);
	struct itimerval it = {.it_value.tv_usec = 30000};
	setitimer(ITIMER_REAL, &it, NULL);
	CHECK_ERR(mq_send(q, "2", 1, 0), EINTR);
	EXPECT(q, "1", 0);
	mq_close(q);
}

static void *send_three(void *arg)
{
	mqd_t q = *(mqd_t *)arg;

	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(mq_send(q, "abc" + i, 1, i), 0);
	return NULL;
}

// A full queue makes senders wait, an empty one receivers.
static void waiting(void)
{
	mqd_t q = open_new(1, 16, 0);
	pthread_t t;
	char c, buf[16];

	CHECK_EQ(pthread_create(&t, NULL, send_three, &q), 0);
	usleep(50000);
	EXPECT(q, "a", 0);
	EXPECT(q, "b", 1);
	EXPECT(q, "c", 2);
	pthread_join(t, NULL);
	pid_t child = fork();
	if (!child)
		_exit(mq_receive(q, buf, 16, NULL) == 1 && buf[0] == 'z' ? 0 : 1);
	usleep(50000);
	CHECK_EQ(mq_send(q, "z", 1, 0), 0);
	int status;
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	child = fork();
	if (!child)
		_exit(mq_receive(q, buf, 16, NULL) < 0);
	usleep(20000);
	kill(child, SIGKILL);
	CHECK(waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGKILL);
	CHECK_EQ(mq_send(q, "y", 1, 0), 0); // and is not given to the dead
	CHECK(mq_receive(q, &c, 16, NULL) == 1 && c == 'y');
	mq_close(q);
}

// Many threads on both sides of a small queue lose nothing.
enum { MOVED = 400, SIDES = 4 };
static int sums[SIDES];
static mqd_t shared;

static void *receive_many(void *arg)
{
	int *sum = arg;

	for (int n, i = 0; i < MOVED; i++) {
		CHECK_EQ(mq_receive(shared, (char *)&n, 16, NULL), (ssize_t)sizeof(n));
		*sum += n;
	}
	return NULL;
}

static void *send_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < MOVED; i++)
		CHECK_EQ(mq_send(shared, (char *)&i, sizeof(i), (unsigned)i % 3), 0);
	return NULL;
}

static void many(void)
{
	pthread_t t[2 * SIDES];
	int sum = 0;

	shared = open_new(4, 16, 0);
	for (int i = 0; i < SIDES; i++) {
		CHECK_EQ(pthread_create(&t[i], NULL, receive_many, &sums[i]), 0);
		CHECK_EQ(pthread_create(&t[SIDES + i], NULL, send_many, NULL), 0);
	}
	for (int i = 0; i < 2 * SIDES; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < SIDES; i++)
		sum += sums[i];
	CHECK_EQ(sum, SIDES * MOVED * (MOVED - 1) / 2);
	mq_close(shared);
}

static volatile sig_atomic_t told, told_value;

static void on_told(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	if (info->si_code == SI_MESGQ && info->si_pid == getpid() && info->si_uid == getuid())
		told_value = info->si_value.sival_int;
	told++;
}

static void telling(void)
{
	mqd_t q = open_new(4, 16, O_NONBLOCK);
	struct sigaction sa = {.sa_sigaction = on_told, .sa_flags = SA_SIGINFO};
	struct sigevent e = {
		.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 77};
	struct sigevent bad = {.sigev_notify = 99};
	char text[128] = "";

	sigaction(SIGUSR1, &sa, NULL);
	CHECK_EQ(mq_notify(q, &e), 0);
	CHECK_ERR(mq_notify(q, &e), EBUSY);
	pid_t child = fork();
	if (!child) {
		int r = mq_notify(q, &e) == -1 && errno == EBUSY && mq_notify(q, NULL) == 0;
		_exit(!r); // closes q: the parent is told all the same
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(pread(q, text, sizeof(text) - 1, 0) > 0);
	char wanted[128];
	snprintf(wanted, sizeof(wanted), "QSIZE:%-10d NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n", 0,
		 0, SIGUSR1, getpid());
	CHECK(!strcmp(text, wanted));
	CHECK_EQ(send(q, "one", 0), 0);
	CHECK(told == 1 && told_value == 77);
	CHECK_EQ(send(q, "two", 0), 0);
	CHECK_EQ(told, 1); // once
	CHECK_EQ(mq_notify(q, &e), 0);
	CHECK_EQ(send(q, "three", 0), 0);
	CHECK_EQ(told, 1); // it was not empty
	EXPECT(q, "one", 0);
	EXPECT(q, "two", 0);
	EXPECT(q, "three", 0);
	CHECK_EQ(send(q, "four", 0), 0);
	CHECK_EQ(told, 2);
	EXPECT(q, "four", 0);
	CHECK_EQ(mq_notify(q, &e), 0);
	CHECK_EQ(mq_notify(q, NULL), 0);
	CHECK_EQ(send(q, "five", 0), 0);
	CHECK_EQ(told, 2);
	CHECK_ERR(syscall(SYS_mq_notify, q, &bad), EINVAL);
	e.sigev_signo = 65;
	CHECK_ERR(mq_notify(q, &e), EINVAL);
	e.sigev_notify = SIGEV_NONE;
	CHECK_EQ(mq_notify(q, &e), 0);
	int other = dup(q);
	close(other); // any descriptor of it ends it
	CHECK_EQ(mq_notify(q, &e), 0);
	mq_close(q);
}

static void polling(void)
{
	mqd_t q = open_new(1, 16, 0);
	struct pollfd p = {.fd = q, .events = POLLIN | POLLOUT};

	CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLOUT);
	CHECK_EQ(send(q, "x", 0), 0);
	CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
	p.events = POLLOUT;
	pid_t child = fork();
	if (!child) {
		usleep(30000);
		_exit(mq_receive(q, (char[16]){}, 16, NULL) != 1);
	}
	CHECK(poll(&p, 1, 5000) == 1 && p.revents == POLLOUT);
	int status;
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK_ERR(write(q, "x", 1), EINVAL);
	mq_close(q);
}

// What an ordinary user may.
static void limits(void)
{
	if (geteuid())
		return;
	mqd_t q = mq_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0640, NULL);
	CHECK(q >= 0);
	pid_t child = fork();
	if (!child) {
		struct mq_attr big = {.mq_maxmsg = 11, .mq_msgsize = 16},
			       fit = {.mq_maxmsg = 10, .mq_msgsize = 8192};
		struct rlimit small = {4096, 4096};

		CHECK(setgid(1000) == 0 && setuid(1000) == 0);
		CHECK_ERR(mq_open(NAME, O_RDONLY), EACCES);
		CHECK_ERR(mq_open(NAME, O_RDONLY | O_CREAT, 0600, NULL), EACCES);
		CHECK_ERR(mq_unlink(NAME), EACCES);
		CHECK_ERR(mq_open(NAME "2", O_RDWR | O_CREAT, 0600, &big), EINVAL);
		CHECK_EQ(setrlimit(RLIMIT_MSGQUEUE, &small), 0);
		CHECK_ERR(mq_open(NAME "2", O_RDWR | O_CREAT, 0600, &fit), EMFILE);
		fit.mq_msgsize = 200;
		mqd_t own = mq_open(NAME "2", O_RDWR | O_CREAT, 0600, &fit);
		CHECK(own >= 0);
		CHECK_ERR(mq_open(NAME "3", O_RDWR | O_CREAT, 0600, &fit), EMFILE);
		CHECK_EQ(mq_unlink(NAME "2"), 0);
		mq_close(own);
		own = mq_open(NAME "3", O_RDWR | O_CREAT, 0600, &fit); // what was given back
		CHECK(own >= 0);
		CHECK_EQ(mq_unlink(NAME "3"), 0);
		_exit(check_failures != 0);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK_EQ(mq_unlink(NAME), 0);
	mq_close(q);
}

static void file_system(void)
{
	char at[] = "/tmp/mqueueXXXXXX", path[64];
	struct stat st;
	struct statfs fs;

	if (geteuid() || !mkdtemp(at) || mount("none", at, "mqueue", 0, NULL))
		return;
	CHECK(statfs(at, &fs) == 0 && fs.f_type == 0x19800202);
	umask(022);
	mqd_t q = mq_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0666, NULL);
	CHECK(q >= 0);
	snprintf(path, sizeof(path), "%s%s", at, NAME);
	CHECK(stat(path, &st) == 0 && st.st_size == 80 && st.st_mode == (S_IFREG | 0644));
	CHECK_EQ(send(q, "12345", 0), 0);
	int fd = open(path, O_RDONLY);
	char text[128] = "";
	CHECK(read(fd, text, sizeof(text)) > 0 && !strncmp(text, "QSIZE:5 ", 8));
	EXPECT(fd, "12345", 0); // it is the queue itself
	close(fd);
	CHECK_EQ(unlink(path), 0);
	CHECK_ERR(mq_open(NAME, O_RDWR), ENOENT);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0);
	CHECK_EQ(send(fd, "x", 3), 0);
	CHECK_EQ(mq_unlink(NAME), 0);
	close(fd);
	mq_close(q);
	CHECK_EQ(umount(at), 0);
	rmdir(at);
}

int main(void)
{
	mq_unlink(NAME);
	names();
	attributes();
	order();
	time_limits();
	waiting();
	many();
	telling();
	polling();
	limits();
	file_system();
	return check_done("mqueue");
}

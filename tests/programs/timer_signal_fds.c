// SPDX-License-Identifier: MIT
// timerfd and signalfd: counts, periods, clocks, errors, waiting for both with epoll.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include "tests/programs/check.h"

static int ready(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return poll(&p, 1, ms);
}

static void test_timer(void)
{
	struct itimerspec once = {.it_value.tv_nsec = 20000000}, left;
	struct itimerspec often = {.it_value.tv_nsec = 10000000, .it_interval.tv_nsec = 10000000};
	int t = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	uint64_t n;

	CHECK_ERR(read(t, &n, 8), EAGAIN);
	CHECK_ERR(read(t, &n, 4), EINVAL);
	CHECK(timerfd_settime(t, 0, &once, NULL) == 0);
	CHECK(timerfd_gettime(t, &left) == 0 && left.it_value.tv_nsec > 0 &&
	      left.it_value.tv_nsec <= 20000000);
	CHECK_EQ(ready(t, 0), 0);
	CHECK_EQ(ready(t, 2000), 1);
	CHECK(read(t, &n, 8) == 8 && n == 1);
	CHECK_ERR(read(t, &n, 8), EAGAIN);
	CHECK(timerfd_gettime(t, &left) == 0 && !left.it_value.tv_nsec && !left.it_value.tv_sec);
	fcntl(t, F_SETFL, 0);
	CHECK(timerfd_settime(t, 0, &often, NULL) == 0);
	nanosleep(&(struct timespec){.tv_nsec = 55000000}, NULL);
	CHECK(read(t, &n, 8) == 8 && n >= 5);
	CHECK(read(t, &n, 8) == 8 && n >= 1);
	CHECK(timerfd_settime(t, 0, &(struct itimerspec){}, &left) == 0 &&
	      left.it_interval.tv_nsec == 10000000);
	CHECK_EQ(ready(t, 30), 0);
	close(t);
	t = timerfd_create(CLOCK_REALTIME, 0);
	clock_gettime(CLOCK_REALTIME, &once.it_value);
	once.it_value.tv_sec -= 10; // long ago
	CHECK(timerfd_settime(t, TFD_TIMER_ABSTIME, &once, NULL) == 0);
	CHECK(read(t, &n, 8) == 8 && n == 1);
	once.it_value.tv_nsec = 1000000000;
	CHECK_ERR(timerfd_settime(t, 0, &once, NULL), EINVAL);
	CHECK_ERR(timerfd_settime(0, 0, &often, NULL), EINVAL);
	CHECK_ERR(timerfd_create(77, 0), EINVAL);
	close(t);
}

static void test_signals(void)
{
	struct signalfd_siginfo info[4];
	struct epoll_event e = {.events = EPOLLIN};
	sigset_t set;
	int status;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int s = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC), ep = epoll_create1(0);
	CHECK(s >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, s, &e) == 0);
	CHECK_ERR(read(s, info, sizeof(info)), EAGAIN);
	CHECK_ERR(read(s, info, 10), EINVAL);
	CHECK_EQ(epoll_wait(ep, &e, 1, 0), 0);
	raise(SIGUSR1);
	CHECK_EQ(epoll_wait(ep, &e, 1, 1000), 1);
	CHECK(read(s, info, sizeof(info)) == sizeof(info[0]));
	CHECK(info[0].ssi_signo == SIGUSR1 && info[0].ssi_pid == (uint32_t)getpid());
	pid_t pid = fork();
	if (!pid)
		_exit(5);
	CHECK_EQ(epoll_wait(ep, &e, 1, 5000), 1);
	CHECK(read(s, info, sizeof(info)) == sizeof(info[0]));
	CHECK(info[0].ssi_signo == SIGCHLD && info[0].ssi_pid == (uint32_t)pid &&
	      info[0].ssi_status == 5);
	CHECK(waitpid(pid, &status, 0) == pid);
	sigdelset(&set, SIGUSR1);
	CHECK(signalfd(s, &set, 0) == s);
	raise(SIGUSR1);
	CHECK_EQ(epoll_wait(ep, &e, 1, 10), 0);
	CHECK_ERR(signalfd(0, &set, 0), EINVAL);
	close(ep);
	close(s);
}

int main(void)
{
	test_timer();
	test_signals();
	return check_done("timer_signal_fds");
}

// SPDX-License-Identifier: MIT
// epoll and eventfd: level and edge triggering, one-shot, nesting, lifetimes, timeouts, wake-ups.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include "tests/programs/check.h"

static struct epoll_event got[8];

static int watch(int ep, int op, int fd, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.fd = fd};
	return epoll_ctl(ep, op, fd, &e);
}

static int now(int ep)
{
	return epoll_wait(ep, got, 8, 0);
}

static void test_level_and_edge(void)
{
	int ep = epoll_create1(EPOLL_CLOEXEC), p[2];
	char c;

	CHECK(pipe(p) == 0);
	CHECK_EQ(watch(ep, EPOLL_CTL_ADD, p[0], EPOLLIN), 0);
	CHECK_ERR(watch(ep, EPOLL_CTL_ADD, p[0], EPOLLIN), EEXIST);
	CHECK_EQ(now(ep), 0);
	CHECK(write(p[1], "ab", 2) == 2);
	CHECK_EQ(now(ep), 1);
	CHECK(got[0].data.fd == p[0] && got[0].events == EPOLLIN);
	CHECK_EQ(now(ep), 1); // still
	CHECK_EQ(watch(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLET), 0);
	CHECK_EQ(now(ep), 1);
	CHECK_EQ(now(ep), 0); // told once
	CHECK(read(p[0], &c, 1) == 1);
	CHECK_EQ(now(ep), 0);
	CHECK(read(p[0], &c, 1) == 1 && write(p[1], "c", 1) == 1);
	CHECK_EQ(now(ep), 1);
	CHECK_EQ(watch(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT), 0);
	CHECK_EQ(now(ep), 1);
	CHECK(write(p[1], "d", 1) == 1);
	CHECK_EQ(now(ep), 0);
	close(p[1]);
	CHECK_EQ(now(ep), 0); // not even the hang-up
	CHECK_EQ(watch(ep, EPOLL_CTL_MOD, p[0], EPOLLIN), 0);
	CHECK_EQ(now(ep), 1);
	CHECK_EQ(got[0].events, EPOLLIN | EPOLLHUP);
	CHECK_EQ(watch(ep, EPOLL_CTL_DEL, p[0], 0), 0);
	CHECK_ERR(watch(ep, EPOLL_CTL_DEL, p[0], 0), ENOENT);
	CHECK_EQ(now(ep), 0);
	close(p[0]);
	close(ep);
}

static void test_errors(void)
{
	int ep = epoll_create(1), file = open("/proc/self/exe", O_RDONLY);

	CHECK_ERR(epoll_create(0), EINVAL);
	CHECK_ERR(epoll_create1(1), EINVAL);
	CHECK_ERR(watch(ep, EPOLL_CTL_ADD, 999, EPOLLIN), EBADF);
	CHECK_ERR(watch(ep, EPOLL_CTL_ADD, ep, EPOLLIN), EINVAL);
	CHECK_ERR(epoll_wait(ep, got, 0, 0), EINVAL);
	CHECK_ERR(epoll_wait(0, got, 1, 0), EINVAL);
	if (file >= 0)
		CHECK_ERR(watch(ep, EPOLL_CTL_ADD, file, EPOLLIN), EPERM);
	close(file);
	close(ep);
}

static void test_nesting(void)
{
	int outer = epoll_create1(0), inner = epoll_create1(0), e = eventfd(0, 0);
	struct pollfd p = {.fd = outer, .events = POLLIN};
	uint64_t v = 1;

	CHECK_EQ(watch(inner, EPOLL_CTL_ADD, e, EPOLLIN), 0);
	CHECK_EQ(watch(outer, EPOLL_CTL_ADD, inner, EPOLLIN), 0);
	CHECK_ERR(watch(inner, EPOLL_CTL_ADD, outer, EPOLLIN), ELOOP);
	CHECK_EQ(now(outer), 0);
	CHECK_EQ(poll(&p, 1, 0), 0);
	CHECK(write(e, &v, 8) == 8);
	CHECK_EQ(epoll_wait(outer, got, 8, 1000), 1);
	CHECK_EQ(poll(&p, 1, 1000), 1);
	CHECK_EQ(now(inner), 1);
	CHECK(read(e, &v, 8) == 8);
	CHECK_EQ(now(outer), 0);
	close(inner); // takes itself out
	CHECK_EQ(now(outer), 0);
	close(outer);
	close(e);
}

static void test_lifetimes(void)
{
	int ep = epoll_create1(0), s[2], copy;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	CHECK_EQ(watch(ep, EPOLL_CTL_ADD, s[0], EPOLLIN | EPOLLRDHUP), 0);
	copy = dup(s[0]);
	CHECK(write(s[1], "x", 1) == 1);
	close(s[0]);
	CHECK_EQ(now(ep), 1); // the file lives on
	close(copy);
	CHECK_EQ(now(ep), 0);
	close(s[1]);
	close(ep);
}

static void test_eventfd(void)
{
	int e = eventfd(3, EFD_NONBLOCK), s = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
	struct pollfd p = {.fd = e, .events = POLLIN | POLLOUT};
	uint64_t v = 0;

	CHECK(poll(&p, 1, 0) == 1 && p.revents == (POLLIN | POLLOUT));
	CHECK(read(e, &v, 8) == 8 && v == 3);
	CHECK_ERR(read(e, &v, 8), EAGAIN);
	CHECK_ERR(read(e, &v, 4), EINVAL);
	v = ~0ull;
	CHECK_ERR(write(e, &v, 8), EINVAL);
	v = ~0ull - 1;
	CHECK(write(e, &v, 8) == 8);
	CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
	v = 1;
	CHECK_ERR(write(e, &v, 8), EAGAIN);
	CHECK(read(s, &v, 8) == 8 && v == 1 && read(s, &v, 8) == 8 && v == 1);
	CHECK_ERR(read(s, &v, 8), EAGAIN);
	close(e);
	close(s);
}

static void *write_later(void *arg)
{
	uint64_t v = 1;

	nanosleep(&(struct timespec){.tv_nsec = 30000000}, NULL);
	CHECK(write(*(int *)arg, &v, 8) == 8);
	return NULL;
}

static void test_waking(void)
{
	int ep = epoll_create1(0), e = eventfd(0, 0);
	struct timespec a, b;
	pthread_t t;

	CHECK_EQ(watch(ep, EPOLL_CTL_ADD, e, EPOLLIN), 0);
	clock_gettime(CLOCK_MONOTONIC, &a);
	CHECK_EQ(epoll_wait(ep, got, 8, 20), 0);
	clock_gettime(CLOCK_MONOTONIC, &b);
	CHECK((b.tv_sec - a.tv_sec) * 1000000000ll + b.tv_nsec - a.tv_nsec >= 20000000);
	pthread_create(&t, NULL, write_later, &e);
	CHECK_EQ(epoll_wait(ep, got, 8, 5000), 1);
	pthread_join(t, NULL);
	close(e);
	close(ep);
}

static volatile int alarms;

static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

static void test_signals(void)
{
	int ep = epoll_create1(0);
	sigset_t blocked, none;

	sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_alarm}, NULL);
	sigemptyset(&none);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGALRM);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	raise(SIGALRM);
	CHECK_EQ(epoll_wait(ep, got, 8, 0), 0);
	CHECK_ERR(epoll_pwait(ep, got, 8, 5000, &none), EINTR);
	CHECK_EQ(alarms, 1);
	CHECK_EQ(poll(NULL, 0, 1), 0);
	raise(SIGALRM);
	CHECK_ERR(ppoll(NULL, 0, NULL, &none), EINTR);
	CHECK_EQ(alarms, 2);
	close(ep);
}

int main(void)
{
	test_level_and_edge();
	test_errors();
	test_nesting();
	test_lifetimes();
	test_eventfd();
	test_waking();
	test_signals();
	return check_done("epoll_events");
}

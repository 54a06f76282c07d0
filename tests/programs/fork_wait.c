// SPDX-License-Identifier: MIT
// fork, vfork, clone, wait4, waitid, orphans, groups and sessions.
#define _GNU_SOURCE
#include "tests/programs/check.h"
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static pid_t child_exits(int code)
{
	pid_t pid = fork();
	if (!pid)
		_exit(code);
	CHECK(pid > 0);
	return pid;
}

static void test_wait4(void)
{
	int status;
	struct rusage ru;
	CHECK_ERR(wait(NULL), ECHILD);
	pid_t a = child_exits(3);
	CHECK_EQ(waitpid(a, &status, 0), a);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	CHECK_ERR(waitpid(a, &status, 0), ECHILD);
	a = child_exits(300);
	CHECK_EQ(wait4(-1, &status, 0, &ru), a);
	CHECK_EQ(WEXITSTATUS(status), 300 & 255);
	CHECK_ERR(waitpid(1 << 30, &status, 0), ECHILD);
	CHECK_ERR(wait4(-1, &status, 0x1000, NULL), EINVAL);
	// nothing yet
	int fds[2];
	CHECK_EQ(pipe(fds), 0);
	a = fork();
	if (!a) {
		char c;
		close(fds[1]);
		_exit(read(fds[0], &c, 1) == 0 ? 9 : 1);
	}
	CHECK_EQ(waitpid(a, &status, WNOHANG), 0);
	close(fds[1]);
	CHECK_EQ(waitpid(a, &status, 0), a);
	CHECK_EQ(WEXITSTATUS(status), 9);
	close(fds[0]);
	pid_t many[20];
	for (int i = 0; i < 20; i++)
		many[i] = child_exits(i);
	for (int i = 19; i >= 0; i--) {
		CHECK_EQ(waitpid(many[i], &status, 0), many[i]);
		CHECK_EQ(WEXITSTATUS(status), i);
	}
}

static void test_waitid(void)
{
	siginfo_t si = {};
	pid_t a = child_exits(5);
	CHECK_EQ(waitid(P_PID, (id_t)a, &si, WEXITED | WNOWAIT), 0);
	CHECK_EQ(si.si_pid, a);
	CHECK_EQ(si.si_code, CLD_EXITED);
	CHECK_EQ(si.si_status, 5);
	CHECK_EQ(si.si_signo, SIGCHLD);
	memset(&si, 0, sizeof(si));
	CHECK_EQ(waitid(P_ALL, 0, &si, WEXITED), 0);
	CHECK_EQ(si.si_pid, a);
	CHECK_ERR(waitid(P_ALL, 0, &si, WEXITED), ECHILD);
	CHECK_ERR(waitid(P_ALL, 0, &si, 0), EINVAL);
	a = fork();
	if (!a) {
		pause();
		_exit(0);
	}
	si.si_pid = 77;
	CHECK_EQ(waitid(P_PID, (id_t)a, &si, WEXITED | WNOHANG), 0);
	CHECK_EQ(si.si_pid, 0);
	int pidfd = (int)syscall(SYS_pidfd_open, a, 0);
	CHECK(pidfd >= 0);
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	CHECK_EQ(poll(&p, 1, 0), 0);
	CHECK_EQ(syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0), 0);
	CHECK_EQ(poll(&p, 1, 5000), 1);
	CHECK_EQ(waitid(P_PIDFD, (id_t)pidfd, &si, WEXITED), 0);
	CHECK_EQ(si.si_code, CLD_KILLED);
	CHECK_EQ(si.si_status, SIGKILL);
	CHECK_ERR(syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0), ESRCH);
	close(pidfd);
}

static void test_memory_is_private(void)
{
	int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int *private = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*shared = *private = 1;
	pid_t a = fork();
	if (!a) {
		*shared = 2;
		*private = 2;
		_exit(*private != 2);
	}
	int status;
	waitpid(a, &status, 0);
	CHECK_EQ(status, 0);
	CHECK_EQ(*shared, 2);
	CHECK_EQ(*private, 1);
}

static void test_vfork(void)
{
	static volatile int value;
	int status;
	value = 1;
	pid_t a = vfork();
	if (!a) {
		value = 2;
		_exit(4);
	}
	CHECK_EQ(value, 2);
	CHECK_EQ(waitpid(a, &status, 0), a);
	CHECK_EQ(WEXITSTATUS(status), 4);
}

static int clone_fn(void *arg)
{
	*(int *)arg = 42;
	return 6;
}
static void test_clone(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	int value = 0, status, tid = 0;
	pid_t a = clone(clone_fn, stack + sizeof(stack), CLONE_VM | CLONE_PARENT_SETTID | SIGCHLD,
			&value, &tid);
	CHECK_EQ(tid, a);
	CHECK_EQ(waitpid(a, &status, 0), a);
	CHECK_EQ(value, 42);
	CHECK_EQ(WEXITSTATUS(status), 6);
	CHECK_ERR(syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0), EINVAL);
	CHECK_ERR(syscall(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0), EINVAL);
	// without a signal the child is found by __WALL or __WCLONE only
	a = (pid_t)syscall(SYS_clone, 0, 0, 0, 0, 0);
	if (!a)
		_exit(8);
	CHECK_ERR(waitpid(a, &status, 0), ECHILD);
	CHECK_EQ(waitpid(a, &status, __WALL), a);
	CHECK_EQ(WEXITSTATUS(status), 8);
}

static void test_sigchld(void)
{
	// ignored: children leave no zombies, and wait says so when all are gone
	signal(SIGCHLD, SIG_IGN);
	child_exits(1);
	child_exits(2);
	CHECK_ERR(wait(NULL), ECHILD);
	signal(SIGCHLD, SIG_DFL);
}

static void test_groups(void)
{
	int status, fds[2];
	CHECK_EQ(getsid(0), getsid(getpid()));
	CHECK_EQ(getpgid(0), getpgrp());
	CHECK_EQ(pipe(fds), 0);
	pid_t a = fork();
	if (!a) {
		CHECK_EQ(setpgid(0, 0), 0);
		CHECK_EQ(getpgrp(), getpid());
		CHECK_ERR(setsid(), EPERM); // a group leader
		pid_t b = fork();
		if (!b) {
			CHECK_EQ(getpgrp(), getppid());
			CHECK_EQ(setsid(), getpid());
			CHECK_EQ(getsid(0), getpid());
			CHECK_EQ(getpgrp(), getpid());
			CHECK_ERR(setpgid(0, 0), EPERM);
			_exit(check_failures);
		}
		waitpid(b, &status, 0);
		_exit(check_failures || status);
	}
	waitpid(a, &status, 0);
	CHECK_EQ(status, 0);
	// signals to a group; waiting for one
	pid_t g = 0;
	for (int i = 0; i < 3; i++) {
		pid_t p = fork();
		if (!p) {
			pause();
			_exit(0);
		}
		CHECK_EQ(setpgid(p, g), 0);
		if (!g)
			g = p;
	}
	CHECK_ERR(setpgid(g, 1), EPERM);
	CHECK_ERR(kill(-999999, SIGTERM), ESRCH);
	CHECK_EQ(kill(-g, SIGTERM), 0);
	for (int i = 0; i < 3; i++) {
		CHECK(waitpid(-g, &status, 0) > 0);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	}
	CHECK_ERR(waitpid(-g, &status, 0), ECHILD);
	close(fds[0]);
	close(fds[1]);
}

static void test_orphans(void)
{
	int fds[2];
	CHECK_EQ(pipe(fds), 0);
	CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	pid_t a = fork();
	if (!a) {
		pid_t b = fork();
		if (!b) {
			char c;
			close(fds[1]);
			if (read(fds[0], &c, 1) != 0)
				_exit(1);
			_exit(11);
		}
		_exit(0);
	}
	int status;
	CHECK_EQ(waitpid(a, &status, 0), a);
	close(fds[1]);
	pid_t b = wait(&status);
	CHECK(b > 0 && b != a);
	CHECK_EQ(WEXITSTATUS(status), 11);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	close(fds[0]);
	// the parent's end can be a signal
	CHECK_EQ(pipe(fds), 0);
	a = fork();
	if (!a) {
		pid_t c = fork();
		if (!c) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			char x = 1;
			if (write(fds[1], &x, 1) != 1)
				_exit(1);
			for (;;)
				pause();
		}
		char x;
		_exit(read(fds[0], &x, 1) != 1);
	}
	waitpid(a, &status, 0);
	close(fds[1]);
	char x;
	CHECK_EQ(read(fds[0], &x, 1), 0); // ends when the grandchild is gone
	close(fds[0]);
}

static void test_stress(void)
{
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 10; i++) {
			pid_t p = fork();
			if (!p) {
				pid_t q = fork();
				if (!q)
					_exit(1);
				int s;
				waitpid(q, &s, 0);
				_exit(WEXITSTATUS(s));
			}
		}
		for (int i = 0; i < 10; i++) {
			int s;
			CHECK(wait(&s) > 0);
			CHECK_EQ(WEXITSTATUS(s), 1);
		}
	}
}

int main(void)
{
	test_wait4();
	test_waitid();
	test_memory_is_private();
	test_vfork();
	test_clone();
	test_sigchld();
	test_groups();
	test_orphans();
	test_stress();
	return check_done("fork_wait");
}

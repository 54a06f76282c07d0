// SPDX-License-Identifier: MIT
// Tracing gives nobody privilege: run with halyard.elevate=<path of this program>. A traced program
// has no grant; one that has it is not traced, and nobody else writes into its memory.
#define _GNU_SOURCE
#include "tests/programs/ptrace_check.h"
#include <fcntl.h>
#include <halyard.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cpu_ptrace.h>

static const char *self;
static volatile long word = 1;

static int run_to_end(pid_t pid)
{
	int status = -1;
	while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status))
		trace(PTRACE_CONT, pid, 0, 0);
	return status;
}

// An executed program of this path, traced from before: no grant.
static void test_traced_has_no_grant(void)
{
	pid_t pid = fork();
	if (!pid) {
		if (trace(PTRACE_TRACEME, 0, 0, 0))
			_exit(98);
		execl(self, self, "refused", NULL);
		_exit(99);
	}
	CHECK_EQ(run_to_end(pid), 0);
	pid = fork(); // and not traced: it has
	if (!pid) {
		execl(self, self, "refused", NULL);
		_exit(99);
	}
	CHECK_EQ(run_to_end(pid), 1 << 8);
}

// A tracer that asks for calls with the numbers of elevation gets nowhere.
static void test_number_of_elevation(void)
{
	pid_t pid = fork();
	if (!pid) {
		if (trace(PTRACE_TRACEME, 0, 0, 0))
			_exit(98);
		raise(SIGSTOP);
		syscall(SYS_getppid);
		_exit(halyard_elevate() == -EPERM ? 3 : 4);
	}
	int status = -1;
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	for (int i = 0; i < 4; i++) {
		CHECK_EQ(trace(PTRACE_SYSCALL, pid, 0, 0), 0);
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		if (cpu_call_number(pid) == SYS_getppid) {
			cpu_call_number_set(pid, HALYARD_NR_ELEVATE);
			break;
		}
	}
	CHECK_EQ(trace(PTRACE_CONT, pid, 0, 0), 0);
	CHECK_EQ(run_to_end(pid), 3 << 8);
}

static pid_t start_granted(void)
{
	int ready[2];
	char c;
	CHECK_EQ(pipe(ready), 0);
	pid_t pid = fork();
	if (!pid) {
		dup2(ready[1], 1);
		execl(self, self, "wait", NULL);
		_exit(99);
	}
	CHECK_EQ(read(ready[0], &c, 1), 1);
	close(ready[0]), close(ready[1]);
	return pid;
}

static void test_granted_is_left_alone(void)
{
	pid_t pid = start_granted();
	CHECK_ERR(trace(PTRACE_ATTACH, pid, 0, 0), EPERM);
	CHECK_ERR(trace(PTRACE_SEIZE, pid, 0, 0), EPERM);
	long value = 0;
	struct iovec mine = {&value, 8}, its = {(void *)&word, 8};
	CHECK_EQ(process_vm_readv(pid, &mine, 1, &its, 1, 0), 8);
	CHECK_ERR(process_vm_writev(pid, &mine, 1, &its, 1, 0), EPERM);
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	int fd = open(path, O_RDWR);
	CHECK_EQ(pread(fd, &value, 8, (off_t)(unsigned long)&word), 8);
	CHECK_EQ(value, 1);
	CHECK_ERR(pwrite(fd, &value, 8, (off_t)(unsigned long)&word), EPERM);
	close(fd);
	kill(pid, SIGKILL);
	CHECK_EQ(run_to_end(pid), SIGKILL);
}

static int shares_memory(void *arg)
{
	(void)arg;
	_exit(trace(PTRACE_TRACEME, 0, 0, 0) == -1 && errno == EPERM ? 5 : 6);
}

static void test_nobody_traces_shared_memory(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	pid_t pid = clone(shares_memory, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
	CHECK_EQ(run_to_end(pid), 5 << 8);
}

// Who may elevate promises nothing; who has promised gets no grant.
static void test_promises(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = {1, &allow};
	CHECK_ERR(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT), EPERM);
	CHECK_ERR(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), EPERM);
	pid_t pid = fork();
	if (!pid) {
		execl("/programs/seccomp_filters", "seccomp_filters", "exec", self, "refused",
		      NULL);
		_exit(99);
	}
	CHECK_EQ(run_to_end(pid), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		execl(self, self, "refused", NULL);
		_exit(99);
	}
	CHECK_EQ(run_to_end(pid), 0);
}

int main(int argc, char **argv)
{
	self = argv[0];
	if (argc > 1 && !strcmp(argv[1], "refused"))
		return halyard_elevate() == -EPERM ? 0 : 1;
	if (argc > 1 && !strcmp(argv[1], "wait")) {
		(void)!write(1, "x", 1);
		for (;;)
			pause();
	}
	CHECK_ERR(trace(PTRACE_TRACEME, 0, 0, 0), EPERM);
	test_traced_has_no_grant();
	test_number_of_elevation();
	test_granted_is_left_alone();
	test_nobody_traces_shared_memory();
	test_promises();
	CHECK_EQ(halyard_elevate(), 0); // still
	halyard_lower();
	return check_done("ptrace_elevate");
}

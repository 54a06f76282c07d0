// SPDX-License-Identifier: MIT
// seccomp(2): strict mode; filters: verdicts and which of several counts, what a filter sees, bad
// programs, inheritance, all threads at once, and tracers. Passes on Linux too.
#define _GNU_SOURCE
#define CHECK_FATAL 1
#include "tests/programs/ptrace_check.h"
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/ptrace.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifdef __x86_64__
#define ARCH_NOW AUDIT_ARCH_X86_64
#else
#define ARCH_NOW AUDIT_ARCH_AARCH64
#endif
#define ARRAY(a)  (sizeof(a) / sizeof(*(a)))
#define LOAD(f)	  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, f))
#define RETURN(v) BPF_STMT(BPF_RET | BPF_K, v)

static long seccomp(unsigned op, unsigned flags, void *args)
{
	return syscall(SYS_seccomp, op, flags, args);
}

static long install(struct sock_filter *f, size_t n, unsigned flags)
{
	struct sock_fprog p = {(unsigned short)n, f};
	return seccomp(SECCOMP_SET_MODE_FILTER, flags, &p);
}

static void only(long call, unsigned verdict)
{
	struct sock_filter f[] = {LOAD(nr),
				  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
				  RETURN(verdict), RETURN(SECCOMP_RET_ALLOW)};
	CHECK_EQ(install(f, ARRAY(f), 0), 0);
}

// Runs body in a child that has promised; its wait status.
static int in_child(void (*body)(void))
{
	int status;
	pid_t pid = fork();
	if (!pid) {
		CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
		body();
		_exit(check_failures != 0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	return status;
}

// ---- strict ----

static void strict_allowed(void)
{
	CHECK_EQ(prctl(PR_GET_SECCOMP), 0);
	CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT), 0);
	if (write(-1, "x", 1) != -1)
		syscall(SYS_getpid);
	syscall(SYS_exit, 7);
}

static void strict_refused(void)
{
	CHECK_EQ(seccomp(SECCOMP_SET_MODE_STRICT, 0, NULL), 0);
	syscall(SYS_getpid);
	syscall(SYS_exit, 7);
}

// ---- verdicts ----

static void errno_verdict(void)
{
	CHECK_EQ(prctl(PR_GET_SECCOMP), 0);
	only(SYS_getppid, SECCOMP_RET_ERRNO | 77);
	CHECK_ERR(syscall(SYS_getppid), 77);
	CHECK(syscall(SYS_getpid) == getpid());
	CHECK_EQ(prctl(PR_GET_SECCOMP), 2);
	only(SYS_getpgid, SECCOMP_RET_ERRNO | 5000); // no more than 4095
	CHECK_EQ(syscall(SYS_getpgid, 0), -1);
	CHECK_EQ(errno, 4095);
	only(SYS_getsid, SECCOMP_RET_ERRNO); // success without doing anything
	CHECK_EQ(syscall(SYS_getsid, 0), 0);
	CHECK_ERR(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT), EINVAL);
	char line[4096] = "";
	int fd = open("/proc/self/status", O_RDONLY);
	CHECK(read(fd, line, sizeof(line) - 1) > 0);
	CHECK(strstr(line, "NoNewPrivs:\t1\nSeccomp:\t2\n"));
	close(fd);
}

static void kill_process(void)
{
	only(SYS_getppid, SECCOMP_RET_KILL_PROCESS);
	syscall(SYS_getppid);
}

static void unknown_verdict(void)
{
	only(SYS_getppid, 0x12340000);
	syscall(SYS_getppid);
}

static void *call_getppid(void *arg)
{
	syscall(SYS_getppid);
	return arg;
}

static void kill_thread(void)
{
	pthread_t t;
	only(SYS_getppid, SECCOMP_RET_KILL_THREAD);
	CHECK_EQ(pthread_create(&t, NULL, call_getppid, NULL), 0);
	usleep(50000); // it cannot be joined: it left without its handlers
	_exit(9);
}

static volatile siginfo_t trapped;
static void on_sigsys(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	*(siginfo_t *)&trapped = *info;
}

static void trap_verdict(void)
{
	struct sigaction sa = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};
	sigaction(SIGSYS, &sa, NULL);
	only(SYS_getppid, SECCOMP_RET_TRAP | 0x123);
	syscall(SYS_getppid);
	CHECK_EQ(trapped.si_signo, SIGSYS);
	CHECK_EQ(trapped.si_code, 1); // SYS_SECCOMP
	CHECK_EQ(trapped.si_errno, 0x123);
	CHECK_EQ(trapped.si_syscall, SYS_getppid);
	CHECK_EQ(trapped.si_arch, ARCH_NOW);
	CHECK(trapped.si_call_addr != NULL);
	signal(SIGSYS, SIG_IGN); // cannot be ignored
	syscall(SYS_getppid);
}

// The most severe of several, and of equals the youngest.
static void several(void)
{
	only(SYS_getppid, SECCOMP_RET_ERRNO | 1);
	CHECK_ERR(syscall(SYS_getppid), 1);
	only(SYS_getppid, SECCOMP_RET_ALLOW);
	CHECK_ERR(syscall(SYS_getppid), 1);
	only(SYS_getppid, SECCOMP_RET_ERRNO | 2);
	CHECK_ERR(syscall(SYS_getppid), 2);
	only(SYS_getppid, SECCOMP_RET_LOG);
	CHECK_ERR(syscall(SYS_getppid), 2);
	only(SYS_getpgid, SECCOMP_RET_LOG);
	CHECK(syscall(SYS_getpgid, 0) > 0);
	only(SYS_getpgid, SECCOMP_RET_TRACE);
	CHECK_ERR(syscall(SYS_getpgid, 0), ENOSYS); // nobody traces
	only(SYS_getpgid, SECCOMP_RET_USER_NOTIF);
	CHECK_ERR(syscall(SYS_getpgid, 0), ENOSYS); // nobody listens
	only(SYS_getppid, SECCOMP_RET_KILL_PROCESS);
	syscall(SYS_getppid);
}

// ---- what a filter sees ----

static void sees(void)
{
	unsigned words[] = {SYS_getpgid, ARCH_NOW};
	for (unsigned i = 0; i < 2; i++) {
		struct sock_filter f[] = {
			LOAD(nr),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpgid, 0, 3),
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, i * 4),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, words[i], 1, 0),
			RETURN(SECCOMP_RET_ERRNO | (100 + i)),
			RETURN(SECCOMP_RET_ALLOW),
		};
		CHECK_EQ(install(f, ARRAY(f), 0), 0);
	}
	CHECK(syscall(SYS_getpgid, 0) > 0);
	for (unsigned i = 0; i < 6; i++) { // both halves of each argument
		unsigned low = (unsigned)offsetof(struct seccomp_data, args) + i * 8;
		struct sock_filter f[] = {
			LOAD(nr),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setpriority, 0, 5),
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, low),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x1000 + i, 0, 2),
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, low + 4),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x80000000 + i, 1, 0),
			RETURN(SECCOMP_RET_ERRNO | (110 + i)),
			RETURN(SECCOMP_RET_ALLOW),
		};
		CHECK_EQ(install(f, ARRAY(f), 0), 0);
	}
	long a[6];
	for (unsigned long i = 0; i < 6; i++)
		a[i] = (long)((0x80000000 + i) << 32 | (0x1000 + i));
	CHECK_ERR(syscall(SYS_setpriority, a[0], a[1], a[2], a[3], a[4], a[5]), EINVAL);
	for (unsigned i = 0; i < 6; i++) {
		long kept = a[i];
		a[i] ^= i & 1 ? 1 : 1l << 32;
		CHECK_ERR(syscall(SYS_setpriority, a[0], a[1], a[2], a[3], a[4], a[5]),
			  (int)(110 + i));
		a[i] = kept;
	}
}

// Arithmetic, memory and jumps, by a computation whose result is the error.
static void computes(void)
{
	struct sock_filter f[] = {
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 1, 0),
		RETURN(SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_LD | BPF_IMM, 100),
		BPF_STMT(BPF_ST, 3),
		BPF_STMT(BPF_LDX | BPF_IMM, 7),
		BPF_STMT(BPF_STX, 15),
		BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0),	   // 14
		BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, 3),	   // 42
		BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 4),	   // 672
		BPF_STMT(BPF_ALU | BPF_SUB | BPF_X, 0),	   // 665
		BPF_STMT(BPF_ALU | BPF_XOR | BPF_K, 0x10), // 649
		BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 3),	   // 81
		BPF_STMT(BPF_ALU | BPF_OR | BPF_K, 0x100), // 337
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xfff),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_MEM, 3),
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0), // 437
		BPF_STMT(BPF_ALU | BPF_NEG, 0),
		BPF_STMT(BPF_ALU | BPF_NEG, 0),
		BPF_STMT(BPF_LDX | BPF_MEM, 15),
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0), // 444
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 444, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 444, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 4, 0, 1),
		BPF_STMT(BPF_JMP | BPF_JA, 1),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LDX | BPF_W | BPF_LEN, 0), // 64
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0), // 508
		BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	CHECK_EQ(install(f, ARRAY(f), 0), 0);
	CHECK_ERR(syscall(SYS_getppid), 508);
}

static void divides_by_zero(void)
{
	struct sock_filter f[] = {LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 1, 0),
				  RETURN(SECCOMP_RET_ALLOW), BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0),
				  RETURN(SECCOMP_RET_ALLOW)};
	CHECK_EQ(install(f, ARRAY(f), 0), 0);
	syscall(SYS_getppid);
}

// ---- what is no filter ----

static void refuse(struct sock_filter *f, size_t n)
{
	CHECK_ERR(install(f, n, 0), EINVAL);
}
#define REFUSE(...)                                      \
	do {                                             \
		struct sock_filter f_[] = {__VA_ARGS__}; \
		refuse(f_, ARRAY(f_));                   \
	} while (0)

static void bad_programs(void)
{
	static struct sock_filter long_one[4097];
	struct sock_fprog nowhere = {1, (void *)8};
	unsigned action = SECCOMP_RET_LOG;

	refuse(long_one, 0);
	REFUSE(LOAD(nr));
	REFUSE(LOAD(nr), BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), RETURN(0));
	REFUSE(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), RETURN(0));
	REFUSE(BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), RETURN(0));
	REFUSE(BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0), RETURN(0));
	REFUSE(BPF_STMT(BPF_LD | BPF_MEM, 0), RETURN(0));
	REFUSE(BPF_STMT(BPF_ST, 16), RETURN(0));
	REFUSE(BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), RETURN(0));
	REFUSE(BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 3), RETURN(0));
	REFUSE(BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), RETURN(0));
	REFUSE(BPF_STMT(0xffff, 0), RETURN(0));
	REFUSE(BPF_STMT(BPF_JMP | BPF_JA, 1), RETURN(0));
	REFUSE(BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff), RETURN(0));
	REFUSE(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), RETURN(0));
	REFUSE(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 255), RETURN(0));
	// stored on one of two ways only
	REFUSE(LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), BPF_STMT(BPF_ST, 2),
	       BPF_STMT(BPF_LD | BPF_MEM, 2), RETURN(0));
	CHECK_ERR(seccomp(SECCOMP_SET_MODE_FILTER, 0, (void *)8), EFAULT);
	CHECK_ERR(seccomp(SECCOMP_SET_MODE_FILTER, 0, &nowhere), EFAULT);
	CHECK_ERR(seccomp(99, 0, NULL), EINVAL);
	CHECK_ERR(seccomp(SECCOMP_SET_MODE_STRICT, 1, NULL), EINVAL);
	CHECK_ERR(seccomp(SECCOMP_SET_MODE_FILTER, 1 << 20, NULL), EINVAL);
	CHECK_EQ(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &action), 0);
	action = 0x12340000;
	CHECK_ERR(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &action), EOPNOTSUPP);
	CHECK_ERR(prctl(PR_SET_SECCOMP, 3, NULL), EINVAL);
	// No more than 32,768 instructions in all
	for (unsigned i = 0; i < ARRAY(long_one); i++)
		long_one[i] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	refuse(long_one, 4097);
	int fit = 0; // Linux counts what it has made of them, which may be twice as many
	while (fit < 8 && !install(long_one, 4096, 0))
		fit++;
	CHECK(fit >= 3 && fit < 8 && errno == ENOMEM);
}

static void not_promised(void)
{
	struct sock_filter f[] = {RETURN(SECCOMP_RET_ALLOW)};
	pid_t pid = fork();
	int status;
	if (!pid) {
		if (!geteuid())
			CHECK(setgid(1000) == 0 && setuid(1000) == 0);
		CHECK_ERR(install(f, 1, 0), EACCES);
		CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
		CHECK_EQ(install(f, 1, 0), 0);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

// ---- children and threads ----

static void inherited(void)
{
	only(SYS_getppid, SECCOMP_RET_ERRNO | 55);
	int status;
	pid_t pid = fork();
	if (!pid)
		_exit(syscall(SYS_getppid) == -1 && errno == 55 && prctl(PR_GET_SECCOMP) == 2 ? 3
											      : 4);
	CHECK(waitpid(pid, &status, 0) == pid && status == 3 << 8);
	pid = fork();
	if (!pid) {
		execl("/proc/self/exe", "seccomp_filters", "child", NULL);
		_exit(5);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 3 << 8);
}

static volatile int go, ready;
static void *wait_and_call(void *arg)
{
	(void)arg;
	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	while (!go)
		usleep(1000);
	return (void *)(long)(syscall(SYS_getppid) == -1 && errno == 66);
}

static void *own_filter(void *arg)
{
	only(SYS_getsid, SECCOMP_RET_ERRNO | 1);
	return wait_and_call(arg);
}

// Gives way to whoever joins it, before it has quite ended.
static void *idle_filter(void *arg)
{
	struct sched_param none = {};
	CHECK_EQ(sched_setscheduler(0, SCHED_IDLE, &none), 0);
	only(SYS_getsid, SECCOMP_RET_ERRNO | 1);
	return arg;
}

static void all_threads(void)
{
	struct sock_filter f[] = {LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
				  RETURN(SECCOMP_RET_ERRNO | 66), RETURN(SECCOMP_RET_ALLOW)};
	pthread_t t[3], own;
	void *r;
	only(SYS_getpgid, SECCOMP_RET_ERRNO | 1); // they share it
	for (int i = 0; i < 3; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, wait_and_call, NULL), 0);
	while (ready < 3)
		usleep(1000);
	CHECK_EQ(install(f, ARRAY(f), SECCOMP_FILTER_FLAG_TSYNC), 0);
	go = 1;
	for (int i = 0; i < 3; i++) {
		pthread_join(t[i], &r);
		CHECK_EQ((long)r, 1);
	}
	go = ready = 0;
	CHECK_EQ(pthread_create(&own, NULL, own_filter, NULL), 0);
	while (ready < 1)
		usleep(1000);
	CHECK(install(f, ARRAY(f), SECCOMP_FILTER_FLAG_TSYNC) > 1); // whose filters are others
	CHECK_ERR(install(f, ARRAY(f), SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH),
		  ESRCH);
	go = 1;
	pthread_join(own, &r);
	cpu_set_t first;
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	CHECK_EQ(sched_setaffinity(0, sizeof(first), &first), 0);
	for (int i = 0; i < 200; i++) { // who was joined is gone
		CHECK_EQ(install(f, ARRAY(f), SECCOMP_FILTER_FLAG_TSYNC), 0);
		CHECK_EQ(pthread_create(&own, NULL, idle_filter, NULL), 0);
		pthread_join(own, &r);
	}
}

// ---- tracers ----

static void traced_body(void)
{
	CHECK_EQ(trace(PTRACE_TRACEME, 0, 0, 0), 0);
	CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	raise(SIGSTOP);
	only(SYS_getppid, SECCOMP_RET_TRACE | 0x99);
	CHECK_EQ(syscall(SYS_getppid), getppid());
	_exit(syscall(SYS_getppid) == getpgid(0) ? 6 : 7);
}

static void tracers(void)
{
	int status;
	unsigned long message = 0;
	struct ptrace_syscall_info info;
	pid_t pid = fork();
	if (!pid)
		traced_body();
	CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
	CHECK_EQ(trace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD),
		 0);
	for (int i = 0; i < 3; i++) { // libc's getppid is one of them
		trace(PTRACE_CONT, pid, 0, 0);
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK_EQ(status >> 8, SIGTRAP | PTRACE_EVENT_SECCOMP << 8);
		CHECK_EQ(trace(PTRACE_GETEVENTMSG, pid, 0, (unsigned long)&message), 0);
		CHECK_EQ(message, 0x99);
		CHECK_EQ(trace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), (unsigned long)&info),
			 84);
		CHECK_EQ(info.op, PTRACE_SYSCALL_INFO_SECCOMP);
		CHECK_EQ(info.seccomp.nr, SYS_getppid);
		CHECK_EQ(info.seccomp.ret_data, 0x99);
	}
	trace(PTRACE_SYSCALL, pid, 0, 0); // the call's end is told, too
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status >> 8, SIGTRAP | 0x80);
	CHECK_EQ(trace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), (unsigned long)&info), 33);
	CHECK_EQ(info.op, PTRACE_SYSCALL_INFO_EXIT);
	CHECK_EQ(info.exit.rval, getpid());
	trace(PTRACE_CONT, pid, 0, 0);
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "child"))
		return syscall(SYS_getppid) == -1 && errno == 55 ? 3 : 4;
	if (argc > 2 &&
	    !strcmp(argv[1], "exec")) { // for ptrace_elevate: runs a program with a filter
		only(SYS_getppid, SECCOMP_RET_ALLOW);
		execv(argv[2], argv + 2);
		return 98;
	}
	CHECK_EQ(in_child(strict_allowed), 7 << 8);
	CHECK_EQ(in_child(strict_refused), SIGKILL);
	CHECK_EQ(in_child(errno_verdict), 0);
	CHECK_EQ(in_child(kill_process) & 0x7f, SIGSYS);
	CHECK_EQ(in_child(unknown_verdict) & 0x7f, SIGSYS);
	CHECK_EQ(in_child(kill_thread), 9 << 8);
	CHECK_EQ(in_child(trap_verdict) & 0x7f, SIGSYS);
	CHECK_EQ(in_child(several) & 0x7f, SIGSYS);
	CHECK_EQ(in_child(sees), 0);
	CHECK_EQ(in_child(computes), 0);
	CHECK_EQ(in_child(divides_by_zero) & 0x7f, SIGSYS);
	CHECK_EQ(in_child(bad_programs), 0);
	not_promised();
	CHECK_EQ(in_child(inherited), 0);
	CHECK_EQ(in_child(all_threads), 0);
	tracers();
	return check_done("seccomp_filters");
}

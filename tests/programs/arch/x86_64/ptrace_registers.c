// SPDX-License-Identifier: MIT
// ptrace(2) and the registers of x86-64: what a tracer sees and may write, single steps,
// breakpoints in code and in debug registers, vector state.
#define _GNU_SOURCE
#include "tests/programs/ptrace_check.h"
#include <elf.h>
#include <linux/ptrace.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

enum {
	GETREGS = 12,
	SETREGS = 13,
	GETFPREGS = 14,
	SETFPREGS = 15,
	PEEKUSER = 3,
	POKEUSER = 6,
	CONT = 7,
	SYSEMU = 31
};

static struct user_regs_struct regs_of(pid_t pid)
{
	struct user_regs_struct r;
	memset(&r, 0xff, sizeof(r));
	CHECK_EQ(trace(GETREGS, pid, 0, (unsigned long)&r), 0);
	return r;
}

// Known values in all registers, then a breakpoint.
__attribute__((noinline)) static void body_pattern(void)
{
	__asm__ volatile("movq $0x1515, %%r15; movq $0x1414, %%r14; movq $0x1313, %%r13\n"
			 "movq $0x1212, %%r12; movq $0x1111, %%r11; movq $0x1010, %%r10\n"
			 "movq $0x9999, %%r9; movq $0x8888, %%r8; movq $0xaaaa, %%rax\n"
			 "movq $0xbbbb, %%rbx; movq $0xcccc, %%rcx; movq $0xdddd, %%rdx\n"
			 "movq $0x5151, %%rsi; movq $0xd1d1, %%rdi\n"
			 "int3\n"
			 "cmpq $0x77, %%r15; jne 1f; cmpq $0x66, %%rax; jne 1f\n"
			 "movl $9, %%edi; movl $231, %%eax; syscall\n"
			 "1:" ::
				 : "r15", "r14", "r13", "r12", "r11", "r10", "r9", "r8", "rax",
				   "rbx", "rcx", "rdx", "rsi", "rdi", "memory", "cc");
}

static void test_general(void)
{
	pid_t pid = spawn(body_pattern);
	trace(CONT, pid, 0, 0);
	EXPECT(pid, STOP_STATUS(SIGTRAP));
	CHECK_EQ(code_of(pid), SI_KERNEL);
	struct user_regs_struct r = regs_of(pid), again;
	CHECK_EQ(r.r15, 0x1515);
	CHECK_EQ(r.r11, 0x1111);
	CHECK_EQ(r.rax, 0xaaaa);
	CHECK_EQ(r.rcx, 0xcccc);
	CHECK_EQ(r.rdi, 0xd1d1);
	CHECK_EQ((long)r.orig_rax, -1);
	CHECK_EQ(r.cs, 0x33);
	CHECK_EQ(r.ss, 0x2b);
	CHECK(r.fs_base != 0 && r.fs_base < 0x7ffffffff000);
	CHECK_EQ(trace(PTRACE_PEEKTEXT, pid, r.rip - 1, (unsigned long)&again), 0);
	CHECK_EQ(*(unsigned char *)&again, 0xcc);
	unsigned long word;
	CHECK_EQ(trace(PEEKUSER, pid, offsetof(struct user_regs_struct, rbx), (unsigned long)&word),
		 0);
	CHECK_EQ(word, 0xbbbb);
	CHECK_ERR(trace(PEEKUSER, pid, 4, (unsigned long)&word), EIO);
	CHECK_ERR(trace(PEEKUSER, pid, 1 << 20, (unsigned long)&word), EIO);
	CHECK_EQ(trace(POKEUSER, pid, offsetof(struct user_regs_struct, rax), 0x66), 0);
	r = regs_of(pid);
	r.r15 = 0x77;
	CHECK_EQ(trace(SETREGS, pid, 0, (unsigned long)&r), 0);
	again = regs_of(pid);
	CHECK(!memcmp(&r, &again, sizeof(r)));

	// The same by regset, and a part of it.
	struct iovec iov = {&again, sizeof(again) + 64};
	memset(&again, 0, sizeof(again));
	CHECK_EQ(trace(PTRACE_GETREGSET, pid, NT_PRSTATUS, (unsigned long)&iov), 0);
	CHECK_EQ(iov.iov_len, sizeof(r));
	CHECK(!memcmp(&r, &again, sizeof(r)));
	iov.iov_len = 16; // r15, r14
	again.r14 = 0x4242;
	CHECK_EQ(trace(PTRACE_SETREGSET, pid, NT_PRSTATUS, (unsigned long)&iov), 0);
	CHECK_EQ(regs_of(pid).r14, 0x4242);
	CHECK_EQ(regs_of(pid).r13, 0x1313);
	iov.iov_len = 5;
	CHECK_ERR(trace(PTRACE_GETREGSET, pid, NT_PRSTATUS, (unsigned long)&iov), EINVAL);
	CHECK_ERR(trace(PTRACE_GETREGSET, pid, 0x999, (unsigned long)&iov), EINVAL);
	trace(CONT, pid, 0, 0);
	EXPECT(pid, 9 << 8);
}

// What would be privilege, or what the CPU would refuse.
static void test_refused(void)
{
	pid_t pid = spawn(body_pattern);
	struct user_regs_struct r = regs_of(pid), bad = r;
	bad.cs = 0x10;
	CHECK_ERR(trace(SETREGS, pid, 0, (unsigned long)&bad), EIO);
	bad = r;
	bad.ss = 0x18;
	CHECK_ERR(trace(SETREGS, pid, 0, (unsigned long)&bad), EIO);
	bad = r;
	bad.ds = 0x10;
	CHECK_ERR(trace(SETREGS, pid, 0, (unsigned long)&bad), EIO);
	CHECK_ERR(trace(POKEUSER, pid, offsetof(struct user_regs_struct, fs_base), -4096ul), EIO);
	CHECK_ERR(trace(POKEUSER, pid, offsetof(struct user_regs_struct, gs_base), 1ul << 63), EIO);
	bad = r;
	bad.eflags |= 0x3000 | 0x4000; // IOPL, NT
	bad.eflags &= ~0x200ul;	       // interrupts
	CHECK_EQ(trace(SETREGS, pid, 0, (unsigned long)&bad), 0);
	CHECK_EQ(regs_of(pid).eflags & 0x3200, 0x200);
	// Anywhere in the address space it may go, and find nothing there.
	static const unsigned long places[] = {
		0, 0x7ffffffff000, 1ul << 47, 0x8000000000000000, -4096ul, -1ul};
	finish(pid);
	for (unsigned i = 0; i < sizeof(places) / sizeof(*places); i++) {
		pid = spawn(body_pattern);
		r = regs_of(pid);
		r.rip = places[i];
		r.rsp = places[i];
		CHECK_EQ(trace(SETREGS, pid, 0, (unsigned long)&r), 0);
		trace(CONT, pid, 0, 0);
		EXPECT(pid, STOP_STATUS(SIGSEGV));
		trace(CONT, pid, 0, SIGSEGV);
		CHECK_EQ(wait_status(pid) & 0x7f, SIGSEGV);
	}
}

// ---- single steps ----

__attribute__((noinline)) static void body_steps(void)
{
	__asm__ volatile("int3; nop; nop; pushfq; popq %%rax; movl $110, %%eax; syscall; nop; nop\n"
			 "xchgw %%ax, %%ax; int3" ::
				 : "rax", "rcx", "r11", "memory");
}

static void test_steps(void)
{
	pid_t pid = spawn(body_steps);
	trace(CONT, pid, 0, 0);
	EXPECT(pid, STOP_STATUS(SIGTRAP));
	unsigned long at = regs_of(pid).rip;
	static const int lengths[] = {1, 1, 1, 1, 5, 2, 1, 1, 2};
	for (unsigned i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		trace(PTRACE_SINGLESTEP, pid, 0, 0);
		EXPECT(pid, STOP_STATUS(SIGTRAP));
		at += (unsigned)lengths[i];
		struct user_regs_struct r = regs_of(pid);
		CHECK_EQ(r.rip, at);
		CHECK_EQ(r.eflags & 0x100, 0); // ours, not the program's
		if (i != 5)
			CHECK_EQ(code_of(pid), 2); // TRAP_TRACE
	}
	CHECK_EQ(regs_of(pid).rax, (unsigned long)getpid()); // getppid was made
	trace(CONT, pid, 0, 0);
	EXPECT(pid, STOP_STATUS(SIGTRAP)); // no step is left over
	CHECK_EQ(code_of(pid), SI_KERNEL);
	trace(CONT, pid, 0, 0);
	EXPECT(pid, 7 << 8);
}

static volatile int handled;
static void on_signal(int sig)
{
	handled = sig;
}
static void body_handler(void)
{
	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	_exit(handled == SIGUSR1 ? 8 : 1);
}

// A step with a signal stops at the handler's first instruction, and sigreturn leaves no step.
static void test_step_into_handler(void)
{
	pid_t pid = spawn(body_handler);
	trace(CONT, pid, 0, 0);
	EXPECT(pid, STOP_STATUS(SIGUSR1));
	trace(PTRACE_SINGLESTEP, pid, 0, SIGUSR1);
	EXPECT(pid, STOP_STATUS(SIGTRAP));
	CHECK_EQ(regs_of(pid).rip, (unsigned long)on_signal);
	trace(CONT, pid, 0, 0);
	EXPECT(pid, 8 << 8);
}

// A program steps itself by the flag; the tracer's steps do not take that away.
static void body_nothing(void)
{
}

static void test_long_steps(void)
{
	pid_t pid = spawn(body_nothing);
	int status, n = 0, before = check_failures;
	for (;; n++) {
		trace(PTRACE_SINGLESTEP, pid, 0, 0);
		status = wait_status(pid);
		if (!WIFSTOPPED(status))
			break;
		CHECK_EQ(status, STOP_STATUS(SIGTRAP));
		if (check_failures != before)
			break;
	}
	CHECK_EQ(status, 7 << 8);
	CHECK(n > 20);
}

// ---- system calls from outside ----

static void body_call(void)
{
	long r = syscall(SYS_getppid);
	_exit(r == 1234 ? 11 : 12);
}

static void to_entry(pid_t pid, long nr)
{
	for (int i = 0; i < 100; i++) {
		trace(PTRACE_SYSCALL, pid, 0, 0);
		EXPECT(pid, STOP_STATUS(SIGTRAP));
		struct user_regs_struct r = regs_of(pid);
		if ((long)r.orig_rax == nr && (long)r.rax == -ENOSYS)
			return;
	}
	CHECK(0);
}

static void test_call_changed(void)
{
	pid_t pid = spawn(body_call); // skipped, result set at the end
	to_entry(pid, SYS_getppid);
	CHECK_EQ(trace(POKEUSER, pid, offsetof(struct user_regs_struct, orig_rax), -1ul), 0);
	trace(PTRACE_SYSCALL, pid, 0, 0);
	EXPECT(pid, STOP_STATUS(SIGTRAP));
	CHECK_EQ((long)regs_of(pid).rax, -ENOSYS);
	CHECK_EQ(trace(POKEUSER, pid, offsetof(struct user_regs_struct, rax), 1234), 0);
	trace(CONT, pid, 0, 0);
	EXPECT(pid, 11 << 8);

	pid = spawn(body_call); // another call with another argument instead
	to_entry(pid, SYS_getppid);
	struct user_regs_struct r = regs_of(pid);
	r.orig_rax = SYS_exit_group;
	r.rdi = 33;
	CHECK_EQ(trace(SETREGS, pid, 0, (unsigned long)&r), 0);
	trace(CONT, pid, 0, 0);
	EXPECT(pid, 33 << 8);

	pid = spawn(body_call); // no call at all
	trace(SYSEMU, pid, 0, 0);
	EXPECT(pid, STOP_STATUS(SIGTRAP));
	while ((long)regs_of(pid).orig_rax != SYS_getppid) {
		trace(SYSEMU, pid, 0, 0);
		EXPECT(pid, STOP_STATUS(SIGTRAP));
	}
	CHECK_EQ(trace(POKEUSER, pid, offsetof(struct user_regs_struct, rax), 1234), 0);
	trace(CONT, pid, 0, 0);
	EXPECT(pid, 11 << 8);
}

// A debugger calls a function in a tracee that a signal has taken out of a system call: saving and
// putting back all registers must lead to the call being made again.
static int pipe_fds[2];
static void body_read(void)
{
	char c = 0;
	_exit(read(pipe_fds[0], &c, 1) == 1 && c == 'x' ? 21 : 22);
}
__attribute__((noinline, used)) static void called(void)
{
	__asm__ volatile("int3");
}

static void test_call_inserted(void)
{
	CHECK_EQ(pipe(pipe_fds), 0);
	pid_t pid = spawn(body_read);
	trace(CONT, pid, 0, 0);
	usleep(30000);
	kill(pid, SIGUSR1);
	EXPECT(pid, STOP_STATUS(SIGUSR1));
	struct user_regs_struct saved = regs_of(pid), r = saved;
	CHECK_EQ(saved.orig_rax, SYS_read);
	CHECK_EQ((long)saved.rax, -512); // ERESTARTSYS
	r.rip = (unsigned long)called;
	r.rsp = (r.rsp - 256) & ~15ul;
	r.orig_rax = -1ul;
	CHECK_EQ(trace(SETREGS, pid, 0, (unsigned long)&r), 0);
	trace(CONT, pid, 0, 0);
	EXPECT(pid, STOP_STATUS(SIGTRAP));
	CHECK_EQ(trace(SETREGS, pid, 0, (unsigned long)&saved), 0);
	trace(CONT, pid, 0, 0);
	CHECK_EQ(write(pipe_fds[1], "x", 1), 1);
	EXPECT(pid, 21 << 8);
	close(pipe_fds[0]), close(pipe_fds[1]);
}

// ---- breakpoints ----

static volatile long watched;
__attribute__((noinline)) static void body_watched(void)
{
	watched = 1;
	__asm__ volatile("nop" ::: "memory");
	watched = 2;
	(void)!read(pipe_fds[0], (void *)&watched, 8); // the kernel writes
	watched = watched == 77 ? 3 : 4;
	called();
}

#define DEBUGREG(n) (offsetof(struct user, u_debugreg) + 8 * (n))

static void expect_watch(pid_t pid, long value)
{
	unsigned long dr6 = 0, now = 0;
	EXPECT(pid, STOP_STATUS(SIGTRAP));
	CHECK_EQ(code_of(pid), 4); // TRAP_HWBKPT
	CHECK_EQ(trace(PEEKUSER, pid, DEBUGREG(6), (unsigned long)&dr6), 0);
	CHECK_EQ(dr6 & 15, 1);
	CHECK_EQ(trace(POKEUSER, pid, DEBUGREG(6), 0), 0);
	CHECK_EQ(trace(PTRACE_PEEKDATA, pid, (unsigned long)&watched, (unsigned long)&now), 0);
	CHECK_EQ(now, value);
}

static void test_debug_registers(void)
{
	CHECK_EQ(pipe(pipe_fds), 0);
	pid_t pid = spawn(body_watched);
	unsigned long word = 1;
	CHECK_EQ(trace(PEEKUSER, pid, DEBUGREG(7), (unsigned long)&word), 0);
	CHECK_EQ(word & 0xff, 0);
	CHECK_ERR(trace(POKEUSER, pid, DEBUGREG(0), -4096ul), EINVAL);
	CHECK_ERR(trace(POKEUSER, pid, DEBUGREG(4), 0), EIO);
	CHECK_EQ(trace(POKEUSER, pid, DEBUGREG(0), (unsigned long)&watched), 0);
	CHECK_ERR(trace(POKEUSER, pid, DEBUGREG(7), 1 | 2 << 16), EINVAL);     // I/O
	CHECK_ERR(trace(POKEUSER, pid, DEBUGREG(7), 1 | 3 << 18), EINVAL);     // long code
	CHECK_EQ(trace(POKEUSER, pid, DEBUGREG(7), 1 | 1 << 16 | 2 << 18), 0); // 8 bytes written
	CHECK_EQ(trace(PEEKUSER, pid, DEBUGREG(0), (unsigned long)&word), 0);
	CHECK_EQ(word, (unsigned long)&watched);
	trace(CONT, pid, 0, 0);
	expect_watch(pid, 1);
	trace(CONT, pid, 0, 0);
	expect_watch(pid, 2);
	word = 77;
	CHECK_EQ(write(pipe_fds[1], &word, 8), 8);
	trace(CONT, pid, 0, 0);
	expect_watch(pid, 3); // not by read(2), but what comes after it
	CHECK_EQ(trace(POKEUSER, pid, DEBUGREG(7), 0), 0);
	trace(CONT, pid, 0, 0);
	EXPECT(pid, STOP_STATUS(SIGTRAP)); // int3
	CHECK_EQ(code_of(pid), SI_KERNEL);
	trace(CONT, pid, 0, 0);
	EXPECT(pid, 7 << 8);
	close(pipe_fds[0]), close(pipe_fds[1]);

	pid = spawn(body_handler); // of code
	CHECK_EQ(trace(POKEUSER, pid, DEBUGREG(1), (unsigned long)on_signal), 0);
	CHECK_EQ(trace(POKEUSER, pid, DEBUGREG(7), 4), 0);
	trace(CONT, pid, 0, 0);
	EXPECT(pid, STOP_STATUS(SIGUSR1));
	trace(CONT, pid, 0, SIGUSR1);
	EXPECT(pid, STOP_STATUS(SIGTRAP));
	CHECK_EQ(regs_of(pid).rip, (unsigned long)on_signal);
	CHECK_EQ(trace(POKEUSER, pid, DEBUGREG(7), 0), 0);
	trace(CONT, pid, 0, 0);
	EXPECT(pid, 8 << 8);
}

static void test_soft_breakpoint(void)
{
	pid_t pid = spawn(body_handler);
	unsigned long at = (unsigned long)on_signal, word;
	CHECK_EQ(trace(PTRACE_PEEKTEXT, pid, at, (unsigned long)&word), 0);
	CHECK_EQ(trace(PTRACE_POKETEXT, pid, at, (word & ~0xfful) | 0xcc), 0);
	trace(CONT, pid, 0, 0);
	EXPECT(pid, STOP_STATUS(SIGUSR1));
	trace(CONT, pid, 0, SIGUSR1);
	EXPECT(pid, STOP_STATUS(SIGTRAP));
	struct user_regs_struct r = regs_of(pid);
	CHECK_EQ(r.rip, at + 1);
	r.rip = at;
	CHECK_EQ(trace(PTRACE_POKETEXT, pid, at, word), 0);
	CHECK_EQ(trace(SETREGS, pid, 0, (unsigned long)&r), 0);
	trace(CONT, pid, 0, 0);
	EXPECT(pid, 8 << 8);
}

// ---- vector state ----

__attribute__((noinline)) static void body_vectors(void)
{
	unsigned long in[2] = {0x1122334455667788, 0x99aabbccddeeff00}, out[2];
	__asm__ volatile("movdqu %1, %%xmm9; fld1; int3; movdqu %%xmm9, %0; fstp %%st(0)"
			 : "=m"(out)
			 : "m"(in)
			 : "xmm9", "memory");
	_exit(out[0] == 5 && out[1] == 6 ? 31 : 32);
}

static void vectors(int get, int set, int type)
{
	static unsigned char image[16384] __attribute__((aligned(64)));
	pid_t pid = spawn(body_vectors);
	trace(CONT, pid, 0, 0);
	EXPECT(pid, STOP_STATUS(SIGTRAP));
	struct iovec iov = {image, sizeof(image)};
	struct user_fpregs_struct *fp = (void *)image;
	unsigned long arg = type ? (unsigned long)&iov : (unsigned long)image;
	CHECK_EQ(trace(get, pid, (unsigned long)type, arg), 0);
	unsigned long *xmm9 = (unsigned long *)(void *)&fp->xmm_space[9 * 4];
	CHECK_EQ(xmm9[0], 0x1122334455667788);
	CHECK_EQ(xmm9[1], 0x99aabbccddeeff00);
	CHECK_EQ(fp->cwd, 0x37f);
	CHECK_EQ(fp->mxcsr, 0x1f80);
	CHECK_EQ(((unsigned short *)(void *)fp->st_space)[4], 0x3fff); // 1.0
	xmm9[0] = 5;
	xmm9[1] = 6;
	fp->mxcsr |= 0x80000000;
	CHECK_ERR(trace(set, pid, (unsigned long)type, arg), EINVAL);
	fp->mxcsr = 0x1f80;
	if (type == NT_X86_XSTATE) {
		CHECK(iov.iov_len >= 576);
		((unsigned long *)image)[65] = 1; // XCOMP_BV
		CHECK_ERR(trace(set, pid, (unsigned long)type, arg), EINVAL);
		((unsigned long *)image)[65] = 0;
		((unsigned long *)image)[64] |= 1ul << 62;
		CHECK_ERR(trace(set, pid, (unsigned long)type, arg), EINVAL);
		((unsigned long *)image)[64] &= ~(1ul << 62);
		iov.iov_len -= 8;
		CHECK_ERR(trace(set, pid, (unsigned long)type, arg), EFAULT);
		iov.iov_len += 8;
	}
	CHECK_EQ(trace(set, pid, (unsigned long)type, arg), 0);
	trace(CONT, pid, 0, 0);
	EXPECT(pid, 31 << 8);
}

static void test_vectors(void)
{
	vectors(GETFPREGS, SETFPREGS, 0);
	vectors(PTRACE_GETREGSET, PTRACE_SETREGSET, NT_PRFPREG);
	vectors(PTRACE_GETREGSET, PTRACE_SETREGSET, NT_X86_XSTATE);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} tests[] = {
		{"general", test_general},
		{"refused", test_refused},
		{"steps", test_steps},
		{"step_into_handler", test_step_into_handler},
		{"long_steps", test_long_steps},
		{"call_changed", test_call_changed},
		{"call_inserted", test_call_inserted},
		{"debug_registers", test_debug_registers},
		{"soft_breakpoint", test_soft_breakpoint},
		{"vectors", test_vectors},
	};
	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		if (argc > 1 && strcmp(argv[1], tests[i].name))
			continue;
		int before = check_failures;
		alarm(60);
		tests[i].run();
		printf("%s: %s\n", tests[i].name, check_failures == before ? "ok" : "FAIL");
		fflush(stdout);
	}
	return check_done("ptrace_registers");
}

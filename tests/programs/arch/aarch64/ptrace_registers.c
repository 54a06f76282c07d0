// SPDX-License-Identifier: MIT
// ptrace(2) and the registers of AArch64: what a tracer sees and may write, single steps, calls
// changed from outside, breakpoints in code, vector state. Passes on Linux too.
#define _GNU_SOURCE
#include "tests/programs/ptrace_check.h"
#include <elf.h>
#include <linux/ptrace.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

enum { CONT = 7, SYSEMU = 31 };

static long regset(int request, pid_t pid, unsigned long type, void *data, size_t *size)
{
	struct iovec iov = {data, *size};
	long r = trace(request, pid, type, (unsigned long)&iov);
	*size = iov.iov_len;
	return r;
}

static struct user_regs_struct regs_of(pid_t pid)
{
	struct user_regs_struct r;
	size_t size = sizeof(r);
	memset(&r, 0xff, sizeof(r));
	CHECK_EQ(regset(PTRACE_GETREGSET, pid, NT_PRSTATUS, &r, &size), 0);
	CHECK_EQ(size, sizeof(r));
	return r;
}

static long regs_set(pid_t pid, const struct user_regs_struct *r)
{
	size_t size = sizeof(*r);
	return regset(PTRACE_SETREGSET, pid, NT_PRSTATUS, (void *)r, &size);
}

static int call_of(pid_t pid)
{
	int nr = -2;
	size_t size = sizeof(nr);
	CHECK_EQ(regset(PTRACE_GETREGSET, pid, NT_ARM_SYSTEM_CALL, &nr, &size), 0);
	return nr;
}

static void call_set(pid_t pid, int nr)
{
	size_t size = sizeof(nr);
	CHECK_EQ(regset(PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, &nr, &size), 0);
}

// Known values in registers, then a breakpoint.
__attribute__((noinline)) static void body_pattern(void)
{
	__asm__ volatile("mov x0, #0x1000\n mov x1, #0x1001\n mov x8, #0x1008\n mov x9, #0x1009\n"
			 "mov x15, #0x1015\n mov x18, #0x1018\n mov x28, #0x1028\n"
			 "cmp x0, x0\n brk #1\n"
			 "cmp x15, #0x77\n b.ne 1f\n cmp x0, #0x66\n b.ne 1f\n"
			 "mov x0, #9\n mov x8, #94\n svc #0\n" // exit_group
			 "1:" ::
				 : "x0", "x1", "x8", "x9", "x15", "x18", "x28", "memory", "cc");
}

static void test_general(void)
{
	pid_t pid = spawn(body_pattern);
	trace(CONT, pid, 0, 0);
	EXPECT(pid, STOP_STATUS(SIGTRAP));
	CHECK_EQ(code_of(pid), TRAP_BRKPT);
	struct user_regs_struct r = regs_of(pid), again;
	CHECK_EQ(r.regs[0], 0x1000);
	CHECK_EQ(r.regs[1], 0x1001);
	CHECK_EQ(r.regs[8], 0x1008);
	CHECK_EQ(r.regs[9], 0x1009);
	CHECK_EQ(r.regs[15], 0x1015);
	CHECK_EQ(r.regs[18], 0x1018);
	CHECK_EQ(r.regs[28], 0x1028);
	CHECK_EQ(r.pstate & 0xf000000f, 0x60000000); // Z and C; EL0
	CHECK_EQ(r.sp & 15, 0);
	unsigned long word;
	CHECK_EQ(trace(PTRACE_PEEKTEXT, pid, r.pc, (unsigned long)&word), 0);
	CHECK_EQ((unsigned)word, 0xd4200020); // at the breakpoint, not after it
	r.pc += 4;
	r.regs[15] = 0x77;
	r.regs[0] = 0x66;
	CHECK_EQ(regs_set(pid, &r), 0);
	again = regs_of(pid);
	CHECK(!memcmp(&r, &again, sizeof(r)));
	size_t size = 16; // x0, x1
	again.regs[1] = 0x4242;
	CHECK_EQ(regset(PTRACE_SETREGSET, pid, NT_PRSTATUS, &again, &size), 0);
	CHECK_EQ(regs_of(pid).regs[1], 0x4242);
	CHECK_EQ(regs_of(pid).regs[9], 0x1009);
	size = 5;
	CHECK_ERR(regset(PTRACE_GETREGSET, pid, NT_PRSTATUS, &again, &size), EINVAL);
	size = 8;
	CHECK_ERR(regset(PTRACE_GETREGSET, pid, 0x999, &again, &size), EINVAL);
	CHECK_ERR(trace(12, pid, 0, (unsigned long)&again), EIO); // PTRACE_GETREGS is not there
	unsigned long tls = 0;
	size = sizeof(tls);
	CHECK_EQ(regset(PTRACE_GETREGSET, pid, NT_ARM_TLS, &tls, &size), 0);
	CHECK_EQ(tls, (unsigned long)__builtin_thread_pointer()); // the child of a fork
	trace(CONT, pid, 0, 0);
	EXPECT(pid, 9 << 8);
}

// What would be privilege, or what the CPU would refuse.
static void test_refused(void)
{
	static const unsigned long modes[] = {4, 5, 8, 9, 12, 13, 0x10, 0x3c0 | 5};
	pid_t pid = spawn(body_pattern);
	struct user_regs_struct r = regs_of(pid), bad = r;
	for (unsigned i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		bad.pstate = (r.pstate & ~0x1ful) | modes[i];
		CHECK_ERR(regs_set(pid, &bad), EINVAL);
		CHECK_EQ(regs_of(pid).pstate, r.pstate);
	}
	bad = r;
	bad.pstate |= 0x3c0; // interrupts off
	if (!regs_set(pid, &bad))
		CHECK_EQ(regs_of(pid).pstate & 0x3c0, 0);
	finish(pid);
	// Anywhere in the address space it may go, and find nothing there.
	static const unsigned long places[] = {
		0,	 0x7ffffffff000, 1ul << 48,	     1ul << 63,
		-4096ul, -8ul,		 0xffff800000000000, 0xffffffff80000000};
	for (unsigned i = 0; i < sizeof(places) / sizeof(*places); i++) {
		pid = spawn(body_pattern);
		r = regs_of(pid);
		r.pc = places[i];
		r.sp = places[i];
		CHECK_EQ(regs_set(pid, &r), 0);
		trace(CONT, pid, 0, 0);
		EXPECT(pid, STOP_STATUS(SIGSEGV));
		trace(CONT, pid, 0, SIGSEGV);
		CHECK_EQ(wait_status(pid) & 0x7f, SIGSEGV);
	}
}

// ---- single steps ----

__attribute__((noinline)) static void body_steps(void)
{
	__asm__ volatile("brk #1\n nop\n nop\n mov x8, %0\n svc #0\n nop\n b 1f\n udf #1\n1: nop\n"
			 "brk #2" ::"i"(SYS_getppid)
			 : "x0", "x8", "memory");
}

static void step_over_breakpoint(pid_t pid)
{
	struct user_regs_struct r = regs_of(pid);
	r.pc += 4;
	CHECK_EQ(regs_set(pid, &r), 0);
}

static void test_steps(void)
{
	static const int lengths[] = {4, 4, 4, 4, 4, 8, 4};
	pid_t pid = spawn(body_steps);
	trace(CONT, pid, 0, 0);
	EXPECT(pid, STOP_STATUS(SIGTRAP));
	step_over_breakpoint(pid);
	unsigned long at = regs_of(pid).pc;
	for (unsigned i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		trace(PTRACE_SINGLESTEP, pid, 0, 0);
		EXPECT(pid, STOP_STATUS(SIGTRAP));
		at += (unsigned)lengths[i];
		struct user_regs_struct r = regs_of(pid);
		CHECK_EQ(r.pc, at);
		CHECK_EQ(r.pstate & 1ul << 21, 0); // ours, not the program's
	}
	CHECK_EQ(regs_of(pid).regs[0], (unsigned long)getpid()); // getppid was made
	trace(CONT, pid, 0, 0);
	EXPECT(pid, STOP_STATUS(SIGTRAP)); // no step is left over
	CHECK_EQ(code_of(pid), TRAP_BRKPT);
	step_over_breakpoint(pid);
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
	CHECK_EQ(regs_of(pid).pc, (unsigned long)on_signal);
	trace(CONT, pid, 0, 0);
	EXPECT(pid, 8 << 8);
}

static void body_nothing(void)
{
}

// To the very end.
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
		if (call_of(pid) == nr &&
		    regs_of(pid).regs[7] == 0) // x7: 0 at the entry, 1 at the end
			return;
	}
	CHECK(0);
}

static void result_set(pid_t pid, long value)
{
	struct user_regs_struct r = regs_of(pid);
	r.regs[0] = (unsigned long)value;
	CHECK_EQ(regs_set(pid, &r), 0);
}

static void test_call_changed(void)
{
	pid_t pid = spawn(body_call); // skipped, result set at the end
	to_entry(pid, SYS_getppid);
	call_set(pid, -1);
	trace(PTRACE_SYSCALL, pid, 0, 0);
	EXPECT(pid, STOP_STATUS(SIGTRAP));
	result_set(pid, 1234);
	trace(CONT, pid, 0, 0);
	EXPECT(pid, 11 << 8);

	pid = spawn(body_call); // another call with another argument instead
	to_entry(pid, SYS_getppid);
	call_set(pid, SYS_exit_group);
	result_set(pid, 33);
	trace(CONT, pid, 0, 0);
	EXPECT(pid, 33 << 8);
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
	__asm__ volatile("brk #3");
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
	r.pc = (unsigned long)called;
	r.sp = (r.sp - 256) & ~15ul;
	CHECK_EQ(regs_set(pid, &r), 0);
	call_set(pid, -1);
	trace(CONT, pid, 0, 0);
	EXPECT(pid, STOP_STATUS(SIGTRAP));
	CHECK_EQ(regs_of(pid).pc, (unsigned long)called);
	CHECK_EQ(regs_set(pid, &saved), 0);
	trace(CONT, pid, 0, 0);
	CHECK_EQ(write(pipe_fds[1], "x", 1), 1);
	EXPECT(pid, 21 << 8);
	close(pipe_fds[0]), close(pipe_fds[1]);
}

static void test_soft_breakpoint(void)
{
	pid_t pid = spawn(body_handler);
	unsigned long at = (unsigned long)on_signal, word;
	CHECK_EQ(trace(PTRACE_PEEKTEXT, pid, at, (unsigned long)&word), 0);
	CHECK_EQ(trace(PTRACE_POKETEXT, pid, at, (word & ~0xfffffffful) | 0xd4200000), 0);
	trace(CONT, pid, 0, 0);
	EXPECT(pid, STOP_STATUS(SIGUSR1));
	trace(CONT, pid, 0, SIGUSR1);
	EXPECT(pid, STOP_STATUS(SIGTRAP));
	CHECK_EQ(regs_of(pid).pc, at);
	CHECK_EQ(trace(PTRACE_POKETEXT, pid, at, word), 0);
	trace(CONT, pid, 0, 0);
	EXPECT(pid, 8 << 8);
}

// ---- vector state ----

__attribute__((noinline)) static void body_vectors(void)
{
	unsigned long in[2] = {0x1122334455667788, 0x99aabbccddeeff00}, out[2];
	__asm__ volatile("ldr q9, %1\n brk #1\n str q9, %0" : "=m"(out) : "m"(in) : "v9", "memory");
	_exit(out[0] == 5 && out[1] == 6 ? 31 : 32);
}

static void test_vectors(void)
{
	struct user_fpsimd_struct v;
	unsigned long q9[2];
	size_t size = sizeof(v);
	pid_t pid = spawn(body_vectors);
	trace(CONT, pid, 0, 0);
	EXPECT(pid, STOP_STATUS(SIGTRAP));
	CHECK_EQ(regset(PTRACE_GETREGSET, pid, NT_PRFPREG, &v, &size), 0);
	memcpy(q9, &v.vregs[9], 16);
	CHECK_EQ(q9[0], 0x1122334455667788);
	CHECK_EQ(q9[1], 0x99aabbccddeeff00);
	memcpy(&v.vregs[9], (unsigned long[]){5, 6}, 16);
	v.fpcr = 1u << 22; // rounds up
	CHECK_EQ(regset(PTRACE_SETREGSET, pid, NT_PRFPREG, &v, &size), 0);
	v.fpcr = 0;
	CHECK_EQ(regset(PTRACE_GETREGSET, pid, NT_PRFPREG, &v, &size), 0);
	CHECK_EQ(v.fpcr, 1u << 22);
	step_over_breakpoint(pid);
	trace(CONT, pid, 0, 0);
	EXPECT(pid, 31 << 8);
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

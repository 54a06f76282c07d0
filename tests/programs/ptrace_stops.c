// SPDX-License-Identifier: MIT
// ptrace(2): stops, events, signals, waiting, memory, rights and errors. Registers are in
// arch/.../ptrace_registers.c.
#define _GNU_SOURCE
#include "tests/programs/ptrace_check.h"
#include <fcntl.h>
#include <linux/ptrace.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#define EVENT_STATUS(event) (SIGTRAP << 8 | 0x7f | (event) << 16)

static pid_t spawn_with(void (*body)(void), unsigned long options)
{
	pid_t pid = spawn(body);
	CHECK_EQ(trace(PTRACE_SETOPTIONS, pid, 0, options), 0);
	return pid;
}

static void body_empty(void)
{
}

static unsigned long event_message(pid_t pid)
{
	unsigned long message = ~0ul;
	CHECK_EQ(trace(PTRACE_GETEVENTMSG, pid, 0, (unsigned long)&message), 0);
	return message;
}

static int tracer_of(pid_t pid)
{
	char path[64], line[256];
	int tracer = -1;
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "TracerPid: %d", &tracer);
	if (f)
		fclose(f);
	return tracer;
}

static char state_of(pid_t pid)
{
	char path[64], text[512] = "";
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	char *p = n > 0 ? strrchr(text, ')') : NULL;
	return p ? p[2] : 0;
}

static void await_state(pid_t pid, char state)
{
	for (int i = 0; i < 5000 && state_of(pid) != state; i++)
		usleep(1000);
	CHECK_EQ(state_of(pid), state);
}

// ---- TRACEME, CONT, what a parent sees ----

static void test_traceme(void)
{
	pid_t pid = spawn(body_empty);
	CHECK_EQ(tracer_of(pid), getpid());
	CHECK_EQ(state_of(pid), 't');
	CHECK_ERR(trace(PTRACE_ATTACH, pid, 0, 0), EPERM);
	CHECK_ERR(trace(PTRACE_CONT, pid, 0, 65), EIO);
	CHECK_ERR(trace(PTRACE_LISTEN, pid, 0, 0), EIO);
	CHECK_ERR(trace(PTRACE_INTERRUPT, pid, 0, 0), EIO);
	CHECK_ERR(trace(12345, pid, 0, 0), EIO);
	CHECK_ERR(trace(PTRACE_SETOPTIONS, pid, 0, 1 << 15), EINVAL);
	CHECK_EQ(trace(PTRACE_CONT, pid, 0, 0), 0);
	EXPECT(pid, 7 << 8);
	CHECK_ERR(waitpid(pid, NULL, __WALL), ECHILD);
}

static void test_errors(void)
{
	CHECK_ERR(trace(PTRACE_CONT, getpid(), 0, 0), ESRCH);
	CHECK_ERR(trace(PTRACE_ATTACH, getpid(), 0, 0), EPERM);
	CHECK_ERR(trace(PTRACE_ATTACH, 0x3ffffe, 0, 0), ESRCH);
	CHECK_ERR(trace(PTRACE_ATTACH, -1, 0, 0), ESRCH);
	CHECK_ERR(trace(PTRACE_SEIZE, getppid(), 1, 0), EIO);
	CHECK_ERR(trace(PTRACE_SEIZE, getppid(), 0, 1u << 31), EIO);
	pid_t pid = fork();
	if (!pid) {
		pause();
		_exit(0);
	}
	unsigned long word;
	CHECK_ERR(trace(PTRACE_PEEKDATA, pid, 0, (unsigned long)&word), ESRCH); // not traced
	CHECK_ERR(trace(PTRACE_DETACH, pid, 0, 0), ESRCH);
	CHECK_ERR(trace(PTRACE_KILL, pid, 0, 0), ESRCH);
	CHECK_EQ(trace(PTRACE_SEIZE, pid, 0, 0), 0);
	CHECK_ERR(trace(PTRACE_PEEKDATA, pid, 0, (unsigned long)&word), ESRCH); // not stopped
	CHECK_ERR(trace(PTRACE_CONT, pid, 0, 0), ESRCH);
	finish(pid);
	CHECK_ERR(trace(PTRACE_CONT, pid, 0, 0), ESRCH);
}

// ---- signals ----

static atomic_int *shared; // a page that both sides see

static void on_signal(int sig)
{
	shared[sig]++;
}

static void body_signals(void)
{
	signal(SIGUSR1, on_signal);
	signal(SIGUSR2, on_signal);
	signal(SIGCHLD, SIG_DFL);
	raise(SIGUSR1); // passed on
	raise(SIGUSR1); // suppressed
	raise(SIGUSR1); // changed into SIGUSR2
	raise(SIGCHLD); // ignored by default, yet told
	kill(getpid(), SIGTERM);
}

static void test_signals(void)
{
	memset(shared, 0, 4096);
	pid_t pid = spawn(body_signals);
	siginfo_t si;
	trace(PTRACE_CONT, pid, 0, 0);
	EXPECT(pid, STOP_STATUS(SIGUSR1));
	memset(&si, 0xff, sizeof(si));
	CHECK_EQ(trace(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&si), 0);
	CHECK_EQ(si.si_signo, SIGUSR1);
	CHECK_EQ(si.si_code, SI_TKILL);
	CHECK_EQ(si.si_pid, pid);
	trace(PTRACE_CONT, pid, 0, SIGUSR1);
	EXPECT(pid, STOP_STATUS(SIGUSR1));
	trace(PTRACE_CONT, pid, 0, 0);
	EXPECT(pid, STOP_STATUS(SIGUSR1));
	trace(PTRACE_CONT, pid, 0, SIGUSR2);
	EXPECT(pid, STOP_STATUS(SIGCHLD));
	CHECK_EQ(shared[SIGUSR1], 1);
	CHECK_EQ(shared[SIGUSR2], 1);
	trace(PTRACE_CONT, pid, 0, SIGCHLD);
	EXPECT(pid, STOP_STATUS(SIGTERM));
	trace(PTRACE_CONT, pid, 0, SIGTERM);
	EXPECT(pid, SIGTERM);
}

static void body_queue(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (int i = 0; i < 3; i++)
		sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 10 + i});
	raise(SIGSTOP);
}

static void test_queues(void)
{
	pid_t pid = spawn(body_queue);
	trace(PTRACE_CONT, pid, 0, 0);
	EXPECT(pid, STOP_STATUS(SIGSTOP));
	siginfo_t si[4];
	struct ptrace_peeksiginfo_args args = {
		.off = 1, .flags = PTRACE_PEEKSIGINFO_SHARED, .nr = 4};
	CHECK_EQ(trace(PTRACE_PEEKSIGINFO, pid, (unsigned long)&args, (unsigned long)si), 2);
	CHECK_EQ(si[0].si_value.sival_int, 11);
	CHECK_EQ(si[1].si_value.sival_int, 12);
	args.flags = 0;
	args.off = 0;
	CHECK_EQ(trace(PTRACE_PEEKSIGINFO, pid, (unsigned long)&args, (unsigned long)si), 0);
	args.flags = 4;
	CHECK_ERR(trace(PTRACE_PEEKSIGINFO, pid, (unsigned long)&args, (unsigned long)si), EINVAL);
	unsigned long mask = 0;
	CHECK_EQ(trace(PTRACE_GETSIGMASK, pid, 8, (unsigned long)&mask), 0);
	CHECK_EQ(mask, 1ul << (SIGRTMIN - 1));
	CHECK_ERR(trace(PTRACE_GETSIGMASK, pid, 4, (unsigned long)&mask), EINVAL);
	mask = 0;
	CHECK_EQ(trace(PTRACE_SETSIGMASK, pid, 8, (unsigned long)&mask), 0);
	trace(PTRACE_CONT, pid, 0, 0); // unblocked: three stops
	for (int i = 0; i < 3; i++) {
		EXPECT(pid, STOP_STATUS(SIGRTMIN));
		CHECK_EQ(trace(PTRACE_GETSIGINFO, pid, 0, (unsigned long)si), 0);
		CHECK_EQ(si->si_value.sival_int, 10 + i);
		trace(PTRACE_CONT, pid, 0, 0);
	}
	EXPECT(pid, 7 << 8);
}

static void on_info(int sig, siginfo_t *si, void *context)
{
	(void)context;
	shared[sig] = si->si_value.sival_int;
}

static void body_siginfo(void)
{
	struct sigaction a = {.sa_flags = SA_SIGINFO, .sa_sigaction = on_info};
	sigaction(SIGUSR1, &a, NULL);
	raise(SIGUSR1);
}

static void test_setsiginfo(void)
{
	memset(shared, 0, 4096);
	pid_t pid = spawn(body_siginfo);
	trace(PTRACE_CONT, pid, 0, 0);
	EXPECT(pid, STOP_STATUS(SIGUSR1));
	siginfo_t si = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
	si.si_value.sival_int = 4711;
	CHECK_EQ(trace(PTRACE_SETSIGINFO, pid, 0, (unsigned long)&si), 0);
	CHECK_ERR(trace(PTRACE_SETSIGINFO, pid, 0, 8), EFAULT);
	trace(PTRACE_CONT, pid, 0, SIGUSR1);
	EXPECT(pid, 7 << 8);
	CHECK_EQ(shared[SIGUSR1], 4711);
}

// ---- system calls ----

static void body_calls(void)
{
	syscall(SYS_getppid);
	syscall(SYS_close, -1);
}

static struct ptrace_syscall_info call_info(pid_t pid, int status)
{
	struct ptrace_syscall_info s = {};
	trace(PTRACE_SYSCALL, pid, 0, 0);
	EXPECT(pid, status);
	long len = trace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(s), (unsigned long)&s);
	CHECK(len >= 24);
	return s;
}

static void test_calls(void)
{
	int good = STOP_STATUS(SIGTRAP | 0x80);
	pid_t pid = spawn_with(body_calls, PTRACE_O_TRACESYSGOOD);
	struct ptrace_syscall_info s;
	s = call_info(pid, good); // the tail of raise()
	while (s.op != PTRACE_SYSCALL_INFO_ENTRY || s.entry.nr != SYS_getppid)
		s = call_info(pid, good);
	s = call_info(pid, good);
	CHECK_EQ(s.op, PTRACE_SYSCALL_INFO_EXIT);
	CHECK_EQ(s.exit.rval, getpid());
	CHECK_EQ(s.exit.is_error, 0);
	s = call_info(pid, good);
	CHECK_EQ(s.op, PTRACE_SYSCALL_INFO_ENTRY);
	CHECK_EQ(s.entry.nr, SYS_close);
	CHECK_EQ((int)s.entry.args[0], -1);
	siginfo_t si;
	CHECK_EQ(trace(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&si), 0);
	CHECK_EQ(si.si_code, SIGTRAP | 0x80);
	CHECK_EQ(si.si_signo, SIGTRAP);
	s = call_info(pid, good);
	CHECK_EQ(s.exit.rval, -EBADF);
	CHECK_EQ(s.exit.is_error, 1);
	s = call_info(pid, good);
	CHECK_EQ(s.entry.nr, SYS_exit_group);
	trace(PTRACE_SYSCALL, pid, 0, 0);
	EXPECT(pid, 7 << 8);
}

static void body_sleep(void)
{
	struct timespec t = {0, 300000000};
	nanosleep(&t, NULL);
}

// A signal that is suppressed must not be seen by the call that it interrupted.
static void test_restart(void)
{
	pid_t pid = spawn(body_sleep);
	trace(PTRACE_CONT, pid, 0, 0);
	usleep(50000);
	kill(pid, SIGUSR1);
	EXPECT(pid, STOP_STATUS(SIGUSR1));
	struct timespec from, to;
	clock_gettime(CLOCK_MONOTONIC, &from);
	trace(PTRACE_CONT, pid, 0, 0);
	EXPECT(pid, 7 << 8);
	clock_gettime(CLOCK_MONOTONIC, &to);
	long ms = (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000;
	CHECK(ms >= 100); // it slept on
}

// ---- memory ----

static long victim = 0x1122334455667788;
static const long constant = 0x0102030405060708;

static void body_memory(void)
{
	raise(SIGSTOP);
	if (victim == 42 && *(volatile const long *)&constant == 43)
		_exit(1);
}

static void test_memory(void)
{
	pid_t pid = spawn(body_memory);
	trace(PTRACE_CONT, pid, 0, 0);
	EXPECT(pid, STOP_STATUS(SIGSTOP));
	long word = 0;
	CHECK_EQ(trace(PTRACE_PEEKDATA, pid, (unsigned long)&victim, (unsigned long)&word), 0);
	CHECK_EQ(word, victim);
	CHECK_EQ(trace(PTRACE_POKEDATA, pid, (unsigned long)&victim, 42), 0);
	CHECK_EQ(trace(PTRACE_POKETEXT, pid, (unsigned long)&constant, 43), 0); // read-only
	CHECK_EQ(constant, 0x0102030405060708);
	CHECK_ERR(trace(PTRACE_PEEKDATA, pid, 8, (unsigned long)&word), EIO);
	CHECK_ERR(trace(PTRACE_POKEDATA, pid, 8, 1), EIO);
	CHECK_ERR(trace(PTRACE_PEEKDATA, pid, -4096ul, (unsigned long)&word), EIO);
	CHECK_ERR(trace(PTRACE_PEEKDATA, pid, (unsigned long)&victim, 8), EFAULT);
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	int fd = open(path, O_RDWR);
	CHECK(fd >= 0);
	CHECK_EQ(pread(fd, &word, 8, (off_t)(unsigned long)&victim), 8);
	CHECK_EQ(word, 42);
	word = 41;
	CHECK_EQ(pwrite(fd, &word, 8, (off_t)(unsigned long)&constant), 8);
	CHECK_EQ(trace(PTRACE_PEEKTEXT, pid, (unsigned long)&constant, (unsigned long)&word), 0);
	CHECK_EQ(word, 41);
	word = 43;
	struct iovec mine = {&word, 8}, its = {(void *)&victim, 8};
	CHECK_EQ(pwrite(fd, &word, 8, (off_t)(unsigned long)&constant), 8);
	CHECK_EQ(process_vm_readv(pid, &mine, 1, &its, 1, 0), 8);
	CHECK_EQ(word, 42);
	CHECK_EQ(process_vm_writev(pid, &mine, 1, &its, 1, 0), 8);
	close(fd);
	trace(PTRACE_CONT, pid, 0, 0);
	EXPECT(pid, 1 << 8);
}

// ---- events ----

static void *thread_end(void *arg)
{
	return arg;
}

static void body_fork(void)
{
	pid_t pid = fork();
	if (!pid)
		_exit(3);
	waitpid(pid, NULL, 0);
	pid = vfork();
	if (!pid)
		_exit(4);
	waitpid(pid, NULL, 0);
	pthread_t t;
	pthread_create(&t, NULL, thread_end, NULL);
	pthread_join(t, NULL);
}

#define O_FORKS \
	(PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEVFORKDONE)

// The next event of pid, signals passed by.
static int next_event(pid_t pid)
{
	for (;;) {
		int status = wait_status(pid);
		if (!WIFSTOPPED(status) || status >> 16)
			return status;
		int sig = WSTOPSIG(status);
		trace(PTRACE_CONT, pid, 0, (unsigned long)(sig == SIGSTOP ? 0 : sig));
	}
}

static void forks(bool seize)
{
	pid_t pid = spawn_with(body_fork, seize ? 0 : O_FORKS);
	int first = seize ? EVENT_STATUS(PTRACE_EVENT_STOP) : STOP_STATUS(SIGSTOP);
	if (seize) { // from one kind of tracing to the other
		CHECK_EQ(trace(PTRACE_DETACH, pid, 0, SIGSTOP), 0);
		CHECK_EQ(waitpid(pid, &(int){0}, WUNTRACED), pid);
		CHECK_EQ(trace(PTRACE_SEIZE, pid, 0, O_FORKS), 0);
		EXPECT(pid, SIGSTOP << 8 | 0x7f | PTRACE_EVENT_STOP << 16);
		kill(pid, SIGCONT);
	}
	trace(PTRACE_CONT, pid, 0, 0);
	int wanted[] = {PTRACE_EVENT_FORK, PTRACE_EVENT_VFORK, PTRACE_EVENT_CLONE};
	for (int i = 0; i < 3; i++) {
		int status = next_event(pid);
		while (status >> 16 == PTRACE_EVENT_STOP) { // SIGCONT
			trace(PTRACE_CONT, pid, 0, 0);
			status = next_event(pid);
		}
		CHECK_EQ(status, EVENT_STATUS(wanted[i]));
		pid_t child = (pid_t)event_message(pid);
		CHECK(child > 0 && child != pid);
		EXPECT(child, first);
		CHECK_EQ(tracer_of(child), getpid());
		trace(PTRACE_CONT, pid, 0, 0);
		trace(PTRACE_CONT, child, 0, 0);
		int end = next_event(child);
		if (i == 2) // a thread whose process may end at the same time
			CHECK(end == 0 || end == 7 << 8);
		else
			CHECK_EQ(end, (3 + i) << 8);
		if (i == 1) {
			CHECK_EQ(next_event(pid), EVENT_STATUS(PTRACE_EVENT_VFORK_DONE));
			CHECK_EQ(event_message(pid), child);
			trace(PTRACE_CONT, pid, 0, 0);
		}
	}
	CHECK_EQ(next_event(pid), 7 << 8);
	CHECK_ERR(waitpid(-1, NULL, __WALL | WNOHANG), ECHILD);
}

static void test_forks(void)
{
	forks(false);
}

static void test_forks_seized(void)
{
	forks(true);
}

static void body_exec(void)
{
	execl("/proc/self/exe", "ptrace_stops", "exit5", NULL);
}

static void test_exec(void)
{
	pid_t pid = spawn_with(body_exec, PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT);
	trace(PTRACE_CONT, pid, 0, 0);
	EXPECT(pid, EVENT_STATUS(PTRACE_EVENT_EXEC));
	CHECK_EQ(event_message(pid), pid);
	trace(PTRACE_SYSCALL, pid, 0, 0);
	EXPECT(pid, STOP_STATUS(SIGTRAP)); // the end of execve
	trace(PTRACE_CONT, pid, 0, 0);
	EXPECT(pid, EVENT_STATUS(PTRACE_EVENT_EXIT));
	CHECK_EQ(event_message(pid), 5 << 8);
	trace(PTRACE_CONT, pid, 0, 0);
	EXPECT(pid, 5 << 8);

	pid = spawn(body_exec); // without the option it is a signal
	trace(PTRACE_CONT, pid, 0, 0);
	EXPECT(pid, STOP_STATUS(SIGTRAP));
	trace(PTRACE_CONT, pid, 0, 0);
	EXPECT(pid, 5 << 8);
}

static void *thread_exec(void *arg)
{
	(void)arg;
	body_exec();
	return NULL;
}

static void body_thread_exec(void)
{
	pthread_t t;
	pthread_create(&t, NULL, thread_exec, NULL);
	for (;;)
		pause();
}

// Another thread than the leader execs: it becomes the leader, under the leader's number.
static void test_thread_exec(void)
{
	pid_t pid = spawn_with(body_thread_exec, PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC);
	trace(PTRACE_CONT, pid, 0, 0);
	EXPECT(pid, EVENT_STATUS(PTRACE_EVENT_CLONE));
	pid_t tid = (pid_t)event_message(pid);
	EXPECT(tid, STOP_STATUS(SIGSTOP));
	trace(PTRACE_CONT, pid, 0, 0);
	trace(PTRACE_CONT, tid, 0, 0);
	EXPECT(pid, EVENT_STATUS(PTRACE_EVENT_EXEC));
	CHECK_EQ(event_message(pid), tid);
	CHECK_ERR(trace(PTRACE_CONT, tid, 0, 0), ESRCH);
	trace(PTRACE_CONT, pid, 0, 0);
	EXPECT(pid, 5 << 8);
	CHECK_ERR(waitpid(-1, NULL, __WALL | WNOHANG), ECHILD);
}

// ---- attaching and letting go ----

static pid_t spawn_plain(void (*body)(void))
{
	pid_t pid = fork();
	if (!pid) {
		body();
		_exit(7);
	}
	return pid;
}

static void body_pause(void)
{
	signal(SIGUSR1, on_signal);
	for (;;)
		pause();
}

static void test_attach(void)
{
	memset(shared, 0, 4096);
	pid_t pid = spawn_plain(body_pause);
	await_state(pid, 'S');
	CHECK_EQ(trace(PTRACE_ATTACH, pid, 0, 0), 0);
	EXPECT(pid, STOP_STATUS(SIGSTOP));
	CHECK_EQ(trace(PTRACE_DETACH, pid, 0, SIGUSR1), 0);
	await_state(pid, 'S');
	for (int i = 0; i < 1000 && !shared[SIGUSR1]; i++)
		usleep(1000);
	CHECK_EQ(shared[SIGUSR1], 1);
	CHECK_EQ(tracer_of(pid), 0);

	kill(pid, SIGSTOP); // attaching to a stopped process
	CHECK_EQ(waitpid(pid, &(int){0}, WUNTRACED), pid);
	CHECK_EQ(trace(PTRACE_ATTACH, pid, 0, 0), 0);
	EXPECT(pid, STOP_STATUS(SIGSTOP));
	CHECK_EQ(state_of(pid), 't');
	CHECK_EQ(trace(PTRACE_DETACH, pid, 0, 0), 0);
	await_state(pid, 'T'); // still stopped by job control
	kill(pid, SIGCONT);
	finish(pid);
}

static void test_seize(void)
{
	pid_t pid = spawn_plain(body_pause);
	await_state(pid, 'S');
	CHECK_EQ(trace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD), 0);
	CHECK_EQ(waitpid(pid, &(int){0}, __WALL | WNOHANG), 0);
	CHECK_EQ(trace(PTRACE_INTERRUPT, pid, 0, 0), 0);
	EXPECT(pid, EVENT_STATUS(PTRACE_EVENT_STOP));
	trace(PTRACE_CONT, pid, 0, 0);

	kill(pid, SIGSTOP); // first the signal, then job control's stop
	EXPECT(pid, STOP_STATUS(SIGSTOP));
	trace(PTRACE_CONT, pid, 0, SIGSTOP);
	EXPECT(pid, SIGSTOP << 8 | 0x7f | PTRACE_EVENT_STOP << 16);
	siginfo_t si;
	CHECK_EQ(trace(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&si), 0);
	CHECK_EQ(si.si_code, SIGSTOP | PTRACE_EVENT_STOP << 8);
	CHECK_EQ(trace(PTRACE_LISTEN, pid, 0, 0), 0);
	CHECK_ERR(trace(PTRACE_CONT, pid, 0, 0), ESRCH); // listening is no stop for requests
	kill(pid, SIGCONT);
	EXPECT(pid, EVENT_STATUS(PTRACE_EVENT_STOP));
	trace(PTRACE_CONT, pid, 0, 0);
	EXPECT(pid, STOP_STATUS(SIGCONT));
	trace(PTRACE_CONT, pid, 0, SIGCONT);
	CHECK_EQ(trace(PTRACE_INTERRUPT, pid, 0, 0), 0);
	EXPECT(pid, EVENT_STATUS(PTRACE_EVENT_STOP));
	CHECK_EQ(trace(PTRACE_DETACH, pid, 0, 0), 0);
	finish(pid);
}

// Job control's stop of a process that was not seized: told as a stop without siginfo.
static void test_group_stop(void)
{
	pid_t pid = spawn_plain(body_pause);
	await_state(pid, 'S');
	trace(PTRACE_ATTACH, pid, 0, 0);
	EXPECT(pid, STOP_STATUS(SIGSTOP));
	siginfo_t si;
	CHECK_EQ(trace(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&si), 0);
	trace(PTRACE_CONT, pid, 0, SIGSTOP); // let it stop
	EXPECT(pid, STOP_STATUS(SIGSTOP));
	CHECK_ERR(trace(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&si), EINVAL);
	trace(PTRACE_CONT, pid, 0, 0); // runs, though the group is stopped
	usleep(20000);
	CHECK_EQ(state_of(pid), 'S');
	kill(pid, SIGCONT);
	EXPECT(pid, STOP_STATUS(SIGCONT));
	CHECK_EQ(trace(PTRACE_DETACH, pid, 0, 0), 0);
	finish(pid);
}

// ---- a tracer that is not the parent ----

static void test_foreign_tracer(void)
{
	pid_t child = spawn_plain(body_pause);
	await_state(child, 'S');
	int ready[2], go[2];
	char c;
	CHECK_EQ(pipe(ready) | pipe(go), 0);
	pid_t tracer = fork();
	if (!tracer) {
		int status;
		if (trace(PTRACE_ATTACH, child, 0, 0) || waitpid(child, &status, __WALL) != child)
			_exit(1);
		write(ready[1], "x", 1);
		read(go[0], &c, 1);
		trace(PTRACE_CONT, child, 0, 0);
		kill(child, SIGKILL);
		siginfo_t si = {};
		// looked at, but left for later
		if (waitid(P_PID, (id_t)child, &si, WEXITED | WNOWAIT | __WALL) ||
		    si.si_code != CLD_KILLED)
			_exit(2);
		write(ready[1], "x", 1);
		read(go[0], &c, 1);
		if (waitpid(child, &status, __WALL) != child || status != SIGKILL)
			_exit(3);
		if (waitpid(child, &status, __WALL) != -1 || errno != ECHILD)
			_exit(4);
		_exit(0);
	}
	CHECK_EQ(read(ready[0], &c, 1), 1);
	CHECK_EQ(tracer_of(child), tracer);
	CHECK_EQ(waitpid(child, NULL, WNOHANG | WUNTRACED), 0); // a stranger's stop is not told
	write(go[1], "x", 1);
	CHECK_EQ(read(ready[0], &c, 1), 1);
	CHECK_EQ(waitpid(child, NULL, WNOHANG), 0); // the tracer comes first
	write(go[1], "x", 1);
	EXPECT(child, SIGKILL);
	EXPECT(tracer, 0);
	close(ready[0]), close(ready[1]), close(go[0]), close(go[1]);
}

// The tracer ends: what it traced goes on, or dies with PTRACE_O_EXITKILL.
static void tracer_dies(bool exitkill)
{
	memset(shared, 0, 4096);
	pid_t child = spawn_plain(body_pause);
	await_state(child, 'S');
	pid_t tracer = fork();
	if (!tracer) {
		int status;
		if (trace(PTRACE_SEIZE, child, 0, exitkill ? PTRACE_O_EXITKILL : 0) ||
		    trace(PTRACE_INTERRUPT, child, 0, 0) ||
		    waitpid(child, &status, __WALL) != child)
			_exit(1);
		_exit(0);
	}
	EXPECT(tracer, 0);
	if (exitkill) {
		EXPECT(child, SIGKILL);
		return;
	}
	CHECK_EQ(tracer_of(child), 0);
	kill(child, SIGUSR1);
	for (int i = 0; i < 2000 && !shared[SIGUSR1]; i++)
		usleep(1000);
	CHECK_EQ(shared[SIGUSR1], 1);
	finish(child);
}

static void test_tracer_death(void)
{
	tracer_dies(false);
	tracer_dies(true);
}

// A tracee that is killed in its stop, in every kind of stop.
static void test_kill_in_stop(void)
{
	pid_t pid = spawn_with(body_empty, PTRACE_O_TRACEEXIT);
	kill(pid, SIGKILL);
	int status = wait_status(pid);
	if (status == EVENT_STATUS(PTRACE_EVENT_EXIT)) {
		trace(PTRACE_CONT, pid, 0, 0);
		status = wait_status(pid);
	}
	CHECK_EQ(status, SIGKILL);

	pid = spawn_with(body_empty, PTRACE_O_TRACEEXIT);
	trace(PTRACE_CONT, pid, 0, 0);
	EXPECT(pid, EVENT_STATUS(PTRACE_EVENT_EXIT));
	kill(pid, SIGKILL); // kernels differ: some drop it, the process is dying anyway
	trace(PTRACE_CONT, pid, 0, 0);
	status = wait_status(pid);
	CHECK(status == SIGKILL || status == 7 << 8);

	pid = spawn(body_calls);
	trace(PTRACE_SYSCALL, pid, 0, 0);
	EXPECT(pid, STOP_STATUS(SIGTRAP));
	CHECK_EQ(trace(PTRACE_KILL, pid, 0, 0), 0);
	EXPECT(pid, SIGKILL);
}

// ---- threads ----

static void *thread_loop(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void body_threads(void)
{
	pthread_t t;
	for (int i = 0; i < 3; i++)
		pthread_create(&t, NULL, thread_loop, NULL);
	shared[0] = 1;
	for (;;)
		pause();
}

static void test_threads(void)
{
	memset(shared, 0, 4096);
	pid_t pid = spawn_with(body_threads, PTRACE_O_TRACECLONE), tids[3];
	trace(PTRACE_CONT, pid, 0, 0);
	for (int i = 0; i < 3; i++) {
		EXPECT(pid, EVENT_STATUS(PTRACE_EVENT_CLONE));
		tids[i] = (pid_t)event_message(pid);
		EXPECT(tids[i], STOP_STATUS(SIGSTOP));
		trace(PTRACE_CONT, tids[i], 0, 0);
		trace(PTRACE_CONT, pid, 0, 0);
	}
	while (!shared[0])
		usleep(1000);
	CHECK_EQ(syscall(SYS_tgkill, pid, tids[1], SIGUSR1), 0); // one thread stops, others run
	EXPECT(tids[1], STOP_STATUS(SIGUSR1));
	CHECK_EQ(waitpid(-1, NULL, __WALL | WNOHANG), 0);
	CHECK_EQ(waitpid(tids[1], NULL, WNOHANG | __WNOTHREAD | __WALL), 0);
	trace(PTRACE_CONT, tids[1], 0, 0);
	kill(pid, SIGKILL);
	int ends = 0, status;
	pid_t got, last = 0;
	while ((got = waitpid(-1, &status, __WALL)) > 0) {
		CHECK_EQ(status, SIGKILL);
		ends++;
		last = got;
	}
	CHECK_EQ(ends, 4);
	CHECK_EQ(last, pid); // the leader is told last
}

static void *wait_elsewhere(void *arg)
{
	int status = -1;
	pid_t pid = *(pid_t *)arg;
	waitpid(pid, &status, __WALL | __WNOTHREAD);
	int with = waitpid(pid, &status, __WALL | WNOHANG);
	CHECK_EQ(with, pid);
	CHECK_ERR(trace(PTRACE_CONT, pid, 0, 0), ESRCH); // another thread is the tracer
	return NULL;
}

// Any thread of the tracer's process may wait; only the tracer itself may ask.
static void test_tracer_thread(void)
{
	pid_t pid = spawn(body_empty);
	trace(PTRACE_SYSCALL, pid, 0, 0);
	siginfo_t si;
	CHECK_EQ(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT | __WALL), 0);
	CHECK_EQ(si.si_code, CLD_TRAPPED);
	CHECK_EQ(si.si_status, SIGTRAP);
	pthread_t t;
	pthread_create(&t, NULL, wait_elsewhere, &pid);
	pthread_join(t, NULL);
	trace(PTRACE_CONT, pid, 0, 0);
	EXPECT(pid, 7 << 8);
}

// ---- rights ----

static void test_rights(void)
{
	if (getuid())
		return;
	pid_t root = spawn_plain(body_pause);
	await_state(root, 'S');
	pid_t undumpable = fork();
	if (!undumpable) {
		if (setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000))
			_exit(1);
		prctl(PR_SET_DUMPABLE, 0);
		body_pause();
	}
	pid_t dumpable = fork();
	if (!dumpable) {
		if (setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000))
			_exit(1);
		prctl(PR_SET_DUMPABLE, 1);
		body_pause();
	}
	await_state(undumpable, 'S');
	await_state(dumpable, 'S');
	pid_t user = fork();
	if (!user) {
		int status;
		if (setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000))
			_exit(1);
		if (trace(PTRACE_ATTACH, root, 0, 0) != -1 || errno != EPERM)
			_exit(2);
		if (trace(PTRACE_SEIZE, undumpable, 0, 0) != -1 || errno != EPERM)
			_exit(3);
		if (trace(PTRACE_ATTACH, dumpable, 0, 0) ||
		    waitpid(dumpable, &status, __WALL) != dumpable)
			_exit(4);
		_exit(0);
	}
	EXPECT(user, 0);
	finish(root), finish(undumpable), finish(dumpable);
}

// ---- many at once ----

static void body_busy(void)
{
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();
		if (!pid) {
			syscall(SYS_getppid);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
}

// Everything traced, and killed in the middle.
static void test_race(void)
{
	for (int round = 0; round < 8; round++) {
		pid_t pid = spawn_with(body_busy, O_FORKS | PTRACE_O_TRACEEXIT |
							  PTRACE_O_TRACESYSGOOD |
							  PTRACE_O_EXITKILL),
		      got;
		trace(PTRACE_SYSCALL, pid, 0, 0);
		int status, stops = 0;
		while ((got = waitpid(-1, &status, __WALL)) > 0) {
			if (!WIFSTOPPED(status))
				continue;
			int sig = WSTOPSIG(status) & 0x7f;
			if (++stops == 60 + round * 37)
				kill(pid, SIGKILL);
			trace(PTRACE_SYSCALL, got, 0,
			      (unsigned long)(sig == SIGTRAP || sig == SIGSTOP ? 0 : sig));
		}
		CHECK_EQ(errno, ECHILD);
		CHECK(stops > 50);
	}
}

// Tracers that come and go while the tracee forks, execs and dies.
static void test_attach_race(void)
{
	for (int round = 0; round < 20; round++) {
		pid_t pid = spawn_plain(body_busy);
		pid_t tracers[3];
		for (int i = 0; i < 3; i++) {
			tracers[i] = fork();
			if (tracers[i])
				continue;
			for (int n = 0; n < 10 + round; n++) {
				int status;
				if (trace(PTRACE_SEIZE, pid, 0, O_FORKS))
					continue;
				trace(PTRACE_INTERRUPT, pid, 0, 0);
				if (n % 3 == 2 && waitpid(pid, &status, __WALL) == pid)
					trace(PTRACE_DETACH, pid, 0, 0);
				else
					break; // leaves without a word
			}
			_exit(0);
		}
		for (int i = 0; i < 3; i++)
			EXPECT(tracers[i], 0);
		int status = wait_status(pid);
		CHECK_EQ(status, 7 << 8);
	}
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "exit5"))
		return 5;
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	static const struct {
		const char *name;
		void (*run)(void);
	} tests[] = {
		{"traceme", test_traceme},
		{"errors", test_errors},
		{"signals", test_signals},
		{"queues", test_queues},
		{"setsiginfo", test_setsiginfo},
		{"calls", test_calls},
		{"restart", test_restart},
		{"memory", test_memory},
		{"forks", test_forks},
		{"forks_seized", test_forks_seized},
		{"exec", test_exec},
		{"thread_exec", test_thread_exec},
		{"attach", test_attach},
		{"seize", test_seize},
		{"group_stop", test_group_stop},
		{"foreign_tracer", test_foreign_tracer},
		{"tracer_death", test_tracer_death},
		{"kill_in_stop", test_kill_in_stop},
		{"threads", test_threads},
		{"tracer_thread", test_tracer_thread},
		{"rights", test_rights},
		{"race", test_race},
		{"attach_race", test_attach_race},
	};
	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		if (argc > 1 && strcmp(argv[1], tests[i].name))
			continue;
		int before = check_failures;
		alarm(60); // none waits for ever
		tests[i].run();
		printf("%s: %s\n", tests[i].name, check_failures == before ? "ok" : "FAIL");
		fflush(stdout);
	}
	return check_done("ptrace_stops");
}

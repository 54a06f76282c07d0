// SPDX-License-Identifier: MIT
// Handlers, masks, queues, alternate stacks, restarted calls, faults.
#define _GNU_SOURCE
#include "tests/programs/check.h"
#include <cpu_cases.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

static volatile int count, last_sig, last_code, last_value, order[16], norder;
static volatile pid_t last_pid;

static void on_signal(int sig)
{
	count++, last_sig = sig;
}
static void on_info(int sig, siginfo_t *si, void *uc)
{
	(void)uc;
	count++;
	last_sig = sig;
	last_code = si->si_code;
	last_pid = si->si_pid;
	last_value = si->si_value.sival_int;
	if (norder < 16)
		order[norder++] = si->si_value.sival_int;
}

static void install(int sig, void (*h)(int), int flags)
{
	struct sigaction sa = {.sa_handler = h, .sa_flags = flags};
	CHECK_EQ(sigaction(sig, &sa, NULL), 0);
}
static void install_info(int sig, int flags)
{
	struct sigaction sa = {.sa_sigaction = on_info, .sa_flags = SA_SIGINFO | flags};
	CHECK_EQ(sigaction(sig, &sa, NULL), 0);
}

static void test_simple(void)
{
	install(SIGUSR1, on_signal, 0);
	count = 0;
	CHECK_EQ(kill(getpid(), SIGUSR1), 0);
	CHECK_EQ(count, 1);
	CHECK_EQ(last_sig, SIGUSR1);
	install_info(SIGUSR1, 0);
	kill(getpid(), SIGUSR1);
	CHECK_EQ(last_code, SI_USER);
	CHECK_EQ(last_pid, getpid());
	syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1);
	CHECK_EQ(last_code, SI_TKILL);
	CHECK_EQ(count, 3);
	CHECK_EQ(kill(getpid(), 0), 0);
	CHECK_ERR(kill(getpid(), 65), EINVAL);
	CHECK_ERR(kill(999999, 0), ESRCH);
	struct sigaction sa;
	CHECK_ERR(sigaction(SIGKILL, &(struct sigaction){.sa_handler = SIG_IGN}, NULL), EINVAL);
	CHECK_EQ(sigaction(SIGKILL, NULL, &sa), 0);
	// RESETHAND
	install(SIGUSR2, on_signal, SA_RESETHAND);
	raise(SIGUSR2);
	sigaction(SIGUSR2, NULL, &sa);
	CHECK(sa.sa_handler == SIG_DFL);
}

static void test_mask_and_queue(void)
{
	sigset_t set, old, pending;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	install_info(SIGRTMIN, 0);
	install_info(SIGUSR1, 0);
	count = norder = 0;
	for (int i = 0; i < 5; i++)
		CHECK_EQ(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i + 100}), 0);
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR1);
	CHECK_EQ(count, 0);
	sigpending(&pending);
	CHECK(sigismember(&pending, SIGRTMIN) && sigismember(&pending, SIGUSR1));
	siginfo_t si;
	CHECK_EQ(sigtimedwait(&(sigset_t){{1ul << (SIGRTMIN - 1)}}, &si, &(struct timespec){}),
		 SIGRTMIN);
	CHECK_EQ(si.si_value.sival_int, 100);
	CHECK_EQ(si.si_code, SI_QUEUE);
	sigprocmask(SIG_SETMASK, &old, NULL);
	CHECK_EQ(count, 5); // 4 queued and one standard
	int expect = 101;
	for (int i = 0; i < norder; i++)
		if (order[i] >= 100) {
			CHECK_EQ(order[i], expect);
			expect++;
		}
	CHECK_EQ(expect, 105);
	CHECK_ERR(sigtimedwait(&set, &si, &(struct timespec){0, 1000000}), EAGAIN);
	// what becomes ignored is no longer pending
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGUSR1);
	signal(SIGUSR1, SIG_IGN);
	sigpending(&pending);
	CHECK(!sigismember(&pending, SIGUSR1));
	sigprocmask(SIG_SETMASK, &old, NULL);
}

static void test_nodefer(void)
{
	install(SIGUSR1, on_signal, 0);
	sigset_t in;
	sigprocmask(SIG_SETMASK, NULL, &in);
	CHECK(!sigismember(&in, SIGUSR1));
}

static volatile int on_alt;
static char altstack[65536] __attribute__((aligned(64)));
static void alt_handler(int sig, siginfo_t *si, void *ucp)
{
	(void)sig;
	(void)si;
	ucontext_t *uc = ucp;
	char here;
	on_alt = &here >= altstack && &here < altstack + sizeof(altstack);
	stack_t ss;
	sigaltstack(NULL, &ss);
	CHECK(ss.ss_flags & SS_ONSTACK);
	CHECK_ERR(sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL), EPERM);
	CHECK(uc->uc_stack.ss_sp == altstack);
}
static void test_altstack(void)
{
	stack_t ss = {.ss_sp = altstack, .ss_size = sizeof(altstack)}, old;
	CHECK_EQ(sigaltstack(&ss, &old), 0);
	CHECK(old.ss_flags & SS_DISABLE);
	CHECK_ERR(sigaltstack(&(stack_t){.ss_sp = altstack, .ss_size = 100}, NULL), ENOMEM);
	struct sigaction sa = {.sa_sigaction = alt_handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	CHECK_EQ(on_alt, 1);
	sigaltstack(NULL, &old);
	CHECK(!(old.ss_flags & SS_ONSTACK) && old.ss_sp == altstack);
	sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
}

static sigjmp_buf jump;
static siginfo_t fault_info;
static int *volatile nowhere = (int *)8;
static void fault_handler(int sig, siginfo_t *si, void *uc)
{
	(void)sig;
	(void)uc;
	fault_info = *si;
	siglongjmp(jump, 1);
}
static void test_faults(void)
{
	struct sigaction sa = {.sa_sigaction = fault_handler, .sa_flags = SA_SIGINFO};
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGFPE, &sa, NULL);
	sigaction(SIGILL, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGTRAP, &sa, NULL);
	if (!sigsetjmp(jump, 1))
		*nowhere = 1;
	CHECK_EQ(fault_info.si_signo, SIGSEGV);
	CHECK_EQ(fault_info.si_code, SEGV_MAPERR);
	CHECK_EQ((long)fault_info.si_addr, 8);
	char *ro = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!sigsetjmp(jump, 1))
		*(volatile char *)(ro + 5) = 1;
	CHECK_EQ(fault_info.si_code, SEGV_ACCERR);
	CHECK(fault_info.si_addr == ro + 5);
	munmap(ro, 4096);
	for (volatile size_t i = 0; i < sizeof(cpu_faults) / sizeof(cpu_faults[0]); i++) {
		fault_info = (siginfo_t){};
		if (!sigsetjmp(jump, 1))
			cpu_faults[i].provoke();
		CHECK_EQ(fault_info.si_signo, cpu_faults[i].signo);
		CHECK_EQ(fault_info.si_code, cpu_faults[i].code);
	}
	signal(SIGSEGV, SIG_DFL);
	signal(SIGFPE, SIG_DFL);
	signal(SIGILL, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	signal(SIGTRAP, SIG_DFL);
}

static void *wake_main(void *arg)
{
	usleep(30000);
	pthread_kill(*(pthread_t *)arg, SIGUSR1);
	return NULL;
}
static void test_restart(void)
{
	int fds[2];
	pthread_t t, me = pthread_self();
	char c;
	CHECK_EQ(pipe(fds), 0);
	install(SIGUSR1, on_signal, 0);
	pthread_create(&t, NULL, wake_main, &me);
	CHECK_ERR(read(fds[0], &c, 1), EINTR);
	pthread_join(t, NULL);
	// with SA_RESTART the read goes on
	install(SIGUSR1, on_signal, SA_RESTART);
	count = 0;
	pid_t pid = fork();
	if (!pid) {
		usleep(30000);
		kill(getppid(), SIGUSR1);
		usleep(30000);
		_exit(write(fds[1], "x", 1) != 1);
	}
	CHECK_EQ(read(fds[0], &c, 1), 1);
	CHECK_EQ(count, 1);
	waitpid(pid, NULL, 0);
	// nanosleep says what is left
	install(SIGALRM, on_signal, SA_RESTART);
	setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {0, 30000}}, NULL);
	struct timespec rem;
	CHECK_ERR(nanosleep(&(struct timespec){5, 0}, &rem), EINTR);
	CHECK(rem.tv_sec == 4 && rem.tv_nsec > 500000000);
	close(fds[0]);
	close(fds[1]);
}

static void test_suspend(void)
{
	sigset_t set, none;
	sigemptyset(&none);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	install(SIGALRM, on_signal, 0);
	count = 0;
	setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {0, 20000}}, NULL);
	CHECK_ERR(sigsuspend(&none), EINTR);
	CHECK_EQ(count, 1);
	sigprocmask(SIG_SETMASK, NULL, &none);
	CHECK(sigismember(&none, SIGALRM)); // the mask is back
	setitimer(ITIMER_REAL,
		  &(struct itimerval){.it_value = {0, 10000}, .it_interval = {0, 10000}}, NULL);
	siginfo_t si;
	for (int i = 0; i < 3; i++)
		CHECK_EQ(sigwaitinfo(&set, &si), SIGALRM);
	setitimer(ITIMER_REAL, &(struct itimerval){}, NULL);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

// Registers and vector state survive a handler.
static void clobber(int sig)
{
	(void)sig;
	cpu_clobber();
	count++;
}
static void test_registers(void)
{
	install(SIGUSR1, clobber, 0);
	count = 0;
	CHECK(cpu_keeps_registers(SIGUSR1));
	CHECK_EQ(count, 1);
}

static void test_default_actions(void)
{
	int status;
	struct {
		int sig, how;
	} t[] = {{SIGTERM, 1}, {SIGKILL, 1}, {SIGSEGV, 1},
		 {SIGCHLD, 0}, {SIGURG, 0},  {SIGRTMIN + 3, 1}};
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		pid_t pid = fork();
		if (!pid) {
			signal(t[i].sig, SIG_DFL);
			kill(getpid(), t[i].sig);
			_exit(7);
		}
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		if (t[i].how)
			CHECK(WIFSIGNALED(status) && WTERMSIG(status) == t[i].sig);
		else
			CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	}
	// a handler on an impossible stack ends in SIGSEGV
	pid_t pid = fork();
	if (!pid) {
		struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
		sigaction(SIGUSR1, &sa, NULL);
		void *bad = mmap(NULL, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		sigaltstack(&(stack_t){.ss_sp = bad, .ss_size = 65536}, NULL);
		raise(SIGUSR1);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void test_job_control(void)
{
	int status;
	pid_t pid = fork();
	if (!pid)
		for (;;)
			pause();
	kill(pid, SIGSTOP);
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	CHECK_EQ(waitpid(pid, &status, WUNTRACED | WNOHANG), 0);
	kill(pid, SIGCONT);
	CHECK_EQ(waitpid(pid, &status, WCONTINUED), pid);
	CHECK(WIFCONTINUED(status));
	kill(pid, SIGSTOP);
	siginfo_t si = {};
	CHECK_EQ(waitid(P_PID, (id_t)pid, &si, WSTOPPED), 0);
	CHECK_EQ(si.si_code, CLD_STOPPED);
	CHECK_EQ(si.si_status, SIGSTOP);
	CHECK_EQ(si.si_pid, pid);
	kill(pid, SIGTERM); // waits until it is continued
	usleep(20000);
	CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
	kill(pid, SIGCONT);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	pid = fork();
	if (!pid) {
		kill(getpid(), SIGSTOP);
		_exit(3);
	}
	waitpid(pid, &status, WUNTRACED);
	kill(pid, SIGKILL); // even a stopped process
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

int main(void)
{
	test_simple();
	test_mask_and_queue();
	test_nodefer();
	test_altstack();
	test_faults();
	test_restart();
	test_suspend();
	test_registers();
	test_default_actions();
	test_job_control();
	return check_done("signal_basics");
}

// SPDX-License-Identifier: MIT
// Clocks by the vDSO and by system call, sleeping, interval timers, POSIX timers, CPU-time limits.
#define _GNU_SOURCE
#include "tests/programs/check.h"
#include <cpu_cases.h>
#include <elf.h>
#include <link.h>
#include <sched.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <time.h>

static long long ns(struct timespec t)
{
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}
static long long now(clockid_t c)
{
	struct timespec t = {};
	CHECK_EQ(clock_gettime(c, &t), 0);
	CHECK(t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
	return ns(t);
}
static long long now_by_call(clockid_t c)
{
	struct timespec t = {};
	CHECK_EQ(syscall(SYS_clock_gettime, c, &t), 0);
	return ns(t);
}

static void *vdso_symbol(const char *name)
{
	char *base = (char *)getauxval(AT_SYSINFO_EHDR);
	Elf64_Ehdr *eh = (void *)base;
	Elf64_Phdr *ph = (void *)(base + eh->e_phoff);
	Elf64_Sym *sym = NULL;
	unsigned *hash = NULL;
	char *str = NULL;
	if (!base)
		return NULL;
	for (int i = 0; i < eh->e_phnum; i++)
		if (ph[i].p_type == PT_DYNAMIC)
			for (Elf64_Dyn *d = (void *)(base + ph[i].p_offset); d->d_tag; d++) {
				if (d->d_tag == DT_SYMTAB)
					sym = (void *)(base + d->d_un.d_ptr);
				if (d->d_tag == DT_STRTAB)
					str = base + d->d_un.d_ptr;
				if (d->d_tag == DT_HASH)
					hash = (void *)(base + d->d_un.d_ptr);
			}
	if (!sym || !str || !hash)
		return NULL;
	for (unsigned i = 0; i < hash[1]; i++)
		if (!strcmp(str + sym[i].st_name, name))
			return base + sym[i].st_value;
	return NULL;
}

static void test_clocks(void)
{
	clockid_t ids[] = {CLOCK_REALTIME,
			   CLOCK_MONOTONIC,
			   CLOCK_MONOTONIC_RAW,
			   CLOCK_REALTIME_COARSE,
			   CLOCK_MONOTONIC_COARSE,
			   CLOCK_BOOTTIME,
			   CLOCK_TAI,
			   CLOCK_PROCESS_CPUTIME_ID,
			   CLOCK_THREAD_CPUTIME_ID};
	for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		long long a = now(ids[i]), b = now_by_call(ids[i]), c = now(ids[i]);
		if (ids[i] != CLOCK_REALTIME_COARSE && ids[i] != CLOCK_MONOTONIC_COARSE &&
		    ids[i] != CLOCK_TAI) {
			CHECK(a <= b && b <= c);
			CHECK(c - a < 1000000000);
		}
	}
	long long last = now(CLOCK_MONOTONIC);
	for (int i = 0; i < 20000; i++) {
		long long t = now(CLOCK_MONOTONIC);
		CHECK(t >= last);
		last = t;
	}
	struct timespec res, t;
	struct timeval tv;
	CHECK_EQ(clock_getres(CLOCK_MONOTONIC, &res), 0);
	CHECK(res.tv_sec == 0 && res.tv_nsec == 1);
	CHECK_EQ(gettimeofday(&tv, NULL), 0);
	CHECK(llabs(now(CLOCK_REALTIME) / 1000 - (tv.tv_sec * 1000000LL + tv.tv_usec)) < 1000000);
	CHECK(labs(time(NULL) - tv.tv_sec) <= 1);
	CHECK_ERR(clock_gettime(50, &t), EINVAL);
	CHECK_ERR(syscall(SYS_clock_gettime, CLOCK_REALTIME, 16), EFAULT);
	for (unsigned i = 0; i < sizeof(cpu_vdso_names) / sizeof(cpu_vdso_names[0]); i++)
		CHECK(vdso_symbol(cpu_vdso_names[i]) != NULL);
	cpu_vdso_check(vdso_symbol, tv.tv_sec);
}

static void test_sleep(void)
{
	long long a = now(CLOCK_MONOTONIC);
	CHECK_EQ(nanosleep(&(struct timespec){0, 20000000}, NULL), 0);
	long long b = now(CLOCK_MONOTONIC);
	CHECK(b - a >= 20000000 && b - a < 2000000000);
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL), 0);
	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += 10000000;
	if (t.tv_nsec >= 1000000000)
		t.tv_sec++, t.tv_nsec -= 1000000000;
	CHECK_EQ(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL), 0);
	CHECK(now(CLOCK_REALTIME) >= ns(t));
	CHECK_ERR(nanosleep(&(struct timespec){0, 1000000000}, NULL), EINVAL);
	CHECK_ERR(nanosleep(&(struct timespec){-1, 0}, NULL), EINVAL);
	CHECK_ERR(syscall(SYS_nanosleep, 16, NULL), EFAULT);
	CHECK_EQ(clock_nanosleep(99, 0, &(struct timespec){}, NULL), EINVAL);
}

static volatile int fired, overruns;
static void on_timer(int sig, siginfo_t *si, void *uc)
{
	(void)sig;
	(void)uc;
	fired++;
	if (si->si_code == SI_TIMER)
		overruns += si->si_overrun;
}

static void spin_ms(int ms)
{
	long long end = now(CLOCK_THREAD_CPUTIME_ID) + ms * 1000000LL;
	while (now(CLOCK_THREAD_CPUTIME_ID) < end)
		;
}

static void test_itimers(void)
{
	struct sigaction sa = {.sa_sigaction = on_timer, .sa_flags = SA_SIGINFO};
	struct itimerval v;
	sigaction(SIGALRM, &sa, NULL);
	sigaction(SIGVTALRM, &sa, NULL);
	sigaction(SIGPROF, &sa, NULL);
	fired = 0;
	CHECK_EQ(setitimer(ITIMER_REAL, &(struct itimerval){{0, 5000}, {0, 5000}}, NULL), 0);
	while (fired < 3)
		pause();
	CHECK_EQ(getitimer(ITIMER_REAL, &v), 0);
	CHECK(v.it_interval.tv_usec == 5000 && v.it_value.tv_usec > 0);
	CHECK_EQ(setitimer(ITIMER_REAL, &(struct itimerval){}, &v), 0);
	CHECK_EQ(alarm(100), 0);
	CHECK_EQ(alarm(0), 100);
	fired = 0;
	CHECK_EQ(setitimer(ITIMER_PROF, &(struct itimerval){{}, {0, 20000}}, NULL), 0);
	spin_ms(200);
	CHECK_EQ(fired, 1);
	CHECK_EQ(setitimer(ITIMER_VIRTUAL, &(struct itimerval){{}, {0, 10000}}, NULL), 0);
	long long limit = now(CLOCK_MONOTONIC) + 20000000000LL;
	while (fired < 2 && now(CLOCK_MONOTONIC) < limit)
		;
	CHECK_EQ(fired, 2);
	CHECK_ERR(setitimer(7, &v, NULL), EINVAL);
	v.it_value.tv_usec = 1000000;
	CHECK_ERR(setitimer(ITIMER_REAL, &v, NULL), EINVAL);
}

static void test_posix_timers(void)
{
	struct sigaction sa = {.sa_sigaction = on_timer, .sa_flags = SA_SIGINFO};
	sigset_t set;
	timer_t id;
	struct itimerspec v;
	sigaction(SIGRTMIN, &sa, NULL);
	struct sigevent ev = {
		.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 77};
	CHECK_EQ(timer_create(CLOCK_MONOTONIC, &ev, &id), 0);
	fired = overruns = 0;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	CHECK_EQ(timer_settime(id, 0, &(struct itimerspec){{0, 2000000}, {0, 2000000}}, NULL), 0);
	usleep(50000);
	siginfo_t si;
	CHECK_EQ(sigwaitinfo(&set, &si), SIGRTMIN);
	CHECK_EQ(si.si_code, SI_TIMER);
	CHECK_EQ(si.si_value.sival_int, 77);
	CHECK(si.si_overrun >= 10 && si.si_overrun < 5000);
	CHECK(timer_getoverrun(id) == si.si_overrun);
	CHECK_EQ(sigwaitinfo(&set, &si), SIGRTMIN);
	CHECK_EQ(timer_gettime(id, &v), 0);
	CHECK_EQ(v.it_interval.tv_nsec, 2000000);
	CHECK_EQ(timer_delete(id), 0);
	CHECK_ERR(sigtimedwait(&set, &si, &(struct timespec){0, 5000000}), EAGAIN);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	CHECK_ERR(timer_gettime(id, &v), EINVAL);
	ev.sigev_signo = 99;
	CHECK_ERR(timer_create(CLOCK_MONOTONIC, &ev, &id), EINVAL);
}

static void test_cpu_limit(void)
{
	int status;
	struct rusage ru;
	struct tms tms;
	pid_t p = fork();
	if (!p) {
		setrlimit(RLIMIT_CPU, &(struct rlimit){1, 3});
		for (;;)
			;
	}
	CHECK_EQ(wait4(p, &status, 0, &ru), p);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU);
	CHECK(ru.ru_utime.tv_sec * 1000000LL + ru.ru_utime.tv_usec +
		      ru.ru_stime.tv_sec * 1000000LL + ru.ru_stime.tv_usec >=
	      900000);
	CHECK(getrusage(RUSAGE_CHILDREN, &ru) == 0 &&
	      ru.ru_utime.tv_sec + ru.ru_stime.tv_sec + 1 >= 1);
	CHECK(times(&tms) != -1);
	CHECK(tms.tms_cutime + tms.tms_cstime >= 90);
}

int main(void)
{
	test_clocks();
	test_sleep();
	test_itimers();
	test_posix_timers();
	test_cpu_limit();
	return check_done("time_clocks");
}

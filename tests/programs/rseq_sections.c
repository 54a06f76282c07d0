// SPDX-License-Identifier: MIT
// Critical sections of rseq(2): what preemption, migration and signals do to them, and sections
// that are none. Passes on Linux too.
#define _GNU_SOURCE
#include "tests/programs/check.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

#include <cpu_rseq.h>

static volatile int busy_stop;
static void *busy(void *arg)
{
	while (!busy_stop)
		;
	return arg;
}

static void pin(int cpu)
{
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	CHECK_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
}

static void test_preempted(void)
{
	cpu_set_t all;
	pthread_t t;
	sched_getaffinity(0, sizeof(all), &all);
	pin(0);
	pthread_create(&t, NULL, busy, NULL); // shares the CPU: it inherits the affinity
	for (int i = 0; i < 3; i++)
		spin();
	busy_stop = 1;
	pthread_join(t, NULL);
	sched_setaffinity(0, sizeof(all), &all);
}

static volatile uint64_t handler_ip, handler_cs;
static void handler(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)info;
	handler_ip = CPU_CONTEXT_IP((ucontext_t *)context);
	handler_cs = area()->rseq_cs;
}

static void test_signal(void)
{
	struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
	sigaction(SIGALRM, &sa, NULL);
	for (int i = 0; i < 3; i++) {
		struct itimerval it = {.it_value = {0, 5000}};
		handler_ip = 0;
		handler_cs = 1;
		setitimer(ITIMER_REAL, &it, NULL);
		spin();
		// either the signal ended it, and its frame leads to the abort handler, or a
		// preemption did so just before
		while (!handler_ip)
			;
		CHECK_EQ(handler_cs, 0);
		CHECK(!(handler_ip >= cs_spin.start &&
			handler_ip < cs_spin.start + cs_spin.length));
	}
}

static void *mover(void *arg)
{
	pid_t tid = (pid_t)(long)arg;
	cpu_set_t one;
	for (int i = 0; !busy_stop; i++) {
		CPU_ZERO(&one);
		CPU_SET(i % 2, &one);
		sched_setaffinity(tid, sizeof(one), &one);
		usleep(2000);
	}
	return NULL;
}

static void test_moved(void)
{
	cpu_set_t all;
	pthread_t t;
	sched_getaffinity(0, sizeof(all), &all);
	if (CPU_COUNT(&all) < 2)
		return;
	busy_stop = 0;
	pthread_create(&t, NULL, mover, (void *)(long)gettid());
	for (int i = 0; i < 5; i++)
		spin();
	busy_stop = 1;
	pthread_join(t, NULL);
	sched_setaffinity(0, sizeof(all), &all);
}

// membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ) ends sections on other CPUs.
static void *disturber(void *arg)
{
	while (!busy_stop) {
		CHECK_EQ(syscall(SYS_membarrier, 128, arg ? 1 : 0, 1), 0);
		usleep(1000);
	}
	return NULL;
}

static void test_membarrier(void)
{
	cpu_set_t all;
	pthread_t t;
	sched_getaffinity(0, sizeof(all), &all);
	CHECK_EQ(syscall(SYS_membarrier, 256, 0, 0), 0);
	for (long one = 0; one < 2; one++) {
		busy_stop = 0;
		pin(0);
		pthread_create(&t, NULL, disturber, (void *)one);
		pin(CPU_COUNT(&all) > 1 ? 1 : 0);
		for (int i = 0; i < 3; i++)
			spin();
		busy_stop = 1;
		pthread_join(t, NULL);
		sched_setaffinity(0, sizeof(all), &all);
	}
}

enum { THREADS = 6, ADDS = 20000, CPUS = 64 };
static long cells[CPUS * 16];
static void *adder(void *arg)
{
	long aborts = 0;
	for (int i = 0; i < ADDS; i++)
		while (!add(cells, area()->cpu_id_start, i % 16 ? 1 : 2000))
			aborts++;
	(void)arg;
	return (void *)aborts;
}

static long count(void)
{
	pthread_t t[THREADS];
	long sum = 0, aborts = 0;
	memset(cells, 0, sizeof(cells));
	struct itimerval it = {{0, 1000}, {0, 1000}}, off = {};
	setitimer(ITIMER_REAL, &it, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, adder, NULL);
	for (int i = 0; i < THREADS; i++) {
		void *r;
		pthread_join(t[i], &r);
		aborts += (long)r;
	}
	setitimer(ITIMER_REAL, &off, NULL);
	for (int i = 0; i < CPUS; i++)
		sum += cells[i * 16];
	CHECK_EQ(sum, (long)THREADS * ADDS);
	return aborts;
}

// With a CPU for each thread few are disturbed in one round.
static void test_counters(void)
{
	long aborts = 0;
	for (int i = 0; i < 50 && !aborts; i++)
		aborts = count();
	CHECK(aborts > 0);
	printf("%ld aborts\n", aborts);
}

static struct cs bad;
static int dies(void)
{
	int status;
	pid_t pid = fork();
	if (!pid) {
		signal(SIGALRM, SIG_DFL);
		sigaction(SIGUSR1, &(struct sigaction){.sa_sigaction = handler}, NULL);
		area()->rseq_cs = (uint64_t)&bad;
		raise(SIGUSR1);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
}

static void test_bad_sections(void)
{
	bad = cs_spin;
	CHECK_EQ(dies(), -1); // it is right, but nobody is inside
	bad.version = 1;
	CHECK_EQ(dies(), SIGSEGV);
	bad = cs_spin;
	bad.abort = bad.start;
	CHECK_EQ(dies(), SIGSEGV);
	bad = cs_spin;
	bad.abort += 4; // no signature before it
	CHECK_EQ(dies(), SIGSEGV);
	bad = cs_spin;
	bad.start = ~0ull - 4;
	CHECK_EQ(dies(), SIGSEGV);
	bad = cs_spin;
	bad.length = ~0ull;
	CHECK_EQ(dies(), SIGSEGV);
	bad = cs_spin;
	bad.abort = 0xffffffff80000000;
	CHECK_EQ(dies(), SIGSEGV);
	bad = cs_spin;
	bad.abort = 4096;
	CHECK_EQ(dies(), SIGSEGV);
	// flags matter to who is inside
	cs_spin.flags = 1;
	pid_t pid = fork();
	int status;
	if (!pid) {
		sigaction(SIGALRM, &(struct sigaction){.sa_sigaction = handler}, NULL);
		setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {0, 1000}}, NULL);
		spin();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	CHECK_EQ(status, SIGSEGV);
	cs_spin.flags = 0;
}

int main(void)
{
	CHECK(__rseq_size >= 20);
	test_preempted();
	test_signal();
	test_moved();
	test_membarrier();
	test_counters();
	test_bad_sections();
	return check_done("rseq_sections");
}

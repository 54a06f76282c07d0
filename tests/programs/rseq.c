// SPDX-License-Identifier: MIT
// rseq(2) but for critical sections, which need assembly: registration and its errors, the fields,
// fork, exec, threads, areas that are no memory.
#define _GNU_SOURCE
#include "tests/programs/check.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef AT_RSEQ_FEATURE_SIZE // C libraries of other CPUs' packages are older
#define AT_RSEQ_FEATURE_SIZE 27
#define AT_RSEQ_ALIGN	     28
#endif

enum { AREA = 32, SIGNATURE = 0x12345678, UNREGISTER = 1 };

struct area {
	uint32_t cpu_id_start, cpu_id;
	uint64_t rseq_cs;
	uint32_t flags, node_id, mm_cid, rest;
} __attribute__((aligned(32)));

static long rseq(void *area, uint32_t len, int flags, uint32_t sig)
{
	return syscall(SYS_rseq, area, len, flags, sig);
}

// The C library has registered its own area; the tests want to.
static void library_off(void)
{
	struct area *a = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);
	if ((int)a->cpu_id >= 0) // not in threads of one that is not registered
		CHECK_EQ(rseq(a, AREA, UNREGISTER, RSEQ_SIG), 0);
}

static void test_library(void)
{
	CHECK(__rseq_size >= 20);
	volatile struct area *a = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);
	CHECK_EQ(a->cpu_id, sched_getcpu());
	unsigned long size = getauxval(AT_RSEQ_FEATURE_SIZE), align = getauxval(AT_RSEQ_ALIGN);
	if (size) { // Linux has these since 6.3
		CHECK(size >= 28);
		CHECK_EQ(align, 32);
	}
}

static struct area area;

static void test_registration(void)
{
	struct area *odd = (struct area *)((char *)&area + 16);
	CHECK_ERR(rseq(&area, AREA, UNREGISTER, SIGNATURE), EINVAL); // not registered
	CHECK_ERR(rseq(&area, AREA, 2, SIGNATURE), EINVAL);
	CHECK_ERR(rseq(&area, AREA, UNREGISTER | 2, SIGNATURE), EINVAL);
	CHECK_ERR(rseq(&area, 16, 0, SIGNATURE), EINVAL);
	CHECK_ERR(rseq(odd, AREA, 0, SIGNATURE), EINVAL);
	CHECK_ERR(rseq((void *)-4096ul, AREA, 0, SIGNATURE), EFAULT);
	area = (struct area){.cpu_id = ~0u};
	CHECK_EQ(rseq(&area, AREA, 0, SIGNATURE), 0);
	volatile struct area *a = &area;
	CHECK_EQ(a->cpu_id, sched_getcpu());
	CHECK_EQ(a->cpu_id_start, a->cpu_id);
	CHECK_ERR(rseq(&area, AREA, 0, SIGNATURE), EBUSY);
	CHECK_ERR(rseq(&area, AREA, 0, SIGNATURE + 1), EPERM);
	CHECK_ERR(rseq(&area + 1, AREA, 0, SIGNATURE), EINVAL);
	CHECK_ERR(rseq(&area, AREA * 2, 0, SIGNATURE), EINVAL);
	CHECK_ERR(rseq(&area, AREA, UNREGISTER, SIGNATURE + 1), EPERM);
	CHECK_ERR(rseq(&area + 1, AREA, UNREGISTER, SIGNATURE), EINVAL);
	CHECK_ERR(rseq(&area, AREA * 2, UNREGISTER, SIGNATURE), EINVAL);
	CHECK_EQ(rseq(&area, AREA, UNREGISTER, SIGNATURE), 0);
	CHECK_EQ(a->cpu_id, ~0u);
	CHECK_EQ(a->cpu_id_start, 0);
	CHECK_ERR(rseq(&area, AREA, UNREGISTER, SIGNATURE), EINVAL);
	CHECK_EQ(rseq(&area, AREA, 0, SIGNATURE), 0);
}

static void test_migration(void)
{
	volatile struct area *a = &area;
	cpu_set_t all, one;
	sched_getaffinity(0, sizeof(all), &all);
	for (int round = 0; round < 20; round++)
		for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
			if (!CPU_ISSET(cpu, &all))
				continue;
			CPU_ZERO(&one);
			CPU_SET(cpu, &one);
			CHECK_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
			CHECK_EQ(a->cpu_id, cpu);
			CHECK_EQ(a->cpu_id_start, cpu);
			CHECK_EQ(a->node_id, 0);
			if (getauxval(AT_RSEQ_FEATURE_SIZE))
				CHECK_EQ(a->mm_cid, 0); // the only thread
		}
	sched_setaffinity(0, sizeof(all), &all);
}

static void test_fork(void)
{
	volatile struct area *a = &area;
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();
		if (!pid) { // registered as the parent was, in its own copy
			if (a->cpu_id != (unsigned)sched_getcpu() &&
			    a->cpu_id != (unsigned)sched_getcpu())
				_exit(1);
			_exit(rseq(&area, AREA, UNREGISTER, SIGNATURE) ? 2 : 0);
		}
		int status;
		waitpid(pid, &status, 0);
		CHECK_EQ(status, 0);
	}
	CHECK(a->cpu_id < 4096);
}

static void *thread(void *arg)
{
	struct area mine = {.cpu_id = ~0u};
	volatile struct area *a = &mine;
	library_off();
	CHECK_EQ(rseq(&mine, AREA, 0, SIGNATURE), 0);
	for (int i = 0; i < 2000; i++) {
		unsigned cpu = a->cpu_id;
		if (cpu != (unsigned)sched_getcpu() && a->cpu_id != (unsigned)sched_getcpu() &&
		    a->cpu_id != (unsigned)sched_getcpu())
			CHECK(!"cpu_id follows");
		if (a->mm_cid > cpu && a->mm_cid >= (unsigned)sysconf(_SC_NPROCESSORS_CONF))
			CHECK(!"mm_cid is small");
		if (i % 64 == 0)
			sched_yield();
	}
	CHECK_EQ(rseq(&mine, AREA, UNREGISTER, SIGNATURE), 0);
	return arg;
}

static void test_threads(void)
{
	pthread_t t[6];
	for (int i = 0; i < 6; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, thread, NULL), 0);
	for (int i = 0; i < 6; i++)
		pthread_join(t[i], NULL);
}

static char stack[16384] __attribute__((aligned(16)));

// Another task in the same memory does not share the registration.
static int cloned(void *arg)
{
	(void)arg;
	return rseq(&area, AREA, UNREGISTER, SIGNATURE) == -1 && errno == EINVAL ? 0 : 1;
}

static void test_clone(void)
{
	int status;
	pid_t pid = clone(cloned, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
	CHECK(pid > 0);
	waitpid(pid, &status, 0);
	CHECK_EQ(status, 0);
}

static int run(void (*fn)(void))
{
	int status;
	pid_t pid = fork();
	if (!pid) {
		fn();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
}

// The area vanishes: the next change of it is SIGSEGV, which a handler cannot change as it would
// need the area too.
static void handler(int sig)
{
	(void)sig;
}
static void area_vanishes(void)
{
	struct area *a =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	rseq(&area, AREA, UNREGISTER, SIGNATURE);
	if (rseq(a, AREA, 0, SIGNATURE))
		_exit(1);
	signal(SIGSEGV, handler);
	signal(SIGUSR1, handler);
	munmap(a, 4096);
	raise(SIGUSR1);
}
static void section_is_no_memory(void)
{
	area.rseq_cs = 64;
	signal(SIGUSR1, handler);
	raise(SIGUSR1);
}
static void section_beyond(void)
{
	area.rseq_cs = 0xffff800000000000;
	signal(SIGUSR1, handler);
	raise(SIGUSR1);
}

int main(int argc, char **argv)
{
	if (argc > 1) { // after exec nothing is registered but by the library
		library_off();
		CHECK_EQ(rseq(&area, AREA, 0, SIGNATURE), 0);
		return check_failures != 0;
	}
	test_library();
	library_off();
	test_registration();
	test_migration();
	test_fork();
	test_threads();
	test_clone();
	CHECK_EQ(run(area_vanishes), SIGSEGV);
	CHECK_EQ(run(section_is_no_memory), SIGSEGV);
	CHECK_EQ(run(section_beyond), SIGSEGV);
	int status;
	pid_t pid = fork();
	if (!pid) {
		execl("/proc/self/exe", argv[0], "again", NULL);
		_exit(1);
	}
	waitpid(pid, &status, 0);
	CHECK_EQ(status, 0);
	return check_done("rseq");
}

// SPDX-License-Identifier: MIT
// NUMA policies on a machine with one node, protection keys where there are none, membarrier.
// Starts as root.
#define _GNU_SOURCE
#include "tests/programs/check.h"
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { DEFAULT, PREFERRED, BIND, INTERLEAVE, LOCAL, STATIC = 1 << 15, RELATIVE = 1 << 14 };
enum { NODE = 1, ADDR = 2, ALLOWED = 4 };
enum { STRICT = 1, MOVE = 2, MOVE_ALL = 4 };

static long set_policy(int mode, const unsigned long *mask, unsigned long n)
{
	return syscall(SYS_set_mempolicy, mode, mask, n);
}
static long get_policy(int *mode, unsigned long *mask, unsigned long n, void *addr,
		       unsigned long flags)
{
	return syscall(SYS_get_mempolicy, mode, mask, n, addr, flags);
}
static long bind_memory(void *at, unsigned long len, int mode, const unsigned long *mask,
			unsigned long n, unsigned flags)
{
	return syscall(SYS_mbind, at, len, mode, mask, n, flags);
}

static void test_task_policy(void)
{
	unsigned long none = 0, first = 1, second = 2, got[16];
	int mode = 77, status;
	CHECK_EQ(get_policy(&mode, NULL, 0, NULL, 0), 0);
	CHECK_EQ(mode, DEFAULT);
	CHECK_EQ(get_policy(NULL, got, 1024, NULL, ALLOWED), 0);
	CHECK_EQ(got[0], 1);
	CHECK_EQ(got[15], 0);
	CHECK_ERR(set_policy(40, &first, 64), EINVAL);
	CHECK_ERR(set_policy(BIND, &none, 64), EINVAL);
	CHECK_ERR(set_policy(BIND, NULL, 0), EINVAL);
	CHECK_ERR(set_policy(BIND, &second, 64), EINVAL);
	CHECK_ERR(set_policy(BIND | STATIC | RELATIVE, &first, 64), EINVAL);
	CHECK_ERR(set_policy(DEFAULT, &first, 64), EINVAL);
	CHECK_ERR(set_policy(LOCAL, &first, 64), EINVAL);
	CHECK_ERR(set_policy(PREFERRED | STATIC, &none, 64), EINVAL);
	CHECK_ERR(set_policy(BIND, (void *)16, 64), EFAULT);
	CHECK_ERR(set_policy(BIND, &first, ULONG_MAX), EINVAL);
	CHECK_EQ(set_policy(BIND, &first, 64), 0);
	CHECK_EQ(get_policy(&mode, got, 1024, NULL, 0), 0);
	CHECK_EQ(mode, BIND);
	CHECK_EQ(got[0], 1);
	CHECK_ERR(get_policy(&mode, NULL, 0, NULL, NODE), EINVAL);
	pid_t pid = fork();
	if (!pid) { // inherited
		check_failures = 0;
		CHECK_EQ(get_policy(&mode, NULL, 0, NULL, 0), 0);
		CHECK_EQ(mode, BIND);
		_exit(check_failures != 0);
	}
	waitpid(pid, &status, 0);
	CHECK_EQ(status, 0);
	CHECK_EQ(set_policy(INTERLEAVE, &first, 64), 0);
	CHECK_EQ(get_policy(&mode, NULL, 0, NULL, NODE), 0);
	CHECK_EQ(mode, 0);
	CHECK_EQ(set_policy(PREFERRED, NULL, 0), 0);
	CHECK_EQ(get_policy(&mode, got, 1024, NULL, 0), 0);
	CHECK_EQ(mode, LOCAL);
	CHECK_EQ(got[0], 0);
	CHECK_EQ(set_policy(DEFAULT, NULL, 0), 0);
	CHECK_EQ(get_policy(&mode, NULL, 0, NULL, 0), 0);
	CHECK_EQ(mode, DEFAULT);
	CHECK_ERR(get_policy(&mode, NULL, 0, &mode, 0), EINVAL);
	CHECK_ERR(get_policy(&mode, NULL, 0, NULL, 8), EINVAL);
	CHECK_ERR(get_policy(&mode, NULL, 0, NULL, ALLOWED | NODE), EINVAL);
	CHECK_ERR(get_policy(&mode, NULL, 0, (void *)4096, ADDR), EFAULT);
	CHECK_ERR(get_policy((void *)16, NULL, 0, NULL, 0), EFAULT);
	CHECK_ERR(get_policy(&mode, got, 0, NULL, 0), EINVAL);
}

static void test_area_policy(void)
{
	unsigned long first = 1;
	int mode;
	char *m = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK_EQ(bind_memory(m + 4096, 4096, BIND, &first, 64, 0), 0);
	CHECK_EQ(get_policy(&mode, NULL, 0, m, ADDR), 0);
	CHECK_EQ(mode, DEFAULT);
	CHECK_EQ(get_policy(&mode, NULL, 0, m + 5000, ADDR), 0);
	CHECK_EQ(mode, BIND);
	CHECK_EQ(get_policy(&mode, NULL, 0, m + 8192, ADDR), 0);
	CHECK_EQ(mode, DEFAULT);
	CHECK_EQ(get_policy(&mode, NULL, 0, m + 4096, ADDR | NODE), 0);
	CHECK_EQ(mode, 0);
	CHECK_EQ(bind_memory(m, 16384, DEFAULT, NULL, 0, 0), 0);
	CHECK_EQ(get_policy(&mode, NULL, 0, m + 4096, ADDR), 0);
	CHECK_EQ(mode, DEFAULT);
	CHECK_EQ(bind_memory(m, 0, BIND, &first, 64, 0), 0);
	CHECK_ERR(bind_memory(m + 1, 4096, BIND, &first, 64, 0), EINVAL);
	CHECK_ERR(bind_memory(m, 4096, BIND, &first, 64, 8), EINVAL);
	CHECK_ERR(bind_memory(m, -8192ul, BIND, &first, 64, 0), EINVAL);
	munmap(m + 4096, 4096);
	CHECK_ERR(bind_memory(m, 16384, BIND, &first, 64, 0), EFAULT);
	munmap(m, 16384);
}

static void test_moving(void)
{
	unsigned long first = 1, second = 2;
	char *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *pages[3] = {m, m + 4096, (void *)4096};
	int status[3] = {9, 9, 9}, nodes[3] = {0, 0, 0};
	m[0] = 1;
	CHECK_EQ(syscall(SYS_move_pages, 0, 3, pages, NULL, status, 0), 0);
	CHECK_EQ(status[0], 0);
	CHECK_EQ(status[1], -ENOENT);
	CHECK_EQ(status[2], -EFAULT);
	status[0] = 9;
	CHECK_EQ(syscall(SYS_move_pages, 0, 1, pages, nodes, status, MOVE), 0);
	CHECK_EQ(status[0], 0);
	nodes[0] = 1;
	CHECK_ERR(syscall(SYS_move_pages, 0, 1, pages, nodes, status, MOVE), ENODEV);
	CHECK_ERR(syscall(SYS_move_pages, 0, 1, pages, nodes, status, 1), EINVAL);
	CHECK_ERR(syscall(SYS_move_pages, 1 << 30, 1, pages, NULL, status, 0), ESRCH);
	CHECK_ERR(syscall(SYS_move_pages, 0, 1, (void *)16, NULL, status, 0), EFAULT);
	CHECK_EQ(syscall(SYS_migrate_pages, 0, 64, &first, &first), 0);
	CHECK_ERR(syscall(SYS_migrate_pages, 0, 64, &first, &second), EINVAL);
	CHECK_ERR(syscall(SYS_migrate_pages, 1 << 30, 64, &first, &first), ESRCH);
	CHECK_ERR(syscall(SYS_migrate_pages, 0, 64, (void *)16, &first), EFAULT);
	munmap(m, 8192);
}

static void test_keys(void)
{
	char *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK_ERR(syscall(SYS_pkey_alloc, 1, 0), EINVAL);
	CHECK_ERR(syscall(SYS_pkey_alloc, 0, 4), EINVAL);
	long key = syscall(SYS_pkey_alloc, 0, 0);
	if (key >= 0) // a kernel that has them
		CHECK_EQ(syscall(SYS_pkey_free, key), 0);
	else
		CHECK(errno == ENOSPC || errno == EINVAL); // the manual, Linux
	CHECK_ERR(syscall(SYS_pkey_free, 9), EINVAL);
	CHECK_ERR(syscall(SYS_pkey_mprotect, m, 4096, PROT_READ, 9), EINVAL);
	CHECK_EQ(syscall(SYS_pkey_mprotect, m, 4096, PROT_READ, -1), 0);
	munmap(m, 4096);
}

static long membarrier(int cmd, unsigned flags, int cpu)
{
	return syscall(SYS_membarrier, cmd, flags, cpu);
}

static void test_membarrier(void)
{
	long all = membarrier(0, 0, 0);
	CHECK((all & 0x1ff) == 0x1ff);
	CHECK_ERR(membarrier(0, 1, 0), EINVAL);
	CHECK_ERR(membarrier(3, 0, 0), EINVAL);
	CHECK_ERR(membarrier(1 << 20, 0, 0), EINVAL);
	for (int cmd = 8; cmd <= 128;
	     cmd <<= 2) { // expedited, private: with and without registration
		CHECK_ERR(membarrier(cmd, 0, 0), EPERM);
		CHECK_ERR(membarrier(cmd << 1, 1, 0), EINVAL);
		CHECK_EQ(membarrier(cmd << 1, 0, 0), 0);
		CHECK_EQ(membarrier(cmd, 0, 0), 0);
	}
	CHECK_ERR(membarrier(8, 1, 0), EINVAL);
	CHECK_EQ(membarrier(128, 1, 0), 0);
	CHECK_EQ(membarrier(128, 1, 5000), 0);
	CHECK_ERR(membarrier(128, 2, 0), EINVAL);
	CHECK_EQ(membarrier(1, 0, 0), 0);
	CHECK_EQ(membarrier(2, 0, 0), 0);
	CHECK_EQ(membarrier(4, 0, 0), 0);
	if (all & 512)
		CHECK_EQ(membarrier(512, 0, 0), 4 | 16 | 64 | 256);
}

int main(int argc, char **argv)
{
	if (argc > 1) { // a new program is not registered
		CHECK_ERR(membarrier(8, 0, 0), EPERM);
		return check_failures != 0;
	}
	if (get_policy(NULL, NULL, 0, NULL, 0) && errno == ENOSYS) {
		printf("no NUMA policies in this kernel\n");
	} else {
		test_task_policy();
		test_area_policy();
		test_moving();
	}
	test_keys();
	test_membarrier();
	pid_t pid = fork();
	int status;
	if (!pid) {
		execl("/proc/self/exe", argv[0], "again", NULL);
		_exit(1);
	}
	waitpid(pid, &status, 0);
	CHECK_EQ(status, 0);
	return check_done("memory_policy");
}

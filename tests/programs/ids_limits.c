// SPDX-License-Identifier: MIT
// User ids, groups, capabilities, resource limits, scheduling, prctl, memory calls. Starts as root.
#define _GNU_SOURCE
#include "tests/programs/check.h"
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <time.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

static int in_child(void (*fn)(void))
{
	int status;
	pid_t p = fork();
	if (!p) {
		check_failures = 0;
		fn();
		fflush(stdout);
		_exit(check_failures != 0);
	}
	waitpid(p, &status, 0);
	return status;
}

static void caps(unsigned long long *effective, unsigned long long *permitted)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];
	CHECK_EQ(syscall(SYS_capget, &h, d), 0);
	*effective = d[0].effective | (unsigned long long)d[1].effective << 32;
	*permitted = d[0].permitted | (unsigned long long)d[1].permitted << 32;
}

static void drop_root(void)
{
	uid_t r, e, s;
	unsigned long long eff, perm;
	CHECK_EQ(setgroups(3, (gid_t[]){30, 10, 20}), 0);
	gid_t g[8];
	CHECK_EQ(getgroups(8, g), 3);
	CHECK_ERR(getgroups(1, g), EINVAL);
	CHECK_EQ(setresgid(100, 100, 100), 0);
	CHECK_EQ(setresuid(1000, 1001, 1002), 0);
	CHECK_EQ(getresuid(&r, &e, &s), 0);
	CHECK(r == 1000 && e == 1001 && s == 1002);
	caps(&eff, &perm);
	CHECK_EQ(eff, 0);
	CHECK_EQ(perm, 0);
	CHECK_ERR(setuid(0), EPERM);
	CHECK_ERR(setgroups(0, NULL), EPERM);
	CHECK_EQ(setuid(1002), 0);
	CHECK(geteuid() == 1002 && getuid() == 1000);
	CHECK_EQ(setreuid(1002, 1000), 0);
	CHECK_EQ(setfsuid(1002), 1000);
	CHECK_EQ(setfsuid(5), 1002);
	CHECK_EQ(setfsuid(1002), 1002);
	CHECK_ERR(kill(getppid(), 0), EPERM);
	CHECK_ERR(setpriority(PRIO_PROCESS, 0, -5), EACCES);
	CHECK_ERR(setrlimit(RLIMIT_NOFILE, &(struct rlimit){1024, 1000000}), EPERM);
}

static void seteuid_round_trip(void)
{
	unsigned long long eff, perm;
	CHECK_EQ(seteuid(1000), 0);
	caps(&eff, &perm);
	CHECK(eff == 0 && perm != 0);
	CHECK_EQ(seteuid(0), 0);
	caps(&eff, &perm);
	CHECK(eff == perm && perm != 0);
	CHECK_EQ(prctl(PR_SET_KEEPCAPS, 1), 0);
	CHECK_EQ(setuid(1000), 0);
	caps(&eff, &perm);
	CHECK(eff == 0 && perm != 0);
}

static void limits(void)
{
	struct rlimit r;
	CHECK_EQ(getrlimit(RLIMIT_STACK, &r), 0);
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &(struct rlimit){20, 50}), 0);
	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &r), 0);
	CHECK(r.rlim_cur == 20 && r.rlim_max == 50);
	CHECK_ERR(setrlimit(RLIMIT_NOFILE, &(struct rlimit){60, 50}), EINVAL);
	CHECK_ERR(getrlimit(99, &r), EINVAL);
	CHECK_ERR(dup2(0, 20), EBADF);
	CHECK_EQ(prlimit(getppid(), RLIMIT_CORE, NULL, &r), 0);
	// as a user: no more processes than allowed
	CHECK_EQ(setrlimit(RLIMIT_NPROC, &(struct rlimit){1, 1}), 0);
	CHECK_EQ(setuid(4321), 0);
	CHECK_ERR(fork(), EAGAIN);
	CHECK_EQ(setrlimit(RLIMIT_AS, &(struct rlimit){64 << 20, 64 << 20}), 0);
	CHECK(mmap(NULL, 256 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
		      MAP_FAILED &&
	      errno == ENOMEM);
	CHECK_EQ(setrlimit(RLIMIT_SIGPENDING, &(struct rlimit){2, 2}), 0);
	sigset_t set;
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	CHECK_EQ(sigqueue(getpid(), SIGRTMIN, (union sigval){}), 0);
	CHECK_EQ(sigqueue(getpid(), SIGRTMIN, (union sigval){}), 0);
	CHECK_ERR(sigqueue(getpid(), SIGRTMIN, (union sigval){}), EAGAIN);
	CHECK_EQ(kill(getpid(), SIGUSR1), 0);
}

// What a child of the next function inherits: one CPU, FIFO with priority 5.
static void scheduling_of_child(void)
{
	cpu_set_t set;
	struct sched_param p;
	CHECK_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
	CHECK_EQ(CPU_COUNT(&set), 1);
	CHECK_EQ(sched_getscheduler(0), SCHED_FIFO);
	CHECK_EQ(sched_getparam(0, &p), 0);
	CHECK_EQ(p.sched_priority, 5);
}

static void scheduling_reset(void)
{
	CHECK_EQ(sched_getscheduler(0), SCHED_OTHER);
}

static void scheduling(void)
{
	cpu_set_t set;
	struct sched_param p = {};
	CHECK_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
	CHECK(CPU_COUNT(&set) >= 1);
	int cpu = sched_getcpu();
	CHECK(cpu >= 0 && CPU_ISSET(cpu, &set));
	CPU_ZERO(&set);
	CHECK_ERR(sched_setaffinity(0, sizeof(set), &set), EINVAL);
	CPU_SET(cpu, &set);
	CHECK_EQ(sched_setaffinity(0, sizeof(set), &set), 0);
	CHECK_EQ(sched_getcpu(), cpu);
	CHECK_ERR(sched_getaffinity(0, 4, &set), EINVAL);
	CHECK_ERR(sched_getaffinity(1 << 30, sizeof(set), &set), ESRCH);
	CHECK_EQ(sched_getscheduler(0), SCHED_OTHER);
	CHECK_EQ(sched_get_priority_max(SCHED_FIFO), 99);
	CHECK_EQ(sched_get_priority_min(SCHED_RR), 1);
	CHECK_ERR(sched_get_priority_max(77), EINVAL);
	p.sched_priority = 5;
	CHECK_EQ(sched_setscheduler(0, SCHED_FIFO, &p), 0);
	CHECK_EQ(sched_getscheduler(0), SCHED_FIFO);
	CHECK_EQ(in_child(scheduling_of_child), 0);
	CHECK_EQ(sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &p), 0);
	CHECK_EQ(in_child(scheduling_reset), 0);
	p.sched_priority = 0;
	CHECK_ERR(sched_setscheduler(0, SCHED_FIFO, &p), EINVAL);
	CHECK_EQ(sched_setscheduler(0, SCHED_BATCH, &p), 0);
	CHECK_EQ(setpriority(PRIO_PROCESS, 0, 7), 0);
	CHECK_EQ(getpriority(PRIO_PROCESS, 0), 7);
	CHECK_EQ(nice(3), 10);
	struct timespec ts;
	CHECK_EQ(sched_rr_get_interval(0, &ts), 0);
	CHECK_EQ(sched_yield(), 0);
}

// What a child has of its parent's, in the order of bits: policy, nice, CPUs, reset on fork.
static int inherited(int policy, int nice, const cpu_set_t *set)
{
	cpu_set_t now;
	pid_t child = fork();

	if (!child) {
		int found = sched_getscheduler(0);

		CPU_ZERO(&now);
		sched_getaffinity(0, sizeof(now), &now);
		_exit(((found & ~SCHED_RESET_ON_FORK) == policy) |
		      (getpriority(PRIO_PROCESS, 0) == nice) << 1 | !!CPU_EQUAL(&now, set) << 2 |
		      !!(found & SCHED_RESET_ON_FORK) << 3);
	}
	int status = -1;

	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void inheritance(void)
{
	struct sched_param p = {};
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	CHECK_EQ(sched_setaffinity(0, sizeof(set), &set), 0);
	CHECK_EQ(sched_setscheduler(0, SCHED_BATCH, &p), 0);
	CHECK_EQ(setpriority(PRIO_PROCESS, 0, -3), 0);
	CHECK_EQ(inherited(SCHED_BATCH, -3, &set), 7);
	CHECK_EQ(sched_setscheduler(0, SCHED_BATCH | SCHED_RESET_ON_FORK, &p), 0);
	CHECK_EQ(inherited(SCHED_BATCH, 0, &set), 7);
	p.sched_priority = 3;
	CHECK_EQ(sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &p), 0);
	CHECK_EQ(inherited(SCHED_OTHER, 0, &set), 7);
	CHECK_EQ(sched_setscheduler(0, SCHED_RR, &p), 0);
	CHECK_EQ(inherited(SCHED_RR, -3, &set), 7);
}

// A real-time thread that never sleeps leaves the others enough to end it.
static void realtime_hog(void)
{
	struct sched_param p = {.sched_priority = 50};
	struct timespec begin, now, nap = {0, 1000000};
	cpu_set_t set;
	pid_t hog;
	int status;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	CHECK_EQ(sched_setaffinity(0, sizeof(set), &set), 0);
	CHECK((hog = fork()) >= 0);
	if (!hog) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (sched_setscheduler(0, SCHED_FIFO, &p))
			_exit(1);
		for (;;)
			__asm__ volatile("");
	}
	while (sched_getscheduler(hog) != SCHED_FIFO)
		nanosleep(&nap, NULL);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int i = 0; i < 5; i++)
		nanosleep(&nap, NULL);
	kill(hog, SIGKILL);
	CHECK_EQ(waitpid(hog, &status, 0), hog);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	clock_gettime(CLOCK_MONOTONIC, &now);
	CHECK(now.tv_sec - begin.tv_sec <= 3);
}

static void settings(void)
{
	char name[17] = {};
	CHECK_EQ(prctl(PR_SET_NAME, "a-name-that-is-too-long"), 0);
	CHECK_EQ(prctl(PR_GET_NAME, name), 0);
	CHECK(!strcmp(name, "a-name-that-is-"));
	CHECK_ERR(prctl(99999), EINVAL);
	CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
	CHECK_EQ(prctl(PR_SET_DUMPABLE, 0), 0);
	CHECK_EQ(prctl(PR_GET_DUMPABLE), 0);
	CHECK_ERR(prctl(PR_SET_DUMPABLE, 5), EINVAL);
	CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
	CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
	CHECK_ERR(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
	CHECK_EQ(prctl(PR_CAPBSET_READ, CAP_CHOWN), 1);
	CHECK_EQ(prctl(PR_CAPBSET_DROP, CAP_CHOWN), 0);
	CHECK_EQ(prctl(PR_CAPBSET_READ, CAP_CHOWN), 0);
	CHECK_EQ(prctl(PR_SET_PDEATHSIG, SIGHUP), 0);
	int sig = 0;
	CHECK_EQ(prctl(PR_GET_PDEATHSIG, &sig), 0);
	CHECK_EQ(sig, SIGHUP);
	CHECK_EQ(personality(0xffffffff), 0);
	CHECK_EQ(personality(ADDR_NO_RANDOMIZE), 0);
	CHECK_EQ(personality(0xffffffff), ADDR_NO_RANDOMIZE);
}

static void memory(void)
{
	long page = 4096;
	unsigned char vec[4];
	char *m = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(m != MAP_FAILED);
	m[0] = 1;
	CHECK_EQ(mincore(m, 4 * page, vec), 0);
	CHECK((vec[0] & 1) == 1 && (vec[1] & 1) == 0);
	CHECK_EQ(mprotect(m + page, page, PROT_READ), 0);
	CHECK_ERR(mprotect(m + 1, page, PROT_READ), EINVAL);
	CHECK(mmap(m, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) ==
		      MAP_FAILED &&
	      errno == EEXIST);
	CHECK_EQ(munmap(m + page, page), 0);
	CHECK_ERR(mprotect(m, 4 * page, PROT_READ), ENOMEM);
	CHECK_ERR(msync(m, 4 * page, MS_SYNC), ENOMEM);
	CHECK_ERR(mincore(m, 4 * page, vec), ENOMEM);
	CHECK_ERR(munmap(m + 1, page), EINVAL);
	CHECK_ERR(munmap(m, 0), EINVAL);
	CHECK(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
	      errno == EINVAL);
	CHECK(mmap(NULL, page, PROT_READ, MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mmap(NULL, page, PROT_READ, MAP_PRIVATE, 99, 0) == MAP_FAILED && errno == EBADF);
	CHECK(mmap(NULL, 1ul << 48, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		   0) == MAP_FAILED &&
	      errno == ENOMEM);
	char *r = mremap(m, page, 8 * page, MREMAP_MAYMOVE);
	CHECK(r != MAP_FAILED && r[0] == 1);
	CHECK_EQ(madvise(r, 8 * page, MADV_DONTNEED), 0);
	CHECK_EQ(r[0], 0);
	CHECK_ERR(madvise(r + 1, page, MADV_DONTNEED), EINVAL);
	CHECK_EQ(mlock(r, page), 0);
	CHECK_EQ(munlock(r, page), 0);
	void *b = sbrk(0);
	CHECK(sbrk(10000) == b);
	memset(b, 1, 10000);
	CHECK(sbrk(-10000) == (char *)b + 10000);
	CHECK(syscall(SYS_membarrier, 0, 0, 0) > 0);
	CHECK_EQ(syscall(SYS_membarrier, 16, 0, 0), 0);
	CHECK_EQ(syscall(SYS_membarrier, 8, 0, 0), 0);
	char *reserve = mmap(NULL, 1ul << 36, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(reserve != MAP_FAILED);
	CHECK_EQ(munmap(reserve, 1ul << 36), 0);
	int fd = open("/tmp/memory_file", O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK_EQ(ftruncate(fd, 100), 0);
	char *f = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(f != MAP_FAILED);
	f[5] = 'x';
	char c;
	CHECK(pread(fd, &c, 1, 5) == 1 && c == 'x');
	CHECK(mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 1) == MAP_FAILED && errno == EINVAL);
	close(fd);
	fd = open("/tmp/memory_file", O_RDONLY);
	CHECK(mmap(NULL, page, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EACCES);
	CHECK(mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) != MAP_FAILED);
	close(fd);
	unlink("/tmp/memory_file");
	pid_t p = fork();
	if (!p) {
		c = ((volatile char *)f)[page]; // beyond the file's end
		_exit(c);
	}
	int status;
	waitpid(p, &status, 0);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}

static void remote_memory(void)
{
	char theirs[64] = "not yet", mine[64] = {};
	int fds[2], status;
	CHECK_EQ(pipe(fds), 0);
	pid_t p = fork();
	if (!p) {
		char c;
		strcpy(theirs, "of the child");
		if (write(fds[1], "x", 1) != 1)
			_exit(1);
		while (!(c = *(volatile char *)(theirs + 40)))
			usleep(1000);
		_exit(c);
	}
	CHECK_EQ(read(fds[0], mine, 1), 1);
	struct iovec l[2] = {{mine, 3}, {mine + 3, 61}}, r = {theirs, 64};
	CHECK_EQ(process_vm_readv(p, l, 2, &r, 1, 0), 64);
	CHECK(!strcmp(mine, "of the child"));
	r = (struct iovec){(void *)16, 8};
	CHECK_ERR(process_vm_readv(p, l, 2, &r, 1, 0), EFAULT);
	CHECK_ERR(process_vm_readv(1 << 30, l, 2, &r, 1, 0), ESRCH);
	CHECK_ERR(process_vm_readv(p, l, 2, &r, 1, 5), EINVAL);
	mine[0] = 33;
	r = (struct iovec){theirs + 40, 1};
	l[0] = (struct iovec){mine, 1};
	CHECK_EQ(process_vm_writev(p, l, 1, &r, 1, 0), 1);
	waitpid(p, &status, 0);
	CHECK_EQ(WEXITSTATUS(status), 33);
	CHECK_EQ(unshare(CLONE_FILES | CLONE_FS), 0);
	CHECK_ERR(unshare(0x40), EINVAL);
}

int main(void)
{
	if (getuid()) {
		printf("ids_limits: skipped: must be run by root\n");
		return 0;
	}
	CHECK_EQ(in_child(drop_root), 0);
	CHECK_EQ(in_child(seteuid_round_trip), 0);
	CHECK_EQ(in_child(limits), 0);
	CHECK_EQ(in_child(scheduling), 0);
	CHECK_EQ(in_child(inheritance), 0);
	CHECK_EQ(in_child(realtime_hog), 0);
	CHECK_EQ(in_child(settings), 0);
	CHECK_EQ(in_child(memory), 0);
	CHECK_EQ(in_child(remote_memory), 0);
	return check_done("ids_limits");
}

// SPDX-License-Identifier: MIT
// System calls in bad faith: random numbers and arguments, memory that vanishes under a call,
// broken ELF files, storms of processes. That it comes to its end with the kernel still there is
// the test. Arguments: seconds for each part, seed.
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/programs/check.h"
#include <cpu_code.h>

typedef uint64_t u64;
#define COUNT(a) (sizeof(a) / sizeof(*(a)))
enum { ORDINARY = 1000, WORKERS = 4, PAGE = 4096 };

static u64 seed = 1;
static double seconds = 1;
static const char folder[] = "/tmp/hostile";

static u64 rnd(u64 *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	return *s ^= *s << 17;
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// Waits for a child and ends it when it takes longer.
static int wait_for(pid_t pid, double limit)
{
	double end = now() + limit;
	int status = -1;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (now() > end)
			kill(pid, SIGKILL);
		usleep(1000);
	}
	return status;
}

static void become_ordinary(void)
{
	if (getuid() == 0 && (setgroups(0, NULL) || setgid(ORDINARY) || setuid(ORDINARY)))
		_exit(9);
}

// What an ordinary user's processes left behind dies: kill(-1) spares only the caller.
static void kill_all_ordinary(void)
{
	if (getuid())
		return;
	pid_t pid = fork();
	if (!pid) {
		become_ordinary();
		kill(-1, SIGKILL);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

// ---- random calls ----

// Calls that would stop the test rather than hurt the kernel.
static int forbidden(long nr)
{
	static const short numbers[] = {
#ifdef SYS_pause
		SYS_pause,
#endif
		SYS_rt_sigsuspend, SYS_exit,   SYS_exit_group,	 SYS_sync,   SYS_syncfs,
		SYS_vhangup,	   SYS_reboot, SYS_rt_sigreturn, SYS_munmap, SYS_mremap,
		SYS_brk,	   SYS_kill,   SYS_tkill,	 SYS_tgkill};
	for (unsigned i = 0; i < COUNT(numbers); i++)
		if (numbers[i] == nr)
			return 1;
	return 0;
}

static char *arena; // 64 pages, every eighth missing

static u64 argument(u64 *s, const int *fds)
{
	static const u64 odd[] = {0,
				  1,
				  2,
				  3,
				  7,
				  8,
				  9,
				  16,
				  63,
				  64,
				  255,
				  256,
				  511,
				  1023,
				  4095,
				  4096,
				  4097,
				  65535,
				  65536,
				  0x7fffffff,
				  0x80000000,
				  0xffffffff,
				  0x100000000,
				  0x7fffffffefff,
				  0x7fffffffffff,
				  0x800000000000,
				  0x7fffffffffffffff,
				  0x8000000000000000,
				  0xffff800000000000,
				  0xffffffff80000000,
				  ~4095ull,
				  ~0ull - 7,
				  ~0ull - 1,
				  ~0ull};
	static const char *const names[] = {"/tmp/hostile/a",
					    "/tmp/hostile/b/c",
					    "/proc/self/maps",
					    "/proc/self/fd/3",
					    "/dev/null",
					    "/dev/zero",
					    ".",
					    "..",
					    "",
					    "/proc/self/status",
					    "/proc/self/mem",
					    "/dev/ptmx",
					    "/proc/self/exe"};
	switch (rnd(s) % 8) {
	case 0:
	case 1:
		return odd[rnd(s) % COUNT(odd)];
	case 2:
		return (u64)fds[rnd(s) % 16];
	case 3:
		return (u64)arena + rnd(s) % (64 * PAGE);
	case 4:
		return ((u64)arena + rnd(s) % (64 * PAGE)) & ~7ull;
	case 5:
		return rnd(s) % 64;
	case 6:
		return (u64)names[rnd(s) % COUNT(names)];
	default:
		return rnd(s) >> rnd(s) % 64;
	}
}

static void fuzz(u64 s)
{
	static const int limits[][2] = {{RLIMIT_AS, 256 << 20},	 {RLIMIT_NPROC, 100},
					{RLIMIT_FSIZE, 1 << 20}, {RLIMIT_NOFILE, 64},
					{RLIMIT_CPU, 2},	 {RLIMIT_CORE, 0}};
	int fds[16] = {-1, -100, 0};

	become_ordinary();
	setpgid(0, 0);
	for (unsigned i = 0; i < COUNT(limits); i++)
		setrlimit((__rlimit_resource_t)limits[i][0],
			  &(struct rlimit){(rlim_t)limits[i][1], (rlim_t)limits[i][1]});
	if (chdir(folder))
		_exit(9);
	closefrom(0);
	arena = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 64 * PAGE / 8; i++)
		((u64 *)arena)[i] =
			rnd(&s) & 1 ? rnd(&s) >> rnd(&s) % 64 : (u64)arena + rnd(&s) % (64 * PAGE);
	for (int i = 7; i < 64; i += 8)
		munmap(arena + i * PAGE, PAGE);
	mprotect(arena + 5 * PAGE, PAGE, PROT_READ);
	fds[3] = open("file", O_RDWR | O_CREAT, 0600);
	int pair[2];
	if (!pipe2(pair, O_NONBLOCK))
		fds[4] = pair[0], fds[5] = pair[1];
	if (!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair))
		fds[6] = pair[0], fds[7] = pair[1];
	fds[8] = (int)syscall(SYS_epoll_create1, 0);
	fds[9] = (int)syscall(SYS_eventfd2, 1, O_NONBLOCK);
	fds[10] = open(".", O_RDONLY | O_DIRECTORY);
	fds[11] = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
	fds[12] = (int)syscall(SYS_memfd_create, "m", 3);
	fds[13] = open("/proc/self/maps", O_RDONLY);
	fds[14] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	fds[15] = (int)syscall(SYS_pidfd_open, getpid(), 0);
	alarm(1);
	for (int i = 0; i < 400; i++) {
		long nr = (long)(rnd(&s) % 471);
		if (!forbidden(nr))
			syscall(nr, argument(&s, fds), argument(&s, fds), argument(&s, fds),
				argument(&s, fds), argument(&s, fds), argument(&s, fds));
	}
}

static void random_calls(void)
{
	double end = now() + 2 * seconds;
	pid_t workers[WORKERS];

	mkdir(folder, 0777);
	chmod(folder, 0777);
	for (int w = 0; w < WORKERS; w++) {
		workers[w] = fork();
		if (workers[w])
			continue;
		for (u64 i = 0; now() < end; i++) {
			pid_t pid = fork();
			if (!pid) {
				fuzz((seed * 1000003 + i * WORKERS + (u64)w + 1) *
				     0x9e3779b97f4a7c15);
				_exit(0);
			}
			wait_for(pid, 0.3);
		}
		_exit(0);
	}
	for (int w = 0; w < WORKERS; w++)
		CHECK(wait_for(workers[w], 10 + 4 * seconds) == 0);
	kill_all_ordinary();
}

// ---- memory that goes away under a call ----

static volatile int stop;
static char *shaky;
enum { SHAKY = 16 * PAGE };

static void *shaker(void *unused)
{
	u64 s = seed + 77;

	(void)unused;
	while (!stop) {
		char *at = shaky + rnd(&s) % 16 * PAGE;
		switch (rnd(&s) % 5) {
		case 0:
			munmap(at, PAGE);
			break;
		case 1:
			mprotect(at, PAGE, PROT_READ);
			break;
		case 2:
			mprotect(at, PAGE, PROT_NONE);
			break;
		case 3:
			madvise(at, PAGE, MADV_DONTNEED);
			break;
		default:
			mmap(shaky + (at - shaky) / 2, SHAKY / 2, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		}
	}
	return NULL;
}

static void *caller(void *number)
{
	u64 s = seed + 1000 + (u64)number;
	int pipes[2], zero = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_WRONLY),
		      file = open("/tmp/hostile/f", O_RDWR | O_CREAT, 0600);

	if (pipe2(pipes, O_NONBLOCK))
		return NULL;
	while (!stop) {
		char *at = shaky + rnd(&s) % SHAKY;
		size_t len = rnd(&s) % (3 * PAGE);
		switch (rnd(&s) % 16) {
		case 0:
			syscall(SYS_read, zero, at, len);
			break;
		case 1:
			syscall(SYS_write, null, at, len);
			break;
		case 2:
			syscall(SYS_newfstatat, AT_FDCWD, at, at + 64, 0);
			break;
		case 3:
			syscall(SYS_futex, (u64)at & ~3ull, 128 | (rnd(&s) & 1 ? 0 : 1), 0,
				&(struct timespec){0, 1000}, 0, 0);
			break;
		case 4:
			syscall(SYS_write, pipes[1], at, len);
			break;
		case 5:
			syscall(SYS_read, pipes[0], at, len);
			break;
		case 6:
			syscall(SYS_pwrite64, file, at, len, 0);
			break;
		case 7:
			syscall(SYS_pread64, file, at, len, 0);
			break;
		case 8:
			syscall(SYS_getcwd, at, len);
			break;
		case 9:
			syscall(SYS_uname, at);
			break;
		case 10:
			syscall(SYS_rt_sigprocmask, 0, NULL, at, 8);
			break;
		case 11:
			syscall(SYS_readv, zero, at, 4);
			break;
		case 12:
			syscall(SYS_ppoll, at, 4, &(struct timespec){}, NULL, 8);
			break;
		case 13:
			syscall(SYS_mremap, at - ((u64)at & 4095), PAGE, PAGE, 0);
			break;
		case 14:
			syscall(SYS_clock_gettime, 1, at);
			break;
		default:
			syscall(SYS_execve, at, at, at);
			break;
		}
	}
	return NULL;
}

static void vanishing_memory(void)
{
	pid_t pid = fork();

	if (!pid) {
		pthread_t t[6];
		shaky = mmap(NULL, SHAKY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			     0);
		for (u64 i = 0; i < COUNT(t); i++)
			if (pthread_create(&t[i], NULL, i < 2 ? shaker : caller, (void *)i))
				_exit(8);
		usleep((useconds_t)(seconds * 1e6));
		stop = 1;
		for (unsigned i = 0; i < COUNT(t); i++)
			pthread_join(t[i], NULL);
		_exit(0);
	}
	CHECK_EQ(wait_for(pid, 10 + 2 * seconds), 0);
}

// ---- programs that take the ground from under their feet ----

static void suicides(void)
{
	for (int way = 0; way < 10; way++) {
		pid_t pid = fork();
		if (!pid) {
			u64 here = (u64)__builtin_frame_address(0) & ~4095ull;
			setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
			switch (way) {
			case 0:
				munmap((void *)here, 4 * PAGE);
				break;
			case 1:
				munmap((void *)PAGE, 0x7fffffffe000 - PAGE);
				break;
			case 2:
				mprotect((void *)here, PAGE, PROT_NONE);
				break;
			case 3:
				syscall(SYS_munmap, 0, 0x7ffffffff000);
				break;
			case 4:
				syscall(SYS_brk, 0x400000);
				break;
			case 5:
				mmap((void *)here, 4 * PAGE, PROT_READ,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
				break;
			case 6:
				syscall(SYS_set_robust_list, ~0ull - 100, 24);
				break;
			case 7:
				syscall(SYS_set_tid_address, 0xffffffff80000000);
				break;
			case 8:
				syscall(SYS_prctl, PR_SET_MM, 1, 0, 0, 0);
				break;
			case 9:
				syscall(SYS_set_robust_list, here, 24);
				break;
			}
			_exit(0);
		}
		wait_for(pid, 2);
	}
}

// ---- exec of anything ----

static int exec_bytes(const void *bytes, size_t len, char **args)
{
	static const char name[] = "/tmp/hostile/x";

	unlink(name);
	int fd = open(name, O_WRONLY | O_CREAT, 0755);
	CHECK_EQ(write(fd, bytes, len), len);
	close(fd);
	pid_t pid = fork();
	if (!pid) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
		setrlimit(RLIMIT_CPU, &(struct rlimit){1, 1});
		execve(name, args, args + 1);
		_exit(99);
	}
	return wait_for(pid, 1);
}

static void broken_programs(void)
{
	struct {
		Elf64_Ehdr e;
		Elf64_Phdr p[3];
		unsigned char code[64];
	} good = {
		.e = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1},
		      .e_type = ET_EXEC,
		      .e_machine = CPU_ELF_MACHINE,
		      .e_version = 1,
		      .e_phoff = sizeof(Elf64_Ehdr),
		      .e_ehsize = sizeof(Elf64_Ehdr),
		      .e_phentsize = sizeof(Elf64_Phdr),
		      .e_phnum = 3},
		.p = {{.p_type = PT_LOAD,
		       .p_flags = PF_R | PF_X,
		       .p_vaddr = 0x400000,
		       .p_align = 4096},
		      {.p_type = PT_LOAD,
		       .p_flags = PF_R | PF_W,
		       .p_vaddr = 0x402000,
		       .p_memsz = 10000,
		       .p_align = 4096},
		      {.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W}},
	};
	char *args[] = {"x", NULL, NULL};
	u64 s = seed * 7919 + 5;
	double end = now() + seconds;

	good.e.e_entry = 0x400000 + offsetof(typeof(good), code);
	good.p[0].p_filesz = good.p[0].p_memsz = sizeof(good);
	memcpy(good.code, cpu_exit_7, sizeof(cpu_exit_7));
	int status = exec_bytes(&good, sizeof(good), args);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	for (int i = 0; i < 3000 && now() < end; i++) {
		typeof(good) bad = good;
		for (u64 n = 1 + rnd(&s) % 4; n; n--) {
			size_t at = rnd(&s) % offsetof(typeof(good), code);
			if (rnd(&s) & 1)
				((unsigned char *)&bad)[at] = (unsigned char)rnd(&s);
			else
				((u64 *)&bad)[at / 8] = (u64[]){
					0,    ~0ull, 1ull << 63, 0x7ffffffff000, 0x800000000000,
					4095, 1,     1ull << 47}[rnd(&s) % 8];
		}
		if (rnd(&s) % 4 == 0)
			bad.p[2].p_type = PT_INTERP, bad.p[2].p_filesz = rnd(&s) % 5000,
			bad.p[2].p_offset = rnd(&s) % 400;
		exec_bytes(&bad, rnd(&s) % 8 ? sizeof(bad) : rnd(&s) % sizeof(bad), args);
	}
	static char zeroes[65536];
	exec_bytes(zeroes, sizeof(zeroes), args);
	exec_bytes("#!", 2, args);
	exec_bytes("#!/tmp/hostile/x\n", 17, args);
	exec_bytes("#! \t \n", 6, args);
	memset(zeroes, 'a', sizeof(zeroes));
	memcpy(zeroes, "#!/", 3);
	exec_bytes(zeroes, sizeof(zeroes), args);
	size_t big = 8 << 20;
	char *huge = malloc(big);
	memset(huge, 'a', big);
	huge[big - 1] = 0;
	args[1] = huge;
	status = exec_bytes(&good, sizeof(good), args);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 99);
	huge[100000] = 0;
	status = exec_bytes(&good, sizeof(good), args);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	free(huge);
}

// ---- storms ----

static void *fork_exec(void *unused)
{
	(void)unused;
	for (;;) {
		pid_t pid = fork();
		if (!pid) {
			execl("/proc/self/exe", "hostile_calls", "child", NULL);
			_exit(1);
		}
		if (pid > 0 && pid % 3)
			waitpid(pid, NULL, 0);
	}
	return NULL;
}

static void storms(void)
{
	double end = now() + seconds;
	u64 s = seed + 3;

	while (now() < end) {
		pid_t pid = fork();
		if (!pid) {
			pthread_t t;
			setpgid(0, 0);
			for (int i = 0; i < 4; i++)
				pthread_create(&t, NULL, fork_exec, NULL);
			usleep((useconds_t)(rnd(&s) % 20000));
			if (rnd(&s) & 1)
				execl("/proc/self/exe", "hostile_calls", "child", NULL);
			_exit(0);
		}
		rnd(&s);
		wait_for(pid, 5);
	}
}

// What lives on when its maker is gone, as it should, is no leak.
static void ipc_remove_all(void)
{
	struct shmid_ds shm;
	struct semid_ds sem;
	struct msqid_ds msg;

	for (int i = 0; i < 32768; i++) {
		int id;

		if ((id = shmctl(i, SHM_STAT, &shm)) >= 0)
			shmctl(id, IPC_RMID, NULL);
		if ((id = semctl(i, 0, SEM_STAT, &sem)) >= 0)
			semctl(id, 0, IPC_RMID);
		if ((id = msgctl(i, MSG_STAT, &msg)) >= 0)
			msgctl(id, IPC_RMID, NULL);
	}
}

int main(int argc, char **argv)
{
	static void (*const parts[])(void) = {random_calls, vanishing_memory, suicides,
					      broken_programs, storms};

	if (argc > 1 && !strcmp(argv[1], "child"))
		return 0;
	if (argc > 1)
		seconds = atof(argv[1]);
	if (argc > 2)
		seed = strtoull(argv[2], NULL, 0);
	mkdir(folder, 0777);
	for (unsigned i = 0; i < COUNT(parts); i++) {
		if (argc > 3 && atoi(argv[3]) != (int)i)
			continue;
		printf("part %u\n", i);
		fflush(stdout);
		parts[i]();
	}
	ipc_remove_all();
	pid_t rm = fork();
	if (!rm) {
		execl("/bin/rm", "rm", "-rf", folder, NULL);
		_exit(1);
	}
	CHECK_EQ(wait_for(rm, 10), 0);
	return check_done("hostile_calls");
}

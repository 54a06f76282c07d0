// SPDX-License-Identifier: MIT
// Everything at once: fork, exec, mmap, signals, pipes, threads, futexes, files, in random order
// from several processes. Arguments: seconds (default 3), workers (default 8), seed. Each operation
// checks its own result. Prints how often each ran; exit status 1 at a failure.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t state;
static const char *self;
static int worker;

static uint32_t rnd(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 20) % n;
}

#define CHECK(x)                                                                                \
	do {                                                                                    \
		if (!(x)) {                                                                     \
			printf("FAILED worker %d %s:%d: %s (errno %d, %s)\n", worker, __func__, \
			       __LINE__, #x, errno, strerror(errno));                           \
			fflush(stdout);                                                         \
			_exit(1);                                                               \
		}                                                                               \
	} while (0)

static void wait_for(pid_t p, int status)
{
	int st;
	pid_t r;
	do
		r = waitpid(p, &st, 0);
	while (r < 0 && errno == EINTR);
	CHECK(r == p);
	CHECK(WIFEXITED(st) && WEXITSTATUS(st) == status);
}

static void do_fork(void)
{
	unsigned char *p =
		mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	unsigned char v = (unsigned char)rnd(256);
	memset(p, v, 65536);
	pid_t kid = fork();
	CHECK(kid >= 0);
	if (!kid) {
		for (int i = 0; i < 65536; i += 4096)
			if (p[i] != v)
				_exit(1);
		memset(p, v + 1, 65536);
		_exit(p[65535] == (unsigned char)(v + 1) ? 33 : 2);
	}
	p[100] = 7;
	wait_for(kid, 33);
	CHECK(p[65535] == v && p[100] == 7);
	munmap(p, 65536);
}

static void do_exec(void)
{
	pid_t kid = rnd(2) ? fork() : vfork();
	CHECK(kid >= 0);
	if (!kid) {
		execl(self, self, "exit", "44", NULL);
		_exit(9);
	}
	wait_for(kid, 44);
}

static void do_mmap(void)
{
	size_t pages = 1 + rnd(600);
	unsigned char *p = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	for (size_t i = 0; i < pages; i++)
		CHECK(p[i * 4096] == 0);
	for (size_t i = 0; i < pages; i += 1 + rnd(4))
		p[i * 4096 + rnd(4096)] = 1;
	size_t hole = rnd((uint32_t)pages);
	CHECK(munmap(p + hole * 4096, 4096) == 0);
	if (hole > 1) {
		CHECK(mprotect(p, (hole / 2 + 1) * 4096, PROT_READ) == 0);
		CHECK(mprotect(p, 4096, PROT_READ | PROT_WRITE) == 0);
		p[5] = 9;
	}
	CHECK(madvise(p, 4096, MADV_DONTNEED) == 0 || hole == 0);
	CHECK(munmap(p, pages * 4096) == 0);
}

static volatile sig_atomic_t caught;
static void on_signal(int s)
{
	(void)s;
	caught++;
}
static void do_signals(void)
{
	struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	CHECK(sigaction(SIGUSR1, &a, NULL) == 0);
	caught = 0;
	pid_t me = getpid(), kid = fork();
	CHECK(kid >= 0);
	if (!kid) {
		for (int i = 0; i < 20; i++)
			kill(me, SIGUSR1);
		_exit(5);
	}
	for (int i = 0; i < 50; i++)
		raise(SIGUSR1);
	wait_for(kid, 5);
	CHECK(caught >= 51); // standard signals merge, but the child's last one arrives
	kid = fork();
	CHECK(kid >= 0);
	if (!kid)
		for (;;)
			pause();
	kill(kid, SIGSTOP);
	int st;
	CHECK(waitpid(kid, &st, WUNTRACED) == kid && WIFSTOPPED(st));
	kill(kid, SIGKILL);
	CHECK(waitpid(kid, &st, 0) == kid && WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL);
}

static void do_pipe(void)
{
	int p[2], unix_too = rnd(2);
	CHECK((unix_too ? socketpair(AF_UNIX, SOCK_STREAM, 0, p) : pipe(p)) == 0);
	uint32_t n = 1 + rnd(200000), sum = 0, got = 0;
	pid_t kid = fork();
	CHECK(kid >= 0);
	if (!kid) {
		static unsigned char b[8192];
		close(p[0]);
		for (uint32_t i = 0; i < n;) {
			uint32_t k = n - i < sizeof b ? n - i : (uint32_t)sizeof b;
			for (uint32_t j = 0; j < k; j++)
				b[j] = (unsigned char)((i + j) * 7);
			ssize_t w = write(p[1], b, k);
			if (w <= 0)
				_exit(1);
			i += (uint32_t)w;
		}
		_exit(0);
	}
	close(p[1]);
	static unsigned char b[5000];
	ssize_t r;
	while ((r = read(p[0], b, 1 + rnd(sizeof b))) > 0)
		for (ssize_t j = 0; j < r; j++, got++)
			sum += b[j] != (unsigned char)(got * 7);
	CHECK(r == 0 && got == n && sum == 0);
	close(p[0]);
	wait_for(kid, 0);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int counter, turns;
static void *thread_main(void *arg)
{
	(void)arg;
	for (int i = 0; i < 200; i++) {
		pthread_mutex_lock(&mutex);
		counter++;
		if (i == 100) {
			turns++;
			pthread_cond_broadcast(&cond);
		}
		pthread_mutex_unlock(&mutex);
		if (i % 64 == 0)
			sched_yield();
	}
	void *p = malloc(100000);
	memset(p, 1, 100000);
	free(p);
	return arg;
}
static void do_threads(void)
{
	pthread_t t[5];
	counter = turns = 0;
	for (long i = 0; i < 5; i++)
		CHECK(pthread_create(&t[i], NULL, thread_main, (void *)i) == 0);
	pthread_mutex_lock(&mutex);
	while (turns < 5)
		pthread_cond_wait(&cond, &mutex);
	pthread_mutex_unlock(&mutex);
	for (long i = 0; i < 5; i++) {
		void *r;
		CHECK(pthread_join(t[i], &r) == 0 && r == (void *)i);
	}
	CHECK(counter == 1000);
}

static void *exits(void *arg)
{
	if (arg)
		_exit(6);
	for (;;)
		sched_yield();
	return NULL;
}
static void do_exit_with_threads(void)
{
	pid_t kid = fork();
	CHECK(kid >= 0);
	if (!kid) {
		pthread_t t;
		for (int i = 0; i < 3; i++)
			pthread_create(&t, NULL, exits, NULL);
		if (rnd(2)) {
			execl(self, self, "exit", "6", NULL);
			_exit(9);
		}
		pthread_create(&t, NULL, exits, &counter);
		for (;;)
			pause();
	}
	wait_for(kid, 6);
}

static void do_files(void)
{
	char name[64], other[80];
	static unsigned char b[40000], c[40000];
	snprintf(name, sizeof name, "/tmp/stress.%d.%u", worker, rnd(20));
	snprintf(other, sizeof other, "%s.new", name);
	uint32_t n = 1 + rnd(sizeof b);
	memset(b, (int)rnd(256), n);
	int f = open(name, O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(f >= 0);
	CHECK(write(f, b, n) == (ssize_t)n);
	CHECK(rename(name, other) == 0);
	struct stat st;
	CHECK(stat(other, &st) == 0 && st.st_size == (off_t)n);
	CHECK(pread(f, c, n, 0) == (ssize_t)n && !memcmp(b, c, n));
	void *m = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
	CHECK(m != MAP_FAILED);
	CHECK(!memcmp(m, b, n));
	((unsigned char *)m)[n / 2] ^= 0x55;
	CHECK(pread(f, c, 1, n / 2) == 1 && c[0] == (b[n / 2] ^ 0x55));
	CHECK(ftruncate(f, 10) == 0);
	munmap(m, n);
	CHECK(unlink(other) == 0);
	CHECK(open(other, O_RDONLY) < 0 && errno == ENOENT);
	close(f);
}

static const struct {
	const char *name;
	void (*run)(void);
} ops[] = {
	{"fork", do_fork},
	{"exec", do_exec},
	{"mmap", do_mmap},
	{"signals", do_signals},
	{"pipe", do_pipe},
	{"threads", do_threads},
	{"exit_with_threads", do_exit_with_threads},
	{"files", do_files},
};
enum { NOPS = sizeof ops / sizeof *ops };

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "exit"))
		return atoi(argv[2]);
	int seconds = argc > 1 ? atoi(argv[1]) : 3, workers = argc > 2 ? atoi(argv[2]) : 8;
	uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : (uint64_t)time(NULL);
	self = "/proc/self/exe";
	unsigned *counts =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct timespec t0, t;
	clock_gettime(CLOCK_MONOTONIC, &t0);
	printf("stress: %d s, %d workers, seed %llu\n", seconds, workers, (unsigned long long)seed);
	fflush(stdout);
	for (worker = 0; worker < workers; worker++) {
		if (fork())
			continue;
		state = seed * 2654435761u + (unsigned)worker * 40503u + 1;
		for (int i = 0; i < 10; i++)
			rnd(2);
		do {
			uint32_t k = rnd(NOPS);
			ops[k].run();
			__atomic_fetch_add(&counts[k], 1, __ATOMIC_RELAXED);
			clock_gettime(CLOCK_MONOTONIC, &t);
		} while (t.tv_sec - t0.tv_sec < seconds);
		_exit(0);
	}
	int bad = 0, st;
	while (wait(&st) > 0)
		bad |= st;
	for (int k = 0; k < NOPS; k++) {
		printf("%s %u\n", ops[k].name, counts[k]);
		bad |= !counts[k] && seconds >= 3;
	}
	return bad ? 1 : 0;
}

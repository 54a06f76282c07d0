// SPDX-License-Identifier: MIT
// Futexes with priority inheritance, requeueing to them, and futex_waitv. Starts as root.
#define _GNU_SOURCE
#include "tests/programs/check.h"
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

static long futex(volatile unsigned *u, int op, unsigned val, const void *timeout,
		  volatile unsigned *u2, unsigned val3)
{
	return syscall(SYS_futex, u, op, val, timeout, u2, val3);
}
static long pi_lock(volatile unsigned *u)
{
	return futex(u, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0);
}
static long pi_unlock(volatile unsigned *u)
{
	return futex(u, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0);
}

static struct timespec after(clockid_t clock, long ms)
{
	struct timespec t;
	clock_gettime(clock, &t);
	t.tv_nsec += ms * 1000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

static volatile unsigned word;

static void *lock_and_unlock(void *arg)
{
	volatile unsigned *u = arg;
	long r = pi_lock(u);
	if (!r)
		r = pi_unlock(u);
	return (void *)r;
}

static void *try_it(void *arg)
{
	struct timespec soon = after(CLOCK_REALTIME, 20), mono = after(CLOCK_MONOTONIC, 20);
	CHECK_ERR(futex(arg, FUTEX_TRYLOCK_PI_PRIVATE, 0, NULL, NULL, 0), EAGAIN);
	CHECK_ERR(futex(arg, FUTEX_LOCK_PI_PRIVATE, 0, &soon, NULL, 0), ETIMEDOUT);
	CHECK_ERR(futex(arg, FUTEX_LOCK_PI2_PRIVATE, 0, &mono, NULL, 0), ETIMEDOUT);
	soon = after(CLOCK_REALTIME, 20);
	CHECK_ERR(futex(arg, FUTEX_LOCK_PI2_PRIVATE | FUTEX_CLOCK_REALTIME, 0, &soon, NULL, 0),
		  ETIMEDOUT);
	CHECK_ERR(pi_unlock(arg), EPERM);
	return NULL;
}

static void test_basics(void)
{
	pthread_t t[3];
	unsigned tid = (unsigned)gettid();
	word = 0;
	CHECK_EQ(pi_lock(&word), 0);
	CHECK_EQ(word, tid);
	CHECK_ERR(pi_lock(&word), EDEADLK);
	CHECK_ERR(futex(&word, FUTEX_TRYLOCK_PI_PRIVATE, 0, NULL, NULL, 0), EDEADLK);
	pthread_create(&t[0], NULL, try_it, (void *)&word);
	pthread_join(t[0], NULL);
	CHECK_EQ(word, tid | FUTEX_WAITERS);
	CHECK_EQ(pi_unlock(&word), 0);
	CHECK_EQ(word, 0);
	CHECK_ERR(pi_unlock(&word), EPERM);
	CHECK_EQ(futex(&word, FUTEX_TRYLOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, lock_and_unlock, (void *)&word);
	usleep(30000);
	CHECK_EQ(word, tid | FUTEX_WAITERS);
	CHECK_EQ(pi_unlock(&word), 0);
	for (int i = 0; i < 3; i++) {
		void *r;
		pthread_join(t[i], &r);
		CHECK_EQ((long)r, 0);
	}
	CHECK_EQ(word & FUTEX_TID_MASK, 0);
	word = FUTEX_OWNER_DIED;
	CHECK_EQ(pi_lock(&word), 0);
	CHECK_EQ(word, tid | FUTEX_OWNER_DIED);
	CHECK_EQ(pi_unlock(&word), 0);
}

static void test_errors(void)
{
	pid_t dead = fork();
	if (!dead)
		_exit(0);
	waitpid(dead, NULL, 0);
	word = (unsigned)dead;
	CHECK_ERR(pi_lock(&word), ESRCH);
	CHECK_EQ(word & FUTEX_TID_MASK, (unsigned)dead);
	CHECK_ERR(pi_unlock(&word), EPERM);
	CHECK_ERR(pi_lock((unsigned *)((char *)&word + 1)), EINVAL);
	CHECK_ERR(pi_lock((unsigned *)16), EFAULT);
	CHECK_ERR(pi_unlock((unsigned *)16), EFAULT);
	CHECK_ERR(
		futex(&word, FUTEX_LOCK_PI_PRIVATE, 0, &(struct timespec){0, 1000000000}, NULL, 0),
		EINVAL);
	CHECK_ERR(futex(&word, FUTEX_UNLOCK_PI_PRIVATE | FUTEX_CLOCK_REALTIME, 0, NULL, NULL, 0),
		  ENOSYS);
	unsigned *ro = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK_ERR(pi_lock(ro), EFAULT);
	word = 0;
	unsigned *fresh =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK_EQ(pi_lock(fresh), 0); // its page was not there
	CHECK_EQ(*fresh, (unsigned)gettid());
	CHECK_EQ(pi_unlock(fresh), 0);
}

// ---- the C library's mutexes ----

static pthread_mutex_t mutex;
static long counter;
static void *count(void *arg)
{
	for (int i = 0; i < 3000; i++) {
		pthread_mutex_lock(&mutex);
		counter++;
		pthread_mutex_unlock(&mutex);
	}
	return arg;
}
static void *die_owning(void *arg)
{
	pthread_mutex_lock(&mutex);
	usleep(20000);
	return arg;
}

static void test_library(void)
{
	pthread_mutexattr_t a;
	pthread_t t[6];
	pthread_mutexattr_init(&a);
	CHECK_EQ(pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT), 0);
	CHECK_EQ(pthread_mutex_init(&mutex, &a), 0);
	for (int i = 0; i < 6; i++)
		pthread_create(&t[i], NULL, count, NULL);
	for (int i = 0; i < 6; i++)
		pthread_join(t[i], NULL);
	CHECK_EQ(counter, 18000);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	for (int waited = 0; waited < 2; waited++) {
		pthread_mutex_init(&mutex, &a);
		pthread_create(&t[0], NULL, die_owning, NULL);
		usleep(waited ? 5000 : 60000);
		CHECK_EQ(pthread_mutex_lock(&mutex), EOWNERDEAD);
		CHECK_EQ(pthread_mutex_consistent(&mutex), 0);
		CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
		CHECK_EQ(pthread_mutex_lock(&mutex), 0);
		CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
		pthread_join(t[0], NULL);
	}
}

// ---- owners that die ----

static void *own_and_die(void *arg)
{
	CHECK_EQ(pi_lock(arg), 0);
	usleep(30000);
	return NULL;
}

static void test_death(void)
{
	pthread_t t;
	word = 0;
	pthread_create(&t, NULL, own_and_die, (void *)&word);
	while (!word)
		usleep(1000);
	CHECK_EQ(pi_lock(&word), 0);
	CHECK_EQ(word, (unsigned)gettid() | FUTEX_WAITERS | FUTEX_OWNER_DIED);
	CHECK_EQ(pi_unlock(&word), 0);
	CHECK_EQ(word, 0);
	pthread_join(t, NULL);
	// another process, killed
	volatile unsigned *shared =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int way = 0; way < 2; way++) {
		*shared = 0;
		pid_t pid = fork();
		if (!pid) {
			futex(shared, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
			if (way) {
				usleep(20000);
				execl("/proc/self/exe", "futex_pi", "nothing", NULL);
			}
			for (;;)
				pause();
		}
		while (!*shared)
			usleep(1000);
		pid_t killer = fork();
		if (!killer) {
			usleep(30000);
			if (!way)
				kill(pid, SIGKILL);
			_exit(0);
		}
		CHECK_EQ(futex(shared, FUTEX_LOCK_PI, 0, NULL, NULL, 0), 0);
		CHECK_EQ(*shared, (unsigned)gettid() | FUTEX_WAITERS | FUTEX_OWNER_DIED);
		CHECK_EQ(futex(shared, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0);
		waitpid(pid, NULL, 0);
		waitpid(killer, NULL, 0);
	}
}

// ---- deadlocks ----

static volatile unsigned first, second;
static void *other_order(void *arg)
{
	CHECK_EQ(pi_lock(&second), 0);
	usleep(20000);
	CHECK_EQ(pi_lock(&first), 0); // waits until the main thread gives up
	CHECK_EQ(pi_unlock(&first), 0);
	CHECK_EQ(pi_unlock(&second), 0);
	return arg;
}
static void test_deadlock(void)
{
	pthread_t t;
	CHECK_EQ(pi_lock(&first), 0);
	pthread_create(&t, NULL, other_order, NULL);
	usleep(60000);
	CHECK_ERR(pi_lock(&second), EDEADLK);
	CHECK_EQ(pi_unlock(&first), 0);
	pthread_join(t, NULL);
}

// ---- inheritance: a hog of middle priority on the only CPU does not hold up the urgent one ----

static atomic_int low_has, hog_stop, hog_ran_out;
static volatile unsigned lock_a, lock_b;

static int become(int policy, int priority)
{
	struct sched_param p = {.sched_priority = priority};
	return sched_setscheduler(0, policy, &p);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *low(void *arg)
{
	CHECK_EQ(pi_lock(&lock_a), 0);
	low_has = 1;
	while (low_has != 3) // works; what it needs is the CPU
		;
	for (volatile int i = 0; i < 200000; i++)
		;
	CHECK_EQ(sched_getscheduler(0), SCHED_OTHER); // what it asked for, whatever it got
	CHECK_EQ(pi_unlock(&lock_a), 0);
	return arg;
}
static void *middle(void *arg) // holds b, waits for a
{
	CHECK_EQ(pi_lock(&lock_b), 0);
	low_has = 2;
	CHECK_EQ(pi_lock(&lock_a), 0);
	CHECK_EQ(pi_unlock(&lock_a), 0);
	CHECK_EQ(pi_unlock(&lock_b), 0);
	return arg;
}
static void *hog(void *arg)
{
	low_has = 3; // still with the priority of who made it
	CHECK_EQ(become(SCHED_FIFO, 5), 0);
	double end = now() + 0.6; // before real-time threads have to leave room for others
	while (!hog_stop)
		if (now() > end) {
			hog_ran_out = 1;
			break;
		}
	return arg;
}
static void *urgent(void *arg)
{
	CHECK_EQ(become(SCHED_FIFO, 10), 0);
	pthread_t h;
	pthread_create(&h, NULL, hog, NULL); // runs when this one sleeps
	CHECK_EQ(pi_lock(&lock_b), 0);
	hog_stop = 1;
	CHECK_EQ(pi_unlock(&lock_b), 0);
	pthread_join(h, NULL);
	return arg;
}

static void test_inheritance(void)
{
	cpu_set_t all, one;
	pthread_t t[3];
	if (become(SCHED_FIFO, 1)) {
		printf("no real-time priorities here (%s): inheritance is not tested\n",
		       strerror(errno));
		return;
	}
	become(SCHED_OTHER, 0);
	sched_getaffinity(0, sizeof(all), &all);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	pthread_create(&t[0], NULL, low, NULL);
	while (low_has != 1)
		usleep(1000);
	pthread_create(&t[1], NULL, middle, NULL);
	while (low_has != 2 || !(lock_a & FUTEX_WAITERS))
		usleep(1000);
	pthread_create(&t[2], NULL, urgent, NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	CHECK_EQ(hog_ran_out, 0);
	sched_setaffinity(0, sizeof(all), &all);
}

// The most urgent waiter gets the lock first, however late it came.
static int order[4];
static atomic_int order_n;
static void *ordered(void *arg)
{
	CHECK_EQ(become(SCHED_FIFO, (int)(long)arg), 0);
	CHECK_EQ(pi_lock(&word), 0);
	order[order_n++] = (int)(long)arg;
	CHECK_EQ(pi_unlock(&word), 0);
	return NULL;
}
static void test_order(void)
{
	static const long priority[] = {3, 7, 1, 5};
	pthread_t t[4];
	if (become(SCHED_FIFO, 20))
		return;
	word = 0;
	CHECK_EQ(pi_lock(&word), 0);
	for (int i = 0; i < 4; i++) {
		pthread_create(&t[i], NULL, ordered, (void *)priority[i]);
		usleep(20000);
	}
	CHECK_EQ(pi_unlock(&word), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	CHECK_EQ(order[0], 7);
	CHECK_EQ(order[1], 5);
	CHECK_EQ(order[2], 3);
	CHECK_EQ(order[3], 1);
	become(SCHED_OTHER, 0);
}

// ---- requeueing ----

static volatile unsigned cond, lock_c;
static atomic_int through;
static void *cond_wait(void *arg)
{
	long r = futex(&cond, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, arg, &lock_c, 0);
	int e = errno;
	if (!r) {
		CHECK_EQ(lock_c & FUTEX_TID_MASK, (unsigned)gettid());
		through++;
		CHECK_EQ(pi_unlock(&lock_c), 0);
	}
	return (void *)(long)(r ? e : 0);
}

static void test_requeue_errors(void)
{
	struct timespec soon = after(CLOCK_MONOTONIC, 20);
	unsigned odd = 0;
	pthread_t t;
	void *r;
	CHECK_ERR(futex(&cond, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 1, NULL, &lock_c, 0), EAGAIN);
	CHECK_ERR(futex(&cond, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, &soon, &lock_c, 0), ETIMEDOUT);
	CHECK_ERR(futex(&cond, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, &soon, &cond, 0), EINVAL);
	CHECK_ERR(futex(&cond, FUTEX_CMP_REQUEUE_PI_PRIVATE, 2, (void *)1, &lock_c, 0), EINVAL);
	CHECK_ERR(futex(&cond, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)1, &cond, 0), EINVAL);
	CHECK_ERR(futex(&cond, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)1, &lock_c, 1), EAGAIN);
	CHECK_EQ(futex(&cond, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)1, &lock_c, 0), 0);
	soon = after(CLOCK_MONOTONIC, 100);
	pthread_create(&t, NULL, cond_wait, &soon);
	usleep(30000);
	CHECK_ERR(futex(&cond, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), EINVAL);
	CHECK_ERR(futex(&cond, FUTEX_REQUEUE_PRIVATE, 1, (void *)1, &odd, 0), EINVAL);
	CHECK_ERR(futex(&cond, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)1, &odd, 0), EINVAL);
	pthread_join(t, &r);
	CHECK_EQ((long)r, ETIMEDOUT);
}

enum { WAITERS = 5 };
static void test_requeue(void)
{
	pthread_t t[WAITERS];
	void *r;
	for (int taken = 0; taken < 2; taken++) {
		through = 0;
		for (int i = 0; i < WAITERS; i++)
			pthread_create(&t[i], NULL, cond_wait, NULL);
		usleep(50000);
		if (taken)
			CHECK_EQ(pi_lock(&lock_c), 0);
		CHECK_EQ(futex(&cond, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)1, &lock_c, 0), 2);
		usleep(30000);
		CHECK_EQ(through, taken ? 0 : 2);
		CHECK_EQ(futex(&cond, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)(long)INT_MAX,
			       &lock_c, 0),
			 WAITERS - 2);
		if (taken)
			CHECK_EQ(pi_unlock(&lock_c), 0);
		for (int i = 0; i < WAITERS; i++) {
			pthread_join(t[i], &r);
			CHECK_EQ((long)r, 0);
		}
		CHECK_EQ(through, WAITERS);
		CHECK_EQ(lock_c & FUTEX_TID_MASK, 0);
	}
	// moved, and the time is up there
	struct timespec soon = after(CLOCK_MONOTONIC, 60);
	CHECK_EQ(pi_lock(&lock_c), 0);
	pthread_create(&t[0], NULL, cond_wait, &soon);
	usleep(20000);
	CHECK_EQ(futex(&cond, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)1, &lock_c, 0), 1);
	pthread_join(t[0], &r);
	CHECK_EQ((long)r, ETIMEDOUT);
	CHECK_EQ(pi_unlock(&lock_c), 0);
}

// ---- signals, timeouts and ends in the middle ----

static void nothing(int sig)
{
	(void)sig;
}
static atomic_int stop;
static volatile unsigned locks[3];
static atomic_int inside[3];
static void *contender(void *arg)
{
	unsigned seed = (unsigned)(long)arg;
	while (!stop) {
		unsigned i = rand_r(&seed) % 3;
		struct timespec soon = after(CLOCK_REALTIME, rand_r(&seed) % 3);
		long r = futex(&locks[i], FUTEX_LOCK_PI_PRIVATE, 0,
			       rand_r(&seed) % 2 ? &soon : NULL, NULL, 0);
		if (r) {
			CHECK(errno == ETIMEDOUT || errno == EAGAIN);
			continue;
		}
		if (++inside[i] != 1)
			CHECK(!"two owners");
		if (rand_r(&seed) % 8 == 0)
			usleep(500);
		--inside[i];
		CHECK_EQ(pi_unlock(&locks[i]), 0);
	}
	return NULL;
}
static void storm(int ms)
{
	pthread_t t[6];
	signal(SIGUSR1, nothing);
	stop = 0;
	for (int i = 0; i < 6; i++)
		pthread_create(&t[i], NULL, contender, (void *)(long)(i + 1));
	for (int i = 0; i < ms; i++) {
		pthread_kill(t[i % 6], SIGUSR1);
		usleep(1000);
	}
	stop = 1;
	for (int i = 0; i < 6; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(locks[i] & FUTEX_TID_MASK, 0);
}
static void test_storm(void)
{
	storm(300);
	for (int i = 0; i < 10; i++) {
		pid_t pid = fork();
		if (!pid) {
			storm(10000);
			_exit(0);
		}
		usleep(20000);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

// ---- futex_waitv ----

struct waitv {
	uint64_t val, uaddr;
	uint32_t flags, reserved;
};
static volatile unsigned words[128];
static long waitv(struct waitv *v, unsigned n, unsigned flags, struct timespec *t, int clock)
{
	return syscall(SYS_futex_waitv, v, n, flags, t, clock);
}
static struct waitv vector[129];
static void *wait_vector(void *arg)
{
	return (void *)waitv(vector, (unsigned)(long)arg, 0, NULL, 0);
}

static void test_waitv(void)
{
	struct timespec soon = after(CLOCK_MONOTONIC, 20);
	pthread_t t;
	void *r;
	for (int i = 0; i < 128; i++)
		vector[i] = (struct waitv){0, (uint64_t)&words[i], 2 | FUTEX_PRIVATE_FLAG, 0};
	CHECK_ERR(waitv(vector, 0, 0, NULL, 0), EINVAL);
	CHECK_ERR(waitv(vector, 129, 0, NULL, 0), EINVAL);
	CHECK_ERR(waitv(NULL, 1, 0, NULL, 0), EINVAL);
	CHECK_ERR(waitv(vector, 1, 1, NULL, 0), EINVAL);
	CHECK_ERR(waitv((void *)16, 1, 0, NULL, 0), EFAULT);
	CHECK_ERR(waitv(vector, 1, 0, &soon, CLOCK_BOOTTIME), EINVAL);
	CHECK_ERR(waitv(vector, 128, 0, &soon, CLOCK_MONOTONIC), ETIMEDOUT);
	soon = after(CLOCK_REALTIME, 20);
	CHECK_ERR(waitv(vector, 3, 0, &soon, CLOCK_REALTIME), ETIMEDOUT);
	vector[1].reserved = 1;
	CHECK_ERR(waitv(vector, 2, 0, NULL, 0), EINVAL);
	vector[1].reserved = 0;
	vector[1].flags = FUTEX_PRIVATE_FLAG;
	CHECK_ERR(waitv(vector, 2, 0, NULL, 0), EINVAL);
	vector[1].flags = 2 | FUTEX_PRIVATE_FLAG;
	vector[1].val = 5;
	CHECK_ERR(waitv(vector, 2, 0, NULL, 0), EAGAIN);
	vector[1].val = 0;
	for (int i = 0; i < 128; i += 42) {
		pthread_create(&t, NULL, wait_vector, (void *)128l);
		while (futex(&words[i], FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 0)
			usleep(1000);
		pthread_join(t, &r);
		CHECK_EQ((long)r, i);
	}
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return 0;
	test_basics();
	test_errors();
	test_library();
	test_death();
	test_deadlock();
	test_inheritance();
	test_order();
	test_requeue_errors();
	test_requeue();
	test_storm();
	test_waitv();
	return check_done("futex_pi");
}

// SPDX-License-Identifier: MIT
// Threads and futexes: creation and end, mutexes, conditions, timeouts, requeue, robust locks,
// shared memory.
#define _GNU_SOURCE
#include "tests/programs/check.h"
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

static long futex(unsigned *u, int op, unsigned val, const void *timeout, unsigned *u2,
		  unsigned val3)
{
	return syscall(SYS_futex, u, op, val, timeout, u2, val3);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static long counter, turn;

static void *adder(void *arg)
{
	for (int i = 0; i < 20000; i++) {
		pthread_mutex_lock(&lock);
		counter++;
		pthread_mutex_unlock(&lock);
	}
	return arg;
}

static void *player(void *arg)
{
	long me = (long)arg;
	for (int i = 0; i < 300; i++) {
		pthread_mutex_lock(&lock);
		while (turn % 3 != me)
			pthread_cond_wait(&cond, &lock);
		turn++;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static void test_threads(void)
{
	pthread_t t[8];
	void *ret;
	for (long i = 0; i < 8; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, adder, (void *)i), 0);
	for (long i = 0; i < 8; i++) {
		CHECK_EQ(pthread_join(t[i], &ret), 0);
		CHECK_EQ((long)ret, i);
	}
	CHECK_EQ(counter, 160000);
	for (long i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, player, (void *)i);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	CHECK_EQ(turn, 900);
	for (int i = 0; i < 300; i++) {
		pthread_create(&t[0], NULL, adder + 0, NULL);
		pthread_detach(t[0]);
		if (i >= 3)
			break;
	}
	usleep(50000);
}

static unsigned word;
static void *waiter(void *arg)
{
	(void)arg;
	return (void *)futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

static void test_futex(void)
{
	struct timespec ts = {0, 20000000}, now;
	word = 0;
	CHECK_ERR(futex(&word, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0), EAGAIN);
	CHECK_ERR(futex(&word, FUTEX_WAIT_PRIVATE, 0, &ts, NULL, 0), ETIMEDOUT);
	clock_gettime(CLOCK_MONOTONIC, &now);
	CHECK_ERR(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, &now, NULL, FUTEX_BITSET_MATCH_ANY),
		  ETIMEDOUT);
	clock_gettime(CLOCK_REALTIME, &now);
	now.tv_nsec += 5000000;
	if (now.tv_nsec >= 1000000000)
		now.tv_sec++, now.tv_nsec -= 1000000000;
	CHECK_ERR(futex(&word, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 0, &now, NULL, 1),
		  ETIMEDOUT);
	CHECK_ERR(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, 0), EINVAL);
	CHECK_ERR(futex((unsigned *)((char *)&word + 1), FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0),
		  EINVAL);
	CHECK_ERR(futex((unsigned *)16, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0), EFAULT);
	CHECK_ERR(futex(&word, FUTEX_WAIT_PRIVATE, 0, &(struct timespec){0, 1000000000}, NULL, 0),
		  EINVAL);
	CHECK_EQ(futex(&word, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 0);
	CHECK_ERR(futex(&word, 77, 10, NULL, NULL, 0), ENOSYS);
	pthread_t t[4];
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, waiter, NULL);
	usleep(50000);
	unsigned other = 5;
	CHECK_ERR(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)2, &other, 9), EAGAIN);
	CHECK_EQ(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)2, &other, 0), 3);
	CHECK_EQ(futex(&other, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 1);
	// wake_op: other = 7, wake all there; word's waiters if it was 5
	CHECK_EQ(futex(&other, FUTEX_WAKE_OP_PRIVATE, 10, (void *)10, &word,
		       FUTEX_OP(FUTEX_OP_SET, 7, FUTEX_OP_CMP_EQ, 0)),
		 2);
	CHECK_EQ(word, 7);
	static const struct {
		int op, argument;
		unsigned result; // of 7
	} changes[] = {{FUTEX_OP_ADD, -8, -1u},
		       {FUTEX_OP_OR, 0x18, 0x1f},
		       {FUTEX_OP_ANDN, 5, 2},
		       {FUTEX_OP_XOR, 0xe, 9},
		       {FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT, 4, 0x17}};
	for (unsigned i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		word = 7;
		CHECK_EQ(futex(&other, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &word,
			       FUTEX_OP(changes[i].op, changes[i].argument, FUTEX_OP_CMP_EQ, 7)),
			 0);
		CHECK_EQ(word, changes[i].result);
	}
	CHECK_ERR(futex(&other, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &word,
			FUTEX_OP(5, 0, FUTEX_OP_CMP_EQ, 0)),
		  ENOSYS);
	CHECK_ERR(futex(&other, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, (unsigned *)16,
			FUTEX_OP(FUTEX_OP_OR, 1, FUTEX_OP_CMP_EQ, 0)),
		  EFAULT);
	for (int i = 0; i < 4; i++) {
		void *r;
		pthread_join(t[i], &r);
		CHECK_EQ((long)r, 0);
	}
}

static void test_shared(void)
{
	struct {
		unsigned w;
		sem_t a, b;
		int n;
	} *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	sem_init(&s->a, 1, 0);
	sem_init(&s->b, 1, 0);
	pid_t p = fork();
	if (!p) {
		for (int i = 0; i < 200; i++) {
			sem_wait(&s->a);
			s->n++;
			sem_post(&s->b);
		}
		_exit(0);
	}
	for (int i = 0; i < 200; i++) {
		sem_post(&s->a);
		sem_wait(&s->b);
		CHECK_EQ(s->n, i + 1);
	}
	int status;
	waitpid(p, &status, 0);
	CHECK_EQ(status, 0);
	// a robust lock whose owner dies
	pthread_mutex_t *m = (pthread_mutex_t *)(s + 1);
	pthread_mutexattr_t at;
	pthread_mutexattr_init(&at);
	pthread_mutexattr_setrobust(&at, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_setpshared(&at, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(m, &at);
	p = fork();
	if (!p) {
		pthread_mutex_lock(m);
		sem_post(&s->b);
		usleep(30000);
		_exit(0);
	}
	sem_wait(&s->b);
	CHECK_EQ(pthread_mutex_lock(m), EOWNERDEAD);
	CHECK_EQ(pthread_mutex_consistent(m), 0);
	CHECK_EQ(pthread_mutex_unlock(m), 0);
	waitpid(p, NULL, 0);
	munmap(s, 4096);
}

static __attribute__((noreturn)) void *killer_target(void *arg)
{
	(void)arg;
	for (;;)
		pause();
}

static void test_exit_of_many(void)
{
	int status;
	for (int how = 0; how < 3; how++) {
		pid_t p = fork();
		if (!p) {
			pthread_t t;
			for (int i = 0; i < 6; i++)
				pthread_create(&t, NULL, killer_target, NULL);
			if (how == 0)
				exit(5);
			if (how == 1)
				kill(getpid(), SIGKILL);
			pthread_kill(t, SIGTERM);
			for (;;)
				pause();
		}
		CHECK_EQ(waitpid(p, &status, 0), p);
		if (how == 0)
			CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
		else
			CHECK(WIFSIGNALED(status) &&
			      WTERMSIG(status) == (how == 1 ? SIGKILL : SIGTERM));
	}
	// the first thread may go before the others
	pid_t p = fork();
	if (!p) {
		pthread_t t;
		extern void *late_exit(void *);
		pthread_create(&t, NULL, late_exit, NULL);
		pthread_exit(NULL);
	}
	CHECK_EQ(waitpid(p, &status, 0), p);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 17);
}
void *late_exit(void *arg);
void *late_exit(void *arg)
{
	usleep(20000);
	exit(17);
	return arg;
}

static volatile int handled;
static void handler(int sig)
{
	(void)sig;
	handled++;
}
static void test_interrupted_wait(void)
{
	struct sigaction sa = {.sa_handler = handler};
	sigaction(SIGALRM, &sa, NULL);
	word = 0;
	timer_t id;
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
	CHECK_EQ(timer_create(CLOCK_MONOTONIC, &ev, &id), 0);
	CHECK_EQ(timer_settime(id, 0, &(struct itimerspec){.it_value = {0, 20000000}}, NULL), 0);
	CHECK_ERR(futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0), EINTR);
	CHECK_EQ(handled, 1);
	sa.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &sa, NULL);
	CHECK_EQ(timer_settime(id, 0, &(struct itimerspec){.it_value = {0, 10000000}}, NULL), 0);
	CHECK_EQ(timer_delete(id), 0);
	CHECK_ERR(timer_delete(id), EINVAL);
}

int main(void)
{
	test_threads();
	test_futex();
	test_shared();
	test_exit_of_many();
	test_interrupted_wait();
	return check_done("thread_futex");
}

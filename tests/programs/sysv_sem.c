// SPDX-License-Identifier: MIT
// System V semaphores: values, all-or-nothing operations, waiting and its ends, SEM_UNDO with
// threads, exec, exit and SIGKILL, rights, statistics, and what is given back.
#include "tests/programs/sysv_check.h"

static int set_of(int n)
{
	int id = semget(IPC_PRIVATE, n, 0600);
	CHECK(id >= 0);
	return id;
}

static int op(int id, int num, int by, int flags)
{
	struct sembuf b = {(unsigned short)num, (short)by, (short)flags};
	return semop(id, &b, 1);
}

static int value(int id, int num)
{
	return semctl(id, num, GETVAL);
}

static void end(int id)
{
	CHECK_EQ(semctl(id, 0, IPC_RMID), 0);
}

static struct semid_ds stat_of(int id)
{
	struct semid_ds d = {};
	CHECK_EQ(semctl(id, 0, IPC_STAT, (union semun){.buf = &d}), 0);
	return d;
}

static void test_get(void)
{
	int id = semget(KEY, 3, IPC_CREAT | IPC_EXCL | 0640);
	CHECK(id >= 0);
	CHECK_EQ(semget(KEY, 3, 0), id);
	CHECK_EQ(semget(KEY, 0, 0), id);
	CHECK_ERR(semget(KEY, 4, 0), EINVAL);
	CHECK_ERR(semget(KEY, 3, IPC_CREAT | IPC_EXCL), EEXIST);
	CHECK_ERR(semget(KEY + 1, 3, 0), ENOENT);
	CHECK_ERR(semget(KEY + 1, 0, IPC_CREAT), EINVAL);
	CHECK_ERR(semget(IPC_PRIVATE, -1, 0600), EINVAL);
	CHECK_ERR(semget(IPC_PRIVATE, 70000, 0600), EINVAL);
	struct semid_ds d = stat_of(id);
	CHECK(d.sem_nsems == 3 && d.sem_otime == 0 && d.sem_perm.mode == 0640);
	CHECK(labs(d.sem_ctime - time(NULL)) <= 2);
	CHECK_ERR(semctl(id, 3, GETVAL), EINVAL);
	CHECK_ERR(semctl(id, -1, GETVAL), EINVAL);
	CHECK_ERR(semctl(id, 0, 99), EINVAL);
	CHECK_ERR(semctl(-1, 0, GETVAL), EINVAL);
	CHECK_ERR(semctl(id, 0, SETVAL, (union semun){.val = 32768}), ERANGE);
	CHECK_ERR(semctl(id, 0, SETVAL, (union semun){.val = -1}), ERANGE);
	CHECK_ERR(semctl(id, 9, SETVAL, (union semun){.val = 1}), EINVAL);
	unsigned short all[3] = {1, 2, 3}, back[3], bad[3] = {1, 40000, 1};
	CHECK_EQ(semctl(id, 0, SETALL, (union semun){.array = all}), 0);
	CHECK_ERR(semctl(id, 0, SETALL, (union semun){.array = bad}), ERANGE);
	CHECK_EQ(semctl(id, 0, GETALL, (union semun){.array = back}), 0);
	CHECK(!memcmp(all, back, sizeof(all)));
	CHECK_ERR(semctl(id, 0, GETALL, (union semun){.array = (void *)8}), EFAULT);
	CHECK_EQ(semctl(id, 1, SETVAL, (union semun){.val = 32767}), 0);
	CHECK_EQ(value(id, 1), 32767);
	CHECK_EQ(semctl(id, 1, GETPID), getpid());
	CHECK_ERR(op(id, 1, 1, 0), ERANGE);
	CHECK_EQ(value(id, 1), 32767);
	end(id);
	CHECK_ERR(semctl(id, 0, GETVAL), EINVAL);
	CHECK_ERR(op(id, 0, 1, 0), EINVAL);
}

static void test_ops(void)
{
	int id = set_of(3);
	struct sembuf many[501] = {};
	struct timespec t = {0, 20000000}, bad = {0, 1000000000};
	CHECK_EQ(op(id, 0, 5, 0), 0);
	CHECK_EQ(op(id, 0, -2, 0), 0);
	CHECK_EQ(value(id, 0), 3);
	CHECK(stat_of(id).sem_otime > 0);
	CHECK_EQ(op(id, 1, 0, 0), 0);
	CHECK_ERR(op(id, 0, 0, IPC_NOWAIT), EAGAIN);
	CHECK_ERR(op(id, 0, -4, IPC_NOWAIT), EAGAIN);
	CHECK_ERR(op(id, 3, 1, 0), EFBIG);
	CHECK_ERR(semop(id, many, 0), EINVAL);
	CHECK_ERR(semop(-1, many, 1), EINVAL);
	CHECK_ERR(semop(id, many, 501), E2BIG);
	CHECK_ERR(semop(id, (void *)8, 1), EFAULT);
	CHECK_ERR(semtimedop(id, many, 1, (void *)8), EFAULT);
	CHECK_ERR(semtimedop(id, many, 1, &bad), EINVAL);
	// All or nothing.
	struct sembuf two[] = {{0, -3, 0}, {1, -1, IPC_NOWAIT}};
	CHECK_ERR(semop(id, two, 2), EAGAIN);
	CHECK_EQ(value(id, 0), 3);
	struct sembuf chain[] = {{0, -3, 0}, {0, 0, 0}, {0, 7, 0}, {1, 1, 0}};
	CHECK_EQ(semop(id, chain, 4), 0);
	CHECK(value(id, 0) == 7 && value(id, 1) == 1);
	for (int i = 0; i < 500; i++)
		many[i] = (struct sembuf){2, 1, 0};
	CHECK_EQ(semop(id, many, 500), 0);
	CHECK_EQ(value(id, 2), 500);
	struct timespec a, b;
	clock_gettime(CLOCK_MONOTONIC, &a);
	struct sembuf wait = {1, -9, 0};
	CHECK_ERR(semtimedop(id, &wait, 1, &t), EAGAIN);
	clock_gettime(CLOCK_MONOTONIC, &b);
	long ms = (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
	CHECK(ms >= 19 && ms < 2000);
	CHECK_EQ(value(id, 1), 1);
	end(id);
}

static int child_op(int id, int num, int by)
{
	pid_t p = fork();
	if (p)
		return p;
	int r = op(id, num, by, 0);
	_exit(r ? errno : 0);
}

static int status_of(int p)
{
	int st = -1;
	waitpid(p, &st, 0);
	return WIFEXITED(st) ? WEXITSTATUS(st) : -1;
}

static void until_waiters(int id, int num, int what, int n)
{
	for (int i = 0; i < 2000 && semctl(id, num, what) != n; i++)
		usleep(1000);
	CHECK_EQ(semctl(id, num, what), n);
}

static void nothing(int s)
{
	(void)s;
}

static void test_waiting(void)
{
	int id = set_of(2);
	int a = child_op(id, 0, -1), b = child_op(id, 0, -1);
	until_waiters(id, 0, GETNCNT, 2);
	CHECK_EQ(semctl(id, 0, GETZCNT), 0);
	CHECK_EQ(op(id, 0, 1, 0), 0);
	until_waiters(id, 0, GETNCNT, 1);
	CHECK_EQ(semctl(id, 0, SETVAL, (union semun){.val = 1}), 0);
	CHECK(status_of(a) == 0 && status_of(b) == 0);
	CHECK_EQ(value(id, 0), 0);
	// For zero.
	op(id, 1, 2, 0);
	a = child_op(id, 1, 0);
	until_waiters(id, 1, GETZCNT, 1);
	CHECK_EQ(semctl(id, 1, GETNCNT), 0);
	op(id, 1, -2, 0);
	CHECK_EQ(status_of(a), 0);
	// A waiter whose operation lets another one go on.
	b = child_op(id, 1, -1);
	until_waiters(id, 1, GETNCNT, 1);
	struct sembuf both[] = {{0, -1, 0}, {1, 1, 0}};
	a = fork();
	if (!a)
		_exit(semop(id, both, 2) ? errno : 0);
	until_waiters(id, 0, GETNCNT, 1);
	op(id, 0, 1, 0);
	CHECK(status_of(a) == 0 && status_of(b) == 0);
	// A signal: EINTR, even with SA_RESTART.
	a = fork();
	if (!a) {
		struct sigaction sa = {.sa_handler = nothing, .sa_flags = SA_RESTART};
		sigaction(SIGUSR1, &sa, NULL);
		op(id, 1, 1, 0);
		_exit(op(id, 0, -1, 0) ? errno : 0);
	}
	until_waiters(id, 0, GETNCNT, 1);
	kill(a, SIGUSR1);
	CHECK_EQ(status_of(a), EINTR);
	CHECK_EQ(semctl(id, 0, GETNCNT), 0);
	// Killed while it waits: nobody waits any more, and the next one has its turn.
	a = child_op(id, 0, -1);
	until_waiters(id, 0, GETNCNT, 1);
	kill(a, SIGKILL);
	CHECK_EQ(status_of(a), -1);
	CHECK_EQ(semctl(id, 0, GETNCNT), 0);
	// Removed under waiters.
	a = child_op(id, 0, -1);
	b = child_op(id, 1, 0);
	until_waiters(id, 0, GETNCNT, 1);
	until_waiters(id, 1, GETZCNT, 1);
	end(id);
	CHECK(status_of(a) == EIDRM && status_of(b) == EIDRM);
}

static void *thread_takes(void *arg)
{
	return (void *)(long)op(*(int *)arg, 0, -1, SEM_UNDO);
}

static void test_undo(void)
{
	int id = set_of(2), p;
	op(id, 0, 3, 0);
	if (!(p = fork())) {
		op(id, 0, -2, SEM_UNDO);
		op(id, 0, 1, SEM_UNDO);
		op(id, 1, 4, SEM_UNDO);
		_exit(value(id, 0) != 2);
	}
	CHECK_EQ(status_of(p), 0);
	CHECK(value(id, 0) == 3 && value(id, 1) == 0);
	CHECK_EQ(semctl(id, 0, GETPID), p);
	// What is owed belongs to the process, not to the thread that did it.
	if (!(p = fork())) {
		pthread_t t;
		pthread_create(&t, NULL, thread_takes, &id);
		pthread_join(t, NULL);
		_exit(value(id, 0) != 2);
	}
	CHECK_EQ(status_of(p), 0);
	CHECK_EQ(value(id, 0), 3);
	// A child does not inherit it; exec keeps it.
	if (!(p = fork())) {
		op(id, 0, -1, SEM_UNDO);
		if (!fork())
			_exit(0);
		wait(NULL);
		char num[20];
		snprintf(num, sizeof(num), "%d", id);
		if (value(id, 0) == 2)
			execl("/proc/self/exe", "sysv_sem", num, NULL);
		_exit(99);
	}
	CHECK_EQ(status_of(p), 0);
	CHECK_EQ(value(id, 0), 3);
	// SETVAL forgets; killed ones give back, and wake who waits for it.
	if (!(p = fork())) {
		op(id, 0, -1, SEM_UNDO);
		semctl(id, 0, SETVAL, (union semun){.val = 1});
		_exit(0);
	}
	CHECK_EQ(status_of(p), 0);
	CHECK_EQ(value(id, 0), 1);
	if (!(p = fork())) {
		op(id, 0, -1, SEM_UNDO);
		for (;;)
			pause();
	}
	until_waiters(id, 0, GETVAL, 0);
	int w = child_op(id, 0, -1);
	until_waiters(id, 0, GETNCNT, 1);
	kill(p, SIGKILL);
	CHECK_EQ(status_of(w), 0);
	CHECK_EQ(status_of(p), -1);
	// A value never falls below zero by it.
	CHECK_EQ(semctl(id, 0, SETVAL, (union semun){.val = 0}), 0);
	if (!(p = fork())) {
		op(id, 0, 5, SEM_UNDO);
		for (;;)
			pause();
	}
	until_waiters(id, 0, GETVAL, 5);
	op(id, 0, -3, 0);
	kill(p, SIGKILL);
	CHECK_EQ(status_of(p), -1);
	CHECK_EQ(value(id, 0), 0);
	// The set goes first.
	if (!(p = fork())) {
		op(id, 0, 5, SEM_UNDO);
		end(id);
		int other = set_of(1);
		op(other, 0, 1, SEM_UNDO);
		end(other);
		_exit(0);
	}
	CHECK_EQ(status_of(p), 0);
	// Adjustments have a range.
	id = set_of(1);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(op(id, 0, 20000 - 7233 * i, SEM_UNDO), 0); // 32767 in all
		CHECK_EQ(op(id, 0, -(20000 - 7233 * i), 0), 0);
	}
	CHECK_EQ(op(id, 0, 1, SEM_UNDO), 0);
	CHECK_EQ(op(id, 0, -1, 0), 0);
	CHECK_ERR(op(id, 0, 1, SEM_UNDO), ERANGE);
	CHECK_EQ(value(id, 0), 0);
	end(id);
}

static void user_denied(int id)
{
	struct semid_ds d;
	CHECK_ERR(op(id, 0, 1, 0), EACCES);
	CHECK_EQ(op(id, 0, 0, 0), 0); // reading is allowed to all
	CHECK_EQ(semctl(id, 0, GETVAL), 0);
	CHECK_ERR(semctl(id, 0, SETVAL, (union semun){.val = 1}), EACCES);
	CHECK_ERR(semctl(id, 0, IPC_RMID), EPERM);
	CHECK_EQ(semctl(id, 0, IPC_STAT, (union semun){.buf = &d}), 0);
	CHECK_ERR(semctl(id, 0, IPC_SET, (union semun){.buf = &d}), EPERM);
	CHECK_ERR(semget(KEY, 0, 0200), EACCES);
}

static void test_rights_and_info(void)
{
	struct seminfo before, info;
	struct semid_ds d;
	char line[512];
	unsigned mode, n;
	int key;
	CHECK(semctl(0, 0, SEM_INFO, (union semun){.info = &before}) >= 0);
	int id = semget(KEY, 7, IPC_CREAT | 0644), max, found = 0;
	CHECK((max = semctl(0, 0, SEM_INFO, (union semun){.info = &info})) >= 0);
	CHECK(info.semusz == before.semusz + 1 && info.semaem == before.semaem + 7);
	CHECK(semctl(0, 0, IPC_INFO, (union semun){.info = &info}) >= 0);
	CHECK(info.semvmx == 32767 && info.semopm >= 500 && info.semmsl > 0);
	for (int i = 0; i <= max; i++)
		found += semctl(i, 0, SEM_STAT, (union semun){.buf = &d}) == id;
	CHECK_EQ(found, 1);
	CHECK(sysv_line("/proc/sysvipc/sem", id, line));
	CHECK_EQ(sscanf(line, "%d %*d %o %u", &key, &mode, &n), 3);
	CHECK(key == KEY && mode == 0644 && n == 7);
	if (!geteuid())
		sysv_as_user(user_denied, id);
	d = stat_of(id);
	d.sem_perm.mode = 0600;
	CHECK_EQ(semctl(id, 0, IPC_SET, (union semun){.buf = &d}), 0);
	CHECK_EQ(stat_of(id).sem_perm.mode, 0600);
	end(id);
}

// ---- many at once ----

enum { CHILDREN = 4, TURNS = 250 };

static void test_mutex(void)
{
	int id = set_of(1);
	volatile int *shared =
		mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t p[CHILDREN];
	op(id, 0, 1, 0);
	for (int c = 0; c < CHILDREN; c++) {
		if ((p[c] = fork()))
			continue;
		for (int i = 0; i < TURNS; i++) {
			if (op(id, 0, -1, SEM_UNDO))
				_exit(1);
			*shared = *shared + 1;
			if (op(id, 0, 1, SEM_UNDO))
				_exit(2);
		}
		_exit(0);
	}
	for (int c = 0; c < CHILDREN; c++)
		CHECK_EQ(status_of(p[c]), 0);
	CHECK_EQ(*shared, CHILDREN * TURNS);
	CHECK_EQ(value(id, 0), 1);
	munmap((void *)shared, PAGE);
	end(id);
}

static void *thread_churn(void *arg)
{
	int id = *(int *)arg;
	for (;;) {
		struct timespec t = {0, 200000};
		struct sembuf b[] = {{1, 0, 0}, {0, -1, SEM_UNDO}}, c = {0, 1, SEM_UNDO};
		int taken = !semtimedop(id, b, 2, &t);
		int own = semget(KEY, 4, IPC_CREAT | 0600);
		op(own, 3, 1, SEM_UNDO);
		if (taken)
			semop(id, &c, 1);
		semctl(own, 0, IPC_RMID);
	}
	return NULL;
}

// Threads that owe, wait and remove, killed at any moment: what they took is there again.
static void test_kills(int rounds)
{
	for (int r = 0; r < rounds; r++) {
		int id = set_of(2);
		pid_t p[CHILDREN];
		op(id, 0, 3, 0); // for eight threads
		for (int c = 0; c < CHILDREN; c++) {
			if ((p[c] = fork()))
				continue;
			pthread_t t;
			pthread_create(&t, NULL, thread_churn, &id);
			thread_churn(&id);
		}
		usleep(10000 + 1000 * (r % 9));
		for (int c = 0; c < CHILDREN; c++)
			kill(p[c], SIGKILL);
		for (int c = 0; c < CHILDREN; c++)
			waitpid(p[c], NULL, 0);
		CHECK(value(id, 0) == 3 && value(id, 1) == 0);
		CHECK(semctl(id, 0, GETNCNT) == 0 && semctl(id, 1, GETNCNT) == 0);
		end(id);
		semctl(semget(KEY, 0, 0), 0, IPC_RMID);
	}
}

int main(int argc, char **argv)
{
	struct seminfo before, after;
	if (argc > 1) // after exec: the semaphore is still taken
		return value(atoi(argv[1]), 0) != 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	semctl(0, 0, SEM_INFO, (union semun){.info = &before});
	test_get();
	test_ops();
	test_waiting();
	test_undo();
	test_rights_and_info();
	test_mutex();
	test_kills(2);
	long kib = sysv_free_kib();
	test_kills(15);
	semctl(0, 0, SEM_INFO, (union semun){.info = &after});
	CHECK(after.semusz == before.semusz && after.semaem == before.semaem);
	if (on_halyard())
		sysv_all_back(kib);
	return check_done("sysv_sem");
}

// SPDX-License-Identifier: MIT
// System V shared memory: making, finding, attaching, removal while attached, rights, statistics,
// coherence and what is given back under fork, exec, exit and SIGKILL.
#include "tests/programs/sysv_check.h"

static struct shmid_ds stat_of(int id)
{
	struct shmid_ds d = {};
	CHECK_EQ(shmctl(id, IPC_STAT, &d), 0);
	return d;
}

static void test_get(void)
{
	int id = shmget(KEY, 5000, IPC_CREAT | IPC_EXCL | 0640);
	CHECK(id >= 0);
	CHECK_EQ(shmget(KEY, 5000, 0), id);
	CHECK_EQ(shmget(KEY, 0, 0), id);
	CHECK_EQ(shmget(KEY, 100, IPC_CREAT | 0600), id);
	CHECK_ERR(shmget(KEY, 5001, 0), EINVAL); // though a page has more
	CHECK_ERR(shmget(KEY, 5000, IPC_CREAT | IPC_EXCL), EEXIST);
	CHECK_ERR(shmget(KEY + 1, 5000, 0), ENOENT);
	CHECK_ERR(shmget(KEY + 1, 0, IPC_CREAT), EINVAL);
	CHECK_ERR(shmget(KEY + 1, (size_t)-1, IPC_CREAT), EINVAL);
	struct shmid_ds d = stat_of(id);
	CHECK(d.shm_segsz == 5000 && d.shm_nattch == 0 && d.shm_cpid == getpid());
	CHECK(d.shm_lpid == 0 && d.shm_atime == 0 && d.shm_dtime == 0);
	CHECK(d.shm_perm.mode == 0640 && d.shm_perm.uid == geteuid() && d.shm_perm.__key == KEY);
	CHECK(labs(d.shm_ctime - time(NULL)) <= 2);
	int other = shmget(IPC_PRIVATE, 1, 0600);
	CHECK(other >= 0 && other != id);
	CHECK_EQ(shmctl(other, IPC_RMID, NULL), 0);
	CHECK_ERR(shmctl(other, IPC_STAT, &d), EINVAL);
	CHECK_ERR(shmctl(other, IPC_RMID, NULL), EINVAL);
	CHECK_ERR(shmctl(-1, IPC_STAT, &d), EINVAL);
	CHECK_ERR(shmctl(id, 77, &d), EINVAL);
	CHECK_ERR(shmctl(id, IPC_STAT, (void *)8), EFAULT);
	CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);
	CHECK_ERR(shmget(KEY, 0, 0), ENOENT);
}

static void test_attach(void)
{
	int id = shmget(IPC_PRIVATE, 3 * PAGE - 10, 0600);
	char *a = shmat(id, NULL, 0), *b = shmat(id, NULL, SHM_RDONLY);
	CHECK(a != (void *)-1 && b != (void *)-1 && a != b);
	for (int i = 0; i < 3 * PAGE; i += 64)
		CHECK(a[i] == 0);
	strcpy(a + PAGE, "shared");
	CHECK(!strcmp(b + PAGE, "shared"));
	CHECK_EQ(stat_of(id).shm_nattch, 2);
	CHECK_EQ(stat_of(id).shm_lpid, getpid());
	CHECK_ERR(mprotect(b, PAGE, PROT_READ | PROT_WRITE), EACCES);
	// Places.
	CHECK((long)shmat(id, a + 1, 0) == -1 && errno == EINVAL);
	CHECK((long)shmat(id, a, 0) == -1 && errno == EINVAL); // something is there
	CHECK((long)shmat(id, NULL, SHM_REMAP) == -1 && errno == EINVAL);
	char *hole = mmap(NULL, 8 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(shmat(id, hole + PAGE + 100, SHM_RND | SHM_REMAP) == hole + PAGE);
	CHECK(!strcmp(hole + 2 * PAGE, "shared"));
	CHECK_EQ(shmdt(hole + PAGE), 0);
	munmap(hole, 8 * PAGE);
	CHECK(shmat(id, hole, 0) == hole);
	CHECK_EQ(shmdt(hole), 0);
	CHECK((long)shmat(id + 1, NULL, 0) == -1 && errno == EINVAL);
	CHECK((long)shmat(-1, NULL, 0) == -1 && errno == EINVAL);
	// Ends.
	CHECK_ERR(shmdt(a + PAGE), EINVAL);
	CHECK_ERR(shmdt(a + 1), EINVAL);
	CHECK_ERR(shmdt(NULL), EINVAL);
	CHECK_EQ(shmdt(b), 0);
	CHECK_ERR(shmdt(b), EINVAL);
	CHECK_EQ(stat_of(id).shm_nattch, 1);
	CHECK(stat_of(id).shm_dtime > 0);
	CHECK_EQ(munmap(a + PAGE, PAGE), 0); // in two: Linux counts pieces
	CHECK_EQ(stat_of(id).shm_nattch, 2);
	CHECK_EQ(shmdt(a), 0);
	CHECK_EQ(stat_of(id).shm_nattch, 0);
	a = shmat(id, NULL, 0); // what was written stays
	CHECK(!strcmp(a + PAGE, "shared"));
	CHECK_EQ(munmap(a, 3 * PAGE), 0);
	CHECK_EQ(stat_of(id).shm_nattch, 0);
	char line[512], path[64];
	a = shmat(id, NULL, 0);
	FILE *maps = fopen("/proc/self/maps", "r");
	int found = 0;
	while (fgets(line, sizeof(line), maps))
		found += strstr(line, "/SYSV00000000 (deleted)") != NULL;
	CHECK_EQ(found, 1);
	fclose(maps);
	(void)path;
	shmdt(a);
	CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);
}

static void test_removal(void)
{
	int id = shmget(KEY, PAGE, IPC_CREAT | 0600);
	char *a = shmat(id, NULL, 0);
	strcpy(a, "still here");
	CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);
	CHECK_ERR(shmget(KEY, 0, 0), ENOENT);
	struct shmid_ds d = stat_of(id);
	CHECK((d.shm_perm.mode & SHM_DEST) && d.shm_perm.__key == IPC_PRIVATE);
	int other = shmget(KEY, PAGE, IPC_CREAT | IPC_EXCL | 0600); // the key is free
	CHECK(other >= 0 && other != id);
	shmctl(other, IPC_RMID, NULL);
	char *b = shmat(id, NULL, 0); // by the id, Linux lets it be attached
	CHECK(b != (void *)-1 && !strcmp(b, "still here"));
	CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);
	pid_t p = fork();
	if (!p) {
		strcpy(a, "child");
		_exit(stat_of(id).shm_nattch != 4 || check_failures);
	}
	sysv_wait(p);
	CHECK(!strcmp(b, "child"));
	CHECK_EQ(stat_of(id).shm_nattch, 2);
	shmdt(a);
	CHECK_EQ(stat_of(id).shm_nattch, 1);
	shmdt(b);
	CHECK_ERR(shmctl(id, IPC_STAT, &d), EINVAL);
	CHECK((long)shmat(id, NULL, 0) == -1 && errno == EINVAL);
}

static void user_denied(int id)
{
	struct shmid_ds d;
	CHECK((long)shmat(id, NULL, 0) == -1 && errno == EACCES);
	CHECK((long)shmat(id, NULL, SHM_RDONLY) == -1 && errno == EACCES);
	CHECK_ERR(shmctl(id, IPC_STAT, &d), EACCES);
	CHECK_ERR(shmctl(id, IPC_RMID, NULL), EPERM);
	CHECK_ERR(shmctl(id, SHM_LOCK, NULL), EPERM);
	CHECK_ERR(shmget(KEY, 0, 0400), EACCES);
	CHECK_EQ(shmget(KEY, 0, 0), id); // to know it is no right
}

static void user_reads(int id)
{
	struct shmid_ds d;
	CHECK((long)shmat(id, NULL, 0) == -1 && errno == EACCES);
	char *a = shmat(id, NULL, SHM_RDONLY);
	CHECK(a != (void *)-1 && a[0] == 'x');
	CHECK_EQ(shmctl(id, IPC_STAT, &d), 0);
	d.shm_perm.mode = 0666;
	CHECK_ERR(shmctl(id, IPC_SET, &d), EPERM);
}

static void user_owns(int id)
{
	struct shmid_ds d;
	CHECK_EQ(shmctl(id, IPC_STAT, &d), 0);
	CHECK_EQ(shmctl(id, SHM_LOCK, NULL), 0);
	CHECK_EQ(shmctl(id, IPC_STAT, &d), 0);
	CHECK(d.shm_perm.mode & SHM_LOCKED);
	CHECK_EQ(shmctl(id, SHM_UNLOCK, NULL), 0);
	CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);
}

static void test_rights(void)
{
	if (geteuid())
		return;
	int id = shmget(KEY, PAGE, IPC_CREAT | 0600);
	char *a = shmat(id, NULL, 0);
	a[0] = 'x';
	shmdt(a);
	sysv_as_user(user_denied, id);
	struct shmid_ds d = stat_of(id);
	d.shm_perm.mode = 0604;
	CHECK_EQ(shmctl(id, IPC_SET, &d), 0);
	CHECK_EQ(stat_of(id).shm_perm.mode, 0604);
	sysv_as_user(user_reads, id);
	d.shm_perm.uid = (unsigned)-1;
	CHECK_ERR(shmctl(id, IPC_SET, &d), EINVAL);
	CHECK_ERR(shmctl(id, IPC_SET, (void *)8), EFAULT);
	d.shm_perm.uid = 1000;
	CHECK_EQ(shmctl(id, IPC_SET, &d), 0);
	CHECK(stat_of(id).shm_perm.cuid == 0 && stat_of(id).shm_perm.uid == 1000);
	sysv_as_user(user_owns, id);
	CHECK_ERR(shmctl(id, IPC_STAT, &d), EINVAL);
}

static void test_info(void)
{
	struct shminfo limits;
	struct shm_info used, after;
	struct shmid_ds d;
	char line[512];
	CHECK(shmctl(0, IPC_INFO, (void *)&limits) >= 0);
	CHECK(limits.shmmin == 1 && limits.shmmni >= 1 && limits.shmmax >= PAGE);
	CHECK(shmctl(0, SHM_INFO, (void *)&used) >= 0);
	int id = shmget(KEY, 10 * PAGE, IPC_CREAT | 0612), max, at = -1;
	char *a = shmat(id, NULL, 0);
	a[0] = a[5 * PAGE] = 1;
	CHECK((max = shmctl(0, SHM_INFO, (void *)&after)) >= 0);
	CHECK(after.used_ids == used.used_ids + 1 && after.shm_tot == used.shm_tot + 10);
	CHECK_EQ(after.shm_rss, used.shm_rss + 2);
	for (int i = 0; i <= max; i++)
		if (shmctl(i, SHM_STAT, &d) == id)
			at = i;
	CHECK(at >= 0 && d.shm_segsz);
	CHECK_EQ(shmctl(at, 15 /* SHM_STAT_ANY */, &d), id);
	CHECK_ERR(shmctl(32767, SHM_STAT, &d), EINVAL);
	CHECK(sysv_line("/proc/sysvipc/shm", id, line));
	unsigned mode, cpid, lpid, uid;
	unsigned long size, nattch;
	int key;
	CHECK_EQ(sscanf(line, "%d %*d %o %lu %u %u %lu %u", &key, &mode, &size, &cpid, &lpid,
			&nattch, &uid),
		 7);
	CHECK(key == KEY && mode == 0612 && size == 10 * PAGE && cpid == (unsigned)getpid() &&
	      nattch == 1);
	shmdt(a);
	shmctl(id, IPC_RMID, NULL);
	CHECK(!sysv_line("/proc/sysvipc/shm", id, line));
}

static void write_text(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY);
	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void test_limits(void)
{
	if (geteuid() || !on_halyard()) // elsewhere others live by them
		return;
	int ids[3], old = shmget(IPC_PRIVATE, 1, 0600);
	shmctl(old, IPC_RMID, NULL);
	write_text("/proc/sys/kernel/shmmni", "2\n");
	ids[0] = shmget(IPC_PRIVATE, PAGE, 0600);
	ids[1] = shmget(IPC_PRIVATE, PAGE, 0600);
	CHECK_ERR(shmget(IPC_PRIVATE, PAGE, 0600), ENOSPC);
	shmctl(ids[0], IPC_RMID, NULL);
	ids[2] = shmget(IPC_PRIVATE, PAGE, 0600);
	CHECK(ids[2] >= 0 && ids[2] != ids[0]); // the place again, with another number
	CHECK_ERR(shmctl(ids[0], IPC_RMID, NULL), EINVAL);
	shmctl(ids[1], IPC_RMID, NULL);
	shmctl(ids[2], IPC_RMID, NULL);
	write_text("/proc/sys/kernel/shmmni", "4096\n");
	write_text("/proc/sys/kernel/shmmax", "8192\n");
	CHECK_ERR(shmget(IPC_PRIVATE, 8193, 0600), EINVAL);
	write_text("/proc/sys/kernel/shmmax", "18446744073692774399\n");
	write_text("/proc/sys/kernel/shmall", "10\n");
	CHECK_ERR(shmget(IPC_PRIVATE, 11 * PAGE, 0600), ENOSPC);
	write_text("/proc/sys/kernel/shmall", "18446744073692774399\n");
	CHECK_ERR(shmget(IPC_PRIVATE, 1ul << 63, 0600), ENOSPC);
}

// ---- many at once ----

enum { CHILDREN = 4, STEPS = 20000 };

// Each adds to one counter, atomically, and writes its own page, which all compare at the end.
static void test_coherence(void)
{
	int id = shmget(IPC_PRIVATE, (CHILDREN + 1) * PAGE, 0600);
	uint64_t *mem = shmat(id, NULL, 0);
	pid_t p[CHILDREN];
	for (int c = 0; c < CHILDREN; c++) {
		p[c] = fork();
		if (p[c])
			continue;
		uint64_t *own = shmat(id, NULL, 0); // at another place than the parent's
		for (int i = 0; i < STEPS; i++) {
			__atomic_fetch_add(i & 1 ? own : mem, 1, __ATOMIC_SEQ_CST);
			own[(c + 1) * 512 + i % 512] = (uint64_t)c << 32 | (unsigned)i;
		}
		_exit(0);
	}
	for (int c = 0; c < CHILDREN; c++)
		sysv_wait(p[c]);
	CHECK_EQ(mem[0], CHILDREN * STEPS);
	for (int c = 0; c < CHILDREN; c++)
		for (int i = STEPS - 512; i < STEPS; i++)
			CHECK(mem[(c + 1) * 512 + i % 512] == ((uint64_t)c << 32 | (unsigned)i));
	CHECK_EQ(stat_of(id).shm_nattch, 1);
	shmdt(mem);
	shmctl(id, IPC_RMID, NULL);
}

static void churn(int c, int id)
{
	for (;;) {
		int own = shmget(KEY + c % 2, 4 * PAGE, IPC_CREAT | 0600);
		char *a = shmat(own, NULL, 0), *b = shmat(id, NULL, 0);
		if (a != (void *)-1)
			memset(a, c, 4 * PAGE);
		if (b != (void *)-1)
			b[c * PAGE] = 1;
		if (!fork()) {
			if (c & 1)
				execl("/proc/self/exe", "sysv_shm", "child", NULL);
			_exit(0);
		}
		shmctl(own, IPC_RMID, NULL);
		if (a != (void *)-1)
			shmdt(a);
		wait(NULL);
		if (b != (void *)-1)
			shmdt(b);
	}
}

// Attaching, forking, exec, removal, and a kill at any moment.
static void test_kills(int rounds)
{
	for (int r = 0; r < rounds; r++) {
		int id = shmget(IPC_PRIVATE, CHILDREN * PAGE, 0600);
		pid_t p[CHILDREN];
		for (int c = 0; c < CHILDREN; c++) {
			p[c] = fork();
			if (!p[c])
				churn(c, id);
		}
		usleep(15000 + 1000 * (r % 7));
		if (r & 1)
			shmctl(id, IPC_RMID, NULL);
		for (int c = 0; c < CHILDREN; c++)
			kill(p[c], SIGKILL);
		for (int c = 0; c < CHILDREN; c++)
			waitpid(p[c], NULL, 0);
		struct shmid_ds d = {};
		// Grandchildren end on their own.
		for (int i = 0; i < 200 && shmctl(id, IPC_STAT, &d) == 0 && d.shm_nattch; i++)
			usleep(10000);
		if (r & 1)
			CHECK_ERR(shmctl(id, IPC_STAT, &d), EINVAL);
		else
			CHECK_EQ(shmctl(id, IPC_STAT, &d) == 0 ? (int)d.shm_nattch : -1, 0);
		shmctl(id, IPC_RMID, NULL);
		for (int c = 0; c < 2; c++)
			shmctl(shmget(KEY + c, 0, 0), IPC_RMID, NULL);
	}
}

static int segments(void)
{
	struct shm_info i;
	shmctl(0, SHM_INFO, (void *)&i);
	return i.used_ids;
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return 0;
	setvbuf(stdout, NULL, _IOLBF, 0);
	int before = segments();
	test_get();
	test_attach();
	test_removal();
	test_rights();
	test_info();
	test_limits();
	test_coherence();
	test_kills(2);
	long kib = sysv_free_kib();
	test_kills(12);
	CHECK_EQ(segments(), before);
	if (on_halyard()) // elsewhere others live, too
		sysv_all_back(kib);
	return check_done("sysv_shm");
}

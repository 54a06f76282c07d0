// SPDX-License-Identifier: MIT
// Directories: listing, seeking, many entries, changes beside a listing, races of renames and
// walks. Must pass on Linux too.
#include "tests/programs/fs_check.h"

static int count(const char *dir)
{
	int n = 0;
	DIR *d = opendir(dir);
	if (!d)
		return -1;
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void test_types(void)
{
	char buf[1024];
	CHECK_EQ(mkdir("d", 0755), 0);
	CHECK_EQ(count("d"), 2);
	fs_put("d/f", "");
	CHECK_EQ(mkdir("d/sub", 0755), 0);
	CHECK_EQ(symlink("f", "d/l"), 0);
	CHECK_EQ(mkfifo("d/p", 0600), 0);
	DIR *d = opendir("d");
	int seen = 0;
	for (struct dirent *e; (e = readdir(d));) {
		struct stat st;
		CHECK_EQ(fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW), 0);
		if (strcmp(e->d_name, ".."))
			CHECK_EQ(st.st_ino, e->d_ino);
		CHECK_EQ(DTTOIF(e->d_type), st.st_mode & S_IFMT);
		seen++;
	}
	CHECK_EQ(seen, 6);
	rewinddir(d);
	CHECK(readdir(d) && readdir(d) && readdir(d));
	long at = telldir(d);
	char name[256];
	struct dirent *e = readdir(d);
	CHECK(e != NULL);
	strcpy(name, e->d_name);
	CHECK(readdir(d) != NULL);
	seekdir(d, at);
	e = readdir(d);
	CHECK(e && !strcmp(e->d_name, name));
	closedir(d);
	int fd = open("d", O_RDONLY);
	CHECK_ERR(syscall(SYS_getdents64, fd, buf, 10), EINVAL);
	CHECK_ERR(syscall(SYS_getdents64, fd, (void *)8, 1000), EFAULT);
	CHECK(syscall(SYS_getdents64, fd, buf, sizeof(buf)) > 0);
	CHECK_EQ(syscall(SYS_getdents64, fd, buf, sizeof(buf)), 0);
	close(fd);
	fd = open("d/f", O_RDONLY);
	CHECK_ERR(syscall(SYS_getdents64, fd, buf, sizeof(buf)), ENOTDIR);
	close(fd);
#ifdef SYS_getdents
	fd = open("d", O_RDONLY);
	long n = syscall(SYS_getdents, fd, buf, sizeof(buf));
	int entries = 0;
	for (long at2 = 0; at2 < n;) {
		unsigned short len;
		memcpy(&len, buf + at2 + 16, 2);
		unsigned char type = (unsigned char)buf[at2 + len - 1];
		if (!strcmp(buf + at2 + 18, "sub"))
			CHECK_EQ(type, DT_DIR);
		at2 += len;
		entries++;
	}
	CHECK_EQ(entries, 6);
	close(fd);
#endif
	CHECK_EQ(unlink("d/f"), 0);
	CHECK_EQ(unlink("d/l"), 0);
	CHECK_EQ(unlink("d/p"), 0);
	CHECK_EQ(rmdir("d/sub"), 0);
	d = opendir("d");
	CHECK_EQ(rmdir("d"), 0);
	errno = 0;
	e = readdir(d);
	CHECK(e == NULL);
	closedir(d);
}

static void test_many(void)
{
	enum { N = 3000 };
	static unsigned char seen[N];
	char name[64];
	CHECK_EQ(mkdir("many", 0755), 0);
	CHECK_EQ(chdir("many"), 0);
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "file-number-%d%s", i,
			 i % 3 ? "" : "-with-a-rather-long-name-behind-it");
		int fd = open(name, O_CREAT | O_WRONLY | O_EXCL, 0644);
		CHECK(fd >= 0);
		close(fd);
	}
	CHECK_EQ(count("."), N + 2);
	// Each entry is removed as it is listed: all must be seen once.
	DIR *d = opendir(".");
	int n = 0;
	for (struct dirent *e; (e = readdir(d));) {
		int i;
		if (sscanf(e->d_name, "file-number-%d", &i) != 1)
			continue;
		CHECK_EQ(seen[i]++, 0);
		CHECK_EQ(unlink(e->d_name), 0);
		n++;
	}
	closedir(d);
	CHECK_EQ(n, N);
	CHECK_EQ(count("."), 2);
	// Renaming while listing ends.
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "r%d", i);
		fs_put(name, "");
	}
	d = opendir(".");
	n = 0;
	for (struct dirent *e; (e = readdir(d)) && n < 10000; n++) {
		char to[300];
		if (e->d_name[0] == '.')
			continue;
		snprintf(to, sizeof(to), "%.200s-x", e->d_name);
		CHECK_EQ(rename(e->d_name, to), 0);
	}
	closedir(d);
	CHECK(n < 10000);
	d = opendir(".");
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.')
			CHECK_EQ(unlink(e->d_name), 0);
	closedir(d);
	CHECK_EQ(chdir(".."), 0);
	CHECK_EQ(rmdir("many"), 0);
}

// ---- races ----

static volatile int stop;
static volatile int race_failures;

// "dir/x/f" is there under one of two names at all times, so one of the two walks finds it, unless
// both moved in between.
static void *walker(void *arg)
{
	struct stat st;
	char cwd[64];
	long n = 0;
	(void)arg;
	while (!stop) {
		if (stat("stable/a/b/c/f", &st))
			race_failures++;
		if (!stat("m/none/f", &st) || errno != ENOENT)
			race_failures++;
		stat("m/one/f", &st);
		stat("m/two/f", &st);
		readlink("m/link", cwd, sizeof(cwd));
		n++;
	}
	return (void *)n;
}

static void *mover(void *arg)
{
	(void)arg;
	while (!stop) {
		if (rename("m/one", "m/two") && errno != ENOENT)
			race_failures++;
		if (rename("m/two", "m/one") && errno != ENOENT)
			race_failures++;
	}
	return NULL;
}

static void *maker(void *arg)
{
	char a[64], b[64];
	int id = (int)(uintptr_t)arg, i = 0;
	while (!stop) {
		snprintf(a, sizeof(a), "m/t%d-%d", id, i % 50);
		snprintf(b, sizeof(b), "m/u%d-a-name-that-does-not-fit-into-a-short-buffer-%d", id,
			 i % 50);
		int fd = open(a, O_CREAT | O_RDWR, 0644);
		if (fd < 0 || write(fd, a, strlen(a)) != (ssize_t)strlen(a))
			race_failures++;
		close(fd);
		if (rename(a, b) || unlink(b))
			race_failures++;
		i++;
	}
	return NULL;
}

static void *swapper(void *arg)
{
	(void)arg;
	while (!stop) {
		mkdir("m/s1", 0755);
		mkdir("m/s2", 0755);
		rename("m/s1", "m/s2/in");
		rename("m/s2/in", "m/s1");
		rename("m/s2", "m/s1/in");
		rename("m/s1/in", "m/s2");
		rmdir("m/s1");
		rmdir("m/s2");
	}
	rmdir("m/s1/in");
	rmdir("m/s2/in");
	rmdir("m/s1");
	rmdir("m/s2");
	return NULL;
}

static void *lister(void *arg)
{
	(void)arg;
	while (!stop)
		if (count("m") < 4)
			race_failures++;
	return NULL;
}

static void test_races(void)
{
	CHECK_EQ(mkdir("stable", 0755), 0);
	CHECK_EQ(mkdir("stable/a", 0755), 0);
	CHECK_EQ(mkdir("stable/a/b", 0755), 0);
	CHECK_EQ(mkdir("stable/a/b/c", 0755), 0);
	fs_put("stable/a/b/c/f", "x");
	CHECK_EQ(mkdir("m", 0755), 0);
	CHECK_EQ(mkdir("m/one", 0755), 0);
	fs_put("m/one/f", "x");
	CHECK_EQ(symlink("../stable/a", "m/link"), 0);
	void *(*fns[])(void *) = {walker, walker, mover, maker, maker, swapper, lister};
	enum { N = sizeof(fns) / sizeof(*fns) };
	pthread_t t[N];
	for (int i = 0; i < N; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, fns[i], (void *)(uintptr_t)i), 0);
	usleep(2000000);
	stop = 1;
	for (int i = 0; i < N; i++)
		pthread_join(t[i], NULL);
	CHECK_EQ(race_failures, 0);
	rename("m/two", "m/one");
	CHECK_EQ(unlink("m/one/f"), 0);
	CHECK_EQ(rmdir("m/one"), 0);
	CHECK_EQ(unlink("m/link"), 0);
	CHECK_EQ(rmdir("m"), 0);
	CHECK_EQ(unlink("stable/a/b/c/f"), 0);
	CHECK_EQ(rmdir("stable/a/b/c"), 0);
	CHECK_EQ(rmdir("stable/a/b"), 0);
	CHECK_EQ(rmdir("stable/a"), 0);
	CHECK_EQ(rmdir("stable"), 0);
}

int main(int argc, char **argv)
{
	fs_begin(argc, argv);
	test_types();
	test_many();
	test_races();
	return fs_end();
}

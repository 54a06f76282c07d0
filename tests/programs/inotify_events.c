// SPDX-License-Identifier: MIT
// inotify: each event and its name, pairs of renames, ends of watches, flags, limits, overflow,
// waiting, and races of watches with the files and the instance.
#include "tests/programs/fs_check.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/inotify.h>

static int in; // the instance under test
static char buf[65536] __attribute__((aligned(8)));
static ssize_t have, at;

// The next event; NULL: none.
static struct inotify_event *next(void)
{
	if (at >= have) {
		have = read(in, buf, sizeof(buf));
		at = 0;
		if (have <= 0)
			return NULL;
	}
	struct inotify_event *e = (void *)(buf + at);
	at += (ssize_t)sizeof(*e) + e->len;
	return e;
}

static void expect_at(int line, int wd, uint32_t mask, const char *name)
{
	struct inotify_event *e = next();
	const char *got = e && e->len ? e->name : "";
	if (e && e->wd == wd && e->mask == mask && !strcmp(got, name))
		return;
	printf("FAILED line %d: wanted wd %d mask %x '%s', got wd %d mask %x '%s'\n", line, wd,
	       mask, name, e ? e->wd : 0, e ? e->mask : 0, got);
	check_failed();
}
#define EXPECT(wd, mask, name) expect_at(__LINE__, wd, mask, name)
#define EXPECT_NOTHING()                               \
	do {                                           \
		struct inotify_event *e_ = next();     \
		CHECK(!e_);                            \
		if (e_)                                \
			printf("mask %x\n", e_->mask); \
	} while (0)

static int watch(const char *path, uint32_t mask)
{
	int wd = inotify_add_watch(in, path, mask);
	CHECK(wd > 0);
	return wd;
}

static void begin(void)
{
	in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	CHECK(in >= 0);
	have = at = 0;
}

static void test_errors(void)
{
	char long_path[5000];
	memset(long_path, 'a', sizeof(long_path));
	long_path[4999] = 0;
	begin();
	CHECK_ERR(inotify_init1(1), EINVAL);
	CHECK_ERR(inotify_add_watch(in, ".", 0), EINVAL);
	CHECK_ERR(inotify_add_watch(in, ".", 0x1000), EINVAL);
	CHECK_ERR(inotify_add_watch(in, ".", IN_OPEN | IN_MASK_ADD | IN_MASK_CREATE), EINVAL);
	CHECK_ERR(inotify_add_watch(-1, ".", IN_OPEN), EBADF);
	CHECK_ERR(inotify_add_watch(0, ".", IN_OPEN), EINVAL);
	CHECK_ERR(inotify_add_watch(in, "none", IN_OPEN), ENOENT);
	CHECK_ERR(inotify_add_watch(in, "", IN_OPEN), ENOENT);
	CHECK_ERR(inotify_add_watch(in, long_path, IN_OPEN), ENAMETOOLONG);
	CHECK_ERR(inotify_add_watch(in, (char *)8, IN_OPEN), EFAULT);
	CHECK_ERR(inotify_rm_watch(in, 1), EINVAL);
	CHECK_ERR(inotify_rm_watch(0, 1), EINVAL);
	CHECK_ERR(inotify_rm_watch(-1, 1), EBADF);
	CHECK_ERR(write(in, buf, 10), EBADF);
	CHECK_ERR(read(in, buf, 100), EAGAIN);
	fs_put("file", "x");
	CHECK_ERR(inotify_add_watch(in, "file", IN_OPEN | IN_ONLYDIR), ENOTDIR);
	symlink("file", "link");
	int wd = watch("link", IN_ATTRIB), self = watch("link", IN_ATTRIB | IN_DONT_FOLLOW);
	CHECK(wd != self);
	chmod("link", 0600);
	EXPECT(wd, IN_ATTRIB, "");
	EXPECT_NOTHING();
	CHECK_EQ(fcntl(in, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(in, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_NONBLOCK);
	unlink("link");
	unlink("file");
	close(in);
}

static void test_file_events(void)
{
	char c;
	fs_put("f", "hello");
	begin();
	int d = watch(".", IN_ALL_EVENTS), w = watch("f", IN_ALL_EVENTS);
	int fd = open("f", O_RDWR);
	EXPECT(d, IN_OPEN, "f");
	EXPECT(w, IN_OPEN, "");
	CHECK_EQ(read(fd, &c, 1), 1);
	EXPECT(d, IN_ACCESS, "f");
	EXPECT(w, IN_ACCESS, "");
	CHECK_EQ(pwrite(fd, "j", 1, 0), 1);
	EXPECT(d, IN_MODIFY, "f");
	EXPECT(w, IN_MODIFY, "");
	CHECK_EQ(ftruncate(fd, 3), 0);
	EXPECT(d, IN_MODIFY, "f");
	EXPECT(w, IN_MODIFY, "");
	CHECK_EQ(fchmod(fd, 0600), 0);
	EXPECT(d, IN_ATTRIB, "f");
	EXPECT(w, IN_ATTRIB, "");
	CHECK_EQ(futimens(fd, NULL), 0);
	EXPECT(d, IN_ATTRIB, "f");
	EXPECT(w, IN_ATTRIB, "");
	CHECK_EQ(lseek(fd, 0, SEEK_END), 3);
	CHECK_EQ(read(fd, &c, 1), 0); // the end of a file is no access
	struct stat st;
	fstat(fd, &st);
	EXPECT_NOTHING();
	close(fd);
	EXPECT(d, IN_CLOSE_WRITE, "f");
	EXPECT(w, IN_CLOSE_WRITE, "");
	fd = open("f", O_RDONLY);
	int other = dup(fd);
	close(fd);
	EXPECT(d, IN_OPEN, "f");
	EXPECT(w, IN_OPEN, "");
	EXPECT_NOTHING();
	close(other);
	EXPECT(d, IN_CLOSE_NOWRITE, "f");
	EXPECT(w, IN_CLOSE_NOWRITE, "");
	fd = open("f", O_WRONLY | O_TRUNC);
	uint32_t seen = 0; // newer Linux tells the open first
	for (struct inotify_event *e; (e = next());)
		seen += e->mask;
	CHECK_EQ(seen, 2 * (IN_OPEN + IN_MODIFY));
	close(fd);
	EXPECT(d, IN_CLOSE_WRITE, "f");
	EXPECT(w, IN_CLOSE_WRITE, "");
	fd = open("f", O_PATH);
	close(fd);
	EXPECT_NOTHING();
	CHECK_EQ(truncate("f", 10), 0);
	EXPECT(d, IN_MODIFY, "f");
	EXPECT(w, IN_MODIFY, "");
	close(in);
	unlink("f");
}

static void test_names(void)
{
	begin();
	mkdir("d", 0755);
	mkdir("e", 0755);
	int d = watch("d", IN_CREATE | IN_DELETE | IN_MOVE), e = watch("e", IN_ALL_EVENTS);
	fs_put("d/a", "");
	EXPECT(d, IN_CREATE, "a");
	mkdir("d/sub", 0755);
	EXPECT(d, IN_CREATE | IN_ISDIR, "sub");
	symlink("a", "d/l");
	EXPECT(d, IN_CREATE, "l");
	mkfifo("d/p", 0600);
	EXPECT(d, IN_CREATE, "p");
	link("d/a", "d/b");
	EXPECT(d, IN_CREATE, "b");
	EXPECT_NOTHING();
	CHECK_EQ(rename("d/a", "d/c"), 0);
	struct inotify_event *x = next();
	CHECK(x && x->mask == IN_MOVED_FROM && !strcmp(x->name, "a") && x->cookie);
	uint32_t cookie = x ? x->cookie : 0;
	x = next();
	CHECK(x && x->mask == IN_MOVED_TO && !strcmp(x->name, "c") && x->cookie == cookie);
	CHECK(x && x->len == 16);
	CHECK_EQ(rename("d/sub", "e/sub2"), 0);
	x = next();
	CHECK(x && x->wd == d && x->mask == (IN_MOVED_FROM | IN_ISDIR));
	CHECK(x && x->cookie != cookie);
	cookie = x ? x->cookie : 0;
	x = next();
	CHECK(x && x->wd == e && x->mask == (IN_MOVED_TO | IN_ISDIR) && x->cookie == cookie);
	CHECK_ERR(rename("d/none", "d/x"), ENOENT);
	CHECK_ERR(mkdir("d/b", 0700), EEXIST);
	EXPECT_NOTHING();
	unlink("d/c");
	EXPECT(d, IN_DELETE, "c");
	unlink("d/b");
	EXPECT(d, IN_DELETE, "b");
	rmdir("e/sub2");
	EXPECT(e, IN_DELETE | IN_ISDIR, "sub2");
	unlink("d/l");
	EXPECT(d, IN_DELETE, "l");
	unlink("d/p");
	EXPECT(d, IN_DELETE, "p");
	DIR *dir = opendir("e");
	EXPECT(e, IN_OPEN | IN_ISDIR, "");
	while (readdir(dir))
		;
	EXPECT(e, IN_ACCESS | IN_ISDIR, ""); // both times
	closedir(dir);
	EXPECT(e, IN_CLOSE_NOWRITE | IN_ISDIR, "");
	chmod("e", 0700);
	EXPECT(e, IN_ATTRIB | IN_ISDIR, "");
	EXPECT_NOTHING();
	char name[300] = "e/";
	memset(name + 2, 'n', 255);
	fs_put(name, "");
	x = next();
	CHECK(x && x->mask == IN_CREATE && x->len == 256 && !strcmp(x->name, name + 2));
	unlink(name);
	close(in);
	rmdir("d");
	rmdir("e");
}

static void test_self(void)
{
	begin();
	fs_put("s", "x");
	mkdir("sd", 0700);
	int w = watch("s", IN_MOVE_SELF | IN_DELETE_SELF | IN_ATTRIB);
	int d = watch("sd", IN_MOVE_SELF | IN_DELETE_SELF);
	CHECK_EQ(rename("s", "t"), 0);
	EXPECT(w, IN_MOVE_SELF, "");
	CHECK_EQ(rename("sd", "td"), 0);
	EXPECT(d, IN_MOVE_SELF, "");
	int fd = open("t", O_RDONLY);
	CHECK_EQ(link("t", "u"), 0);
	EXPECT(w, IN_ATTRIB, "");
	unlink("t");
	EXPECT(w, IN_ATTRIB, "");
	close(fd);
	EXPECT_NOTHING();
	fd = open("u", O_RDONLY);
	unlink("u");
	EXPECT(w, IN_ATTRIB, "");
	EXPECT_NOTHING(); // it lives as long as it is open
	close(fd);
	EXPECT(w, IN_DELETE_SELF, "");
	EXPECT(w, IN_IGNORED, "");
	CHECK_ERR(inotify_rm_watch(in, w), EINVAL);
	rmdir("td");
	EXPECT(d, IN_DELETE_SELF, "");
	EXPECT(d, IN_IGNORED, "");
	fs_put("old", "");
	fs_put("new", "");
	int o = watch("old", IN_DELETE_SELF), n = watch("new", IN_MOVE_SELF);
	CHECK_EQ(rename("new", "old"), 0);
	uint32_t seen = 0;
	for (struct inotify_event *e; (e = next());)
		seen |= e->wd == o ? e->mask : e->wd == n && e->mask == IN_MOVE_SELF ? 1 : 0x80;
	CHECK_EQ(seen, IN_DELETE_SELF | IN_IGNORED | 1);
	unlink("old");
	close(in);
}

static void test_flags(void)
{
	begin();
	fs_put("f", "x");
	int w = watch("f", IN_OPEN | IN_ONESHOT);
	CHECK_EQ(watch("f", IN_OPEN | IN_ONESHOT), w); // the same watch
	close(open("f", O_RDONLY));
	EXPECT(w, IN_OPEN, "");
	EXPECT(w, IN_IGNORED, "");
	close(open("f", O_RDONLY));
	EXPECT_NOTHING();
	int v = watch("f", IN_OPEN);
	CHECK(v > w); // numbers are not used again soon
	CHECK_ERR(inotify_add_watch(in, "f", IN_CLOSE | IN_MASK_CREATE), EEXIST);
	CHECK_EQ(watch("f", IN_CLOSE_NOWRITE | IN_MASK_ADD), v);
	close(open("f", O_RDONLY));
	EXPECT(v, IN_OPEN, "");
	EXPECT(v, IN_CLOSE_NOWRITE, "");
	CHECK_EQ(watch("f", IN_CLOSE_NOWRITE), v); // in place of what there was
	close(open("f", O_RDONLY));
	EXPECT(v, IN_CLOSE_NOWRITE, "");
	EXPECT_NOTHING();
	CHECK_EQ(inotify_rm_watch(in, v), 0);
	EXPECT(v, IN_IGNORED, "");
	// What happens to a file whose name is gone.
	int d = watch(".", IN_MODIFY);
	int fd = open("f", O_WRONLY);
	unlink("f");
	CHECK_EQ(write(fd, "y", 1), 1);
	EXPECT(d, IN_MODIFY, "f");
	CHECK_EQ(watch(".", IN_MODIFY | IN_EXCL_UNLINK), d);
	CHECK_EQ(write(fd, "y", 1), 1);
	close(fd);
	EXPECT_NOTHING();
	close(in);
}

static void test_queue(void)
{
	begin();
	fs_put("f", "xxxxxxxxxx");
	int d = watch(".", IN_ACCESS | IN_OPEN), fd = open("f", O_RDONLY), n = -1;
	char c;
	EXPECT(d, IN_OPEN, "f");
	for (int i = 0; i < 5; i++)
		CHECK_EQ(read(fd, &c, 1), 1);
	CHECK_EQ(ioctl(in, FIONREAD, &n), 0); // equal events are one
	CHECK_EQ(n, (int)sizeof(struct inotify_event) + 16);
	close(open("f", O_RDONLY));
	CHECK_EQ(ioctl(in, FIONREAD, &n), 0);
	CHECK_EQ(n, 2 * ((int)sizeof(struct inotify_event) + 16));
	struct pollfd p = {.fd = in, .events = POLLIN};
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_ERR(read(in, buf, sizeof(struct inotify_event)), EINVAL);
	CHECK_ERR(read(in, (char *)8, 4096), EFAULT); // and that event is lost
	CHECK_EQ(read(in, buf, 40), 32);
	CHECK_EQ(((struct inotify_event *)buf)->mask, IN_OPEN);
	CHECK_EQ(poll(&p, 1, 0), 0);
	CHECK_ERR(read(in, buf, 4), EAGAIN);
	CHECK_ERR(ioctl(in, TCGETS, buf), ENOTTY);
	// A reader that waits, and epoll.
	fcntl(in, F_SETFL, 0);
	int ep = epoll_create1(0);
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET};
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, in, &ev), 0);
	pid_t pid = fork();
	if (!pid) {
		usleep(20000);
		close(open("f", O_RDONLY));
		_exit(0);
	}
	CHECK_EQ(epoll_wait(ep, &ev, 1, 5000), 1);
	EXPECT(d, IN_OPEN, "f");
	CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 0);
	fs_wait(pid);
	close(ep);
	close(fd);
	close(in);
	unlink("f");
}

static long limit(const char *name)
{
	char path[100], text[32] = "";
	snprintf(path, sizeof(path), "/proc/sys/fs/inotify/%s", name);
	int fd = open(path, O_RDONLY);
	CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	return atol(text);
}

static void test_overflow(void)
{
	long max = limit("max_queued_events");
	begin();
	fs_put("f", "");
	int w = watch("f", IN_OPEN | IN_CLOSE);
	for (long i = 0; i < max / 2 + 10; i++)
		close(open("f", O_RDONLY));
	long seen = 0;
	struct inotify_event *e, last = {};
	while ((e = next())) {
		CHECK(e->wd == w || e->wd == -1);
		last = *e;
		seen++;
	}
	CHECK_EQ(seen, max + 1);
	CHECK(last.wd == -1 && last.mask == IN_Q_OVERFLOW && last.len == 0);
	close(open("f", O_RDONLY)); // and it goes on
	EXPECT(w, IN_OPEN, "");
	EXPECT(w, IN_CLOSE_NOWRITE, "");
	close(in);
	unlink("f");
}

static void test_limits(void)
{
	long max = limit("max_user_instances"), n = 0;
	CHECK(limit("max_user_watches") >= 8192);
	int *fds = calloc((size_t)max + 1, sizeof(*fds)), r = 0;
	struct rlimit_ {
		unsigned long cur, max;
	} lim;
	syscall(SYS_prlimit64, 0, 7, NULL, &lim);
	if (lim.cur > (unsigned long)max + 20 && max < 4096) {
		while (n <= max && (r = inotify_init()) >= 0)
			fds[n++] = r;
		CHECK(r == -1 && errno == EMFILE && n <= max);
		while (n)
			close(fds[--n]);
	}
	free(fds);
	r = inotify_init();
	CHECK(r >= 0);
	close(r);
}

// An instance given to a child still tells of what happens after the parent's end of it.
static void test_fork(void)
{
	int fds[2];
	char c;
	fs_put("f", "");
	in = inotify_init1(0);
	have = at = 0;
	int w = watch("f", IN_OPEN);
	CHECK_EQ(pipe(fds), 0);
	pid_t pid = fork();
	if (!pid) {
		check_failures = 0;
		CHECK_EQ(read(fds[0], &c, 1), 1);
		close(open("f", O_RDONLY));
		EXPECT(w, IN_OPEN, "");
		_exit(check_failures);
	}
	close(in);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	fs_wait(pid);
	close(fds[0]);
	close(fds[1]);
	unlink("f");
}

enum { RACERS = 4, ROUNDS = 300 };

static void *race(void *arg)
{
	long me = (long)arg;
	char name[32], other[32];
	snprintf(name, sizeof(name), "r/%ld", me & 1); // two threads share each name
	snprintf(other, sizeof(other), "r/%ld.b", me & 1);
	for (int i = 0; i < ROUNDS; i++) {
		int fd = inotify_init1(IN_NONBLOCK), f = open(name, O_CREAT | O_RDWR, 0600);
		int a = inotify_add_watch(fd, "r", IN_ALL_EVENTS);
		int b = inotify_add_watch(fd, name, IN_ALL_EVENTS | (me & 2 ? IN_ONESHOT : 0));
		char bytes[4096];
		if (write(f, "x", 1) != 1 || a <= 0)
			return "write";
		rename(name, other);
		if (i % 3)
			inotify_rm_watch(fd, b);
		unlink(other);
		close(f);
		while (read(fd, bytes, sizeof(bytes)) > 0)
			;
		if (i % 2)
			inotify_rm_watch(fd, a);
		close(fd);
	}
	return NULL;
}

static void test_races(void)
{
	pthread_t t[RACERS];
	void *r;
	CHECK_EQ(mkdir("r", 0700), 0);
	for (long i = 0; i < RACERS; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, race, (void *)i), 0);
	for (int i = 0; i < RACERS; i++) {
		pthread_join(t[i], &r);
		CHECK(!r);
	}
	unlink("r/0");
	unlink("r/1");
	unlink("r/0.b");
	unlink("r/1.b");
	CHECK_EQ(rmdir("r"), 0);
}

// Killed while it reads, with others' events on the way.
static void test_kill(void)
{
	fs_put("f", "");
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();
		if (!pid) {
			in = inotify_init();
			have = at = 0;
			watch("f", IN_OPEN);
			for (;;)
				next();
		}
		for (int k = 0; k < 10 + i * 5; k++)
			close(open("f", O_RDONLY));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	unlink("f");
}

static void test_unmount(void)
{
	if (geteuid() || mkdir("m", 0700))
		return;
	if (mount("none", "m", "tmpfs", 0, NULL)) {
		printf("skipped: no right to mount\n");
		rmdir("m");
		return;
	}
	fs_put("m/f", "");
	begin();
	int a = watch("m", IN_DELETE_SELF), b = watch("m/f", IN_DELETE_SELF), unmounts = 0;
	CHECK_EQ(umount("m"), 0);
	int ignored = 0;
	for (struct inotify_event *e; (e = next());) {
		CHECK(e->wd == a || e->wd == b);
		unmounts += e->mask == (IN_UNMOUNT | (e->wd == a ? IN_ISDIR : 0));
		ignored += e->mask == IN_IGNORED;
	}
	CHECK(unmounts == 2 && ignored == 2);
	close(in);
	rmdir("m");
}

int main(int argc, char **argv)
{
	fs_begin(argc, argv);
	test_errors();
	test_file_events();
	test_names();
	test_self();
	test_flags();
	test_queue();
	test_overflow();
	test_limits();
	test_fork();
	test_races();
	test_kill();
	test_unmount();
	return fs_end();
}

// SPDX-License-Identifier: MIT
// Names: making, linking, renaming, removing, walking, rights. Must pass on Linux too (as root, on
// tmpfs).
#include "tests/programs/fs_check.h"

static void test_create(void)
{
	struct stat st;
	int fd = open("a", O_RDWR | O_CREAT | O_EXCL, 0666);
	CHECK(fd >= 0);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_mode, S_IFREG | 0644);
	CHECK_EQ(st.st_nlink, 1);
	CHECK_EQ(st.st_size, 0);
	close(fd);
	CHECK_ERR(open("a", O_CREAT | O_EXCL | O_RDWR, 0666), EEXIST);
	CHECK_ERR(open("a/", O_RDONLY), ENOTDIR);
	CHECK_ERR(open("a/b", O_RDONLY), ENOTDIR);
	CHECK_ERR(open("none", O_RDONLY), ENOENT);
	CHECK_ERR(open("none/b", O_CREAT | O_RDWR, 0644), ENOENT);
	CHECK_ERR(open("none/", O_CREAT | O_RDWR, 0644), EISDIR);
	CHECK_ERR(open("", O_RDONLY), ENOENT);
	CHECK_ERR(open("a", O_RDONLY | O_DIRECTORY), ENOTDIR);
	CHECK_ERR(open(".", O_WRONLY), EISDIR);
	CHECK_ERR(open(".", O_RDWR | O_CREAT, 0644), EISDIR);
	CHECK_ERR(open((const char *)8, O_RDONLY), EFAULT);
	char name[300];
	memset(name, 'x', sizeof(name));
	name[255] = 0;
	fd = open(name, O_CREAT | O_WRONLY, 0600);
	CHECK(fd >= 0);
	close(fd);
	CHECK_EQ(access(name, F_OK), 0);
	CHECK_EQ(rename(name, "short"), 0);
	CHECK_EQ(access("short", F_OK), 0);
	CHECK_ERR(access(name, F_OK), ENOENT);
	CHECK_EQ(rename("short", name), 0);
	CHECK_EQ(unlink(name), 0);
	name[255] = 'x';
	name[256] = 0;
	CHECK_ERR(open(name, O_CREAT | O_WRONLY, 0600), ENAMETOOLONG);
	char *path = malloc(5000);
	for (int i = 0; i < 2500; i++)
		memcpy(path + 2 * i, "./", 2);
	path[4999] = 0;
	CHECK_ERR(open(path, O_RDONLY), ENAMETOOLONG);
	path[4095] = 0;
	memcpy(path + 4094, "a", 1);
	CHECK_EQ(access(path, F_OK), 0); // 4095 bytes: just fits
	free(path);
	CHECK_EQ(unlink("a"), 0);
	CHECK_ERR(unlink("a"), ENOENT);
}

static void test_dirs(void)
{
	char cwd[PATH_MAX], want[PATH_MAX + 8];
	CHECK_EQ(mkdir("d", 0777), 0);
	CHECK_EQ(fs_nlink("d"), 2);
	CHECK_EQ(mkdir("d/e/", 0700), 0);
	CHECK_EQ(fs_nlink("d"), 3);
	CHECK_ERR(mkdir("d", 0777), EEXIST);
	CHECK_ERR(mkdir(".", 0777), EEXIST);
	CHECK_ERR(mkdir("/", 0777), EEXIST);
	CHECK_ERR(mkdir("none/x", 0777), ENOENT);
	CHECK_ERR(rmdir("d"), ENOTEMPTY);
	CHECK_ERR(rmdir("d/."), EINVAL);
	CHECK_ERR(rmdir("d/e/.."), ENOTEMPTY);
	CHECK_ERR(unlink("d"), EISDIR);
	CHECK_ERR(unlinkat(AT_FDCWD, "d", 0x10), EINVAL);
	fs_put("f", "x");
	CHECK_ERR(rmdir("f"), ENOTDIR);
	CHECK_EQ(chdir("d/e"), 0);
	CHECK(getcwd(cwd, sizeof(cwd)) != NULL);
	snprintf(want, sizeof(want), "%s/d/e", fs_work);
	CHECK(!strcmp(cwd, want));
	CHECK_ERR(syscall(SYS_getcwd, cwd, 3), ERANGE);
	CHECK_EQ(access("../../f", R_OK), 0);
	CHECK_EQ(access("../../d/../d/./e/../../f", R_OK), 0);
	CHECK_EQ(access("/../..//../", R_OK), 0);
	CHECK_EQ(rmdir("../e"), 0);
	CHECK_ERR(syscall(SYS_getcwd, cwd, sizeof(cwd)), ENOENT);
	CHECK_ERR(open("x", O_CREAT | O_WRONLY, 0644), ENOENT);
	CHECK_ERR(mkdir("x", 0755), ENOENT);
	CHECK_EQ(chdir(".."), 0);
	CHECK_EQ(chdir(".."), 0);
	CHECK_EQ(fs_nlink("d"), 2);
	CHECK_EQ(rmdir("d"), 0);
	CHECK_EQ(unlink("f"), 0);
	CHECK_ERR(chdir("none"), ENOENT);
	CHECK_ERR(rmdir("/"), EBUSY);
}

static void test_links(void)
{
	struct stat a, b;
	char buf[64];
	fs_put("f", "hello");
	CHECK_EQ(link("f", "g"), 0);
	CHECK_EQ(fs_nlink("f"), 2);
	CHECK_EQ(stat("f", &a), 0);
	CHECK_EQ(stat("g", &b), 0);
	CHECK_EQ(a.st_ino, b.st_ino);
	CHECK_ERR(link("f", "g"), EEXIST);
	CHECK_ERR(link(".", "dl"), EPERM);
	CHECK_ERR(link("none", "dl"), ENOENT);
	CHECK_EQ(unlink("f"), 0);
	CHECK(fs_holds("g", "hello"));
	CHECK_EQ(fs_nlink("g"), 1);

	CHECK_EQ(symlink("g", "s"), 0);
	CHECK_EQ(lstat("s", &a), 0);
	CHECK(S_ISLNK(a.st_mode));
	CHECK_EQ(a.st_size, 1);
	CHECK_EQ(a.st_mode & 0777, 0777);
	CHECK(fs_holds("s", "hello"));
	CHECK_EQ(readlink("s", buf, sizeof(buf)), 1);
	CHECK_EQ(buf[0], 'g');
	CHECK_ERR(readlink("g", buf, sizeof(buf)), EINVAL);
	CHECK_ERR(readlink("s", buf, 0), EINVAL);
	CHECK_ERR(symlink("x", "s"), EEXIST);
	CHECK_ERR(symlink("", "t"), ENOENT);
	CHECK_ERR(open("s", O_RDONLY | O_NOFOLLOW), ELOOP);
	CHECK_ERR(open("s", O_CREAT | O_EXCL | O_WRONLY, 0644), EEXIST);
	int fd = open("s", O_PATH | O_NOFOLLOW);
	CHECK(fd >= 0);
	CHECK_EQ(fstat(fd, &a), 0);
	CHECK(S_ISLNK(a.st_mode));
	CHECK_EQ(readlinkat(fd, "", buf, sizeof(buf)), 1);
	CHECK_ERR(read(fd, buf, 1), EBADF);
	close(fd);

	// Through a dangling link a file is made; with a slash behind it is not.
	CHECK_EQ(symlink("sub/new", "dangling"), 0);
	CHECK_ERR(open("dangling", O_RDONLY), ENOENT);
	CHECK_ERR(open("dangling", O_CREAT | O_WRONLY, 0644), ENOENT);
	CHECK_EQ(mkdir("sub", 0755), 0);
	fd = open("dangling", O_CREAT | O_WRONLY, 0644);
	CHECK(fd >= 0);
	close(fd);
	CHECK_EQ(access("sub/new", F_OK), 0);
	CHECK_ERR(mkdir("dangling", 0755), EEXIST);

	CHECK_EQ(symlink("sub", "dir"), 0);
	CHECK_EQ(access("dir/new", F_OK), 0);
	CHECK_EQ(access("dir/../dir/new", F_OK), 0);
	CHECK_EQ(lstat("dir", &a), 0);
	CHECK(S_ISLNK(a.st_mode));
	CHECK_EQ(lstat("dir/", &a), 0);
	CHECK(S_ISDIR(a.st_mode));
	CHECK_ERR(rmdir("dir"), ENOTDIR);
	CHECK_EQ(link("s", "hard_to_link"), 0); // of the link itself
	CHECK_EQ(lstat("hard_to_link", &a), 0);
	CHECK(S_ISLNK(a.st_mode));
	CHECK_EQ(linkat(AT_FDCWD, "s", AT_FDCWD, "hard_to_file", AT_SYMLINK_FOLLOW), 0);
	CHECK_EQ(fs_nlink("g"), 2);

	CHECK_EQ(symlink("loop2", "loop1"), 0);
	CHECK_EQ(symlink("loop1", "loop2"), 0);
	CHECK_ERR(open("loop1", O_RDONLY), ELOOP);
	CHECK_ERR(stat("loop1/x", &a), ELOOP);
	// 40 links are followed, 41 are not.
	char from[16], to[16];
	for (int i = 1; i <= 41; i++) {
		snprintf(from, sizeof(from), "c%d", i);
		snprintf(to, sizeof(to), i == 1 ? "g" : "c%d", i - 1);
		CHECK_EQ(symlink(to, from), 0);
	}
	CHECK_EQ(access("c40", F_OK), 0);
	CHECK_ERR(access("c41", F_OK), ELOOP);
	for (int i = 1; i <= 41; i++) {
		snprintf(from, sizeof(from), "c%d", i);
		CHECK_EQ(unlink(from), 0);
	}
	// A long target, and text behind it.
	char target[1024];
	for (int i = 0; i < 500; i++)
		memcpy(target + 2 * i, "./", 2);
	strcpy(target + 1000, "sub");
	CHECK_EQ(symlink(target, "long"), 0);
	CHECK_EQ(access("long/new", F_OK), 0);
	CHECK_EQ(access("long/../long/new", F_OK), 0);
	const char *all[] = {
		"long",	   "loop1", "loop2", "hard_to_link", "hard_to_file", "dir", "dangling",
		"sub/new", "s",	    "g"};
	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++)
		CHECK_EQ(unlink(all[i]), 0);
	CHECK_EQ(rmdir("sub"), 0);
}

static int rename2(const char *a, const char *b, unsigned flags)
{
	return (int)syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, flags);
}

static void test_rename(void)
{
	fs_put("a", "A");
	fs_put("b", "B");
	CHECK_EQ(rename("a", "c"), 0);
	CHECK(fs_holds("c", "A"));
	CHECK_ERR(access("a", F_OK), ENOENT);
	int fd = open("b", O_RDONLY);
	CHECK_EQ(rename("c", "b"), 0);
	CHECK(fs_holds("b", "A"));
	char x;
	CHECK_EQ(read(fd, &x, 1), 1); // the old file lives on
	CHECK_EQ(x, 'B');
	struct stat st;
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_nlink, 0);
	close(fd);
	CHECK_EQ(mkdir("d1", 0755), 0);
	CHECK_EQ(mkdir("d2", 0755), 0);
	CHECK_EQ(mkdir("d1/sub", 0755), 0);
	fs_put("d1/sub/f", "F");
	CHECK_ERR(rename("d1", "d1/sub/x"), EINVAL);
	CHECK_ERR(rename("d1/sub", "d1"), ENOTEMPTY);
	CHECK_ERR(rename("b", "d1"), EISDIR);
	CHECK_ERR(rename("d1", "b"), ENOTDIR);
	CHECK_ERR(rename("d1", "b/"), ENOTDIR);
	CHECK_ERR(rename("none", "x"), ENOENT);
	CHECK_ERR(rename("d1/.", "x"), EBUSY);
	CHECK_EQ(rename("d1/sub", "d2"), 0); // onto an empty directory
	CHECK(fs_holds("d2/f", "F"));
	CHECK_EQ(fs_nlink("d1"), 2);
	CHECK_EQ(rename("d2", "d1/moved"), 0);
	CHECK_EQ(fs_nlink("d1"), 3);
	CHECK(fs_holds("d1/moved/f", "F"));
	CHECK(fs_holds("d1/moved/../moved/f", "F"));
	CHECK_EQ(link("b", "b2"), 0);
	CHECK_EQ(rename("b", "b2"), 0); // two names of one file: nothing happens
	CHECK_EQ(fs_nlink("b"), 2);
	CHECK_EQ(unlink("b2"), 0);
	CHECK_ERR(rename2("b", "d1/moved/f", RENAME_NOREPLACE), EEXIST);
	CHECK_EQ(rename2("b", "nb", RENAME_NOREPLACE), 0);
	CHECK_EQ(rename2("nb", "d1/moved/f", RENAME_EXCHANGE), 0);
	CHECK(fs_holds("nb", "F"));
	CHECK(fs_holds("d1/moved/f", "A"));
	CHECK_EQ(rename2("nb", "d1", RENAME_EXCHANGE), 0);
	CHECK(fs_holds("d1", "F"));
	CHECK(fs_holds("nb/moved/f", "A"));
	CHECK_ERR(rename2("nb", "zz", RENAME_EXCHANGE), ENOENT);
	CHECK_ERR(rename2("nb", "zz", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
	CHECK_ERR(rename2("nb", "nb/moved", RENAME_EXCHANGE), EINVAL);
	CHECK_EQ(unlink("nb/moved/f"), 0);
	CHECK_EQ(rmdir("nb/moved"), 0);
	CHECK_EQ(rmdir("nb"), 0);
	CHECK_EQ(unlink("d1"), 0);
}

static void test_at(void)
{
	struct stat st;
	CHECK_EQ(mkdir("d", 0755), 0);
	int d = open("d", O_RDONLY | O_DIRECTORY);
	int p = open("d", O_PATH);
	CHECK(d >= 0 && p >= 0);
	int fd = openat(d, "f", O_CREAT | O_RDWR, 0600);
	CHECK(fd >= 0);
	CHECK_EQ(fstatat(p, "f", &st, 0), 0);
	CHECK_EQ(st.st_mode & 0777, 0600);
	CHECK_EQ(fstatat(fd, "", &st, AT_EMPTY_PATH), 0);
	CHECK_EQ(fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH), 0);
	CHECK(S_ISDIR(st.st_mode));
	CHECK_ERR(fstatat(fd, "x", &st, 0), ENOTDIR);
	CHECK_ERR(fstatat(99, "x", &st, 0), EBADF);
	CHECK_ERR(fstatat(99, "x", &st, 0x8000000), EINVAL);
	CHECK_EQ(fstatat(99, "/", &st, 0), 0);
	CHECK_EQ(mkdirat(d, "e", 0755), 0);
	CHECK_EQ(symlinkat("f", d, "l"), 0);
	CHECK_EQ(renameat(d, "f", AT_FDCWD, "g"), 0);
	CHECK_EQ(linkat(AT_FDCWD, "g", d, "f", 0), 0);
	CHECK_EQ(faccessat(d, "l", R_OK, 0), 0);
	CHECK_EQ(unlinkat(d, "f", 0), 0);
	CHECK_ERR(faccessat(d, "l", R_OK, 0), ENOENT);
	CHECK_EQ(fstatat(d, "l", &st, AT_SYMLINK_NOFOLLOW), 0);
	CHECK_EQ(unlinkat(d, "l", 0), 0);
	CHECK_EQ(unlinkat(d, "e", AT_REMOVEDIR), 0);
	CHECK_EQ(unlink("g"), 0);
	CHECK_EQ(fchdir(d), 0);
	CHECK_ERR(fchdir(fd), ENOTDIR);
	CHECK_EQ(chdir(".."), 0);
	CHECK_EQ(rmdir("d"), 0);
	CHECK_ERR(openat(d, "f", O_CREAT | O_RDWR, 0600), ENOENT);
	close(d);
	close(p);
	close(fd);
	fd = open(".", O_TMPFILE | O_RDWR, 0600);
	CHECK(fd >= 0);
	if (fd >= 0) {
		CHECK_EQ(write(fd, "tmp", 3), 3);
		CHECK_EQ(fstat(fd, &st), 0);
		CHECK_EQ(st.st_nlink, 0);
		CHECK_EQ(linkat(fd, "", AT_FDCWD, "named", AT_EMPTY_PATH), 0);
		CHECK(fs_holds("named", "tmp"));
		CHECK_EQ(unlink("named"), 0);
		close(fd);
	}
}

struct how {
	uint64_t flags, mode, resolve;
};
static int openat2(int d, const char *name, uint64_t flags, uint64_t mode, uint64_t resolve)
{
	struct how h = {flags, mode, resolve};
	return (int)syscall(SYS_openat2, d, name, &h, sizeof(h));
}

static void test_openat2(void)
{
	CHECK_EQ(mkdir("r", 0755), 0);
	CHECK_EQ(mkdir("r/sub", 0755), 0);
	fs_put("r/f", "in");
	fs_put("f", "out");
	CHECK_EQ(symlink("/f", "r/abs"), 0);
	CHECK_EQ(symlink("../f", "r/up"), 0);
	CHECK_EQ(symlink("f", "r/rel"), 0);
	int r = open("r", O_PATH), fd;
	CHECK_ERR(openat2(r, "../f", O_RDONLY, 0, 0x08), EXDEV); // RESOLVE_BENEATH
	CHECK_ERR(openat2(r, "abs", O_RDONLY, 0, 0x08), EXDEV);
	CHECK_ERR(openat2(r, "up", O_RDONLY, 0, 0x08), EXDEV);
	fd = openat2(r, "sub/../rel", O_RDONLY, 0, 0x08);
	CHECK(fd >= 0);
	close(fd);
	fd = openat2(r, "abs", O_RDONLY, 0, 0x10); // RESOLVE_IN_ROOT
	CHECK(fd >= 0);
	char b[4] = "";
	CHECK_EQ(read(fd, b, 4), 2);
	close(fd);
	fd = openat2(r, "/../../f", O_RDONLY, 0, 0x10);
	CHECK(fd >= 0);
	close(fd);
	CHECK_ERR(openat2(r, "rel", O_RDONLY, 0, 0x04), ELOOP); // RESOLVE_NO_SYMLINKS
	CHECK_ERR(openat2(r, "f", O_RDONLY, 0644, 0), EINVAL);
	CHECK_ERR(openat2(r, "f", 1ull << 40, 0, 0), EINVAL);
	CHECK_ERR(openat2(r, "f", O_RDONLY, 0, 0x1000), EINVAL);
	close(r);
	const char *all[] = {"r/abs", "r/up", "r/rel", "r/f", "f"};
	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++)
		CHECK_EQ(unlink(all[i]), 0);
	CHECK_EQ(rmdir("r/sub"), 0);
	CHECK_EQ(rmdir("r"), 0);
}

static void rights_child(void)
{
	if (setgid(1000) || setuid(1000))
		_exit(2);
	struct stat st;
	CHECK_ERR(open("secret", O_RDONLY), EACCES);
	CHECK_ERR(open("public", O_WRONLY), EACCES);
	CHECK_ERR(open("new", O_CREAT | O_WRONLY, 0644), EACCES);
	CHECK_ERR(unlink("public"), EACCES);
	CHECK_ERR(stat("closed/x", &st), EACCES);
	CHECK_ERR(chmod("public", 0777), EPERM);
	CHECK_ERR(chown("public", 1000, 1000), EPERM);
	CHECK_ERR(access("public", W_OK), EACCES);
	CHECK_EQ(access("public", R_OK), 0);
	CHECK_ERR(access("public", X_OK), EACCES);
	CHECK_ERR(truncate("public", 0), EACCES);
	struct timeval tv[2] = {{1, 0}, {1, 0}};
	CHECK_ERR(utimes("public", tv), EPERM);
	CHECK_ERR(utimes("public", NULL), EACCES);
	CHECK_EQ(chdir("sticky"), 0);
	CHECK_ERR(unlink("theirs"), EPERM);
	CHECK_ERR(rename("theirs", "x"), EPERM);
	fs_put("mine", "m");
	CHECK_EQ(rename("mine", "mine2"), 0);
	CHECK_EQ(chmod("mine2", 06777), 0);
	CHECK_EQ(stat("mine2", &st), 0);
	CHECK_EQ(st.st_mode & 07777, 06777);
	int fd = open("mine2", O_WRONLY); // a write takes the set-id bits away
	CHECK_EQ(write(fd, "z", 1), 1);
	close(fd);
	CHECK_EQ(stat("mine2", &st), 0);
	CHECK_EQ(st.st_mode & 07777, 0777);
	CHECK_EQ(chown("mine2", 1000, 1000), 0);
	CHECK_ERR(chown("mine2", 1000, 5), EPERM);
	CHECK_EQ(unlink("mine2"), 0);
	CHECK_ERR(mknod("dev", S_IFCHR | 0600, makedev(1, 3)), EPERM);
	CHECK_ERR(chroot("."), EPERM);
	_exit(check_failures != 0);
}

static void test_rights(void)
{
	struct stat st;
	if (getuid()) {
		printf("rights: not root, not tested\n");
		return;
	}
	fs_put("secret", "s");
	CHECK_EQ(chmod("secret", 0600), 0);
	fs_put("public", "p");
	CHECK_EQ(mkdir("closed", 0700), 0);
	CHECK_EQ(mkdir("sticky", 0777), 0);
	CHECK_EQ(chmod("sticky", 01777), 0);
	fs_put("sticky/theirs", "t");
	pid_t p = fork();
	if (!p)
		rights_child();
	fs_wait(p);
	// Root reads everything, executes only what has an x.
	CHECK_EQ(access("secret", R_OK | W_OK), 0);
	CHECK_ERR(access("secret", X_OK), EACCES);
	CHECK_EQ(access("closed", X_OK), 0);
	// Set-group-ID directories hand their group on.
	CHECK_EQ(mkdir("sg", 0755), 0);
	CHECK_EQ(chown("sg", 0, 77), 0);
	CHECK_EQ(chmod("sg", 02755), 0);
	fs_put("sg/f", "");
	CHECK_EQ(stat("sg/f", &st), 0);
	CHECK_EQ(st.st_gid, 77);
	CHECK_EQ(mkdir("sg/d", 0755), 0);
	CHECK_EQ(stat("sg/d", &st), 0);
	CHECK_EQ(st.st_mode & 07777, 02755);
	CHECK_EQ(st.st_gid, 77);
	// chown takes the set-id bits of files.
	CHECK_EQ(chmod("secret", 06755), 0);
	CHECK_EQ(chown("secret", 5, 5), 0);
	CHECK_EQ(stat("secret", &st), 0);
	CHECK_EQ(st.st_mode & 07777, 0755);
	CHECK_EQ(st.st_uid, 5);
	CHECK_EQ(chown("secret", -1, 6), 0);
	CHECK_EQ(stat("secret", &st), 0);
	CHECK_EQ(st.st_uid, 5);
	CHECK_EQ(st.st_gid, 6);
	CHECK_EQ(unlink("sg/f"), 0);
	CHECK_EQ(rmdir("sg/d"), 0);
	CHECK_EQ(rmdir("sg"), 0);
	CHECK_EQ(unlink("sticky/theirs"), 0);
	CHECK_EQ(rmdir("sticky"), 0);
	CHECK_EQ(rmdir("closed"), 0);
	CHECK_EQ(unlink("secret"), 0);
	CHECK_EQ(unlink("public"), 0);
}

static void test_nodes(void)
{
	struct stat st;
	if (getuid())
		return;
	CHECK_EQ(mknod("null", S_IFCHR | 0666, makedev(1, 3)), 0);
	CHECK_EQ(stat("null", &st), 0);
	CHECK(S_ISCHR(st.st_mode));
	CHECK_EQ(st.st_rdev, makedev(1, 3));
	CHECK_EQ(mknod("big", S_IFBLK | 0600, makedev(300, 70000)), 0);
	CHECK_EQ(stat("big", &st), 0);
	CHECK_EQ(st.st_rdev, makedev(300, 70000));
	CHECK_ERR(open("big", O_RDONLY), ENXIO);
	CHECK_EQ(mknod("sock", S_IFSOCK | 0600, 0), 0);
	CHECK_ERR(open("sock", O_RDONLY), ENXIO);
	CHECK_EQ(mknod("plain", 0600, 0), 0);
	CHECK_EQ(stat("plain", &st), 0);
	CHECK(S_ISREG(st.st_mode));
	CHECK_ERR(mknod("dir", S_IFDIR | 0700, 0), EPERM);
	CHECK_EQ(unlink("null"), 0);
	CHECK_EQ(unlink("big"), 0);
	CHECK_EQ(unlink("sock"), 0);
	CHECK_EQ(unlink("plain"), 0);
}

static void test_times(void)
{
	struct stat st;
	struct timespec ts[2] = {{1000, 5}, {2000000000, 999999999}};
	fs_put("f", "x");
	CHECK_EQ(utimensat(AT_FDCWD, "f", ts, 0), 0);
	CHECK_EQ(stat("f", &st), 0);
	CHECK_EQ(st.st_atim.tv_sec, 1000);
	CHECK_EQ(st.st_atim.tv_nsec, 5);
	CHECK_EQ(st.st_mtim.tv_sec, 2000000000);
	CHECK_EQ(st.st_mtim.tv_nsec, 999999999);
	ts[0].tv_nsec = UTIME_OMIT;
	ts[1].tv_nsec = UTIME_NOW;
	CHECK_EQ(utimensat(AT_FDCWD, "f", ts, 0), 0);
	CHECK_EQ(stat("f", &st), 0);
	CHECK_EQ(st.st_atim.tv_sec, 1000);
	CHECK(st.st_mtim.tv_sec != 2000000000);
	ts[0].tv_nsec = 1000000000;
	CHECK_ERR(utimensat(AT_FDCWD, "f", ts, 0), EINVAL);
	struct utimbuf ub = {7, 8};
	CHECK_EQ(utime("f", &ub), 0);
	CHECK_EQ(stat("f", &st), 0);
	CHECK_EQ(st.st_mtim.tv_sec, 8);
	struct timespec before = st.st_ctim;
	usleep(20000);
	CHECK_EQ(chmod("f", 0600), 0);
	CHECK_EQ(stat("f", &st), 0);
	CHECK(st.st_ctim.tv_sec > before.tv_sec || st.st_ctim.tv_nsec > before.tv_nsec);
	CHECK_EQ(st.st_mtim.tv_sec, 8);
	CHECK_EQ(symlink("f", "l"), 0);
	ts[0] = ts[1] = (struct timespec){55, 0};
	CHECK_EQ(utimensat(AT_FDCWD, "l", ts, AT_SYMLINK_NOFOLLOW), 0);
	CHECK_EQ(lstat("l", &st), 0);
	CHECK_EQ(st.st_mtim.tv_sec, 55);
	struct statx sx;
	CHECK_EQ(statx(AT_FDCWD, "f", 0, STATX_ALL, &sx), 0);
	CHECK_EQ(sx.stx_mode, S_IFREG | 0600);
	CHECK_EQ(sx.stx_size, 1);
	CHECK(sx.stx_mask & STATX_BTIME);
	CHECK_EQ(unlink("l"), 0);
	CHECK_EQ(unlink("f"), 0);
}

static void test_mounts(void)
{
	struct stat st;
	struct statfs sf;
	if (getuid())
		return;
	CHECK_EQ(mkdir("m", 0755), 0);
	fs_put("m/under", "u");
	if (mount("none", "m", "tmpfs", MS_NODEV, "size=1m,mode=700")) {
		printf("mounts: not allowed here (%s), not tested\n", strerror(errno));
		CHECK_EQ(unlink("m/under"), 0);
		CHECK_EQ(rmdir("m"), 0);
		return;
	}
	CHECK_ERR(access("m/under", F_OK), ENOENT);
	CHECK_EQ(stat("m", &st), 0);
	CHECK_EQ(st.st_mode & 07777, 0700);
	CHECK_EQ(statfs("m", &sf), 0);
	CHECK_EQ(sf.f_type, 0x01021994);
	CHECK_EQ(sf.f_blocks * (unsigned long)sf.f_bsize, 1 << 20);
	fs_put("m/f", "x");
	CHECK_ERR(link("m/f", "other"), EXDEV);
	CHECK_ERR(rename("m/f", "other"), EXDEV);
	CHECK_ERR(rmdir("m"), EBUSY);
	CHECK_ERR(rename("m", "n"), EBUSY);
	CHECK_EQ(mknod("m/null", S_IFCHR | 0666, makedev(1, 3)), 0);
	CHECK_ERR(open("m/null", O_RDWR), EACCES);
	int fd = open("m/f", O_RDWR);
	CHECK_ERR(umount("m"), EBUSY);
	char *big = calloc(1, 1 << 20);
	CHECK_EQ(write(fd, big, 1 << 20), 1 << 20); // exactly all
	CHECK_ERR(pwrite(fd, big, 4096, 3 << 20), ENOSPC);
	CHECK_EQ(ftruncate(fd, 0), 0);
	CHECK_EQ(pwrite(fd, big, 4096, 3 << 20), 4096);
	free(big);
	close(fd);
	CHECK_EQ(mkdir("b", 0755), 0);
	CHECK_EQ(mount("m", "b", NULL, MS_BIND, NULL), 0);
	CHECK_EQ(access("b/f", F_OK), 0);
	CHECK_EQ(mount(NULL, "b", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), 0);
	CHECK_ERR(open("b/new", O_CREAT | O_WRONLY, 0644), EROFS);
	CHECK_ERR(open("b/f", O_WRONLY), EROFS);
	CHECK_ERR(mkdir("b/d", 0755), EROFS);
	CHECK_ERR(unlink("b/f"), EROFS);
	CHECK_ERR(access("b/f", W_OK), EROFS);
	CHECK_EQ(access("m/f", W_OK), 0);
	CHECK_EQ(umount("b"), 0);
	CHECK_ERR(umount("b"), EINVAL);
	fd = open("m", O_RDONLY | O_DIRECTORY);
	CHECK_EQ(umount2("m", MNT_DETACH), 0);
	CHECK_EQ(access("m/under", F_OK), 0);
	CHECK_EQ(faccessat(fd, "f", F_OK, 0),
		 0); // the detached tree is still there for who has it open
	close(fd);
	CHECK_ERR(mount("none", "m", "no_such_fs", 0, NULL), ENODEV);
	CHECK_EQ(unlink("m/under"), 0);
	CHECK_EQ(rmdir("m"), 0);
	CHECK_EQ(rmdir("b"), 0);
}

static void test_xattr(void)
{
	char buf[64];
	fs_put("f", "");
	if (setxattr("f", "trusted.t", "value", 5, 0)) {
		printf("xattr: %s, not tested\n", strerror(errno));
		CHECK_EQ(unlink("f"), 0);
		return;
	}
	CHECK_EQ(getxattr("f", "trusted.t", buf, sizeof(buf)), 5);
	CHECK(!memcmp(buf, "value", 5));
	CHECK_EQ(getxattr("f", "trusted.t", NULL, 0), 5);
	CHECK_ERR(getxattr("f", "trusted.t", buf, 2), ERANGE);
	CHECK_ERR(getxattr("f", "trusted.none", buf, 2), ENODATA);
	CHECK_ERR(setxattr("f", "trusted.t", "v", 1, XATTR_CREATE), EEXIST);
	CHECK_ERR(setxattr("f", "trusted.u", "v", 1, XATTR_REPLACE), ENODATA);
	CHECK_EQ(listxattr("f", buf, sizeof(buf)), 10);
	CHECK_EQ(removexattr("f", "trusted.t"), 0);
	CHECK_ERR(removexattr("f", "trusted.t"), ENODATA);
	CHECK_EQ(listxattr("f", buf, sizeof(buf)), 0);
	CHECK_ERR(setxattr("f", "strange.t", "v", 1, 0), EOPNOTSUPP);
	CHECK_EQ(unlink("f"), 0);
}

int main(int argc, char **argv)
{
	fs_begin(argc, argv);
	test_create();
	test_dirs();
	test_links();
	test_rename();
	test_at();
	test_openat2();
	test_rights();
	test_nodes();
	test_times();
	test_mounts();
	test_xattr();
	return fs_end();
}

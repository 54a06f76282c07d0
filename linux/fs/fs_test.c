// SPDX-License-Identifier: MIT
// Tests of the file layer from inside the kernel: what programs cannot see or provoke. Works below
// /ktest_fs.
#include "base/ktest.h"
#include "core/log.h"
#include "linux/fs/fs_priv.h"

#define TOP "/ktest_fs"

// Both ways to hash a name must agree at every length, or names would be found by one and not by
// the other.
KTEST(fs, names_of_every_length)
{
	char name[sizeof(TOP) + NAME_MAX + 1], *leaf;
	ASSERT_EQ(fs_mkdir(TOP, 0755), 0);
	memcpy(name, TOP "/", sizeof(TOP));
	leaf = name + sizeof(TOP);
	for (u32 len = 1; len <= NAME_MAX; len++) {
		struct path top, p;
		memset(leaf, 'a' + (int)(len % 26), len);
		leaf[len] = 0;
		EXPECT_EQ(fs_mkdir(name, 0700), 0);
		ASSERT_EQ(path_lookup(AT_FDCWD, TOP, 0, &top), 0);
		EXPECT_EQ(path_lookup(AT_FDCWD, name, 0, &p), 0);
		mutex_lock(&top.dentry->inode->lock);
		struct dentry *d = dentry_lookup_locked(top.dentry, leaf, len);
		mutex_unlock(&top.dentry->inode->lock);
		EXPECT_EQ((uintptr_t)d, (uintptr_t)p.dentry);
		dentry_put(d);
		path_put(&p);
		path_put(&top);
		EXPECT_EQ(fs_rmdir(name), 0);
	}
	EXPECT_EQ(fs_rmdir(TOP), 0);
}

KTEST(fs, references_come_back)
{
	struct path top;
	ASSERT_EQ(fs_mkdir(TOP, 0755), 0);
	ASSERT_EQ(path_lookup(AT_FDCWD, TOP, 0, &top), 0);
	u32 dentry_refs = refcount_read(&top.dentry->refs),
	    mount_refs = refcount_read(&top.mnt->refs);
	EXPECT_EQ(dentry_refs, 2); // the tree's and ours
	for (u32 i = 0; i < 50; i++) {
		struct file *f = file_open_kernel(TOP "/f", O_RDWR | O_CREAT, 0644);
		ASSERT_FALSE(is_err(f));
		EXPECT_EQ(file_write_kernel(f, 0, "hello", 5), 5);
		file_put(f);
		EXPECT_EQ(fs_symlink("f", TOP "/l"), 0);
		f = file_open_kernel(TOP "/l", O_RDONLY, 0);
		ASSERT_FALSE(is_err(f));
		char buf[8];
		EXPECT_EQ(file_read_kernel(f, 0, buf, sizeof(buf)), 5);
		file_put(f);
		EXPECT_EQ(ptr_err(file_open_kernel(TOP "/f/none", O_RDONLY, 0)), -ENOTDIR);
		EXPECT_EQ(ptr_err(file_open_kernel(TOP "/none", O_RDONLY, 0)), -ENOENT);
		EXPECT_EQ(fs_unlink(TOP "/l"), 0);
		EXPECT_EQ(fs_unlink(TOP "/f"), 0);
	}
	EXPECT_EQ(refcount_read(&top.dentry->refs), dentry_refs);
	EXPECT_EQ(refcount_read(&top.mnt->refs), mount_refs);
	path_put(&top);
	EXPECT_EQ(fs_rmdir(TOP), 0);
}

KTEST(fs, text_of_a_path)
{
	struct path p;
	char buf[128];
	ASSERT_EQ(fs_mkdir(TOP, 0755), 0);
	ASSERT_EQ(fs_mkdir(TOP "/a", 0755), 0);
	ASSERT_EQ(fs_mount("test", TOP "/a", "tmpfs", 0, "size=1m"), 0);
	ASSERT_EQ(fs_mkdir(TOP "/a/b", 0755), 0);
	ASSERT_EQ(path_lookup(AT_FDCWD, TOP "/a/b", 0, &p), 0);
	EXPECT_STREQ(d_path(&p, buf, sizeof(buf)), TOP "/a/b");
	EXPECT_STREQ(dentry_path(p.dentry, buf, sizeof(buf)), "/b");
	EXPECT_EQ(ptr_err(d_path(&p, buf, 10)), -ENAMETOOLONG);
	EXPECT_EQ(fs_rmdir(TOP "/a/b"), 0);
	EXPECT_STREQ(d_path(&p, buf, sizeof(buf)), TOP "/a/b (deleted)");
	EXPECT_EQ(fs_umount(TOP "/a"), -EBUSY);
	path_put(&p);
	EXPECT_EQ(fs_umount(TOP "/a"), 0);
	EXPECT_EQ(fs_rmdir(TOP "/a"), 0);
	EXPECT_EQ(fs_rmdir(TOP), 0);
}

KTEST(fs, transfers_over_segments)
{
	char a[4], b[6] = {}, src[] = "abcdefgh";
	struct iovec rest[] = {{0, 0}, {(u64)(uintptr_t)b, 6}};
	struct io io = {.left = 10,
			.kbuf = (u8 *)a,
			.seg_left = 4,
			.vec = rest,
			.nvec = 2,
			.kind = IO_KERNEL},
		  saved = io;
	EXPECT_EQ(io_copy_to(&io, src, 8), 8);
	EXPECT_EQ(io.left, 2);
	EXPECT_MEMEQ(a, "abcd", 4);
	EXPECT_MEMEQ(b, "efgh", 4);
	io_revert(&io, &saved, 5);
	EXPECT_EQ(io.left, 5);
	EXPECT_EQ(io_clear(&io, 5), 5);
	EXPECT_MEMEQ(b, "e\0\0\0\0\0", 6);
	EXPECT_EQ(io.left, 0);
}

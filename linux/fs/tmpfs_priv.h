// SPDX-License-Identifier: MIT
// What the files of tmpfs share: tmpfs.c (inodes, super blocks), tmpfs_dir.c, tmpfs_file.c and
// tmpfs_xattr.c.
#pragma once
#include "linux/fs/fs_priv.h"
#include "linux/vm.h"

struct tmpfs_super {
	atomic_u64 used_pages;
	atomic_u64 limit_pages; // ~0: none
	atomic_u64 used_inodes;
	atomic_u64 limit_inodes;
};

struct tmpfs_inode {
	struct inode inode;
	u32 seals;	    // inode lock
	struct list xattrs; // inode lock
	struct vm_object
		object; // regular files. Lives longer than the inode if a fault still uses it
};

static inline struct tmpfs_inode *tmpfs_i(struct inode *i)
{
	return container_of(i, struct tmpfs_inode, inode);
}

static inline struct tmpfs_super *tmpfs_s(struct super_block *sb)
{
	return sb->private_data;
}

// A new inode that belongs to dir (nullptr: no directory) or err_ptr(-ENOSPC, -ENOMEM).
struct inode *tmpfs_inode_make(struct super_block *sb, const struct inode *dir, u32 mode, u64 dev);
int tmpfs_setattr(struct inode *i, const struct attr_change *a);
int tmpfs_fsync(struct file *f, s64 first, s64 last, bool data_only);

ssize_t tmpfs_xattr_get(struct inode *i, const char *name, void *value, size_t len);
int tmpfs_xattr_set(struct inode *i, const char *name, const void *value, size_t len, u32 flags);
ssize_t tmpfs_xattr_list(struct inode *i, char *names, size_t len);
void tmpfs_xattr_free_all(struct tmpfs_inode *t); // when nobody else refers to the inode

extern const struct inode_ops tmpfs_dir_ops, tmpfs_file_inode_ops;
extern const struct file_ops tmpfs_dir_file_ops, tmpfs_file_ops;

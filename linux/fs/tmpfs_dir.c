// SPDX-License-Identifier: MIT
// tmpfs_dir.c owns the directories of tmpfs: what making, linking, moving and removing names does
// to them. The names themselves are the dcache's. Privileged.
#include "linux/fs/tmpfs_priv.h"

constexpr s64 ENTRY_SIZE = 20; // what a name adds to a directory's size, as on Linux

static void tmpfs_dir_changed(struct inode *dir, s64 names)
{
	dir->size += names * ENTRY_SIZE;
	dir->mtime = dir->ctime = fs_time_now();
}

static int tmpfs_add(struct inode *dir, struct dentry *d, struct inode *i)
{
	if (is_err(i))
		return ptr_err(i);
	if (S_ISDIR(i->mode))
		dir->nlink++;
	dir->size += ENTRY_SIZE;
	dir->mtime = dir->ctime = i->ctime;
	dentry_set_inode(d, i);
	return 0;
}

static int tmpfs_create(struct inode *dir, struct dentry *d, u32 mode, u64 dev)
{
	return tmpfs_add(dir, d, tmpfs_inode_make(dir->sb, dir, mode, dev));
}

static int tmpfs_symlink(struct inode *dir, struct dentry *d, const char *target)
{
	char *text = kstrdup(target, PATH_MAX);
	if (!text)
		return -ENOMEM;
	struct inode *i = tmpfs_inode_make(dir->sb, dir, S_IFLNK | 0777, 0);
	if (is_err(i)) {
		kfree(text);
		return ptr_err(i);
	}
	i->link = text;
	i->size = (s64)strlen(text);
	return tmpfs_add(dir, d, i);
}

static int tmpfs_link(struct inode *target, struct inode *dir, struct dentry *d)
{
	target->nlink++;
	target->ctime = fs_time_now();
	inode_get(target);
	return tmpfs_add(dir, d, target);
}

static int tmpfs_unlink(struct inode *dir, struct dentry *d)
{
	tmpfs_dir_changed(dir, -1);
	d->inode->ctime = dir->ctime;
	d->inode->nlink--;
	return 0;
}

static int tmpfs_rmdir(struct inode *dir, struct dentry *d)
{
	if (!list_empty(&d->children))
		return -ENOTEMPTY;
	d->inode->nlink = 0;
	dir->nlink--;
	tmpfs_dir_changed(dir, -1);
	return 0;
}

static int tmpfs_rename(struct inode *old_dir, struct dentry *old, struct inode *new_dir,
			struct dentry *new, u32 flags)
{
	bool dir = S_ISDIR(old->inode->mode);
	if (new->inode && !(flags & RENAME_EXCHANGE)) {
		if (S_ISDIR(new->inode->mode)) {
			if (!list_empty(&new->children))
				return -ENOTEMPTY;
			new->inode->nlink = 0;
			new_dir->nlink--;
		} else {
			new->inode->nlink--;
		}
		new->inode->ctime = fs_time_now();
		tmpfs_dir_changed(new_dir, -1);
	}
	if (flags & RENAME_EXCHANGE) {
		bool other = S_ISDIR(new->inode->mode);
		if (dir != other) {
			old_dir->nlink += (other ? 1u : 0u) - (dir ? 1u : 0u);
			new_dir->nlink += (dir ? 1u : 0u) - (other ? 1u : 0u);
		}
		new->inode->ctime = fs_time_now();
		tmpfs_dir_changed(old_dir, 0);
		tmpfs_dir_changed(new_dir, 0);
	} else {
		if (dir && old_dir != new_dir) {
			old_dir->nlink--;
			new_dir->nlink++;
		}
		tmpfs_dir_changed(old_dir, -1);
		tmpfs_dir_changed(new_dir, 1);
	}
	old->inode->ctime = new_dir->ctime;
	return 0;
}

static int tmpfs_tmpfile(struct inode *dir, u32 mode, struct inode **out)
{
	struct inode *i = tmpfs_inode_make(dir->sb, dir, mode, 0);
	if (is_err(i))
		return ptr_err(i);
	i->nlink = 0;
	*out = i;
	return 0;
}

const struct inode_ops tmpfs_dir_ops = {
	.create = tmpfs_create,
	.symlink = tmpfs_symlink,
	.link = tmpfs_link,
	.unlink = tmpfs_unlink,
	.rmdir = tmpfs_rmdir,
	.rename = tmpfs_rename,
	.tmpfile = tmpfs_tmpfile,
	.setattr = tmpfs_setattr,
	.xattr_get = tmpfs_xattr_get,
	.xattr_set = tmpfs_xattr_set,
	.xattr_list = tmpfs_xattr_list,
};
const struct file_ops tmpfs_dir_file_ops = {
	.iterate = dcache_iterate,
	.lseek = dcache_dir_lseek,
	.fsync = tmpfs_fsync,
};

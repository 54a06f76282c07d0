// SPDX-License-Identifier: MIT
// stat.c owns the calls that look at files: stat and its kin, access, readlink, statfs. Privileged.
//
// stat of a cached name never leaves the RCU section of its walk: the attributes are copied, then
// the walk is validated.
#include "linux/fs/fs_priv.h"

// ---- from a name ----

static int stat_name(int dirfd, const char *name, u32 lookup, struct kstat *st)
{
	struct walk w;
	struct path p;
	for (;;) {
		int err = walk_run(&w, dirfd, name, lookup);
		if (likely(!err)) {
			if (likely(!(w.inode->ops && w.inode->ops->getattr))) {
				inode_fill_stat(w.inode, st);
				st->mount_id = w.cur.mnt->id;
				if (w.cur.dentry == w.cur.mnt->root)
					st->attributes |= STATX_ATTR_MOUNT_ROOT;
				if (likely(walk_validate(&w)))
					return 0;
				continue;
			}
			err = walk_take(&w, &p);
			if (!err) {
				err = path_stat(&p, st);
				path_put(&p);
				return err;
			}
		}
		if (err != -ECHILD)
			return err;
	}
}

static int stat_fd(int fd, struct kstat *st)
{
	struct fdref r = fd_get_any(fd);
	int err = r.file ? path_stat(&r.file->path, st) : -EBADF;
	fd_put(r);
	return err;
}

static int stat_user(int dirfd, const char __user *name, u32 lookup, struct kstat *st)
{
	struct pathname n;
	int err = pathname_from_user(&n, name);
	if (unlikely(err))
		return err;
	err = stat_name(dirfd, n.text, lookup, st);
	pathname_free(&n);
	return err;
}

static int stat_at(int dirfd, const char __user *name, int flags, struct kstat *st)
{
	u32 lookup = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
		     (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
	if ((flags & AT_EMPTY_PATH) && dirfd >= 0) { // fstat in other words: glibc's fstat
		char c = 0;
		if (!name || (!get_user(c, name) && !c))
			return stat_fd(dirfd, st);
	}
	return stat_user(dirfd, name, lookup, st);
}

static long stat_out(struct stat __user *out, const struct kstat *st)
{
	struct stat s = {
		.st_dev = dev_encode(st->dev),
		.st_ino = st->ino,
		.st_nlink = st->nlink,
		.st_mode = st->mode,
		.st_uid = st->uid,
		.st_gid = st->gid,
		.st_rdev = dev_encode(st->rdev),
		.st_size = st->size,
		.st_blksize = st->blksize,
		.st_blocks = (s64)st->blocks,
		.st_atime_sec = (u64)st->atime.sec,
		.st_atime_nsec = st->atime.nsec,
		.st_mtime_sec = (u64)st->mtime.sec,
		.st_mtime_nsec = st->mtime.nsec,
		.st_ctime_sec = (u64)st->ctime.sec,
		.st_ctime_nsec = st->ctime.nsec,
	};
	return copy_to_user(out, &s, sizeof(s));
}

SYSCALL(stat, const char __user *name, struct stat __user *out)
{
	struct kstat st;
	int err = stat_user(AT_FDCWD, name, LOOKUP_FOLLOW, &st);
	return err ? err : stat_out(out, &st);
}

SYSCALL(lstat, const char __user *name, struct stat __user *out)
{
	struct kstat st;
	int err = stat_user(AT_FDCWD, name, 0, &st);
	return err ? err : stat_out(out, &st);
}

SYSCALL(fstat, int fd, struct stat __user *out)
{
	struct kstat st;
	int err = stat_fd(fd, &st);
	return err ? err : stat_out(out, &st);
}

SYSCALL(newfstatat, int dirfd, const char __user *name, struct stat __user *out, int flags)
{
	struct kstat st;
	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH))
		return -EINVAL;
	int err = stat_at(dirfd, name, flags, &st);
	return err ? err : stat_out(out, &st);
}

static struct statx_timestamp statx_time(const struct fs_time *t)
{
	return (struct statx_timestamp){.tv_sec = t->sec, .tv_nsec = t->nsec};
}

SYSCALL(statx, int dirfd, const char __user *name, int flags, u32 mask, struct statx __user *out)
{
	struct kstat st;
	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE))
		return -EINVAL;
	if ((mask & STATX_RESERVED) || (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
		return -EINVAL;
	int err = stat_at(dirfd, name, flags, &st);
	if (err)
		return err;
	struct statx x = {
		.stx_mask = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID,
		.stx_blksize = st.blksize,
		.stx_attributes = st.attributes,
		.stx_nlink = st.nlink,
		.stx_uid = st.uid,
		.stx_gid = st.gid,
		.stx_mode = (u16)st.mode,
		.stx_ino = st.ino,
		.stx_size = (u64)st.size,
		.stx_blocks = st.blocks,
		.stx_attributes_mask =
			STATX_ATTR_APPEND | STATX_ATTR_IMMUTABLE | STATX_ATTR_MOUNT_ROOT,
		.stx_atime = statx_time(&st.atime),
		.stx_btime = statx_time(&st.btime),
		.stx_ctime = statx_time(&st.ctime),
		.stx_mtime = statx_time(&st.mtime),
		.stx_rdev_major = dev_major(st.rdev),
		.stx_rdev_minor = dev_minor(st.rdev),
		.stx_dev_major = dev_major(st.dev),
		.stx_dev_minor = dev_minor(st.dev),
		.stx_mnt_id = st.mount_id,
	};
	return copy_to_user(out, &x, sizeof(x));
}

// ---- access ----

static int access_path(const struct path *p, u32 mode)
{
	struct inode *i = p->dentry->inode;
	int err = mode ? inode_permission(i, mode) : 0;
	if (!err && (mode & MAY_EXEC) && S_ISREG(i->mode) && (p->mnt->flags & MS_NOEXEC))
		err = -EACCES;
	u32 type = i->mode & S_IFMT;
	if (!err && (mode & MAY_WRITE) && type != S_IFCHR && type != S_IFBLK && type != S_IFIFO &&
	    type != S_IFSOCK)
		err = path_check_write(p);
	return err;
}

static int access_name(int dirfd, const char __user *name, u32 mode, u32 lookup)
{
	struct path p;
	int err = path_lookup_user(dirfd, name, lookup, &p);
	if (err)
		return err;
	err = access_path(&p, mode);
	path_put(&p);
	return err;
}

static long access_at(int dirfd, const char __user *name, int mode, int flags)
{
	if (mode & ~7)
		return -EINVAL;
	if (flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	u32 lookup = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
		     (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
	const struct cred *c = current_cred();
	// Real and effective ids are usually the same: then there is nothing to pretend.
	bool same = c->fsuid == c->uid && c->fsgid == c->gid &&
		    c->cap_effective == (c->uid ? 0 : c->cap_permitted);
	if ((flags & AT_EACCESS) || same)
		return access_name(dirfd, name, (u32)mode, lookup);
	const struct cred *old = cred_override_real();
	if (!old)
		return -ENOMEM;
	long err = access_name(dirfd, name, (u32)mode, lookup);
	cred_restore(old);
	return err;
}

SYSCALL(access, const char __user *name, int mode)
{
	return access_at(AT_FDCWD, name, mode, 0);
}

SYSCALL(faccessat, int dirfd, const char __user *name, int mode)
{
	return access_at(dirfd, name, mode, 0);
}

SYSCALL(faccessat2, int dirfd, const char __user *name, int mode, int flags)
{
	return access_at(dirfd, name, mode, flags);
}

// ---- readlink ----

static ssize_t read_link(const struct path *p, char __user *out, size_t cap)
{
	struct inode *i = p->dentry->inode;
	struct link_buf buf = {};
	const char *text = i->link;
	if (!S_ISLNK(i->mode))
		return -EINVAL;
	if (!text)
		text = i->ops->get_link ? i->ops->get_link(i, &buf) : err_ptr(-EINVAL);
	inode_accessed(i, p->mnt);
	ssize_t n = is_err(text) ? ptr_err(text) : (ssize_t)min(strlen(text), cap);
	if (n > 0 && copy_to_user(out, text, (size_t)n))
		n = -EFAULT;
	kfree(buf.big);
	return n;
}

static long readlink_at(int dirfd, const char __user *name, char __user *out, int cap)
{
	struct path p;
	if (cap <= 0)
		return -EINVAL;
	int err = path_lookup_user(dirfd, name, LOOKUP_EMPTY, &p);
	if (err)
		return err;
	long n = read_link(&p, out, (size_t)cap);
	if (n == -EINVAL && !S_ISLNK(p.dentry->inode->mode)) {
		char c = 1;
		if (!get_user(c, name) && !c)
			n = -ENOENT; // "" and not a link
	}
	path_put(&p);
	return n;
}

SYSCALL(readlink, const char __user *name, char __user *out, int cap)
{
	return readlink_at(AT_FDCWD, name, out, cap);
}

SYSCALL(readlinkat, int dirfd, const char __user *name, char __user *out, int cap)
{
	return readlink_at(dirfd, name, out, cap);
}

// ---- statfs ----

static int statfs_path(const struct path *p, struct statfs __user *out)
{
	struct super_block *sb = p->dentry->sb;
	struct statfs_info i = {.type = sb->magic,
				.bsize = sb->block_size,
				.frsize = sb->block_size,
				.namelen = NAME_MAX,
				.fsid = sb->dev};
	int err = sb->ops && sb->ops->statfs ? sb->ops->statfs(sb, &i) : 0;
	if (err)
		return err;
	u32 m = p->mnt->flags;
	struct statfs s = {
		.f_type = (s64)i.type,
		.f_bsize = (s64)i.bsize,
		.f_blocks = i.blocks,
		.f_bfree = i.bfree,
		.f_bavail = i.bavail,
		.f_files = i.files,
		.f_ffree = i.ffree,
		.f_fsid = {(s32)i.fsid, (s32)(i.fsid >> 32)},
		.f_namelen = (s64)i.namelen,
		.f_frsize = (s64)i.frsize,
		.f_flags = ST_VALID | (mnt_readonly(p->mnt) ? ST_RDONLY : 0) |
			   (m & MS_NOSUID ? ST_NOSUID : 0) | (m & MS_NODEV ? ST_NODEV : 0) |
			   (m & MS_NOEXEC ? ST_NOEXEC : 0) | (m & MS_NOATIME ? ST_NOATIME : 0) |
			   (m & MS_NODIRATIME ? ST_NODIRATIME : 0) |
			   (m & MS_RELATIME ? ST_RELATIME : 0),
	};
	return copy_to_user(out, &s, sizeof(s));
}

SYSCALL(statfs, const char __user *name, struct statfs __user *out)
{
	struct path p;
	int err = path_lookup_user(AT_FDCWD, name, LOOKUP_FOLLOW, &p);
	if (err)
		return err;
	err = statfs_path(&p, out);
	path_put(&p);
	return err;
}

SYSCALL(fstatfs, int fd, struct statfs __user *out)
{
	struct fdref r = fd_get_any(fd);
	int err = r.file ? statfs_path(&r.file->path, out) : -EBADF;
	fd_put(r);
	return err;
}

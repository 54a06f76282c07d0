// SPDX-License-Identifier: MIT
// attr.c owns the calls that change attributes and space: chmod, chown, utimes, truncate,
// fallocate, sync. Privileged.
#include "linux/block.h"
#include "linux/fs/fs_priv.h"
#include "linux/notify.h"

static int change_at(int dirfd, const char __user *name, u32 lookup, struct attr_change *a)
{
	struct path p;
	int err = path_lookup_user(dirfd, name, lookup, &p);
	if (err)
		return err;
	err = path_change_attr(&p, a);
	path_put(&p);
	return err;
}

static int change_fd(int fd, struct attr_change *a)
{
	struct fdref r = fd_get(fd);
	int err = r.file ? path_change_attr(&r.file->path, a) : -EBADF;
	fd_put(r);
	return err;
}

// ---- mode ----

static struct attr_change mode_change(u32 mode)
{
	return (struct attr_change){.mask = ATTR_MODE, .mode = mode & 07777};
}

SYSCALL(chmod, const char __user *name, u32 mode)
{
	struct attr_change a = mode_change(mode);
	return change_at(AT_FDCWD, name, LOOKUP_FOLLOW, &a);
}

SYSCALL(fchmod, int fd, u32 mode)
{
	struct attr_change a = mode_change(mode);
	return change_fd(fd, &a);
}

SYSCALL(fchmodat, int dirfd, const char __user *name, u32 mode)
{
	struct attr_change a = mode_change(mode);
	return change_at(dirfd, name, LOOKUP_FOLLOW, &a);
}

// ---- owner ----

static int chown_path(const struct path *p, u32 uid, u32 gid)
{
	struct attr_change a = {.uid = uid, .gid = gid};
	if (uid != UINT32_MAX)
		a.mask |= ATTR_UID;
	if (gid != UINT32_MAX)
		a.mask |= ATTR_GID;
	if (!S_ISDIR(p->dentry->inode->mode))
		a.mask |= ATTR_KILL_PRIV;
	return path_change_attr(p, &a);
}

static int chown_at(int dirfd, const char __user *name, u32 uid, u32 gid, u32 lookup)
{
	struct path p;
	int err = path_lookup_user(dirfd, name, lookup, &p);
	if (err)
		return err;
	err = chown_path(&p, uid, gid);
	path_put(&p);
	return err;
}

SYSCALL(chown, const char __user *name, u32 uid, u32 gid)
{
	return chown_at(AT_FDCWD, name, uid, gid, LOOKUP_FOLLOW);
}

SYSCALL(lchown, const char __user *name, u32 uid, u32 gid)
{
	return chown_at(AT_FDCWD, name, uid, gid, 0);
}

SYSCALL(fchownat, int dirfd, const char __user *name, u32 uid, u32 gid, int flags)
{
	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return chown_at(dirfd, name, uid, gid,
			(flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
				(flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0));
}

SYSCALL(fchown, int fd, u32 uid, u32 gid)
{
	struct fdref r = fd_get(fd);
	int err = r.file ? chown_path(&r.file->path, uid, gid) : -EBADF;
	fd_put(r);
	return err;
}

// ---- times ----

struct user_timespec {
	s64 sec, nsec;
};
struct user_timeval {
	s64 sec, usec;
};
struct user_utimbuf {
	s64 actime, modtime;
};

constexpr s64 UTIME_NOW = 0x3fffffff;
constexpr s64 UTIME_OMIT = 0x3ffffffe;

// times[0] access, [1] modification; nullptr: now.
static int utimes_path(const struct path *p, const struct user_timespec *times)
{
	struct attr_change a = {.mask = ATTR_ATIME | ATTR_MTIME};
	struct inode *i = p->dentry->inode;
	bool now = !times || (times[0].nsec == UTIME_NOW && times[1].nsec == UTIME_NOW);
	if (times && times[0].nsec == UTIME_OMIT && times[1].nsec == UTIME_OMIT)
		return 0;
	if (now) {
		// The owner may, and so may whoever could make it so by writing.
		if (!inode_owner_or_capable(i)) {
			int err = path_permission(p, MAY_WRITE);
			if (err)
				return err;
		}
		return path_change_attr(p, &a);
	}
	if (!inode_owner_or_capable(i))
		return -EPERM;
	a.mask = (times[0].nsec == UTIME_OMIT  ? 0
		  : times[0].nsec == UTIME_NOW ? ATTR_ATIME
					       : ATTR_ATIME | ATTR_ATIME_SET) |
		 (times[1].nsec == UTIME_OMIT  ? 0
		  : times[1].nsec == UTIME_NOW ? ATTR_MTIME
					       : ATTR_MTIME | ATTR_MTIME_SET);
	a.atime = (struct fs_time){times[0].sec, (u32)times[0].nsec};
	a.mtime = (struct fs_time){times[1].sec, (u32)times[1].nsec};
	return path_change_attr(p, &a);
}

static int utimes_at(int dirfd, const char __user *name, const struct user_timespec *times,
		     u32 lookup)
{
	struct path p;
	if (!name) {
		struct fdref r = fd_get(dirfd);
		int err = dirfd == AT_FDCWD ? -EFAULT
			  : r.file	    ? utimes_path(&r.file->path, times)
					    : -EBADF;
		fd_put(r);
		return err;
	}
	int err = path_lookup_user(dirfd, name, lookup, &p);
	if (err)
		return err;
	err = utimes_path(&p, times);
	path_put(&p);
	return err;
}

static bool nsec_valid(s64 nsec)
{
	return (nsec >= 0 && nsec < 1000000000) || nsec == UTIME_NOW || nsec == UTIME_OMIT;
}

SYSCALL(utimensat, int dirfd, const char __user *name, const struct user_timespec __user *utimes,
	int flags)
{
	struct user_timespec t[2];
	if (utimes && copy_from_user(t, utimes, sizeof(t)))
		return -EFAULT;
	if (utimes && t[0].nsec == UTIME_OMIT && t[1].nsec == UTIME_OMIT)
		return 0; // nothing to do, whatever the name
	if (utimes && (!nsec_valid(t[0].nsec) || !nsec_valid(t[1].nsec)))
		return -EINVAL;
	if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) || (!name && flags))
		return -EINVAL;
	return utimes_at(dirfd, name, utimes ? t : nullptr,
			 (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
				 (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0));
}

SYSCALL(futimesat, int dirfd, const char __user *name, const struct user_timeval __user *utimes)
{
	struct user_timeval v[2];
	struct user_timespec t[2];
	if (utimes) {
		if (copy_from_user(v, utimes, sizeof(v)))
			return -EFAULT;
		for (u32 i = 0; i < 2; i++) {
			if (v[i].usec < 0 || v[i].usec >= 1000000)
				return -EINVAL;
			t[i] = (struct user_timespec){v[i].sec, v[i].usec * 1000};
		}
	}
	return utimes_at(dirfd, name, utimes ? t : nullptr, LOOKUP_FOLLOW);
}

SYSCALL(utimes, const char __user *name, const struct user_timeval __user *utimes)
{
	return sys_futimesat(AT_FDCWD, name, utimes);
}

SYSCALL(utime, const char __user *name, const struct user_utimbuf __user *utimes)
{
	struct user_utimbuf v;
	if (!utimes)
		return utimes_at(AT_FDCWD, name, nullptr, LOOKUP_FOLLOW);
	if (copy_from_user(&v, utimes, sizeof(v)))
		return -EFAULT;
	struct user_timespec t[2] = {{v.actime, 0}, {v.modtime, 0}};
	return utimes_at(AT_FDCWD, name, t, LOOKUP_FOLLOW);
}

// ---- size ----

int path_truncate(const struct path *p, struct file *f, s64 size, u32 extra)
{
	struct inode *i = p->dentry->inode;
	struct attr_change a = {.mask = ATTR_SIZE | ATTR_MTIME | extra, .size = size};
	(void)f;
	if (size > i->sb->max_bytes)
		return -EFBIG;
	if (current_is_task() && size > inode_size(i) && (u64)size > rlimit(RLIMIT_FSIZE)) {
		signal_self(SIGXFSZ);
		return -EFBIG;
	}
	if (!capable(CAP_FSETID))
		a.mask |= ATTR_KILL_PRIV;
	return path_change_attr(p, &a);
}

SYSCALL(truncate, const char __user *name, s64 size)
{
	struct path p;
	if (size < 0)
		return -EINVAL;
	int err = path_lookup_user(AT_FDCWD, name, LOOKUP_FOLLOW, &p);
	if (err)
		return err;
	struct inode *i = p.dentry->inode;
	err = S_ISDIR(i->mode)	  ? -EISDIR
	      : !S_ISREG(i->mode) ? -EINVAL
				  : path_permission(&p, MAY_WRITE);
	if (!err && (i->flags & INODE_APPEND))
		err = -EPERM;
	if (!err && atomic_load(&i->writers) < 0)
		err = -ETXTBSY;
	if (!err)
		err = path_truncate(&p, nullptr, size, 0);
	path_put(&p);
	return err;
}

SYSCALL(ftruncate, int fd, s64 size)
{
	struct fdref r = fd_get(fd);
	struct file *f = r.file;
	int err = -EBADF;
	if (f)
		err = size < 0 || !S_ISREG(f->inode->mode) || !(f->mode & FILE_WRITE)
			      ? -EINVAL
			      : path_truncate(&f->path, f, size, ATTR_OPEN);
	fd_put(r);
	return err;
}

SYSCALL(fallocate, int fd, int mode, s64 offset, s64 len)
{
	struct fdref r = fd_get(fd);
	struct file *f = r.file;
	s64 end;
	int err = -EBADF;
	if (!f)
		goto out;
	err = -EINVAL;
	if (offset < 0 || len <= 0)
		goto out;
	err = -EOPNOTSUPP;
	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_COLLAPSE_RANGE |
		     FALLOC_FL_ZERO_RANGE | FALLOC_FL_INSERT_RANGE | FALLOC_FL_UNSHARE_RANGE))
		goto out;
	if ((mode & FALLOC_FL_PUNCH_HOLE) && !(mode & FALLOC_FL_KEEP_SIZE))
		goto out;
	if ((mode & FALLOC_FL_PUNCH_HOLE) && (mode & FALLOC_FL_ZERO_RANGE))
		goto out;
	err = -EBADF;
	if (!(f->mode & FILE_WRITE))
		goto out;
	err = S_ISFIFO(f->inode->mode)	? -ESPIPE
	      : S_ISDIR(f->inode->mode) ? -EISDIR
	      : S_ISREG(f->inode->mode) ? 0
					: -ENODEV;
	if (err)
		goto out;
	err = -EFBIG;
	if (__builtin_add_overflow(offset, len, &end) || end > f->inode->sb->max_bytes)
		goto out;
	err = f->ops->fallocate ? f->ops->fallocate(f, (u32)mode, offset, len) : -EOPNOTSUPP;
	if (!err)
		notify_dentry(f->path.dentry, IN_MODIFY);
out:
	fd_put(r);
	return err;
}

// ---- sync ----

static int sync_fd(int fd, s64 first, s64 last, bool data_only)
{
	struct fdref r = fd_get(fd);
	struct file *f = r.file;
	int err = !f ? -EBADF : f->ops->fsync ? f->ops->fsync(f, first, last, data_only) : -EINVAL;
	fd_put(r);
	return err;
}

SYSCALL(fsync, int fd)
{
	return sync_fd(fd, 0, INT64_MAX, false);
}

SYSCALL(fdatasync, int fd)
{
	return sync_fd(fd, 0, INT64_MAX, true);
}

SYSCALL(sync_file_range, int fd, s64 offset, s64 len, u32 flags)
{
	s64 end;
	if (flags & ~(u32)(SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
			   SYNC_FILE_RANGE_WAIT_AFTER))
		return -EINVAL;
	if (offset < 0 || len < 0 || __builtin_add_overflow(offset, len, &end))
		return -EINVAL;
	struct fdref r = fd_get(fd);
	int err = !r.file ? -EBADF : r.file->mode & FILE_STREAM ? -ESPIPE : 0;
	fd_put(r);
	return err || !flags ? err : sync_fd(fd, offset, len ? end - 1 : INT64_MAX, true);
}

static bool sync_mount(void *ctx, struct mount *m)
{
	(void)ctx;
	if (m->sb->ops && m->sb->ops->sync)
		(void)m->sb->ops->sync(m->sb, true);
	return true;
}

SYSCALL(sync)
{
	mount_for_each(sync_mount, nullptr);
	(void)block_sync_all(true);
	return 0;
}

SYSCALL(syncfs, int fd)
{
	struct fdref r = fd_get(fd);
	int err = -EBADF;
	if (r.file) {
		struct super_block *sb = r.file->inode->sb;
		err = sb->ops && sb->ops->sync ? sb->ops->sync(sb, true) : 0;
	}
	fd_put(r);
	return err;
}

SYSCALL(fadvise64, int fd, s64 offset, s64 len, int advice)
{
	struct fdref r = fd_get(fd);
	int err = !r.file ? -EBADF : S_ISFIFO(r.file->inode->mode) ? -ESPIPE : 0;
	(void)offset;
	fd_put(r);
	if (!err && (len < 0 || advice < POSIX_FADV_NORMAL || advice > POSIX_FADV_NOREUSE))
		err = -EINVAL;
	return err; // advice: what is in memory stays there
}

SYSCALL(readahead, int fd, s64 offset, size_t len)
{
	struct fdref r = fd_get(fd);
	int err = !r.file || !(r.file->mode & FILE_READ) ? -EBADF
		  : !S_ISREG(r.file->inode->mode)	 ? -EINVAL
							 : 0;
	(void)offset;
	(void)len;
	fd_put(r);
	return err;
}

// SPDX-License-Identifier: MIT
// inode.c owns inodes: lifetime, rights, attributes and time stamps. Privileged.
//
// An inode lives as long as a dentry or an opener counts it; the last reference evicts it (its file
// system drops the contents) and frees the memory after a grace period, for path walks look at
// modes and owners under RCU. Attributes are changed under the inode's lock and read without: each
// is one word, and stat(2) promises no more than that.
#include "linux/fs/fs_priv.h"
#include "core/time.h"
#include "linux/notify.h"
#include "linux/vm.h"

static struct slab_cache inode_cache;
static atomic_u64 ino_counter = ATOMIC_INIT(1);
s64 atime_stale_sec;
constexpr s64 DAY_SEC = 24 * 3600;

struct fs_time fs_time_now(void)
{
	u64 ns = clock_realtime_ns();
	struct fs_time t = {.sec = (s64)(ns / 1000000000), .nsec = (u32)(ns % 1000000000)};
	if (unlikely(t.sec - DAY_SEC != load_once(&atime_stale_sec)))
		store_once(&atime_stale_sec, t.sec - DAY_SEC);
	return t;
}

u64 ino_next(void)
{
	return atomic_fetch_add(&ino_counter, 1);
}

void inode_init(struct inode *inode, struct super_block *sb, u32 mode)
{
	inode->mode = mode;
	inode->sb = sb;
	inode->nlink = 1;
	refcount_set(&inode->refs, 1);
	mutex_init(&inode->lock, S_ISDIR(mode) ? LOCK_dir : LOCK_inode);
	inode->atime = inode->mtime = inode->ctime = inode->btime = fs_time_now();
}

struct inode *inode_alloc(struct super_block *sb, u32 mode)
{
	struct inode *i = slab_zalloc(&inode_cache);
	if (i) {
		inode_init(i, sb, mode);
		i->ino = ino_next();
	}
	return i;
}

static void inode_free_rcu(struct rcu_head *h)
{
	struct inode *i = container_of(h, struct inode, rcu);
	kfree((char *)i->link);
	slab_free(&inode_cache, i);
}

void inode_free(struct inode *inode)
{
	rcu_call(&inode->rcu, inode_free_rcu);
}

void inode_put(struct inode *inode)
{
	if (!refcount_dec_and_test(&inode->refs))
		return;
	const struct super_ops *ops = inode->sb->ops;
	if (unlikely(inode->locks))
		locks_free(inode);
	if (unlikely(inode->special) && S_ISFIFO(inode->mode))
		pipe_free_inode(inode);
	if (ops && ops->evict_inode)
		ops->evict_inode(inode);
	if (ops && ops->free_inode)
		ops->free_inode(inode);
	else
		inode_free(inode);
}

void inode_init_owner(struct inode *inode, const struct inode *dir, u32 mode)
{
	const struct cred *c = current_cred();
	inode->uid = c->fsuid;
	inode->gid = c->fsgid;
	if (dir && (dir->mode & S_ISGID)) {
		inode->gid = dir->gid;
		if (S_ISDIR(mode))
			mode |= S_ISGID;
		else if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
			 !cred_in_group(c, dir->gid) && !capable(CAP_FSETID))
			mode &= ~(u32)S_ISGID;
	}
	inode->mode = mode;
}

void inode_init_special(struct inode *inode, u64 dev)
{
	inode->rdev = dev;
	switch (inode->mode & S_IFMT) {
	case S_IFCHR:
		inode->file_ops = &char_device_ops;
		break;
	case S_IFBLK:
		inode->file_ops = &block_device_ops;
		break;
	case S_IFIFO:
		inode->file_ops = &fifo_ops;
		inode->rdev = 0;
		break;
	default:
		inode->file_ops = &no_open_ops;
		inode->rdev = 0;
		break;
	}
}

// ---- rights ----

static int permission_by_mode(const struct inode *inode, u32 mask)
{
	const struct cred *c = current_cred();
	u32 mode = load_once(&inode->mode);
	mask &= MAY_READ | MAY_WRITE | MAY_EXEC;
	if (c->fsuid == inode->uid)
		mode >>= 6;
	else if (((mode >> 3 ^ mode) & mask) && cred_in_group(c, inode->gid))
		mode >>= 3;
	if (likely(!(mask & ~mode)))
		return 0;
	if (S_ISDIR(inode->mode)) {
		if (!(mask & MAY_WRITE) && capable(CAP_DAC_READ_SEARCH))
			return 0;
		return capable(CAP_DAC_OVERRIDE) ? 0 : -EACCES;
	}
	if (mask == MAY_READ && capable(CAP_DAC_READ_SEARCH))
		return 0;
	// Nobody may execute what has no execute bit at all.
	if ((!(mask & MAY_EXEC) || (inode->mode & S_IXUGO)) && capable(CAP_DAC_OVERRIDE))
		return 0;
	return -EACCES;
}

static int permission_common(struct inode *inode, u32 mask, bool rcu)
{
	if (unlikely(inode->flags & INODE_IMMUTABLE) && (mask & MAY_WRITE))
		return -EPERM;
	if (unlikely(inode->ops && inode->ops->permission)) {
		int err = inode->ops->permission(inode, mask, rcu);
		if (err || (inode->flags & INODE_NO_MODE_CHECK))
			return err;
	}
	return permission_by_mode(inode, mask);
}

int inode_permission(struct inode *inode, u32 mask)
{
	return permission_common(inode, mask, false);
}

int inode_permission_rcu(struct inode *inode, u32 mask)
{
	return permission_common(inode, mask, true);
}

int path_check_write(const struct path *p)
{
	return unlikely(mnt_readonly(p->mnt)) ? -EROFS : 0;
}

int path_permission(const struct path *p, u32 mask)
{
	struct inode *i = p->dentry->inode;
	u32 type = i->mode & S_IFMT;
	if ((mask & MAY_WRITE) && (type == S_IFREG || type == S_IFDIR || type == S_IFLNK)) {
		int err = path_check_write(p);
		if (err)
			return err;
	}
	if ((mask & MAY_EXEC) && type == S_IFREG && (p->mnt->flags & MS_NOEXEC))
		return -EACCES;
	return inode_permission(i, mask);
}

bool inode_owner_or_capable(const struct inode *inode)
{
	return current_cred()->fsuid == inode->uid || capable(CAP_FOWNER);
}

int inode_deny_write(struct inode *inode)
{
	s32 old = atomic_load(&inode->writers);
	do {
		if (old > 0)
			return -ETXTBSY;
	} while (!atomic_try_cmpxchg(&inode->writers, &old, old - 1));
	return 0;
}

void inode_allow_write(struct inode *inode)
{
	atomic_inc(&inode->writers);
}

// ---- changes of attributes ----

// Would a change of contents or owner leave a set-group-ID bit that is to go?
static bool sgid_must_go(const struct inode *inode)
{
	if (!(inode->mode & S_ISGID))
		return false;
	return (inode->mode & S_IXGRP) || (!current_in_group(inode->gid) && !capable(CAP_FSETID));
}

static u32 mode_without_priv(const struct inode *inode)
{
	u32 mode = inode->mode;
	if (S_ISDIR(mode))
		return mode;
	if (sgid_must_go(inode))
		mode &= ~(u32)S_ISGID;
	return mode & ~(u32)S_ISUID;
}

int inode_kill_priv(struct inode *inode)
{
	u32 mode = inode->mode;
	if (likely(!(mode & S_ISUID) && (mode & (S_ISGID | S_IXGRP)) != (S_ISGID | S_IXGRP)))
		return 0;
	if (!S_ISREG(mode) || capable(CAP_FSETID))
		return 0;
	struct attr_change a = {.mask = ATTR_MODE | ATTR_CTIME,
				.mode = mode_without_priv(inode),
				.ctime = fs_time_now()};
	if (inode->ops->setattr)
		return inode->ops->setattr(inode, &a);
	attr_apply(inode, &a);
	return 0;
}

int attr_check(struct inode *inode, struct attr_change *a)
{
	const struct cred *c = current_cred();
	bool owner = c->fsuid == inode->uid;
	if (inode->flags & (INODE_IMMUTABLE | INODE_APPEND))
		return -EPERM;
	if ((a->mask & ATTR_UID) && !((owner && a->uid == inode->uid) || capable(CAP_CHOWN)))
		return -EPERM;
	if ((a->mask & ATTR_GID) &&
	    !((owner && (a->gid == inode->gid || cred_in_group(c, a->gid))) || capable(CAP_CHOWN)))
		return -EPERM;
	if (a->mask & ATTR_MODE) {
		if (!inode_owner_or_capable(inode))
			return -EPERM;
		u32 gid = a->mask & ATTR_GID ? a->gid : inode->gid;
		if ((a->mode & S_ISGID) && !cred_in_group(c, gid) && !capable(CAP_FSETID))
			a->mode &= ~(u32)S_ISGID;
		a->mode = (a->mode & ~(u32)S_IFMT) | (inode->mode & S_IFMT);
	}
	if ((a->mask & (ATTR_ATIME_SET | ATTR_MTIME_SET)) && !inode_owner_or_capable(inode))
		return -EPERM;
	if ((a->mask & ATTR_KILL_PRIV) && !(a->mask & ATTR_MODE)) {
		u32 mode = mode_without_priv(inode);
		if (mode != inode->mode) {
			a->mode = mode;
			a->mask |= ATTR_MODE;
		}
	}
	return 0;
}

void attr_apply(struct inode *inode, const struct attr_change *a)
{
	if (a->mask & ATTR_UID)
		inode->uid = a->uid;
	if (a->mask & ATTR_GID)
		inode->gid = a->gid;
	if (a->mask & ATTR_MODE)
		store_once(&inode->mode, a->mode);
	if (a->mask & ATTR_ATIME)
		inode->atime = a->atime;
	if (a->mask & ATTR_MTIME)
		inode->mtime = a->mtime;
	if (a->mask & ATTR_CTIME)
		inode->ctime = a->ctime;
}

static int inode_set_attr_locked(struct inode *inode, struct attr_change *a)
{
	int err = attr_check(inode, a);
	if (err)
		return err;
	struct fs_time now = fs_time_now();
	a->mask |= ATTR_CTIME;
	a->ctime = now;
	if ((a->mask & (ATTR_ATIME | ATTR_ATIME_SET)) == ATTR_ATIME)
		a->atime = now;
	if ((a->mask & (ATTR_MTIME | ATTR_MTIME_SET)) == ATTR_MTIME)
		a->mtime = now;
	if (inode->ops && inode->ops->setattr)
		return inode->ops->setattr(inode, a);
	if (a->mask & ATTR_SIZE)
		return -EPERM;
	attr_apply(inode, a);
	return 0;
}

// As Linux tells changes: both times at once is utimes(2).
static u32 attr_event(u32 mask)
{
	u32 times = mask & (ATTR_ATIME | ATTR_MTIME);
	return (mask & (ATTR_UID | ATTR_GID | ATTR_MODE) ? IN_ATTRIB : 0) |
	       (mask & ATTR_SIZE ? IN_MODIFY : 0) |
	       (times == (ATTR_ATIME | ATTR_MTIME) ? IN_ATTRIB
		: times == ATTR_ATIME		   ? IN_ACCESS
		: times				   ? IN_MODIFY
						   : 0);
}

int path_change_attr(const struct path *p, struct attr_change *a)
{
	struct inode *inode = p->dentry->inode;
	int err = path_check_write(p);
	if (err)
		return err;
	mutex_lock(&inode->lock);
	err = inode_set_attr_locked(inode, a);
	mutex_unlock(&inode->lock);
	if (!err && attr_event(a->mask))
		notify_dentry(p->dentry, attr_event(a->mask));
	return err;
}

void inode_touch_atime_slow(struct inode *inode, struct mount *mnt)
{
	u32 flags = load_once(&mnt->flags);
	if ((flags & MS_NOATIME) || (inode->flags & INODE_NOATIME) || mnt_readonly(mnt))
		return;
	if ((flags & MS_NODIRATIME) && S_ISDIR(inode->mode))
		return;
	struct fs_time now = fs_time_now();
	bool stale = !fs_time_before(&inode->mtime, &inode->atime) ||
		     !fs_time_before(&inode->ctime, &inode->atime) ||
		     inode->atime.sec < now.sec - DAY_SEC;
	if (stale || (flags & MS_STRICTATIME))
		inode->atime = now; // unlocked: racing readers store nearly the same time
}

// ---- stat ----

void inode_fill_stat(struct inode *inode, struct kstat *st)
{
	*st = (struct kstat){
		.dev = inode->sb->dev,
		.ino = inode->ino,
		.rdev = inode->rdev,
		.mode = load_once(&inode->mode),
		.nlink = inode->nlink,
		.uid = inode->uid,
		.gid = inode->gid,
		.size = inode_size(inode),
		.blocks = inode->object ? load_once(&inode->object->npages) * (PAGE_SIZE / 512)
					: inode->blocks,
		.blksize = inode->sb->block_size,
		.atime = inode->atime,
		.mtime = inode->mtime,
		.ctime = inode->ctime,
		.btime = inode->btime,
	};
	if (unlikely(inode->flags & (INODE_APPEND | INODE_IMMUTABLE)))
		st->attributes = (inode->flags & INODE_APPEND ? STATX_ATTR_APPEND : 0) |
				 (inode->flags & INODE_IMMUTABLE ? STATX_ATTR_IMMUTABLE : 0);
}

int path_stat(const struct path *p, struct kstat *st)
{
	struct inode *inode = p->dentry->inode;
	inode_fill_stat(inode, st);
	if (p->mnt) {
		st->mount_id = p->mnt->id;
		if (p->dentry == p->mnt->root)
			st->attributes |= STATX_ATTR_MOUNT_ROOT;
	}
	return inode->ops && inode->ops->getattr ? inode->ops->getattr(inode, st) : 0;
}

void inode_cache_init(void)
{
	slab_cache_init(&inode_cache, "inode", sizeof(struct inode), 8);
}

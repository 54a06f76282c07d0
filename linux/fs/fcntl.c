// SPDX-License-Identifier: MIT
// fcntl.c owns fcntl, the ioctls of every descriptor, and who is told by SIGIO. Privileged.
#include "linux/fs/fs_priv.h"
#include "abi/linux/ioctl.h"
#include "linux/poll.h"

// ---- owners ----

struct file_owner {
	spinlock_t lock; // LOCK_file_owner
	s32 type;	 // F_OWNER_*
	u32 id;		 // 0: nobody
	u32 signal;	 // 0: SIGIO
};

static struct file_owner *owner_of(struct file *f)
{
	struct file_owner *o = load_acquire(&f->owner), *none = nullptr;
	if (o)
		return o;
	o = kzalloc(sizeof(*o));
	if (!o)
		return nullptr;
	spin_lock_init(&o->lock, LOCK_file_owner);
	o->type = F_OWNER_PID;
	if (!try_cmpxchg(&f->owner, &none, o)) {
		kfree(o);
		return none;
	}
	return o;
}

void file_owner_free(struct file *f)
{
	kfree(f->owner);
}

static long owner_set(struct file *f, s32 type, u32 id)
{
	struct file_owner *o = owner_of(f);
	if (!o)
		return -ENOMEM;
	spin_lock(&o->lock);
	o->type = type;
	o->id = id;
	spin_unlock(&o->lock);
	return 0;
}

static long owner_get(struct file *f)
{
	struct file_owner *o = load_acquire(&f->owner);
	if (!o)
		return 0;
	return o->type == F_OWNER_PGRP ? -(long)o->id : (long)o->id;
}

static long owner_set_ex(struct file *f, const struct f_owner_ex __user *arg)
{
	struct f_owner_ex ex;
	if (copy_from_user(&ex, arg, sizeof(ex)))
		return -EFAULT;
	if (ex.type < F_OWNER_TID || ex.type > F_OWNER_PGRP || ex.pid < 0)
		return -EINVAL;
	return owner_set(f, ex.type, (u32)ex.pid);
}

static long owner_get_ex(struct file *f, struct f_owner_ex __user *arg)
{
	struct file_owner *o = load_acquire(&f->owner);
	struct f_owner_ex ex = {.type = o ? o->type : F_OWNER_PID, .pid = o ? (s32)o->id : 0};
	return copy_to_user(arg, &ex, sizeof(ex));
}

static void signal_owner(s32 type, u32 id, const struct siginfo *info)
{
	if (type == F_OWNER_PGRP) {
		struct pgrp *g = pgrp_find(id);
		if (g) {
			(void)signal_send_pgrp(g, info);
			pgrp_put(g);
		}
	} else if (type == F_OWNER_TID) {
		struct task *t = task_find(id);
		if (t) {
			(void)signal_send_task(t, info);
			task_put(t);
		}
	} else {
		struct process *p = process_find(id);
		if (p) {
			(void)signal_send_process(p, info);
			process_put(p);
		}
	}
}

void file_async_notify(struct file *f, u32 poll_events)
{
	struct file_owner *o = load_acquire(&f->owner);
	if (!o || !(load_once(&f->flags) & O_ASYNC) || !o->id)
		return;
	struct siginfo info = {.signo = o->signal ? (s32)o->signal : SIGIO, .code = SI_KERNEL};
	if (o->signal) {
		info.code = poll_events & POLLIN    ? POLL_IN
			    : poll_events & POLLOUT ? POLL_OUT
						    : POLL_HUP;
		info.poll.band = poll_events;
	}
	signal_owner(o->type, o->id, &info);
}

// ---- flags ----

int file_async_set(struct file *f, bool on)
{
	if (on && !owner_of(f))
		return -ENOMEM;
	return f->ops->set_async ? f->ops->set_async(f, on) : 0;
}

constexpr u32 SETFL_FLAGS = O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME | O_NONBLOCK;

static int flags_set(struct file *f, u32 flags)
{
	u32 old = load_once(&f->flags);
	flags &= SETFL_FLAGS;
	if ((f->inode->flags & INODE_APPEND) && !(flags & O_APPEND))
		return -EPERM;
	if ((flags & O_NOATIME) && !(old & O_NOATIME) && !inode_owner_or_capable(f->inode))
		return -EPERM;
	int err = f->ops->set_flags ? f->ops->set_flags(f, flags) : 0;
	if (!err && ((flags ^ old) & O_ASYNC))
		err = file_async_set(f, flags & O_ASYNC);
	if (!err)
		store_once(&f->flags, (old & ~SETFL_FLAGS) | flags);
	return err;
}

static void flag_change(struct file *f, u32 flag, bool on)
{
	if (on)
		__atomic_fetch_or(&f->flags, flag, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&f->flags, ~flag, __ATOMIC_RELAXED);
}

static long fcntl_owner(struct file *f, u32 cmd, u64 arg)
{
	struct file_owner *o;
	switch (cmd) {
	case F_SETOWN: {
		s32 who = (s32)arg;
		if (who == INT32_MIN)
			return -EINVAL;
		return owner_set(f, who < 0 ? F_OWNER_PGRP : F_OWNER_PID,
				 (u32)(who < 0 ? -who : who));
	}
	case F_GETOWN:
		return owner_get(f);
	case F_SETOWN_EX:
		return owner_set_ex(f, user_ptr(struct f_owner_ex, arg));
	case F_GETOWN_EX:
		return owner_get_ex(f, user_ptr(struct f_owner_ex, arg));
	case F_SETSIG:
		if (arg > 64)
			return -EINVAL;
		o = owner_of(f);
		if (!o)
			return -ENOMEM;
		o->signal = (u32)arg;
		return 0;
	default: // F_GETSIG
		o = load_acquire(&f->owner);
		return o ? (long)o->signal : 0;
	}
}

static long fcntl_file(struct file *f, int fd, u32 cmd, u64 arg)
{
	switch (cmd) {
	case F_DUPFD:
		return fd_dup_from(f, arg, 0);
	case F_DUPFD_CLOEXEC:
		return fd_dup_from(f, arg, O_CLOEXEC);
	case F_GETFD:
		return fd_cloexec_get(fd);
	case F_SETFD:
		fd_cloexec_set(fd, arg & FD_CLOEXEC);
		return 0;
	case F_GETFL:
		return load_once(&f->flags) |
		       (f->mode & FILE_STREAM || f->mode & FILE_PATH || !S_ISREG(f->inode->mode)
				? 0
				: O_LARGEFILE);
	default:
		break;
	}
	if (f->mode & FILE_PATH)
		return -EBADF;
	switch (cmd) {
	case F_SETFL:
		return flags_set(f, (u32)arg);
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return locks_fcntl(f, cmd, user_ptr(struct flock, arg));
	case F_SETOWN:
	case F_GETOWN:
	case F_SETOWN_EX:
	case F_GETOWN_EX:
	case F_SETSIG:
	case F_GETSIG:
		return fcntl_owner(f, cmd, arg);
	case F_SETPIPE_SZ:
		return pipe_set_size(f, (u32)arg);
	case F_GETPIPE_SZ:
		return pipe_get_size(f);
	case F_ADD_SEALS:
		return tmpfs_add_seals(f, (u32)arg);
	case F_GET_SEALS:
		return tmpfs_get_seals(f);
	case F_GETLEASE:
		return F_UNLCK;
	case F_GET_RW_HINT:
	case F_GET_FILE_RW_HINT:
		return put_user(0ull, user_ptr(u64, arg));
	default: // leases, directory notification, hints: not here
		return -EINVAL;
	}
}

SYSCALL(fcntl, int fd, u32 cmd, u64 arg)
{
	struct fdref r = fd_get_any(fd);
	long res = r.file ? fcntl_file(r.file, fd, cmd, arg) : -EBADF;
	fd_put(r);
	return res;
}

// ---- ioctl ----

static long set_by_int(struct file *f, u32 flag, u64 arg)
{
	s32 on;
	if (get_user(on, user_ptr(s32, arg)))
		return -EFAULT;
	if (flag == O_ASYNC && !!on != !!(f->flags & O_ASYNC)) {
		int err = file_async_set(f, on);
		if (err)
			return err;
	}
	if (flag == O_NONBLOCK && f->ops->set_flags) {
		int err = f->ops->set_flags(f, on ? f->flags | O_NONBLOCK
						  : f->flags & ~(u32)O_NONBLOCK);
		if (err)
			return err;
	}
	flag_change(f, flag, on);
	return 0;
}

long ioctl_file(struct file *f, int fd, u32 cmd, u64 arg)
{
	switch (cmd) {
	case FIOCLEX:
		fd_cloexec_set(fd, true);
		return 0;
	case FIONCLEX:
		fd_cloexec_set(fd, false);
		return 0;
	case FIONBIO:
		return set_by_int(f, O_NONBLOCK, arg);
	case FIOASYNC:
		return set_by_int(f, O_ASYNC, arg);
	case FIOQSIZE:
		if (!S_ISREG(f->inode->mode) && !S_ISDIR(f->inode->mode) &&
		    !S_ISLNK(f->inode->mode))
			break;
		return put_user((s64)inode_size(f->inode), user_ptr(s64, arg));
	case FIONREAD:
		if (!S_ISREG(f->inode->mode) || f->ops->ioctl)
			break;
		return put_user((s32)(inode_size(f->inode) - f->pos), user_ptr(s32, arg));
	case FIGETBSZ:
		if (S_ISREG(f->inode->mode) || S_ISDIR(f->inode->mode))
			return put_user((s32)f->inode->sb->block_size, user_ptr(s32, arg));
		break;
	default:
		break;
	}
	return f->ops->ioctl ? f->ops->ioctl(f, cmd, arg) : -ENOTTY;
}

SYSCALL(ioctl, int fd, u32 cmd, u64 arg)
{
	struct fdref r = fd_get(fd);
	long res = r.file ? ioctl_file(r.file, fd, cmd, arg) : -EBADF;
	fd_put(r);
	return res;
}

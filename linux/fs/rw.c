// SPDX-License-Identifier: MIT
// rw.c owns the calls that move bytes of one file: read, write and their many forms, lseek.
// Privileged.
//
// The position of a regular file or directory is locked only while somebody else could use the same
// description (its count is over one), as POSIX wants threads to see whole reads and writes.
#include "linux/fs/fs_priv.h"
#include "linux/notify.h"

static __always_inline bool pos_lock(struct file *f)
{
	if (likely(refcount_read(&f->refs) == 1) || !(f->mode & FILE_POS_LOCK))
		return false;
	mutex_lock(&f->pos_lock);
	return true;
}

static __always_inline u8 io_flags_of(const struct file *f)
{
	u32 flags = load_once(&f->flags);
	if (likely(!(flags & (O_NONBLOCK | O_APPEND | O_DSYNC))))
		return 0;
	return (flags & O_NONBLOCK ? IO_NONBLOCK : 0) | (flags & O_APPEND ? IO_APPEND : 0) |
	       (flags & O_DSYNC ? IO_DSYNC : 0);
}

ssize_t file_read(struct file *f, struct io *io)
{
	if (likely(f->ops->read)) {
		ssize_t n = f->ops->read(f, io);
		if (n > 0)
			notify_dentry(f->path.dentry, IN_ACCESS);
		return n;
	}
	return S_ISDIR(f->inode->mode) ? -EISDIR : -EINVAL;
}

ssize_t file_write(struct file *f, struct io *io)
{
	if (unlikely(!f->ops->write))
		return -EINVAL;
	ssize_t n = f->ops->write(f, io);
	if (n > 0)
		notify_dentry(f->path.dentry, IN_MODIFY);
	return n;
}

static __always_inline void account_read(ssize_t n)
{
	struct task *t = current_task();
	t->syscr++;
	if (n > 0)
		t->rchar += (u64)n;
}

static __always_inline void account_write(ssize_t n)
{
	struct task *t = current_task();
	t->syscw++;
	if (n > 0)
		t->wchar += (u64)n;
}

// At the file's own position.
static __always_inline ssize_t read_at_pos(struct file *f, struct io *io)
{
	bool locked = pos_lock(f);
	io->pos = f->pos;
	ssize_t n = file_read(f, io);
	if (n > 0)
		f->pos = io->pos;
	if (unlikely(locked))
		mutex_unlock(&f->pos_lock);
	account_read(n);
	return n;
}

static __always_inline ssize_t write_at_pos(struct file *f, struct io *io)
{
	bool locked = pos_lock(f);
	io->pos = f->pos;
	ssize_t n = file_write(f, io);
	if (n > 0)
		f->pos = io->pos;
	if (unlikely(locked))
		mutex_unlock(&f->pos_lock);
	account_write(n);
	return n;
}

SYSCALL(read, int fd, char __user *buf, size_t len)
{
	struct fdref r = fd_get_any(fd);
	ssize_t n = -EBADF;
	if (likely(r.file && (r.file->mode & FILE_READ))) {
		n = -EFAULT;
		if (likely(user_range_ok(buf, len))) {
			struct io io = io_user(buf, min(len, IO_MAX), 0);
			io.flags = io_flags_of(r.file);
			n = read_at_pos(r.file, &io);
		}
	}
	fd_put(r);
	return n;
}

SYSCALL(write, int fd, const char __user *buf, size_t len)
{
	struct fdref r = fd_get_any(fd);
	ssize_t n = -EBADF;
	if (likely(r.file && (r.file->mode & FILE_WRITE))) {
		n = -EFAULT;
		if (likely(user_range_ok(buf, len))) {
			struct io io = io_user((char __user *)buf, min(len, IO_MAX), 0);
			io.flags = io_flags_of(r.file);
			n = write_at_pos(r.file, &io);
		}
	}
	fd_put(r);
	return n;
}

static ssize_t check_positioned(struct file *f, u32 mode, s64 pos)
{
	if (pos < 0)
		return -EINVAL;
	if (!f)
		return -EBADF;
	if (f->mode & FILE_STREAM)
		return f->mode & mode ? -ESPIPE : -EBADF;
	return f->mode & mode ? 0 : -EBADF;
}

SYSCALL(pread64, int fd, char __user *buf, size_t len, s64 pos)
{
	struct fdref r = fd_get_any(fd);
	ssize_t n = check_positioned(r.file, FILE_READ, pos);
	if (!n && !user_range_ok(buf, len))
		n = -EFAULT;
	if (!n) {
		struct io io = io_user(buf, min(len, IO_MAX), pos);
		io.flags = io_flags_of(r.file);
		n = file_read(r.file, &io);
		account_read(n);
	}
	fd_put(r);
	return n;
}

SYSCALL(pwrite64, int fd, const char __user *buf, size_t len, s64 pos)
{
	struct fdref r = fd_get_any(fd);
	ssize_t n = check_positioned(r.file, FILE_WRITE, pos);
	if (!n && !user_range_ok(buf, len))
		n = -EFAULT;
	if (!n) {
		struct io io = io_user((char __user *)buf, min(len, IO_MAX), pos);
		io.flags = io_flags_of(r.file);
		n = file_write(r.file, &io);
		account_write(n);
	}
	fd_put(r);
	return n;
}

constexpr s64 POS_CURRENT = -1;

static int io_flags_rwf(struct io *io, int rwf)
{
	if (rwf & ~(RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND))
		return -EOPNOTSUPP;
	if (rwf & RWF_NOWAIT)
		io->flags |= IO_NONBLOCK;
	if (rwf & RWF_APPEND)
		io->flags |= IO_APPEND;
	if (rwf & (RWF_DSYNC | RWF_SYNC))
		io->flags |= IO_DSYNC;
	return 0;
}

static ssize_t vector_io(int fd, const struct iovec __user *vec, u64 n, s64 pos, int rwf,
			 bool write)
{
	struct iovec fast[IOV_FAST], *allocated = nullptr;
	struct fdref r = fd_get_any(fd);
	struct file *f = r.file;
	u32 mode = write ? FILE_WRITE : FILE_READ;
	struct io io;
	ssize_t res = -EBADF;
	if (!f || !(f->mode & mode))
		goto out;
	if (pos != POS_CURRENT) {
		res = check_positioned(f, mode, pos);
		if (res)
			goto out;
	}
	res = io_from_user_vec(&io, vec, (u32)min(n, IOV_MAX + 1ull), fast, &allocated);
	if (res <= 0)
		goto out;
	io.flags = io_flags_of(f);
	res = io_flags_rwf(&io, rwf);
	if (res)
		goto out;
	if (pos == POS_CURRENT) {
		res = write ? write_at_pos(f, &io) : read_at_pos(f, &io);
	} else {
		io.pos = pos;
		res = write ? file_write(f, &io) : file_read(f, &io);
		write ? account_write(res) : account_read(res);
	}
out:
	kfree(allocated);
	fd_put(r);
	return res;
}

SYSCALL(readv, int fd, const struct iovec __user *vec, u64 n)
{
	return vector_io(fd, vec, n, POS_CURRENT, 0, false);
}

SYSCALL(writev, int fd, const struct iovec __user *vec, u64 n)
{
	return vector_io(fd, vec, n, POS_CURRENT, 0, true);
}

SYSCALL(preadv, int fd, const struct iovec __user *vec, u64 n, s64 pos)
{
	return pos < 0 ? -EINVAL : vector_io(fd, vec, n, pos, 0, false);
}

SYSCALL(pwritev, int fd, const struct iovec __user *vec, u64 n, s64 pos)
{
	return pos < 0 ? -EINVAL : vector_io(fd, vec, n, pos, 0, true);
}

// The fifth argument is the high half of the position on 32-bit CPUs.
SYSCALL(preadv2, int fd, const struct iovec __user *vec, u64 n, s64 pos, u64 pos_high, int flags)
{
	(void)pos_high;
	return pos < -1 ? -EINVAL : vector_io(fd, vec, n, pos, flags, false);
}

SYSCALL(pwritev2, int fd, const struct iovec __user *vec, u64 n, s64 pos, u64 pos_high, int flags)
{
	(void)pos_high;
	return pos < -1 ? -EINVAL : vector_io(fd, vec, n, pos, flags, true);
}

// ---- positions ----

s64 lseek_generic(struct file *f, s64 offset, int whence)
{
	s64 size = inode_size(f->inode), pos;
	switch (whence) {
	case SEEK_SET:
		pos = offset;
		break;
	case SEEK_CUR:
		if (__builtin_add_overflow(f->pos, offset, &pos))
			return -EINVAL;
		break;
	case SEEK_END:
		if (__builtin_add_overflow(size, offset, &pos))
			return -EINVAL;
		break;
	case SEEK_DATA: // without knowledge of holes all is data
		if (offset < 0 || offset >= size)
			return -ENXIO;
		pos = offset;
		break;
	case SEEK_HOLE:
		if (offset < 0 || offset >= size)
			return -ENXIO;
		pos = size;
		break;
	default:
		return -EINVAL;
	}
	if (pos < 0 || pos > f->inode->sb->max_bytes)
		return -EINVAL;
	f->pos = pos;
	return pos;
}

s64 lseek_zero(struct file *f, s64 offset, int whence)
{
	(void)offset;
	(void)whence;
	return f->pos = 0;
}

SYSCALL(lseek, int fd, s64 offset, int whence)
{
	struct fdref r = fd_get(fd);
	struct file *f = r.file;
	s64 pos = -EBADF;
	if (likely(f)) {
		bool locked = pos_lock(f);
		if (whence < 0 || whence > SEEK_HOLE)
			pos = -EINVAL;
		else
			pos = f->ops->lseek && !(f->mode & FILE_STREAM)
				      ? f->ops->lseek(f, offset, whence)
				      : -ESPIPE;
		if (unlikely(locked))
			mutex_unlock(&f->pos_lock);
	}
	fd_put(r);
	return pos;
}

// ---- the kernel's own use ----

ssize_t file_read_kernel(struct file *f, s64 pos, void *buf, size_t len)
{
	struct io io = io_kernel(buf, len, pos);
	size_t done = 0;
	while (io.left) {
		ssize_t n = file_read(f, &io);
		if (n < 0)
			return done ? (ssize_t)done : n;
		if (!n)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

ssize_t file_write_kernel(struct file *f, s64 pos, const void *buf, size_t len)
{
	struct io io = io_kernel((void *)buf, len, pos);
	size_t done = 0;
	while (io.left) {
		ssize_t n = file_write(f, &io);
		if (n < 0)
			return done ? (ssize_t)done : n;
		if (!n)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

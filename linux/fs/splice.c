// SPDX-License-Identifier: MIT
// splice.c owns the calls that move bytes between two descriptors: sendfile, copy_file_range,
// splice, tee, vmsplice. Privileged.
//
// All of them copy; none moves pages. Programs cannot tell but by the clock.
#include "linux/fs/fs_priv.h"

constexpr size_t CHUNK = 64 * KiB;

// One side of a copy: at a position of its own or at the file's.
struct side {
	struct file *f;
	s64 pos;
	bool own_pos; // pos came from the program
	bool nonblock;
};

static ssize_t side_read(void *ctx, void *buf, size_t len)
{
	struct side *s = ctx;
	struct io io = io_kernel(buf, len, s->pos);
	io.flags = s->nonblock ? IO_NONBLOCK : 0;
	ssize_t n = file_read(s->f, &io);
	if (n > 0)
		s->pos = io.pos;
	return n;
}

// All of it, unless the file refuses.
static ssize_t side_write(void *ctx, const void *buf, size_t len)
{
	struct side *s = ctx;
	struct io io = io_kernel((void *)buf, len, s->pos);
	io.flags = (s->nonblock ? IO_NONBLOCK : 0) | (s->f->flags & O_APPEND ? IO_APPEND : 0);
	size_t done = 0;
	while (io.left) {
		ssize_t n = file_write(s->f, &io);
		if (n <= 0)
			return done ? (ssize_t)done : n;
		done += (size_t)n;
		s->pos = io.pos;
	}
	return (ssize_t)done;
}

static ssize_t copy_sides(struct side *in, struct side *out, size_t len)
{
	u8 *buf = kmalloc(min(len, CHUNK));
	size_t done = 0;
	ssize_t n = 0;
	if (!buf)
		return -ENOMEM;
	while (done < len) {
		s64 before = in->pos;
		n = side_read(in, buf, min(len - done, CHUNK));
		if (n <= 0)
			break;
		ssize_t w = side_write(out, buf, (size_t)n);
		if (w < n) {
			in->pos = before + max(w, (ssize_t)0); // what was not written was not read
			if (w > 0)
				done += (size_t)w;
			n = w;
			break;
		}
		done += (size_t)w;
		if (signal_pending())
			break;
	}
	kfree(buf);
	return done ? (ssize_t)done : n;
}

static int side_init(struct side *s, struct file *f, const s64 __user *upos)
{
	*s = (struct side){.f = f, .own_pos = upos, .nonblock = f->flags & O_NONBLOCK};
	if (!upos) {
		s->pos = f->mode & FILE_STREAM ? 0 : f->pos;
		return 0;
	}
	if (f->mode & FILE_STREAM)
		return -ESPIPE;
	if (get_user(s->pos, upos))
		return -EFAULT;
	return s->pos < 0 ? -EINVAL : 0;
}

static int side_finish(struct side *s, s64 __user *upos)
{
	if (upos)
		return put_user(s->pos, upos);
	if (!(s->f->mode & FILE_STREAM))
		s->f->pos = s->pos;
	return 0;
}

SYSCALL(sendfile, int out_fd, int in_fd, s64 __user *upos, size_t len)
{
	struct fdref in = fd_get(in_fd), out = fd_get(out_fd);
	struct side a, b;
	ssize_t n = -EBADF;
	if (!in.file || !out.file || !(in.file->mode & FILE_READ) || !(out.file->mode & FILE_WRITE))
		goto out;
	n = side_init(&a, in.file, upos);
	if (!n)
		n = side_init(&b, out.file, nullptr);
	if (!n && (in.file->mode & FILE_STREAM))
		n = -EINVAL;
	if (!n && (out.file->flags & O_APPEND))
		n = -EINVAL;
	if (!n) {
		n = copy_sides(&a, &b, min(len, IO_MAX));
		int err = n >= 0 ? side_finish(&a, upos) : 0;
		(void)side_finish(&b, nullptr);
		if (err)
			n = err;
	}
out:
	fd_put(in);
	fd_put(out);
	return n;
}

SYSCALL(copy_file_range, int in_fd, s64 __user *in_pos, int out_fd, s64 __user *out_pos, size_t len,
	u32 flags)
{
	struct fdref in = fd_get(in_fd), out = fd_get(out_fd);
	struct side a, b;
	ssize_t n = -EBADF;
	if (!in.file || !out.file || !(in.file->mode & FILE_READ) ||
	    !(out.file->mode & FILE_WRITE) || (out.file->flags & O_APPEND))
		goto out;
	n = flags ? -EINVAL : 0;
	if (!n && (S_ISDIR(in.file->inode->mode) || S_ISDIR(out.file->inode->mode)))
		n = -EISDIR;
	if (!n && (!S_ISREG(in.file->inode->mode) || !S_ISREG(out.file->inode->mode)))
		n = -EINVAL;
	if (!n)
		n = side_init(&a, in.file, in_pos);
	if (!n)
		n = side_init(&b, out.file, out_pos);
	if (n)
		goto out;
	len = min(len, IO_MAX);
	if (in.file->inode == out.file->inode && a.pos < b.pos + (s64)len &&
	    b.pos < a.pos + (s64)len) {
		n = -EINVAL;
		goto out;
	}
	n = len ? copy_sides(&a, &b, len) : 0;
	if (n >= 0) {
		int err = side_finish(&a, in_pos);
		if (!err)
			err = side_finish(&b, out_pos);
		if (err)
			n = err;
	}
out:
	fd_put(in);
	fd_put(out);
	return n;
}

static ssize_t give_from_pipe(void *ctx, void *buf, size_t len);

// From one pipe into another: whole chunks, copied.
struct pipe_source {
	struct pipe *p;
	bool nonblock;
};

struct taken {
	u8 *to;
	size_t len;
};

static ssize_t take_into(void *ctx, const void *data, size_t len)
{
	struct taken *t = ctx;
	memcpy(t->to, data, len);
	t->to += len;
	t->len += len;
	return (ssize_t)len;
}

static ssize_t give_from_pipe(void *ctx, void *buf, size_t len)
{
	struct pipe_source *s = ctx;
	struct taken t = {.to = buf};
	return pipe_drain(s->p, len, s->nonblock, false, take_into, &t);
}

static ssize_t splice_files(struct file *in, s64 __user *in_pos, struct file *out,
			    s64 __user *out_pos, size_t len, u32 flags)
{
	struct pipe *pin = file_pipe(in), *pout = file_pipe(out);
	bool nonblock = flags & SPLICE_F_NONBLOCK;
	struct side s;
	if (pin && pout) {
		struct pipe_source src = {pin, nonblock || (in->flags & O_NONBLOCK)};
		if (in_pos || out_pos)
			return -ESPIPE;
		return pin == pout ? -EINVAL
				   : pipe_fill(pout, len, nonblock || (out->flags & O_NONBLOCK),
					       give_from_pipe, &src);
	}
	if (!pin && !pout)
		return -EINVAL;
	if (pin ? in_pos : out_pos)
		return -ESPIPE;
	s64 __user *upos = pin ? out_pos : in_pos;
	ssize_t n = side_init(&s, pin ? out : in, upos);
	if (n)
		return n;
	if (pin && (out->flags & O_APPEND))
		return -EINVAL;
	s.nonblock |= nonblock && !pin;
	if (pin)
		n = pipe_drain(pin, len, nonblock || (in->flags & O_NONBLOCK), false, side_write,
			       &s);
	else
		n = pipe_fill(pout, len, nonblock || (out->flags & O_NONBLOCK), side_read, &s);
	if (n > 0 && side_finish(&s, upos))
		return -EFAULT;
	return n;
}

SYSCALL(splice, int in_fd, s64 __user *in_pos, int out_fd, s64 __user *out_pos, size_t len,
	u32 flags)
{
	if (flags & ~(u32)(SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT))
		return -EINVAL;
	if (!len)
		return 0;
	struct fdref in = fd_get(in_fd), out = fd_get(out_fd);
	ssize_t n = -EBADF;
	if (in.file && out.file && (in.file->mode & FILE_READ) && (out.file->mode & FILE_WRITE))
		n = splice_files(in.file, in_pos, out.file, out_pos, min(len, IO_MAX), flags);
	fd_put(in);
	fd_put(out);
	return n;
}

// What was looked at, for tee: at most one buffer of data, so that it can be written without
// holding the source.
SYSCALL(tee, int in_fd, int out_fd, size_t len, u32 flags)
{
	if (flags & ~(u32)(SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT))
		return -EINVAL;
	if (!len)
		return 0;
	struct fdref in = fd_get(in_fd), out = fd_get(out_fd);
	ssize_t n = -EBADF;
	u8 *buf = nullptr;
	if (!in.file || !out.file || !(in.file->mode & FILE_READ) || !(out.file->mode & FILE_WRITE))
		goto out;
	struct pipe *a = file_pipe(in.file), *b = file_pipe(out.file);
	n = -EINVAL;
	if (!a || !b || a == b)
		goto out;
	len = min(len, CHUNK);
	n = -ENOMEM;
	buf = kmalloc(len);
	if (!buf)
		goto out;
	struct taken t = {.to = buf};
	bool nonblock = flags & SPLICE_F_NONBLOCK;
	n = pipe_drain(a, len, nonblock || (in.file->flags & O_NONBLOCK), true, take_into, &t);
	if (n > 0) {
		struct side s = {.f = out.file,
				 .nonblock = nonblock || (out.file->flags & O_NONBLOCK)};
		n = side_write(&s, buf, (size_t)n);
	}
out:
	kfree(buf);
	fd_put(in);
	fd_put(out);
	return n;
}

SYSCALL(vmsplice, int fd, const struct iovec __user *vec, u64 nvec, u32 flags)
{
	if (flags & ~(u32)(SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT))
		return -EINVAL;
	struct iovec fast[IOV_FAST], *allocated = nullptr;
	struct fdref r = fd_get(fd);
	struct io io;
	ssize_t n = -EBADF;
	if (r.file && file_pipe(r.file)) {
		n = io_from_user_vec(&io, vec, (u32)min(nvec, IOV_MAX + 1ull), fast, &allocated);
		if (n > 0) {
			io.flags = (flags & SPLICE_F_NONBLOCK) || (r.file->flags & O_NONBLOCK)
					   ? IO_NONBLOCK
					   : 0;
			n = r.file->mode & FILE_WRITE ? file_write(r.file, &io)
						      : file_read(r.file, &io);
		}
	}
	kfree(allocated);
	fd_put(r);
	return n;
}

// SPDX-License-Identifier: MIT
// io.c owns struct io: moving bytes between the kernel and the memory that a read or write names.
// Privileged.
#include "linux/fs/fs_priv.h"

// The next segment that is not empty.
static bool io_next_segment(struct io *io)
{
	while (!io->seg_left) {
		if (!io->nvec)
			return false;
		io->ubuf = user_ptr(u8, io->vec->base);
		io->seg_left = min((size_t)io->vec->len, io->left);
		io->vec++;
		io->nvec--;
	}
	return true;
}

enum io_op { IO_TO, IO_FROM, IO_CLEAR };

static __always_inline size_t io_move_segment(struct io *io, enum io_op op, void *buf, size_t n)
{
	if (io->kind == IO_KERNEL) {
		if (op == IO_TO)
			memcpy(io->kbuf, buf, n);
		else if (op == IO_FROM)
			memcpy(buf, io->kbuf, n);
		else
			memset(io->kbuf, 0, n);
		return n;
	}
	if (op == IO_TO)
		return n - copy_to_user_partial(io->ubuf, buf, n);
	if (op == IO_FROM)
		return n - copy_from_user_partial(buf, io->ubuf, n);
	return n - clear_user_partial(io->ubuf, n);
}

static __always_inline size_t io_move(struct io *io, enum io_op op, u8 *buf, size_t len)
{
	size_t done = 0;
	for (;;) {
		size_t n = min(len - done, io->seg_left);
		size_t moved = n ? io_move_segment(io, op, buf ? buf + done : nullptr, n) : 0;
		io->ubuf += moved;
		io->seg_left -= moved;
		io->left -= moved;
		done += moved;
		if (likely(done == len) || moved < n || !io_next_segment(io))
			return done;
	}
}

size_t io_copy_to(struct io *io, const void *src, size_t len)
{
	return io_move(io, IO_TO, (u8 *)src, len);
}

size_t io_copy_from(struct io *io, void *dst, size_t len)
{
	return io_move(io, IO_FROM, dst, len);
}

size_t io_clear(struct io *io, size_t len)
{
	return io_move(io, IO_CLEAR, nullptr, len);
}

bool io_skip(struct io *io, size_t len)
{
	io->ubuf += len;
	io->seg_left -= len;
	io->left -= len;
	return io->left && io_next_segment(io);
}

void io_truncate(struct io *io, u64 len)
{
	io->left = min(io->left, (size_t)len);
	io->seg_left = min(io->seg_left, io->left);
}

void io_revert(struct io *io, const struct io *saved, size_t done)
{
	*io = *saved;
	while (done) {
		size_t n = min(done, io->seg_left);
		io->ubuf += n;
		io->seg_left -= n;
		io->left -= n;
		done -= n;
		if (done && !io_next_segment(io))
			return;
	}
}

ssize_t io_from_user_vec(struct io *io, const struct iovec __user *vec, u32 n,
			 struct iovec fast[IOV_FAST], struct iovec **allocated)
{
	struct iovec *v = fast;
	u64 total = 0;
	*allocated = nullptr;
	if (n > IOV_MAX)
		return -EINVAL;
	if (n > IOV_FAST) {
		v = *allocated = kmalloc(n * sizeof(*v));
		if (!v)
			return -ENOMEM;
	}
	if (copy_from_user(v, vec, n * sizeof(*v)))
		return -EFAULT;
	for (u32 i = 0; i < n; i++) {
		if ((s64)v[i].len < 0)
			return -EINVAL;
		if (!user_range_ok(user_ptr(void, v[i].base), v[i].len))
			return -EFAULT;
		v[i].len = min(v[i].len, IO_MAX - total);
		total += v[i].len;
	}
	*io = (struct io){.left = total, .vec = v, .nvec = n, .kind = IO_USER};
	(void)io_next_segment(io);
	return (ssize_t)total;
}

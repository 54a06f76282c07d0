// SPDX-License-Identifier: MIT
// readdir.c owns getdents. Privileged.
#include "linux/fs/fs_priv.h"
#include "linux/notify.h"

// Records are collected in kernel memory and copied out in pieces. The last one stays until the
// next is known, for its d_off is the position of the next.
struct getdents {
	struct dir_context ctx;
	u8 *buf;
	u32 cap, used; // of buf
	u32 last;      // where the last record begins in buf, if count
	u32 count;     // records so far
	bool old;      // getdents rather than getdents64
	bool copied;   // something went to the program already
	u8 __user *at; // where the next piece goes
	size_t left;   // bytes of the program's buffer that are not spoken for
	int err;
};

constexpr size_t RECORD_MAX = align_up(sizeof(struct dirent64) + NAME_MAX + 2, 8);
constexpr u32 PIECE = 4096;
static_assert(PIECE >= 2 * RECORD_MAX);

// Copies out the first n bytes of what was collected.
static bool getdents_flush(struct getdents *g, u32 n)
{
	if (copy_to_user(g->at, g->buf, n)) {
		g->err = -EFAULT;
		return false;
	}
	g->copied = true;
	g->at += n;
	g->used -= n;
	g->last = 0;
	memmove(g->buf, g->buf + n, g->used);
	return true;
}

static bool getdents_emit(struct dir_context *ctx, const char *name, u32 len, u64 ino, u32 type)
{
	struct getdents *g = container_of(ctx, struct getdents, ctx);
	// Both layouts begin with inode and offset; a byte for the type stands in front of the name
	// or at the record's end.
	u32 head = g->old ? offsetof(struct dirent_old, d_name) : offsetof(struct dirent64, d_name);
	u32 size = align_up(head + len + 1 + (g->old ? 1 : 0), 8);
	if (len > NAME_MAX) {
		g->err = -EIO;
		return false;
	}
	if (size > g->left) {
		if (!g->count)
			g->err = -EINVAL;
		return false;
	}
	if (g->used + size > g->cap && !getdents_flush(g, g->last))
		return false;
	if (g->count)
		((struct dirent64 *)(g->buf + g->last))->d_off = ctx->pos;
	u8 *record = g->buf + g->used;
	struct dirent64 *d = (struct dirent64 *)record;
	store_le64(record + size - 8, 0);
	d->d_ino = ino;
	d->d_reclen = (u16)size;
	if (g->old)
		record[size - 1] = (u8)type;
	else
		d->d_type = (u8)type;
	memcpy(record + head, name, len);
	record[head + len] = 0;
	g->last = g->used;
	g->used += size;
	g->left -= size;
	g->count++;
	return true;
}

static long iterate(struct file *f, struct getdents *g, size_t size)
{
	struct inode *i = f->inode;
	if (!f->ops->iterate)
		return -ENOTDIR;
	mutex_lock(&f->pos_lock);
	s64 before = f->pos;
	mutex_lock(&i->lock);
	int err = i->flags & INODE_DEAD ? -ENOENT : 0;
	if (!err) {
		g->ctx.pos = before;
		err = f->ops->iterate(f, &g->ctx);
		f->pos = g->ctx.pos;
		file_accessed(f);
	}
	mutex_unlock(&i->lock);
	if (g->count && g->err != -EFAULT) {
		((struct dirent64 *)(g->buf + g->last))->d_off = g->ctx.pos;
		(void)getdents_flush(g, g->used);
	}
	if (g->err == -EFAULT && !g->copied)
		f->pos = before; // nothing was told
	mutex_unlock(&f->pos_lock);
	if (err != -ENOENT)
		notify_dentry(f->path.dentry, IN_ACCESS);
	if (g->err == -EFAULT)
		return -EFAULT;
	if (g->count)
		return (long)(size - g->left);
	return err ? err : g->err;
}

static long getdents(int fd, void __user *buf, u32 size, bool old)
{
	struct fdref r = fd_get(fd);
	long n = -EBADF;
	u8 *piece = r.file ? kmalloc(PIECE) : nullptr;
	if (piece) {
		struct getdents g = {.ctx.emit = getdents_emit,
				     .buf = piece,
				     .cap = PIECE,
				     .at = buf,
				     .left = size,
				     .old = old};
		n = iterate(r.file, &g, size);
		kfree(piece);
	} else if (r.file) {
		n = -ENOMEM;
	}
	fd_put(r);
	return n;
}

SYSCALL(getdents64, int fd, struct dirent64 __user *buf, u32 size)
{
	return getdents(fd, buf, size, false);
}

SYSCALL(getdents, int fd, struct dirent_old __user *buf, u32 size)
{
	return getdents(fd, buf, size, true);
}

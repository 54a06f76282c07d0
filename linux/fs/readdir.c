// SPDX-License-Identifier: MIT
// readdir.c owns getdents. Privileged.
#include "linux/fs/fs_priv.h"

struct getdents {
	struct dir_context ctx;
	u8 __user *at;	      // where the next record goes
	size_t left;	      // bytes of the program's buffer
	struct dirent64 __user *last; // its d_off is the position behind it, known only with the next
	bool old;	      // getdents rather than getdents64
	int err;
};

constexpr size_t RECORD_MAX = align_up(sizeof(struct dirent64) + NAME_MAX + 2, 8);

static bool getdents_emit(struct dir_context *ctx, const char *name, u32 len, u64 ino, u32 type)
{
	struct getdents *g = container_of(ctx, struct getdents, ctx);
	u8 record[RECORD_MAX] __aligned(8);
	// Both layouts begin with inode and offset; a byte for the type stands in front of the name or at the record's end.
	size_t head = g->old ? offsetof(struct dirent_old, d_name) : offsetof(struct dirent64, d_name);
	size_t size = align_up(head + len + 1 + (g->old ? 1 : 0), 8);
	if (size > g->left) {
		if (!g->last)
			g->err = -EINVAL;
		return false;
	}
	if (len > NAME_MAX) {
		g->err = -EIO;
		return false;
	}
	store_le64(record + size - 8, 0);
	struct dirent64 *d = (struct dirent64 *)record;
	d->d_ino = ino;
	d->d_off = 0;
	d->d_reclen = (u16)size;
	memcpy(record + head, name, len);
	record[head + len] = 0;
	if (g->old)
		record[size - 1] = (u8)type;
	else
		d->d_type = (u8)type;
	if (g->last && put_user(ctx->pos, &g->last->d_off)) {
		g->err = -EFAULT;
		return false;
	}
	if (copy_to_user(g->at, record, size)) {
		g->err = -EFAULT;
		return false;
	}
	g->last = (struct dirent64 __user *)g->at;
	g->at += size;
	g->left -= size;
	return true;
}

static long iterate(struct file *f, struct getdents *g, size_t size)
{
	struct inode *i = f->inode;
	if (!f->ops->iterate)
		return -ENOTDIR;
	mutex_lock(&f->pos_lock);
	mutex_lock(&i->lock);
	int err = i->flags & INODE_DEAD ? -ENOENT : 0;
	if (!err) {
		g->ctx.pos = f->pos;
		err = f->ops->iterate(f, &g->ctx);
		f->pos = g->ctx.pos;
		file_accessed(f);
	}
	mutex_unlock(&i->lock);
	mutex_unlock(&f->pos_lock);
	if (g->last && put_user(g->ctx.pos, &g->last->d_off))
		return -EFAULT;
	if (g->left < size)
		return (long)(size - g->left);
	return err ? err : g->err;
}

static long getdents(int fd, void __user *buf, u32 size, bool old)
{
	struct fdref r = fd_get(fd);
	long n = -EBADF;
	if (r.file) {
		struct getdents g = { .ctx.emit = getdents_emit, .at = buf, .left = size, .old = old };
		n = iterate(r.file, &g, size);
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

// SPDX-License-Identifier: MIT
// dcache_dir.c owns the listing of directories whose names are all in the dcache
// (SB_DCACHE_COMPLETE). Privileged.
#include "linux/fs/fs_priv.h"

bool dir_emit_dots(struct file *f, struct dir_context *ctx)
{
	struct dentry *d = f->path.dentry;
	if (ctx->pos <= 0) {
		if (!dir_emit(ctx, ".", 1, f->inode->ino, DT_DIR))
			return false;
		ctx->pos = 1;
	}
	if (ctx->pos == 1) {
		struct dentry *up = d;
		rcu_read_lock();
		if (d != f->path.mnt->root)
			up = load_acquire(&d->parent);
		u64 ino = up->inode->ino;
		rcu_read_unlock();
		if (!dir_emit(ctx, "..", 2, ino, DT_DIR))
			return false;
		ctx->pos = 2;
	}
	return true;
}

// Where a listing goes on: the first entry whose cookie is not below pos.
static struct dentry *dcache_dir_at(struct file *f, s64 pos)
{
	struct dentry *dir = f->path.dentry, *d = f->dir_cursor;
	if (d && d->parent == dir && !list_empty(&d->sibling) && (s64)d->cookie == pos)
		return d;
	list_for_each_entry(d, &dir->children, sibling) {
		if ((s64)d->cookie >= pos)
			return d;
	}
	return nullptr;
}

int dcache_iterate(struct file *f, struct dir_context *ctx)
{
	struct dentry *dir = f->path.dentry;
	// Names made (or moved) after the listing began are not in it: it ends.
	if (ctx->pos < 2)
		f->private_data = (void *)(uintptr_t)dir->next_cookie;
	s64 end = (s64)(uintptr_t)f->private_data;
	if (!dir_emit_dots(f, ctx))
		return 0;
	struct dentry *d = dcache_dir_at(f, ctx->pos);
	for (; d; d = d->sibling.next == &dir->children ? nullptr : list_next_entry(d, sibling)) {
		if ((s64)d->cookie >= end) {
			d = nullptr;
			break;
		}
		ctx->pos = (s64)d->cookie;
		if (!d->inode)
			continue;
		if (!dir_emit(ctx, d->name, d->len, d->inode->ino, d->inode->mode >> 12 & 15))
			break;
		ctx->pos = (s64)d->cookie + 1;
	}
	if (d)
		dentry_get(d);
	if (f->dir_cursor)
		dentry_put(f->dir_cursor);
	f->dir_cursor = d;
	return 0;
}

s64 dcache_dir_lseek(struct file *f, s64 offset, int whence)
{
	if (whence == SEEK_CUR)
		offset += f->pos;
	else if (whence != SEEK_SET)
		return -EINVAL;
	if (offset < 0)
		return -EINVAL;
	return f->pos = offset;
}

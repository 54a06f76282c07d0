// SPDX-License-Identifier: MIT
// tmpfs.c owns the file systems that live in memory: tmpfs, ramfs, the root file system, and the
// files of memfd. Privileged.
//
// Names exist in the dcache only: a dentry that is in the tree is pinned by one reference, and what
// is not cached does not exist (SB_DCACHE_COMPLETE). Contents exist in the inode's vm_object only,
// which mappings and read/write share. Pages are charged to the super block's limit as they are put
// into an object.
//
// Locks: the inode's lock for size and writes; reads take none: a page is looked up under RCU and
// counted while it is copied. A read beside a truncation may see the old bytes or zeroes, as on
// Linux.
#include "linux/fs/fs_priv.h"
#include "base/fmt.h"
#include "base/parse.h"
#include "core/page.h"
#include "core/vm.h"

struct tmpfs_super {
	atomic_u64 used_pages;
	atomic_u64 limit_pages; // ~0: none
	atomic_u64 used_inodes;
	atomic_u64 limit_inodes;
};

struct xattr {
	struct list link;
	u32 len;
	char *value;
	char name[];
};

struct tmpfs_inode {
	struct inode inode;
	u32 seals;	    // inode lock
	struct list xattrs; // inode lock
	struct vm_object
		object; // regular files. Lives longer than the inode if a fault still uses it
};

static struct slab_cache tmpfs_cache;
static const struct inode_ops tmpfs_dir_ops, tmpfs_file_inode_ops, tmpfs_other_ops;
static const struct file_ops tmpfs_file_ops, tmpfs_dir_file_ops;
struct super_block *shm_super;

static struct tmpfs_inode *tmpfs_i(struct inode *i)
{
	return container_of(i, struct tmpfs_inode, inode);
}

static struct tmpfs_super *tmpfs_s(struct super_block *sb)
{
	return sb->private_data;
}

// ---- inodes ----

static void tmpfs_inode_free_rcu(struct rcu_head *h)
{
	struct inode *i = container_of(h, struct inode, rcu);
	kfree((char *)i->link);
	slab_free(&tmpfs_cache, tmpfs_i(i));
}

static void tmpfs_object_release(struct vm_object *o)
{
	rcu_call(&container_of(o, struct tmpfs_inode, object)->inode.rcu, tmpfs_inode_free_rcu);
}

static const struct vm_object_ops tmpfs_object_ops = {.get_page = vm_object_get_page_zero,
						      .release = tmpfs_object_release};

static struct inode *tmpfs_inode_make(struct super_block *sb, const struct inode *dir, u32 mode,
				      u64 dev)
{
	struct tmpfs_super *s = tmpfs_s(sb);
	if (atomic_inc_return(&s->used_inodes) > atomic_load(&s->limit_inodes)) {
		atomic_dec(&s->used_inodes);
		return err_ptr(-ENOSPC);
	}
	struct tmpfs_inode *t = slab_zalloc(&tmpfs_cache);
	if (!t) {
		atomic_dec(&s->used_inodes);
		return err_ptr(-ENOMEM);
	}
	struct inode *i = &t->inode;
	inode_init(i, sb, mode);
	inode_init_owner(i, dir, mode);
	i->ino = ino_next();
	list_init(&t->xattrs);
	switch (mode & S_IFMT) {
	case S_IFREG:
		i->ops = &tmpfs_file_inode_ops;
		i->file_ops = &tmpfs_file_ops;
		vm_object_init(&t->object, &tmpfs_object_ops, 0);
		t->object.charge = &s->used_pages;
		t->object.charge_limit = &s->limit_pages;
		i->object = &t->object;
		break;
	case S_IFDIR:
		i->ops = &tmpfs_dir_ops;
		i->file_ops = &tmpfs_dir_file_ops;
		i->nlink = 2;
		break;
	case S_IFLNK:
		i->ops = &tmpfs_other_ops;
		break;
	default:
		i->ops = &tmpfs_other_ops;
		inode_init_special(i, dev);
		break;
	}
	return i;
}

static void tmpfs_evict(struct inode *i)
{
	struct tmpfs_inode *t = tmpfs_i(i);
	struct xattr *x, *next;
	list_for_each_entry_safe(x, next, &t->xattrs, link) {
		kfree(x->value);
		kfree(x);
	}
	atomic_dec(&tmpfs_s(i->sb)->used_inodes);
}

static void tmpfs_free_inode(struct inode *i)
{
	if (i->object)
		vm_object_put(i->object); // whose release frees the inode's memory
	else
		rcu_call(&i->rcu, tmpfs_inode_free_rcu);
}

struct inode *tmpfs_file_inode(struct super_block *sb, u32 mode)
{
	struct inode *i = tmpfs_inode_make(sb, nullptr, S_IFREG | mode, 0);
	if (!is_err(i))
		i->nlink = 0;
	return i;
}

// ---- directories ----

constexpr s64 ENTRY_SIZE = 20; // what a name adds to a directory's size, as on Linux

static void tmpfs_dir_changed(struct inode *dir, s64 names)
{
	dir->size += names * ENTRY_SIZE;
	dir->mtime = dir->ctime = fs_time_now();
}

static int tmpfs_add(struct inode *dir, struct dentry *d, struct inode *i)
{
	if (is_err(i))
		return ptr_err(i);
	if (S_ISDIR(i->mode))
		dir->nlink++;
	dir->size += ENTRY_SIZE;
	dir->mtime = dir->ctime = i->ctime;
	dentry_set_inode(d, i);
	return 0;
}

static int tmpfs_create(struct inode *dir, struct dentry *d, u32 mode, u64 dev)
{
	return tmpfs_add(dir, d, tmpfs_inode_make(dir->sb, dir, mode, dev));
}

static int tmpfs_symlink(struct inode *dir, struct dentry *d, const char *target)
{
	char *text = kstrdup(target, PATH_MAX);
	if (!text)
		return -ENOMEM;
	struct inode *i = tmpfs_inode_make(dir->sb, dir, S_IFLNK | 0777, 0);
	if (is_err(i)) {
		kfree(text);
		return ptr_err(i);
	}
	i->link = text;
	i->size = (s64)strlen(text);
	return tmpfs_add(dir, d, i);
}

static int tmpfs_link(struct inode *target, struct inode *dir, struct dentry *d)
{
	target->nlink++;
	target->ctime = fs_time_now();
	inode_get(target);
	return tmpfs_add(dir, d, target);
}

static int tmpfs_unlink(struct inode *dir, struct dentry *d)
{
	tmpfs_dir_changed(dir, -1);
	d->inode->ctime = dir->ctime;
	d->inode->nlink--;
	return 0;
}

static int tmpfs_rmdir(struct inode *dir, struct dentry *d)
{
	if (!list_empty(&d->children))
		return -ENOTEMPTY;
	d->inode->nlink = 0;
	dir->nlink--;
	tmpfs_dir_changed(dir, -1);
	return 0;
}

static int tmpfs_rename(struct inode *old_dir, struct dentry *old, struct inode *new_dir,
			struct dentry *new, u32 flags)
{
	bool dir = S_ISDIR(old->inode->mode);
	if (new->inode && !(flags & RENAME_EXCHANGE)) {
		if (S_ISDIR(new->inode->mode)) {
			if (!list_empty(&new->children))
				return -ENOTEMPTY;
			new->inode->nlink = 0;
			new_dir->nlink--;
		} else {
			new->inode->nlink--;
		}
		new->inode->ctime = fs_time_now();
		tmpfs_dir_changed(new_dir, -1);
	}
	if (flags & RENAME_EXCHANGE) {
		bool other = S_ISDIR(new->inode->mode);
		if (dir != other) {
			old_dir->nlink += (other ? 1u : 0u) - (dir ? 1u : 0u);
			new_dir->nlink += (dir ? 1u : 0u) - (other ? 1u : 0u);
		}
		new->inode->ctime = fs_time_now();
		tmpfs_dir_changed(old_dir, 0);
		tmpfs_dir_changed(new_dir, 0);
	} else {
		if (dir && old_dir != new_dir) {
			old_dir->nlink--;
			new_dir->nlink++;
		}
		tmpfs_dir_changed(old_dir, -1);
		tmpfs_dir_changed(new_dir, 1);
	}
	old->inode->ctime = new_dir->ctime;
	return 0;
}

static int tmpfs_tmpfile(struct inode *dir, u32 mode, struct inode **out)
{
	struct inode *i = tmpfs_inode_make(dir->sb, dir, mode, 0);
	if (is_err(i))
		return ptr_err(i);
	i->nlink = 0;
	*out = i;
	return 0;
}

// ---- attributes ----

static int tmpfs_setattr(struct inode *i, const struct attr_change *a)
{
	if (a->mask & ATTR_SIZE) {
		u32 seals = tmpfs_i(i)->seals;
		if (!i->object)
			return -EINVAL;
		if ((a->size < i->size && (seals & F_SEAL_SHRINK)) ||
		    (a->size > i->size && (seals & F_SEAL_GROW)))
			return -EPERM;
		// Sizes shrink before pages go and grow after: readers never look for what is gone.
		store_once(&i->size, a->size);
		vm_object_set_size(i->object, (u64)a->size);
		i->mtime = i->ctime = fs_time_now();
	}
	attr_apply(i, a);
	return 0;
}

// ---- contents ----

static ssize_t tmpfs_read(struct file *f, struct io *io)
{
	struct vm_object *o = f->inode->object;
	size_t done = 0;
	while (io->left) {
		s64 left = inode_size(f->inode) - io->pos;
		if (left <= 0)
			break;
		u32 off = (u32)io->pos & (PAGE_SIZE - 1);
		size_t want = min(min(io->left, (size_t)(PAGE_SIZE - off)), (size_t)left), moved;
		struct page *p = vm_object_lookup(o, (u64)io->pos >> PAGE_SHIFT);
		if (likely(p)) {
			moved = io_copy_to(io, (u8 *)page_ptr(p) + off, want);
			page_put(p);
		} else {
			moved = io_clear(io, want);
		}
		io->pos += (s64)moved;
		done += moved;
		if (unlikely(moved < want)) {
			if (!done)
				return -EFAULT;
			break;
		}
	}
	file_accessed(f);
	return (ssize_t)done;
}

// Bytes of one write that go into page `index`, which is not there yet: it is made from them,
// without clearing what they cover.
static ssize_t tmpfs_write_new_page(struct vm_object *o, struct io *io, u64 index, u32 off,
				    size_t want)
{
	struct page *p = page_alloc(0, OWNER_SHARED, 0);
	if (unlikely(!p))
		return -ENOMEM;
	struct io before = *io;
	u8 *bytes = page_ptr(p);
	size_t moved = io_copy_from(io, bytes + off, want);
	if (unlikely(!moved)) {
		page_put(p);
		return -EFAULT;
	}
	if (off)
		memset(bytes, 0, off);
	if (off + moved < PAGE_SIZE)
		memset(bytes + off + moved, 0, PAGE_SIZE - off - moved);
	int err = vm_object_insert(o, index, p);
	if (likely(!err))
		return (ssize_t)moved;
	page_put(p);
	*io = before;
	return err; // -EEXIST: a mapping made it meanwhile
}

static ssize_t tmpfs_write_page(struct vm_object *o, struct io *io, u64 index, u32 off, size_t want)
{
	for (;;) {
		struct page *p = vm_object_lookup(o, index);
		if (p) {
			size_t moved = io_copy_from(io, (u8 *)page_ptr(p) + off, want);
			page_put(p);
			return moved ? (ssize_t)moved : -EFAULT;
		}
		ssize_t n = tmpfs_write_new_page(o, io, index, off, want);
		if (n != -EEXIST)
			return n;
	}
}

// How much may be written at pos: seals, RLIMIT_FSIZE, the largest file.
static ssize_t tmpfs_write_limit(struct tmpfs_inode *t, s64 pos, size_t len)
{
	struct inode *i = &t->inode;
	u64 max = (u64)i->sb->max_bytes;
	if (unlikely((u64)pos + len > (u64)INT64_MAX))
		return -EINVAL;
	if (unlikely(t->seals)) {
		if (t->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
			return -EPERM;
		if ((t->seals & F_SEAL_GROW) && pos + (s64)len > i->size) {
			if (pos >= i->size)
				return -EPERM;
			len = (size_t)(i->size - pos);
		}
	}
	if (current_is_task()) {
		u64 limit = rlimit(RLIMIT_FSIZE);
		if (unlikely((u64)pos + len > limit)) {
			if ((u64)pos >= limit) {
				signal_self(SIGXFSZ);
				return -EFBIG;
			}
			len = limit - (u64)pos;
		}
	}
	if (unlikely((u64)pos >= max))
		return -EFBIG;
	return (ssize_t)min(len, max - (u64)pos);
}

static ssize_t tmpfs_write(struct file *f, struct io *io)
{
	struct inode *i = f->inode;
	size_t done = 0;
	ssize_t err = 0;
	if (!io->left)
		return 0;
	mutex_lock(&i->lock);
	if (io->flags & IO_APPEND)
		io->pos = i->size;
	ssize_t allowed = tmpfs_write_limit(tmpfs_i(i), io->pos, io->left);
	err = allowed < 0 ? allowed : inode_kill_priv(i);
	while (!err && done < (size_t)allowed) {
		u32 off = (u32)io->pos & (PAGE_SIZE - 1);
		size_t want = min((size_t)allowed - done, (size_t)(PAGE_SIZE - off));
		ssize_t n = tmpfs_write_page(i->object, io, (u64)io->pos >> PAGE_SHIFT, off, want);
		if (unlikely(n < 0)) {
			err = n;
			break;
		}
		io->pos += n;
		done += (size_t)n;
		if (unlikely((size_t)n < want))
			break;
	}
	if (likely(done)) {
		if (io->pos > i->size) {
			store_once(&i->object->size_bytes, (u64)io->pos);
			store_release(&i->size, io->pos);
		}
		i->mtime = i->ctime = fs_time_now();
	}
	mutex_unlock(&i->lock);
	return done ? (ssize_t)done : err;
}

// The first index at or behind `index` that is there (data) or not there (hole), below `end`.
static u64 tmpfs_seek(struct vm_object *o, u64 index, u64 end, bool data)
{
	rcu_read_lock();
	while (index < end) {
		u64 next = index;
		void *entry = radix_next(&o->pages, &next);
		if (!entry || next >= end)
			next = end;
		if (data) {
			index = next;
			break;
		}
		if (next != index)
			break;
		index++;
	}
	rcu_read_unlock();
	return index;
}

static s64 tmpfs_lseek(struct file *f, s64 offset, int whence)
{
	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return lseek_generic(f, offset, whence);
	s64 size = inode_size(f->inode);
	if (offset < 0 || offset >= size)
		return -ENXIO;
	u64 first = (u64)offset >> PAGE_SHIFT, end = ((u64)size + PAGE_SIZE - 1) >> PAGE_SHIFT;
	u64 found = tmpfs_seek(f->inode->object, first, end, whence == SEEK_DATA);
	if (found >= end) {
		if (whence == SEEK_DATA)
			return -ENXIO;
		return f->pos = size;
	}
	return f->pos = found == first ? offset : (s64)(found << PAGE_SHIFT);
}

static int tmpfs_mmap(struct file *f, struct vm_map_args *a)
{
	struct tmpfs_inode *t = tmpfs_i(f->inode);
	if ((t->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) && (a->flags & VM_SHARED)) {
		if (a->prot & PROT_WRITE)
			return -EPERM;
		a->max_prot &= ~(u32)PROT_WRITE;
	}
	a->object = f->inode->object;
	file_accessed(f);
	return 0;
}

static int tmpfs_fsync(struct file *f, s64 first, s64 last, bool data_only)
{
	(void)f;
	(void)first;
	(void)last;
	(void)data_only;
	return 0;
}

// Zeroes [from, to) of what is there; whole pages are dropped.
static void tmpfs_punch(struct inode *i, s64 from, s64 to)
{
	u64 first = ((u64)from + PAGE_SIZE - 1) >> PAGE_SHIFT, end = (u64)to >> PAGE_SHIFT;
	if (first < end)
		vm_object_drop(i->object, first, end - 1);
	for (s64 at = from; at < to;) {
		u64 index = (u64)at >> PAGE_SHIFT;
		s64 next = min((s64)((index + 1) << PAGE_SHIFT), to);
		if (index >= first && index < end) {
			at = (s64)(end << PAGE_SHIFT);
			continue;
		}
		struct page *p = vm_object_lookup(i->object, index);
		if (p) {
			memset((u8 *)page_ptr(p) + (at & (s64)(PAGE_SIZE - 1)), 0,
			       (size_t)(next - at));
			page_put(p);
		}
		at = next;
	}
}

static int tmpfs_reserve(struct inode *i, s64 from, s64 to)
{
	for (u64 index = (u64)from >> PAGE_SHIFT; index < ((u64)to + PAGE_SIZE - 1) >> PAGE_SHIFT;
	     index++) {
		struct page *p;
		int err = signal_fatal_pending() ? -EINTR
						 : vm_object_get_page(i->object, index, true, &p);
		if (err)
			return err;
		page_put(p);
	}
	return 0;
}

static int tmpfs_fallocate(struct file *f, u32 mode, s64 offset, s64 len)
{
	struct inode *i = f->inode;
	s64 end = offset + len;
	int err = 0;
	u32 seals = tmpfs_i(i)->seals;
	if (mode & ~(u32)(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	mutex_lock(&i->lock);
	if (mode & FALLOC_FL_PUNCH_HOLE) {
		if (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
			err = -EPERM;
		else
			tmpfs_punch(i, offset, end);
	} else if (!(mode & FALLOC_FL_KEEP_SIZE) && end > i->size && (seals & F_SEAL_GROW)) {
		err = -EPERM;
	} else {
		if (mode & FALLOC_FL_ZERO_RANGE)
			tmpfs_punch(i, offset, end);
		u64 free = atomic_load(&tmpfs_s(i->sb)->limit_pages) -
			   atomic_load(&tmpfs_s(i->sb)->used_pages);
		if ((s64)free < 0 || (u64)len >> PAGE_SHIFT > free + i->object->npages)
			err = -ENOSPC; // known beforehand: nothing is half done
		else
			err = tmpfs_reserve(i, offset, end);
		if (!err && !(mode & FALLOC_FL_KEEP_SIZE) && end > i->size) {
			vm_object_set_size(i->object, (u64)end);
			store_release(&i->size, end);
		}
	}
	if (!err)
		i->mtime = i->ctime = fs_time_now();
	mutex_unlock(&i->lock);
	return err;
}

// ---- listing ----

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

// ---- extended attributes ----

static bool xattr_allowed(const struct inode *i, const char *name)
{
	if (str_starts_with(name, "user."))
		return S_ISREG(i->mode) || S_ISDIR(i->mode);
	return str_starts_with(name, "trusted.") || str_starts_with(name, "security.");
}

static struct xattr *xattr_find(struct tmpfs_inode *t, const char *name)
{
	struct xattr *x;
	list_for_each_entry(x, &t->xattrs, link) {
		if (str_equal(x->name, name))
			return x;
	}
	return nullptr;
}

static ssize_t tmpfs_xattr_get(struct inode *i, const char *name, void *value, size_t len)
{
	ssize_t n = -ENODATA;
	if (!xattr_allowed(i, name))
		return str_starts_with(name, "user.") ? -ENODATA : -EOPNOTSUPP;
	mutex_lock(&i->lock);
	struct xattr *x = xattr_find(tmpfs_i(i), name);
	if (x) {
		n = x->len;
		if (len && x->len > len)
			n = -ERANGE;
		else if (len)
			memcpy(value, x->value, x->len);
	}
	mutex_unlock(&i->lock);
	return n;
}

static struct xattr *xattr_make(const char *name, const void *value, size_t len)
{
	size_t name_len = strlen(name) + 1;
	struct xattr *x = kmalloc(sizeof(*x) + name_len);
	if (!x)
		return nullptr;
	x->len = (u32)len;
	x->value = kmalloc(max(len, (size_t)1));
	if (!x->value) {
		kfree(x);
		return nullptr;
	}
	memcpy(x->name, name, name_len);
	memcpy(x->value, value, len);
	return x;
}

static void xattr_drop(struct xattr *x)
{
	list_del(&x->link);
	kfree(x->value);
	kfree(x);
}

static int tmpfs_xattr_set(struct inode *i, const char *name, const void *value, size_t len,
			   u32 flags)
{
	struct tmpfs_inode *t = tmpfs_i(i);
	if (!xattr_allowed(i, name))
		return str_starts_with(name, "user.") ? -EPERM : -EOPNOTSUPP;
	struct xattr *new = value ? xattr_make(name, value, len) : nullptr, *old;
	if (value && !new)
		return -ENOMEM;
	mutex_lock(&i->lock);
	old = xattr_find(t, name);
	int err = old				      ? (flags & XATTR_CREATE ? -EEXIST : 0)
		  : (flags & XATTR_REPLACE) || !value ? -ENODATA
						      : 0;
	if (!err) {
		if (old)
			xattr_drop(old);
		if (new)
			list_add_tail(&t->xattrs, &new->link);
		i->ctime = fs_time_now();
		new = nullptr;
	}
	mutex_unlock(&i->lock);
	if (new) {
		kfree(new->value);
		kfree(new);
	}
	return err;
}

static ssize_t tmpfs_xattr_list(struct inode *i, char *names, size_t len)
{
	struct xattr *x;
	size_t used = 0;
	bool trusted = capable(CAP_SYS_ADMIN);
	mutex_lock(&i->lock);
	list_for_each_entry(x, &tmpfs_i(i)->xattrs, link) {
		size_t n = strlen(x->name) + 1;
		if (str_starts_with(x->name, "trusted.") && !trusted)
			continue;
		if (len && used + n <= len)
			memcpy(names + used, x->name, n);
		used += n;
	}
	mutex_unlock(&i->lock);
	return len && used > len ? -ERANGE : (ssize_t)used;
}

// ---- seals (memfd) ----

int tmpfs_get_seals(struct file *f)
{
	return f->ops == &tmpfs_file_ops ? (int)load_once(&tmpfs_i(f->inode)->seals) : -EINVAL;
}

static bool mapped_writable(struct vm_object *o)
{
	struct vm_area *a;
	bool found = false;
	spin_lock(&o->areas_lock);
	list_for_each_entry(a, &o->areas, object_link)
		found |= (a->flags & VM_SHARED) && (a->max_prot & PROT_WRITE);
	spin_unlock(&o->areas_lock);
	return found;
}

int tmpfs_add_seals(struct file *f, u32 seals)
{
	constexpr u32 all = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE |
			    F_SEAL_FUTURE_WRITE | F_SEAL_EXEC;
	struct inode *i = f->inode;
	int err = 0;
	if (f->ops != &tmpfs_file_ops || (seals & ~all))
		return -EINVAL;
	if (!(f->mode & FILE_WRITE))
		return -EPERM;
	mutex_lock(&i->lock);
	struct tmpfs_inode *t = tmpfs_i(i);
	if (t->seals & F_SEAL_SEAL) {
		err = -EPERM;
	} else if ((seals & F_SEAL_WRITE) && !(t->seals & F_SEAL_WRITE) &&
		   mapped_writable(i->object)) {
		err = -EBUSY;
	} else {
		t->seals |= seals;
		if (seals & F_SEAL_EXEC)
			i->mode &= ~(u32)S_IXUGO;
	}
	mutex_unlock(&i->lock);
	return err;
}

// ---- super blocks ----

static int tmpfs_statfs(struct super_block *sb, struct statfs_info *out)
{
	struct tmpfs_super *s = tmpfs_s(sb);
	u64 limit = atomic_load(&s->limit_pages), used = atomic_load(&s->used_pages);
	if (limit == ~0ull)
		return 0;
	out->blocks = limit;
	out->bfree = out->bavail = limit > used ? limit - used : 0;
	out->files = atomic_load(&s->limit_inodes);
	out->ffree = out->files - atomic_load(&s->used_inodes);
	return 0;
}

struct tmpfs_options {
	u64 pages, inodes;
	u32 mode, uid, gid;
	bool has_pages, has_inodes, has_mode, has_owner;
};

// "64m", "1048576", or "50%" of memory: to pages.
static int parse_pages(const char *s, u64 *pages)
{
	size_t len = strlen(s);
	u64 n;
	if (!len)
		return -EINVAL;
	if (s[len - 1] == '%') {
		struct page_stats st;
		if (strntou64(s, len - 1, 10, &n) || n > 100000)
			return -EINVAL;
		page_stats_read(&st);
		*pages = st.total * n / 100;
		return 0;
	}
	int err = parse_size(s, &n);
	*pages = err ? 0 : n / PAGE_SIZE + !is_aligned(n, PAGE_SIZE);
	return err ? -EINVAL : 0;
}

static int parse_option(struct tmpfs_options *o, char *key)
{
	char *value = strchr(key, '=');
	u64 n = 0;
	if (!value) // huge, noswap and the like without values, and mount(8)'s own words
		return 0;
	*value++ = 0;
	int err = 0;
	if (str_equal(key, "size")) {
		err = parse_pages(value, &o->pages);
		o->has_pages = true;
	} else if (str_equal(key, "nr_blocks")) {
		err = parse_size(value, &o->pages);
		o->has_pages = true;
	} else if (str_equal(key, "nr_inodes")) {
		err = parse_size(value, &o->inodes);
		o->has_inodes = true;
	} else if (str_equal(key, "mode")) {
		err = strtou64(value, 8, &n) || n > 07777 ? -EINVAL : 0;
		o->mode = (u32)n;
		o->has_mode = true;
	} else if (str_equal(key, "uid") || str_equal(key, "gid")) {
		err = strtou64(value, 10, &n) || n >= UINT32_MAX ? -EINVAL : 0;
		*(key[0] == 'u' ? &o->uid : &o->gid) = (u32)n;
		o->has_owner = true;
	} else if (!str_equal(key, "huge") && !str_equal(key, "mpol")) {
		return -EINVAL;
	}
	return err ? -EINVAL : 0;
}

static int parse_options(struct tmpfs_options *o, const char *text)
{
	if (!text)
		return 0;
	char *copy = kstrdup(text, PATH_MAX), *next;
	int err = copy ? 0 : -ENOMEM;
	for (char *at = copy; at && *at && !err; at = next) {
		next = strchr(at, ',');
		if (next)
			*next++ = 0;
		err = parse_option(o, at);
		if (!next)
			break;
	}
	kfree(copy);
	return err;
}

static int tmpfs_remount(struct super_block *sb, u64 flags, const char *options)
{
	struct tmpfs_options o = {};
	struct tmpfs_super *s = tmpfs_s(sb);
	int err = parse_options(&o, options);
	(void)flags;
	if (err)
		return err;
	u64 pages = o.pages ? o.pages : ~0ull;
	if (o.has_pages && pages < atomic_load(&s->used_pages))
		return -EINVAL;
	if (o.has_pages)
		atomic_store(&s->limit_pages, pages);
	if (o.has_inodes)
		atomic_store(&s->limit_inodes, o.inodes ? o.inodes : ~0ull);
	return 0;
}

static void tmpfs_show_options(struct super_block *sb, char *buf, size_t cap)
{
	u64 limit = atomic_load(&tmpfs_s(sb)->limit_pages);
	u32 mode = sb->root->inode->mode & 07777;
	int n = limit == ~0ull ? 0 : scnprintf(buf, cap, ",size=%lluk", limit * (PAGE_SIZE / 1024));
	if (!n && cap)
		buf[0] = 0;
	if (mode != 01777)
		scnprintf(buf + n, cap - (size_t)n, ",mode=%o", mode);
}

static void tmpfs_release(struct super_block *sb)
{
	rcu_barrier(); // inodes' objects uncharge themselves when they go
	kfree(sb->private_data);
}

static const struct super_ops tmpfs_super_ops = {
	.evict_inode = tmpfs_evict,
	.free_inode = tmpfs_free_inode,
	.statfs = tmpfs_statfs,
	.remount = tmpfs_remount,
	.show_options = tmpfs_show_options,
	.release = tmpfs_release,
};

static int tmpfs_make_super(const struct fs_type *t, const struct tmpfs_options *o,
			    struct super_block **out)
{
	struct super_block *sb = super_alloc(t, &tmpfs_super_ops);
	struct tmpfs_super *s = kzalloc(sizeof(*s));
	if (!sb || !s)
		goto no_memory;
	atomic_store(&s->limit_pages, o->pages ? o->pages : ~0ull);
	atomic_store(&s->limit_inodes, o->inodes ? o->inodes : ~0ull);
	sb->private_data = s;
	sb->flags = SB_DCACHE_COMPLETE;
	struct inode *root = tmpfs_inode_make(sb, nullptr, S_IFDIR | o->mode, 0);
	if (is_err(root))
		goto no_memory;
	root->uid = o->uid;
	root->gid = o->gid;
	sb->root = dentry_alloc_root(sb, root);
	if (!sb->root) {
		inode_put(root);
		goto no_memory;
	}
	*out = sb;
	return 0;
no_memory:
	kfree(s);
	kfree(sb);
	return -ENOMEM;
}

static struct tmpfs_options tmpfs_defaults(u32 mode, bool limited)
{
	struct page_stats st;
	page_stats_read(&st);
	return (struct tmpfs_options){
		.pages = limited ? st.total / 2 : 0,
		.inodes = limited ? max(st.total / 2, 1024ull) : 0,
		.mode = mode,
	};
}

static int tmpfs_mount(const struct fs_type *t, const char *source, const char *options, u64 flags,
		       struct super_block **out)
{
	struct tmpfs_options o = tmpfs_defaults(t == &ramfs_type ? 0755 : 01777, t != &ramfs_type);
	(void)source;
	(void)flags;
	o.uid = current_cred()->fsuid;
	o.gid = current_cred()->fsgid;
	int err = parse_options(&o, options);
	return err ? err : tmpfs_make_super(t, &o, out);
}

int tmpfs_mount_kernel(const struct fs_type *t, u32 mode, bool limited, struct super_block **out)
{
	struct tmpfs_options o = tmpfs_defaults(mode, limited);
	return tmpfs_make_super(t, &o, out);
}

static const struct inode_ops tmpfs_dir_ops = {
	.create = tmpfs_create,
	.symlink = tmpfs_symlink,
	.link = tmpfs_link,
	.unlink = tmpfs_unlink,
	.rmdir = tmpfs_rmdir,
	.rename = tmpfs_rename,
	.tmpfile = tmpfs_tmpfile,
	.setattr = tmpfs_setattr,
	.xattr_get = tmpfs_xattr_get,
	.xattr_set = tmpfs_xattr_set,
	.xattr_list = tmpfs_xattr_list,
};
static const struct inode_ops tmpfs_file_inode_ops = {
	.setattr = tmpfs_setattr,
	.xattr_get = tmpfs_xattr_get,
	.xattr_set = tmpfs_xattr_set,
	.xattr_list = tmpfs_xattr_list,
};
static const struct inode_ops tmpfs_other_ops = {
	.setattr = tmpfs_setattr,
	.xattr_get = tmpfs_xattr_get,
	.xattr_set = tmpfs_xattr_set,
	.xattr_list = tmpfs_xattr_list,
};
static const struct file_ops tmpfs_file_ops = {
	.read = tmpfs_read,
	.write = tmpfs_write,
	.lseek = tmpfs_lseek,
	.mmap = tmpfs_mmap,
	.fsync = tmpfs_fsync,
	.fallocate = tmpfs_fallocate,
};
static const struct file_ops tmpfs_dir_file_ops = {
	.iterate = dcache_iterate,
	.lseek = dcache_dir_lseek,
	.fsync = tmpfs_fsync,
};

struct fs_type tmpfs_type = {.name = "tmpfs", .magic = 0x01021994, .mount = tmpfs_mount};
struct fs_type ramfs_type = {.name = "ramfs", .magic = 0x858458f6, .mount = tmpfs_mount};
struct fs_type rootfs_type = {.name = "rootfs", .magic = 0x01021994};

void tmpfs_init(void)
{
	slab_cache_init(&tmpfs_cache, "tmpfs_inode", sizeof(struct tmpfs_inode), 64);
	(void)fs_register(&tmpfs_type);
	(void)fs_register(&ramfs_type);
	(void)fs_register(&rootfs_type);
	int err = tmpfs_mount_kernel(&tmpfs_type, 01777, false, &shm_super);
	assert_always(!err);
}

// SPDX-License-Identifier: MIT
// tmpfs_file.c owns the contents of tmpfs files: reading, writing, holes, mapping, and the seals
// that forbid changes (memfd). Privileged.
#include "linux/fs/tmpfs_priv.h"
#include "core/page.h"

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

const struct inode_ops tmpfs_file_inode_ops = {
	.setattr = tmpfs_setattr,
	.xattr_get = tmpfs_xattr_get,
	.xattr_set = tmpfs_xattr_set,
	.xattr_list = tmpfs_xattr_list,
};
const struct file_ops tmpfs_file_ops = {
	.read = tmpfs_read,
	.write = tmpfs_write,
	.lseek = tmpfs_lseek,
	.mmap = tmpfs_mmap,
	.fsync = tmpfs_fsync,
	.fallocate = tmpfs_fallocate,
};

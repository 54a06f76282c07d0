// SPDX-License-Identifier: MIT
// file.c owns open file descriptions: opening, their end, and files without a place in the tree.
// Privileged.
//
// A file counts its path (mount and dentry, and through it the inode). The last reference runs
// ops->release in whatever thread drops it; no spinlock may be held then.
#include "linux/fs/fs_priv.h"
#include "base/fmt.h"
#include "linux/notify.h"

static struct slab_cache file_cache;
static struct mount *pseudo_mount; // of all files without a place
static struct inode *anon_inode;   // shared by eventfd, epoll and the like

struct file *file_alloc(void)
{
	struct file *f = slab_alloc(&file_cache);
	if (unlikely(!f))
		return nullptr;
	f->mode = 0;
	f->flags = 0;
	refcount_set(&f->refs, 1);
	f->pos = 0;
	f->private_data = nullptr;
	mutex_init(&f->pos_lock, LOCK_file_pos);
	f->epoll = nullptr;
	f->owner = nullptr;
	f->dir_cursor = nullptr;
	return f;
}

static void file_free_rcu(struct rcu_head *h)
{
	slab_free(&file_cache, container_of(h, struct file, rcu));
}

static void file_free(struct file *f)
{
	if (unlikely(f->mode & FILE_RCU))
		rcu_call(&f->rcu, file_free_rcu);
	else
		slab_free(&file_cache, f);
}

void file_put_last(struct file *f)
{
	if (f->mode & FILE_OPENED)
		notify_dentry(f->path.dentry,
			      f->mode & FILE_WRITE ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
	if (unlikely(f->epoll))
		epoll_file_release(f);
	if (unlikely(f->mode & FILE_LOCKED))
		locks_release_file(f);
	if (unlikely(f->flags & O_ASYNC) && f->ops->set_async)
		(void)f->ops->set_async(f, false);
	if ((f->mode & FILE_OPENED) && f->ops->release)
		f->ops->release(f);
	if (unlikely(f->owner))
		file_owner_free(f);
	if (f->mode & FILE_WRITER)
		atomic_dec(&f->inode->writers);
	if (f->mode & FILE_EXEC)
		inode_allow_write(f->inode);
	if (f->dir_cursor)
		dentry_put(f->dir_cursor);
	dentry_put(f->path.dentry);
	mount_put(f->path.mnt);
	file_free(f);
}

// ---- opening ----

static u32 open_mask(u32 flags)
{
	static const u8 by_mode[] = {MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE,
				     MAY_READ | MAY_WRITE};
	return by_mode[flags & O_ACCMODE] | (flags & O_TRUNC ? MAY_WRITE : 0);
}

// created: the file was just made by this open, whose rights its mode does not limit.
static int open_check(const struct path *p, u32 flags, bool created)
{
	struct inode *i = p->dentry->inode;
	u32 mask = open_mask(flags);
	switch (i->mode & S_IFMT) {
	case S_IFLNK:
		return -ELOOP;
	case S_IFDIR:
		if (mask & MAY_WRITE)
			return -EISDIR;
		break;
	case S_IFBLK:
	case S_IFCHR:
		if (p->mnt->flags & MS_NODEV)
			return -EACCES;
		break;
	default:
		break;
	}
	if (!created) {
		int err = path_permission(p, mask);
		if (err)
			return err;
	}
	if (unlikely(i->flags & INODE_APPEND)) {
		if ((flags & O_ACCMODE) != O_RDONLY && !(flags & O_APPEND))
			return -EPERM;
		if (flags & O_TRUNC)
			return -EPERM;
	}
	if (unlikely(flags & O_NOATIME) && !inode_owner_or_capable(i))
		return -EPERM;
	return 0;
}

static int inode_get_write(struct inode *i)
{
	s32 old = atomic_load(&i->writers);
	do {
		if (old < 0)
			return -ETXTBSY;
	} while (!atomic_try_cmpxchg(&i->writers, &old, old + 1));
	return 0;
}

// Opens what p names, rights having been checked. Takes over p's references, also on failure.
static struct file *open_path_checked(const struct path *p, u32 flags)
{
	struct inode *i = p->dentry->inode;
	int err = -ENOMEM;
	struct file *f = file_alloc();
	if (unlikely(!f))
		goto put_path;
	f->path = *p;
	f->inode = i;
	f->ops = i->file_ops;
	f->flags = flags & ~(u32)(O_CREAT | O_EXCL | O_TRUNC | O_CLOEXEC);
	if (unlikely(flags & O_PATH)) {
		f->mode = FILE_PATH;
		f->ops = &no_open_ops;
		return f;
	}
	u32 type = i->mode & S_IFMT;
	u32 acc = flags & O_ACCMODE;
	f->mode = (acc != O_WRONLY && acc != O_ACCMODE ? FILE_READ : 0) |
		  (acc == O_WRONLY || acc == O_RDWR ? FILE_WRITE : 0);
	f->mode |= flags & O_NOATIME ? FILE_NOATIME : 0;
	if (type == S_IFREG || type == S_IFDIR)
		f->mode |= FILE_POS_LOCK;
	if (type == S_IFREG && (f->mode & FILE_WRITE)) {
		err = inode_get_write(i);
		if (err)
			goto free_file;
		f->mode |= FILE_WRITER;
	}
	f->mode |= FILE_OPENED;
	if (f->ops->open) {
		err = f->ops->open(i, f);
		if (unlikely(err)) {
			f->mode &= ~(u32)FILE_OPENED;
			file_put(f);
			return err_ptr(err);
		}
	}
	f->flags &= ~(u32)O_NOCTTY; // terminals have seen it
	return f;
free_file:
	file_free(f);
put_path:
	path_put(p);
	return err_ptr(err);
}

static struct file *open_path(const struct path *p, u32 flags, bool created)
{
	int err = flags & O_PATH ? 0 : open_check(p, flags, created);
	if (unlikely(err)) {
		path_put(p);
		return err_ptr(err);
	}
	struct file *f = open_path_checked(p, flags);
	if ((flags & O_TRUNC) && !created && !is_err(f) && S_ISREG(f->inode->mode)) {
		err = path_truncate(&f->path, f, 0, ATTR_OPEN);
		if (err) {
			file_put(f);
			return err_ptr(err);
		}
	}
	if (!is_err(f) && !(flags & O_PATH))
		notify_dentry(f->path.dentry, IN_OPEN);
	return f;
}

// Makes the file in dir (counted; taken over). *p is the new file's path; -EEXIST: it is there by
// now.
static int create_in(const struct path *dir, struct component *last, u32 mode, struct path *p)
{
	struct inode *di = dir->dentry->inode;
	int err = path_check_write(dir);
	if (err)
		return err;
	mutex_lock(&di->lock);
	struct dentry *d = di->flags & INODE_DEAD ? err_ptr(-ENOENT)
						  : dentry_lookup_component(dir->dentry, last);
	err = ptr_err_or_zero(d);
	if (!err && d->inode)
		err = -EEXIST;
	else if (!err)
		err = inode_permission(di, MAY_WRITE | MAY_EXEC);
	if (!err)
		err = di->ops->create ? di->ops->create(di, d, mode, 0) : -EACCES;
	mutex_unlock(&di->lock);
	if (err) {
		if (!is_err(d))
			dentry_put(d);
		return err;
	}
	notify_name(di, IN_CREATE, 0, last->name, last->len);
	*p = (struct path){.mnt = dir->mnt, .dentry = d};
	mount_get(p->mnt);
	return 0;
}

// One attempt of an open with O_CREAT; -ECHILD: try again.
static struct file *open_create(int dirfd, const char *name, const struct open_how *how, u32 lookup)
{
	struct walk w;
	struct path p, dir;
	char text[NAME_MAX + 1 + NAME_SLACK];
	u32 flags = (u32)how->flags;
	int err = walk_run(&w, dirfd, name, lookup | WALK_CREATE);
	if (err)
		return err_ptr(err);
	bool create = w.create;
	struct component last = w.last;
	if (create) {
		if (w.nlinks) { // the name lies in the walk's memory
			memcpy(text, last.name, last.len);
			memset(text + last.len, 0, 1 + NAME_SLACK);
			last.name = text;
		}
		bool slash = w.trailing_slash;
		err = walk_take(&w, &dir);
		if (err)
			return err_ptr(err);
		err = slash ? -EISDIR
			    : create_in(&dir, &last,
					S_IFREG | (fs_mode_masked((u32)how->mode) & 07777), &p);
		path_put(&dir);
		if (err == -EEXIST && !(flags & O_EXCL))
			err = -ECHILD;
		return err ? err_ptr(err) : open_path(&p, flags, true);
	}
	bool slash = w.trailing_slash;
	err = walk_take(&w, &p);
	if (!err && (flags & O_EXCL))
		err = -EEXIST;
	else if (!err && (slash || S_ISDIR(p.dentry->inode->mode)))
		err = -EISDIR;
	else if (!err)
		return open_path(&p, flags, false);
	if (err != -ECHILD)
		path_put(&p);
	return err_ptr(err);
}

static struct file *open_tmpfile(int dirfd, const char *name, const struct open_how *how,
				 u32 lookup)
{
	struct path dir, p;
	struct inode *i = nullptr;
	int err = walk_to_path(dirfd, name, lookup | LOOKUP_DIRECTORY, &dir);
	if (err)
		return err_ptr(err);
	struct inode *di = dir.dentry->inode;
	err = path_permission(&dir, MAY_WRITE | MAY_EXEC);
	if (!err)
		err = di->ops->tmpfile
			      ? di->ops->tmpfile(
					di, S_IFREG | (fs_mode_masked((u32)how->mode) & 07777), &i)
			      : -EOPNOTSUPP;
	if (!err) {
		char text[24 + NAME_SLACK] = {};
		struct component c = {.name = text,
				      .len = (u32)scnprintf(text, 24, "#%llu", i->ino)};
		p = (struct path){.mnt = dir.mnt, .dentry = dentry_alloc(di->sb, dir.dentry, &c)};
		if (!p.dentry) {
			inode_put(i);
			err = -ENOMEM;
		} else {
			p.dentry->inode = i;
			dentry_set_flag(p.dentry, DENTRY_UNLINKED);
			mount_get(p.mnt);
		}
	}
	path_put(&dir);
	u32 flags = (u32)how->flags & ~(u32)O_TRUNC;
	return err ? err_ptr(err) : open_path(&p, flags, true);
}

struct file *file_open_at(int dirfd, const char *name, const struct open_how *how, u32 lookup)
{
	u32 flags = (u32)how->flags;
	struct path p;
	if (unlikely(flags & O_TMPFILE_BIT))
		return open_tmpfile(dirfd, name, how, lookup);
	if (flags & O_CREAT) {
		struct file *f;
		do
			f = open_create(dirfd, name, how, lookup);
		while (is_err(f) && ptr_err(f) == -ECHILD);
		return f;
	}
	int err = walk_to_path(dirfd, name, lookup, &p);
	return unlikely(err) ? err_ptr(err) : open_path(&p, flags, false);
}

constexpr u64 OPEN_FLAGS = O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND |
			   O_NONBLOCK | O_SYNC | O_ASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY |
			   O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | O_TMPFILE_BIT;

// Checks and completes how: open(2) ignores unknown flags before it comes here, openat2(2) does
// not.
int open_how_check(struct open_how *how, u32 *lookup)
{
	u64 flags = how->flags;
	if (flags & ~OPEN_FLAGS)
		return -EINVAL;
	bool creates = flags & (O_CREAT | O_TMPFILE_BIT);
	if (creates ? how->mode & ~07777ull : how->mode)
		return -EINVAL;
	if ((flags & O_TMPFILE_BIT) &&
	    (!(flags & O_DIRECTORY) || (flags & O_ACCMODE) == O_RDONLY || (flags & O_CREAT)))
		return -EINVAL;
	if ((flags & (O_DIRECTORY | O_CREAT)) == (O_DIRECTORY | O_CREAT))
		return -EINVAL;
	if (flags & O_PATH)
		flags &= O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC;
	*lookup |= flags & O_DIRECTORY && !(flags & O_TMPFILE_BIT) ? LOOKUP_DIRECTORY : 0;
	if (!(flags & O_NOFOLLOW) && (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL))
		*lookup |= LOOKUP_FOLLOW;
	how->flags = flags;
	return 0;
}

static long open_user(int dirfd, const char __user *name, struct open_how *how, u32 lookup)
{
	struct pathname n;
	int err = open_how_check(how, &lookup);
	if (unlikely(err))
		return err;
	err = pathname_from_user(&n, name);
	if (unlikely(err))
		return err;
	int fd = fd_alloc(0, (int)how->flags);
	if (likely(fd >= 0)) {
		struct file *f = file_open_at(dirfd, n.text, how, lookup);
		if (likely(!is_err(f))) {
			fd_install(fd, f);
		} else {
			fd_cancel(fd);
			fd = ptr_err(f);
		}
	}
	pathname_free(&n);
	return fd;
}

static long open_old(int dirfd, const char __user *name, int flags, u32 mode)
{
	struct open_how how = {.flags = (u32)flags & OPEN_FLAGS};
	if (how.flags & (O_CREAT | O_TMPFILE_BIT))
		how.mode = mode & 07777;
	// Without O_DIRECTORY the bit is one that older programs set by accident.
	if ((how.flags & O_TMPFILE_BIT) && !(how.flags & O_DIRECTORY))
		how.flags &= ~(u64)O_TMPFILE_BIT;
	if (how.flags & O_PATH) {
		how.flags &= O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC;
		how.mode = 0;
	}
	return open_user(dirfd, name, &how, 0);
}

SYSCALL(open, const char __user *name, int flags, u32 mode)
{
	return open_old(AT_FDCWD, name, flags, mode);
}

SYSCALL(openat, int dirfd, const char __user *name, int flags, u32 mode)
{
	return open_old(dirfd, name, flags, mode);
}

SYSCALL(creat, const char __user *name, u32 mode)
{
	return open_old(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

SYSCALL(openat2, int dirfd, const char __user *name, const struct open_how __user *uhow,
	size_t size)
{
	struct open_how how;
	u64 extra;
	if (size < sizeof(how))
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	if (copy_from_user(&how, uhow, sizeof(how)))
		return -EFAULT;
	for (size_t at = sizeof(how); at < size;
	     at += min(size - at, sizeof(extra))) { // fields of the future must be zero
		extra = 0;
		if (copy_from_user(&extra, (const u8 __user *)uhow + at,
				   min(size - at, sizeof(extra))))
			return -EFAULT;
		if (extra)
			return -E2BIG;
	}
	constexpr u64 all = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS |
			    RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_CACHED;
	if ((how.resolve & ~all) ||
	    ((how.resolve & RESOLVE_BENEATH) && (how.resolve & RESOLVE_IN_ROOT)))
		return -EINVAL;
	if ((how.flags & O_PATH) &&
	    (how.flags & ~(u64)(O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC)))
		return -EINVAL;
	u32 lookup = (how.resolve & RESOLVE_NO_XDEV ? LOOKUP_NO_XDEV : 0) |
		     (how.resolve & RESOLVE_NO_MAGICLINKS ? LOOKUP_NO_MAGICLINKS : 0) |
		     (how.resolve & RESOLVE_NO_SYMLINKS ? LOOKUP_NO_SYMLINKS : 0) |
		     (how.resolve & RESOLVE_BENEATH ? LOOKUP_BENEATH : 0) |
		     (how.resolve & RESOLVE_IN_ROOT ? LOOKUP_IN_ROOT : 0) |
		     (how.resolve & RESOLVE_CACHED ? LOOKUP_CACHED : 0);
	if ((lookup & LOOKUP_CACHED) && (how.flags & (O_TRUNC | O_CREAT | O_TMPFILE_BIT)))
		return -EAGAIN;
	return open_user(dirfd, name, &how, lookup);
}

// ---- the kernel's own use ----

struct file *file_open_kernel(const char *path, int flags, u32 mode)
{
	struct open_how how = {.flags = (u32)flags, .mode = flags & O_CREAT ? mode : 0};
	u32 lookup = 0;
	struct pathname n;
	int err = open_how_check(&how, &lookup);
	if (!err)
		err = pathname_from_kernel(&n, path);
	if (err)
		return err_ptr(err);
	struct file *f = file_open_at(AT_FDCWD, n.text, &how, lookup);
	pathname_free(&n);
	return f;
}

struct file *file_open_path(const struct path *p, int flags)
{
	path_get(p);
	return open_path(p, (u32)flags, false);
}

struct file *file_open_exec(const struct path *p)
{
	path_get(p);
	struct file *f = open_path_checked(p, O_RDONLY);
	if (!is_err(f)) {
		f->mode |= FILE_EXEC;
		notify_dentry(f->path.dentry, IN_OPEN);
	}
	return f;
}

struct file *file_create_on(const struct path *p, const struct file_ops *ops, u32 mode, u32 flags)
{
	struct file *f = file_alloc();
	if (!f) {
		path_put(p);
		return err_ptr(-ENOMEM);
	}
	f->path = *p;
	f->inode = p->dentry->inode;
	f->ops = ops;
	f->mode = mode | FILE_OPENED;
	f->flags = flags;
	return f;
}

static int pseudo_describe(struct dentry *d, char *buf, size_t cap)
{
	if (d->inode == anon_inode)
		return snprintf(buf, cap, "anon_inode:%s", d->name);
	return snprintf(buf, cap, "%s:[%llu]", d->name, d->inode->ino);
}

static const struct dentry_ops pseudo_dentry_ops = {.describe = pseudo_describe};

// A dentry outside the tree. Takes over inode.
static int pseudo_path(const char *name, struct inode *inode, struct path *out)
{
	char text[DNAME_INLINE + NAME_SLACK] = {};
	strscpy(text, name, DNAME_INLINE);
	struct component c = {.name = text, .len = (u32)strlen(text)};
	struct dentry *d = dentry_alloc(pseudo_mount->sb, nullptr, &c);
	if (!d) {
		inode_put(inode);
		return -ENOMEM;
	}
	d->ops = &pseudo_dentry_ops;
	d->flags = DENTRY_ANONYMOUS;
	d->inode = inode;
	mount_get(pseudo_mount);
	*out = (struct path){.mnt = pseudo_mount, .dentry = d};
	return 0;
}

u32 file_mode_of_flags(u32 flags)
{
	static const u32 modes[] = {FILE_READ, FILE_WRITE, FILE_READ | FILE_WRITE, 0};
	return modes[flags & O_ACCMODE];
}

// Takes over p, also on failure.
static struct file *file_create_pseudo(const struct path *p, const struct file_ops *ops, void *priv,
				       int flags)
{
	struct file *f = file_create_on(p, ops, file_mode_of_flags((u32)flags) | FILE_STREAM,
					(u32)flags & (O_ACCMODE | O_NONBLOCK));
	if (!is_err(f))
		f->private_data = priv;
	return f;
}

struct file *pseudo_file_create(const char *name, const struct file_ops *ops, void *priv, int flags)
{
	struct path p;
	inode_get(anon_inode);
	int err = pseudo_path(name, anon_inode, &p);
	if (err)
		return err_ptr(err);
	return file_create_pseudo(&p, ops, priv, flags);
}

int pseudo_path_create(const char *prefix, u32 mode, const struct file_ops *ops, struct path *out)
{
	struct inode *i = inode_alloc(pseudo_mount->sb, mode);
	if (!i)
		return -ENOMEM;
	const struct cred *c = current_cred();
	i->uid = c->fsuid;
	i->gid = c->fsgid;
	i->file_ops = ops;
	return pseudo_path(prefix, i, out);
}

struct file *pseudo_file_create_inode(const char *prefix, u32 mode, const struct file_ops *ops,
				      void *priv, int flags)
{
	struct path p;
	int err = pseudo_path_create(prefix, mode, S_ISSOCK(mode) ? &no_open_ops : ops, &p);
	if (err)
		return err_ptr(err);
	return file_create_pseudo(&p, ops, priv, flags);
}

static int no_open(struct inode *inode, struct file *f)
{
	(void)inode;
	(void)f;
	return -ENXIO;
}
const struct file_ops no_open_ops = {.open = no_open};

u32 file_poll(struct file *f, struct poll_table *table)
{
	constexpr u32 always =
		0x001 | 0x004 | 0x040 | 0x100; // POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM
	return f->ops->poll ? f->ops->poll(f, table) : always;
}

void file_cache_init(void)
{
	slab_cache_init(&file_cache, "file", sizeof(struct file), 64);
}

static struct fs_type pseudo_type = {.name = "anon_inodefs", .magic = 0x09041934};

void pseudo_init(void)
{
	struct super_block *sb = super_alloc(&pseudo_type, nullptr);
	assert_always(sb);
	sb->flags = SB_KERNEL;
	struct inode *root = inode_alloc(sb, S_IFDIR | 0755);
	sb->root = root ? dentry_alloc_root(sb, root) : nullptr;
	anon_inode = inode_alloc(sb, 0600);
	assert_always(sb->root && anon_inode);
	anon_inode->file_ops = &no_open_ops;
	pseudo_mount = mount_create_kernel(sb);
	assert_always(pseudo_mount);
}

// SPDX-License-Identifier: MIT
// dirs.c owns the calls that change names: mkdir, mknod, link, symlink, unlink, rmdir, rename.
// Privileged.
//
// Each walks to the directory, locks it, looks the name up again under the lock, checks, and lets
// the file system act. Two directories are locked by rename only: the super block's rename lock is
// taken first, then the ancestor before the descendant, or else by address. A directory that is to
// go is locked beneath its parent, so that nothing is made in it meanwhile.
#include "linux/fs/fs_priv.h"
#include "base/fmt.h"
#include "linux/notify.h"

// ---- making ----

struct making {
	struct parent_walk at;
	struct dentry *d; // counted, without inode
};

// The locked directory and the free name in it; dir: a directory will be made (a slash at the end
// is fine then).
static int making_begin(struct making *m, int dirfd, const char *name, bool dir)
{
	int err = walk_to_parent(dirfd, name, 0, &m->at);
	if (err)
		return err;
	struct inode *di = m->at.dir.dentry->inode;
	if (m->at.type != LAST_NORMAL) {
		parent_walk_end(&m->at);
		return -EEXIST;
	}
	mutex_lock(&di->lock);
	m->d = di->flags & INODE_DEAD ? err_ptr(-ENOENT)
				      : dentry_lookup_component(m->at.dir.dentry, &m->at.last);
	err = ptr_err_or_zero(m->d);
	if (!err && m->d->inode)
		err = -EEXIST;
	else if (!err && m->at.trailing_slash && !dir)
		err = -ENOENT;
	if (!err)
		err = path_check_write(&m->at.dir);
	if (!err)
		err = inode_permission(di, MAY_WRITE | MAY_EXEC);
	if (err) {
		mutex_unlock(&di->lock);
		if (!is_err(m->d))
			dentry_put(m->d);
		parent_walk_end(&m->at);
	}
	return err;
}

// err: what came of it.
static void making_end(struct making *m, int err)
{
	struct inode *dir = m->at.dir.dentry->inode;
	mutex_unlock(&dir->lock);
	if (!err)
		notify_name(dir, IN_CREATE | (S_ISDIR(m->d->inode->mode) ? IN_ISDIR : 0), 0,
			    m->at.last.name, m->at.last.len);
	dentry_put(m->d);
	parent_walk_end(&m->at);
}

static int make_node(int dirfd, const char *name, u32 mode, u64 dev, struct path *out)
{
	struct making m;
	if ((S_ISCHR(mode) || S_ISBLK(mode)) && !capable(CAP_MKNOD) && !(S_ISCHR(mode) && !dev))
		return -EPERM;
	int err = making_begin(&m, dirfd, name, S_ISDIR(mode));
	if (err)
		return err;
	struct inode *di = m.at.dir.dentry->inode;
	u32 bits = S_ISDIR(mode) ? S_IRWXUGO | S_ISVTX : 07777;
	err = di->ops->create
		      ? di->ops->create(di, m.d, (mode & S_IFMT) | (fs_mode_masked(mode) & bits),
					dev)
		      : -EPERM;
	if (!err && out) {
		*out = (struct path){.mnt = m.at.dir.mnt, .dentry = m.d};
		path_get(out);
	}
	making_end(&m, err);
	return err;
}

static int make_symlink(const char *target, int dirfd, const char *name)
{
	struct making m;
	if (!*target)
		return -ENOENT;
	int err = making_begin(&m, dirfd, name, false);
	if (err)
		return err;
	struct inode *di = m.at.dir.dentry->inode;
	err = di->ops->symlink ? di->ops->symlink(di, m.d, target) : -EPERM;
	making_end(&m, err);
	return err;
}

static int make_link(const struct path *old, int dirfd, const char *name)
{
	struct making m;
	struct inode *i = old->dentry->inode;
	int err = making_begin(&m, dirfd, name, false);
	if (err)
		return err;
	struct inode *di = m.at.dir.dentry->inode;
	if (old->mnt != m.at.dir.mnt)
		err = -EXDEV;
	else if (S_ISDIR(i->mode) || !di->ops->link ||
		 (i->flags & (INODE_APPEND | INODE_IMMUTABLE)))
		err = -EPERM;
	if (!err) {
		mutex_lock(&i->lock);
		// A file without names may be linked only if it was opened by O_TMPFILE (its name
		// begins with '#').
		if (!i->nlink && old->dentry->name[0] != '#')
			err = -ENOENT;
		else
			err = di->ops->link(i, di, m.d);
		mutex_unlock(&i->lock);
		if (!err)
			notify_inode(i, IN_ATTRIB);
	}
	making_end(&m, err);
	return err;
}

static long make_node_user(int dirfd, const char __user *name, u32 mode, u64 dev)
{
	struct pathname n;
	int err = pathname_from_user(&n, name);
	if (err)
		return err;
	err = make_node(dirfd, n.text, mode, dev, nullptr);
	pathname_free(&n);
	return err;
}

SYSCALL(mkdirat, int dirfd, const char __user *name, u32 mode)
{
	return make_node_user(dirfd, name, S_IFDIR | (mode & (S_IRWXUGO | S_ISVTX)), 0);
}

SYSCALL(mkdir, const char __user *name, u32 mode)
{
	return sys_mkdirat(AT_FDCWD, name, mode);
}

SYSCALL(mknodat, int dirfd, const char __user *name, u32 mode, u32 dev)
{
	switch (mode & S_IFMT) {
	case 0:
		mode |= S_IFREG;
		break;
	case S_IFREG:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	case S_IFDIR:
		return -EPERM;
	default:
		return -EINVAL;
	}
	return make_node_user(dirfd, name, mode & (S_IFMT | 07777), dev_decode(dev));
}

SYSCALL(mknod, const char __user *name, u32 mode, u32 dev)
{
	return sys_mknodat(AT_FDCWD, name, mode, dev);
}

SYSCALL(symlinkat, const char __user *target, int dirfd, const char __user *name)
{
	struct pathname t, n;
	int err = pathname_from_user(&t, target);
	if (err)
		return err;
	err = pathname_from_user(&n, name);
	if (!err) {
		err = make_symlink(t.text, dirfd, n.text);
		pathname_free(&n);
	}
	pathname_free(&t);
	return err;
}

SYSCALL(symlink, const char __user *target, const char __user *name)
{
	return sys_symlinkat(target, AT_FDCWD, name);
}

SYSCALL(linkat, int old_fd, const char __user *old, int new_fd, const char __user *new, int flags)
{
	struct path p;
	struct pathname n;
	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if ((flags & AT_EMPTY_PATH) && !capable(CAP_DAC_READ_SEARCH))
		return -ENOENT;
	u32 lookup = (flags & AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0) |
		     (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
	int err = path_lookup_user(old_fd, old, lookup, &p);
	if (err)
		return err;
	err = pathname_from_user(&n, new);
	if (!err) {
		err = make_link(&p, new_fd, n.text);
		pathname_free(&n);
	}
	path_put(&p);
	return err;
}

SYSCALL(link, const char __user *old, const char __user *new)
{
	return sys_linkat(AT_FDCWD, old, AT_FDCWD, new, 0);
}

// ---- removing ----

// May current take d out of dir? dir's lock held.
static int may_delete(struct inode *dir, struct dentry *d, bool is_dir)
{
	struct inode *i = d->inode;
	int err = inode_permission(dir, MAY_WRITE | MAY_EXEC);
	if (err)
		return err;
	if ((dir->mode & S_ISVTX) && current_cred()->fsuid != i->uid &&
	    current_cred()->fsuid != dir->uid && !capable(CAP_FOWNER))
		return -EPERM;
	if ((dir->flags & INODE_APPEND) || (i->flags & (INODE_APPEND | INODE_IMMUTABLE)))
		return -EPERM;
	if (is_dir)
		return !S_ISDIR(i->mode) ? -ENOTDIR : dentry_is_root(d) ? -EBUSY : 0;
	return S_ISDIR(i->mode) ? -EISDIR : 0;
}

static int remove_locked(struct inode *di, struct dentry *d, bool is_dir)
{
	struct inode *i = d->inode;
	int err = may_delete(di, d, is_dir);
	if (err)
		return err;
	if (dentry_flags(d) & DENTRY_MOUNTED)
		return -EBUSY;
	if (!(is_dir ? (void *)di->ops->rmdir : (void *)di->ops->unlink))
		return -EPERM;
	if (is_dir)
		mutex_lock_nested(&i->lock); // the child of di, whose lock we hold
	else
		mutex_lock(&i->lock);
	err = is_dir ? di->ops->rmdir(di, d) : di->ops->unlink(di, d);
	if (!err && is_dir)
		i->flags |= INODE_DEAD;
	mutex_unlock(&i->lock);
	if (err)
		return err;
	if (!is_dir)
		notify_inode(i, IN_ATTRIB); // its number of names
	dentry_unlink(d);
	notify_name(di, IN_DELETE | (is_dir ? IN_ISDIR : 0), 0, d->name, d->len);
	return 0;
}

static int remove_in(const struct path *dir, const struct component *c, bool is_dir, bool slash)
{
	struct inode *di = dir->dentry->inode;
	mutex_lock(&di->lock);
	struct dentry *d = dentry_lookup_component(dir->dentry, c);
	int err = is_err(d) ? ptr_err(d) : !d->inode ? -ENOENT : path_check_write(dir);
	if (!err && slash && !is_dir)
		err = S_ISDIR(d->inode->mode) ? -EISDIR : -ENOTDIR;
	if (!err)
		err = remove_locked(di, d, is_dir);
	mutex_unlock(&di->lock);
	if (!is_err(d))
		dentry_put(d); // the contents go here, without the directory's lock
	return err;
}

int fs_remove_in(const struct path *dir, const char *name, u32 len)
{
	char text[NAME_MAX + NAME_SLACK] = {};
	memcpy(text, name, len);
	struct component c = {.name = text, .len = len, .hash = name_hash(dir->dentry, text, len)};
	return remove_in(dir, &c, false, false);
}

static int remove_name(int dirfd, const char *name, bool is_dir)
{
	static const int rmdir_error[] = {
		[LAST_ROOT] = -EBUSY, [LAST_DOT] = -EINVAL, [LAST_DOTDOT] = -ENOTEMPTY};
	struct parent_walk at;
	int err = walk_to_parent(dirfd, name, 0, &at);
	if (err)
		return err;
	if (at.type == LAST_NORMAL)
		err = remove_in(&at.dir, &at.last, is_dir, at.trailing_slash);
	else
		err = is_dir ? rmdir_error[at.type] : -EISDIR;
	parent_walk_end(&at);
	return err;
}

static long remove_user(int dirfd, const char __user *name, bool is_dir)
{
	struct pathname n;
	int err = pathname_from_user(&n, name);
	if (err)
		return err;
	err = remove_name(dirfd, n.text, is_dir);
	pathname_free(&n);
	return err;
}

SYSCALL(unlinkat, int dirfd, const char __user *name, int flags)
{
	if (flags & ~AT_REMOVEDIR)
		return -EINVAL;
	return remove_user(dirfd, name, flags & AT_REMOVEDIR);
}

SYSCALL(unlink, const char __user *name)
{
	return remove_user(AT_FDCWD, name, false);
}

SYSCALL(rmdir, const char __user *name)
{
	return remove_user(AT_FDCWD, name, true);
}

// ---- renaming ----

static void lock_two(struct dentry *a, struct dentry *b)
{
	if (a == b) {
		mutex_lock(&a->inode->lock);
		return;
	}
	// The rename lock keeps the tree still: the ancestor first, else by address.
	bool a_first = dentry_is_ancestor(a, b) || (!dentry_is_ancestor(b, a) && a < b);
	mutex_lock(a_first ? &a->inode->lock : &b->inode->lock);
	mutex_lock_nested(a_first ? &b->inode->lock : &a->inode->lock);
}

static void unlock_two(struct dentry *a, struct dentry *b)
{
	mutex_unlock(&a->inode->lock);
	if (a != b)
		mutex_unlock(&b->inode->lock);
}

// Everything that may forbid the rename of old to new; both directories are locked.
static int rename_check(const struct parent_walk *from, const struct parent_walk *to,
			struct dentry *old, struct dentry *new, u32 flags)
{
	struct inode *oi = old->inode, *ni = new->inode;
	struct inode *from_dir = from->dir.dentry->inode, *to_dir = to->dir.dentry->inode;
	bool dir;
	if (!oi)
		return -ENOENT;
	dir = S_ISDIR(oi->mode);
	if ((flags & RENAME_NOREPLACE) && ni)
		return -EEXIST;
	if ((flags & RENAME_EXCHANGE) && !ni)
		return -ENOENT;
	if (!dir && from->trailing_slash)
		return -ENOTDIR;
	if (to->trailing_slash && !((flags & RENAME_EXCHANGE) ? S_ISDIR(ni->mode) : dir))
		return -ENOTDIR;
	if (dentry_is_ancestor(old, to->dir.dentry)) // into itself
		return -EINVAL;
	if (dentry_is_ancestor(new, from->dir.dentry))
		return flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	int err = may_delete(from_dir, old, dir);
	if (err)
		return err;
	if (!ni)
		err = to_dir->flags & INODE_DEAD ? -ENOENT
						 : inode_permission(to_dir, MAY_WRITE | MAY_EXEC);
	else
		err = may_delete(to_dir, new, flags & RENAME_EXCHANGE ? S_ISDIR(ni->mode) : dir);
	if (err)
		return err;
	if (dir && from_dir != to_dir) {
		err = inode_permission(oi, MAY_WRITE); // its ".." changes
		if (err)
			return err;
	}
	if ((dentry_flags(old) | dentry_flags(new)) & DENTRY_MOUNTED)
		return -EBUSY;
	return from_dir->ops->rename ? 0 : -EPERM;
}

// What came from one name to the other, with the file that lay there and is gone, if any.
static void notify_moved(const struct parent_walk *from, const struct parent_walk *to,
			 struct inode *moved, struct inode *gone)
{
	u32 dir = S_ISDIR(moved->mode) ? IN_ISDIR : 0, cookie = notify_cookie();
	notify_name(from->dir.dentry->inode, IN_MOVED_FROM | dir, cookie, from->last.name,
		    from->last.len);
	notify_name(to->dir.dentry->inode, IN_MOVED_TO | dir, cookie, to->last.name, to->last.len);
	if (gone)
		notify_inode(gone, IN_ATTRIB | (S_ISDIR(gone->mode) ? IN_ISDIR : 0));
	notify_inode(moved, IN_MOVE_SELF);
}

static int rename_locked(struct parent_walk *from, struct parent_walk *to, struct dentry *old,
			 struct dentry *new, u32 flags)
{
	struct inode *from_dir = from->dir.dentry->inode, *to_dir = to->dir.dentry->inode;
	if (old->inode && old->inode == new->inode)
		return flags & RENAME_NOREPLACE ? -EEXIST : 0; // two names of one file
	int err = rename_check(from, to, old, new, flags);
	if (err)
		return err;
	// A directory that is replaced must stay empty until it is gone.
	struct inode *victim = new->inode && !(flags & RENAME_EXCHANGE) ? new->inode : nullptr;
	if (victim && S_ISDIR(victim->mode))
		mutex_lock_nested(&victim->lock); // below to_dir, whose lock we hold
	else if (victim)
		mutex_lock(&victim->lock);
	struct move_room room;
	err = dentry_move_prepare(old, new, flags & RENAME_EXCHANGE, &room);
	if (!err) {
		err = from_dir->ops->rename(from_dir, old, to_dir, new, flags);
		if (err)
			dentry_move_cancel(&room);
		else if (flags & RENAME_EXCHANGE)
			dentry_exchange(old, new, &room);
		else
			dentry_move(old, new, &room);
	}
	if (victim) {
		if (!err && S_ISDIR(victim->mode))
			victim->flags |= INODE_DEAD;
		mutex_unlock(&victim->lock);
	}
	if (!err && notify_wanted()) {
		notify_moved(from, to, old->inode, victim);
		if (flags & RENAME_EXCHANGE)
			notify_moved(to, from, new->inode, nullptr);
	}
	return err;
}

static int rename_names(struct parent_walk *from, struct parent_walk *to, u32 flags)
{
	struct dentry *a = from->dir.dentry, *b = to->dir.dentry, *old = nullptr, *new = nullptr;
	struct super_block *sb = a->sb;
	if (from->dir.mnt != to->dir.mnt)
		return -EXDEV;
	if (from->type != LAST_NORMAL || to->type != LAST_NORMAL)
		return (flags & RENAME_NOREPLACE) && to->type != LAST_NORMAL ? -EEXIST : -EBUSY;
	int err = path_check_write(&from->dir);
	if (err)
		return err;
	if (a != b)
		mutex_lock(&sb->rename_lock);
	lock_two(a, b);
	old = dentry_lookup_component(a, &from->last);
	err = ptr_err_or_zero(old);
	if (!err && !old->inode)
		err = -ENOENT;
	if (!err) {
		new = dentry_lookup_component(b, &to->last);
		err = ptr_err_or_zero(new);
	}
	if (!err)
		err = rename_locked(from, to, old, new, flags);
	unlock_two(a, b);
	if (a != b)
		mutex_unlock(&sb->rename_lock);
	if (!is_err_or_null(old))
		dentry_put(old);
	if (!is_err_or_null(new))
		dentry_put(new);
	return err;
}

SYSCALL(renameat2, int old_fd, const char __user *old, int new_fd, const char __user *new,
	u32 flags)
{
	struct pathname o, n;
	struct parent_walk from, to;
	if (flags & ~(u32)(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	if ((flags & RENAME_NOREPLACE) && (flags & RENAME_EXCHANGE))
		return -EINVAL;
	int err = pathname_from_user(&o, old);
	if (err)
		return err;
	err = pathname_from_user(&n, new);
	if (err)
		goto free_old;
	err = walk_to_parent(old_fd, o.text, 0, &from);
	if (err)
		goto free_new;
	err = walk_to_parent(new_fd, n.text, 0, &to);
	if (!err) {
		err = rename_names(&from, &to, flags);
		parent_walk_end(&to);
	}
	parent_walk_end(&from);
free_new:
	pathname_free(&n);
free_old:
	pathname_free(&o);
	return err;
}

SYSCALL(renameat, int old_fd, const char __user *old, int new_fd, const char __user *new)
{
	return sys_renameat2(old_fd, old, new_fd, new, 0);
}

SYSCALL(rename, const char __user *old, const char __user *new)
{
	return sys_renameat2(AT_FDCWD, old, AT_FDCWD, new, 0);
}

// ---- the kernel's own use ----

int fs_mknod(const char *path, u32 mode, u64 dev)
{
	struct pathname n;
	int err = pathname_from_kernel(&n, path);
	if (err)
		return err;
	err = make_node(AT_FDCWD, n.text, mode, dev, nullptr);
	pathname_free(&n);
	return err;
}

int fs_mkdir(const char *path, u32 mode)
{
	return fs_mknod(path, S_IFDIR | (mode & 07777), 0);
}

int fs_bind_socket(const char *path, u32 mode, struct path *out)
{
	struct pathname n;
	int err = pathname_from_kernel(&n, path);
	if (err)
		return err;
	err = make_node(AT_FDCWD, n.text, S_IFSOCK | (mode & S_IRWXUGO), 0, out);
	pathname_free(&n);
	return err == -EEXIST ? -EADDRINUSE : err;
}

int fs_symlink(const char *target, const char *path)
{
	struct pathname n;
	int err = pathname_from_kernel(&n, path);
	if (err)
		return err;
	err = make_symlink(target, AT_FDCWD, n.text);
	pathname_free(&n);
	return err;
}

int fs_link(const char *old, const char *new)
{
	struct pathname n;
	struct path p;
	int err = path_lookup(AT_FDCWD, old, 0, &p);
	if (err)
		return err;
	err = pathname_from_kernel(&n, new);
	if (!err) {
		err = make_link(&p, AT_FDCWD, n.text);
		pathname_free(&n);
	}
	path_put(&p);
	return err;
}

static int fs_remove(const char *path, bool is_dir)
{
	struct pathname n;
	int err = pathname_from_kernel(&n, path);
	if (err)
		return err;
	err = remove_name(AT_FDCWD, n.text, is_dir);
	pathname_free(&n);
	return err;
}

int fs_unlink(const char *path)
{
	return fs_remove(path, false);
}

int fs_rmdir(const char *path)
{
	return fs_remove(path, true);
}

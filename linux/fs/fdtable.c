// SPDX-License-Identifier: MIT
// fdtable.c owns descriptor tables and tasks' file-system contexts (root, working directory,
// umask). Privileged.
//
// A table with one user is read without any lock or count (fd_get). With several users, lookups run
// under RCU and count the file; the file's memory then outlives a grace period (FILE_RCU, set when
// it leaves a shared table). Changes are made under the table's lock, and so are looks from outside
// (procfs), which may not rely on being users.
#include "linux/fs/fs_priv.h"
#include "base/bitmap.h"

constexpr u32 FD_LIMIT = 512 * 1024; // the largest table: its pointers fill the largest kmalloc

static struct slab_cache table_cache;
static struct slab_cache context_cache;

// ---- arrays ----

static void fd_array_free(struct fd_array *a)
{
	kfree(a->files);
	kfree(a->open);
	kfree(a);
}

static void fd_array_free_rcu(struct rcu_head *h)
{
	fd_array_free(container_of(h, struct fd_array, rcu));
}

static struct fd_array *fd_array_make(u32 size)
{
	struct fd_array *a = kzalloc(sizeof(*a));
	if (!a)
		return nullptr;
	a->size = size;
	a->files = kcalloc(size, sizeof(*a->files));
	a->open = kcalloc(size / 64 * 2, sizeof(u64));
	a->cloexec = a->open + size / 64;
	if (!a->files || !a->open) {
		fd_array_free(a);
		return nullptr;
	}
	return a;
}

static void fd_array_copy(struct fd_array *to, const struct fd_array *from)
{
	memcpy(to->files, from->files, from->size * sizeof(*from->files));
	memcpy(to->open, from->open, from->size / 8);
	memcpy(to->cloexec, from->cloexec, from->size / 8);
}

static void table_init(struct fd_table *t)
{
	refcount_set(&t->refs, 1);
	spin_lock_init(&t->lock, LOCK_fdtable);
	t->next = 0;
	t->first = (struct fd_array){.size = FD_FIRST,
				     .files = t->first_files,
				     .open = &t->first_open,
				     .cloexec = &t->first_cloexec};
	t->table = &t->first;
}

struct fd_table *files_create(void)
{
	struct fd_table *t = slab_zalloc(&table_cache);
	if (t)
		table_init(t);
	return t;
}

// Makes room for descriptor fd. Called with the lock held, returns with it held; it is dropped
// meanwhile.
static int table_grow(struct fd_table *t, u32 fd)
{
	if (fd >= FD_LIMIT)
		return -EMFILE;
	u32 size = (u32)round_up_pow2(max(fd + 1, 2 * t->table->size));
	spin_unlock(&t->lock);
	struct fd_array *a = fd_array_make(min(size, FD_LIMIT));
	spin_lock(&t->lock);
	if (!a)
		return -ENOMEM;
	struct fd_array *old = t->table;
	if (old->size >= a->size) { // another thread was faster
		fd_array_free(a);
		return 0;
	}
	fd_array_copy(a, old);
	store_release(&t->table, a);
	if (old != &t->first)
		rcu_call(&old->rcu, fd_array_free_rcu);
	return 0;
}

// One past the highest open descriptor, rounded up to a word.
static u32 table_used(const struct fd_array *a)
{
	u32 words = a->size / 64;
	while (words && !a->open[words - 1])
		words--;
	return words * 64;
}

struct fd_table *files_copy(struct fd_table *from)
{
	struct fd_table *t = slab_alloc(&table_cache);
	if (!t)
		return err_ptr(-ENOMEM);
	table_init(t);
	struct fd_array *a = &t->first, *src;
	u32 used;
	for (;;) {
		spin_lock(&from->lock);
		src = from->table;
		used = table_used(src);
		if (used <= a->size)
			break;
		spin_unlock(&from->lock);
		if (a != &t->first)
			fd_array_free(a);
		a = fd_array_make(used);
		if (!a) {
			slab_free(&table_cache, t);
			return err_ptr(-ENOMEM);
		}
	}
	for (u32 w = 0; w < used / 64; w++) {
		u64 open = src->open[w];
		for (u32 i = w * 64; i < w * 64 + 64; i++) {
			struct file *f = src->files[i];
			a->files[i] = f;
			if (f)
				refcount_inc(&f->refs);
			else
				open &= ~BIT(i % 64); // reserved by another thread that has not
						      // installed yet
		}
		a->open[w] = open;
		a->cloexec[w] = src->cloexec[w] & open;
	}
	spin_unlock(&from->lock);
	for (u32 i = used; i < a->size; i++)
		a->files[i] = nullptr;
	for (u32 w = used / 64; w < a->size / 64; w++)
		a->open[w] = a->cloexec[w] = 0;
	t->next = (u32)bitmap_find_first_zero(a->open, a->size);
	t->table = a;
	return t;
}

// A descriptor has left table t: what close(2) does to the file.
static int file_closed(struct fd_table *t, struct file *f)
{
	int err = f->ops->flush ? f->ops->flush(f) : 0;
	if (unlikely(load_once(
		    &f->inode->locks))) // any descriptor of the inode, whichever set the lock
		locks_release_owner(f, t);
	file_put(f);
	return err;
}

void files_put(struct fd_table *t)
{
	if (!refcount_dec_and_test(&t->refs))
		return;
	struct fd_array *a = t->table;
	for (u32 w = 0; w < a->size / 64; w++) {
		for (u64 bits = a->open[w]; bits; bits &= bits - 1) {
			struct file *f = a->files[w * 64 + (u32)__builtin_ctzll(bits)];
			if (f)
				(void)file_closed(t, f);
		}
	}
	if (a != &t->first)
		fd_array_free(a);
	slab_free(&table_cache, t);
}

int files_unshare(void)
{
	struct task *me = current_task();
	if (refcount_read(&me->files->refs) == 1)
		return 0;
	struct fd_table *t = files_copy(me->files);
	if (is_err(t))
		return ptr_err(t);
	struct fd_table *old = me->files;
	spin_lock(&me->process->lock); // others may be taking a reference
	me->files = t;
	spin_unlock(&me->process->lock);
	files_put(old);
	return 0;
}

void files_close_on_exec(void)
{
	struct fd_table *t = current_task()->files;
	struct fd_array *a = t->table;
	for (u32 w = 0; w < a->size / 64; w++) {
		for (u64 bits = a->cloexec[w]; bits; bits &= bits - 1)
			(void)fd_close((int)(w * 64 + (u32)__builtin_ctzll(bits)));
	}
}

// ---- lookups ----

struct fdref fd_get_counted(struct fd_table *t, u32 fd)
{
	struct file *f;
	rcu_read_lock();
	for (;;) {
		struct fd_array *a = rcu_load(t->table);
		f = fd < a->size ? load_acquire(&a->files[fd]) : nullptr;
		if (!f || likely(refcount_inc_not_zero(&f->refs)))
			break; // a count of zero: it is being closed; look again, the slot is empty
			       // or another's
	}
	rcu_read_unlock();
	return (struct fdref){f, f ? FDREF_COUNTED : 0};
}

struct file *files_get_file(struct fd_table *t, u32 fd)
{
	struct file *f = nullptr;
	spin_lock(&t->lock);
	if (fd < t->table->size && t->table->files[fd])
		f = file_get(t->table->files[fd]);
	spin_unlock(&t->lock);
	return f;
}

int files_next_open(struct fd_table *t, u32 from)
{
	spin_lock(&t->lock);
	struct fd_array *a = t->table;
	size_t fd = from;
	while ((fd = bitmap_find_next(a->open, a->size, fd)) < a->size && !a->files[fd])
		fd++;
	int found = fd < a->size ? (int)fd : -1;
	spin_unlock(&t->lock);
	return found;
}

bool files_is_cloexec(struct fd_table *t, u32 fd)
{
	spin_lock(&t->lock);
	bool set = fd < t->table->size && bitmap_test(t->table->cloexec, fd);
	spin_unlock(&t->lock);
	return set;
}

// ---- allocation ----

static int fd_alloc_locked(struct fd_table *t, u32 from, int flags, u64 limit)
{
	for (;;) {
		struct fd_array *a = t->table;
		u32 start = max(from, t->next);
		u32 fd = start < a->size ? (u32)bitmap_find_next_zero(a->open, a->size, start)
					 : start;
		if (fd >= limit)
			return -EMFILE;
		if (likely(fd < a->size)) {
			bitmap_set(a->open, fd);
			bitmap_assign(a->cloexec, fd, flags & O_CLOEXEC);
			if (from <= t->next)
				t->next = fd + 1;
			return (int)fd;
		}
		int err = table_grow(t, fd);
		if (err)
			return err;
	}
}

int fd_alloc(u32 from, int flags)
{
	struct fd_table *t = current_task()->files;
	u64 limit = rlimit(RLIMIT_NOFILE);
	spin_lock(&t->lock);
	int fd = fd_alloc_locked(t, from, flags, limit);
	spin_unlock(&t->lock);
	return fd;
}

void fd_install(int fd, struct file *f)
{
	struct fd_table *t = current_task()->files;
	if (likely(refcount_read(&t->refs) == 1)) {
		store_release(&t->table->files[(u32)fd], f);
		return;
	}
	spin_lock(&t->lock); // the array may be growing
	store_release(&t->table->files[(u32)fd], f);
	spin_unlock(&t->lock);
}

static void fd_release_locked(struct fd_table *t, u32 fd)
{
	bitmap_clear(t->table->open, fd);
	bitmap_clear(t->table->cloexec, fd);
	if (fd < t->next)
		t->next = fd;
}

void fd_cancel(int fd)
{
	struct fd_table *t = current_task()->files;
	spin_lock(&t->lock);
	fd_release_locked(t, (u32)fd);
	spin_unlock(&t->lock);
}

int fd_install_new(struct file *f, int flags)
{
	int fd = fd_alloc(0, flags);
	if (fd < 0)
		file_put(f);
	else
		fd_install(fd, f);
	return fd;
}

// Takes the file out of the slot; it may be in use by other threads under RCU if the table is
// shared.
static struct file *fd_take_locked(struct fd_table *t, u32 fd)
{
	struct file *f = t->table->files[fd];
	if (!f)
		return nullptr;
	if (refcount_read(&t->refs) != 1)
		__atomic_fetch_or(&f->mode, FILE_RCU, __ATOMIC_RELAXED);
	store_release(&t->table->files[fd], (struct file *)nullptr);
	return f;
}

int fd_close(int fd)
{
	struct fd_table *t = current_task()->files;
	struct file *f = nullptr;
	spin_lock(&t->lock);
	if (likely((u32)fd < t->table->size))
		f = fd_take_locked(t, (u32)fd);
	if (likely(f))
		fd_release_locked(t, (u32)fd);
	spin_unlock(&t->lock);
	return likely(f) ? file_closed(t, f) : -EBADF;
}

// ---- calls ----

SYSCALL(close, int fd)
{
	int err = fd_close(fd);
	// The descriptor is gone in any case: the call must not be restarted.
	return err == -ERESTARTSYS || err == -ERESTARTNOINTR || err == -ERESTARTNOHAND ? -EINTR
										       : err;
}

SYSCALL(close_range, u32 first, u32 last, u32 flags)
{
	if ((flags & ~(u32)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) || first > last)
		return -EINVAL;
	if (flags & CLOSE_RANGE_UNSHARE) {
		int err = files_unshare();
		if (err)
			return err;
	}
	struct fd_table *t = current_task()->files;
	for (u64 fd = first; fd <= last; fd++) {
		int next = files_next_open(t, (u32)fd);
		if (next < 0 || (u32)next > last)
			break;
		fd = (u32)next;
		if (!(flags & CLOSE_RANGE_CLOEXEC)) {
			(void)fd_close(next);
			continue;
		}
		spin_lock(&t->lock);
		if (t->table->files[fd])
			bitmap_set(t->table->cloexec, fd);
		spin_unlock(&t->lock);
	}
	return 0;
}

// Puts f (counted for us) at descriptor `to`, closing what was there. to or an error, after which f
// has been put.
static int fd_replace(int to, struct file *f, int flags)
{
	struct fd_table *t = current_task()->files;
	u32 fd = (u32)to;
	struct file *old = nullptr;
	int err = 0;
	if (fd >= rlimit(RLIMIT_NOFILE)) {
		file_put(f);
		return -EBADF;
	}
	spin_lock(&t->lock);
	while (!err && fd >= t->table->size)
		err = table_grow(t, fd);
	if (!err && bitmap_test(t->table->open, fd)) {
		old = fd_take_locked(t, fd);
		if (!old)
			err = -EBUSY; // another thread is about to install there
	}
	if (!err) {
		bitmap_set(t->table->open, fd);
		bitmap_assign(t->table->cloexec, fd, flags & O_CLOEXEC);
		store_release(&t->table->files[fd], f);
	}
	spin_unlock(&t->lock);
	if (old)
		(void)file_closed(t, old);
	if (err)
		file_put(f);
	return err ? err : to;
}

static struct file *fd_get_file(int fd)
{
	struct fdref r = fd_get_any(fd);
	if (r.file && !(r.held & FDREF_COUNTED))
		(void)file_get(r.file);
	return r.file;
}

static long dup_to(int from, int to, int flags)
{
	struct file *f = fd_get_file(from);
	if (!f)
		return -EBADF;
	return fd_replace(to, f, flags);
}

SYSCALL(dup, int from)
{
	struct file *f = fd_get_file(from);
	return f ? fd_install_new(f, 0) : -EBADF;
}

SYSCALL(dup2, int from, int to)
{
	if (from == to) {
		struct fdref r = fd_get_any(from);
		fd_put(r);
		return r.file ? to : -EBADF;
	}
	return dup_to(from, to, 0);
}

SYSCALL(dup3, int from, int to, int flags)
{
	if ((flags & ~O_CLOEXEC) || from == to)
		return -EINVAL;
	return dup_to(from, to, flags);
}

long fd_dup_from(struct file *f, u64 from, int flags)
{
	if (from >= rlimit(RLIMIT_NOFILE))
		return -EINVAL;
	int fd = fd_alloc((u32)from, flags);
	if (fd >= 0)
		fd_install(fd, file_get(f));
	return fd;
}

long fd_cloexec_get(int fd)
{
	return files_is_cloexec(current_task()->files, (u32)fd) ? FD_CLOEXEC : 0;
}

void fd_cloexec_set(int fd, bool on)
{
	struct fd_table *t = current_task()->files;
	spin_lock(&t->lock);
	if ((u32)fd < t->table->size && t->table->files[(u32)fd])
		bitmap_assign(t->table->cloexec, (u32)fd, on);
	spin_unlock(&t->lock);
}

// ---- root, working directory, umask ----

struct fs_context *fs_context_create(void)
{
	struct fs_context *c = slab_zalloc(&context_cache);
	if (!c)
		return nullptr;
	refcount_set(&c->refs, 1);
	spin_lock_init(&c->lock, LOCK_fs_misc);
	c->root = c->cwd = (struct path){fs_root_mount, fs_root_mount->root};
	path_get(&c->root);
	path_get(&c->cwd);
	c->umask = 022;
	return c;
}

void fs_context_get_paths(struct fs_context *c, struct path *root, struct path *cwd)
{
	spin_lock(&c->lock);
	if (root) {
		*root = c->root;
		path_get(root);
	}
	if (cwd) {
		*cwd = c->cwd;
		path_get(cwd);
	}
	spin_unlock(&c->lock);
}

struct fs_context *fs_context_copy(struct fs_context *from)
{
	struct fs_context *c = slab_alloc(&context_cache);
	if (!c)
		return err_ptr(-ENOMEM);
	refcount_set(&c->refs, 1);
	spin_lock_init(&c->lock, LOCK_fs_misc);
	fs_context_get_paths(from, &c->root, &c->cwd);
	c->umask = load_once(&from->umask);
	return c;
}

void fs_context_put(struct fs_context *c)
{
	if (!refcount_dec_and_test(&c->refs))
		return;
	path_put(&c->root);
	path_put(&c->cwd);
	slab_free(&context_cache, c);
}

int fs_context_unshare(void)
{
	struct task *me = current_task();
	if (refcount_read(&me->fs->refs) == 1)
		return 0;
	struct fs_context *c = fs_context_copy(me->fs), *old = me->fs;
	if (is_err(c))
		return ptr_err(c);
	spin_lock(&me->process->lock);
	me->fs = c;
	spin_unlock(&me->process->lock);
	fs_context_put(old);
	return 0;
}

// Stores a counted path; the old one is put.
static void context_set(struct fs_context *c, struct path *which, const struct path *p)
{
	spin_lock(&c->lock);
	struct path old = *which;
	*which = *p;
	spin_unlock(&c->lock);
	path_put(&old);
}

void fs_context_replace_root(const struct path *old, const struct path *new)
{
	struct fs_context *c = current_task()->fs;
	struct path *which[] = {&c->root, &c->cwd};
	for (u32 i = 0; i < ARRAY_SIZE(which); i++) {
		if (!path_equal(which[i], old))
			continue;
		path_get(new);
		context_set(c, which[i], new);
	}
}

static int change_dir(struct path *p, bool root)
{
	struct fs_context *c = current_task()->fs;
	int err = inode_permission(p->dentry->inode, MAY_EXEC);
	if (!err && root && !capable(CAP_SYS_CHROOT))
		err = -EPERM;
	if (err)
		path_put(p);
	else
		context_set(c, root ? &c->root : &c->cwd, p);
	return err;
}

SYSCALL(chdir, const char __user *name)
{
	struct path p;
	int err = path_lookup_user(AT_FDCWD, name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &p);
	return err ? err : change_dir(&p, false);
}

SYSCALL(fchdir, int fd)
{
	struct fdref r = fd_get_any(fd);
	if (!r.file)
		return -EBADF;
	struct path p = r.file->path;
	int err = S_ISDIR(r.file->inode->mode) ? 0 : -ENOTDIR;
	if (!err) {
		path_get(&p);
		err = change_dir(&p, false);
	}
	fd_put(r);
	return err;
}

SYSCALL(chroot, const char __user *name)
{
	struct path p;
	int err = path_lookup_user(AT_FDCWD, name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &p);
	return err ? err : change_dir(&p, true);
}

u32 fs_mode_masked(u32 mode)
{
	return current_is_task() && current_task()->fs
		       ? mode & ~load_once(&current_task()->fs->umask)
		       : mode;
}

SYSCALL(umask, u32 mask)
{
	return __atomic_exchange_n(&current_task()->fs->umask, mask & S_IRWXUGO, __ATOMIC_RELAXED);
}

SYSCALL(getcwd, char __user *buf, size_t size)
{
	struct path root, cwd;
	char *text = kmalloc(PATH_MAX);
	if (!text)
		return -ENOMEM;
	fs_context_get_paths(current_task()->fs, &root, &cwd);
	long n = -ENOENT;
	if (!(dentry_flags(cwd.dentry) & DENTRY_UNLINKED)) {
		char *s = d_path_from(&cwd, &root, text, PATH_MAX);
		n = is_err(s) ? ptr_err(s) : (long)strlen(s) + 1;
		if (n > 0 && (size_t)n > size)
			n = -ERANGE;
		else if (n > 0 && copy_to_user(buf, s, (size_t)n))
			n = -EFAULT;
	}
	path_put(&root);
	path_put(&cwd);
	kfree(text);
	return n;
}

void file_tables_init(void)
{
	slab_cache_init(&table_cache, "files", sizeof(struct fd_table), 64);
	slab_cache_init(&context_cache, "fs_context", sizeof(struct fs_context), 8);
}

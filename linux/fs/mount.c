// SPDX-License-Identifier: MIT
// mount.c owns file-system types, super blocks and the mount table. Privileged.
//
// A mount is attached to the tree by (parent mount, dentry) in a hash that path walks read under
// RCU; every change runs under the mount lock and the name sequence, so that walks that saw half of
// it are made again. A mount counts its parent, its mountpoint, its root and one reference of the
// super block. The tree itself holds one reference of each attached mount: umount is refused while
// there are others (open files, working directories), unless it is lazy: then the mount leaves the
// tree and goes when its last user goes.
//
// There is one namespace, without propagation: MS_SHARED and its kin are accepted and mean nothing.
#include "linux/fs/fs_priv.h"
#include "base/hash.h"
#include "linux/notify.h"

constexpr u32 MOUNT_BUCKETS = 256;
constexpr u32 MOUNT_FLAGS = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME |
			    MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME | MS_NOSYMFOLLOW;
constexpr u32 MOUNT_OPTIONS_MAX = 4096;

static struct hlist mount_table[MOUNT_BUCKETS]; // mount lock; RCU
static mutex_t mount_mutex = MUTEX_INIT(mount_mutex, LOCK_mount);
static struct list mounts = LIST_INIT(mounts); // all attached, in order; mount lock
static atomic_u32 mount_ids = ATOMIC_INIT(1);
static atomic_u64 mount_changes;
static atomic_u32 anonymous_minors = ATOMIC_INIT(1);
struct wait_queue mount_waiters = WAIT_QUEUE_INIT(mount_waiters);
struct mount *fs_root_mount;

static struct fs_type
	*fs_types; // registered ones; added at the end under types_lock, never removed
static mutex_t types_lock = MUTEX_INIT(types_lock, LOCK_module_misc);

// ---- file-system types ----

int fs_register(struct fs_type *type)
{
	int err = 0;
	mutex_lock(&types_lock);
	struct fs_type **at = &fs_types;
	while (*at && !str_equal((*at)->name, type->name))
		at = &(*at)->next;
	if (*at)
		err = -EBUSY;
	else
		store_release(at, type);
	mutex_unlock(&types_lock);
	return err;
}

bool fs_type_get(u32 index, const struct fs_type **out)
{
	const struct fs_type *t = load_acquire(&fs_types);
	while (t && index--)
		t = load_acquire(&t->next);
	*out = t;
	return t;
}

static const struct fs_type *fs_type_find(const char *name)
{
	const struct fs_type *t = load_acquire(&fs_types);
	while (t && !str_equal(t->name, name))
		t = load_acquire(&t->next);
	return t;
}

// ---- super blocks ----

struct super_block *super_alloc(const struct fs_type *type, const struct super_ops *ops)
{
	struct super_block *sb = kzalloc(sizeof(*sb));
	if (!sb)
		return nullptr;
	sb->type = type;
	sb->ops = ops;
	sb->dev = dev_make(0, atomic_fetch_add(&anonymous_minors, 1));
	sb->block_size = PAGE_SIZE;
	sb->magic = type ? type->magic : 0;
	sb->max_bytes = INT64_MAX;
	refcount_set(&sb->refs, 1);
	mutex_init(&sb->rename_lock, LOCK_fs_rename);
	return sb;
}

void super_put(struct super_block *sb)
{
	if (!refcount_dec_and_test(&sb->refs))
		return;
	notify_unmounted(sb);
	if (sb->root) {
		for (;;) {
			spin_lock(&sb->root->lock);
			struct dentry *d = list_first_entry_or_null(&sb->root->children,
								    struct dentry, sibling);
			if (d)
				dentry_get(d);
			spin_unlock(&sb->root->lock);
			if (!d)
				break;
			dentry_remove(d);
			dentry_put(d);
		}
		dentry_put(sb->root);
	}
	if (sb->ops && sb->ops->release)
		sb->ops->release(sb);
	rcu_synchronize(); // walks may still look at its flags
	kfree(sb);
}

// ---- mounts ----

static struct hlist *mount_bucket(const struct mount *parent, const struct dentry *d)
{
	return &mount_table[hash_combine(hash_ptr(parent), (u64)(uintptr_t)d) % MOUNT_BUCKETS];
}

struct mount *mount_find(const struct mount *parent, const struct dentry *d)
{
	struct mount *m;
	hlist_for_each_entry_rcu(m, mount_bucket(parent, d), hash) {
		if (m->parent == parent && m->mountpoint == d)
			return m;
	}
	return nullptr;
}

// Takes over a reference of sb, and root's.
static struct mount *mount_alloc(struct super_block *sb, struct dentry *root, u32 flags,
				 const char *source)
{
	struct mount *m = kzalloc(sizeof(*m));
	if (!m)
		return nullptr;
	m->source = kstrdup(source && *source ? source : "none", PATH_MAX);
	if (!m->source) {
		kfree(m);
		return nullptr;
	}
	m->sb = sb;
	m->root = root;
	m->flags = flags & MOUNT_FLAGS;
	if (!(flags & (MS_NOATIME | MS_STRICTATIME)))
		m->flags |= MS_RELATIME;
	m->id = atomic_fetch_add(&mount_ids, 1);
	refcount_set(&m->refs, 1);
	list_init(&m->all);
	return m;
}

static void mount_free_rcu(struct rcu_head *h)
{
	struct mount *m = container_of(h, struct mount, rcu);
	kfree(m->source);
	kfree(m);
}

void mount_put(struct mount *m)
{
	if (!refcount_dec_and_test(&m->refs))
		return;
	dentry_put(m->root);
	super_put(m->sb);
	rcu_call(&m->rcu, mount_free_rcu);
}

static void mounts_changed(void)
{
	atomic_inc(&mount_changes);
	smp_mb();
	if (wait_queue_active(&mount_waiters))
		wake_all(&mount_waiters);
}

u64 mount_generation(void)
{
	return atomic_load(&mount_changes);
}

static int mount_attach_locked(struct mount *m, const struct path *at)
{
	if (S_ISDIR(m->root->inode->mode) != S_ISDIR(at->dentry->inode->mode))
		return -ENOTDIR;
	if (dentry_flags(at->dentry) & DENTRY_UNLINKED)
		return -ENOENT;
	path_get(at);
	name_seq_write_begin();
	m->mountpoint = at->dentry;
	store_release(&m->parent, at->mnt);
	dentry_set_flag(at->dentry, DENTRY_MOUNTED);
	hlist_add_head(mount_bucket(at->mnt, at->dentry), &m->hash);
	name_seq_write_end();
	at->mnt->nchildren++;
	list_add_tail(&mounts, &m->all);
	mounts_changed();
	return 0;
}

static bool is_mountpoint(const struct dentry *d)
{
	struct mount *m;
	list_for_each_entry(m, &mounts, all) {
		if (m->mountpoint == d)
			return true;
	}
	return false;
}

// Takes m out of the tree; what it counted of its place is put into *was for the caller to put
// without the lock.
static void mount_detach_locked(struct mount *m, struct path *was)
{
	*was = (struct path){.mnt = m->parent, .dentry = m->mountpoint};
	list_del_init(&m->all);
	name_seq_write_begin();
	hlist_del_rcu(&m->hash);
	store_release(&m->parent, (struct mount *)nullptr);
	m->mountpoint = nullptr;
	name_seq_write_end();
	was->mnt->nchildren--;
	if (!is_mountpoint(was->dentry))
		dentry_clear_flag(was->dentry, DENTRY_MOUNTED);
	mounts_changed();
}

static int mount_attach(struct mount *m, const struct path *at)
{
	mutex_lock(&mount_mutex);
	int err = mount_attach_locked(m, at);
	mutex_unlock(&mount_mutex);
	return err;
}

void mount_for_each(bool (*show)(void *ctx, struct mount *m), void *ctx)
{
	struct mount *m;
	mutex_lock(&mount_mutex);
	list_for_each_entry(m, &mounts, all) {
		if (!show(ctx, m))
			break;
	}
	mutex_unlock(&mount_mutex);
}

static int mount_new(const char *source, const struct path *at, const char *type, u64 flags,
		     const char *options)
{
	const struct fs_type *t = fs_type_find(type);
	struct super_block *sb;
	if (!t || !t->mount)
		return -ENODEV;
	int err = t->mount(t, source, options, flags, &sb);
	if (err)
		return err;
	if (flags & MS_RDONLY)
		__atomic_fetch_or(&sb->flags, SB_RDONLY, __ATOMIC_RELAXED);
	dentry_get(sb->root);
	struct mount *m = mount_alloc(sb, sb->root, (u32)flags, source);
	if (!m) {
		dentry_put(sb->root);
		super_put(sb);
		return -ENOMEM;
	}
	err = mount_attach(m, at);
	if (err)
		mount_put(m);
	return err;
}

static struct mount *mount_clone(const struct mount *from, struct dentry *root)
{
	dentry_get(root);
	refcount_inc(&from->sb->refs);
	struct mount *m = mount_alloc(from->sb, root, from->flags, from->source);
	if (!m) {
		dentry_put(root);
		super_put(from->sb);
	}
	return m;
}

static bool mount_is_below(const struct mount *m, const struct mount *top)
{
	for (; m; m = m->parent) {
		if (m == top)
			return true;
	}
	return false;
}

// The mount that stands in the copied tree for `orig`. Bounded by the number of mounts.
struct clone_pair {
	struct mount *orig, *copy;
};

// Copies what is mounted below from.dentry onto the copy of its mount. Mount lock held.
static int mount_bind_children(const struct path *from, struct mount *copy)
{
	u32 n = 0, cap = 1;
	struct mount *m;
	list_for_each_entry(m, &mounts, all)
		cap++;
	struct clone_pair *pairs = kcalloc(cap, sizeof(*pairs));
	if (!pairs)
		return -ENOMEM;
	pairs[n++] = (struct clone_pair){from->mnt, copy};
	int err = 0;
	struct list *end = mounts.prev, *l = mounts.next; // copies are added behind end
	for (bool more = !list_empty(&mounts); more && !err; l = l->next) {
		m = list_entry(l, struct mount, all);
		more = l != end;
		if (m == copy ||
		    (m->parent == from->mnt && !dentry_is_ancestor(from->dentry, m->mountpoint)))
			continue;
		for (u32 i = 0; i < n; i++) {
			if (pairs[i].orig != m->parent)
				continue;
			struct mount *c = mount_clone(m, m->root);
			struct path at = {.mnt = pairs[i].copy, .dentry = m->mountpoint};
			err = c ? mount_attach_locked(c, &at) : -ENOMEM;
			if (!err)
				pairs[n++] = (struct clone_pair){m, c};
			break;
		}
	}
	kfree(pairs);
	return err;
}

static int mount_bind(const struct path *from, const struct path *at, bool recursive)
{
	struct mount *m = mount_clone(from->mnt, from->dentry);
	if (!m)
		return -ENOMEM;
	mutex_lock(&mount_mutex);
	int err = mount_attach_locked(m, at);
	if (!err && recursive)
		err = mount_bind_children(from, m);
	bool attached = m->parent;
	mutex_unlock(&mount_mutex);
	if (!attached)
		mount_put(m);
	return err;
}

static int mount_move(const struct path *from, const struct path *at)
{
	struct path was = {};
	int err = -EINVAL;
	mutex_lock(&mount_mutex);
	struct mount *m = from->mnt;
	if (from->dentry == m->root && m->parent) {
		err = -ELOOP;
		if (!mount_is_below(at->mnt, m)) {
			struct path back = {.mnt = m->parent, .dentry = m->mountpoint};
			mount_detach_locked(m, &was);
			err = mount_attach_locked(m, at);
			if (err)
				(void)mount_attach_locked(m, &back); // cannot fail: it was there
		}
	}
	mutex_unlock(&mount_mutex);
	path_put(&was);
	return err;
}

static int mount_remount(const struct path *at, u64 flags, const char *options)
{
	struct mount *m = at->mnt;
	struct super_block *sb = m->sb;
	int err = 0;
	if (at->dentry != m->root)
		return -EINVAL;
	u32 set = (u32)flags & MOUNT_FLAGS;
	if (!(set & (MS_NOATIME | MS_STRICTATIME | MS_RELATIME)))
		set |= m->flags & (MS_NOATIME | MS_STRICTATIME | MS_RELATIME);
	mutex_lock(&mount_mutex);
	if (!(flags & MS_BIND)) {
		if (sb->ops && sb->ops->remount)
			err = sb->ops->remount(sb, flags, options);
		if (!err && (flags & MS_RDONLY))
			__atomic_fetch_or(&sb->flags, SB_RDONLY, __ATOMIC_RELAXED);
		else if (!err)
			__atomic_fetch_and(&sb->flags, ~(u32)SB_RDONLY, __ATOMIC_RELAXED);
	}
	if (!err) {
		store_once(&m->flags, set);
		mounts_changed();
	}
	mutex_unlock(&mount_mutex);
	return err;
}

static int do_mount(const char *source, const char *target, const char *type, u64 flags,
		    const char *options)
{
	struct path at, from;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if ((flags & MS_MGC_MSK) == MS_MGC_VAL)
		flags &= ~(u64)MS_MGC_MSK;
	int err = walk_to_path(AT_FDCWD, target, LOOKUP_FOLLOW, &at);
	if (err)
		return err;
	if (flags & MS_REMOUNT) {
		err = mount_remount(&at, flags, options);
	} else if (flags & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)) {
		err = at.dentry == at.mnt->root ? 0 : -EINVAL;
	} else if (flags & (MS_BIND | MS_MOVE)) {
		err = source ? path_lookup(AT_FDCWD, source, LOOKUP_FOLLOW, &from) : -EINVAL;
		if (!err) {
			err = flags & MS_BIND ? mount_bind(&from, &at, flags & MS_REC)
					      : mount_move(&from, &at);
			path_put(&from);
		}
	} else {
		err = type ? mount_new(source, &at, type, flags, options) : -EINVAL;
	}
	path_put(&at);
	return err;
}

int fs_mount(const char *source, const char *target, const char *type, u64 flags,
	     const char *options)
{
	struct pathname n;
	int err = pathname_from_kernel(&n, target);
	if (err)
		return err;
	err = do_mount(source, n.text, type, flags, options);
	pathname_free(&n);
	return err;
}

// A copy of an optional string argument; *out nullptr when it is null.
static int string_arg(const char __user *s, size_t cap, char **out)
{
	*out = nullptr;
	if (!s)
		return 0;
	char *buf = kmalloc(cap + NAME_SLACK);
	if (!buf)
		return -ENOMEM;
	ssize_t len = copy_string_from_user(buf, s, cap);
	if (len == -ENAMETOOLONG && cap == MOUNT_OPTIONS_MAX) {
		buf[cap - 1] = 0; // binary options of some file systems: taken as far as they go
	} else if (len < 0) {
		kfree(buf);
		return len == -ENAMETOOLONG ? -EINVAL : (int)len;
	}
	*out = buf;
	return 0;
}

SYSCALL(mount, const char __user *source, const char __user *target, const char __user *type,
	u64 flags, const void __user *data)
{
	char *k_source = nullptr, *k_type = nullptr, *k_options = nullptr;
	struct pathname n;
	int err = string_arg(type, 256, &k_type);
	if (!err)
		err = string_arg(source, PATH_MAX, &k_source);
	if (!err)
		err = string_arg(data, MOUNT_OPTIONS_MAX, &k_options);
	if (!err)
		err = pathname_from_user(&n, target);
	if (!err) {
		err = do_mount(k_source, n.text, k_type, flags, k_options);
		pathname_free(&n);
	}
	kfree(k_source);
	kfree(k_type);
	kfree(k_options);
	return err;
}

// The mount at or below top with none on it: where a lazy umount begins. Mount lock held.
static struct mount *mount_deepest_below(struct mount *top)
{
	struct mount *m, *found = top;
	list_for_each_entry(m, &mounts, all) {
		if (m != top && !m->nchildren && mount_is_below(m, top))
			found = m;
	}
	return found;
}

static int umount_lazily(struct mount *top)
{
	for (;;) {
		struct path was;
		mutex_lock(&mount_mutex);
		if (!top->parent) {
			mutex_unlock(&mount_mutex);
			return -EINVAL;
		}
		struct mount *m = mount_deepest_below(top);
		mount_detach_locked(m, &was);
		mutex_unlock(&mount_mutex);
		bool done = m == top;
		path_put(&was);
		mount_put(m);
		if (done)
			return 0;
	}
}

static int umount(const struct path *p, int flags)
{
	struct mount *m = p->mnt;
	struct path was;
	if (p->dentry != m->root || !m->parent)
		return -EINVAL;
	if (flags & MNT_DETACH)
		return umount_lazily(m);
	mutex_lock(&mount_mutex);
	// One reference is the tree's, one is our path's.
	int err = !m->parent ? -EINVAL : m->nchildren || refcount_read(&m->refs) > 2 ? -EBUSY : 0;
	if (!err)
		mount_detach_locked(m, &was);
	mutex_unlock(&mount_mutex);
	if (err)
		return err;
	if (m->sb->ops && m->sb->ops->sync)
		(void)m->sb->ops->sync(m->sb, true);
	path_put(&was);
	mount_put(m);
	return 0;
}

int fs_umount(const char *target)
{
	struct path p;
	int err = path_lookup(AT_FDCWD, target, LOOKUP_FOLLOW, &p);
	if (err)
		return err;
	err = umount(&p, 0);
	path_put(&p);
	return err;
}

SYSCALL(umount2, const char __user *target, int flags)
{
	struct path p;
	if (flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW))
		return -EINVAL;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	int err =
		path_lookup_user(AT_FDCWD, target, flags & UMOUNT_NOFOLLOW ? 0 : LOOKUP_FOLLOW, &p);
	if (err)
		return err;
	err = umount(&p, flags);
	path_put(&p);
	return err;
}

// The root mount changes places: new_root's mount becomes the root, the old root appears at
// put_old. Processes whose root or working directory was the old root are moved by the caller's
// chroot, as switch_root and containers do it.
static int pivot(const struct path *new_root, const struct path *put_old, const struct path *root)
{
	struct path was_new = {}, was_old = {};
	mutex_lock(&mount_mutex);
	struct mount *m = new_root->mnt, *old = root->mnt;
	int err = -EINVAL;
	if (new_root->dentry != m->root || root->dentry != old->root || !m->parent || !old->parent)
		goto out;
	err = -EBUSY;
	if (m == old || put_old->mnt == old)
		goto out;
	err = -EINVAL;
	if (!mount_is_below(put_old->mnt, m))
		goto out;
	struct path top = {.mnt = old->parent, .dentry = old->mountpoint};
	mount_detach_locked(m, &was_new);
	mount_detach_locked(old, &was_old);
	err = mount_attach_locked(old, put_old);
	if (!err)
		err = mount_attach_locked(m, &top);
out:
	mutex_unlock(&mount_mutex);
	path_put(&was_new);
	path_put(&was_old);
	return err;
}

SYSCALL(pivot_root, const char __user *new_root, const char __user *put_old)
{
	struct path new, old, root;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	int err = path_lookup_user(AT_FDCWD, new_root, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &new);
	if (err)
		return err;
	err = path_lookup_user(AT_FDCWD, put_old, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &old);
	if (!err) {
		fs_context_get_paths(current_task()->fs, &root, nullptr);
		err = pivot(&new, &old, &root);
		if (!err)
			fs_context_replace_root(&root, &new);
		path_put(&root);
		path_put(&old);
	}
	path_put(&new);
	return err;
}

struct mount *mount_create_kernel(struct super_block *sb)
{
	dentry_get(sb->root);
	return mount_alloc(sb, sb->root, MS_NOATIME | MS_NOEXEC, sb->type->name);
}

struct mount *mount_create_kernel_ref(struct super_block *sb)
{
	refcount_inc(&sb->refs);
	struct mount *m = mount_create_kernel(sb);
	if (!m) {
		dentry_put(sb->root);
		super_put(sb);
	}
	return m;
}

void mount_init(void)
{
	struct super_block *sb;
	int err = tmpfs_mount_kernel(&rootfs_type, 0755, true, &sb);
	assert_always(!err);
	dentry_get(sb->root);
	fs_root_mount = mount_alloc(sb, sb->root, 0, "rootfs");
	assert_always(fs_root_mount);
	list_add_tail(&mounts, &fs_root_mount->all);
}

// SPDX-License-Identifier: MIT
// tmpfs.c owns the file systems that live in memory: tmpfs, ramfs, the root file system, and the
// files of memfd; here their inodes, super blocks and mount options. Privileged.
//
// Names exist in the dcache only: a dentry that is in the tree is pinned by one reference, and what
// is not cached does not exist (SB_DCACHE_COMPLETE). Contents exist in the inode's vm_object only,
// which mappings and read/write share. Pages are charged to the super block's limit as they are put
// into an object.
//
// Locks: the inode's lock for size and writes; reads take none: a page is looked up under RCU and
// counted while it is copied. A read beside a truncation may see the old bytes or zeroes, as on
// Linux.
#include "linux/fs/tmpfs_priv.h"
#include "base/fmt.h"
#include "base/parse.h"
#include "core/page.h"

static struct slab_cache tmpfs_cache;
static const struct inode_ops tmpfs_other_ops;
struct super_block *shm_super;

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

struct inode *tmpfs_inode_make(struct super_block *sb, const struct inode *dir, u32 mode, u64 dev)
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
	tmpfs_xattr_free_all(tmpfs_i(i));
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

int tmpfs_setattr(struct inode *i, const struct attr_change *a)
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

int tmpfs_fsync(struct file *f, s64 first, s64 last, bool data_only)
{
	(void)f;
	(void)first;
	(void)last;
	(void)data_only;
	return 0;
}

static const struct inode_ops tmpfs_other_ops = {
	.setattr = tmpfs_setattr,
	.xattr_get = tmpfs_xattr_get,
	.xattr_set = tmpfs_xattr_set,
	.xattr_list = tmpfs_xattr_list,
};

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

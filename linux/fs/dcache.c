// SPDX-License-Identifier: MIT
// dcache.c owns dentries: the hash of names, their lifetime, moves, and the texts of paths.
// Privileged.
//
// Readers walk hash chains under RCU and compare parent, hash, length and text. Three things can
// disturb them:
//  - a name is added or removed: they find it or not, either is right;
//  - a name moves (rename) or a mount appears: the name sequence changes, and the walk as a whole
//  is made again;
//  - memory is given back: only after a grace period.
// Writers hold the lock of the directory's inode (who changes what a directory holds), then the
// parent's dentry lock (its list of children), then the bucket's lock (its chain). Renames hold the
// name sequence around the two chains.
//
// Lifetime: a child counts its parent, a dentry counts its inode. Where the dcache is all there is
// (tmpfs), a name in the tree holds one more reference, the pin, which unlink drops. At the last
// reference the dentry leaves the hash and its memory follows after a grace period. A dentry found
// with a count of zero is dying and is treated as not there.
#include "linux/fs/fs_priv.h"
#include "base/fmt.h"
#include "base/hash.h"
#include "core/page.h"
#include "linux/notify.h"
#include "linux/random.h"

static struct slab_cache dentry_cache;
struct hlist *dcache_table;
u64 dcache_mask;
u64 name_seed;

constexpr u32 BUCKET_LOCKS = 256;
static spinlock_t bucket_locks[BUCKET_LOCKS]; // bucket i uses i % BUCKET_LOCKS

u32 name_seq_word;
static spinlock_t name_seq_lock = SPINLOCK_INIT(LOCK_name_seq);

static spinlock_t *bucket_lock(u64 hash)
{
	return &bucket_locks[hash & dcache_mask & (BUCKET_LOCKS - 1)];
}

void name_seq_write_begin(void)
{
	spin_lock(&name_seq_lock);
	store_once(&name_seq_word, name_seq_word + 1);
	smp_mb();
}

void name_seq_write_end(void)
{
	store_release(&name_seq_word, name_seq_word + 1);
	spin_unlock(&name_seq_lock);
}

u32 name_seq_begin_slow(void)
{
	u32 s;
	while ((s = load_acquire(&name_seq_word)) & 1)
		barrier();
	return s;
}

u64 name_hash(const struct dentry *parent, const char *name, u32 len)
{
	u64 h = name_hash_start(parent), tail = 0;
	while (len >= 8) {
		h = name_mix(h, load_le64(name));
		name += 8;
		len -= 8;
	}
	for (u32 i = 0; i < len; i++)
		tail |= (u64)(u8)name[i] << (8 * i);
	return name_mix(h, tail);
}

// c->name may be read to the end of its last word.
static __always_inline bool name_equal(const struct dentry *d, const struct component *c)
{
	const char *a = c->name, *b = load_once(&d->name);
	u32 left = c->len;
	for (; left >= 8; left -= 8, a += 8, b += 8) {
		if (load_le64(a) != load_le64(b))
			return false;
	}
	return !left || ((load_le64(a) ^ load_le64(b)) << (64 - 8 * left)) == 0;
}

struct dentry *dcache_find(const struct dentry *parent, const struct component *c)
{
	struct hlist_node *n = load_acquire(&dcache_table[c->hash & dcache_mask].first);
	while (n) {
		struct dentry *d = hlist_entry(n, struct dentry, hash);
		if (load_once(&d->hashval) == c->hash && load_once(&d->parent) == parent &&
		    load_acquire(&d->len) == c->len && name_equal(d, c))
			return d;
		n = load_acquire(&n->next);
	}
	return nullptr;
}

// ---- names that do not fit into the dentry ----

struct long_name {
	struct rcu_head rcu;
	char text[NAME_MAX + 1 + NAME_SLACK];
};

static void long_name_free(struct rcu_head *h)
{
	kfree(container_of(h, struct long_name, rcu));
}

static struct long_name *long_name_of(const struct dentry *d)
{
	return d->name == d->short_name ? nullptr
					: container_of((char(*)[NAME_MAX + 1 + NAME_SLACK]) d->name,
						       struct long_name, text);
}

// Zero-pads to the word, as name_equal wants it.
static void name_store(char *dst, const char *name, u32 len)
{
	u32 words = len / 8;
	for (u32 i = 0; i <= words; i++)
		store_le64(dst + 8 * i, 0);
	memcpy(dst, name, len);
}

static struct long_name *long_name_make(const char *name, u32 len)
{
	struct long_name *l = kmalloc(sizeof(*l));
	if (l)
		name_store(l->text, name, len);
	return l;
}

struct dentry *dentry_alloc(struct super_block *sb, struct dentry *parent,
			    const struct component *c)
{
	struct dentry *d = slab_alloc(&dentry_cache);
	if (unlikely(!d))
		return nullptr;
	d->name = d->short_name;
	if (likely(c->len < DNAME_INLINE)) {
		name_store(d->short_name, c->name, c->len);
	} else {
		struct long_name *l = long_name_make(c->name, c->len);
		if (!l) {
			slab_free(&dentry_cache, d);
			return nullptr;
		}
		d->name = l->text;
	}
	hlist_node_init(&d->hash);
	d->parent = parent ? parent : d;
	d->hashval = c->hash;
	d->inode = nullptr;
	d->len = c->len;
	d->flags = 0;
	refcount_set(&d->refs, 1);
	spin_lock_init(&d->lock, LOCK_dentry);
	list_init(&d->children);
	list_init(&d->sibling);
	d->cookie = 0;
	d->next_cookie = 2; // behind "." and ".."
	d->sb = sb;
	d->ops = nullptr;
	d->private_data = nullptr;
	if (parent)
		dentry_get(parent);
	return d;
}

struct dentry *dentry_alloc_root(struct super_block *sb, struct inode *root)
{
	struct component c = {.name = "/\0\0\0\0\0\0\0", .len = 1};
	struct dentry *d = dentry_alloc(sb, nullptr, &c);
	if (d)
		d->inode = root;
	return d;
}

void dentry_hash(struct dentry *d)
{
	spinlock_t *l = bucket_lock(d->hashval);
	spin_lock(l);
	hlist_add_head(&dcache_table[d->hashval & dcache_mask], &d->hash);
	spin_unlock(l);
}

void dentry_drop(struct dentry *d)
{
	spinlock_t *l = bucket_lock(d->hashval);
	spin_lock(l);
	if (dentry_hashed(d))
		hlist_del_rcu(&d->hash);
	spin_unlock(l);
}

// Into the parent's list of children; the cookie orders directories of file systems in memory.
static void dentry_link_parent(struct dentry *d)
{
	struct dentry *p = d->parent;
	spin_lock(&p->lock);
	d->cookie = p->next_cookie++;
	list_add_tail(&p->children, &d->sibling);
	spin_unlock(&p->lock);
}

static void dentry_unlink_parent(struct dentry *d)
{
	struct dentry *p = d->parent;
	spin_lock(&p->lock);
	list_del_init(&d->sibling);
	spin_unlock(&p->lock);
}

void dentry_set_inode(struct dentry *d, struct inode *inode)
{
	assert(!d->inode);
	store_release(&d->inode, inode);
	if (dentry_hashed(d) || dentry_is_root(d))
		return;
	if (d->sb->flags & SB_DCACHE_COMPLETE) {
		dentry_set_flag(d, DENTRY_PINNED);
		dentry_get(d);
	}
	dentry_link_parent(d);
	dentry_hash(d);
}

static void dentry_free_rcu(struct rcu_head *h)
{
	slab_free(&dentry_cache, container_of(h, struct dentry, rcu));
}

static void dentry_free(struct dentry *d)
{
	struct long_name *l = long_name_of(d);
	if (l)
		rcu_call(&l->rcu, long_name_free);
	if (d->ops && d->ops->release)
		d->ops->release(d);
	if (d->inode) {
		notify_freed(d->inode);
		inode_put(d->inode);
	}
	rcu_call(&d->rcu, dentry_free_rcu);
}

void dentry_put(struct dentry *d)
{
	// A loop rather than recursion: the last child may hold the last reference of its parent,
	// and so on.
	while (d && refcount_dec_and_test(&d->refs)) {
		struct dentry *parent = dentry_is_root(d) ? nullptr : d->parent;
		if (dentry_hashed(d))
			dentry_drop(d);
		if (parent && !list_empty(&d->sibling))
			dentry_unlink_parent(d);
		dentry_free(d);
		d = parent;
	}
}

static struct dentry *dcache_find_counted(struct dentry *dir, const struct component *c)
{
	rcu_read_lock();
	struct dentry *d = dcache_find(dir, c);
	if (d && !refcount_inc_not_zero(&d->refs))
		d = nullptr;
	rcu_read_unlock();
	return d;
}

struct dentry *dentry_lookup_component(struct dentry *dir, const struct component *c)
{
	// The directory's lock keeps renames out of it, so a miss is a miss.
	struct dentry *d = dcache_find_counted(dir, c);
	if (d && unlikely(dentry_flags(d) & DENTRY_REVALIDATE) && d->ops && d->ops->revalidate &&
	    !d->ops->revalidate(d)) {
		dentry_drop(d);
		dentry_put(d);
		d = nullptr;
	}
	if (d && d->inode)
		return d;
	if (!d) {
		d = dentry_alloc(dir->sb, dir, c);
		if (!d)
			return err_ptr(-ENOMEM);
	}
	if (dir->sb->flags & SB_DCACHE_COMPLETE)
		return d;
	struct inode *i = dir->inode;
	int err = i->ops->lookup ? i->ops->lookup(i, d) : -ENOTDIR;
	if (err && err != -ENOENT) {
		dentry_put(d);
		return err_ptr(err);
	}
	return d;
}

struct dentry *dentry_lookup_locked(struct dentry *dir, const char *name, u32 len)
{
	char padded[NAME_MAX + 1 + NAME_SLACK];
	if (len > NAME_MAX)
		return err_ptr(-ENAMETOOLONG);
	name_store(padded, name, len);
	struct component c = {.name = padded, .len = len, .hash = name_hash(dir, name, len)};
	return dentry_lookup_component(dir, &c);
}

int dentry_add(struct dentry *dir, const char *name, struct inode *inode, struct dentry **out)
{
	u32 len = (u32)strnlen(name, NAME_MAX + 1);
	mutex_lock(&dir->inode->lock);
	struct dentry *d = dentry_lookup_locked(dir, name, len);
	int err = is_err(d) ? ptr_err(d) : d->inode ? -EEXIST : 0;
	if (!err) {
		dentry_set_inode(d, inode);
		if (!(dentry_flags(d) & DENTRY_PINNED)) {
			dentry_set_flag(d, DENTRY_PINNED);
			dentry_get(d);
		}
	} else {
		inode_put(inode);
	}
	mutex_unlock(&dir->inode->lock);
	if (!err && out)
		*out = d;
	else if (!is_err(d))
		dentry_put(d);
	return err;
}

void dentry_unlink(struct dentry *d)
{
	dentry_set_flag(d, DENTRY_UNLINKED);
	dentry_drop(d);
	if (!list_empty(&d->sibling))
		dentry_unlink_parent(d);
	if (dentry_flags(d) & DENTRY_PINNED) {
		dentry_clear_flag(d, DENTRY_PINNED);
		dentry_put(d);
	}
}

void dentry_remove(struct dentry *d)
{
	// Depth first without recursion: go down to a leaf, take it out, look again from its
	// parent.
	struct dentry *top = d;
	dentry_get(top);
	d = top;
	for (;;) {
		spin_lock(&d->lock);
		struct dentry *child =
			list_first_entry_or_null(&d->children, struct dentry, sibling);
		if (child && !refcount_inc_not_zero(&child->refs)) {
			spin_unlock(&d->lock); // it is on its way out by itself
			continue;
		}
		spin_unlock(&d->lock);
		if (child) {
			d = child;
			continue;
		}
		struct dentry *parent = d->parent;
		mutex_lock(&parent->inode->lock); // listings walk the children under it
		dentry_unlink(d);
		mutex_unlock(&parent->inode->lock);
		dentry_put(d);
		if (d == top)
			return;
		d = parent;
	}
}

bool dentry_is_ancestor(const struct dentry *ancestor, const struct dentry *d)
{
	rcu_read_lock();
	while (d != ancestor && !dentry_is_root(d))
		d = load_acquire(&d->parent);
	rcu_read_unlock();
	return d == ancestor;
}

// ---- moving ----

// A buffer that was once long stays long, so that a reader that pairs an old length with a new text
// reads no further than it may.
static int name_prepare(const struct dentry *d, const struct dentry *from, struct long_name **out)
{
	*out = nullptr;
	if (d->name == d->short_name && from->len < DNAME_INLINE)
		return 0;
	*out = long_name_make(from->name, from->len);
	return *out ? 0 : -ENOMEM;
}

static void name_replace(struct dentry *d, const char *name, u32 len, struct long_name *l)
{
	struct long_name *old = long_name_of(d);
	if (l)
		store_release(&d->name, l->text);
	else
		name_store(d->short_name, name, len);
	store_release(&d->len, len);
	if (old)
		rcu_call(&old->rcu, long_name_free);
}

// Both names' directories are locked, and the name sequence is held: nobody else moves.
static void dentry_place(struct dentry *d, struct dentry *parent, u64 hash)
{
	dentry_drop(d);
	if (!list_empty(&d->sibling))
		dentry_unlink_parent(d);
	struct dentry *old_parent = d->parent;
	if (old_parent != parent) {
		dentry_get(parent);
		store_release(&d->parent, parent);
	}
	d->hashval = hash;
	dentry_link_parent(d);
	dentry_hash(d);
}

int dentry_move_prepare(struct dentry *a, struct dentry *b, bool exchange, struct move_room *room)
{
	*room = (struct move_room){};
	int err = name_prepare(a, b, &room->for_a);
	if (!err && exchange)
		err = name_prepare(b, a, &room->for_b);
	if (err)
		dentry_move_cancel(room);
	return err;
}

void dentry_move_cancel(struct move_room *room)
{
	kfree(room->for_a);
	kfree(room->for_b);
}

void dentry_move(struct dentry *d, struct dentry *to, struct move_room *room)
{
	struct dentry *old_parent = d->parent, *parent = to->parent;
	name_seq_write_begin();
	dentry_drop(to);
	name_replace(d, to->name, to->len, room->for_a);
	dentry_place(d, parent, to->hashval);
	name_seq_write_end();
	if (to->inode)
		dentry_unlink(to);
	if (old_parent != parent)
		dentry_put(old_parent);
}

void dentry_exchange(struct dentry *a, struct dentry *b, struct move_room *room)
{
	struct dentry *pa = a->parent, *pb = b->parent;
	u64 ha = a->hashval, hb = b->hashval;
	char text[NAME_MAX + 1];
	u32 len = a->len;
	memcpy(text, a->name, len);
	name_seq_write_begin();
	name_replace(a, b->name, b->len, room->for_a);
	name_replace(b, text, len, room->for_b);
	dentry_place(a, pb, hb);
	dentry_place(b, pa, ha);
	name_seq_write_end();
	if (pa != pb) {
		dentry_put(pa);
		dentry_put(pb);
	}
}

// ---- texts of paths ----

struct path_text {
	char *buf, *at;
	bool overflow;
};

static void path_text_prepend(struct path_text *t, const char *s, size_t len)
{
	if ((size_t)(t->at - t->buf) < len) {
		t->overflow = true;
		return;
	}
	t->at -= len;
	memcpy(t->at, s, len);
}

// One attempt under RCU. Names may change meanwhile: lengths are read once and bounded.
static void path_text_build(struct path_text *t, struct path p, const struct path *root,
			    bool cross_mounts)
{
	bool any = false;
	while (!(p.dentry == root->dentry && p.mnt == root->mnt)) {
		if (cross_mounts && p.dentry == p.mnt->root) {
			struct mount *up = load_acquire(&p.mnt->parent);
			if (!up) {
				if (root->mnt)
					path_text_prepend(t, "(unreachable)", any ? 13 : 0);
				break;
			}
			p.dentry = load_acquire(&p.mnt->mountpoint);
			p.mnt = up;
			continue;
		}
		struct dentry *parent = load_acquire(&p.dentry->parent);
		if (parent == p.dentry)
			break;
		u32 len = load_acquire(&p.dentry->len);
		path_text_prepend(t, load_acquire(&p.dentry->name), len);
		path_text_prepend(t, "/", 1);
		any = true;
		if (t->overflow)
			return;
		p.dentry = parent;
	}
	if (!any)
		path_text_prepend(t, "/", 1);
}

static char *path_text(const struct path *p, const struct path *root, char *buf, size_t cap,
		       bool cross_mounts)
{
	struct path_text t;
	bool deleted = dentry_flags(p->dentry) & DENTRY_UNLINKED;
	for (;;) {
		t = (struct path_text){.buf = buf, .at = buf + cap};
		path_text_prepend(&t, "", 1);
		if (deleted && cross_mounts)
			path_text_prepend(&t, " (deleted)", 10);
		rcu_read_lock();
		u32 seq = name_seq_begin();
		path_text_build(&t, *p, root, cross_mounts);
		bool again = name_seq_retry(seq);
		rcu_read_unlock();
		if (!again)
			break;
	}
	return t.overflow ? err_ptr(-ENAMETOOLONG) : t.at;
}

char *d_path_from(const struct path *p, const struct path *root, char *buf, size_t cap)
{
	struct dentry *d = p->dentry;
	if (d->ops && d->ops->describe) {
		int n = d->ops->describe(d, buf, cap);
		return n >= 0 && (size_t)n < cap ? buf : err_ptr(-ENAMETOOLONG);
	}
	return path_text(p, root, buf, cap, true);
}

char *d_path(const struct path *p, char *buf, size_t cap)
{
	struct path root = {.mnt = fs_root_mount,
			    .dentry = fs_root_mount ? fs_root_mount->root : nullptr};
	if (!current_is_task() || !current_task()->fs)
		return d_path_from(p, &root, buf, cap);
	fs_context_get_paths(current_task()->fs, &root, nullptr);
	char *text = d_path_from(p, &root, buf, cap);
	path_put(&root);
	return text;
}

char *dentry_path(const struct dentry *d, char *buf, size_t cap)
{
	struct path p = {.dentry = (struct dentry *)d}, root = {};
	return path_text(&p, &root, buf, cap, false);
}

void dcache_init(void)
{
	struct page_stats st;
	page_stats_read(&st);
	// A bucket for every 16 KiB of memory, at least 4096.
	u64 buckets = round_up_pow2(max(st.total / 4, 4096ull));
	buckets = min(buckets, 512 * KiB);
	slab_cache_init(&dentry_cache, "dentry", sizeof(struct dentry), 8);
	dcache_table = kcalloc(buckets, sizeof(*dcache_table));
	assert_always(dcache_table);
	dcache_mask = buckets - 1;
	for (u32 i = 0; i < BUCKET_LOCKS; i++)
		spin_lock_init(&bucket_locks[i], LOCK_dcache);
	name_seed = random_u64();
}

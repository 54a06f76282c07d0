// SPDX-License-Identifier: MIT
// walk.c owns path lookup: from a text to a dentry. Privileged.
//
// A walk runs under RCU: it holds no lock and counts nothing. At its end the result is either taken
// (counted, then the name sequence is compared) or only read and validated (stat). If the sequence
// has changed, something was renamed or mounted meanwhile and the walk is made again; -ECHILD says
// so internally. There is no bound on repetitions: each needs another rename, whose critical
// section is far shorter than the rest of its system call.
//
// Where something must sleep (a name that is not cached, a link made on demand), the walk counts
// its place, leaves the RCU section, does it, and goes on from the counted place (the anchor) with
// a fresh sequence.
//
// Texts of symbolic links are copied into the walk's arena, so they survive leaving the RCU
// section; what remains of the text in which the link stood is pushed on a stack of at most
// WALK_LINKS_MAX entries.
#include "linux/fs/fs_priv.h"

struct text_chunk {
	struct text_chunk *next;
	char text[];
};

// ---- path texts ----

int pathname_from_user(struct pathname *n, const char __user *s)
{
	ssize_t len = copy_string_from_user(n->inline_text, s, NAME_INLINE);
	n->text = n->inline_text;
	if (likely(len >= 0)) {
		n->len = (u32)len;
		return 0;
	}
	if (len != -ENAMETOOLONG)
		return (int)len;
	n->text = kmalloc(PATH_MAX + NAME_SLACK);
	if (!n->text)
		return -ENOMEM;
	len = copy_string_from_user(n->text, s, PATH_MAX);
	if (len < 0) {
		kfree(n->text);
		return (int)len;
	}
	n->len = (u32)len;
	return 0;
}

int pathname_from_kernel(struct pathname *n, const char *s)
{
	size_t len = strnlen(s, PATH_MAX);
	if (len == PATH_MAX)
		return -ENAMETOOLONG;
	n->text = len < NAME_INLINE ? n->inline_text : kmalloc(PATH_MAX + NAME_SLACK);
	if (!n->text)
		return -ENOMEM;
	memcpy(n->text, s, len);
	n->text[len] = 0;
	n->len = (u32)len;
	return 0;
}

void pathname_free_big(struct pathname *n)
{
	kfree(n->text);
}

// ---- paths ----

void path_get(const struct path *p)
{
	if (p->mnt)
		mount_get(p->mnt);
	if (p->dentry)
		dentry_get(p->dentry);
}

void path_put(const struct path *p)
{
	dentry_put(p->dentry);
	if (p->mnt)
		mount_put(p->mnt);
}

// ---- the state of a walk ----

// Counts a place found under RCU. false: it is dying.
static bool path_get_rcu(const struct path *p)
{
	if (unlikely(!refcount_inc_not_zero(&p->mnt->refs)))
		return false;
	if (likely(refcount_inc_not_zero(&p->dentry->refs)))
		return true;
	rcu_read_unlock(); // the caller starts again anyway
	mount_put(p->mnt);
	rcu_read_lock();
	return false;
}

static void walk_release(struct walk *w)
{
	if (unlikely(w->anchor.dentry))
		path_put(&w->anchor);
	if (unlikely(w->roots_held.dentry))
		path_put(&w->roots_held);
	if (unlikely(w->cwd_held.dentry))
		path_put(&w->cwd_held);
	fd_put(w->dirfd);
	while (unlikely(w->chunks)) {
		struct text_chunk *c = w->chunks;
		w->chunks = c->next;
		kfree(c);
	}
}

static int walk_fail(struct walk *w, int err)
{
	bool stale = name_seq_retry(w->seq);
	rcu_read_unlock();
	walk_release(w);
	// An answer from names that moved meanwhile is no answer.
	return stale && err != -EFAULT && err != -ENOMEM ? -ECHILD : err;
}

static void walk_set(struct walk *w, struct path p)
{
	w->cur = p;
	w->inode = load_acquire(&p.dentry->inode);
}

// Makes p (counted, ours now) the place that keeps the walk alive, and enters RCU again. The old
// anchor is dropped.
static void walk_resume(struct walk *w, const struct path *p)
{
	struct path old = w->anchor;
	w->anchor = *p;
	if (old.dentry)
		path_put(&old);
	rcu_read_lock();
	w->seq = name_seq_begin();
	walk_set(w, *p);
}

// Leaves RCU with the current place counted as *held. 0 or -ECHILD (still under RCU).
static int walk_pause(struct walk *w, struct path *held)
{
	if (!path_get_rcu(&w->cur))
		return -ECHILD;
	*held = w->cur;
	bool stale = name_seq_retry(w->seq);
	rcu_read_unlock();
	if (stale) {
		path_put(held);
		rcu_read_lock();
		return -ECHILD;
	}
	return 0;
}

static void current_root_cwd(struct walk *w, bool want_cwd)
{
	if (unlikely(!current_is_task() || !current_task()->fs)) {
		w->root = (struct path){fs_root_mount, fs_root_mount->root};
		w->start = w->root;
		return;
	}
	struct fs_context *fs = current_task()->fs;
	if (likely(refcount_read(&fs->refs) == 1)) {
		w->root = fs->root;
		if (want_cwd)
			w->start = fs->cwd;
		return;
	}
	fs_context_get_paths(fs, &w->roots_held, want_cwd ? &w->cwd_held : nullptr);
	w->root = w->roots_held;
	if (want_cwd)
		w->start = w->cwd_held;
}

// Sets root and start; enters RCU. On error nothing is held.
static int walk_begin(struct walk *w, int dirfd, const char *name)
{
	bool absolute = name[0] == '/' && !(w->flags & LOOKUP_IN_ROOT);
	w->anchor = w->roots_held = w->cwd_held = (struct path){};
	w->dirfd = (struct fdref){};
	w->chunks = nullptr;
	w->arena_used = 0;
	w->depth = 0;
	w->nlinks = 0;
	w->trailing_slash = false;
	w->create = false;
	current_root_cwd(w, dirfd == AT_FDCWD && !absolute);
	if (absolute) {
		if (unlikely(w->flags & LOOKUP_BENEATH)) {
			walk_release(w);
			return -EXDEV;
		}
		w->start = w->root;
	} else if (dirfd != AT_FDCWD) {
		w->dirfd = fd_get_any(dirfd);
		struct file *f = w->dirfd.file;
		int err = !f ? -EBADF : *name && !S_ISDIR(f->inode->mode) ? -ENOTDIR : 0;
		if (err) {
			if (!f)
				w->dirfd = (struct fdref){};
			walk_release(w);
			return err;
		}
		w->start = f->path;
	}
	if (unlikely(w->flags & (LOOKUP_IN_ROOT | LOOKUP_BENEATH)))
		w->root = w->start;
	rcu_read_lock();
	w->seq = name_seq_begin();
	walk_set(w, w->start);
	return 0;
}

// ---- steps ----

static __always_inline bool is_word_zero_or_slash(u64 w, u64 *mask)
{
	constexpr u64 ones = 0x0101010101010101, highs = 0x8080808080808080;
	u64 x = w ^ ones * '/';
	*mask = ((w - ones) & ~w & highs) | ((x - ones) & ~x & highs);
	return *mask;
}

// The component at s: its length and hash.
static __always_inline u32 component_scan(const char *s, const struct dentry *dir, u64 *hash)
{
	u64 h = name_hash_start(dir), word, found;
	u32 len = 0;
	while (word = load_le64(s + len), !is_word_zero_or_slash(word, &found)) {
		h = name_mix(h, word);
		len += 8;
	}
	u32 bytes = (u32)__builtin_ctzll(found) / 8;
	word &= (1ull << (8 * bytes)) - 1;
	*hash = name_mix(h, word);
	return len + bytes;
}

// May current pass through this directory?
static __always_inline int walk_may_pass(struct walk *w)
{
	struct inode *i = w->inode;
	u32 mode = load_once(&i->mode);
	if (likely((mode & (S_IFMT | S_IXUGO)) == (S_IFDIR | S_IXUGO) &&
		   !(i->ops && i->ops->permission)))
		return 0;
	if (!S_ISDIR(mode))
		return -ENOTDIR;
	int err = inode_permission_rcu(i, MAY_EXEC);
	if (err != -ECHILD)
		return err;
	struct path held;
	err = walk_pause(w, &held);
	if (err)
		return err;
	err = inode_permission(held.dentry->inode, MAY_EXEC);
	walk_resume(w, &held);
	return err;
}

// The mount on top of a dentry that is mounted on.
static int walk_cross_mounts(struct walk *w, struct path *p)
{
	while (dentry_flags(p->dentry) & DENTRY_MOUNTED) {
		struct mount *m = mount_find(p->mnt, p->dentry);
		if (!m)
			break;
		if (unlikely(w->flags & LOOKUP_NO_XDEV))
			return -EXDEV;
		p->mnt = m;
		p->dentry = m->root;
	}
	return 0;
}

static int walk_dotdot(struct walk *w)
{
	struct path p = w->cur;
	for (;;) {
		if (p.dentry == w->root.dentry && p.mnt == w->root.mnt) {
			if (unlikely(w->flags & LOOKUP_BENEATH))
				return -EXDEV;
			break;
		}
		if (p.dentry != p.mnt->root) {
			p.dentry = load_acquire(&p.dentry->parent);
			break;
		}
		struct mount *up = load_acquire(&p.mnt->parent);
		if (!up)
			break;
		if (unlikely(w->flags & LOOKUP_NO_XDEV))
			return -EXDEV;
		p.dentry = load_acquire(&p.mnt->mountpoint);
		p.mnt = up;
	}
	int err = walk_cross_mounts(w, &p);
	if (!err)
		walk_set(w, p);
	return err;
}

// Asks the file system. On success the walk is anchored at the child (perhaps negative) and *out is
// it.
static int walk_lookup_slow(struct walk *w, struct component *c, struct dentry **out)
{
	struct path held;
	if (w->flags & LOOKUP_CACHED)
		return -EAGAIN;
	int err = walk_pause(w, &held);
	if (err)
		return err;
	struct dentry *dir = held.dentry;
	mutex_lock(&dir->inode->lock);
	struct dentry *d =
		dir->inode->flags & INODE_DEAD ? err_ptr(-ENOENT) : dentry_lookup_component(dir, c);
	mutex_unlock(&dir->inode->lock);
	if (is_err(d) || !d->inode) {
		// Stay at the directory: a creation may follow.
		if (!is_err(d))
			dentry_put(d);
		walk_resume(w, &held);
		return is_err(d) ? ptr_err(d) : -ENOENT;
	}
	mount_get(held.mnt);
	struct path child = {.mnt = held.mnt, .dentry = d};
	path_put(&held);
	walk_resume(w, &child);
	w->cur.dentry = load_acquire(&d->parent); // where a relative link starts
	w->inode = w->cur.dentry->inode;
	*out = d;
	return 0;
}

// Pushes what remains behind a link and puts the link's text in its place.
static int walk_push_link(struct walk *w, const char *target, const char **s)
{
	size_t len = strnlen(target, PATH_MAX);
	if (!len)
		return -ENOENT;
	if (len >= PATH_MAX)
		return -ENAMETOOLONG;
	char *copy = w->arena + w->arena_used;
	if (likely(len + 1 <= WALK_ARENA - w->arena_used)) {
		w->arena_used += (u32)len + 1;
	} else {
		struct text_chunk *chunk = kmalloc(sizeof(*chunk) + len + 1 + NAME_SLACK);
		if (!chunk)
			return -ENOMEM;
		chunk->next = w->chunks;
		w->chunks = chunk;
		copy = chunk->text;
	}
	memcpy(copy, target, len + 1);
	const char *rest = *s;
	while (*rest == '/')
		rest++;
	if (*rest) {
		assert(w->depth < WALK_LINKS_MAX);
		w->rest[w->depth++] = rest;
	}
	*s = copy;
	if (*copy == '/') {
		if (unlikely(w->flags & LOOKUP_BENEATH))
			return -EXDEV;
		if (unlikely((w->flags & LOOKUP_NO_XDEV) && w->root.mnt != w->cur.mnt))
			return -EXDEV;
		walk_set(w, w->root);
	}
	return 0;
}

// A link whose target is made on demand.
static int walk_follow_slow(struct walk *w, struct path link, const char **s)
{
	struct path held;
	struct link_buf buf = {};
	if (!refcount_inc_not_zero(&link.dentry->refs))
		return -ECHILD;
	int err = walk_pause(w, &held);
	if (err) {
		rcu_read_unlock();
		dentry_put(link.dentry);
		rcu_read_lock();
		return err;
	}
	struct inode *i = link.dentry->inode;
	if (i->ops->jump_link &&
	    !(w->flags & (LOOKUP_NO_MAGICLINKS | LOOKUP_BENEATH | LOOKUP_IN_ROOT))) {
		struct path target;
		err = i->ops->jump_link(i, &target);
		dentry_put(link.dentry);
		if (!err)
			path_put(&held);
		walk_resume(w, err ? &held : &target);
		return err;
	}
	const char *text = i->ops->jump_link  ? err_ptr(-ELOOP)
			   : i->ops->get_link ? i->ops->get_link(i, &buf)
					      : err_ptr(-EINVAL);
	walk_resume(w, &held);
	err = is_err(text) ? ptr_err(text) : walk_push_link(w, text, s);
	rcu_read_unlock();
	kfree(buf.big);
	dentry_put(link.dentry);
	rcu_read_lock();
	return err;
}

static int walk_follow(struct walk *w, struct path link, struct inode *i, const char **s)
{
	if (unlikely(w->flags & LOOKUP_NO_SYMLINKS) || ++w->nlinks > WALK_LINKS_MAX)
		return -ELOOP;
	if (unlikely(load_once(&link.mnt->flags) & MS_NOSYMFOLLOW))
		return -ELOOP;
	const char *text = load_acquire(&i->link);
	return likely(text) ? walk_push_link(w, text, s) : walk_follow_slow(w, link, s);
}

static bool only_slashes(const char *s)
{
	while (*s == '/')
		s++;
	return !*s;
}

// One component that is a name. *s is behind it. Moves on, or follows the link that it is.
static __always_inline int walk_step(struct walk *w, struct component *c, bool last, const char **s)
{
	struct dentry *d = dcache_find(w->cur.dentry, c);
	if (unlikely(!d) || unlikely(!refcount_read(&d->refs)) ||
	    unlikely((dentry_flags(d) & DENTRY_REVALIDATE) && d->ops->revalidate &&
		     !d->ops->revalidate(d)) ||
	    unlikely(!load_once(&d->inode))) {
		if (w->cur.dentry->sb->flags & SB_DCACHE_COMPLETE)
			return -ENOENT;
		int err = walk_lookup_slow(w, c, &d);
		if (err)
			return err;
	}
	struct path p = {.mnt = w->cur.mnt, .dentry = d};
	if (unlikely(dentry_flags(d) & DENTRY_MOUNTED)) {
		int err = walk_cross_mounts(w, &p);
		if (err)
			return err;
	}
	struct inode *i = load_acquire(&p.dentry->inode);
	if (unlikely(S_ISLNK(i->mode)) &&
	    (!last || w->trailing_slash || (w->flags & LOOKUP_FOLLOW)))
		return walk_follow(w, p, i, s);
	w->cur = p;
	w->inode = i;
	return 0;
}

static __always_inline enum last_type component_type(const char *s, u32 len)
{
	if (likely(s[0] != '.') || len > 2)
		return LAST_NORMAL;
	return len == 1 ? LAST_DOT : s[1] == '.' ? LAST_DOTDOT : LAST_NORMAL;
}

// Is this the place to stop for WALK_PARENT? Records the last component.
static bool walk_stop_at_parent(struct walk *w, const struct component *c, enum last_type type)
{
	w->last = *c;
	w->last_type = type;
	return w->flags & WALK_PARENT;
}

static int walk_text(struct walk *w, const char *s)
{
	w->last_type = LAST_ROOT;
	for (;;) {
		while (*s == '/')
			s++;
		if (unlikely(!*s)) {
			if (!w->depth)
				return 0;
			s = w->rest[--w->depth];
			continue;
		}
		int err = walk_may_pass(w);
		if (unlikely(err))
			return err;
		struct component c = {.name = s};
		c.len = component_scan(s, w->cur.dentry, &c.hash);
		if (unlikely(c.len > NAME_MAX))
			return -ENAMETOOLONG;
		s += c.len;
		bool last = !w->depth && (!*s || only_slashes(s));
		if (last && *s)
			w->trailing_slash = true;
		enum last_type type = component_type(c.name, c.len);
		if (last && walk_stop_at_parent(w, &c, type))
			return 0;
		if (unlikely(type != LAST_NORMAL)) {
			err = type == LAST_DOTDOT ? walk_dotdot(w) : 0;
			if (err)
				return err;
			continue;
		}
		err = walk_step(w, &c, last, &s);
		if (unlikely(err)) {
			// cur is still the directory of the last component: something can be made
			// there.
			w->create = err == -ENOENT && last && (w->flags & WALK_CREATE);
			return w->create ? 0 : err;
		}
	}
}

int walk_run(struct walk *w, int dirfd, const char *name, u32 flags)
{
	w->flags = flags;
	if (unlikely(!*name) && !(flags & LOOKUP_EMPTY))
		return -ENOENT;
	int err = walk_begin(w, dirfd, name);
	if (unlikely(err))
		return err;
	err = walk_text(w, name);
	if (unlikely(err))
		return walk_fail(w, err);
	if (unlikely(w->create || (flags & WALK_PARENT)))
		return S_ISDIR(w->inode->mode) ? 0 : walk_fail(w, -ENOTDIR);
	if (unlikely((flags & LOOKUP_DIRECTORY) || w->trailing_slash) && !S_ISDIR(w->inode->mode))
		return walk_fail(w, -ENOTDIR);
	return 0;
}

int walk_take(struct walk *w, struct path *out)
{
	*out = w->cur;
	bool got = path_get_rcu(out);
	bool stale = name_seq_retry(w->seq);
	rcu_read_unlock();
	if (unlikely(!got || stale)) {
		if (got)
			path_put(out);
		walk_release(w);
		return -ECHILD;
	}
	walk_release(w);
	return 0;
}

bool walk_validate(struct walk *w)
{
	bool good = !name_seq_retry(w->seq);
	rcu_read_unlock();
	walk_release(w);
	return good;
}

int walk_to_path(int dirfd, const char *name, u32 flags, struct path *out)
{
	struct walk w;
	int err;
	do {
		err = walk_run(&w, dirfd, name, flags);
		if (likely(!err))
			err = walk_take(&w, out);
	} while (unlikely(err == -ECHILD));
	return err;
}

// The component's text lives in the caller's name, or in the walk's arena: then it is copied.
static int parent_walk_keep(struct parent_walk *p, const struct walk *w, const char *name)
{
	p->held = nullptr;
	p->last = w->last;
	p->type = w->last_type;
	p->trailing_slash = w->trailing_slash;
	if (p->type == LAST_ROOT || !w->nlinks)
		return 0;
	(void)name;
	p->held = kmalloc(p->last.len + 1 + NAME_SLACK);
	if (!p->held)
		return -ENOMEM;
	memcpy(p->held, p->last.name, p->last.len);
	memset(p->held + p->last.len, 0, 1 + NAME_SLACK);
	p->last.name = p->held;
	return 0;
}

int walk_to_parent(int dirfd, const char *name, u32 flags, struct parent_walk *out)
{
	struct walk w;
	for (;;) {
		int err = walk_run(&w, dirfd, name, flags | WALK_PARENT);
		if (unlikely(err)) {
			if (err == -ECHILD)
				continue;
			return err;
		}
		// Under RCU still: an atomic allocation, rarely needed.
		err = parent_walk_keep(out, &w, name);
		if (err)
			return walk_fail(&w, err);
		err = walk_take(&w, &out->dir);
		if (!err)
			return 0;
		kfree(out->held);
	}
}

void parent_walk_end(struct parent_walk *p)
{
	kfree(p->held);
	path_put(&p->dir);
}

int path_lookup(int dirfd, const char *name, u32 flags, struct path *out)
{
	struct pathname n;
	int err = pathname_from_kernel(&n, name);
	if (err)
		return err;
	err = walk_to_path(dirfd, n.text, flags, out);
	pathname_free(&n);
	return err;
}

int path_lookup_user(int dirfd, const char __user *name, u32 flags, struct path *out)
{
	struct pathname n;
	int err = pathname_from_user(&n, name);
	if (unlikely(err))
		return err;
	err = walk_to_path(dirfd, n.text, flags, out);
	pathname_free(&n);
	return err;
}

int path_lookup_from(const struct path *base, const struct path *root, const char *name, u32 flags,
		     struct path *out)
{
	struct pathname n;
	struct walk w;
	int err = pathname_from_kernel(&n, name);
	if (err)
		return err;
	do {
		w.flags = flags;
		w.anchor = w.roots_held = w.cwd_held = (struct path){};
		w.dirfd = (struct fdref){};
		w.chunks = nullptr;
		w.arena_used = w.depth = w.nlinks = 0;
		w.trailing_slash = w.create = false;
		w.root = *root;
		rcu_read_lock();
		w.seq = name_seq_begin();
		walk_set(&w, n.text[0] == '/' ? *root : *base);
		err = walk_text(&w, n.text);
		if (!err && ((flags & LOOKUP_DIRECTORY) || w.trailing_slash) &&
		    !S_ISDIR(w.inode->mode))
			err = -ENOTDIR;
		err = err ? walk_fail(&w, err) : walk_take(&w, out);
	} while (err == -ECHILD);
	pathname_free(&n);
	return err;
}

// SPDX-License-Identifier: MIT
// inotify_watch.c: who watches which inode: adding and ending watches, and telling them what
// happens. Privileged.
//
// One lock guards the lists of all inodes: it is taken only when the inode at hand has a watch.
#include "linux/event/inotify_priv.h"
#include "base/fmt.h"
#include "base/string.h"
#include "abi/linux/stat.h"
#include "core/slab.h"
#include "linux/file.h"

u32 notify_watches;
u32 inotify_max_watches;

static spinlock_t watch_lock = SPINLOCK_INIT(LOCK_inotify_watch);
static struct list all_watches = LIST_INIT(all_watches); // watch lock

static inline bool inode_watched(const struct inode *i)
{
	return load_once(&i->watches.first);
}

// ---- the instance's side ----

static struct inotify_watch *find_locked(struct inotify *n, s32 wd)
{
	struct rb_node *at = n->watches.node;
	while (at) {
		struct inotify_watch *w = rb_entry(at, struct inotify_watch, node);
		if (w->wd == wd)
			return w;
		at = wd < w->wd ? at->left : at->right;
	}
	return nullptr;
}

static bool by_wd(const struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, const struct inotify_watch, node)->wd <
	       rb_entry(b, const struct inotify_watch, node)->wd;
}

// Numbers go up, and around once they are used up.
static void list_watch_locked(struct inotify *n, struct inotify_watch *w)
{
	do
		n->last_wd = n->last_wd == INT32_MAX ? 1 : n->last_wd + 1;
	while (find_locked(n, n->last_wd));
	w->wd = n->last_wd;
	w->listed = true;
	rb_add(&w->node, &n->watches, by_wd);
}

static bool unlist_locked(struct inotify_watch *w)
{
	if (!w->listed)
		return false;
	w->listed = false;
	rb_erase(&w->node, &w->owner->watches);
	return true;
}

// True: the caller ends the watch.
static bool unlist(struct inotify_watch *w)
{
	spin_lock(&w->owner->lock);
	bool r = unlist_locked(w);
	spin_unlock(&w->owner->lock);
	return r;
}

// ---- the inode's side; watch lock ----

static void unlink_locked(struct inotify_watch *w)
{
	if (hlist_unhashed(&w->inode_link))
		return;
	hlist_del(&w->inode_link);
	list_del_init(&w->all);
	store_once(&notify_watches, notify_watches - 1);
}

static void link_locked(struct inotify_watch *w)
{
	hlist_add_head(&w->inode->watches, &w->inode_link);
	list_add_tail(&all_watches, &w->all);
	store_once(&notify_watches, notify_watches + 1);
}

static void tell_ignored(struct inotify_watch *w)
{
	inotify_queue(w->owner, w->wd, &(struct notify_event){.mask = IN_IGNORED});
}

// The watch is in neither place any more.
static void watch_free(struct inotify_watch *w)
{
	atomic_dec(&w->owner->cred->user->inotify_watches);
	inode_put(w->inode);
	inotify_put(w->owner);
	kfree(w);
}

// Watches that were ended under the lock, by `all`.
static void free_ended(struct list *ended)
{
	struct inotify_watch *w, *next;
	list_for_each_entry_safe(w, next, ended, all)
		watch_free(w);
}

// Ends w, unless somebody else does already.
static void end_locked(struct inotify_watch *w, struct list *ended)
{
	bool mine = unlist(w);
	unlink_locked(w);
	if (!mine)
		return;
	tell_ignored(w);
	list_add_tail(ended, &w->all);
}

// ---- what happens ----

void notify_tell(const struct notify_event *e)
{
	struct list ended = LIST_INIT(ended);
	struct inotify_watch *w;
	struct hlist_node *next;
	if (!inode_watched(e->inode))
		return;
	spin_lock(&watch_lock);
	hlist_for_each_entry_safe(w, next, &e->inode->watches, inode_link) {
		if (!(w->mask & e->mask & IN_ALL_EVENTS))
			continue;
		if (e->unlinked && (w->mask & IN_EXCL_UNLINK))
			continue;
		inotify_queue(w->owner, w->wd, e);
		if (w->mask & IN_ONESHOT)
			end_locked(w, &ended);
	}
	spin_unlock(&watch_lock);
	free_ended(&ended);
}

void notify_freed_slow(struct inode *inode)
{
	struct list ended = LIST_INIT(ended);
	struct inotify_watch *w;
	struct hlist_node *next;
	if (load_once(&inode->nlink) || !inode_watched(inode))
		return;
	notify_tell(&(struct notify_event){.inode = inode, .mask = IN_DELETE_SELF});
	spin_lock(&watch_lock);
	hlist_for_each_entry_safe(w, next, &inode->watches, inode_link)
		end_locked(w, &ended);
	spin_unlock(&watch_lock);
	free_ended(&ended);
}

void notify_unmounted_slow(struct super_block *sb)
{
	struct list ended = LIST_INIT(ended);
	struct inotify_watch *w, *next;
	spin_lock(&watch_lock);
	list_for_each_entry_safe(w, next, &all_watches, all) {
		if (w->inode->sb != sb)
			continue;
		inotify_queue(
			w->owner, w->wd,
			&(struct notify_event){.mask = IN_UNMOUNT |
						       (S_ISDIR(w->inode->mode) ? IN_ISDIR : 0)});
		end_locked(w, &ended);
	}
	spin_unlock(&watch_lock);
	free_ended(&ended);
}

// ---- changes ----

// n's watch of the inode gets another mask: its number, or 0 when there is none.
static long watch_update(struct inotify *n, struct inode *inode, u32 arg)
{
	constexpr u32 kept = IN_ALL_EVENTS | IN_EXCL_UNLINK | IN_ONESHOT;
	struct inotify_watch *w;
	long r = 0;
	spin_lock(&watch_lock);
	hlist_for_each_entry(w, &inode->watches, inode_link) {
		if (w->owner != n)
			continue;
		r = arg & IN_MASK_CREATE ? -EEXIST : w->wd;
		if (r > 0)
			w->mask = (arg & IN_MASK_ADD ? w->mask : 0) | (arg & kept);
		break;
	}
	spin_unlock(&watch_lock);
	return r;
}

static struct inotify_watch *watch_make(struct inotify *n, struct inode *inode, u32 arg)
{
	atomic_s64 *count = &n->cred->user->inotify_watches;
	if (atomic_add_return(count, 1) > (s64)load_once(&inotify_max_watches)) {
		atomic_dec(count);
		return err_ptr(-ENOSPC);
	}
	struct inotify_watch *w = kzalloc(sizeof(*w));
	if (!w) {
		atomic_dec(count);
		return err_ptr(-ENOMEM);
	}
	list_init(&w->all);
	w->mask = arg & (IN_ALL_EVENTS | IN_EXCL_UNLINK | IN_ONESHOT);
	w->owner = n;
	refcount_inc(&n->refs);
	w->inode = inode;
	inode_get(inode);
	return w;
}

long inotify_watch_add(struct inotify *n, struct inode *inode, u32 arg)
{
	long r = watch_update(n, inode, arg);
	if (r)
		return r;
	struct inotify_watch *w = watch_make(n, inode, arg);
	if (is_err(w))
		return ptr_err(w);
	spin_lock(&watch_lock);
	spin_lock(&n->lock);
	list_watch_locked(n, w);
	r = w->wd; // w may end as soon as the locks are free
	spin_unlock(&n->lock);
	link_locked(w);
	spin_unlock(&watch_lock);
	return r;
}

int inotify_watch_remove(struct inotify *n, s32 wd)
{
	spin_lock(&n->lock);
	struct inotify_watch *w = find_locked(n, wd);
	if (w)
		(void)unlist_locked(w);
	spin_unlock(&n->lock);
	if (!w)
		return -EINVAL;
	spin_lock(&watch_lock);
	unlink_locked(w);
	spin_unlock(&watch_lock);
	tell_ignored(w);
	watch_free(w);
	return 0;
}

void inotify_watches_drop(struct inotify *n)
{
	for (;;) {
		spin_lock(&n->lock);
		struct rb_node *first = rb_first(&n->watches);
		struct inotify_watch *w =
			first ? rb_entry(first, struct inotify_watch, node) : nullptr;
		if (w)
			(void)unlist_locked(w);
		spin_unlock(&n->lock);
		if (!w)
			return;
		spin_lock(&watch_lock);
		unlink_locked(w);
		spin_unlock(&watch_lock);
		watch_free(w);
	}
}

int inotify_watches_show(struct inotify *n, char *buf, size_t cap)
{
	struct inotify_watch *w;
	int len = 0;
	spin_lock(&n->lock);
	rb_for_each_entry(w, &n->watches, node) {
		char line[128];
		int more = snprintf(line, sizeof(line),
				    "inotify wd:%x ino:%llx sdev:%llx mask:%x ignored_mask:0\n",
				    w->wd, w->inode->ino, dev_encode(w->inode->sb->dev),
				    load_once(&w->mask) & IN_ALL_EVENTS);
		if ((size_t)(len + more) >= cap)
			break; // whole lines only
		memcpy(buf + len, line, (size_t)more + 1);
		len += more;
	}
	spin_unlock(&n->lock);
	return len;
}

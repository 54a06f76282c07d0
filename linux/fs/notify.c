// SPDX-License-Identifier: MIT
// notify.c owns how an event finds the directory that holds the file: names and parents under RCU.
// Privileged.
#include "linux/notify.h"
#include "linux/fs/fs_priv.h"

u32 notify_cookie(void)
{
	static atomic_u32 last;
	u32 c;
	do
		c = atomic_add_return(&last, 1);
	while (!c);
	return c;
}

// The directory that holds d when it has watches, counted, and d's name in it.
static struct inode *watched_parent(const struct dentry *d, char name[NAME_MAX + 1], u32 *len)
{
	struct inode *dir;
	u32 seq;
	rcu_read_lock();
	do {
		seq = name_seq_begin();
		dir = load_acquire(&d->parent)->inode;
		if (!load_once(&dir->watches.first)) {
			dir = nullptr;
			continue;
		}
		*len = min(load_acquire(&d->len), NAME_MAX);
		memcpy(name, load_acquire(&d->name), *len);
	} while (name_seq_retry(seq));
	if (dir && !refcount_inc_not_zero(&dir->refs))
		dir = nullptr;
	rcu_read_unlock();
	return dir;
}

void notify_dentry_slow(struct dentry *d, u32 mask)
{
	char name[NAME_MAX + 1];
	struct inode *inode = d->inode;
	struct notify_event e = {.mask = mask | (S_ISDIR(inode->mode) ? IN_ISDIR : 0)};
	if (!dentry_is_root(d)) {
		e.inode = watched_parent(d, name, &e.len);
		if (e.inode) {
			e.name = name;
			e.unlinked = dentry_flags(d) & DENTRY_UNLINKED;
			notify_tell(&e);
			inode_put(e.inode);
		}
	}
	e = (struct notify_event){.inode = inode, .mask = e.mask};
	notify_tell(&e);
}

// SPDX-License-Identifier: MIT
// What the file layer tells about files, and to whom: hooks for inotify. Privileged.
//
// Every hook costs a test of one word as long as nobody watches anything. No spinlock may be held
// when one is called: it may drop the last reference of an inode.
#pragma once
#include "abi/linux/inotify.h"
#include "base/atomic.h"
#include "base/compiler.h"
#include "base/types.h"

struct dentry;
struct inode;
struct super_block;

extern u32 notify_watches; // how many watches there are. Atomic; read racily

void notify_dentry_slow(struct dentry *d, u32 mask);
void notify_freed_slow(struct inode *inode);
void notify_unmounted_slow(struct super_block *sb);

// The event as it is told: to the watches of one inode.
struct notify_event {
	struct inode *inode; // whose watches; the caller counts it
	u32 mask;	     // IN_*
	u32 cookie;
	const char *name; // in the directory `inode`; nullptr: it is about the inode itself
	u32 len;	  // bytes of name
	bool unlinked;	  // the name is gone already: IN_EXCL_UNLINK
};
void notify_tell(const struct notify_event *e);

static __always_inline bool notify_wanted(void)
{
	return unlikely(load_once(&notify_watches));
}
// Something happened to the file d by way of this name: tells its watches, and those of the
// directory that holds it. mask: one of IN_ACCESS, MODIFY, ATTRIB, OPEN, CLOSE_*.
static __always_inline void notify_dentry(struct dentry *d, u32 mask)
{
	if (notify_wanted())
		notify_dentry_slow(d, mask);
}
// The inode alone.
static __always_inline void notify_inode(struct inode *inode, u32 mask)
{
	if (notify_wanted())
		notify_tell(&(struct notify_event){.inode = inode, .mask = mask});
}
// A name came into dir or left it. mask: IN_CREATE, DELETE, MOVED_*, with IN_ISDIR.
static __always_inline void notify_name(struct inode *dir, u32 mask, u32 cookie, const char *name,
					u32 len)
{
	if (notify_wanted())
		notify_tell(&(struct notify_event){
			.inode = dir, .mask = mask, .cookie = cookie, .name = name, .len = len});
}
u32 notify_cookie(void); // what joins the two halves of a rename; never 0
// A dentry of the inode is freed: tells its end when that was the last name.
static __always_inline void notify_freed(struct inode *inode)
{
	if (notify_wanted())
		notify_freed_slow(inode);
}
// The file system goes away: ends all watches in it.
static __always_inline void notify_unmounted(struct super_block *sb)
{
	if (notify_wanted())
		notify_unmounted_slow(sb);
}

// /proc/sys/fs/inotify; atomic
extern u32 inotify_max_instances, inotify_max_watches, inotify_max_events;

// SPDX-License-Identifier: MIT
// What inotify.c (instances and their queues) and inotify_watch.c (who watches what) share.
#pragma once
#include "base/rbtree.h"
#include "core/lock.h"
#include "core/wait.h"
#include "linux/cred.h"
#include "linux/notify.h"

struct inotify_queued {
	struct list link;
	s32 wd;
	u32 mask, cookie;
	u32 len; // bytes of name
	char name[];
};

struct inotify {
	refcount_t refs;		// the file, and each watch
	const struct cred *cred;	// whose limits count; counted, immutable
	u32 max_events;			// immutable
	mutex_t change;			// LOCK_module_misc: one change of the set at a time
	spinlock_t lock;		// LOCK_inotify: all below
	struct list events;		// inotify_queued.link
	u32 nevents;			// in the queue
	u64 bytes;			// that reading them all would give
	bool overflowed;		// `overflow` is in the queue
	struct rb_root watches;		// by wd
	s32 last_wd;			// given most recently
	struct wait_queue wait;		// readers
	struct inotify_queued overflow; // the last event of a queue that ran full
};

struct inotify_watch {
	struct hlist_node inode_link; // inode->watches; watch lock
	struct list all;	      // every watch; watch lock
	struct rb_node node;	      // inotify.watches; its lock
	bool listed;		      // in inotify.watches; its lock. Who clears it ends the watch
	u32 mask;		      // watch lock
	s32 wd;			      // immutable
	struct inotify *owner;	      // counted, immutable
	struct inode *inode;	      // counted, immutable
};

// inotify.c
void inotify_put(struct inotify *n);
void inotify_queue(struct inotify *n, s32 wd, const struct notify_event *e);

// inotify_watch.c
// The watch descriptor, or -EEXIST (IN_MASK_CREATE), -ENOSPC, -ENOMEM. n->change is held.
long inotify_watch_add(struct inotify *n, struct inode *inode, u32 arg);
int inotify_watch_remove(struct inotify *n, s32 wd);		    // -EINVAL: there is none
void inotify_watches_drop(struct inotify *n);			    // the instance ends
int inotify_watches_show(struct inotify *n, char *buf, size_t cap); // for fdinfo

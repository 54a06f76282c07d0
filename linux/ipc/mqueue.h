// SPDX-License-Identifier: MIT
// POSIX message queues: what the queues (mqueue.c) and their names (mqueue_fs.c) know of each
// other. Private to linux/ipc.
#pragma once
#include "abi/linux/ipc.h"
#include "base/rbtree.h"
#include "core/wait.h"
#include "linux/file.h"
#include "linux/ipc/ipc_priv.h"

struct process;

struct mqueue {
	mutex_t lock;			// LOCK_sysv_object: all below but what is immutable
	u32 maxmsg, msgsize;		// immutable
	u32 curmsgs;			// read without the lock by poll
	u64 bytes;			// of the messages
	struct rb_root messages;	// by priority, highest first; the oldest of one first
	struct list senders, receivers; // struct mq_waiter, in the order of their coming
	struct wait_queue poll;
	struct process *notify; // who is told of a message in an empty queue; counted
	struct linux_sigevent event;
	const struct cred *payer; // whose user pays; counted; immutable
	u64 charged;		  // bytes of RLIMIT_MSGQUEUE; immutable
};

// A queue with room for maxmsg messages of msgsize bytes, both in range, at the cost of current's
// user. err_ptr(-EMFILE): more than RLIMIT_MSGQUEUE; err_ptr(-ENOMEM).
struct mqueue *mqueue_make(u64 maxmsg, u64 msgsize);
void mqueue_free(struct mqueue *q); // nobody has it open any more
extern const struct file_ops mqueue_ops;

// Opens name in the one file system of queues, with current's rights, and makes it when flags has
// O_CREAT. attr: of a new queue, nullptr for the defaults. A counted file or err_ptr, as mq_open(3)
// has them.
struct file *mqueue_open(const char *name, u32 flags, u32 mode, const struct mq_attr *attr);
int mqueue_unlink(const char *name);

// SPDX-License-Identifier: MIT
// Sets of semaphores, for sem.c (sets and control), sem_op.c (operations) and sem_undo.c.
#pragma once
#include "linux/ipc/ipc_priv.h"

struct sem {
	s32 value;
	s32 pid; // whose operation was the last
};

struct sem_set {
	struct ipc_object o; // first
	u32 nsems;	     // immutable
	mutex_t lock;	     // LOCK_sysv_object: all below
	bool removed;
	s64 otime, ctime;    // read without the lock for statistics
	struct list waiters; // sem_waiter.link, in the order of coming
	struct list undos;   // sem_undo.set_link
	struct sem sems[];
};

// What one process owes one set. Both links: set lock; own_link: the list's lock as well. Whoever
// takes it out of its owner's list frees it: the owner's end, or the set's.
struct sem_undo {
	struct list set_link, own_link;
	struct sem_set *set;	     // not counted: the set's end unlinks it
	struct sem_undo_list *owner; // immutable
	s16 adjust[];		     // set lock
};

struct sem_undo_list {
	refcount_t refs; // tasks that share it
	spinlock_t lock; // LOCK_sysv_undo
	struct list undos;
};

constexpr s32 WAITER_SLEEPS = 1;
struct sem_waiter {
	struct list link;
	struct thread *thread;
	s32 status; // WAITER_SLEEPS, 0 or an error; set lock, stored last
	const struct sembuf *ops;
	u32 n, blocking; // index of the operation that could not be done
	bool alters;
	struct sem_undo *undo; // nullptr: none of them asks for it
	s32 pid;
};

extern struct ipc_ids sem_ids;
static inline struct sem_set *sem_set_get(s32 id, u32 rights)
{
	return (struct sem_set *)ipc_get_counted(&sem_ids, id, rights);
}
static inline void sem_set_put(struct sem_set *s)
{
	ipc_put(&s->o);
}

// Set lock held.
void sem_wake_waiters(struct sem_set *s);	 // does what has become possible
void sem_end_waiters(struct sem_set *s);	 // the set is gone: -EIDRM
struct sem_undo *sem_undo_of(struct sem_set *s); // the current task's; made when missing; -ENOMEM
void sem_undo_forget(struct sem_set *s, u32 first, u32 n); // SETVAL, SETALL
void sem_undo_drop(struct sem_set *s);			   // the set is gone

// SPDX-License-Identifier: MIT
// What the files of futexes share. Private to linux/process/futex*.c.
#pragma once
#include "abi/linux/futex.h"
#include "abi/linux/time.h"
#include "core/uaccess.h"
#include "linux/process/process.h"
#include "linux/syscalls.h"

struct futex_bucket {
	spinlock_t lock;
	struct list waiters; // struct futex_waiter.link
} __aligned(64);

struct requeue_pi;

struct futex_waiter {
	struct list link; // bucket's lock
	struct vm_key key;
	struct futex_bucket *bucket; // atomic: requeue moves a waiter
	struct thread *thread;
	u32 bitset;
	atomic_u32 woken;
	struct requeue_pi *requeue; // FUTEX_WAIT_REQUEUE_PI: only a requeue ends the wait
};

// futex.c
struct futex_bucket *futex_bucket_of(const struct vm_key *k);
static inline bool futex_key_equal(const struct vm_key *a, const struct vm_key *b)
{
	return a->a == b->a && a->b == b->b;
}
int futex_key_get(u32 __user *uaddr, bool private, struct vm_key *k); // 0, -EINVAL, -EFAULT
// Queues w, whose fields are set, if the word still is val: 0, -EAGAIN, -EFAULT.
int futex_waiter_queue(struct futex_waiter *w, u32 __user *uaddr, u32 val);
bool futex_waiter_cancel(struct futex_waiter *w); // false: somebody took it off before

// futex_pi.c
int futex_lock_pi(u32 __user *uaddr, bool private, u64 deadline, bool try);
int futex_unlock_pi(u32 __user *uaddr, bool private);
int futex_wait_requeue_pi(u32 __user *from, bool private, u32 val, u32 bitset, u64 deadline,
			  u32 __user *to);
int futex_cmp_requeue_pi(u32 __user *from, u32 __user *to, bool private, int nwake, int nrequeue,
			 u32 val);
void futex_pi_init(void);
void futex_pi_release(struct task *t, bool dead); // what it owns goes to those that wait

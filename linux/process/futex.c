// SPDX-License-Identifier: MIT
// Owns futexes: sleeping on a word of a program's memory until another thread says that it changed.
//
// A waiter stands in a bucket that is chosen by what the word is: (space, address), or (object,
// offset) for memory that processes share. The word is compared under the bucket's lock, after
// which the waiter is queued: a waker that changes the word first and takes the lock then cannot
// miss it. Waiters live on their own kernel stacks; who takes one off its bucket sets `woken` last,
// and after that no longer touches it. Two buckets are locked in the order of their addresses.
#include "base/hash.h"
#include "linux/process/futex_priv.h"
#include "linux/process/usage.h"

constexpr u32 BUCKETS = 1024;
static struct futex_bucket buckets[BUCKETS];

void futex_init(void)
{
	for (u32 i = 0; i < BUCKETS; i++) {
		spin_lock_init(&buckets[i].lock, LOCK_futex);
		list_init(&buckets[i].waiters);
	}
	futex_pi_init();
}

struct futex_bucket *futex_bucket_of(const struct vm_key *k)
{
	return &buckets[hash_u64(k->a ^ (k->b >> 2) * 0x9e3779b97f4a7c15) % BUCKETS];
}

int futex_key_get(u32 __user *uaddr, bool private, struct vm_key *k)
{
	u64 addr = user_addr(uaddr);
	if (addr & 3)
		return -EINVAL;
	if (!user_range_ok(uaddr, sizeof(u32)))
		return -EFAULT;
	struct vm_space *s = current_space();
	if (private) {
		*k = (struct vm_key){(u64)(uintptr_t)s, addr};
		return 0;
	}
	u32 v; // brings the page in
	if (get_user(v, uaddr))
		return -EFAULT;
	return vm_shared_key(s, addr, k);
}

static void buckets_lock(struct futex_bucket *a, struct futex_bucket *b)
{
	if (a > b)
		swap(a, b);
	spin_lock(&a->lock);
	if (a != b)
		spin_lock_nested(&b->lock);
}

static void buckets_unlock(struct futex_bucket *a, struct futex_bucket *b)
{
	if (a != b)
		spin_unlock(&b->lock);
	spin_unlock(&a->lock);
}

// Takes w off its bucket and lets it go. The bucket's lock keeps the thread's memory (RCU) until
// the wake-up is done.
static void waiter_release(struct futex_waiter *w)
{
	struct thread *t = w->thread;
	list_del(&w->link);
	atomic_store_seq(&w->woken, 1);
	thread_wake(t);
}

static int wake_locked(struct futex_bucket *b, const struct vm_key *k, int n, u32 bitset)
{
	struct futex_waiter *w, *next;
	int woken = 0;
	list_for_each_entry_safe(w, next, &b->waiters, link) {
		if (!futex_key_equal(&w->key, k))
			continue;
		if (w->requeue)
			return -EINVAL; // only FUTEX_CMP_REQUEUE_PI may end its wait
		if (!(w->bitset & bitset))
			continue;
		waiter_release(w);
		if (++woken >= n)
			break;
	}
	return woken;
}

static int futex_wake(u32 __user *uaddr, bool private, int n, u32 bitset)
{
	struct vm_key k;
	if (!bitset)
		return -EINVAL;
	int r = futex_key_get(uaddr, private, &k);
	if (r)
		return r;
	struct futex_bucket *b = futex_bucket_of(&k);
	// The program changed the word before the call; a waiter that queues itself after this look
	// compares it after our barrier.
	smp_mb();
	if (list_empty(&b->waiters))
		return 0;
	spin_lock(&b->lock);
	r = wake_locked(b, &k, n, bitset);
	spin_unlock(&b->lock);
	return r;
}

void futex_wake_addr(u64 uaddr, u32 n)
{
	(void)futex_wake(user_ptr(u32, uaddr), false, (int)n, ~0u);
}

// false: somebody took it off before.
bool futex_waiter_cancel(struct futex_waiter *w)
{
	for (;;) {
		if (atomic_load_acquire(&w->woken))
			return false;
		struct futex_bucket *b = load_acquire(&w->bucket);
		spin_lock(&b->lock);
		if (b != w->bucket) { // requeued meanwhile
			spin_unlock(&b->lock);
			continue;
		}
		bool queued = !atomic_load(&w->woken);
		if (queued)
			list_del(&w->link);
		spin_unlock(&b->lock);
		return queued;
	}
}

// Queues w if the word still is val: 0, -EAGAIN, -EFAULT.
int futex_waiter_queue(struct futex_waiter *w, u32 __user *uaddr, u32 val)
{
	for (;;) {
		struct futex_bucket *b = w->bucket;
		u32 now;
		spin_lock(&b->lock);
		list_add_tail(&b->waiters, &w->link);
		smp_mb(); // queued, then compared: see futex_wake
		int r = get_user(now,
				 uaddr); // the lock holds preemption off: a missing page is -EFAULT
		if (!r && now == val) {
			spin_unlock(&b->lock);
			return 0;
		}
		list_del(&w->link);
		spin_unlock(&b->lock);
		if (!r)
			return -EAGAIN;
		if (get_user(now, uaddr))
			return -EFAULT;
	}
}

static int futex_wait(u32 __user *uaddr, bool private, u32 val, u32 bitset, u64 deadline)
{
	struct futex_waiter w = {.thread = current(), .bitset = bitset};
	if (!bitset)
		return -EINVAL;
	int r = futex_key_get(uaddr, private, &w.key);
	if (r)
		return r;
	w.bucket = futex_bucket_of(&w.key);
	r = futex_waiter_queue(&w, uaddr, val);
	if (r)
		return r;
	current()->wait_reason = "futex";
	for (;;) {
		thread_prepare_sleep(THREAD_INTERRUPTIBLE);
		if (atomic_load_acquire(&w.woken))
			break;
		if (thread_interrupt_pending(THREAD_INTERRUPTIBLE)) {
			r = -ERESTARTSYS;
			break;
		}
		if (deadline == ~0ull) {
			schedule();
		} else if (!schedule_until(deadline)) {
			r = -ETIMEDOUT;
			break;
		}
	}
	thread_finish_sleep();
	if (r && !futex_waiter_cancel(&w))
		r = 0; // woken after all
	return r;
}

static long wait_restart(struct restart_block *rb);

static long wait_or_restart(u32 __user *uaddr, bool private, u32 val, u32 bitset, u64 deadline)
{
	int r = futex_wait(uaddr, private, val, bitset, deadline);
	if (r != -ERESTARTSYS || deadline == ~0ull)
		return r;
	struct restart_block *rb = current_restart_block();
	*rb = (struct restart_block){.fn = wait_restart};
	rb->futex.uaddr = uaddr;
	rb->futex.val = val;
	rb->futex.bitset = bitset;
	rb->futex.flags = private ? FUTEX_PRIVATE_FLAG : 0;
	rb->futex.deadline_ns = deadline;
	return -ERESTART_RESTARTBLOCK;
}

static long wait_restart(struct restart_block *rb)
{
	return wait_or_restart(rb->futex.uaddr, rb->futex.flags & FUTEX_PRIVATE_FLAG, rb->futex.val,
			       rb->futex.bitset, rb->futex.deadline_ns);
}

static int futex_requeue(u32 __user *from, u32 __user *to, bool private, int nwake, int nrequeue,
			 const u32 *expected)
{
	struct vm_key k1, k2;
	if (nwake < 0 || nrequeue < 0)
		return -EINVAL;
	int r = futex_key_get(from, private, &k1);
	if (!r)
		r = futex_key_get(to, private, &k2);
	if (r)
		return r;
	struct futex_bucket *b1 = futex_bucket_of(&k1), *b2 = futex_bucket_of(&k2);
	for (;;) {
		u32 now;
		buckets_lock(b1, b2);
		if (!expected)
			break;
		r = get_user(now, from);
		if (!r && now == *expected)
			break;
		buckets_unlock(b1, b2);
		if (!r)
			return -EAGAIN;
		if (get_user(now, from))
			return -EFAULT;
	}
	struct futex_waiter *w, *next;
	int done = 0;
	list_for_each_entry_safe(w, next, &b1->waiters, link) {
		if (!futex_key_equal(&w->key, &k1))
			continue;
		if (done >= nwake + (s64)nrequeue)
			break;
		if (w->requeue) {
			done = -EINVAL;
			break;
		}
		if (done++ < nwake) {
			waiter_release(w);
			continue;
		}
		w->key = k2;
		if (b1 != b2) {
			list_del(&w->link);
			list_add_tail(&b2->waiters, &w->link);
			store_release(&w->bucket, b2);
		}
	}
	buckets_unlock(b1, b2);
	return done;
}

static bool op_compare(u32 cmp, s32 old, s32 arg, bool *valid)
{
	switch (cmp) {
	case FUTEX_OP_CMP_EQ:
		return old == arg;
	case FUTEX_OP_CMP_NE:
		return old != arg;
	case FUTEX_OP_CMP_LT:
		return old < arg;
	case FUTEX_OP_CMP_LE:
		return old <= arg;
	case FUTEX_OP_CMP_GT:
		return old > arg;
	case FUTEX_OP_CMP_GE:
		return old >= arg;
	}
	*valid = false;
	return false;
}

// Changes a program's word: 0 or -EFAULT; *old receives what was there.
static int word_change(u32 __user *p, u32 op, u32 arg, u32 *old)
{
	u32 seen;

	if (get_user(seen, p))
		return -EFAULT;
	for (;; seen = *old) {
		u32 want = op == FUTEX_OP_SET	 ? arg
			   : op == FUTEX_OP_ADD	 ? seen + arg
			   : op == FUTEX_OP_OR	 ? seen | arg
			   : op == FUTEX_OP_ANDN ? seen & ~arg
						 : seen ^ arg;
		int r = user_cmpxchg_u32(p, seen, want, old);

		if (r || *old == seen)
			return r;
	}
}

static int futex_wake_op(u32 __user *u1, u32 __user *u2, bool private, int n1, int n2, u32 code)
{
	u32 op = code >> 28 & 7, cmp = code >> 24 & 15;
	s32 oparg = (s32)(code << 8) >> 20, cmparg = (s32)(code << 20) >> 20;
	struct vm_key k1, k2;
	bool valid = true;
	(void)op_compare(cmp, 0, 0, &valid);
	if (op > FUTEX_OP_XOR || !valid)
		return -ENOSYS;
	if (code >> 31)
		oparg = (s32)(1u << (oparg & 31));
	int r = futex_key_get(u1, private, &k1);
	if (!r)
		r = futex_key_get(u2, private, &k2);
	if (r)
		return r;
	struct futex_bucket *b1 = futex_bucket_of(&k1), *b2 = futex_bucket_of(&k2);
	u32 old;
	for (;;) {
		buckets_lock(b1, b2);
		r = word_change(u2, op, (u32)oparg, &old);
		if (!r)
			break;
		buckets_unlock(b1, b2);
		// Bring the page in, writable, by an operation that changes nothing.
		r = word_change(u2, FUTEX_OP_OR, 0, &old);
		if (r)
			return r;
	}
	r = wake_locked(b1, &k1, n1, ~0u);
	int r2 = r >= 0 && op_compare(cmp, (s32)old, cmparg, &valid) ? wake_locked(b2, &k2, n2, ~0u)
								     : 0;
	buckets_unlock(b1, b2);
	return r < 0 ? r : r2 < 0 ? r2 : r + r2;
}

SYSCALL(futex, u32 __user *uaddr, int op, u32 val, u64 arg4, u32 __user *uaddr2, u32 val3)
{
	bool private = op & FUTEX_PRIVATE_FLAG, realtime = op & FUTEX_CLOCK_REALTIME;
	int command = op & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
	u64 deadline;
	int r;
	if (realtime && command != FUTEX_WAIT_BITSET && command != FUTEX_WAIT &&
	    command != FUTEX_WAIT_REQUEUE_PI && command != FUTEX_LOCK_PI2)
		return -ENOSYS;
	switch (command) {
	case FUTEX_WAIT:
		val3 = ~0u;
		[[fallthrough]];
	case FUTEX_WAIT_BITSET:
		r = deadline_from_user(user_ptr(const struct linux_timespec, arg4),
				       command == FUTEX_WAIT, realtime, &deadline);
		return r ? r : wait_or_restart(uaddr, private, val, val3, deadline);
	case FUTEX_WAKE:
		return futex_wake(uaddr, private, (int)val, ~0u);
	case FUTEX_WAKE_BITSET:
		return futex_wake(uaddr, private, (int)val, val3);
	case FUTEX_REQUEUE:
		return futex_requeue(uaddr, uaddr2, private, (int)val, (int)arg4, nullptr);
	case FUTEX_CMP_REQUEUE:
		return futex_requeue(uaddr, uaddr2, private, (int)val, (int)arg4, &val3);
	case FUTEX_WAKE_OP:
		return futex_wake_op(uaddr, uaddr2, private, (int)val, (int)arg4, val3);
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
		r = deadline_from_user(user_ptr(const struct linux_timespec, arg4), false,
				       realtime || command == FUTEX_LOCK_PI, &deadline);
		return r ? r : futex_lock_pi(uaddr, private, deadline, false);
	case FUTEX_TRYLOCK_PI:
		return futex_lock_pi(uaddr, private, ~0ull, true);
	case FUTEX_UNLOCK_PI:
		return futex_unlock_pi(uaddr, private);
	case FUTEX_WAIT_REQUEUE_PI:
		r = deadline_from_user(user_ptr(const struct linux_timespec, arg4), false, realtime,
				       &deadline);
		return r ? r : futex_wait_requeue_pi(uaddr, private, val, ~0u, deadline, uaddr2);
	case FUTEX_CMP_REQUEUE_PI:
		return futex_cmp_requeue_pi(uaddr, uaddr2, private, (int)val, (int)arg4, val3);
	}
	return -ENOSYS;
}

// ---- robust lists: locks whose owner dies are marked and their next waiter woken ----

SYSCALL(set_robust_list, u64 head, size_t len)
{
	if (len != sizeof(struct linux_robust_list_head))
		return -EINVAL;
	current_task()->robust_list = head;
	return 0;
}

SYSCALL(get_robust_list, int pid, u64 __user *head, u64 __user *len)
{
	u64 value = current_task()->robust_list;
	if (pid && (u32)pid != current_tid()) {
		struct task *t = task_find((u32)pid);
		if (!t)
			return -ESRCH;
		bool ok = process_may_access(t->process, false);
		value = t->robust_list;
		task_put(t);
		if (!ok)
			return -EPERM;
	}
	if (put_user(sizeof(struct linux_robust_list_head), len) || put_user(value, head))
		return -EFAULT;
	return 0;
}

static bool owner_died(u64 addr, u32 tid, bool pi)
{
	u32 __user *word = user_ptr(u32, addr);
	u32 v, old;
	if ((addr & 3) || get_user(v, word))
		return false;
	while ((v & FUTEX_TID_MASK) == tid) {
		if (user_cmpxchg_u32(word, v, (v & FUTEX_WAITERS) | FUTEX_OWNER_DIED, &old))
			return false;
		if (old == v) {
			if ((v & FUTEX_WAITERS) && !pi) // else futex_pi_release hands it on
				futex_wake_addr(addr, 1);
			break;
		}
		v = old;
	}
	return true;
}

static void robust_list_walk(struct task *t)
{
	struct linux_robust_list_head head;
	if (copy_from_user(&head, user_ptr(void, t->robust_list), sizeof(head)))
		return;
	// Bit 0 of a pointer marks a lock with priority inheritance; the address is the rest.
	u64 pending = head.list_op_pending, entry = head.next;
	for (u32 n = 0; (entry & ~1ull) != t->robust_list && n < ROBUST_LIST_LIMIT; n++) {
		u64 next;
		bool more = !get_user(next, user_ptr(u64, entry & ~1ull));
		if ((entry & ~1ull) != (pending & ~1ull) &&
		    !owner_died((entry & ~1ull) + (u64)head.futex_offset, t->thread.id, entry & 1))
			return;
		if (!more)
			return;
		entry = next;
	}
	if (pending & ~1ull)
		(void)owner_died((pending & ~1ull) + (u64)head.futex_offset, t->thread.id,
				 pending & 1);
}

static void robust_list_end(struct task *t)
{
	if (t->robust_list && t->thread.space)
		robust_list_walk(t);
	t->robust_list = 0;
}

void futex_exit(struct task *t)
{
	robust_list_end(t);
	futex_pi_release(t, true);
}

void futex_exec(struct task *t)
{
	robust_list_end(t);
	futex_pi_release(t, false);
	// clear_child_tid is told as at the thread's end: nobody in the old memory waits for a
	// thread that is gone.
	if (t->clear_child_tid && t->thread.space && refcount_read(&task_space(t)->users) > 1 &&
	    !put_user(0, user_ptr(u32, t->clear_child_tid)))
		futex_wake_addr(t->clear_child_tid, 1);
}

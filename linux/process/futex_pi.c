// SPDX-License-Identifier: MIT
// Owns futexes with priority inheritance: locks whose owner runs with the priority of the most
// urgent thread that waits for it.
//
// The word holds the owner's thread id, 0 when the lock is free, FUTEX_WAITERS when somebody sleeps
// here, and FUTEX_OWNER_DIED. Threads change it by themselves as long as nobody waits.
//
// States. While threads wait there is a pi_state for the word: who owns it, and who waits, the most
// urgent first. The first waiter makes it and finds the owner by the word; the unlocking owner
// hands the lock to the first waiter: word, state and priorities change in one step, so that nobody
// can come in between. The new owner of a lock whose owner died writes the word itself, when it has
// woken: the dead one may have had it at another address; until then the state stays (users). A
// waiter of FUTEX_WAIT_REQUEUE_PI first stands in the bucket of its condition variable, and is
// moved from there to a state by FUTEX_CMP_REQUEUE_PI.
//
// Priorities. Only real-time priorities are inherited, as on Linux. task.pi keeps what a boosted
// thread asked for itself. A change goes on along the chain: the owner may wait for another lock.
// Chains have no cycles, because who would close one gets EDEADLK instead.
//
// Locks: one, pi_lock, for all states and task.pi: such locks are rare and the sections short. It
// is taken before a bucket's lock. The word is changed under it, with preemption off, so that a
// missing page is -EFAULT: the page is then brought in without the lock, and all begins anew.
//
// Lifetime. A state has one user per waiter, counting an owner that has yet to write the word, and
// a reference of its owner. A task gives up what it owns when it exits or execs (futex_pi_release)
// and is not looked for by ids after that. A waiter lies on its thread's stack: who grants it the
// lock sets `granted` last.
//
// Failure: memory for a state is got before anything else, and is bounded by the number of threads.
#include "linux/process/futex_priv.h"
#include "base/hash.h"

constexpr u32 STATE_BUCKETS = 64;
constexpr u32 CHAIN_MAX = 1024; // Linux's limit too

struct pi_state {
	struct list link; // in states
	struct vm_key key;
	struct task *owner;	// counted
	struct list owner_link; // task.pi.owned
	struct list waiters;	// pi_waiter.link
	u32 users;
	bool died; // the last owner did, and the word does not say yet who has it now
};

struct pi_waiter {
	struct list link;
	struct pi_state *state;
	struct task *task;
	u8 priority; // real-time priority that it waits with, 0: none
	atomic_u32 granted;
};

// What FUTEX_WAIT_REQUEUE_PI adds to an ordinary waiter. pi_lock.
struct requeue_pi {
	struct vm_key key; // of the lock
	struct pi_waiter waiter;
	struct pi_state *spare;
	bool moved; // it waits for the lock now, or has it already
};

static spinlock_t pi_lock = SPINLOCK_INIT(LOCK_futex_pi);
static struct list states[STATE_BUCKETS];

void futex_pi_init(void)
{
	for (u32 i = 0; i < STATE_BUCKETS; i++)
		list_init(&states[i]);
}

// ---- priorities ----

static bool is_realtime(enum sched_policy p)
{
	return p == POLICY_FIFO || p == POLICY_RR;
}

static struct sched_params params_now(const struct task *t)
{
	return (struct sched_params){t->thread.policy, t->thread.rt_priority, t->thread.nice};
}

static struct sched_params params_own(const struct task *t)
{
	return t->pi.boosted ? t->pi.own : params_now(t);
}

static struct pi_waiter *first_waiter(const struct pi_state *s)
{
	return list_empty(&s->waiters) ? nullptr
				       : list_first_entry(&s->waiters, struct pi_waiter, link);
}

// Gives t the priority that it should have; false: it has it.
static bool priority_apply(struct task *t)
{
	struct sched_params own = params_own(t), now = params_now(t), want = own;
	struct pi_state *s;

	list_for_each_entry(s, &t->pi.owned, owner_link) {
		const struct pi_waiter *w = first_waiter(s);
		if (w && w->priority > want.priority)
			want = (struct sched_params){POLICY_FIFO, w->priority, own.nice};
	}
	t->pi.boosted = want.priority != own.priority;
	t->pi.own = own;
	if (want.policy == now.policy && want.priority == now.priority && want.nice == now.nice)
		return false;
	(void)sched_set_policy(&t->thread, want.policy, want.priority, want.nice); // both are valid
	return true;
}

static void waiter_insert(struct pi_state *s, struct pi_waiter *w)
{
	struct pi_waiter *other;

	w->priority = is_realtime(w->task->thread.policy) ? w->task->thread.rt_priority : 0;
	list_for_each_entry(other, &s->waiters, link)
		if (other->priority < w->priority) {
			list_add_before(&other->link, &w->link);
			return;
		}
	list_add_tail(&s->waiters, &w->link);
}

// What t owns, waits for or asked for has changed, and with it, perhaps, what others along the
// chain should run with. moved: its own priority was changed already.
static void chain_adjust(struct task *t, bool moved)
{
	for (u32 depth = 0; t && depth < CHAIN_MAX; depth++, moved = false) {
		if (!priority_apply(t) && !moved)
			return;
		struct pi_waiter *w = t->pi.blocked;
		if (!w)
			return;
		list_del(&w->link);
		waiter_insert(w->state, w);
		t = w->state->owner;
	}
}

// Would `waiter` wait for itself?
static bool chain_closes(const struct task *waiter, const struct task *owner)
{
	for (u32 depth = 0; owner; depth++) {
		if (owner == waiter || depth == CHAIN_MAX)
			return true;
		owner = owner->pi.blocked ? owner->pi.blocked->state->owner : nullptr;
	}
	return false;
}

struct sched_params task_sched_get(struct task *t)
{
	spin_lock(&pi_lock);
	struct sched_params p = params_own(t);
	spin_unlock(&pi_lock);
	return p;
}

int task_sched_set(struct task *t, struct sched_params p)
{
	int r = 0;

	spin_lock(&pi_lock);
	if (t->pi.boosted)
		t->pi.own = p;
	else
		r = sched_set_policy(&t->thread, p.policy, p.priority, p.nice);
	if (!r)
		chain_adjust(t, true);
	spin_unlock(&pi_lock);
	return r;
}

// ---- states; pi_lock is held ----

static struct list *states_of(const struct vm_key *k)
{
	return &states[hash_u64(k->a ^ (k->b >> 2) * 0x9e3779b97f4a7c15) % STATE_BUCKETS];
}

static struct pi_state *state_find(const struct vm_key *k)
{
	struct pi_state *s;

	list_for_each_entry(s, states_of(k), link)
		if (futex_key_equal(&s->key, k))
			return s;
	return nullptr;
}

static void owner_set(struct pi_state *s, struct task *t)
{
	if (s->owner) {
		list_del(&s->owner_link);
		task_put(s->owner);
	}
	s->owner = t;
	if (t)
		list_add_tail(&task_get(t)->pi.owned, &s->owner_link);
}

static struct pi_state *state_begin(struct pi_state **spare, const struct vm_key *k,
				    struct task *owner)
{
	struct pi_state *s = *spare;

	*spare = nullptr;
	*s = (struct pi_state){.key = *k};
	list_init(&s->waiters);
	list_add_tail(states_of(k), &s->link);
	owner_set(s, owner);
	return s;
}

static void state_put(struct pi_state *s)
{
	if (--s->users)
		return;
	owner_set(s, nullptr);
	list_del(&s->link);
	kfree(s);
}

static void waiter_begin(struct pi_state *s, struct pi_waiter *w)
{
	w->state = s;
	s->users++;
	w->task->pi.blocked = w;
	waiter_insert(s, w);
	chain_adjust(s->owner, false);
}

static void waiter_end(struct pi_waiter *w) // it did not get the lock
{
	struct pi_state *s = w->state;

	list_del(&w->link);
	w->task->pi.blocked = nullptr;
	chain_adjust(s->owner, false);
	state_put(s);
}

// Makes the first waiter the owner and wakes it. It still is a user of the state.
static void grant_first(struct pi_state *s)
{
	struct pi_waiter *w = first_waiter(s);
	struct task *before = s->owner, *after = w->task;
	struct thread *thread = &after->thread;

	list_del(&w->link);
	after->pi.blocked = nullptr;
	task_get(before);
	owner_set(s, after);
	chain_adjust(before, false);
	chain_adjust(after, false);
	task_put(before);
	atomic_store_seq(&w->granted, 1);
	thread_wake(thread); // pi_lock keeps its memory (RCU)
}

// ---- taking the lock ----

enum { TAKEN = 1 }; // beside 0 (the state to wait in was found) and -errno

// The thread that the word names owns the lock: marks the word and makes its state. -EAGAIN: look
// again.
static int owner_attach(u32 __user *uaddr, u32 word, const struct vm_key *k, struct task *t,
			struct pi_state **spare, bool try, struct pi_state **out)
{
	struct task *owner = task_find(word & FUTEX_TID_MASK);
	u32 old;
	int r = 0;

	if (!owner || owner->pi.dead) {
		// It may have given the lock up on its way out.
		r = get_user(old, uaddr);
		if (!r)
			r = old == word ? -ESRCH : -EAGAIN;
	} else if (chain_closes(t, owner)) {
		r = -EDEADLK;
	} else if (try) {
		r = -EWOULDBLOCK;
	} else if (!(word & FUTEX_WAITERS)) {
		r = user_cmpxchg_u32(uaddr, word, word | FUTEX_WAITERS, &old);
		if (!r && old != word)
			r = -EAGAIN;
	}
	if (!r)
		*out = state_begin(spare, k, owner);
	if (owner)
		task_put(owner);
	return r;
}

// One attempt to take the lock for t, which is the current task or one that is being requeued.
// TAKEN: it has it. 0: *out is the state to wait in. -EFAULT: bring the word in; -EAGAIN from
// owner_attach with *again set: it changed under us.
static int lock_attempt(u32 __user *uaddr, const struct vm_key *k, struct task *t, u32 set,
			struct pi_state **spare, bool try, struct pi_state **out, bool *again)
{
	u32 word, old;
	int r = get_user(word, uaddr);

	*again = false;
	if (r)
		return r;
	if ((word & FUTEX_TID_MASK) == t->thread.id)
		return -EDEADLK;
	struct pi_state *s = state_find(k);
	if (s) {
		*out = s;
		return chain_closes(t, s->owner) ? -EDEADLK : try ? -EWOULDBLOCK : 0;
	}
	if (!(word & FUTEX_TID_MASK)) {
		r = user_cmpxchg_u32(uaddr, word, (word & FUTEX_OWNER_DIED) | set | t->thread.id,
				     &old);
		if (r)
			return r;
		*again = old != word;
		return *again ? -EAGAIN : TAKEN;
	}
	r = owner_attach(uaddr, word, k, t, spare, try, out);
	*again = r == -EAGAIN && !try;
	return r;
}

// Brings the word in, writable.
static int word_touch(u32 __user *uaddr)
{
	u32 word, old;

	return get_user(word, uaddr) || user_cmpxchg_u32(uaddr, word, word, &old) ? -EFAULT : 0;
}

// The lock came from an owner that died: the word is to say whose it is now. 0 or -EFAULT.
static int word_inherit(u32 __user *uaddr, struct pi_state *s)
{
	for (;;) {
		u32 word, old;
		spin_lock(&pi_lock);
		int r = get_user(word, uaddr);
		if (!r)
			r = user_cmpxchg_u32(uaddr, word,
					     current_tid() | FUTEX_WAITERS | FUTEX_OWNER_DIED,
					     &old);
		if (!r && old == word)
			s->died = false;
		spin_unlock(&pi_lock);
		if (!r && old == word)
			return 0;
		if (r && word_touch(uaddr))
			return -EFAULT;
	}
}

// The waiter was granted its lock.
static int grant_accept(u32 __user *uaddr, struct pi_waiter *w)
{
	struct pi_state *s = w->state;
	int r = 0;

	spin_lock(&pi_lock);
	bool died = s->died;
	spin_unlock(&pi_lock);
	if (died)
		r = word_inherit(uaddr, s);
	spin_lock(&pi_lock);
	if (r && first_waiter(s))
		grant_first(s); // it cannot be told: the next one
	state_put(s);
	spin_unlock(&pi_lock);
	return r;
}

// Sleeps until the lock is granted. 0, -ETIMEDOUT, -EINTR.
static int waiter_sleep(u32 __user *uaddr, struct pi_waiter *w, u64 deadline)
{
	int r = 0;

	current()->wait_reason = "futex";
	for (;;) {
		thread_prepare_sleep(THREAD_INTERRUPTIBLE);
		if (atomic_load_acquire(&w->granted))
			break;
		if (thread_interrupt_pending(THREAD_INTERRUPTIBLE)) {
			r = -EINTR;
			break;
		}
		if (!schedule_until(deadline)) {
			r = -ETIMEDOUT;
			break;
		}
	}
	thread_finish_sleep();
	spin_lock(&pi_lock);
	bool granted = atomic_load(&w->granted);
	if (!granted)
		waiter_end(w);
	spin_unlock(&pi_lock);
	return granted ? grant_accept(uaddr, w) : r;
}

int futex_lock_pi(u32 __user *uaddr, bool private, u64 deadline, bool try)
{
	struct pi_waiter w = {.task = current_task()};
	struct pi_state *spare, *s = nullptr;
	struct vm_key k;
	bool again;
	int r = futex_key_get(uaddr, private, &k);

	if (r)
		return r;
	spare = kmalloc(sizeof(*spare));
	if (!spare)
		return -ENOMEM;
	do {
		spin_lock(&pi_lock);
		r = lock_attempt(uaddr, &k, w.task, 0, &spare, try, &s, &again);
		if (!r)
			waiter_begin(s, &w);
		spin_unlock(&pi_lock);
		if (r == -EFAULT)
			again = !(r = word_touch(uaddr));
		if (again && thread_interrupt_pending(THREAD_INTERRUPTIBLE))
			r = -EINTR, again = false;
	} while (again);
	kfree(spare);
	if (!r)
		r = waiter_sleep(uaddr, &w, deadline);
	return r == TAKEN ? 0 : r == -EINTR ? -ERESTARTNOINTR : r;
}

int futex_unlock_pi(u32 __user *uaddr, bool private)
{
	struct vm_key k;
	u32 word, old = 0, tid = current_tid();
	int r;

	for (;;) {
		if (get_user(word, uaddr))
			return -EFAULT;
		if ((word & FUTEX_TID_MASK) != tid)
			return -EPERM;
		r = futex_key_get(uaddr, private, &k);
		if (r)
			return r;
		spin_lock(&pi_lock);
		struct pi_state *s = state_find(&k);
		struct pi_waiter *w = s ? first_waiter(s) : nullptr;
		if (s && s->owner != current_task())
			r = -EINVAL;
		else
			r = user_cmpxchg_u32(uaddr, word,
					     w ? w->task->thread.id | FUTEX_WAITERS : 0, &old);
		if (!r && w && old == word)
			grant_first(s);
		spin_unlock(&pi_lock);
		if (r == -EFAULT && !word_touch(uaddr))
			continue;
		if (r || old == word)
			return r;
	}
}

void futex_pi_release(struct task *t, bool dead)
{
	spin_lock(&pi_lock);
	t->pi.dead = dead;
	while (!list_empty(&t->pi.owned)) {
		struct pi_state *s = list_first_entry(&t->pi.owned, struct pi_state, owner_link);
		assert(first_waiter(
			s)); // a state without any has an owner that is about to leave it
		s->died = true;
		grant_first(s);
	}
	spin_unlock(&pi_lock);
}

// ---- condition variables ----

int futex_wait_requeue_pi(u32 __user *from, bool private, u32 val, u32 bitset, u64 deadline,
			  u32 __user *to)
{
	struct requeue_pi q = {.waiter = {.task = current_task()}};
	struct futex_waiter w = {.thread = current(), .bitset = bitset, .requeue = &q};
	int r;

	if (from == to || !bitset)
		return -EINVAL;
	r = futex_key_get(from, private, &w.key);
	if (!r)
		r = futex_key_get(to, private, &q.key);
	if (!r && futex_key_equal(&w.key, &q.key))
		r = -EINVAL;
	if (r)
		return r;
	q.spare = kmalloc(sizeof(*q.spare));
	if (!q.spare)
		return -ENOMEM;
	w.bucket = futex_bucket_of(&w.key);
	r = futex_waiter_queue(&w, from, val);
	if (r)
		goto out;
	current()->wait_reason = "futex";
	while (!r) { // until it was given the lock, or given up before it was moved
		thread_prepare_sleep(THREAD_INTERRUPTIBLE);
		if (atomic_load_acquire(&w.woken))
			break;
		if (thread_interrupt_pending(THREAD_INTERRUPTIBLE))
			r = -ERESTARTNOINTR;
		else if (!schedule_until(deadline))
			r = -ETIMEDOUT;
	}
	thread_finish_sleep();
	spin_lock(&pi_lock);
	bool moved = q.moved;
	if (!moved)
		(void)futex_waiter_cancel(&w);
	spin_unlock(&pi_lock);
	if (moved && q.waiter.state) {
		r = waiter_sleep(to, &q.waiter, deadline);
		// The condition's word has changed: starting again would say the same.
		r = r == -EINTR ? -EWOULDBLOCK : r;
	} else if (moved) {
		r = 0;
	}
out:
	kfree(q.spare);
	return r;
}

// Moves the waiter w, whose bucket is locked, to the lock. TAKEN: it has got it.
static int requeue_one(struct futex_waiter *w, u32 __user *uaddr, u32 set, bool *again)
{
	struct requeue_pi *q = w->requeue;
	struct task *t = q->waiter.task;
	struct pi_state *s = nullptr;
	struct thread *thread = w->thread;
	int r = lock_attempt(uaddr, &q->key, t, set, &q->spare, false, &s, again);
	if (r < 0)
		return r;
	list_del(&w->link);
	q->moved = true;
	if (!r)
		waiter_begin(s, &q->waiter);
	atomic_store_seq(&w->woken, 1);
	thread_wake(thread);
	return r;
}

// With pi_lock and the bucket's lock held.
static int requeue_all(struct futex_bucket *b, const struct vm_key *from, const struct vm_key *to,
		       u32 __user *uaddr, int nrequeue, int *done, bool *again)
{
	struct futex_waiter *w, *next;

	list_for_each_entry_safe(w, next, &b->waiters, link) {
		if (!futex_key_equal(&w->key, from))
			continue;
		if (*done > nrequeue) // one to wake beside those to move
			break;
		if (!w->requeue || !futex_key_equal(&w->requeue->key, to))
			return -EINVAL;
		int r = requeue_one(w, uaddr, nrequeue ? FUTEX_WAITERS : 0, again);
		if (r < 0)
			return r;
		(*done)++;
	}
	return 0;
}

int futex_cmp_requeue_pi(u32 __user *from, u32 __user *to, bool private, int nwake, int nrequeue,
			 u32 val)
{
	struct vm_key k1, k2;
	int r, done = 0;
	bool again;

	if (nwake != 1 || nrequeue < 0 || from == to)
		return -EINVAL;
	r = futex_key_get(from, private, &k1);
	if (!r)
		r = futex_key_get(to, private, &k2);
	if (!r && futex_key_equal(&k1, &k2))
		r = -EINVAL;
	if (r)
		return r;
	struct futex_bucket *b = futex_bucket_of(&k1);
	do {
		u32 now;
		again = false;
		spin_lock(&pi_lock);
		spin_lock(&b->lock);
		r = get_user(now, from);
		if (!r && now != val && !done)
			r = -EWOULDBLOCK;
		if (!r)
			r = requeue_all(b, &k1, &k2, to, nrequeue, &done, &again);
		spin_unlock(&b->lock);
		spin_unlock(&pi_lock);
		if (r == -EFAULT)
			again = !(r = get_user(now, from) ? -EFAULT : word_touch(to));
		if (again && thread_interrupt_pending(THREAD_KILLABLE))
			return -EINTR;
	} while (again);
	return r ? r : done;
}

// SPDX-License-Identifier: MIT
// locks.c owns advisory file locks: POSIX (by process), OFD (by open file) and flock. Privileged.
//
// An inode that was ever locked has a file_locks: a list of ranges ordered by start for fcntl, and
// one for flock, under one spinlock. An owner's ranges never overlap; setting a range splits, trims
// and merges what the owner had. Spare entries are allocated before the lock is taken. Whoever must
// wait sleeps on the inode's queue and tries again when anything was released; waiting POSIX owners
// record whom they wait for, so that a cycle is answered with -EDEADLK.
//
// Owner: the descriptor table for POSIX locks (threads share it, a forked child does not), the
// struct file for the others.
#include "linux/fs/fs_priv.h"

struct file_lock {
	struct list link;
	void *owner;
	u32 pid; // of who set it, for F_GETLK; 0: OFD
	s16 type;
	s64 start, end; // inclusive
};

struct file_locks {
	spinlock_t lock;   // LOCK_flock
	struct list posix; // and OFD; by start
	struct list flock;
	struct wait_queue wait;
};

// A sleeping request of a POSIX owner. waits_lock.
struct lock_wait {
	struct list link;
	void *owner, *holder;
};
static struct list waits = LIST_INIT(waits);
static spinlock_t waits_lock = SPINLOCK_INIT(LOCK_flock);

static struct file_locks *locks_of(struct inode *i)
{
	struct file_locks *l = load_acquire(&i->locks), *none = nullptr;
	if (l)
		return l;
	l = kmalloc(sizeof(*l));
	if (!l)
		return nullptr;
	spin_lock_init(&l->lock, LOCK_flock);
	list_init(&l->posix);
	list_init(&l->flock);
	wait_queue_init(&l->wait);
	if (!try_cmpxchg(&i->locks, &none, l)) {
		kfree(l);
		return none;
	}
	return l;
}

void locks_free(struct inode *inode)
{
	assert(list_empty(&inode->locks->posix) && list_empty(&inode->locks->flock));
	kfree(inode->locks);
}

static bool conflicts(const struct file_lock *a, const struct file_lock *b)
{
	return a->owner != b->owner && a->start <= b->end && b->start <= a->end &&
	       (a->type == F_WRLCK || b->type == F_WRLCK);
}

static struct file_lock *find_conflict(struct list *head, const struct file_lock *want)
{
	struct file_lock *l;
	list_for_each_entry(l, head, link) {
		if (conflicts(l, want))
			return l;
	}
	return nullptr;
}

static void insert_sorted(struct list *head, struct file_lock *new)
{
	struct file_lock *l;
	list_for_each_entry(l, head, link) {
		if (l->start > new->start) {
			list_add_before(&l->link, &new->link);
			return;
		}
	}
	list_add_tail(head, &new->link);
}

// Gives the owner's range to `want` (or to nobody, F_UNLCK): its earlier locks are cut out of the
// range. spare: two entries, used ones become nullptr; what is left over is put into *dead.
static void apply_range(struct file_locks *f, const struct file_lock *want,
			struct file_lock *spare[2], struct list *dead)
{
	struct file_lock *l, *next, merged = *want;
	list_for_each_entry_safe(l, next, &f->posix, link) {
		if (l->owner != want->owner)
			continue;
		bool same = l->type == want->type;
		// Equal neighbours are joined.
		if (same && (l->end == INT64_MAX || l->end + 1 >= merged.start) &&
		    (merged.end == INT64_MAX || l->start <= merged.end + 1)) {
			merged.start = min(merged.start, l->start);
			merged.end = max(merged.end, l->end);
			list_move_tail(dead, &l->link);
			continue;
		}
		if (l->end < want->start || l->start > want->end)
			continue;
		if (l->start < want->start && l->end > want->end) { // cut in two
			struct file_lock *right = spare[1];
			spare[1] = nullptr;
			*right = *l;
			right->start = want->end + 1;
			l->end = want->start - 1;
			insert_sorted(&f->posix, right);
		} else if (l->start < want->start) {
			l->end = want->start - 1;
		} else if (l->end > want->end) {
			l->start = want->end + 1;
			list_del(&l->link);
			insert_sorted(&f->posix, l);
		} else {
			list_move_tail(dead, &l->link);
		}
	}
	if (want->type == F_UNLCK)
		return;
	struct file_lock *new = spare[0];
	spare[0] = nullptr;
	*new = merged;
	insert_sorted(&f->posix, new);
}

static void free_list(struct list *dead)
{
	struct file_lock *l, *next;
	list_for_each_entry_safe(l, next, dead, link)
		kfree(l);
}

static void wake_waiters(struct file_locks *f)
{
	smp_mb();
	if (wait_queue_active(&f->wait))
		wake_all(&f->wait);
}

// One attempt: 0, -EAGAIN (*holder: who is in the way) or -ENOMEM.
static int set_range_once(struct file_locks *f, const struct file_lock *want, void **holder)
{
	struct list dead = LIST_INIT(dead);
	struct file_lock *spare[2] = {kmalloc(sizeof(struct file_lock)),
				      kmalloc(sizeof(struct file_lock))};
	int err = spare[0] && spare[1] ? 0 : -ENOMEM;
	if (!err) {
		spin_lock(&f->lock);
		struct file_lock *in_way =
			want->type == F_UNLCK ? nullptr : find_conflict(&f->posix, want);
		if (in_way) {
			*holder = in_way->owner;
			err = -EAGAIN;
		} else {
			apply_range(f, want, spare, &dead);
		}
		spin_unlock(&f->lock);
		if (!err)
			wake_waiters(f); // a write lock may have become a read lock
	}
	kfree(spare[0]);
	kfree(spare[1]);
	free_list(&dead);
	return err;
}

// Would waiting for holder close a circle? Each owner waits for one other at most per thread; the
// walk is bounded.
static bool would_deadlock(void *owner, void *holder)
{
	for (u32 depth = 0; depth < 64; depth++) {
		struct lock_wait *w;
		void *next = nullptr;
		list_for_each_entry(w, &waits, link) {
			if (w->owner == holder)
				next = w->holder;
		}
		if (!next)
			return false;
		if (next == owner)
			return true;
		holder = next;
	}
	return false;
}

static int set_range_wait(struct file_locks *f, const struct file_lock *want, bool posix)
{
	struct lock_wait w = {.owner = want->owner};
	void *holder = nullptr;
	int err;
	for (;;) {
		struct waiter waiter = {.thread = current()};
		list_init(&waiter.link);
		wait_queue_add(&f->wait, &waiter);
		thread_prepare_sleep(THREAD_INTERRUPTIBLE);
		err = set_range_once(f, want, &holder);
		if (err == -EAGAIN && posix) {
			spin_lock(&waits_lock);
			if (would_deadlock(want->owner, holder)) {
				err = -EDEADLK;
			} else {
				w.holder = holder;
				list_add_tail(&waits, &w.link);
			}
			spin_unlock(&waits_lock);
		}
		if (err == -EAGAIN && !thread_interrupt_pending(THREAD_INTERRUPTIBLE))
			schedule();
		thread_finish_sleep();
		wait_queue_remove(&f->wait, &waiter);
		if (err == -EAGAIN && posix) {
			spin_lock(&waits_lock);
			list_del(&w.link);
			spin_unlock(&waits_lock);
		}
		if (err != -EAGAIN)
			return err;
		if (thread_interrupt_pending(THREAD_INTERRUPTIBLE))
			return -ERESTARTSYS;
	}
}

// ---- fcntl ----

static int range_of(struct file *f, const struct flock *fl, struct file_lock *out)
{
	s64 base = fl->l_whence == SEEK_SET   ? 0
		   : fl->l_whence == SEEK_CUR ? f->pos
					      : inode_size(f->inode);
	s64 start, end;
	if (fl->l_whence < SEEK_SET || fl->l_whence > SEEK_END)
		return -EINVAL;
	if (fl->l_type != F_RDLCK && fl->l_type != F_WRLCK && fl->l_type != F_UNLCK)
		return -EINVAL;
	if (__builtin_add_overflow(base, fl->l_start, &start))
		return -EOVERFLOW;
	if (start < 0)
		return -EINVAL;
	if (fl->l_len > 0) {
		if (__builtin_add_overflow(start, fl->l_len - 1, &end))
			return -EOVERFLOW;
	} else if (fl->l_len < 0) {
		end = start - 1;
		if (__builtin_add_overflow(start, fl->l_len, &start) || start < 0)
			return -EINVAL;
	} else {
		end = INT64_MAX;
	}
	out->type = fl->l_type;
	out->start = start;
	out->end = end;
	return 0;
}

static long get_lock(struct file_locks *f, struct file_lock *want, struct flock *fl,
		     struct flock __user *arg)
{
	spin_lock(&f->lock);
	struct file_lock *l = find_conflict(&f->posix, want);
	fl->l_type = F_UNLCK;
	if (l) {
		fl->l_type = l->type;
		fl->l_whence = SEEK_SET;
		fl->l_start = l->start;
		fl->l_len = l->end == INT64_MAX ? 0 : l->end - l->start + 1;
		fl->l_pid = l->pid ? (s32)l->pid : -1;
	}
	spin_unlock(&f->lock);
	return copy_to_user(arg, fl, sizeof(*fl));
}

long locks_fcntl(struct file *f, u32 cmd, struct flock __user *arg)
{
	struct flock fl;
	bool ofd = cmd == F_OFD_GETLK || cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW;
	bool get = cmd == F_GETLK || cmd == F_OFD_GETLK;
	if (copy_from_user(&fl, arg, sizeof(fl)))
		return -EFAULT;
	if (ofd && fl.l_pid)
		return -EINVAL;
	struct file_lock want = {.owner = ofd ? (void *)f : (void *)current_task()->files,
				 .pid = ofd ? 0 : current_pid()};
	int err = range_of(f, &fl, &want);
	if (err)
		return err;
	if (get && fl.l_type == F_UNLCK && !ofd)
		return -EINVAL;
	struct file_locks *locks = locks_of(f->inode);
	if (!locks)
		return -ENOLCK;
	if (get)
		return get_lock(locks, &want, &fl, arg);
	if ((want.type == F_RDLCK && !(f->mode & FILE_READ)) ||
	    (want.type == F_WRLCK && !(f->mode & FILE_WRITE)))
		return -EBADF;
	__atomic_fetch_or(&f->mode, FILE_LOCKED, __ATOMIC_RELAXED);
	void *holder;
	if (cmd == F_SETLKW || cmd == F_OFD_SETLKW)
		return set_range_wait(locks, &want, !ofd);
	return set_range_once(locks, &want, &holder);
}

static void drop_owner(struct file_locks *f, struct list *head, void *owner)
{
	struct list dead = LIST_INIT(dead);
	struct file_lock *l, *next;
	spin_lock(&f->lock);
	list_for_each_entry_safe(l, next, head, link) {
		if (l->owner == owner)
			list_move_tail(&dead, &l->link);
	}
	spin_unlock(&f->lock);
	if (!list_empty(&dead)) {
		free_list(&dead);
		wake_waiters(f);
	}
}

void locks_release_owner(struct file *f, struct fd_table *owner)
{
	struct file_locks *l = load_acquire(&f->inode->locks);
	if (l)
		drop_owner(l, &l->posix, owner);
}

void locks_release_file(struct file *f)
{
	struct file_locks *l = load_acquire(&f->inode->locks);
	if (!l)
		return;
	drop_owner(l, &l->posix, f);
	drop_owner(l, &l->flock, f);
}

// ---- flock ----

// As Linux: a conversion first gives up the old lock.
static int flock_once(struct file_locks *l, struct file *f, s16 type, struct file_lock **spare)
{
	struct file_lock want = {.owner = f, .type = type, .end = INT64_MAX}, *x;
	int err = 0;
	spin_lock(&l->lock);
	struct file_lock *mine = nullptr;
	list_for_each_entry(x, &l->flock, link) {
		if (x->owner == f)
			mine = x;
	}
	bool changed = mine && mine->type != type;
	if (mine && mine->type == type) {
		spin_unlock(&l->lock);
		return 0;
	}
	if (mine) {
		list_del(&mine->link);
		if (*spare)
			kfree(mine);
		else
			*spare = mine;
	}
	if (type != F_UNLCK) {
		if (find_conflict(&l->flock, &want)) {
			err = -EAGAIN;
		} else {
			x = *spare;
			*spare = nullptr;
			*x = want;
			list_add_tail(&l->flock, &x->link);
		}
	}
	spin_unlock(&l->lock);
	if (changed)
		wake_waiters(l);
	return err;
}

static int do_flock(struct file *f, s16 type, bool wait)
{
	struct file_locks *l = locks_of(f->inode);
	struct file_lock *spare = kmalloc(sizeof(*spare));
	int err = 0, got = -EAGAIN;
	if (!l || !spare) {
		kfree(spare);
		return -ENOLCK;
	}
	__atomic_fetch_or(&f->mode, FILE_LOCKED, __ATOMIC_RELAXED);
	got = flock_once(l, f, type, &spare);
	if (got == -EAGAIN && wait)
		err = wait_event_interruptible(&l->wait,
					       (got = flock_once(l, f, type, &spare)) != -EAGAIN);
	kfree(spare);
	return err ? err : got;
}

SYSCALL(flock, int fd, int op)
{
	static const s16 types[] = {[LOCK_SH] = F_RDLCK, [LOCK_EX] = F_WRLCK, [LOCK_UN] = F_UNLCK};
	int kind = op & ~LOCK_NB;
	if (kind != LOCK_SH && kind != LOCK_EX && kind != LOCK_UN)
		return -EINVAL;
	struct fdref r = fd_get(fd);
	int err = r.file ? do_flock(r.file, types[kind], !(op & LOCK_NB)) : -EBADF;
	fd_put(r);
	return err;
}

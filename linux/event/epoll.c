// SPDX-License-Identifier: MIT
// epoll.c: epoll(7). Privileged.
//
// An instance is a set of items, one for each watched (file, descriptor). An item's waiters stay on
// the file's wait queues for as long as the item lives; their callback puts the item on the
// instance's ready list and wakes one sleeper. epoll_wait takes the ready list, asks each file on
// it whether that is still so, and reports; what is level-triggered and ready goes back on the list
// for the next call. Files that are not on the list are not touched.
//
// Locks: `lock` (a mutex) guards the set and the scan of the ready list; ready_lock (a spinlock
// taken in callbacks, under a wait queue's lock) guards the list itself and the sleepers. A file's
// list of its items is guarded by its own spinlock.
//
// Lifetime: an item counts nothing. It is removed, under the instance's lock, by whoever comes
// first: EPOLL_CTL_DEL, the end of the watched file (epoll_file_release, which the file's memory
// waits for) or the end of the instance.
//
// Nesting: each instance has a level, above those of all instances in it, at most LEVEL_MAX, and
// one that is itself watched does not get a higher one. So there are no loops, recursion is
// bounded, and locks nest in the order of levels. (It refuses, with ELOOP, a few harmless sets that
// are built from the top.)
#include "abi/linux/epoll.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/time.h"
#include "base/fmt.h"
#include "base/rbtree.h"
#include "core/slab.h"
#include "core/time.h"
#include "core/work.h"
#include "linux/file.h"
#include "linux/poll.h"
#include "linux/signal.h"
#include "linux/syscalls.h"

constexpr u32 LEVEL_MAX = 4;
constexpr u32 WATCHES_MAX = 1 << 20; // of one user
constexpr u32 EVENTS_MAX = 0x7fffffff / sizeof(struct epoll_event);
constexpr u32 OWN_BITS = EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE;
constexpr u64 NO_TIMEOUT = ~0ull;

struct epoll {
	refcount_t refs;	     // the file, and releases of watched files under way
	mutex_t lock;		     // LOCK_epoll
	struct rb_root items;	     // by (file, fd); lock
	u32 level;		     // nest_lock
	bool watched;		     // ever by another instance; nest_lock
	const struct cred *cred;     // who pays; counted; immutable
	spinlock_t ready_lock;	     // LOCK_epoll_ready, interrupts off
	struct list ready;	     // item.ready_link; ready_lock
	struct list sleepers;	     // ready_lock
	struct wait_queue poll_wait; // those that poll the instance itself
	struct work poll_wake;	     // wakes them: a callback holds a wait queue's lock already
};

struct watch { // on one wait queue of the file
	struct waiter waiter;
	struct wait_queue *queue;
	struct item *item;
	struct watch *next; // further ones, kmalloc'ed
};

struct item {
	// what a callback touches
	struct watch first;
	struct epoll *ep;	// immutable
	struct list ready_link; // ready_lock
	u32 events;		// ready_lock for changes
	// the rest
	int fd;		       // immutable
	struct file *file;     // immutable
	u64 data;	       // ep->lock
	struct rb_node node;   // ep->lock
	struct list file_link; // watchers' lock
	bool failed;	       // a watch could not be made; ep->lock
};

struct watchers {	 // file.epoll
	spinlock_t lock; // LOCK_epoll_file
	struct list items;
};

struct sleeper {
	struct list link; // ready_lock; empty: was woken
	struct thread *thread;
};

static const struct file_ops epoll_ops;
static mutex_t nest_lock = MUTEX_INIT(nest_lock, LOCK_epoll_nest);

// ---------------------------------------------------------------- becoming ready

static bool wake_sleeper_locked(struct epoll *ep)
{
	struct sleeper *s = list_first_entry_or_null(&ep->sleepers, struct sleeper, link);

	if (!s)
		return false;
	struct thread *t = s->thread; // s may go as soon as its link is empty and the lock free
	list_del_init(&s->link);
	return thread_wake(t);
}

// Interrupts are off.
static bool item_ready(struct item *i)
{
	struct epoll *ep = i->ep;

	spin_lock(&ep->ready_lock);
	if (list_empty(&i->ready_link))
		list_add_tail(&ep->ready, &i->ready_link);
	bool woken = wake_sleeper_locked(ep);
	spin_unlock(&ep->ready_lock);
	if (unlikely(wait_queue_active(&ep->poll_wait)))
		work_queue(&ep->poll_wake);
	return woken;
}

static bool item_wake(struct waiter *w, u32 key)
{
	struct item *i = container_of(w, struct watch, waiter)->item;
	u32 events = load_once(&i->events);

	if (!(events & ~OWN_BITS) ||
	    (key && !(key & events))) // switched off by EPOLLONESHOT; or nothing that is waited for
		return false;
	return item_ready(i);
}

static void poll_wake_run(struct work *w)
{
	struct epoll *ep = container_of(w, struct epoll, poll_wake);
	wait_queue_wake(&ep->poll_wait, ~0u, POLLIN | POLLRDNORM);
}

// ---------------------------------------------------------------- life

static void epoll_put(struct epoll *ep)
{
	if (!refcount_dec_and_test(&ep->refs))
		return;
	if (ep->watched)
		work_flush(&ep->poll_wake);
	cred_put(ep->cred);
	kfree(ep);
}

static void item_unwatch(struct item *i)
{
	struct watch *w = &i->first;

	if (w->queue)
		wait_queue_remove(w->queue, &w->waiter);
	for (w = w->next; w;) {
		struct watch *next = w->next;
		wait_queue_remove(w->queue, &w->waiter);
		kfree(w);
		w = next;
	}
}

// Takes i out of everything and frees it. Lock held.
static void item_remove(struct item *i)
{
	struct epoll *ep = i->ep;
	struct watchers *w = i->file->epoll;

	item_unwatch(i);
	irqflags_t flags = spin_lock_irqsave(&ep->ready_lock);
	if (!list_empty(&i->ready_link))
		list_del_init(&i->ready_link);
	spin_unlock_irqrestore(&ep->ready_lock, flags);
	rb_erase(&i->node, &ep->items);
	atomic_dec(&ep->cred->user->epoll_watches);
	spin_lock(&w->lock);
	list_del(&i->file_link); // from here on the file may go
	spin_unlock(&w->lock);
	kfree(i);
}

static void epoll_release(struct file *f)
{
	struct epoll *ep = f->private_data;
	struct rb_node *n;

	mutex_lock(&ep->lock);
	while ((n = rb_first(&ep->items)))
		item_remove(rb_entry(n, struct item, node));
	mutex_unlock(&ep->lock);
	epoll_put(ep);
}

void epoll_file_release(struct file *f)
{
	struct watchers *w = f->epoll;

	for (;;) {
		spin_lock(&w->lock);
		struct item *i = list_first_entry_or_null(&w->items, struct item, file_link);
		struct epoll *ep = i ? i->ep : nullptr;
		if (ep)
			refcount_inc(&ep->refs); // its own reference is there while it has an item
		spin_unlock(&w->lock);
		if (!ep)
			break;
		mutex_lock(&ep->lock);
		spin_lock(&w->lock);
		i = list_first_entry_or_null(&w->items, struct item, file_link);
		spin_unlock(&w->lock);
		if (i && i->ep == ep) // else somebody was faster
			item_remove(i);
		mutex_unlock(&ep->lock);
		epoll_put(ep);
	}
	f->epoll = nullptr;
	kfree(w);
}

// ---------------------------------------------------------------- the set

static int item_compare(const struct file *f, int fd, const struct item *i)
{
	if (f != i->file)
		return f < i->file ? -1 : 1;
	return fd < i->fd ? -1 : fd > i->fd;
}

static struct item *item_find(struct epoll *ep, const struct file *f, int fd)
{
	struct rb_node *n = ep->items.node;

	while (n) {
		struct item *i = rb_entry(n, struct item, node);
		int order = item_compare(f, fd, i);
		if (!order)
			return i;
		n = order < 0 ? n->left : n->right;
	}
	return nullptr;
}

static void item_link(struct epoll *ep, struct item *new)
{
	struct rb_node **link = &ep->items.node, *parent = nullptr;

	while (*link) {
		parent = *link;
		link = item_compare(new->file, new->fd, rb_entry(parent, struct item, node)) < 0
			       ? &parent->left
			       : &parent->right;
	}
	rb_link_node(&new->node, parent, link);
	rb_insert_color(&new->node, &ep->items);
}

struct watch_table {
	struct poll_table table;
	struct item *item;
};

static void watch_add(struct poll_table *t, struct file *f, struct wait_queue *q)
{
	struct item *i = container_of(t, struct watch_table, table)->item;
	struct watch *w = &i->first;

	(void)f;
	if (w->queue) {
		w = kmalloc(sizeof(*w));
		if (!w) {
			i->failed = true;
			return;
		}
		w->next = i->first.next;
		i->first.next = w;
	} else {
		w->next = nullptr;
	}
	w->queue = q;
	w->item = i;
	w->waiter = (struct waiter){.fn = item_wake, .exclusive = i->events & EPOLLEXCLUSIVE};
	list_init(&w->waiter.link);
	wait_queue_add(q, &w->waiter);
}

static struct watchers *watchers_of(struct file *f)
{
	struct watchers *w = load_acquire((struct watchers **)&f->epoll), *none = nullptr;

	if (w)
		return w;
	w = kmalloc(sizeof(*w));
	if (!w)
		return nullptr;
	spin_lock_init(&w->lock, LOCK_epoll_file);
	list_init(&w->items);
	if (try_cmpxchg((struct watchers **)&f->epoll, &none, w))
		return w;
	kfree(w);
	return none;
}

static void make_ready(struct item *i)
{
	irqflags_t flags = irq_save();
	item_ready(i);
	irq_restore(flags);
}

static int set_add(struct epoll *ep, struct file *f, int fd, const struct epoll_event *ev)
{
	struct user_account *user = ep->cred->user;
	struct watchers *w = watchers_of(f);
	struct item *i = kmalloc(sizeof(*i));

	if (!w || !i) {
		kfree(i);
		return -ENOMEM;
	}
	if (atomic_inc_return(&user->epoll_watches) > WATCHES_MAX) {
		atomic_dec(&user->epoll_watches);
		kfree(i);
		return -ENOSPC;
	}
	*i = (struct item){.ep = ep,
			   .events = ev->events | POLLERR | POLLHUP,
			   .fd = fd,
			   .file = f,
			   .data = ev->data};
	list_init(&i->ready_link);
	item_link(ep, i);
	spin_lock(&w->lock);
	list_add_tail(&w->items, &i->file_link);
	spin_unlock(&w->lock);
	struct watch_table t = {.table = {.add = watch_add, .events = i->events & ~OWN_BITS},
				.item = i};
	u32 now = file_poll(f, &t.table);
	if (i->failed) {
		item_remove(i);
		return -ENOMEM;
	}
	if (now & i->events)
		make_ready(i);
	return 0;
}

static int set_change(struct item *i, const struct epoll_event *ev)
{
	if ((i->events | ev->events) & EPOLLEXCLUSIVE)
		return -EINVAL;
	i->data = ev->data;
	store_once(&i->events, ev->events | POLLERR | POLLHUP);
	smp_mb(); // a wake-up that did not see the new events: the file is asked after it
	if (file_poll(i->file, nullptr) & i->events)
		make_ready(i);
	return 0;
}

// Makes room for `inner` in ep as far as levels go. nest_lock held.
static int nest(struct epoll *ep, struct epoll *inner)
{
	if (inner->level >= ep->level) {
		if (ep == inner || ep->watched || inner->level >= LEVEL_MAX)
			return -ELOOP;
		ep->level = inner->level + 1;
	}
	inner->watched = true;
	return 0;
}

static int set_change_any(struct epoll *ep, int op, struct file *f, int fd,
			  const struct epoll_event *ev)
{
	struct item *i = item_find(ep, f, fd);

	switch (op) {
	case EPOLL_CTL_ADD:
		return i ? -EEXIST : set_add(ep, f, fd, ev);
	case EPOLL_CTL_MOD:
		return i ? set_change(i, ev) : -ENOENT;
	case EPOLL_CTL_DEL:
		if (!i)
			return -ENOENT;
		item_remove(i);
		return 0;
	default:
		return -EINVAL;
	}
}

static int epoll_change(struct file *epf, int op, struct file *f, int fd,
			const struct epoll_event *ev)
{
	struct epoll *ep = epf->private_data;
	bool nests = op == EPOLL_CTL_ADD && f->ops == &epoll_ops;
	int r = 0;

	if (nests) {
		mutex_lock(&nest_lock);
		r = nest(ep, f->private_data);
	}
	if (!r) {
		mutex_lock(&ep->lock);
		r = set_change_any(ep, op, f, fd, ev);
		mutex_unlock(&ep->lock);
	}
	if (nests)
		mutex_unlock(&nest_lock);
	return r;
}

constexpr u32 EXCLUSIVE_OK =
	POLLIN | POLLOUT | POLLERR | POLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE;

SYSCALL(epoll_ctl, int epfd, int op, int fd, struct epoll_event __user *uev)
{
	struct epoll_event ev = {};
	long r;

	if (op != EPOLL_CTL_DEL && copy_from_user(&ev, uev, sizeof(ev)))
		return -EFAULT;
	struct fdref e = fd_get(epfd), f = fd_get(fd);
	if (!e.file || !f.file)
		r = -EBADF;
	else if (!f.file->ops->poll)
		r = -EPERM;
	else if (e.file->ops != &epoll_ops || e.file == f.file)
		r = -EINVAL;
	else if ((ev.events & EPOLLEXCLUSIVE) && op != EPOLL_CTL_DEL &&
		 (op == EPOLL_CTL_MOD || f.file->ops == &epoll_ops || (ev.events & ~EXCLUSIVE_OK)))
		r = -EINVAL;
	else
		r = epoll_change(e.file, op, f.file, fd, &ev);
	fd_put(f);
	fd_put(e);
	return r;
}

// ---------------------------------------------------------------- reporting

// An item in hand is on no list: from then on a callback makes it ready again.
static struct item *take_locked(struct list *from)
{
	struct item *i = list_first_entry_or_null(from, struct item, ready_link);

	if (i)
		list_del_init(&i->ready_link);
	return i;
}

// Starts a scan of what is ready: the first item.
static struct item *scan_begin(struct epoll *ep, struct list *batch)
{
	irqflags_t flags = spin_lock_irqsave(&ep->ready_lock);

	list_splice_tail(batch, &ep->ready);
	struct item *i = take_locked(batch);
	spin_unlock_irqrestore(&ep->ready_lock, flags);
	return i;
}

// The next item; `keep` (may be nullptr) stays ready.
static struct item *scan_next(struct epoll *ep, struct list *batch, struct list *again,
			      struct item *keep)
{
	irqflags_t flags = spin_lock_irqsave(&ep->ready_lock);

	if (keep && list_empty(&keep->ready_link))
		list_add_tail(again, &keep->ready_link);
	struct item *i = take_locked(batch);
	spin_unlock_irqrestore(&ep->ready_lock, flags);
	return i;
}

// `keep` stays ready, before all others or with those that are level-triggered, which come last.
// Another sleeper may go on with any.
static void scan_end(struct epoll *ep, struct list *batch, struct list *again, struct item *keep,
		     bool first)
{
	irqflags_t flags = spin_lock_irqsave(&ep->ready_lock);

	if (keep && list_empty(&keep->ready_link)) {
		if (first)
			list_add_head(batch, &keep->ready_link);
		else
			list_add_tail(again, &keep->ready_link);
	}
	list_splice_head(&ep->ready, batch);
	list_splice_tail(&ep->ready, again);
	if (!list_empty(&ep->ready))
		wake_sleeper_locked(ep);
	spin_unlock_irqrestore(&ep->ready_lock, flags);
}

// The range was checked for the whole array.
static int event_put(struct epoll_event __user *to, u32 events, u64 data)
{
	if (arch_put_user(events, &to->events, sizeof(events)))
		return -EFAULT;
	return arch_put_user(data, &to->data, sizeof(data));
}

// Reports up to max events: how many, or -EFAULT when not even one.
static int report(struct epoll *ep, struct epoll_event __user *to, u32 max)
{
	struct list batch = LIST_INIT(batch), again = LIST_INIT(again);
	struct item *i, *keep = nullptr;
	bool failed = false;
	int r = 0;

	mutex_lock(&ep->lock);
	for (i = scan_begin(ep, &batch); i; i = scan_next(ep, &batch, &again, keep)) {
		u32 now = i->file->ops->poll(i->file, nullptr) & i->events & ~OWN_BITS;
		keep = nullptr;
		if (!now)
			continue;
		if (unlikely(event_put(&to[r], now, i->data))) {
			keep = i;
			failed = true;
			break;
		}
		r++;
		if (i->events & EPOLLONESHOT)
			store_once(&i->events, i->events & OWN_BITS);
		else if (!(i->events & EPOLLET))
			keep = i;
		if ((u32)r == max)
			break;
	}
	scan_end(ep, &batch, &again, keep, failed);
	mutex_unlock(&ep->lock);
	return failed && !r ? -EFAULT : r;
}

// Sleeps until something may be ready: 0, -ETIMEDOUT or -EINTR.
static int sleep_until(struct epoll *ep, u64 deadline)
{
	struct sleeper s = {.thread = current()};
	int r = 0;

	irqflags_t flags = spin_lock_irqsave(&ep->ready_lock);
	list_add_tail(&ep->sleepers, &s.link);
	spin_unlock_irqrestore(&ep->ready_lock, flags);
	for (;;) {
		thread_prepare_sleep(THREAD_INTERRUPTIBLE);
		if (list_empty(&s.link) || !list_empty(&ep->ready))
			break;
		if (thread_interrupt_pending(THREAD_INTERRUPTIBLE)) {
			r = -EINTR;
			break;
		}
		if (!schedule_until(deadline)) {
			r = list_empty(&ep->ready) ? -ETIMEDOUT : 0;
			break;
		}
	}
	thread_finish_sleep();
	flags = spin_lock_irqsave(&ep->ready_lock);
	if (!list_empty(&s.link))
		list_del_init(&s.link);
	else if (r && !list_empty(&ep->ready))
		wake_sleeper_locked(ep); // the wake-up that we leave unused was meant for somebody
	spin_unlock_irqrestore(&ep->ready_lock, flags);
	return r;
}

static long epoll_wait_until(int epfd, struct epoll_event __user *to, int max, u64 deadline)
{
	if (max <= 0 || (u32)max > EVENTS_MAX)
		return -EINVAL;
	if (!user_range_ok(to, (size_t)max * sizeof(*to)))
		return -EFAULT;
	struct fdref e = fd_get(epfd);
	long r = !e.file ? -EBADF : e.file->ops != &epoll_ops ? -EINVAL : 0;
	while (!r) {
		struct epoll *ep = e.file->private_data;
		if (!list_empty(&ep->ready))
			r = report(ep, to, (u32)max);
		if (r || !deadline)
			break;
		r = sleep_until(ep, deadline);
		if (r == -ETIMEDOUT) {
			deadline = 0; // one more look
			r = 0;
		}
	}
	fd_put(e);
	return r;
}

static u64 deadline_ms(int timeout_ms)
{
	if (timeout_ms < 0)
		return NO_TIMEOUT;
	return timeout_ms ? clock_monotonic_ns() + (u64)timeout_ms * 1'000'000 : 0;
}

SYSCALL(epoll_wait, int epfd, struct epoll_event __user *to, int max, int timeout_ms)
{
	return epoll_wait_until(epfd, to, max, deadline_ms(timeout_ms));
}

static long epoll_wait_masked(int epfd, struct epoll_event __user *to, int max, u64 deadline,
			      const u64 __user *umask, size_t size)
{
	long r = signal_mask_push_user(umask, size);

	if (r)
		return r;
	r = epoll_wait_until(epfd, to, max, deadline);
	if (umask)
		signal_mask_restore((int)r);
	return r;
}

SYSCALL(epoll_pwait, int epfd, struct epoll_event __user *to, int max, int timeout_ms,
	const u64 __user *umask, size_t size)
{
	return epoll_wait_masked(epfd, to, max, deadline_ms(timeout_ms), umask, size);
}

SYSCALL(epoll_pwait2, int epfd, struct epoll_event __user *to, int max,
	const struct linux_timespec __user *ut, const u64 __user *umask, size_t size)
{
	u64 deadline = NO_TIMEOUT;

	if (ut) {
		struct linux_timespec t;
		if (copy_from_user(&t, ut, sizeof(t)))
			return -EFAULT;
		if (t.sec < 0 || t.nsec < 0 || t.nsec >= (s64)NSEC_PER_SEC)
			return -EINVAL;
		if (!t.sec && !t.nsec)
			deadline = 0;
		else if (t.sec < 1'000'000'000)
			deadline = clock_monotonic_ns() + (u64)t.sec * NSEC_PER_SEC + (u64)t.nsec;
	}
	return epoll_wait_masked(epfd, to, max, deadline, umask, size);
}

// ---------------------------------------------------------------- the instance as a file

// Ready when a file on the ready list still is: the others are taken off it.
static u32 epoll_poll(struct file *f, struct poll_table *table)
{
	struct epoll *ep = f->private_data;
	struct list batch = LIST_INIT(batch), again = LIST_INIT(again);
	struct item *i;
	u32 r = 0;

	poll_wait(f, &ep->poll_wait, table);
	if (list_empty(&ep->ready))
		return 0;
	mutex_lock_nested(&ep->lock); // inside those of higher levels
	for (i = scan_begin(ep, &batch); i; i = scan_next(ep, &batch, &again, nullptr)) {
		if (file_poll(i->file, nullptr) & i->events & ~OWN_BITS) {
			r = POLLIN | POLLRDNORM;
			break;
		}
	}
	scan_end(ep, &batch, &again, i, true);
	mutex_unlock(&ep->lock);
	return r;
}

static int epoll_fdinfo(struct file *f, char *buf, size_t cap)
{
	struct epoll *ep = f->private_data;
	struct item *i;
	int n = 0;

	mutex_lock(&ep->lock);
	rb_for_each_entry(i, &ep->items, node) {
		size_t at = min((size_t)n, cap);
		n += snprintf(buf + at, cap - at, "tfd: %8d events: %8x data: %16llx\n", i->fd,
			      i->events, i->data);
	}
	mutex_unlock(&ep->lock);
	return n;
}

static const struct file_ops epoll_ops = {
	.release = epoll_release, .poll = epoll_poll, .fdinfo = epoll_fdinfo};

static long epoll_create_flags(int flags)
{
	if (flags & ~EPOLL_CLOEXEC)
		return -EINVAL;
	struct epoll *ep = kzalloc(sizeof(*ep));
	if (!ep)
		return -ENOMEM;
	refcount_set(&ep->refs, 1);
	mutex_init(&ep->lock, LOCK_epoll);
	spin_lock_init(&ep->ready_lock, LOCK_epoll_ready);
	list_init(&ep->ready);
	list_init(&ep->sleepers);
	wait_queue_init(&ep->poll_wait);
	work_init(&ep->poll_wake, poll_wake_run);
	ep->cred = cred_get(current_cred());
	struct file *f = pseudo_file_create("[eventpoll]", &epoll_ops, ep, O_RDWR);
	if (is_err(f)) {
		epoll_put(ep);
		return ptr_err(f);
	}
	f->mode |= FILE_STREAM;
	return fd_install_new(f, flags & EPOLL_CLOEXEC);
}

SYSCALL(epoll_create, int size)
{
	return size <= 0 ? -EINVAL : epoll_create_flags(0);
}

SYSCALL(epoll_create1, int flags)
{
	return epoll_create_flags(flags);
}

// SPDX-License-Identifier: MIT
// poll, ppoll, select, pselect6: waits for any of several descriptors. Privileged.
//
// The first round registers nothing until it has to: while no descriptor was found ready each one
// is asked with a table that adds a waiter to its queues; from the first ready one on (or with a
// timeout of zero) they are only asked. Waiters live in this thread's stack, then in pages; each
// keeps its file from going away. A wake-up sets `triggered`, and the next round asks all again.
#include "base/string.h"
#include "core/panic.h"
#include "core/slab.h"
#include "core/time.h"
#include "core/uaccess.h"
#include "abi/linux/time.h"
#include "linux/file.h"
#include "linux/poll.h"
#include "linux/signal.h"
#include "linux/syscalls.h"

constexpr u32 INLINE_WAITERS = 8;
constexpr u64 NO_TIMEOUT = ~0ull;

struct poll_waiter {
	struct waiter waiter;
	struct wait_queue *queue;
	struct file *file; // counted
	u32 events;
	struct poll_set *set;
};

struct poll_page {
	struct poll_page *next;
	u32 n;
	struct poll_waiter w[];
};
constexpr u32 PAGE_WAITERS = (PAGE_SIZE - sizeof(struct poll_page)) / sizeof(struct poll_waiter);

struct poll_set {
	struct poll_table table; // must be first
	struct thread *thread;
	u32 triggered; // atomic
	u32 n;
	int error;
	struct poll_page *pages;
	struct poll_waiter first[INLINE_WAITERS];
};

static bool poll_wake(struct waiter *waiter, u32 key)
{
	struct poll_waiter *w = container_of(waiter, struct poll_waiter, waiter);

	if (key && !(key & w->events))
		return false;
	store_release(&w->set->triggered, 1u);
	return thread_wake(w->set->thread);
}

static struct poll_waiter *waiter_new(struct poll_set *s)
{
	if (s->n < INLINE_WAITERS)
		return &s->first[s->n++];
	if (!s->pages || s->pages->n == PAGE_WAITERS) {
		struct poll_page *p = kmalloc(PAGE_SIZE);
		if (!p)
			return nullptr;
		p->next = s->pages;
		p->n = 0;
		s->pages = p;
	}
	return &s->pages->w[s->pages->n++];
}

static void set_add(struct poll_table *t, struct file *f, struct wait_queue *q)
{
	struct poll_set *s = container_of(t, struct poll_set, table);
	struct poll_waiter *w = waiter_new(s);

	if (!w) {
		s->error = -ENOMEM;
		return;
	}
	*w = (struct poll_waiter){.waiter.fn = poll_wake,
				  .queue = q,
				  .file = file_get(f),
				  .events = t->events,
				  .set = s};
	list_init(&w->waiter.link);
	wait_queue_add(q, &w->waiter);
}

static void set_init(struct poll_set *s, bool wait)
{
	s->table = (struct poll_table){.add = wait ? set_add : nullptr};
	s->thread = current();
	s->triggered = 0;
	s->n = 0;
	s->error = 0;
	s->pages = nullptr;
}

static void waiter_end(struct poll_waiter *w)
{
	wait_queue_remove(w->queue, &w->waiter);
	file_put(w->file);
}

static void set_end(struct poll_set *s)
{
	for (u32 i = 0; i < s->n; i++)
		waiter_end(&s->first[i]);
	while (s->pages) {
		struct poll_page *p = s->pages;
		for (u32 i = 0; i < p->n; i++)
			waiter_end(&p->w[i]);
		s->pages = p->next;
		kfree(p);
	}
}

constexpr u32 ALWAYS_READY =
	POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM; // files that know no waiting

// What of `events` holds for fd now; POLLNVAL for a bad one.
static __always_inline u32 ask(struct poll_set *s, int fd, u32 events)
{
	struct fdref r = fd_get(fd);

	if (!r.file)
		return POLLNVAL;
	events |= POLLERR | POLLHUP;
	struct poll_table *table = s->table.add ? &s->table : nullptr;
	s->table.events = events;
	u32 now = likely(r.file->ops->poll) ? r.file->ops->poll(r.file, table) : ALWAYS_READY;
	fd_put(r);
	return now & events;
}

// Sleeps until a waiter was triggered: 0, or -ETIMEDOUT, or -ERESTARTNOHAND for a signal.
static int set_sleep(struct poll_set *s, u64 deadline_ns)
{
	int r = 0;

	for (;;) {
		thread_prepare_sleep(THREAD_INTERRUPTIBLE);
		if (load_acquire(&s->triggered))
			break;
		if (thread_interrupt_pending(THREAD_INTERRUPTIBLE)) {
			r = -ERESTARTNOHAND;
			break;
		}
		if (!schedule_until(deadline_ns)) {
			r = load_acquire(&s->triggered) ? 0 : -ETIMEDOUT;
			break;
		}
	}
	thread_finish_sleep();
	store_release(&s->triggered, 0u);
	smp_mb(); // the next round looks at the files after this
	return r;
}

// Runs rounds until something is ready: the number of ready ones, 0 at the deadline, or an error.
static int set_run(struct poll_set *s, u64 deadline_ns, int (*round)(struct poll_set *s, void *arg),
		   void *arg)
{
	for (;;) {
		int n = round(s, arg);
		if (n)
			return n;
		if (s->error)
			return s->error;
		s->table.add = nullptr;
		if (!deadline_ns)
			return 0;
		int r = set_sleep(s, deadline_ns);
		if (r == -ETIMEDOUT)
			deadline_ns = 0; // one more look
		else if (r)
			return r;
	}
}

static u64 deadline_of(s64 sec, s64 nsec)
{
	u64 ns;

	if (!sec && !nsec)
		return 0;
	if (sec > 1'000'000'000)
		return NO_TIMEOUT;
	ns = (u64)sec * 1'000'000'000 + (u64)nsec;
	return clock_monotonic_ns() + ns;
}

// ---- poll ----

constexpr u32 INLINE_FDS = 32;

struct poll_call {
	struct pollfd *fds;
	u32 n;
};

// A round that waits for nothing, over a table of descriptors that nobody shares: no file can go
// away meanwhile.
static int poll_look(const struct poll_call *c, const struct fd_array *table)
{
	int ready = 0;

	for (struct pollfd *p = c->fds, *end = p + c->n; p < end; p++) {
		u32 now = 0;
		if (likely(p->fd >= 0)) {
			struct file *f = likely((u32)p->fd < table->size) ? table->files[(u32)p->fd]
									  : nullptr;
			if (unlikely(!f || (f->mode & FILE_PATH)))
				now = POLLNVAL;
			else if (likely(f->ops->poll))
				now = f->ops->poll(f, nullptr) &
				      ((u16)p->events | POLLERR | POLLHUP);
			else
				now = ALWAYS_READY & (u16)p->events;
		}
		p->revents = (s16)now;
		ready += now != 0;
	}
	return ready;
}

static int poll_round(struct poll_set *s, void *arg)
{
	const struct poll_call *c = arg;
	const struct fd_table *mine = current_task()->files;
	int ready = 0;

	if (!s->table.add && refcount_read(&mine->refs) == 1)
		return poll_look(c, mine->table);

	for (struct pollfd *p = c->fds, *end = p + c->n; p < end; p++) {
		u32 now = p->fd < 0 ? 0 : ask(s, p->fd, (u16)p->events);
		p->revents = (s16)now;
		if (now) {
			ready++;
			s->table.add = nullptr;
		}
	}
	return ready;
}

static long poll_common(struct pollfd __user *ufds, u32 n, u64 deadline_ns)
{
	struct pollfd stack[INLINE_FDS];
	struct poll_call c = {stack, n};
	struct poll_set s;
	int r;

	if (n > rlimit(RLIMIT_NOFILE) || n > 1u << 20)
		return -EINVAL;
	if (n > INLINE_FDS && !(c.fds = kmalloc((size_t)n * sizeof(*c.fds))))
		return -ENOMEM;
	r = copy_from_user(c.fds, ufds, (size_t)n * sizeof(*c.fds));
	if (r)
		goto out;
	set_init(&s, deadline_ns != 0);
	r = set_run(&s, deadline_ns, poll_round, &c);
	set_end(&s);
	if (r < 0)
		goto out;
	for (u32 i = 0; i < n; i++) {
		if (arch_put_user((u16)c.fds[i].revents, &ufds[i].revents, 2)) {
			r = -EFAULT;
			break;
		}
	}
out:
	if (c.fds != stack)
		kfree(c.fds);
	return r;
}

static long poll_restart(struct restart_block *b)
{
	long r = poll_common(user_ptr(struct pollfd, user_addr(b->poll.fds)), b->poll.nfds,
			     b->poll.deadline_ns);
	return r == -ERESTARTNOHAND ? -ERESTART_RESTARTBLOCK : r; // with the block as it is
}

SYSCALL(poll, struct pollfd __user *ufds, u32 n, int timeout_ms)
{
	u64 deadline = timeout_ms < 0 ? NO_TIMEOUT
				      : deadline_of(timeout_ms / 1000,
						    (s64)(timeout_ms % 1000) * 1'000'000);
	long r = poll_common(ufds, n, deadline);

	if (r == -ERESTARTNOHAND) {
		*current_restart_block() = (struct restart_block){
			.fn = poll_restart,
			.poll = {.fds = ufds, .nfds = n, .deadline_ns = deadline},
		};
		r = -ERESTART_RESTARTBLOCK;
	}
	return r;
}

static int read_timespec(const struct linux_timespec __user *ut, u64 *deadline)
{
	struct linux_timespec t;

	*deadline = NO_TIMEOUT;
	if (!ut)
		return 0;
	if (copy_from_user(&t, ut, sizeof(t)))
		return -EFAULT;
	if (t.sec < 0 || t.nsec < 0 || t.nsec >= 1'000'000'000)
		return -EINVAL;
	*deadline = deadline_of(t.sec, t.nsec);
	return 0;
}

static u64 time_left(u64 deadline)
{
	u64 now = clock_monotonic_ns();
	return deadline > now ? deadline - now : 0;
}

static void write_timespec(struct linux_timespec __user *ut, u64 deadline)
{
	if (!ut || deadline == NO_TIMEOUT)
		return;
	u64 left = time_left(deadline);
	struct linux_timespec t = {(s64)(left / 1'000'000'000), (s64)(left % 1'000'000'000)};
	(void)copy_to_user(ut, &t, sizeof(t)); // as Linux: the result of the call stands even if
					       // this page is read-only
}

SYSCALL(ppoll, struct pollfd __user *ufds, u32 n, struct linux_timespec __user *ut,
	const u64 __user *umask, size_t size)
{
	u64 deadline;
	long r = read_timespec(ut, &deadline);

	if (r)
		return r;
	r = signal_mask_push_user(umask, size);
	if (r)
		return r;
	r = poll_common(ufds, n, deadline);
	if (umask)
		signal_mask_restore((int)r);
	write_timespec(ut, deadline);
	return r;
}

// ---- select ----

constexpr u32 SELECT_STACK_WORDS = 6 * 16; // up to 1,024 descriptors

struct select_call {
	u32 n, words;
	u64 *in[3], *out[3]; // read, write, except
};

constexpr u32 SELECT_READ = POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR;
constexpr u32 SELECT_WRITE = POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR;
constexpr u32 SELECT_EXCEPT = POLLPRI;

static int select_round(struct poll_set *s, void *arg)
{
	const struct select_call *c = arg;
	int ready = 0;

	for (u32 w = 0; w < c->words; w++) {
		u64 rd = c->in[0][w], wr = c->in[1][w], ex = c->in[2][w], rd_out = 0, wr_out = 0,
		    ex_out = 0;

		for (u64 any = rd | wr | ex; any; any &= any - 1) {
			u64 bit = any & -any;
			u32 wanted = (rd & bit ? SELECT_READ : 0) | (wr & bit ? SELECT_WRITE : 0) |
				     (ex & bit ? SELECT_EXCEPT : 0);
			u32 now = ask(s, (int)(w * 64 + (u32)__builtin_ctzll(any)), wanted);

			if (likely(!now))
				continue;
			if (now == POLLNVAL)
				return -EBADF;
			u64 r = now & SELECT_READ ? rd & bit : 0,
			    o = now & SELECT_WRITE ? wr & bit : 0,
			    e = now & SELECT_EXCEPT ? ex & bit : 0;
			rd_out |= r;
			wr_out |= o;
			ex_out |= e;
			ready += !!r + !!o + !!e;
			if (r | o | e)
				s->table.add = nullptr;
		}
		c->out[0][w] = rd_out;
		c->out[1][w] = wr_out;
		c->out[2][w] = ex_out;
	}
	return ready;
}

static long select_common(int n, u64 __user *const sets[3], u64 deadline)
{
	u64 stack[SELECT_STACK_WORDS], *mem = stack;
	struct select_call c;
	struct poll_set s;
	long r = 0;

	if (n < 0)
		return -EINVAL;
	u64 limit = rlimit(RLIMIT_NOFILE);
	c.n = (u64)n < limit ? (u32)n : (u32)limit;
	c.words = (c.n + 63) / 64;
	if (c.words * 6 > SELECT_STACK_WORDS && !(mem = kmalloc((size_t)c.words * 6 * 8)))
		return -ENOMEM;
	for (u32 k = 0; k < 3; k++) {
		c.in[k] = mem + k * c.words;
		c.out[k] = mem + (k + 3) * c.words;
		if (!sets[k]) {
			memset(c.in[k], 0, c.words * 8);
		} else if (copy_from_user(c.in[k], sets[k], c.words * 8)) {
			r = -EFAULT;
			goto out;
		}
		if (c.n % 64)
			c.in[k][c.words - 1] &= (1ull << c.n % 64) - 1;
	}
	set_init(&s, deadline != 0);
	r = set_run(&s, deadline, select_round, &c);
	set_end(&s);
	if (r < 0)
		goto out;
	for (u32 k = 0; k < 3; k++)
		if (sets[k] && copy_to_user(sets[k], c.out[k], c.words * 8))
			r = -EFAULT;
out:
	if (mem != stack)
		kfree(mem);
	return r;
}

SYSCALL(select, int n, u64 __user *in, u64 __user *out, u64 __user *ex,
	struct linux_timeval __user *ut)
{
	u64 deadline = NO_TIMEOUT;

	if (ut) {
		struct linux_timeval t;
		if (copy_from_user(&t, ut, sizeof(t)))
			return -EFAULT;
		if (t.sec < 0 || t.usec < 0)
			return -EINVAL;
		deadline = deadline_of(t.sec + t.usec / 1'000'000, t.usec % 1'000'000 * 1000);
	}
	long r = select_common(n, (u64 __user *const[3]){in, out, ex}, deadline);
	if (ut && deadline != NO_TIMEOUT) {
		u64 left = time_left(deadline);
		struct linux_timeval t = {(s64)(left / 1'000'000'000),
					  (s64)(left % 1'000'000'000 / 1000)};
		(void)copy_to_user(ut, &t, sizeof(t));
	}
	return r;
}

struct sigmask_arg {
	u64 mask; // program's pointer
	u64 size;
};

SYSCALL(pselect6, int n, u64 __user *in, u64 __user *out, u64 __user *ex,
	struct linux_timespec __user *ut, const struct sigmask_arg __user *usig)
{
	struct sigmask_arg sig = {0};
	u64 deadline;

	if (usig && copy_from_user(&sig, usig, sizeof(sig)))
		return -EFAULT;
	long r = read_timespec(ut, &deadline);
	if (r)
		return r;
	if (sig.mask) {
		r = signal_mask_push_user(user_ptr(const u64, sig.mask), sig.size);
		if (r)
			return r;
	}
	r = select_common(n, (u64 __user *const[3]){in, out, ex}, deadline);
	if (sig.mask)
		signal_mask_restore((int)r);
	write_timespec(ut, deadline);
	return r;
}

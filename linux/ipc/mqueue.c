// SPDX-License-Identifier: MIT
// mqueue.c: POSIX message queues: mq_open, mq_unlink, mq_timedsend, mq_timedreceive, mq_notify,
// mq_getsetattr. Privileged.
//
// A queue is what an inode of the file system in mqueue_fs.c stands for; a descriptor is an open
// file of it. Its mutex guards a tree of messages, and who waits: a sender that finds the queue
// full leaves its message in a waiter, a receiver that finds it empty leaves an empty one. Whoever
// could go on hands over: a sender gives its message to the first receiver, and a receiver moves
// the first sender's into the queue. So nobody who comes later overtakes, and a process is told of
// a message (mq_notify) only when nobody was waiting for it.
//
// A waiter lives on its thread's stack. It is in a list or `done`, which changes under the mutex
// and which the thread reads under it before it leaves. Memory: what a queue may hold is charged to
// its user when it is made; what messages take is counted with System V's (ipc_message_alloc).
#include "linux/ipc/mqueue.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/poll.h"
#include "abi/linux/stat.h"
#include "base/fmt.h"
#include "base/string.h"
#include "core/time.h"
#include "linux/poll.h"
#include "linux/process/usage.h"
#include "linux/signal.h"

constexpr u32 MQ_PRIO_MAX = 32768;
constexpr u64 MESSAGE_COST = 48, PRIORITY_COST = 48; // as mq_overview(7) counts them on 64 bits

struct mq_message {
	struct rb_node node;
	u32 priority;
	size_t size;
	u8 data[];
};

struct mq_waiter {
	struct list link;
	struct mq_message *message; // a sender's; what a receiver was given
	bool done;
	struct wait_queue wake;
};

// ---- messages ----

static void message_free(struct mq_message *m)
{
	ipc_message_free(m, sizeof(*m) + m->size);
}

static struct mq_message *message_from_user(const void __user *text, size_t size, u32 priority)
{
	struct mq_message *m = ipc_message_alloc(sizeof(*m) + size);
	if (!m)
		return err_ptr(-ENOMEM);
	m->size = size;
	m->priority = priority;
	if (copy_from_user(m->data, text, size)) {
		message_free(m);
		return err_ptr(-EFAULT);
	}
	return m;
}

static bool goes_before(const struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, const struct mq_message, node)->priority >
	       rb_entry(b, const struct mq_message, node)->priority;
}

static void message_in_locked(struct mqueue *q, struct mq_message *m)
{
	rb_add(&m->node, &q->messages, goes_before);
	store_once(&q->curmsgs, q->curmsgs + 1);
	q->bytes += m->size;
}

static struct mq_message *message_out_locked(struct mqueue *q)
{
	struct mq_message *m = rb_entry_or_null(rb_first(&q->messages), struct mq_message, node);
	if (!m)
		return nullptr;
	rb_erase(&m->node, &q->messages);
	store_once(&q->curmsgs, q->curmsgs - 1);
	q->bytes -= m->size;
	return m;
}

// ---- a queue's life ----

struct mqueue *mqueue_make(u64 maxmsg, u64 msgsize)
{
	struct user_account *account = current_cred()->user;
	u64 cost =
		maxmsg * (MESSAGE_COST + msgsize) + min(maxmsg, (u64)MQ_PRIO_MAX) * PRIORITY_COST;
	if ((u64)atomic_add_return(&account->mqueue_bytes, (s64)cost) > rlimit(RLIMIT_MSGQUEUE)) {
		atomic_sub(&account->mqueue_bytes, (s64)cost);
		return err_ptr(-EMFILE);
	}
	struct mqueue *q = kzalloc(sizeof(*q));
	if (!q) {
		atomic_sub(&account->mqueue_bytes, (s64)cost);
		return err_ptr(-ENOMEM);
	}
	mutex_init(&q->lock, LOCK_sysv_object);
	list_init(&q->senders);
	list_init(&q->receivers);
	wait_queue_init(&q->poll);
	q->maxmsg = (u32)maxmsg;
	q->msgsize = (u32)msgsize;
	q->payer = cred_get(current_cred());
	q->charged = cost;
	return q;
}

void mqueue_free(struct mqueue *q)
{
	struct mq_message *m;
	while ((m = message_out_locked(q)))
		message_free(m);
	if (q->notify)
		process_put(q->notify);
	atomic_sub(&q->payer->user->mqueue_bytes, (s64)q->charged);
	cred_put(q->payer);
	kfree(q);
}

static struct mqueue *queue_of(const struct file *f)
{
	return f->inode->private_data;
}

// ---- waiting ----

static void waiter_done_locked(struct mq_waiter *w)
{
	list_del(&w->link);
	store_once(&w->done, true);
	wake_all(&w->wake);
}

// Sleeps until somebody has handed over. The lock is held on both sides, not between.
static int wait_locked(struct mqueue *q, struct list *among, struct mq_waiter *w, u64 deadline_ns)
{
	wait_queue_init(&w->wake);
	list_add_tail(among, &w->link);
	mutex_unlock(&q->lock);
	int r = wait_event_interruptible_until(&w->wake, load_once(&w->done), deadline_ns);
	mutex_lock(&q->lock);
	if (w->done)
		return 0;
	list_del(&w->link);
	return r;
}

// ---- sending ----

static void notify_locked(struct mqueue *q)
{
	struct process *p = q->notify;
	if (!p)
		return;
	if (q->event.notify == SIGEV_SIGNAL) {
		struct siginfo info = {.signo = q->event.signo, .code = SI_MESGQ};
		info.rt.pid = (s32)current_pid();
		info.rt.uid = current_cred()->uid;
		info.rt.value = q->event.value;
		(void)signal_send_process(p, &info);
	}
	q->notify = nullptr;
	process_put(p);
}

static int send_locked(struct mqueue *q, struct mq_message *m, bool nonblock, u64 deadline_ns)
{
	if (!list_empty(&q->receivers)) {
		struct mq_waiter *w = list_first_entry(&q->receivers, struct mq_waiter, link);
		w->message = m;
		waiter_done_locked(w);
		return 0;
	}
	if (q->curmsgs >= q->maxmsg) {
		struct mq_waiter w = {.message = m};
		return nonblock ? -EAGAIN : wait_locked(q, &q->senders, &w, deadline_ns);
	}
	message_in_locked(q, m);
	if (q->curmsgs == 1)
		notify_locked(q);
	wait_queue_wake(&q->poll, ~0u, POLLIN | POLLRDNORM);
	return 0;
}

// The descriptor's file when it is a queue that is open for what is wanted.
static struct fdref queue_fd_get(int fd, u32 mode)
{
	struct fdref ref = fd_get(fd);
	if (ref.file && (ref.file->ops != &mqueue_ops || (ref.file->mode & mode) != mode)) {
		fd_put(ref);
		return (struct fdref){};
	}
	return ref;
}

SYSCALL(mq_timedsend, int fd, const void __user *text, size_t size, u32 priority,
	const struct linux_timespec __user *timeout)
{
	u64 deadline;
	int r = deadline_from_user(timeout, false, true, &deadline);
	if (r)
		return r;
	if (priority >= MQ_PRIO_MAX)
		return -EINVAL;
	struct fdref ref = queue_fd_get(fd, FILE_WRITE);
	if (!ref.file)
		return -EBADF;
	struct mqueue *q = queue_of(ref.file);
	struct mq_message *m =
		size > q->msgsize ? err_ptr(-EMSGSIZE) : message_from_user(text, size, priority);
	r = ptr_err_or_zero(m);
	if (!r) {
		mutex_lock(&q->lock);
		r = send_locked(q, m, load_once(&ref.file->flags) & O_NONBLOCK, deadline);
		mutex_unlock(&q->lock);
		if (r)
			message_free(m);
	}
	fd_put(ref);
	return r;
}

// ---- receiving ----

// The first sender that waits has its message in the queue, now that there is room.
static void sender_in_locked(struct mqueue *q)
{
	if (list_empty(&q->senders)) {
		wait_queue_wake(&q->poll, ~0u, POLLOUT | POLLWRNORM);
		return;
	}
	struct mq_waiter *w = list_first_entry(&q->senders, struct mq_waiter, link);
	message_in_locked(q, w->message);
	if (q->curmsgs == 1)
		notify_locked(q);
	waiter_done_locked(w);
}

static struct mq_message *receive_locked(struct mqueue *q, bool nonblock, u64 deadline_ns)
{
	struct mq_message *m = message_out_locked(q);
	if (m) {
		sender_in_locked(q);
		return m;
	}
	if (nonblock)
		return err_ptr(-EAGAIN);
	struct mq_waiter w = {};
	int r = wait_locked(q, &q->receivers, &w, deadline_ns);
	return r ? err_ptr(r) : w.message;
}

SYSCALL(mq_timedreceive, int fd, void __user *text, size_t size, u32 __user *upriority,
	const struct linux_timespec __user *timeout)
{
	u64 deadline;
	int r = deadline_from_user(timeout, false, true, &deadline);
	if (r)
		return r;
	struct fdref ref = queue_fd_get(fd, FILE_READ);
	if (!ref.file)
		return -EBADF;
	struct mqueue *q = queue_of(ref.file);
	struct mq_message *m = err_ptr(-EMSGSIZE);
	if (size >= q->msgsize) {
		mutex_lock(&q->lock);
		m = receive_locked(q, load_once(&ref.file->flags) & O_NONBLOCK, deadline);
		mutex_unlock(&q->lock);
	}
	fd_put(ref);
	if (is_err(m))
		return ptr_err(m);
	long n = (long)m->size;
	if ((upriority && put_user(m->priority, upriority)) || copy_to_user(text, m->data, m->size))
		n = -EFAULT; // and the message is lost, as on Linux
	message_free(m);
	return n;
}

// ---- being told ----

static int event_check(const struct linux_sigevent *e)
{
	if (e->notify == SIGEV_NONE)
		return 0;
	if (e->notify == SIGEV_SIGNAL)
		return e->signo >= 1 && e->signo <= SIGRTMAX ? 0 : -EINVAL;
	if (e->notify != SIGEV_THREAD)
		return -EINVAL;
	// Through a netlink socket, of which there are none.
	struct fdref ref = fd_get(e->signo);
	int r = !ref.file ? -EBADF : S_ISSOCK(ref.file->inode->mode) ? -EINVAL : -ENOTSOCK;
	if (ref.file)
		fd_put(ref);
	return r;
}

static void notify_end_locked(struct mqueue *q)
{
	if (q->notify != current_process())
		return;
	process_put(q->notify);
	q->notify = nullptr;
}

SYSCALL(mq_notify, int fd, const struct linux_sigevent __user *uevent)
{
	struct linux_sigevent e = {};
	if (uevent) {
		if (copy_from_user(&e, uevent, sizeof(e)))
			return -EFAULT;
		int r = event_check(&e);
		if (r)
			return r;
	}
	struct fdref ref = queue_fd_get(fd, 0);
	if (!ref.file)
		return -EBADF;
	struct mqueue *q = queue_of(ref.file);
	int r = 0;
	mutex_lock(&q->lock);
	if (!uevent) {
		notify_end_locked(q);
	} else if (q->notify) {
		r = -EBUSY;
	} else {
		q->event = e;
		q->notify = process_get(current_process());
	}
	mutex_unlock(&q->lock);
	fd_put(ref);
	return r;
}

// ---- names and attributes ----

static int name_from_user(char name[NAME_MAX + 2], const char __user *uname)
{
	ssize_t len = copy_string_from_user(name, uname, NAME_MAX + 2);
	return len<0 ? (int)len : len>(ssize_t) NAME_MAX ? -ENAMETOOLONG : len ? 0 : -ENOENT;
}

SYSCALL(mq_open, const char __user *uname, u32 flags, u32 mode, const struct mq_attr __user *uattr)
{
	char name[NAME_MAX + 2];
	struct mq_attr attr;
	if (uattr && copy_from_user(&attr, uattr, sizeof(attr)))
		return -EFAULT;
	int r = name_from_user(name, uname);
	if (r)
		return r;
	struct file *f = mqueue_open(name, flags, mode, uattr ? &attr : nullptr);
	return is_err(f) ? ptr_err(f) : fd_install_new(f, O_CLOEXEC);
}

SYSCALL(mq_unlink, const char __user *uname)
{
	char name[NAME_MAX + 2];
	int r = name_from_user(name, uname);
	return r ?: mqueue_unlink(name);
}

SYSCALL(mq_getsetattr, int fd, const struct mq_attr __user *unew, struct mq_attr __user *uold)
{
	struct mq_attr new, old = {};
	if (unew && copy_from_user(&new, unew, sizeof(new)))
		return -EFAULT;
	if (unew && (new.flags & ~(s64)O_NONBLOCK))
		return -EINVAL;
	struct fdref ref = queue_fd_get(fd, 0);
	if (!ref.file)
		return -EBADF;
	struct mqueue *q = queue_of(ref.file);
	mutex_lock(&q->lock);
	old.flags = load_once(&ref.file->flags) & O_NONBLOCK;
	old.maxmsg = q->maxmsg;
	old.msgsize = q->msgsize;
	old.curmsgs = q->curmsgs;
	if (unew && new.flags)
		__atomic_fetch_or(&ref.file->flags, O_NONBLOCK, __ATOMIC_RELAXED);
	else if (unew)
		__atomic_fetch_and(&ref.file->flags, ~(u32)O_NONBLOCK, __ATOMIC_RELAXED);
	mutex_unlock(&q->lock);
	fd_put(ref);
	return uold && copy_to_user(uold, &old, sizeof(old)) ? -EFAULT : 0;
}

// ---- as a file ----

// read(2) tells of the queue, and takes no message.
static ssize_t mqueue_read(struct file *f, struct io *io)
{
	char text[80];
	struct mqueue *q = queue_of(f);
	mutex_lock(&q->lock);
	size_t n = (size_t)scnprintf(
		text, sizeof(text), "QSIZE:%-10llu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6u\n",
		q->bytes, q->notify ? q->event.notify : 0,
		q->notify && q->event.notify == SIGEV_SIGNAL ? q->event.signo : 0,
		q->notify ? q->notify->pid : 0);
	mutex_unlock(&q->lock);
	if (io->pos < 0 || (u64)io->pos >= n)
		return 0;
	size_t want = min(io->left, n - (size_t)io->pos);
	size_t done = io_copy_to(io, text + io->pos, want);
	io->pos += (s64)done;
	return done || !want ? (ssize_t)done : -EFAULT;
}

static u32 mqueue_poll(struct file *f, struct poll_table *table)
{
	struct mqueue *q = queue_of(f);
	poll_wait(f, &q->poll, table);
	u32 n = load_once(&q->curmsgs);
	return (n ? POLLIN | POLLRDNORM : 0) | (n < q->maxmsg ? POLLOUT | POLLWRNORM : 0);
}

// Whoever closes a descriptor of it is not told any more.
static int mqueue_flush(struct file *f)
{
	struct mqueue *q = queue_of(f);
	mutex_lock(&q->lock);
	notify_end_locked(q);
	mutex_unlock(&q->lock);
	return 0;
}

const struct file_ops mqueue_ops = {
	.read = mqueue_read,
	.poll = mqueue_poll,
	.flush = mqueue_flush,
	.lseek = lseek_generic,
};

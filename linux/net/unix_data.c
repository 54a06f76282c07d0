// SPDX-License-Identifier: MIT
// unix_data.c: AF_UNIX: queues of messages: sending, receiving, polling. Privileged.
//
// A message is one allocation that holds its bytes; it is filled before the receiver's lock is
// taken and emptied after, under the receiver's recv_lock, so that bytes are copied once in and
// once out. A stream is sent in messages of at most STREAM_CHUNK; a reader glues them.
//
// The bytes that wait in the receiver's queue are bounded by the sender's SO_SNDBUF; a sender that
// found it full goes on when half is free again.
#include "abi/linux/ioctl.h"
#include "base/string.h"
#include "core/slab.h"
#include "core/time.h"
#include "linux/net/unix_priv.h"
#include "linux/poll.h"
#include "linux/signal.h"

constexpr u32 STREAM_CHUNK =
	8192 - sizeof(struct unix_message); // one object of the largest slab cache
constexpr u32 QUEUE_MAX = 512;		    // datagrams that wait

void unix_message_free(struct unix_message *m)
{
	if (unlikely(m->rights))
		socket_rights_free(m->rights);
	if (m->from)
		unix_addr_put(m->from);
	kfree(m);
}

static u32 charge(const struct unix_message *m)
{
	return m->len + (u32)sizeof(*m);
}

// Bytes queued for `to` are less than what `from` may have there.
static bool below_limit(const struct unix_sock *from, const struct unix_sock *to)
{
	return load_once(&to->queued) < load_once(&from->sk.sndbuf) &&
	       load_once(&to->count) < QUEUE_MAX * (to->sk.type == SOCK_DGRAM ? 1 : 16);
}

// What those wait for who found no room: half is free again.
bool unix_has_room(const struct unix_sock *from, const struct unix_sock *to)
{
	return load_once(&to->queued) * 2 <= load_once(&from->sk.sndbuf) &&
	       load_once(&to->count) <= QUEUE_MAX / 2;
}

static struct unix_message *message_create(struct io *io, size_t len,
					   const struct socket_message *sm)
{
	struct unix_message *m = kmalloc(sizeof(*m) + len);

	if (unlikely(!m))
		return err_ptr(-ENOBUFS);
	if (unlikely(io_copy_from(io, m->data, len) != len)) {
		kfree(m);
		return err_ptr(-EFAULT);
	}
	m->len = (u32)len;
	m->offset = 0;
	m->cred = sm && sm->has_cred ? sm->cred : unix_cred_current();
	m->rights = nullptr;
	m->from = nullptr;
	return m;
}

constexpr u32 BULK_BYTES = 4096;

// Appends m: 0, or -EPIPE, -ECONNREFUSED when nobody will read it.
static int enqueue(struct unix_sock *to, struct unix_message *m)
{
	spin_lock(&to->lock);
	if (unlikely(to->dead || (to->shut & UNIX_SHUT_RECV))) {
		int r = to->dead && to->sk.type == SOCK_DGRAM ? -ECONNREFUSED : -EPIPE;
		spin_unlock(&to->lock);
		return r;
	}
	u32 len = m->len;
	list_add_tail(&to->queue, &m->link);
	store_once(&to->queued, to->queued + charge(m));
	store_once(&to->count, to->count + 1);
	spin_unlock(&to->lock);
	// The sender of a short message waits for its answer next; a long one goes on sending, so
	// that the reader is better off on a CPU of its own.
	if (len < BULK_BYTES)
		wait_queue_wake_sync(&to->read_wait, ~0u, POLLIN | POLLRDNORM);
	else
		wait_queue_wake(&to->read_wait, ~0u, POLLIN | POLLRDNORM);
	return 0;
}

// ---------------------------------------------------------------- sending

static bool send_ends(const struct unix_sock *u, const struct unix_sock *to)
{
	return (load_once(&u->shut) & UNIX_SHUT_SEND) || (load_once(&to->shut) & UNIX_SHUT_RECV) ||
	       load_once(&to->dead);
}

// Waits for room in to's queue on q.
static int wait_room(struct unix_sock *u, struct unix_sock *to, struct wait_queue *q, u64 *deadline,
		     bool nonblock)
{
	u64 timeout = load_once(&u->sk.send_timeout_ns);

	if (nonblock)
		return -EAGAIN;
	if (!*deadline)
		*deadline = socket_deadline(timeout, clock_monotonic_ns());
	int r = wait_event_interruptible_until(q, unix_has_room(u, to) || send_ends(u, to),
					       *deadline);
	return socket_wait_error(r, timeout);
}

static int stream_send_check(struct unix_sock *u, const struct socket_message *m)
{
	if (m && m->addr_len)
		return u->peer ? -EISCONN : -EOPNOTSUPP;
	return u->peer ? 0 : -ENOTCONN;
}

ssize_t unix_stream_send(struct socket *s, struct io *io, struct socket_message *sm)
{
	struct unix_sock *u = unix_of(s), *to = load_acquire(&u->peer);
	size_t done = 0;
	u64 deadline = 0;
	int r = 0;

	if (unlikely(!to || (sm && sm->addr_len)))
		return stream_send_check(u, sm);
	while (io->left) {
		if (unlikely(send_ends(u, to))) {
			r = -EPIPE;
			break;
		}
		if (unlikely(!below_limit(u, to))) {
			r = wait_room(u, to, &u->write_wait, &deadline, io->flags & IO_NONBLOCK);
			if (r)
				break;
			continue;
		}
		size_t n = min(io->left, (size_t)STREAM_CHUNK);
		struct unix_message *m = message_create(io, n, sm);
		if (is_err(m)) {
			r = ptr_err(m);
			break;
		}
		if (sm) {
			m->rights = sm->rights;
			sm->rights = nullptr;
		}
		r = enqueue(to, m);
		if (r) {
			unix_message_free(m);
			break;
		}
		done += n;
	}
	return done ? (ssize_t)done : r;
}

// Where a datagram goes: counted or err_ptr.
static struct unix_sock *dgram_target(struct unix_sock *u, const struct socket_message *sm)
{
	struct unix_sock *to;

	if (sm && sm->addr_len && u->sk.type == SOCK_DGRAM)
		return unix_find(&sm->addr, sm->addr_len, SOCK_DGRAM);
	to = unix_peer_get(u);
	return to ? to : err_ptr(-ENOTCONN);
}

ssize_t unix_dgram_send(struct socket *s, struct io *io, struct socket_message *sm)
{
	struct unix_sock *u = unix_of(s);
	bool packets = s->type == SOCK_SEQPACKET;
	size_t len = io->left;
	u64 deadline = 0;
	int r;

	if (packets && sm && sm->addr_len)
		return u->peer ? -EISCONN : -EOPNOTSUPP;
	if (len + sizeof(struct unix_message) > load_once(&s->sndbuf))
		return -EMSGSIZE;
	struct unix_sock *to = dgram_target(u, sm);
	if (is_err(to))
		return ptr_err(to);
	struct unix_message *m = message_create(io, len, sm);
	r = ptr_err_or_zero(m);
	if (r)
		goto out;
	m->from = unix_addr_get_of(u);
	if (sm) {
		m->rights = sm->rights;
		sm->rights = nullptr;
	}
	r = -EPIPE;
	if (load_once(&u->shut) & UNIX_SHUT_SEND)
		goto free;
	r = -EPERM; // it talks to somebody else only
	if (!packets && load_once(&to->peer) && load_once(&to->peer) != u)
		goto free;
	while (!below_limit(u, to) && !send_ends(u, to)) {
		// A datagram socket has many senders: they wait at the receiver.
		r = wait_room(u, to, packets ? &u->write_wait : &to->write_wait, &deadline,
			      io->flags & IO_NONBLOCK);
		if (r)
			goto free;
	}
	r = enqueue(to, m);
	if (!r)
		goto out;
free:
	unix_message_free(m);
out:
	unix_put(to);
	return r ? r : (ssize_t)len;
}

// ---------------------------------------------------------------- receiving

// Takes m out of u's queue and lets senders know of the room. recv_lock held.
static void dequeue(struct unix_sock *u, struct unix_message *m)
{
	struct unix_sock *from =
		u->sk.type == SOCK_DGRAM
			? u
			: load_acquire(&u->peer); // whose queue the senders wait on

	spin_lock(&u->lock);
	list_del(&m->link);
	store_once(&u->queued, u->queued - charge(m));
	store_once(&u->count, u->count - 1);
	spin_unlock(&u->lock);
	if (!from)
		return;
	smp_mb();
	if (unlikely(wait_queue_active(&from->write_wait)) && unix_has_room(from, u))
		wait_queue_wake(&from->write_wait, ~0u, POLLOUT | POLLWRNORM);
}

// m has been read. What still carries descriptors is freed by doomed_free: closing a file takes
// locks that come before recv_lock.
static void message_retire(struct unix_sock *u, struct unix_message *m, struct list *doomed)
{
	dequeue(u, m);
	if (unlikely(m->rights))
		list_add_tail(doomed, &m->link);
	else
		unix_message_free(m);
}

static void doomed_free(struct list *doomed)
{
	struct unix_message *m, *next;

	list_for_each_entry_safe(m, next, doomed, link)
		unix_message_free(m);
}

static struct unix_message *queue_first(struct unix_sock *u)
{
	spin_lock(&u->lock);
	struct unix_message *m = list_first_entry_or_null(&u->queue, struct unix_message, link);
	spin_unlock(&u->lock);
	return m;
}

static struct unix_message *queue_next(struct unix_sock *u, struct unix_message *m)
{
	spin_lock(&u->lock);
	struct unix_message *next = m->link.next == &u->queue ? nullptr : list_next_entry(m, link);
	spin_unlock(&u->lock);
	return next;
}

static bool recv_may_go_on(const struct unix_sock *u)
{
	return !list_empty(&u->queue) || (load_once(&u->shut) & UNIX_SHUT_RECV) ||
	       load_once(&u->sk.error);
}

// The queue is empty: waits. 1: there may be something, 0: end of file, or an error. recv_lock held
// on entry and exit.
static int wait_message(struct unix_sock *u, u64 *deadline, bool nonblock)
{
	u64 timeout = load_once(&u->sk.recv_timeout_ns);
	int r = socket_error_take(&u->sk);

	if (r)
		return r;
	if (load_once(&u->shut) & UNIX_SHUT_RECV)
		return list_empty(&u->queue) ? 0 : 1;
	if (nonblock)
		return -EAGAIN;
	if (!*deadline)
		*deadline = timeout == ~0ull ? timeout : clock_monotonic_ns() + timeout;
	mutex_unlock(&u->recv_lock);
	r = wait_event_interruptible_until(&u->read_wait, recv_may_go_on(u), *deadline);
	mutex_lock(&u->recv_lock);
	return r ? socket_wait_error(r, timeout) : 1;
}

// Hands m's rights to the reader (peek: copies of them), or drops them with the message.
static int rights_hand_over(struct unix_message *m, struct socket_message *sm, bool peek)
{
	if (likely(!m->rights) || !sm)
		return 0;
	if (!peek) {
		sm->rights = m->rights; // the first of this call: it ends the reading
		m->rights = nullptr;
		return 0;
	}
	if (sm->rights)
		return 0;
	sm->rights = socket_rights_copy(m->rights);
	return sm->rights ? 0 : -ENOMEM;
}

static bool same_cred(const struct linux_ucred *a, const struct linux_ucred *b)
{
	return a->pid == b->pid && a->uid == b->uid && a->gid == b->gid;
}

// Copies queued bytes until io is full, the queue is empty, or what follows must come separately
// (*stop). Bytes or an error.
static ssize_t stream_take(struct unix_sock *u, struct io *io, struct socket_message *sm,
			   bool *stop, bool first, struct list *doomed)
{
	bool peek = sm && (sm->flags & MSG_PEEK);
	struct unix_message *m = queue_first(u);
	size_t done = 0;

	while (m && io->left) {
		if (sm && first) {
			sm->cred = m->cred;
			first = false;
		} else if (sm && load_once(&u->sk.pass_cred) && !same_cred(&sm->cred, &m->cred)) {
			*stop = true;
			break;
		}
		size_t n = min((size_t)(m->len - m->offset), io->left);
		size_t moved = io_copy_to(io, m->data + m->offset, n);
		done += moved;
		if (unlikely(moved < n)) {
			if (!peek)
				m->offset += (u32)moved;
			*stop = true;
			return done ? (ssize_t)done : -EFAULT;
		}
		bool had_rights = m->rights && sm;
		int r = rights_hand_over(m, sm, peek);
		if (r)
			return r;
		*stop = had_rights;
		if (peek) {
			m = had_rights ? nullptr : queue_next(u, m);
			continue;
		}
		m->offset += (u32)n;
		if (m->offset < m->len)
			break;
		message_retire(u, m, doomed);
		m = had_rights ? nullptr : queue_first(u);
	}
	return (ssize_t)done;
}

ssize_t unix_stream_recv(struct socket *s, struct io *io, struct socket_message *sm)
{
	struct unix_sock *u = unix_of(s);
	size_t wanted = sm && (sm->flags & MSG_WAITALL) && !(sm->flags & MSG_PEEK) ? io->left : 1,
	       done = 0;
	struct list doomed = LIST_INIT(doomed);
	u64 deadline = 0;
	ssize_t r = 0;

	if (unlikely(!load_acquire(&u->peer)))
		return -EINVAL;
	if (!io->left)
		return 0;
	mutex_lock(&u->recv_lock);
	for (;;) {
		bool stop = false;
		r = stream_take(u, io, sm, &stop, !done, &doomed);
		if (r > 0)
			done += (size_t)r;
		if (r < 0 || stop || done >= wanted)
			break;
		r = wait_message(u, &deadline, io->flags & IO_NONBLOCK);
		if (r <= 0)
			break;
	}
	mutex_unlock(&u->recv_lock);
	doomed_free(&doomed);
	if (sm)
		sm->addr_len = 0;
	return done ? (ssize_t)done : r;
}

static void source_tell(const struct unix_message *m, struct socket_message *sm)
{
	sm->addr_len = 0;
	if (!m->from)
		return;
	sm->addr_len = m->from->len;
	memcpy(&sm->addr, &m->from->sun, m->from->len);
}

// The message at the head: bytes for the caller, or an error.
static ssize_t dgram_take(struct unix_sock *u, struct unix_message *m, struct io *io,
			  struct socket_message *sm, struct list *doomed)
{
	bool peek = sm && (sm->flags & MSG_PEEK);
	size_t n = min((size_t)m->len, io->left);
	ssize_t r = io_copy_to(io, m->data, n) == n ? (ssize_t)n : -EFAULT;

	if (sm) {
		sm->cred = m->cred;
		source_tell(m, sm);
		if (n < m->len) {
			sm->out_flags |= MSG_TRUNC;
			if (r >= 0 && (sm->flags & MSG_TRUNC))
				r = m->len;
		}
		if (u->sk.type == SOCK_SEQPACKET)
			sm->out_flags |= MSG_EOR;
		int e = r >= 0 ? rights_hand_over(m, sm, peek) : 0;
		r = e ? e : r;
	}
	if (!peek)
		message_retire(u, m, doomed);
	return r;
}

ssize_t unix_dgram_recv(struct socket *s, struct io *io, struct socket_message *sm)
{
	struct unix_sock *u = unix_of(s);
	struct unix_message *m;
	struct list doomed = LIST_INIT(doomed);
	u64 deadline = 0;
	ssize_t r;

	if (s->type == SOCK_SEQPACKET && !load_acquire(&u->peer))
		return -ENOTCONN;
	if (sm)
		sm->addr_len = 0;
	mutex_lock(&u->recv_lock);
	for (;;) {
		m = queue_first(u);
		if (m) {
			r = dgram_take(u, m, io, sm, &doomed);
			break;
		}
		r = wait_message(u, &deadline, io->flags & IO_NONBLOCK);
		if (r <= 0)
			break;
	}
	mutex_unlock(&u->recv_lock);
	doomed_free(&doomed);
	return r;
}

// ---------------------------------------------------------------- poll, ioctl

static u32 poll_listener(const struct unix_sock *u)
{
	return load_once(&u->npending) ? POLLIN | POLLRDNORM : 0;
}

u32 unix_poll(struct socket *s, struct file *f, struct poll_table *table)
{
	struct unix_sock *u = unix_of(s);
	bool connects = s->type != SOCK_DGRAM;
	u32 ev = 0;

	poll_wait(f, &u->read_wait, table);
	poll_wait(f, &u->write_wait, table);
	if (load_once(&u->state) == UNIX_LISTENING)
		return poll_listener(u);
	u8 shut = load_once(&u->shut);
	struct unix_sock *to = connects ? load_acquire(&u->peer) : nullptr;
	if (load_once(&s->error))
		ev |= POLLERR;
	if (shut & UNIX_SHUT_RECV)
		ev |= POLLRDHUP | POLLIN | POLLRDNORM;
	if (shut == (UNIX_SHUT_RECV | UNIX_SHUT_SEND) || (connects && !to))
		ev |= POLLHUP;
	if (!list_empty(&u->queue))
		ev |= POLLIN | POLLRDNORM;
	if (!to || unix_has_room(u, to) || send_ends(u, to))
		ev |= POLLOUT | POLLWRNORM | POLLWRBAND;
	return ev;
}

static u32 input_bytes(struct unix_sock *u)
{
	struct unix_message *m;
	u32 n = 0;

	mutex_lock(&u->recv_lock);
	spin_lock(&u->lock);
	list_for_each_entry(m, &u->queue, link) {
		n += m->len - m->offset;
		if (u->sk.type == SOCK_DGRAM) // the next datagram's
			break;
	}
	spin_unlock(&u->lock);
	mutex_unlock(&u->recv_lock);
	return n;
}

long unix_ioctl(struct socket *s, u32 cmd, u64 arg)
{
	struct unix_sock *u = unix_of(s), *to;

	switch (cmd) {
	case FIONREAD:
		if (u->state == UNIX_LISTENING)
			return -EINVAL;
		return put_user((s32)input_bytes(u), user_ptr(s32, arg));
	case SIOCOUTQ:
		to = s->type == SOCK_DGRAM ? nullptr : u->peer;
		return put_user((s32)(to ? load_once(&to->queued) : 0), user_ptr(s32, arg));
	default:
		return -ENOTTY;
	}
}

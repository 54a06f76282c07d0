// SPDX-License-Identifier: MIT
// unix.c: AF_UNIX: sockets and their connections; their names are in unix_name.c, what they carry
// in unix_data.c. Privileged.
//
// States: IDLE -> LISTENING, or IDLE -> CONNECTED (streams and packets; for good). Datagram sockets
// stay IDLE; connecting one names the peer it sends to.
//
// A connected pair refers to each other, counted; each drops its reference when its file goes
// (unix_release), so both are freed when both files are gone. Until then a socket can wake and ask
// its peer without taking references. A listener's queue holds the far ends of connections not yet
// accepted; when the listener goes they are released like sockets whose file was closed.
//
// Locks: u->lock is a leaf, never two at a time. The table lock (unix_name.c) guards names. Lookups
// return counted sockets.
//
// Descriptors that are sent into a socket which is itself only reachable through descriptors in
// flight are lost until their sender's account is full; how many one user may have in flight is
// bounded (message.c).
#include "core/slab.h"
#include "core/time.h"
#include "linux/net/unix_priv.h"
#include "linux/poll.h"
#include "linux/signal.h"

static const struct socket_ops stream_ops, packet_ops, dgram_ops;

struct linux_ucred unix_cred_current(void)
{
	const struct cred *c = current_cred();
	return (struct linux_ucred){(s32)current_pid(), c->euid, c->egid};
}

// ---------------------------------------------------------------- life

static struct unix_sock *unix_alloc(int type)
{
	struct unix_sock *u = kzalloc(sizeof(*u));

	if (!u)
		return nullptr;
	socket_init(&u->sk,
		    type == SOCK_STREAM	 ? &stream_ops
		    : type == SOCK_DGRAM ? &dgram_ops
					 : &packet_ops,
		    AF_UNIX, (u16)type);
	refcount_set(&u->refs, 1);
	spin_lock_init(&u->lock, LOCK_unix_queue);
	list_init(&u->queue);
	list_init(&u->pending);
	list_init(&u->pending_link);
	mutex_init(&u->recv_lock, LOCK_socket);
	wait_queue_init(&u->read_wait);
	wait_queue_init(&u->write_wait);
	return u;
}

void unix_put(struct unix_sock *u)
{
	if (!refcount_dec_and_test(&u->refs))
		return;
	if (u->addr)
		unix_addr_put(u->addr);
	kfree(u);
}

struct unix_sock *unix_peer_get(struct unix_sock *u)
{
	spin_lock(&u->lock);
	struct unix_sock *p = u->peer;
	if (p)
		unix_get(p);
	spin_unlock(&u->lock);
	return p;
}

static struct socket *unix_create(int type, int protocol)
{
	if (protocol && protocol != AF_UNIX)
		return err_ptr(-EPROTONOSUPPORT);
	if (type == SOCK_RAW) // what Linux makes of it
		type = SOCK_DGRAM;
	if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
		return err_ptr(-ESOCKTNOSUPPORT);
	struct unix_sock *u = unix_alloc(type);
	return u ? &u->sk : err_ptr(-ENOMEM);
}

static int unix_pair(struct socket *sa, struct socket *sb)
{
	struct unix_sock *a = unix_of(sa), *b = unix_of(sb);

	a->peer_cred = b->peer_cred = unix_cred_current();
	unix_get(a);
	unix_get(b);
	a->peer = b;
	b->peer = a;
	if (sa->type != SOCK_DGRAM)
		a->state = b->state = UNIX_CONNECTED;
	return 0;
}

// Moves all that is queued out, for release without the lock.
static void queues_take(struct unix_sock *u, struct list *messages, struct list *pending)
{
	list_splice_tail(messages, &u->queue);
	list_splice_tail(pending, &u->pending);
	u->queued = u->count = u->npending = 0;
}

// The other side of a connection is told that this one has gone.
static void peer_leave(struct unix_sock *u, struct unix_sock *peer, bool abort)
{
	if (u->sk.type != SOCK_DGRAM) {
		spin_lock(&peer->lock);
		peer->shut = UNIX_SHUT_RECV | UNIX_SHUT_SEND;
		spin_unlock(&peer->lock);
		if (abort)
			store_once(&peer->sk.error, -ECONNRESET);
		wait_queue_wake(&peer->read_wait, ~0u, 0);
		wait_queue_wake(&peer->write_wait, ~0u, 0);
	}
	unix_put(peer);
}

// The file (or the place in a listener's queue) is gone. abort: the peer's bytes were not read.
static void unix_end(struct unix_sock *u, bool abort)
{
	struct list messages = LIST_INIT(messages), pending = LIST_INIT(pending);
	struct unix_message *m, *next;
	struct unix_sock *c, *cnext;

	unix_name_release(u);
	spin_lock(&u->lock);
	u->dead = true;
	u->shut = UNIX_SHUT_RECV | UNIX_SHUT_SEND;
	struct unix_sock *peer = u->peer;
	if (u->sk.type == SOCK_DGRAM)
		u->peer = nullptr; // others may look while they send to u
	queues_take(u, &messages, &pending);
	spin_unlock(&u->lock);
	wait_queue_wake(&u->read_wait, ~0u, 0);
	wait_queue_wake(&u->write_wait, ~0u, 0);
	if (peer)
		peer_leave(u, peer, abort || !list_empty(&messages));
	list_for_each_entry_safe(m, next, &messages, link)
		unix_message_free(m);
	list_for_each_entry_safe(c, cnext, &pending, pending_link)
		unix_end(c, true); // one level deep: what waits to be accepted does not listen
	unix_put(u);
}

static void unix_release(struct socket *s)
{
	unix_end(unix_of(s), false);
}

// ---------------------------------------------------------------- connections

static int unix_listen(struct socket *s, u32 backlog)
{
	struct unix_sock *u = unix_of(s);
	int r = 0;

	if (!load_once(&u->addr))
		return -EINVAL;
	spin_lock(&u->lock);
	if (u->state == UNIX_CONNECTED) {
		r = -EINVAL;
	} else {
		u->state = UNIX_LISTENING;
		u->backlog = backlog;
		u->peer_cred = unix_cred_current();
		s->listening = true;
	}
	spin_unlock(&u->lock);
	if (!r)
		wait_queue_wake(&u->write_wait, ~0u, 0); // the backlog may have grown
	return r;
}

static bool backlog_full(const struct unix_sock *l)
{
	return load_once(&l->npending) > load_once(&l->backlog);
}

static bool connect_may_go_on(const struct unix_sock *l)
{
	return !backlog_full(l) || load_once(&l->dead) || (load_once(&l->shut) & UNIX_SHUT_RECV);
}

// Puts the new far end `n` of u's connection into l's queue: 0, -EAGAIN: it is full, or an error.
static int connect_commit(struct unix_sock *u, struct unix_sock *l, struct unix_sock *n)
{
	int r = 0;

	spin_lock(&l->lock);
	if (l->state != UNIX_LISTENING || l->dead || (l->shut & UNIX_SHUT_RECV)) {
		r = -ECONNREFUSED;
	} else if (backlog_full(l)) {
		r = -EAGAIN;
	} else {
		n->peer_cred = unix_cred_current();
		n->peer = u;
		n->state = UNIX_CONNECTED;
		u->peer_cred = l->peer_cred;
		u->state = UNIX_CONNECTED; // u's own: only its connect changes it, and that is
					   // under recv_lock
		unix_get(u);
		unix_get(n);
		store_release(&u->peer, n);
		list_add_tail(&l->pending, &n->pending_link);
		store_once(&l->npending, l->npending + 1);
	}
	spin_unlock(&l->lock);
	return r;
}

static int stream_connect_to(struct unix_sock *u, struct unix_sock *l, bool nonblock)
{
	u64 timeout = load_once(&u->sk.send_timeout_ns),
	    deadline = socket_deadline(timeout, clock_monotonic_ns());
	struct unix_sock *n = unix_alloc(u->sk.type);

	if (!n)
		return -ENOMEM;
	n->addr = unix_addr_get_of(l);
	hlist_node_init(&n->link);
	for (;;) {
		mutex_lock(&u->recv_lock);
		int r = u->state == UNIX_CONNECTED   ? -EISCONN
			: u->state == UNIX_LISTENING ? -EINVAL
						     : connect_commit(u, l, n);
		mutex_unlock(&u->recv_lock);
		if (r == -EAGAIN && !nonblock) {
			r = wait_event_interruptible_until(&l->write_wait, connect_may_go_on(l),
							   deadline);
			if (!r)
				continue;
			r = socket_wait_error(r, timeout);
		}
		if (r) {
			unix_put(n);
			return r;
		}
		wait_queue_wake_sync(&l->read_wait, ~0u, POLLIN | POLLRDNORM);
		wait_queue_wake(&u->write_wait, ~0u, POLLOUT | POLLWRNORM);
		return 0;
	}
}

static int stream_connect(struct socket *s, const struct sockaddr_any *a, u32 len, bool nonblock)
{
	struct unix_sock *u = unix_of(s);
	struct unix_sock *l = unix_find(a, len, s->type);

	if (is_err(l))
		return ptr_err(l);
	if (load_once(&s->pass_cred))
		(void)unix_autobind(u);
	int r = stream_connect_to(u, l, nonblock);
	unix_put(l);
	return r;
}

// Names whom plain sends go to and whom alone datagrams are taken from; AF_UNSPEC: nobody any more.
static int dgram_connect(struct socket *s, const struct sockaddr_any *a, u32 len, bool nonblock)
{
	struct unix_sock *u = unix_of(s), *to = nullptr;

	(void)nonblock;
	if (len < SUN_HEADER)
		return -EINVAL;
	if (a->family != AF_UNSPEC) {
		to = unix_find(a, len, SOCK_DGRAM);
		if (is_err(to))
			return ptr_err(to);
		struct unix_sock *its = load_once(&to->peer);
		if (its && its != u) {
			unix_put(to);
			return -EPERM;
		}
		if (load_once(&s->pass_cred))
			(void)unix_autobind(u);
	}
	spin_lock(&u->lock);
	struct unix_sock *old = u->peer;
	u->peer = to;
	u->peer_cred = to ? unix_cred_current() : (struct linux_ucred){};
	spin_unlock(&u->lock);
	if (old)
		unix_put(old);
	return 0;
}

static struct unix_sock *pending_take(struct unix_sock *l)
{
	spin_lock(&l->lock);
	struct unix_sock *n = list_first_entry_or_null(&l->pending, struct unix_sock, pending_link);
	if (n) {
		list_del_init(&n->pending_link);
		store_once(&l->npending, l->npending - 1);
	}
	spin_unlock(&l->lock);
	return n;
}

static struct socket *stream_accept(struct socket *s, bool nonblock)
{
	struct unix_sock *l = unix_of(s), *n;
	u64 timeout = load_once(&s->recv_timeout_ns),
	    deadline = socket_deadline(timeout, clock_monotonic_ns());

	if (load_once(&l->state) != UNIX_LISTENING)
		return err_ptr(-EINVAL);
	while (!(n = pending_take(l))) {
		if (load_once(&l->shut) & UNIX_SHUT_RECV)
			return err_ptr(-EINVAL);
		if (nonblock)
			return err_ptr(-EAGAIN);
		int r = wait_event_interruptible_until(
			&l->read_wait,
			load_once(&l->npending) || (load_once(&l->shut) & UNIX_SHUT_RECV),
			deadline);
		if (r)
			return err_ptr(socket_wait_error(r, timeout));
	}
	wait_queue_wake(&l->write_wait, ~0u, POLLOUT | POLLWRNORM);
	return &n->sk;
}

static void shut_add(struct unix_sock *u, u8 bits)
{
	spin_lock(&u->lock);
	u->shut |= bits;
	spin_unlock(&u->lock);
	wait_queue_wake(&u->read_wait, ~0u, 0);
	wait_queue_wake(&u->write_wait, ~0u, 0);
}

static int unix_shutdown(struct socket *s, int how)
{
	struct unix_sock *u = unix_of(s), *peer = unix_peer_get(u);
	u8 bits = (how != SHUT_WR ? UNIX_SHUT_RECV : 0) | (how != SHUT_RD ? UNIX_SHUT_SEND : 0);

	if (!peer && u->state != UNIX_LISTENING)
		return -ENOTCONN;
	shut_add(u, bits);
	if (peer && s->type != SOCK_DGRAM)
		shut_add(peer, (bits & UNIX_SHUT_SEND ? UNIX_SHUT_RECV : 0) |
				       (bits & UNIX_SHUT_RECV ? UNIX_SHUT_SEND : 0));
	if (peer)
		unix_put(peer);
	return 0;
}

static bool unix_peer_cred(struct socket *s, struct linux_ucred *out)
{
	struct unix_sock *u = unix_of(s);

	if (!load_once(&u->peer) && u->state != UNIX_LISTENING)
		return false;
	*out = u->peer_cred;
	return true;
}

static const struct socket_ops stream_ops = {
	.bind = unix_bind,
	.listen = unix_listen,
	.connect = stream_connect,
	.accept = stream_accept,
	.name = unix_name,
	.shutdown = unix_shutdown,
	.send = unix_stream_send,
	.recv = unix_stream_recv,
	.poll = unix_poll,
	.ioctl = unix_ioctl,
	.peer_cred = unix_peer_cred,
	.release = unix_release,
};

static const struct socket_ops packet_ops = {
	.bind = unix_bind,
	.listen = unix_listen,
	.connect = stream_connect,
	.accept = stream_accept,
	.name = unix_name,
	.shutdown = unix_shutdown,
	.send = unix_dgram_send,
	.recv = unix_dgram_recv,
	.poll = unix_poll,
	.ioctl = unix_ioctl,
	.peer_cred = unix_peer_cred,
	.release = unix_release,
};

static const struct socket_ops dgram_ops = {
	.bind = unix_bind,
	.connect = dgram_connect,
	.name = unix_name,
	.shutdown = unix_shutdown,
	.send = unix_dgram_send,
	.recv = unix_dgram_recv,
	.poll = unix_poll,
	.ioctl = unix_ioctl,
	.peer_cred = unix_peer_cred,
	.release = unix_release,
};

const struct socket_family unix_family = {
	.family = AF_UNIX, .create = unix_create, .pair = unix_pair};

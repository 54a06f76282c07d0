// SPDX-License-Identifier: MIT
// AF_UNIX: the socket itself, shared by unix.c (connections), unix_name.c and unix_data.c (queues).
#pragma once
#include "core/lock.h"
#include "core/wait.h"
#include "linux/socket.h"

constexpr u32 SUN_HEADER = offsetof(struct sockaddr_any, data);

struct unix_addr { // immutable
	refcount_t refs;
	u32 len; // of sun: family and path
	struct sockaddr_any sun;
};

struct unix_message {
	struct list link; // receiver's lock
	u32 len, offset;  // bytes, and those already read: recv_lock
	struct linux_ucred cred;
	struct socket_rights *rights; // recv_lock once queued
	struct unix_addr *from;	      // datagrams; counted; nullptr: unnamed
	u8 data[];
};

enum unix_state : u8 { UNIX_IDLE, UNIX_LISTENING, UNIX_CONNECTED };
enum unix_shut : u8 { UNIX_SHUT_RECV = 1, UNIX_SHUT_SEND = 2 };

struct unix_sock {
	struct socket sk;  // must be first
	refcount_t refs;   // file (or queue of a listener), peers that point here, senders at work
	spinlock_t lock;   // LOCK_unix_queue: guards all up to the queues' waits; single words are
			   // read racily
	struct list queue; // unix_message, oldest first
	u32 queued;	   // bytes of them
	u32 count;
	enum unix_state state;
	u8 shut;   // enum unix_shut
	bool dead; // its file is gone
	// Connected streams: set once, kept until the end, so the owner reads it without the lock.
	// Datagrams: may change.
	struct unix_sock *peer; // counted
	struct list
		pending; // listener: sockets to accept, by pending_link, each with its reference
	struct list pending_link; // listener's lock
	u32 npending, backlog;
	struct linux_ucred peer_cred; // immutable once connected; of a listener: who called listen
	mutex_t recv_lock;	      // LOCK_socket: one reader at a time
	struct wait_queue read_wait, write_wait; // a listener's write_wait: those that connect
	// table lock
	struct unix_addr *addr; // counted; set once
	struct hlist_node link;
	struct path path; // of a bound name in the tree
};

static inline struct unix_sock *unix_of(struct socket *s)
{
	return container_of(s, struct unix_sock, sk);
}
static inline void unix_get(struct unix_sock *u)
{
	refcount_inc(&u->refs);
}
void unix_put(struct unix_sock *u);
struct linux_ucred unix_cred_current(void);
void unix_addr_put(struct unix_addr *a);
struct unix_addr *unix_addr_get_of(struct unix_sock *u); // counted or nullptr
// The socket bound to a name, counted, or err_ptr(-ECONNREFUSED, -EPROTOTYPE, ...).
struct unix_sock *unix_find(const struct sockaddr_any *a, u32 len, u16 type);
int unix_autobind(struct unix_sock *u); // gives it a name if it has none
int unix_bind(struct socket *s, const struct sockaddr_any *a, u32 len);
int unix_name(struct socket *s, bool peer, struct sockaddr_any *out); // its length, or -ENOTCONN
void unix_name_release(struct unix_sock *u);			      // its name can be taken again
struct unix_sock *unix_peer_get(struct unix_sock *u);
void unix_message_free(struct unix_message *m);
bool unix_has_room(const struct unix_sock *from, const struct unix_sock *to);

ssize_t unix_stream_send(struct socket *s, struct io *io, struct socket_message *m);
ssize_t unix_stream_recv(struct socket *s, struct io *io, struct socket_message *m);
ssize_t unix_dgram_send(struct socket *s, struct io *io, struct socket_message *m);
ssize_t unix_dgram_recv(struct socket *s, struct io *io, struct socket_message *m);
u32 unix_poll(struct socket *s, struct file *f, struct poll_table *table);
long unix_ioctl(struct socket *s, u32 cmd, u64 arg);

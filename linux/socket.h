// SPDX-License-Identifier: MIT
// Sockets: what an address family implements, and what the calls share. Privileged.
//
// A socket is what an open file of mode S_IFSOCK has as private data. The family embeds struct
// socket in its own.
#pragma once
#include "abi/linux/socket.h"
#include "linux/file.h"

struct poll_table;
struct socket;

struct socket_rights { // descriptors on their way
	u32 n;
	const struct cred *payer; // counted; whose account carries them
	struct file *files[];	  // counted
};
void socket_rights_free(struct socket_rights *r); // puts the files; may sleep; nullptr is fine
struct socket_rights *socket_rights_copy(
	const struct socket_rights *r); // for MSG_PEEK; nullptr: out of memory

// What a message carries besides its bytes. In: address (addr_len 0: none), rights, cred. Out: all
// of it.
struct socket_message {
	u32 flags;     // MSG_* of the call
	u32 out_flags; // MSG_TRUNC
	u32 addr_len;
	struct socket_rights
		*rights; // send: the family takes them over when it queues them (sets nullptr)
	struct linux_ucred cred;
	bool has_cred;
	struct sockaddr_any addr;
};

// All may sleep and need no locks. Null ones: -EOPNOTSUPP.
struct socket_ops {
	int (*bind)(struct socket *s, const struct sockaddr_any *a, u32 len);
	int (*listen)(struct socket *s, u32 backlog);
	int (*connect)(struct socket *s, const struct sockaddr_any *a, u32 len, bool nonblock);
	struct socket *(*accept)(struct socket *s,
				 bool nonblock); // a socket without a file, or err_ptr
	int (*name)(struct socket *s, bool peer, struct sockaddr_any *out); // its length
	int (*shutdown)(struct socket *s, int how);
	// m is nullptr for plain read and write. Bytes or an error; SIGPIPE is the caller's
	// business.
	ssize_t (*send)(struct socket *s, struct io *io, struct socket_message *m);
	ssize_t (*recv)(struct socket *s, struct io *io, struct socket_message *m);
	u32 (*poll)(struct socket *s, struct file *f, struct poll_table *table);
	long (*ioctl)(struct socket *s, u32 cmd, u64 arg);
	bool (*peer_cred)(struct socket *s, struct linux_ucred *out); // false: there is none
	void (*release)(struct socket *s);			      // the file is gone
};

struct socket {
	const struct socket_ops *ops;	      // immutable
	u16 family, type;		      // immutable
	s32 protocol;			      // immutable
	u32 sndbuf, rcvbuf;		      // bytes; atomic
	u64 send_timeout_ns, recv_timeout_ns; // ~0: none; atomic
	s32 error;			      // negative errno to report once; atomic
	u32 options;			      // bit SO_*: stored flags; atomic
	bool pass_cred;			      // SO_PASSCRED; atomic
	bool listening;			      // atomic
	struct linux_linger linger;
};

struct socket_family {
	u16 family;
	struct socket *(*create)(int type, int protocol); // or err_ptr
	int (*pair)(struct socket *a, struct socket *b);  // nullptr: -EOPNOTSUPP
};
void socket_init(struct socket *s, const struct socket_ops *ops, u16 family, u16 type);
extern const struct socket_family unix_family;

static inline u64 socket_deadline(u64 timeout_ns, u64 now_ns)
{
	return timeout_ns == ~0ull ? ~0ull : now_ns + timeout_ns;
}
// What a wait that ended with err gives: calls with a timeout are not restarted.
static inline int socket_wait_error(int err, u64 timeout_ns)
{
	return err == -ETIMEDOUT			    ? -EAGAIN
	       : err == -ERESTARTSYS && timeout_ns != ~0ull ? -EINTR
							    : err;
}
static inline int socket_error_take(struct socket *s)
{
	return likely(!load_once(&s->error)) ? 0 : xchg(&s->error, 0);
}

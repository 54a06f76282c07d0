// SPDX-License-Identifier: MIT
// socket.c: sockets as files, and the calls that make, name and connect them. Privileged.
//
// Everything that depends on the address family is behind struct socket_ops. A socket lives as long
// as its file; families that keep one longer (a peer that still refers to it) count by themselves.
#include "linux/socket.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/ioctl.h"
#include "abi/linux/stat.h"
#include "base/string.h"
#include "core/slab.h"
#include "linux/net/net_priv.h"
#include "linux/poll.h"
#include "linux/signal.h"
#include "linux/syscalls.h"

constexpr u32 BUFFER_DEFAULT = 212992; // bytes, as Linux's net.core.wmem_default

static const struct socket_family *const families[] = {&unix_family};

void socket_init(struct socket *s, const struct socket_ops *ops, u16 family, u16 type)
{
	*s = (struct socket){
		.ops = ops,
		.family = family,
		.type = type,
		.sndbuf = BUFFER_DEFAULT,
		.rcvbuf = BUFFER_DEFAULT,
		.send_timeout_ns = ~0ull,
		.recv_timeout_ns = ~0ull,
	};
}

// ---------------------------------------------------------------- files

static ssize_t socket_read(struct file *f, struct io *io)
{
	struct socket *s = f->private_data;

	return s->ops->recv(s, io, nullptr);
}

static ssize_t socket_write(struct file *f, struct io *io)
{
	struct socket *s = f->private_data;
	ssize_t n = s->ops->send(s, io, nullptr);

	if (unlikely(n == -EPIPE) && s->type != SOCK_DGRAM)
		signal_self(SIGPIPE);
	return n;
}

static u32 socket_poll(struct file *f, struct poll_table *table)
{
	struct socket *s = f->private_data;
	return s->ops->poll(s, f, table);
}

static long socket_ioctl(struct file *f, u32 cmd, u64 arg)
{
	struct socket *s = f->private_data;
	return s->ops->ioctl ? s->ops->ioctl(s, cmd, arg) : -ENOTTY;
}

static void socket_release(struct file *f)
{
	struct socket *s = f->private_data;
	s->ops->release(s);
}

static const struct file_ops socket_file_ops = {
	.release = socket_release,
	.read = socket_read,
	.write = socket_write,
	.poll = socket_poll,
	.ioctl = socket_ioctl,
};

struct socket *file_socket(struct file *f)
{
	return f->ops == &socket_file_ops ? f->private_data : nullptr;
}

// The socket behind fd; *ref must be put when it is not nullptr's error.
struct socket *socket_fd_get(int fd, struct fdref *ref)
{
	*ref = fd_get(fd);
	if (!ref->file)
		return err_ptr(-EBADF);
	struct socket *s = file_socket(ref->file);
	if (s)
		return s;
	fd_put(*ref);
	return err_ptr(-ENOTSOCK);
}

static struct file *socket_file(struct socket *s, int flags)
{
	return pseudo_file_create_inode("socket", S_IFSOCK | 0777, &socket_file_ops, s,
					O_RDWR | (flags & SOCK_NONBLOCK));
}

// Gives s a descriptor; s is gone when that fails.
static long socket_install(struct socket *s, int flags)
{
	struct file *f = socket_file(s, flags);

	if (is_err(f)) {
		s->ops->release(s);
		return ptr_err(f);
	}
	return fd_install_new(f, flags & SOCK_CLOEXEC);
}

// ---------------------------------------------------------------- making them

static const struct socket_family *family_find(int family)
{
	for (u32 i = 0; i < ARRAY_SIZE(families); i++)
		if (families[i]->family == family)
			return families[i];
	return nullptr;
}

static struct socket *create(int family, int type, int protocol, const struct socket_family **out)
{
	if (type & ~(SOCK_TYPE_MASK | SOCK_NONBLOCK | SOCK_CLOEXEC))
		return err_ptr(-EINVAL);
	const struct socket_family *fam = family_find(family);
	if (!fam)
		return err_ptr(-EAFNOSUPPORT);
	*out = fam;
	return fam->create(type & SOCK_TYPE_MASK, protocol);
}

SYSCALL(socket, int family, int type, int protocol)
{
	const struct socket_family *fam;
	struct socket *s = create(family, type, protocol, &fam);

	return is_err(s) ? ptr_err(s) : socket_install(s, type);
}

static long install_pair(struct socket *s[2], int flags, s32 __user *out)
{
	struct file *f[2];
	int fd[2] = {-1, -1};
	long r;

	f[0] = socket_file(s[0], flags);
	if (is_err(f[0])) {
		s[0]->ops->release(s[0]);
		s[1]->ops->release(s[1]);
		return ptr_err(f[0]);
	}
	f[1] = socket_file(s[1], flags);
	if (is_err(f[1])) {
		s[1]->ops->release(s[1]);
		file_put(f[0]);
		return ptr_err(f[1]);
	}
	for (u32 i = 0; i < 2; i++) {
		fd[i] = fd_alloc(0, flags & SOCK_CLOEXEC);
		if (fd[i] < 0) {
			r = fd[i];
			goto fail;
		}
	}
	r = -EFAULT;
	if (put_user(fd[0], out) || put_user(fd[1], out + 1))
		goto fail;
	fd_install(fd[0], f[0]);
	fd_install(fd[1], f[1]);
	return 0;
fail:
	for (u32 i = 0; i < 2; i++) {
		if (fd[i] >= 0)
			fd_cancel(fd[i]);
		file_put(f[i]);
	}
	return r;
}

SYSCALL(socketpair, int family, int type, int protocol, s32 __user *out)
{
	const struct socket_family *fam;
	struct socket *s[2];

	s[0] = create(family, type, protocol, &fam);
	if (is_err(s[0]))
		return ptr_err(s[0]);
	s[1] = fam->create(type & SOCK_TYPE_MASK, protocol);
	if (is_err(s[1])) {
		s[0]->ops->release(s[0]);
		return ptr_err(s[1]);
	}
	int r = fam->pair ? fam->pair(s[0], s[1]) : -EOPNOTSUPP;
	if (r) {
		s[0]->ops->release(s[0]);
		s[1]->ops->release(s[1]);
		return r;
	}
	return install_pair(s, type, out);
}

// ---------------------------------------------------------------- names and connections

int sockaddr_from_user(struct sockaddr_any *a, const void __user *from, int len)
{
	if (len < 0 || len > (int)sizeof(*a))
		return -EINVAL;
	memset(a, 0, sizeof(*a));
	return copy_from_user(a, from, (size_t)len);
}

// Stores as much as there is room for, and the full length.
int sockaddr_to_user(const struct sockaddr_any *a, u32 len, void __user *to, s32 __user *ulen)
{
	s32 room;

	if (get_user(room, ulen))
		return -EFAULT;
	if (room < 0)
		return -EINVAL;
	if (copy_to_user(to, a, min((u32)room, len)))
		return -EFAULT;
	return put_user((s32)len, ulen);
}

SYSCALL(bind, int fd, const void __user *uaddr, int len)
{
	struct sockaddr_any a;
	struct fdref ref;
	struct socket *s = socket_fd_get(fd, &ref);

	if (is_err(s))
		return ptr_err(s);
	int r = sockaddr_from_user(&a, uaddr, len);
	if (!r)
		r = s->ops->bind ? s->ops->bind(s, &a, (u32)len) : -EOPNOTSUPP;
	fd_put(ref);
	return r;
}

SYSCALL(listen, int fd, int backlog)
{
	struct fdref ref;
	struct socket *s = socket_fd_get(fd, &ref);

	if (is_err(s))
		return ptr_err(s);
	u32 n = (u32)backlog > (u32)SOMAXCONN ? (u32)SOMAXCONN : (u32)backlog;
	int r = s->ops->listen ? s->ops->listen(s, n) : -EOPNOTSUPP;
	fd_put(ref);
	return r;
}

SYSCALL(connect, int fd, const void __user *uaddr, int len)
{
	struct sockaddr_any a;
	struct fdref ref;
	struct socket *s = socket_fd_get(fd, &ref);

	if (is_err(s))
		return ptr_err(s);
	int r = sockaddr_from_user(&a, uaddr, len);
	if (!r)
		r = s->ops->connect ? s->ops->connect(s, &a, (u32)len, ref.file->flags & O_NONBLOCK)
				    : -EOPNOTSUPP;
	fd_put(ref);
	return r;
}

static long accept_common(int fd, void __user *uaddr, s32 __user *ulen, int flags)
{
	struct sockaddr_any a;
	struct fdref ref;

	if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
		return -EINVAL;
	struct socket *s = socket_fd_get(fd, &ref);
	if (is_err(s))
		return ptr_err(s);
	struct socket *n = s->ops->accept ? s->ops->accept(s, ref.file->flags & O_NONBLOCK)
					  : err_ptr(-EOPNOTSUPP);
	fd_put(ref);
	if (is_err(n))
		return ptr_err(n);
	if (uaddr) {
		int len = n->ops->name(n, true, &a);
		int r = len < 0 ? -ECONNABORTED : sockaddr_to_user(&a, (u32)len, uaddr, ulen);
		if (r) {
			n->ops->release(n);
			return r;
		}
	}
	return socket_install(n, flags);
}

SYSCALL(accept, int fd, void __user *uaddr, s32 __user *ulen)
{
	return accept_common(fd, uaddr, ulen, 0);
}

SYSCALL(accept4, int fd, void __user *uaddr, s32 __user *ulen, int flags)
{
	return accept_common(fd, uaddr, ulen, flags);
}

static long name_common(int fd, bool peer, void __user *uaddr, s32 __user *ulen)
{
	struct sockaddr_any a;
	struct fdref ref;
	struct socket *s = socket_fd_get(fd, &ref);

	if (is_err(s))
		return ptr_err(s);
	int len = s->ops->name(s, peer, &a);
	fd_put(ref);
	return len < 0 ? len : sockaddr_to_user(&a, (u32)len, uaddr, ulen);
}

SYSCALL(getsockname, int fd, void __user *uaddr, s32 __user *ulen)
{
	return name_common(fd, false, uaddr, ulen);
}

SYSCALL(getpeername, int fd, void __user *uaddr, s32 __user *ulen)
{
	return name_common(fd, true, uaddr, ulen);
}

SYSCALL(shutdown, int fd, int how)
{
	struct fdref ref;
	struct socket *s = socket_fd_get(fd, &ref);

	if (is_err(s))
		return ptr_err(s);
	int r = how < SHUT_RD || how > SHUT_RDWR ? -EINVAL
		: s->ops->shutdown		 ? s->ops->shutdown(s, how)
						 : -EOPNOTSUPP;
	fd_put(ref);
	return r;
}

// SPDX-License-Identifier: MIT
// message.c: send and recv in all their forms, and what travels beside the bytes: addresses,
// descriptors, credentials. Privileged.
#include "abi/linux/fcntl.h"
#include "abi/linux/time.h"
#include "base/string.h"
#include "core/slab.h"
#include "core/time.h"
#include "linux/net/net_priv.h"
#include "linux/signal.h"
#include "linux/syscalls.h"

constexpr u32 CONTROL_MAX = 4096; // bytes of control data in a send

// ---------------------------------------------------------------- descriptors on their way

static struct socket_rights *rights_alloc(u32 n)
{
	const struct cred *c = current_cred();
	struct socket_rights *r;

	// What was sent and not received is bounded, or programs could hide files in sockets
	// without end.
	if ((u64)atomic_add_return(&c->user->unix_inflight, n) > rlimit(RLIMIT_NOFILE) &&
	    !capable(CAP_SYS_RESOURCE)) {
		atomic_sub(&c->user->unix_inflight, n);
		return err_ptr(-ETOOMANYREFS);
	}
	r = kmalloc(sizeof(*r) + n * sizeof(r->files[0]));
	if (!r) {
		atomic_sub(&c->user->unix_inflight, n);
		return err_ptr(-ENOMEM);
	}
	r->n = n;
	r->payer = cred_get(c);
	return r;
}

void socket_rights_free(struct socket_rights *r)
{
	if (!r)
		return;
	for (u32 i = 0; i < r->n; i++)
		if (r->files[i])
			file_put(r->files[i]);
	atomic_sub(&r->payer->user->unix_inflight, r->n);
	cred_put(r->payer);
	kfree(r);
}

struct socket_rights *socket_rights_copy(const struct socket_rights *from)
{
	struct socket_rights *r = kmalloc(sizeof(*r) + from->n * sizeof(r->files[0]));

	if (!r)
		return nullptr;
	r->n = from->n;
	r->payer = cred_get(from->payer);
	atomic_add(&r->payer->user->unix_inflight, r->n);
	for (u32 i = 0; i < r->n; i++)
		r->files[i] = file_get(from->files[i]);
	return r;
}

static int rights_take(struct socket_message *m, const s32 *fds, u32 n)
{
	if (m->rights || n > SCM_MAX_FD)
		return -EINVAL;
	if (!n)
		return 0;
	struct socket_rights *r = rights_alloc(n);
	if (is_err(r))
		return ptr_err(r);
	memset(r->files, 0, n * sizeof(r->files[0]));
	m->rights = r;
	for (u32 i = 0; i < n; i++) {
		struct fdref ref = fd_get_any(fds[i]);
		if (!ref.file)
			return -EBADF; // the caller frees m->rights
		r->files[i] = file_get(ref.file);
		fd_put(ref);
	}
	return 0;
}

// ---------------------------------------------------------------- control data of a send

static int cred_take(struct socket_message *m, const void *data, size_t len)
{
	const struct cred *c = current_cred();

	if (len != sizeof(m->cred))
		return -EINVAL;
	memcpy(&m->cred, data, sizeof(m->cred));
	bool uid_ok = m->cred.uid == c->uid || m->cred.uid == c->euid || m->cred.uid == c->suid ||
		      capable(CAP_SETUID);
	bool gid_ok = m->cred.gid == c->gid || m->cred.gid == c->egid || m->cred.gid == c->sgid ||
		      capable(CAP_SETGID);
	if ((m->cred.pid != (s32)current_pid() && !capable(CAP_SYS_ADMIN)) || !uid_ok || !gid_ok)
		return -EPERM;
	m->has_cred = true;
	return 0;
}

static int control_parse(struct socket_message *m, const u8 *buf, size_t len)
{
	size_t at = 0;

	while (len - at >= sizeof(struct linux_cmsghdr)) {
		struct linux_cmsghdr h;
		memcpy(&h, buf + at, sizeof(h));
		if (h.len < sizeof(h) || h.len > len - at)
			return -EINVAL;
		const u8 *data = buf + at + sizeof(h);
		size_t n = h.len - sizeof(h);
		int r = -EINVAL;
		if (h.level != SOL_SOCKET)
			r = 0;
		else if (h.type == SCM_RIGHTS)
			r = rights_take(m, (const s32 *)data, (u32)(n / sizeof(s32)));
		else if (h.type == SCM_CREDENTIALS)
			r = cred_take(m, data, n);
		if (r)
			return r;
		at += align_up(h.len, 8);
		if (at > len)
			break;
	}
	return 0;
}

static int control_from_user(struct socket_message *m, const struct linux_msghdr *h)
{
	if (!h->control || !h->controllen)
		return 0;
	if (h->controllen > CONTROL_MAX)
		return -ENOBUFS;
	u8 *buf = kmalloc(h->controllen);
	if (!buf)
		return -ENOMEM;
	int r = copy_from_user(buf, user_ptr(void, h->control), h->controllen);
	if (!r)
		r = control_parse(m, buf, h->controllen);
	kfree(buf);
	return r;
}

// ---------------------------------------------------------------- control data of a receive

struct control_out {
	u64 at, left; // in the program
	bool truncated;
};

// Room for one message with up to len bytes of data: how many fit (0: none).
static size_t control_room(struct control_out *o, size_t len)
{
	if (o->left < sizeof(struct linux_cmsghdr)) {
		o->truncated = true;
		return 0;
	}
	size_t n = min(len, (size_t)(o->left - sizeof(struct linux_cmsghdr)));
	o->truncated |= n < len;
	return n;
}

static int control_end(struct control_out *o, int type, size_t len)
{
	struct linux_cmsghdr h = {.len = sizeof(h) + len, .level = SOL_SOCKET, .type = type};
	u64 whole = min(align_up(h.len, 8), o->left);

	if (copy_to_user(user_ptr(void, o->at), &h, sizeof(h)))
		return -EFAULT;
	o->at += whole;
	o->left -= whole;
	return 0;
}

static int control_put_cred(struct control_out *o, const struct linux_ucred *c)
{
	size_t n = control_room(o, sizeof(*c));

	if (!n)
		return 0;
	if (copy_to_user(user_ptr(void, o->at + sizeof(struct linux_cmsghdr)), c, n))
		return -EFAULT;
	return control_end(o, SCM_CREDENTIALS, n);
}

static int control_put_rights(struct control_out *o, struct socket_rights *r, u32 flags)
{
	u32 fit = (u32)(control_room(o, r->n * sizeof(s32)) / sizeof(s32)), done = 0;

	for (; done < fit; done++) {
		int fd = fd_alloc(0, flags & MSG_CMSG_CLOEXEC ? O_CLOEXEC : 0);
		if (fd < 0) {
			o->truncated = true;
			break;
		}
		if (put_user(fd, user_ptr(s32, o->at + sizeof(struct linux_cmsghdr) +
						       done * sizeof(s32)))) {
			fd_cancel(fd);
			return -EFAULT;
		}
		fd_install(fd, r->files[done]);
		r->files[done] = nullptr;
	}
	return done ? control_end(o, SCM_RIGHTS, done * sizeof(s32)) : 0;
}

static int control_to_user(struct socket *s, struct socket_message *m, struct linux_msghdr *h)
{
	struct control_out o = {h->control, h->control ? h->controllen : 0, false};
	int r = 0;

	if (load_once(&s->pass_cred))
		r = control_put_cred(&o, &m->cred);
	if (!r && m->rights)
		r = control_put_rights(&o, m->rights, m->flags);
	if (o.truncated)
		m->out_flags |= MSG_CTRUNC;
	h->controllen = h->control ? o.at - h->control : 0;
	return r;
}

// ---------------------------------------------------------------- sending

static ssize_t send_io(struct socket *s, struct file *f, struct io *io, struct socket_message *m)
{
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	io->flags = (m->flags & MSG_DONTWAIT) || (f->flags & O_NONBLOCK) ? IO_NONBLOCK : 0;
	ssize_t n = s->ops->send(s, io, m);
	if (n == -EPIPE && !(m->flags & MSG_NOSIGNAL) && s->type != SOCK_DGRAM)
		signal_self(SIGPIPE);
	return n;
}

SYSCALL(sendto, int fd, const void __user *buf, size_t len, u32 flags, const void __user *uaddr,
	int addr_len)
{
	struct socket_message m;
	struct fdref ref;
	struct socket *s = socket_fd_get(fd, &ref);
	ssize_t r = 0;

	if (is_err(s))
		return ptr_err(s);
	m.flags = flags;
	m.out_flags = 0;
	m.rights = nullptr;
	m.has_cred = false;
	m.addr_len = 0;
	if (uaddr) {
		r = sockaddr_from_user(&m.addr, uaddr, addr_len);
		m.addr_len = (u32)addr_len;
	}
	len = min(len, IO_MAX);
	if (!r && !user_range_ok(buf, len))
		r = -EFAULT;
	if (!r) {
		struct io io = io_user((void __user *)buf, len, 0);
		r = send_io(s, ref.file, &io, &m);
	}
	fd_put(ref);
	return r;
}

static ssize_t sendmsg_one(struct socket *s, struct file *f, const struct linux_msghdr __user *umsg,
			   u32 flags)
{
	struct linux_msghdr h;
	struct socket_message m = {.flags = flags};
	struct iovec fast[IOV_FAST], *allocated = nullptr;
	struct io io;
	ssize_t r;

	if (copy_from_user(&h, umsg, sizeof(h)))
		return -EFAULT;
	if (h.iovlen > 1024)
		return -EMSGSIZE;
	if (h.name && h.namelen) {
		r = sockaddr_from_user(&m.addr, user_ptr(void, h.name), h.namelen);
		if (r)
			return r;
		m.addr_len = (u32)h.namelen;
	}
	r = io_from_user_vec(&io, user_ptr(const struct iovec, h.iov), (u32)h.iovlen, fast,
			     &allocated);
	if (r >= 0)
		r = control_from_user(&m, &h);
	if (r >= 0)
		r = send_io(s, f, &io, &m);
	socket_rights_free(m.rights);
	kfree(allocated);
	return r;
}

SYSCALL(sendmsg, int fd, const struct linux_msghdr __user *umsg, u32 flags)
{
	struct fdref ref;
	struct socket *s = socket_fd_get(fd, &ref);

	if (is_err(s))
		return ptr_err(s);
	ssize_t r = sendmsg_one(s, ref.file, umsg, flags);
	fd_put(ref);
	return r;
}

SYSCALL(sendmmsg, int fd, struct linux_mmsghdr __user *umsg, u32 n, u32 flags)
{
	struct fdref ref;
	struct socket *s = socket_fd_get(fd, &ref);
	u32 done = 0;
	ssize_t r = 0;

	if (is_err(s))
		return ptr_err(s);
	for (n = min(n, 1024u); done < n; done++) {
		r = sendmsg_one(s, ref.file, &umsg[done].hdr, flags);
		if (r >= 0 && put_user((u32)r, &umsg[done].len))
			r = -EFAULT;
		if (r < 0)
			break;
	}
	fd_put(ref);
	return done ? done : r;
}

// ---------------------------------------------------------------- receiving

static ssize_t recv_io(struct socket *s, struct file *f, struct io *io, struct socket_message *m)
{
	if (m->flags & MSG_OOB)
		return -EINVAL;
	io->flags = (m->flags & MSG_DONTWAIT) || (f->flags & O_NONBLOCK) ? IO_NONBLOCK : 0;
	return s->ops->recv(s, io, m);
}

SYSCALL(recvfrom, int fd, void __user *buf, size_t len, u32 flags, void __user *uaddr,
	s32 __user *ulen)
{
	struct socket_message m;
	struct fdref ref;
	struct socket *s = socket_fd_get(fd, &ref);
	ssize_t r = -EFAULT;

	if (is_err(s))
		return ptr_err(s);
	m.flags = flags;
	m.out_flags = 0;
	m.rights = nullptr;
	m.addr_len = 0;
	len = min(len, IO_MAX);
	if (user_range_ok(buf, len)) {
		struct io io = io_user(buf, len, 0);
		r = recv_io(s, ref.file, &io, &m);
	}
	if (unlikely(m.rights))
		socket_rights_free(m.rights);
	if (r >= 0 && uaddr) {
		int e = sockaddr_to_user(&m.addr, m.addr_len, uaddr, ulen);
		r = e ? e : r;
	}
	fd_put(ref);
	return r;
}

static ssize_t recvmsg_one(struct socket *s, struct file *f, struct linux_msghdr __user *umsg,
			   u32 flags)
{
	struct linux_msghdr h;
	struct socket_message m = {.flags = flags};
	struct iovec fast[IOV_FAST], *allocated = nullptr;
	struct io io;
	ssize_t r;

	if (copy_from_user(&h, umsg, sizeof(h)))
		return -EFAULT;
	if (h.iovlen > 1024)
		return -EMSGSIZE;
	if (h.name && h.namelen < 0)
		return -EINVAL;
	r = io_from_user_vec(&io, user_ptr(const struct iovec, h.iov), (u32)h.iovlen, fast,
			     &allocated);
	if (r >= 0)
		r = recv_io(s, f, &io, &m);
	if (r >= 0) {
		int e = control_to_user(s, &m, &h);
		if (!e && h.name)
			e = copy_to_user(user_ptr(void, h.name), &m.addr,
					 min((u32)h.namelen, m.addr_len));
		if (e || put_user((s32)m.addr_len, &umsg->namelen) ||
		    put_user(h.controllen, &umsg->controllen) ||
		    put_user(m.out_flags | (flags & MSG_CMSG_CLOEXEC), &umsg->flags))
			r = -EFAULT;
	}
	socket_rights_free(m.rights);
	kfree(allocated);
	return r;
}

SYSCALL(recvmsg, int fd, struct linux_msghdr __user *umsg, u32 flags)
{
	struct fdref ref;
	struct socket *s = socket_fd_get(fd, &ref);

	if (is_err(s))
		return ptr_err(s);
	ssize_t r = recvmsg_one(s, ref.file, umsg, flags);
	fd_put(ref);
	return r;
}

SYSCALL(recvmmsg, int fd, struct linux_mmsghdr __user *umsg, u32 n, u32 flags,
	const struct linux_timespec __user *ut)
{
	struct linux_timespec t = {};
	struct fdref ref;
	u64 deadline = ~0ull;
	u32 done = 0;
	ssize_t r = 0;

	if (ut) {
		if (copy_from_user(&t, ut, sizeof(t)))
			return -EFAULT;
		if (t.sec < 0 || t.nsec < 0 || t.nsec >= (s64)NSEC_PER_SEC)
			return -EINVAL;
		deadline = clock_monotonic_ns() +
			   (u64)min(t.sec, (s64)1'000'000'000) * NSEC_PER_SEC + (u64)t.nsec;
	}
	struct socket *s = socket_fd_get(fd, &ref);
	if (is_err(s))
		return ptr_err(s);
	for (n = min(n, 1024u); done < n;) {
		r = recvmsg_one(s, ref.file, &umsg[done].hdr, flags & ~(u32)MSG_WAITFORONE);
		if (r >= 0 && put_user((u32)r, &umsg[done].len))
			r = -EFAULT;
		if (r < 0)
			break;
		done++;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		if (clock_monotonic_ns() >=
		    deadline) // looked at between messages only, as Linux does
			break;
	}
	fd_put(ref);
	return done ? done : r;
}

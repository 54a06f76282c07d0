// SPDX-License-Identifier: MIT
// option.c: getsockopt and setsockopt at the socket level. Privileged.
#include "abi/linux/time.h"
#include "base/string.h"
#include "linux/net/net_priv.h"
#include "linux/syscalls.h"

constexpr u32 BUFFER_MIN = 4608, BUFFER_MAX = 425984; // bytes, as stored; a program asks for half
constexpr u32 STORED = 1u << SO_DEBUG | 1u << SO_REUSEADDR | 1u << SO_DONTROUTE |
		       1u << SO_BROADCAST | 1u << SO_KEEPALIVE | 1u << SO_OOBINLINE |
		       1u << SO_NO_CHECK | 1u << SO_REUSEPORT | 1u << SO_TIMESTAMP;

static int timeout_set(u64 *timeout_ns, const void __user *uval, u32 len)
{
	struct linux_timeval t;

	if (len < sizeof(t))
		return -EINVAL;
	if (copy_from_user(&t, uval, sizeof(t)))
		return -EFAULT;
	if (t.usec < 0 || t.usec >= 1'000'000)
		return -EDOM;
	u64 ns = ~0ull; // zero: for ever
	if (t.sec < 0)
		ns = 0;
	else if ((t.sec || t.usec) && t.sec < 1'000'000'000)
		ns = (u64)t.sec * NSEC_PER_SEC + (u64)t.usec * 1000;
	store_once(timeout_ns, ns);
	return 0;
}

static int set_int(struct socket *s, int name, s32 v)
{
	switch (name) {
	case SO_SNDBUF:
	case SO_SNDBUFFORCE:
		store_once(&s->sndbuf,
			   clamp(v < 0 || v > (s32)BUFFER_MAX / 2 ? BUFFER_MAX : (u32)v * 2,
				 BUFFER_MIN, BUFFER_MAX));
		return 0;
	case SO_RCVBUF:
	case SO_RCVBUFFORCE:
		store_once(&s->rcvbuf,
			   clamp(v < 0 || v > (s32)BUFFER_MAX / 2 ? BUFFER_MAX : (u32)v * 2,
				 BUFFER_MIN / 2, BUFFER_MAX));
		return 0;
	case SO_PASSCRED:
		store_once(&s->pass_cred, v != 0);
		return 0;
	case SO_PRIORITY:
		return v >= 0 && v <= 6 ? 0 : -EPERM;
	case SO_RCVLOWAT:
		return 0;
	default:
		if (name < 0 || name >= 32 || !(STORED >> name & 1))
			return -ENOPROTOOPT;
		if (v)
			__atomic_fetch_or(&s->options, 1u << name, __ATOMIC_RELAXED);
		else
			__atomic_fetch_and(&s->options, ~(1u << name), __ATOMIC_RELAXED);
		return 0;
	}
}

static int option_set(struct socket *s, int name, const void __user *uval, u32 len)
{
	s32 v;

	if (name == SO_RCVTIMEO)
		return timeout_set(&s->recv_timeout_ns, uval, len);
	if (name == SO_SNDTIMEO)
		return timeout_set(&s->send_timeout_ns, uval, len);
	if (name == SO_LINGER) {
		if (len < sizeof(s->linger))
			return -EINVAL;
		return copy_from_user(&s->linger, uval, sizeof(s->linger));
	}
	if (len < sizeof(v))
		return -EINVAL;
	if (get_user(v, (const s32 __user *)uval))
		return -EFAULT;
	return set_int(s, name, v);
}

SYSCALL(setsockopt, int fd, int level, int name, const void __user *uval, int len)
{
	struct fdref ref;

	if (len < 0)
		return -EINVAL;
	struct socket *s = socket_fd_get(fd, &ref);
	if (is_err(s))
		return ptr_err(s);
	int r = level == SOL_SOCKET ? option_set(s, name, uval, (u32)len) : -EOPNOTSUPP;
	fd_put(ref);
	return r;
}

union option_value {
	s32 number;
	struct linux_ucred cred;
	struct linux_timeval time;
	struct linux_linger linger;
};

static struct linux_timeval timeout_get(const u64 *timeout_ns)
{
	u64 ns = load_once(timeout_ns);

	if (ns == ~0ull)
		return (struct linux_timeval){};
	return (struct linux_timeval){(s64)(ns / NSEC_PER_SEC), (s64)(ns % NSEC_PER_SEC / 1000)};
}

// Bytes of the value, or an error.
static int option_get(struct socket *s, int name, union option_value *v)
{
	switch (name) {
	case SO_TYPE:
		v->number = s->type;
		break;
	case SO_DOMAIN:
		v->number = s->family;
		break;
	case SO_PROTOCOL:
		v->number = s->protocol;
		break;
	case SO_ERROR:
		v->number = -socket_error_take(s);
		break;
	case SO_ACCEPTCONN:
		v->number = load_once(&s->listening);
		break;
	case SO_SNDBUF:
		v->number = (s32)load_once(&s->sndbuf);
		break;
	case SO_RCVBUF:
		v->number = (s32)load_once(&s->rcvbuf);
		break;
	case SO_PASSCRED:
		v->number = load_once(&s->pass_cred);
		break;
	case SO_PRIORITY:
		v->number = 0;
		break;
	case SO_RCVLOWAT:
	case SO_SNDLOWAT:
		v->number = 1;
		break;
	case SO_PEERCRED:
		if (!s->ops->peer_cred || !s->ops->peer_cred(s, &v->cred))
			v->cred = (struct linux_ucred){0, ~0u, ~0u};
		return sizeof(v->cred);
	case SO_RCVTIMEO:
		v->time = timeout_get(&s->recv_timeout_ns);
		return sizeof(v->time);
	case SO_SNDTIMEO:
		v->time = timeout_get(&s->send_timeout_ns);
		return sizeof(v->time);
	case SO_LINGER:
		v->linger = s->linger;
		return sizeof(v->linger);
	default:
		if (name < 0 || name >= 32 || !(STORED >> name & 1))
			return -ENOPROTOOPT;
		v->number = load_once(&s->options) >> name & 1;
		break;
	}
	return sizeof(v->number);
}

SYSCALL(getsockopt, int fd, int level, int name, void __user *uval, s32 __user *ulen)
{
	union option_value v = {};
	struct fdref ref;
	s32 room;

	struct socket *s = socket_fd_get(fd, &ref);
	if (is_err(s))
		return ptr_err(s);
	int r = level == SOL_SOCKET ? option_get(s, name, &v) : -EOPNOTSUPP;
	fd_put(ref);
	if (r < 0)
		return r;
	if (get_user(room, ulen))
		return -EFAULT;
	if (room < 0)
		return -EINVAL;
	u32 n = min((u32)r, (u32)room);
	if (copy_to_user(uval, &v, n))
		return -EFAULT;
	return put_user((s32)n, ulen);
}

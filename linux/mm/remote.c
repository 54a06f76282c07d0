// SPDX-License-Identifier: MIT
// Owns process_vm_readv and process_vm_writev: copies between the caller's memory and another
// process's.
#include "base/err.h"
#include "core/slab.h"
#include "core/uaccess.h"
#include "linux/file.h"
#include "linux/syscalls.h"
#include "linux/task.h"
#include "linux/vm.h"

constexpr u32 IOV_MAX = 1024;
constexpr u64 CHUNK = 16 * KiB;

struct remote_vec {
	struct iovec *v; // kmalloc'ed
	u32 n;
};

static int vec_read(struct remote_vec *out, const struct iovec __user *uvec, u64 n, u64 *total)
{
	*out = (struct remote_vec){};
	*total = 0;
	if (n > IOV_MAX)
		return -EINVAL;
	if (!n)
		return 0;
	out->v = kmalloc(n * sizeof(struct iovec));
	if (!out->v)
		return -ENOMEM;
	out->n = (u32)n;
	if (copy_from_user(out->v, uvec, n * sizeof(struct iovec)))
		return -EFAULT;
	for (u32 i = 0; i < out->n; i++) {
		if ((s64)out->v[i].len < 0)
			return -EINVAL;
		*total += min(out->v[i].len, (u64)0x7ffff000 - *total);
	}
	return 0;
}

// Walks a vector piece by piece.
struct cursor {
	const struct remote_vec *vec;
	u32 i;
	u64 offset;
};
static u64 cursor_left(struct cursor *c)
{
	while (c->i < c->vec->n && c->offset == c->vec->v[c->i].len) {
		c->i++;
		c->offset = 0;
	}
	return c->i < c->vec->n ? c->vec->v[c->i].len - c->offset : 0;
}
static u64 cursor_addr(const struct cursor *c)
{
	return c->vec->v[c->i].base + c->offset;
}

// One piece through buf: bytes moved, 0 when either side's memory is missing.
static u64 piece_copy(struct vm_space *s, u64 local, u64 remote, u8 *buf, u64 n, bool write)
{
	if (write) {
		u64 got = n - copy_from_user_partial(buf, user_ptr(const void, local), n);
		ssize_t r = got ? vm_access_remote(s, remote, buf, got, true, false) : 0;
		return r > 0 ? (u64)r : 0;
	}
	ssize_t r = vm_access_remote(s, remote, buf, n, false, false);
	return r > 0 ? (u64)r - copy_to_user_partial(user_ptr(void, local), buf, (u64)r) : 0;
}

static long remote_copy(struct vm_space *s, const struct remote_vec *local,
			const struct remote_vec *remote, u64 total, bool write)
{
	struct cursor l = {.vec = local}, r = {.vec = remote};
	u8 *buf = kmalloc(CHUNK);
	u64 done = 0;
	if (!buf)
		return -ENOMEM;
	while (done < total) {
		u64 n = min(min(cursor_left(&l), cursor_left(&r)), min(total - done, CHUNK));
		if (!n)
			break;
		u64 moved = piece_copy(s, cursor_addr(&l), cursor_addr(&r), buf, n, write);
		done += moved;
		if (moved < n)
			break;
		l.offset += n;
		r.offset += n;
		if (signal_fatal_pending())
			break;
	}
	bool failed = !done && total && cursor_left(&l) && cursor_left(&r);
	kfree(buf);
	return failed ? -EFAULT : (long)done;
}

static long process_vm(int pid, const struct iovec __user *ulocal, u64 nlocal,
		       const struct iovec __user *uremote, u64 nremote, u64 flags, bool write)
{
	struct remote_vec local = {}, remote = {};
	u64 total, ignored;
	if (flags)
		return -EINVAL;
	long r = vec_read(&local, ulocal, nlocal, &total);
	if (!r)
		r = vec_read(&remote, uremote, nremote, &ignored);
	if (!r && total) {
		struct process *p = process_find((u32)pid);
		struct vm_space *s = p ? process_space_get(p) : nullptr;
		r = !s				    ? -ESRCH
		    : !process_may_access(p, false) ? -EPERM
		    : write && s->elevates && s != current_space()
			    ? -EPERM // may run with privilege
			    : remote_copy(s, &local, &remote, total, write);
		if (s)
			vm_space_put(s);
		if (p)
			process_put(p);
	}
	kfree(local.v);
	kfree(remote.v);
	return r;
}

SYSCALL(process_vm_readv, int pid, const struct iovec __user *local, u64 nlocal,
	const struct iovec __user *remote, u64 nremote, u64 flags)
{
	return process_vm(pid, local, nlocal, remote, nremote, flags, false);
}

SYSCALL(process_vm_writev, int pid, const struct iovec __user *local, u64 nlocal,
	const struct iovec __user *remote, u64 nremote, u64 flags)
{
	return process_vm(pid, local, nlocal, remote, nremote, flags, true);
}

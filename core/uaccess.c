// SPDX-License-Identifier: MIT
// Copies between kernel and program memory: range checks around the architecture's moves.
// Privileged.
#include "core/uaccess.h"
#include "base/string.h"
#include "core/panic.h"
#include "core/thread.h"

size_t copy_from_user_partial(void *dst, const void __user *src, size_t len)
{
	if (unlikely(!user_range_ok(src, len)))
		return len;
	user_access_begin();
	size_t left = arch_copy_user(dst, user_force(const void, src), len);
	user_access_end();
	return left;
}

size_t copy_to_user_partial(void __user *dst, const void *src, size_t len)
{
	if (unlikely(!user_range_ok(dst, len)))
		return len;
	user_access_begin();
	size_t left = arch_copy_user(user_force(void, dst), src, len);
	user_access_end();
	return left;
}

size_t clear_user_partial(void __user *dst, size_t len)
{
	if (unlikely(!user_range_ok(dst, len)))
		return len;
	user_access_begin();
	size_t left = arch_clear_user(user_force(void, dst), len);
	user_access_end();
	return left;
}

// Whether the aligned word w holds a zero byte, and where: the lowest byte whose top bit is set in
// the result.
static inline u64 zero_bytes(u64 w)
{
	return (w - 0x0101010101010101) & ~w & 0x8080808080808080;
}

ssize_t copy_string_from_user(char *dst, const char __user *src, size_t cap)
{
	u64 addr = user_addr(src);
	size_t n = 0;

	if (addr >= USER_TOP)
		return -EFAULT;
	if (cap > USER_TOP - addr)
		cap = USER_TOP - addr;
	while (n < cap) {
		// whole words while they cannot cross into a page that the string does not reach
		if (((addr + n) & 7) == 0 && cap - n >= 8) {
			u64 w;
			if (arch_get_user(&w, user_ptr(const void, addr + n), 8))
				return -EFAULT;
			u64 z = zero_bytes(w);
			__builtin_memcpy(dst + n, &w, 8);
			if (z)
				return (ssize_t)(n + (u32)__builtin_ctzll(z) / 8);
			n += 8;
		} else {
			u64 c;
			if (arch_get_user(&c, user_ptr(const void, addr + n), 1))
				return -EFAULT;
			dst[n] = (char)c;
			if (!c)
				return (ssize_t)n;
			n++;
		}
	}
	return -ENAMETOOLONG;
}

ssize_t user_strnlen(const char __user *s, size_t max)
{
	u64 addr = user_addr(s);
	size_t n = 0;

	if (addr >= USER_TOP)
		return -EFAULT;
	if (max > USER_TOP - addr)
		max = USER_TOP - addr;
	while (n < max) {
		u64 w;
		if (((addr + n) & 7) == 0 && max - n >= 8) {
			if (arch_get_user(&w, user_ptr(const void, addr + n), 8))
				return -EFAULT;
			u64 z = zero_bytes(w);
			if (z)
				return (ssize_t)(n + (u32)__builtin_ctzll(z) / 8);
			n += 8;
		} else {
			if (arch_get_user(&w, user_ptr(const void, addr + n), 1))
				return -EFAULT;
			if (!w)
				break;
			n++;
		}
	}
	return (ssize_t)n;
}

int arch_user_cmpxchg(u32 *p, u32 expected, u32 desired, u32 *old);
int arch_user_xchg(u32 *p, u32 v, u32 *old);
int arch_user_add(u32 *p, u32 v, u32 *old);

static bool word_ok(const u32 __user *p)
{
	return !(user_addr(p) & 3) && user_range_ok(p, 4);
}

int user_cmpxchg_u32(u32 __user *p, u32 expected, u32 desired, u32 *old)
{
	if (!word_ok(p))
		return -EFAULT;
	user_access_begin();
	int r = arch_user_cmpxchg(user_force(u32, p), expected, desired, old);
	user_access_end();
	return r;
}

int user_atomic_op_u32(u32 __user *p, enum user_atomic_op op, u32 arg, u32 *old)
{
	int r;

	if (!word_ok(p))
		return -EFAULT;
	if (op == USER_OP_SET || op == USER_OP_ADD) {
		user_access_begin();
		r = op == USER_OP_SET ? arch_user_xchg(user_force(u32, p), arg, old)
				      : arch_user_add(user_force(u32, p), arg, old);
		user_access_end();
		return r;
	}
	u32 seen;
	if (get_user(seen, p))
		return -EFAULT;
	for (;;) {
		u32 want = op == USER_OP_OR	? seen | arg
			   : op == USER_OP_ANDN ? seen & ~arg
						: seen ^ arg;
		r = user_cmpxchg_u32(p, seen, want, old);
		if (r || *old == seen)
			return r;
		seen = *old;
	}
}

void pagefault_disable(void)
{
	current()->pagefaults_off++;
	barrier();
}

void pagefault_enable(void)
{
	barrier();
	assert(current()->pagefaults_off);
	current()->pagefaults_off--;
}

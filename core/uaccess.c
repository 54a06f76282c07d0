// SPDX-License-Identifier: MIT
// Copies between kernel and program memory: range checks around the architecture's moves.
// Privileged.
#include "core/uaccess.h"
#include "base/string.h"

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

int user_cmpxchg_u32(u32 __user *p, u32 expected, u32 desired, u32 *old)
{
	if ((user_addr(p) & 3) || !user_range_ok(p, sizeof(*p)))
		return -EFAULT;
	user_access_begin();
	int r = arch_user_cmpxchg(user_force(u32, p), expected, desired, old);
	user_access_end();
	return r;
}

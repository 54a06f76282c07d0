// SPDX-License-Identifier: MIT
// The only way to programs' memory. Privileged.
//
// Each function checks that the range lies in the program half and survives a fault anywhere in it
// (the mapping may vanish meanwhile). They may sleep (demand paging), except while preemption is
// off, where a missing page is simply -EFAULT.
#pragma once
#include "base/compiler.h"
#include "base/errno.h"
#include "base/types.h"
#include <arch/uaccess.h> // arch_copy_user, arch_clear_user, USER_TOP, user_access_begin/end, arch_get_user, arch_put_user

static inline bool user_range_ok(const void __user *p, size_t len)
{
	u64 a = user_addr(p);
	return len <= USER_TOP && a <= USER_TOP - len;
}
// Bytes NOT copied (0: all). What was not read is not cleared.
[[nodiscard]] size_t copy_from_user_partial(void *dst, const void __user *src, size_t len);
[[nodiscard]] size_t copy_to_user_partial(void __user *dst, const void *src, size_t len);
// 0 or -EFAULT
[[nodiscard]] static inline int copy_from_user(void *dst, const void __user *src, size_t len)
{
	return copy_from_user_partial(dst, src, len) ? -EFAULT : 0;
}
[[nodiscard]] static inline int copy_to_user(void __user *dst, const void *src, size_t len)
{
	return copy_to_user_partial(dst, src, len) ? -EFAULT : 0;
}
[[nodiscard]] size_t clear_user_partial(void __user *dst, size_t len);
// Copies a string with its NUL into dst[cap]: its length, -EFAULT, or -ENAMETOOLONG when there is
// no NUL within cap bytes.
[[nodiscard]] ssize_t copy_string_from_user(char *dst, const char __user *src, size_t cap);

// get_user(x, p): x = *p, 0 or -EFAULT; put_user(x, p): *p = x. For 1, 2, 4 and 8 byte types: a few
// instructions.
#define get_user(x, p)                                                           \
	({                                                                       \
		const void __user *gu_p_ = (p);                                  \
		u64 gu_v_ = 0;                                                   \
		int gu_r_ = user_range_ok(gu_p_, sizeof(*(p)))                   \
				    ? arch_get_user(&gu_v_, gu_p_, sizeof(*(p))) \
				    : -EFAULT;                                   \
		(x) = (typeof(x))gu_v_;                                          \
		gu_r_;                                                           \
	})
#define put_user(x, p)                                                                         \
	({                                                                                     \
		void __user *pu_p_ = (p);                                                      \
		u64 pu_v_ = (u64)(x);                                                          \
		user_range_ok(pu_p_, sizeof(*(p))) ? arch_put_user(pu_v_, pu_p_, sizeof(*(p))) \
						   : -EFAULT;                                  \
	})

// Compares and exchanges a program's 32-bit word, aligned by 4. 0 or -EFAULT; *old receives what
// was there: the exchange took place if that is `expected`.
[[nodiscard]] int user_cmpxchg_u32(u32 __user *p, u32 expected, u32 desired, u32 *old);

// SPDX-License-Identifier: MIT
// Owns the argument and environment strings between the old program and the new one.
#include "linux/process/exec_priv.h"
#include "base/string.h"
#include "core/uaccess.h"

constexpr u64 STRING_MAX = 32 * PAGE_SIZE; // one string, NUL included
constexpr u64 ARGS_MAX = 6 * MiB;	   // whatever the stack limit says

int exec_args_init(struct exec_args *a)
{
	u64 quarter = rlimit(RLIMIT_STACK) / 4;
	*a = (struct exec_args){.limit = clamp(quarter, STRING_MAX, ARGS_MAX)};
	return 0;
}

void exec_args_destroy(struct exec_args *a)
{
	for (u32 i = 0; i < a->npages; i++)
		kfree(a->pages[i]);
	kfree(a->pages);
	kfree(a->prefix);
}

// Room at the stream's end: pointer and bytes left in its page. nullptr: out of memory.
static u8 *stream_room(struct exec_args *a, u64 *room)
{
	u64 offset = a->len % PAGE_SIZE;
	if (a->len / PAGE_SIZE == a->npages) {
		if (a->npages == a->cap) {
			u32 cap = a->cap ? a->cap * 2 : 8;
			u8 **pages =
				krealloc(a->pages, a->cap * sizeof(*pages), cap * sizeof(*pages));
			if (!pages)
				return nullptr;
			a->pages = pages;
			a->cap = cap;
		}
		u8 *page = kmalloc(PAGE_SIZE);
		if (!page)
			return nullptr;
		a->pages[a->npages++] = page;
	}
	*room = PAGE_SIZE - offset;
	return a->pages[a->len / PAGE_SIZE] + offset;
}

static bool too_long(const struct exec_args *a)
{
	return a->len + ((u64)a->argc + a->envc) * sizeof(u64) > a->limit;
}

static int add_user(struct exec_args *a, const char __user *s)
{
	u64 start = a->len, room;
	for (;;) {
		u8 *to = stream_room(a, &room);
		if (!to)
			return -ENOMEM;
		ssize_t n = copy_string_from_user((char *)to, s, room);
		if (n == -EFAULT)
			return -EFAULT;
		bool complete = n >= 0;
		u64 got = complete ? (u64)n + 1 : room;
		a->len += got;
		s += got;
		if (a->len - start > STRING_MAX || too_long(a))
			return -E2BIG;
		if (complete)
			return 0;
	}
}

int exec_args_add_kernel(struct exec_args *a, const char *s)
{
	u64 left = strlen(s) + 1, room;
	while (left) {
		u8 *to = stream_room(a, &room);
		if (!to)
			return -ENOMEM;
		u64 n = min(left, room);
		memcpy(to, s, n);
		a->len += n;
		s += n;
		left -= n;
	}
	return 0;
}

int exec_args_add_vector(struct exec_args *a, u64 vector, bool kernel, u32 *count)
{
	int r = 0;
	if (!vector)
		return 0; // Linux takes a null vector for an empty one
	for (u64 i = 0; !r; i++) {
		u64 s;
		if (kernel)
			s = ((const u64 *)(uintptr_t)vector)[i];
		else if (get_user(s, user_ptr(const u64, vector + i * sizeof(u64))))
			return -EFAULT;
		if (!s)
			break;
		(*count)++;
		r = kernel ? exec_args_add_kernel(a, (const char *)(uintptr_t)s)
			   : add_user(a, user_ptr(const char, s));
		if (!r && (i & 0xfff) == 0xfff && signal_fatal_pending())
			r = -EINTR;
	}
	return r;
}

int exec_args_write(const struct exec_args *a, struct vm_space *s, u64 addr)
{
	if (a->prefix_len) {
		if (vm_access_remote(s, addr, a->prefix, a->prefix_len, true, false) !=
		    (ssize_t)a->prefix_len)
			return -EFAULT;
		addr += a->prefix_len;
	}
	for (u64 at = a->skip; at < a->len;) {
		u64 n = min(PAGE_SIZE - at % PAGE_SIZE, a->len - at);
		if (vm_access_remote(s, addr, a->pages[at / PAGE_SIZE] + at % PAGE_SIZE, n, true,
				     false) != (ssize_t)n)
			return -EFAULT;
		at += n;
		addr += n;
	}
	return 0;
}

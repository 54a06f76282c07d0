// SPDX-License-Identifier: MIT
// string.c: memory and string functions by eight-byte loops.
//
// `rep movsb` is avoided on purpose: emulators run it a byte at a time, while plain 64-bit moves
// are within a small factor of the best on hardware. Each function carries __no_builtin, so that
// the optimiser does not recognise the loop and call the function from within itself.
#include "base/string.h"

#include "base/bytes.h"
#include "base/errno.h"

#define ONES  0x0101010101010101ull
#define HIGHS 0x8080808080808080ull

// Short copies load both ends before they store either, so overlapping buffers are fine.
static __always_inline void copy_up_to_16(u8 *d, const u8 *s, size_t n)
{
	if (n >= 8) {
		u64 head = load_le64(s), tail = load_le64(s + n - 8);

		store_le64(d, head);
		store_le64(d + n - 8, tail);
	} else if (n >= 4) {
		u32 head = load_le32(s), tail = load_le32(s + n - 4);

		store_le32(d, head);
		store_le32(d + n - 4, tail);
	} else if (n >= 2) {
		u16 head = load_le16(s), tail = load_le16(s + n - 2);

		store_le16(d, head);
		store_le16(d + n - 2, tail);
	} else if (n) {
		*d = *s;
	}
}

__weak __no_builtin void *BASE_LIBC(memcpy)(void *restrict dst, const void *restrict src, size_t n)
{
	u8 *d = dst;
	const u8 *s = src;

	while (n >= 32) {
		u64 a = load_le64(s), b = load_le64(s + 8);
		u64 c = load_le64(s + 16), e = load_le64(s + 24);

		store_le64(d, a);
		store_le64(d + 8, b);
		store_le64(d + 16, c);
		store_le64(d + 24, e);
		d += 32;
		s += 32;
		n -= 32;
	}
	if (n > 16) {
		u64 a = load_le64(s), b = load_le64(s + 8);

		store_le64(d, a);
		store_le64(d + 8, b);
		d += 16;
		s += 16;
		n -= 16;
	}
	copy_up_to_16(d, s, n);
	return dst;
}

__weak __no_builtin void *BASE_LIBC(memmove)(void *dst, const void *src, size_t n)
{
	u8 *d = dst;
	const u8 *s = src;

	if (n <= 16) {
		copy_up_to_16(d, s, n);
		return dst;
	}
	if ((uintptr_t)d - (uintptr_t)s >= n) {
		// dst is below src or beyond its end: upwards, the last bytes loaded beforehand.
		u64 tail_a = load_le64(s + n - 16), tail_b = load_le64(s + n - 8);
		u8 *end = d + n;

		while (n > 16) {
			u64 a = load_le64(s), b = load_le64(s + 8);

			store_le64(d, a);
			store_le64(d + 8, b);
			d += 16;
			s += 16;
			n -= 16;
		}
		store_le64(end - 16, tail_a);
		store_le64(end - 8, tail_b);
	} else {
		u64 head_a = load_le64(s), head_b = load_le64(s + 8);

		while (n > 16) {
			u64 a = load_le64(s + n - 8), b = load_le64(s + n - 16);

			store_le64(d + n - 8, a);
			store_le64(d + n - 16, b);
			n -= 16;
		}
		store_le64(d, head_a);
		store_le64(d + 8, head_b);
	}
	return dst;
}

__weak __no_builtin void *BASE_LIBC(memset)(void *dst, int byte, size_t n)
{
	u8 *d = dst;
	u64 word = (u8)byte * ONES;

	if (n < 8) {
		for (size_t i = 0; i < n; i++)
			d[i] = (u8)byte;
		return dst;
	}
	u8 *end = d + n;

	for (; n >= 32; n -= 32, d += 32) {
		store_le64(d, word);
		store_le64(d + 8, word);
		store_le64(d + 16, word);
		store_le64(d + 24, word);
	}
	for (; n >= 8; n -= 8, d += 8)
		store_le64(d, word);
	store_le64(end - 8, word);
	return dst;
}

__weak __no_builtin int BASE_LIBC(memcmp)(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	for (; n >= 8; n -= 8, x += 8, y += 8) {
		if (load_le64(x) != load_le64(y)) {
			// Big-endian values compare as the bytes do.
			return load_be64(x) < load_be64(y) ? -1 : 1;
		}
	}
	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x < *y ? -1 : 1;
	return 0;
}

__no_builtin void *BASE_LIBC(memchr)(const void *s, int byte, size_t n)
{
	const u8 *p = s;
	u64 pattern = (u8)byte * ONES;

	for (; n >= 8; n -= 8, p += 8) {
		u64 x = load_le64(p) ^ pattern;

		if ((x - ONES) & ~x & HIGHS)
			break;
	}
	for (; n; n--, p++)
		if (*p == (u8)byte)
			return (void *)p;
	return nullptr;
}

__no_builtin void *memchr_inv(const void *s, int byte, size_t n)
{
	const u8 *p = s;
	u64 pattern = (u8)byte * ONES;

	while (n >= 8 && load_le64(p) == pattern) {
		n -= 8;
		p += 8;
	}
	for (; n; n--, p++)
		if (*p != (u8)byte)
			return (void *)p;
	return nullptr;
}

// Strings are read a byte at a time: they are short here, and a word-wise read may touch a byte
// behind the NUL, which the sanitizers rightly report.
__no_builtin size_t BASE_LIBC(strlen)(const char *s)
{
	const char *p = s;

	while (*p)
		p++;
	return (size_t)(p - s);
}

__no_builtin size_t BASE_LIBC(strnlen)(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

__no_builtin int BASE_LIBC(strcmp)(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (u8)*a - (u8)*b;
}

__no_builtin int BASE_LIBC(strncmp)(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++) {
		if (*a != *b)
			return (u8)*a - (u8)*b;
		if (!*a)
			break;
	}
	return 0;
}

static int lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : (u8)c;
}

__no_builtin int BASE_LIBC(strncasecmp)(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++) {
		if (lower(*a) != lower(*b))
			return lower(*a) - lower(*b);
		if (!*a)
			break;
	}
	return 0;
}

__no_builtin int BASE_LIBC(strcasecmp)(const char *a, const char *b)
{
	return BASE_LIBC(strncasecmp)(a, b, SIZE_MAX);
}

__no_builtin char *BASE_LIBC(strchr)(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)s;
		if (!*s)
			return nullptr;
	}
}

__no_builtin char *BASE_LIBC(strrchr)(const char *s, int c)
{
	const char *last = nullptr;

	for (;; s++) {
		if (*s == (char)c)
			last = s;
		if (!*s)
			return (char *)last;
	}
}

__no_builtin char *BASE_LIBC(strstr)(const char *haystack, const char *needle)
{
	size_t len = BASE_LIBC(strlen)(needle);

	for (; *haystack; haystack++)
		if (BASE_LIBC(strncmp)(haystack, needle, len) == 0)
			return (char *)haystack;
	return len ? nullptr : (char *)haystack;
}

// Length of the run at the front of s whose bytes are (not) in set.
static size_t span(const char *s, const char *set, bool in_set)
{
	size_t n = 0;

	while (s[n] && !!BASE_LIBC(strchr)(set, s[n]) == in_set)
		n++;
	return n;
}

__no_builtin size_t BASE_LIBC(strspn)(const char *s, const char *accept)
{
	return span(s, accept, true);
}

__no_builtin size_t BASE_LIBC(strcspn)(const char *s, const char *reject)
{
	return span(s, reject, false);
}

ssize_t strscpy(char *dst, const char *src, size_t size)
{
	return strscpy_n(dst, size, src, BASE_LIBC(strnlen)(src, size));
}

ssize_t strscpy_n(char *dst, size_t size, const char *src, size_t src_len)
{
	if (!size)
		return -E2BIG;
	size_t n = min(src_len, size - 1);

	BASE_LIBC(memcpy)(dst, src, n);
	dst[n] = '\0';
	return n < src_len ? -E2BIG : (ssize_t)n;
}

bool str_ends_with(const char *s, const char *suffix)
{
	size_t len = BASE_LIBC(strlen)(s), suffix_len = BASE_LIBC(strlen)(suffix);

	return len >= suffix_len && BASE_LIBC(strcmp)(s + len - suffix_len, suffix) == 0;
}

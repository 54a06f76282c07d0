// SPDX-License-Identifier: MIT
// string.h: memory and string functions.
//
// Standard names, standard meaning. memcpy, memmove, memset and memcmp are weak: an architecture
// may link faster ones. Hosted builds use the C library's, see BASE_LIBC in base/compiler.h.
#pragma once

#include "base/types.h"

#if __STDC_HOSTED__
#include <string.h>
// POSIX, which <string.h> hides in strict C.
size_t strnlen(const char *s, size_t max);
int strcasecmp(const char *a, const char *b);
int strncasecmp(const char *a, const char *b, size_t n);
#endif

void *BASE_LIBC(memcpy)(void *restrict dst, const void *restrict src, size_t n);
void *BASE_LIBC(memmove)(void *dst, const void *src, size_t n);
void *BASE_LIBC(memset)(void *dst, int byte, size_t n);
int BASE_LIBC(memcmp)(const void *a, const void *b, size_t n);
void *BASE_LIBC(memchr)(const void *s, int byte, size_t n);
size_t BASE_LIBC(strlen)(const char *s);
size_t BASE_LIBC(strnlen)(const char *s, size_t max);
int BASE_LIBC(strcmp)(const char *a, const char *b);
int BASE_LIBC(strncmp)(const char *a, const char *b, size_t n);
char *BASE_LIBC(strchr)(const char *s, int c);
char *BASE_LIBC(strrchr)(const char *s, int c);
char *BASE_LIBC(strstr)(const char *haystack, const char *needle);
size_t BASE_LIBC(strspn)(const char *s, const char *accept);
size_t BASE_LIBC(strcspn)(const char *s, const char *reject);
int BASE_LIBC(strcasecmp)(const char *a, const char *b);
int BASE_LIBC(strncasecmp)(const char *a, const char *b, size_t n);

// Copies a string into a buffer of `size` bytes, always terminated if size > 0. Result: its length,
// or -E2BIG when it was cut (or size is 0). Reads no byte of src beyond the NUL or the `size`th.
ssize_t strscpy(char *dst, const char *src, size_t size);
// The same for a source of src_len bytes without a NUL.
ssize_t strscpy_n(char *dst, size_t size, const char *src, size_t src_len);

// First byte that is not `byte`, or nullptr.
void *memchr_inv(const void *s, int byte, size_t n);

static inline bool str_equal(const char *a, const char *b)
{
	return BASE_LIBC(strcmp)(a, b) == 0;
}

static inline bool str_starts_with(const char *s, const char *prefix)
{
	return BASE_LIBC(strncmp)(s, prefix, BASE_LIBC(strlen)(prefix)) == 0;
}

bool str_ends_with(const char *s, const char *suffix);

// Clears memory that held a secret; the compiler does not remove it.
static inline void memzero_explicit(void *p, size_t n)
{
	BASE_LIBC(memset)(p, 0, n);
	__asm__ volatile("" : : "r"(p) : "memory");
}

// SPDX-License-Identifier: MIT
// A text that grows while it is written: what files of /proc and /sys are generated into. Private
// to linux/.
#pragma once
#include "base/compiler.h"
#include "base/types.h"

struct text {
	char *buf; // kmalloc'ed; not NUL-terminated
	size_t len, cap;
	bool failed; // memory was out, or it exceeds what kmalloc can give: the text is useless
};

void text_free(struct text *t);
void text_append(struct text *t, const char *s, size_t len);
void text_puts(struct text *t, const char *s);
__printf(2, 3) void text_printf(struct text *t, const char *fmt, ...);
void text_u64(struct text *t, u64 value, char after); // decimal, then one character
void text_s64(struct text *t, s64 value, char after);
void text_hex(struct text *t, u64 value, u32 digits, char after); // at least so many digits
// Appends s with the characters of `special`, backslashes and what cannot be printed as \ooo, as
// mount tables and maps write names.
void text_escaped(struct text *t, const char *s, const char *special);
// "0-2,5" for the bits of a mask; "" for none.
void text_bit_list(struct text *t, u64 mask);
// Room for len more bytes, which the caller fills and adds to t->len; nullptr: none.
char *text_room(struct text *t, size_t len);

static inline void text_putc(struct text *t, char c)
{
	if (likely(t->len < t->cap))
		t->buf[t->len++] = c;
	else
		text_append(t, &c, 1);
}

// SPDX-License-Identifier: MIT
// Owns the growing texts that /proc and /sys are generated into.
#include "linux/proc/text.h"
#include "base/fmt.h"
#include "base/string.h"
#include "core/slab.h"

constexpr size_t TEXT_FIRST = 1024;
constexpr size_t TEXT_MAX = 4 * MiB; // the largest kmalloc

void text_free(struct text *t)
{
	kfree(t->buf);
	*t = (struct text){};
}

char *text_room(struct text *t, size_t len)
{
	if (likely(len <= t->cap - t->len))
		return t->buf + t->len;
	if (t->failed || len > TEXT_MAX - t->len) {
		t->failed = true;
		return nullptr;
	}
	size_t cap = max(round_up_pow2(t->len + len), TEXT_FIRST);
	char *buf = krealloc(t->buf, t->cap, cap);
	if (!buf) {
		t->failed = true;
		return nullptr;
	}
	t->buf = buf;
	t->cap = cap;
	return buf + t->len;
}

void text_append(struct text *t, const char *s, size_t len)
{
	char *at = text_room(t, len);
	if (unlikely(!at))
		return;
	memcpy(at, s, len);
	t->len += len;
}

void text_puts(struct text *t, const char *s)
{
	text_append(t, s, strlen(s));
}

static void text_sink(void *ctx, const char *s, size_t len)
{
	text_append(ctx, s, len);
}

void text_printf(struct text *t, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	fmt_vformat(text_sink, t, fmt, args);
	va_end(args);
}

void text_u64(struct text *t, u64 value, char after)
{
	char digits[24];
	u32 at = sizeof(digits);
	digits[--at] = after;
	do
		digits[--at] = (char)('0' + value % 10);
	while (value /= 10);
	text_append(t, digits + at, sizeof(digits) - at);
}

void text_s64(struct text *t, s64 value, char after)
{
	if (value < 0)
		text_putc(t, '-');
	text_u64(t, value < 0 ? 0 - (u64)value : (u64)value, after);
}

void text_hex(struct text *t, u64 value, u32 digits, char after)
{
	char text[20];
	u32 at = sizeof(text);
	text[--at] = after;
	for (u32 n = 0; value || n < digits; n++, value >>= 4)
		text[--at] = "0123456789abcdef"[value & 15];
	text_append(t, text + at, sizeof(text) - at);
}

void text_escaped(struct text *t, const char *s, const char *special)
{
	for (; *s; s++) {
		u8 c = (u8)*s;
		if (c > ' ' && c < 127 && c != '\\' && !strchr(special, c))
			text_putc(t, (char)c);
		else if (c >= 128 || (c == ' ' && !strchr(special, ' ')))
			text_putc(t, (char)c);
		else
			text_printf(t, "\\%03o", c);
	}
}

void text_bit_list(struct text *t, u64 mask)
{
	bool any = false;
	for (u32 first = 0; first < 64; first++) {
		if (!(mask >> first & 1))
			continue;
		u32 last = first;
		while (last < 63 && (mask >> (last + 1) & 1))
			last++;
		text_printf(t, first == last ? "%s%u" : "%s%u-%u", any ? "," : "", first, last);
		any = true;
		first = last;
	}
}

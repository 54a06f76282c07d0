// SPDX-License-Identifier: MIT
// utf16.c: UTF-16 (RFC 2781) to UTF-8 (RFC 3629).
#include "base/utf16.h"

#include "base/bytes.h"

constexpr u32 REPLACEMENT = 0xfffd;

static bool is_high(u32 unit)
{
	return unit >= 0xd800 && unit < 0xdc00;
}

static bool is_low(u32 unit)
{
	return unit >= 0xdc00 && unit < 0xe000;
}

// The character that begins at src, which has at least one unit; *used: its units.
static u32 decode(const u8 *src, size_t units, size_t *used)
{
	u32 first = load_le16(src), second = units > 1 ? load_le16(src + 2) : 0;

	*used = 1;
	if (!is_high(first) && !is_low(first))
		return first;
	if (!is_high(first) || !is_low(second))
		return REPLACEMENT;
	*used = 2;
	return 0x10000 + ((first & 0x3ff) << 10) + (second & 0x3ff);
}

// Its bytes in UTF-8: how many.
static size_t encode(u32 c, char out[4])
{
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	if (n == 1) {
		out[0] = (char)c;
		return n;
	}
	for (size_t i = n; --i; c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)((0xf00 >> n & 0xff) | c);
	return n;
}

size_t utf16le_to_utf8(char *dst, size_t size, const void *src, size_t units)
{
	const u8 *at = src;
	size_t len = 0, used;

	if (!size)
		return 0;
	for (; units; units -= used, at += 2 * used) {
		u32 c = decode(at, units, &used);
		char bytes[4];
		size_t n = encode(c, bytes);

		if (!c || n >= size - len)
			break;
		for (size_t i = 0; i < n; i++)
			dst[len++] = bytes[i];
	}
	dst[len] = 0;
	return len;
}

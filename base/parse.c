// SPDX-License-Identifier: MIT
// parse.c: numbers from text.
#include "base/parse.h"

#include "base/errno.h"
#include "base/string.h"

static unsigned int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned int)(c - '0');
	if (c >= 'a' && c <= 'z')
		return (unsigned int)(c - 'a') + 10;
	if (c >= 'A' && c <= 'Z')
		return (unsigned int)(c - 'A') + 10;
	return UINT32_MAX;
}

// Reads digits as far as they go. Result: bytes read, 0 for none; *overflow is set if they do not
// fit.
static size_t read_digits(const char *s, size_t len, unsigned int base, u64 *out, bool *overflow)
{
	size_t i = 0;
	u64 value = 0;

	*overflow = false;
	if (base == 0 || base == 16) {
		bool prefixed =
			len > 2 && s[0] == '0' && (s[1] | 0x20) == 'x' && digit_value(s[2]) < 16;

		if (prefixed)
			i = 2;
		if (base == 0)
			base = prefixed ? 16 : len > 1 && s[0] == '0' ? 8 : 10;
	}
	size_t first = i;

	for (; i < len && digit_value(s[i]) < base; i++)
		if (__builtin_mul_overflow(value, (u64)base, &value) ||
		    __builtin_add_overflow(value, (u64)digit_value(s[i]), &value))
			*overflow = true;
	*out = value;
	return i > first ? i : 0;
}

int strntou64(const char *s, size_t len, unsigned int base, u64 *out)
{
	u64 value;
	bool overflow;
	size_t used = read_digits(s, len, base, &value, &overflow);

	if (!used || used != len)
		return -EINVAL;
	if (overflow)
		return -ERANGE;
	*out = value;
	return 0;
}

int strtou64(const char *s, unsigned int base, u64 *out)
{
	return strntou64(s, strlen(s), base, out);
}

int strtos64(const char *s, unsigned int base, s64 *out)
{
	bool negative = *s == '-';
	u64 value, limit = negative ? BIT(63) : BIT(63) - 1;

	if (*s == '-' || *s == '+')
		s++;
	int err = strtou64(s, base, &value);

	if (err)
		return err;
	if (value > limit)
		return -ERANGE;
	*out = (s64)(negative ? -value : value);
	return 0;
}

size_t parse_u64_prefix(const char *s, size_t len, unsigned int base, u64 *out)
{
	u64 value;
	bool overflow;
	size_t used = read_digits(s, len, base, &value, &overflow);

	if (!used || overflow)
		return 0;
	*out = value;
	return used;
}

int parse_size_n(const char *s, size_t len, u64 *out)
{
	static const char units[] = "kmgtpe";
	u64 value;
	bool overflow;
	size_t used = read_digits(s, len, 0, &value, &overflow);
	unsigned int shift = 0;

	if (!used)
		return -EINVAL;
	if (used + 1 == len) {
		const char *unit = memchr(units, s[used] | 0x20, sizeof(units) - 1);

		if (!unit)
			return -EINVAL;
		shift = 10 * (unsigned int)(unit - units + 1);
	} else if (used != len) {
		return -EINVAL;
	}
	if (overflow || (shift && value >> (64 - shift)))
		return -ERANGE;
	*out = value << shift;
	return 0;
}

int parse_size(const char *s, u64 *out)
{
	return parse_size_n(s, strlen(s), out);
}

int parse_bool_n(const char *s, size_t len, bool *out)
{
	static const struct {
		const char *word;
		bool value;
	} words[] = {
		{"1", true},  {"y", true},  {"yes", true}, {"on", true},   {"true", true},
		{"0", false}, {"n", false}, {"no", false}, {"off", false}, {"false", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strlen(words[i].word) == len &&
		    BASE_LIBC(strncasecmp)(s, words[i].word, len) == 0) {
			*out = words[i].value;
			return 0;
		}
	}
	return -EINVAL;
}

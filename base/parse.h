// SPDX-License-Identifier: MIT
// parse.h: numbers from text, strictly: the whole text must be the number.
#pragma once

#include "base/types.h"

// Base 10 or 16 (with or without 0x), or 0: 0x.. is hexadecimal, 0.. octal, else decimal; also 8
// and 2. No sign, no blanks. 0, -EINVAL (no number, or something behind it), -ERANGE (> 64 bits).
// *out is written only on success.
[[nodiscard]] int strtou64(const char *s, unsigned int base, u64 *out);
// The same for len bytes without a NUL.
[[nodiscard]] int strntou64(const char *s, size_t len, unsigned int base, u64 *out);
// With an optional sign, range-checked for s64.
[[nodiscard]] int strtos64(const char *s, unsigned int base, s64 *out);

// Reads the digits at the front only: result is how many bytes were the number (0: none, or it
// overflows). For parsing inside a longer text.
size_t parse_u64_prefix(const char *s, size_t len, unsigned int base, u64 *out);

// A size in bytes: a number as by strtou64 base 0 with an optional K, M, G, T, P or E (powers of
// 1024, either case). 0, -EINVAL, -ERANGE.
[[nodiscard]] int parse_size(const char *s, u64 *out);
[[nodiscard]] int parse_size_n(const char *s, size_t len, u64 *out);

// 1 y yes on true / 0 n no off false, in any case. 0 or -EINVAL.
[[nodiscard]] int parse_bool_n(const char *s, size_t len, bool *out);

// SPDX-License-Identifier: MIT
// cmdline.h: the kernel command line, read as Linux reads it.
//
// Words are separated by blanks; blanks inside double quotes do not separate. Quotes around a whole
// word or a whole value are dropped, quotes elsewhere stay. In keys, '-' and '_' are the same.
// Words behind a lone `--` belong to init.
#pragma once

#include "base/types.h"

struct cmdline_iter {
	const char *text;
	size_t pos;
	bool for_init; // a `--` was passed
};

// Slices of the command line; they live as long as it does and are not NUL-terminated.
struct cmdline_arg {
	const char *key;
	size_t key_len;
	const char *value; // nullptr when there is no '='
	size_t value_len;
	bool for_init; // stands behind `--`
};

static inline void cmdline_iter_init(struct cmdline_iter *it, const char *cmdline)
{
	*it = (struct cmdline_iter){.text = cmdline};
}

// The next word (`--` itself is skipped): 1, 0 at the end, -EINVAL for an unterminated quote, with
// it->pos at the word that has it.
int cmdline_iter_next(struct cmdline_iter *it, struct cmdline_arg *arg);

// Whether the argument's key is `key`.
bool cmdline_key_is(const struct cmdline_arg *arg, const char *key);

// Finds the next occurrence of `key` before `--`, for keys that may come several times: 1, 0,
// -EINVAL.
int cmdline_next_of(struct cmdline_iter *it, const char *key, struct cmdline_arg *arg);

// The last occurrence of `key` before `--`: 0, -ENOENT, -EINVAL for a malformed command line.
[[nodiscard]] int cmdline_find(const char *cmdline, const char *key, struct cmdline_arg *arg);

// Whether `key` occurs at all. A malformed command line counts up to its bad word.
bool cmdline_contains(const char *cmdline, const char *key);

// Copies the last value of `key` into buf (empty for a key without '='). Result: its length,
// -ENOENT, -E2BIG (cut), -EINVAL.
ssize_t cmdline_get(const char *cmdline, const char *key, char *buf, size_t size);

// Typed values. 0, -ENOENT, -EINVAL (no such value), -ERANGE; *out is written only on success. A
// key without a value is true.
[[nodiscard]] int cmdline_get_bool(const char *cmdline, const char *key, bool *out);
[[nodiscard]] int cmdline_get_u64(const char *cmdline, const char *key, u64 *out);
[[nodiscard]] int cmdline_get_size(const char *cmdline, const char *key, u64 *out);

// Checks the whole line: 0, or -EINVAL with the offset of the word with the unterminated quote.
[[nodiscard]] int cmdline_check(const char *cmdline, size_t *offset);

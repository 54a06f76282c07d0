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

// ---- the whole line, split once ----

struct cmdline_option {
	const char *key;
	const char *value; // "" for a bare key
};

// The caller gives room for options and for their text; cmdline_split fills it.
struct cmdline_table {
	struct cmdline_option *options;
	u32 max; // options that there is room for
	char *text;
	size_t text_size; // twice the line's length and two bytes hold any line
	u32 count;
};

// Puts the words before `--` into the table, as NUL-terminated strings. 0; -E2BIG where the room
// ended; -EINVAL at an unterminated quote, with *offset at the word that has it. What came before
// is in the table.
int cmdline_split(struct cmdline_table *t, const char *cmdline, size_t *offset);

// Finds the next option `key` from *cursor (first 0) on, and moves *cursor behind it.
bool cmdline_table_next(const struct cmdline_table *t, const char *key, u32 *cursor,
			const char **value);
// The same for keys that begin with prefix: *rest is what follows it.
bool cmdline_table_next_behind(const struct cmdline_table *t, const char *prefix, u32 *cursor,
			       const char **rest);
// The last value of key; nullptr: there is none.
const char *cmdline_table_value(const struct cmdline_table *t, const char *key);

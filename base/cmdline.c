// SPDX-License-Identifier: MIT
// cmdline.c: the kernel command line.
#include "base/cmdline.h"

#include "base/errno.h"
#include "base/string.h"

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

// Splits the word [text, text + len) at its first '=' and removes quotes as Linux does: one that
// opens the word or the value, and its partner if that ends the word.
static void split_word(const char *text, size_t len, struct cmdline_arg *arg)
{
	if (len && text[0] == '"') {
		text++;
		len--;
		if (len && text[len - 1] == '"')
			len--;
	}
	const char *equals = memchr(text, '=', len);

	arg->key = text;
	arg->key_len = equals ? (size_t)(equals - text) : len;
	arg->value = nullptr;
	arg->value_len = 0;
	if (!equals)
		return;
	arg->value = equals + 1;
	arg->value_len = len - arg->key_len - 1;
	if (arg->value_len && arg->value[0] == '"') {
		arg->value++;
		arg->value_len--;
		if (arg->value_len && arg->value[arg->value_len - 1] == '"')
			arg->value_len--;
	}
}

int cmdline_iter_next(struct cmdline_iter *it, struct cmdline_arg *arg)
{
	for (;;) {
		while (is_blank(it->text[it->pos]))
			it->pos++;
		const char *word = it->text + it->pos;
		bool quoted = false;
		size_t len = 0;

		if (!*word)
			return 0;
		for (; word[len] && (quoted || !is_blank(word[len])); len++)
			quoted ^= word[len] == '"';
		if (quoted)
			return -EINVAL;
		it->pos += len;
		if (!it->for_init && len == 2 && memcmp(word, "--", 2) == 0) {
			it->for_init = true;
			continue;
		}
		split_word(word, len, arg);
		arg->for_init = it->for_init;
		return 1;
	}
}

// In keys '-' and '_' are the same.
static char fold(char c)
{
	return c == '-' ? '_' : c;
}

bool cmdline_key_is(const struct cmdline_arg *arg, const char *key)
{
	for (size_t i = 0; i < arg->key_len; i++)
		if (fold(arg->key[i]) != fold(key[i])) // also where key is shorter
			return false;
	return key[arg->key_len] == '\0';
}

int cmdline_next_of(struct cmdline_iter *it, const char *key, struct cmdline_arg *arg)
{
	int got;

	while ((got = cmdline_iter_next(it, arg)) > 0 && !arg->for_init)
		if (cmdline_key_is(arg, key))
			return 1;
	return min(got, 0);
}

// nullptr: there is no room for it.
static const char *store(struct cmdline_table *t, size_t *used, const char *text, size_t len)
{
	char *at = t->text + *used;

	if (len >= t->text_size - *used)
		return nullptr;
	memcpy(at, text, len);
	at[len] = '\0';
	*used += len + 1;
	return at;
}

int cmdline_split(struct cmdline_table *t, const char *cmdline, size_t *offset)
{
	struct cmdline_iter it;
	struct cmdline_arg arg;
	size_t used = 0;
	int got;

	t->count = 0;
	cmdline_iter_init(&it, cmdline);
	while ((got = cmdline_iter_next(&it, &arg)) > 0 && !arg.for_init) {
		struct cmdline_option o = {.key = store(t, &used, arg.key, arg.key_len)};

		if (o.key)
			o.value = store(t, &used, arg.value ?: "", arg.value_len);
		if (!o.value || t->count == t->max)
			return -E2BIG;
		t->options[t->count++] = o;
	}
	*offset = it.pos;
	return min(got, 0);
}

static bool same_key(const char *a, const char *b)
{
	while (*a && fold(*a) == fold(*b)) {
		a++;
		b++;
	}
	return fold(*a) == fold(*b);
}

bool cmdline_table_next(const struct cmdline_table *t, const char *key, u32 *cursor,
			const char **value)
{
	while (*cursor < t->count) {
		const struct cmdline_option *o = &t->options[(*cursor)++];

		if (same_key(o->key, key)) {
			*value = o->value;
			return true;
		}
	}
	return false;
}

bool cmdline_table_next_behind(const struct cmdline_table *t, const char *prefix, u32 *cursor,
			       const char **rest)
{
	size_t len = strlen(prefix);

	while (*cursor < t->count) {
		const struct cmdline_option *o = &t->options[(*cursor)++];

		if (!strncmp(o->key, prefix, len)) {
			*rest = o->key + len;
			return true;
		}
	}
	return false;
}

const char *cmdline_table_value(const struct cmdline_table *t, const char *key)
{
	const char *value = nullptr;
	u32 cursor = 0;

	while (cmdline_table_next(t, key, &cursor, &value))
		;
	return value;
}

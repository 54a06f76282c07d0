// SPDX-License-Identifier: MIT
// cmdline.c: the kernel command line.
#include "base/cmdline.h"

#include "base/errno.h"
#include "base/parse.h"
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

bool cmdline_key_is(const struct cmdline_arg *arg, const char *key)
{
	for (size_t i = 0; i < arg->key_len; i++) {
		char a = arg->key[i] == '-' ? '_' : arg->key[i];
		char b = key[i] == '-' ? '_' : key[i];

		if (a != b) // also where key is shorter
			return false;
	}
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

int cmdline_find(const char *cmdline, const char *key, struct cmdline_arg *arg)
{
	struct cmdline_iter it;
	struct cmdline_arg found;
	int got, err = -ENOENT;

	cmdline_iter_init(&it, cmdline);
	while ((got = cmdline_next_of(&it, key, &found)) > 0) {
		*arg = found;
		err = 0;
	}
	return got < 0 ? got : err;
}

bool cmdline_contains(const char *cmdline, const char *key)
{
	struct cmdline_iter it;
	struct cmdline_arg arg;

	cmdline_iter_init(&it, cmdline);
	return cmdline_next_of(&it, key, &arg) > 0;
}

ssize_t cmdline_get(const char *cmdline, const char *key, char *buf, size_t size)
{
	struct cmdline_arg arg;
	int err = cmdline_find(cmdline, key, &arg);

	if (err)
		return err;
	return strscpy_n(buf, size, arg.value ? arg.value : "", arg.value_len);
}

int cmdline_get_bool(const char *cmdline, const char *key, bool *out)
{
	struct cmdline_arg arg;
	int err = cmdline_find(cmdline, key, &arg);

	if (err)
		return err;
	if (!arg.value) {
		*out = true;
		return 0;
	}
	return parse_bool_n(arg.value, arg.value_len, out);
}

int cmdline_get_u64(const char *cmdline, const char *key, u64 *out)
{
	struct cmdline_arg arg;
	int err = cmdline_find(cmdline, key, &arg);

	if (err)
		return err;
	return arg.value ? strntou64(arg.value, arg.value_len, 0, out) : -EINVAL;
}

int cmdline_get_size(const char *cmdline, const char *key, u64 *out)
{
	struct cmdline_arg arg;
	int err = cmdline_find(cmdline, key, &arg);

	if (err)
		return err;
	return arg.value ? parse_size_n(arg.value, arg.value_len, out) : -EINVAL;
}

int cmdline_check(const char *cmdline, size_t *offset)
{
	struct cmdline_iter it;
	struct cmdline_arg arg;
	int got;

	cmdline_iter_init(&it, cmdline);
	while ((got = cmdline_iter_next(&it, &arg)) > 0)
		;
	if (got < 0 && offset)
		*offset = it.pos;
	return got;
}

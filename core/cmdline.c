// SPDX-License-Identifier: MIT
// cmdline.c: the kernel's command line, split once into keys and values. Privileged; immutable
// after cmdline_init.
//
// What stands behind a lone `--` belongs to the first program and is no option of the kernel.
#include "core/cmdline.h"
#include "core/bootinfo.h"
#include "core/log.h"

#include "base/cmdline.h"
#include "base/parse.h"
#include "base/string.h"

constexpr u32 OPTIONS_MAX = 256;

static struct option {
	const char *key;
	const char *value; // "" for a bare key
} options[OPTIONS_MAX];
static u32 noptions;
// Every word is stored as key NUL value NUL: at most one byte more than it takes there with its
// blank.
static char words[CMDLINE_MAX * 2];

static const char *store(const char *text, size_t len, size_t *used)
{
	char *at = words + *used;

	memcpy(at, text, len);
	at[len] = '\0';
	*used += len + 1;
	return at;
}

void cmdline_init(void)
{
	struct cmdline_iter it;
	struct cmdline_arg arg;
	size_t used = 0;
	int got;

	noptions = 0;
	cmdline_iter_init(&it, bootinfo.cmdline);
	while ((got = cmdline_iter_next(&it, &arg)) > 0 && !arg.for_init) {
		if (noptions == OPTIONS_MAX) {
			log_warn("The command line has more than %u options; the rest was ignored.",
				 OPTIONS_MAX);
			break;
		}
		options[noptions].key = store(arg.key, arg.key_len, &used);
		options[noptions].value = store(arg.value ? arg.value : "", arg.value_len, &used);
		noptions++;
	}
	if (got < 0)
		log_warn(
			"The command line has a quote without its partner; what follows was ignored: %.40s",
			bootinfo.cmdline + it.pos);
	if (bootinfo.cmdline_truncated)
		log_warn("The command line is longer than %u bytes; the rest was ignored.",
			 CMDLINE_MAX - 1);
	log_configure();
}

const char *cmdline_text(void)
{
	return bootinfo.cmdline;
}

static bool key_is(const char *a, const char *b)
{
	for (;; a++, b++) {
		char x = *a == '-' ? '_' : *a, y = *b == '-' ? '_' : *b;

		if (x != y)
			return false;
		if (!x)
			return true;
	}
}

bool cmdline_next(const char *key, u32 *cursor, const char **value)
{
	while (*cursor < noptions) {
		const struct option *o = &options[(*cursor)++];

		if (key_is(o->key, key)) {
			*value = o->value;
			return true;
		}
	}
	return false;
}

bool cmdline_next_behind(const char *prefix, u32 *cursor, const char **rest)
{
	size_t len = strlen(prefix);

	while (*cursor < noptions) {
		const struct option *o = &options[(*cursor)++];

		if (!strncmp(o->key, prefix, len)) {
			*rest = o->key + len;
			return true;
		}
	}
	return false;
}

const char *cmdline_value(const char *key)
{
	const char *value = nullptr;
	u32 cursor = 0;

	while (cmdline_next(key, &cursor, &value))
		;
	return value;
}

bool cmdline_has(const char *key)
{
	return cmdline_value(key) != nullptr;
}

u64 cmdline_u64(const char *key, u64 otherwise)
{
	const char *value = cmdline_value(key);
	u64 number;

	if (!value)
		return otherwise;
	if (strtou64(value, 0, &number)) {
		log_warn("%s=%s on the command line is not a number; using %llu.", key, value,
			 otherwise);
		return otherwise;
	}
	return number;
}

// SPDX-License-Identifier: MIT
// cmdline.c: holds the kernel's command line, split once into keys and values. Privileged;
// immutable after cmdline_init.
#include "core/cmdline.h"
#include "core/bootinfo.h"
#include "core/log.h"

#include "base/cmdline.h"
#include "base/errno.h"
#include "base/parse.h"

static struct cmdline_option options[256];
static char text[CMDLINE_MAX * 2];
static struct cmdline_table table = {
	.options = options, .max = ARRAY_SIZE(options), .text = text, .text_size = sizeof(text)};

void cmdline_init(void)
{
	size_t offset;
	int err = cmdline_split(&table, bootinfo.cmdline, &offset);

	if (err == -E2BIG)
		log_warn("The command line has more than %u options; the rest was ignored.",
			 table.count);
	else if (err)
		log_warn(
			"The command line has a quote without its partner; what follows was ignored: %.40s",
			bootinfo.cmdline + offset);
	if (bootinfo.cmdline_truncated)
		log_warn("The command line is longer than %u bytes; the rest was ignored.",
			 CMDLINE_MAX - 1);
	log_configure();
}

const char *cmdline_text(void)
{
	return bootinfo.cmdline;
}

bool cmdline_next(const char *key, u32 *cursor, const char **value)
{
	return cmdline_table_next(&table, key, cursor, value);
}

bool cmdline_next_behind(const char *prefix, u32 *cursor, const char **rest)
{
	return cmdline_table_next_behind(&table, prefix, cursor, rest);
}

const char *cmdline_value(const char *key)
{
	return cmdline_table_value(&table, key);
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

// SPDX-License-Identifier: MIT
// The loader's configuration file: lines KEY=VALUE, empty lines, and comments that begin with '#'.
#include "boot/loader.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static reason set_once(const char **slot, const char *value)
{
	if (*slot)
		return "sets the same key twice";
	*slot = value;
	return nullptr;
}

static reason add_module(struct config *out, const char *path)
{
	if (*path != '/')
		return "names a file by a path that does not begin with '/'";
	if (out->nmodules == MODULES_MAX)
		return "names too many modules";
	out->modules[out->nmodules++] = path;
	return nullptr;
}

static reason parse_line(char *line, struct config *out)
{
	char *value = line;

	while (*value && *value != '=')
		value++;
	if (!*value)
		return "is not KEY=VALUE";
	*value++ = 0;
	if (str_equal(line, "kernel"))
		return *value == '/' ? set_once(&out->kernel, value)
				     : "names a file by a path that does not begin with '/'";
	if (str_equal(line, "cmdline"))
		return set_once(&out->cmdline, value);
	/* Two names for one thing: the first module is what a kernel takes as its initramfs. */
	if (str_equal(line, "initrd") || str_equal(line, "module"))
		return add_module(out, value);
	return "has a key other than kernel, initrd, module, cmdline";
}

reason config_parse(char *text, uint64_t len, struct config *out)
{
	char *const end = text + len;

	*out = (struct config){};
	for (uint64_t i = 0; i < len; i++)
		if (text[i] == 0)
			return "is not a text file";
	while (text < end) {
		char *line = text, *stop;
		reason why;

		out->line++;
		while (text < end && *text != '\n')
			text++;
		stop = text;
		text++;
		while (line < stop && is_blank(*line))
			line++;
		while (stop > line && is_blank(stop[-1]))
			stop--;
		/* At the end of the file this is the zero that follows it. */
		*stop = 0;
		if (line == stop || *line == '#')
			continue;
		why = parse_line(line, out);
		if (why)
			return why;
	}
	out->line = 0;
	if (!out->kernel)
		return "has no line kernel=PATH";
	if (!out->cmdline)
		out->cmdline = "";
	return nullptr;
}

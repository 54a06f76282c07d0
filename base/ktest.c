// SPDX-License-Identifier: MIT
// ktest.c: runs registered tests and reports them in KTAP.
#include "base/ktest.h"

#include "base/fmt.h"
#include "base/string.h"

constexpr size_t LINE_MAX_LEN = 240;

// Made by the linker around the section, absent when there is no test.
extern const struct ktest_case *const __start_ktests[] __weak;
extern const struct ktest_case *const __stop_ktests[] __weak;

static __printf(2, 3) void print_line(void (*print)(const char *), const char *format, ...)
{
	char line[LINE_MAX_LEN];
	va_list args;

	va_start(args, format);
	vscnprintf(line, sizeof(line), format, args);
	va_end(args);
	print(line);
}

// Shell-like match in which `*` is any run of characters.
static bool glob_match(const char *pattern, size_t len, const char *name)
{
	size_t p = 0, star = SIZE_MAX;
	const char *star_name = nullptr;

	while (*name) {
		if (p < len && pattern[p] == '*') {
			star = p++;
			star_name = name;
		} else if (p < len && pattern[p] == *name) {
			p++;
			name++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			name = ++star_name;
		} else {
			return false;
		}
	}
	while (p < len && pattern[p] == '*')
		p++;
	return p == len;
}

static bool substring_match(const char *pattern, size_t len, const char *name)
{
	for (; strlen(name) >= len; name++)
		if (memcmp(name, pattern, len) == 0)
			return true;
	return false;
}

static bool is_selected(const char *filter, const struct ktest_case *c)
{
	char name[LINE_MAX_LEN];

	if (!filter || !*filter)
		return true;
	scnprintf(name, sizeof(name), "%s.%s", c->suite, c->name);
	while (*filter) {
		size_t len = strcspn(filter, ",");
		bool is_glob = memchr(filter, '*', len) != nullptr;

		if (len && (is_glob ? glob_match : substring_match)(filter, len, name))
			return true;
		filter += len;
		filter += *filter == ',';
	}
	return false;
}

static bool run_case(const struct ktest_case *c, size_t number, void (*print)(const char *))
{
	struct ktest t = {.suite = c->suite, .name = c->name, .print = print};

	c->run(&t);
	if (t.failures)
		print_line(print, "not ok %zu %s.%s", number, c->suite, c->name);
	else if (t.skip_reason)
		print_line(print, "ok %zu %s.%s # SKIP %s", number, c->suite, c->name,
			   t.skip_reason);
	else
		print_line(print, "ok %zu %s.%s", number, c->suite, c->name);
	return t.failures == 0;
}

int ktest_run_range(const struct ktest_case *const *start, const struct ktest_case *const *stop,
		    const char *filter, void (*print)(const char *))
{
	size_t planned = 0, number = 0;
	int failed = 0;

	for (const struct ktest_case *const *c = start; c < stop; c++)
		planned += is_selected(filter, *c);
	print("KTAP version 1");
	print_line(print, "1..%zu", planned);
	for (const struct ktest_case *const *c = start; c < stop; c++)
		if (is_selected(filter, *c))
			failed += !run_case(*c, ++number, print);
	print_line(print, "# %zu tests, %d failed", planned, failed);
	return failed;
}

int ktest_run_all(const char *filter, void (*print)(const char *))
{
	return ktest_run_range(__start_ktests, __stop_ktests, filter, print);
}

bool ktest_check_true(struct ktest *t, const char *file, int line, const char *expr, bool ok)
{
	if (!ok)
		ktest_fail(t, file, line, "expected %s", expr);
	return ok;
}

bool ktest_check_ints(struct ktest *t, const char *file, int line, const char *expr, u64 a, u64 b,
		      bool ok)
{
	if (!ok)
		ktest_fail(t, file, line, "expected %s, got %lld (%#llx) and %lld (%#llx)", expr,
			   (s64)a, a, (s64)b, b);
	return ok;
}

bool ktest_check_strings(struct ktest *t, const char *file, int line, const char *expr,
			 const char *a, const char *b)
{
	bool ok = a && b ? strcmp(a, b) == 0 : a == b;

	if (!ok)
		ktest_fail(t, file, line, "expected %s, got \"%s\" and \"%s\"", expr,
			   a ? a : "(null)", b ? b : "(null)");
	return ok;
}

bool ktest_check_bytes(struct ktest *t, const char *file, int line, const char *expr, const void *a,
		       const void *b, size_t len)
{
	const u8 *x = a, *y = b;

	for (size_t i = 0; i < len; i++) {
		if (x[i] != y[i]) {
			ktest_fail(t, file, line, "expected %s: byte %zu of %zu is %#x and %#x",
				   expr, i, len, x[i], y[i]);
			return false;
		}
	}
	return true;
}

void ktest_fail(struct ktest *t, const char *file, int line, const char *format, ...)
{
	char text[LINE_MAX_LEN];
	va_list args;

	t->failures++;
	va_start(args, format);
	vscnprintf(text, sizeof(text), format, args);
	va_end(args);
	print_line(t->print, "# %s:%d: %s.%s: %s", file, line, t->suite, t->name, text);
}

void ktest_log(struct ktest *t, const char *format, ...)
{
	char text[LINE_MAX_LEN];
	va_list args;

	va_start(args, format);
	vscnprintf(text, sizeof(text), format, args);
	va_end(args);
	print_line(t->print, "# %s", text);
}

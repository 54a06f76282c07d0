// SPDX-License-Identifier: MIT
// log_test.c: the log's ring and its readers; names of symbols.
#include "core/cmdline.h"
#include "core/ktest.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/threads_test.h"

#include "base/errno.h"
#include "base/fmt.h"
#include "base/string.h"

// LOG_DEBUG lines stay off the console unless it was asked for them, in which case these tests are
// slow but right.
static bool read_is(u64 *seq, const char *wanted)
{
	struct log_record_info info;
	char buf[512];
	ssize_t n;

	// Other CPUs may log meanwhile.
	while ((n = log_read(seq, &info, buf, sizeof(buf))) >= 0)
		if ((size_t)n == strlen(wanted) && memcmp(buf, wanted, (size_t)n) == 0)
			return true;
	return false;
}

KTEST(log, records_are_read_back)
{
	u64 seq = log_seq_next(), start = seq;
	struct log_record_info info;
	char buf[16];

	klog(LOG_DEBUG, "ktest one %d\n", 1);
	klog(LOG_DEBUG, "ktest two");
	EXPECT_TRUE(read_is(&seq, "ktest one 1"));
	EXPECT_TRUE(read_is(&seq, "ktest two"));
	EXPECT_GE(seq, start + 2);
	seq = start;
	EXPECT_EQ(log_read(&seq, &info, buf, 5), 5); // cut
	EXPECT_EQ(info.seq, start);
	seq = log_seq_next() + 100;
	EXPECT_EQ(log_read(&seq, &info, buf, sizeof(buf)), -EAGAIN);
}

KTEST(log, long_lines_are_cut)
{
	static char text[1000];
	static char buf[1000];
	struct log_record_info info;
	u64 seq = log_seq_next();

	memset(text, 'x', sizeof(text) - 1);
	klog(LOG_DEBUG, "%s", text);
	EXPECT_EQ(log_read(&seq, &info, buf, sizeof(buf)), 480);
	EXPECT_EQ(info.level, LOG_DEBUG);
}

KTEST(log, ring_wraps)
{
	u64 first = log_seq_first(), seq, expected;
	struct log_record_info info;
	char buf[512];
	u32 length = 0;
	u32 level = log_set_console_level(1); // not all of this on the console

	for (u32 i = 0; i < 6000; i++) {
		length = (length + 37) % 200;
		klog(LOG_DEBUG, "ktest wrap %u %.*s", i, (int)length,
		     "----------------------------------------------------------------------------------------------------"
		     "----------------------------------------------------------------------------------------------------");
	}
	log_set_console_level(level);
	EXPECT_GT(log_seq_first(), first);
	seq = 0; // long gone: the oldest that is left comes
	expected = log_seq_first();
	for (u32 n = 0;; n++) {
		ssize_t len = log_read(&seq, &info, buf, sizeof(buf));

		if (len == -EAGAIN) {
			EXPECT_GT(n, 1000u);
			break;
		}
		if (n && info.seq != expected) {
			ktest_fail(KTEST_AT, "record %llu where %llu was due", info.seq, expected);
			break;
		}
		expected = info.seq + 1;
	}
	EXPECT_EQ(seq, log_seq_next());
}

static void log_much(void *)
{
	for (u32 i = 0; i < 500; i++)
		klog(LOG_DEBUG, "ktest many %u", i);
}

KTEST(log, many_writers)
{
	static struct test_threads threads;
	u64 start = log_seq_next(), seq = start;
	u32 level = log_set_console_level(1), ours = 0;
	struct log_record_info info;
	char buf[64];
	ssize_t n;
	bool ok = test_threads_run(&threads, 4, log_much, nullptr);

	log_set_console_level(level);
	ASSERT_TRUE(ok);
	while ((n = log_read(&seq, &info, buf, sizeof(buf))) >= 0)
		ours += n > 11 && memcmp(buf, "ktest many ", 11) == 0;
	EXPECT_EQ(ours, 2000u);
}

static char console_text[512];
static size_t console_len;

static void capture(const char *text, size_t len)
{
	len = min(len, sizeof(console_text) - 1 - console_len);
	memcpy(console_text + console_len, text, len);
	console_len += len;
	console_text[console_len] = '\0';
}

KTEST(log, consoles_get_whole_lines_with_their_time)
{
	static struct console console = {.name = "ktest", .write = capture};
	static bool registered; // there is no way to take a console off again
	u32 level = log_set_console_level(8);

	if (!registered)
		console_register(&console);
	registered = true;
	console_len = 0;
	klog(LOG_DEBUG, "ktest first\nktest second");
	log_set_console_level(level);
	EXPECT_EQ(console_text[0], '[');
	EXPECT_NOT_NULL(strstr(console_text, "] ktest first\n["));
	EXPECT_NOT_NULL(strstr(console_text, "] ktest second\n"));
	console_len = 0;
	console_text[0] = '\0';
	level = log_set_console_level(1);
	klog(LOG_DEBUG, "ktest hidden");
	log_set_console_level(level);
	EXPECT_NULL(strstr(console_text, "ktest hidden"));
}

KTEST(log, symbols_have_names)
{
	char name[64];

	EXPECT_STREQ(symbol_name((uintptr_t)klog, name, sizeof(name)), "klog+0x0");
	EXPECT_STREQ(symbol_name((uintptr_t)klog + 1, name, sizeof(name)), "klog+0x1");
	EXPECT_STREQ(symbol_name(0x1234, name, sizeof(name)), "0x1234");
}

KTEST(cmdline, this_kernels_own)
{
	u32 cursor = 0, n = 0;
	const char *value;

	// The runner was started by it.
	EXPECT_TRUE(cmdline_has("halyard.ktest"));
	EXPECT_FALSE(cmdline_has("halyard.no-such-option"));
	EXPECT_NULL(cmdline_value("halyard.no-such-option"));
	EXPECT_EQ(cmdline_u64("halyard.no-such-option", 7), 7u);
	while (cmdline_next("halyard.ktest", &cursor, &value))
		n++;
	EXPECT_GE(n, 1u);
	EXPECT_NOT_NULL(strstr(cmdline_text(), "ktest"));
}

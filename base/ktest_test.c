// SPDX-License-Identifier: MIT
// ktest_test.c: tests of the test runner: it must notice failures.
#include "base/fmt.h"
#include "base/ktest.h"
#include "base/string.h"

static char output[1200];
static size_t output_len;

static void capture(const char *line)
{
	output_len +=
		(size_t)scnprintf(output + output_len, sizeof(output) - output_len, "%s\n", line);
}

static void passes(struct ktest *ktest_ctx)
{
	EXPECT_TRUE(true);
	EXPECT_EQ(-22, (s64)-22);
	EXPECT_NE(1, 2);
	EXPECT_LT(-1, 0);
	EXPECT_LE(1, 1);
	EXPECT_GT(2u, 1);
	EXPECT_GE(1, 1);
	EXPECT_NULL((void *)nullptr);
	EXPECT_STREQ("a", "a");
	EXPECT_MEMEQ("ab", "ac", 1);
}

static void fails(struct ktest *ktest_ctx)
{
	EXPECT_EQ(1 + 1, 3);
	EXPECT_STREQ("left", "right");
	ASSERT_TRUE(false);
	EXPECT_EQ(1, 2); // not reached
}

static void skips(struct ktest *ktest_ctx)
{
	ktest_skip("no such hardware");
}

static const struct ktest_case cases[] = {
	{"demo", "passes", passes},
	{"demo", "fails", fails},
	{"other", "skips", skips},
};
static const struct ktest_case *const refs[] = {&cases[0], &cases[1], &cases[2]};

static int run(const char *filter)
{
	output_len = 0;
	output[0] = '\0';
	return ktest_run_range(refs, refs + ARRAY_SIZE(refs), filter, capture);
}

KTEST(ktest, report)
{
	EXPECT_EQ(run(nullptr), 1);
	EXPECT_TRUE(str_starts_with(output, "KTAP version 1\n1..3\nok 1 demo.passes\n# ktest_"));
	EXPECT_NOT_NULL(strstr(output, "expected 1 + 1 == 3, got 2 (0x2) and 3 (0x3)\n"));
	EXPECT_NOT_NULL(strstr(output, "got \"left\" and \"right\"\n"));
	EXPECT_NOT_NULL(strstr(output, "expected false\nnot ok 2 demo.fails\n"));
	EXPECT_NULL(strstr(output, "1 == 2"));
	EXPECT_NOT_NULL(strstr(output, "\nok 3 other.skips # SKIP no such hardware\n"));
}

KTEST(ktest, filters)
{
	EXPECT_EQ(run("other"), 0);
	EXPECT_TRUE(str_starts_with(output, "KTAP version 1\n1..1\nok 1 other.skips"));
	EXPECT_EQ(run("demo.*"), 1);
	EXPECT_NOT_NULL(strstr(output, "1..2\n"));
	EXPECT_EQ(run("*.passes,sk"), 0);
	EXPECT_NOT_NULL(strstr(output, "1..2\n"));
	EXPECT_EQ(run("*passe"), 0);
	EXPECT_NOT_NULL(strstr(output, "1..0\n"));
	EXPECT_EQ(run("d*.*a*s"), 1);
	EXPECT_NOT_NULL(strstr(output, "1..2\n"));
}

KTEST(ktest, all_kinds_of_failure_count)
{
	struct ktest quiet = {.suite = "q", .name = "q", .print = capture};

	output_len = 0;
	EXPECT_FALSE(ktest_check_ints(&quiet, "f", 1, "e", 1, 2, false));
	EXPECT_FALSE(ktest_check_strings(&quiet, "f", 1, "e", "a", nullptr));
	EXPECT_FALSE(ktest_check_bytes(&quiet, "f", 1, "e", "ab", "ac", 2));
	EXPECT_FALSE(ktest_check_true(&quiet, "f", 1, "e", false));
	ktest_fail(&quiet, "f", 1, "%d", 5);
	EXPECT_EQ(quiet.failures, 5);
	EXPECT_NOT_NULL(strstr(output, "# f:1: q.q: expected e: byte 1 of 2 is 0x62 and 0x63\n"));
}

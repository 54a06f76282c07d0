// SPDX-License-Identifier: MIT
// ktest.h: a small test framework for the host and for the kernel; it reports in KTAP version 1.
//
//	KTEST(list, add_and_remove)
//	{
//		struct list head = LIST_INIT(head);
//		EXPECT_TRUE(list_empty(&head));
//	}
//
// A test is registered by standing in the linker section "ktests". EXPECT_* notes a failure and
// goes on; ASSERT_* returns from the test function (so it is for the function itself, or void
// helpers that got `struct ktest *ktest_ctx` as an argument of that name). Arguments are evaluated
// once.
#pragma once

#include "base/types.h"

struct ktest {
	const char *suite;
	const char *name;
	void (*print)(const char *line);
	u32 failures;
	const char *skip_reason;
};

struct ktest_case {
	const char *suite;
	const char *name;
	void (*run)(struct ktest *ktest_ctx);
};

#define KTEST(suite_, name_)                                                        \
	static void ktest_##suite_##_##name_(struct ktest *ktest_ctx);              \
	static const struct ktest_case ktest_case_##suite_##_##name_ = {            \
		.suite = #suite_, .name = #name_, .run = ktest_##suite_##_##name_}; \
	static const struct ktest_case *const ktest_ref_##suite_##_##name_ __used   \
	__section("ktests") = &ktest_case_##suite_##_##name_;                       \
	static void ktest_##suite_##_##name_([[maybe_unused]] struct ktest *ktest_ctx)

// Runs the registered tests and prints KTAP by `print`, which gets one line at a time without a
// newline. filter: nullptr or "" for all, else patterns separated by commas; a pattern with `*`
// must match the whole "suite.name", one without is looked for anywhere in it. Result: the number
// of failed tests. Not reentrant.
int ktest_run_all(const char *filter, void (*print)(const char *line));
// The same over [start, stop).
int ktest_run_range(const struct ktest_case *const *start, const struct ktest_case *const *stop,
		    const char *filter, void (*print)(const char *line));

// Ends the test as skipped; the reason (a literal) is printed.
#define ktest_skip(reason)                         \
	do {                                       \
		ktest_ctx->skip_reason = (reason); \
		return;                            \
	} while (0)

// What the macros call. All return whether the check held.
bool ktest_check_true(struct ktest *t, const char *file, int line, const char *expr, bool ok);
bool ktest_check_ints(struct ktest *t, const char *file, int line, const char *expr, u64 a, u64 b,
		      bool ok);
bool ktest_check_strings(struct ktest *t, const char *file, int line, const char *expr,
			 const char *a, const char *b);
bool ktest_check_bytes(struct ktest *t, const char *file, int line, const char *expr, const void *a,
		       const void *b, size_t len);
// Notes a failure with a message of the caller's.
void ktest_fail(struct ktest *t, const char *file, int line, const char *format, ...)
	__printf(4, 5);
// Prints a "# ..." line.
void ktest_log(struct ktest *t, const char *format, ...) __printf(2, 3);

// The next number of a reproducible sequence (SplitMix64); *state is any seed.
static inline __wraps u64 ktest_random(u64 *state)
{
	u64 x = *state += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

#define KTEST_AT ktest_ctx, __FILE_NAME__, __LINE__
// Operands may be integers of any type, enums or pointers. Equality is decided after both are
// extended to 64 bits by their own signedness; order in the type of the first operand.
#define KTEST_EQ_(a, b, op)                                                     \
	({                                                                      \
		u64 ktest_a = (u64)(a), ktest_b = (u64)(b);                     \
		ktest_check_ints(KTEST_AT, #a " " #op " " #b, ktest_a, ktest_b, \
				 ktest_a op ktest_b);                           \
	})
#define KTEST_ORDER_(a, b, op)                                                            \
	({                                                                                \
		typeof((a) + 0) ktest_a = (a), ktest_b = (typeof((a) + 0))(b);            \
		ktest_check_ints(KTEST_AT, #a " " #op " " #b, (u64)ktest_a, (u64)ktest_b, \
				 ktest_a op ktest_b);                                     \
	})
#define KTEST_OR_RETURN_(check) \
	do {                    \
		if (!(check))   \
			return; \
	} while (0)

#define EXPECT_TRUE(x)		((void)ktest_check_true(KTEST_AT, #x, !!(x)))
#define EXPECT_FALSE(x)		((void)ktest_check_true(KTEST_AT, "!(" #x ")", !(x)))
#define EXPECT_EQ(a, b)		((void)KTEST_EQ_(a, b, ==))
#define EXPECT_NE(a, b)		((void)KTEST_EQ_(a, b, !=))
#define EXPECT_LT(a, b)		((void)KTEST_ORDER_(a, b, <))
#define EXPECT_LE(a, b)		((void)KTEST_ORDER_(a, b, <=))
#define EXPECT_GT(a, b)		((void)KTEST_ORDER_(a, b, >))
#define EXPECT_GE(a, b)		((void)KTEST_ORDER_(a, b, >=))
#define EXPECT_NULL(p)		((void)ktest_check_true(KTEST_AT, #p " == nullptr", (p) == nullptr))
#define EXPECT_NOT_NULL(p)	((void)ktest_check_true(KTEST_AT, #p " != nullptr", (p) != nullptr))
#define EXPECT_STREQ(a, b)	((void)ktest_check_strings(KTEST_AT, #a " == " #b, (a), (b)))
#define EXPECT_MEMEQ(a, b, len) ((void)ktest_check_bytes(KTEST_AT, #a " == " #b, (a), (b), (len)))

#define ASSERT_TRUE(x)	KTEST_OR_RETURN_(ktest_check_true(KTEST_AT, #x, !!(x)))
#define ASSERT_FALSE(x) KTEST_OR_RETURN_(ktest_check_true(KTEST_AT, "!(" #x ")", !(x)))
#define ASSERT_EQ(a, b) KTEST_OR_RETURN_(KTEST_EQ_(a, b, ==))
#define ASSERT_NE(a, b) KTEST_OR_RETURN_(KTEST_EQ_(a, b, !=))
#define ASSERT_LT(a, b) KTEST_OR_RETURN_(KTEST_ORDER_(a, b, <))
#define ASSERT_LE(a, b) KTEST_OR_RETURN_(KTEST_ORDER_(a, b, <=))
#define ASSERT_GT(a, b) KTEST_OR_RETURN_(KTEST_ORDER_(a, b, >))
#define ASSERT_GE(a, b) KTEST_OR_RETURN_(KTEST_ORDER_(a, b, >=))
#define ASSERT_NULL(p) \
	KTEST_OR_RETURN_(ktest_check_true(KTEST_AT, #p " == nullptr", (p) == nullptr))
#define ASSERT_NOT_NULL(p) \
	KTEST_OR_RETURN_(ktest_check_true(KTEST_AT, #p " != nullptr", (p) != nullptr))
#define ASSERT_STREQ(a, b) KTEST_OR_RETURN_(ktest_check_strings(KTEST_AT, #a " == " #b, (a), (b)))
#define ASSERT_MEMEQ(a, b, len) \
	KTEST_OR_RETURN_(ktest_check_bytes(KTEST_AT, #a " == " #b, (a), (b), (len)))

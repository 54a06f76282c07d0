// SPDX-License-Identifier: MIT
// logring_test.c: records come out as they went in, in order, and the oldest make room.
#include "base/fmt.h"
#include "base/ktest.h"
#include "base/logring.h"
#include "base/string.h"

static alignas(LOGRING_ALIGN) char bytes[512];

static void append(struct logring *r, const char *text)
{
	logring_append(r, 6, 1000 + r->newest.seq, text, strlen(text));
}

static bool record_is(const struct logring_record *record, u64 seq, const char *text)
{
	return record && record->seq == seq && record->level == 6 &&
	       record->time_ns == 1000 + seq && record->len == strlen(text) &&
	       memcmp(record->text, text, record->len) == 0;
}

KTEST(logring, read_back)
{
	struct logring r = LOGRING_INIT(bytes);
	struct logring_cursor c = {};

	EXPECT_NULL(logring_next(&r, &c, 0));
	append(&r, "one");
	append(&r, "");
	append(&r, "a text that needs more than one line of the ring to be stored");
	EXPECT_TRUE(record_is(logring_next(&r, &c, 0), 0, "one"));
	EXPECT_TRUE(record_is(logring_next(&r, &c, 0), 1, ""));
	EXPECT_TRUE(record_is(logring_next(&r, &c, 0), 2,
			      "a text that needs more than one line of the ring to be stored"));
	EXPECT_NULL(logring_next(&r, &c, 0));
	append(&r, "later");
	EXPECT_TRUE(record_is(logring_next(&r, &c, 0), 3, "later"));
}

KTEST(logring, by_number)
{
	struct logring r = LOGRING_INIT(bytes);
	struct logring_cursor c = {};

	for (u32 i = 0; i < 5; i++)
		append(&r, "x");
	EXPECT_TRUE(record_is(logring_next(&r, &c, 3), 3, "x"));
	EXPECT_TRUE(record_is(logring_next(&r, &c, 1), 4, "x")); // a cursor goes forward only
	c = (struct logring_cursor){};
	EXPECT_NULL(logring_next(&r, &c, 5));
	append(&r, "y");
	EXPECT_TRUE(record_is(logring_next(&r, &c, 5), 5, "y"));
}

KTEST(logring, who_is_overtaken_goes_on_with_the_oldest)
{
	struct logring r = LOGRING_INIT(bytes);
	struct logring_cursor c = {};
	const struct logring_record *record;

	for (u32 i = 0; i < 100; i++)
		append(&r, "twenty bytes of text");
	record = logring_next(&r, &c, 0);
	ASSERT_NOT_NULL(record);
	EXPECT_EQ(record->seq, 100 - sizeof(bytes) / 64);
	EXPECT_EQ(record->seq, r.oldest.seq);
}

// Against a list of all that was written.
KTEST(logring, random_lengths)
{
	static u16 lengths[3000];
	static char text[300];
	struct logring r = LOGRING_INIT(bytes);
	struct logring_cursor reader = {};
	u64 seed = 99, read = 0;

	for (u32 i = 0; i < ARRAY_SIZE(lengths); i++) {
		size_t len = ktest_random(&seed) % sizeof(text);

		lengths[i] = (u16)len;
		memset(text, (char)('a' + i % 26), sizeof(text));
		logring_append(&r, 6, i, text, len);
		EXPECT_LE(r.newest.offset - r.oldest.offset, sizeof(bytes));
		if (ktest_random(&seed) % 3)
			continue;
		for (const struct logring_record *record;
		     (record = logring_next(&r, &reader, 0));) {
			EXPECT_GE(record->seq, read);
			read = record->seq + 1;
			EXPECT_EQ(record->time_ns, record->seq);
			ASSERT_EQ(record->len, lengths[record->seq]);
			for (u32 at = 0; at < record->len; at++)
				ASSERT_EQ(record->text[at], 'a' + (char)(record->seq % 26));
		}
		EXPECT_EQ(read, i + 1);
	}
}

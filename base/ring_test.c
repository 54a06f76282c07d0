// SPDX-License-Identifier: MIT
// ring_test.c: tests of ring.h.
#include "base/ktest.h"
#include "base/ring.h"
#include "base/string.h"

KTEST(ring, fill_and_drain)
{
	u8 buf[8], byte;
	struct ring r;

	ring_init(&r, buf, sizeof(buf));
	EXPECT_TRUE(ring_empty(&r));
	EXPECT_FALSE(ring_get(&r, &byte));
	for (u8 i = 0; i < 8; i++)
		EXPECT_TRUE(ring_put(&r, i));
	EXPECT_TRUE(ring_full(&r));
	EXPECT_FALSE(ring_put(&r, 8));
	EXPECT_TRUE(ring_peek(&r, 0, &byte));
	EXPECT_EQ(byte, 0);
	EXPECT_TRUE(ring_peek(&r, 7, &byte));
	EXPECT_EQ(byte, 7);
	EXPECT_FALSE(ring_peek(&r, 8, &byte));
	for (u8 i = 0; i < 8; i++) {
		EXPECT_TRUE(ring_get(&r, &byte));
		EXPECT_EQ(byte, i);
	}
	EXPECT_TRUE(ring_empty(&r));
}

KTEST(ring, counters_wrap)
{
	u8 buf[4], byte, next_in = 0, next_out = 0;
	struct ring r;

	ring_init(&r, buf, sizeof(buf));
	r.head = r.tail = UINT32_MAX - 5;
	for (int i = 0; i < 20; i++) {
		ring_put(&r, next_in++);
		ring_put(&r, next_in++);
		EXPECT_EQ(ring_used(&r), 2);
		EXPECT_EQ(ring_free(&r), 2);
		EXPECT_TRUE(ring_get(&r, &byte));
		EXPECT_EQ(byte, next_out++);
		EXPECT_TRUE(ring_get(&r, &byte));
		EXPECT_EQ(byte, next_out++);
	}
	EXPECT_TRUE(ring_empty(&r));
}

KTEST(ring, blocks_and_unput)
{
	u8 buf[8], out[8] = {}, byte;
	struct ring r;

	ring_init(&r, buf, sizeof(buf));
	EXPECT_FALSE(ring_unput(&r, &byte));
	EXPECT_EQ(ring_write(&r, "hello", 5), 5);
	EXPECT_TRUE(ring_unput(&r, &byte));
	EXPECT_EQ(byte, 'o');
	EXPECT_EQ(ring_write(&r, "12345678", 8), 4);
	EXPECT_EQ(ring_read(&r, out, 3), 3);
	EXPECT_STREQ((char *)out, "hel");
	EXPECT_EQ(ring_read(&r, out, 8), 5);
	EXPECT_MEMEQ(out, "l1234", 5);
}

// SPDX-License-Identifier: MIT
// crc32_test.c: tests of crc32.c against known values and the bit-by-bit definition.
#include "base/crc32.h"
#include "base/ktest.h"

static u32 crc_by_bits(const u8 *data, size_t len)
{
	u32 crc = ~0u;

	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

KTEST(crc32, known_values)
{
	EXPECT_EQ(crc32_update(0, "", 0), 0);
	EXPECT_EQ(crc32_update(0, "123456789", 9), 0xcbf43926);
	EXPECT_EQ(crc32_update(0, "The quick brown fox jumps over the lazy dog", 43), 0x414fa339);
}

KTEST(crc32, all_lengths_and_splits)
{
	u8 data[80];
	u64 seed = 12;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (u8)ktest_random(&seed);
	for (size_t len = 0; len <= sizeof(data); len++) {
		u32 expected = crc_by_bits(data, len);

		EXPECT_EQ(crc32_update(0, data, len), expected);
		for (size_t split = 0; split <= len; split += 5)
			EXPECT_EQ(crc32_update(crc32_update(0, data, split), data + split,
					       len - split),
				  expected);
	}
}

// Every entry of every table takes part: one byte of every value at each of eight places.
KTEST(crc32, all_table_entries)
{
	for (u32 place = 0; place < 8; place++) {
		for (u32 byte = 0; byte < 256; byte++) {
			u8 data[8] = {};

			data[place] = (u8)byte;
			ASSERT_EQ(crc32_update(0, data, 8), crc_by_bits(data, 8));
		}
	}
}

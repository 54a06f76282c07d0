// SPDX-License-Identifier: MIT
// crc32.c: CRC-32, eight bytes at a time by eight tables.
//
// tables[k][b] is the register after byte b and k zero bytes. The CRC is linear over XOR, so an
// entry is the XOR of the entries of b's single bits; the compiler computes all 2048 from those 64.
#include "base/crc32.h"

#include "base/bytes.h"

#define BIT_OF(b, n, entry) ((b) >> (n) & 1 ? (entry) : 0u)
#define ENTRY(b, e0, e1, e2, e3, e4, e5, e6, e7)                                     \
	(BIT_OF(b, 0, e0) ^ BIT_OF(b, 1, e1) ^ BIT_OF(b, 2, e2) ^ BIT_OF(b, 3, e3) ^ \
	 BIT_OF(b, 4, e4) ^ BIT_OF(b, 5, e5) ^ BIT_OF(b, 6, e6) ^ BIT_OF(b, 7, e7))
#define ROW4(b, ...)                                                                     \
	ENTRY(b, __VA_ARGS__), ENTRY((b) + 1, __VA_ARGS__), ENTRY((b) + 2, __VA_ARGS__), \
		ENTRY((b) + 3, __VA_ARGS__)
#define ROW16(b, ...)                                                                 \
	ROW4(b, __VA_ARGS__), ROW4((b) + 4, __VA_ARGS__), ROW4((b) + 8, __VA_ARGS__), \
		ROW4((b) + 12, __VA_ARGS__)
#define ROW64(b, ...)                                                                      \
	ROW16(b, __VA_ARGS__), ROW16((b) + 16, __VA_ARGS__), ROW16((b) + 32, __VA_ARGS__), \
		ROW16((b) + 48, __VA_ARGS__)
#define TABLE(...)                                                                  \
	{ROW64(0u, __VA_ARGS__), ROW64(64u, __VA_ARGS__), ROW64(128u, __VA_ARGS__), \
	 ROW64(192u, __VA_ARGS__)}

static const u32 tables[8][256] = {
	TABLE(0x77073096, 0xee0e612c, 0x076dc419, 0x0edb8832, 0x1db71064, 0x3b6e20c8, 0x76dc4190,
	      0xedb88320),
	TABLE(0x191b3141, 0x32366282, 0x646cc504, 0xc8d98a08, 0x4ac21251, 0x958424a2, 0xf0794f05,
	      0x3b83984b),
	TABLE(0x01c26a37, 0x0384d46e, 0x0709a8dc, 0x0e1351b8, 0x1c26a370, 0x384d46e0, 0x709a8dc0,
	      0xe1351b80),
	TABLE(0xb8bc6765, 0xaa09c88b, 0x8f629757, 0xc5b428ef, 0x5019579f, 0xa032af3e, 0x9b14583d,
	      0xed59b63b),
	TABLE(0x3d6029b0, 0x7ac05360, 0xf580a6c0, 0x30704bc1, 0x60e09782, 0xc1c12f04, 0x58f35849,
	      0xb1e6b092),
	TABLE(0xcb5cd3a5, 0x4dc8a10b, 0x9b914216, 0xec53826d, 0x03d6029b, 0x07ac0536, 0x0f580a6c,
	      0x1eb014d8),
	TABLE(0xa6770bb4, 0x979f1129, 0xf44f2413, 0x33ef4e67, 0x67de9cce, 0xcfbd399c, 0x440b7579,
	      0x8816eaf2),
	TABLE(0xccaa009e, 0x4225077d, 0x844a0efa, 0xd3e51bb5, 0x7cbb312b, 0xf9766256, 0x299dc2ed,
	      0x533b85da),
};

u32 crc32_update(u32 crc, const void *data, size_t len)
{
	const u8 *p = data;

	crc = ~crc;
	for (; len >= 8; len -= 8, p += 8) {
		u64 x = load_le64(p) ^ crc;

		crc = tables[7][x & 0xff] ^ tables[6][x >> 8 & 0xff] ^ tables[5][x >> 16 & 0xff] ^
		      tables[4][x >> 24 & 0xff] ^ tables[3][x >> 32 & 0xff] ^
		      tables[2][x >> 40 & 0xff] ^ tables[1][x >> 48 & 0xff] ^ tables[0][x >> 56];
	}
	for (; len; len--, p++)
		crc = tables[0][(crc ^ *p) & 0xff] ^ crc >> 8;
	return ~crc;
}

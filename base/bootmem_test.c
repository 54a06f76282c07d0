// SPDX-License-Identifier: MIT
// bootmem_test.c: a clean map keeps off what is not free, whatever overlaps.
#include "base/bootmem.h"
#include "base/ktest.h"

static struct bootmem out[16];
static bool truncated;

static u32 resolve(const struct bootmem *ranges, u32 n, u32 max)
{
	truncated = false;
	return bootmem_resolve(ranges, n, out, max, &truncated);
}

static bool range_is(u32 i, u64 base, u64 len, enum bootmem_type type)
{
	return out[i].base == base && out[i].len == len && out[i].type == type;
}

KTEST(bootmem, ranges_are_sorted_and_joined)
{
	static const struct bootmem in[] = {
		{0x3000, 0x1000, BOOTMEM_USABLE}, {0x1000, 0x1000, BOOTMEM_USABLE},
		{0x2000, 0x1000, BOOTMEM_USABLE}, {0x9000, 0x1000, BOOTMEM_BAD},
		{0x4000, 0x1000, BOOTMEM_LOADER},
	};

	ASSERT_EQ(resolve(in, ARRAY_SIZE(in), 16), 3u);
	EXPECT_TRUE(range_is(0, 0x1000, 0x3000, BOOTMEM_USABLE));
	EXPECT_TRUE(range_is(1, 0x4000, 0x1000, BOOTMEM_LOADER));
	EXPECT_TRUE(range_is(2, 0x9000, 0x1000, BOOTMEM_BAD));
	EXPECT_FALSE(truncated);
}

KTEST(bootmem, the_stronger_type_wins)
{
	static const struct bootmem in[] = {
		{0x0, 0x10000, BOOTMEM_USABLE},	  {0x4000, 0x2000, BOOTMEM_KERNEL},
		{0x5000, 0x3000, BOOTMEM_INITRD}, {0xf000, 0x2000, BOOTMEM_RESERVED},
		{0x8000, 0x1000, BOOTMEM_USABLE},
	};

	ASSERT_EQ(resolve(in, ARRAY_SIZE(in), 16), 5u);
	EXPECT_TRUE(range_is(0, 0x0, 0x4000, BOOTMEM_USABLE));
	EXPECT_TRUE(range_is(1, 0x4000, 0x2000, BOOTMEM_KERNEL));
	EXPECT_TRUE(range_is(2, 0x6000, 0x2000, BOOTMEM_INITRD));
	EXPECT_TRUE(range_is(3, 0x8000, 0x7000, BOOTMEM_USABLE));
	EXPECT_TRUE(range_is(4, 0xf000, 0x2000, BOOTMEM_RESERVED));
}

KTEST(bootmem, too_many_ranges)
{
	static const struct bootmem in[] = {{0x1000, 0x1000, BOOTMEM_USABLE},
					    {0x3000, 0x1000, BOOTMEM_USABLE},
					    {0x5000, 0x1000, BOOTMEM_USABLE}};

	ASSERT_EQ(resolve(in, ARRAY_SIZE(in), 2), 2u);
	EXPECT_TRUE(truncated);
	EXPECT_TRUE(range_is(1, 0x3000, 0x1000, BOOTMEM_USABLE));
	EXPECT_EQ(resolve(in, 0, 2), 0u);
}

KTEST(bootmem, the_ends_of_addresses)
{
	static const struct bootmem in[] = {
		{0, 1, BOOTMEM_RESERVED},
		{~0ull - 0x1000, 0x1000, BOOTMEM_USABLE},
	};

	ASSERT_EQ(resolve(in, ARRAY_SIZE(in), 16), 2u);
	EXPECT_TRUE(range_is(0, 0, 1, BOOTMEM_RESERVED));
	EXPECT_TRUE(range_is(1, ~0ull - 0x1000, 0x1000, BOOTMEM_USABLE));
}

// What types may win where, looked at byte by byte.
KTEST(bootmem, random_maps)
{
	static struct bootmem in[12];
	u64 seed = 4711;

	for (u32 round = 0; round < 300; round++) {
		u32 n = (u32)(ktest_random(&seed) % ARRAY_SIZE(in)) + 1, nout;

		for (u32 i = 0; i < n; i++)
			in[i] = (struct bootmem){ktest_random(&seed) % 64,
						 ktest_random(&seed) % 16 + 1,
						 (enum bootmem_type)(ktest_random(&seed) % 9)};
		nout = resolve(in, n, 16);
		if (truncated)
			continue;
		for (u32 i = 1; i < nout; i++) {
			EXPECT_GE(out[i].base, out[i - 1].base + out[i - 1].len);
			EXPECT_TRUE(out[i].type != out[i - 1].type ||
				    out[i].base > out[i - 1].base + out[i - 1].len);
		}
		for (u64 at = 0; at < 100; at++) {
			const struct bootmem *is = bootmem_find(out, nout, at);

			EXPECT_EQ(is != nullptr, bootmem_find(in, n, at) != nullptr);
			// Nothing is usable that anybody else laid claim to.
			for (u32 i = 0; is && is->type == BOOTMEM_USABLE && i < n; i++)
				EXPECT_TRUE(in[i].type == BOOTMEM_USABLE || at < in[i].base ||
					    at - in[i].base >= in[i].len);
		}
	}
}

KTEST(bootmem, clip)
{
	static const struct bootmem m = {0x1800, 0x4000, BOOTMEM_USABLE};
	static const struct bootmem last = {~0ull - 0x100, 0x100, BOOTMEM_USABLE};
	u64 start, end;

	ASSERT_TRUE(bootmem_clip(&m, 0, ~0ull, 0x1000, &start, &end));
	EXPECT_EQ(start, 0x2000ull);
	EXPECT_EQ(end, 0x5000ull);
	ASSERT_TRUE(bootmem_clip(&m, 0x3000, 0x4fff, 0x1000, &start, &end));
	EXPECT_EQ(start, 0x3000ull);
	EXPECT_EQ(end, 0x4000ull);
	EXPECT_FALSE(bootmem_clip(&m, 0x6000, 0x8000, 0x1000, &start, &end));
	EXPECT_FALSE(bootmem_clip(&m, 0, 0x2fff, 0x1000, &start, &end));
	EXPECT_FALSE(bootmem_clip(&last, 0, ~0ull, 0x1000, &start, &end));
}

KTEST(bootmem, place)
{
	static const struct bootmem map[] = {
		{0x1000, 0x9000, BOOTMEM_USABLE},  {0xa000, 0x2000, BOOTMEM_LOADER},
		{0xc000, 0x3000, BOOTMEM_USABLE},  {0x10000, 0x4800, BOOTMEM_USABLE},
		{0x20000, 0x1000, BOOTMEM_USABLE},
	};
	u32 n = ARRAY_SIZE(map);

	EXPECT_EQ(bootmem_place(map, n, 0x1000, 0, ~0ull, 0x1000), 0x20000ull);
	EXPECT_EQ(bootmem_place(map, n, 0x2000, 0, ~0ull, 0x1000), 0xc000ull);
	EXPECT_EQ(bootmem_place(map, n, 0x3001, 0, ~0ull, 0x1000), 0x10000ull);
	EXPECT_EQ(bootmem_place(map, n, 0x3001, 0, 0x10000, 0x1000), 0x1000ull);
	EXPECT_EQ(bootmem_place(map, n, 0x3001, 0x8000, 0x10000, 0x1000), 0ull);
	EXPECT_EQ(bootmem_place(map, n, 0x10000, 0, ~0ull, 0x1000), 0ull);
}

// SPDX-License-Identifier: MIT
// bootinfo_test.c: the memory map is sorted, without overlaps, and keeps off what is not ours.
#include "core/boot/bootmem.h"
#include "core/ktest.h"

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

KTEST(bootinfo, ranges_are_sorted_and_joined)
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

KTEST(bootinfo, the_stronger_type_wins)
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

KTEST(bootinfo, too_many_ranges)
{
	static const struct bootmem in[] = {{0x1000, 0x1000, BOOTMEM_USABLE},
					    {0x3000, 0x1000, BOOTMEM_USABLE},
					    {0x5000, 0x1000, BOOTMEM_USABLE}};

	ASSERT_EQ(resolve(in, ARRAY_SIZE(in), 2), 2u);
	EXPECT_TRUE(truncated);
	EXPECT_TRUE(range_is(1, 0x3000, 0x1000, BOOTMEM_USABLE));
	EXPECT_EQ(resolve(in, 0, 2), 0u);
}

KTEST(bootinfo, this_machines_map)
{
	u64 usable = 0;

	ASSERT_GT(bootinfo.nmem, 0u);
	for (u32 i = 0; i < bootinfo.nmem; i++) {
		EXPECT_GT(bootinfo.mem[i].len, 0ull);
		if (i)
			EXPECT_LE(bootinfo.mem[i - 1].base + bootinfo.mem[i - 1].len,
				  bootinfo.mem[i].base);
		if (bootinfo.mem[i].type == BOOTMEM_USABLE)
			usable += bootinfo.mem[i].len;
	}
	EXPECT_GT(usable, 8 * MiB);
}

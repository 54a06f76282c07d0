// SPDX-License-Identifier: MIT
// symtab_test.c: tests of symtab.c.
#include "base/ktest.h"
#include "base/symtab.h"

static const char names[] = "start\0middle\0last";
static const u32 offsets[] = {0, 0x10, 0x100};
static const u32 name_offsets[] = {0, 6, 13};

static struct symtab make_table(void)
{
	return (struct symtab){
		.base = 0xffffffff80000000,
		.count = 3,
		.offsets = offsets,
		.name_offsets = name_offsets,
		.names = names,
		.names_len = sizeof(names),
		.end = 0xffffffff80000200,
	};
}

KTEST(symtab, lookup)
{
	struct symtab t = make_table();
	u64 offset;

	EXPECT_STREQ(symtab_lookup(&t, t.base, &offset), "start");
	EXPECT_EQ(offset, 0);
	EXPECT_STREQ(symtab_lookup(&t, t.base + 0xf, &offset), "start");
	EXPECT_EQ(offset, 0xf);
	EXPECT_STREQ(symtab_lookup(&t, t.base + 0x10, &offset), "middle");
	EXPECT_EQ(offset, 0);
	EXPECT_STREQ(symtab_lookup(&t, t.end - 1, &offset), "last");
	EXPECT_EQ(offset, 0xff);
}

KTEST(symtab, outside)
{
	struct symtab t = make_table();
	static const u32 later[] = {8, 0x10, 0x100};
	u64 offset;

	EXPECT_NULL(symtab_lookup(&t, t.base - 1, &offset));
	EXPECT_NULL(symtab_lookup(&t, t.end, &offset));
	EXPECT_NULL(symtab_lookup(&t, 0, &offset));
	EXPECT_NULL(symtab_lookup(&t, ~0ull, &offset));
	t.offsets = later;
	EXPECT_NULL(symtab_lookup(&t, t.base + 7, &offset));
	t.count = 0;
	EXPECT_NULL(symtab_lookup(&t, t.base + 8, &offset));
}

KTEST(symtab, damaged_names)
{
	struct symtab t = make_table();
	static const u32 wild[] = {0, 6, 100000};
	u64 offset;

	t.name_offsets = wild;
	EXPECT_NULL(symtab_lookup(&t, t.base + 0x100, &offset));
	t.name_offsets = name_offsets;
	t.names_len = 15; // "la" without its end
	EXPECT_NULL(symtab_lookup(&t, t.base + 0x100, &offset));
	EXPECT_STREQ(symtab_lookup(&t, t.base + 0x10, &offset), "middle");
}

KTEST(symtab, find)
{
	struct symtab t = make_table();

	EXPECT_EQ(symtab_find(&t, "middle"), t.base + 0x10);
	EXPECT_EQ(symtab_find(&t, "mid"), 0);
}

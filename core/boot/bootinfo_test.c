// SPDX-License-Identifier: MIT
// bootinfo_test.c: the memory map of this machine is sorted and without overlaps.
#include "core/bootinfo.h"
#include "core/ktest.h"

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

// SPDX-License-Identifier: MIT
// bootinfo.c: what the doors tell about the machine, and the clean memory map made of it.
// Privileged; immutable after boot.
#include "core/bootinfo.h"
#include "core/panic.h"

struct bootinfo bootinfo;

void bootinfo_add_mem(u64 base, u64 len, enum bootmem_type type)
{
	if (!len)
		return;
	if (bootinfo.nmem == BOOTMEM_MAX) {
		bootinfo.mem_truncated = true;
		return;
	}
	if (len > ~0ull - base)
		len = ~0ull - base;
	bootinfo.mem[bootinfo.nmem++] = (struct bootmem){base, len, type};
}

void bootinfo_finish(void)
{
	// The kernel and the initramfs, which doors' maps may not tell apart, are two more.
	static struct bootmem ranges[BOOTMEM_MAX + 2];
	u32 n = bootinfo.nmem;

	if (!n) // QEMU's -kernel, for one, overwrites what it has prepared
		panic("The boot loader gave no memory map; perhaps the command line is longer than its %u bytes",
		      CMDLINE_MAX - 1);
	for (u32 i = 0; i < n; i++)
		ranges[i] = bootinfo.mem[i];
	if (bootinfo.kernel_size)
		ranges[n++] = (struct bootmem){bootinfo.kernel_phys.addr, bootinfo.kernel_size,
					       BOOTMEM_KERNEL};
	if (bootinfo.initrd_len)
		ranges[n++] =
			(struct bootmem){bootinfo.initrd.addr, bootinfo.initrd_len, BOOTMEM_INITRD};
	bootinfo.nmem =
		bootmem_resolve(ranges, n, bootinfo.mem, BOOTMEM_MAX, &bootinfo.mem_truncated);
}

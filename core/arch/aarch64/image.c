// SPDX-License-Identifier: MIT
// image.c: the rest of the Image door: bootinfo from the device tree, and a direct map that knows
// memory from devices. Privileged; boot CPU, before anything else runs.
#include "core/arch/aarch64/boot_offsets.h"
#include "core/arch/aarch64/early_map.h"
#include "core/arch/aarch64/machine.h"
#include "core/bootinfo.h"
#include "core/page.h"
#include <arch/cpu.h>
#include <arch/mmu.h>

void early_map_memory(void)
{
	for (u32 i = 0; i < bootinfo.nmem; i++) {
		const struct bootmem *m = &bootinfo.mem[i];

		if (m->type == BOOTMEM_RESERVED || m->type == BOOTMEM_FRAMEBUFFER)
			continue;
		for (u64 at = align_down(m->base, GiB); at < m->base + m->len; at += GiB) {
			if (at / GiB >= PT_ENTRIES ||
			    early_direct[at / GiB] == (at | BLOCK_NORMAL_DATA))
				continue;
			// never two memory types at once
			early_direct[at / GiB] = 0;
			arch_tlb_flush_everything();
			early_direct[at / GiB] = at | BLOCK_NORMAL_DATA;
			__asm__ volatile("dsb ishst\n\tisb" ::: "memory");
		}
	}
}

[[noreturn]] void image_start(u64 dtb, u64 kernel_phys);
void image_start(u64 dtb, u64 kernel_phys)
{
	extern char __kernel_start[], __kernel_end[];

	bootinfo.door = "Image";
	bootinfo.dtb = phys(dtb);
	bootinfo.kernel_phys = phys(kernel_phys);
	bootinfo.kernel_size = (u64)(__kernel_end - __kernel_start);
	// Without a device tree there is no serial port to complain on: bootinfo_finish() panics.
	if (!devtree_boot())
		bootinfo.dtb = phys(0);
	early_map_memory();
	kernel_main();
}

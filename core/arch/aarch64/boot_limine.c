// SPDX-License-Identifier: MIT
// boot_limine.c: what the Limine door needs of AArch64: from the loader's page tables to first ones
// of ours. Privileged; boot CPU.

/*
 * The loader's halves have 48 bits, ours 47, and its direct map may begin where ours does not
 * reach. The MMU stays on in between, because one table can serve both sizes: the kernel's half of
 * 47 bits is the upper half of what 48 bits see, and there has the same 256 entries of the root. So
 * our root first holds them twice. With 48 bits the upper 256 are used; with 47 bits, and TTBR1
 * still at the page's beginning, the lower 256; then TTBR1 moves on to the upper ones, and the
 * lower ones go. At each step the code that does it is mapped by the same entries of the same
 * tables, which are the loader's, as it mapped the image.
 *
 * The direct map is as the Image door makes it: pages of 1 GiB, of what lies below 512 GiB: memory
 * if there is any in that GiB, devices otherwise. Where both share a GiB the CPU might read from a
 * device what nobody asked for, until the kernel has tables that know better; it is a matter of
 * milliseconds.
 */

#include "core/arch/aarch64/boot_offsets.h"
#include "core/arch/aarch64/early_map.h"
#include "core/boot/limine.h"
#include "core/bootinfo.h"
#include <arch/cpu.h>

constexpr u64 IMAGE_SLOT = PT_ENTRIES - 1;

// Which serial port there is, the device tree or ACPI's tables say, and they are out of reach when
// this is called: what it would say is seen with a debugger only.
void limine_say(const char *)
{
}

static phys_t image_phys(const void *p)
{
	extern char __kernel_start[];

	return phys(bootinfo.kernel_phys.addr + ((u64)p - (u64)__kernel_start));
}

static void sync_all(void)
{
	__asm__ volatile("dsb sy\n\tisb" ::: "memory");
}

static void forget_old_entries(void)
{
	__asm__ volatile("tlbi vmalle1" ::: "memory");
	sync_all();
}

static void root_switch(void)
{
	constexpr u64 physical_size = 7ull << 32; // IPS, which depends on the CPU
	u64 root = image_phys(early_root).addr;

	// The first entry of it is what the loader's image has, and the device type replaces what
	// only framebuffers had.
	cpu_sysreg_write("mair_el1", MAIR_VALUE);
	sync_all();
	cpu_sysreg_write("ttbr1_el1", root);
	sync_all();
	forget_old_entries();
	cpu_sysreg_write("tcr_el1", TCR_VALUE_ | (cpu_sysreg_read("tcr_el1") & physical_size));
	sync_all();
	forget_old_entries();
	cpu_sysreg_write("ttbr1_el1", root + PT_KERNEL_FIRST * sizeof(pte_t));
	sync_all();
	for (u32 i = 0; i < PT_KERNEL_FIRST; i++)
		pte_store(&early_root[i], 0);
	sync_all();
	cpu_sysreg_write("ttbr0_el1", root);
	sync_all();
	forget_old_entries();
}

void limine_leave_loader(u64 direct_map)
{
	const pte_t *loader_root =
		(const pte_t *)(direct_map + (cpu_sysreg_read("ttbr1_el1") & PTE_ADDR));

	if ((cpu_sysreg_read("mair_el1") & 0xff) != (MAIR_VALUE & 0xff))
		limine_fatal(
			"the first memory type of the boot loader is not write-back memory, as the kernel's is.");
	if ((cpu_sysreg_read("tcr_el1") >> 16 & 0x3f) != 16)
		limine_fatal("the boot loader set up other than four levels of page tables.");
	for (u64 gib = 0; gib < PT_ENTRIES; gib++)
		early_direct[gib] = gib * GiB | BLOCK_DEVICE;
	for (u32 half = 0; half < PT_ENTRIES; half += PT_KERNEL_FIRST) {
		early_root[half + pt_index(DIRECT_MAP_BASE, PT_ROOT_LEVEL) % PT_KERNEL_FIRST] =
			pte_table_supervisor(image_phys(early_direct));
		early_root[half + IMAGE_SLOT % PT_KERNEL_FIRST] = loader_root[IMAGE_SLOT];
	}
	root_switch();
	early_map_memory();
}

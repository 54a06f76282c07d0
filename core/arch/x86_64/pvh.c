// SPDX-License-Identifier: MIT
// PVH door: turns the hypervisor's start info into bootinfo. Privileged; boot CPU, before anything
// else runs.
#include "base/string.h"
#include "core/bootinfo.h"
#include "core/page.h"

constexpr u32 PVH_MAGIC = 0x336ec578;

// struct hvm_start_info and what it points at: Xen's public header arch-x86/hvm/start_info.h, as
// documented by the PVH boot ABI.
struct pvh_start_info {
	u32 magic, version, flags, nmodules;
	u64 modules, cmdline, rsdp, memmap; // physical; memmap from version 1 on
	u32 memmap_entries, reserved;
};
struct pvh_module {
	u64 base, size, cmdline, reserved;
};
struct pvh_memmap_entry {
	u64 base, size;
	u32 type, reserved; // E820 numbers
};
static_assert(sizeof(struct pvh_start_info) == 56 && sizeof(struct pvh_memmap_entry) == 24);

static enum bootmem_type from_e820(u32 type)
{
	switch (type) {
	case 1:
		return BOOTMEM_USABLE;
	case 3:
		return BOOTMEM_ACPI_RECLAIM;
	case 4:
		return BOOTMEM_ACPI_NVS;
	case 5:
		return BOOTMEM_BAD;
	default:
		return BOOTMEM_RESERVED;
	}
}

[[noreturn]] void pvh_start(u32 start_info_phys);
void pvh_start(u32 start_info_phys)
{
	extern char __kernel_start[], __kernel_end[];
	const struct pvh_start_info *si = phys_ptr((phys_t){start_info_phys});

	bootinfo.door = "PVH";
	bootinfo.kernel_phys = (phys_t){(u64)__kernel_start - KERNEL_IMAGE_BASE};
	bootinfo.kernel_size = (u64)(__kernel_end - __kernel_start);
	if (si->magic == PVH_MAGIC) {
		bootinfo.rsdp = (phys_t){si->rsdp};
		if (si->version >= 1 && si->memmap) {
			const struct pvh_memmap_entry *e = phys_ptr((phys_t){si->memmap});
			for (u32 i = 0; i < si->memmap_entries; i++)
				bootinfo_add_mem(e[i].base, e[i].size, from_e820(e[i].type));
		}
		if (si->nmodules) {
			const struct pvh_module *m = phys_ptr((phys_t){si->modules});
			bootinfo.initrd = (phys_t){m->base};
			bootinfo.initrd_len = m->size;
		}
		if (si->cmdline)
			bootinfo.cmdline_truncated =
				strscpy(bootinfo.cmdline, phys_ptr((phys_t){si->cmdline}),
					CMDLINE_MAX) < 0;
	}
	kernel_main();
}

// SPDX-License-Identifier: MIT
// limine.c: the door for the Limine protocol: the kernel's requests to its boot loader, and
// bootinfo made from the answers. Privileged; boot CPU, first code to run.

/*
 * The loader finds the requests below in the image, between the two markers, and links a response
 * to each (abi/limine.h). Until arch code builds its own page tables the kernel runs on the
 * loader's, whose direct map covers RAM but, in base revision 3, neither ACPI tables nor devices.
 * Everything that is taken from a response is copied here: responses, stack and tables of the
 * loader lie in memory that becomes free.
 *
 * Nothing of the core works yet. What makes it impossible to go on is one sentence, where the
 * architecture knows a serial port that needs no finding.
 */

#include "abi/limine.h"
#include "base/string.h"
#include "core/boot/limine.h"
#include "core/bootinfo.h"
#include <arch/cpu.h>

#define LIMINE_SECTION(name) __attribute__((section(name), used)) static volatile
#define LIMINE_REQUEST	     LIMINE_SECTION(".limine_requests")

LIMINE_SECTION(".limine_requests_start") u64 requests_start[] = LIMINE_REQUESTS_START;
LIMINE_SECTION(".limine_requests_end") u64 requests_end[] = LIMINE_REQUESTS_END;

/* Written by the loader before the first instruction, immutable since. */
LIMINE_REQUEST u64 base_revision[] = LIMINE_BASE_REVISION(limine_base_revision);
LIMINE_REQUEST struct limine_request cmdline_request = {LIMINE_EXECUTABLE_CMDLINE_ID, 0, nullptr};
LIMINE_REQUEST struct limine_request hhdm_request = {LIMINE_HHDM_ID, 0, nullptr};
LIMINE_REQUEST struct limine_request memmap_request = {LIMINE_MEMMAP_ID, 0, nullptr};
LIMINE_REQUEST struct limine_request module_request = {LIMINE_MODULE_ID, 0, nullptr};
LIMINE_REQUEST struct limine_request rsdp_request = {LIMINE_RSDP_ID, 0, nullptr};
LIMINE_REQUEST struct limine_request time_request = {LIMINE_BOOT_TIME_ID, 0, nullptr};
LIMINE_REQUEST struct limine_request dtb_request = {LIMINE_DTB_ID, 0, nullptr};
LIMINE_REQUEST struct limine_request address_request = {LIMINE_EXECUTABLE_ADDRESS_ID, 0, nullptr};

static u64 direct_map; // the loader's, where its pointers point to

void limine_fatal(const char *sentence)
{
	limine_say("Halyard: ");
	limine_say(sentence);
	limine_say("\r\n");
	cpu_halt_forever();
}

static phys_t direct_to_phys(const void *p)
{
	return phys((u64)p - direct_map);
}

static enum bootmem_type from_limine(enum limine_memmap_type type)
{
	switch (type) {
	case LIMINE_MEMMAP_USABLE:
		return BOOTMEM_USABLE;
	case LIMINE_MEMMAP_ACPI_RECLAIMABLE:
		return BOOTMEM_ACPI_RECLAIM;
	case LIMINE_MEMMAP_ACPI_NVS:
		return BOOTMEM_ACPI_NVS;
	case LIMINE_MEMMAP_BAD_MEMORY:
		return BOOTMEM_BAD;
	case LIMINE_MEMMAP_BOOTLOADER_RECLAIMABLE:
		return BOOTMEM_LOADER;
	/* The kernel and its initramfs are known more precisely and win; what else the loader kept
	 * there is of no use. */
	case LIMINE_MEMMAP_EXECUTABLE_AND_MODULES:
		return BOOTMEM_LOADER;
	case LIMINE_MEMMAP_FRAMEBUFFER:
		return BOOTMEM_FRAMEBUFFER;
	default:
		return BOOTMEM_RESERVED;
	}
}

static void take_memory(void)
{
	const struct limine_memmap_response *map = memmap_request.response;
	const struct limine_hhdm_response *hhdm = hhdm_request.response;
	const struct limine_executable_address_response *image = address_request.response;
	extern char __kernel_start[], __kernel_end[];

	if (!map || !map->entry_count)
		limine_fatal("the boot loader gave no memory map.");
	if (!hhdm)
		limine_fatal("the boot loader gave no direct map of memory.");
	direct_map = hhdm->offset;
	if (!image)
		limine_fatal("the boot loader did not say where it put the kernel.");
	if (image->virtual_base != (u64)__kernel_start)
		limine_fatal(
			"the boot loader moved the kernel away from the address that it is linked to.");
	for (u64 i = 0; i < map->entry_count; i++)
		bootinfo_add_mem(map->entries[i]->base, map->entries[i]->length,
				 from_limine(map->entries[i]->type));
	bootinfo.kernel_phys = phys(image->physical_base);
	bootinfo.kernel_size = (u64)(__kernel_end - __kernel_start);
}

static void take_files(void)
{
	const struct limine_executable_cmdline_response *cmdline = cmdline_request.response;
	const struct limine_module_response *modules = module_request.response;

	if (cmdline && cmdline->cmdline)
		bootinfo.cmdline_truncated =
			strscpy(bootinfo.cmdline, cmdline->cmdline, CMDLINE_MAX) < 0;
	if (!modules || !modules->module_count)
		return;
	bootinfo.initrd = direct_to_phys(modules->modules[0]->address);
	bootinfo.initrd_len = modules->modules[0]->size;
	if (modules->module_count > 1)
		limine_say(
			"Halyard: of the boot loader's modules only the first is used, as initramfs.\r\n");
}

static void take_tables(void)
{
	const struct limine_rsdp_response *rsdp = rsdp_request.response;
	const struct limine_dtb_response *dtb = dtb_request.response;
	const struct limine_boot_time_response *time = time_request.response;

	/* Physical in base revision 3; other revisions, and loaders that confuse them, give the
	 * direct map's address. */
	if (rsdp)
		bootinfo.rsdp = phys(rsdp->address >= direct_map ? rsdp->address - direct_map
								 : rsdp->address);
	if (dtb && dtb->dtb)
		bootinfo.dtb = direct_to_phys(dtb->dtb);
	if (time)
		bootinfo.unix_s = time->boot_time;
}

void limine_start(void)
{
	if (base_revision[2] != 0)
		limine_fatal(
			"the boot loader does not know base revision 3 of the Limine protocol.");
	bootinfo.door = "Limine";
	take_memory();
	take_files();
	take_tables();
	limine_leave_loader(direct_map);
	kernel_main();
}

// SPDX-License-Identifier: MIT
// devtree.c: takes from the device tree what the door needs. Privileged; boot CPU.
//
// The tree is firmware's or the virtual machine monitor's; base/fdt.h checks its bytes, and
// base/fdt_machine.h reads what the machine has.
#include "core/arch/aarch64/machine.h"

#include "base/string.h"
#include "core/bootinfo.h"
#include "core/log.h"
#include "core/page.h"

static struct fdt tree; // while one of the two public functions runs

static bool tree_open(void)
{
	const void *bytes = phys_ptr(bootinfo.dtb);

	if (!bootinfo.dtb.addr)
		return false;
	if (fdt_open(&tree, bytes, fdt_total_len(bytes)) == 0)
		return true;
	log_warn("devtree: the tree at %#llx is not used: %s", bootinfo.dtb.addr, tree.reason);
	return false;
}

// ---- what the door needs ----

static void take_memory(void)
{
	u64 addr, len;
	u32 root = fdt_root(&tree);

	for (u32 node = fdt_child(&tree, root); node != FDT_NONE; node = fdt_sibling(&tree, node)) {
		const char *type = fdt_string(&tree, node, "device_type");

		if (!type || strcmp(type, "memory") != 0 || !fdt_is_enabled(&tree, node))
			continue;
		for (u32 i = 0; fdt_reg(&tree, node, i, &addr, &len); i++)
			bootinfo_add_mem(addr, len, BOOTMEM_USABLE);
	}
	for (u32 i = 0; fdt_reservation(&tree, i, &addr, &len); i++)
		bootinfo_add_mem(addr, len, BOOTMEM_RESERVED);
	u32 reserved = fdt_path(&tree, "/reserved-memory");

	for (u32 node = reserved == FDT_NONE ? FDT_NONE : fdt_child(&tree, reserved);
	     node != FDT_NONE; node = fdt_sibling(&tree, node))
		for (u32 i = 0; fdt_is_enabled(&tree, node) && fdt_reg(&tree, node, i, &addr, &len);
		     i++)
			bootinfo_add_mem(addr, len, BOOTMEM_RESERVED);
}

// One cell or two.
static bool take_address(u32 node, const char *name, u64 *addr)
{
	u32 len;
	const void *value = fdt_prop(&tree, node, name, &len);

	if (!value || (len != 4 && len != 8))
		return false;
	*addr = fdt_cells(value, len / 4);
	return true;
}

static void take_chosen(void)
{
	u32 chosen = fdt_path(&tree, "/chosen");
	const char *args = fdt_string(&tree, chosen, "bootargs");
	u64 start, end;

	if (args)
		bootinfo.cmdline_truncated = strscpy(bootinfo.cmdline, args, CMDLINE_MAX) < 0;
	if (take_address(chosen, "linux,initrd-start", &start) &&
	    take_address(chosen, "linux,initrd-end", &end) && end > start) {
		bootinfo.initrd = phys(start);
		bootinfo.initrd_len = end - start;
	}
}

// The tree's copy is wiped: what seeds generators is nobody else's.
static void take_seed(void)
{
	u32 len;
	const void *seed = fdt_prop(&tree, fdt_path(&tree, "/chosen"), "rng-seed", &len);

	if (!seed)
		return;
	bootinfo.seed_len = min(len, (u32)sizeof(bootinfo.seed));
	memcpy(bootinfo.seed, seed, bootinfo.seed_len);
	memset((void *)(uintptr_t)seed, 0, len);
}

bool devtree_boot(void)
{
	if (!tree_open())
		return false;
	take_memory();
	take_chosen();
	return true;
}

bool devtree_describe(struct machine *m)
{
	if (!tree_open())
		return false;
	take_seed();
	return fdt_machine(&tree, m);
}

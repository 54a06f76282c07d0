// SPDX-License-Identifier: MIT
// devtree.c: what the device tree says of the machine. Privileged; boot CPU.
//
// The tree is firmware's or the virtual machine monitor's; base/fdt.h checks its bytes. What it
// says is believed, but for numbers that would not fit: those devices are left out.
#include "base/fdt.h"

#include "base/bytes.h"
#include "base/fmt.h"
#include "base/string.h"
#include "core/arch/aarch64/gic.h"
#include "core/arch/aarch64/machine.h"
#include "core/bootinfo.h"
#include "core/log.h"
#include "core/page.h"

static struct fdt tree; // while one of the two public functions runs
static u32 its_nodes[MACHINE_ITSES];

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

// ---- the machine ----

static struct machine_range reg_range(u32 node, u32 i)
{
	struct machine_range r;

	return fdt_reg(&tree, node, i, &r.base, &r.len) ? r : (struct machine_range){};
}

// Three cells: shared or private, number, flags (Linux's binding arm,gic-v3).
static struct machine_irq irq_of(u32 node, u32 i)
{
	struct fdt_irq irq;

	if (!fdt_irq(&tree, node, i, &irq) || irq.ncells < 3 || irq.cells[0] > 1 ||
	    irq.cells[1] >= GIC_SPI_END - GIC_SPI_FIRST)
		return (struct machine_irq){};
	return (struct machine_irq){
		.intid = irq.cells[1] + (irq.cells[0] ? GIC_PPI_FIRST : GIC_SPI_FIRST),
		.level = irq.cells[2] & 12,
	};
}

static void describe_cpus(struct machine *m)
{
	u32 cpus = fdt_path(&tree, "/cpus"), cells = fdt_address_cells(&tree, cpus), len;

	for (u32 node = cpus == FDT_NONE ? FDT_NONE : fdt_child(&tree, cpus); node != FDT_NONE;
	     node = fdt_sibling(&tree, node)) {
		const char *type = fdt_string(&tree, node, "device_type");
		const void *reg = fdt_prop(&tree, node, "reg", &len);

		if (type && strcmp(type, "cpu") == 0 && fdt_is_enabled(&tree, node) && reg &&
		    cells && cells <= 2 && len >= 4 * cells)
			machine_cpu_add(m, fdt_cells(reg, cells), 0);
	}
}

static void describe_psci(struct machine *m)
{
	u32 node = fdt_compatible_next(&tree, FDT_NONE, "arm,psci-0.2");

	if (node == FDT_NONE)
		node = fdt_compatible_next(&tree, FDT_NONE, "arm,psci-1.0");
	const char *method = fdt_string(&tree, node, "method");

	m->psci = !method		       ? PSCI_NONE
		  : strcmp(method, "hvc") == 0 ? PSCI_HVC
		  : strcmp(method, "smc") == 0 ? PSCI_SMC
					       : PSCI_NONE;
}

static bool describe_gicv3(struct machine *m)
{
	u32 gic = fdt_compatible_next(&tree, FDT_NONE, "arm,gic-v3");

	if (gic == FDT_NONE)
		return false;
	u32 len, regions = fdt_u32(&tree, gic, "#redistributor-regions", 1);
	const void *stride = fdt_prop(&tree, gic, "redistributor-stride", &len);

	m->gic = GIC_V3;
	m->gicd = reg_range(gic, 0);
	m->gicr_stride = stride && (len == 4 || len == 8) ? fdt_cells(stride, len / 4) : 0;
	for (u32 i = 0; i < min(regions, MACHINE_GICRS); i++)
		m->gicrs[m->ngicrs++] = reg_range(gic, 1 + i);
	for (u32 its = FDT_NONE;
	     m->nits < MACHINE_ITSES &&
	     (its = fdt_compatible_next(&tree, its, "arm,gic-v3-its")) != FDT_NONE;) {
		its_nodes[m->nits] = its;
		m->its[m->nits++] = reg_range(its, 0);
	}
	return true;
}

static bool describe_gicv2(struct machine *m)
{
	static const char *const names[] = {"arm,gic-400", "arm,cortex-a15-gic",
					    "arm,cortex-a9-gic"};
	u32 gic = FDT_NONE;

	for (u32 i = 0; i < ARRAY_SIZE(names) && gic == FDT_NONE; i++)
		gic = fdt_compatible_next(&tree, FDT_NONE, names[i]);
	if (gic == FDT_NONE)
		return false;
	m->gic = GIC_V2;
	m->gicd = reg_range(gic, 0);
	m->gicc = reg_range(gic, 1);
	for (u32 frame = FDT_NONE;
	     m->nv2ms < MACHINE_V2MS &&
	     (frame = fdt_compatible_next(&tree, frame, "arm,gic-v2m-frame")) != FDT_NONE;) {
		m->v2m[m->nv2ms].registers = reg_range(frame, 0);
		m->v2m[m->nv2ms].first = fdt_u32(&tree, frame, "arm,msi-base-spi", 0);
		m->v2m[m->nv2ms++].n = fdt_u32(&tree, frame, "arm,msi-num-spis", 0);
	}
	return true;
}

// ---- serial ports ----

// The node of "/path:options" or of "alias:options".
static u32 named_node(const char *text)
{
	char path[128];
	size_t len = text ? strlen(text) : 0;

	if (!len)
		return FDT_NONE;
	const char *options = memchr(text, ':', len);

	if (options)
		len = (size_t)(options - text);
	if (len >= sizeof(path))
		return FDT_NONE;
	memcpy(path, text, len);
	path[len] = 0;
	const char *full =
		path[0] == '/' ? path : fdt_string(&tree, fdt_path(&tree, "/aliases"), path);

	return full ? fdt_path(&tree, full) : FDT_NONE;
}

static u32 clock_hz(u32 node)
{
	u32 len;
	const void *clocks = fdt_prop(&tree, node, "clocks", &len); // its own, before its bus's
	u32 clock = clocks && len >= 4 ? fdt_by_phandle(&tree, load_be32(clocks)) : FDT_NONE;

	return fdt_u32(&tree, clock, "clock-frequency", 0);
}

// Takes a node that is a PL011 and was not taken yet.
static void uart_take(struct machine *m, u32 node, u32 console)
{
	struct machine_range r = node == FDT_NONE ? (struct machine_range){} : reg_range(node, 0);
	bool fixed = fdt_is_compatible(&tree, node, "arm,sbsa-uart");

	if (!r.len || m->nuarts == MACHINE_UARTS || !fdt_is_enabled(&tree, node) ||
	    !(fixed || fdt_is_compatible(&tree, node, "arm,pl011")))
		return;
	for (u32 i = 0; i < m->nuarts; i++)
		if (m->uarts[i].registers.base == r.base)
			return;
	if (node == console)
		m->console = m->nuarts;
	m->uarts[m->nuarts++] = (struct machine_uart){
		.registers = r,
		.irq = irq_of(node, 0),
		.clock_hz = fixed ? 0 : clock_hz(node),
		.fixed = fixed,
	};
}

// Numbered as aliases say; the others behind, in the tree's order.
static void describe_uarts(struct machine *m)
{
	u32 console = named_node(fdt_string(&tree, fdt_path(&tree, "/chosen"), "stdout-path"));

	m->console = MACHINE_UARTS;
	for (u32 i = 0; i < MACHINE_UARTS; i++) {
		char alias[16];

		snprintf(alias, sizeof(alias), "serial%u", i);
		if (fdt_prop(&tree, fdt_path(&tree, "/aliases"), alias, nullptr))
			uart_take(m, named_node(alias), console);
	}
	for (u32 node = fdt_root(&tree); node != FDT_NONE; node = fdt_next(&tree, node, nullptr))
		uart_take(m, node, console);
}

// ---- PCI (PCI Bus Binding to IEEE 1275, 2.2.1.1) ----

static void pci_windows(struct machine_pci *p, u32 node)
{
	u32 above = fdt_address_cells(&tree, fdt_parent(&tree, node)), len,
	    entry = 4 * (3 + above + 2);
	const u8 *r = fdt_prop(&tree, node, "ranges", &len);

	for (; r && len >= entry && p->nwindows < MACHINE_WINDOWS; r += entry, len -= entry) {
		u32 space = load_be32(r) >> 24 & 3; // 0: configuration

		if (space)
			p->windows[p->nwindows++] = (struct machine_window){
				.pci = fdt_cells(r + 4, 2),
				.cpu = fdt_cells(r + 12, above),
				.len = fdt_cells(r + 12 + 4 * above, 2),
				.io = space == 1,
				.wide = space == 3,
			};
	}
}

static u32 its_index(const struct machine *m, u32 phandle)
{
	u32 node = fdt_by_phandle(&tree, phandle), i = 0;

	while (i < m->nits && its_nodes[i] != node)
		i++;
	return i;
}

static void pci_maps(const struct machine *m, struct machine_pci *p, u32 node)
{
	u32 len;
	const u8 *map = fdt_prop(&tree, node, "msi-map", &len), *parent;

	for (; map && len >= 16 && p->nmaps < MACHINE_MSI_MAPS; map += 16, len -= 16)
		p->maps[p->nmaps++] =
			(struct machine_msi_map){.first = load_be32(map),
						 .its = its_index(m, load_be32(map + 4)),
						 .id = load_be32(map + 8),
						 .n = load_be32(map + 12)};
	parent = fdt_prop(&tree, node, "msi-parent", &len);
	if (!p->nmaps && parent && len >= 4)
		p->maps[p->nmaps++] = (struct machine_msi_map){
			.its = its_index(m, load_be32(parent)), .n = 0x10000};
}

static void describe_pci(struct machine *m)
{
	bool keep = fdt_u32(&tree, fdt_path(&tree, "/chosen"), "linux,pci-probe-only", 0);

	for (u32 node = FDT_NONE;
	     m->npcis < MACHINE_PCIS &&
	     (node = fdt_compatible_next(&tree, node, "pci-host-ecam-generic")) != FDT_NONE;) {
		struct machine_pci *p = &m->pcis[m->npcis];
		u32 len;
		const u8 *buses = fdt_prop(&tree, node, "bus-range", &len);

		*p = (struct machine_pci){
			.segment = (u16)fdt_u32(&tree, node, "linux,pci-domain", m->npcis),
			.first_bus = buses && len == 8 ? load_be32(buses) : 0,
			.last_bus = buses && len == 8 ? load_be32(buses + 4) : 255,
			.ecam = reg_range(node, 0),
			.keep = keep,
		};
		if (p->first_bus > p->last_bus || p->last_bus > 255 || p->ecam.len < MiB)
			continue;
		p->last_bus = (u32)min((u64)p->last_bus, p->first_bus + p->ecam.len / MiB - 1);
		pci_windows(p, node);
		pci_maps(m, p, node);
		m->npcis++;
	}
}

bool devtree_describe(struct machine *m)
{
	if (!tree_open())
		return false;
	take_seed();
	describe_cpus(m);
	describe_psci(m);
	bool gic = describe_gicv3(m) || describe_gicv2(m);
	u32 timer = fdt_compatible_next(&tree, FDT_NONE, "arm,armv8-timer");
	u32 rtc = fdt_compatible_next(&tree, FDT_NONE, "arm,pl031");

	if (timer != FDT_NONE)
		m->timer = irq_of(timer, 2); // secure, non-secure, virtual, hypervisor's
	describe_uarts(m);
	if (rtc != FDT_NONE)
		m->rtc = reg_range(rtc, 0);
	describe_pci(m);
	return gic;
}

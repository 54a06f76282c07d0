// SPDX-License-Identifier: MIT
// fdt_machine.c: what a device tree says of an Arm machine, by Linux's bindings (the documentation
// in its Documentation/devicetree/bindings) and those of IEEE 1275.
#include "base/fdt_machine.h"

#include "base/bytes.h"
#include "base/fmt.h"
#include "base/string.h"

// Numbers of interrupts: private ones begin at 16, shared ones at 32 (Arm IHI 0069, 2.2).
constexpr u32 PPI_FIRST = 16, SPI_FIRST = 32, PPIS = 16, SPIS = 988;

void machine_cpu_add(struct machine *m, u64 mpidr, u64 gicr)
{
	mpidr &= MACHINE_AFFINITY;
	for (u32 i = 0; i < m->ncpus; i++) {
		if (m->mpidr[i] == mpidr) {
			m->cpu_gicr[i] = gicr;
			return;
		}
	}
	if (m->ncpus == MACHINE_CPUS) {
		m->ncpus_left_out++;
		return;
	}
	m->mpidr[m->ncpus] = mpidr;
	m->cpu_gicr[m->ncpus++] = gicr;
}

static struct machine_range reg_range(const struct fdt *t, u32 node, u32 i)
{
	struct machine_range r;

	return fdt_reg(t, node, i, &r.base, &r.len) ? r : (struct machine_range){};
}

// Three cells: shared or private, number, flags (Linux's binding arm,gic-v3).
static struct machine_irq irq_of(const struct fdt *t, u32 node, u32 i)
{
	struct fdt_irq irq;

	if (!fdt_irq(t, node, i, &irq) || irq.ncells < 3 || irq.cells[0] > 1 ||
	    irq.cells[1] >= (irq.cells[0] ? PPIS : SPIS))
		return (struct machine_irq){};
	return (struct machine_irq){
		.intid = irq.cells[1] + (irq.cells[0] ? PPI_FIRST : SPI_FIRST),
		.level = irq.cells[2] & 12,
	};
}

static void describe_cpus(const struct fdt *t, struct machine *m)
{
	u32 cpus = fdt_path(t, "/cpus"), cells = fdt_address_cells(t, cpus), len;

	for (u32 node = cpus == FDT_NONE ? FDT_NONE : fdt_child(t, cpus); node != FDT_NONE;
	     node = fdt_sibling(t, node)) {
		const char *type = fdt_string(t, node, "device_type");
		const void *reg = fdt_prop(t, node, "reg", &len);

		if (type && strcmp(type, "cpu") == 0 && fdt_is_enabled(t, node) && reg && cells &&
		    cells <= 2 && len >= 4 * cells)
			machine_cpu_add(m, fdt_cells(reg, cells), 0);
	}
}

static void describe_psci(const struct fdt *t, struct machine *m)
{
	u32 node = fdt_compatible_next(t, FDT_NONE, "arm,psci-0.2");

	if (node == FDT_NONE)
		node = fdt_compatible_next(t, FDT_NONE, "arm,psci-1.0");
	const char *method = fdt_string(t, node, "method");

	m->psci = !method		       ? PSCI_NONE
		  : strcmp(method, "hvc") == 0 ? PSCI_HVC
		  : strcmp(method, "smc") == 0 ? PSCI_SMC
					       : PSCI_NONE;
}

static bool describe_gicv3(const struct fdt *t, struct machine *m)
{
	u32 gic = fdt_compatible_next(t, FDT_NONE, "arm,gic-v3");

	if (gic == FDT_NONE)
		return false;
	u32 len, regions = fdt_u32(t, gic, "#redistributor-regions", 1);
	const void *stride = fdt_prop(t, gic, "redistributor-stride", &len);

	m->gic = GIC_V3;
	m->gicd = reg_range(t, gic, 0);
	m->gicr_stride = stride && (len == 4 || len == 8) ? fdt_cells(stride, len / 4) : 0;
	for (u32 i = 0; i < min(regions, MACHINE_GICRS); i++)
		m->gicrs[m->ngicrs++] = reg_range(t, gic, 1 + i);
	for (u32 its = FDT_NONE; m->nits < MACHINE_ITSES &&
				 (its = fdt_compatible_next(t, its, "arm,gic-v3-its")) != FDT_NONE;)
		m->its[m->nits++] = reg_range(t, its, 0);
	return true;
}

static bool describe_gicv2(const struct fdt *t, struct machine *m)
{
	static const char *const names[] = {"arm,gic-400", "arm,cortex-a15-gic",
					    "arm,cortex-a9-gic"};
	u32 gic = FDT_NONE;

	for (u32 i = 0; i < ARRAY_SIZE(names) && gic == FDT_NONE; i++)
		gic = fdt_compatible_next(t, FDT_NONE, names[i]);
	if (gic == FDT_NONE)
		return false;
	m->gic = GIC_V2;
	m->gicd = reg_range(t, gic, 0);
	m->gicc = reg_range(t, gic, 1);
	for (u32 frame = FDT_NONE;
	     m->nv2ms < MACHINE_V2MS &&
	     (frame = fdt_compatible_next(t, frame, "arm,gic-v2m-frame")) != FDT_NONE;) {
		m->v2m[m->nv2ms].registers = reg_range(t, frame, 0);
		m->v2m[m->nv2ms].first = fdt_u32(t, frame, "arm,msi-base-spi", 0);
		m->v2m[m->nv2ms++].n = fdt_u32(t, frame, "arm,msi-num-spis", 0);
	}
	return true;
}

// ---- serial ports ----

// The node of "/path:options" or of "alias:options".
static u32 named_node(const struct fdt *t, const char *text)
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
	const char *full = path[0] == '/' ? path : fdt_string(t, fdt_path(t, "/aliases"), path);

	return full ? fdt_path(t, full) : FDT_NONE;
}

static u32 clock_hz(const struct fdt *t, u32 node)
{
	u32 len;
	const void *clocks = fdt_prop(t, node, "clocks", &len); // its own, before its bus's
	u32 clock = clocks && len >= 4 ? fdt_by_phandle(t, load_be32(clocks)) : FDT_NONE;

	return fdt_u32(t, clock, "clock-frequency", 0);
}

// Takes a node that is a PL011 and was not taken yet.
static void uart_take(const struct fdt *t, struct machine *m, u32 node, u32 console)
{
	struct machine_range r =
		node == FDT_NONE ? (struct machine_range){} : reg_range(t, node, 0);
	bool fixed = fdt_is_compatible(t, node, "arm,sbsa-uart");

	if (!r.len || m->nuarts == MACHINE_UARTS || !fdt_is_enabled(t, node) ||
	    !(fixed || fdt_is_compatible(t, node, "arm,pl011")))
		return;
	for (u32 i = 0; i < m->nuarts; i++)
		if (m->uarts[i].registers.base == r.base)
			return;
	if (node == console)
		m->console = m->nuarts;
	m->uarts[m->nuarts++] = (struct machine_uart){
		.registers = r,
		.irq = irq_of(t, node, 0),
		.clock_hz = fixed ? 0 : clock_hz(t, node),
		.fixed = fixed,
	};
}

// Numbered as aliases say; the others behind, in the tree's order.
static void describe_uarts(const struct fdt *t, struct machine *m)
{
	u32 console = named_node(t, fdt_string(t, fdt_path(t, "/chosen"), "stdout-path"));

	m->console = MACHINE_UARTS;
	for (u32 i = 0; i < MACHINE_UARTS; i++) {
		char alias[16];

		snprintf(alias, sizeof(alias), "serial%u", i);
		if (fdt_prop(t, fdt_path(t, "/aliases"), alias, nullptr))
			uart_take(t, m, named_node(t, alias), console);
	}
	for (u32 node = fdt_root(t); node != FDT_NONE; node = fdt_next(t, node, nullptr))
		uart_take(t, m, node, console);
}

// ---- PCI (PCI Bus Binding to IEEE 1275, 2.2.1.1) ----

static void pci_windows(const struct fdt *t, struct machine_pci *p, u32 node)
{
	u32 above = fdt_address_cells(t, fdt_parent(t, node)), len, entry = 4 * (3 + above + 2);
	const u8 *r = fdt_prop(t, node, "ranges", &len);

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

// Which of machine.its it is; MACHINE_ITSES: none.
static u32 its_index(const struct fdt *t, u32 phandle)
{
	u32 wanted = fdt_by_phandle(t, phandle), i = 0;
	u32 its = fdt_compatible_next(t, FDT_NONE, "arm,gic-v3-its");

	for (; its != FDT_NONE && its != wanted; i++)
		its = fdt_compatible_next(t, its, "arm,gic-v3-its");
	return its == FDT_NONE ? MACHINE_ITSES : i;
}

static void pci_maps(const struct fdt *t, struct machine_pci *p, u32 node)
{
	u32 len;
	const u8 *map = fdt_prop(t, node, "msi-map", &len), *parent;

	for (; map && len >= 16 && p->nmaps < MACHINE_MSI_MAPS; map += 16, len -= 16)
		p->maps[p->nmaps++] =
			(struct machine_msi_map){.first = load_be32(map),
						 .its = its_index(t, load_be32(map + 4)),
						 .id = load_be32(map + 8),
						 .n = load_be32(map + 12)};
	parent = fdt_prop(t, node, "msi-parent", &len);
	if (!p->nmaps && parent && len >= 4)
		p->maps[p->nmaps++] = (struct machine_msi_map){
			.its = its_index(t, load_be32(parent)), .n = 0x10000};
}

static void describe_pci(const struct fdt *t, struct machine *m)
{
	bool keep = fdt_u32(t, fdt_path(t, "/chosen"), "linux,pci-probe-only", 0);

	for (u32 node = FDT_NONE;
	     m->npcis < MACHINE_PCIS &&
	     (node = fdt_compatible_next(t, node, "pci-host-ecam-generic")) != FDT_NONE;) {
		struct machine_pci *p = &m->pcis[m->npcis];
		u32 len;
		const u8 *buses = fdt_prop(t, node, "bus-range", &len);

		*p = (struct machine_pci){
			.segment = (u16)fdt_u32(t, node, "linux,pci-domain", m->npcis),
			.first_bus = buses && len == 8 ? load_be32(buses) : 0,
			.last_bus = buses && len == 8 ? load_be32(buses + 4) : 255,
			.ecam = reg_range(t, node, 0),
			.keep = keep,
		};
		if (p->first_bus > p->last_bus || p->last_bus > 255 || p->ecam.len < MiB)
			continue;
		p->last_bus = (u32)min((u64)p->last_bus, p->first_bus + p->ecam.len / MiB - 1);
		pci_windows(t, p, node);
		pci_maps(t, p, node);
		m->npcis++;
	}
}

bool fdt_machine(const struct fdt *t, struct machine *m)
{
	describe_cpus(t, m);
	describe_psci(t, m);
	bool gic = describe_gicv3(t, m) || describe_gicv2(t, m);
	u32 timer = fdt_compatible_next(t, FDT_NONE, "arm,armv8-timer");
	u32 rtc = fdt_compatible_next(t, FDT_NONE, "arm,pl031");

	if (timer != FDT_NONE)
		m->timer = irq_of(t, timer, 2); // secure, non-secure, virtual, hypervisor's
	describe_uarts(t, m);
	if (rtc != FDT_NONE)
		m->rtc = reg_range(t, rtc, 0);
	describe_pci(t, m);
	return gic;
}

// SPDX-License-Identifier: MIT
// pci_host.c: PCI hosts of the device tree: numbers their buses and gives their functions
// addresses, which no firmware does before `qemu -kernel`. Privileged; once, from pci_init().
//
// Where firmware has done it ("linux,pci-probe-only", or the first function that has registers has
// an address), everything is left as it is. Otherwise buses are numbered depth first, and on the
// way back each bridge is given what the functions behind it took, in whole MiB (ports: 4 KiB).
// Addresses are handed out upwards from each window. 64-bit registers may lie above 4 GiB where
// they do not fit below, on the first bus only: behind a bridge that takes its prefetchable window,
// which is kept closed.
//
// What a device says of itself is not trusted: buses run out, sizes are checked against the window,
// depth is bounded by the number of buses, of which each is entered once.
#include "base/types.h"
#include "core/arch/aarch64/machine.h"
#include "core/arch/aarch64/mmio.h"
#include "core/log.h"
#include "core/pci.h"
#include "core/slab.h"
#include <arch/pci.h>

// PCI 3.0, 6.1; PCI-to-PCI Bridge 1.2, 3.2
enum config_reg : u32 {
	CONFIG_VENDOR = 0x00,
	CONFIG_COMMAND = 0x04,
	CONFIG_CLASS = 0x0a, // subclass and class
	CONFIG_HEADER = 0x0e,
	CONFIG_BAR = 0x10,
	CONFIG_BUSES = 0x18, // primary, secondary, last, latency
	CONFIG_PORT_WINDOW = 0x1c,
	CONFIG_MEMORY_WINDOW = 0x20,
	CONFIG_PREFETCH_WINDOW = 0x24,
	CONFIG_PORT_WINDOW_HIGH = 0x30,
};
constexpr u32 COMMAND_DECODE = 3, COMMAND_BRIDGE = 7;
constexpr u32 HEADER_BRIDGE = 1, HEADER_MULTI = 0x80;
constexpr u64 BUS_BYTES = 1 * MiB;
constexpr u64 BRIDGE_MEMORY = 1 * MiB, BRIDGE_PORTS = 4 * KiB;
constexpr u32 DEPTH_MAX = 8; // of bridges behind bridges

enum space : u32 { SPACE_MEMORY, SPACE_WIDE, SPACE_PORTS, SPACES };

struct assign {
	const struct machine_pci *host;
	u64 next[SPACES], end[SPACES]; // addresses not yet given away
	u32 last_bus;		       // the highest number given away
	u32 refused;		       // registers without an address
};

static volatile u8 *function_at(volatile u8 *bus, u32 slot, u32 function)
{
	return bus + (slot << 15 | function << 12);
}

static volatile u8 *bus_map(const struct machine_pci *h, u32 bus)
{
	return mmio_map(phys(h->ecam.base + (bus - h->first_bus) * BUS_BYTES), BUS_BYTES);
}

// 0: there is not so much. Sizes are powers of two, and so the alignment.
static u64 take(struct assign *a, enum space s, u64 size)
{
	u64 at;

	if (!is_power_of_two(size) || !a->end[s] || !align_up_checked(a->next[s], size, &at) ||
	    at >= a->end[s] || size > a->end[s] - at)
		return 0;
	a->next[s] = at + size;
	return at;
}

// Which bits of a register can be written; decoding is off.
static u32 bar_probe(volatile u8 *reg)
{
	u32 old = mmio_read32(reg);

	mmio_write32(reg, ~0u);
	u32 mask = mmio_read32(reg);

	mmio_write32(reg, old);
	return mask;
}

// Gives one base address register its address; returns how many registers it is.
static u32 bar_assign(struct assign *a, volatile u8 *reg, bool last, bool first_bus)
{
	u32 low = mmio_read32(reg), mask = bar_probe(reg);

	if (!mask)
		return 1;
	if (low & 1) {
		u64 size = (u16) - (u16)(mask & ~3u), at = take(a, SPACE_PORTS, size);

		a->refused += !at;
		mmio_write32(reg, (u32)at);
		return 1;
	}
	bool wide = (low & 6) == 4 && !last;
	u64 size = -(u64)((wide ? (u64)bar_probe(reg + 4) << 32 : ~0ull << 32) | (mask & ~15u));
	u64 at = take(a, SPACE_MEMORY, size);

	if (!at && wide && first_bus)
		at = take(a, SPACE_WIDE, size);
	a->refused += !at;
	mmio_write32(reg, (u32)at);
	if (wide)
		mmio_write32(reg + 4, (u32)(at >> 32));
	return wide ? 2 : 1;
}

static void bars_assign(struct assign *a, volatile u8 *f, u32 count, bool first_bus)
{
	for (u32 i = 0; i < count;)
		i += bar_assign(a, f + CONFIG_BAR + 4 * i, i + 1 == count, first_bus);
}

// Where the bridge's windows begin: nothing but what is behind it lies there.
static void windows_align(struct assign *a)
{
	u64 at;

	if (align_up_checked(a->next[SPACE_MEMORY], BRIDGE_MEMORY, &at))
		a->next[SPACE_MEMORY] = at;
	if (align_up_checked(a->next[SPACE_PORTS], BRIDGE_PORTS, &at))
		a->next[SPACE_PORTS] = at;
}

// Opens [base, limit) of each space; a base above the limit closes it.
static void windows_open(const struct assign *a, const struct assign *before, volatile u8 *f)
{
	u64 base = before->next[SPACE_MEMORY], limit = a->next[SPACE_MEMORY];
	u32 memory = limit > base ? (u32)((base >> 16 & 0xfff0) | ((limit - 1) & 0xfff00000))
				  : 0x0000fff0;

	mmio_write32(f + CONFIG_MEMORY_WINDOW, memory);
	mmio_write32(f + CONFIG_PREFETCH_WINDOW, 0x0000fff0);
	base = before->next[SPACE_PORTS];
	limit = a->next[SPACE_PORTS];
	u32 ports = limit > base ? (u32)((base >> 8 & 0xf0) | ((limit - 1) & 0xf000)) : 0x00f0;

	mmio_write16(f + CONFIG_PORT_WINDOW, (u16)ports);
	mmio_write32(f + CONFIG_PORT_WINDOW_HIGH, 0);
}

static void bus_assign(struct assign *a, u32 bus, u32 depth);

static void bridge_assign(struct assign *a, volatile u8 *f, u32 bus, u32 depth)
{
	bars_assign(a, f, 2, false);
	if (depth == DEPTH_MAX || a->last_bus == a->host->last_bus) {
		log_warn("pci: no bus number is left for a bridge on bus %u", bus);
		return;
	}
	u32 behind = ++a->last_bus;

	windows_align(a);
	struct assign before = *a;

	// While what is behind is read, all numbers lead there.
	mmio_write32(f + CONFIG_BUSES, bus | behind << 8 | a->host->last_bus << 16);
	bus_assign(a, behind, depth + 1);
	windows_align(a);
	mmio_write32(f + CONFIG_BUSES, bus | behind << 8 | a->last_bus << 16);
	windows_open(a, &before, f);
	mmio_write16(f + CONFIG_COMMAND, mmio_read16(f + CONFIG_COMMAND) | COMMAND_BRIDGE);
}

// Whether there is a function, and in *multi whether its slot has more.
static bool function_assign(struct assign *a, volatile u8 *f, u32 bus, u32 depth, bool *multi)
{
	u16 vendor = mmio_read16(f + CONFIG_VENDOR);

	if (vendor == 0xffff || vendor == 0)
		return false;
	u8 header = mmio_read8(f + CONFIG_HEADER);

	*multi = header & HEADER_MULTI;
	mmio_write16(f + CONFIG_COMMAND, mmio_read16(f + CONFIG_COMMAND) & ~COMMAND_DECODE);
	if ((header & ~HEADER_MULTI) == HEADER_BRIDGE)
		bridge_assign(a, f, bus, depth);
	else if (!(header & ~HEADER_MULTI))
		bars_assign(a, f, 6, depth == 0);
	return true;
}

static void bus_assign(struct assign *a, u32 bus, u32 depth)
{
	volatile u8 *ecam = bus_map(a->host, bus);
	bool multi, ignored;

	if (!ecam) {
		log_err("pci: no memory to map bus %u", bus);
		return;
	}
	for (u32 slot = 0; slot < 32; slot++) {
		if (!function_assign(a, function_at(ecam, slot, 0), bus, depth, &multi) || !multi)
			continue;
		for (u32 function = 1; function < 8; function++)
			function_assign(a, function_at(ecam, slot, function), bus, depth, &ignored);
	}
}

// core/pci takes what stands in a register for what the CPU sees.
static void windows_take(struct assign *a)
{
	for (u32 i = 0; i < a->host->nwindows; i++) {
		const struct machine_window *w = &a->host->windows[i];
		enum space s = w->io ? SPACE_PORTS : w->wide ? SPACE_WIDE : SPACE_MEMORY;

		if (a->end[s] || !w->len || w->len > ~0ull - w->pci)
			continue;
		if (!w->io && w->pci != w->cpu) {
			log_warn("pci: addresses at %#llx are others on the bus; not used", w->cpu);
			continue;
		}
		if (s != SPACE_WIDE && w->pci + w->len > 4 * GiB)
			continue;
		// Address 0 would be none, and the first KiBs of ports are for what is older than
		// PCI.
		a->next[s] = max(w->pci, w->io ? BRIDGE_PORTS : BRIDGE_MEMORY);
		a->end[s] = w->pci + w->len;
		if (w->io)
			a->end[s] = min(a->end[s], 64 * KiB);
	}
}

// Whether the first function on the bus that has a register for memory has an address in it.
static bool is_assigned(const struct machine_pci *h)
{
	volatile u8 *ecam = bus_map(h, h->first_bus);

	for (u32 slot = 0; ecam && slot < 32; slot++) {
		volatile u8 *f = function_at(ecam, slot, 0);
		u16 vendor = mmio_read16(f + CONFIG_VENDOR);

		if (vendor == 0xffff || vendor == 0 ||
		    mmio_read8(f + CONFIG_HEADER) & (u8)~HEADER_MULTI)
			continue;
		for (u32 i = 0; i < 6; i++) {
			u32 bar = mmio_read32(f + CONFIG_BAR + 4 * i);

			if (!(bar & 1) && (bar & ~15u || (bar & 6) == 4))
				return bar & ~15u || mmio_read32(f + CONFIG_BAR + 4 * i + 4);
		}
	}
	return false;
}

bool arch_pci_host(u32 i, struct pci_host *host)
{
	if (i >= machine.npcis)
		return false;
	const struct machine_pci *h = &machine.pcis[i];

	if (!h->keep && !is_assigned(h)) {
		struct assign a = {.host = h, .last_bus = h->first_bus};

		windows_take(&a);
		bus_assign(&a, h->first_bus, 0);
		log_info("pci: addresses assigned on %u buses", a.last_bus - h->first_bus + 1);
		if (a.refused)
			log_warn("pci: for %u registers there was no address", a.refused);
	}
	*host = (struct pci_host){.segment = h->segment,
				  .first_bus = h->first_bus,
				  .last_bus = h->last_bus,
				  .ecam = h->ecam.base - h->first_bus * BUS_BYTES};
	return true;
}

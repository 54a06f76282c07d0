// SPDX-License-Identifier: MIT
// ioapic.c: I/O APICs: from interrupt lines (GSIs) to vectors of a CPU. Privileged.
//
// The list of controllers and overrides is immutable after ioapic_init. The index/data register
// pair and the routes are guarded by the irq lock of irq.c, which callers hold.
#include "base/acpi.h"
#include "base/errno.h"
#include "core/acpi.h"
#include "core/arch/x86_64/apic.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/slab.h"
#include <arch/paging.h>

constexpr u32 IOAPICS_MAX = 16;
constexpr u32 ISA_LINES = 16;

// Intel 82093AA, 3.2
enum ioapic_reg : u32 { IOAPIC_INDEX = 0x00, IOAPIC_DATA = 0x10 };
constexpr u32 IOAPIC_VERSION = 1;
constexpr u32 IOAPIC_ROUTE = 0x10; // two registers a line
constexpr u32 ROUTE_LOW_ACTIVE = 1 << 13;
constexpr u32 ROUTE_LEVEL = 1 << 15;
constexpr u32 ROUTE_MASKED = 1 << 16;

static struct ioapic {
	volatile u8 *registers;
	u32 gsi_base;
	u32 lines;
} ioapics[IOAPICS_MAX];
static u32 nioapics;

static struct isa_route {
	u32 gsi;
	bool level, active_low;
} isa_routes[ISA_LINES];

static u32 ioapic_read(const struct ioapic *a, u32 reg)
{
	mmio_write32(a->registers + IOAPIC_INDEX, reg);
	return mmio_read32(a->registers + IOAPIC_DATA);
}

static void ioapic_write(const struct ioapic *a, u32 reg, u32 value)
{
	mmio_write32(a->registers + IOAPIC_INDEX, reg);
	mmio_write32(a->registers + IOAPIC_DATA, value);
}

static const struct ioapic *ioapic_of(u32 gsi)
{
	for (u32 i = 0; i < nioapics; i++) {
		if (gsi >= ioapics[i].gsi_base && gsi - ioapics[i].gsi_base < ioapics[i].lines)
			return &ioapics[i];
	}
	return nullptr;
}

static void ioapic_add(u64 addr, u32 gsi_base)
{
	struct ioapic *a = &ioapics[nioapics];

	if (nioapics == IOAPICS_MAX) {
		log_warn("ioapic: more than %u controllers; the one at %#llx is not used",
			 IOAPICS_MAX, addr);
		return;
	}
	a->registers = mmio_map(phys(addr), PAGE_SIZE);
	if (!a->registers)
		panic("no memory to map an I/O APIC");
	u32 version = ioapic_read(a, IOAPIC_VERSION);

	if (version == ~0u) {
		log_warn("ioapic: nothing answers at %#llx", addr);
		return;
	}
	a->gsi_base = gsi_base;
	a->lines = (version >> 16 & 0xff) + 1;
	for (u32 line = 0; line < a->lines; line++)
		ioapic_write(a, IOAPIC_ROUTE + 2 * line, ROUTE_MASKED);
	nioapics++;
	log_info("ioapic: lines %u to %u", gsi_base, gsi_base + a->lines - 1);
}

// ISA lines are edge-triggered and active high unless firmware says otherwise (ACPI 6.5, 5.2.12.5).
static void override_add(const struct acpi_madt_override *o)
{
	if (o->bus != 0 || o->source >= ISA_LINES)
		return;
	isa_routes[o->source] = (struct isa_route){
		.gsi = o->gsi,
		.active_low = (o->flags & 3) == 3,
		.level = (o->flags >> 2 & 3) == 3,
	};
}

void ioapic_init(void)
{
	u32 len;
	size_t pos = 0;
	const struct acpi_madt *madt = acpi_table("APIC", 0, &len);
	const struct acpi_madt_entry *e;

	for (u32 i = 0; i < ISA_LINES; i++)
		isa_routes[i].gsi = i;
	if (!madt) {
		log_warn("ioapic: firmware has no MADT: one CPU, and no interrupts from lines");
		return;
	}
	while ((e = acpi_madt_next(madt, &pos))) {
		if (e->type == ACPI_MADT_IOAPIC) {
			const struct acpi_madt_ioapic *a = (const void *)e;
			ioapic_add(a->addr, a->gsi_base);
		} else if (e->type == ACPI_MADT_OVERRIDE) {
			override_add((const void *)e);
		}
	}
	if (!nioapics)
		log_warn("ioapic: the MADT lists none; no interrupts from lines");
}

bool ioapic_has_gsi(u32 gsi)
{
	return ioapic_of(gsi) != nullptr;
}

u32 ioapic_isa_gsi(u32 isa, bool *level, bool *active_low)
{
	assert(isa < ISA_LINES);
	*level = isa_routes[isa].level;
	*active_low = isa_routes[isa].active_low;
	return isa_routes[isa].gsi;
}

int ioapic_route(u32 gsi, u32 apic_id, u32 vector, bool level, bool active_low)
{
	const struct ioapic *a = ioapic_of(gsi);

	// Eight bits of destination; more would take interrupt remapping.
	if (!a || apic_id > 0xff)
		return -EINVAL;
	u32 reg = IOAPIC_ROUTE + 2 * (gsi - a->gsi_base);
	u32 low = vector | (level ? ROUTE_LEVEL : 0) | (active_low ? ROUTE_LOW_ACTIVE : 0);

	ioapic_write(a, reg, low | ROUTE_MASKED);
	ioapic_write(a, reg + 1, apic_id << 24);
	ioapic_write(a, reg, low);
	return 0;
}

void ioapic_mask(u32 gsi)
{
	const struct ioapic *a = ioapic_of(gsi);

	if (!a)
		return;
	u32 reg = IOAPIC_ROUTE + 2 * (gsi - a->gsi_base);

	ioapic_write(a, reg, ioapic_read(a, reg) | ROUTE_MASKED);
}

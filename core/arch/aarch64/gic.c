// SPDX-License-Identifier: MIT
// gic.c: the distributor's registers that GICv2 and GICv3 have in common. Privileged.
//
// Registers are numbered as in the GIC architecture specification (Arm IHI 0069, 12.9; IHI 0048,
// 4.3). The redistributors of GICv3 have the same ones for private interrupts.
#include "core/arch/aarch64/gic.h"

#include "core/arch/aarch64/mmio.h"

u32 gicd_nspis(volatile void *base)
{
	u32 lines = 32 * ((mmio_read32(gic_reg(base, GICD_TYPER)) & 0x1f) + 1);

	return min(lines, (u32)GIC_SPI_END) - GIC_SPI_FIRST;
}

void gicd_bit_set(volatile void *base, u32 reg, u32 intid)
{
	mmio_write32(gic_reg(base, reg + intid / 32 * 4), 1u << intid % 32);
}

// Two bits each, of which the upper one says edge. Software-generated ones are always of edges.
void gicd_trigger(volatile void *base, u32 intid, bool level)
{
	volatile u8 *p = gic_reg(base, GICD_ICFGR + intid / 16 * 4);
	u32 edge = 2u << intid % 16 * 2, old = mmio_read32(p);

	mmio_write32(p, level ? old & ~edge : old | edge);
}

void gicd_quiet(volatile void *base, u32 first, u32 end)
{
	for (u32 i = first; i < end; i += 32)
		mmio_write32(gic_reg(base, GICD_ICENABLER + i / 8), ~0u);
	for (u32 i = first; i < end; i += 4)
		mmio_write32(gic_reg(base, GICD_IPRIORITYR + i), GIC_PRIORITY * 0x01010101u);
	for (u32 i = max(first, 16u); i < end; i += 16)
		mmio_write32(gic_reg(base, GICD_ICFGR + i / 4), 0);
}

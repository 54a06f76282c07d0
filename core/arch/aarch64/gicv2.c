// SPDX-License-Identifier: MIT
// gicv2.c: the GICv2 interrupt controller (Arm IHI 0048): eight CPUs at most. Privileged.
//
// It is used as the firmware left its security: from the non-secure world all that is seen is group
// 1; where there is no secure world everything is in group 0, and both are signalled as IRQ. Either
// way bit 0 of the control registers turns them on.
#include "base/errno.h"
#include "core/arch/aarch64/gic.h"
#include "core/arch/aarch64/machine.h"
#include "core/arch/aarch64/mmio.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/slab.h"

enum gicc_reg : u32 {
	GICC_CTLR = 0x0,
	GICC_PMR = 0x4,
	GICC_BPR = 0x8,
	GICC_IAR = 0xc,
	GICC_EOIR = 0x10,
};
constexpr u32 GICC_ENABLE = 1, GICC_BYPASS = 0x1e0; // the latter is firmware's
constexpr u32 CPUS = 8;
constexpr u32 SENDER_SHIFT = 24; // in our words: above the number

static volatile u8 *distributor, *interface; // immutable after gicv2_init
static u8 targets[CPUS]; // the bit that names each CPU here; immutable once it is up

// In IAR and EOIR the sender stands from bit 10 on.
static u32 v2_acknowledge(void)
{
	u32 iar = mmio_read32(interface + GICC_IAR);

	return (iar & 0x3ff) | (iar >> 10 & 7) << SENDER_SHIFT;
}

static void v2_end(u32 word)
{
	mmio_write32(interface + GICC_EOIR, (word & 0x3ff) | word >> SENDER_SHIFT << 10);
}

static void v2_send(u32 cpu, u32 sgi)
{
	mmio_wmb();
	mmio_write32(distributor + GICD_SGIR, (u32)targets[cpu] << 16 | sgi);
}

// The target registers of private interrupts read as the bit of who reads.
static u8 target_self(void)
{
	u32 word = 0;

	for (u32 i = 0; i < GIC_SPI_FIRST && !word; i += 4)
		word = mmio_read32(distributor + GICD_ITARGETSR + i);
	word |= word >> 16;
	return (u8)(word | word >> 8) ?: 1; // with one CPU they may read as zero
}

static void v2_init_cpu(u32 cpu)
{
	if (cpu >= CPUS)
		panic("a GICv2 has no room for CPU %u", cpu);
	targets[cpu] = target_self();
	gicd_quiet(distributor, 0, GIC_SPI_FIRST);
	mmio_write32(distributor + GICD_ISENABLER, 0xffff); // messages
	mmio_write32(interface + GICC_PMR, GIC_PRIORITY_MASK);
	mmio_write32(interface + GICC_BPR, 0);
	mmio_write32(interface + GICC_CTLR,
		     (mmio_read32(interface + GICC_CTLR) & GICC_BYPASS) | GICC_ENABLE);
}

static void v2_route(u32 spi, u32 cpu)
{
	mmio_write8(distributor + GICD_ITARGETSR + spi, targets[cpu]);
}

static void v2_trigger(u32 intid, bool level)
{
	gicd_trigger(distributor, intid, level);
}

static void v2_enable(u32 intid)
{
	gicd_bit_set(distributor, GICD_ISENABLER, intid);
}

static void v2_disable(u32 intid)
{
	gicd_bit_set(distributor, GICD_ICENABLER, intid);
	mmio_rmb(); // the write was posted; a read waits for it
	(void)mmio_read32(distributor + GICD_ICENABLER + intid / 32 * 4);
}

static void v2_pend(u32 spi, bool on)
{
	gicd_bit_set(distributor, on ? GICD_ISPENDR : GICD_ICPENDR, spi);
}

const struct gic_driver *gicv2_init(u32 *nspis)
{
	static const struct gic_driver driver = {
		.name = "GICv2",
		.acknowledge = v2_acknowledge,
		.end = v2_end,
		.send = v2_send,
		.init_cpu = v2_init_cpu,
		.route = v2_route,
		.trigger = v2_trigger,
		.enable = v2_enable,
		.disable = v2_disable,
		.pend = v2_pend,
	};

	if (!machine.gicd.len || !machine.gicc.len) {
		log_err("gic: firmware does not say where both parts of the GICv2 lie");
		return nullptr;
	}
	distributor = mmio_map(phys(machine.gicd.base), machine.gicd.len);
	interface = mmio_map(phys(machine.gicc.base), machine.gicc.len);
	if (!distributor || !interface)
		panic("no memory to map the interrupt controller");
	*nspis = gicd_nspis(distributor);
	mmio_write32(distributor + GICD_CTLR, 0);
	gicd_quiet(distributor, GIC_SPI_FIRST, align_up(GIC_SPI_FIRST + *nspis, 32u));
	mmio_write32(distributor + GICD_CTLR, 1);
	return &driver;
}

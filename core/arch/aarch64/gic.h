// SPDX-License-Identifier: MIT
// gic.h: the interrupt controllers (GICv2, GICv3) and what turns devices' messages into interrupts:
// what irq.c and the drivers share. Privileged.
#pragma once

#include "base/types.h"
#include "core/percpu.h"

// Numbers of interrupts (INTIDs; Arm IHI 0069, 2.2). Below GIC_PPI_FIRST: messages between CPUs.
enum gic_intid : u32 {
	GIC_PPI_FIRST = 16,
	GIC_SPI_FIRST = 32,
	GIC_SPI_END = 1020,
	GIC_SPECIAL_END = 1024, // from GIC_SPI_END on: there is nothing to do
	GIC_LPI_FIRST = 8192,
};
// What acknowledging gave has more than the number: GICv2's has who sent it.
static inline u32 gic_intid(u32 word)
{
	return word & 0xffffff;
}

enum gicd_reg : u32 {
	GICD_CTLR = 0x0,
	GICD_TYPER = 0x4,
	GICD_IGROUPR = 0x80,
	GICD_ISENABLER = 0x100,
	GICD_ICENABLER = 0x180,
	GICD_ISPENDR = 0x200,
	GICD_ICPENDR = 0x280,
	GICD_IPRIORITYR = 0x400,
	GICD_ITARGETSR = 0x800, // GICv2
	GICD_ICFGR = 0xc00,
	GICD_IGRPMODR = 0xd00, // GICv3
	GICD_SGIR = 0xf00,     // GICv2
	GICD_IROUTER = 0x6000, // GICv3
};

constexpr u8 GIC_PRIORITY = 0xa0;      // of everything
constexpr u8 GIC_PRIORITY_MASK = 0xf0; // lets it through

static __always_inline volatile u8 *gic_reg(volatile void *base, u32 offset)
{
	return (volatile u8 *)base + offset;
}

u32 gicd_nspis(volatile void *base);			    // from GIC_SPI_FIRST on
void gicd_bit_set(volatile void *base, u32 reg, u32 intid); // in an array of one bit each
void gicd_trigger(volatile void *base, u32 intid, bool level);
// Interrupts [first, end): disabled, level-triggered, of one priority. Multiples of 32.
void gicd_quiet(volatile void *base, u32 first, u32 end);

struct gic_driver {
	const char *name;
	u32 (*acknowledge)(void);
	void (*end)(u32 word);
	void (*send)(u32 cpu, u32 sgi);
	void (*init_cpu)(u32 cpu);
	// Of shared interrupts: the caller holds the irq lock. Private ones are this CPU's.
	void (*route)(u32 spi, u32 cpu);
	void (*trigger)(u32 intid, bool level); // while it is disabled
	void (*enable)(u32 intid);
	void (*disable)(u32 intid);	// returns when it is
	void (*pend)(u32 spi, bool on); // as if raised, or not
};
// *nspis: how many shared interrupts it has. nullptr: it does not work, which was said.
const struct gic_driver *gicv2_init(u32 *nspis);
const struct gic_driver *gicv3_init(u32 *nspis);

// ---- messages of devices ----

struct msi_message {
	u64 address; // where the device writes
	u32 data;    // what
	u32 intid;   // to raise this
};

// GICv2's frames (v2m.c): writes that raise shared interrupts. -ENOSPC: none is free.
bool v2m_init(u32 nspis); // false: there is none
int v2m_alloc(struct msi_message *m);
void v2m_free(u32 intid);
bool v2m_owns(u32 intid);
void v2m_raise(u32 intid); // for tests: as a device would

// GICv3's interrupt translation services (its.c). May sleep.
constexpr u32 LPIS = 2048; // from GIC_LPI_FIRST on
bool its_init(void);	   // after gicv3_init(); false: there is none
void its_init_cpu(u32 cpu);
// source: core/irq.h. -ENODEV: no service takes its messages; -ENOSPC; -ENOMEM; -EIO: it answers no
// more.
int its_alloc(u32 source, u32 cpu, struct msi_message *m);
void its_free(u32 intid);  // no message of it comes any more
void its_raise(u32 intid); // for tests: as a device would

// gicv3.c: the redistributor of a CPU that has done irq_init_cpu().
volatile u8 *gicv3_redistributor(u32 cpu, u64 *at);
u32 gicv3_id_bits(void); // of interrupt numbers

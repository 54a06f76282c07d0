// SPDX-License-Identifier: MIT
// gicv3.c: the GICv3 interrupt controller (Arm IHI 0069): a distributor, a redistributor for each
// CPU, and the CPU's interface in system registers. Privileged.
//
// Everything is in group 1, which is signalled as IRQ. Affinity routing is on: a CPU is named by
// the affinity bits of its MPIDR_EL1. Message interrupts of devices (LPIs) are its.c's.
#include "base/errno.h"
#include "core/arch/aarch64/gic.h"
#include "core/arch/aarch64/machine.h"
#include "core/arch/aarch64/mmio.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/slab.h"

constexpr u32 CTLR_GROUP_1 = 1 << 1, CTLR_AFFINITY = 1 << 4, CTLR_PENDING = 1u << 31;
enum gicr_reg : u32 { GICR_CTLR = 0, GICR_TYPER = 8, GICR_WAKER = 0x14 };
constexpr u32 RCTLR_PENDING = 1 << 3;
constexpr u64 TYPER_VLPIS = 1 << 1, TYPER_LAST = 1 << 4;
constexpr u32 WAKER_SLEEP = 1 << 1, WAKER_ASLEEP = 1 << 2;
constexpr u64 FRAME = 64 * KiB; // a redistributor has two, or four
constexpr u32 WAITS = 10000000; // reads until hardware is given up

static volatile u8 *distributor; // immutable after gicv3_init
// By place in machine.mpidr; immutable after gicv3_init.
static struct redistributor {
	volatile u8 *registers; // its second frame is like a distributor of private interrupts
	u64 at;
} redistributors[CPU_MAX];
// By CPU number; immutable once that is up.
static struct {
	const struct redistributor *redistributor;
	u64 affinity;
} cpus[CPU_MAX];

#define READ_REG(name)                                                  \
	({                                                              \
		u64 v_;                                                 \
		__asm__ volatile("mrs %0, " name : "=r"(v_)::"memory"); \
		v_;                                                     \
	})
#define WRITE_REG(name, v) __asm__ volatile("msr " name ", %0" ::"r"((u64)(v)) : "memory")
// IHI 0069, 12.2; by number, for assemblers need not know the names.
#define ICC_PMR		   "S3_0_C4_C6_0"
#define ICC_SGI1R	   "S3_0_C12_C11_5"
#define ICC_IAR1	   "S3_0_C12_C12_0"
#define ICC_EOIR1	   "S3_0_C12_C12_1"
#define ICC_BPR1	   "S3_0_C12_C12_3"
#define ICC_CTLR	   "S3_0_C12_C12_4"
#define ICC_SRE		   "S3_0_C12_C12_5"
#define ICC_GRPEN1	   "S3_0_C12_C12_7"

static u32 v3_acknowledge(void)
{
	u64 iar = READ_REG(ICC_IAR1);

	__asm__ volatile("dsb sy" ::
				 : "memory"); // it is acknowledged before the device is looked at
	return (u32)iar;
}

static void v3_end(u32 word)
{
	WRITE_REG(ICC_EOIR1, word);
	__asm__ volatile("isb" ::: "memory");
}

// Up to 16 CPUs of one cluster have a bit each; more of a cluster are a range of their own.
static void v3_send(u32 cpu, u32 sgi)
{
	u64 a = cpus[cpu].affinity, aff0 = a & 0xff;

	__asm__ volatile("dsb ishst" ::: "memory");
	WRITE_REG(ICC_SGI1R, (a >> 32 & 0xff) << 48 | (aff0 >> 4) << 44 | (a >> 16 & 0xff) << 32 |
				     (u64)sgi << 24 | (a >> 8 & 0xff) << 16 | 1ull << (aff0 & 15));
	__asm__ volatile("isb" ::: "memory");
}

static void wait_clear(volatile u8 *reg, u32 bit, const char *what)
{
	for (u32 i = 0; mmio_read32(reg) & bit; i++)
		if (i == WAITS)
			panic("the interrupt controller does not answer (%s)", what);
}

static void distributor_wait(void)
{
	wait_clear(distributor + GICD_CTLR, CTLR_PENDING, "distributor");
}

static volatile u8 *private_frame(void)
{
	return cpus[this_cpu_id()].redistributor->registers + FRAME;
}

static volatile u8 *frame_of(u32 intid)
{
	return intid < GIC_SPI_FIRST ? private_frame() : distributor;
}

static void redistributor_wake(volatile u8 *r)
{
	mmio_write32(r + GICR_WAKER, mmio_read32(r + GICR_WAKER) & ~WAKER_SLEEP);
	wait_clear(r + GICR_WAKER, WAKER_ASLEEP, "waking a redistributor");
}

static void v3_init_cpu(u32 cpu)
{
	u64 affinity = READ_REG("mpidr_el1") & MACHINE_AFFINITY;
	const struct redistributor *r = nullptr;

	for (u32 i = 0; i < machine.ncpus && !r; i++)
		if (machine.mpidr[i] == affinity && redistributors[i].registers)
			r = &redistributors[i];
	if (!r)
		panic("firmware lists no redistributor for CPU %u (affinity %#llx)", cpu, affinity);
	cpus[cpu].redistributor = r;
	cpus[cpu].affinity = affinity;
	redistributor_wake(r->registers);
	volatile u8 *frame = r->registers + FRAME;

	gicd_quiet(frame, 0, GIC_SPI_FIRST);
	mmio_write32(frame + GICD_IGROUPR, ~0u);
	mmio_write32(frame + GICD_IGRPMODR, 0);
	mmio_write32(frame + GICD_ISENABLER, 0xffff); // messages
	wait_clear(r->registers + GICR_CTLR, RCTLR_PENDING, "redistributor");

	WRITE_REG(ICC_SRE, READ_REG(ICC_SRE) | 1);
	__asm__ volatile("isb" ::: "memory");
	if (!(READ_REG(ICC_SRE) & 1))
		panic("firmware keeps the GICv3's system registers from this kernel");
	WRITE_REG(ICC_PMR, GIC_PRIORITY_MASK);
	WRITE_REG(ICC_BPR1, 0);
	WRITE_REG(ICC_CTLR, READ_REG(ICC_CTLR) & ~2ull); // the end of an interrupt ends all of it
	WRITE_REG(ICC_GRPEN1, 1);
	__asm__ volatile("isb" ::: "memory");
}

static void v3_route(u32 spi, u32 cpu)
{
	mmio_write64(distributor + GICD_IROUTER + 8 * spi, cpus[cpu].affinity);
}

static void v3_trigger(u32 intid, bool level)
{
	gicd_trigger(frame_of(intid), intid, level);
}

static void v3_enable(u32 intid)
{
	gicd_bit_set(frame_of(intid), GICD_ISENABLER, intid);
}

static void v3_disable(u32 intid)
{
	gicd_bit_set(frame_of(intid), GICD_ICENABLER, intid);
	if (intid >= GIC_SPI_FIRST)
		distributor_wait();
}

volatile u8 *gicv3_redistributor(u32 cpu, u64 *at)
{
	*at = cpus[cpu].redistributor->at;
	return cpus[cpu].redistributor->registers;
}

u32 gicv3_id_bits(void)
{
	return (mmio_read32(distributor + GICD_TYPER) >> 19 & 0x1f) + 1;
}

// ---- finding the redistributors ----

static volatile u8 *frames_map(u64 at, u64 len)
{
	volatile u8 *p = mmio_map(phys(at), len);

	if (!p)
		panic("no memory to map the interrupt controller");
	return p;
}

// Takes the one at `at`, if it is of a CPU that we know. Returns its TYPER.
static u64 redistributor_add(u64 at)
{
	volatile u8 *p = frames_map(at, 2 * FRAME);
	u64 typer = mmio_read64(p + GICR_TYPER), affinity = typer >> 32;

	// Here the four numbers stand next to each other; in MPIDR the last one has moved up.
	affinity = (affinity & 0xffffff) | (affinity >> 24) << 32;
	for (u32 i = 0; i < machine.ncpus; i++)
		if (machine.mpidr[i] == affinity)
			redistributors[i] = (struct redistributor){p, at};
	return typer;
}

static bool all_found(void)
{
	for (u32 i = 0; i < machine.ncpus; i++)
		if (!redistributors[i].registers)
			return false;
	return true;
}

static void region_walk(struct machine_range region)
{
	u64 stride;

	for (u64 at = 0; region.len - at >= 2 * FRAME && !all_found(); at += stride) {
		u64 typer = redistributor_add(region.base + at);

		stride = machine.gicr_stride ?: typer & TYPER_VLPIS ? 4 * FRAME : 2 * FRAME;
		if (typer & TYPER_LAST || stride > region.len - at)
			break;
	}
}

static void v3_pend(u32 spi, bool on)
{
	gicd_bit_set(distributor, on ? GICD_ISPENDR : GICD_ICPENDR, spi);
}

const struct gic_driver *gicv3_init(u32 *nspis)
{
	static const struct gic_driver driver = {
		.name = "GICv3",
		.acknowledge = v3_acknowledge,
		.end = v3_end,
		.send = v3_send,
		.init_cpu = v3_init_cpu,
		.route = v3_route,
		.trigger = v3_trigger,
		.enable = v3_enable,
		.disable = v3_disable,
		.pend = v3_pend,
	};

	if (machine.gicd.len < FRAME) {
		log_err("gic: firmware does not say where the GICv3's distributor lies");
		return nullptr;
	}
	distributor = frames_map(machine.gicd.base, FRAME);
	for (u32 i = 0; i < machine.ncpus; i++)
		if (machine.cpu_gicr[i])
			redistributor_add(machine.cpu_gicr[i]);
	for (u32 i = 0; i < machine.ngicrs; i++)
		region_walk(machine.gicrs[i]);

	*nspis = gicd_nspis(distributor);
	u32 end = align_up(GIC_SPI_FIRST + *nspis, 32u);

	mmio_write32(distributor + GICD_CTLR, 0);
	distributor_wait();
	gicd_quiet(distributor, GIC_SPI_FIRST, end);
	for (u32 i = GIC_SPI_FIRST; i < end; i += 32) {
		mmio_write32(distributor + GICD_IGROUPR + i / 8, ~0u);
		mmio_write32(distributor + GICD_IGRPMODR + i / 8, 0);
	}
	mmio_write32(distributor + GICD_CTLR, CTLR_AFFINITY | CTLR_GROUP_1);
	distributor_wait();
	return &driver;
}

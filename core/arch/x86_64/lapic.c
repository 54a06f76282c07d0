// SPDX-License-Identifier: MIT
// lapic.c: the local APIC of each CPU (xAPIC and x2APIC): end of interrupt, messages to other CPUs,
// timer. Privileged.
//
// Registers are those of Intel SDM 3A chapter 11, numbered by their offset in the xAPIC page; in
// x2APIC mode register r is MSR 0x800 + r/16. Each CPU touches its own registers only, with
// interrupts off where two writes belong together, so there is no lock. What lapic_init_bsp and
// lapic_timer_set_hz decide is immutable from then on.
#include "core/arch/x86_64/apic.h"

#include "base/acpi.h"
#include "base/atomic.h"
#include "base/muldiv.h"
#include "core/acpi.h"
#include "core/arch/x86_64/clock.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/preempt.h"
#include "core/slab.h"
#include <arch/paging.h>

enum lapic_reg : u32 {
	REG_ID = 0x20,
	REG_TPR = 0x80,
	REG_SVR = 0xf0,
	REG_ESR = 0x280,
	REG_ICR = 0x300,
	REG_ICR_HIGH = 0x310, // xAPIC only
	REG_LVT_TIMER = 0x320,
	REG_LVT_THERMAL = 0x330,
	REG_LVT_PERF = 0x340,
	REG_LVT_LINT0 = 0x350,
	REG_LVT_LINT1 = 0x360,
	REG_LVT_ERROR = 0x370,
	REG_TIMER_INITIAL = 0x380,
	REG_TIMER_CURRENT = 0x390,
	REG_TIMER_DIVIDE = 0x3e0,
};

constexpr u64 APIC_BASE_X2 = 1 << 10;
constexpr u64 APIC_BASE_ENABLE = 1 << 11;
constexpr u64 APIC_BASE_ADDR = 0x000ffffffffff000;
constexpr u32 SVR_ENABLE = 1 << 8;
constexpr u32 LVT_MASKED = 1 << 16;
constexpr u32 LVT_NMI = 4 << 8;
constexpr u32 LVT_TIMER_TSC_DEADLINE = 2 << 17;
constexpr u32 ICR_NMI = 4 << 8;
constexpr u32 ICR_INIT = 5 << 8;
constexpr u32 ICR_STARTUP = 6 << 8;
constexpr u32 ICR_BUSY = 1 << 12;
constexpr u32 ICR_ASSERT = 1 << 14;
constexpr u32 ICR_LEVEL = 1 << 15;
constexpr u32 DIVIDE_BY_1 = 0xb;
constexpr u32 DIVIDE_BY_16 = 0x3;
constexpr u32 XAPIC_IDS = 255; // 0xff is everybody

bool lapic_x2;
volatile void *lapic_registers;

static bool deadline_timer;
static bool icr_is_synchronous; // a hypervisor takes the message in the write itself
static u32 divide = DIVIDE_BY_1;
static u64 count_per_ns_32; // timer counts a nanosecond, 32 fraction bits

static __always_inline u32 lapic_read(u32 reg)
{
	if (lapic_x2)
		return (u32)rdmsr(MSR_X2APIC + reg / 16);
	return mmio_read32((volatile u8 *)lapic_registers + reg);
}

static __always_inline void lapic_write(u32 reg, u32 value)
{
	if (lapic_x2)
		wrmsr(MSR_X2APIC + reg / 16, value);
	else
		mmio_write32((volatile u8 *)lapic_registers + reg, value);
}

bool lapic_present(void)
{
	return lapic_x2 || lapic_registers;
}

u32 lapic_id(void)
{
	if (lapic_x2)
		return lapic_read(REG_ID);
	if (lapic_registers)
		return lapic_read(REG_ID) >> 24;
	if (cpuid(0, 0).eax >= 0xb && cpuid(0xb, 0).ebx)
		return cpuid(0xb, 0).edx;
	return cpuid(1, 0).ebx >> 24;
}

// x2APIC where firmware chose it, where ids demand it, and under hypervisors, which make its
// registers cheaper. On bare hardware it otherwise wants interrupt remapping, so xAPIC stays.
static bool want_x2apic(u64 base, bool hypervisor)
{
	if (base & APIC_BASE_X2)
		return true;
	if (!(cpuid(1, 0).ecx & BIT(21)))
		return false;
	return hypervisor || lapic_id() >= XAPIC_IDS;
}

static void enable_this_cpu(void)
{
	u64 base = rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE;

	wrmsr(MSR_APIC_BASE, base); // x2APIC is entered from enabled xAPIC only
	if (lapic_x2 && !(base & APIC_BASE_X2))
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2);
	lapic_write(REG_TPR, 0);
	lapic_write(REG_LVT_LINT0, LVT_MASKED); // the 8259's; we use the I/O APIC
	lapic_write(REG_LVT_LINT1, LVT_NMI);
	lapic_write(REG_LVT_ERROR, LVT_MASKED);
	lapic_write(REG_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
	lapic_write(REG_ESR, 0);
	lapic_timer_init_cpu();
}

void lapic_init_bsp(void)
{
	struct cpuid_regs features = cpuid(1, 0);
	bool hypervisor = features.ecx & BIT(31);

	if (!(features.edx & BIT(9))) {
		log_err("apic: this CPU has no local APIC; there will be no interrupts");
		return;
	}
	u64 base = rdmsr(MSR_APIC_BASE);

	deadline_timer = features.ecx & BIT(24);
	icr_is_synchronous = hypervisor;
	if (want_x2apic(base, hypervisor)) {
		lapic_x2 = true;
	} else {
		lapic_registers = mmio_map(phys(base & APIC_BASE_ADDR), PAGE_SIZE);
		if (!lapic_registers)
			panic("no memory to map the local APIC");
	}
	enable_this_cpu();
	log_info("apic: %s, boot CPU has id %u, timer %s", lapic_x2 ? "x2APIC" : "xAPIC",
		 lapic_id(), deadline_timer ? "by TSC deadline" : "one-shot");
}

void lapic_init_ap(void)
{
	enable_this_cpu();
}

// Bounded: a message that the bus never takes must not hang a panic.
static void icr_wait(void)
{
	if (icr_is_synchronous)
		return;
	for (u32 i = 0; i < 1000000 && lapic_read(REG_ICR) & ICR_BUSY; i++)
		cpu_pause();
}

static void icr_send(u32 apic_id, u32 low)
{
	if (!lapic_present())
		return;
	if (lapic_x2) {
		// The MSR write is not ordered after earlier stores by itself, and the receiver
		// must see them.
		__asm__ volatile("mfence; lfence" ::: "memory");
		wrmsr(MSR_X2APIC + REG_ICR / 16, (u64)apic_id << 32 | low);
		return;
	}
	irqflags_t flags = irq_save();

	icr_wait();
	lapic_write(REG_ICR_HIGH, apic_id << 24);
	lapic_write(REG_ICR, low);
	irq_restore(flags);
}

void lapic_send_ipi(u32 apic_id, u32 vector)
{
	icr_send(apic_id, vector | ICR_ASSERT);
}

void lapic_send_nmi(u32 apic_id)
{
	icr_send(apic_id, ICR_NMI | ICR_ASSERT);
}

void lapic_send_init(u32 apic_id)
{
	icr_send(apic_id, ICR_INIT | ICR_ASSERT | ICR_LEVEL);
	icr_wait();
	icr_send(apic_id, ICR_INIT | ICR_LEVEL); // de-assert; ignored by all but the oldest
	if (!icr_is_synchronous)
		delay_ns(10000000); // real CPUs need it (SDM 3A, 8.4.4.1)
}

void lapic_send_startup(u32 apic_id, u32 page)
{
	assert(page < 256);
	icr_send(apic_id, ICR_STARTUP | ICR_ASSERT | page);
	icr_wait();
}

void lapic_timer_init_cpu(void)
{
	if (deadline_timer) {
		lapic_write(REG_LVT_TIMER, LVT_TIMER_TSC_DEADLINE | VECTOR_TIMER);
		// Orders the register write before the first write of the MSR (SDM 3A, 11.5.4.1).
		__asm__ volatile("mfence" ::: "memory");
	} else {
		lapic_write(REG_TIMER_DIVIDE, divide);
		lapic_write(REG_LVT_TIMER, VECTOR_TIMER);
	}
	lapic_timer_stop();
}

bool lapic_timer_is_deadline(void)
{
	return deadline_timer;
}

void lapic_timer_count_start(u32 count)
{
	lapic_write(REG_TIMER_DIVIDE, DIVIDE_BY_1);
	lapic_write(REG_TIMER_INITIAL, count);
}

u32 lapic_timer_count(void)
{
	return lapic_read(REG_TIMER_CURRENT);
}

// A counter of 32 bits should last a minute, so that idle CPUs are not woken for nothing.
void lapic_timer_set_hz(u64 hz)
{
	if (hz > 100000000) {
		divide = DIVIDE_BY_16;
		hz /= 16;
	}
	count_per_ns_32 = mul_div_u64(hz, 1ull << 32, 1000000000);
	lapic_timer_init_cpu();
}

void lapic_timer_after_ns(u64 ns)
{
	u64 count;

	// Rounded up: an interrupt that comes before its time is taken twice.
	if (__builtin_mul_overflow(ns, count_per_ns_32, &count))
		count = ~0ull;
	count = (count >> 32) + 1;
	lapic_write(REG_TIMER_INITIAL, (u32)min(count, 0xffffffffull));
}

void lapic_timer_at_tsc(u64 tsc)
{
	wrmsr(MSR_TSC_DEADLINE, max(tsc, 1ull)); // 0 would disarm
}

void lapic_timer_stop(void)
{
	if (deadline_timer)
		wrmsr(MSR_TSC_DEADLINE, 0);
	else
		lapic_write(REG_TIMER_INITIAL, 0);
}

static u32 cpu_add(u32 *apic_ids, u32 n, u32 max, u32 id, u32 flags)
{
	if (!(flags & ACPI_MADT_ENABLED) || n >= max || (!lapic_x2 && id >= XAPIC_IDS))
		return n;
	for (u32 i = 0; i < n; i++) {
		if (apic_ids[i] == id) // firmware may list a CPU both ways
			return n;
	}
	apic_ids[n] = id;
	return n + 1;
}

u32 madt_cpu_list(u32 *apic_ids, u32 max)
{
	u32 len, n = 1;
	size_t pos = 0;
	const struct acpi_madt *madt = acpi_table("APIC", 0, &len);
	const struct acpi_madt_entry *e;

	if (!max)
		return 0;
	apic_ids[0] = lapic_id();
	if (!madt || !lapic_present())
		return 1;
	while ((e = acpi_madt_next(madt, &pos))) {
		if (e->type == ACPI_MADT_LAPIC) {
			const struct acpi_madt_lapic *l = (const void *)e;
			n = cpu_add(apic_ids, n, max, l->apic_id, l->flags);
		} else if (e->type == ACPI_MADT_X2APIC) {
			const struct acpi_madt_x2apic *l = (const void *)e;
			n = cpu_add(apic_ids, n, max, l->x2apic_id, l->flags);
		}
	}
	return n;
}

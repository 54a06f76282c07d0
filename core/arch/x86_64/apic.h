// SPDX-License-Identifier: MIT
// apic.h: local and I/O APICs, vectors, messages between CPUs: what the x86-64 core shares inside
// itself. Privileged.
//
// Order at boot, on the boot CPU: acpi_init(), irq_init() (core/irq.h: masks the 8259s,
// lapic_init_bsp(), I/O APICs), time_init() (needs the local APIC). On every other CPU:
// lapic_init_ap(), then time_init_cpu().
#pragma once

#include "base/types.h"
#include "core/arch/x86_64/x86.h"

// Vectors above the exceptions. Devices get theirs from [VECTOR_DEVICE_FIRST, VECTOR_DEVICE_LAST]
// of one CPU's table.
enum vector : u32 {
	VECTOR_DEVICE_FIRST = 0x20,
	VECTOR_DEVICE_LAST = 0xef,
	VECTOR_TIMER = 0xf0,
	VECTOR_RESCHEDULE = 0xf1,
	VECTOR_CALL = 0xf2,
	VECTOR_SPURIOUS = 0xff, // gets no EOI
};

// Trap entry calls it for device vectors, interrupts off: runs the handlers, counts, sends the EOI.
void irq_dispatch(u32 vector);

void lapic_init_bsp(void);
void lapic_init_ap(void);
bool lapic_present(void); // false: one CPU, no interrupts but what the boot log says

// This CPU's id; valid from the first instruction on (CPUID before lapic_init).
u32 lapic_id(void);

extern bool lapic_x2;		       // registers are MSRs; immutable after lapic_init_bsp
extern volatile void *lapic_registers; // xAPIC only; immutable after lapic_init_bsp

static __always_inline void lapic_eoi(void)
{
	constexpr u32 EOI = 0xb0;

	if (lapic_x2)
		wrmsr(MSR_X2APIC + EOI / 16, 0);
	else
		mmio_write32((volatile u8 *)lapic_registers + EOI, 0);
}

// Any context, NMI included. Waits only for the bus to take an earlier message (bounded).
void lapic_send_ipi(u32 apic_id, u32 vector);
void lapic_send_nmi(u32 apic_id);

// Starting a CPU (Intel SDM 3A, 8.4.4): INIT (which waits 10 ms on hardware, not under a
// hypervisor), STARTUP, and once more after 200 us if the CPU has not shown up. page: number of the
// 4 KiB page (below 256) where it begins in real mode.
void lapic_send_init(u32 apic_id);
void lapic_send_startup(u32 apic_id, u32 page);

// APIC ids of the CPUs that firmware lists as enabled and that this kernel can address, the boot
// CPU's first. Returns how many were stored (1 without a MADT).
u32 madt_cpu_list(u32 *apic_ids, u32 max);

// The timer of this CPU's local APIC (lapic.c); deadlines and calibration are in clock.c.
void lapic_timer_init_cpu(void);	 // mode and vector, stopped
bool lapic_timer_is_deadline(void);	 // fires at a TSC value, needs no calibration
void lapic_timer_count_start(u32 count); // for calibration: counts down from count by the undivided
					 // clock, no interrupt wanted
u32 lapic_timer_count(void);
void lapic_timer_set_hz(u64 hz);   // of the undivided clock. Chooses the divider. Boot CPU, before
				   // the first lapic_timer_after_ns
void lapic_timer_after_ns(u64 ns); // one interrupt, after ns (0: at once; may come early when far
				   // away). Interrupts off
void lapic_timer_at_tsc(u64 tsc);  // the same with a TSC deadline
void lapic_timer_stop(void);

// I/O APICs (ioapic.c). GSI: global system interrupt number.
void ioapic_init(void);
bool ioapic_has_gsi(u32 gsi);
// What ISA interrupt line leads to, as MADT overrides it.
u32 ioapic_isa_gsi(u32 isa, bool *level, bool *active_low);
// Routes and unmasks / masks. Caller holds the irq lock. -EINVAL: no such GSI.
int ioapic_route(u32 gsi, u32 apic_id, u32 vector, bool level, bool active_low);
void ioapic_mask(u32 gsi);

void pic_mask_all(void); // the 8259s (pic.c)

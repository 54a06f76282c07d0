// SPDX-License-Identifier: MIT
// Device interrupts. Privileged.
#pragma once
#include "base/types.h"
#include "core/percpu.h"
#include <arch/cpu.h> // cpu_cycles

typedef void (*irq_handler_t)(void *arg); // interrupts off; must not sleep

// Lines of the interrupt controller (ISA numbers 0..15 as firmware overrides them; else GSI). Level
// or edge as firmware says. Several handlers may share a line. 0 or -EINVAL, -ENOMEM.
int irq_line_add(u32 line, bool isa, irq_handler_t fn, void *arg, const char *name);
void irq_line_remove(u32 line, bool isa, irq_handler_t fn, void *arg);
// For handlers that leave quieting the device to a thread: a level-triggered line does not
// interrupt while one of its handlers holds it. Each holds it once, however often it says so, and
// no longer than it is there. Of edge-triggered ones nothing is held, so that no edge is missed.
// fn and arg say whose hold it is. Any context.
void irq_line_hold(u32 line, bool isa, irq_handler_t fn, void *arg, bool on);

// A message-signalled interrupt: *address and *data go into the device's MSI capability or MSI-X
// entry. source: who sends it, as the interrupt controller may want to know: of a PCI function its
// segment << 16 | bus << 8 | slot << 3 | function. cpu: where it is served. May sleep.
int irq_msi_alloc(u32 source, u32 cpu, irq_handler_t fn, void *arg, const char *name, u64 *address,
		  u32 *data, u32 *handle);
void irq_msi_free(u32 handle); // waits until no handler runs
struct irq_info {
	const char *name;
	const char *chip;
	u32 number;
	u64 counts[64];
};
bool irq_info_get(u32 index, struct irq_info *out); // for /proc/interrupts; false after the last

// When interrupts came, for whoever makes random numbers of it: the cycle counter at each one,
// folded into a few words of its CPU. Written in interrupts; other CPUs read it racily.
struct irq_timing {
	u64 words[4];
	u32 count; // of what was folded in; wraps
};
DECLARE_PERCPU(struct irq_timing, irq_timing);
// In an interrupt: a few instructions, no lock.
static inline void irq_timing_note(void)
{
	struct irq_timing *t = this_cpu_ptr(irq_timing);
	u64 *word = &t->words[t->count++ % ARRAY_SIZE(t->words)];

	*word = (*word << 7 | *word >> 57) ^ cpu_cycles();
}

void irq_init(void); // finds and programs the controllers

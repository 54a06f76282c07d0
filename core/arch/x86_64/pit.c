// SPDX-License-Identifier: MIT
// pit.c: counters of last resort to measure the TSC against: ACPI's timer and the 8254. Privileged.
#include "base/acpi.h"
#include "core/acpi.h"
#include "core/arch/x86_64/clock.h"
#include "core/arch/x86_64/x86.h"

constexpr u64 ACPI_TIMER_HZ = 3579545;
constexpr u64 PIT_HZ = 1193182;
constexpr u16 PIT_CHANNEL_2 = 0x42, PIT_COMMAND = 0x43, PIT_GATE = 0x61;

static u16 acpi_timer_port; // immutable after acpi_timer_init

static u64 acpi_timer_read(void)
{
	return inl(acpi_timer_port);
}

bool acpi_timer_init(struct clock_reference *ref)
{
	u32 len;
	const struct acpi_fadt *fadt = acpi_table("FACP", 0, &len);

	if (!fadt || !acpi_has(fadt, pm_tmr_len) || fadt->pm_tmr_len != 4 || !fadt->pm_tmr_blk ||
	    fadt->pm_tmr_blk > 0xffff)
		return false;
	acpi_timer_port = (u16)fadt->pm_tmr_blk;
	*ref = (struct clock_reference){
		.name = "ACPI timer",
		.hz = ACPI_TIMER_HZ,
		.mask = 0xffffff, // 24 bits on every machine
		.read = acpi_timer_read,
	};
	for (u32 i = 0; i < 100; i++) { // one tick is a third of a microsecond
		if (acpi_timer_read() != acpi_timer_read())
			return true;
	}
	return false;
}

// Counts down; the latch command freezes a value for the two reads.
static u64 pit_read(void)
{
	outb(PIT_COMMAND, 0x80);
	u32 low = inb(PIT_CHANNEL_2);

	return 0xffff - (low | (u32)inb(PIT_CHANNEL_2) << 8);
}

// Channel 2, whose output leads to the speaker only, in mode 2 with the longest period, 55 ms.
bool pit_init(struct clock_reference *ref)
{
	outb(PIT_GATE, (inb(PIT_GATE) & ~2) | 1);
	outb(PIT_COMMAND, 0xb4);
	outb(PIT_CHANNEL_2, 0);
	outb(PIT_CHANNEL_2, 0);
	*ref = (struct clock_reference){
		.name = "pit", .hz = PIT_HZ, .mask = 0xffff, .read = pit_read};
	u64 first = pit_read();

	for (u32 i = 0; i < 100; i++) {
		if (pit_read() != first)
			return true;
	}
	return false;
}

// SPDX-License-Identifier: MIT
// hpet.c: the high-precision event timer's counter (IA-PC HPET specification 1.0a). Privileged.
//
// Only the low half of the main counter is read: one slow device access instead of three, and
// narrow devices need no code of their own. hpet_read() widens it by what it remembers.
#include "base/acpi.h"
#include "base/atomic.h"
#include "core/acpi.h"
#include "core/arch/x86_64/clock.h"
#include "core/arch/x86_64/x86.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/slab.h"
#include <arch/paging.h>

enum hpet_reg : u32 { HPET_CAPABILITIES = 0x000, HPET_CONFIG = 0x010, HPET_COUNTER = 0x0f0 };
constexpr u32 CONFIG_ENABLE = 1, CONFIG_LEGACY = 2;
constexpr u32 PERIOD_MAX_FS = 100000000; // 10 MHz at least
constexpr u64 FS_PER_S = 1000000000000000;

static volatile u8 *registers; // immutable after hpet_init
static u64 hz;		       // likewise
static atomic_u64 seen;	       // a recent value of the widened counter

static u64 hpet_read_low(void)
{
	return mmio_read32(registers + HPET_COUNTER);
}

u64 hpet_read(void)
{
	assert(registers);
	u64 base = atomic_load(&seen);
	// The distance to a value at most half a period old (or, racing with another CPU, a little
	// ahead) is exact as s32.
	s32 distance = (s32)((u32)hpet_read_low() - (u32)base);
	u64 now = base + (u64)(s64)distance;

	if (distance > 1 << 24)
		atomic_try_cmpxchg(&seen, &base, now);
	return now;
}

u64 hpet_hz(void)
{
	return hz;
}

bool hpet_init(struct clock_reference *ref)
{
	u32 len;
	const struct acpi_hpet *table = acpi_table("HPET", 0, &len);

	if (!table || len < sizeof(*table) || table->base.space != ACPI_SPACE_MEMORY ||
	    !table->base.address)
		return false;
	volatile u8 *regs = mmio_map(phys(table->base.address), PAGE_SIZE);

	if (!regs)
		return false;
	u32 period_fs = mmio_read32(regs + HPET_CAPABILITIES + 4);

	if (!period_fs || period_fs > PERIOD_MAX_FS) {
		log_warn("hpet: a period of %u fs makes no sense; not used", period_fs);
		return false;
	}
	u32 config = mmio_read32(regs + HPET_CONFIG);

	mmio_write32(regs + HPET_CONFIG, (config & ~CONFIG_LEGACY) | CONFIG_ENABLE);
	registers = regs;
	hz = (FS_PER_S + period_fs / 2) / period_fs;
	atomic_store(&seen, hpet_read_low());
	*ref = (struct clock_reference){
		.name = "hpet",
		.hz = hz,
		.mask = 0xffffffff,
		.read = hpet_read_low,
	};
	return true;
}

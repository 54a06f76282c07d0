// SPDX-License-Identifier: MIT
// rtc_pl031.c: the PL031 real-time clock (Arm DDI 0224), read once at boot. Privileged.
#include "core/arch/aarch64/cpu_priv.h"
#include "core/arch/aarch64/machine.h"
#include "core/arch/aarch64/mmio.h"
#include "core/slab.h"

constexpr u32 RTC_DATA = 0; // seconds since 1970, by convention

s64 rtc_read_unix(void)
{
	static volatile void *registers;

	if (machine.rtc.len < 4)
		return -1;
	if (!registers)
		registers = mmio_map(phys(machine.rtc.base), machine.rtc.len);
	return registers ? mmio_read32((volatile u8 *)registers + RTC_DATA) : -1;
}

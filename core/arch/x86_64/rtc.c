// SPDX-License-Identifier: MIT
// rtc.c: the CMOS clock, read once at boot (Motorola MC146818). Privileged.
#include "base/acpi.h"
#include "base/civil_time.h"
#include "base/string.h"
#include "core/acpi.h"
#include "core/arch/x86_64/clock.h"
#include "core/arch/x86_64/x86.h"

enum cmos_reg : u8 {
	CMOS_SECOND = 0,
	CMOS_MINUTE = 2,
	CMOS_HOUR = 4,
	CMOS_DAY = 7,
	CMOS_MONTH = 8,
	CMOS_YEAR = 9,
	CMOS_STATUS_A = 10,
	CMOS_STATUS_B = 11,
	CMOS_STATUS_D = 13,
};
constexpr u8 A_UPDATING = 0x80;
constexpr u8 B_24_HOURS = 0x02, B_BINARY = 0x04;
constexpr u8 HOUR_PM = 0x80;

static u8 cmos_read(u8 reg)
{
	outb(0x70, 0x80 | reg); // with the NMI gate closed as long as the index counts
	u8 value = inb(0x71);

	outb(0x70, CMOS_STATUS_D);
	return value;
}

struct rtc_bytes {
	u8 second, minute, hour, day, month, year, century;
};

static void rtc_read_once(struct rtc_bytes *t, u8 century_reg)
{
	// An update takes 2 ms at most.
	for (u32 i = 0; i < 40 && cmos_read(CMOS_STATUS_A) & A_UPDATING; i++)
		delay_ns(100000);
	*t = (struct rtc_bytes){
		.second = cmos_read(CMOS_SECOND),
		.minute = cmos_read(CMOS_MINUTE),
		.hour = cmos_read(CMOS_HOUR),
		.day = cmos_read(CMOS_DAY),
		.month = cmos_read(CMOS_MONTH),
		.year = cmos_read(CMOS_YEAR),
		.century = century_reg ? cmos_read(century_reg) : 0,
	};
}

static u8 decode(u8 value, bool binary)
{
	return binary ? value : (u8)((value >> 4) * 10 + (value & 15));
}

static u8 century_register(void)
{
	u32 len;
	const struct acpi_fadt *fadt = acpi_table("FACP", 0, &len);

	return fadt && acpi_has(fadt, century) && fadt->century < 0x80 ? fadt->century : 0;
}

s64 rtc_read_unix(void)
{
	u8 century_reg = century_register();
	struct rtc_bytes t, again;

	// Two equal readings: no update fell between.
	rtc_read_once(&t, century_reg);
	for (u32 i = 0; i < 4; i++) {
		rtc_read_once(&again, century_reg);
		if (memcmp(&t, &again, sizeof(t)) == 0)
			break;
		t = again;
	}
	u8 status = cmos_read(CMOS_STATUS_B);
	bool binary = status & B_BINARY;
	bool pm = !(status & B_24_HOURS) && t.hour & HOUR_PM;
	u8 hour = decode(status & B_24_HOURS ? t.hour : t.hour & ~HOUR_PM, binary);

	if (!(status & B_24_HOURS))
		hour = hour % 12 + (pm ? 12 : 0);
	u32 year = decode(t.year, binary);
	u32 century = decode(t.century, binary);

	if (century_reg && century >= 19 && century <= 29)
		year += century * 100;
	else
		year += year < 70 ? 2000 : 1900;

	struct civil_time civil = {
		.year = year,
		.month = decode(t.month, binary),
		.day = decode(t.day, binary),
		.hour = hour,
		.minute = decode(t.minute, binary),
		.second = decode(t.second, binary),
	};
	return civil_is_valid(&civil) ? civil_to_unix(&civil) : -1;
}

// SPDX-License-Identifier: MIT
// civil_time.h: dates of the (proleptic) Gregorian calendar and seconds since 1970, in UTC.
#pragma once

#include "base/types.h"

struct civil_time {
	s64 year;   // e.g. 2024
	u8 month;   // 1..12
	u8 day;	    // 1..31
	u8 hour;    // 0..23
	u8 minute;  // 0..59
	u8 second;  // 0..59
	u8 weekday; // 0 = Sunday; output only
	u16 yday;   // 0..365; output only
};

// Seconds since 1970-01-01T00:00:00; the fields must be in range, |year| below 10^11.
s64 civil_to_unix(const struct civil_time *t);
// The date of a second.
struct civil_time civil_from_unix(s64 seconds);
// Days in a month, 28..31.
unsigned int civil_days_in_month(s64 year, unsigned int month);
// Whether all input fields are in range: for clocks that return nonsense.
bool civil_is_valid(const struct civil_time *t);

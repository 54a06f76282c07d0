// SPDX-License-Identifier: MIT
// civil_time.c: dates and seconds since 1970.
//
// The year is taken to begin on the 1st of March, so that the leap day is its last day and the
// months' lengths follow one linear formula. Days are counted in eras of 400 years, which all have
// 146097 days.
#include "base/civil_time.h"

constexpr s64 SECONDS_PER_DAY = 86400;
constexpr s64 DAYS_PER_ERA = 146097;
constexpr s64 ERA_START_TO_1970 = 719468; // days from 0000-03-01 to 1970-01-01

static s64 div_floor(s64 n, s64 d)
{
	return n / d - (n % d < 0);
}

static bool is_leap(s64 year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

unsigned int civil_days_in_month(s64 year, unsigned int month)
{
	if (month == 2)
		return is_leap(year) ? 29 : 28;
	return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

bool civil_is_valid(const struct civil_time *t)
{
	return t->month >= 1 && t->month <= 12 && t->day >= 1 &&
	       t->day <= civil_days_in_month(t->year, t->month) && t->hour < 24 && t->minute < 60 &&
	       t->second < 60;
}

static s64 days_from_civil(s64 year, unsigned int month, unsigned int day)
{
	year -= month <= 2;
	s64 era = div_floor(year, 400);
	s64 year_of_era = year - era * 400;
	s64 march_month = (month + 9) % 12; // 0 = March
	s64 day_of_year = (153 * march_month + 2) / 5 + day - 1;
	s64 day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return era * DAYS_PER_ERA + day_of_era - ERA_START_TO_1970;
}

s64 civil_to_unix(const struct civil_time *t)
{
	return days_from_civil(t->year, t->month, t->day) * SECONDS_PER_DAY + t->hour * 3600 +
	       t->minute * 60 + t->second;
}

struct civil_time civil_from_unix(s64 seconds)
{
	s64 days = div_floor(seconds, SECONDS_PER_DAY);
	s64 rest = seconds - days * SECONDS_PER_DAY;
	s64 era = div_floor(days + ERA_START_TO_1970, DAYS_PER_ERA);
	s64 day_of_era = days + ERA_START_TO_1970 - era * DAYS_PER_ERA;
	// The corrections take out the leap days of 4, 100 and 400 years before dividing by 365.
	s64 year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
			   day_of_era / (DAYS_PER_ERA - 1)) /
			  365;
	s64 day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	s64 march_month = (5 * day_of_year + 2) / 153;
	s64 month = march_month < 10 ? march_month + 3 : march_month - 9;
	s64 year = year_of_era + era * 400 + (month <= 2);

	return (struct civil_time){
		.year = year,
		.month = (u8)month,
		.day = (u8)(day_of_year - (153 * march_month + 2) / 5 + 1),
		.hour = (u8)(rest / 3600),
		.minute = (u8)(rest / 60 % 60),
		.second = (u8)(rest % 60),
		// 1970-01-01 was a Thursday.
		.weekday = (u8)(days + 4 - div_floor(days + 4, 7) * 7),
		.yday = (u16)(days - days_from_civil(year, 1, 1)),
	};
}

// SPDX-License-Identifier: MIT
// civil_time_test.c: tests of civil_time.c.
#include "base/civil_time.h"
#include "base/ktest.h"

static s64 unix_of(s64 year, u8 month, u8 day, u8 hour, u8 minute, u8 second)
{
	struct civil_time t = {year, month, day, hour, minute, second, 0, 0};

	return civil_to_unix(&t);
}

KTEST(civil_time, known_dates)
{
	// As `date -u -d ... +%s` says.
	EXPECT_EQ(unix_of(1970, 1, 1, 0, 0, 0), 0);
	EXPECT_EQ(unix_of(1969, 12, 31, 23, 59, 59), -1);
	EXPECT_EQ(unix_of(2000, 2, 29, 12, 0, 0), 951825600);
	EXPECT_EQ(unix_of(2038, 1, 19, 3, 14, 8), 2147483648);
	EXPECT_EQ(unix_of(2100, 3, 1, 0, 0, 0), 4107542400);
	EXPECT_EQ(unix_of(1900, 1, 1, 0, 0, 0), -2208988800);
	EXPECT_EQ(unix_of(9999, 12, 31, 23, 59, 59), 253402300799);
	EXPECT_EQ(unix_of(1, 1, 1, 0, 0, 0), -62135596800);
}

KTEST(civil_time, weekday_and_day_of_year)
{
	struct civil_time t = civil_from_unix(1709164800 + 3661); // Thursday 2024-02-29T01:01:01

	EXPECT_EQ(t.year, 2024);
	EXPECT_EQ(t.month, 2);
	EXPECT_EQ(t.day, 29);
	EXPECT_EQ(t.hour, 1);
	EXPECT_EQ(t.minute, 1);
	EXPECT_EQ(t.second, 1);
	EXPECT_EQ(t.weekday, 4);
	EXPECT_EQ(t.yday, 59);
	EXPECT_EQ(civil_from_unix(-1).weekday, 3);
	EXPECT_EQ(civil_from_unix(-86400 * 5).weekday, 6);
}

KTEST(civil_time, every_day_of_eight_centuries)
{
	s64 day = unix_of(1600, 1, 1, 0, 0, 0) / 86400;

	for (s64 year = 1600; year < 2400; year++) {
		u16 yday = 0;

		for (u8 month = 1; month <= 12; month++) {
			for (u8 d = 1; d <= civil_days_in_month(year, month); d++) {
				struct civil_time t = civil_from_unix(day * 86400 + 86399);

				ASSERT_TRUE(t.year == year && t.month == month && t.day == d);
				ASSERT_EQ(t.yday, yday++);
				ASSERT_EQ(civil_to_unix(&t), day * 86400 + 86399);
				day++;
			}
		}
	}
}

KTEST(civil_time, validity)
{
	struct civil_time t = {2023, 2, 28, 23, 59, 59, 0, 0};

	EXPECT_TRUE(civil_is_valid(&t));
	t.day = 29;
	EXPECT_FALSE(civil_is_valid(&t));
	t.year = 2000;
	EXPECT_TRUE(civil_is_valid(&t));
	t.year = 1900;
	EXPECT_FALSE(civil_is_valid(&t));
	t = (struct civil_time){2023, 13, 1, 0, 0, 0, 0, 0};
	EXPECT_FALSE(civil_is_valid(&t));
	t = (struct civil_time){2023, 0, 1, 0, 0, 0, 0, 0};
	EXPECT_FALSE(civil_is_valid(&t));
	t = (struct civil_time){2023, 1, 1, 24, 0, 0, 0, 0};
	EXPECT_FALSE(civil_is_valid(&t));
}

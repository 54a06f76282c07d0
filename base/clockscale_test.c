// SPDX-License-Identifier: MIT
// clockscale_test.c: tests of clockscale.c and muldiv.c.
#include "base/clockscale.h"
#include "base/errno.h"
#include "base/ktest.h"

KTEST(muldiv, exact)
{
	EXPECT_EQ(mul_div_u64(7, 6, 5), 8);
	EXPECT_EQ(mul_div_u64(~0ull, ~0ull, ~0ull), ~0ull);
	EXPECT_EQ(mul_div_u64(1ull << 63, 6, 4), 3ull << 62);
	EXPECT_EQ(mul_div_u64(~0ull, 2, 1), ~0ull); // saturates
	EXPECT_EQ(mul_div_u64(0, 5, 3), 0);
	EXPECT_EQ(mul_u64_shr(~0ull, ~0ull, 64), ~0ull - 1);
	EXPECT_EQ(mul_u64_shr(3, 5, 0), 15);
}

KTEST(muldiv, random)
{
	u64 seed = 7;

	// q = a * b / d  <=>  q * d <= a * b < (q + 1) * d, in 128 bits.
	for (int i = 0; i < 5000; i++) {
		u64 a = ktest_random(&seed) >> (ktest_random(&seed) & 63);
		u64 b = ktest_random(&seed) >> (ktest_random(&seed) & 63);
		u64 d = (ktest_random(&seed) >> (ktest_random(&seed) & 63)) | 1;
		unsigned __int128 product = (unsigned __int128)a * b;
		u64 q = mul_div_u64(a, b, d);

		if ((u64)(product >> 64) >= d) {
			ASSERT_EQ(q, ~0ull);
			continue;
		}
		unsigned __int128 low = (unsigned __int128)q * d;

		ASSERT_TRUE(low <= product && product - low < d);
	}
}

KTEST(clockscale, common_frequencies)
{
	static const u64 hz[] = {3579545,    10000000,	 24000000,   62500000,	 1000000000,
				 2000000000, 2419200000, 3700123456, 5800000000, 1193182};

	for (size_t i = 0; i < ARRAY_SIZE(hz); i++) {
		struct clockscale to_ns, to_ticks;

		ASSERT_EQ(clockscale_init(&to_ns, hz[i], NSEC_PER_SEC, 1), 0);
		ASSERT_EQ(clockscale_init(&to_ticks, NSEC_PER_SEC, hz[i], 1), 0);
		EXPECT_GE(to_ns.max_in, hz[i]);
		// A day's worth, to 2^-24 and better.
		u64 ns = clockscale_apply_wide(&to_ns, hz[i] * 86400);
		u64 error = ns > 86400 * NSEC_PER_SEC ? ns - 86400 * NSEC_PER_SEC
						      : 86400 * NSEC_PER_SEC - ns;

		EXPECT_LT(error, 86400 * NSEC_PER_SEC >> 24);
		EXPECT_EQ(clockscale_apply(&to_ns, to_ns.max_in),
			  clockscale_apply_wide(&to_ns, to_ns.max_in));
		u64 ticks = clockscale_apply(&to_ticks, NSEC_PER_SEC);

		EXPECT_LE(ticks, hz[i] + 1 + (hz[i] >> 24));
		EXPECT_GE(ticks, hz[i] - 1 - (hz[i] >> 24));
	}
}

KTEST(clockscale, range_is_kept)
{
	struct clockscale s;

	// Ten minutes at 3 GHz cost precision, but fit.
	ASSERT_EQ(clockscale_init(&s, 3000000000, NSEC_PER_SEC, 600), 0);
	EXPECT_GE(s.max_in, 3000000000ull * 600);
	u64 ns = clockscale_apply(&s, 3000000000ull * 600);

	EXPECT_GT(ns, 599999 * NSEC_PER_MSEC);
	EXPECT_LT(ns, 600001 * NSEC_PER_MSEC);
	EXPECT_EQ(clockscale_init(&s, 0, NSEC_PER_SEC, 1), -ERANGE);
	EXPECT_EQ(clockscale_init(&s, 1000, 0, 1), -ERANGE);
	EXPECT_EQ(clockscale_init(&s, ~0ull, NSEC_PER_SEC, 2), -ERANGE);
	EXPECT_EQ(clockscale_init(&s, 1, ~0ull, 1), -ERANGE);
}

constexpr u64 TSC_HZ = 2419200000;
constexpr u64 HPET_HZ = 100000000;

// A trial of about 1 ms whose end read of the TSC was `late` ticks off.
static struct clock_trial trial(u64 *seed, u64 late, u64 latency)
{
	u64 ref = 100000 + ktest_random(seed) % 1000;

	return (struct clock_trial){
		.delta = mul_div_u64(ref, TSC_HZ, HPET_HZ) + late,
		.ref_delta = ref,
		.latency = latency,
	};
}

KTEST(clock_estimate, clean_trials)
{
	struct clock_trial trials[20];
	struct clock_estimate e;
	u64 seed = 8;

	for (int i = 0; i < 20; i++)
		trials[i] = trial(&seed, 0, 2000 + ktest_random(&seed) % 1000);
	ASSERT_EQ(clock_estimate_hz(trials, 20, HPET_HZ, 100, &e), 0);
	EXPECT_LE(e.hz, TSC_HZ + 24192);
	EXPECT_GE(e.hz, TSC_HZ - 24192);
	EXPECT_EQ(e.used, 20);
	EXPECT_LE(e.spread_ppm, 10);
}

KTEST(clock_estimate, preempted_trials_are_refused)
{
	struct clock_trial trials[20];
	struct clock_estimate e;
	u64 seed = 9;

	// Most trials were interrupted for milliseconds at one of their ends; their latency shows
	// it.
	for (int i = 0; i < 20; i++) {
		u64 stolen = i % 4 ? 5000000 + ktest_random(&seed) % 20000000 : 0;

		trials[i] = trial(&seed, stolen, 2000 + stolen);
	}
	ASSERT_EQ(clock_estimate_hz(trials, 20, HPET_HZ, 100, &e), 0);
	EXPECT_LE(e.hz, TSC_HZ + 24192);
	EXPECT_GE(e.hz, TSC_HZ - 24192);
	EXPECT_EQ(e.used, 5);
}

KTEST(clock_estimate, quick_trials_outvote_slow_ones)
{
	struct clock_trial trials[20];
	struct clock_estimate e;
	u64 seed = 17;

	// Fifteen trials agree on a wrong frequency, but took three times as long as the other
	// five.
	for (int i = 0; i < 20; i++)
		trials[i] = i % 4 ? trial(&seed, 5000, 6000) : trial(&seed, 0, 2000);
	ASSERT_EQ(clock_estimate_hz(trials, 20, HPET_HZ, 100, &e), 0);
	EXPECT_LE(e.hz, TSC_HZ + 24192);
	EXPECT_GE(e.hz, TSC_HZ - 24192);
	EXPECT_EQ(e.used, 5);
}

KTEST(clock_estimate, silent_outliers_are_refused)
{
	struct clock_trial trials[11];
	struct clock_estimate e;
	u64 seed = 10;

	// Wrong by 0.5 % although the latency looks fine.
	for (int i = 0; i < 11; i++)
		trials[i] = trial(&seed, i % 3 ? 0 : 12000, 2000);
	ASSERT_EQ(clock_estimate_hz(trials, 11, HPET_HZ, 200, &e), 0);
	EXPECT_LE(e.hz, TSC_HZ + 24192);
	EXPECT_EQ(e.used, 7);
}

KTEST(clock_estimate, disagreement_is_an_error)
{
	struct clock_trial trials[12];
	struct clock_estimate e;
	u64 seed = 11;

	for (int i = 0; i < 12; i++)
		trials[i] = trial(&seed, (u64)i * 10000, 2000);
	EXPECT_EQ(clock_estimate_hz(trials, 12, HPET_HZ, 100, &e), -EAGAIN);
	for (int i = 0; i < 2; i++)
		trials[i] = trial(&seed, 0, 2000);
	EXPECT_EQ(clock_estimate_hz(trials, 2, HPET_HZ, 100, &e), -EAGAIN);
	// Latency as long as the trial: nothing is known.
	for (int i = 0; i < 12; i++)
		trials[i] = trial(&seed, 0, 2000000);
	EXPECT_EQ(clock_estimate_hz(trials, 12, HPET_HZ, 100, &e), -EAGAIN);
	EXPECT_EQ(clock_estimate_hz(trials, 0, HPET_HZ, 100, &e), -EINVAL);
	EXPECT_EQ(clock_estimate_hz(trials, 12, 0, 100, &e), -EINVAL);
}

// Samples of a counter of TSC_HZ against the HPET, a quarter of a millisecond apart.
static void samples_make(struct clock_sample *s, u64 ref_mask)
{
	for (u32 i = 0; i < CLOCK_SAMPLES_MAX; i++) {
		u64 ref = 0xfffff000 + (u64)i * HPET_HZ / 4000;

		s[i] = (struct clock_sample){.count = mul_div_u64(ref, TSC_HZ, HPET_HZ),
					     .reference = ref & ref_mask,
					     .latency = 2000};
	}
}

static bool is_about(u64 hz, u64 wanted)
{
	return hz > wanted - wanted / 1000 && hz < wanted + wanted / 1000;
}

KTEST(clock_samples, a_reference_that_goes_round)
{
	struct clock_sample s[CLOCK_SAMPLES_MAX];
	struct clock_estimate e;

	samples_make(s, 0xffffffff); // during the first trial
	ASSERT_EQ(clock_samples_hz(s, CLOCK_SAMPLES_MAX, HPET_HZ, 0xffffffff, 500, &e), 0);
	EXPECT_TRUE(is_about(e.hz, TSC_HZ));
	samples_make(s, 0x7ffff);
	ASSERT_EQ(clock_samples_hz(s, CLOCK_SAMPLES_MAX, HPET_HZ, 0x7ffff, 500, &e), 0);
	EXPECT_TRUE(is_about(e.hz, TSC_HZ));
}

KTEST(clock_samples, away_for_a_whole_round)
{
	struct clock_sample s[CLOCK_SAMPLES_MAX];
	struct clock_estimate e;

	// In the middle, so that every trial has it inside.
	samples_make(s, 0xffffff);
	for (u32 i = CLOCK_SAMPLES_MAX / 2; i < CLOCK_SAMPLES_MAX; i++)
		s[i].count += mul_div_u64(0x1000000, TSC_HZ, HPET_HZ);
	EXPECT_EQ(clock_samples_hz(s, CLOCK_SAMPLES_MAX, HPET_HZ, 0xffffff, 500, &e), -EAGAIN);
	EXPECT_TRUE(
		is_about(clock_samples_rough_hz(s, CLOCK_SAMPLES_MAX, HPET_HZ, 0xffffff), TSC_HZ));
	for (u32 i = 0; i < CLOCK_SAMPLES_MAX; i++)
		s[i].reference = 5; // it stands still
	EXPECT_EQ(clock_samples_hz(s, CLOCK_SAMPLES_MAX, HPET_HZ, 0xffffff, 500, &e), -EAGAIN);
}

KTEST(clock_samples, whole_megahertz)
{
	EXPECT_EQ(clock_hz_round(2600000000, 0), 2600000000);
	EXPECT_EQ(clock_hz_round(2600002000, 500000), 2600000000);
	EXPECT_EQ(clock_hz_round(2600002000, 0), 2600000000);
	EXPECT_EQ(clock_hz_round(2600002000, 5000000), 2600002000);
	EXPECT_EQ(clock_hz_round(2600020000, 0), 2600020000);
	EXPECT_EQ(clock_hz_round(3, 0), 3);
}

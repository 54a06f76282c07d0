// SPDX-License-Identifier: MIT
// clockscale.c: scale factors between clocks, and calibration.
#include "base/clockscale.h"

#include "base/errno.h"
#include "base/sort.h"

int clockscale_init(struct clockscale *scale, u64 from_hz, u64 to_hz, u32 range_s)
{
	u64 wanted;

	if (!from_hz || !to_hz || __builtin_mul_overflow(from_hz, (u64)range_s, &wanted))
		return -ERANGE;
	for (unsigned int shift = 32; shift < 33; shift--) {
		// Rounded to nearest. A quotient that saturates fails the test below.
		u64 scaled = mul_div_u64(to_hz, 2ull << shift, from_hz);
		u64 mult = scaled / 2 + scaled % 2;

		if (mult == 0)
			return -ERANGE;
		if (mult > UINT32_MAX || ~0ull / mult < wanted)
			continue;
		*scale = (struct clockscale){
			.mult = (u32)mult, .shift = shift, .max_in = ~0ull / mult};
		return 0;
	}
	return -ERANGE;
}

static int by_latency(const void *a, const void *b, void *)
{
	const struct clock_trial *x = a, *y = b;

	return x->latency < y->latency ? -1 : x->latency > y->latency;
}

static u64 trial_hz(const struct clock_trial *t, u64 ref_hz)
{
	return t->ref_delta ? mul_div_u64(t->delta, ref_hz, t->ref_delta) : 0;
}

static int by_frequency(const void *a, const void *b, void *ref_hz)
{
	u64 x = trial_hz(a, *(const u64 *)ref_hz), y = trial_hz(b, *(const u64 *)ref_hz);

	return x < y ? -1 : x > y;
}

static u64 distance(u64 a, u64 b)
{
	return a > b ? a - b : b - a;
}

int clock_estimate_hz(struct clock_trial *trials, size_t count, u64 ref_hz, u32 tolerance_ppm,
		      struct clock_estimate *estimate)
{
	size_t quick = 0, used = 0;
	u64 sum = 0;

	if (!ref_hz || !count)
		return -EINVAL;
	sort(trials, count, sizeof(*trials), by_latency, nullptr);
	u64 shortest = trials[0].latency;

	// Sorted by latency: the quick ones come first. Those too short for their own latency say
	// nothing either and are moved out of the way.
	for (size_t i = 0; i < count && trials[i].latency / 2 <= shortest; i++)
		if (trials[i].latency <= trials[i].delta / 64 && trials[i].ref_delta)
			trials[quick++] = trials[i];
	if (quick < 3)
		return -EAGAIN;
	sort(trials, quick, sizeof(*trials), by_frequency, &ref_hz);
	u64 median = trial_hz(&trials[quick / 2], ref_hz);
	u64 tolerance = mul_div_u64(median, tolerance_ppm, 1000000);

	for (size_t i = 0; i < quick; i++) {
		u64 hz = trial_hz(&trials[i], ref_hz);

		if (distance(hz, median) > tolerance)
			continue;
		trials[used++] = trials[i];
		// Averaging the distances from the low end of the tolerance keeps the sum small.
		sum += hz - (median - tolerance);
	}
	if (used < 3 || used <= quick / 2)
		return -EAGAIN;
	u64 mean = median - tolerance + sum / used, spread = 0;

	for (size_t i = 0; i < used; i++)
		spread = max(spread, distance(trial_hz(&trials[i], ref_hz), mean));
	*estimate = (struct clock_estimate){
		.hz = mean,
		.used = (u32)used,
		.spread_ppm = (u32)mul_div_u64(spread, 1000000, max(mean, 1)),
	};
	return 0;
}

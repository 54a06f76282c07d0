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

u64 clock_samples_rough_hz(const struct clock_sample *s, u32 n, u64 ref_hz, u64 ref_mask)
{
	u64 sorted[CLOCK_SAMPLES_MAX - 1];

	for (u32 i = 0; i < n - 1; i++) {
		u64 ticks = max((s[i + 1].reference - s[i].reference) & ref_mask, 1ull);
		u64 hz = mul_div_u64(s[i + 1].count - s[i].count, ref_hz, ticks);
		u32 at = i;

		for (; at && sorted[at - 1] > hz; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = hz;
	}
	return sorted[(n - 1) / 2];
}

int clock_samples_hz(const struct clock_sample *s, u32 n, u64 ref_hz, u64 ref_mask,
		     u32 tolerance_ppm, struct clock_estimate *estimate)
{
	struct clock_trial trials[CLOCK_SAMPLES_MAX / 2];
	u64 rough = clock_samples_rough_hz(s, n, ref_hz, ref_mask);

	for (u32 i = 0; i < n / 2; i++) {
		const struct clock_sample *a = &s[i], *b = &s[i + n / 2];

		trials[i] = (struct clock_trial){
			.delta = b->count - a->count,
			.ref_delta = (b->reference - a->reference) & ref_mask,
			.latency = a->latency + b->latency,
		};
	}
	int err = clock_estimate_hz(trials, n / 2, ref_hz, tolerance_ppm, estimate);

	return err ?: distance(estimate->hz, rough) > rough / 8 ? -EAGAIN : 0;
}

u64 clock_hz_round(u64 hz, u64 ref_ticks)
{
	u64 whole = (hz + 500000) / 1000000 * 1000000;

	return distance(hz, whole) * max(ref_ticks, 200000ull) <= hz ? whole : hz;
}

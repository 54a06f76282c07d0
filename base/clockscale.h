// SPDX-License-Identifier: MIT
// clockscale.h: turns counter ticks into nanoseconds, and finds the frequency of an unknown
// counter.
#pragma once

#include "base/muldiv.h"
#include "base/types.h"

#define NSEC_PER_SEC  1000000000ull
#define NSEC_PER_MSEC 1000000ull
#define NSEC_PER_USEC 1000ull

// out = (in * mult) >> shift. With in <= max_in the product fits in 64 bits.
struct clockscale {
	u32 mult;
	u32 shift;
	u64 max_in;
};

// The scale from `from_hz` to `to_hz` (either way between ticks and nanoseconds) with the best
// precision (a relative error below 2^-31 where range allows) for which inputs worth at least
// range_s seconds stay within max_in. 0, or -ERANGE when that cannot be had or a frequency is 0.
[[nodiscard]] int clockscale_init(struct clockscale *scale, u64 from_hz, u64 to_hz, u32 range_s);

// Converts in <= max_in: one multiplication and a shift, as in the vDSO.
static inline u64 clockscale_apply(const struct clockscale *scale, u64 in)
{
	return in * scale->mult >> scale->shift;
}

// Converts any input whose result fits in 64 bits.
static inline u64 clockscale_apply_wide(const struct clockscale *scale, u64 in)
{
	return mul_u64_shr(in, scale->mult, scale->shift);
}

// One trial of a calibration: both counters were read at its start and at its end.
struct clock_trial {
	u64 delta;     // ticks of the unknown counter between the two reads
	u64 ref_delta; // ticks of the reference between the two reads
	u64 latency;   // ticks of the unknown counter that the two double reads themselves took,
		       // summed: how long we cannot say when exactly the reference was read
};

struct clock_estimate {
	u64 hz;
	u32 used;	// trials that agreed and were averaged
	u32 spread_ppm; // largest deviation of a used trial from hz
};

// Estimates the frequency of the unknown counter. A virtual CPU may be descheduled between two
// reads, which makes a trial wrong by milliseconds, but then its latency is long. So:
//   1. only trials whose latency is at most twice the shortest (and at most 1/64 of their delta)
//   count;
//   2. of their frequencies the median is taken;
//   3. trials further than tolerance_ppm from it are refused;
//   4. the rest, at least three and more than half of those counted in 1., are averaged.
// Sorts the trials. 0; -EAGAIN when too few trials agree (try again, or use another clock); -EINVAL
// for a reference of 0 Hz or no trials.
[[nodiscard]] int clock_estimate_hz(struct clock_trial *trials, size_t count, u64 ref_hz,
				    u32 tolerance_ppm, struct clock_estimate *estimate);

// Both counters as they were read at one moment.
struct clock_sample {
	u64 count; // of the unknown counter, in the middle of its two reads around the reference's
	u64 reference; // modulo ref_mask + 1, which is a power of two
	u64 latency;   // ticks of the unknown counter between those two reads
};
constexpr u32 CLOCK_SAMPLES_MAX = 16;

// The same from samples taken one after the other: those half of them apart make the trials. n is
// even and at most CLOCK_SAMPLES_MAX. -EAGAIN also when the trials agree on a rate that the rough
// one contradicts.
[[nodiscard]] int clock_samples_hz(const struct clock_sample *samples, u32 n, u64 ref_hz,
				   u64 ref_mask, u32 tolerance_ppm,
				   struct clock_estimate *estimate);
// The median rate between neighbouring samples: rough, but right even when this CPU was away for so
// long between two of them that the reference went round, which spoils all trials alike.
u64 clock_samples_rough_hz(const struct clock_sample *samples, u32 n, u64 ref_hz, u64 ref_mask);

// A rate that is a whole number of MHz to within what was measured (one tick of the reference in
// ref_ticks, and at most 5 ppm) is taken to be that: it is how rates are made, and exact where a
// counter is computed.
u64 clock_hz_round(u64 hz, u64 ref_ticks);

// SPDX-License-Identifier: MIT
// clock.c: the system's clocks on x86-64, their calibration, and the deadline of the per-CPU timer.
// Privileged.
//
// Monotonic time is the TSC scaled by constants that time_init() finds and nothing changes
// afterwards, so reading it takes no lock and no sequence counter: lfence, rdtsc, one
// multiplication. It never goes backwards: on one CPU because the TSC does not and the scale is
// fixed, between CPUs because the TSCs were compared when the CPU started (clock_sync_*) and the
// read is ordered.
//
// When the TSC is not fit (its rate may change, CPUs disagree, it could not be measured, or
// clocksource=hpet) the HPET is the clock, for programs by system call. That can also be found out
// while a CPU starts; the change happens then, before any program runs, to a time that no CPU has
// seen yet.
//
// Calibration: the TSC and a reference (HPET, ACPI timer or PIT) are read together at SAMPLES
// moments over 8 ms. base/clockscale.h makes a rate of the samples, and refuses those during whose
// reads this (virtual) CPU was away. At the same moments the local APIC's timer is read, so there
// is no second wait.
//
// Realtime is monotonic time plus an offset, one 64-bit word. clock_lock (LOCK_clock) is for its
// writers; readers load the word.
#include "base/atomic.h"
#include "base/clockscale.h"
#include "base/errno.h"
#include "base/muldiv.h"
#include "base/string.h"
#include "core/arch/x86_64/apic.h"
#include "core/arch/x86_64/clock.h"
#include "core/cmdline.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/page.h"
#include "core/panic.h"
#include "core/time.h"
#include <arch/cpu.h>
#include <arch/timer.h>

constexpr u32 SCALE_SHIFT = 32;
constexpr u32 SAMPLES = CLOCK_SAMPLES_MAX;
constexpr u64 STEP_NS = 250000, STEP_COARSE_NS = 500000, STEP_STATED_NS = 60000;
constexpr u64 COARSE_HZ = 10000000; // references slower than this get the coarse step
constexpr u32 POLLS_MAX = 1000000;  // of a reference that stands still
constexpr u32 SESSIONS_MAX = 4;
constexpr u32 TOLERANCE_PPM = 500;
constexpr u64 TSC_GUESS_HZ = 1000000000;
constexpr u64 LAPIC_NOMINAL_HZ = 1000000000; // any round number: see lapic_hz_from
constexpr u64 LAPIC_MASK = 0xffffffff;

enum clock_source : u32 { SOURCE_TSC, SOURCE_HPET };

// Before time_init() all zero: the clock stands at 0.
static struct {
	enum clock_source source; // atomic; changes to HPET at most once, while CPUs start
	u64 cycles_start;	  // immutable after time_init, as all below but the HPET's
	u64 mult;		  // ns a cycle, SCALE_SHIFT fraction bits
	u64 cycles_mult;	  // cycles a ns, likewise
	u64 tsc_hz;
	u64 hpet_start, hpet_mult, hpet_base_ns; // written before source becomes HPET
	u64 hpet_hz;				 // 0: there is none
	atomic_u64 realtime_offset;		 // ns; clock_lock for writers
} __aligned(64) clock;

static spinlock_t clock_lock = SPINLOCK_INIT(LOCK_clock);
static struct page *page; // immutable after time_init
static struct timer hpet_keepalive;

static __always_inline u64 tsc_ns(u64 cycles)
{
	return mul_u64_shr(cycles - clock.cycles_start, clock.mult, SCALE_SHIFT);
}

static __noinline u64 hpet_ns(void)
{
	return clock.hpet_base_ns +
	       mul_u64_shr(hpet_read() - clock.hpet_start, clock.hpet_mult, SCALE_SHIFT);
}

u64 clock_monotonic_ns(void)
{
	if (likely(load_once(&clock.source) == SOURCE_TSC))
		return tsc_ns(rdtsc_ordered());
	smp_rmb();
	return hpet_ns();
}

u64 clock_realtime_ns(void)
{
	return clock_monotonic_ns() + atomic_load(&clock.realtime_offset);
}

const char *clock_source_name(void)
{
	return load_once(&clock.source) == SOURCE_TSC ? "tsc" : "hpet";
}

u64 clock_tsc_hz(void)
{
	return clock.tsc_hz;
}

struct page *clock_page_get(void)
{
	return page;
}

// Programs retry while seq is odd or changed, so the writer must not be interrupted in between.
static void clock_page_write(void)
{
	struct clock_page *p = page_ptr(page);
	bool tsc = clock.source == SOURCE_TSC;

	assert_held(&clock_lock);
	store_once(&p->seq, p->seq + 1);
	smp_wmb();
	p->mode = tsc ? 1 : 0;
	p->cycles_last = clock.cycles_start;
	p->mult = clock.mult;
	p->shift = SCALE_SHIFT;
	p->monotonic_base_ns = 0;
	p->realtime_offset_ns = atomic_load(&clock.realtime_offset);
	store_release(&p->seq, p->seq + 1);
}

void clock_set_realtime(u64 ns)
{
	irqflags_t flags = spin_lock_irqsave(&clock_lock);

	atomic_store(&clock.realtime_offset, ns - clock_monotonic_ns());
	clock_page_write();
	spin_unlock_irqrestore(&clock_lock, flags);
}

void delay_ns(u64 ns)
{
	if (!clock.mult) {
		for (u64 us = div_round_up(ns, 1000); us; us--)
			inb(0x80); // takes a bus cycle of about a microsecond
		return;
	}
	for (u64 end = clock_monotonic_ns() + ns; clock_monotonic_ns() < end;)
		cpu_pause();
}

// ---- the timer's deadline ----

void arch_timer_program(u64 expires_ns)
{
	if (expires_ns == ~0ull) {
		lapic_timer_stop();
		return;
	}
	u64 cycles = rdtsc();
	u64 now = likely(clock.source == SOURCE_TSC) ? tsc_ns(cycles) : clock_monotonic_ns();
	u64 delta = expires_ns > now ? expires_ns - now : 0;

	if (!lapic_timer_is_deadline())
		lapic_timer_after_ns(delta);
	else // a year fits in the multiplication; later than that it comes early
		lapic_timer_at_tsc(
			cycles +
			mul_u64_shr(min(delta, 1ull << 54), clock.cycles_mult, SCALE_SHIFT) + 1);
}

// ---- calibration ----

// Of the TSC: against the reference, and against the local APIC's timer.
struct samples {
	struct clock_sample reference[SAMPLES], lapic[SAMPLES];
};

// The quickest of so many tries.
static void sample_take(struct clock_sample *s, u64 (*read)(void), u32 tries)
{
	s->latency = ~0ull;
	while (tries--) {
		u64 before = rdtsc_ordered();
		u64 value = read();
		u64 latency = rdtsc_ordered() - before;

		if (latency < s->latency)
			*s = (struct clock_sample){before + latency / 2, value, latency};
	}
}

static u64 lapic_elapsed(void) // it counts down from ~0
{
	return (u32)~lapic_timer_count();
}

static void samples_take(struct samples *s, const struct clock_reference *ref, u64 step_ns)
{
	u64 step = max(step_ns * ref->hz / NSEC_PER_SEC, 1ull);
	u64 next = ref->read();
	bool with_lapic = lapic_present() && !lapic_timer_is_deadline();

	if (with_lapic)
		lapic_timer_count_start(~0u);
	for (u32 i = 0; i < SAMPLES; i++) {
		for (u32 polls = 0; polls < POLLS_MAX; polls++) {
			if (((ref->read() - next) & ref->mask) <= ref->mask / 2) // next has come
				break;
			cpu_pause();
		}
		sample_take(&s->reference[i], ref->read, 3);
		if (with_lapic)
			sample_take(&s->lapic[i], lapic_elapsed, 1);
		next = s->reference[i].reference + step;
	}
	lapic_timer_stop();
}

// The TSC's rate in terms of the local APIC's timer, as if that ran at LAPIC_NOMINAL_HZ, says by
// how much it does not.
static u64 lapic_hz_from(const struct clock_sample *s, u64 tsc_hz)
{
	const struct clock_sample *first = &s[0], *last = &s[SAMPLES - 1];
	struct clock_estimate e;

	if (clock_samples_hz(s, SAMPLES, LAPIC_NOMINAL_HZ, LAPIC_MASK, TOLERANCE_PPM, &e) == 0)
		return mul_div_u64(LAPIC_NOMINAL_HZ, tsc_hz, e.hz);
	// Disturbed throughout. The longest stretch is the best that is left; the timer's handler
	// looks at the clock anyway.
	u64 cycles = last->count - first->count, counts = last->reference - first->reference;

	return cycles ? mul_div_u64(counts & LAPIC_MASK, tsc_hz, cycles) : 0;
}

static bool reference_find(struct clock_reference *ref)
{
	struct clock_reference hpet;

	if (hpet_init(&hpet)) {
		*ref = hpet;
		clock.hpet_hz = hpet.hz;
		clock.hpet_mult = mul_div_u64(NSEC_PER_SEC, 1ull << SCALE_SHIFT, hpet.hz);
		return true;
	}
	log_notice("clock: no HPET");
	return acpi_timer_init(ref) || pit_init(ref);
}

struct calibration {
	u64 tsc_hz, lapic_hz; // 0: unknown
	bool tsc_good;	      // the trials agreed, or the CPU says so itself
};

// The measured rate, or the stated one where the two do not contradict each other: a statement is
// exact when it is right.
static u64 hz_choose(u64 measured, u64 stated)
{
	u64 diff = measured > stated ? measured - stated : stated - measured;

	if (!stated || !measured)
		return stated ? stated : measured;
	if (diff <= stated / 100)
		return stated;
	log_warn("clock: TSC stated as %llu Hz but measured as %llu Hz", stated, measured);
	return measured;
}

static struct calibration calibrate(u64 stated_hz)
{
	struct clock_reference ref;
	struct clock_estimate e = {0};
	struct samples s;
	int err = -EAGAIN;

	if (!reference_find(&ref)) {
		log_warn("clock: no HPET, ACPI timer or PIT to measure by");
		return (struct calibration){.tsc_hz = stated_hz, .tsc_good = stated_hz};
	}
	u64 step_ns = stated_hz ? STEP_STATED_NS : ref.hz < COARSE_HZ ? STEP_COARSE_NS : STEP_NS;

	for (u32 i = 0; i < SESSIONS_MAX && err; i++) {
		samples_take(&s, &ref, step_ns);
		err = clock_samples_hz(s.reference, SAMPLES, ref.hz, ref.mask, TOLERANCE_PPM, &e);
	}
	u64 trial_ticks =
		(s.reference[SAMPLES - 1].reference - s.reference[SAMPLES / 2 - 1].reference) &
		ref.mask;
	struct calibration c = {.tsc_good = !err || stated_hz};

	c.tsc_hz = hz_choose(err ? 0 : clock_hz_round(e.hz, trial_ticks), stated_hz);
	if (!c.tsc_hz) // good enough for timers, not for a clock
		c.tsc_hz = clock_samples_rough_hz(s.reference, SAMPLES, ref.hz, ref.mask);
	if (c.tsc_hz && !lapic_timer_is_deadline() && lapic_present())
		c.lapic_hz = lapic_hz_from(s.lapic, c.tsc_hz);
	log_info("clock: TSC %llu.%03llu MHz %s %s (%u trials, %u ppm apart)", c.tsc_hz / 1000000,
		 c.tsc_hz / 1000 % 1000, stated_hz ? "as stated, checked by" : "by", ref.name,
		 e.used, e.spread_ppm);
	return c;
}

// ---- choice ----

static void hpet_keep(struct timer *t)
{
	(void)hpet_read();
	timer_start(t, clock_monotonic_ns() + 5 * NSEC_PER_SEC);
}

// Makes the HPET the clock from from_ns on, which lies ahead of every time that was read so far.
static void hpet_take_over(u64 from_ns)
{
	clock.hpet_start = hpet_read();
	clock.hpet_base_ns = from_ns;
	smp_wmb();
	store_once(&clock.source, SOURCE_HPET);
}

static bool option_is(const char *key, const char *value)
{
	const char *given = cmdline_value(key);

	return given && strcmp(given, value) == 0;
}

// nullptr: the TSC is fit to be the clock; else what speaks against it.
static const char *tsc_objection(bool good)
{
	const char *why = nullptr;

	if (option_is("clocksource", "hpet"))
		return "clocksource=hpet";
	if (!good)
		return "it could not be measured";
	if (option_is("tsc", "reliable") || option_is("clocksource", "tsc"))
		return nullptr;
	return tsc_is_steady(&why) ? nullptr : why;
}

void time_init(void)
{
	struct calibration c = calibrate(tsc_stated_hz());
	const char *objection = tsc_objection(c.tsc_good);
	u64 hz = c.tsc_hz;

	if (!hz) {
		hz = TSC_GUESS_HZ;
		log_err("clock: the TSC's rate is unknown, taken as 1 GHz");
	}
	clock.tsc_hz = hz;
	clock.cycles_mult = mul_div_u64(hz, 1ull << SCALE_SHIFT, NSEC_PER_SEC);
	clock.cycles_start = rdtsc_ordered();
	clock.mult = mul_div_u64(NSEC_PER_SEC, 1ull << SCALE_SHIFT, hz);
	if (objection && clock.hpet_hz) {
		hpet_take_over(0);
		log_notice("clock: the TSC is not used (%s), but the HPET", objection);
	} else if (objection) {
		log_warn("clock: the TSC is not fit (%s), and there is no HPET to take instead",
			 objection);
	}
	if (lapic_present() && !lapic_timer_is_deadline()) {
		if (!c.lapic_hz) {
			c.lapic_hz = LAPIC_NOMINAL_HZ;
			log_err("clock: the local APIC timer's rate is unknown, taken as 1 GHz");
		}
		lapic_timer_set_hz(clock_hz_round(c.lapic_hz, 0));
	}
	page = page_alloc(0, OWNER_SHARED, ALLOC_ZERO);
	if (!page)
		panic("no memory for the clock page");
	s64 unix_s = rtc_read_unix();

	if (unix_s < 0)
		log_warn("clock: no usable CMOS clock; the date starts in 1970");
	clock_set_realtime(unix_s < 0 ? 0 : (u64)unix_s * NSEC_PER_SEC);
	timer_init(&hpet_keepalive, hpet_keep);
	if (clock.source == SOURCE_HPET)
		hpet_keep(&hpet_keepalive);
}

// ---- comparing the TSCs of two CPUs ----
//
// Both take turns at random under a tiny lock; whoever reads less than the other read before it has
// found the TSCs apart. One CPU starts at a time, so there is one pair.

constexpr u32 SYNC_ROUNDS = 1000;
constexpr u64 SYNC_PATIENCE_CYCLES = 20000000; // about 10 ms for the partner to show up

static struct {
	atomic_u32 target_ready, source_done;
	atomic_u32 turn; // lock of last and worst
	u64 last, worst;
} sync __aligned(64);

static void sync_rounds(void)
{
	for (u32 i = 0; i < SYNC_ROUNDS; i++) {
		u32 expected = 0;
		while (!atomic_try_cmpxchg_acquire(&sync.turn, &expected, 1)) {
			expected = 0;
			cpu_pause();
		}
		u64 now = rdtsc_ordered();
		if (now < sync.last)
			sync.worst = max(sync.worst, sync.last - now);
		else
			sync.last = now;
		atomic_store_release(&sync.turn, 0);
	}
}

void clock_sync_source(void)
{
	u32 expected = 1;

	if (!atomic_load(&sync.target_ready) ||
	    !atomic_try_cmpxchg(&sync.target_ready, &expected, 0))
		return;
	sync_rounds();
	atomic_store_release(&sync.source_done, 1);
}

// Returns by how many cycles the TSCs were seen apart.
static u64 sync_target(void)
{
	u64 start = rdtsc();

	sync.last = sync.worst = 0;
	atomic_store(&sync.source_done, 0);
	atomic_store_release(&sync.target_ready, 1);
	while (atomic_load_acquire(&sync.target_ready)) {
		u32 expected = 1;
		if (rdtsc() - start > SYNC_PATIENCE_CYCLES &&
		    atomic_try_cmpxchg(&sync.target_ready, &expected, 0))
			return 0; // nobody compares with us
		cpu_pause();
	}
	sync_rounds();
	while (!atomic_load_acquire(&sync.source_done))
		cpu_pause();
	return sync.worst;
}

void time_init_cpu(void)
{
	if (clock.source != SOURCE_TSC || option_is("tsc", "reliable") || cpu_has(CPU_TCG))
		return;
	u64 worst = sync_target();
	u64 now = rdtsc_ordered();

	if (now < clock.cycles_start) // so far behind that no comparison is needed
		worst = clock.cycles_start - now;
	if (!worst)
		return;
	if (!clock.hpet_hz) {
		log_err("clock: the CPUs' TSCs are %llu cycles apart, and there is no HPET to take instead",
			worst);
		return;
	}
	// The boot CPU, whose clock counts, may be ahead by worst; give it ten milliseconds on top
	// to be overtaken.
	hpet_take_over(tsc_ns(max(now, clock.cycles_start) + worst) + 10 * NSEC_PER_MSEC);
	irqflags_t flags = spin_lock_irqsave(&clock_lock);

	clock_page_write();
	spin_unlock_irqrestore(&clock_lock, flags);
	hpet_keep(&hpet_keepalive);
	log_notice("clock: the CPUs' TSCs are %llu cycles apart; the HPET is used instead", worst);
}

// SPDX-License-Identifier: MIT
// clock.c: the system's clocks on AArch64 and the deadline of the per-CPU timer: the architected
// virtual counter and timer. Privileged.
//
// All CPUs read one counter of a frequency that firmware states in CNTFRQ_EL0, and that never
// changes, so there is nothing to measure or to compare: monotonic time is the counter scaled by
// constants, and reading it takes no lock and no sequence counter. A read is ordered behind what
// comes before it by ISB.
//
// Realtime is monotonic time plus an offset, one 64-bit word. clock_lock (LOCK_clock) is for its
// writers; readers load the word.
#include "base/atomic.h"
#include "base/muldiv.h"
#include "core/arch/aarch64/cpu_priv.h"
#include "core/bootinfo.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/page.h"
#include "core/panic.h"
#include "core/time.h"
#include <arch/cpu.h>
#include <arch/timer.h>

constexpr u64 NSEC_PER_SEC = 1000000000;
constexpr u64 HZ_MIN = 1000000; // Arm ARM D12: 1 MHz to 1 GHz
constexpr u64 HZ_GUESS = 62500000;
enum timer_control : u64 { TIMER_ENABLE = 1 };

// Before time_init() all zero: the clock stands at 0. Immutable after it but for the offset.
static struct {
	u64 cycles_start;
	u64 mult;	 // ns a cycle, CLOCK_SHIFT fraction bits
	u64 cycles_mult; // cycles a ns, likewise
	u64 hz;
	atomic_u64 realtime_offset; // ns; clock_lock for writers
} __aligned(64) clock;

static spinlock_t clock_lock = SPINLOCK_INIT(LOCK_clock);
static struct page *page; // immutable after time_init

static __always_inline u64 counter_ordered(void)
{
	u64 v;
	__asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(v)::"memory");
	return v;
}

u64 clock_monotonic_ns(void)
{
	return mul_u64_shr(counter_ordered() - clock.cycles_start, clock.mult, CLOCK_SHIFT);
}

u64 clock_realtime_ns(void)
{
	return clock_monotonic_ns() + atomic_load(&clock.realtime_offset);
}

const char *clock_source_name(void)
{
	return "arch_sys_counter";
}

u64 clock_tsc_hz(void)
{
	return clock.hz;
}

struct page *clock_page_get(void)
{
	return page;
}

// Programs retry while seq is odd or changed, so the writer must not be interrupted in between.
static void clock_page_write(void)
{
	struct clock_page *p = page_ptr(page);

	assert_held(&clock_lock);
	store_once(&p->seq, p->seq + 1);
	smp_wmb();
	p->mode = 2;
	p->cycles_last = clock.cycles_start;
	p->mult = clock.mult;
	p->shift = CLOCK_SHIFT;
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
	u64 hz = cpu_sysreg_read("cntfrq_el0");
	u64 start = counter_ordered(),
	    cycles = mul_div_u64(ns, hz >= HZ_MIN ? hz : HZ_GUESS, NSEC_PER_SEC) + 1;

	while (counter_ordered() - start < cycles)
		cpu_relax();
}

// ---- the timer's deadline ----

void arch_timer_program(u64 expires_ns)
{
	if (expires_ns == ~0ull) {
		cpu_sysreg_write("cntv_ctl_el0", 0);
		cpu_isb();
		return;
	}
	u64 cycles = counter_ordered();
	u64 now = mul_u64_shr(cycles - clock.cycles_start, clock.mult, CLOCK_SHIFT);
	u64 delta = expires_ns > now ? expires_ns - now : 0;

	// A year fits in the multiplication; later than that it comes early.
	cpu_sysreg_write(
		"cntv_cval_el0",
		cycles + mul_u64_shr(min(delta, 1ull << 54), clock.cycles_mult, CLOCK_SHIFT) + 1);
	cpu_sysreg_write("cntv_ctl_el0", TIMER_ENABLE);
	cpu_isb();
}

void time_init(void)
{
	u64 hz = cpu_sysreg_read("cntfrq_el0");

	if (hz < HZ_MIN) {
		log_err("clock: firmware states a counter of %llu Hz, taken as %llu Hz", hz,
			HZ_GUESS);
		hz = HZ_GUESS;
	}
	clock.hz = hz;
	clock.cycles_mult = mul_div_u64(hz, 1ull << CLOCK_SHIFT, NSEC_PER_SEC);
	clock.cycles_start = counter_ordered();
	clock.mult = mul_div_u64(NSEC_PER_SEC, 1ull << CLOCK_SHIFT, hz);
	page = page_alloc(0, OWNER_SHARED, ALLOC_ZERO);
	if (!page)
		panic("no memory for the clock page");
	s64 unix_s = rtc_read_unix();

	// UEFI keeps the clock to itself, and the loader says what it showed.
	if (unix_s < 0 && bootinfo.unix_s)
		unix_s = bootinfo.unix_s;
	if (unix_s < 0)
		log_warn("clock: no usable real-time clock; the date starts in 1970");
	clock_set_realtime(unix_s < 0 ? 0 : (u64)unix_s * NSEC_PER_SEC);
	log_info("clock: virtual counter of %llu.%03llu MHz", hz / 1000000, hz / 1000 % 1000);
	time_init_cpu();
}

void time_init_cpu(void)
{
	cpu_sysreg_write("cntv_ctl_el0", 0);
	cpu_isb();
	irq_timer_enable();
}

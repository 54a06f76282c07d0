// SPDX-License-Identifier: MIT
// spinlock.c: waiting for spinlocks, and telling when the wait does not end. Privileged.
#include "core/lock.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/percpu.h"
#include "core/time.h"
#include <arch/cpu.h>

// The clock is looked at once in so many turns of the loop, and not at all in ordinary waits.
constexpr u64 TURNS_PER_LOOK = 1 << 18;
constexpr u64 STUCK_NS = 10'000'000'000;
constexpr u64 STUCK_TURNS = 1ull << 34; // where the clock does not run yet

static DEFINE_PERCPU(
	bool, stuck_reporting); // owner CPU only: the report's own locks may be what we wait for

static __cold __noinline void report_stuck(const spinlock_t *l, uintptr_t ip)
{
	char name[64];

	if (this_cpu_read(stuck_reporting))
		return;
	this_cpu_write(stuck_reporting, true);
	log_err("CPU %u waits for a spinlock (%p) since 10 s at %s", this_cpu_id(), (const void *)l,
		symbol_name(ip, name, sizeof(name)));
#if CONFIG_DEBUG
	log_err("  it is held by CPU %d, taken at %s", READ_ONCE(l->cpu) - 1,
		symbol_name(l->taken_at, name, sizeof(name)));
#endif
	this_cpu_write(stuck_reporting, false);
}

void spin_lock_slow(spinlock_t *l)
{
	u64 turns = 0, since = 0;
	bool reported = false;

	for (;;) {
		// Only reads while it is held: the line stays shared between those who wait.
		while (load_once(&l->locked)) {
			cpu_relax();
			if (likely(++turns % TURNS_PER_LOOK) || reported)
				continue;
			u64 now = clock_monotonic_ns();
			if (!since)
				since = now;
			if ((now && now - since >= STUCK_NS) || (!now && turns >= STUCK_TURNS)) {
				report_stuck(l, (uintptr_t)__builtin_return_address(0));
				reported = true;
			}
		}
		u32 expected = 0;
		if (__atomic_compare_exchange_n(&l->locked, &expected, 1, false, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return;
	}
}

#if CONFIG_DEBUG
void spin_lock_debug(spinlock_t *l, bool nested)
{
	uintptr_t ip = (uintptr_t)__builtin_return_address(0);
	u32 expected = 0;

	lockcheck_acquire(l, l->cls, nested, ip);
	if (!__atomic_compare_exchange_n(&l->locked, &expected, 1, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		spin_lock_slow(l);
	l->taken_at = ip;
	WRITE_ONCE(l->cpu, (u16)(this_cpu_id() + 1));
}

bool spin_trylock_debug(spinlock_t *l)
{
	uintptr_t ip = (uintptr_t)__builtin_return_address(0);
	u32 expected = 0;

	if (!__atomic_compare_exchange_n(&l->locked, &expected, 1, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		return false;
	lockcheck_acquired_try(l, l->cls, ip);
	l->taken_at = ip;
	WRITE_ONCE(l->cpu, (u16)(this_cpu_id() + 1));
	return true;
}

void spin_unlock_debug(spinlock_t *l)
{
	lockcheck_release(l, l->cls);
	WRITE_ONCE(l->cpu, 0);
	__atomic_store_n(&l->locked, 0, __ATOMIC_RELEASE);
}
#endif

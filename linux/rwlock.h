// SPDX-License-Identifier: MIT
// A sleeping lock for many readers or one writer; a waiting writer keeps new readers out.
// Privileged.
//
// It belongs to a class as all locks do (core/lock.h), one with a rank below 1000, and the checker
// of DEBUG builds knows it. In threads only; a holder may sleep and touch programs' memory.
#pragma once
#include "core/lock.h"

struct thread;

constexpr u32 RW_WRITER = 1u << 31;
constexpr u32 RW_WAITERS = 1u << 30;
typedef struct rwlock {
	u32 state;	       // atomic; RW_WRITER or the number of readers, and RW_WAITERS
	spinlock_t lock;       // LOCK_wait_queue, interrupts off; guards waiters
	struct thread *writer; // atomic; who holds it for writing: a hint for those who spin, exact
			       // for the holder
	struct list waiters;
	enum lock_class cls;
} rwlock_t;

void rwlock_init(rwlock_t *l, enum lock_class cls);
#if CONFIG_DEBUG
void read_lock(rwlock_t *l);
[[nodiscard]] bool read_trylock(rwlock_t *l);
void read_unlock(rwlock_t *l);
void write_unlock(rwlock_t *l);
#endif
void write_lock(rwlock_t *l);
[[nodiscard]] int write_lock_killable(rwlock_t *l); // -EINTR when the thread is being killed
void write_downgrade(rwlock_t *l);		    // to a read lock, without a gap

// What the fast paths fall back to (linux/mm/rwlock.c).
void read_lock_slow(rwlock_t *l);
int write_lock_slow(rwlock_t *l, u32 thread_state);
void rwlock_unlock_slow(rwlock_t *l);

// The fast paths: one atomic operation each. DEBUG builds have them in rwlock.c, with the checker
// around.
static __always_inline bool read_try_fast(rwlock_t *l)
{
	u32 state = __atomic_load_n(&l->state, __ATOMIC_RELAXED);
	while (likely(!(state & (RW_WRITER | RW_WAITERS))))
		if (likely(__atomic_compare_exchange_n(&l->state, &state, state + 1, false,
						       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)))
			return true;
	return false;
}
static __always_inline void read_unlock_fast(rwlock_t *l)
{
	if (unlikely(__atomic_sub_fetch(&l->state, 1, __ATOMIC_RELEASE) ==
		     RW_WAITERS)) // the last reader, and somebody waits
		rwlock_unlock_slow(l);
}
static __always_inline bool write_try_fast(rwlock_t *l)
{
	u32 expected = 0;
	if (unlikely(!__atomic_compare_exchange_n(&l->state, &expected, RW_WRITER, false,
						  __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)))
		return false;
	__atomic_store_n(&l->writer, current(), __ATOMIC_RELAXED);
	return true;
}
static __always_inline void write_unlock_fast(rwlock_t *l)
{
	__atomic_store_n(&l->writer, nullptr, __ATOMIC_RELAXED);
	if (unlikely(__atomic_sub_fetch(&l->state, RW_WRITER, __ATOMIC_RELEASE) == RW_WAITERS))
		rwlock_unlock_slow(l);
}

#if !CONFIG_DEBUG
static inline void read_lock(rwlock_t *l)
{
	if (unlikely(!read_try_fast(l)))
		read_lock_slow(l);
}
[[nodiscard]] static inline bool read_trylock(rwlock_t *l)
{
	return read_try_fast(l);
}
static inline void read_unlock(rwlock_t *l)
{
	read_unlock_fast(l);
}
static inline void write_unlock(rwlock_t *l)
{
	write_unlock_fast(l);
}
#endif

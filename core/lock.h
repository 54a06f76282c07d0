// SPDX-License-Identifier: MIT
// Spinlocks and mutexes, with classes, ranks and (DEBUG=1) the checker. Privileged.
#pragma once
#include "base/atomic.h"
#include "base/compiler.h"
#include "base/list.h"
#include "base/types.h"
#include "core/panic.h"
#include "core/preempt.h"
#include <arch/thread.h> // current()

enum lock_class : u16 {
	LOCK_none,
#define LOCK_CLASS(name, rank, irq, reason) LOCK_##name,
#include "core/lock_classes.def"
#undef LOCK_CLASS
	LOCK_NCLASSES,
};

// ---- spinlocks: holding one keeps preemption off; never sleep, never touch user memory under one
// ----
typedef struct spinlock {
	u32 locked; // 0 free, 1 held
#if CONFIG_DEBUG
	enum lock_class cls;
	u16 cpu; // holder + 1
	uintptr_t taken_at;
#endif
} spinlock_t;

#if CONFIG_DEBUG
#define SPINLOCK_INIT(class_) ((spinlock_t){.cls = (class_)})
#else
#define SPINLOCK_INIT(class_) ((spinlock_t){0})
#endif
static inline void spin_lock_init(spinlock_t *l, enum lock_class cls)
{
	(void)cls;
	*l = SPINLOCK_INIT(cls);
}

#if CONFIG_DEBUG
// The checker, for those who make locks (here, linux/rwlock.h). ip: for the report, who takes it.
void lockcheck_acquire(const void *lock, enum lock_class cls, bool nested,
		       uintptr_t ip); // before waiting for it
void lockcheck_acquired_try(const void *lock, enum lock_class cls,
			    uintptr_t ip); // a trylock succeeded: no order check
void lockcheck_release(const void *lock, enum lock_class cls);
bool lockcheck_holds(const void *lock);
void lockcheck_no_spinlocks(
	const char *what); // panics when a spinlock is held or in interrupt: the caller may sleep
void spin_lock_debug(spinlock_t *l, bool nested);
bool spin_trylock_debug(spinlock_t *l);
void spin_unlock_debug(spinlock_t *l);
#define assert_held(l) assert(lockcheck_holds(l))
#else
#define assert_held(l) ((void)(l))
static inline void lockcheck_no_spinlocks(const char *what)
{
	(void)what;
}
#endif

void spin_lock_slow(spinlock_t *l);

static __always_inline void spin_lock_raw(spinlock_t *l) // preemption is already off
{
#if CONFIG_DEBUG
	spin_lock_debug(l, false);
#else
	u32 expected = 0;
	if (unlikely(!__atomic_compare_exchange_n(&l->locked, &expected, 1, false, __ATOMIC_ACQUIRE,
						  __ATOMIC_RELAXED)))
		spin_lock_slow(l);
#endif
}
static __always_inline void spin_unlock_raw(spinlock_t *l)
{
#if CONFIG_DEBUG
	spin_unlock_debug(l);
#else
	__atomic_store_n(&l->locked, 0, __ATOMIC_RELEASE);
#endif
}
static __always_inline void spin_lock(spinlock_t *l)
{
	preempt_disable();
	spin_lock_raw(l);
}
// A second lock of the same class: the caller's comment says what orders the two (usually the
// address).
static __always_inline void spin_lock_nested(spinlock_t *l)
{
	preempt_disable();
#if CONFIG_DEBUG
	spin_lock_debug(l, true);
#else
	spin_lock_raw(l);
#endif
}
static __always_inline bool spin_trylock(spinlock_t *l)
{
	preempt_disable();
#if CONFIG_DEBUG
	if (spin_trylock_debug(l))
		return true;
#else
	u32 expected = 0;
	if (__atomic_compare_exchange_n(&l->locked, &expected, 1, false, __ATOMIC_ACQUIRE,
					__ATOMIC_RELAXED))
		return true;
#endif
	preempt_enable();
	return false;
}
static __always_inline void spin_unlock(spinlock_t *l)
{
	spin_unlock_raw(l);
	preempt_enable();
}
// With interrupts off on this CPU; returns the state for spin_unlock_irqrestore.
static __always_inline irqflags_t spin_lock_irqsave(spinlock_t *l)
{
	irqflags_t f = irq_save();
	spin_lock(l);
	return f;
}
static __always_inline void spin_unlock_irqrestore(spinlock_t *l, irqflags_t f)
{
	spin_unlock_raw(l);
	irq_restore(f); // before preempt_enable: a pending reschedule happens with interrupts as
			// they were
	preempt_enable();
}

// ---- mutex: sleeps; the holder may touch user memory ----
struct thread;
typedef struct mutex {
	uintptr_t owner; // atomic; struct thread * of the holder, 0 free; bit 0: somebody waits
	spinlock_t lock; // LOCK_wait_queue, interrupts off; guards waiters
	struct list waiters;
	enum lock_class cls;
} mutex_t;
void mutex_init(mutex_t *m, enum lock_class cls);
#define MUTEX_INIT(name, class_)                                  \
	((mutex_t){.lock = SPINLOCK_INIT(LOCK_wait_queue),        \
		   .waiters = {&(name).waiters, &(name).waiters}, \
		   .cls = (class_)})
#if CONFIG_DEBUG
void mutex_lock(mutex_t *m);
[[nodiscard]] bool mutex_trylock(mutex_t *m);
[[nodiscard]] int mutex_lock_killable(mutex_t *m); // -EINTR when the thread is being killed
void mutex_unlock(mutex_t *m);
#endif
void mutex_lock_nested(mutex_t *m); // second of one class; the caller's comment says the order

// What the fast paths fall back to (core/sync/mutex.c).
void mutex_lock_slow(mutex_t *m);
int mutex_lock_slow_killable(mutex_t *m);
void mutex_unlock_slow(mutex_t *m);

// The fast paths: one atomic operation each. DEBUG builds have them in mutex.c, with the checker
// around.
static __always_inline bool mutex_try_fast(mutex_t *m)
{
	uintptr_t expected = 0;
	return __atomic_compare_exchange_n(&m->owner, &expected, (uintptr_t)current(), false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}
static __always_inline void mutex_unlock_fast(mutex_t *m)
{
	uintptr_t expected = (uintptr_t)current();
	if (unlikely(!__atomic_compare_exchange_n(&m->owner, &expected, 0, false, __ATOMIC_RELEASE,
						  __ATOMIC_RELAXED)))
		mutex_unlock_slow(m);
}

#if !CONFIG_DEBUG
static inline void mutex_lock(mutex_t *m)
{
	if (unlikely(!mutex_try_fast(m)))
		mutex_lock_slow(m);
}
[[nodiscard]] static inline bool mutex_trylock(mutex_t *m)
{
	return mutex_try_fast(m);
}
[[nodiscard]] static inline int mutex_lock_killable(mutex_t *m)
{
	return likely(mutex_try_fast(m)) ? 0 : mutex_lock_slow_killable(m);
}
static inline void mutex_unlock(mutex_t *m)
{
	mutex_unlock_fast(m);
}
#endif

// SPDX-License-Identifier: MIT
// atomic.h: atomic words, memory barriers, reference counts.
//
// The types are structs, so that a plain access does not compile. The operations are macros that
// take a pointer to any of them. Unless the name says otherwise: loads, stores and operations
// without a result are relaxed; read-modify-write operations with a result are sequentially
// consistent. Typed pointers and other plain objects use the *_once, load_acquire, ... family
// below.
#pragma once

#include "base/types.h"

typedef struct {
	u32 v;
} atomic_u32;
typedef struct {
	s32 v;
} atomic_s32;
typedef struct {
	u64 v;
} atomic_u64;
typedef struct {
	s64 v;
} atomic_s64;
typedef struct {
	uintptr_t v;
} atomic_uptr;
typedef struct {
	bool v;
} atomic_bool;
typedef struct {
	void *v;
} atomic_ptr;

// What is sequentially consistent here is a full barrier too: nothing after it is done before it.
// Where the CPU's instructions are less than that, ATOMIC_NEEDS_FENCE (mk/arch-*.mk) adds a fence.
#ifdef ATOMIC_NEEDS_FENCE
#define ATOMIC_FENCE_AFTER() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define ATOMIC_FULL(operation)                     \
	({                                         \
		typeof(operation) af_ = operation; \
		ATOMIC_FENCE_AFTER();              \
		af_;                               \
	})
#else
#define ATOMIC_FENCE_AFTER()   ((void)0)
#define ATOMIC_FULL(operation) operation
#endif

// Initialiser, for static and automatic objects.
#define ATOMIC_INIT(value)    {(value)}
// A plain store, before the object is shared.
#define atomic_init(a, value) ((void)((a)->v = (value)))

#define atomic_load(a)		       __atomic_load_n(&(a)->v, __ATOMIC_RELAXED)
#define atomic_load_acquire(a)	       __atomic_load_n(&(a)->v, __ATOMIC_ACQUIRE)
#define atomic_load_seq(a)	       __atomic_load_n(&(a)->v, __ATOMIC_SEQ_CST)
#define atomic_store(a, value)	       __atomic_store_n(&(a)->v, (value), __ATOMIC_RELAXED)
#define atomic_store_release(a, value) __atomic_store_n(&(a)->v, (value), __ATOMIC_RELEASE)
#define atomic_store_seq(a, value)     store_seq(&(a)->v, (value))

// No result, relaxed.
#define atomic_add(a, n)    ((void)__atomic_fetch_add(&(a)->v, (n), __ATOMIC_RELAXED))
#define atomic_sub(a, n)    ((void)__atomic_fetch_sub(&(a)->v, (n), __ATOMIC_RELAXED))
#define atomic_inc(a)	    atomic_add(a, 1)
#define atomic_dec(a)	    atomic_sub(a, 1)
#define atomic_or(a, mask)  ((void)__atomic_fetch_or(&(a)->v, (mask), __ATOMIC_RELAXED))
#define atomic_and(a, mask) ((void)__atomic_fetch_and(&(a)->v, (mask), __ATOMIC_RELAXED))
#define atomic_andnot(a, mask) \
	((void)__atomic_fetch_and(&(a)->v, ~(typeof((a)->v))(mask), __ATOMIC_RELAXED))

// Result is the value before.
#define atomic_fetch_add(a, n)	  ATOMIC_FULL(__atomic_fetch_add(&(a)->v, (n), __ATOMIC_SEQ_CST))
#define atomic_fetch_sub(a, n)	  ATOMIC_FULL(__atomic_fetch_sub(&(a)->v, (n), __ATOMIC_SEQ_CST))
#define atomic_fetch_or(a, mask)  ATOMIC_FULL(__atomic_fetch_or(&(a)->v, (mask), __ATOMIC_SEQ_CST))
#define atomic_fetch_and(a, mask) ATOMIC_FULL(__atomic_fetch_and(&(a)->v, (mask), __ATOMIC_SEQ_CST))
#define atomic_fetch_andnot(a, mask) \
	ATOMIC_FULL(__atomic_fetch_and(&(a)->v, ~(typeof((a)->v))(mask), __ATOMIC_SEQ_CST))
#define atomic_xchg(a, value) xchg(&(a)->v, (value))

// Result is the value after.
#define atomic_add_return(a, n) ATOMIC_FULL(__atomic_add_fetch(&(a)->v, (n), __ATOMIC_SEQ_CST))
#define atomic_sub_return(a, n) ATOMIC_FULL(__atomic_sub_fetch(&(a)->v, (n), __ATOMIC_SEQ_CST))
#define atomic_inc_return(a)	atomic_add_return(a, 1)
#define atomic_dec_return(a)	atomic_sub_return(a, 1)
// Whether the value became 0.
#define atomic_dec_and_test(a)	(atomic_dec_return(a) == 0)

// If the value is `old`, makes it `new`. Result is the value before (== old on success).
#define atomic_cmpxchg(a, old, new)                              \
	({                                                       \
		typeof((a)->v) cmpxchg_old = (old);              \
		(void)try_cmpxchg(&(a)->v, &cmpxchg_old, (new)); \
		cmpxchg_old;                                     \
	})
// The same; result is success; on failure *old_ptr becomes the value found. For retry loops.
#define atomic_try_cmpxchg(a, old_ptr, new) try_cmpxchg(&(a)->v, (old_ptr), (new))
// With acquire order on success only: to take a lock.
#define atomic_try_cmpxchg_acquire(a, old_ptr, new)                                     \
	__atomic_compare_exchange_n(&(a)->v, (old_ptr), (new), false, __ATOMIC_ACQUIRE, \
				    __ATOMIC_RELAXED)

// On plain objects (pointers, integers) that are shared by a documented protocol.
#define load_once(p)		__atomic_load_n((p), __ATOMIC_RELAXED)
#define store_once(p, value)	__atomic_store_n((p), (value), __ATOMIC_RELAXED)
#define load_acquire(p)		__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define store_release(p, value) __atomic_store_n((p), (value), __ATOMIC_RELEASE)
#define xchg(p, value)		ATOMIC_FULL(__atomic_exchange_n((p), (value), __ATOMIC_SEQ_CST))
#define try_cmpxchg(p, old_ptr, new)                                                            \
	ATOMIC_FULL(__atomic_compare_exchange_n((p), (old_ptr), (new), false, __ATOMIC_SEQ_CST, \
						__ATOMIC_RELAXED))
// A store and a full barrier.
#define store_seq(p, value)                                       \
	do {                                                      \
		__atomic_store_n((p), (value), __ATOMIC_SEQ_CST); \
		ATOMIC_FENCE_AFTER();                             \
	} while (0)

// Barriers between CPUs: all accesses; loads (and later accesses); stores (and earlier accesses).
#define smp_mb()  __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define smp_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)

// A reference count that saturates: once it over- or underflows it stays high for good, and the
// object leaks instead of being freed under its users.
typedef struct {
	atomic_u32 count;
} refcount_t;

#define REFCOUNT_INIT(n)   {ATOMIC_INIT(n)}
// Counts from here on are saturated; the value a saturated count is set to lies in the middle, so
// that racing operations cannot leave the range.
#define REFCOUNT_MAX	   0x7fffffffu
#define REFCOUNT_SATURATED 0xc0000000u

static inline void refcount_set(refcount_t *r, u32 n)
{
	atomic_store(&r->count, n);
}

static inline u32 refcount_read(const refcount_t *r)
{
	return atomic_load(&r->count);
}

static inline bool refcount_is_saturated(const refcount_t *r)
{
	return refcount_read(r) > REFCOUNT_MAX;
}

// Adds a reference; the caller holds one already. A count of 0 means use after free: saturates.
static inline void refcount_inc(refcount_t *r)
{
	u32 old = __atomic_fetch_add(&r->count.v, 1, __ATOMIC_RELAXED);

	if (unlikely(old == 0 || old >= REFCOUNT_MAX))
		atomic_store(&r->count, REFCOUNT_SATURATED);
}

// Adds a reference unless the count is 0. For lookups that found the object without holding one.
static inline __must_check bool refcount_inc_not_zero(refcount_t *r)
{
	u32 old = atomic_load(&r->count);

	do {
		if (old == 0)
			return false;
		if (unlikely(old > REFCOUNT_MAX))
			return true;
	} while (!__atomic_compare_exchange_n(&r->count.v, &old,
					      old == REFCOUNT_MAX ? REFCOUNT_SATURATED : old + 1,
					      true, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
	return true;
}

// Drops a reference. True when it was the last: the caller then owns the object alone and sees all
// that others wrote before they dropped theirs.
static inline __must_check bool refcount_dec_and_test(refcount_t *r)
{
	u32 old = __atomic_fetch_sub(&r->count.v, 1, __ATOMIC_RELEASE);

	if (old == 1) {
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		return true;
	}
	if (unlikely(old == 0 || old > REFCOUNT_MAX))
		atomic_store(&r->count, REFCOUNT_SATURATED);
	return false;
}

// SPDX-License-Identifier: MIT
// compiler.h: short names for compiler attributes, user pointers and scope guards.
#pragma once

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

// The C library's headers define a few of these as well; ours mean the same.
#undef __always_inline
#undef __noinline
#undef __packed
#undef __aligned
#undef __section
#undef __used
#undef __weak
#undef __noreturn
#undef __must_check

#define __always_inline			inline __attribute__((always_inline))
#define __noinline			__attribute__((noinline))
#define __packed			__attribute__((packed))
#define __aligned(n)			__attribute__((aligned(n)))
#define __section(name)			__attribute__((section(name)))
#define __used				__attribute__((used, retain))
#define __weak				__attribute__((weak))
#define __noreturn			__attribute__((noreturn))
#define __must_check			__attribute__((warn_unused_result))
#define __cold				__attribute__((cold))
#define __printf(fmt_index, args_index) __attribute__((format(printf, fmt_index, args_index)))
// Keeps the optimiser from turning a function's loop into a call of that very function.
#define __no_builtin			__attribute__((no_builtin))
// For arithmetic that wraps on purpose (hashes), in builds that check unsigned overflow.
#define __wraps				__attribute__((no_sanitize("unsigned-integer-overflow")))

// A compiler barrier: memory accesses are not moved across it. Orders nothing on the bus.
#define barrier() __asm__ volatile("" ::: "memory")

#define CONCAT_(a, b) a##b
#define CONCAT(a, b)  CONCAT_(a, b)

// `T __user *` is a pointer that a program gave us: a type of its own, which the compiler refuses
// to dereference or to mix with kernel pointers.
#ifdef __clang__
#define __user __attribute__((address_space(1), noderef))
#else
#define __user
#endif

// Makes a user pointer of type `T __user *` from an integer.
#define user_ptr(T, addr)  ((T __user *)(uintptr_t)(addr))
// The integer address of a user pointer.
#define user_addr(ptr)	   ((uintptr_t)(ptr))
// Strips __user from a pointer. Only for the code that has checked it and arranged for faults.
#define user_force(T, ptr) ((T *)(uintptr_t)(ptr))

// Calls fn(&variable) when the variable leaves its scope.
#define __cleanup(fn) __attribute__((cleanup(fn)))

// DEFINE_GUARD(spin, struct spinlock *, spin_lock(_T), spin_unlock(_T)) defines a guard named
// `spin`; the two expressions see the guarded pointer as _T.
//	guard(spin, &q->lock);			holds it to the end of the enclosing scope
//	scoped_guard(spin, &q->lock) { ... }	holds it for the block
// `break` inside scoped_guard leaves the guard's block, not a surrounding loop.
#define DEFINE_GUARD(name, T, enter, exit)                             \
	typedef T name##_guard_t;                                      \
	static __always_inline name##_guard_t name##_guard_enter(T _T) \
	{                                                              \
		enter;                                                 \
		return _T;                                             \
	}                                                              \
	static __always_inline void name##_guard_exit(T *guarded)      \
	{                                                              \
		T _T = *guarded;                                       \
		if (_T)                                                \
			exit;                                          \
	}                                                              \
	static_assert(true)

#define guard(name, ptr)                                                                           \
	[[maybe_unused]] name##_guard_t CONCAT(guard_, __COUNTER__) __cleanup(name##_guard_exit) = \
		name##_guard_enter(ptr)

#define scoped_guard(name, ptr)                                                               \
	for (name##_guard_t guard_ptr __cleanup(name##_guard_exit) = name##_guard_enter(ptr), \
				      guard_once = guard_ptr;                                 \
	     guard_once; guard_once = nullptr)

// Functions of base/ whose names belong to the C library (memcpy, snprintf ...) carry those names
// in freestanding builds. In hosted builds (unit tests, tools) callers get the C library's, which
// the sanitizers know, and ours are compiled as base_memcpy and so on. Tests say BASE_LIBC(memcpy).
#if __STDC_HOSTED__
#define BASE_LIBC(name) base_##name
#else
#define BASE_LIBC(name) name
#endif

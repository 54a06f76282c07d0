// SPDX-License-Identifier: MIT
// err.h: error numbers carried in pointers. The last 4095 addresses are never valid.
#pragma once

#include "base/errno.h"
#include "base/types.h"

// The pointer that stands for a negative errno.
static __always_inline void *err_ptr(long err)
{
	return (void *)(intptr_t)err;
}

// Whether p is such a pointer.
static __always_inline __must_check bool is_err(const void *p)
{
	return unlikely((uintptr_t)p >= (uintptr_t)-MAX_ERRNO);
}

static __always_inline __must_check bool is_err_or_null(const void *p)
{
	return unlikely(!p) || is_err(p);
}

// The negative errno in p; only if is_err(p).
static __always_inline __must_check int ptr_err(const void *p)
{
	return (int)(intptr_t)p;
}

// 0 when p is a good pointer (nullptr included), else the negative errno in it.
static __always_inline __must_check int ptr_err_or_zero(const void *p)
{
	return is_err(p) ? ptr_err(p) : 0;
}

// An error pointer handed on under another pointer type.
static __always_inline void *err_cast(const void *p)
{
	return (void *)(uintptr_t)p;
}

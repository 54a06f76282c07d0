// SPDX-License-Identifier: MIT
// bytes.h: loads and stores of integers at unaligned addresses in a stated byte order.
#pragma once

#include "base/types.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

typedef u16 u16_any __attribute__((aligned(1), may_alias));
typedef u32 u32_any __attribute__((aligned(1), may_alias));
typedef u64 u64_any __attribute__((aligned(1), may_alias));

static __always_inline u16 load_le16(const void *p)
{
	return *(const u16_any *)p;
}

static __always_inline u32 load_le32(const void *p)
{
	return *(const u32_any *)p;
}

static __always_inline u64 load_le64(const void *p)
{
	return *(const u64_any *)p;
}

static __always_inline u16 load_be16(const void *p)
{
	return __builtin_bswap16(load_le16(p));
}

static __always_inline u32 load_be32(const void *p)
{
	return __builtin_bswap32(load_le32(p));
}

static __always_inline u64 load_be64(const void *p)
{
	return __builtin_bswap64(load_le64(p));
}

static __always_inline void store_le16(void *p, u16 x)
{
	*(u16_any *)p = x;
}

static __always_inline void store_le32(void *p, u32 x)
{
	*(u32_any *)p = x;
}

static __always_inline void store_le64(void *p, u64 x)
{
	*(u64_any *)p = x;
}

static __always_inline void store_be16(void *p, u16 x)
{
	store_le16(p, __builtin_bswap16(x));
}

static __always_inline void store_be32(void *p, u32 x)
{
	store_le32(p, __builtin_bswap32(x));
}

static __always_inline void store_be64(void *p, u64 x)
{
	store_le64(p, __builtin_bswap64(x));
}

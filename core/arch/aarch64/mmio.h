// SPDX-License-Identifier: MIT
// mmio.h: device registers: exactly one access of exactly this width, in program order. Privileged.
//
// In assembly, for an access that steps its pointer on the way is one that no hypervisor can
// emulate. Order with ordinary memory is the caller's: mmio_wmb() before a write that lets a device
// read what was stored, mmio_rmb() after a read that says that it has stored.
#pragma once

#include "base/compiler.h"
#include "base/types.h"

static __always_inline u8 mmio_read8(const volatile void *p)
{
	u32 v;
	__asm__ volatile("ldrb %w0, [%1]" : "=r"(v) : "r"(p) : "memory");
	return (u8)v;
}
static __always_inline u16 mmio_read16(const volatile void *p)
{
	u32 v;
	__asm__ volatile("ldrh %w0, [%1]" : "=r"(v) : "r"(p) : "memory");
	return (u16)v;
}
static __always_inline u32 mmio_read32(const volatile void *p)
{
	u32 v;
	__asm__ volatile("ldr %w0, [%1]" : "=r"(v) : "r"(p) : "memory");
	return v;
}
static __always_inline u64 mmio_read64(const volatile void *p)
{
	u64 v;
	__asm__ volatile("ldr %0, [%1]" : "=r"(v) : "r"(p) : "memory");
	return v;
}
static __always_inline void mmio_write8(volatile void *p, u8 v)
{
	__asm__ volatile("strb %w0, [%1]" ::"rZ"((u32)v), "r"(p) : "memory");
}
static __always_inline void mmio_write16(volatile void *p, u16 v)
{
	__asm__ volatile("strh %w0, [%1]" ::"rZ"((u32)v), "r"(p) : "memory");
}
static __always_inline void mmio_write32(volatile void *p, u32 v)
{
	__asm__ volatile("str %w0, [%1]" ::"rZ"(v), "r"(p) : "memory");
}
static __always_inline void mmio_write64(volatile void *p, u64 v)
{
	__asm__ volatile("str %0, [%1]" ::"rZ"(v), "r"(p) : "memory");
}
// Stores to memory come before later stores to devices; loads from devices before later loads.
static __always_inline void mmio_wmb(void)
{
	__asm__ volatile("dsb st" ::: "memory");
}
static __always_inline void mmio_rmb(void)
{
	__asm__ volatile("dsb ld" ::: "memory");
}

// SPDX-License-Identifier: MIT
// The format of page-table entries (AArch64, Arm ARM D8.3, stage 1, granule 4 KiB). Privileged; for
// core/mm, this folder, and who fills tables by core/pagetable.h.
//
// Level 0 entries map 4 KiB, level 1 entries 2 MiB or a table, level 3 is the root (Arm counts the
// other way round). The access flag is set when an entry is made and the CPU's own management of
// it stays off, so the CPU never writes to a table and plain stores under the table's lock are
// enough. An entry that is not zero always maps a page or a table; PTE_HIDDEN ones (PROT_NONE) are
// not valid for the CPU.
#pragma once
#include "base/types.h"
#include <arch/paging.h>

typedef u64 pte_t;

constexpr u32 PT_ROOT_LEVEL = 3;
constexpr u32 PT_INDEX_BITS = 9;
constexpr u32 PT_ENTRIES = 1u << PT_INDEX_BITS;
constexpr u32 PT_KERNEL_FIRST = 256; // first root entry of the kernel's half

constexpr pte_t PTE_PRESENT = 1 << 0;
constexpr pte_t PTE_SMALL = 1 << 1; // a table, or at level 0 a page; not set: maps 2 MiB
constexpr u32 PTE_ATTR_SHIFT = 2;   // index into MAIR_EL1
constexpr pte_t PTE_USER = 1 << 6;
constexpr pte_t PTE_READ_ONLY = 1 << 7;
constexpr pte_t PTE_INNER_SHAREABLE = 3 << 8;
constexpr pte_t PTE_ACCESSED = 1 << 10;
constexpr pte_t PTE_NOT_GLOBAL = 1 << 11;
constexpr pte_t PTE_NO_EXEC_CORE = 1ull << 53; // at EL1
constexpr pte_t PTE_NO_EXEC_USER = 1ull << 54; // at EL0
constexpr pte_t PTE_ANON = 1ull << 55;	       // ours: private memory, counted as such
constexpr pte_t PTE_ZERO = 1ull << 56;	       // ours: the shared page of zeroes, not counted
constexpr pte_t PTE_PART = 1ull << 57;	  // ours: 4 KiB of a PAGE_HUGE page, whose head is counted
constexpr pte_t PTE_PROGRAM = 1ull << 58; // ours: a program's, for which a stale fault is harmless
constexpr pte_t PTE_HIDDEN = 1ull << 59;  // ours: of an entry that is not valid
// Of tables: they limit everything below, whatever the entries there say.
constexpr pte_t PTE_TABLE_NO_EXEC_CORE = 1ull << 59;
constexpr pte_t PTE_TABLE_NO_EXEC_USER = 1ull << 60;
constexpr pte_t PTE_TABLE_NO_USER = 1ull << 61;
constexpr pte_t PTE_ADDR = 0x0000fffffffff000;

// MAIR_EL1: what the attribute index means.
constexpr u64 PTE_ATTR_NORMAL = 0, PTE_ATTR_DEVICE = 1, PTE_ATTR_COMBINE = 2;
constexpr u64 MAIR_VALUE = 0xffull | 0x04ull << 8 | 0x44ull << 16;

static __always_inline u32 pt_index(u64 addr, u32 level)
{
	return (u32)(addr >> (PAGE_SHIFT + PT_INDEX_BITS * level)) & (PT_ENTRIES - 1);
}
static __always_inline u64 pt_span(u32 level) // bytes that one entry covers
{
	return PAGE_SIZE << (PT_INDEX_BITS * level);
}

static __always_inline pte_t pte_load(const pte_t *e)
{
	return __atomic_load_n(e, __ATOMIC_RELAXED);
}
// A page walk sees the entry as soon as this returns, but for a program's, where a walk that came
// too early is a fault that finds nothing to do.
static __always_inline void pte_store(pte_t *e, pte_t v)
{
	__atomic_store_n(e, v, __ATOMIC_RELEASE);
	if ((v & (PTE_PRESENT | PTE_PROGRAM)) == PTE_PRESENT)
		__asm__ volatile("dsb ishst\n\tisb" ::: "memory");
}

static __always_inline phys_t pte_phys(pte_t e)
{
	return (phys_t){e & PTE_ADDR};
}
static __always_inline bool pte_writable(pte_t e)
{
	return (e & (PTE_ACCESSED | PTE_READ_ONLY)) == PTE_ACCESSED;
}
static __always_inline bool pte_large(pte_t e)
{
	return e && !(e & PTE_SMALL);
}
static __always_inline bool pte_is_table(pte_t e)
{
	return (e & (PTE_PRESENT | PTE_SMALL)) == (PTE_PRESENT | PTE_SMALL);
} // levels 1 to 3
static __always_inline pte_t pte_make_large(pte_t e) // as made for level 0, to map 2 MiB
{
	return e & ~PTE_SMALL;
}
static __always_inline pte_t pte_make_small(pte_t e) // the reverse
{
	return e | PTE_SMALL;
}

static __always_inline pte_t pte_table(phys_t table)
{
	return table.addr | PTE_PRESENT | PTE_SMALL;
}
static __always_inline pte_t pte_table_supervisor(phys_t table)
{
	return pte_table(table) | PTE_TABLE_NO_USER | PTE_TABLE_NO_EXEC_USER;
}
// Root entries of a program's half. In the program view the kernel executes nothing there. In the
// elevated view it is supervisor memory instead; or, where elevation switches no roots (flat), it
// has no limits, and is what a thread that may elevate always runs on.
extern pte_t pte_root_elevated_limits; // elevate.c; immutable after boot
static __always_inline pte_t pte_root_program(phys_t table)
{
	return pte_table(table) | PTE_TABLE_NO_EXEC_CORE;
}
static __always_inline pte_t pte_root_elevated(phys_t table)
{
	return pte_table(table) | pte_root_elevated_limits;
}

// The rights part of a program's entry of level 0; write is what the entry may do now, which can be
// less than the area may.
static __always_inline pte_t pte_rights(bool access, bool write, bool exec)
{
	return (access ? PTE_PRESENT : PTE_HIDDEN) | PTE_SMALL | PTE_USER | PTE_ACCESSED |
	       PTE_INNER_SHAREABLE | PTE_NOT_GLOBAL | PTE_PROGRAM | (write ? 0 : PTE_READ_ONLY) |
	       (exec ? 0 : PTE_NO_EXEC_CORE | PTE_NO_EXEC_USER);
}
// What of an entry are rights.
constexpr pte_t PTE_RIGHTS_MASK = PTE_PRESENT | PTE_HIDDEN | PTE_USER | PTE_ACCESSED |
				  PTE_READ_ONLY | PTE_NO_EXEC_CORE | PTE_NO_EXEC_USER;

static __always_inline pte_t pte_make_writable(pte_t e)
{
	return e & ~PTE_READ_ONLY;
}
static __always_inline pte_t pte_make_read_only(pte_t e)
{
	return e | PTE_READ_ONLY;
}

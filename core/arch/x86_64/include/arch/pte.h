// SPDX-License-Identifier: MIT
// The format of page-table entries (x86-64, Intel SDM volume 3, 4.5). Privileged; for core/mm,
// this folder, and who fills tables by core/pagetable.h.
//
// Level 0 entries map 4 KiB, level 1 entries 2 MiB or a table, level 3 is the root. Accessed and
// Dirty are set when an entry is made, so the CPU never writes to a table and plain stores under
// the table's lock are enough. An entry that is not zero always maps a page or a table; PTE_HIDDEN
// ones (PROT_NONE) are not present for the CPU.
#pragma once
#include "base/types.h"
#include <arch/paging.h>

typedef u64 pte_t;

constexpr u32 PT_ROOT_LEVEL = 3;
constexpr u32 PT_INDEX_BITS = 9;
constexpr u32 PT_ENTRIES = 1u << PT_INDEX_BITS;
constexpr u32 PT_KERNEL_FIRST = 256; // first root entry of the kernel's half

constexpr pte_t PTE_PRESENT = 1 << 0;
constexpr pte_t PTE_WRITE = 1 << 1;
constexpr pte_t PTE_USER = 1 << 2;
constexpr pte_t PTE_WRITE_THROUGH = 1 << 3; // alone: write-combining, by our PAT
constexpr pte_t PTE_CACHE_OFF = 1 << 4;
constexpr pte_t PTE_ACCESSED = 1 << 5;
constexpr pte_t PTE_DIRTY = 1 << 6;
constexpr pte_t PTE_LARGE = 1 << 7;  // level 1: maps 2 MiB
constexpr pte_t PTE_GLOBAL = 1 << 8; // of a present entry
constexpr pte_t PTE_HIDDEN = 1 << 8; // of an entry that is not present
constexpr pte_t PTE_ANON = 1 << 9;   // ours: private memory, counted as such
constexpr pte_t PTE_ZERO = 1 << 10;  // ours: the shared page of zeroes, not counted
constexpr pte_t PTE_PART = 1 << 11;  // ours: 4 KiB of a PAGE_HUGE page, whose head is counted
constexpr pte_t PTE_NO_EXEC = 1ull << 63;
constexpr pte_t PTE_ADDR = 0x000ffffffffff000;

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
static __always_inline void pte_store(pte_t *e, pte_t v)
{
	__atomic_store_n(e, v, __ATOMIC_RELEASE);
}

static __always_inline phys_t pte_phys(pte_t e)
{
	return (phys_t){e & PTE_ADDR};
}
static __always_inline bool pte_writable(pte_t e)
{
	return e & PTE_WRITE;
}
static __always_inline bool pte_large(pte_t e)
{
	return e & PTE_LARGE;
}
static __always_inline bool pte_is_table(pte_t e)
{
	return (e & (PTE_PRESENT | PTE_LARGE)) == PTE_PRESENT;
} // levels 1 to 3
static __always_inline pte_t pte_make_large(pte_t e) // as made for level 0, to map 2 MiB
{
	return e | PTE_LARGE;
}
static __always_inline pte_t pte_make_small(pte_t e) // the reverse
{
	return e & ~PTE_LARGE;
}

static __always_inline pte_t pte_table(phys_t table)
{
	return table.addr | PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED;
}
static __always_inline pte_t pte_table_supervisor(phys_t table)
{
	return table.addr | PTE_PRESENT | PTE_WRITE | PTE_ACCESSED;
}

// Root entries of a program's half, in the two views.
static __always_inline pte_t pte_root_program(phys_t table)
{
	return pte_table(table);
}
static __always_inline pte_t pte_root_elevated(phys_t table)
{
	return pte_table_supervisor(table);
}

// The rights part of a program's entry; write is what the entry may do now, which can be less than
// the area may.
static __always_inline pte_t pte_rights(bool access, bool write, bool exec)
{
	return (access ? PTE_PRESENT : PTE_HIDDEN) | PTE_USER | PTE_ACCESSED |
	       (write ? PTE_WRITE | PTE_DIRTY : 0) | (exec ? 0 : PTE_NO_EXEC);
}
constexpr pte_t PTE_RIGHTS_MASK =
	PTE_PRESENT | PTE_HIDDEN | PTE_USER | PTE_ACCESSED | PTE_WRITE | PTE_DIRTY | PTE_NO_EXEC;

static __always_inline pte_t pte_make_writable(pte_t e)
{
	return e | PTE_WRITE | PTE_DIRTY;
}
static __always_inline pte_t pte_make_read_only(pte_t e)
{
	return e & ~PTE_WRITE;
}

// SPDX-License-Identifier: MIT
// Page tables of programs, for the one who decides what they map (linux/mm). Privileged.
//
// An entry (its format is in arch/pte.h) is written under the lock of its table; reading needs
// none. Tables appear at any time and vanish by free_tables only. So whoever follows entries holds
// something that keeps free_tables from the same addresses meanwhile; "walks" below means that.
// linux/mm/space.c says what its locks are.
//
// An entry that maps a page stands for one reference of it (of the head, for large pages), unless
// it has PTE_ZERO. Whoever stores an entry brings the reference and raises rss_anon (PTE_ANON) or
// rss_file of the space; zap_range takes both back by a struct gather, which lets pages go only
// after no TLB has them.
#pragma once
#include "core/lock.h"
#include "core/mmu_space.h"
#include "core/page.h"
#include <arch/pte.h>

// ---- locks ----
#if CONFIG_DEBUG
#define PT_LOCKCHECK(table, nested)                                      \
	lockcheck_acquire(&(table)->table_lock, LOCK_page_table, nested, \
			  (uintptr_t)__builtin_return_address(0))
#define PT_LOCKCHECK_RELEASE(table) lockcheck_release(&(table)->table_lock, LOCK_page_table)
#else
#define PT_LOCKCHECK(table, nested) ((void)0)
#define PT_LOCKCHECK_RELEASE(table) ((void)0)
#endif
void pt_lock_wait(u32 *word); // for the functions below

// The lock of one table's entries (class page_table; a spinlock, not taken in interrupts). table is
// the table's page, ptr_page(entry).
static __always_inline void pt_lock(struct page *table)
{
	preempt_disable();
	PT_LOCKCHECK(table, false);
	if (unlikely(__atomic_exchange_n(&table->table_lock, 1, __ATOMIC_ACQUIRE)))
		pt_lock_wait(&table->table_lock);
}
// A second one: that of a space under construction, or of the higher address (mremap).
static __always_inline void pt_lock_nested(struct page *table)
{
	preempt_disable();
	PT_LOCKCHECK(table, true);
	if (unlikely(__atomic_exchange_n(&table->table_lock, 1, __ATOMIC_ACQUIRE)))
		pt_lock_wait(&table->table_lock);
}
static __always_inline void pt_unlock(struct page *table)
{
	PT_LOCKCHECK_RELEASE(table);
	__atomic_store_n(&table->table_lock, 0, __ATOMIC_RELEASE);
	preempt_enable();
}

// ---- entries ----

// What an entry of level 1 or above leads to; it must be pte_is_table.
static __always_inline struct page *pte_table_page(pte_t e)
{
	return phys_page(pte_phys(e));
}
static __always_inline pte_t *pte_table_entries(pte_t e)
{
	return phys_ptr(pte_phys(e));
}

// The page whose count stands for the entry's mapping: the head for huge pages.
static __always_inline struct page *pte_counted(pte_t e)
{
	struct page *p = phys_page(pte_phys(e));

	return unlikely(e & PTE_PART) ? page_array + ((u64)(p - page_array) & ~(HUGE_PAGES - 1))
				      : p;
}

// Level 1 entry of addr, or nullptr when the tables above it are missing. Walks.
static __always_inline pte_t *pt_find(struct mmu_space *s, u64 addr)
{
	pte_t e = pte_load((pte_t *)phys_ptr(s->root[VIEW_PROGRAM]) + pt_index(addr, 3));

	if (unlikely(!e))
		return nullptr;
	e = pte_load(pte_table_entries(e) + pt_index(addr, 2));
	if (unlikely(!e))
		return nullptr;
	return pte_table_entries(e) + pt_index(addr, 1);
}
pte_t *pt_make_slow(struct mmu_space *s, u64 addr); // for pt_make
// The same, making them; nullptr when memory is out. Walks; no table lock held.
static __always_inline pte_t *pt_make(struct mmu_space *s, u64 addr)
{
	pte_t *e = pt_find(s, addr);

	return likely(e) ? e : pt_make_slow(s, addr);
}
// Makes the level 0 table below a level 1 entry, unless something is there by now. False when
// memory is out. Walks; no table lock held.
bool pt_make_leaf(struct mmu_space *s, pte_t *pmd);
// Replaces a large entry by a table of small ones. addr lies in it. False when memory is out.
// Walks; no table lock held. Waits as tlb_flush_range does.
bool pt_split_large(struct mmu_space *s, pte_t *pmd, u64 addr);
// The first address >= addr, below end, whose level 1 entry is not empty; *pmd is that entry. ~0
// when there is none. Walks.
u64 pt_next(struct mmu_space *s, u64 addr, u64 end, pte_t **pmd);

// ---- TLBs ----

// Drops the translations of [start, end), page-aligned, on all CPUs that may have them; ~0 as end:
// everything. The tables were changed before. Waits for the other CPUs: interrupts on; areas' and
// tables' locks may be held, which nobody takes with interrupts off.
void tlb_flush_range(struct mmu_space *s, u64 start, u64 end);

// ---- taking away ----

// Pages that were unmapped, to be let go once no TLB has them. On a stack; one thread's.
constexpr u32 GATHER_PAGES = 128;
struct gather {
	struct mmu_space *space;
	u64 start, end;	     // what to drop from TLBs; start >= end: nothing
	struct page *tables; // chained by data; zero all over
	s64 anon, file;	     // pages, to be taken off the space's counters
	u32 n;
	bool no_tlb; // no CPU can have the space loaded
	struct page *pages[GATHER_PAGES];
};
static inline void gather_init(struct gather *g, struct mmu_space *s)
{
	g->space = s;
	g->start = ~0ull;
	g->end = 0;
	g->tables = nullptr;
	g->anon = g->file = 0;
	g->n = 0;
	g->no_tlb = false;
}
// Drops the translations, takes the pages off the counters, lets them and the tables go, and is
// empty again. Waits as tlb_flush_range does.
void gather_flush(struct gather *g);
static __always_inline void gather_range(struct gather *g, u64 start, u64 end)
{
	g->start = min(g->start, start);
	g->end = max(g->end, end);
}
void pages_put_bulk(struct page **pages, u32 n); // drops a reference of each; changes the array

enum zap_what { ZAP_ALL, ZAP_OBJECT_ONLY }; // the latter spares private copies
// Empties the entries of [start, end). Large pages that lie in it partly are split; where memory
// for that is missing, they stay (false). Walks; no table lock held. Flushes g when it is full; the
// caller does so at the end.
bool zap_range(struct gather *g, u64 start, u64 end, enum zap_what what);
// Unlinks the tables of [start, end) that hold nothing of [0, floor) and [ceiling, ~0). No entry
// may be left in [floor, ceiling), nobody may walk there. They are freed by gather_flush.
void free_tables(struct gather *g, u64 start, u64 end, u64 floor, u64 ceiling);

// SPDX-License-Identifier: MIT
// What the files of core/mm share. Privileged.
#pragma once
#include "base/errno.h"
#include "core/panic.h"
#include "core/vm.h"
#include <arch/mmu.h>

// ---- physical memory (page.c, page_cpu.c) ----
constexpr u32 BLOCK_ORDER = PAGE_ORDER_HUGE; // of a typed block
constexpr u64 BLOCK_PAGES = 1ull << BLOCK_ORDER;

// Takes up to n single pages out of the free lists. Any context.
u32 buddy_take_bulk(u32 n, enum page_owner owner, u32 flags, struct page **out);
void buddy_give_bulk(struct page **pages, u32 n);
struct page *buddy_take(u32 order, enum page_owner owner, u32 flags);
void buddy_give(struct page *p, u32 order);
void buddy_split_huge(struct page *head); // an allocated order-9 page becomes 512 single ones;
					  // counts are the caller's
u64 buddy_free_count(void);
u64 page_managed_count(void);
void page_init_high(void); // hands out memory that the early direct map did not reach
constexpr u64 EARLY_MAP_END = 4 * GiB;

void page_cpu_drain(void); // gives this CPU's caches back to the free lists
void page_cpu_stats(struct page_stats *s);
u64 page_cpu_free_count(void);
void page_cpu_set_high(u64 managed_pages);
// A table whose 512 entries are zero and that nobody else sees.
void page_free_cleared(struct page *p);

// ---- the kernel's mappings (kmap.c) ----
extern u8 kernel_root_slots[PT_ENTRIES - PT_KERNEL_FIRST]; // root entries that every root has;
							   // immutable after vm_init
extern u32 kernel_root_nslots;
void kmap_init(void);

// ---- TLB (tlb.c) ----
constexpr u64 TLB_PAGES_MAX = 32; // beyond it, everything is dropped
void tlb_flush_range(struct vm_space *s, u64 start,
		     u64 end); // entries of [start, end) on all CPUs; ~0 as end: everything
void tlb_flush_tables(struct vm_space *s); // everything, because tables are about to be freed
void tlb_flush_kernel(u64 start, u64 end);
void tlb_space_retire(struct vm_space *s); // no CPU has it loaded any more

// ---- page tables of programs (table.c) ----
#if CONFIG_DEBUG
#define PT_LOCKCHECK(table, nested)                                      \
	lockcheck_acquire(&(table)->table_lock, LOCK_page_table, nested, \
			  (uintptr_t)__builtin_return_address(0))
#define PT_LOCKCHECK_RELEASE(table) lockcheck_release(&(table)->table_lock, LOCK_page_table)
#else
#define PT_LOCKCHECK(table, nested) ((void)0)
#define PT_LOCKCHECK_RELEASE(table) ((void)0)
#endif
void pt_lock_wait(u32 *word);

// The lock of one table's entries. An entry of a program's space is written under it; reading needs
// none.
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

	return unlikely(e & PTE_PART) ? page_array + ((u64)(p - page_array) & ~(BLOCK_PAGES - 1))
				      : p;
}

// Level 1 entry of addr, or nullptr when the tables above it are missing.
static __always_inline pte_t *pt_find(struct vm_space *s, u64 addr)
{
	pte_t e = pte_load((pte_t *)phys_ptr(s->root[VIEW_PROGRAM]) + pt_index(addr, 3));

	if (unlikely(!e))
		return nullptr;
	e = pte_load(pte_table_entries(e) + pt_index(addr, 2));
	if (unlikely(!e))
		return nullptr;
	return pte_table_entries(e) + pt_index(addr, 1);
}
pte_t *pt_make_slow(struct vm_space *s, u64 addr);
static __always_inline pte_t *pt_make(struct vm_space *s,
				      u64 addr) // the same, making them; nullptr when memory is out
{
	pte_t *e = pt_find(s, addr);

	return likely(e) ? e : pt_make_slow(s, addr);
}
// Makes the level 0 table below a level 1 entry, unless something is there by now. False when
// memory is out.
bool pt_make_leaf(struct vm_space *s, pte_t *pmd);
// Replaces a large entry by a table of small ones. addr lies in it. False when memory is out.
bool pt_split_large(struct vm_space *s, pte_t *pmd, u64 addr);
// The first address >= addr, below end, whose level 1 entry is not empty; *pmd is that entry. ~0
// when there is none.
u64 pt_next(struct vm_space *s, u64 addr, u64 end, pte_t **pmd);
bool pt_roots_alloc(struct vm_space *s);
void pt_roots_free(struct vm_space *s);

// Pages that were unmapped, to be let go once no TLB has them.
constexpr u32 GATHER_PAGES = 128;
struct gather {
	struct vm_space *space;
	u64 start, end;	     // what to drop from TLBs; start >= end: nothing
	struct page *tables; // chained by data; zero all over
	s64 anon, file;	     // pages, to be taken off the space's counters
	u32 n;
	bool no_tlb; // no CPU can have the space loaded
	struct page *pages[GATHER_PAGES];
};
static inline void gather_init(struct gather *g, struct vm_space *s)
{
	g->space = s;
	g->start = ~0ull;
	g->end = 0;
	g->tables = nullptr;
	g->anon = g->file = 0;
	g->n = 0;
	g->no_tlb = false;
}
void gather_flush(struct gather *g);
static __always_inline void gather_range(struct gather *g, u64 start, u64 end)
{
	g->start = min(g->start, start);
	g->end = max(g->end, end);
}
void pages_put_bulk(struct page **pages, u32 n); // drops a reference of each

enum zap_what { ZAP_ALL, ZAP_OBJECT_ONLY }; // the latter spares private copies
// Empties the entries of [start, end). Large pages that lie in it partly are split; where memory
// for that is missing, they stay (false).
bool zap_range(struct gather *g, u64 start, u64 end, enum zap_what what);
// Unlinks the tables of [start, end) that hold nothing of [0, floor) and [ceiling, ~0). No area may
// lie in [floor, ceiling).
void free_tables(struct gather *g, u64 start, u64 end, u64 floor, u64 ceiling);

// ---- areas (area.c); the space's lock is held for writing unless said otherwise ----
constexpr u32 VM_HAS_ANON = 1u << 31; // area.flags: may hold private copies of the object's pages.
				      // Also set under the read lock
constexpr u32 VM_KEPT = VM_SHARED | VM_GROWSDOWN | VM_NORESERVE | VM_LOCKED | VM_DONTFORK |
			VM_WIPEONFORK | VM_HUGE | VM_NOHUGE | VM_SPECIAL | VM_DONTDUMP | VM_BRK |
			VM_STACK; // flags that stay with an area
constexpr u32 AREAS_MAX = 65530;
constexpr u64 STACK_GAP = 1 * MiB;

void area_init(void);
struct vm_area *area_alloc(struct vm_space *s); // nullptr: out of memory
void area_insert(struct vm_area *a);		// into the tree, the object's list and the counters
void area_insert_fork(struct vm_area *a,
		      struct vm_area *parent); // the same, behind the parent's in the object's list
void area_remove(struct vm_area *a);	       // out of all of them
void area_free(struct vm_area *a);	       // drops object and file; may sleep
void area_refs_get(struct vm_area *a);	       // takes the references that area_free drops
int area_split(struct vm_area *a, u64 at);     // a keeps the lower part; -ENOMEM
struct vm_area *area_merge(
	struct vm_area *a); // with its neighbours, when they are alike; the one that holds it now
bool area_alike(const struct vm_area *lower, const struct vm_area *upper);
void area_set_range(struct vm_area *a, u64 start, u64 end); // grows or shrinks in place
void area_set_rights(struct vm_area *a, u32 prot, u32 flags);
struct vm_area *area_before(struct vm_area *a);
// The lowest area that ends above addr is where one begins; these split at both ends so that areas
// lie in [start, end) wholly.
int area_split_range(struct vm_space *s, u64 start, u64 end);
u64 area_find_gap(struct vm_space *s, u64 len, u64 align); // 0: none
bool area_limits_allow(struct vm_space *s, u64 npages, u32 prot, u32 flags);

// ---- mapping (map.c) ----
int map_locked(struct vm_space *s, const struct vm_map_args *a, u64 *addr_out);
int unmap_locked(struct vm_space *s, u64 start, u64 end); // page-aligned

// ---- faults (fault.c); lock held for reading or writing ----
extern struct page *zero_page;
int fault_in_area(struct vm_area *a, u64 addr, u32 access);
static __always_inline pte_t area_rights(const struct vm_area *a, bool write)
{
	return pte_rights(a->prot != PROT_NONE, write && (a->prot & PROT_WRITE),
			  a->prot & PROT_EXEC);
}
static inline u64 area_index(const struct vm_area *a, u64 addr)
{
	return (addr - a->start + a->offset) >> PAGE_SHIFT;
}

int space_populate(struct vm_space *s, u64 start, u64 end, bool write); // access.c; takes the lock

// ---- objects (object.c) ----
void object_init(void);
bool object_is_memory(
	const struct vm_object *o); // its pages are born zero and need no dirty tracking
struct page *object_peek(struct vm_object *o,
			 u64 index); // as vm_object_lookup, under RCU and with a table locked
bool object_page_get(struct page *p, const struct vm_object *o, u64 index);
int space_range_check(u64 addr, u64 len, u64 *end); // page-aligned addr; len rounded up; -EINVAL

// ---- spaces (space.c) ----
struct vm_space *space_create_like(
	const struct vm_space *parent); // empty, with its limits and names

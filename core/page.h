// SPDX-License-Identifier: MIT
// Physical memory: pages, their owners, and the allocator. Privileged.
//
// Memory is typed in blocks of 2 MiB by owner, so that "this page may be seen by services" or "by
// programs" is a property of the block. A page belongs to the owner it was allocated for until it
// is freed; a block is given another owner only while all its pages are free.
#pragma once
#include "base/atomic.h"
#include "base/list.h"
#include "base/types.h"
#include "core/lock.h"
#include <arch/paging.h> // PAGE_SIZE, PAGE_SHIFT, DIRECT_MAP_BASE

enum page_owner : u8 {
	OWNER_NONE,	// free block, or not memory
	OWNER_RESERVED, // firmware, kernel image
	OWNER_CORE,	// kernel heap, stacks, struct page
	OWNER_TABLE,	// page tables
	OWNER_PROGRAM,	// anonymous memory of programs
	OWNER_SHARED,	// page cache and I/O buffers: services may see these
	OWNER_SERVICE,	// services' own memory
	OWNER_COUNT,
};

enum page_flags : u16 {
	PAGE_FREE = 1 << 0, // head of a free buddy block
	PAGE_SLAB = 1 << 1,
	PAGE_HUGE = 1 << 2, // head of an order-9 page mapped as a whole; its tail pages' counts are
			    // unused
	PAGE_CLEARED = 1 << 3, // free and known to hold zeroes
	PAGE_DIRTY = 1 << 4,   // page cache: newer than its store
	PAGE_TABLE = 1 << 5,
	PAGE_REFERENCED = 1 << 6, // page cache: used since the last look for memory
};

struct vm_object;

// One for each physical page. 32 bytes.
struct page {
	u32 refs;	       // atomic; who brings it to 0 frees the page
	u16 flags;	       // buddy lock while free; else the owner's
	enum page_owner owner; // of its block; buddy lock
	u8 order;	       // of the block that this page heads
	union {
		struct list link; // free list, slab list, or the holder's
		struct {	  // slabs (head page; slab_cache in all of them); the cache's lock
			void *slab_cache;
			u32 slab_free; // 1 + index of the first free object, 0: none
			u32 slab_used; // objects that are not in the slab
		};
		struct vm_object *object; // page cache: whose; nullptr once it was taken out
		struct {		  // page tables
			u32 table_lock;	  // raw spinlock word guarding the entries
			u16 table_used;	  // present entries
		};
	};
	u64 data; // the holder's own (slab: neighbours in the partial list; page cache: index)
};
static_assert(sizeof(struct page) == 32);

extern struct page *page_array; // indexed by page frame number; immutable after boot
extern u64 page_array_len;

static inline void *phys_ptr(phys_t p)
{
	return (void *)(DIRECT_MAP_BASE + p.addr);
} // in the direct map
static inline phys_t ptr_phys(const void *p)
{
	return (phys_t){(u64)(uintptr_t)p - DIRECT_MAP_BASE};
} // of a direct-map address
static inline struct page *phys_page(phys_t p)
{
	return &page_array[p.addr >> PAGE_SHIFT];
}
static inline phys_t page_phys(const struct page *p)
{
	return (phys_t){(u64)(p - page_array) << PAGE_SHIFT};
}
static inline void *page_ptr(const struct page *p)
{
	return phys_ptr(page_phys(p));
}
static inline struct page *ptr_page(const void *p)
{
	return phys_page(ptr_phys(p));
}

enum alloc_flags : u32 {
	ALLOC_ZERO = 1 << 0,   // filled with zeroes
	ALLOC_ATOMIC = 1 << 1, // may dip into the reserve; never reclaims (interrupts, no sleeping)
	ALLOC_NOWARN = 1 << 2,
};
constexpr u32 PAGE_ORDER_MAX = 10;		    // 4 MiB
constexpr u32 PAGE_ORDER_HUGE = 9;		    // 2 MiB
constexpr u64 HUGE_PAGES = 1ull << PAGE_ORDER_HUGE; // single pages in one of 2 MiB

// 2^order physically contiguous pages, aligned to their size, refs = 1 on the head. nullptr when
// memory is out. Any context with ALLOC_ATOMIC; otherwise where sleeping is allowed or not (it does
// not sleep yet, but may one day: do not hold spinlocks without ALLOC_ATOMIC).
[[nodiscard]] struct page *page_alloc(u32 order, enum page_owner owner, u32 flags);
// Frees what page_alloc gave (refs must be 1 or 0). Any context.
void page_free(struct page *p, u32 order);
// Gives n order-0 pages at once into out (all or as many as there are; returns the number). For
// fault-around and fork.
u32 page_alloc_bulk(u32 n, enum page_owner owner, u32 flags, struct page **out);
void page_free_bulk(struct page **pages, u32 n); // order-0, refs already 0

static inline void page_get(struct page *p)
{
	__atomic_fetch_add(&p->refs, 1, __ATOMIC_RELAXED);
}
static inline bool page_put_only(struct page *p)
{
	return __atomic_fetch_sub(&p->refs, 1, __ATOMIC_ACQ_REL) == 1;
}
// Drops a reference of an order-0 or PAGE_HUGE page; the last one frees it.
void page_put(struct page *p);

struct page_stats {
	u64 total;		// pages that the kernel manages
	u64 free;		// per-CPU caches included
	u64 owned[OWNER_COUNT]; // allocated, by owner
	u64 cleared;		// free ones known to be zero
};
void page_stats_read(struct page_stats *s); // sums over CPUs: exact only when nothing runs
u64 page_free_count(void);		    // adds up all CPUs' caches; an estimate
u64 buddy_free_count(void);		    // the same without the caches: a single load
u64 page_managed_count(void);		    // free or not

// Who is asked when memory is out: fn frees some npages that can be had again from elsewhere (clean
// pages of files) and says how many it freed. It is called where it may sleep, with the locks of
// whoever allocates held. At boot.
void page_set_reclaimer(u64 (*fn)(u64 npages));

// Boot: takes the memory map of bootinfo. Panics with a readable sentence when it is too little
// (less than 24 MiB usable).
void page_init(void);
// Later: gives the boot loader's (or the initramfs's) memory to the allocator.
void page_reclaim_boot(u32 bootmem_type);
// Idle CPUs call this: clears a few free pages for later; returns false when there is nothing to do
// or work is waiting.
bool page_idle_clear(void);

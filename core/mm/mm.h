// SPDX-License-Identifier: MIT
// What the files of core/mm share. Privileged.
#pragma once
#include "base/errno.h"
#include "core/mmu_space.h"
#include "core/page.h"
#include "core/pagetable.h"
#include "core/panic.h"
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
							   // immutable after mmu_init
extern u32 kernel_root_nslots;
phys_t kernel_image_phys(u64 addr); // of an address in the kernel's image
bool kernel_image_holds(phys_t p);
void kmap_init(void);

// ---- TLB (tlb.c) ----
constexpr u64 TLB_PAGES_MAX = 32;	    // beyond it, everything is dropped
void tlb_flush_tables(struct mmu_space *s); // everything, because tables are about to be freed
void tlb_flush_kernel(u64 start, u64 end);
void tlb_flush_services(u64 start, u64 end); // of services' slots; interrupts on

// ---- page tables of programs (table.c) ----
bool pt_roots_alloc(struct mmu_space *s);
void pt_roots_free(struct mmu_space *s);

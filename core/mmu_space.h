// SPDX-License-Identifier: MIT
// What a CPU sees of an address space: page tables, and who has them loaded. Privileged.
//
// A mmu_space has two roots (views) over the same tables: the program view, in which the lower half
// is user-accessible, and the elevated view, in which it is supervisor memory. Both hold the
// kernel's half. What the tables are filled with is the owner's business, which embeds this struct
// in its own (linux/vm.h) and works on the tables by core/pagetable.h.
#pragma once
#include "base/atomic.h"
#include "base/types.h"

enum vm_view : u32 { VIEW_PROGRAM, VIEW_ELEVATED };

enum vm_access : u32 { // how memory was touched
	VM_READ = 1,
	VM_WRITE = 2,
	VM_EXEC = 4,
	VM_PRESENT = 8 /* the entry was there: a rights fault */
};

struct mmu_space {
	phys_t root[2]; // VIEW_PROGRAM, VIEW_ELEVATED; immutable. Their entries change together,
			// under the first's table lock
	atomic_u64 active_cpus; // CPUs whose TLB may hold entries of this space
	atomic_u64 tlb_gen;	// incremented by every invalidation
	u64 id;			// never reused; keys address-space ids (PCID/ASID)
	atomic_u64 table_pages;
	// Pages mapped. Whoever stores entries adds, gather_flush takes off.
	atomic_u64 rss_anon, rss_file; // lock-free
	u64 rss_peak;		       // racy; read it by mmu_space_rss_peak
};

extern struct mmu_space kernel_space; // the kernel's root alone; kernel threads run on it or on
				      // whatever is loaded

// An empty space, whatever *s held before: two roots with nothing but the kernel's half. False when
// memory is out; then there is nothing to undo. Any context that may allocate pages.
[[nodiscard]] bool mmu_space_init(struct mmu_space *s);
// The first step of an end: takes it off every CPU that still has it loaded (as kernel threads
// leave it). No thread may have it any more. May be called where CPUs can be waited for.
void mmu_space_retire(struct mmu_space *s);
// The second step: frees the roots. The owner has unmapped everything and freed all other tables
// (free_tables).
void mmu_space_destroy(struct mmu_space *s);

// Makes this CPU run on view of s (nullptr: the kernel's). Preemption off.
void mmu_space_activate(struct mmu_space *s, enum vm_view view);
// Does it? Interrupts off. No: a service's view, or (when one was elevated) the kernel's root.
bool mmu_space_is_active(const struct mmu_space *s, enum vm_view view);
// This CPU goes idle: it takes no part in most invalidations until mmu_idle_exit, before which it
// must touch neither a program's memory nor a service's. Interrupts off, both.
void mmu_idle_enter(void);
void mmu_idle_exit(void);

// The most pages that were mapped at once, as far as it was noticed (whenever some were unmapped,
// and now).
static inline u64 mmu_space_rss_peak(struct mmu_space *s)
{
	u64 now = atomic_load(&s->rss_anon) + atomic_load(&s->rss_file);

	if (now > READ_ONCE(s->rss_peak))
		WRITE_ONCE(s->rss_peak, now);
	return READ_ONCE(s->rss_peak);
}

// Boot CPU, after page_init and slab_init: builds the kernel's own mappings, loads them, and hands
// out the memory that the early ones did not reach. Panics when there is too little.
void mmu_init(void);
void mmu_init_cpu(void); // every other CPU, once, early: MMU features; loads the kernel's root

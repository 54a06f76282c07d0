// SPDX-License-Identifier: MIT
// mmu.c: bringing up the MMU, and making and ending what the CPU sees of an address space.
//
// Purpose. core/mm is what must be privileged about memory: physical pages and their owners
// (page.c, page_cpu.c), the kernel heap (slab.c), the kernel's own mappings (kmap.c), page tables
// of programs (table.c) and what the TLBs hold of them (tlb.c). What a program mapped, and what is
// to happen at a fault, it does not know: that is the personality's (linux/mm), which embeds a
// struct mmu_space in its own idea of an address space and fills the tables by core/pagetable.h.
//
// States. A mmu_space is initialised (two roots that hold the kernel's half), then in use: loaded
// by any number of CPUs and filled with tables and entries; then retired (no CPU has it loaded and
// none will), emptied by its owner, and destroyed. kernel_space is in use for ever.
//
// Locks, outer to inner:
//   the owner's, which this folder does not know. They keep walkers out of the tables that
//   free_tables takes away (core/pagetable.h).
//   a table's lock in its struct page (page_table): the entries of that table. Two at once: only by
//   the owner, by pt_lock_nested.
//   kmap.lock (vm_kernel): the kernel's ranges and their entries.
//   a slab cache's lock (slab), buddy.lock (buddy): see there.
// Cross-CPU calls for TLBs are made with table locks held, and with spinlocks of the owner;
// nobody takes those with interrupts off. Per-CPU state (page caches, slab stacks, which space is
// loaded) has no lock: only its CPU touches it, with interrupts off.
//
// Lifetime. An entry that maps a page holds one reference of it (of the head, for large ones), but
// for entries of the owner's shared page of zeroes (PTE_ZERO). A page that is no longer mapped is
// let go only after all TLBs dropped it (struct gather). Tables belong to their space; see table.c.
//
// Failure. At boot too little memory is a panic with a sentence. Later, what makes tables returns
// nullptr or false and leaves things as they were.
#include "core/log.h"
#include "core/mm/mm.h"

static atomic_u64 next_id = ATOMIC_INIT(1);

void mmu_init(void)
{
	arch_mmu_init_cpu();
	kmap_init();
	arch_root_load(kernel_space.root[0], 0, false);
	arch_tlb_flush_everything();
	page_init_high();
	log_info("memory: %llu MiB managed, %llu MiB free%s",
		 page_managed_count() >> (20 - PAGE_SHIFT), page_free_count() >> (20 - PAGE_SHIFT),
		 arch_mmu_has_ids ? ", address-space ids" : "");
}

void mmu_init_cpu(void)
{
	arch_root_load(kernel_space.root[0], 0, false);
	arch_mmu_init_cpu();
}

bool mmu_space_init(struct mmu_space *s)
{
	*s = (struct mmu_space){
		.id = __atomic_fetch_add(&next_id.v, 1, __ATOMIC_RELAXED),
		.tlb_gen = ATOMIC_INIT(1ull),
	};
	return pt_roots_alloc(s);
}

void mmu_space_destroy(struct mmu_space *s)
{
	assert(s != &kernel_space);
	pt_roots_free(s);
	assert(!atomic_load(&s->rss_anon) && !atomic_load(&s->rss_file) &&
	       !atomic_load(&s->table_pages));
}

// SPDX-License-Identifier: MIT
// space.c: address spaces of programs: their life from creation to the last page given back.
//
// Purpose. A vm_space is what the threads of a process see of memory: areas (start, end, rights,
// what stands behind), and page tables filled in on demand. This folder decides what is mapped
// where and what a fault means, as Linux does; how tables are made, freed and made known to the
// CPUs is core's (core/pagetable.h, core/mmu_space.h). So the program view and the elevated view
// are the same to it.
//
// States. Created empty; alive while users > 0; the last vm_space_put unloads it from every CPU,
// unmaps everything and frees it.
//
// Locks, outer to inner:
//   space->lock (vm_space, sleeping): areas and all counters. Faults, madvise's discarding and
//   remote access hold it for reading, whatever changes areas for writing. A fork holds the
//   parent's for writing.
//   object->areas_lock (vm_areas): which areas map an object, and those areas' ranges. Truncation
//   holds it over all of them.
//   object->lock (page_cache): the tree of an object's pages. Lookups are RCU.
//   a table's lock in its struct page (page_table): the entries of that table. Two at once: fork
//   (parent, then child), mremap.
// Tables are freed under the space's write lock (or when nobody uses the space any more), after the
// areas they served left their objects' lists. So both faults (read lock) and walkers that come
// from an object (its areas_lock) may follow entries, as core/pagetable.h asks.
// Cross-CPU calls for TLBs are made with areas_lock and table locks held; nobody takes those with
// interrupts off.
//
// Counting. An entry that maps a page holds one reference of it (of the head, for large ones), but
// for entries of the shared page of zeroes. An object's tree holds one. A page that is no longer
// mapped is let go only after all TLBs dropped it (struct gather).
//
// Files: fault.c (pages appear), map.c (areas change), area.c (their tree), fork.c, remap.c,
// advise.c, access.c (debuggers, futex keys), object.c (page cache); map_calls.c and remote.c have
// the system calls.
//
// Failure. -ENOMEM leaves things as they were, or partly done where Linux leaves them so (mprotect,
// madvise).
#include "base/string.h"
#include "core/init.h"
#include "core/slab.h"
#include "linux/file.h"
#include "linux/mm/mm.h"

static struct slab_cache space_cache;

// Before anything that maps memory or has a page cache.
static void vm_init(void)
{
	slab_cache_init(&space_cache, "vm_space", sizeof(struct vm_space), 64);
	area_init();
	object_init();
	zero_page = page_alloc(0, OWNER_PROGRAM, ALLOC_ZERO);
	if (!zero_page)
		panic("Not enough memory for the page of zeroes");
}
INITCALL(0, vm_init);

// What a space is without areas and roots; the plain fields from template, when there is one.
static struct vm_space *space_alloc(const struct vm_space *template)
{
	struct vm_space *s = slab_alloc(&space_cache);

	if (!s)
		return nullptr;
	if (template)
		*s = *template;
	else
		memset(s, 0, sizeof(*s));
	refcount_set(&s->users, 1);
	rwlock_init(&s->lock, LOCK_vm_space);
	s->areas.node = nullptr;
	s->last_hit = nullptr;
	s->nareas = 0;
	s->gap_top = s->gap_seen = 0;
	s->total_pages = s->data_pages = s->stack_pages = s->exec_pages = s->locked_pages =
		s->shared_pages = 0;
	if (!mmu_space_init(&s->mmu)) {
		slab_free(&space_cache, s);
		return nullptr;
	}
	return s;
}

struct vm_space *vm_space_create(void)
{
	struct vm_space *s = space_alloc(nullptr);

	if (s) {
		s->mmap_base = align_down(USER_TOP / 3 * 2, PAGE_SIZE);
		s->pages_mapped_limit = s->data_limit = ~0ull;
		s->stack_limit = 8 * MiB;
		s->dumpable = true;
	}
	return s;
}

struct vm_space *space_create_like(const struct vm_space *parent)
{
	struct vm_space *s = space_alloc(parent);

	if (!s)
		return nullptr;
	s->elevates = false; // the grant is not inherited
	if (s->exe)
		(void)file_get(s->exe);
	return s;
}

// All areas leave, then their tables. alone: nobody else uses the space, no CPU has it loaded.
static void unmap_all_locked(struct vm_space *s, bool alone)
{
	struct gather g;
	struct vm_area *a, *next;
	struct vm_area *first = rb_entry_or_null(rb_first(&s->areas), struct vm_area, node);

	// Objects' walkers must be out of the tables before these go.
	for (a = first; a; a = vm_area_following(a)) {
		if (!a->object)
			continue;
		spin_lock(&a->object->areas_lock);
		list_del_init(&a->object_link);
		spin_unlock(&a->object->areas_lock);
	}
	gather_init(&g, &s->mmu);
	g.no_tlb = alone;
	u64 run = first ? first->start
			: 0; // start of areas that lie close together: their tables go at once

	for (a = first; a; a = next) {
		next = vm_area_following(a);
		bool whole = zap_range(&g, a->start, a->end, ZAP_ALL);

		// Only an edge inside a large page can fail, and the neighbour's part goes as well:
		// take it whole.
		if (!whole)
			zap_range(&g, align_down(a->start, HUGE_SIZE), align_up(a->end, HUGE_SIZE),
				  ZAP_ALL);
		if (next && next->start - a->end < HUGE_SIZE)
			continue;
		free_tables(&g, run, a->end, 0, next ? next->start : ~0ull);
		run = next ? next->start : 0;
	}
	gather_flush(&g);
	while ((a = rb_entry_or_null(s->areas.node, struct vm_area, node))) {
		area_remove(a);
		area_free(a);
	}
	s->last_hit = nullptr;
	s->gap_top = s->gap_seen = 0;
}

void vm_space_unmap_all(struct vm_space *s)
{
	write_lock(&s->lock);
	unmap_all_locked(s, false);
	write_unlock(&s->lock);
}

void vm_space_put(struct vm_space *s)
{
	if (!refcount_dec_and_test(&s->users))
		return;
	mmu_space_retire(&s->mmu);
	unmap_all_locked(s, true);
	assert(!s->nareas && !s->total_pages);
	mmu_space_destroy(&s->mmu);
	if (s->exe)
		file_put(s->exe);
	slab_free(&space_cache, s);
}

// SPDX-License-Identifier: MIT
// fork.c: a copy-on-write copy of a space.
//
// Areas are copied one by one, and of their entries only those that a fault could not bring back:
// private pages. Pages of objects are left for the child to fault in (several at once), unless the
// area holds private copies too. Writable private entries become read-only on both sides; the
// parent's TLBs are told once, at the end.
#include "linux/mm/mm.h"

struct fork {
	struct vm_space *child;
	u64 anon, file; // pages that the child has
	bool protected; // the parent lost write access somewhere
};

// What both sides have of an entry from now on.
static __always_inline pte_t shared_entry(pte_t e, bool private)
{
	return private ? pte_make_read_only(e) : e;
}

// Entries [first, last) of a level 0 table into the child's; of private memory without write
// access, which the parent loses as well. The child's lock is for walkers from its objects.
static void copy_leaf(struct fork *f, pte_t from, pte_t to, u32 first, u32 last, bool private)
{
	struct page *from_table = pte_table_page(from), *to_table = pte_table_page(to);
	pte_t *src = pte_table_entries(from), *dst = pte_table_entries(to);

	pte_t lost = 0;
	u64 anon = 0, file = 0;

	pt_lock(from_table);
	pt_lock_nested(to_table);
	for (u32 i = first; i < last; i++) {
		pte_t e = src[i], shared = shared_entry(e, private);

		if (!e)
			continue;
		if (likely(!(e & PTE_ZERO))) {
			page_get(pte_counted(e));
			if (e & PTE_ANON)
				anon++;
			else
				file++;
		}
		lost |= e ^ shared;
		pte_store(&src[i], shared);
		pte_store(&dst[i], shared);
	}
	pt_unlock(to_table);
	pt_unlock(from_table);
	f->anon += anon;
	f->file += file;
	f->protected |= lost;
}

static int copy_entry(struct fork *f, struct vm_area *a, pte_t *pmd, u64 at, u64 next)
{
	pte_t *to = pt_make(&f->child->mmu, at), e = pte_load(pmd);
	bool private = !(a->flags & VM_SHARED);

	if (!to)
		return -ENOMEM;
	if (pte_large(e) && next - at < HUGE_SIZE) {
		if (!pt_split_large(&a->space->mmu, pmd, at))
			return -ENOMEM;
		e = pte_load(pmd);
	}
	if (pte_large(e)) {
		struct page *above = ptr_page(pmd);

		pt_lock(above);
		e = *pmd;
		page_get(phys_page(pte_phys(e)));
		pte_t shared = shared_entry(e, private);

		f->protected |= shared != e;
		pte_store(pmd, shared);
		pte_store(to, shared);
		pt_unlock(above);
		f->anon += HUGE_PAGES;
		return 0;
	}
	if (!pte_load(to) && !pt_make_leaf(&f->child->mmu, to))
		return -ENOMEM;
	u32 first = pt_index(at, 0);

	copy_leaf(f, e, pte_load(to), first, first + (u32)((next - at) >> PAGE_SHIFT), private);
	return 0;
}

static int copy_entries(struct fork *f, struct vm_area *a)
{
	pte_t *pmd;

	for (u64 at = pt_next(&a->space->mmu, a->start, a->end, &pmd); at < a->end;
	     at = pt_next(&a->space->mmu, at, a->end, &pmd)) {
		u64 next = min(align_down(at, HUGE_SIZE) + HUGE_SIZE, a->end);
		int r = copy_entry(f, a, pmd, at, next);

		if (r)
			return r;
		at = next;
	}
	return 0;
}

static int copy_area(struct fork *f, struct vm_area *a)
{
	if (a->flags & VM_DONTFORK)
		return 0;
	struct vm_area *b = area_alloc(f->child);

	if (!b)
		return -ENOMEM;
	*b = *a;
	b->space = f->child;
	b->flags &= ~VM_LOCKED; // locks are not inherited
	list_init(&b->object_link);
	area_refs_get(b);
	area_insert_fork(b, a);
	if (a->flags & VM_WIPEONFORK) {
		b->flags &= ~VM_HAS_ANON;
		return 0;
	}
	return !a->object || (a->flags & VM_HAS_ANON) ? copy_entries(f, a) : 0;
}

int vm_space_fork(struct vm_space *parent, struct vm_space **out)
{
	struct fork f = {};
	struct vm_area *a;
	int r = 0;

	write_lock(&parent->lock);
	f.child = space_create_like(parent);
	if (!f.child) {
		write_unlock(&parent->lock);
		return -ENOMEM;
	}
	rb_for_each_entry(a, &parent->areas, node) {
		r = copy_area(&f, a);
		if (r)
			break;
	}
	atomic_store(&f.child->mmu.rss_anon, f.anon);
	atomic_store(&f.child->mmu.rss_file, f.file);
	if (f.protected)
		tlb_flush_range(&parent->mmu, 0, ~0ull);
	write_unlock(&parent->lock);
	if (r) {
		vm_space_put(f.child);
		return r;
	}
	*out = f.child;
	return 0;
}

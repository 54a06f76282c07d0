// SPDX-License-Identifier: MIT
// table.c: page tables of programs: making, walking, splitting and freeing them, and letting go
// what they mapped.
//
// A table is a page of OWNER_TABLE whose struct page holds the lock of its entries. Tables appear
// under the lock of the table above; they vanish only by free_tables, whose caller keeps walkers
// away (core/pagetable.h), so whoever may walk follows entries without a lock.
// Tables return to the allocator with all entries zero, which spares clearing the next one.
#include "base/string.h"
#include "core/mm/mm.h"
#include <arch/cpu.h>

__cold void pt_lock_wait(u32 *word)
{
	do {
		while (__atomic_load_n(word, __ATOMIC_RELAXED))
			cpu_relax();
	} while (__atomic_exchange_n(word, 1, __ATOMIC_ACQUIRE));
}

static struct page *table_alloc(struct mmu_space *s)
{
	struct page *p = page_alloc(0, OWNER_TABLE, ALLOC_ZERO);

	if (!p)
		return nullptr;
	p->flags = PAGE_TABLE;
	p->table_lock = 0;
	p->table_used = 0;
	atomic_add(&s->table_pages, 1);
	return p;
}

static void table_unused(struct mmu_space *s, struct page *p)
{
	atomic_sub(&s->table_pages, 1);
	page_free_cleared(p);
}

bool pt_roots_alloc(struct mmu_space *s)
{
	const pte_t *kernel = phys_ptr(kernel_space.root[0]);

	for (u32 v = 0; v < 2; v++) {
		struct page *p = table_alloc(s);

		if (!p) {
			if (v)
				pt_roots_free(s);
			return false;
		}
		pte_t *root = page_ptr(p);

		for (u32 i = 0; i < kernel_root_nslots; i++) {
			u32 slot = PT_KERNEL_FIRST + kernel_root_slots[i];

			root[slot] = kernel[slot];
		}
		s->root[v] = page_phys(p);
	}
	return true;
}

void pt_roots_free(struct mmu_space *s)
{
	for (u32 v = 0; v < 2; v++) {
		if (!s->root[v].addr)
			continue;
		pte_t *root = phys_ptr(s->root[v]);

		for (u32 i = 0; i < kernel_root_nslots; i++)
			root[PT_KERNEL_FIRST + kernel_root_slots[i]] = 0;
		table_unused(s, ptr_page(root));
		s->root[v] = phys(0);
	}
}

// Hangs a new table below e, an entry of a table at level `level`, unless there is one. False when
// memory is out.
static bool table_make(struct mmu_space *s, pte_t *e, u32 level)
{
	struct page *above = ptr_page(e), *p = table_alloc(s);

	if (!p)
		return false;
	pt_lock(above);
	if (!*e) {
		if (level == PT_ROOT_LEVEL) {
			size_t index = (size_t)(e - (pte_t *)page_ptr(above));

			pte_store(e, pte_root_program(page_phys(p)));
			pte_store((pte_t *)phys_ptr(s->root[VIEW_ELEVATED]) + index,
				  pte_root_elevated(page_phys(p)));
		} else {
			pte_store(e, pte_table(page_phys(p)));
		}
		p = nullptr;
	}
	pt_unlock(above);
	if (p)
		table_unused(s, p);
	return true;
}

__noinline pte_t *pt_make_slow(struct mmu_space *s, u64 addr)
{
	pte_t *table = phys_ptr(s->root[VIEW_PROGRAM]);

	for (u32 level = PT_ROOT_LEVEL; level > 1; level--) {
		pte_t *e = &table[pt_index(addr, level)];

		if (!pte_load(e) && !table_make(s, e, level))
			return nullptr;
		table = pte_table_entries(pte_load(e));
	}
	return &table[pt_index(addr, 1)];
}

bool pt_make_leaf(struct mmu_space *s, pte_t *pmd)
{
	return table_make(s, pmd, 1);
}

bool pt_split_large(struct mmu_space *s, pte_t *pmd, u64 addr)
{
	struct page *above = ptr_page(pmd), *table = table_alloc(s);
	pte_t *entries;

	if (!table)
		return false;
	entries = page_ptr(table);
	pt_lock(above);
	pte_t e = *pmd;

	if (!pte_large(e)) {
		pt_unlock(above);
		table_unused(s, table);
		return true;
	}
	// The CPU must never see both sizes: the entry is empty until all TLBs dropped it. Who
	// faults meanwhile waits for the lock.
	pte_store(pmd, 0);
	tlb_flush_range(s, align_down(addr, HUGE_SIZE), align_down(addr, HUGE_SIZE) + PAGE_SIZE);

	struct page *head = phys_page(pte_phys(e));
	pte_t part = 0;

	if (__atomic_load_n(&head->refs, __ATOMIC_ACQUIRE) ==
	    1) { // ours alone: it becomes single pages
		buddy_split_huge(head);
		for (u32 i = 1; i < PT_ENTRIES; i++)
			head[i].refs = 1;
	} else {
		__atomic_fetch_add(&head->refs, PT_ENTRIES - 1, __ATOMIC_RELAXED);
		part = PTE_PART;
	}
	for (u32 i = 0; i < PT_ENTRIES; i++)
		entries[i] = (pte_make_small(e) | part) + i * PAGE_SIZE;
	pte_store(pmd, pte_table(page_phys(table)));
	pt_unlock(above);
	return true;
}

u64 pt_next(struct mmu_space *s, u64 addr, u64 end, pte_t **pmd)
{
	const pte_t *root = phys_ptr(s->root[VIEW_PROGRAM]);

	while (addr < end) {
		pte_t e = pte_load(&root[pt_index(addr, 3)]);

		if (!e) {
			addr = align_down(addr, pt_span(3)) + pt_span(3);
			continue;
		}
		e = pte_load(pte_table_entries(e) + pt_index(addr, 2));
		if (!e) {
			addr = align_down(addr, pt_span(2)) + pt_span(2);
			continue;
		}
		pte_t *entry = pte_table_entries(e) + pt_index(addr, 1);

		if (pte_load(entry)) {
			*pmd = entry;
			return addr;
		}
		addr = align_down(addr, pt_span(1)) + pt_span(1);
	}
	return ~0ull;
}

// ---- letting go ----

void pages_put_bulk(struct page **pages, u32 n)
{
	u32 single = 0;

	for (u32 i = 0; i < n; i++) {
		struct page *p = pages[i];

		if (!page_put_only(p))
			continue;
		if (likely(!p->order))
			pages[single++] = p; // single <= i
		else
			page_free(p, p->order);
	}
	if (single)
		page_free_bulk(pages, single);
}

void gather_flush(struct gather *g)
{
	struct mmu_space *s = g->space;

	if (!g->no_tlb) {
		if (g->tables)
			tlb_flush_tables(s);
		else if (g->start < g->end)
			tlb_flush_range(s, g->start, g->end);
	}
	if (!g->no_tlb && (g->anon | g->file))
		mmu_space_rss_peak(s);
	if (g->anon)
		atomic_sub(&s->rss_anon, (u64)g->anon);
	if (g->file)
		atomic_sub(&s->rss_file, (u64)g->file);
	pages_put_bulk(g->pages, g->n);
	while (g->tables) {
		struct page *t = g->tables;

		g->tables = (struct page *)(uintptr_t)t->data;
		table_unused(s, t);
	}
	g->start = ~0ull;
	g->end = 0;
	g->anon = g->file = 0;
	g->n = 0;
}

// Entries [first, last) of a level 0 table; addr is that of first. The loop is most of an exit: few
// instructions an entry.
static void zap_leaf(struct gather *g, pte_t leaf, u32 first, u32 last, u64 addr,
		     enum zap_what what)
{
	struct page *table = pte_table_page(leaf), **out = g->pages + g->n;
	pte_t *entries = pte_table_entries(leaf), spared = what == ZAP_OBJECT_ONLY ? PTE_ANON : 0;
	u32 lowest = last, highest = 0;

	pt_lock(table);
	for (u32 i = first; i < last; i++) {
		pte_t e = entries[i];

		if (!e || (e & spared))
			continue;
		pte_store(&entries[i], 0);
		lowest = min(lowest, i);
		highest = i + 1;
		if (unlikely(e & PTE_ZERO))
			continue;
		if (e & PTE_ANON)
			g->anon++;
		else
			g->file++;
		*out++ = pte_counted(e);
		if (unlikely(out == g->pages + GATHER_PAGES)) {
			pt_unlock(table);
			g->n = GATHER_PAGES;
			gather_range(g, addr + (u64)(lowest - first) * PAGE_SIZE,
				     addr + (u64)(highest - first) * PAGE_SIZE);
			gather_flush(g);
			out = g->pages;
			lowest = last;
			highest = 0;
			pt_lock(table);
		}
	}
	pt_unlock(table);
	g->n = (u32)(out - g->pages);
	if (highest)
		gather_range(g, addr + (u64)(lowest - first) * PAGE_SIZE,
			     addr + (u64)(highest - first) * PAGE_SIZE);
}

static void zap_large(struct gather *g, pte_t *pmd, u64 addr)
{
	struct page *above = ptr_page(pmd);

	pt_lock(above);
	pte_t e = *pmd;

	if (pte_large(e)) {
		pte_store(pmd, 0);
		gather_range(g, addr, addr + HUGE_SIZE);
		g->anon += HUGE_PAGES;
		g->pages[g->n++] = phys_page(pte_phys(e));
	}
	pt_unlock(above);
	if (g->n == GATHER_PAGES)
		gather_flush(g);
}

bool zap_range(struct gather *g, u64 start, u64 end, enum zap_what what)
{
	bool whole = true;
	pte_t *pmd;

	for (u64 a = pt_next(g->space, start, end, &pmd); a < end;
	     a = pt_next(g->space, a, end, &pmd)) {
		u64 next = min(align_down(a, HUGE_SIZE) + HUGE_SIZE, end);
		pte_t e = pte_load(pmd);

		if (pte_large(e) && next - a < HUGE_SIZE && what == ZAP_ALL) {
			if (!pt_split_large(g->space, pmd, a))
				whole = false;
			e = pte_load(pmd);
		}
		if (pte_is_table(e)) {
			u32 first = pt_index(a, 0);

			zap_leaf(g, e, first, first + (u32)((next - a) >> PAGE_SHIFT), a, what);
		} else if (next - a == HUGE_SIZE && what == ZAP_ALL) {
			zap_large(g, pmd, a);
		}
		a = next;
	}
	return whole;
}

// Unlinks the table below *e, when there is one.
static void unlink_table(struct gather *g, pte_t *e, u32 level)
{
	struct page *above = ptr_page(e), *table;

	pt_lock(above);
	pte_t old = *e;

	if (old && pte_is_table(old)) {
		pte_store(e, 0);
		if (level == PT_ROOT_LEVEL) {
			size_t index = (size_t)(e - (pte_t *)page_ptr(above));

			pte_store((pte_t *)phys_ptr(g->space->root[VIEW_ELEVATED]) + index, 0);
		}
		table = pte_table_page(old);
		assert(!memchr_inv(page_ptr(table), 0, PAGE_SIZE));
		table->data = (u64)(uintptr_t)g->tables;
		g->tables = table;
	}
	pt_unlock(above);
}

// Spans of one table at a level that lie between floor and ceiling; their tables go. level is that
// of the entry above them.
void free_tables(struct gather *g, u64 start, u64 end, u64 floor, u64 ceiling)
{
	for (u32 level = 1; level <= PT_ROOT_LEVEL; level++) {
		u64 span = pt_span(level), first = align_down(start, span),
		    last = align_up(end, span);

		if (first < floor)
			first += span;
		if (last > ceiling)
			last -= span;
		for (u64 a = first; a < last;) {
			pte_t *table = phys_ptr(g->space->root[VIEW_PROGRAM]);
			u32 l = PT_ROOT_LEVEL;

			while (l > level && table[pt_index(a, l)]) {
				table = pte_table_entries(table[pt_index(a, l)]);
				l--;
			}
			if (l == level && table[pt_index(a, l)])
				unlink_table(g, &table[pt_index(a, l)], level);
			a = align_down(a, pt_span(l)) + pt_span(l); // past what is missing
		}
	}
}

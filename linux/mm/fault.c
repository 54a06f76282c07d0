// SPDX-License-Identifier: MIT
// fault.c: page faults: memory appears when it is touched, and is copied when it is written.
//
// A fault holds the space's lock for reading and changes one entry (or a window of neighbours)
// under its table's lock, after checking that the entry is still what it was. When it is not,
// another thread was faster: the fault returns 0 and the program tries again. What an empty or
// read-only entry means:
//   - private anonymous: a read maps the shared page of zeroes, a write a page of its own; 2 MiB at
//   once where area and memory allow;
//   - private of an object: a read maps the object's page read-only, together with neighbours that
//   are there; a write copies it;
//   - shared: the object's page; read-only until the first write, which the object is told of
//   (memory objects need not be).
// A read-only entry in a writable private area is a page shared by fork, or of an object: it is
// copied, unless its count says that nobody else has it.
#include "linux/mm/mm.h"
#include "linux/task.h"
#include <arch/mmu.h>

struct page *zero_page;

constexpr u32 AROUND = 16; // pages of an object mapped by one read fault, a power of two

static inline u64 object_pages(const struct vm_object *o)
{
	u64 size = load_once(&o->size_bytes);

	return (size >> PAGE_SHIFT) + !is_aligned(size, PAGE_SIZE);
}

// The level 0 table and entry that a fault is about.
struct place {
	struct vm_area *area;
	u64 addr;
	struct page *table;
	pte_t *entry;
};

// Stores v where old was. False when another thread changed the entry meanwhile.
static __always_inline bool entry_replace(const struct place *at, pte_t old, pte_t v)
{
	bool same;

	pt_lock(at->table);
	same = *at->entry == old;
	if (same)
		pte_store(at->entry, v);
	pt_unlock(at->table);
	return same;
}

static __always_inline pte_t private_entry(const struct vm_area *a, const struct page *p)
{
	return page_phys(p).addr | PTE_ANON | area_rights(a, true);
}

// ---- private memory ----

static int fault_anon(const struct place *at, bool write)
{
	struct vm_area *a = at->area;

	if (!write) {
		entry_replace(at, 0, page_phys(zero_page).addr | PTE_ZERO | area_rights(a, false));
		return 0;
	}
	struct page *p = page_alloc(0, OWNER_PROGRAM, ALLOC_ZERO);

	if (unlikely(!p))
		return -ENOMEM;
	if (likely(entry_replace(at, 0, private_entry(a, p))))
		atomic_add(&a->space->mmu.rss_anon, 1);
	else
		page_put(p);
	return 0;
}

// The new page takes the place of old; whatever the entry counted is let go.
static int replace_by_copy(const struct place *at, pte_t old, struct page *copy)
{
	struct vm_space *s = at->area->space;

	if (!entry_replace(at, old, private_entry(at->area, copy))) {
		page_put(copy);
		return 0;
	}
	if (!(old & PTE_ANON)) {
		if (at->area->object && !(at->area->flags & VM_HAS_ANON))
			__atomic_fetch_or(&at->area->flags, VM_HAS_ANON, __ATOMIC_RELAXED);
		atomic_add(&s->mmu.rss_anon, 1);
		if (old && !(old & PTE_ZERO))
			atomic_sub(&s->mmu.rss_file, 1);
	}
	if (old)
		tlb_flush_range(&s->mmu, at->addr, at->addr + PAGE_SIZE);
	if (old && !(old & PTE_ZERO))
		page_put(pte_counted(old));
	return 0;
}

// A write to a private page that is mapped read-only. For force (a debugger's write) the entry
// stays read-only if the area is.
static int fault_copy(const struct place *at, pte_t e)
{
	struct page *copy;

	if (e & PTE_ZERO) {
		copy = page_alloc(0, OWNER_PROGRAM, ALLOC_ZERO);
		return copy ? replace_by_copy(at, e, copy) : -ENOMEM;
	}
	struct page *counted = pte_counted(e);

	if (e & PTE_ANON) {
		// Only this entry: nobody can get at the page but through it, and entries are
		// copied under the write lock.
		if (__atomic_load_n(&counted->refs, __ATOMIC_ACQUIRE) == 1) {
			if (at->area->prot & PROT_WRITE)
				entry_replace(at, e, pte_make_writable(e));
			return 0;
		}
	} else { // a truncation may take it away
		bool same;

		pt_lock(at->table);
		same = *at->entry == e;
		if (same)
			page_get(counted);
		pt_unlock(at->table);
		if (!same)
			return 0;
	}
	copy = page_alloc(0, OWNER_PROGRAM, 0);
	if (likely(copy))
		arch_page_copy(page_ptr(copy), page_ptr(phys_page(pte_phys(e))));
	if (!(e & PTE_ANON))
		page_put(counted);
	return copy ? replace_by_copy(at, e, copy) : -ENOMEM;
}

// ---- pages of objects ----

// Maps what is there of the window around at->addr. Whether that includes at->addr itself.
static bool map_around(const struct place *at, bool write)
{
	struct vm_area *a = at->area;
	struct vm_object *o = a->object;
	u64 first = max(align_down(at->addr, AROUND * PAGE_SIZE), a->start);
	u64 end = min(align_down(at->addr, AROUND * PAGE_SIZE) + AROUND * PAGE_SIZE, a->end);
	u64 base = area_index(a, first),
	    limit = min(base + ((end - first) >> PAGE_SHIFT), object_pages(o));
	pte_t *entries = at->entry - ((at->addr - first) >> PAGE_SHIFT);
	pte_t rights = area_rights(a, write);
	u32 mapped = 0;
	u64 index;
	struct page *p;

	if (base >= limit)
		return false;
	pt_lock(at->table); // also keeps preemption off, for RCU
	radix_for_each_from(&o->pages, index, p, base) {
		if (index >= limit)
			break;
		pte_t *e = &entries[index - base];

		if (*e || !object_page_get(p, o, index))
			continue;
		pte_store(e, page_phys(p).addr | rights);
		mapped++;
	}
	bool done = *at->entry;

	pt_unlock(at->table);
	if (mapped)
		atomic_add(&a->space->mmu.rss_file, mapped);
	return done;
}

// Maps p (whose reference is handed over) unless it left the object meanwhile or the entry changed.
static void map_object_page(const struct place *at, pte_t old, struct page *p, bool write)
{
	struct vm_area *a = at->area;
	u64 index = area_index(a, at->addr);
	bool mapped = false;

	pt_lock(at->table);
	if (*at->entry == old && load_once(&p->object) == a->object && p->data == index) {
		pte_store(at->entry, page_phys(p).addr | area_rights(a, write));
		mapped = true;
	}
	pt_unlock(at->table);
	if (mapped && !old)
		atomic_add(&a->space->mmu.rss_file, 1);
	if (!mapped || old) // an old entry counted the page already
		page_put(p);
}

// A write through a shared mapping, to an empty or a read-only entry.
static int fault_shared_write(const struct place *at, pte_t e)
{
	struct vm_area *a = at->area;
	struct page *p;
	int r = vm_object_get_page(a->object, area_index(a, at->addr), true, &p);

	if (r)
		return r;
	if (e && pte_phys(e).addr !=
			 page_phys(p).addr) { // truncated and filled anew: the entry is about to go
		page_put(p);
		return 0;
	}
	__atomic_fetch_or(&p->flags, PAGE_DIRTY, __ATOMIC_RELAXED);
	map_object_page(at, e, p, true);
	return 0;
}

static int fault_object(const struct place *at, bool write)
{
	struct vm_area *a = at->area;
	struct vm_object *o = a->object;
	u64 index = area_index(a, at->addr);
	bool shared = a->flags & VM_SHARED, memory = shared && object_is_memory(o);
	struct page *p;

	if (index >= object_pages(o))
		return -EIO;
	if ((!write || memory) && map_around(at, memory))
		return 0;
	if (write && shared)
		return fault_shared_write(at, 0);
	int r = vm_object_get_page(o, index, false, &p);

	if (r)
		return r;
	if (!write) {
		map_object_page(at, 0, p, memory);
		return 0;
	}
	struct page *copy = page_alloc(0, OWNER_PROGRAM, 0);

	if (copy)
		arch_page_copy(page_ptr(copy), page_ptr(p));
	page_put(p);
	return copy ? replace_by_copy(at, 0, copy) : -ENOMEM;
}

// ---- large pages ----

static bool large_wanted(const struct vm_area *a, u64 addr)
{
	u64 start = align_down(addr, HUGE_SIZE);

	return !a->object && !(a->flags & (VM_NOHUGE | VM_GROWSDOWN)) && start >= a->start &&
	       start + HUGE_SIZE <= a->end && buddy_free_count() > 16 * HUGE_PAGES;
}

// False: not now, take small ones.
static bool fault_anon_large(struct vm_area *a, pte_t *pmd)
{
	struct page *p = page_alloc(PAGE_ORDER_HUGE, OWNER_PROGRAM, ALLOC_ZERO | ALLOC_NOWARN),
		    *above = ptr_page(pmd);
	bool done;

	if (!p)
		return false;
	p->flags = PAGE_HUGE;
	pt_lock(above);
	done = !*pmd;
	if (done)
		pte_store(pmd, pte_make_large(private_entry(a, p)));
	pt_unlock(above);
	if (done)
		atomic_add(&a->space->mmu.rss_anon, HUGE_PAGES);
	else
		page_put(p);
	return true;
}

// An entry that maps 2 MiB. 0: done; -EAGAIN: it was split, go on with the small entry.
static int fault_large(struct vm_area *a, pte_t *pmd, pte_t e, u64 addr, u32 access)
{
	struct page *above = ptr_page(pmd), *head = phys_page(pte_phys(e));

	if (!(access & VM_WRITE) || pte_writable(e))
		return 0;
	if (__atomic_load_n(&head->refs, __ATOMIC_ACQUIRE) == 1 && (a->prot & PROT_WRITE)) {
		pt_lock(above);
		if (*pmd == e)
			pte_store(pmd, pte_make_writable(e));
		pt_unlock(above);
		return 0;
	}
	return pt_split_large(&a->space->mmu, pmd, addr) ? -EAGAIN : -ENOMEM;
}

// ---- entry points ----

// Makes addr accessible as the area allows; the caller has checked the rights it needs. addr is
// page-aligned.
int fault_in_area(struct vm_area *a, u64 addr, u32 access)
{
	struct vm_space *s = a->space;
	pte_t *pmd = pt_make(&s->mmu, addr);

	if (unlikely(!pmd))
		return -ENOMEM;
	pte_t m = pte_load(pmd);

	if (unlikely(!m)) {
		if ((access & VM_WRITE) && large_wanted(a, addr) && fault_anon_large(a, pmd))
			return 0;
		if (!pt_make_leaf(&s->mmu, pmd))
			return -ENOMEM;
		m = pte_load(pmd);
	}
	if (unlikely(pte_large(m))) {
		int r = fault_large(a, pmd, m, addr, access);

		if (r != -EAGAIN)
			return r;
		m = pte_load(pmd);
	}
	if (unlikely(!pte_is_table(m)))
		return 0; // being split or taken away: try again
	struct place at = {.area = a,
			   .addr = addr,
			   .table = pte_table_page(m),
			   .entry = pte_table_entries(m) + pt_index(addr, 0)};
	pte_t e = pte_load(at.entry);
	bool write = access & VM_WRITE;

	if (!e)
		return a->object ? fault_object(&at, write) : fault_anon(&at, write);
	if (write && !pte_writable(e))
		return a->flags & VM_SHARED ? fault_shared_write(&at, e) : fault_copy(&at, e);
	return 0; // another thread was faster, or a TLB was stale
}

static __always_inline bool rights_allow(u32 prot, u32 access)
{
	if (access & VM_WRITE)
		return prot & PROT_WRITE;
	if (access & VM_EXEC)
		return prot & PROT_EXEC;
	return prot != PROT_NONE; // writable or executable pages are readable on these CPUs
}

// addr lies in no area: the stack above it may grow down to it.
static int grow_stack(struct vm_space *s, u64 addr)
{
	int r = -EFAULT;

	write_lock(&s->lock);
	struct vm_area *a = vm_area_find_next(s, addr);

	if (a && addr >= a->start) {
		r = 0; // another thread was faster
	} else if (a && (a->flags & VM_GROWSDOWN) && addr >= USER_MIN) {
		struct vm_area *below = area_before(a);
		u64 start = align_down(addr, PAGE_SIZE), npages = (a->start - start) >> PAGE_SHIFT;

		if (a->end - start > s->stack_limit || !area_limits_allow(s, npages, 0, a->flags))
			r = -EFAULT;
		else if (below && below->prot != PROT_NONE && !(below->flags & VM_GROWSDOWN) &&
			 start - below->end < STACK_GAP)
			r = -EFAULT;
		else if (!a->object || a->offset >= a->start - start) {
			area_set_range(a, start, a->end);
			r = 0;
		}
	}
	write_unlock(&s->lock);
	return r;
}

static __cold int fault_failed(int r)
{
	if (r == -ENOMEM && oom_kill())
		return 0;
	return r == -ENOMEM ? r : r == -EFAULT || r == -ENOSPC ? -EIO : r;
}

int vm_fault(struct mmu_space *mmu, u64 addr, u32 access)
{
	struct vm_space *s = vm_space_of(mmu);
	struct vm_area *a;
	int r;

	if (unlikely(addr >= USER_TOP))
		return -EFAULT;
	read_lock(&s->lock);
	while (unlikely(!(a = vm_area_find(s, addr)))) {
		read_unlock(&s->lock);
		r = grow_stack(s, addr);
		if (r)
			return r;
		read_lock(&s->lock);
	}
	if (unlikely(!rights_allow(a->prot, access))) {
		read_unlock(&s->lock);
		return -EACCES;
	}
	r = fault_in_area(a, addr & PAGE_MASK, access);
	read_unlock(&s->lock);
	return likely(!r) ? 0 : fault_failed(r);
}

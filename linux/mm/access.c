// SPDX-License-Identifier: MIT
// access.c: looking into a space from outside: debuggers, /proc, futex keys, mincore, and touching
// pages ahead of use.
#include "base/string.h"
#include "linux/mm/mm.h"

// The level 0 or large entry that maps addr, 0 when none does.
static pte_t entry_at(struct vm_space *s, u64 addr, struct page **table, pte_t **entry)
{
	pte_t *pmd = pt_find(&s->mmu, addr);
	pte_t m = pmd ? pte_load(pmd) : 0;

	if (pte_is_table(m)) {
		*table = pte_table_page(m);
		*entry = pte_table_entries(m) + pt_index(addr, 0);
	} else {
		*table = pmd ? ptr_page(pmd) : nullptr;
		*entry = pmd;
	}
	return *entry ? pte_load(*entry) : 0;
}

static struct page *entry_page(pte_t e, u64 addr)
{
	struct page *p = phys_page(pte_phys(e));

	return pte_large(e) ? p + pt_index(addr, 0) : p;
}

// The page behind addr with a reference of what its entry counts (*counted), faulting it in. write:
// it may be changed, the program's own copy if the area is private. Lock held.
static int page_behind(struct vm_area *a, u64 addr, bool write, struct page **page,
		       struct page **counted)
{
	for (u32 tries = 0; tries < 64; tries++) {
		struct page *table;
		pte_t *entry;
		pte_t e = entry_at(a->space, addr, &table, &entry);
		bool private = (e & PTE_ANON) && e &&
			       __atomic_load_n(&pte_counted(e)->refs, __ATOMIC_ACQUIRE) == 1;

		if (e && (!write || pte_writable(e) || (private && !(a->flags & VM_SHARED)))) {
			bool same;

			pt_lock(table);
			same = *entry == e;
			if (same) {
				*page = entry_page(e, addr);
				*counted = pte_counted(e);
				page_get(*counted);
			}
			pt_unlock(table);
			if (same)
				return 0;
			continue;
		}
		int r = fault_in_area(a, addr & PAGE_MASK, write ? VM_WRITE : VM_READ);

		if (r)
			return r;
	}
	return -EFAULT;
}

static bool access_allowed(const struct vm_area *a, bool write, bool force)
{
	if (write)
		return (a->prot & PROT_WRITE) || (force && !(a->flags & VM_SHARED));
	return a->prot != PROT_NONE || force;
}

ssize_t vm_access_remote(struct vm_space *s, u64 addr, void *kbuf, size_t len, bool write,
			 bool force)
{
	size_t done = 0;

	read_lock(&s->lock);
	while (done < len && addr < USER_TOP) {
		struct vm_area *a = vm_area_find(s, addr);
		struct page *p, *counted;
		size_t in_page = PAGE_SIZE - (addr & (PAGE_SIZE - 1)), n = min(len - done, in_page);

		if (!a || !access_allowed(a, write, force) ||
		    page_behind(a, addr, write, &p, &counted))
			break;
		char *at = (char *)page_ptr(p) + (addr & (PAGE_SIZE - 1));

		if (write)
			memcpy(at, (char *)kbuf + done, n);
		else
			memcpy((char *)kbuf + done, at, n);
		page_put(counted);
		done += n;
		addr += n;
	}
	read_unlock(&s->lock);
	return (ssize_t)done;
}

int vm_page_pin(struct vm_space *s, u64 addr, bool write, struct page **page, struct page **counted)
{
	int r = -EFAULT;

	read_lock(&s->lock);
	struct vm_area *a = addr < USER_TOP ? vm_area_find(s, addr) : nullptr;

	if (a && access_allowed(a, write, false))
		r = page_behind(a, addr, write, page, counted) ? -EFAULT : 0;
	read_unlock(&s->lock);
	return r;
}

int vm_shared_key(struct vm_space *s, u64 addr, struct vm_key *out)
{
	int r = -EFAULT;

	read_lock(&s->lock);
	struct vm_area *a = vm_area_find(s, addr);

	if (a) {
		if (a->flags & VM_SHARED)
			*out = (struct vm_key){(u64)(uintptr_t)a->object,
					       addr - a->start + a->offset};
		else
			*out = (struct vm_key){s->mmu.id << 1 | 1, addr}; // odd: never a pointer
		r = 0;
	}
	read_unlock(&s->lock);
	return r;
}

// ---- pages ahead of use ----

// Lock held. Stops at the first page that cannot be had.
static int populate_area(struct vm_area *a, u64 start, u64 end, u32 access)
{
	for (u64 at = start; at < end; at += PAGE_SIZE) {
		pte_t *pmd = pt_find(&a->space->mmu, at);

		if (pmd && pte_large(pte_load(pmd)) && pte_writable(pte_load(pmd))) {
			at = align_down(at, HUGE_SIZE) + HUGE_SIZE - PAGE_SIZE;
			continue;
		}
		int r = fault_in_area(a, at, access);

		if (r)
			return r;
	}
	return 0;
}

int vm_populate(struct vm_space *s, u64 addr, u64 len)
{
	u64 end, at = addr;
	int r = 0;

	if (space_range_check(addr, len, &end))
		return -EINVAL;
	// The lock is dropped now and then, for those that want to change areas.
	while (at < end && !r) {
		read_lock(&s->lock);
		struct vm_area *a = vm_area_find_next(s, at);

		if (!a || a->start > at) {
			r = -ENOMEM;
		} else {
			u64 stop = min(min(a->end, end), at + 2 * HUGE_SIZE);

			if (a->prot != PROT_NONE)
				r = populate_area(a, at, stop,
						  (a->prot & PROT_WRITE) && !(a->flags & VM_SHARED)
							  ? VM_WRITE
							  : VM_READ);
			at = stop;
		}
		read_unlock(&s->lock);
	}
	return r == -EFAULT || r == -EIO ? -ENOMEM : r;
}

// MADV_POPULATE_*: with rights checked and errors told apart.
int space_populate(struct vm_space *s, u64 start, u64 end, bool write)
{
	int r = 0;

	while (start < end && !r) {
		read_lock(&s->lock);
		struct vm_area *a = vm_area_find_next(s, start);

		if (!a || a->start > start) {
			r = -ENOMEM;
		} else if (write ? !(a->prot & PROT_WRITE) : a->prot == PROT_NONE) {
			r = -EINVAL;
		} else {
			u64 stop = min(min(a->end, end), start + 2 * HUGE_SIZE);

			r = populate_area(a, start, stop, write ? VM_WRITE : VM_READ);
			start = stop;
		}
		read_unlock(&s->lock);
	}
	return r == -EIO ? -EFAULT : r;
}

// ---- what is there ----

static bool in_core(struct vm_area *a, u64 addr)
{
	struct page *table;
	pte_t *entry;

	if (entry_at(a->space, addr, &table, &entry))
		return true;
	if (!a->object)
		return false;
	struct page *p = vm_object_lookup(a->object, area_index(a, addr));

	if (p)
		page_put(p);
	return p;
}

int vm_mincore(struct vm_space *s, u64 addr, u64 len, u8 *out)
{
	u64 end;
	int r = 0;

	if (space_range_check(addr, len, &end))
		return is_aligned(addr, PAGE_SIZE) ? -ENOMEM : -EINVAL;
	read_lock(&s->lock);
	while (addr < end) {
		struct vm_area *a = vm_area_find(s, addr);

		if (!a) {
			r = -ENOMEM;
			break;
		}
		for (; addr < min(end, a->end); addr += PAGE_SIZE)
			*out++ = in_core(a, addr);
	}
	read_unlock(&s->lock);
	return r;
}

int vm_page_at(struct vm_space *s, u64 addr)
{
	struct page *table;
	pte_t *entry;

	if (!vm_area_find(s, addr))
		return -EFAULT;
	pte_t e = entry_at(s, addr, &table, &entry);

	return !e ? -ENOENT : e & PTE_ZERO ? -EFAULT : 0;
}

static void count_entry(const struct vm_area *a, pte_t e, u64 npages, struct vm_usage *u)
{
	if (!e || (e & PTE_ZERO))
		return;
	u->present += npages;
	if (e & PTE_ANON)
		u->anon += npages;
	// An object's page is held by its tree, too. Transient references make a page look more
	// shared than it is.
	u32 refs = READ_ONCE(pte_counted(e)->refs),
	    mappers = max((e & PTE_ANON) ? refs : refs - 1, 1u);
	bool shared = mappers > 1,
	     dirty = (e & PTE_ANON) || ((a->flags & VM_SHARED) &&
					(READ_ONCE(phys_page(pte_phys(e))->flags) & PAGE_DIRTY));

	u->share_bytes += npages * PAGE_SIZE / mappers;
	if (shared)
		u->shared += npages;
	if (dirty)
		u->dirty += npages;
	if (shared && dirty)
		u->shared_dirty += npages;
	if (npages > 1)
		u->huge += npages;
}

void vm_area_usage(struct vm_area *a, struct vm_usage *out)
{
	pte_t *pmd;

	*out = (struct vm_usage){};
	for (u64 at = pt_next(&a->space->mmu, a->start, a->end, &pmd); at < a->end;
	     at = pt_next(&a->space->mmu, at, a->end, &pmd)) {
		u64 next = min(align_down(at, HUGE_SIZE) + HUGE_SIZE, a->end);
		pte_t m = pte_load(pmd);

		if (pte_large(m)) {
			count_entry(a, m, (next - at) >> PAGE_SHIFT, out);
			at = next;
			continue;
		}
		const pte_t *entries = m ? pte_table_entries(m) : nullptr;

		for (; entries && at < next; at += PAGE_SIZE)
			count_entry(a, pte_load(&entries[pt_index(at, 0)]), 1, out);
		at = next;
	}
}

// SPDX-License-Identifier: MIT
// map.c: mapping, unmapping, rights, the break: what changes the set of areas.
#include "linux/mm/mm.h"

int space_range_check(u64 addr, u64 len, u64 *end)
{
	if (!is_aligned(addr, PAGE_SIZE) || !align_up_checked(len, PAGE_SIZE, &len))
		return -EINVAL;
	if (__builtin_add_overflow(addr, len, end))
		return -EINVAL;
	return 0;
}

// ---- unmapping ----

// Splits so that areas lie in [start, end) wholly; first is the lowest that reaches into it.
// Returns the first that lies in it, in *out.
static int split_ends(struct vm_area *first, u64 start, u64 end, struct vm_area **out)
{
	if (first->start < start) {
		int r = area_split(first, start);

		if (r)
			return r;
		first = vm_area_following(first);
	}
	*out = first;
	struct vm_area *last = first->end >= end ? first : vm_area_find_next(first->space, end - 1);

	return last && last->start < end && last->end > end ? area_split(last, end) : 0;
}

int unmap_locked(struct vm_space *s, u64 start, u64 end)
{
	struct vm_area *a = vm_area_find_next(s, start), *next, *gone = nullptr;
	struct gather g;

	if (!a || a->start >= end)
		return 0;
	int r = split_ends(a, start, end, &a);

	if (r)
		return r;
	gather_init(&g, &s->mmu);
	struct vm_area *before = area_before(a);
	u64 floor = before ? before->end : 0;

	for (; a && a->start < end; a = next) {
		next = vm_area_following(a);
		// A large page that lies in it partly must be split while failing is still
		// possible.
		if (!zap_range(&g, a->start, a->end, ZAP_ALL)) {
			r = -ENOMEM;
			end = a->start;
			break;
		}
		area_remove(a);
		a->node.left = (struct rb_node *)gone; // out of the tree: the link is free
		gone = a;
	}
	if (start < end)
		free_tables(&g, start, end, floor, a ? a->start : ~0ull);
	gather_flush(&g);
	u64 top = a ? min(a->start, s->mmap_base)
		    : s->mmap_base; // of the gap that grew: the next search may start there

	s->gap_top = max(s->gap_top, top);
	while (gone) {
		a = gone;
		gone = (struct vm_area *)a->node.left;
		area_free(a);
	}
	return r;
}

int vm_unmap(struct vm_space *s, u64 addr, u64 len)
{
	u64 end;

	if (!len || space_range_check(addr, len, &end) || end > USER_TOP)
		return -EINVAL;
	write_lock(&s->lock);
	int r = unmap_locked(s, addr, end);

	write_unlock(&s->lock);
	return r;
}

// ---- mapping ----

static bool range_is_free(struct vm_space *s, u64 start, u64 end)
{
	struct vm_area *a = vm_area_find_next(s, start);

	return !a || a->start >= end;
}

// Chooses the place. Removes nothing yet.
static int choose_place(struct vm_space *s, const struct vm_map_args *a, u64 len, u64 *out)
{
	if (a->flags & (VM_FIXED | VM_FIXED_NOREPLACE)) {
		if (!is_aligned(a->addr, PAGE_SIZE))
			return -EINVAL;
		if (a->addr > USER_TOP - len)
			return -ENOMEM;
		if (a->addr < USER_MIN)
			return -EPERM;
		if ((a->flags & VM_FIXED_NOREPLACE) && !range_is_free(s, a->addr, a->addr + len))
			return -EEXIST;
		*out = a->addr;
		return 0;
	}
	u64 hint = align_up(a->addr, PAGE_SIZE);

	if (hint && hint < USER_MIN)
		hint = USER_MIN;
	if (hint && hint >= a->addr && hint <= USER_TOP - len) {
		struct vm_area *next = vm_area_find_next(s, hint);
		u64 distance = next && (next->flags & VM_GROWSDOWN) ? STACK_GAP : 0;

		if ((!next || hint + len + distance <= next->start) &&
		    (!a->align || is_aligned(hint, a->align))) {
			*out = hint;
			return 0;
		}
	}
	u64 align = a->align, at = 0;

	if (!align && !a->object && len >= HUGE_SIZE)
		at = area_find_gap(s, len, HUGE_SIZE); // so that large pages fit
	if (!at)
		at = area_find_gap(s, len, align);
	if (!at)
		return -ENOMEM;
	*out = at;
	return 0;
}

// One mapping larger than all memory is a mistake, unless it is only a reservation.
static bool commit_allows(const struct vm_map_args *a, u64 npages)
{
	if ((a->flags & VM_NORESERVE) || a->prot == PROT_NONE || a->object)
		return true;
	if (!(a->flags & VM_SHARED) && !(a->prot & PROT_WRITE))
		return true;
	return npages <= page_managed_count();
}

static u64 mapped_in(struct vm_space *s, u64 start, u64 end)
{
	u64 n = 0;

	for (struct vm_area *a = vm_area_find_next(s, start); a && a->start < end;
	     a = vm_area_following(a))
		n += (min(a->end, end) - max(a->start, start)) >> PAGE_SHIFT;
	return n;
}

// Without a new area: the one below or above grows. wanted describes the new range. Objects'
// references stay the caller's.
static struct vm_area *grow_neighbour(struct vm_space *s, const struct vm_area *wanted)
{
	struct vm_area *above = vm_area_find_next(s, wanted->start), *below;

	below = above ? area_before(above)
		      : rb_entry_or_null(rb_last(&s->areas), struct vm_area, node);
	if (below && area_alike(below, wanted)) {
		area_set_range(below, below->start, wanted->end);
		return area_merge(below);
	}
	if (above && area_alike(wanted, above)) {
		area_set_range(above, wanted->start, above->end);
		return above;
	}
	return nullptr;
}

int map_locked(struct vm_space *s, const struct vm_map_args *a, u64 *addr_out)
{
	u64 len, at, last;

	if (!a->len || !is_aligned(a->offset, PAGE_SIZE) ||
	    (a->prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC)))
		return -EINVAL;
	if (!align_up_checked(a->len, PAGE_SIZE, &len) || len > USER_TOP - USER_MIN)
		return -ENOMEM;
	if (__builtin_add_overflow(a->offset, len, &last))
		return -EOVERFLOW;
	int r = choose_place(s, a, len, &at);

	if (r)
		return r;
	u64 npages = len >> PAGE_SHIFT;
	bool replaces = (a->flags & VM_FIXED) && !range_is_free(s, at, at + len);

	if (s->nareas >= AREAS_MAX || !commit_allows(a, npages) ||
	    !area_limits_allow(s, npages - (replaces ? mapped_in(s, at, at + len) : 0), a->prot,
			       a->flags))
		return -ENOMEM;

	struct vm_area wanted = {.start = at,
				 .end = at + len,
				 .prot = a->prot,
				 .max_prot = a->max_prot,
				 .flags = a->flags & VM_KEPT,
				 .object = a->object,
				 .offset = a->object ? a->offset : 0,
				 .file = a->file,
				 .space = s};
	bool own_object = (a->flags & VM_SHARED) && !a->object;

	if (own_object) {
		wanted.object = vm_object_create(len);
		if (!wanted.object)
			return -ENOMEM;
	}
	struct vm_area *area = area_alloc(s);

	r = !area ? -ENOMEM : replaces ? unmap_locked(s, at, at + len) : 0;
	if (!r && !grow_neighbour(s, &wanted)) {
		*area = wanted;
		list_init(&area->object_link);
		area_refs_get(area);
		area_insert(area);
		area = nullptr;
	}
	if (own_object)
		vm_object_put(wanted.object); // the area has its own reference, or there is no area
	if (area)
		area_free(area);
	if (!r)
		*addr_out = at;
	return r;
}

int vm_map(struct vm_space *s, const struct vm_map_args *a, u64 *addr_out)
{
	write_lock(&s->lock);
	int r = map_locked(s, a, addr_out);

	write_unlock(&s->lock);
	if (!r && (a->flags & (VM_POPULATE | VM_LOCKED)) && a->prot != PROT_NONE)
		vm_populate(s, *addr_out, a->len); // as far as it goes: the mapping stands anyway
	return r;
}

// ---- rights ----

// The entry with the area's new rights. Write access comes back only where no copy has to be made
// first.
static pte_t entry_with_rights(const struct vm_area *a, pte_t e)
{
	bool write = pte_writable(e);

	if (!write && (e & PTE_ANON) && (a->prot & PROT_WRITE))
		write = __atomic_load_n(&pte_counted(e)->refs, __ATOMIC_ACQUIRE) == 1;
	return (e & ~PTE_RIGHTS_MASK) | (area_rights(a, write) & PTE_RIGHTS_MASK);
}

static void rights_leaf(struct vm_area *a, pte_t leaf, u32 first, u32 last)
{
	struct page *table = pte_table_page(leaf);
	pte_t *entries = pte_table_entries(leaf);

	pt_lock(table);
	for (u32 i = first; i < last; i++)
		if (entries[i])
			pte_store(&entries[i], entry_with_rights(a, entries[i]));
	pt_unlock(table);
}

// Entries of the area follow its new rights. False when a large page could not be split (the area's
// edge lies in it).
static bool rights_apply(struct vm_area *a, bool *changed)
{
	pte_t *pmd;

	for (u64 at = pt_next(&a->space->mmu, a->start, a->end, &pmd); at < a->end;
	     at = pt_next(&a->space->mmu, at, a->end, &pmd)) {
		u64 next = min(align_down(at, HUGE_SIZE) + HUGE_SIZE, a->end);
		pte_t e = pte_load(pmd);

		*changed = true;
		if (pte_large(e) && next - at < HUGE_SIZE) {
			if (!pt_split_large(&a->space->mmu, pmd, at))
				return false;
			e = pte_load(pmd);
		}
		if (pte_large(e)) {
			struct page *above = ptr_page(pmd);

			pt_lock(above);
			pte_store(pmd, entry_with_rights(a, *pmd));
			pt_unlock(above);
		} else if (e) {
			u32 first = pt_index(at, 0);

			rights_leaf(a, e, first, first + (u32)((next - at) >> PAGE_SHIFT));
		}
		at = next;
	}
	return true;
}

static int protect_locked(struct vm_space *s, u64 start, u64 end, u32 prot)
{
	struct vm_area *a = vm_area_find(s, start);
	bool changed = false;
	u64 covered = start;
	int r = 0;

	if (!a)
		return -ENOMEM;
	for (; a && a->start < end && !r; a = vm_area_following(a)) {
		if (a->start > covered) {
			r = -ENOMEM; // a hole; what lies below it has been done, as on Linux
			break;
		}
		covered = a->end;
		if (prot & ~a->max_prot) {
			r = -EACCES;
			break;
		}
		if (a->prot == prot)
			continue;
		u64 npages = (min(a->end, end) - max(a->start, start)) >> PAGE_SHIFT;

		if ((prot & PROT_WRITE) && !(a->prot & PROT_WRITE) && !(a->flags & VM_SHARED) &&
		    !area_limits_allow(s, 0, prot, a->flags) && npages) {
			r = -ENOMEM;
			break;
		}
		r = area_split_range(s, max(a->start, start), min(a->end, end));
		if (r)
			break;
		a = vm_area_find(s, max(a->start, start));
		u32 old = a->prot;

		area_set_rights(a, prot, a->flags);
		if (!rights_apply(a, &changed)) {
			area_set_rights(a, old, a->flags);
			r = -ENOMEM;
			break;
		}
		covered = a->end;
		a = area_merge(a);
	}
	if (!r && covered < end)
		r = -ENOMEM;
	if (changed)
		tlb_flush_range(&s->mmu, start, end);
	return r;
}

int vm_protect(struct vm_space *s, u64 addr, u64 len, u32 prot)
{
	u64 end;

	if (!is_aligned(addr, PAGE_SIZE) || (prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC)))
		return -EINVAL;
	if (!len)
		return 0;
	if (space_range_check(addr, len, &end) || end > USER_TOP)
		return -ENOMEM;
	write_lock(&s->lock);
	int r = protect_locked(s, addr, end, prot);

	write_unlock(&s->lock);
	return r;
}

// ---- the break ----

static int brk_grow(struct vm_space *s, u64 from, u64 to)
{
	struct vm_map_args args = {.addr = from,
				   .len = to - from,
				   .prot = PROT_READ | PROT_WRITE,
				   .max_prot = PROT_READ | PROT_WRITE | PROT_EXEC,
				   .flags = VM_FIXED_NOREPLACE | VM_BRK};
	struct vm_area *next = vm_area_find_next(s, from);
	u64 at;

	if (next && (next->flags & VM_GROWSDOWN) && next->start - min(to, next->start) < STACK_GAP)
		return -ENOMEM;
	return map_locked(s, &args, &at);
}

u64 vm_brk(struct vm_space *s, u64 wanted)
{
	write_lock(&s->lock);
	u64 old = align_up(s->brk_end, PAGE_SIZE), new = align_up(wanted, PAGE_SIZE);
	bool ok = wanted >= s->brk_start && wanted < USER_TOP && new <= USER_TOP;

	// RLIMIT_DATA covers the initial data as well.
	if (ok && s->data_limit != ~0ull &&
	    wanted - s->brk_start + (s->data_end - s->data_start) > s->data_limit)
		ok = false;
	if (ok && new < old)
		ok = !unmap_locked(s, new, old);
	else if (ok && new > old)
		ok = !brk_grow(s, old, new);
	if (ok)
		s->brk_end = wanted;
	u64 result = s->brk_end;

	write_unlock(&s->lock);
	return result;
}

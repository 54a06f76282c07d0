// SPDX-License-Identifier: MIT
// remap.c: mremap: areas that grow, shrink or move, with their entries moved rather than their
// pages copied.
#include "linux/mm/mm.h"

constexpr u32 MREMAP_MAYMOVE = 1, MREMAP_FIXED = 2, MREMAP_DONTUNMAP = 4;

// ---- entries ----

// Both tables locked, the one with the lower address first; they may be the same.
static void lock_two(struct page *a, struct page *b)
{
	pt_lock(a < b ? a : b);
	if (a != b)
		pt_lock_nested(a < b ? b : a);
}

static void unlock_two(struct page *a, struct page *b)
{
	if (a != b)
		pt_unlock(a < b ? b : a);
	pt_unlock(a < b ? a : b);
}

// Moves n entries between level 0 tables. areas_lock (of the object) keeps a truncation from
// running between the two places.
static void move_leaf(struct vm_object *o, pte_t from, u32 first, pte_t to, u32 to_first, u32 n)
{
	struct page *from_table = pte_table_page(from), *to_table = pte_table_page(to);
	pte_t *src = pte_table_entries(from) + first, *dst = pte_table_entries(to) + to_first;

	if (o)
		spin_lock(&o->areas_lock);
	lock_two(from_table, to_table);
	for (u32 i = 0; i < n; i++) {
		if (!src[i])
			continue;
		assert(!dst[i]);
		pte_store(&dst[i], src[i]);
		pte_store(&src[i], 0);
	}
	unlock_two(from_table, to_table);
	if (o)
		spin_unlock(&o->areas_lock);
}

static bool move_large(pte_t *from, pte_t *to)
{
	struct page *a = ptr_page(from), *b = ptr_page(to);
	bool moved = false;

	lock_two(a, b);
	if (pte_large(*from) && !*to) {
		pte_store(to, *from);
		pte_store(from, 0);
		moved = true;
	}
	unlock_two(a, b);
	return moved;
}

// Moves the entries of [from, from + len) to to. -ENOMEM: some were moved (the caller moves them
// back, which needs no memory but for large ones, whose tables are still there).
static int move_entries(struct vm_space *s, struct vm_object *o, u64 from, u64 to, u64 len)
{
	u64 end = from + len;
	pte_t *pmd;

	for (u64 at = pt_next(&s->mmu, from, end, &pmd); at < end;
	     at = pt_next(&s->mmu, at, end, &pmd)) {
		u64 there = to + (at - from);
		pte_t *to_pmd = pt_make(&s->mmu, there);

		if (!to_pmd)
			return -ENOMEM;
		// Up to the next table boundary on either side.
		u64 n = min(min(HUGE_SIZE - (at & (HUGE_SIZE - 1)),
				HUGE_SIZE - (there & (HUGE_SIZE - 1))),
			    end - at);

		if (pte_large(pte_load(pmd))) {
			if (n == HUGE_SIZE && move_large(pmd, to_pmd)) {
				at += n;
				continue;
			}
			if (!pt_split_large(&s->mmu, pmd, at))
				return -ENOMEM;
		}
		if (!pte_load(to_pmd) && !pt_make_leaf(&s->mmu, to_pmd))
			return -ENOMEM;
		move_leaf(o, pte_load(pmd), pt_index(at, 0), pte_load(to_pmd), pt_index(there, 0),
			  (u32)(n >> PAGE_SHIFT));
		at += n;
	}
	return 0;
}

// ---- areas ----

struct remap {
	struct vm_space *s;
	u64 old, old_len, new_len, new_addr;
	u32 flags;
};

// -EFAULT and the like for what may not be remapped. *area holds old.
static int check_area(const struct remap *m, struct vm_area **area)
{
	struct vm_area *a = vm_area_find(m->s, m->old);

	if (!a)
		return -EFAULT;
	*area = a;
	if (!m->old_len && !(a->flags & VM_SHARED))
		return -EINVAL; // only shared memory can be mapped a second time
	if ((m->flags & MREMAP_DONTUNMAP) && (a->flags & VM_SPECIAL))
		return -EINVAL;
	if (m->old_len > a->end - m->old)
		return -EFAULT;
	if ((a->flags & VM_SPECIAL) && m->new_len != m->old_len)
		return -EFAULT;
	u64 last;

	if (a->object && __builtin_add_overflow(a->offset + (m->old - a->start), m->new_len, &last))
		return -EINVAL;
	if (m->new_len > m->old_len &&
	    !area_limits_allow(m->s, (m->new_len - m->old_len) >> PAGE_SHIFT, a->prot, a->flags))
		return -ENOMEM;
	return 0;
}

static int move_area(struct remap *m, u64 *out)
{
	struct vm_space *s = m->s;
	struct vm_area *a;
	u64 to = m->new_addr;

	if (m->flags & MREMAP_FIXED) {
		int r = unmap_locked(s, to, to + m->new_len);

		if (r)
			return r;
	}
	if (m->old_len > m->new_len) {
		int r = unmap_locked(s, m->old + m->new_len, m->old + m->old_len);

		if (r)
			return r;
		m->old_len = m->new_len;
	}
	int r = check_area(m, &a);

	if (!r && m->old_len)
		r = area_split_range(s, m->old, m->old + m->old_len);
	if (!r && s->nareas >= AREAS_MAX - 3)
		r = -ENOMEM;
	if (r)
		return r;
	a = vm_area_find(s, m->old);
	if (!(m->flags & MREMAP_FIXED)) {
		// Where large pages can be moved as they are, keep their alignment.
		u64 align = !a->object && m->new_len >= HUGE_SIZE && is_aligned(m->old, HUGE_SIZE)
				    ? HUGE_SIZE
				    : PAGE_SIZE;

		to = area_find_gap(s, m->new_len, align);
		if (!to && align > PAGE_SIZE)
			to = area_find_gap(s, m->new_len, PAGE_SIZE);
		if (!to)
			return -ENOMEM;
	}
	struct vm_area *b = area_alloc(s);

	if (!b)
		return -ENOMEM;
	*b = *a;
	list_init(&b->object_link);
	b->start = to;
	b->end = to + m->new_len;
	if (a->object)
		b->offset = a->offset + (m->old - a->start);
	area_refs_get(b);
	area_insert(b);

	// Pages of the object alone come back by faults; private ones must move.
	bool moves = !a->object || (a->flags & VM_HAS_ANON);

	if (moves && m->old_len && move_entries(s, a->object, m->old, to, m->old_len)) {
		// The old tables are all there, so this way nothing is allocated.
		(void)move_entries(s, a->object, to, m->old, m->old_len);
		tlb_flush_range(&s->mmu, 0, ~0ull);
		unmap_locked(s, to, to + m->new_len);
		return -ENOMEM;
	}
	if (moves && m->old_len)
		tlb_flush_range(&s->mmu, m->old, m->old + m->old_len);
	if (m->flags & MREMAP_DONTUNMAP)
		area_set_rights(a, a->prot, a->flags & ~VM_LOCKED);
	else if (m->old_len)
		unmap_locked(s, m->old,
			     m->old + m->old_len); // whole areas, without large pages: cannot fail
	area_merge(b);
	*out = to;
	return 0;
}

static int resize(struct remap *m, u64 *out)
{
	struct vm_space *s = m->s;
	struct vm_area *a;

	*out = m->old;
	if (m->old_len >= m->new_len && m->old_len) { // shrinking needs no area that starts here
		if (m->old_len > m->new_len)
			return unmap_locked(s, m->old + m->new_len, m->old + m->old_len);
		return check_area(m, &a);
	}
	int r = check_area(m, &a);

	if (r)
		return r;
	u64 end = m->old + m->old_len, new_end = m->old + m->new_len;
	struct vm_area *next = vm_area_following(a);
	u64 room = next ? next->start - (next->flags & VM_GROWSDOWN
						 ? min(STACK_GAP, next->start - a->end)
						 : 0)
			: USER_TOP;

	if (m->old_len && end == a->end && new_end > end && new_end <= room) {
		area_set_range(a, a->start, new_end);
		area_merge(a);
		return 0;
	}
	return m->flags & MREMAP_MAYMOVE ? move_area(m, out) : -ENOMEM;
}

static int check_args(struct remap *m)
{
	u32 flags = m->flags;

	if ((flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)) ||
	    !is_aligned(m->old, PAGE_SIZE))
		return -EINVAL;
	if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && !(flags & MREMAP_MAYMOVE))
		return -EINVAL;
	if (!align_up_checked(m->old_len, PAGE_SIZE, &m->old_len) ||
	    !align_up_checked(m->new_len, PAGE_SIZE, &m->new_len) || !m->new_len)
		return -EINVAL;
	if ((flags & MREMAP_DONTUNMAP) && m->old_len != m->new_len)
		return -EINVAL;
	if (m->old > USER_TOP || m->old_len > USER_TOP - m->old)
		return -EFAULT;
	if (m->new_len > USER_TOP)
		return flags & MREMAP_FIXED ? -EINVAL : -ENOMEM;
	if (!(flags & MREMAP_FIXED))
		return 0;
	if (!is_aligned(m->new_addr, PAGE_SIZE) || m->new_addr > USER_TOP - m->new_len ||
	    (m->old < m->new_addr + m->new_len && m->new_addr < m->old + m->old_len))
		return -EINVAL;
	return m->new_addr < USER_MIN ? -EPERM : 0;
}

int vm_remap(struct vm_space *s, u64 old, u64 old_len, u64 new_len, u32 linux_flags, u64 new_addr,
	     u64 *out)
{
	struct remap m = {s, old, old_len, new_len, new_addr, linux_flags};
	int r = check_args(&m);

	if (r)
		return r;
	write_lock(&s->lock);
	struct vm_area *a = vm_area_find(s, old);

	if (!a) {
		r = -EFAULT;
	} else {
		bool locked = a->flags & VM_LOCKED;

		r = linux_flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) ? move_area(&m, out)
								    : resize(&m, out);
		if (r || !locked || m.new_len <= m.old_len)
			new_len = 0;
	}
	write_unlock(&s->lock);
	if (!r && new_len)
		vm_populate(s, *out, m.new_len);
	return r;
}

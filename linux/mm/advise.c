// SPDX-License-Identifier: MIT
// advise.c: madvise, mlock, msync: what programs say about ranges of their areas.
#include "linux/mm/mm.h"

enum advice { // Linux's numbers
	MADV_NORMAL,
	MADV_RANDOM,
	MADV_SEQUENTIAL,
	MADV_WILLNEED,
	MADV_DONTNEED,
	MADV_FREE = 8,
	MADV_REMOVE,
	MADV_DONTFORK,
	MADV_DOFORK,
	MADV_HUGEPAGE = 14,
	MADV_NOHUGEPAGE,
	MADV_DONTDUMP,
	MADV_DODUMP,
	MADV_WIPEONFORK,
	MADV_KEEPONFORK,
	MADV_COLD,
	MADV_PAGEOUT,
	MADV_POPULATE_READ,
	MADV_POPULATE_WRITE,
};

// Runs step for each area in [start, end), with the part that lies in it. -ENOMEM when there are
// holes, after all of it was done.
static int for_areas(struct vm_space *s, u64 start, u64 end,
		     int (*step)(struct vm_area *a, u64 start, u64 end, int advice), int advice)
{
	bool holes = false;

	while (start < end) {
		struct vm_area *a = vm_area_find_next(s, start);

		if (!a || a->start >= end) {
			holes = true;
			break;
		}
		if (a->start > start)
			holes = true;
		u64 stop = min(a->end, end);
		int r = step(a, max(a->start, start), stop, advice);

		if (r)
			return r;
		start = stop;
	}
	return holes ? -ENOMEM : 0;
}

// ---- under the read lock: pages ----

static int step_discard(struct vm_area *a, u64 start, u64 end, int advice)
{
	struct gather g;

	if ((a->flags & VM_LOCKED) ||
	    (advice == MADV_FREE && (a->object || (a->flags & VM_SHARED))))
		return -EINVAL;
	gather_init(&g, &a->space->mmu);
	bool whole = zap_range(&g, start, end, ZAP_ALL);

	gather_flush(&g);
	return whole ? 0 : -ENOMEM;
}

static int step_nothing(struct vm_area *a, u64 start, u64 end, int advice)
{
	(void)start, (void)end;
	return (advice == MADV_COLD || advice == MADV_PAGEOUT) && (a->flags & VM_LOCKED) ? -EINVAL
											 : 0;
}

static int step_remove(struct vm_area *a, u64 start, u64 end, int advice)
{
	(void)advice;
	if ((a->flags & VM_LOCKED) || !a->object)
		return -EINVAL;
	if (!(a->flags & VM_SHARED) || !(a->prot & PROT_WRITE))
		return -EACCES;
	vm_object_drop(a->object, area_index(a, start), area_index(a, end) - 1);
	return 0;
}

// ---- under the write lock: flags ----

static int advised_flags(const struct vm_area *a, int advice, u32 *flags)
{
	bool private_anon = !a->object && !(a->flags & VM_SHARED);

	switch (advice) {
	case MADV_DONTFORK:
		*flags |= VM_DONTFORK;
		return 0;
	case MADV_DOFORK:
		*flags &= ~VM_DONTFORK;
		return a->flags & VM_SPECIAL ? -EINVAL : 0;
	case MADV_WIPEONFORK:
		*flags |= VM_WIPEONFORK;
		return private_anon ? 0 : -EINVAL;
	case MADV_KEEPONFORK:
		*flags &= ~VM_WIPEONFORK;
		return 0;
	case MADV_DONTDUMP:
		*flags |= VM_DONTDUMP;
		return 0;
	case MADV_DODUMP:
		*flags &= ~VM_DONTDUMP;
		return a->flags & VM_SPECIAL ? -EINVAL : 0;
	case MADV_HUGEPAGE:
		*flags = (*flags & ~VM_NOHUGE) | VM_HUGE;
		return 0;
	default: // MADV_NOHUGEPAGE
		*flags = (*flags & ~VM_HUGE) | VM_NOHUGE;
		return 0;
	}
}

// Gives the part [start, end) of an area other flags. The area may be gone afterwards (merged).
static int set_flags(struct vm_area *a, u64 start, u64 end, u32 flags)
{
	struct vm_space *s = a->space;

	if (a->flags == flags)
		return 0;
	int r = area_split_range(s, start, end);

	if (r)
		return r;
	a = vm_area_find(s, start);
	area_set_rights(a, a->prot, flags);
	area_merge(a);
	return 0;
}

static int step_flags(struct vm_area *a, u64 start, u64 end, int advice)
{
	u32 flags = a->flags;
	int r = advised_flags(a, advice, &flags);

	return r ? r : set_flags(a, start, end, flags);
}

int vm_advise(struct vm_space *s, u64 addr, u64 len, int advice)
{
	int (*step)(struct vm_area *, u64, u64, int);
	bool changes_areas = false;
	u64 end;

	switch (advice) {
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case MADV_COLD:
	case MADV_PAGEOUT:
		step = step_nothing;
		break;
	case MADV_DONTNEED:
	case MADV_FREE: // at once: the program may not rely on finding anything
		step = step_discard;
		break;
	case MADV_REMOVE:
		step = step_remove;
		break;
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
		step = nullptr;
		break;
	case MADV_DONTFORK:
	case MADV_DOFORK:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
	case MADV_WIPEONFORK:
	case MADV_KEEPONFORK:
		step = step_flags;
		changes_areas = true;
		break;
	default:
		return -EINVAL;
	}
	if (space_range_check(addr, len, &end))
		return -EINVAL;
	if (end == addr)
		return 0;
	if (!step)
		return space_populate(s, addr, end, advice == MADV_POPULATE_WRITE);
	if (changes_areas)
		write_lock(&s->lock);
	else
		read_lock(&s->lock);
	int r = for_areas(s, addr, end, step, advice);

	if (changes_areas)
		write_unlock(&s->lock);
	else
		read_unlock(&s->lock);
	return r;
}

// ---- NUMA policy ----

static int step_policy(struct vm_area *a, u64 start, u64 end, int policy)
{
	u32 others = a->flags & ~((u32)VM_POLICY_MASK << VM_POLICY_SHIFT);

	return set_flags(a, start, end, others | (u32)policy << VM_POLICY_SHIFT);
}

static int step_exists(struct vm_area *a, u64 start, u64 end, int advice)
{
	(void)a, (void)start, (void)end, (void)advice;
	return 0;
}

int vm_policy_set(struct vm_space *s, u64 start, u64 end, u32 policy)
{
	write_lock(&s->lock);
	int r = for_areas(s, start, end, step_exists, 0) ? -EFAULT : 0;

	if (!r)
		r = for_areas(s, start, end, step_policy, (int)policy);
	write_unlock(&s->lock);
	return r;
}

// ---- mlock ----

static int step_lock(struct vm_area *a, u64 start, u64 end, int lock)
{
	return set_flags(a, start, end, lock ? a->flags | VM_LOCKED : a->flags & ~VM_LOCKED);
}

int vm_lock_range(struct vm_space *s, u64 addr, u64 len, bool lock)
{
	u64 start = align_down(addr, PAGE_SIZE), end;

	if (__builtin_add_overflow(len, addr - start, &len) || space_range_check(start, len, &end))
		return -EINVAL;
	if (start == end)
		return 0;
	write_lock(&s->lock);
	int r = for_areas(s, start, end, step_lock, lock);

	write_unlock(&s->lock);
	if (!r && lock)
		r = vm_populate(s, start, end - start);
	return r;
}

// ---- msync ----

constexpr int MS_ASYNC = 1, MS_INVALIDATE = 2, MS_SYNC = 4;

static int step_sync(struct vm_area *a, u64 start, u64 end, int flags)
{
	(void)start, (void)end;
	return (flags & MS_INVALIDATE) && (a->flags & VM_LOCKED) ? -EBUSY : 0;
}

// Shared mappings are the page cache itself: there is nothing to carry over. Writing back is the
// file system's.
int vm_sync(struct vm_space *s, u64 addr, u64 len, int flags)
{
	u64 end;

	if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) ||
	    (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC) || !is_aligned(addr, PAGE_SIZE))
		return -EINVAL;
	if (space_range_check(addr, len, &end))
		return -ENOMEM;
	if (addr == end)
		return 0;
	read_lock(&s->lock);
	int r = for_areas(s, addr, end, step_sync, flags);

	read_unlock(&s->lock);
	return r;
}

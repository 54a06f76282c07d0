// SPDX-License-Identifier: MIT
// area.c: the areas of a space: the tree, its counters, splitting, merging, and the search for
// gaps.
//
// The space's lock is held for writing in all that changes. Start, end and offset of an area with
// an object are also read from the object's side (truncation), so they change under its areas_lock.
#include "core/slab.h"
#include "linux/file.h"
#include "linux/mm/mm.h"

static struct slab_cache area_cache;

void area_init(void)
{
	slab_cache_init(&area_cache, "vm_area", sizeof(struct vm_area), 0);
}

// ---- finding ----

static inline struct vm_area *area_of(struct rb_node *n)
{
	return rb_entry_or_null(n, struct vm_area, node);
}

struct vm_area *vm_area_find_next(struct vm_space *s, u64 addr)
{
	struct rb_node *n = s->areas.node;
	struct vm_area *best = nullptr;

	while (n) {
		struct vm_area *a = rb_entry(n, struct vm_area, node);

		if (addr < a->end) {
			best = a;
			if (addr >= a->start)
				break;
			n = n->left;
		} else {
			n = n->right;
		}
	}
	return best;
}

struct vm_area *vm_area_find(struct vm_space *s, u64 addr)
{
	struct vm_area *a = load_once(&s->last_hit);

	// The hint is cleared before an area goes, under the write lock.
	if (likely(a && addr >= a->start && addr < a->end))
		return a;
	a = vm_area_find_next(s, addr);
	if (!a || addr < a->start)
		return nullptr;
	store_once(&s->last_hit, a);
	return a;
}

struct vm_area *vm_area_following(struct vm_area *a)
{
	return area_of(rb_next(&a->node));
}

struct vm_area *area_before(struct vm_area *a)
{
	return area_of(rb_prev(&a->node));
}

// ---- counters ----

static void account(struct vm_space *s, const struct vm_area *a, u64 npages, bool add)
{
	u64 n = add ? npages : -npages;

	s->total_pages += n;
	if (a->flags & VM_GROWSDOWN)
		s->stack_pages += n;
	else if ((a->prot & PROT_WRITE) && !(a->flags & VM_SHARED))
		s->data_pages += n;
	else if ((a->prot & (PROT_EXEC | PROT_WRITE)) == PROT_EXEC)
		s->exec_pages += n;
	if (a->flags & VM_LOCKED)
		s->locked_pages += n;
	if (a->flags & VM_SHARED)
		s->shared_pages += n;
}

static inline u64 area_pages(const struct vm_area *a)
{
	return (a->end - a->start) >> PAGE_SHIFT;
}

// Would npages more be too many? -ENOMEM for the program.
bool area_limits_allow(struct vm_space *s, u64 npages, u32 prot, u32 flags)
{
	u64 total;

	if (__builtin_add_overflow(s->total_pages, npages, &total) || total > s->pages_mapped_limit)
		return false;
	if ((prot & PROT_WRITE) && !(flags & (VM_SHARED | VM_GROWSDOWN)) &&
	    s->data_limit != ~0ull && s->data_pages + npages > s->data_limit >> PAGE_SHIFT)
		return false;
	return true;
}

// ---- in and out ----

struct vm_area *area_alloc(struct vm_space *s)
{
	struct vm_area *a = slab_alloc(&area_cache);

	if (a) {
		*a = (struct vm_area){.space = s};
		list_init(&a->object_link);
	}
	return a;
}

void area_refs_get(struct vm_area *a)
{
	if (a->object)
		vm_object_get(a->object);
	if (!a->file)
		return;
	(void)file_get(a->file);
	if (unlikely(a->file->ops->mapped))
		a->file->ops->mapped(a->file);
}

void area_free(struct vm_area *a)
{
	if (a->object)
		vm_object_put(a->object);
	if (a->file) {
		if (unlikely(a->file->ops->unmapped))
			a->file->ops->unmapped(a->file);
		file_put(a->file);
	}
	slab_free(&area_cache, a);
}

static void tree_insert(struct vm_area *a)
{
	struct vm_space *s = a->space;
	struct rb_node **link = &s->areas.node, *parent = nullptr;

	while (*link) {
		parent = *link;
		link = a->start < rb_entry(parent, struct vm_area, node)->start ? &parent->left
										: &parent->right;
	}
	rb_link_node(&a->node, parent, link);
	rb_insert_color(&a->node, &s->areas);
	s->nareas++;
	account(s, a, area_pages(a), true);
}

static void object_link(struct vm_area *a, struct list *after)
{
	if (!a->object)
		return;
	spin_lock(&a->object->areas_lock);
	if (after)
		list_add_after(after, &a->object_link);
	else
		list_add_tail(&a->object->areas, &a->object_link);
	spin_unlock(&a->object->areas_lock);
}

void area_insert(struct vm_area *a)
{
	tree_insert(a);
	object_link(a, nullptr);
}

// Who walks the object's areas sees the parent's entries before the child's, which are copied from
// them.
void area_insert_fork(struct vm_area *a, struct vm_area *parent)
{
	tree_insert(a);
	object_link(a, &parent->object_link);
}

void area_remove(struct vm_area *a)
{
	struct vm_space *s = a->space;

	store_once(&s->last_hit, nullptr);
	rb_erase(&a->node, &s->areas);
	s->nareas--;
	account(s, a, area_pages(a), false);
	if (a->object && !list_empty(&a->object_link)) {
		spin_lock(&a->object->areas_lock);
		list_del_init(&a->object_link);
		spin_unlock(&a->object->areas_lock);
	}
}

static void set_range_locked(struct vm_area *a, u64 start, u64 end)
{
	if (a->object)
		a->offset += start - a->start;
	a->start = start;
	a->end = end;
}

void area_set_range(struct vm_area *a, u64 start, u64 end)
{
	account(a->space, a, area_pages(a), false);
	if (a->object)
		spin_lock(&a->object->areas_lock);
	set_range_locked(a, start, end);
	if (a->object)
		spin_unlock(&a->object->areas_lock);
	account(a->space, a, area_pages(a), true);
}

void area_set_rights(struct vm_area *a, u32 prot, u32 flags)
{
	account(a->space, a, area_pages(a), false);
	a->prot = prot;
	a->flags = flags;
	account(a->space, a, area_pages(a), true);
}

// ---- splitting and merging ----

int area_split(struct vm_area *a, u64 at)
{
	struct vm_space *s = a->space;

	assert(at > a->start && at < a->end && is_aligned(at, PAGE_SIZE));
	if (s->nareas >= AREAS_MAX)
		return -ENOMEM;
	struct vm_area *upper = area_alloc(s);

	if (!upper)
		return -ENOMEM;
	*upper = *a;
	list_init(&upper->object_link);
	upper->start = at;
	if (a->object)
		upper->offset = a->offset + (at - a->start);
	area_refs_get(upper);

	// Both halves change in one step, so that a walker of the object's areas misses nothing.
	account(s, a, area_pages(a), false);
	if (a->object)
		spin_lock(&a->object->areas_lock);
	a->end = at;
	if (a->object) {
		list_add_after(&a->object_link, &upper->object_link);
		spin_unlock(&a->object->areas_lock);
	}
	account(s, a, area_pages(a), true);
	tree_insert(upper);
	return 0;
}

int area_split_range(struct vm_space *s, u64 start, u64 end)
{
	struct vm_area *a = vm_area_find_next(s, start);

	if (a && a->start < start) {
		int r = area_split(a, start);

		if (r)
			return r;
	}
	a = vm_area_find_next(s, end - 1);
	if (a && a->start < end && a->end > end)
		return area_split(a, end);
	return 0;
}

bool area_alike(const struct vm_area *lower, const struct vm_area *upper)
{
	return lower->end == upper->start && lower->prot == upper->prot &&
	       lower->max_prot == upper->max_prot &&
	       ((lower->flags ^ upper->flags) & ~VM_HAS_ANON) == 0 &&
	       !(lower->flags & (VM_GROWSDOWN | VM_SPECIAL)) && lower->object == upper->object &&
	       lower->file == upper->file &&
	       (!lower->object || lower->offset + (lower->end - lower->start) == upper->offset);
}

// upper's range becomes part of lower.
static void absorb(struct vm_area *lower, struct vm_area *upper)
{
	struct vm_space *s = lower->space;

	store_once(&s->last_hit, nullptr);
	account(s, upper, area_pages(upper), false);
	rb_erase(&upper->node, &s->areas);
	s->nareas--;
	account(s, lower, area_pages(lower), false);
	if (lower->object)
		spin_lock(&lower->object->areas_lock);
	lower->flags |= upper->flags & VM_HAS_ANON;
	lower->end = upper->end;
	if (lower->object) {
		list_del_init(&upper->object_link);
		spin_unlock(&lower->object->areas_lock);
	}
	account(s, lower, area_pages(lower), true);
	area_free(upper);
}

struct vm_area *area_merge(struct vm_area *a)
{
	struct vm_area *other = area_before(a);

	if (other && area_alike(other, a)) {
		absorb(other, a);
		a = other;
	}
	other = vm_area_following(a);
	if (other && area_alike(a, other))
		absorb(a, other);
	return a;
}

// ---- gaps ----

// A stack above a gap keeps its distance.
static inline u64 gap_end(const struct vm_area *above)
{
	if (!(above->flags & VM_GROWSDOWN))
		return above->start;
	return above->start > STACK_GAP ? above->start - STACK_GAP : 0;
}

// The highest place for len bytes in [lo, hi), or 0.
static u64 gap_place(u64 lo, u64 hi, u64 len, u64 align)
{
	if (hi <= lo || hi - lo < len)
		return 0;
	u64 at = align_down(hi - len, align);

	return at >= lo ? at : 0;
}

// Downward from top; *seen is raised to the largest gap that was passed over.
static u64 search_down(struct vm_space *s, u64 top, u64 len, u64 align, u64 *seen)
{
	struct vm_area *above = vm_area_find_next(s, top - 1);
	u64 hi = above ? min(top, gap_end(above)) : top;
	struct vm_area *below = above ? area_before(above) : area_of(rb_last(&s->areas));

	for (;;) {
		u64 lo = below ? max(below->end, USER_MIN) : USER_MIN;
		u64 at = gap_place(lo, hi, len, align);

		if (at) {
			if (hi - (at + len) > *seen) // left over above, by alignment
				*seen = hi - (at + len);
			return at;
		}
		if (hi > lo && hi - lo > *seen)
			*seen = hi - lo;
		if (!below)
			return 0;
		hi = gap_end(below);
		below = area_before(below);
	}
}

static u64 search_up(struct vm_space *s, u64 bottom, u64 len, u64 align)
{
	struct vm_area *a = vm_area_find_next(s, bottom);
	u64 lo = bottom;

	for (;;) {
		u64 hi = a ? gap_end(a) : USER_TOP, at = align_up(lo, align);

		if (at >= lo && hi > at && hi - at >= len)
			return at;
		if (!a)
			return 0;
		lo = max(lo, a->end);
		a = vm_area_following(a);
	}
}

u64 area_find_gap(struct vm_space *s, u64 len, u64 align)
{
	u64 at;

	align = max(align, PAGE_SIZE);
	if (len > s->gap_seen && s->gap_top > USER_MIN && s->gap_top < s->mmap_base) {
		at = search_down(s, s->gap_top, len, align, &s->gap_seen);
		if (at) {
			s->gap_top = at;
			return at;
		}
	}
	s->gap_seen = 0;
	at = s->mmap_base > USER_MIN ? search_down(s, s->mmap_base, len, align, &s->gap_seen) : 0;
	if (at) {
		s->gap_top = at;
		return at;
	}
	s->gap_top = s->mmap_base;
	s->gap_seen = 0;
	return search_up(s, max(s->mmap_base, USER_MIN), len, align);
}

// SPDX-License-Identifier: MIT
// object.c: indexed sets of pages behind files and shared memory.
//
// The tree is changed under o->lock and looked up under RCU. Each entry holds one reference of its
// page; a page in a tree has page->object and page->data (its index) set. A lookup raises a count
// that is not 0 and then looks whether the page is still the one it wanted; so pages need no grace
// period before they are used for something else.
//
// Truncation takes pages out of the tree first and out of the page tables after that. A fault looks
// the page up (again) while it holds the table's lock; so either it sees that the page is gone, or
// the truncation finds its entry.
#include "base/string.h"
#include "core/rcu.h"
#include "core/slab.h"
#include "linux/mm/mm.h"

static struct slab_cache node_cache, object_cache;

static void *node_alloc(void *ctx, size_t size)
{
	(void)ctx, (void)size;
	return slab_alloc(&node_cache);
}

static void node_free_late(struct rcu_head *h)
{
	slab_free(&node_cache, container_of((void **)h, struct radix_node, rcu[0]));
}

static void node_free(void *ctx, struct radix_node *node)
{
	(void)ctx;
	static_assert(sizeof(struct rcu_head) <= sizeof(node->rcu));
	rcu_call((struct rcu_head *)node->rcu, node_free_late);
}

static const struct radix_ops tree_ops = {.alloc = node_alloc, .free = node_free};

// ---- memory that is not a file's ----

static int insert_new(struct vm_object *o, u64 index, enum page_owner owner, struct page **out)
{
	struct page *p = page_alloc(0, owner, ALLOC_ZERO);

	if (!p)
		return -ENOMEM;
	page_get(p); // the caller's, beside the tree's
	int r = vm_object_insert(o, index, p);

	if (!r) {
		*out = p;
		return 0;
	}
	page_put(p);
	page_put(p);
	if (r != -EEXIST)
		return r;
	*out = vm_object_lookup(o, index);
	return *out ? 0 : -EAGAIN; // gone again: truncated meanwhile
}

static int get_page_zero(struct vm_object *o, u64 index, enum page_owner owner, struct page **out)
{
	int r;

	do {
		*out = vm_object_lookup(o, index);
		r = *out ? 0 : insert_new(o, index, owner, out);
	} while (r == -EAGAIN);
	return r;
}

int vm_object_get_page_zero(struct vm_object *o, u64 index, bool write, struct page **out)
{
	(void)write;
	return get_page_zero(o, index, OWNER_SHARED, out);
}

static int get_page_program(struct vm_object *o, u64 index, bool write, struct page **out)
{
	(void)write;
	return get_page_zero(o, index, OWNER_PROGRAM, out);
}

static void release_memory(struct vm_object *o)
{
	slab_free(&object_cache, o);
}

static const struct vm_object_ops memory_ops = {.get_page = get_page_program,
						.release = release_memory};

bool object_is_memory(const struct vm_object *o)
{
	return !o->ops || o->ops->get_page == vm_object_get_page_zero || o->ops == &memory_ops;
}

// ---- lifetime ----

void object_init(void)
{
	slab_cache_init(&node_cache, "radix_node", sizeof(struct radix_node), 64);
	slab_cache_init(&object_cache, "vm_object", sizeof(struct vm_object), 0);
}

void vm_object_init(struct vm_object *o, const struct vm_object_ops *ops, u64 size_bytes)
{
	*o = (struct vm_object){.ops = ops, .size_bytes = size_bytes};
	refcount_set(&o->refs, 1);
	spin_lock_init(&o->lock, LOCK_page_cache);
	spin_lock_init(&o->areas_lock, LOCK_vm_areas);
	radix_init(&o->pages, &tree_ops, nullptr);
	list_init(&o->areas);
}

struct vm_object *vm_object_create(u64 size_bytes)
{
	struct vm_object *o = slab_alloc(&object_cache);

	if (o)
		vm_object_init(o, &memory_ops, size_bytes);
	return o;
}

// ---- pages ----

// Under RCU. p was found in o's tree; false when it is something else by now.
bool object_page_get(struct page *p, const struct vm_object *o, u64 index)
{
	u32 refs = __atomic_load_n(&p->refs, __ATOMIC_RELAXED);

	do {
		if (!refs)
			return false;
	} while (!__atomic_compare_exchange_n(&p->refs, &refs, refs + 1, true, __ATOMIC_ACQUIRE,
					      __ATOMIC_RELAXED));
	if (likely(load_once(&p->object) == o && load_once(&p->data) == index))
		return true;
	page_put(p);
	return false;
}

struct page *object_peek(struct vm_object *o, u64 index)
{
	struct page *p = radix_lookup(&o->pages, index);

	return p && object_page_get(p, o, index) ? p : nullptr;
}

struct page *vm_object_lookup(struct vm_object *o, u64 index)
{
	rcu_read_lock();
	struct page *p = object_peek(o, index);

	rcu_read_unlock();
	return p;
}

int vm_object_get_page(struct vm_object *o, u64 index, bool write, struct page **out)
{
	bool memory = object_is_memory(o);

	// A file system wants to hear of every write, for its own books.
	if (memory || !write) {
		*out = vm_object_lookup(o, index);
		if (*out)
			return 0;
	}
	if (!o->ops || !o->ops->get_page)
		return vm_object_get_page_zero(o, index, write, out);
	return o->ops->get_page(o, index, write, out);
}

int vm_object_insert(struct vm_object *o, u64 index, struct page *p)
{
	if (o->limit_pages && index >= o->limit_pages)
		return -ENOSPC;
	if (o->charge && atomic_inc_return(o->charge) > atomic_load(o->charge_limit)) {
		atomic_sub(o->charge, 1);
		return -ENOSPC;
	}
	p->data = index;
	store_once(&p->object, o);
	spin_lock(&o->lock);
	int r = radix_insert(&o->pages, index, p);

	if (!r)
		o->npages++;
	spin_unlock(&o->lock);
	if (r) {
		store_once(&p->object, nullptr);
		if (o->charge)
			atomic_sub(o->charge, 1);
	}
	return r;
}

// ---- taking out ----

enum drop_what { DROP_ALL, DROP_CLEAN };

// Looks at up to 512 pages of [*index, last] and takes them out of the tree, chained by data in
// front of *chain; false when none is left. A reference of each goes with the chain.
static bool take_some(struct vm_object *o, u64 *index, u64 last, enum drop_what what,
		      struct page **chain)
{
	struct page *p;
	u32 n = 0, looked = 0;

	spin_lock(&o->lock);
	while (looked < 512 && *index <= last && (p = radix_next(&o->pages, index)) &&
	       *index <= last) {
		u64 at = (*index)++;

		looked++;
		if (what == DROP_ALL || !(load_once(&p->flags) & PAGE_DIRTY)) {
			radix_erase(&o->pages, at);
			store_once(&p->object, nullptr); // who finds it from here on gives it back
			p->data = (u64)(uintptr_t)*chain;
			*chain = p;
			n++;
		}
		if (!*index)
			break;
	}
	o->npages -= n;
	spin_unlock(&o->lock);
	if (o->charge && n)
		atomic_sub(o->charge, n);
	return looked == 512 && *index;
}

static void put_chain(struct page *chain)
{
	struct page *batch[64];
	u32 n = 0;

	while (chain) {
		batch[n++] = chain;
		chain = (struct page *)(uintptr_t)chain->data;
		if (n == ARRAY_SIZE(batch) || !chain) {
			pages_put_bulk(batch, n);
			n = 0;
		}
	}
}

// Unmaps pages [first, last] from every space. Copies that programs made of them go too when what
// says so.
static void unmap_everywhere(struct vm_object *o, u64 first, u64 last, enum zap_what what)
{
	struct vm_area *a;
	struct gather g;

	if (list_empty(&o->areas))
		return;
	spin_lock(&o->areas_lock);
	list_for_each_entry(a, &o->areas, object_link) {
		u64 from = a->offset >> PAGE_SHIFT,
		    to = from + ((a->end - a->start) >> PAGE_SHIFT); // of the object

		if (last < from || first >= to)
			continue;
		u64 start = a->start + (max(first, from) - from) * PAGE_SIZE;
		u64 end = last >= to - 1 ? a->end : a->start + (last + 1 - from) * PAGE_SIZE;

		gather_init(&g, &a->space->mmu);
		zap_range(&g, start, end, what);
		gather_flush(&g);
	}
	spin_unlock(&o->areas_lock);
}

static void drop(struct vm_object *o, u64 first, u64 last, enum drop_what pages, enum zap_what what)
{
	struct page *chain = nullptr;
	u64 index = first;

	while (take_some(o, &index, last, pages, &chain))
		;
	unmap_everywhere(o, first, last, what);
	put_chain(chain);
}

u64 vm_object_shrink(struct vm_object *o, u64 *index, u64 n, bool (*may)(struct page *p))
{
	struct page *chain = nullptr, *p;
	u64 taken = 0;
	u32 looked = 0;

	spin_lock(&o->lock);
	while (taken < n && looked++ < 512 && (p = radix_next(&o->pages, index))) {
		u64 at = (*index)++;

		if (!may(p))
			continue;
		radix_erase(&o->pages, at);
		store_once(&p->object, nullptr); // who finds it from here on gives it back
		p->data = (u64)(uintptr_t)chain;
		chain = p;
		taken++;
	}
	if (taken < n && looked <= 512)
		*index = 0;
	o->npages -= taken;
	spin_unlock(&o->lock);
	put_chain(chain);
	return taken;
}

void vm_object_drop(struct vm_object *o, u64 first, u64 last)
{
	if (first <= last)
		drop(o, first, last, DROP_ALL, ZAP_OBJECT_ONLY);
}

void vm_object_drop_clean(struct vm_object *o, u64 first, u64 last)
{
	if (first <= last)
		drop(o, first, last, DROP_CLEAN, ZAP_OBJECT_ONLY);
}

bool vm_object_page_dirty(struct vm_object *o, struct page *p)
{
	spin_lock(&o->lock);
	bool in = p->object == o;

	if (in)
		__atomic_fetch_or(&p->flags, PAGE_DIRTY, __ATOMIC_RELAXED);
	spin_unlock(&o->lock);
	return in;
}

void vm_object_unmap(struct vm_object *o, u64 first, u64 last)
{
	unmap_everywhere(o, first, last, ZAP_OBJECT_ONLY);
}

void vm_object_set_size(struct vm_object *o, u64 size_bytes)
{
	u64 old = load_once(&o->size_bytes);

	store_once(&o->size_bytes, size_bytes);
	if (size_bytes >= old)
		return;
	u64 first = (size_bytes >> PAGE_SHIFT) + !is_aligned(size_bytes, PAGE_SIZE);

	smp_mb(); // faults see the new size, or have their page in the tree before we look
	drop(o, first, ~0ull, DROP_ALL, ZAP_ALL);
	if (!is_aligned(size_bytes, PAGE_SIZE)) {
		struct page *p = vm_object_lookup(o, size_bytes >> PAGE_SHIFT);
		u64 keep = size_bytes & (PAGE_SIZE - 1);

		if (p) {
			memset((char *)page_ptr(p) + keep, 0, PAGE_SIZE - keep);
			page_put(p);
		}
	}
}

void vm_object_put(struct vm_object *o)
{
	struct page *chain = nullptr;
	u64 index = 0;

	if (!refcount_dec_and_test(&o->refs))
		return;
	assert(list_empty(&o->areas));
	if (!radix_empty(&o->pages)) {
		while (take_some(o, &index, ~0ull, DROP_ALL, &chain))
			;
		put_chain(chain);
	}
	if (o->ops && o->ops->release)
		o->ops->release(o);
}

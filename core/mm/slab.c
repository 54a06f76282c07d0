// SPDX-License-Identifier: MIT
// slab.c: the kernel heap: caches of equal objects, and kmalloc on top of them.
//
// Purpose. A cache hands out objects of one size in a handful of instructions, in any context.
//
// Structure. Memory comes in slabs: runs of pages of OWNER_CORE, cut into objects. The head page's
// struct page holds the slab's free list (objects linked by index through their first word), the
// count of objects that are out, and its neighbours in the cache's list of slabs that have free
// objects. In front of the slabs each CPU has a stack of free objects, refilled and drained half at
// a time.
//
// Locks. A CPU's stack: only that CPU, interrupts off. The slabs: cache->lock (class slab,
// interrupts off); pages are allocated and freed outside it.
//
// Failure. nullptr. A full CPU stack is never needed to make progress: it is made on first use and
// done without when memory is out.
//
// DEBUG: free objects are filled with a pattern that is checked when they are handed out again, and
// a second free of an object that is still on this CPU's stack or whose slab is not ours stops the
// kernel.
#include <stdckdint.h>

#include "base/string.h"
#include "core/log.h"
#include "core/mm/mm.h"
#include "core/page.h"
#include "core/slab.h"
#include "core/smp.h"

constexpr u32 STACK_OBJECTS = 30;
constexpr u32 EMPTY_KEEP = 1; // empty slabs that a cache keeps

struct slab_cpu {
	u32 n;
	u32 reserved;
	void *objects[STACK_OBJECTS];
};
static_assert(CPU_MAX == sizeof_field(struct slab_cache, cpu) / sizeof(void *));

static spinlock_t caches_lock = SPINLOCK_INIT(LOCK_slab);
static struct list caches = LIST_INIT(caches);
static atomic_u64 pages_used;

static struct slab_cache stack_cache; // of struct slab_cpu; itself without stacks

static inline struct page *frame(u32 pfn)
{
	return &page_array[pfn];
}
static inline u32 frame_nr(const struct page *p)
{
	return (u32)(p - page_array);
}
static inline void *slab_object(const struct slab_cache *c, struct page *slab, u32 index)
{
	return (char *)page_ptr(slab) + (size_t)index * c->size;
}
static inline struct page *slab_of(const struct slab_cache *c, const void *obj)
{
	return ptr_page((void *)((uintptr_t)obj & ~((PAGE_SIZE << c->order) - 1)));
}

// ---- DEBUG: the pattern in free objects, behind the word that links them ----
#if CONFIG_DEBUG
constexpr u8 POISON = 0x6b;
static void poison(const struct slab_cache *c, void *obj)
{
	if (c->size > sizeof(u64))
		memset((u64 *)obj + 1, POISON, c->size - sizeof(u64));
}
static void poison_check(const struct slab_cache *c, void *obj)
{
	void *bad = c->size > sizeof(u64)
			    ? memchr_inv((u64 *)obj + 1, POISON, c->size - sizeof(u64))
			    : nullptr;

	if (bad)
		panic("slab %s: object %p was written at %p after it was freed", c->name, obj, bad);
}
static void free_check(const struct slab_cache *c, const struct slab_cpu *s, void *obj)
{
	const struct page *slab = slab_of(c, obj);

	if (!(slab->flags & PAGE_SLAB) || slab->slab_cache != c)
		panic("slab %s: %p is not one of its objects", c->name, obj);
	if (((uintptr_t)obj - (uintptr_t)page_ptr(slab)) % c->size)
		panic("slab %s: %p is not the start of an object", c->name, obj);
	for (u32 i = 0; s && i < s->n; i++)
		if (s->objects[i] == obj)
			panic("slab %s: %p is freed twice", c->name, obj);
}
#else
static inline void poison(const struct slab_cache *c, void *obj)
{
	(void)c, (void)obj;
}
static inline void poison_check(const struct slab_cache *c, void *obj)
{
	(void)c, (void)obj;
}
static inline void free_check(const struct slab_cache *c, const struct slab_cpu *s, void *obj)
{
	(void)c, (void)s, (void)obj;
}
#endif

// ---- slabs; cache->lock held ----

// The list's links are frame numbers: data = next << 32 | previous.
static void partial_add(struct slab_cache *c, struct page *slab)
{
	slab->data = (u64)c->partial << 32;
	if (c->partial)
		frame(c->partial)->data =
			(frame(c->partial)->data & ~0xffffffffull) | frame_nr(slab);
	c->partial = frame_nr(slab);
}

static void partial_remove(struct slab_cache *c, struct page *slab)
{
	u32 next = (u32)(slab->data >> 32), prev = (u32)slab->data;

	if (prev)
		frame(prev)->data = (u64)next << 32 | (u32)frame(prev)->data;
	else
		c->partial = next;
	if (next)
		frame(next)->data = (frame(next)->data & ~0xffffffffull) | prev;
}

static void *slab_take(struct slab_cache *c)
{
	struct page *slab = frame(c->partial);
	void *obj = slab_object(c, slab, slab->slab_free - 1);

	poison_check(c, obj);
	slab->slab_free = *(u32 *)obj;
	if (!slab->slab_used++)
		c->nempty--;
	if (!slab->slab_free)
		partial_remove(c, slab);
	c->taken++;
	return obj;
}

// Returns the slab when it should be freed (it is on no list any more).
static struct page *slab_give(struct slab_cache *c, void *obj)
{
	struct page *slab = slab_of(c, obj);
	u32 index = (u32)(((uintptr_t)obj - (uintptr_t)page_ptr(slab)) / c->size);

	assert(slab->slab_used && slab->slab_cache == c);
	if (!slab->slab_free)
		partial_add(c, slab);
	*(u32 *)obj = slab->slab_free;
	slab->slab_free = index + 1;
	c->taken--;
	if (--slab->slab_used)
		return nullptr;
	if (c->nempty < EMPTY_KEEP) {
		c->nempty++;
		return nullptr;
	}
	partial_remove(c, slab);
	c->nslabs--;
	return slab;
}

static struct page *slab_create(struct slab_cache *c)
{
	struct page *slab = page_alloc(c->order, OWNER_CORE, may_sleep() ? 0 : ALLOC_ATOMIC);

	if (!slab)
		return nullptr;
	for (u32 i = 0; i < 1u << c->order; i++) {
		slab[i].slab_cache = c;
		slab[i].flags = PAGE_SLAB;
	}
	for (u32 i = 0; i < c->per_slab; i++) {
		void *obj = slab_object(c, slab, i);

		poison(c, obj);
		*(u32 *)obj = i + 1 < c->per_slab ? i + 2 : 0;
	}
	slab->slab_free = 1;
	slab->slab_used = 0;
	__atomic_fetch_add(&pages_used.v, 1ull << c->order, __ATOMIC_RELAXED);
	return slab;
}

static void slab_destroy(struct slab_cache *c, struct page *slab)
{
	for (u32 i = 0; i < 1u << c->order; i++) {
		slab[i].flags = 0;
		slab[i].slab_cache = nullptr;
	}
	__atomic_fetch_sub(&pages_used.v, 1ull << c->order, __ATOMIC_RELAXED);
	page_free(slab, c->order);
}

// Takes up to n objects, making a slab when there is none with free ones. Interrupts may be on or
// off.
static u32 slabs_take(struct slab_cache *c, u32 n, void **out)
{
	for (;;) {
		u32 got = 0;
		irqflags_t f = spin_lock_irqsave(&c->lock);

		while (got < n && c->partial)
			out[got++] = slab_take(c);
		spin_unlock_irqrestore(&c->lock, f);
		if (got)
			return got;

		struct page *slab = slab_create(c);

		if (!slab)
			return 0;
		f = spin_lock_irqsave(&c->lock);
		partial_add(c, slab);
		c->nslabs++;
		c->nempty++;
		spin_unlock_irqrestore(&c->lock, f);
	}
}

static void slabs_give(struct slab_cache *c, void **objects, u32 n)
{
	while (n) {
		struct page *empty = nullptr;
		irqflags_t f = spin_lock_irqsave(&c->lock);

		while (n && !empty)
			empty = slab_give(c, objects[--n]);
		spin_unlock_irqrestore(&c->lock, f);
		if (empty)
			slab_destroy(c, empty);
	}
}

// ---- the CPUs' stacks ----

static __noinline void *alloc_slow(struct slab_cache *c)
{
	void *objects[STACK_OBJECTS];
	u32 n = slabs_take(c, max(c->batch, 1u), objects);

	if (!n)
		return nullptr;
	if (n == 1)
		return objects[0];
	irqflags_t f = irq_save();
	struct slab_cpu *s = c->cpu[this_cpu_id()]; // of the CPU where this runs by now

	while (n > 1 && s && s->n < 2 * c->batch)
		s->objects[s->n++] = objects[--n];
	irq_restore(f);
	if (n > 1)
		slabs_give(c, objects + 1, n - 1);
	return objects[0];
}

// Makes this CPU's stack, when memory allows.
static __noinline void stack_create(struct slab_cache *c)
{
	struct slab_cpu *s;

	if (slabs_take(&stack_cache, 1, (void **)&s) != 1)
		return;
	s->n = 0;
	irqflags_t f = irq_save();
	u32 cpu = this_cpu_id();

	if (!c->cpu[cpu]) {
		c->cpu[cpu] = s;
		s = nullptr;
	}
	irq_restore(f);
	if (s)
		slabs_give(&stack_cache, (void **)&s, 1);
}

void *slab_alloc(struct slab_cache *c)
{
	irqflags_t f = irq_save();
	struct slab_cpu *s = c->cpu[this_cpu_id()];

	if (likely(s && s->n)) {
		void *obj = s->objects[--s->n];

		irq_restore(f);
		poison_check(c, obj);
		return obj;
	}
	irq_restore(f);
	if (!s && c->batch)
		stack_create(c);
	return alloc_slow(c);
}

void *slab_zalloc(struct slab_cache *c)
{
	void *obj = slab_alloc(c);

	if (obj)
		memset(obj, 0, c->size);
	return obj;
}

static __noinline void free_slow(struct slab_cache *c, void *obj)
{
	void *objects[STACK_OBJECTS];
	u32 n = 0;

	objects[n++] = obj;
	irqflags_t f = irq_save();
	struct slab_cpu *s = c->cpu[this_cpu_id()];

	if (s && s->n >= c->batch) {
		u32 move = min(c->batch, STACK_OBJECTS - 1);

		// The oldest go; the newest are warm.
		for (u32 i = 0; i < move; i++)
			objects[n++] = s->objects[i];
		s->n -= move;
		for (u32 i = 0; i < s->n; i++)
			s->objects[i] = s->objects[i + move];
	}
	irq_restore(f);
	slabs_give(c, objects, n);
}

void slab_free(struct slab_cache *c, void *obj)
{
	if (!obj)
		return;
	poison(c, obj);
	irqflags_t f = irq_save();
	struct slab_cpu *s = c->cpu[this_cpu_id()];

	free_check(c, s, obj);
	if (likely(s && s->n < 2 * c->batch)) {
		s->objects[s->n++] = obj;
		irq_restore(f);
		return;
	}
	irq_restore(f);
	if (!s && c->batch)
		stack_create(c);
	free_slow(c, obj);
}

// ---- caches ----

static void cache_init(struct slab_cache *c, const char *name, u32 size, u32 align, u32 batch)
{
	assert(size && size <= 32768 && align <= PAGE_SIZE);
	align = max(align, 8u);
	assert(is_power_of_two(align));
	*c = (struct slab_cache){
		.name = name, .align = align, .batch = batch, .lock = SPINLOCK_INIT(LOCK_slab)};
	c->size = align_up(max(size, 8u), align);
	// The smallest run that wastes at most an eighth.
	while (c->order < 5 && ((PAGE_SIZE << c->order) < c->size ||
				(PAGE_SIZE << c->order) % c->size > (PAGE_SIZE << c->order) / 8))
		c->order++;
	// Big objects: several to a slab, so that the lock is taken less often.
	while (c->order < 3 && (PAGE_SIZE << c->order) / c->size < 4)
		c->order++;
	c->per_slab = (u32)((PAGE_SIZE << c->order) / c->size);
	irqflags_t f = spin_lock_irqsave(&caches_lock);

	list_add_tail(&caches, &c->all);
	spin_unlock_irqrestore(&caches_lock, f);
}

void slab_cache_init(struct slab_cache *c, const char *name, u32 size, u32 align)
{
	u32 batch = size <= 512 ? STACK_OBJECTS / 2 : size <= 1024 ? 8 : size <= 4096 ? 4 : 2;

	cache_init(c, name, size, align, batch);
}

u64 slab_pages_used(void)
{
	return atomic_load(&pages_used);
}

bool slab_info_get(u32 index, struct slab_info *out)
{
	bool found = false;
	struct slab_cache *c;
	irqflags_t f = spin_lock_irqsave(&caches_lock);

	list_for_each_entry(c, &caches, all) {
		if (index--)
			continue;
		u64 in_stacks = 0;

		for_each_cpu(cpu, cpumask_all()) {
			struct slab_cpu *s = c->cpu[cpu];

			in_stacks += s ? READ_ONCE(s->n) : 0;
		}
		u64 taken = READ_ONCE(c->taken);

		*out = (struct slab_info){.name = c->name,
					  .size = c->size,
					  .in_use = taken > in_stacks ? taken - in_stacks : 0,
					  .pages = (u64)READ_ONCE(c->nslabs) << c->order};
		found = true;
		break;
	}
	spin_unlock_irqrestore(&caches_lock, f);
	return found;
}

// ---- kmalloc ----

static const u16 kmalloc_sizes[] = {16,	 32,  48,   64,	  96,	128,  192,  256, 384,
				    512, 768, 1024, 1536, 2048, 3072, 4096, 8192};
static struct slab_cache kmalloc_caches[ARRAY_SIZE(kmalloc_sizes)];
static const char *const kmalloc_names[ARRAY_SIZE(kmalloc_sizes)] = {
	"kmalloc-16",	"kmalloc-32",	"kmalloc-48",	"kmalloc-64",	"kmalloc-96",
	"kmalloc-128",	"kmalloc-192",	"kmalloc-256",	"kmalloc-384",	"kmalloc-512",
	"kmalloc-768",	"kmalloc-1024", "kmalloc-1536", "kmalloc-2048", "kmalloc-3072",
	"kmalloc-4096", "kmalloc-8192",
};
constexpr size_t KMALLOC_MAX_SLAB = 8192;
static u8 class_of_16[1024 / 16]; // by (size - 1) / 16; immutable after slab_init

static __always_inline struct slab_cache *kmalloc_cache(size_t size)
{
	if (likely(size <= 1024))
		return &kmalloc_caches[class_of_16[size ? (size - 1) / 16 : 0]];
	if (size <= 2048)
		return &kmalloc_caches[size <= 1536 ? 12 : 13];
	return &kmalloc_caches[size <= 3072 ? 14 : size <= 4096 ? 15 : 16];
}

static u32 run_order(size_t size)
{
	return size <= PAGE_SIZE ? 0 : (u32)ilog2((u64)size - 1) + 1 - PAGE_SHIFT;
}

void *kmalloc(size_t size)
{
	if (likely(size <= KMALLOC_MAX_SLAB))
		return slab_alloc(kmalloc_cache(size));
	if (size > PAGE_SIZE << PAGE_ORDER_MAX)
		return nullptr;
	struct page *p = page_alloc(run_order(size), OWNER_CORE, may_sleep() ? 0 : ALLOC_ATOMIC);

	return p ? page_ptr(p) : nullptr;
}

void *kzalloc(size_t size)
{
	void *p = kmalloc(size);

	if (p)
		memset(p, 0, size);
	return p;
}

void *kcalloc(size_t n, size_t size)
{
	size_t bytes;

	return ckd_mul(&bytes, n, size) ? nullptr : kzalloc(bytes);
}

size_t kmalloc_size(const void *p)
{
	const struct page *page = ptr_page(p);

	if (page->flags & PAGE_SLAB)
		return ((const struct slab_cache *)page->slab_cache)->size;
	return PAGE_SIZE << page->order;
}

void *krealloc(void *old, size_t old_size, size_t new_size)
{
	if (old && new_size <= kmalloc_size(old) && new_size >= kmalloc_size(old) / 2)
		return old;
	void *p = kmalloc(new_size);

	if (p && old) {
		memcpy(p, old, min(old_size, new_size));
		kfree(old);
	}
	return p;
}

void kfree(void *p)
{
	if (!p)
		return;
	struct page *page = ptr_page(p);

	if (likely(page->flags & PAGE_SLAB)) {
		slab_free(page->slab_cache, p);
		return;
	}
	assert(is_aligned((uintptr_t)p, PAGE_SIZE) && page->owner == OWNER_CORE);
	page_free(page, page->order);
}

char *kstrdup(const char *s, size_t max_len)
{
	size_t len = strnlen(s, max_len + 1);
	char *copy = len <= max_len ? kmalloc(len + 1) : nullptr;

	if (copy) {
		memcpy(copy, s, len);
		copy[len] = 0;
	}
	return copy;
}

void slab_init(void)
{
	cache_init(&stack_cache, "slab_stack", sizeof(struct slab_cpu), 64, 0);
	for (u32 i = 0; i < ARRAY_SIZE(kmalloc_sizes); i++) {
		u32 size = kmalloc_sizes[i];

		slab_cache_init(&kmalloc_caches[i], kmalloc_names[i], size,
				is_power_of_two(size) ? min(size, 4096u) : 16);
	}
	for (u32 i = 0, class = 0; i < ARRAY_SIZE(class_of_16); i++) {
		if ((i + 1) * 16 > kmalloc_sizes[class])
			class ++;
		class_of_16[i] = (u8) class;
	}
}

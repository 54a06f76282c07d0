// SPDX-License-Identifier: MIT
// page_cpu.c: each CPU's caches of single pages, by owner, and of pages that are cleared already;
// the allocator's entry points.
//
// A cache is a stack that only its CPU touches, with interrupts off. It is refilled from and
// drained to the buddy lists in batches.
#include "core/log.h"
#include "core/mm/mm.h"
#include "core/smp.h"

constexpr u32 STACK_MAX = 256;
constexpr u32 OWNER_FIRST = OWNER_CORE; // owners below have no caches
constexpr u32 NSTACKS = OWNER_COUNT - OWNER_FIRST;

struct page_stack {
	u32 n; // written by the owner CPU only; others read it as an estimate
	struct page *pages[STACK_MAX];
};

struct page_cpu { // owner CPU only, interrupts off
	struct page_stack stacks[NSTACKS];
	struct page_stack cleared_program;
	struct page_stack cleared_table;
};
static DEFINE_PERCPU(struct page_cpu, page_cpu);

static u32 stack_high = 16; // pages a stack may hold; set once at boot
static u32 cleared_goal = 8;

void page_cpu_set_high(u64 managed_pages)
{
	stack_high = (u32)clamp(managed_pages / 512, 16ull, (u64)STACK_MAX);
	cleared_goal = (u32)clamp(managed_pages / 1024, 8ull, (u64)STACK_MAX / 2);
}

static __always_inline struct page_stack *stack_of(struct page_cpu *c, enum page_owner owner)
{
	assert(owner >= OWNER_FIRST && owner < OWNER_COUNT);
	return &c->stacks[owner - OWNER_FIRST];
}

static __always_inline struct page_stack *cleared_of(struct page_cpu *c, enum page_owner owner)
{
	return owner == OWNER_PROGRAM ? &c->cleared_program
	       : owner == OWNER_TABLE ? &c->cleared_table
				      : nullptr;
}

// ---- giving back ----

static void stack_drain(struct page_stack *s, u32 keep)
{
	if (s->n > keep) {
		u32 n = s->n - keep;

		// The pages at the bottom were not used for longest.
		buddy_give_bulk(s->pages, n);
		for (u32 i = 0; i < keep; i++)
			s->pages[i] = s->pages[n + i];
		s->n = keep;
	}
}

void page_cpu_drain(void)
{
	irqflags_t f = irq_save();
	struct page_cpu *c = this_cpu_ptr(page_cpu);

	for (u32 i = 0; i < NSTACKS; i++)
		stack_drain(&c->stacks[i], 0);
	stack_drain(&c->cleared_program, 0);
	stack_drain(&c->cleared_table, 0);
	irq_restore(f);
}

static void drain_ipi(void *arg)
{
	(void)arg;
	page_cpu_drain();
}

static __always_inline void stack_push(struct page_stack *s, struct page *p)
{
	if (unlikely(s->n >= stack_high))
		stack_drain(s, stack_high / 2);
	s->pages[s->n++] = p;
}

// refs is 0 and nobody else knows the page.
static void page_release(struct page *p)
{
	assert(!(p->flags & PAGE_FREE) && !p->refs);
	if (p->order) {
		buddy_give(p, p->order);
		return;
	}
	p->flags = 0;
	irqflags_t f = irq_save();

	stack_push(stack_of(this_cpu_ptr(page_cpu), p->owner), p);
	irq_restore(f);
}

void page_free(struct page *p, u32 order)
{
	assert(p->order == order);
	(void)order;
	if (READ_ONCE(p->refs) && !page_put_only(p))
		return; // a page-cache lookup holds it for a moment, and will free it
	page_release(p);
}

void page_put(struct page *p)
{
	assert(p->refs);
	if (page_put_only(p))
		page_release(p);
}

void page_free_bulk(struct page **pages, u32 n)
{
	irqflags_t f = irq_save();
	struct page_cpu *c = this_cpu_ptr(page_cpu);

	for (u32 i = 0; i < n; i++) {
		struct page *p = pages[i];

		assert(!p->refs && !p->order && !(p->flags & PAGE_FREE));
		p->flags = 0;
		stack_push(stack_of(c, p->owner), p);
	}
	irq_restore(f);
}

void page_free_cleared(struct page *p)
{
	assert(p->owner == OWNER_TABLE && !p->order);
	if (!page_put_only(p))
		return;
	p->flags = 0;
	irqflags_t f = irq_save();

	stack_push(&this_cpu_ptr(page_cpu)->cleared_table, p);
	irq_restore(f);
}

// ---- taking ----

static __cold void warn_failed(u32 order, enum page_owner owner, u32 flags)
{
	static u32 warned; // racy on purpose: a few lines more or less

	if ((flags & ALLOC_NOWARN) || warned >= 10)
		return;
	warned++;
	log_warn("memory is out: no %llu KiB for owner %u, %llu pages free",
		 (u64)PAGE_SIZE << order >> 10, owner, page_free_count());
}

// What lies idle in the caches may make a block whole again.
static __cold void reclaim_caches(void)
{
	page_cpu_drain();
	if (may_sleep() && smp_ncpus > 1)
		smp_call(cpumask_all(), drain_ipi, nullptr);
}

static u64 (*reclaimer)(u64 npages); // immutable after boot

void page_set_reclaimer(u64 (*fn)(u64 npages))
{
	reclaimer = fn;
}

// Asks for pages that can be had again from elsewhere: whether some were freed.
static __cold bool reclaim_from_others(u64 npages, u32 flags)
{
	return reclaimer && !(flags & ALLOC_ATOMIC) && may_sleep() && reclaimer(npages + 64);
}

static __noinline struct page *alloc_single_slow(enum page_owner owner, u32 flags)
{
	struct page *batch[32];
	u32 want = min((u32)ARRAY_SIZE(batch), stack_high / 2);
	u32 n = buddy_take_bulk(want, owner, flags, batch);

	if (!n) {
		reclaim_caches();
		n = buddy_take_bulk(1, owner, flags, batch);
	}
	while (!n && reclaim_from_others(1, flags)) {
		page_cpu_drain(); // they lie on this CPU
		n = buddy_take_bulk(1, owner, flags, batch);
	}
	if (!n) {
		warn_failed(0, owner, flags);
		return nullptr;
	}
	irqflags_t f = irq_save();
	struct page_stack *s = stack_of(this_cpu_ptr(page_cpu), owner);

	while (n > 1)
		stack_push(s, batch[--n]);
	irq_restore(f);
	return batch[0];
}

static __noinline struct page *alloc_run(u32 order, enum page_owner owner, u32 flags)
{
	struct page *p = buddy_take(order, owner, flags);

	if (!p && order < BLOCK_ORDER) { // huge pages have a cheaper way out
		reclaim_caches();
		p = buddy_take(order, owner, flags);
		for (u32 tries = 0; !p && tries < 8 && reclaim_from_others(1u << order, flags);
		     tries++) {
			page_cpu_drain();
			p = buddy_take(order, owner, flags);
		}
	}
	if (!p) {
		warn_failed(order, owner, flags);
		return nullptr;
	}
	__atomic_store_n(&p->refs, 1, __ATOMIC_RELAXED);
	if (flags & ALLOC_ZERO)
		arch_pages_clear(page_ptr(p), 1ull << order);
	return p;
}

struct page *page_alloc(u32 order, enum page_owner owner, u32 flags)
{
	struct page *p;

	if (unlikely(order))
		return order <= PAGE_ORDER_MAX ? alloc_run(order, owner, flags) : nullptr;

	irqflags_t f = irq_save();
	struct page_cpu *c = this_cpu_ptr(page_cpu);
	struct page_stack *cleared = (flags & ALLOC_ZERO) ? cleared_of(c, owner) : nullptr;

	if (cleared && cleared->n) {
		p = cleared->pages[--cleared->n];
		irq_restore(f);
		p->refs = 1;
		return p;
	}
	struct page_stack *s = stack_of(c, owner);

	if (likely(s->n)) {
		p = s->pages[--s->n];
		irq_restore(f);
	} else {
		irq_restore(f);
		p = alloc_single_slow(owner, flags);
		if (!p)
			return nullptr;
	}
	p->refs = 1;
	if (flags & ALLOC_ZERO)
		arch_page_clear(page_ptr(p));
	return p;
}

u32 page_alloc_bulk(u32 n, enum page_owner owner, u32 flags, struct page **out)
{
	u32 got = 0;
	irqflags_t f = irq_save();
	struct page_stack *s = stack_of(this_cpu_ptr(page_cpu), owner);

	while (got < n && s->n)
		out[got++] = s->pages[--s->n];
	irq_restore(f);
	if (got < n)
		got += buddy_take_bulk(n - got, owner, flags, out + got);
	for (u32 i = 0; i < got; i++) {
		out[i]->refs = 1;
		if (flags & ALLOC_ZERO)
			arch_page_clear(page_ptr(out[i]));
	}
	return got;
}

// A page is cleared with interrupts on and without a lock; nobody else knows it meanwhile.
bool page_idle_clear(void)
{
	struct page *p = nullptr;
	irqflags_t f = irq_save();
	struct page_cpu *c = this_cpu_ptr(page_cpu);

	if (c->cleared_program.n < cleared_goal) {
		struct page_stack *s = stack_of(c, OWNER_PROGRAM);

		if (!s->n && buddy_free_count() > 4ull * stack_high)
			s->n = buddy_take_bulk(stack_high / 2, OWNER_PROGRAM, 0, s->pages);
		if (s->n)
			p = s->pages[--s->n];
	}
	irq_restore(f);
	if (!p)
		return false;
	arch_page_clear(page_ptr(p));
	f = irq_save();
	stack_push(&this_cpu_ptr(page_cpu)->cleared_program, p);
	irq_restore(f);
	return true;
}

// ---- counting ----

u64 page_cpu_free_count(void)
{
	u64 n = 0;

	for_each_cpu(cpu, cpumask_all()) {
		const struct page_cpu *c = percpu_ptr(page_cpu, cpu);

		for (u32 i = 0; i < NSTACKS; i++)
			n += READ_ONCE(c->stacks[i].n);
		n += READ_ONCE(c->cleared_program.n) + READ_ONCE(c->cleared_table.n);
	}
	return n;
}

void page_cpu_stats(struct page_stats *s)
{
	for_each_cpu(cpu, cpumask_all()) {
		const struct page_cpu *c = percpu_ptr(page_cpu, cpu);
		u64 program = READ_ONCE(c->cleared_program.n),
		    table = READ_ONCE(c->cleared_table.n);

		for (u32 i = 0; i < NSTACKS; i++) {
			s->owned[OWNER_FIRST + i] -= READ_ONCE(c->stacks[i].n);
			s->free += READ_ONCE(c->stacks[i].n);
		}
		s->owned[OWNER_PROGRAM] -= program;
		s->owned[OWNER_TABLE] -= table;
		s->free += program + table;
		s->cleared += program + table;
	}
}

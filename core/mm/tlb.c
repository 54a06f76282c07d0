// SPDX-License-Identifier: MIT
// tlb.c: which space each CPU has loaded, and how stale translations are dropped everywhere.
//
// Every change that takes rights away (unmap, write-protect, a new page behind an address) raises
// space->tlb_gen after the tables were changed and then interrupts the CPUs of space->active_cpus.
// A CPU remembers the generation that its TLB is known to have reached, for each view of the last
// few spaces it ran. An invalidation whose generation is the next one drops just its pages; when
// the CPU missed some, it drops everything. Whoever loads a root compares generations, so a CPU
// that took no part (idle, or running another space) catches up then.
//
// The order that makes this safe: the changer writes tables, raises tlb_gen (full barrier), reads
// active_cpus and lazy; a CPU that loads the space sets its bit and clears lazy (full barrier),
// reads tlb_gen. One of the two sees the other.
//
// A CPU that runs a kernel thread keeps the last space loaded. While idle it is lazy: it is left
// out of invalidations, but for those that free tables, since its page walker may still follow
// them.
//
// Above what this file loads a gate may have loaded the view of a service (cpu_service_root): then
// `loaded` says what was loaded below it, which takes no part in invalidations until it is loaded
// again. What is mapped for services is dropped on all CPUs at once, whatever they have loaded; but
// idle ones only note it (idle: IDLE to IDLE_STALE), and drop everything when they wake.
//
// All per-CPU state here is changed by its CPU only, with interrupts off.
#include "core/mm/mm.h"
#include "core/smp.h"
#include <arch/gate.h>

constexpr u32 NSLOTS = 6; // spaces whose translations a CPU may keep, each with two ids

enum tlb_idle : u32 { BUSY, IDLE, IDLE_STALE };

struct tlb_slot {
	u64 space_id;
	u64 gen[2]; // by view: translations under that view's id are as of this generation
};

struct tlb_cpu {
	struct mmu_space *loaded; // nullptr or &kernel_space: no program's space
	enum vm_view view;
	u32 slot; // of loaded
	u32 next_slot;
	u32 lazy; // atomic: read by others
	u32 idle; // atomic: enum tlb_idle; others change IDLE to IDLE_STALE
	struct tlb_slot slots[NSLOTS];
};
static DEFINE_PERCPU(struct tlb_cpu, tlb_cpu);

static inline u32 id_of(u32 slot, enum vm_view view)
{
	return arch_mmu_has_ids ? 1 + slot * 2 + view : 0;
}

static u32 slot_find(struct tlb_cpu *c, const struct mmu_space *s, bool *fresh)
{
	*fresh = false;
	for (u32 i = 0; i < NSLOTS; i++)
		if (c->slots[i].space_id == s->id)
			return i;
	u32 slot = c->next_slot;

	c->next_slot = slot + 1 < NSLOTS ? slot + 1 : 0;
	c->slots[slot] = (struct tlb_slot){.space_id = s->id};
	*fresh = true;
	return slot;
}

static void load_kernel(struct tlb_cpu *c)
{
	this_cpu_write(cpu_service_root, 0);
	arch_root_load(kernel_space.root[0], 0, true);
	c->loaded = &kernel_space;
	c->view = VIEW_PROGRAM;
	store_once(&c->lazy, 0);
}

// Without ids a load drops everything, so the generation is always that of the load.
static void load_space(struct tlb_cpu *c, struct mmu_space *s, enum vm_view view)
{
	u64 bit = 1ull << this_cpu_id();
	bool fresh;

	store_once(&c->lazy, 0);
	if (!(atomic_load(&s->active_cpus) & bit))
		atomic_or(&s->active_cpus, bit);
	smp_mb();
	c->slot = slot_find(c, s, &fresh);
	struct tlb_slot *slot = &c->slots[c->slot];
	u64 gen = atomic_load_seq(&s->tlb_gen);
	bool keep = !fresh && slot->gen[view] == gen;

	slot->gen[view] = gen;
	this_cpu_write(cpu_service_root, 0);
	arch_root_load(s->root[view], id_of(c->slot, view), keep);
	c->loaded = s;
	c->view = view;
}

static __noinline void activate_slow(struct mmu_space *s, enum vm_view view)
{
	irqflags_t f = irq_save();
	struct tlb_cpu *c = this_cpu_ptr(tlb_cpu);
	struct mmu_space *old = c->loaded;

	if (s == &kernel_space) {
		load_kernel(c);
	} else if (old == s && c->view == view && !this_cpu_read(cpu_service_root)) { // was lazy
		store_once(&c->lazy, 0);
		smp_mb();
		u64 gen = atomic_load_seq(&s->tlb_gen);

		if (c->slots[c->slot].gen[view] != gen) {
			c->slots[c->slot].gen[view] = gen;
			arch_tlb_flush_id();
		}
	} else {
		load_space(c, s, view);
	}
	if (old && old != s && old != &kernel_space)
		atomic_andnot(&old->active_cpus, 1ull << this_cpu_id());
	irq_restore(f);
}

void mmu_space_activate(struct mmu_space *s, enum vm_view view)
{
	struct tlb_cpu *c = this_cpu_ptr(tlb_cpu);

	if (!s)
		s = &kernel_space;
	if (c->loaded == s && c->view == view && !c->lazy && !this_cpu_read(cpu_service_root))
		return;
	activate_slow(s, view);
}

bool mmu_space_is_active(const struct mmu_space *s, enum vm_view view)
{
	const struct tlb_cpu *c = this_cpu_ptr(tlb_cpu);

	return c->loaded == s && c->view == view && !this_cpu_read(cpu_service_root);
}

void mmu_idle_enter(void)
{
	struct tlb_cpu *c = this_cpu_ptr(tlb_cpu);

	if (c->loaded && c->loaded != &kernel_space)
		store_once(&c->lazy, 1);
	store_once(&c->idle, IDLE);
}

void mmu_idle_exit(void)
{
	if (xchg(&this_cpu_ptr(tlb_cpu)->idle, (u32)BUSY) == IDLE_STALE)
		arch_tlb_flush_everything();
}

// ---- invalidation ----

struct invalidation {
	struct mmu_space *space;
	u64 start, end;
	u64 gen;
};

// Interrupts off. The other view's id keeps its old generation, and is caught up with when it is
// loaded.
static void invalidate_here(const struct invalidation *inv)
{
	struct tlb_cpu *c = this_cpu_ptr(tlb_cpu);

	if (c->loaded != inv->space || this_cpu_read(cpu_service_root))
		return;
	u64 *gen = &c->slots[c->slot].gen[c->view];

	if (*gen >= inv->gen)
		return;
	if (*gen + 1 == inv->gen && inv->end - inv->start <= TLB_PAGES_MAX * PAGE_SIZE) {
		for (u64 a = inv->start; a < inv->end; a += PAGE_SIZE)
			arch_tlb_flush_page(a);
		*gen = inv->gen;
	} else {
		*gen = atomic_load_seq(&inv->space->tlb_gen);
		arch_tlb_flush_id();
	}
}

static void invalidate_ipi(void *arg)
{
	invalidate_here(arg);
}

static void invalidate(struct mmu_space *s, u64 start, u64 end, bool tables_freed)
{
	struct invalidation inv = {.space = s, .start = start, .end = end};

	inv.gen = atomic_inc_return(&s->tlb_gen); // full barrier: after the tables were changed
	preempt_disable();
	u64 self = 1ull << this_cpu_id(), others = atomic_load_seq(&s->active_cpus) & ~self;
	irqflags_t f = irq_save();

	invalidate_here(&inv);
	irq_restore(f);
	if (unlikely(others)) {
		if (!tables_freed)
			for_each_cpu(cpu, others)
				if (load_once(&percpu_ptr(tlb_cpu, cpu)->lazy))
					others &= ~(1ull << cpu);
		if (others)
			smp_call(others, invalidate_ipi, &inv);
	}
	preempt_enable();
}

void tlb_flush_range(struct mmu_space *s, u64 start, u64 end)
{
	invalidate(s, start, end, false);
}

void tlb_flush_tables(struct mmu_space *s)
{
	invalidate(s, 0, ~0ull, true);
}

static void retire_here(void *arg)
{
	irqflags_t f = irq_save();
	struct tlb_cpu *c = this_cpu_ptr(tlb_cpu);

	if (c->loaded == arg) {
		if (this_cpu_read(cpu_service_root)) // a service may be running: leave it its view
			c->loaded = &kernel_space;
		else
			load_kernel(c);
		atomic_andnot(&((struct mmu_space *)arg)->active_cpus, 1ull << this_cpu_id());
	}
	irq_restore(f);
}

void mmu_space_retire(struct mmu_space *s)
{
	preempt_disable();
	retire_here(s);
	u64 others = atomic_load_seq(&s->active_cpus);

	if (others)
		smp_call(others, retire_here, s);
	assert(!atomic_load(&s->active_cpus));
	preempt_enable();
}

struct kernel_invalidation {
	u64 start, end;
};

static void kernel_invalidate_ipi(void *arg)
{
	const struct kernel_invalidation *inv = arg;

	if (inv->end - inv->start > TLB_PAGES_MAX * PAGE_SIZE) {
		arch_tlb_flush_everything();
		return;
	}
	for (u64 a = inv->start; a < inv->end; a += PAGE_SIZE)
		arch_tlb_flush_page(a);
}

void tlb_flush_kernel(u64 start, u64 end)
{
	struct kernel_invalidation inv = {start, end};

	preempt_disable();
	kernel_invalidate_ipi(&inv);
	if (cpumask_all() & ~(1ull << this_cpu_id()))
		smp_call(cpumask_all(), kernel_invalidate_ipi, &inv);
	preempt_enable();
}

// A service's entries are not global, and any root may have been loaded when the CPU took them in.
static void services_invalidate_ipi(void *arg)
{
	const struct kernel_invalidation *inv = arg;

	if (arch_mmu_has_ids || inv->end - inv->start > TLB_PAGES_MAX * PAGE_SIZE) {
		arch_tlb_flush_everything();
		return;
	}
	for (u64 a = inv->start; a < inv->end; a += PAGE_SIZE)
		arch_tlb_flush_page(a);
}

void tlb_flush_services(u64 start, u64 end)
{
	struct kernel_invalidation inv = {start, end};

	preempt_disable();
	cpumask_t others = cpumask_all() & ~(1ull << this_cpu_id());

	services_invalidate_ipi(&inv);
	smp_mb(); // the tables were changed before anybody's state is looked at
	for_each_cpu(cpu, others) {
		u32 *idle = &percpu_ptr(tlb_cpu, cpu)->idle, state = IDLE;

		if (try_cmpxchg(idle, &state, (u32)IDLE_STALE) || state == IDLE_STALE)
			others &= ~(1ull << cpu);
	}
	if (others)
		smp_call(others, services_invalidate_ipi, &inv);
	preempt_enable();
}

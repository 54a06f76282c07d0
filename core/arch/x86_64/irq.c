// SPDX-License-Identifier: MIT
// irq.c: device interrupts: vectors of each CPU, lines, messages (MSI), and the handlers behind
// them. Privileged.
//
// Each CPU has its own table of vectors, so a machine has room for CPUs x 192 interrupts. A slot
// points to a struct irq_desc, which has one or (lines only) several handlers.
//
// Locks: irq_lock (LOCK_irq) guards slots, handler lists and routes while they change. irq_dispatch
// reads slots and lists without it: entries are published with release and freed after an RCU grace
// period, which no CPU can pass inside a handler. Removing therefore sleeps, and when it returns no
// handler runs any more.
#include "base/err.h"
#include "base/list.h"
#include "core/arch/x86_64/apic.h"
#include "core/irq.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/percpu.h"
#include "core/rcu.h"
#include "core/slab.h"
#include "core/smp.h"

struct irq_action {
	struct irq_action *next; // irq_lock; read under RCU
	irq_handler_t fn;
	void *arg;
	bool held; // irq_lock
};

struct irq_desc {
	struct irq_action *actions; // irq_lock; read under RCU
	struct list link;	    // all; irq_lock
	const char *name;	    // of the first handler; immutable
	const char *chip;	    // immutable
	u32 number;		    // GSI, or the MSI handle; immutable
	u32 cpu, vector;	    // immutable
	bool line;		    // immutable
	u32 holds;		    // of a level-triggered line; irq_lock
	u64 counts[CPU_MAX];	    // each by its CPU only; read racily
};

constexpr u32 VECTOR_COUNT = VECTOR_DEVICE_LAST - VECTOR_DEVICE_FIRST + 1;
constexpr u32 VECTOR_ALLOC_FIRST = 0x30; // the masked 8259s can still send spurious ones below
constexpr u32 VECTOR_INT80 = 0x80;	 // programs may raise it where the IDT lets them
constexpr u32 MSI_IDS = 255;		 // destinations of eight bits; 0xff is everybody

static DEFINE_PERCPU(struct irq_desc *,
		     irq_vectors[VECTOR_COUNT]); // irq_lock; read under RCU by the CPU itself

DEFINE_PERCPU(struct irq_timing, irq_timing);

static spinlock_t irq_lock = SPINLOCK_INIT(LOCK_irq);
static struct list irq_descs = LIST_INIT(irq_descs); // irq_lock
static atomic_u32 spread;			     // next CPU for a line
static atomic_u32 strays;

void irq_dispatch(u32 vector)
{
	assert(vector >= VECTOR_DEVICE_FIRST && vector <= VECTOR_DEVICE_LAST);
	struct irq_desc *d = rcu_load((*this_cpu_ptr(irq_vectors))[vector - VECTOR_DEVICE_FIRST]);

	if (likely(d)) {
		d->counts[this_cpu_id()]++;
		for (struct irq_action *a = rcu_load(d->actions); a; a = rcu_load(a->next))
			a->fn(a->arg);
		irq_timing_note();
	} else if (atomic_fetch_add(&strays, 1) == 0) {
		log_warn("irq: vector %#x on CPU %u belongs to nobody (said once)", vector,
			 this_cpu_id());
	}
	lapic_eoi();
}

// Takes a free vector of a CPU for d. -ENOSPC.
static int vector_take_locked(struct irq_desc *d, u32 cpu)
{
	struct irq_desc **slots = *percpu_ptr(irq_vectors, cpu);

	assert_held(&irq_lock);
	for (u32 v = VECTOR_ALLOC_FIRST; v <= VECTOR_DEVICE_LAST; v++) {
		if (v == VECTOR_INT80 || slots[v - VECTOR_DEVICE_FIRST])
			continue;
		d->cpu = cpu;
		d->vector = v;
		rcu_store(slots[v - VECTOR_DEVICE_FIRST], d);
		list_add_tail(&irq_descs, &d->link);
		return 0;
	}
	return -ENOSPC;
}

static void vector_release_locked(struct irq_desc *d)
{
	assert_held(&irq_lock);
	rcu_store((*percpu_ptr(irq_vectors, d->cpu))[d->vector - VECTOR_DEVICE_FIRST], nullptr);
	list_del(&d->link);
}

static struct irq_desc *desc_create(irq_handler_t fn, void *arg, const char *name)
{
	struct irq_desc *d = kzalloc(sizeof(*d));
	struct irq_action *a = kzalloc(sizeof(*a));

	if (!d || !a) {
		kfree(d);
		kfree(a);
		return nullptr;
	}
	*a = (struct irq_action){.fn = fn, .arg = arg};
	d->actions = a;
	d->name = name;
	return d;
}

static struct irq_desc *line_find_locked(u32 gsi)
{
	struct irq_desc *d;

	list_for_each_entry(d, &irq_descs, link) {
		if (d->line && d->number == gsi)
			return d;
	}
	return nullptr;
}

static int line_gsi(u32 line, bool isa, bool *level, bool *active_low)
{
	u32 gsi = line;

	*level = *active_low = true; // as PCI lines are
	if (isa) {
		if (line > 15)
			return -EINVAL;
		gsi = ioapic_isa_gsi(line, level, active_low);
	}
	return ioapic_has_gsi(gsi) ? (int)gsi : -EINVAL;
}

int irq_line_add(u32 line, bool isa, irq_handler_t fn, void *arg, const char *name)
{
	bool level, active_low;
	int gsi = line_gsi(line, isa, &level, &active_low);

	if (gsi < 0)
		return gsi;
	struct irq_desc *fresh = desc_create(fn, arg, name);

	if (!fresh)
		return -ENOMEM;
	fresh->line = true;
	fresh->number = (u32)gsi;
	fresh->chip = level ? "IO-APIC-level" : "IO-APIC-edge";

	u32 cpu = atomic_fetch_add(&spread, 1) % max(smp_ncpus, 1u);
	irqflags_t flags = spin_lock_irqsave(&irq_lock);
	struct irq_desc *d = line_find_locked((u32)gsi);
	int err = 0;

	if (d) {
		struct irq_action **tail = &d->actions;
		while (*tail)
			tail = &(*tail)->next;
		rcu_store(*tail, fresh->actions);
		fresh->actions = nullptr;
	} else {
		err = vector_take_locked(fresh, cpu);
		if (!err) {
			err = ioapic_route((u32)gsi, smp_hw_id(cpu), fresh->vector, level,
					   active_low);
			if (err)
				vector_release_locked(fresh);
			else
				fresh = nullptr;
		}
	}
	spin_unlock_irqrestore(&irq_lock, flags);
	if (fresh) { // joined another handler, or failed; nobody has seen it
		kfree(fresh->actions);
		kfree(fresh);
	}
	return err == -ENOSPC ? -ENOMEM : err;
}

// A level-triggered line.
static void line_quiet_locked(struct irq_desc *d, u32 gsi, bool quiet, bool active_low)
{
	if (quiet)
		ioapic_mask(gsi);
	else
		(void)ioapic_route(gsi, smp_hw_id(d->cpu), d->vector, true, active_low);
}

void irq_line_remove(u32 line, bool isa, irq_handler_t fn, void *arg)
{
	bool level, active_low;
	int gsi = line_gsi(line, isa, &level, &active_low);

	if (gsi < 0)
		return;
	irqflags_t flags = spin_lock_irqsave(&irq_lock);
	struct irq_desc *d = line_find_locked((u32)gsi);
	struct irq_action **link = d ? &d->actions : nullptr, *gone = nullptr;

	while (link && *link && ((*link)->fn != fn || (*link)->arg != arg))
		link = &(*link)->next;
	if (link && *link) {
		gone = *link;
		rcu_store(*link, gone->next);
	}
	bool last = gone && !d->actions;

	if (last) {
		ioapic_mask((u32)gsi);
		vector_release_locked(d);
	} else if (gone && gone->held && !--d->holds) {
		line_quiet_locked(d, (u32)gsi, false, active_low);
	}
	spin_unlock_irqrestore(&irq_lock, flags);
	if (!gone)
		return;
	rcu_synchronize();
	kfree(gone);
	if (last)
		kfree(d);
}

void irq_line_hold(u32 line, bool isa, irq_handler_t fn, void *arg, bool on)
{
	bool level, active_low;
	int gsi = line_gsi(line, isa, &level, &active_low);

	if (gsi < 0 || !level)
		return;
	irqflags_t flags = spin_lock_irqsave(&irq_lock);
	struct irq_desc *d = line_find_locked((u32)gsi);
	struct irq_action *a = d ? d->actions : nullptr;

	while (a && (a->fn != fn || a->arg != arg))
		a = a->next;
	if (a && a->held != on) {
		a->held = on;
		if (on ? !d->holds++ : !--d->holds)
			line_quiet_locked(d, (u32)gsi, on, active_low);
	}
	spin_unlock_irqrestore(&irq_lock, flags);
}

// A message's handle names its slot.
static u32 msi_handle(const struct irq_desc *d)
{
	return d->cpu << 8 | d->vector;
}

int irq_msi_alloc(u32 source, u32 cpu, irq_handler_t fn, void *arg, const char *name, u64 *address,
		  u32 *data, u32 *handle)
{
	(void)source; // a message is a message, until interrupts are remapped
	if (!lapic_present() || cpu >= max(smp_ncpus, 1u) || smp_hw_id(cpu) >= MSI_IDS)
		return -EINVAL;
	struct irq_desc *d = desc_create(fn, arg, name);

	if (!d)
		return -ENOMEM;
	d->chip = "PCI-MSI";

	irqflags_t flags = spin_lock_irqsave(&irq_lock);
	int err = vector_take_locked(d, cpu);

	if (!err) {
		d->number = msi_handle(d);
		// Fixed delivery, physical destination, edge (Intel SDM 3A, 11.11).
		*address = 0xfee00000 | (u64)smp_hw_id(cpu) << 12;
		*data = d->vector;
		*handle = d->number;
	}
	spin_unlock_irqrestore(&irq_lock, flags);
	if (err) {
		kfree(d->actions);
		kfree(d);
		return -ENOMEM;
	}
	return 0;
}

void irq_msi_free(u32 handle)
{
	u32 cpu = handle >> 8, vector = handle & 0xff;

	assert(cpu < CPU_MAX && vector >= VECTOR_ALLOC_FIRST && vector <= VECTOR_DEVICE_LAST);
	irqflags_t flags = spin_lock_irqsave(&irq_lock);
	struct irq_desc *d = (*percpu_ptr(irq_vectors, cpu))[vector - VECTOR_DEVICE_FIRST];

	assert(d && !d->line);
	struct irq_action *a = d->actions;

	rcu_store(d->actions, nullptr);
	spin_unlock_irqrestore(&irq_lock, flags);
	// The slot stays taken meanwhile, so that a message still under way cannot reach the
	// vector's next owner.
	rcu_synchronize();
	flags = spin_lock_irqsave(&irq_lock);
	vector_release_locked(d);
	spin_unlock_irqrestore(&irq_lock, flags);
	rcu_synchronize();
	kfree(a);
	kfree(d);
}

bool irq_info_get(u32 index, struct irq_info *out)
{
	struct irq_desc *d;
	bool found = false;
	irqflags_t flags = spin_lock_irqsave(&irq_lock);

	list_for_each_entry(d, &irq_descs, link) {
		if (index--)
			continue;
		*out = (struct irq_info){.name = d->name, .chip = d->chip, .number = d->number};
		for (u32 i = 0; i < CPU_MAX; i++)
			out->counts[i] = READ_ONCE(d->counts[i]);
		found = true;
		break;
	}
	spin_unlock_irqrestore(&irq_lock, flags);
	return found;
}

void irq_init(void)
{
	pic_mask_all();
	lapic_init_bsp();
	ioapic_init();
}

// SPDX-License-Identifier: MIT
// irq.c: interrupts by their number: the timer's, messages between CPUs, devices' lines and
// messages with the handlers behind them. Privileged.
//
// A line (core/irq.h) is here the number of a shared interrupt (SPI). Messages of devices are SPIs
// too (GICv2) or LPIs (GICv3). Each number in use has a struct irq_desc, with one or (lines only)
// several handlers.
//
// Locks: irq_lock (LOCK_irq) guards the table, handler lists and routes while they change.
// irq_dispatch reads table and lists without it: entries are published with release and freed after
// an RCU grace period, which no CPU can pass inside a handler. Removing therefore sleeps, and when
// it returns no handler runs any more.
#include "core/irq.h"

#include "base/bitmap.h"
#include "base/err.h"
#include "base/list.h"
#include "core/arch/aarch64/cpu_priv.h"
#include "core/arch/aarch64/gic.h"
#include "core/arch/aarch64/irq_lines.h"
#include "core/arch/aarch64/machine.h"
#include "core/arch/aarch64/pl011.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/rcu.h"
#include "core/slab.h"
#include "core/time.h"

struct irq_action {
	struct irq_action *next; // irq_lock; read under RCU
	irq_handler_t fn;
	void *arg;
	bool held; // irq_lock
};

struct irq_desc {
	struct irq_action *actions; // irq_lock; read under RCU
	struct list link;	    // irq_descs; irq_lock
	const char *name;	    // of the first handler; immutable, as all down to line
	const char *chip;
	u32 intid;
	bool line;
	u32 holds;	     // of a level-triggered line; irq_lock
	u64 counts[CPU_MAX]; // each by its CPU only; read racily
};

DEFINE_PERCPU(struct irq_timing, irq_timing);

static const struct gic_driver *gic; // immutable after irq_init, as all down to timer
static u32 nspis;
static bool has_v2m, has_its;
static u32 timer;

static spinlock_t irq_lock = SPINLOCK_INIT(LOCK_irq);
static struct list irq_descs = LIST_INIT(irq_descs);	   // irq_lock
static struct irq_desc *spis[GIC_SPI_END - GIC_SPI_FIRST]; // irq_lock; read under RCU
static struct irq_desc *lpis[LPIS];			   // likewise
static BITMAP_DECLARE(edges, GIC_SPI_END); // lines that are not level-triggered; boot CPU, irq_init
static atomic_u32 spread;		   // next CPU for a line
static atomic_u32 strays;

static struct irq_desc **slot_of(u32 intid)
{
	if (intid >= GIC_SPI_FIRST && intid < GIC_SPI_END)
		return &spis[intid - GIC_SPI_FIRST];
	if (intid >= GIC_LPI_FIRST && intid - GIC_LPI_FIRST < LPIS)
		return &lpis[intid - GIC_LPI_FIRST];
	return nullptr;
}

// ---- an interrupt comes ----

static void dispatch(u32 intid)
{
	struct irq_desc **slot = slot_of(intid), *d = slot ? rcu_load(*slot) : nullptr;

	if (likely(d)) {
		d->counts[this_cpu_id()]++;
		for (struct irq_action *a = rcu_load(d->actions); a; a = rcu_load(a->next))
			a->fn(a->arg);
		irq_timing_note();
	} else if (atomic_fetch_add(&strays, 1) == 0) {
		log_warn("irq: number %u on CPU %u belongs to nobody (said once)", intid,
			 this_cpu_id());
	}
}

static void message(u32 sgi, struct trap_frame *f)
{
	switch (sgi) {
	case IPI_RESCHEDULE:
		sched_kicked();
		break;
	case IPI_CALL:
		smp_handle_call();
		break;
	case IPI_STOP:
		smp_handle_stop(f);
		break;
	}
}

// One interrupt; another that is pending enters again.
void irq_handle(struct trap_frame *f)
{
	u32 word = gic->acknowledge(), intid = gic_intid(word);

	if (intid < GIC_PPI_FIRST) {
		// Ended first: its sender may send another as soon as this one is seen.
		gic->end(word);
		message(intid, f);
	} else if (intid == timer) {
		// Ended last: at first it is still raised.
		trap_timer_interrupt(f);
		gic->end(word);
	} else if (intid < GIC_SPI_END || intid >= GIC_SPECIAL_END) {
		dispatch(intid);
		gic->end(word);
	}
}

void irq_send_ipi(u32 cpu, enum ipi ipi)
{
	gic->send(cpu, ipi);
}

void irq_timer_enable(void)
{
	gic->trigger(timer, machine.timer.level);
	gic->enable(timer);
}

// ---- lines ----

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

static void desc_publish_locked(struct irq_desc *d)
{
	assert_held(&irq_lock);
	rcu_store(*slot_of(d->intid), d);
	list_add_tail(&irq_descs, &d->link);
}

static void desc_withdraw_locked(struct irq_desc *d)
{
	assert_held(&irq_lock);
	rcu_store(*slot_of(d->intid), nullptr);
	list_del(&d->link);
}

static bool line_is_level(u32 line)
{
	return !bitmap_test(edges, line);
}

static bool line_ok(u32 line, bool isa)
{
	return gic && !isa && line >= GIC_SPI_FIRST && line - GIC_SPI_FIRST < nspis &&
	       !(has_v2m && v2m_owns(line));
}

void irq_line_describe(const struct machine_irq *irq)
{
	if (!irq->level && line_ok(irq->intid, false))
		bitmap_set(edges, irq->intid);
}

void irq_line_raise(u32 line)
{
	gic->pend(line, true);
}

void irq_line_lower(u32 line)
{
	gic->pend(line, false);
}

static void line_start_locked(struct irq_desc *d, u32 cpu)
{
	desc_publish_locked(d);
	gic->trigger(d->intid, line_is_level(d->intid));
	gic->route(d->intid, cpu);
	gic->enable(d->intid);
}

int irq_line_add(u32 line, bool isa, irq_handler_t fn, void *arg, const char *name)
{
	if (!line_ok(line, isa))
		return -EINVAL;
	struct irq_desc *fresh = desc_create(fn, arg, name);

	if (!fresh)
		return -ENOMEM;
	fresh->line = true;
	fresh->intid = line;
	fresh->chip = line_is_level(line) ? "GIC-level" : "GIC-edge";

	u32 cpu = atomic_fetch_add(&spread, 1) % max(smp_ncpus, 1u);
	irqflags_t flags = spin_lock_irqsave(&irq_lock);
	struct irq_desc *d = *slot_of(line);

	if (d) {
		struct irq_action **tail = &d->actions;
		while (*tail)
			tail = &(*tail)->next;
		rcu_store(*tail, fresh->actions);
	} else {
		line_start_locked(fresh, cpu);
		fresh = nullptr;
	}
	spin_unlock_irqrestore(&irq_lock, flags);
	kfree(fresh); // it joined another handler, which has taken its action; nobody has seen it
	return 0;
}

void irq_line_remove(u32 line, bool isa, irq_handler_t fn, void *arg)
{
	if (!line_ok(line, isa))
		return;
	irqflags_t flags = spin_lock_irqsave(&irq_lock);
	struct irq_desc *d = *slot_of(line);
	struct irq_action **link = d ? &d->actions : nullptr, *gone = nullptr;

	while (link && *link && ((*link)->fn != fn || (*link)->arg != arg))
		link = &(*link)->next;
	if (link && *link) {
		gone = *link;
		rcu_store(*link, gone->next);
	}
	bool last = gone && !d->actions;

	if (last) {
		gic->disable(line);
		desc_withdraw_locked(d);
	} else if (gone && gone->held && !--d->holds) {
		gic->enable(line);
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
	if (!line_ok(line, isa) || !line_is_level(line))
		return;
	irqflags_t flags = spin_lock_irqsave(&irq_lock);
	struct irq_desc *d = *slot_of(line);
	struct irq_action *a = d ? d->actions : nullptr;

	while (a && (a->fn != fn || a->arg != arg))
		a = a->next;
	if (a && a->held != on) {
		a->held = on;
		if (on ? !d->holds++ : !--d->holds)
			(on ? gic->disable : gic->enable)(line);
	}
	spin_unlock_irqrestore(&irq_lock, flags);
}

// ---- messages of devices ----

static int message_take(u32 source, u32 cpu, struct msi_message *m)
{
	return has_its ? its_alloc(source, cpu, m) : v2m_alloc(m);
}

static void message_give(u32 intid)
{
	if (has_its)
		its_free(intid);
	else
		v2m_free(intid);
}

int irq_msi_alloc(u32 source, u32 cpu, irq_handler_t fn, void *arg, const char *name, u64 *address,
		  u32 *data, u32 *handle)
{
	struct msi_message m;

	if (!gic || cpu >= max(smp_ncpus, 1u))
		return -EINVAL;
	if (!has_its && !has_v2m)
		return -ENODEV;
	struct irq_desc *d = desc_create(fn, arg, name);
	int err = d ? message_take(source, cpu, &m) : -ENOMEM;

	if (err) {
		if (d)
			kfree(d->actions);
		kfree(d);
		return err == -ENOSPC ? -ENOMEM : err;
	}
	d->chip = has_its ? "ITS-MSI" : "GICv2m-MSI";
	d->intid = m.intid;

	irqflags_t flags = spin_lock_irqsave(&irq_lock);

	desc_publish_locked(d);
	if (!has_its) { // the others are ready
		gic->trigger(m.intid, false);
		gic->route(m.intid, cpu);
		gic->enable(m.intid);
	}
	spin_unlock_irqrestore(&irq_lock, flags);
	*address = m.address;
	*data = m.data;
	*handle = m.intid;
	return 0;
}

void irq_msi_free(u32 handle)
{
	struct irq_desc **slot = slot_of(handle);

	assert(slot);
	irqflags_t flags = spin_lock_irqsave(&irq_lock);
	struct irq_desc *d = *slot;

	assert(d && !d->line);
	struct irq_action *a = d->actions;

	rcu_store(d->actions, nullptr);
	if (!has_its)
		gic->disable(handle);
	spin_unlock_irqrestore(&irq_lock, flags);
	// The number stays taken meanwhile, so that a message still under way cannot reach its next
	// owner.
	rcu_synchronize();
	flags = spin_lock_irqsave(&irq_lock);
	desc_withdraw_locked(d);
	spin_unlock_irqrestore(&irq_lock, flags);
	message_give(handle);
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
		*out = (struct irq_info){.name = d->name, .chip = d->chip, .number = d->intid};
		for (u32 i = 0; i < CPU_MAX; i++)
			out->counts[i] = READ_ONCE(d->counts[i]);
		found = true;
		break;
	}
	spin_unlock_irqrestore(&irq_lock, flags);
	return found;
}

// ---- boot ----

void irq_init_cpu(void)
{
	gic->init_cpu(this_cpu_id());
	if (has_its)
		its_init_cpu(this_cpu_id());
}

void irq_init(void)
{
	machine_init();
	gic = machine.gic == GIC_V3   ? gicv3_init(&nspis)
	      : machine.gic == GIC_V2 ? gicv2_init(&nspis)
				      : nullptr;
	if (!gic) // the timer's interrupt comes through it
		panic("This machine has no interrupt controller that Halyard knows (GICv2, GICv3)");
	timer = machine.timer.intid;
	if (timer < GIC_PPI_FIRST || timer >= GIC_SPI_FIRST)
		panic("Firmware does not say which interrupt the virtual timer has");
	gic->init_cpu(this_cpu_id());
	has_its = machine.gic == GIC_V3 && its_init();
	if (has_its)
		its_init_cpu(this_cpu_id());
	has_v2m = !has_its && v2m_init(nspis);
	log_info("irq: %s, %u lines, messages by %s", gic->name, nspis,
		 has_its   ? "ITS"
		 : has_v2m ? "GICv2m"
			   : "nothing");
	pl011_init();
	machine_psci_check();
}

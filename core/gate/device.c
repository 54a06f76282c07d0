// SPDX-License-Identifier: MIT
// device.c: devices as services have them: who drives which, registers, ports, interrupts.
//
// Every PCI function and every platform device is a struct device, for good. A service claims those
// that its table matches, and gets a handle of each in every life. Registers are mapped into its
// slot, but for the table of MSI-X, by which it could interrupt any CPU with any vector; ports and
// configuration space go through calls.
//
// Interrupts. A message or line that a service connects wakes a kernel thread, which enters the
// service (interrupt()); or it goes to a target, another object of the service's, whose provider
// knows what to do (a disk: the block layer polls the queue). Interrupts that the service finds
// nothing to do for are counted, and end its life when too many came in a row.
//
// A device reaches memory only while a service answers for what it was told: bus mastering is off
// until the service has reset the device and says so (gate_device_quiet), and goes off at once,
// with the interrupts, when the life ends. What the last life gave the device is thus never used
// again. Buses other than PCI have no such switch, so DMA memory of a life stays (memory.c) until
// the reset.
//
// Locks. device.owner: services_lock. Calls of one device come from its service, and are
// serialised by device.lock where they touch configuration space.
#include "base/fmt.h"
#include "base/string.h"
#include "core/gate/gate_calls.h"
#include "core/irq.h"
#include "core/log.h"
#include "core/pci.h"
#include "core/platform.h"
#include "core/slab.h"
#include "core/smp.h"
#include "core/time.h"
#include "core/work.h"
#include <arch/ports.h>
#include <gate/calls.h>
#include <gate/interfaces.h>

constexpr u32 IDLE_INTERRUPTS_MAX = 10'000; // in a row

struct device {
	struct list link; // immutable after boot
	struct pci_device *pci;
	struct platform_device *platform;
	struct service *owner; // services_lock
	bool enabled;	       // in this life of its owner; atomic
	bool stale;	       // an earlier life enabled it, and it was not reset since; atomic
	mutex_t lock;	       // what its service asks for, one at a time
	u64 attached;	       // interrupts that are connected, a bit each; lock
};
struct device_object {
	struct gate_object object; // first
	struct device *device;
};

static struct list devices = LIST_INIT(devices);
static struct list platform_devices = LIST_INIT(platform_devices);

void platform_device_add(struct platform_device *d)
{
	list_add_tail(&platform_devices, &d->link);
}

struct platform_device *platform_device_next(struct platform_device *after)
{
	struct list *next = after ? after->link.next : platform_devices.next;

	return next == &platform_devices ? nullptr : list_entry(next, struct platform_device, link);
}

static void device_add(struct pci_device *pci, struct platform_device *platform)
{
	struct device *d = kzalloc(sizeof(*d));

	if (!d)
		panic("no memory for the descriptions of devices");
	*d = (struct device){.pci = pci, .platform = platform};
	mutex_init(&d->lock, LOCK_device);
	list_add_tail(&devices, &d->link);
}

void devices_init(void)
{
	for (struct pci_device *p = pci_next(nullptr); p; p = pci_next(p))
		device_add(p, nullptr);
	for (struct platform_device *p = platform_device_next(nullptr); p;
	     p = platform_device_next(p))
		device_add(nullptr, p);
}

// ---- who drives what; services_lock held ----

static bool matches_row(const struct device *d, const struct device_match *m)
{
	if (m->bus == DEVICE_PLATFORM)
		return d->platform && !strcmp(d->platform->name, m->name);
	if (m->bus != DEVICE_PCI || !d->pci)
		return false;
	if (m->vendor == DEVICE_ID_ANY)
		return d->pci->class_code == m->class_code && d->pci->subclass == m->subclass;
	return d->pci->vendor == m->vendor &&
	       (m->device == DEVICE_ID_ANY || d->pci->device == m->device);
}

static bool matches(const struct device *d, const struct service *s)
{
	if (d->owner && d->owner != s)
		return false;
	for (u32 i = 0; i < s->ndevices; i++)
		if (matches_row(d, &s->devices[i]))
			return true;
	return false;
}

bool devices_any(const struct service *s)
{
	const struct device *d;

	list_for_each_entry(d, &devices, link) {
		if (matches(d, s))
			return true;
	}
	return false;
}

static void device_release(struct gate_object *o)
{
	gate_object_free(o);
}
static const struct gate_object_ops device_ops = {.release = device_release};

static s64 device_publish(struct service *s, struct device *d)
{
	struct device_object *o = kzalloc(sizeof(*o));
	s64 r;

	if (!o)
		return -ENOMEM;
	gate_object_init(&o->object, HANDLE_DEVICE, &device_ops);
	o->device = d;
	r = handle_publish(s, &o->object);
	gate_object_put(&o->object);
	return r;
}

static void device_off(struct device *d)
{
	mutex_lock(&d->lock); // a call that is still under way comes before or after
	if (load_once(&d->enabled)) {
		pci_bus_master_set(d->pci, false);
		store_once(&d->enabled, false);
		store_once(&d->stale, true);
	}
	mutex_unlock(&d->lock);
}

u32 devices_probe(struct service *s)
{
	struct device *d;
	u32 works = 0;

	list_for_each_entry(d, &devices, link) {
		if (!matches(d, s))
			continue;
		s64 handle = device_publish(s, d);

		if (handle < 0)
			break;
		d->owner = s;
		int r = service_gate_probe(&s->base, (u64)handle);

		if (gate_failed(r) && !load_once(&s->live))
			return 0; // it died
		if (r >= 0) {
			works++;
			continue;
		}
		if (r != -ENODEV)
			log_warn("%s: a device does not work: error %d", s->name, -r);
		struct gate_object *o = handle_get((u64)handle, HANDLE_DEVICE);

		if (o) {
			handle_close_object(o);
			gate_object_put(o);
		}
		device_off(d);
		d->owner = nullptr;
	}
	return works;
}

void devices_quiesce(struct service *s)
{
	struct device *d;

	list_for_each_entry(d, &devices, link) {
		if (d->owner == s)
			device_off(d);
	}
}

bool devices_are_quiet(const struct service *s)
{
	const struct device *d;

	list_for_each_entry(d, &devices, link) {
		if (d->owner == s && load_once(&d->stale))
			return false;
	}
	return true;
}

// ---- calls ----

static struct device *device_get(u64 handle, struct gate_object **o)
{
	*o = handle_get(handle, HANDLE_DEVICE);
	return *o ? container_of(*o, struct device_object, object)->device : nullptr;
}

static void pci_info(const struct pci_device *p, struct device_info *info)
{
	info->bus = DEVICE_PCI;
	info->segment = (u8)p->segment;
	info->pci_bus = p->bus;
	info->slot = p->slot;
	info->function = p->function;
	info->vendor = p->vendor;
	info->device = p->device;
	info->subsystem_vendor = p->subsystem_vendor;
	info->subsystem = p->subsystem;
	info->class_code = p->class_code;
	info->subclass = p->subclass;
	info->prog_if = p->prog_if;
	info->revision = p->revision;
	info->irqs = p->cap_msix ? p->msix_count : p->cap_msi ? 1 : 0;
	for (u32 i = 0; i < DEVICE_RESOURCES; i++) {
		if (!p->bar[i].len)
			continue;
		info->resource[i].kind = p->bar[i].io ? RESOURCE_PORTS : RESOURCE_MEMORY;
		info->resource[i].len = p->bar[i].len;
	}
}

static void platform_info(const struct platform_device *p, struct device_info *info)
{
	info->bus = DEVICE_PLATFORM;
	info->unit = p->unit;
	info->clock_hz = p->clock_hz;
	info->irqs = 1;
	strscpy(info->name, p->name, sizeof(info->name));
	info->resource[0].kind = p->nports ? RESOURCE_PORTS : RESOURCE_MEMORY;
	info->resource[0].len = p->nports ?: p->registers_len;
}

int gate_device_info(u64 device, struct device_info *info)
{
	struct gate_object *o;
	struct device *d = device_get(device, &o);

	if (!d)
		return -EBADF;
	*info = (struct device_info){};
	if (d->pci) {
		pci_bars_read(d->pci);
		pci_info(d->pci, info);
	} else {
		platform_info(d->platform, info);
	}
	gate_object_put(o);
	return 0;
}

s64 gate_device_config(u64 device, u32 offset, void *bytes, u64 len)
{
	struct gate_object *o;
	struct device *d = device_get(device, &o);
	u32 *words = bytes;
	s64 r = -EINVAL;

	if (!d)
		return -EBADF;
	if (d->pci && !((offset | len) % 4) && offset <= 4096 && len <= 4096 - offset) {
		for (u32 i = 0; i < len / 4; i++)
			words[i] = pci_config_read(d->pci, offset + 4 * i, 4);
		r = (s64)len;
	}
	gate_object_put(o);
	return r;
}

int gate_device_enable(u64 device)
{
	struct gate_object *o;
	struct device *d = device_get(device, &o);
	int err = 0;

	if (!d)
		return -EBADF;
	mutex_lock(&d->lock);
	if (d->pci) {
		err = pci_enable(d->pci);
		if (!err && d->pci->cap_msix)
			err = pci_msix_enable(d->pci);
		store_once(&d->enabled, true);
	}
	mutex_unlock(&d->lock);
	gate_object_put(o);
	return err;
}

int gate_device_quiet(u64 device)
{
	struct gate_object *o;
	struct device *d = device_get(device, &o);
	int err = -EINVAL;

	if (!d)
		return -EBADF;
	mutex_lock(&d->lock);
	if (!d->pci || load_once(&d->enabled)) {
		store_once(&d->stale, false);
		if (d->pci)
			pci_bus_master_set(d->pci, true);
		err = 0;
	}
	mutex_unlock(&d->lock);
	if (!err && devices_are_quiet(o->owner))
		service_quarantine_free(o->owner);
	gate_object_put(o);
	return err;
}

bool gate_device_identify(u64 device, u64 *id, bool *stale)
{
	struct gate_object *o;
	struct device *d = device_get(device, &o);

	if (!d)
		return false;
	*id = (u64)(uintptr_t)d;
	*stale = load_once(&d->stale);
	gate_object_put(o);
	return true;
}

static s64 pci_map(struct service *s, struct pci_device *p, u32 bar)
{
	u64 hole = 0, hole_len = 0, offset, len;
	u32 table_bar;

	pci_bars_read(p);
	const struct pci_bar *b = &p->bar[bar];

	if (!b->len || b->io || !b->base || !is_aligned(b->base, PAGE_SIZE) || b->len > 128 * MiB)
		return -EINVAL;
	if (pci_msix_table(p, &table_bar, &offset, &len) && table_bar == bar) {
		hole = offset;
		hole_len = len;
	}
	// A BAR smaller than a page has it for itself only when firmware was so kind.
	return service_mmio_map(s, phys(b->base), align_up(b->len, PAGE_SIZE), hole, hole_len);
}

s64 gate_device_map(u64 device, u32 resource)
{
	struct gate_object *o;
	struct device *d = device_get(device, &o);
	s64 r = -EINVAL;

	if (!d)
		return -EBADF;
	if (d->pci && resource < DEVICE_RESOURCES)
		r = pci_map(o->owner, d->pci, resource);
	else if (d->platform && !resource && d->platform->registers_len)
		r = service_mmio_map(o->owner, d->platform->registers,
				     align_up(d->platform->registers_len, PAGE_SIZE), 0, 0);
	gate_object_put(o);
	return r;
}

// The port of a resource that an access of size bytes at offset touches; -EINVAL: it is not wholly
// the device's.
static s64 port_of(struct device *d, u32 resource, u32 offset, u32 size)
{
	u64 base = 0, len = 0;

	if (d->platform && !resource) {
		base = d->platform->ports;
		len = d->platform->nports;
	} else if (d->pci && resource < DEVICE_RESOURCES) {
		pci_bars_read(d->pci);
		if (d->pci->bar[resource].io) {
			base = d->pci->bar[resource].base;
			len = d->pci->bar[resource].len;
		}
	}
	if ((size != 1 && size != 2 && size != 4) || offset % size || offset >= len ||
	    size > len - offset || base + offset > 0xffff)
		return -EINVAL;
	return (s64)(base + offset);
}

s64 gate_device_port_read(u64 device, u32 resource, u32 offset, u32 size)
{
	struct gate_object *o;
	struct device *d = device_get(device, &o);

	if (!d)
		return -EBADF;
	s64 port = port_of(d, resource, offset, size);

	gate_object_put(o);
	return port < 0 ? port : arch_port_read((u16)port, size);
}

int gate_device_port_write(u64 device, u32 resource, u32 offset, u32 size, u32 value)
{
	struct gate_object *o;
	struct device *d = device_get(device, &o);

	if (!d)
		return -EBADF;
	s64 port = port_of(d, resource, offset, size);

	gate_object_put(o);
	if (port < 0)
		return (int)port;
	return arch_port_write((u16)port, size, value);
}

s64 gate_uart_transmit(u64 device, const void *bytes, u64 len)
{
	struct gate_object *o;
	struct device *d = device_get(device, &o);
	s64 r = -EINVAL;

	if (!d)
		return -EBADF;
	if (d->platform && d->platform->transmit)
		r = (s64)d->platform->transmit(d->platform, bytes, len);
	gate_object_put(o);
	return r;
}

s64 gate_uart_line(u64 device, u32 divisor, u32 control)
{
	struct gate_object *o;
	struct device *d = device_get(device, &o);
	s64 r = -EINVAL;

	if (!d)
		return -EBADF;
	if (d->platform && d->platform->line)
		r = d->platform->line(d->platform, divisor, control);
	gate_object_put(o);
	return r;
}

// ---- interrupts ----

struct irq {
	struct gate_object object;	   // first
	struct device *device;		   // immutable, as all down to cookie
	struct gate_object *device_object; // counted
	struct gate_object *target;	   // counted; nullptr: the thread
	u64 cookie;
	u32 index;
	u32 message; // handle of the message
	char name[24];
	atomic_u32 pending; // interrupts since the thread looked
	bool closed;	    // atomic
	struct thread *thread;
	struct wait_queue wait;
	struct work free_work;
};

static struct irq *irq_of(struct gate_object *o)
{
	return container_of(o, struct irq, object);
}

static void irq_fired(void *arg);

static void line_hold(struct irq *irq, bool on)
{
	const struct platform_device *p = irq->device->platform;

	if (p)
		irq_line_hold(p->irq, p->irq_isa, irq_fired, irq, on);
}

static void irq_fired(void *arg)
{
	struct irq *irq = arg;

	if (irq->target) {
		irq->target->ops->interrupt(irq->target, irq->cookie);
	} else {
		line_hold(irq, true); // until the thread has looked
		(void)atomic_inc_return(&irq->pending);
		// on this CPU if it has little else to do: to wake another one costs more
		wait_queue_wake_sync(&irq->wait, ~0u, 0);
	}
}

static void irq_thread(void *arg)
{
	struct irq *irq = arg;
	struct service *s = irq->object.owner;
	u32 idle = 0;

	while (!load_once(&irq->closed)) {
		wait_event(&irq->wait, atomic_load(&irq->pending) || load_once(&irq->closed));
		if (load_once(&irq->closed))
			break;
		(void)atomic_xchg(&irq->pending, 0);
		int r = service_gate_interrupt(&s->base, irq->cookie);

		if (gate_failed(r))
			break;
		line_hold(irq, false);
		idle = r > 0 ? 0 : idle + 1;
		if (idle < IDLE_INTERRUPTS_MAX)
			continue;
		log_warn("%s: %u interrupts in a row for which it found nothing to do", irq->name,
			 idle);
		gate_port_fault(&s->base, "interrupts without end");
		break;
	}
	gate_object_put(&irq->object);
	atomic_dec(&s->nthreads);
	wake_all(&s->stack_wait);
}

static void irq_free(struct work *w)
{
	struct irq *irq = container_of(w, struct irq, free_work);

	const struct platform_device *p = irq->device->platform;

	if (p)
		irq_line_remove(p->irq, p->irq_isa, irq_fired, irq);
	else
		irq_msi_free(irq->message); // like the other, waits until no handler runs
	gate_object_put(&irq->object);
}

static void irq_detach(struct gate_object *o)
{
	struct irq *irq = irq_of(o);
	struct device *d = irq->device;

	mutex_lock(&d->lock);
	if (d->pci && d->pci->cap_msix)
		pci_msix_clear(d->pci, irq->index);
	else if (d->pci)
		pci_msi_clear(d->pci);
	d->attached &= ~(1ull << irq->index);
	mutex_unlock(&d->lock);
	store_once(&irq->closed, true);
	wake_all(&irq->wait);
	gate_object_get(o);
	work_queue(&irq->free_work); // waiting for handlers would hold a restart up
}

static void irq_release(struct gate_object *o)
{
	struct irq *irq = irq_of(o);

	if (irq->target)
		gate_object_put(irq->target);
	gate_object_put(irq->device_object);
	gate_object_free(o);
}

static const struct gate_object_ops irq_ops = {.detach = irq_detach, .release = irq_release};

// Connects; device lock held.
static int irq_connect(struct irq *irq, u32 cpu)
{
	struct device *d = irq->device;

	if (d->attached >> irq->index & 1)
		return -EBUSY;
	int err = d->platform ? irq_line_add(d->platform->irq, d->platform->irq_isa, irq_fired, irq,
					     irq->name)
		  : d->pci->cap_msix
			  ? pci_msix_set(d->pci, irq->index, cpu, irq_fired, irq, irq->name,
					 &irq->message)
			  : pci_msi_set(d->pci, cpu, irq_fired, irq, irq->name, &irq->message);
	if (!err)
		d->attached |= 1ull << irq->index;
	return err;
}

static u32 irq_count(const struct device *d)
{
	u32 n = d->platform ? 1 : d->pci->cap_msix ? d->pci->msix_count : d->pci->cap_msi ? 1 : 0;

	return min(n, 64u);
}

static struct irq *irq_make(struct gate_object *device, struct device *d, u32 index, u64 cookie)
{
	struct irq *irq = kzalloc(sizeof(*irq));

	if (!irq)
		return nullptr;
	gate_object_init(&irq->object, HANDLE_IRQ, &irq_ops);
	gate_object_get(device);
	irq->device_object = device;
	irq->device = d;
	irq->index = index;
	irq->cookie = cookie;
	irq->object.owner = device->owner;
	scnprintf(irq->name, sizeof(irq->name), "%.16s-%u", device->owner->name, index);
	wait_queue_init(&irq->wait);
	work_init(&irq->free_work, irq_free);
	return irq;
}

s64 gate_irq_attach(u64 device, u32 index, u32 cpu, u64 target, u64 cookie)
{
	static atomic_u32 spread; // next CPU for who has no wish
	struct gate_object *o;
	struct device *d = device_get(device, &o);
	struct irq *irq = nullptr;
	s64 r = -EINVAL;

	if (!d)
		return -EBADF;
	if (cpu == IRQ_CPU_ANY)
		cpu = atomic_fetch_add(&spread, 1) % smp_ncpus;
	if (index >= irq_count(d) || cpu >= smp_ncpus)
		goto out;
	r = -ENOMEM;
	irq = irq_make(o, d, index, cookie);
	if (!irq)
		goto out;
	if (target) {
		irq->target =
			handle_get_owned(o->owner, target, (u32)(target >> HANDLE_KIND_SHIFT));
		r = -EBADF;
		if (!irq->target || !irq->target->ops->interrupt)
			goto out;
	} else {
		irq->thread = kthread_create(irq_thread, irq, irq->name);
		if (!irq->thread)
			goto out;
	}
	mutex_lock(&d->lock);
	r = irq_connect(irq, cpu);
	mutex_unlock(&d->lock);
	if (!r) {
		r = handle_publish(o->owner, &irq->object);
		if (r < 0) // its service is dying: as if it had been closed
			irq_detach(&irq->object);
	} else if (irq->thread) {
		store_once(&irq->closed, true);
	}
	if (irq->thread) { // it has a reference of its own
		gate_object_get(&irq->object);
		atomic_inc(&o->owner->nthreads);
		thread_start(irq->thread);
	}
out:
	if (irq)
		gate_object_put(&irq->object);
	gate_object_put(o);
	return r;
}

// SPDX-License-Identifier: MIT
// its.c: the interrupt translation services (ITS) of a GICv3: they turn what a device writes into a
// locality-specific interrupt (LPI) of one CPU (Arm IHI 0069, chapters 5 and 12.19). Privileged.
//
// A message is named by who sends it (device id) and what it writes (event). The service keeps, in
// memory of ours, a table of devices, for each device a table of events, and a table of
// collections, each of which is a CPU. It is told by commands in a ring. The redistributors read
// priority and enabling of all LPIs from one table, and keep what is pending in one table each.
//
// Locks: its_mutex (LOCK_module_misc) guards the list of devices, their events and the numbers in
// use; it is held while memory is allocated. its->lock (LOCK_irq) guards the ring of commands; it
// is held, interrupts off, until the service has taken what was put in. Both are bounded waits.
//
// Failure. A service that takes no commands is reported, and no more messages are allocated.
#include "base/bitmap.h"
#include "base/errno.h"
#include "base/list.h"
#include "core/arch/aarch64/gic.h"
#include "core/arch/aarch64/machine.h"
#include "core/arch/aarch64/mmio.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/page.h"
#include "core/panic.h"
#include "core/slab.h"
#include <arch/cpu.h>

enum its_reg : u32 {
	ITS_CTLR = 0x0,
	ITS_TYPER = 0x8,
	ITS_CBASER = 0x80,
	ITS_CWRITER = 0x88,
	ITS_CREADR = 0x90,
	ITS_BASER = 0x100, // eight
	ITS_TRANSLATER = 0x10040,
	ITS_REGISTERS = 0x20000,
};
constexpr u32 CTLR_ENABLED = 1, CTLR_QUIESCENT = 1u << 31;
constexpr u64 TYPER_PHYSICAL_TARGET = 1 << 19;
constexpr u64 BASE_VALID = 1ull << 63;
// Where tables lie, shareable among the inner domain and cached write-back, or not cached at all.
constexpr u64 BASE_SHARED = 1 << 10, BASE_SHARE_MASK = 3 << 10;
constexpr u64 BASE_CACHED = 7ull << 59, BASE_UNCACHED = 1ull << 59;
constexpr u32 TABLE_DEVICES = 1, TABLE_COLLECTIONS = 4;
enum its_command : u32 {
	COMMAND_INT = 0x03,
	COMMAND_SYNC = 0x05,
	COMMAND_MAPD = 0x08,
	COMMAND_MAPC = 0x09,
	COMMAND_MAPTI = 0x0a,
	COMMAND_INV = 0x0c,
	COMMAND_DISCARD = 0x0f,
};
constexpr u32 COMMAND_BYTES = 32, RING_ORDER = 4;
constexpr u32 WAITS = 10000000; // reads until hardware is given up

enum gicr_reg : u32 { GICR_CTLR = 0, GICR_TYPER = 8, GICR_PROPBASER = 0x70, GICR_PENDBASER = 0x78 };
constexpr u32 GICR_LPIS_ON = 1;
constexpr u64 GICR_CACHED = 7 << 7, GICR_UNCACHED = 1 << 7;
constexpr u64 GICR_PENDING_ZERO = 1ull << 62;
constexpr u32 ID_BITS = 14; // of interrupt numbers, the least that has LPIs: 8192 of them
constexpr u8 LPI_ON = 1, LPI_OFF = 0, LPI_GROUP = 2;

constexpr u32 EVENT_BITS = 8, EVENTS = 1 << EVENT_BITS;
constexpr u32 DEVICE_BITS_MAX = 16; // what one segment of PCI needs

struct its {
	volatile u8 *registers; // immutable after its_init, as all down to coherent
	u64 at;
	u64 typer;
	bool coherent; // it snoops our caches
	spinlock_t lock;
	u8 *ring; // lock, as all below
	u32 next; // offset
	bool broken;
};

struct its_device {
	struct list link;		// its_mutex
	struct its *its;		// immutable
	u32 id;				// immutable
	BITMAP_DECLARE(events, EVENTS); // its_mutex
};

static struct its services[MACHINE_ITSES]; // immutable after its_init
static u32 nservices;
static u8 *properties; // of LPIs, a byte each; its_mutex. Redistributors read it
static bool properties_coherent = true;

static mutex_t its_mutex = MUTEX_INIT(its_mutex, LOCK_module_misc);
static struct list devices = LIST_INIT(devices); // its_mutex, as the two below
static BITMAP_DECLARE(numbers, LPIS);
static struct {
	struct its_device *device;
	u32 event, cpu;
} owners[LPIS];

// Makes what was stored visible to who does not snoop.
static void clean(const void *p, size_t len)
{
	u64 line = 4ull << (cpu_sysreg_read("ctr_el0") >> 16 & 15);

	for (u64 a = align_down((u64)p, line); a < (u64)p + len; a += line)
		__asm__ volatile("dc cvac, %0" ::"r"(a) : "memory");
	__asm__ volatile("dsb sy" ::: "memory");
}

static u8 *table_alloc(u32 order)
{
	struct page *p = page_alloc(order, OWNER_CORE, ALLOC_ZERO | ALLOC_ATOMIC);

	return p ? page_ptr(p) : nullptr;
}

// ---- commands ----

// Puts commands into the ring and waits until they are done. Each has four words.
static int commands_run(struct its *s, u32 n, const u64 (*commands)[4])
{
	constexpr u32 RING_BYTES = PAGE_SIZE << RING_ORDER;
	irqflags_t flags = spin_lock_irqsave(&s->lock);
	u32 waits = 0;

	for (u32 i = 0; i < n; i++) {
		u64 *to = (u64 *)(s->ring + s->next);

		for (u32 w = 0; w < 4; w++)
			to[w] = commands[i][w];
		if (!s->coherent)
			clean(to, COMMAND_BYTES);
		s->next = (s->next + COMMAND_BYTES) % RING_BYTES;
	}
	mmio_wmb();
	mmio_write64(s->registers + ITS_CWRITER, s->next);
	while (!s->broken && mmio_read64(s->registers + ITS_CREADR) != s->next) {
		if (++waits == WAITS) {
			log_err("its: the one at %#llx takes no commands", s->at);
			s->broken = true;
		}
	}
	int err = s->broken ? -EIO : 0;

	spin_unlock_irqrestore(&s->lock, flags);
	return err;
}

// How this service names a CPU's redistributor.
static u64 target_of(const struct its *s, u32 cpu)
{
	u64 at;
	volatile u8 *r = gicv3_redistributor(cpu, &at);

	if (s->typer & TYPER_PHYSICAL_TARGET)
		return at;
	return (mmio_read64(r + GICR_TYPER) >> 8 & 0xffff) << 16;
}

static u64 command_word(u32 command, const struct its_device *d)
{
	return command | (u64)d->id << 32;
}

// ---- setting up ----

static void baser_write(struct its *s, volatile u8 *reg, u64 value)
{
	mmio_write64(reg, value | BASE_SHARED | BASE_CACHED);
	if (mmio_read64(reg) & BASE_SHARE_MASK)
		return;
	s->coherent = false;
	mmio_write64(reg, value | BASE_UNCACHED);
}

static u32 device_bits(const struct its *s)
{
	return min((u32)(s->typer >> 13 & 31) + 1, DEVICE_BITS_MAX);
}

// Gives the service one of the tables that it asks for. The largest pages it takes are used.
static bool table_give(struct its *s, u32 i)
{
	static const u32 page_shifts[] = {12, 14, 16};
	volatile u8 *reg = s->registers + ITS_BASER + 8 * i;
	u64 value = mmio_read64(reg);
	u32 type = value >> 56 & 7, entry = (value >> 48 & 31) + 1, order = RING_ORDER;

	if (type != TABLE_DEVICES && type != TABLE_COLLECTIONS)
		return true;
	u64 bytes = (u64)entry << (type == TABLE_DEVICES ? device_bits(s) : ilog2(CPU_MAX));

	while (PAGE_SIZE << order < bytes && order < PAGE_ORDER_MAX)
		order++;
	u8 *table = table_alloc(order);

	if (!table)
		return false;
	clean(table, PAGE_SIZE << order);
	for (u32 size = ARRAY_SIZE(page_shifts); size--;) {
		u64 pages = min((PAGE_SIZE << order) >> page_shifts[size], 256ull);

		baser_write(s, reg,
			    BASE_VALID | ptr_phys(table).addr | (u64)size << 8 | (pages - 1));
		if ((mmio_read64(reg) >> 8 & 3) == size)
			return true;
	}
	return false;
}

static bool service_start(struct its *s, u64 at)
{
	volatile u8 *r = mmio_map(phys(at), ITS_REGISTERS);

	if (!r)
		return false;
	*s = (struct its){.registers = r,
			  .at = at,
			  .typer = mmio_read64(r + ITS_TYPER),
			  .coherent = true,
			  .lock = SPINLOCK_INIT(LOCK_irq)};
	mmio_write32(r + ITS_CTLR, mmio_read32(r + ITS_CTLR) & ~CTLR_ENABLED);
	for (u32 i = 0; i < WAITS && !(mmio_read32(r + ITS_CTLR) & CTLR_QUIESCENT); i++)
		cpu_relax();
	for (u32 i = 0; i < 8; i++)
		if (!table_give(s, i))
			return false;
	s->ring = table_alloc(RING_ORDER);
	if (!s->ring)
		return false;
	clean(s->ring, PAGE_SIZE << RING_ORDER);
	baser_write(s, r + ITS_CBASER,
		    BASE_VALID | ptr_phys(s->ring).addr | ((1u << RING_ORDER) - 1));
	mmio_write64(r + ITS_CWRITER, 0);
	mmio_write32(r + ITS_CTLR, mmio_read32(r + ITS_CTLR) | CTLR_ENABLED);
	return true;
}

bool its_init(void)
{
	if (!machine.nits || gicv3_id_bits() < ID_BITS)
		return false;
	properties = table_alloc(1);
	if (!properties)
		return false;
	static_assert((1u << ID_BITS) - GIC_LPI_FIRST == PAGE_SIZE << 1);
	for (u32 i = 0; i < PAGE_SIZE << 1; i++)
		properties[i] = GIC_PRIORITY | LPI_GROUP | LPI_OFF;
	clean(properties, PAGE_SIZE << 1);
	// A place stays a place: device trees name services by their number.
	for (u32 i = 0; i < machine.nits; i++, nservices++) {
		if (machine.its[i].len < ITS_REGISTERS ||
		    !service_start(&services[i], machine.its[i].base)) {
			log_warn("its: the one at %#llx does not start", machine.its[i].base);
			services[i].broken = true;
		}
	}
	return true;
}

static void gicr_base_write(volatile u8 *reg, u64 value)
{
	mmio_write64(reg, value | BASE_SHARED | GICR_CACHED);
	if (mmio_read64(reg) & BASE_SHARE_MASK)
		return;
	properties_coherent = false;
	mmio_write64(reg, value | GICR_UNCACHED);
}

void its_init_cpu(u32 cpu)
{
	u64 at;
	volatile u8 *r = gicv3_redistributor(cpu, &at);
	u8 *pending = table_alloc(RING_ORDER); // 64 KiB, as its alignment must be

	if (mmio_read32(r + GICR_CTLR) & GICR_LPIS_ON)
		panic("firmware left message interrupts on, with tables of its own");
	if (!pending)
		panic("no memory for the message interrupts of CPU %u", cpu);
	clean(pending, PAGE_SIZE << RING_ORDER);
	gicr_base_write(r + GICR_PROPBASER, ptr_phys(properties).addr | (ID_BITS - 1));
	gicr_base_write(r + GICR_PENDBASER, ptr_phys(pending).addr | GICR_PENDING_ZERO);
	mmio_wmb();
	mmio_write32(r + GICR_CTLR, mmio_read32(r + GICR_CTLR) | GICR_LPIS_ON);
	mmio_wmb();
	for (u32 i = 0; i < nservices; i++) {
		struct its *s = &services[i];

		if (s->broken)
			continue;
		u64 target = target_of(s, cpu);

		(void)commands_run(s, 2,
				   (const u64[][4]){{COMMAND_MAPC, 0, BASE_VALID | target | cpu},
						    {COMMAND_SYNC, 0, target}});
	}
}

// ---- devices ----

// Which service takes a sender's messages, and as whose. Where firmware says nothing of it, as ACPI
// does in a table that is not read (IORT), there must be one service, and ids are the senders' own.
static struct its *service_of(u32 source, u32 *id)
{
	u16 segment = (u16)(source >> 16), requester = (u16)source;
	u32 its = machine.npcis || machine.nits != 1 ? machine.nits : 0;

	*id = requester;
	for (u32 i = 0; i < machine.npcis; i++) {
		const struct machine_pci *p = &machine.pcis[i];

		for (u32 m = 0; p->segment == segment && m < p->nmaps; m++) {
			const struct machine_msi_map *map = &p->maps[m];

			if (requester >= map->first && requester - map->first < map->n) {
				*id = requester - map->first + map->id;
				its = map->its;
			}
		}
	}
	return its < nservices && !services[its].broken && *id >> device_bits(&services[its]) == 0
		       ? &services[its]
		       : nullptr;
}

static struct its_device *device_make(struct its *s, u32 id)
{
	struct its_device *d = kzalloc(sizeof(*d));
	u32 entry = (s->typer >> 4 & 15) + 1, order = 0;

	while (PAGE_SIZE << order < (u64)entry << EVENT_BITS)
		order++;
	u8 *events = d ? table_alloc(order) : nullptr;

	if (!events) {
		kfree(d);
		return nullptr;
	}
	clean(events, PAGE_SIZE << order);
	d->its = s;
	d->id = id;
	if (commands_run(s, 1,
			 (const u64[][4]){{command_word(COMMAND_MAPD, d), EVENT_BITS - 1,
					   BASE_VALID | ptr_phys(events).addr}})) {
		kfree(d); // the table is the service's, for all that is known
		return nullptr;
	}
	list_add_tail(&devices, &d->link);
	return d;
}

static struct its_device *device_get(struct its *s, u32 id)
{
	struct its_device *d;

	list_for_each_entry(d, &devices, link) {
		if (d->its == s && d->id == id)
			return d;
	}
	return device_make(s, id);
}

static void property_set(u32 lpi, u8 on)
{
	properties[lpi] = GIC_PRIORITY | LPI_GROUP | on;
	if (!properties_coherent)
		clean(&properties[lpi], 1);
}

static int map_locked(struct its_device *d, u32 lpi, u32 event, u32 cpu)
{
	u64 target = target_of(d->its, cpu);

	property_set(lpi, LPI_ON);
	return commands_run(d->its, 3,
			    (const u64[][4]){{command_word(COMMAND_MAPTI, d),
					      event | (u64)(lpi + GIC_LPI_FIRST) << 32, cpu},
					     {command_word(COMMAND_INV, d), event},
					     {COMMAND_SYNC, 0, target}});
}

static int alloc_locked(struct its *s, u32 id, u32 cpu, struct msi_message *m)
{
	struct its_device *d = device_get(s, id);

	if (!d)
		return -ENOMEM;
	u32 event = (u32)bitmap_find_first_zero(d->events, EVENTS),
	    lpi = (u32)bitmap_find_first_zero(numbers, LPIS);

	if (event >= EVENTS || lpi >= LPIS)
		return -ENOSPC;
	int err = map_locked(d, lpi, event, cpu);

	if (err)
		return err;
	bitmap_set(d->events, event);
	bitmap_set(numbers, lpi);
	owners[lpi].device = d;
	owners[lpi].event = event;
	owners[lpi].cpu = cpu;
	*m = (struct msi_message){
		.address = s->at + ITS_TRANSLATER, .data = event, .intid = lpi + GIC_LPI_FIRST};
	return 0;
}

int its_alloc(u32 source, u32 cpu, struct msi_message *m)
{
	u32 id;
	struct its *s = service_of(source, &id);

	if (!s)
		return -ENODEV;
	mutex_lock(&its_mutex);
	int err = alloc_locked(s, id, cpu, m);

	mutex_unlock(&its_mutex);
	return err;
}

void its_free(u32 intid)
{
	u32 lpi = intid - GIC_LPI_FIRST;

	mutex_lock(&its_mutex);
	struct its_device *d = owners[lpi].device;
	u32 event = owners[lpi].event;

	property_set(lpi, LPI_OFF);
	(void)commands_run(d->its, 3,
			   (const u64[][4]){{command_word(COMMAND_INV, d), event},
					    {command_word(COMMAND_DISCARD, d), event},
					    {COMMAND_SYNC, 0, target_of(d->its, owners[lpi].cpu)}});
	bitmap_clear(d->events, event);
	bitmap_clear(numbers, lpi);
	owners[lpi].device = nullptr;
	mutex_unlock(&its_mutex);
}

void its_raise(u32 intid)
{
	u32 lpi = intid - GIC_LPI_FIRST;

	mutex_lock(&its_mutex);
	struct its_device *d = owners[lpi].device;

	(void)commands_run(d->its, 1,
			   (const u64[][4]){{command_word(COMMAND_INT, d), owners[lpi].event}});
	mutex_unlock(&its_mutex);
}

// SPDX-License-Identifier: MIT
// pci.c: finds the functions on the PCI Express buses and gives access to their configuration
// space. Privileged.
//
// Configuration space lies in memory where the MCFG table or the platform says (ECAM); without, the
// platform's ports reach the first 256 bytes of bus 0's hierarchy. Firmware (or arch_pci_host) has
// numbered buses and assigned addresses; we follow its bridges, so that only buses which exist are
// mapped and read, and refuse to enable what it left without addresses.
//
// The list of functions is made once by pci_init (initcall level 2) and never changes, so walking
// it takes no lock. pci_lock (LOCK_pci) guards the port window and sequences of configuration
// accesses that belong together. What a single function's registers mean is between its driver and
// the device.
#include "core/pci/pci_priv.h"

#include "base/acpi.h"
#include "base/bitmap.h"
#include "base/errno.h"
#include "core/acpi.h"
#include "core/init.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/slab.h"
#include <arch/pci.h>

constexpr u32 BUSES = 256, SLOTS = 32, FUNCTIONS = 8;
constexpr u64 BUS_BYTES = 1 * MiB; // of ECAM
constexpr u64 FUNCTION_BYTES = 4 * KiB;
constexpr u32 CAPABILITIES_MAX = 48; // as many as fit in 192 bytes

constexpr u8 CLASS_BRIDGE = 0x06, SUBCLASS_PCI_BRIDGE = 0x04;

spinlock_t pci_lock = SPINLOCK_INIT(LOCK_pci);
static mutex_t bars_lock = MUTEX_INIT(bars_lock, LOCK_module_misc); // pci_function.bars_read
static struct list functions = LIST_INIT(functions);		    // immutable after pci_init

// One hierarchy while it is walked.
struct walk {
	u16 segment;
	u64 ecam; // physical, of bus 0; 0: by ports
	u32 last_bus;
	BITMAP_DECLARE(todo, BUSES); // found, not yet read
	BITMAP_DECLARE(seen, BUSES); // found ever: a loop of bad bridges ends
};

u32 pci_config_read(const struct pci_device *d, u32 offset, u32 size)
{
	const struct pci_function *f = pci_function_of(d);

	assert((size == 1 || size == 2 || size == 4) && offset % size == 0 &&
	       offset < FUNCTION_BYTES);
	if (f->ecam) {
		const volatile void *p = f->ecam + offset;
		return size == 1   ? *(const volatile u8 *)p
		       : size == 2 ? *(const volatile u16 *)p
				   : *(const volatile u32 *)p;
	}
	if (offset >= 256)
		return ~0u >> (32 - 8 * size);
	irqflags_t flags = spin_lock_irqsave(&pci_lock);
	u32 value = arch_pci_config_read(d->bus, d->slot, d->function, offset, size);

	spin_unlock_irqrestore(&pci_lock, flags);
	return value;
}

void pci_config_write(const struct pci_device *d, u32 offset, u32 size, u32 value)
{
	const struct pci_function *f = pci_function_of(d);

	assert((size == 1 || size == 2 || size == 4) && offset % size == 0 &&
	       offset < FUNCTION_BYTES);
	if (f->ecam) {
		volatile void *p = f->ecam + offset;
		if (size == 1)
			*(volatile u8 *)p = (u8)value;
		else if (size == 2)
			*(volatile u16 *)p = (u16)value;
		else
			*(volatile u32 *)p = value;
		return;
	}
	if (offset >= 256)
		return;
	irqflags_t flags = spin_lock_irqsave(&pci_lock);

	arch_pci_config_write(d->bus, d->slot, d->function, offset, size, value);
	spin_unlock_irqrestore(&pci_lock, flags);
}

u32 pci_find_capability(const struct pci_device *d, u8 id, u32 after)
{
	if (!after && !(pci_config_read(d, PCI_STATUS, 2) & PCI_STATUS_CAPABILITIES))
		return 0;
	u32 at = pci_config_read(d, after ? after + 1 : PCI_CAPABILITIES, 1) & 0xfc;

	// A list that runs in a circle ends here too.
	for (u32 i = 0; i < CAPABILITIES_MAX && at >= 0x40; i++) {
		if (pci_config_read(d, at, 1) == id)
			return at;
		at = pci_config_read(d, at + 1, 1) & 0xfc;
	}
	return 0;
}

// ---- addresses ----

static u32 bar_count(const struct pci_device *d)
{
	return d->header == 0 ? 6 : d->header == 1 ? 2 : 0;
}

// The bits of a BAR that can be written tell its size. Decoding must be off meanwhile.
static u32 bar_probe(struct pci_device *d, u32 offset)
{
	u32 old = pci_config_read(d, offset, 4);

	pci_config_write(d, offset, 4, ~0u);
	u32 mask = pci_config_read(d, offset, 4);

	pci_config_write(d, offset, 4, old);
	return mask;
}

// Reads BAR i into d->bar[i]; returns how many BARs it took.
static u32 bar_read(struct pci_device *d, u32 i)
{
	struct pci_bar *b = &d->bar[i];
	u32 offset = PCI_BAR0 + 4 * i, low = pci_config_read(d, offset, 4),
	    mask = bar_probe(d, offset);

	if (!mask || mask == ~0u)
		return 1;
	if (low & 1) {
		b->io = true;
		b->base = low & ~3u;
		b->len = (u16) -
			 (u16)(mask & ~3u); // the upper half of an I/O BAR may be fixed at zero
		return 1;
	}
	b->base = low & ~15u;
	if ((low & 6) != 4 || i + 1 >= bar_count(d)) {
		b->len = -(mask & ~15u);
		return 1;
	}
	b->base |= (u64)pci_config_read(d, offset + 4, 4) << 32;
	b->len = -((u64)bar_probe(d, offset + 4) << 32 | (mask & ~15u));
	return 2;
}

static void bars_read_locked(struct pci_device *d)
{
	// A host or ISA bridge would take the memory behind it off the bus.
	if (d->class_code == CLASS_BRIDGE && d->subclass != SUBCLASS_PCI_BRIDGE)
		return;
	u32 n = bar_count(d), command = pci_config_read(d, PCI_COMMAND, 2);
	u32 decoding = command & (PCI_COMMAND_IO | PCI_COMMAND_MEMORY);

	if (decoding)
		pci_config_write(d, PCI_COMMAND, 2, command & ~decoding);
	for (u32 i = 0; i < n;)
		i += bar_read(d, i);
	if (decoding)
		pci_config_write(d, PCI_COMMAND, 2, command);
}

void pci_bars_read(struct pci_device *d)
{
	struct pci_function *f = pci_function_of(d);

	mutex_lock(&bars_lock);
	if (!f->bars_read)
		bars_read_locked(d);
	f->bars_read = true;
	mutex_unlock(&bars_lock);
}

int pci_enable(struct pci_device *d)
{
	pci_bars_read(d);
	u32 command = pci_config_read(d, PCI_COMMAND, 2);

	for (u32 i = 0; i < 6; i++) {
		const struct pci_bar *b = &d->bar[i];
		if (!b->len || (b->io && !ARCH_PCI_PORTS))
			continue;
		if (!b->base) {
			log_warn("pci: %02x:%02x.%u: firmware gave BAR %u no address", d->bus,
				 d->slot, d->function, i);
			return -ENODEV;
		}
		command |= b->io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
	}
	pci_config_write(d, PCI_COMMAND, 2, command);
	return 0;
}

void pci_bus_master_set(struct pci_device *d, bool on)
{
	u32 command = pci_config_read(d, PCI_COMMAND, 2) & ~PCI_COMMAND_MASTER;

	pci_config_write(d, PCI_COMMAND, 2, on ? command | PCI_COMMAND_MASTER : command);
}

// ---- finding ----

static void function_describe(struct pci_device *d)
{
	u32 class = pci_config_read(d, PCI_REVISION, 4);

	d->device = (u16)pci_config_read(d, PCI_DEVICE, 2);
	d->revision = (u8) class;
	d->prog_if = (u8)(class >> 8);
	d->subclass = (u8)(class >> 16);
	d->class_code = (u8)(class >> 24);
	d->header = pci_config_read(d, PCI_HEADER, 1) & ~PCI_HEADER_MULTI;
	if (d->header == 0) {
		d->subsystem_vendor = (u16)pci_config_read(d, PCI_SUBSYSTEM_VENDOR, 2);
		d->subsystem = (u16)pci_config_read(d, PCI_SUBSYSTEM, 2);
	}
	d->cap_msi = (u16)pci_find_capability(d, PCI_CAP_MSI, 0);
	d->cap_msix = (u16)pci_find_capability(d, PCI_CAP_MSIX, 0);
	if (d->cap_msix)
		d->msix_count = (pci_config_read(d, d->cap_msix + 2, 2) & 0x7ff) + 1;
}

// Reads one function. Returns whether it exists, and in *multi whether its slot has more.
static bool function_read(struct walk *w, volatile u8 *bus_ecam, u32 bus, u32 slot, u32 function,
			  bool *multi)
{
	struct pci_function probe = {
		.dev = {.segment = w->segment,
			.bus = (u8)bus,
			.slot = (u8)slot,
			.function = (u8)function},
		.ecam = bus_ecam ? bus_ecam + (slot << 15 | function << 12) : nullptr,
	};

	probe.dev.vendor = (u16)pci_config_read(&probe.dev, PCI_VENDOR, 2);
	if (probe.dev.vendor == 0xffff || probe.dev.vendor == 0)
		return false;
	*multi = pci_config_read(&probe.dev, PCI_HEADER, 1) & PCI_HEADER_MULTI;
	struct pci_function *f = kmalloc(sizeof(*f));

	if (!f) {
		log_err("pci: no memory for a function's description");
		return false;
	}
	*f = probe;
	struct pci_device *d = &f->dev;

	function_describe(d);
	list_add_tail(&functions, &d->link);
	log_debug("pci: %04x:%02x:%02x.%u %04x:%04x class %02x%02x", d->segment, d->bus, d->slot,
		  d->function, d->vendor, d->device, d->class_code, d->subclass);
	if (d->header != 1)
		return true;
	u32 behind = pci_config_read(d, PCI_SECONDARY_BUS, 1);

	if (!behind || behind > w->last_bus)
		log_warn("pci: %02x:%02x.%u: firmware did not number the bus behind this bridge",
			 bus, slot, function);
	else if (!bitmap_test_and_set(w->seen, behind))
		bitmap_set(w->todo, behind);
	return true;
}

static void bus_read(struct walk *w, u32 bus)
{
	volatile u8 *ecam = nullptr;

	if (w->ecam) {
		ecam = mmio_map(phys(w->ecam + bus * BUS_BYTES), BUS_BYTES);
		if (!ecam) {
			log_err("pci: no memory to map bus %u", bus);
			return;
		}
	}
	for (u32 slot = 0; slot < SLOTS; slot++) {
		bool multi = false, ignored;
		if (!function_read(w, ecam, bus, slot, 0, &multi) || !multi)
			continue;
		for (u32 function = 1; function < FUNCTIONS; function++)
			function_read(w, ecam, bus, slot, function, &ignored);
	}
}

static void hierarchy_walk(const struct pci_host *h)
{
	struct walk w = {.segment = h->segment, .ecam = h->ecam, .last_bus = h->last_bus};

	bitmap_set(w.todo, h->first_bus);
	bitmap_set(w.seen, h->first_bus);
	for (u32 bus; (bus = (u32)bitmap_find_first(w.todo, BUSES)) < BUSES;) {
		bitmap_clear(w.todo, bus);
		bus_read(&w, bus);
	}
}

struct pci_device *pci_next(struct pci_device *after)
{
	struct list *next = after ? after->link.next : functions.next;

	return next == &functions ? nullptr : list_entry(next, struct pci_device, link);
}

void pci_init(void)
{
	u32 len;
	const struct acpi_mcfg *mcfg = acpi_table("MCFG", 0, &len);
	size_t n = mcfg ? acpi_mcfg_count(mcfg) : 0;

	for (size_t i = 0; i < n; i++) {
		const struct acpi_mcfg_alloc *a = acpi_mcfg_entry(mcfg, i);
		if (a->base_addr && a->bus_start <= a->bus_end)
			hierarchy_walk(&(struct pci_host){.segment = a->segment,
							  .first_bus = a->bus_start,
							  .last_bus = a->bus_end,
							  .ecam = a->base_addr});
	}
	for (struct pci_host h; !mcfg && arch_pci_host((u32)n, &h); n++)
		hierarchy_walk(&h);
	if (!n && arch_pci_config_present()) {
		log_notice("pci: firmware has no MCFG: configuration by ports");
		hierarchy_walk(&(struct pci_host){.last_bus = BUSES - 1});
	} else if (!n) {
		log_notice("pci: firmware describes none");
	}
	log_info("pci: %zu functions", list_length(&functions));
}
INITCALL(2, pci_init);

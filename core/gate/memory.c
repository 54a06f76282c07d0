// SPDX-License-Identifier: MIT
// memory.c: what services see of memory: views, and each service's window.
//
// Views. A view is a root of page tables. There is one for all lowered services and one for each
// isolated service; each holds the kernel's half as every root does, the slots of its services open
// (user-accessible), the others closed, and the page of gate stubs. All roots share the tables
// below a slot, so what is mapped for a service is mapped in all of them; in those of programs and
// of the kernel the slot is closed, and only ring 0 gets through. No view of a service has a
// program's half.
//
// Windows. A slot (512 GiB) is divided into windows of 2 GiB; each life of the service uses the
// next one. Within a window each kind of memory has a range of its own (ranges[]), and every piece
// lies between unmapped pages.
//
// Pages are OWNER_SERVICE, but for device registers and for what is granted. No entry is global,
// for a slot is closed in one root and open in another.
//
// After a life. Everything is unmapped and all TLBs drop it; then pages are freed, but for DMA
// memory: a device may still write there. That is kept (quarantine) until the service's next life
// says that its devices were reset, or for good when there is none.
//
// Locks. service.memory (LOCK_service_memory, a mutex) guards the tables of the slot, the list of
// regions while it is changed, and the stacks' tops; service.regions_lock (a spinlock) lets readers
// (reports, checks) look at the list meanwhile. roots_lock guards the entries of views.
//
// Failure. -ENOMEM leaves nothing behind. A service may have SERVICE_PAGES_MAX pages.
#include "base/fmt.h"
#include "base/string.h"
#include "core/gate/service.h"
#include "core/log.h"
#include "core/mm/mm.h"
#include "core/slab.h"
#include "core/uaccess.h"
#include <arch/gate.h>
#include <arch/mmu.h>

static const struct {
	u64 start, end; // offsets in the window
} ranges[REGION_KINDS] = {
	[REGION_IMAGE] = {0, 64 * MiB},
	[REGION_STACK] = {64 * MiB, 128 * MiB},
	[REGION_HEAP] = {128 * MiB, 768 * MiB},
	[REGION_DMA] = {768 * MiB, 1024 * MiB},
	[REGION_SHARED] = {1024 * MiB, 1280 * MiB},
	[REGION_MMIO] = {1280 * MiB, 1536 * MiB},
	[REGION_GRANT] = {1536 * MiB, 2048 * MiB},
};

struct view {
	phys_t root;
	u64 value; // what a CPU loads
};
static struct view lowered_view, isolated_views[SERVICES_MAX];
static mutex_t roots_lock = MUTEX_INIT(roots_lock, LOCK_service_roots);

static u64 slot_base(const struct service *s)
{
	return SERVICE_BASE + ((u64)s->id << 39);
}

// ---- views ----

static bool view_make(struct view *v, u32 id)
{
	extern char gate_stubs[], gate_stubs_end[];
	const pte_t *kernel = phys_ptr(kernel_space.root[0]);
	struct page *pages[4]; // root, and the tables down to the stubs

	for (u32 i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = page_alloc(0, OWNER_TABLE, ALLOC_ZERO);
		if (!pages[i]) {
			while (i)
				page_free(pages[--i], 0);
			return false;
		}
		pages[i]->flags = PAGE_TABLE;
	}
	pte_t *root = page_ptr(pages[0]);

	for (u32 i = 0; i < kernel_root_nslots; i++) {
		u32 slot = PT_KERNEL_FIRST + kernel_root_slots[i];

		root[slot] = kernel[slot];
	}
	root[pt_index(GATE_STUBS_BASE, 3)] = arch_slot_entry(page_phys(pages[1]), true);
	for (u32 i = 1; i < 3; i++)
		((pte_t *)page_ptr(pages[i]))[0] = arch_service_table(page_phys(pages[i + 1]));
	assert(gate_stubs_end - gate_stubs <= (s64)(PT_ENTRIES * PAGE_SIZE));
	for (u64 at = 0; at < (u64)(gate_stubs_end - gate_stubs); at += PAGE_SIZE)
		((pte_t *)page_ptr(pages[3]))[at >> PAGE_SHIFT] = arch_service_pte(
			kernel_image_phys((u64)gate_stubs + at), false, true, false);
	v->root = page_phys(pages[0]);
	v->value = arch_view_value(v->root, id);
	return true;
}

// Whether that was a change.
static bool slot_set(struct view *v, const struct service *s, bool open)
{
	const pte_t *kernel = phys_ptr(kernel_space.root[0]);
	u32 i = pt_index(slot_base(s), PT_ROOT_LEVEL);
	pte_t *e = (pte_t *)phys_ptr(v->root) + i,
	      entry = arch_slot_entry(pte_phys(kernel[i]), open);

	if (pte_load(e) == entry)
		return false;
	pte_store(e, entry);
	return true;
}

// The slot is open in just the view that its class says.
static struct view *view_arrange(struct service *s)
{
	struct view *own = &isolated_views[s->id], *v = nullptr;

	mutex_lock(&roots_lock);
	if (s->isolation == ISOLATION_ISOLATED && !own->value && !view_make(own, s->id + 1)) {
		mutex_unlock(&roots_lock);
		return nullptr;
	}
	bool changed = slot_set(&lowered_view, s, s->isolation == ISOLATION_LOWERED);

	if (own->value)
		changed |= slot_set(own, s, s->isolation == ISOLATION_ISOLATED);
	mutex_unlock(&roots_lock);
	if (changed) // CPUs may remember the entries of roots
		tlb_flush_services(0, ~0ull);
	v = s->isolation == ISOLATION_ISOLATED ? own : &lowered_view;
	return v;
}

static u64 view_value(const struct service *s)
{
	return s->isolation == ISOLATION_ISOLATED ? isolated_views[s->id].value
						  : lowered_view.value;
}

void service_memory_init(void)
{
	u32 stubs = pt_index(GATE_STUBS_BASE, 3);

	if (!view_make(&lowered_view, 0))
		panic("no memory for the view of services");
	// Elevated services call core too, on core's own root.
	pte_store((pte_t *)phys_ptr(kernel_space.root[0]) + stubs,
		  arch_slot_entry(pte_phys(((pte_t *)phys_ptr(lowered_view.root))[stubs]), false));
}

// ---- entries ----

constexpr u32 WINDOW_TABLES = WINDOW_SIZE / GiB; // entries of level 2 that a window takes

// The level 2 entries of the window that holds an address, as all roots share them.
static pte_t *window_entries(u64 address)
{
	pte_t *root = phys_ptr(kernel_space.root[0]);
	pte_t *slot = pte_table_entries(pte_load(&root[pt_index(address, PT_ROOT_LEVEL)]));

	return &slot[pt_index(address, 2) / WINDOW_TABLES * WINDOW_TABLES];
}

// The level 0 entry of an address below a window's level 2 entries, making the tables above it.
// nullptr: memory is out, or (not make) there is none.
static pte_t *entry_in(pte_t *window, u64 address, bool make)
{
	pte_t *e = &window[pt_index(address, 2) % WINDOW_TABLES];

	for (u32 level = 2; level > 0; level--) {
		if (!pte_load(e)) {
			struct page *p = make ? page_alloc(0, OWNER_TABLE, ALLOC_ZERO) : nullptr;

			if (!p)
				return nullptr;
			p->flags = PAGE_TABLE;
			pte_store(e, arch_service_table(page_phys(p)));
		}
		e = &pte_table_entries(pte_load(e))[pt_index(address, level - 1)];
	}
	return e;
}

static pte_t *entry_of(u64 address, bool make)
{
	return entry_in(window_entries(address), address, make);
}

// Empties entries; what they mapped is for the caller, who has flushed TLBs before it frees it.
static void entries_clear(u64 address, u64 npages)
{
	for (u64 i = 0; i < npages; i++) {
		pte_t *e = entry_of(address + i * PAGE_SIZE, false);

		if (e)
			pte_store(e, 0);
	}
}

static void tables_free(pte_t *window)
{
	for (u32 i = 0; i < WINDOW_TABLES; i++) {
		if (!window[i])
			continue;
		const pte_t *middle = pte_table_entries(window[i]);

		for (u32 n = 0; n < PT_ENTRIES; n++)
			if (middle[n])
				page_free(pte_table_page(middle[n]), 0);
		page_free(pte_table_page(window[i]), 0);
	}
}

// ---- regions ----

static u64 window_offset(const struct service *s, u64 address)
{
	return address - s->window;
}

bool service_owns(const struct service *s, u64 address, u64 len)
{
	return s->window && len <= WINDOW_SIZE && address >= s->window &&
	       window_offset(s, address) <= WINDOW_SIZE - len;
}

struct service_region *service_region_find(struct service *s, u64 address)
{
	struct service_region *r;

	list_for_each_entry(r, &s->regions, link) {
		if (address - r->address < r->npages * PAGE_SIZE)
			return r;
	}
	return nullptr;
}

// The list is sorted by address: the first gap of a kind's range that holds npages and an unmapped
// page before and behind. *before: whom to put it behind.
static u64 place_find(struct service *s, enum region_kind kind, u64 npages, struct list **before)
{
	u64 at = s->window + ranges[kind].start + (kind == REGION_IMAGE ? 0 : PAGE_SIZE);
	u64 end = s->window + ranges[kind].end;
	struct service_region *r;

	*before = &s->regions;
	list_for_each_entry(r, &s->regions, link) {
		if (r->address + r->npages * PAGE_SIZE <= at - PAGE_SIZE ||
		    r->address < s->window + ranges[kind].start) {
			*before = &r->link;
			continue;
		}
		if (r->address >= end || r->address - at >= (npages + 1) * PAGE_SIZE)
			break;
		at = r->address + (r->npages + 1) * PAGE_SIZE;
		*before = &r->link;
	}
	return npages <= (end - at) / PAGE_SIZE ? at : 0;
}

static struct service_region *region_new(struct service *s, enum region_kind kind, u64 npages,
					 u64 at)
{
	struct service_region *r = kzalloc(sizeof(*r));
	struct list *before;
	bool counts = kind != REGION_MMIO && kind != REGION_GRANT;

	if (!r)
		return nullptr;
	u64 found = place_find(s, kind, npages, &before);

	*r = (struct service_region){.address = at ?: found, .npages = npages, .kind = kind};
	if (!r->address ||
	    (counts && npages > SERVICE_PAGES_MAX - min(s->pages, SERVICE_PAGES_MAX))) {
		kfree(r);
		return nullptr;
	}
	if (at) { // a place of its own (stacks): sort it in
		struct service_region *other;

		before = &s->regions;
		list_for_each_entry(other, &s->regions, link) {
			if (other->address > at)
				break;
			before = &other->link;
		}
	}
	spin_lock(&s->regions_lock);
	list_add_head(before, &r->link);
	if (counts)
		s->pages += npages;
	spin_unlock(&s->regions_lock);
	return r;
}

// Out of the list; its entries are empty, its memory is gone.
static void region_drop(struct service *s, struct service_region *r)
{
	spin_lock(&s->regions_lock);
	list_del(&r->link);
	if (r->kind != REGION_MMIO && r->kind != REGION_GRANT)
		s->pages -= r->npages;
	spin_unlock(&s->regions_lock);
	kfree(r);
}

// Frees what entries below `window` map, then empties them. TLBs know them no more, or never did.
static void memory_drop(pte_t *window, u64 address, u64 npages)
{
	for (u64 i = 0; i < npages; i++) {
		pte_t *e = entry_in(window, address + i * PAGE_SIZE, false);

		if (!e || !pte_load(e))
			continue;
		phys_t p = pte_phys(pte_load(e));

		if (!kernel_image_holds(p)) // pages of the archive stay
			page_put(phys_page(p));
		pte_store(e, 0);
	}
}

// What is mapped there already stays.
static bool memory_fill(u64 address, u64 npages)
{
	for (u64 i = 0; i < npages; i++) {
		pte_t *e = entry_of(address + i * PAGE_SIZE, true);

		if (e && pte_load(e))
			continue;
		struct page *p =
			e ? page_alloc(0, OWNER_SERVICE, ALLOC_ZERO | ALLOC_NOWARN) : nullptr;

		if (!p) {
			memory_drop(window_entries(address), address, i);
			return false;
		}
		pte_store(e, arch_service_pte(page_phys(p), true, false, false));
	}
	return true;
}

static u32 order_of(u64 npages)
{
	return npages <= 1 ? 0 : (u32)ilog2(npages - 1) + 1;
}

// Contiguous: one run of pages, entered singly.
static bool memory_fill_run(struct service_region *r)
{
	u32 order = order_of(r->npages);
	struct page *p = order <= PAGE_ORDER_MAX
				 ? page_alloc(order, OWNER_SERVICE, ALLOC_ZERO | ALLOC_NOWARN)
				 : nullptr;

	if (!p)
		return false;
	r->phys = page_phys(p);
	for (u64 i = 0; i < r->npages; i++) {
		pte_t *e = entry_of(r->address + i * PAGE_SIZE, true);

		if (!e) {
			entries_clear(r->address, i);
			page_free(p, order);
			return false;
		}
		pte_store(e,
			  arch_service_pte(phys_add(r->phys, i * PAGE_SIZE), true, false, false));
	}
	return true;
}

static struct service_region *region_make(struct service *s, u64 npages, enum region_kind kind,
					  u64 at)
{
	struct service_region *r = region_new(s, kind, npages, at);

	if (r && !(kind == REGION_DMA ? memory_fill_run(r) : memory_fill(r->address, npages))) {
		region_drop(s, r);
		r = nullptr;
	}
	return r;
}

s64 service_memory_alloc(struct service *s, u64 npages, enum region_kind kind)
{
	mutex_lock(&s->memory);
	struct service_region *r = s->window ? region_make(s, npages, kind, 0) : nullptr;
	s64 at = r ? (s64)r->address : -ENOMEM;

	mutex_unlock(&s->memory);
	return at;
}

int service_memory_free(struct service *s, u64 address)
{
	int err = -EINVAL;

	mutex_lock(&s->memory);
	struct service_region *r = service_region_find(s, address);

	if (r && r->address == address && (r->kind == REGION_HEAP || r->kind == REGION_DMA)) {
		struct page *pages[32];

		for (u64 done = 0; done < r->npages;) {
			u32 n = 0;

			while (n < ARRAY_SIZE(pages) && done + n < r->npages) {
				pte_t *e = entry_of(address + (done + n) * PAGE_SIZE, false);

				pages[n++] = phys_page(pte_phys(*e));
				pte_store(e, 0);
			}
			tlb_flush_services(address + done * PAGE_SIZE,
					   address + (done + n) * PAGE_SIZE);
			for (u32 i = 0; r->kind == REGION_HEAP && i < n; i++)
				page_put(pages[i]);
			done += n;
		}
		if (r->kind == REGION_DMA)
			page_free(phys_page(r->phys), order_of(r->npages));
		region_drop(s, r);
		err = 0;
	}
	mutex_unlock(&s->memory);
	return err;
}

s64 service_memory_bus(struct service *s, u64 address)
{
	s64 bus = -EINVAL;

	spin_lock(&s->regions_lock);
	struct service_region *r = service_region_find(s, address);

	if (r && r->kind == REGION_DMA)
		bus = (s64)(r->phys.addr + (address - r->address));
	spin_unlock(&s->regions_lock);
	return bus;
}

s64 service_mmio_map(struct service *s, phys_t at, u64 len, u64 hole, u64 hole_len)
{
	u64 npages = len / PAGE_SIZE;
	s64 address = -ENOMEM;

	assert(is_aligned(at.addr | len, PAGE_SIZE) && len);
	mutex_lock(&s->memory);
	struct service_region *r = s->window ? region_new(s, REGION_MMIO, npages, 0) : nullptr;

	if (r) {
		r->phys = at;
		address = (s64)r->address;
	}
	for (u64 i = 0; r && i < npages; i++) {
		pte_t *e = entry_of(r->address + i * PAGE_SIZE, true);

		if (!e) {
			entries_clear(r->address, i);
			region_drop(s, r);
			address = -ENOMEM;
			break;
		}
		if (hole_len && (i + 1) * PAGE_SIZE > hole && i * PAGE_SIZE < hole + hole_len)
			continue;
		pte_store(e, arch_service_pte(phys_add(at, i * PAGE_SIZE), true, false, true));
	}
	mutex_unlock(&s->memory);
	return address;
}

int service_shared_alloc(struct service *s, u64 npages, bool writable, void **at, u64 *address)
{
	int err = -ENOMEM;

	if (order_of(npages) > PAGE_ORDER_MAX)
		return err;
	mutex_lock(&s->memory);
	struct service_region *r = s->window ? region_new(s, REGION_SHARED, npages, 0) : nullptr;
	struct page *p = r ? page_alloc(order_of(npages), OWNER_SERVICE, ALLOC_ZERO | ALLOC_NOWARN)
			   : nullptr;
	u64 i = 0;

	for (; p && i < npages; i++) {
		pte_t *e = entry_of(r->address + i * PAGE_SIZE, true);

		if (!e)
			break;
		pte_store(e, arch_service_pte(phys_add(page_phys(p), i * PAGE_SIZE), writable,
					      false, false));
	}
	if (p && i == npages) {
		r->phys = page_phys(p);
		*at = page_ptr(p);
		*address = r->address;
		err = 0;
	} else if (r) {
		entries_clear(r->address, i);
		if (p)
			page_free(p, order_of(npages));
		region_drop(s, r);
	}
	mutex_unlock(&s->memory);
	return err;
}

// ---- the image ----

int service_image_begin(struct service *s, u64 npages)
{
	mutex_lock(&s->memory);
	struct service_region *r = region_new(s, REGION_IMAGE, npages, s->window);

	mutex_unlock(&s->memory);
	return r ? 0 : -ENOMEM;
}

int service_image_share(struct service *s, u64 offset, const void *pages, u64 npages, bool exec)
{
	phys_t at = kernel_image_phys((u64)pages);
	int err = 0;

	assert(is_aligned((u64)pages | offset, PAGE_SIZE));
	mutex_lock(&s->memory);
	for (u64 i = 0; i < npages && !err; i++) {
		pte_t *e = entry_of(s->window + offset + i * PAGE_SIZE, true);

		if (e)
			pte_store(e, arch_service_pte(phys_add(at, i * PAGE_SIZE), false, exec,
						      false));
		else
			err = -ENOMEM;
	}
	spin_lock(&s->regions_lock);
	s->pages -= npages; // they are not its own
	spin_unlock(&s->regions_lock);
	mutex_unlock(&s->memory);
	return err;
}

int service_image_fill(struct service *s)
{
	int err = -ENOMEM;

	mutex_lock(&s->memory);
	const struct service_region *r = service_region_find(s, s->window);

	if (r && memory_fill(r->address, r->npages))
		err = 0;
	mutex_unlock(&s->memory);
	return err;
}

void service_image_protect(struct service *s, u64 offset, u64 npages)
{
	mutex_lock(&s->memory);
	for (u64 i = 0; i < npages; i++) {
		pte_t *e = entry_of(s->window + offset + i * PAGE_SIZE, false);

		pte_store(e, arch_service_pte(pte_phys(*e), false, false, false));
	}
	mutex_unlock(&s->memory);
}

void *service_core_address(struct service *s, u64 address)
{
	const pte_t *e = service_owns(s, address, 1) ? entry_of(address, false) : nullptr;

	return e && *e ? (u8 *)phys_ptr(pte_phys(*e)) + address % PAGE_SIZE : nullptr;
}

// ---- stacks ----

int gate_stack_prepare(struct service *s, struct gate_stack *st)
{
	u64 place = s->window + ranges[REGION_STACK].start +
		    (u64)(st - s->stacks + 1) * STACK_PLACE - GATE_STACK_SIZE;
	int err = 0;

	mutex_lock(&s->memory);
	if (!s->window) {
		err = -EIO;
	} else if (st->generation != s->generation) {
		if (!region_make(s, GATE_STACK_SIZE / PAGE_SIZE, REGION_STACK, place))
			err = -ENOMEM;
		if (!err) {
			st->root = view_value(s);
			st->top = place + GATE_STACK_SIZE;
			store_release(&st->generation, s->generation);
		}
	}
	mutex_unlock(&s->memory);
	return err;
}

// ---- grants ----

// npages empty entries from the cursor on, with an empty one before and behind, made if need be.
static u64 grant_place(struct service *s, u64 npages)
{
	u64 start = s->window + ranges[REGION_GRANT].start,
	    end = s->window + ranges[REGION_GRANT].end;

	for (u32 wrapped = 0; wrapped < 2; wrapped++, s->grant_next = start) {
		u64 run = 0;

		for (u64 at = s->grant_next; at < end; at += PAGE_SIZE) {
			pte_t *e = entry_of(at, true);

			if (!e)
				return 0;
			run = *e ? 0 : run + 1;
			if (run == npages + 2) {
				s->grant_next = at;
				return at - npages * PAGE_SIZE;
			}
		}
	}
	return 0;
}

s64 gate_grant_begin(struct service *s, struct gate_grant *g, struct page *const *pages, u64 npages,
		     bool writable)
{
	s64 r = -ENOMEM;

	*g = (struct gate_grant){.service = s, .npages = npages};
	if (!npages || npages > 4096)
		return -EINVAL;
	mutex_lock(&s->memory);
	if (!s->window) // a privileged service that is being stopped still finishes its calls
		r = -EIO;
	else
		g->address = grant_place(s, npages);
	for (u64 i = 0; g->address && i < npages; i++)
		pte_store(entry_of(g->address + i * PAGE_SIZE, false),
			  arch_service_pte(page_phys(pages[i]), writable, false, false));
	if (g->address) {
		g->generation = s->generation;
		r = (s64)g->address;
	}
	mutex_unlock(&s->memory);
	return r;
}

void gate_grant_end(struct gate_grant *g)
{
	struct service *s = g->service;

	if (!g->address)
		return;
	mutex_lock(&s->memory);
	// else the window was closed meanwhile, and the grants with it
	if (s->window && g->generation == s->generation) {
		entries_clear(g->address, g->npages);
		tlb_flush_services(g->address, g->address + g->npages * PAGE_SIZE);
	}
	mutex_unlock(&s->memory);
	g->address = 0;
}

// ---- lives ----

int service_window_open(struct service *s)
{
	mutex_lock(&s->memory);
	assert(!s->window && list_empty(&s->regions));
	s->window = slot_base(s) + (u64)(s->generation % WINDOWS) * WINDOW_SIZE;
	s->grant_next = s->window + ranges[REGION_GRANT].start;
	bool arranged = view_arrange(s);

	if (!arranged)
		s->window = 0;
	mutex_unlock(&s->memory);
	return arranged ? 0 : -ENOMEM;
}

// A region of a window that is unplugged.
static void region_end(struct service *s, struct service_region *r, pte_t *window)
{
	spin_lock(&s->regions_lock);
	list_del(&r->link);
	if (r->kind == REGION_DMA) { // a device may know it
		list_add_tail(&s->quarantine, &r->link);
		s->quarantined += r->npages;
	}
	spin_unlock(&s->regions_lock);
	switch (r->kind) {
	case REGION_DMA:
		return;
	case REGION_MMIO:
		break;
	case REGION_SHARED:
		page_free(phys_page(r->phys), order_of(r->npages));
		break;
	default:
		memory_drop(window, r->address, r->npages);
	}
	kfree(r);
}

// Takes the tables of a window out of all views, and whatever they said out of all TLBs.
static void window_unplug(struct service *s, pte_t *out)
{
	pte_t *e = window_entries(s->window);

	for (u32 i = 0; i < WINDOW_TABLES; i++) {
		out[i] = pte_load(&e[i]);
		pte_store(&e[i], 0);
	}
	tlb_flush_services(0, ~0ull);
}

void service_window_close(struct service *s)
{
	pte_t window[WINDOW_TABLES];

	mutex_lock(&s->memory);
	if (s->window) {
		window_unplug(s, window);
		while (!list_empty(&s->regions))
			region_end(s, list_first_entry(&s->regions, struct service_region, link),
				   window);
		tables_free(window);
		s->window = 0;
		s->pages = 0;
	}
	mutex_unlock(&s->memory);
}

void service_quarantine_free(struct service *s)
{
	struct list free = LIST_INIT(free);
	struct service_region *r, *next;

	spin_lock(&s->regions_lock);
	list_splice_tail(&free, &s->quarantine);
	s->quarantined = 0;
	spin_unlock(&s->regions_lock);
	list_for_each_entry_safe(r, next, &free, link) {
		page_free(phys_page(r->phys), order_of(r->npages));
		kfree(r);
	}
}

// ---- copies ----

static bool copy(void *dst, const void *src, u64 len)
{
	user_access_begin();
	size_t left = arch_copy_user(dst, src, len);
	user_access_end();
	return !left;
}

bool service_copy_in(void *dst, u64 src, u64 len)
{
	return service_owns(current()->gate->service, src, len) &&
	       copy(dst, (const void *)src, len);
}

bool service_copy_out(u64 dst, const void *src, u64 len)
{
	return service_owns(current()->gate->service, dst, len) && copy((void *)dst, src, len);
}

// SPDX-License-Identifier: MIT
// kmap.c: the kernel's own mappings: its image, the direct map of memory, and the area of stacks,
// big arrays and device registers.
//
// All are made in one root, whose entries of the upper half every space copies: those are all made
// in mmu_init, so a later change below them shows in every space at once. Ranges of the area lie
// behind one unmapped page each, which guards the range before it too. Freed addresses are used
// again only after all CPUs dropped their TLB entries, which is done for many at once.
#include "base/rbtree.h"
#include "base/string.h"
#include "core/bootinfo.h"
#include "core/mm/mm.h"
#include "core/slab.h"
#include "core/smp.h"

extern char __kernel_start[], __text_start[], __text_end[], __rodata_start[], __rodata_end[],
	__data_start[], __kernel_end[];

struct mmu_space kernel_space;
u8 kernel_root_slots[PT_ENTRIES - PT_KERNEL_FIRST];
u32 kernel_root_nslots;

struct kmap_range {
	struct rb_node node; // used, by start; kmap.lock
	struct list link;    // pending or recycled; kmap.lock
	u64 start;	     // of the first mapped page
	u64 npages;
};

constexpr u64 RECYCLE_PAGES = 64;  // longer ranges share the last list
constexpr u64 PENDING_PAGES = 512; // drop TLB entries when that many pages wait
constexpr u64 READY_PAGES = 8;	   // ranges up to this long are kept mapped for the next user
constexpr u32 READY_MAX = 16;

static struct {
	spinlock_t lock;
	u64 next; // addresses from here on were never used
	struct rb_root used;
	struct list recycled[RECYCLE_PAGES + 1]; // by length; [0]: longer ones
	struct list pending;
	u64 pending_pages;
	struct {
		u32 n;
		void *at[READY_MAX];
	} ready[READY_PAGES + 1];
} kmap = {.lock = SPINLOCK_INIT(LOCK_vm_kernel), .next = KERNEL_MAP_BASE};
static struct slab_cache range_cache;

// ---- entries ----

// The entry of addr at level, making tables above it. nullptr when memory is out. Tables are never
// freed. Boot, or kmap.lock.
static pte_t *kernel_entry(u64 addr, u32 level)
{
	pte_t *table = phys_ptr(kernel_space.root[0]);

	for (u32 l = PT_ROOT_LEVEL; l > level; l--) {
		pte_t *e = &table[pt_index(addr, l)];

		if (!*e) {
			struct page *p = page_alloc(0, OWNER_TABLE, ALLOC_ZERO | ALLOC_ATOMIC);

			if (!p)
				return nullptr;
			p->flags |= PAGE_TABLE;
			atomic_inc(&kernel_space.table_pages);
			pte_store(e, pte_table_supervisor(page_phys(p)));
		}
		assert(pte_is_table(*e));
		table = phys_ptr(pte_phys(*e));
	}
	return &table[pt_index(addr, level)];
}

static pte_t *boot_entry(u64 addr, u32 level)
{
	pte_t *e = kernel_entry(addr, level);

	if (!e)
		panic("Not enough memory for the kernel's page tables");
	return e;
}

phys_t kernel_image_phys(u64 addr)
{
	return phys(addr - (u64)__kernel_start + bootinfo.kernel_phys.addr);
}

bool kernel_image_holds(phys_t p)
{
	return p.addr - bootinfo.kernel_phys.addr < (u64)(__kernel_end - __kernel_start);
}

static void map_image(void)
{
	u64 base = (u64)__kernel_start, delta = bootinfo.kernel_phys.addr - base;

	for (u64 a = base; a < (u64)__kernel_end; a += PAGE_SIZE) {
		bool text = a >= (u64)__text_start && a < (u64)__text_end;
		bool data = a >= (u64)__data_start;

		*boot_entry(a, 0) = arch_kernel_pte(phys(a + delta), data, text, ARCH_MAP_NORMAL);
	}
}

// The kernel's text and constants may not be written through the direct map either.
static void map_direct_range(u64 start, u64 end)
{
	u64 fixed = bootinfo.kernel_phys.addr,
	    fixed_end = fixed + (u64)(__rodata_end - __kernel_start);

	for (u64 p = align_down(start, HUGE_SIZE); p < end; p += HUGE_SIZE) {
		if (p >= fixed_end || p + HUGE_SIZE <= fixed) {
			*boot_entry(DIRECT_MAP_BASE + p, 1) = arch_kernel_pte_large(phys(p), true);
			continue;
		}
		for (u64 a = p; a < p + HUGE_SIZE; a += PAGE_SIZE)
			*boot_entry(DIRECT_MAP_BASE + a, 0) = arch_kernel_pte(
				phys(a), a < fixed || a >= fixed_end, false, ARCH_MAP_NORMAL);
	}
}

// Memory, and what firmware keeps in it. Device windows that the map lists as reserved are left
// out: they are far larger than tables.
static bool direct_mapped(const struct bootmem *m)
{
	switch (m->type) {
	case BOOTMEM_BAD:
	case BOOTMEM_FRAMEBUFFER:
		return false;
	case BOOTMEM_RESERVED:
		return m->base < 4 * GiB && m->len <= 16 * MiB;
	default:
		return m->base < DIRECT_MAP_SIZE;
	}
}

static void map_direct(void)
{
	for (u32 i = 0; i < bootinfo.nmem; i++) {
		const struct bootmem *m = &bootinfo.mem[i];

		if (direct_mapped(m))
			map_direct_range(m->base, min(m->base + m->len, DIRECT_MAP_SIZE));
	}
}

void kmap_init(void)
{
	struct page *root = page_alloc(0, OWNER_TABLE, ALLOC_ZERO);

	if (!root)
		panic("Not enough memory for the kernel's page tables");
	list_init(&kmap.pending);
	for (u32 i = 0; i <= RECYCLE_PAGES; i++)
		list_init(&kmap.recycled[i]);
	slab_cache_init(&range_cache, "kmap_range", sizeof(struct kmap_range), 0);
	root->flags |= PAGE_TABLE;
	kernel_space.root[VIEW_PROGRAM] = kernel_space.root[VIEW_ELEVATED] = page_phys(root);
	map_direct();
	map_image();
	boot_entry(KERNEL_MAP_BASE, 2);
	for (u64 a = SERVICE_BASE; a < SERVICE_BASE + SERVICE_SLOTS * pt_span(PT_ROOT_LEVEL);
	     a += pt_span(PT_ROOT_LEVEL))
		boot_entry(a, 2);

	const pte_t *entries = page_ptr(root);

	for (u32 i = PT_KERNEL_FIRST; i < PT_ENTRIES; i++)
		if (entries[i])
			kernel_root_slots[kernel_root_nslots++] = (u8)(i - PT_KERNEL_FIRST);
}

// ---- ranges ----

static struct kmap_range *range_find_locked(u64 start)
{
	struct rb_node *n = kmap.used.node;

	while (n) {
		struct kmap_range *r = rb_entry(n, struct kmap_range, node);

		if (r->start == start)
			return r;
		n = start < r->start ? n->left : n->right;
	}
	return nullptr;
}

static bool range_less(const struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct kmap_range, node)->start <
	       rb_entry(b, struct kmap_range, node)->start;
}

static struct kmap_range *range_recycled_locked(u64 npages)
{
	struct list *head = &kmap.recycled[npages <= RECYCLE_PAGES ? npages : 0];
	struct kmap_range *r;

	list_for_each_entry(r, head, link) {
		if (r->npages < npages)
			continue;
		list_del(&r->link); // a long one is taken whole: rare, and addresses are plenty
		return r;
	}
	return nullptr;
}

// Addresses for npages. fresh: memory for its description. Takes one or the other.
static struct kmap_range *range_take_locked(u64 npages, struct kmap_range **fresh)
{
	struct kmap_range *r = range_recycled_locked(npages);

	if (!r) {
		if (!*fresh ||
		    npages >= (KERNEL_MAP_BASE + KERNEL_MAP_SIZE - kmap.next) / PAGE_SIZE)
			return nullptr;
		r = *fresh;
		*fresh = nullptr;
		r->start = kmap.next + PAGE_SIZE;
		r->npages = npages;
		kmap.next += (npages + 1) * PAGE_SIZE;
	}
	rb_add(&r->node, &kmap.used, range_less);
	return r;
}

static struct kmap_range *range_alloc(u64 npages)
{
	struct kmap_range *fresh = slab_alloc(&range_cache), *r;

	spin_lock(&kmap.lock);
	r = range_take_locked(npages, &fresh);
	spin_unlock(&kmap.lock);
	slab_free(&range_cache, fresh);
	return r;
}

// All entries of pending ranges are gone; once no TLB has them, the addresses are free.
static void pending_flush(void)
{
	struct list ranges = LIST_INIT(ranges);
	struct kmap_range *r, *next;

	spin_lock(&kmap.lock);
	list_splice_tail(&ranges, &kmap.pending);
	kmap.pending_pages = 0;
	spin_unlock(&kmap.lock);
	tlb_flush_kernel(KERNEL_MAP_BASE, KERNEL_MAP_BASE + KERNEL_MAP_SIZE);
	spin_lock(&kmap.lock);
	list_for_each_entry_safe(r, next, &ranges, link)
		list_move_tail(&kmap.recycled[r->npages <= RECYCLE_PAGES ? r->npages : 0],
			       &r->link);
	spin_unlock(&kmap.lock);
}

static void range_free(struct kmap_range *r)
{
	bool flush;

	spin_lock(&kmap.lock);
	rb_erase(&r->node, &kmap.used);
	list_add_tail(&kmap.pending, &r->link);
	kmap.pending_pages += r->npages;
	flush = kmap.pending_pages >= PENDING_PAGES;
	spin_unlock(&kmap.lock);
	if (flush)
		pending_flush();
}

static bool range_set(u64 addr, pte_t value)
{
	spin_lock(&kmap.lock);
	pte_t *e = kernel_entry(addr, 0);

	if (e) {
		assert(!*e);
		pte_store(e, value);
	}
	spin_unlock(&kmap.lock);
	return e;
}

// Removes entries and frees what they map.
static void range_clear(u64 start, u64 npages)
{
	for (u64 a = start; a < start + npages * PAGE_SIZE; a += PAGE_SIZE) {
		spin_lock(&kmap.lock);
		pte_t *e = kernel_entry(a, 0);
		pte_t old = *e;

		pte_store(e, 0);
		spin_unlock(&kmap.lock);
		if (old)
			page_free(phys_page(pte_phys(old)), 0);
	}
}

static void *ready_take(u64 npages)
{
	void *p = nullptr;

	if (npages > READY_PAGES || !READ_ONCE(kmap.ready[npages].n))
		return nullptr;
	spin_lock(&kmap.lock);
	if (kmap.ready[npages].n)
		p = kmap.ready[npages].at[--kmap.ready[npages].n];
	spin_unlock(&kmap.lock);
	return p;
}

static bool ready_put(u64 npages, void *p)
{
	bool kept = false;

	if (npages > READY_PAGES)
		return false;
	spin_lock(&kmap.lock);
	if (kmap.ready[npages].n < READY_MAX) {
		kmap.ready[npages].at[kmap.ready[npages].n++] = p;
		kept = true;
	}
	spin_unlock(&kmap.lock);
	return kept;
}

void *kvmap_alloc(size_t len_bytes)
{
	u64 npages = len_bytes / PAGE_SIZE + !is_aligned(len_bytes, PAGE_SIZE), done = 0;

	if (!npages || npages > KERNEL_MAP_SIZE / PAGE_SIZE / 2)
		return nullptr;
	void *ready = ready_take(npages);

	if (ready)
		return ready;
	struct kmap_range *r = range_alloc(npages);

	if (!r)
		return nullptr;
	while (done < npages) {
		struct page *batch[16];
		u32 want = (u32)min(npages - done, (u64)ARRAY_SIZE(batch));
		u32 got = page_alloc_bulk(want, OWNER_CORE, 0, batch), i = 0;

		while (i < got && range_set(r->start + (done + i) * PAGE_SIZE,
					    arch_kernel_pte(page_phys(batch[i]), true, false,
							    ARCH_MAP_NORMAL)))
			i++;
		done += i;
		for (u32 j = i; j < got; j++)
			page_free(batch[j], 0);
		if (i < want) {
			range_clear(r->start, done);
			range_free(r);
			return nullptr;
		}
	}
	return (void *)r->start;
}

void kvmap_free(void *p, size_t len_bytes)
{
	u64 npages = len_bytes / PAGE_SIZE + !is_aligned(len_bytes, PAGE_SIZE);

	if (!p || ready_put(npages, p))
		return;
	spin_lock(&kmap.lock);
	struct kmap_range *r = range_find_locked((u64)p);

	spin_unlock(&kmap.lock);
	assert_always(r && npages <= r->npages);
	range_clear(r->start, npages);
	range_free(r);
}

volatile void *mmio_map(phys_t base, size_t len)
{
	u64 first = align_down(base.addr, PAGE_SIZE), end;

	if (!len || __builtin_add_overflow(base.addr, len, &end) ||
	    !align_up_checked(end, PAGE_SIZE, &end))
		return nullptr;
	struct kmap_range *r = range_alloc((end - first) / PAGE_SIZE);

	if (!r)
		return nullptr;
	for (u64 a = first; a < end; a += PAGE_SIZE)
		if (!range_set(r->start + (a - first),
			       arch_kernel_pte(phys(a), true, false, ARCH_MAP_DEVICE)))
			return nullptr;
	return (char *)r->start + (base.addr - first);
}

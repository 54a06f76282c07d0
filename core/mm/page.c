// SPDX-License-Identifier: MIT
// page.c: physical memory: typed blocks and the buddy lists.
//
// Purpose. Memory is handed out in runs of 2^order pages, and every page lies in a block of 2 MiB
// of which all pages belong to one owner (program memory, page tables, kernel heap, page cache,
// services). So "may be seen by services" is a property of the block.
//
// States. A block is
//   - not memory: usable == 0, owner OWNER_NONE, none of its pages is ever on a list;
//   - free: OWNER_NONE, on free_blocks[] as part of a run of order 9 or 10;
//   - owned: its free pages lie on the owner's lists of orders 0 to 8, the rest is allocated (or in
//   a CPU's cache, page_cpu.c).
// take_block makes a free block owned; the last page that comes back (the merge reaches order 9)
// makes it free again. A block of which the firmware or the kernel image occupies a part can never
// become free; it belongs to the core for good.
//
// Locks. buddy.lock (class buddy, taken with interrupts off) guards the lists, the blocks and the
// fields owner, order and PAGE_FREE of pages on the lists. It nests inside everything but the locks
// of logging. The fast paths are in page_cpu.c and take no lock.
//
// Lifetime. refs of an allocated page is at least 1. Whoever brings it to 0 frees it, with the
// order that the head page remembers. A page-cache lookup may raise the count of a page for a
// moment after it has left the cache and even after it was allocated anew (linux/mm/object.c);
// hence nobody stores a count into a page that is in use, and page_free gives the page up instead
// of freeing it when such a lookup holds it: the lookup's page_put then does.
//
// Failure. Allocation returns nullptr. The last free blocks are taken for ALLOC_ATOMIC only. Too
// little memory at boot is a panic with a sentence.
#include "base/string.h"
#include "core/bootinfo.h"
#include "core/log.h"
#include "core/mm/mm.h"
#include "core/page.h"

struct page *page_array;
u64 page_array_len;

struct block { // buddy.lock
	enum page_owner owner;
	u16 usable; // pages that are memory of ours
};
static struct block *blocks;

static struct {
	spinlock_t lock;
	struct list runs[OWNER_COUNT][BLOCK_ORDER];
	u32 orders[OWNER_COUNT];      // bit n: runs[owner][n] is not empty
	struct list free_blocks[2];   // orders 9 and 10
	u64 owner_pages[OWNER_COUNT]; // usable pages of the owner's blocks
	u64 owner_free[OWNER_COUNT];  // of those, on the lists
	u64 free;		      // on all lists; read without the lock as an estimate
	u64 total;		      // pages we manage
	u64 nfree_blocks;	      // blocks of 2 MiB on free_blocks
	u64 reserve_blocks;	      // the last ones are for ALLOC_ATOMIC
} buddy = {.lock = SPINLOCK_INIT(LOCK_buddy)};

constexpr u64 LOW_END =
	1 * MiB; // firmware's data and the first code of other CPUs: never handed out
constexpr u64 MEMORY_MIN = 24 * MiB;

static inline u64 page_pfn(const struct page *p)
{
	return (u64)(p - page_array);
}

static void list_put(struct page *p, struct list *head, u32 order)
{
	p->flags = PAGE_FREE;
	p->order = (u8)order;
	list_add_head(head, &p->link);
}

static struct page *list_take(struct list *head)
{
	struct page *p = list_first_entry(head, struct page, link);

	assert(p->flags & PAGE_FREE);
	list_del(&p->link);
	p->flags = 0;
	return p;
}

// ---- whole blocks ----

static void block_put(u64 pfn)
{
	u64 other = pfn ^ BLOCK_PAGES;
	struct page *o = other < page_array_len ? &page_array[other] : nullptr;

	blocks[pfn >> BLOCK_ORDER].owner = OWNER_NONE;
	buddy.nfree_blocks++;
	if (o && (o->flags & PAGE_FREE) && o->order == BLOCK_ORDER &&
	    blocks[other >> BLOCK_ORDER].owner == OWNER_NONE) {
		list_del(&o->link);
		o->flags = 0;
		list_put(&page_array[pfn & ~BLOCK_PAGES], &buddy.free_blocks[1], PAGE_ORDER_MAX);
	} else {
		list_put(&page_array[pfn], &buddy.free_blocks[0], BLOCK_ORDER);
	}
}

// One free block (order 9) or two neighbours (order 10), now the owner's. nullptr when there is
// none.
static struct page *block_take(u32 order, enum page_owner owner, u32 flags)
{
	u64 n = 1ull << (order - BLOCK_ORDER);
	struct page *p;

	if (buddy.nfree_blocks < n + ((flags & ALLOC_ATOMIC) ? 0 : buddy.reserve_blocks))
		return nullptr;
	if (order == BLOCK_ORDER && !list_empty(&buddy.free_blocks[0])) {
		p = list_take(&buddy.free_blocks[0]);
	} else if (!list_empty(&buddy.free_blocks[1])) {
		p = list_take(&buddy.free_blocks[1]);
		if (order == BLOCK_ORDER)
			list_put(p + BLOCK_PAGES, &buddy.free_blocks[0], BLOCK_ORDER);
	} else {
		return nullptr;
	}
	for (u64 b = page_pfn(p) >> BLOCK_ORDER, i = 0; i < n; i++, b++) {
		assert(blocks[b].usable == BLOCK_PAGES);
		blocks[b].owner = owner;
	}
	buddy.nfree_blocks -= n;
	buddy.owner_pages[owner] += 1ull << order;
	return p;
}

// ---- runs inside blocks ----

static void run_put(u64 pfn, enum page_owner owner, u32 order)
{
	list_put(&page_array[pfn], &buddy.runs[owner][order], order);
	buddy.orders[owner] |= 1u << order;
}

// Halves the run at p, of order from, until it has order to; the upper halves go to the lists.
static void run_split(struct page *p, enum page_owner owner, u32 from, u32 to)
{
	while (from > to) {
		from--;
		run_put(page_pfn(p) + (1ull << from), owner, from);
	}
}

static struct page *run_take_listed(enum page_owner owner, u32 order)
{
	struct page *p = list_take(&buddy.runs[owner][order]);

	if (list_empty(&buddy.runs[owner][order]))
		buddy.orders[owner] &= ~(1u << order);
	return p;
}

static struct page *run_take(u32 order, enum page_owner owner, u32 flags)
{
	u32 fit = buddy.orders[owner] & (~0u << order);
	struct page *p;

	if (fit) {
		u32 from = (u32)__builtin_ctz(fit);

		p = run_take_listed(owner, from);
		run_split(p, owner, from, order);
	} else {
		p = block_take(BLOCK_ORDER, owner, flags);
		if (!p)
			return nullptr;
		buddy.owner_free[owner] += BLOCK_PAGES;
		run_split(p, owner, BLOCK_ORDER, order);
	}
	buddy.owner_free[owner] -= 1ull << order;
	return p;
}

static void run_give(u64 pfn, u32 order)
{
	enum page_owner owner = blocks[pfn >> BLOCK_ORDER].owner;

	assert(owner != OWNER_NONE);
	buddy.owner_free[owner] += 1ull << order;
	buddy.free += 1ull << order;
	while (order < BLOCK_ORDER) {
		struct page *o = &page_array[pfn ^ (1ull << order)];

		if (!(o->flags & PAGE_FREE) || o->order != order)
			break;
		list_del(&o->link);
		o->flags = 0;
		if (list_empty(&buddy.runs[owner][order]))
			buddy.orders[owner] &= ~(1u << order);
		pfn &= ~(1ull << order);
		order++;
	}
	if (order < BLOCK_ORDER) {
		run_put(pfn, owner, order);
		return;
	}
	buddy.owner_free[owner] -= BLOCK_PAGES;
	buddy.owner_pages[owner] -= BLOCK_PAGES;
	block_put(pfn);
}

struct page *buddy_take(u32 order, enum page_owner owner, u32 flags)
{
	struct page *p;
	irqflags_t f = spin_lock_irqsave(&buddy.lock);

	p = order < BLOCK_ORDER ? run_take(order, owner, flags) : block_take(order, owner, flags);
	if (p)
		buddy.free -= 1ull << order;
	spin_unlock_irqrestore(&buddy.lock, f);
	if (!p)
		return nullptr;
	for (u64 i = 0; order < BLOCK_ORDER && i < 1ull << order; i++) {
		assert(!p[i].refs);
		p[i].owner = owner;
		p[i].order = 0;
		p[i].flags = 0;
	}
	p->owner = owner;
	p->order = (u8)order;
	return p;
}

// Small runs are used up before large ones are split.
u32 buddy_take_bulk(u32 n, enum page_owner owner, u32 flags, struct page **out)
{
	u32 got = 0;
	irqflags_t f = spin_lock_irqsave(&buddy.lock);

	while (got < n) {
		u32 orders = buddy.orders[owner];
		u32 largest = (u32)ilog2(n - got);
		u32 order = orders ? min((u32)__builtin_ctz(orders), largest) : largest;
		struct page *p;

		order = min(order, BLOCK_ORDER - 1);
		p = run_take(order, owner, flags);
		if (!p)
			break;
		buddy.free -= 1ull << order;
		for (u32 i = 0; i < 1u << order; i++) {
			assert(!p[i].refs);
			p[i].owner = owner;
			p[i].order = 0;
			p[i].flags = 0;
			out[got++] = &p[i];
		}
	}
	spin_unlock_irqrestore(&buddy.lock, f);
	return got;
}

void buddy_give(struct page *p, u32 order)
{
	irqflags_t f = spin_lock_irqsave(&buddy.lock);

	assert(!(p->flags & PAGE_FREE));
	p->flags = 0;
	if (order <= BLOCK_ORDER) {
		run_give(page_pfn(p), order);
	} else {
		run_give(page_pfn(p), BLOCK_ORDER);
		p[BLOCK_PAGES].flags = 0;
		run_give(page_pfn(p) + BLOCK_PAGES, BLOCK_ORDER);
	}
	spin_unlock_irqrestore(&buddy.lock, f);
}

void buddy_give_bulk(struct page **pages, u32 n)
{
	irqflags_t f = spin_lock_irqsave(&buddy.lock);

	for (u32 i = 0; i < n; i++) {
		assert(!(pages[i]->flags & PAGE_FREE) && !pages[i]->order);
		run_give(page_pfn(pages[i]), 0);
	}
	spin_unlock_irqrestore(&buddy.lock, f);
}

void buddy_split_huge(struct page *head)
{
	enum page_owner owner = head->owner;

	assert(head->order == PAGE_ORDER_HUGE);
	for (u64 i = 0; i < BLOCK_PAGES; i++) {
		head[i].owner = owner;
		head[i].order = 0;
		head[i].flags = 0;
	}
}

u64 buddy_free_count(void)
{
	return READ_ONCE(buddy.free);
}

u64 page_managed_count(void)
{
	return READ_ONCE(buddy.total);
}

u64 page_free_count(void)
{
	return buddy_free_count() + page_cpu_free_count();
}

void page_stats_read(struct page_stats *s)
{
	irqflags_t f = spin_lock_irqsave(&buddy.lock);

	*s = (struct page_stats){.total = buddy.total, .free = buddy.free};
	for (u32 o = 0; o < OWNER_COUNT; o++)
		s->owned[o] = buddy.owner_pages[o] - buddy.owner_free[o];
	spin_unlock_irqrestore(&buddy.lock, f);
	page_cpu_stats(s); // moves what the CPUs' caches hold from owned to free
}

// ---- boot ----

// Hands [start, end) to the lists. Their blocks' usable counts include them already.
static void add_pages(u64 pfn, u64 end)
{
	while (pfn < end) {
		struct block *b = &blocks[pfn >> BLOCK_ORDER];
		u32 order = 0;

		if (is_aligned(pfn, BLOCK_PAGES) && end - pfn >= BLOCK_PAGES) {
			buddy.free += BLOCK_PAGES;
			block_put(pfn);
			pfn += BLOCK_PAGES;
			continue;
		}
		if (b->owner == OWNER_NONE)
			b->owner = OWNER_CORE;
		while (order < BLOCK_ORDER - 1 && is_aligned(pfn, 2ull << order) &&
		       end - pfn >= 2ull << order)
			order++;
		buddy.owner_pages[OWNER_CORE] += 1ull << order;
		run_give(pfn, order);
		pfn += 1ull << order;
	}
}

static void count_usable(u64 pfn, u64 end)
{
	buddy.total += end - pfn;
	while (pfn < end) {
		u64 next = min(align_down(pfn, BLOCK_PAGES) + BLOCK_PAGES, end);

		blocks[pfn >> BLOCK_ORDER].usable += (u16)(next - pfn);
		pfn = next;
	}
}

// Where the struct pages themselves lie; not handed out.
static u64 array_pfn, array_end;

static void add_type(u32 type, u64 lo, u64 hi, void (*fn)(u64 pfn, u64 end))
{
	u64 pfn, end;

	lo = max(lo, LOW_END);
	hi = min(hi, page_array_len << PAGE_SHIFT);
	for (u32 i = 0; i < bootinfo.nmem; i++) {
		if (bootinfo.mem[i].type != type ||
		    !bootmem_clip(&bootinfo.mem[i], lo, hi, PAGE_SIZE, &pfn, &end))
			continue;
		pfn >>= PAGE_SHIFT;
		end >>= PAGE_SHIFT;
		if (array_pfn >= pfn && array_end <= end) {
			if (pfn < array_pfn)
				fn(pfn, array_pfn);
			pfn = array_end;
		}
		if (pfn < end)
			fn(pfn, end);
	}
}

static bool is_ram(u32 type)
{
	return type == BOOTMEM_USABLE || type == BOOTMEM_LOADER || type == BOOTMEM_INITRD ||
	       type == BOOTMEM_KERNEL || type == BOOTMEM_ACPI_RECLAIM;
}

static void make_array(u64 ram_end)
{
	u64 npages = align_up(ram_end, 2 * HUGE_SIZE) >> PAGE_SHIFT;

	for (;; npages = align_down(npages / 2, 2 * BLOCK_PAGES)) {
		u64 array_len = npages * sizeof(struct page);
		u64 len = align_up(array_len + (npages >> BLOCK_ORDER) * sizeof(struct block),
				   PAGE_SIZE);
		u64 at = bootmem_place(bootinfo.mem, bootinfo.nmem, len, LOW_END, EARLY_MAP_END,
				       PAGE_SIZE); // mapped already

		if (!at && npages > 2 * BLOCK_PAGES)
			continue; // describe less: the rest of memory stays unused
		if (!at)
			panic("Not enough memory: no %llu KiB in one piece to describe memory itself",
			      len / KiB);
		if (npages << PAGE_SHIFT < ram_end)
			log_warn("memory above %llu MiB is not used: no room to describe it",
				 npages >> (20 - PAGE_SHIFT));
		page_array = phys_ptr(phys(at));
		page_array_len = npages;
		blocks = (struct block *)(page_array + npages);
		memset(page_array, 0, len);
		array_pfn = at >> PAGE_SHIFT;
		array_end = (at + len) >> PAGE_SHIFT;
		return;
	}
}

void page_init(void)
{
	u64 ram_end = 0, usable = 0;

	for (u32 i = 0; i < bootinfo.nmem; i++) {
		const struct bootmem *m = &bootinfo.mem[i];

		if (is_ram(m->type))
			ram_end = max(ram_end, min(m->base + m->len, DIRECT_MAP_SIZE));
		if (m->type == BOOTMEM_USABLE)
			usable += m->len;
	}
	if (usable < MEMORY_MIN)
		panic("Not enough memory: %llu MiB are usable and at least %llu MiB are needed",
		      usable / MiB, MEMORY_MIN / MiB);

	for (u32 o = 0; o < OWNER_COUNT; o++)
		for (u32 i = 0; i < BLOCK_ORDER; i++)
			list_init(&buddy.runs[o][i]);
	list_init(&buddy.free_blocks[0]);
	list_init(&buddy.free_blocks[1]);
	make_array(ram_end);

	irqflags_t f = spin_lock_irqsave(&buddy.lock);

	add_type(BOOTMEM_USABLE, 0, DIRECT_MAP_SIZE, count_usable);
	add_type(BOOTMEM_USABLE, 0, EARLY_MAP_END, add_pages);
	buddy.reserve_blocks = clamp(buddy.total / BLOCK_PAGES / 64, 1ull, 4ull);
	spin_unlock_irqrestore(&buddy.lock, f);
	page_cpu_set_high(buddy.total);
}

void page_init_high(void)
{
	irqflags_t f = spin_lock_irqsave(&buddy.lock);

	add_type(BOOTMEM_USABLE, EARLY_MAP_END, DIRECT_MAP_SIZE, add_pages);
	spin_unlock_irqrestore(&buddy.lock, f);
}

void page_reclaim_boot(u32 bootmem_type)
{
	assert(bootmem_type == BOOTMEM_LOADER || bootmem_type == BOOTMEM_INITRD);
	irqflags_t f = spin_lock_irqsave(&buddy.lock);

	add_type(bootmem_type, 0, DIRECT_MAP_SIZE, count_usable);
	add_type(bootmem_type, 0, DIRECT_MAP_SIZE, add_pages);
	spin_unlock_irqrestore(&buddy.lock, f);
}

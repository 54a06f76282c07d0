// SPDX-License-Identifier: MIT
// vm_test.c: tests of address spaces: areas, faults, copy-on-write, large pages, truncation,
// moving, and that all memory comes back.
#include "linux/mm/vm_test.h"

KTEST(vm, memory_appears_when_touched_and_comes_back)
{
	u64 before = owned_by_programs();
	struct vm_space *s = vm_space_create();

	ASSERT_NOT_NULL(s);
	u64 at = map(s, 0, 1 * MiB, RW, 0);

	EXPECT_EQ(fault(s, at - 1, VM_READ), -EFAULT);
	EXPECT_EQ(fault(s, at + 1 * MiB, VM_READ), -EFAULT);
	EXPECT_EQ(fault(s, at, VM_EXEC), -EACCES);
	EXPECT_EQ(fault(s, USER_TOP, VM_READ), -EFAULT);
	EXPECT_EQ(rss(s), 0);
	EXPECT_EQ(fault(s, at + 5000, VM_READ), 0); // the page of zeroes is not counted
	EXPECT_EQ(rss(s), 0);
	EXPECT_EQ(peek(s, at + 5000), 0);
	for (u64 i = 0; i < 256; i++)
		EXPECT_TRUE(poke(s, at + i * PAGE_SIZE, i));
	EXPECT_EQ(rss(s), 256);
	for (u64 i = 0; i < 256; i++)
		EXPECT_EQ(peek(s, at + i * PAGE_SIZE), i);
	EXPECT_EQ(vm_unmap(s, at, 1 * MiB), 0);
	EXPECT_EQ(rss(s), 0);
	EXPECT_EQ(atomic_load(&s->mmu.table_pages), 2); // the roots
	vm_space_put(s);
	EXPECT_EQ(owned_by_programs(), before);
}

KTEST(vm, areas_split_and_merge)
{
	struct vm_space *s = vm_space_create();
	u64 base = 0x10000000;

	ASSERT_NOT_NULL(s);
	EXPECT_EQ(map(s, base, 0x10000, RW, VM_FIXED), base);
	EXPECT_EQ(map(s, base + 0x10000, 0x10000, RW, VM_FIXED), base + 0x10000);
	EXPECT_EQ(s->nareas, 1);
	EXPECT_EQ(s->total_pages, 0x20);
	EXPECT_EQ(vm_protect(s, base + 0x4000, 0x2000, PROT_READ), 0);
	EXPECT_EQ(s->nareas, 3);
	EXPECT_EQ(s->data_pages, 0x1e);
	EXPECT_EQ(fault(s, base + 0x4000, VM_WRITE), -EACCES);
	EXPECT_EQ(vm_protect(s, base + 0x4000, 0x2000, RW), 0);
	EXPECT_EQ(s->nareas, 1);
	EXPECT_EQ(vm_unmap(s, base + 0x8000, 0x1000), 0);
	EXPECT_EQ(s->nareas, 2);
	EXPECT_EQ(vm_protect(s, base, 0x20000, PROT_READ), -ENOMEM); // a hole
	EXPECT_EQ(map(s, base, 0x1000, RW, VM_FIXED_NOREPLACE), (u64)-EEXIST);
	EXPECT_EQ(map(s, base + 1, 0x1000, RW, VM_FIXED), (u64)-EINVAL);
	EXPECT_EQ(map(s, base, 0, RW, 0), (u64)-EINVAL);
	EXPECT_EQ(map(s, USER_TOP - 0x1000, 0x2000, RW, VM_FIXED), (u64)-ENOMEM);
	EXPECT_EQ(map(s, 0, USER_TOP, RW, 0), (u64)-ENOMEM);
	EXPECT_EQ(vm_unmap(s, base, ~0ull), -EINVAL);
	vm_space_put(s);
}

KTEST(vm, gaps_are_found_and_reused)
{
	struct vm_space *s = vm_space_create();
	u64 at[16];

	ASSERT_NOT_NULL(s);
	// Different rights keep them from merging.
	for (u32 i = 0; i < ARRAY_SIZE(at); i++) {
		at[i] = map(s, 0, 0x3000, i % 2 ? RW : PROT_READ, 0);
		EXPECT_TRUE(is_aligned(at[i], PAGE_SIZE));
		if (i)
			EXPECT_EQ(at[i], at[i - 1] - 0x3000);
	}
	EXPECT_EQ(vm_unmap(s, at[4], 0x3000), 0);
	EXPECT_EQ(map(s, 0, 0x3000, PROT_READ, 0), at[4]);
	EXPECT_EQ(vm_unmap(s, at[6], 0x3000), 0);
	EXPECT_EQ(vm_unmap(s, at[9], 0x3000), 0);
	EXPECT_EQ(map(s, 0, 0x4000, RW, 0), at[15] - 0x4000);
	u64 a = map(s, 0, 0x3000, RW, 0), b = map(s, 0, 0x3000, RW, 0);

	EXPECT_EQ(max(a, b), at[6]);
	EXPECT_EQ(min(a, b), at[9]);
	u64 big = map(s, 0, 3 * HUGE_SIZE, RW, 0);

	EXPECT_TRUE(is_aligned(big, HUGE_SIZE)); // large pages fit
	vm_space_put(s);
}

KTEST(vm, limits)
{
	struct vm_space *s = vm_space_create();

	ASSERT_NOT_NULL(s);
	s->pages_mapped_limit = 100;
	EXPECT_GT(map(s, 0, 100 * PAGE_SIZE, PROT_READ, 0), USER_MIN);
	EXPECT_EQ(map(s, 0, PAGE_SIZE, PROT_READ, 0), (u64)-ENOMEM);
	s->pages_mapped_limit = ~0ull;
	s->data_limit = 10 * PAGE_SIZE;
	EXPECT_EQ(map(s, 0, 11 * PAGE_SIZE, RW, 0), (u64)-ENOMEM);
	s->data_limit = ~0ull;
	EXPECT_EQ(map(s, 0, 1ull << 45, RW, 0), (u64)-ENOMEM); // more than any memory
	EXPECT_LT(map(s, 0, 1ull << 45, RW, VM_NORESERVE), USER_TOP);
	vm_space_put(s);
}

KTEST(vm, stacks_grow_and_keep_their_distance)
{
	struct vm_space *s = vm_space_create();
	u64 top = 0x7ff000000000, low;

	ASSERT_NOT_NULL(s);
	s->stack_limit = 4 * MiB;
	map(s, top - 0x10000, 0x10000, RW, VM_FIXED | VM_GROWSDOWN | VM_STACK);
	EXPECT_TRUE(poke(s, top - 8, 1));
	EXPECT_EQ(fault(s, top - 3 * MiB, VM_WRITE), 0);
	EXPECT_EQ(s->stack_pages, 3 * MiB / PAGE_SIZE);
	EXPECT_EQ(fault(s, top - 5 * MiB, VM_WRITE), -EFAULT);
	low = map(s, top - 8 * MiB, 4 * MiB + 0x10000, PROT_READ, VM_FIXED);
	EXPECT_EQ(low, top - 8 * MiB);
	EXPECT_EQ(fault(s, top - 4 * MiB + 0x20000, VM_WRITE),
		  -EFAULT); // within 1 MiB of its neighbour
	vm_space_put(s);
}

KTEST(vm, fork_copies_on_write)
{
	u64 before = owned_by_programs();
	struct vm_space *s = vm_space_create(), *child = nullptr;

	ASSERT_NOT_NULL(s);
	u64 at = map(s, 0, 64 * PAGE_SIZE, RW, 0), wiped = map(s, 0, PAGE_SIZE, RW, 0),
	    kept = map(s, 0, PAGE_SIZE, RW | PROT_EXEC, 0);
	u64 shared = map(s, 0, 4 * PAGE_SIZE, RW, VM_SHARED);

	for (u64 i = 0; i < 64; i++)
		poke(s, at + i * PAGE_SIZE, i);
	poke(s, wiped, 5);
	poke(s, kept, 6);
	poke(s, shared, 7);
	EXPECT_EQ(vm_advise(s, wiped, PAGE_SIZE, 18), 0);
	EXPECT_EQ(vm_advise(s, kept, PAGE_SIZE, 10), 0);
	EXPECT_EQ(vm_space_fork(s, &child), 0);
	ASSERT_NOT_NULL(child);
	EXPECT_EQ(atomic_load(&child->mmu.rss_anon), 64);
	for (u64 i = 0; i < 64; i += 2)
		poke(s, at + i * PAGE_SIZE, 1000 + i);
	for (u64 i = 0; i < 64; i += 3)
		poke(child, at + i * PAGE_SIZE, 2000 + i);
	for (u64 i = 0; i < 64; i++) {
		EXPECT_EQ(peek(s, at + i * PAGE_SIZE), i % 2 ? i : 1000 + i);
		EXPECT_EQ(peek(child, at + i * PAGE_SIZE), i % 3 ? i : 2000 + i);
	}
	EXPECT_EQ(peek(child, wiped), 0);
	EXPECT_EQ(peek(s, wiped), 5);
	EXPECT_EQ(fault(child, kept, VM_READ), -EFAULT);
	EXPECT_EQ(peek(child, shared), 7);
	poke(child, shared, 8);
	EXPECT_EQ(peek(s, shared), 8);
	vm_space_put(s);
	EXPECT_EQ(peek(child, at + PAGE_SIZE), 1);
	// Alone now: writes need no more copies.
	u64 owned = owned_by_programs();

	for (u64 i = 0; i < 64; i++)
		poke(child, at + i * PAGE_SIZE, 3000 + i);
	EXPECT_EQ(owned_by_programs(), owned);
	vm_space_put(child);
	EXPECT_EQ(owned_by_programs(), before);
}

KTEST(vm, large_pages_are_split_when_needed)
{
	u64 before = owned_by_programs();
	struct vm_space *s = vm_space_create(), *child = nullptr;
	struct vm_usage u;

	ASSERT_NOT_NULL(s);
	u64 at = map(s, 0x40000000, 4 * HUGE_SIZE, RW, VM_FIXED);

	for (u64 i = 0; i < 4; i++)
		poke(s, at + i * HUGE_SIZE + 0x5000, i);
	read_lock(&s->lock);
	vm_area_usage(vm_area_find(s, at), &u);
	read_unlock(&s->lock);
	if (!u.huge) {
		vm_space_put(s);
		ktest_skip("no 2 MiB of memory in one piece");
	}
	EXPECT_EQ(u.huge, 2048);
	EXPECT_EQ(rss(s), 2048);
	// Alone: becomes single pages.
	EXPECT_EQ(vm_unmap(s, at + 0x6000, 0x2000), 0);
	EXPECT_EQ(rss(s), 2046);
	EXPECT_EQ(peek(s, at + 0x5000), 0);
	EXPECT_EQ(fault(s, at + 0x6000, VM_READ), -EFAULT);
	// Shared: the child's write copies one small page.
	EXPECT_EQ(vm_space_fork(s, &child), 0);
	poke(child, at + HUGE_SIZE + 0x5000, 77);
	EXPECT_EQ(peek(s, at + HUGE_SIZE + 0x5000), 1);
	EXPECT_EQ(peek(child, at + HUGE_SIZE + 0x5000), 77);
	EXPECT_EQ(rss(child), 2046);
	EXPECT_EQ(vm_protect(child, at + 2 * HUGE_SIZE + 0x1000, 0x1000, PROT_READ), 0);
	EXPECT_EQ(peek(child, at + 2 * HUGE_SIZE + 0x5000), 2);
	poke(s, at + 2 * HUGE_SIZE + 0x5000, 22);
	EXPECT_EQ(peek(child, at + 2 * HUGE_SIZE + 0x5000), 2);
	EXPECT_EQ(vm_advise(s, at + 3 * HUGE_SIZE, 0x6000, 4), 0); // DONTNEED
	EXPECT_EQ(peek(s, at + 3 * HUGE_SIZE + 0x5000), 0);
	EXPECT_EQ(peek(child, at + 3 * HUGE_SIZE + 0x5000), 3);
	vm_space_put(s);
	EXPECT_EQ(peek(child, at + 3 * HUGE_SIZE + 0x5000), 3);
	poke(child, at + 3 * HUGE_SIZE + 0x5000, 33);
	vm_space_put(child);
	EXPECT_EQ(owned_by_programs(), before);
}

KTEST(vm, rights_follow_protect)
{
	struct vm_space *s = vm_space_create();

	ASSERT_NOT_NULL(s);
	u64 at = map(s, 0, 4 * PAGE_SIZE, RW, 0);

	poke(s, at, 42);
	EXPECT_EQ(vm_protect(s, at, PAGE_SIZE, PROT_NONE), 0);
	EXPECT_EQ(fault(s, at, VM_READ), -EACCES);
	EXPECT_EQ(peek(s, at), ~0ull);
	u64 v = 0;

	EXPECT_EQ(vm_access_remote(s, at, &v, 8, false, true), 8); // as a debugger may
	EXPECT_EQ(v, 42);
	EXPECT_EQ(rss(s), 1);
	EXPECT_EQ(vm_protect(s, at, PAGE_SIZE, RW), 0);
	EXPECT_EQ(peek(s, at), 42);
	EXPECT_TRUE(poke(s, at, 43));
	EXPECT_EQ(vm_protect(s, at, PAGE_SIZE, PROT_READ), 0);
	EXPECT_FALSE(poke(s, at, 44));
	v = 45;
	EXPECT_EQ(vm_access_remote(s, at, &v, 8, true, true), 8);
	EXPECT_EQ(peek(s, at), 45);
	EXPECT_EQ(fault(s, at, VM_WRITE), -EACCES);
	vm_space_put(s);
}

KTEST(vm, objects_are_shared_and_truncated)
{
	struct vm_space *s = vm_space_create();
	struct vm_object *o = vm_object_create(20 * PAGE_SIZE - 100);

	ASSERT_NOT_NULL(s);
	ASSERT_NOT_NULL(o);
	u64 a = map_object(s, 0, o, 0, 20 * PAGE_SIZE, RW, VM_SHARED),
	    b = map_object(s, 0, o, 2 * PAGE_SIZE, 18 * PAGE_SIZE, RW, 0);

	for (u64 i = 0; i < 20; i++)
		EXPECT_TRUE(poke(s, a + i * PAGE_SIZE, 100 + i));
	EXPECT_EQ(peek(s, b), 102);
	EXPECT_TRUE(poke(s, b, 7)); // private: a copy
	EXPECT_EQ(peek(s, a + 2 * PAGE_SIZE), 102);
	EXPECT_EQ(peek(s, b), 7);
	EXPECT_EQ(peek(s, b + PAGE_SIZE), 103);
	EXPECT_TRUE(poke(s, b + 4 * PAGE_SIZE, 8));
	EXPECT_EQ(o->npages, 20);
	struct vm_key k1, k2;

	EXPECT_EQ(vm_shared_key(s, a + 8, &k1), 0);
	EXPECT_EQ(vm_shared_key(s, b + 8, &k2), 0);
	EXPECT_NE(k1.a, k2.a);

	vm_object_drop(o, 3, 3); // a hole: the private copies of others stay
	EXPECT_EQ(peek(s, a + 3 * PAGE_SIZE), 0);
	EXPECT_EQ(peek(s, b), 7);

	vm_object_set_size(o, 2 * PAGE_SIZE + 4);
	EXPECT_EQ(o->npages, 3);
	EXPECT_EQ(fault(s, a + 3 * PAGE_SIZE, VM_READ), -EIO);
	EXPECT_EQ(fault(s, b + PAGE_SIZE, VM_WRITE), -EIO);
	EXPECT_EQ(peek(s, a + 2 * PAGE_SIZE), 102); // 102 fits in the first four bytes
	EXPECT_EQ(peek(s, a + PAGE_SIZE), 101);
	EXPECT_EQ(peek(s, b), 7);
	vm_object_set_size(o, 8 * PAGE_SIZE);
	EXPECT_EQ(peek(s, b + 4 * PAGE_SIZE), 0); // beyond the new end, private copies went, too
	EXPECT_EQ(peek(s, a + 5 * PAGE_SIZE), 0);
	u32 refs = refcount_read(&o->refs);

	EXPECT_EQ(refs, 3);
	vm_space_put(s);
	EXPECT_EQ(refcount_read(&o->refs), 1);
	vm_object_put(o);
}

KTEST(vm, object_limits_and_charges)
{
	static atomic_u64 charge;
	static const atomic_u64 limit = ATOMIC_INIT(3ull);
	static struct vm_object o;
	struct page *p;

	atomic_store(&charge, 0);
	vm_object_init(&o, nullptr, ~0ull);
	o.charge = &charge;
	o.charge_limit = &limit;
	o.limit_pages = 1000;
	for (u64 i = 0; i < 3; i++) {
		ASSERT_EQ(vm_object_get_page(&o, i * 300, true, &p), 0);
		page_put(p);
	}
	EXPECT_EQ(vm_object_get_page(&o, 4, true, &p), -ENOSPC);
	EXPECT_EQ(atomic_load(&charge), 3);
	vm_object_drop(&o, 300, 300);
	EXPECT_EQ(atomic_load(&charge), 2);
	EXPECT_EQ(vm_object_get_page(&o, 1000, true, &p), -ENOSPC);
	EXPECT_NULL(vm_object_lookup(&o, 300));
	vm_object_set_size(&o, 0);
	EXPECT_EQ(atomic_load(&charge), 0);
	vm_object_put(&o);
}

KTEST(vm, remap_moves_entries)
{
	u64 before = owned_by_programs();
	struct vm_space *s = vm_space_create();
	u64 out = 0;

	ASSERT_NOT_NULL(s);
	u64 at = map(s, 0x50000000, 16 * PAGE_SIZE, RW, VM_FIXED);

	for (u64 i = 0; i < 16; i++)
		poke(s, at + i * PAGE_SIZE, i + 1);
	u64 owned = owned_by_programs();

	EXPECT_EQ(vm_remap(s, at, 16 * PAGE_SIZE, 20 * PAGE_SIZE, 0, 0, &out), 0); // room behind it
	EXPECT_EQ(out, at);
	EXPECT_EQ(peek(s, at + 19 * PAGE_SIZE), 0);
	EXPECT_EQ(vm_remap(s, at, 20 * PAGE_SIZE, 16 * PAGE_SIZE, 0, 0, &out), 0);
	map(s, at + 16 * PAGE_SIZE, PAGE_SIZE, PROT_READ, VM_FIXED);
	EXPECT_EQ(vm_remap(s, at, 16 * PAGE_SIZE, 32 * PAGE_SIZE, 0, 0, &out), -ENOMEM);
	EXPECT_EQ(vm_remap(s, at, 16 * PAGE_SIZE, 32 * PAGE_SIZE, 1, 0, &out), 0);
	EXPECT_NE(out, at);
	for (u64 i = 0; i < 16; i++)
		EXPECT_EQ(peek(s, out + i * PAGE_SIZE), i + 1);
	EXPECT_EQ(fault(s, at, VM_READ), -EFAULT);
	EXPECT_LE(owned_by_programs(), owned + 4); // tables only
	u64 fixed = 0x60001000;

	EXPECT_EQ(vm_remap(s, out, 32 * PAGE_SIZE, 8 * PAGE_SIZE, 3, fixed, &at), 0);
	EXPECT_EQ(at, fixed);
	EXPECT_EQ(peek(s, fixed + 7 * PAGE_SIZE), 8);
	EXPECT_EQ(fault(s, out, VM_READ), -EFAULT);
	EXPECT_EQ(vm_remap(s, fixed, 8 * PAGE_SIZE, 8 * PAGE_SIZE, 5, 0, &out), 0); // DONTUNMAP
	EXPECT_EQ(peek(s, out), 1);
	EXPECT_EQ(peek(s, fixed), 0);
	EXPECT_EQ(vm_remap(s, fixed, 8 * PAGE_SIZE, 0, 0, 0, &out), -EINVAL);
	EXPECT_EQ(vm_remap(s, fixed, 8 * PAGE_SIZE, PAGE_SIZE, 2, 0, &out), -EINVAL);
	EXPECT_EQ(vm_remap(s, 0x1000, PAGE_SIZE, PAGE_SIZE, 1, 0, &out), -EFAULT);
	vm_space_put(s);
	EXPECT_EQ(owned_by_programs(), before);
}

KTEST(vm, large_pages_move)
{
	u64 before = owned_by_programs();
	struct vm_space *s = vm_space_create();
	u64 out = 0;

	ASSERT_NOT_NULL(s);
	u64 at = map(s, 0x40000000, 2 * HUGE_SIZE, RW, VM_FIXED);

	poke(s, at + 0x3000, 1);
	poke(s, at + HUGE_SIZE + 0x3000, 2);
	EXPECT_EQ(vm_remap(s, at, 2 * HUGE_SIZE, 2 * HUGE_SIZE, 3, 0x80000000, &out), 0);
	EXPECT_EQ(peek(s, out + 0x3000), 1);
	EXPECT_EQ(peek(s, out + HUGE_SIZE + 0x3000), 2);
	EXPECT_EQ(vm_remap(s, out, 2 * HUGE_SIZE, 2 * HUGE_SIZE, 3, 0x90001000, &at),
		  0); // not aligned: in small pieces
	EXPECT_EQ(peek(s, at + 0x3000), 1);
	EXPECT_EQ(peek(s, at + HUGE_SIZE + 0x3000), 2);
	vm_space_put(s);
	EXPECT_EQ(owned_by_programs(), before);
}

KTEST(vm, advice_and_mincore)
{
	struct vm_space *s = vm_space_create();
	u8 in[4];

	ASSERT_NOT_NULL(s);
	u64 at = map(s, 0, 4 * PAGE_SIZE, RW, 0);

	poke(s, at, 1);
	poke(s, at + 2 * PAGE_SIZE, 1);
	EXPECT_EQ(vm_mincore(s, at, 4 * PAGE_SIZE, in), 0);
	EXPECT_MEMEQ(in, ((u8[]){1, 0, 1, 0}), 4);
	EXPECT_EQ(vm_advise(s, at, 4 * PAGE_SIZE, 4), 0);
	EXPECT_EQ(peek(s, at), 0);
	EXPECT_EQ(vm_advise(s, at + 1, PAGE_SIZE, 4), -EINVAL);
	EXPECT_EQ(vm_advise(s, at, PAGE_SIZE, 99), -EINVAL);
	EXPECT_EQ(vm_advise(s, at, 8 * PAGE_SIZE, 4), -ENOMEM);
	EXPECT_EQ(vm_advise(s, at, 0, 4), 0);
	EXPECT_EQ(vm_advise(s, at, 4 * PAGE_SIZE, 23), 0); // POPULATE_WRITE
	EXPECT_EQ(rss(s), 4);
	EXPECT_EQ(vm_lock_range(s, at, PAGE_SIZE, true), 0);
	EXPECT_EQ(s->locked_pages, 1);
	EXPECT_EQ(vm_advise(s, at, PAGE_SIZE, 4), -EINVAL);
	EXPECT_EQ(vm_lock_range(s, at, PAGE_SIZE, false), 0);
	EXPECT_EQ(s->nareas, 1);
	EXPECT_EQ(vm_sync(s, at, 4 * PAGE_SIZE, 4), 0);
	EXPECT_EQ(vm_sync(s, at, 4 * PAGE_SIZE, 5), -EINVAL);
	vm_space_put(s);
}

KTEST(vm, the_break_moves)
{
	struct vm_space *s = vm_space_create();

	ASSERT_NOT_NULL(s);
	s->brk_start = s->brk_end = 0x700123;
	EXPECT_EQ(vm_brk(s, 0), 0x700123);
	EXPECT_EQ(vm_brk(s, 0x710000), 0x710000);
	EXPECT_TRUE(poke(s, 0x70f000, 9));
	EXPECT_EQ(vm_brk(s, 0x720000), 0x720000);
	EXPECT_EQ(s->nareas, 1);
	EXPECT_EQ(vm_brk(s, 0x702000), 0x702000);
	EXPECT_EQ(fault(s, 0x70f000, VM_READ), -EFAULT);
	EXPECT_EQ(vm_brk(s, 0x710000), 0x710000);
	EXPECT_EQ(peek(s, 0x70f000), 0);
	s->data_limit = 1 * MiB;
	EXPECT_EQ(vm_brk(s, 0x702000 + 2 * MiB), 0x710000);
	vm_space_put(s);
}

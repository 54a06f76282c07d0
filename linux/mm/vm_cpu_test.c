// SPDX-License-Identifier: MIT
// vm_cpu_test.c: tests of address spaces as the CPUs see them, and of CPUs that race in them.
#include "core/threads_test.h"
#include "core/uaccess.h"
#include "linux/mm/vm_test.h"

// As a program would: on the CPU's own tables, with each fault resolved. 0 or what vm_fault said.
static int user_access(struct vm_space *s, u64 addr, bool write, u64 *v)
{
	u64 __user *p = user_ptr(u64, addr);

	for (;;) {
		int r;

		preempt_disable();
		mmu_space_activate(&s->mmu, VIEW_PROGRAM);
		r = write ? put_user(*v, p) : get_user(*v, p);
		preempt_enable();
		if (!r)
			return 0;
		r = fault(s, addr, write ? VM_WRITE : VM_READ);
		if (r)
			return r;
	}
}

static int user_put(struct vm_space *s, u64 addr, u64 v)
{
	return user_access(s, addr, true, &v);
}

static int user_get(struct vm_space *s, u64 addr, u64 *v)
{
	return user_access(s, addr, false, v);
}

KTEST(vm, the_cpu_sees_what_the_tables_say)
{
	u64 before = owned_by_programs();
	struct vm_space *s = vm_space_create(), *child = nullptr;

	ASSERT_NOT_NULL(s);
	u64 at = map(s, 0, 8 * PAGE_SIZE, RW, 0), v = 0;

	EXPECT_EQ(user_get(s, at, &v), 0); // the page of zeroes
	EXPECT_EQ(v, 0);
	EXPECT_EQ(user_put(s, at, 11), 0); // replaced under our eyes
	EXPECT_EQ(user_get(s, at, &v), 0);
	EXPECT_EQ(v, 11);
	EXPECT_EQ(vm_space_fork(s, &child), 0);
	EXPECT_EQ(user_put(s, at, 12), 0); // write access was taken from the TLB, too
	EXPECT_EQ(peek(child, at), 11);
	EXPECT_EQ(vm_protect(s, at, PAGE_SIZE, PROT_READ), 0);
	EXPECT_EQ(user_put(s, at, 13), -EACCES);
	EXPECT_EQ(user_get(s, at, &v), 0);
	EXPECT_EQ(v, 12);
	EXPECT_EQ(vm_unmap(s, at, 8 * PAGE_SIZE), 0);
	EXPECT_EQ(user_get(s, at, &v), -EFAULT);
	EXPECT_EQ(user_get(child, at, &v), 0);
	EXPECT_EQ(v, 11);
	vm_space_put(s);
	vm_space_put(child); // still loaded here
	EXPECT_EQ(owned_by_programs(), before);
}

// Threads that write their own words of common pages, while others discard, protect, fork and move
// them.
static struct vm_space *common;
static u64 common_at;
static atomic_u32 wrong, next_writer;

static void writer(void *arg)
{
	u32 me = atomic_inc_return(&next_writer);

	(void)arg;
	for (u64 i = 1; i < 3000; i++) {
		u64 at = common_at + i % 64 * PAGE_SIZE + me * 8, v = 0, w = (u64)me << 32 | i;

		if (user_put(common, at, w) || user_get(common, at, &v) || v != w)
			atomic_add(&wrong, 1);
	}
}

static void disturber(void *arg)
{
	u32 me = atomic_inc_return(&next_writer);
	// Beside the writers' pages, in the same tables.
	u64 mine = common_at + (64 + me * 16) * PAGE_SIZE;

	(void)arg;
	for (u64 i = 0; i < 150; i++) {
		struct vm_space *child;
		u64 v = 0;

		if (map(common, mine, 8 * PAGE_SIZE, RW, VM_FIXED) != mine ||
		    user_put(common, mine, i))
			atomic_add(&wrong, 1);
		if (i % 8 == 0 && !vm_space_fork(common, &child)) {
			if (peek(child, mine) != i)
				atomic_add(&wrong, 1);
			vm_space_put(child);
		}
		vm_protect(common, mine, 4 * PAGE_SIZE, PROT_READ);
		if (user_put(common, mine, i) != -EACCES || user_get(common, mine, &v) || v != i)
			atomic_add(&wrong, 1);
		vm_unmap(common, mine, 8 * PAGE_SIZE);
		if (user_get(common, mine, &v) != -EFAULT)
			atomic_add(&wrong, 1);
	}
}

static void mixed(void *arg)
{
	static atomic_u32 turn;

	if (atomic_inc_return(&turn) % 2)
		writer(arg);
	else
		disturber(arg);
}

KTEST(vm, threads_share_a_space)
{
	static struct test_threads threads;

	u64 before = owned_by_programs();

	common = vm_space_create();
	ASSERT_NOT_NULL(common);
	atomic_store(&wrong, 0);
	common_at = map(common, 0x30000000, 64 * PAGE_SIZE, RW, VM_FIXED);
	EXPECT_TRUE(test_threads_run(&threads, 6, mixed, nullptr));
	EXPECT_EQ(atomic_load(&wrong), 0);
	vm_space_put(common);
	EXPECT_EQ(owned_by_programs(), before);
}

static struct vm_object *file;

static void truncater(void *arg)
{
	(void)arg;
	for (u32 i = 0; i < 400; i++) {
		vm_object_set_size(file, (i % 5) * 3 * PAGE_SIZE);
		vm_object_set_size(file, 16 * PAGE_SIZE);
	}
}

static void toucher(void *arg)
{
	(void)arg;
	for (u64 i = 0; i < 4000; i++) {
		u64 v;

		// Any of these may fail: the file is short now and then.
		(void)user_put(common, common_at + i * 7 % 16 * PAGE_SIZE, i);
		(void)user_get(common, common_at + 0x100000 + i * 5 % 16 * PAGE_SIZE, &v);
	}
}

static void truncate_mixed(void *arg)
{
	static atomic_u32 turn;

	if (atomic_inc_return(&turn) % 3 == 0)
		truncater(arg);
	else
		toucher(arg);
}

KTEST(vm, truncation_races_with_faults)
{
	static struct test_threads threads;
	u64 before = owned_by_programs();

	common = vm_space_create();
	file = vm_object_create(16 * PAGE_SIZE);
	ASSERT_NOT_NULL(common);
	ASSERT_NOT_NULL(file);
	common_at =
		map_object(common, 0x30000000, file, 0, 16 * PAGE_SIZE, RW, VM_FIXED | VM_SHARED);
	map_object(common, 0x30100000, file, 0, 16 * PAGE_SIZE, RW, VM_FIXED);
	EXPECT_TRUE(test_threads_run(&threads, 6, truncate_mixed, nullptr));
	vm_object_set_size(file, 0);
	EXPECT_EQ(rss(common), 0);
	EXPECT_EQ(file->npages, 0);
	vm_space_put(common);
	vm_object_put(file);
	EXPECT_EQ(owned_by_programs(), before);
}

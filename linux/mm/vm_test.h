// SPDX-License-Identifier: MIT
// vm_test.h: what the tests of address spaces share. Privileged.
#pragma once
#include "base/ktest.h"
#include "base/string.h"
#include "linux/mm/mm.h"

constexpr u32 RW = PROT_READ | PROT_WRITE;
constexpr u32 RWX = RW | PROT_EXEC;

static inline u64 map(struct vm_space *s, u64 addr, u64 len, u32 prot, u32 flags)
{
	struct vm_map_args a = {
		.addr = addr, .len = len, .prot = prot, .max_prot = RWX, .flags = flags};
	u64 at = 0;
	int r = vm_map(s, &a, &at);

	return r ? (u64)(s64)r : at;
}

static inline u64 map_object(struct vm_space *s, u64 addr, struct vm_object *o, u64 offset, u64 len,
			     u32 prot, u32 flags)
{
	struct vm_map_args a = {.addr = addr,
				.len = len,
				.prot = prot,
				.max_prot = RWX,
				.flags = flags,
				.object = o,
				.offset = offset};
	u64 at = 0;
	int r = vm_map(s, &a, &at);

	return r ? (u64)(s64)r : at;
}

static inline bool poke(struct vm_space *s, u64 addr, u64 v)
{
	return vm_access_remote(s, addr, &v, sizeof(v), true, false) == sizeof(v);
}

static inline u64 peek(struct vm_space *s, u64 addr)
{
	u64 v = ~0ull;

	return vm_access_remote(s, addr, &v, sizeof(v), false, false) == sizeof(v) ? v : ~0ull;
}

// An idle CPU that clears a page has it in hand meanwhile, which looks as if it were in use: the
// smallest of many readings counts. The kernel's own tables grow now and then (stacks of threads)
// and stay.
static inline u64 owned_by_programs(void)
{
	u64 least = ~0ull;

	for (u32 i = 0; i < 200; i++) {
		struct page_stats st;

		page_stats_read(&st);
		least = min(least, st.owned[OWNER_PROGRAM] + st.owned[OWNER_TABLE] -
					   atomic_load(&kernel_space.table_pages));
	}
	return least;
}

static inline int fault(struct vm_space *s, u64 addr, u32 access)
{
	return vm_fault(&s->mmu, addr, access);
}

static inline u64 rss(struct vm_space *s)
{
	return atomic_load(&s->mmu.rss_anon) + atomic_load(&s->mmu.rss_file);
}

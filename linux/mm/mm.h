// SPDX-License-Identifier: MIT
// What the files of linux/mm share. Privileged.
#pragma once
#include "base/errno.h"
#include "core/pagetable.h"
#include "core/panic.h"
#include "linux/vm.h"

// ---- areas (area.c); the space's lock is held for writing unless said otherwise ----
constexpr u32 VM_HAS_ANON = 1u << 31; // area.flags: may hold private copies of the object's pages.
				      // Also set under the read lock
constexpr u32 VM_KEPT = VM_SHARED | VM_GROWSDOWN | VM_NORESERVE | VM_LOCKED | VM_DONTFORK |
			VM_WIPEONFORK | VM_HUGE | VM_NOHUGE | VM_SPECIAL | VM_DONTDUMP | VM_BRK |
			VM_STACK; // flags that stay with an area
constexpr u32 AREAS_MAX = 65530;
constexpr u64 STACK_GAP = 1 * MiB;

void area_init(void);
struct vm_area *area_alloc(struct vm_space *s); // nullptr: out of memory
void area_insert(struct vm_area *a);		// into the tree, the object's list and the counters
void area_insert_fork(struct vm_area *a,
		      struct vm_area *parent); // the same, behind the parent's in the object's list
void area_remove(struct vm_area *a);	       // out of all of them
void area_free(struct vm_area *a);	       // drops object and file; may sleep
void area_refs_get(struct vm_area *a);	       // takes the references that area_free drops
int area_split(struct vm_area *a, u64 at);     // a keeps the lower part; -ENOMEM
struct vm_area *area_merge(
	struct vm_area *a); // with its neighbours, when they are alike; the one that holds it now
bool area_alike(const struct vm_area *lower, const struct vm_area *upper);
void area_set_range(struct vm_area *a, u64 start, u64 end); // grows or shrinks in place
void area_set_rights(struct vm_area *a, u32 prot, u32 flags);
struct vm_area *area_before(struct vm_area *a);
// The lowest area that ends above addr is where one begins; these split at both ends so that areas
// lie in [start, end) wholly.
int area_split_range(struct vm_space *s, u64 start, u64 end);
u64 area_find_gap(struct vm_space *s, u64 len, u64 align); // 0: none
bool area_limits_allow(struct vm_space *s, u64 npages, u32 prot, u32 flags);

// ---- mapping (map.c) ----
int map_locked(struct vm_space *s, const struct vm_map_args *a, u64 *addr_out);
int unmap_locked(struct vm_space *s, u64 start, u64 end); // page-aligned

// ---- faults (fault.c); lock held for reading or writing ----
extern struct page *zero_page;
int fault_in_area(struct vm_area *a, u64 addr, u32 access);
static __always_inline pte_t area_rights(const struct vm_area *a, bool write)
{
	return pte_rights(a->prot != PROT_NONE, write && (a->prot & PROT_WRITE),
			  a->prot & PROT_EXEC);
}
static inline u64 area_index(const struct vm_area *a, u64 addr)
{
	return (addr - a->start + a->offset) >> PAGE_SHIFT;
}

int space_populate(struct vm_space *s, u64 start, u64 end, bool write); // access.c; takes the lock

// ---- objects (object.c) ----
void object_init(void);
bool object_is_memory(
	const struct vm_object *o); // its pages are born zero and need no dirty tracking
struct page *object_peek(struct vm_object *o,
			 u64 index); // as vm_object_lookup, under RCU and with a table locked
bool object_page_get(struct page *p, const struct vm_object *o, u64 index);
int space_range_check(u64 addr, u64 len, u64 *end); // page-aligned addr; len rounded up; -EINVAL

// ---- spaces (space.c) ----
struct vm_space *space_create_like(
	const struct vm_space *parent); // empty, with its limits and names

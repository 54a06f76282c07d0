// SPDX-License-Identifier: MIT
// Address spaces of programs: areas, objects, faults. Privileged.
//
// A vm_space has areas (start, end, rights, what stands behind them) and, in its mmu_space, page
// tables that are filled in on demand. A vm_object is an indexed set of pages behind mappings and
// files (the page cache of one inode, or shared anonymous memory).
#pragma once
#include "base/atomic.h"
#include "base/list.h"
#include "base/radix.h"
#include "base/rbtree.h"
#include "base/types.h"
#include "core/lock.h"
#include "core/mmu_space.h"
#include "core/page.h"
#include "core/percpu.h" // CPU_MAX
#include "linux/rwlock.h"

struct vm_space;
struct vm_object;
struct file;

enum vm_prot : u32 { PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4, PROT_NONE = 0 };
enum vm_flags : u32 {
	VM_SHARED = 1 << 0,
	VM_FIXED = 1 << 1,	     // exactly at addr, replacing what is there
	VM_FIXED_NOREPLACE = 1 << 2, // exactly at addr, -EEXIST when something is there
	VM_GROWSDOWN = 1 << 3,	     // a stack: grows on faults below it, keeps a gap of 1 MiB
	VM_POPULATE = 1 << 4,
	VM_NORESERVE = 1 << 5,
	VM_LOCKED = 1 << 6,
	VM_DONTFORK = 1 << 7,
	VM_WIPEONFORK = 1 << 8,
	VM_HUGE = 1 << 9,     // madvise(MADV_HUGEPAGE)
	VM_NOHUGE = 1 << 10,  // madvise(MADV_NOHUGEPAGE)
	VM_SPECIAL = 1 << 11, // vDSO and the like: cannot be expanded or remapped partly; object
			      // pages are never copied to a core dump
	VM_DONTDUMP = 1 << 12,
	VM_BRK = 1 << 13,     // named [heap]
	VM_STACK = 1 << 14,   // named [stack]
	VM_POLICY_SHIFT = 16, // six bits: NUMA policy (linux/mm/policy.c)
	VM_POLICY_MASK = 0x3f,
};

struct vm_object_ops {
	// The page at index, with a reference for the caller; may sleep. write: it is about to be
	// changed (shared mapping or write(2)). -EFAULT: beyond the end (the program gets SIGBUS);
	// -ENOSPC/-EIO likewise; -ENOMEM.
	int (*get_page)(struct vm_object *o, u64 index, bool write, struct page **out);
	void (*release)(
		struct vm_object *o); // last reference gone; pages and areas are already gone
};

struct vm_object {
	refcount_t refs;
	const struct vm_object_ops *ops;
	spinlock_t lock;	 // LOCK_page_cache: changes of the tree (lookups are RCU)
	struct radix_tree pages; // index -> struct page *, each holding one reference
	u64 npages;		 // lock
	u64 size_bytes;	 // faults at or beyond it are -EFAULT; changed by vm_object_set_size, read
			 // atomically. ~0: no end
	u64 limit_pages; // creation beyond fails with -ENOSPC; 0: none. Immutable
	atomic_u64 *charge; // pages are counted here too (a file system's usage), against
			    // *charge_limit. May be nullptr. Immutable
	const atomic_u64 *charge_limit;
	spinlock_t areas_lock; // LOCK_vm_areas
	struct list areas;     // vm_area.object_link of every mapping; areas_lock
};

// Initialises an object embedded in something larger (an inode). refs = 1. ops nullptr: memory
// object, pages appear zeroed on demand.
void vm_object_init(struct vm_object *o, const struct vm_object_ops *ops, u64 size_bytes);
[[nodiscard]] struct vm_object *vm_object_create(
	u64 size_bytes); // stand-alone memory object; nullptr when memory is out
static inline void vm_object_get(struct vm_object *o)
{
	refcount_inc(&o->refs);
}
void vm_object_put(struct vm_object *o);
// Page at index if it is there already: with a reference, no sleeping; else nullptr.
[[nodiscard]] struct page *vm_object_lookup(struct vm_object *o, u64 index);
// Page at index, created when missing (ops->get_page). -EFAULT when beyond size_bytes and !write...
// see vm_object_ops.
int vm_object_get_page(struct vm_object *o, u64 index, bool write, struct page **out);
// Default creation for memory objects, usable as ops->get_page. Ignores size_bytes for
// write(2)-style callers: the fault handler checks the size itself.
int vm_object_get_page_zero(struct vm_object *o, u64 index, bool write, struct page **out);
// Inserts a page the caller made (takes over its reference); -EEXIST.
int vm_object_insert(struct vm_object *o, u64 index, struct page *p);
// Changes the size; when it shrinks: drops pages beyond it, zeroes the rest of the last page, and
// unmaps them from every space.
void vm_object_set_size(struct vm_object *o, u64 size_bytes);
// Drops pages [first, last] and unmaps them everywhere (hole punching).
void vm_object_drop(struct vm_object *o, u64 first, u64 last);
// The same, but pages with PAGE_DIRTY stay.
void vm_object_drop_clean(struct vm_object *o, u64 first, u64 last);
// Sets PAGE_DIRTY of a page that the caller has a reference of; false: it was dropped meanwhile.
bool vm_object_page_dirty(struct vm_object *o, struct page *p);
// Unmaps pages [first, last] everywhere: the next access to them faults.
void vm_object_unmap(struct vm_object *o, u64 first, u64 last);

// A range of addresses with equal rights and one thing behind it.
struct vm_area {
	u64 start, end;		  // page-aligned, [start, end)
	u32 prot;		  // enum vm_prot
	u32 max_prot;		  // mprotect may not go beyond
	u32 flags;		  // enum vm_flags
	struct vm_object *object; // nullptr: private anonymous
	u64 offset;		  // bytes into object of start
	struct file *file;	  // counted; may be nullptr
	struct vm_space *space;
	struct rb_node node;	 // vm_space.areas
	struct list object_link; // vm_object.areas
};

struct vm_space {
	struct mmu_space mmu;	  // what the CPUs see; first, so that the way back costs nothing
	refcount_t users;	  // threads and remote accessors
	rwlock_t lock;		  // LOCK_vm_space. Guards everything below but what says otherwise
	struct rb_root areas;	  // by start
	struct vm_area *last_hit; // racy hint, re-checked; atomic
	u32 nareas;
	u64 mmap_base;	       // top-down search starts here
	u64 gap_top, gap_seen; // no gap between gap_top and mmap_base is larger than gap_seen bytes
	u64 brk_start, brk_end;
	u64 pages_mapped_limit;	     // RLIMIT_AS in pages; ~0 none
	u64 data_limit, stack_limit; // RLIMIT_DATA, RLIMIT_STACK in bytes
	u64 total_pages, data_pages, stack_pages, exec_pages, locked_pages,
		shared_pages; // of areas
	u64 arg_start, arg_end, env_start, env_end, code_start, code_end, data_start, data_end,
		stack_start; // for /proc; set by exec
	u8 auxv[512];
	u32 auxv_len;
	struct file *exe;	// counted; lock
	u64 vdso;		// address of the vDSO, 0 none
	u8 cid_of_cpu[CPU_MAX]; // concurrency ids (linux/process/rseq.c); that CPU, preemption off
	atomic_u32 cids;	// given out
	bool dumpable;
	bool elevates; // of a program that may elevate: nobody else writes into it. Immutable
};

// The space whose mmu s is; nullptr stays nullptr. s is not kernel_space.
static __always_inline struct vm_space *vm_space_of(struct mmu_space *s)
{
	return s ? container_of(s, struct vm_space, mmu) : nullptr;
}

[[nodiscard]] struct vm_space *vm_space_create(void); // empty; users = 1
static inline void vm_space_get(struct vm_space *s)
{
	refcount_inc(&s->users);
}
void vm_space_put(struct vm_space *s); // the last one unmaps and frees everything; may sleep
// A copy-on-write copy. *out has users = 1. May sleep; -ENOMEM.
[[nodiscard]] int vm_space_fork(struct vm_space *parent, struct vm_space **out);
void vm_space_unmap_all(struct vm_space *s);
static inline u64 vm_space_rss_peak(struct vm_space *s)
{
	return mmu_space_rss_peak(&s->mmu);
}

struct vm_map_args {
	u64 addr; // hint, or the place with VM_FIXED*
	u64 len;  // bytes, rounded up to pages; not 0
	u32 prot, max_prot, flags;
	struct vm_object *object; // reference is taken; nullptr: anonymous (with VM_SHARED: a new
				  // memory object is made)
	u64 offset;		  // page-aligned
	struct file *file;	  // reference is taken; may be nullptr
	u64 align;		  // wanted alignment of the address (0: page)
};
// Maps; *addr_out is where. -EINVAL, -ENOMEM (also limits), -EEXIST, -EPERM, -EAGAIN (locked
// limit). Takes the lock.
[[nodiscard]] int vm_map(struct vm_space *s, const struct vm_map_args *a, u64 *addr_out);
int vm_unmap(struct vm_space *s, u64 addr, u64 len);
int vm_protect(struct vm_space *s, u64 addr, u64 len,
	       u32 prot); // -EACCES beyond max_prot, -ENOMEM for holes (as mprotect(2))
int vm_remap(struct vm_space *s, u64 old, u64 old_len, u64 new_len, u32 linux_flags, u64 new_addr,
	     u64 *out);						  // as mremap(2)
int vm_advise(struct vm_space *s, u64 addr, u64 len, int advice); // as madvise(2), with its errors
u64 vm_brk(struct vm_space *s, u64 wanted); // as brk(2): the break after the call
// mbind: 0, -EFAULT (holes), -ENOMEM. policy: six bits.
int vm_policy_set(struct vm_space *s, u64 start, u64 end, u32 policy);
// Node of the page that is mapped at addr, the space locked: 0; -ENOENT none, -EFAULT no area or
// the page of zeroes.
int vm_page_at(struct vm_space *s, u64 addr);
int vm_lock_range(struct vm_space *s, u64 addr, u64 len, bool lock);
int vm_mincore(struct vm_space *s, u64 addr, u64 len,
	       u8 *out); // out: kernel memory, one byte a page
int vm_sync(struct vm_space *s, u64 addr, u64 len, int flags); // as msync(2)
int vm_populate(struct vm_space *s, u64 addr, u64 len);

// Resolves a fault of the current thread. 0: retry the instruction. -EFAULT: nothing is mapped
// (SEGV_MAPERR); -EACCES: rights (SEGV_ACCERR); -EIO: behind the object's end (SIGBUS BUS_ADRERR);
// -ENOMEM. May sleep. Takes lock for reading. It is personality->fault; mmu is a vm_space's.
int vm_fault(struct mmu_space *mmu, u64 addr, u32 access);
// Copies from or to another space (or this one) through the direct map, faulting pages in; what it
// returns is the bytes done. force: as ptrace may (reads PROT_NONE, writes read-only private pages
// by copying).
ssize_t vm_access_remote(struct vm_space *s, u64 addr, void *kbuf, size_t len, bool write,
			 bool force);
// The page behind an address of the current thread's space, for a device to read (write: to write)
// it while the program goes on: with a reference of *counted. -EFAULT: nothing is mapped there, or
// not with that right. May sleep.
int vm_page_pin(struct vm_space *s, u64 addr, bool write, struct page **page,
		struct page **counted);
// Drops up to n pages that only the object's tree refers to and that may() lets go, from *index on,
// which it moves (to 0 at the end): how many. may is called with the object's lock held.
u64 vm_object_shrink(struct vm_object *o, u64 *index, u64 n, bool (*may)(struct page *p));
// Finds the area that holds addr (lock held for reading or writing) or nullptr; _next: holds it or
// lies above it.
struct vm_area *vm_area_find(struct vm_space *s, u64 addr);
struct vm_area *vm_area_find_next(struct vm_space *s, u64 addr);
struct vm_area *vm_area_following(struct vm_area *a);
// Pages present in [start,end) of the area, private dirty ones etc., for smaps. lock held.
struct vm_usage {
	u64 present, anon, shared, dirty, shared_dirty, huge;
	u64 share_bytes; /* each page's part, by how many map it */
};
void vm_area_usage(struct vm_area *a, struct vm_usage *out);
// What a futex or a shared lock keys on: object+index for shared mappings, space+addr for private.
// Page must be mapped; 0 or -EFAULT.
struct vm_key {
	u64 a;
	u64 b;
};
int vm_shared_key(struct vm_space *s, u64 addr, struct vm_key *out);

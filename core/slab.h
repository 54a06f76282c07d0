// SPDX-License-Identifier: MIT
// The kernel heap: caches of equal objects and kmalloc on top of them. Privileged.
#pragma once
#include "base/types.h"
#include "core/lock.h"

struct slab_cpu; // per-CPU stack of free objects
struct slab_cache {
	const char *name;
	u32 size;  // bytes of one object, rounded up
	u32 align; // power of two
	u32 order; // pages of one slab
	spinlock_t lock;
	u32 per_slab;		  // objects in one slab
	u32 batch;		  // objects moved at once between slabs and a CPU's stack
	u32 partial;		  // frame number of the first slab with free objects, 0: none; lock
	u32 nslabs;		  // lock
	u32 nempty;		  // slabs of which no object is out; lock
	u64 taken;		  // objects outside the slabs: handed out or on a CPU's stack; lock
	struct slab_cpu *cpu[64]; // by CPU, made on first use; owner CPU only, interrupts off
	struct list all;	  // list of caches
};

// Makes a cache. size 1..32768, align 0 (8) or a power of two up to 4096. Before the caches of
// other CPUs exist, boot CPU only.
void slab_cache_init(struct slab_cache *c, const char *name, u32 size, u32 align);
// One object, not cleared (kzalloc-style clearing is the caller's). nullptr when memory is out. Any
// context, interrupts too.
[[nodiscard]] void *slab_alloc(struct slab_cache *c);
[[nodiscard]] void *slab_zalloc(struct slab_cache *c);
void slab_free(struct slab_cache *c, void *obj); // obj may be nullptr

// size 1..4 MiB (page-backed above 8 KiB), 16-byte aligned (size-aligned for powers of two);
// nullptr when out or too big. Any context.
[[nodiscard]] void *kmalloc(size_t size);
[[nodiscard]] void *kzalloc(size_t size);
[[nodiscard]] void *kcalloc(size_t n, size_t size); // checks n * size for overflow
[[nodiscard]] void *krealloc(void *old, size_t old_size, size_t new_size);
void kfree(void *p); // nullptr is fine
size_t kmalloc_size(const void *p);
char *kstrdup(const char *s, size_t max_len); // nullptr when out or longer than max_len

void slab_init(void);
u64 slab_pages_used(void); // for /proc/meminfo
struct slab_info {
	const char *name;
	u32 size;
	u64 in_use;
	u64 pages;
};
bool slab_info_get(u32 index, struct slab_info *out); // for /proc/slabinfo; false after the last

// Virtually contiguous memory from single pages, with an unmapped guard page on both sides; for
// stacks and big arrays.
[[nodiscard]] void *kvmap_alloc(size_t len_bytes);
void kvmap_free(void *p, size_t len_bytes);
// Maps device registers uncached (device memory); never fails for sizes up to 64 MiB before memory
// runs out. Not unmapped again.
[[nodiscard]] volatile void *mmio_map(phys_t base, size_t len_bytes);

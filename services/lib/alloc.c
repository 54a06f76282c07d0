// SPDX-License-Identifier: MIT
// alloc.c: a service's small allocator: lists of free pieces by power of two, refilled by the page.
#include "services/lib/service.h"
#include "base/string.h"

constexpr u32 SMALLEST_SHIFT = 4, CLASSES = 9; // 16 to 4096 bytes
constexpr size_t REFILL = 16384;

struct piece {
	struct piece *next;
};
static struct piece *free_pieces[CLASSES]; // lock
static u32 lock;			   // spins: held for a few instructions

static void lock_take(void)
{
	while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
		service_relax();
}

static void lock_give(void)
{
	__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

static u32 class_of(size_t size)
{
	return size <= 16 ? 0 : (u32)ilog2(size - 1) + 1 - SMALLEST_SHIFT;
}

static void piece_put(u32 class, void *p)
{
	lock_take();
	((struct piece *)p)->next = free_pieces[class];
	free_pieces[class] = p;
	lock_give();
}

void *service_alloc(size_t size)
{
	u32 class = class_of(size);
	struct piece *p;

	if (class >= CLASSES)
		return nullptr;
	for (;;) {
		lock_take();
		p = free_pieces[class];
		if (p)
			free_pieces[class] = p->next;
		lock_give();
		if (p)
			return memset(p, 0, size);
		s64 more = gate_memory_alloc(service_self, REFILL, 0);

		if (GATE_IS_ERROR(more))
			return nullptr;
		for (size_t at = 0; at < REFILL; at += 1ull << (class + SMALLEST_SHIFT))
			piece_put(class, (u8 *)more + at);
	}
}

void service_free(void *p, size_t size)
{
	if (p)
		piece_put(class_of(size), p);
}

// SPDX-License-Identifier: MIT
// ring.h: a byte ring of a power of two. One producer and one consumer may work at the same time
// without a lock; more of either need one.
#pragma once

#include "base/atomic.h"
#include "base/types.h"

struct ring {
	u8 *buf;  // immutable after init
	u32 mask; // size - 1; immutable after init
	u32 head; // next byte to read; the consumer's
	u32 tail; // next byte to write; the producer's
};

// buf has size_bytes, a power of two <= 2^31; it stays the caller's.
static inline void ring_init(struct ring *r, void *buf, u32 size_bytes)
{
	*r = (struct ring){.buf = buf, .mask = size_bytes - 1};
}

// Bytes in the ring.
static inline __wraps u32 ring_used(const struct ring *r)
{
	return load_acquire(&r->tail) - load_acquire(&r->head);
}

static inline u32 ring_free(const struct ring *r)
{
	return r->mask + 1 - ring_used(r);
}

static inline bool ring_empty(const struct ring *r)
{
	return ring_used(r) == 0;
}

static inline bool ring_full(const struct ring *r)
{
	return ring_free(r) == 0;
}

// Appends a byte. False when full.
static inline __wraps bool ring_put(struct ring *r, u8 byte)
{
	u32 tail = r->tail;

	if (tail - load_acquire(&r->head) > r->mask)
		return false;
	r->buf[tail & r->mask] = byte;
	store_release(&r->tail, tail + 1);
	return true;
}

// Takes the oldest byte. False when empty.
static inline __wraps bool ring_get(struct ring *r, u8 *byte)
{
	u32 head = r->head;

	if (head == load_acquire(&r->tail))
		return false;
	*byte = r->buf[head & r->mask];
	store_release(&r->head, head + 1);
	return true;
}

// The byte at distance `at` from the oldest, left in place. False when there is none.
static inline __wraps bool ring_peek(const struct ring *r, u32 at, u8 *byte)
{
	if (at >= ring_used(r))
		return false;
	*byte = r->buf[(r->head + at) & r->mask];
	return true;
}

// Appends / takes up to len bytes; result is how many.
static inline size_t ring_write(struct ring *r, const void *data, size_t len)
{
	const u8 *bytes = data;
	size_t n = 0;

	while (n < len && ring_put(r, bytes[n]))
		n++;
	return n;
}

static inline size_t ring_read(struct ring *r, void *data, size_t len)
{
	u8 *bytes = data;
	size_t n = 0;

	while (n < len && ring_get(r, &bytes[n]))
		n++;
	return n;
}

// Takes back the newest byte: only with both ends locked (terminal line editing). False when empty.
static inline __wraps bool ring_unput(struct ring *r, u8 *byte)
{
	if (r->tail == r->head)
		return false;
	*byte = r->buf[(r->tail - 1) & r->mask];
	store_release(&r->tail, r->tail - 1);
	return true;
}

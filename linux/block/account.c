// SPDX-License-Identifier: MIT
// account.c: how much was read from and written to disks and partitions, as /proc/diskstats and
// /sys/block/*/stat tell. Privileged.
//
// No locks: each number is an atomic. How many requests are under way and since when lie in one
// word, so that the time in which there was at least one is exact.
#include "core/time.h"
#include "linux/block/block_priv.h"

constexpr u32 SINCE_SHIFT = 20; // below: requests under way; above: microseconds, which may wrap
constexpr u64 UNDER_WAY = (1ull << SINCE_SHIFT) - 1;

static enum account_kind kind_of(enum block_op op)
{
	switch (op) {
	case BLOCK_READ:
		return ACCOUNT_READ;
	case BLOCK_FLUSH:
		return ACCOUNT_FLUSH;
	case BLOCK_DISCARD:
		return ACCOUNT_DISCARD;
	default:
		return ACCOUNT_WRITE;
	}
}

static u64 busy_now(u64 now_ns)
{
	return now_ns / 1000 << SINCE_SHIFT;
}

// Microseconds from when `state` was written.
static u64 busy_elapsed(u64 state, u64 now_ns)
{
	return (busy_now(now_ns) - (state & ~UNDER_WAY)) >> SINCE_SHIFT;
}

void account_begin(struct io_account *a, u64 now_ns)
{
	u64 old = load_once(&a->busy);

	while (!try_cmpxchg(&a->busy, &old, old & UNDER_WAY ? old + 1 : busy_now(now_ns) | 1))
		;
}

void account_end(struct io_account *a, const struct block_request *r, u64 now_ns)
{
	enum account_kind kind = kind_of(r->op);
	u64 old = load_once(&a->busy);

	while (!try_cmpxchg(&a->busy, &old, old - 1))
		;
	if ((old & UNDER_WAY) == 1)
		atomic_add(&a->busy_us, busy_elapsed(old, now_ns));
	atomic_inc(&a->count[kind]);
	atomic_add(&a->sectors[kind], r->nsectors);
	atomic_add(&a->ns[kind], now_ns - r->started_ns);
}

static void account_read(struct io_account *a, struct disk_stats *out)
{
	u64 busy = load_once(&a->busy);

	*out = (struct disk_stats){.in_flight = (u32)(busy & UNDER_WAY),
				   .busy_ms = atomic_load(&a->busy_us) / 1000};
	if (out->in_flight)
		out->busy_ms += busy_elapsed(busy, clock_monotonic_ns()) / 1000;
	for (u32 i = 0; i < ACCOUNT_KINDS; i++) {
		out->count[i] = atomic_load(&a->count[i]);
		out->sectors[i] = atomic_load(&a->sectors[i]);
		out->ms[i] = atomic_load(&a->ns[i]) / 1'000'000;
	}
}

void bdev_stats_read(struct bdev *b, struct disk_stats *out)
{
	account_read(b->partition ? &b->account : &b->disk->account, out);
}

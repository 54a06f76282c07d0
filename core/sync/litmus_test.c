// SPDX-License-Identifier: MIT
// litmus_test.c: what the primitives promise of the order in which CPUs see each other's accesses,
// in the shapes of the literature on weak memory (MP, SB, LB, WRC, IRIW), and what locks, rings and
// RCU make of it. Each thread has a CPU of its own and runs its part over many cells; the outcome
// that may not be is looked for afterwards. Where the same shape without barriers shows that
// outcome, its count is printed: this machine could have shown it.
#include "base/ring.h"
#include "base/string.h"
#include "core/ktest.h"
#include "core/lock.h"
#include "core/rcu.h"
#include "core/slab.h"
#include "core/smp.h"
#include "core/threads_test.h"

constexpr u32 CELLS = 512, ROUNDS = 8, THREADS_MAX = 4;
constexpr size_t LINE = 128; // no two words of a cell share a cache line

struct cell {
	alignas(LINE) u64 x;
	alignas(LINE) u64 y;
	alignas(LINE) u64 seen[THREADS_MAX][2];
};

typedef void part_fn(struct cell *c);

struct shape {
	u32 nthreads;
	part_fn *part[THREADS_MAX];
	bool (*forbidden)(const struct cell *c);
};

static struct {
	const struct shape *shape;
	struct cell *cells;
	atomic_u32 next, arrived; // threads numbered; at the barrier, all rounds together
	u32 found;		  // thread 0
} run;

// Nobody goes on before all have come. Yields: there may be fewer host CPUs than ours.
static void meet(u32 times)
{
	atomic_add_return(&run.arrived, 1);
	for (u32 i = 0; atomic_load_acquire(&run.arrived) < times * run.shape->nthreads; i++)
		if (i % 256 == 255)
			sched_yield();
}

static void pin(u32 cpu)
{
	(void)sched_set_affinity(current(), 1ull << cpu % smp_ncpus);
}

static void litmus_thread(void *)
{
	u32 me = atomic_fetch_add(&run.next, 1), met = 0;

	pin(me);
	for (u32 round = 0; round < ROUNDS; round++) {
		if (!me)
			memset(run.cells, 0, CELLS * sizeof(struct cell));
		meet(++met);
		for (u32 i = 0; i < CELLS; i++)
			run.shape->part[me](&run.cells[i]);
		meet(++met);
		for (u32 i = 0; !me && i < CELLS; i++)
			run.found += run.shape->forbidden(&run.cells[i]);
	}
}

// How often the forbidden outcome was seen; ~0: the threads could not run.
static u32 litmus(const struct shape *shape)
{
	static struct test_threads threads;

	run.shape = shape;
	run.cells = kmalloc(CELLS * sizeof(struct cell));
	if (!run.cells)
		return ~0u;
	atomic_store(&run.next, 0);
	atomic_store(&run.arrived, 0);
	run.found = 0;
	if (!test_threads_run(&threads, shape->nthreads, litmus_thread, nullptr))
		return ~0u; // and the cells stay: somebody may still use them
	kfree(run.cells);
	return run.found;
}

// The shape, and (unless nullptr) the same with relaxed accesses only.
static void check_shape(struct ktest *ktest_ctx, const struct shape *ordered,
			const struct shape *relaxed)
{
	if (smp_ncpus < ordered->nthreads)
		ktest_skip("fewer CPUs than the shape has threads");
	EXPECT_EQ(litmus(ordered), 0u);
	if (relaxed)
		ktest_log(ktest_ctx, "without order: %u of %u", litmus(relaxed), CELLS * ROUNDS);
}

// ---- message passing (MP): who sees the flag sees the message ----

static void mp_send(struct cell *c)
{
	store_once(&c->x, 1);
	store_release(&c->y, 1);
}

static void mp_receive(struct cell *c)
{
	c->seen[1][0] = load_acquire(&c->y);
	c->seen[1][1] = load_once(&c->x);
}

static void mp_send_fence(struct cell *c)
{
	store_once(&c->x, 1);
	smp_wmb();
	store_once(&c->y, 1);
}

static void mp_receive_fence(struct cell *c)
{
	c->seen[1][0] = load_once(&c->y);
	smp_rmb();
	c->seen[1][1] = load_once(&c->x);
}

static void mp_send_relaxed(struct cell *c)
{
	store_once(&c->x, 1);
	store_once(&c->y, 1);
}

static void mp_receive_relaxed(struct cell *c)
{
	c->seen[1][0] = load_once(&c->y);
	c->seen[1][1] = load_once(&c->x);
}

static bool mp_forbidden(const struct cell *c)
{
	return c->seen[1][0] && !c->seen[1][1];
}

static const struct shape mp_relaxed = {2, {mp_send_relaxed, mp_receive_relaxed}, mp_forbidden};

KTEST(litmus, message_passing)
{
	static const struct shape ordered = {2, {mp_send, mp_receive}, mp_forbidden};

	check_shape(ktest_ctx, &ordered, &mp_relaxed);
}

KTEST(litmus, message_passing_by_fences)
{
	static const struct shape ordered = {2, {mp_send_fence, mp_receive_fence}, mp_forbidden};

	check_shape(ktest_ctx, &ordered, nullptr);
}

// ---- store buffering (SB): of two who announce and then look, one sees the other ----

#define SB_PARTS(name, announce)                  \
	static void name##_x(struct cell *c)      \
	{                                         \
		announce(&c->x);                  \
		c->seen[0][0] = load_once(&c->y); \
	}                                         \
	static void name##_y(struct cell *c)      \
	{                                         \
		announce(&c->y);                  \
		c->seen[1][0] = load_once(&c->x); \
	}                                         \
	static const struct shape name = {2, {name##_x, name##_y}, sb_forbidden};

static bool sb_forbidden(const struct cell *c)
{
	return !c->seen[0][0] && !c->seen[1][0];
}

static __always_inline void announce_relaxed(u64 *p)
{
	store_once(p, 1);
}

static __always_inline void announce_store_seq(u64 *p)
{
	store_seq(p, 1);
}

static __always_inline void announce_fence(u64 *p)
{
	store_once(p, 1);
	smp_mb();
}

static __always_inline void announce_xchg(u64 *p)
{
	(void)xchg(p, 1);
}

static __always_inline void announce_cmpxchg(u64 *p)
{
	u64 old = 0;

	(void)try_cmpxchg(p, &old, 1);
}

static __always_inline void announce_add(u64 *p)
{
	(void)atomic_fetch_add((atomic_u64 *)p, 1);
}

SB_PARTS(sb_relaxed, announce_relaxed)
SB_PARTS(sb_store_seq, announce_store_seq)
SB_PARTS(sb_fence, announce_fence)
SB_PARTS(sb_xchg, announce_xchg)
SB_PARTS(sb_cmpxchg, announce_cmpxchg)
SB_PARTS(sb_add, announce_add)

KTEST(litmus, store_buffering_store_seq)
{
	check_shape(ktest_ctx, &sb_store_seq, &sb_relaxed);
}

KTEST(litmus, store_buffering_fence)
{
	check_shape(ktest_ctx, &sb_fence, nullptr);
}

KTEST(litmus, store_buffering_read_modify_write)
{
	check_shape(ktest_ctx, &sb_xchg, nullptr);
	check_shape(ktest_ctx, &sb_cmpxchg, nullptr);
	check_shape(ktest_ctx, &sb_add, nullptr);
}

// ---- load buffering (LB): nobody sees what is written only after it looked ----

static void lb_xy(struct cell *c)
{
	c->seen[0][0] = load_acquire(&c->x);
	store_once(&c->y, 1);
}

static void lb_yx(struct cell *c)
{
	c->seen[1][0] = load_acquire(&c->y);
	store_once(&c->x, 1);
}

static void lb_xy_relaxed(struct cell *c)
{
	c->seen[0][0] = load_once(&c->x);
	store_once(&c->y, 1);
}

static void lb_yx_relaxed(struct cell *c)
{
	c->seen[1][0] = load_once(&c->y);
	store_once(&c->x, 1);
}

static bool lb_forbidden(const struct cell *c)
{
	return c->seen[0][0] && c->seen[1][0];
}

KTEST(litmus, load_buffering)
{
	static const struct shape ordered = {2, {lb_xy, lb_yx}, lb_forbidden};
	static const struct shape relaxed = {2, {lb_xy_relaxed, lb_yx_relaxed}, lb_forbidden};

	check_shape(ktest_ctx, &ordered, &relaxed);
}

// ---- write-to-read causality (WRC): what is passed on brings along what led to it ----

static void wrc_write(struct cell *c)
{
	store_once(&c->x, 1);
}

static void wrc_pass_on(struct cell *c)
{
	c->seen[1][0] = load_acquire(&c->x);
	if (c->seen[1][0])
		store_release(&c->y, 1);
}

static void wrc_pass_on_relaxed(struct cell *c)
{
	c->seen[1][0] = load_once(&c->x);
	if (c->seen[1][0])
		store_once(&c->y, 1);
}

static void wrc_read(struct cell *c)
{
	c->seen[2][0] = load_acquire(&c->y);
	c->seen[2][1] = load_once(&c->x);
}

static void wrc_read_relaxed(struct cell *c)
{
	c->seen[2][0] = load_once(&c->y);
	c->seen[2][1] = load_once(&c->x);
}

static bool wrc_forbidden(const struct cell *c)
{
	return c->seen[2][0] && !c->seen[2][1];
}

KTEST(litmus, write_to_read_causality)
{
	static const struct shape ordered = {3, {wrc_write, wrc_pass_on, wrc_read}, wrc_forbidden};
	static const struct shape relaxed = {
		3, {wrc_write, wrc_pass_on_relaxed, wrc_read_relaxed}, wrc_forbidden};

	check_shape(ktest_ctx, &ordered, &relaxed);
}

// ---- independent reads of independent writes (IRIW): two readers agree which came first ----

static void iriw_write_x(struct cell *c)
{
	store_once(&c->x, 1);
}

static void iriw_write_y(struct cell *c)
{
	store_once(&c->y, 1);
}

static void iriw_read_xy(struct cell *c)
{
	c->seen[2][0] = load_once(&c->x);
	smp_mb();
	c->seen[2][1] = load_once(&c->y);
}

static void iriw_read_yx(struct cell *c)
{
	c->seen[3][0] = load_once(&c->y);
	smp_mb();
	c->seen[3][1] = load_once(&c->x);
}

static void iriw_read_xy_relaxed(struct cell *c)
{
	c->seen[2][0] = load_once(&c->x);
	c->seen[2][1] = load_once(&c->y);
}

static void iriw_read_yx_relaxed(struct cell *c)
{
	c->seen[3][0] = load_once(&c->y);
	c->seen[3][1] = load_once(&c->x);
}

static bool iriw_forbidden(const struct cell *c)
{
	return c->seen[2][0] && !c->seen[2][1] && c->seen[3][0] && !c->seen[3][1];
}

KTEST(litmus, independent_reads_of_independent_writes)
{
	static const struct shape ordered = {
		4, {iriw_write_x, iriw_write_y, iriw_read_xy, iriw_read_yx}, iriw_forbidden};
	static const struct shape relaxed = {
		4,
		{iriw_write_x, iriw_write_y, iriw_read_xy_relaxed, iriw_read_yx_relaxed},
		iriw_forbidden};

	check_shape(ktest_ctx, &ordered, &relaxed);
}

// ---- locks: what was done under one is seen whole by who has it next ----

constexpr u32 LOCK_ROUNDS = 5'000;

static spinlock_t lock;
static u64 under_lock[4]; // equal whenever the lock is free
static atomic_u32 torn, lock_threads;

static void take_turns(void *)
{
	pin(atomic_fetch_add(&lock_threads, 1));
	for (u32 i = 0; i < LOCK_ROUNDS; i++) {
		spin_lock(&lock);
		u64 n = READ_ONCE(under_lock[0]);
		for (u32 k = 0; k < ARRAY_SIZE(under_lock); k++) {
			if (READ_ONCE(under_lock[k]) != n)
				atomic_inc(&torn);
			WRITE_ONCE(under_lock[k], n + 1);
		}
		spin_unlock(&lock);
		if (i % 512 == 0)
			sched_yield();
	}
}

KTEST(litmus, spinlock)
{
	static struct test_threads threads;
	u32 n = min(max(smp_ncpus, 2u), 4u);

	spin_lock_init(&lock, LOCK_test_outer);
	memset(under_lock, 0, sizeof(under_lock));
	atomic_store(&torn, 0);
	atomic_store(&lock_threads, 0);
	ASSERT_TRUE(test_threads_run(&threads, n, take_turns, nullptr));
	EXPECT_EQ(atomic_load(&torn), 0u);
	EXPECT_EQ(under_lock[0], (u64)n * LOCK_ROUNDS);
}

// ---- rings: two pairs of one producer and one consumer ----

constexpr u32 RING_BYTES = 64, RING_TOTAL = 20'000;

static struct ring rings[2];
static u8 ring_memory[2][RING_BYTES];
static atomic_u32 ring_threads, ring_wrong;

static u8 ring_byte(u32 pair, u32 at)
{
	return (u8)(at * 31 + (at >> 8) + pair * 101);
}

static void ring_end(void *)
{
	u32 me = atomic_fetch_add(&ring_threads, 1), pair = me / 2, idle = 0;
	u8 byte;

	pin(me);
	for (u32 at = 0; at < RING_TOTAL;) {
		bool moved = me % 2 ? ring_get(&rings[pair], &byte)
				    : ring_put(&rings[pair], ring_byte(pair, at));
		if (!moved) {
			if (++idle % 64 == 0)
				sched_yield();
			continue;
		}
		if (me % 2 && byte != ring_byte(pair, at))
			atomic_inc(&ring_wrong);
		at++;
	}
}

KTEST(litmus, rings)
{
	static struct test_threads threads;

	for (u32 i = 0; i < 2; i++)
		ring_init(&rings[i], ring_memory[i], RING_BYTES);
	atomic_store(&ring_threads, 0);
	atomic_store(&ring_wrong, 0);
	ASSERT_TRUE(test_threads_run(&threads, 4, ring_end, nullptr));
	EXPECT_EQ(atomic_load(&ring_wrong), 0u);
	EXPECT_TRUE(ring_empty(&rings[0]) && ring_empty(&rings[1]));
}

// ---- RCU: who finds a new object finds it complete ----

struct published {
	u64 a, b, c; // all the same
};

static struct published versions[64], *current_version;
static atomic_u32 rcu_threads, rcu_incomplete, rcu_done;

static void publish_or_read(void *)
{
	u32 me = atomic_fetch_add(&rcu_threads, 1);

	pin(me);
	for (u32 i = 1; !me && i <= 10'000; i++) {
		struct published *v = &versions[i % ARRAY_SIZE(versions)];
		if (i % (ARRAY_SIZE(versions) / 2) == 0)
			rcu_synchronize(); // nobody reads those that are used again
		WRITE_ONCE(v->a, i);
		WRITE_ONCE(v->b, i);
		WRITE_ONCE(v->c, i);
		rcu_store(current_version, v);
	}
	if (!me)
		atomic_store_release(&rcu_done, 1);
	for (u32 i = 0; me && !atomic_load_acquire(&rcu_done); i++) {
		rcu_read_lock();
		struct published *v = rcu_load(current_version);
		u64 c = READ_ONCE(v->c), b = READ_ONCE(v->b), a = READ_ONCE(v->a);
		if (a != b || b != c)
			atomic_inc(&rcu_incomplete);
		rcu_read_unlock();
		if (i % 256 == 0)
			sched_yield();
	}
}

KTEST(litmus, rcu_publishes_whole_objects)
{
	static struct test_threads threads;

	memset(versions, 0, sizeof(versions));
	current_version = &versions[0];
	atomic_store(&rcu_threads, 0);
	atomic_store(&rcu_incomplete, 0);
	atomic_store(&rcu_done, 0);
	ASSERT_TRUE(
		test_threads_run(&threads, min(max(smp_ncpus, 2u), 4u), publish_or_read, nullptr));
	EXPECT_EQ(atomic_load(&rcu_incomplete), 0u);
}

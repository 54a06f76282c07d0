// SPDX-License-Identifier: MIT
// Owns the numbers of tasks, processes, groups and sessions, and finds what a number stands for.
//
// A number's slot says what it is at the moment: a task, a process, a process group, or several of
// these, and how many uses keep it from being given out again. Slots lie in pages that are made
// when first needed and stay, so a lookup is three loads inside an RCU read section and takes no
// lock. Changes are made with the tree lock held. Numbers are given out in a circle, as Linux does,
// so that a number rests for as long as possible before it means something else.
#include "linux/process/process.h"

struct pid_slot {
	struct task *task;	 // RCU
	struct process *process; // RCU
	struct pgrp *pgrp;	 // RCU
	u32 uses;
	u32 pad;
};
static_assert(sizeof(struct pid_slot) == 32);

constexpr u32 CHUNK_SLOTS = PAGE_SIZE / sizeof(struct pid_slot);
constexpr u32 TABLE_CHUNKS = PAGE_SIZE / sizeof(void *);
constexpr u32 TABLES = PID_MAX_LIMIT / (CHUNK_SLOTS * TABLE_CHUNKS);
constexpr u32 PID_RESERVED = 300; // after the first round, numbers below are left alone

struct pid_chunk {
	struct pid_slot slots[CHUNK_SLOTS];
};
static struct pid_chunk **tables[TABLES]; // written with the tree lock held, never removed
static u32 last;			  // tree lock
static u64 created;			  // tree lock
static u32 limit = PID_MAX_DEFAULT;	  // tree lock; read atomically
spinlock_t process_tree_lock = SPINLOCK_INIT(LOCK_pidmap);

static struct pid_slot *slot_find(u32 id)
{
	if (id >= PID_MAX_LIMIT)
		return nullptr;
	struct pid_chunk **table = load_acquire(&tables[id / (CHUNK_SLOTS * TABLE_CHUNKS)]);
	if (!table)
		return nullptr;
	struct pid_chunk *chunk = load_acquire(&table[id / CHUNK_SLOTS % TABLE_CHUNKS]);
	return chunk ? &chunk->slots[id % CHUNK_SLOTS] : nullptr;
}

// Makes the chunk of id exist. Not under the tree lock: memory is allocated outside and published
// under it.
static bool chunk_create(u32 id)
{
	struct pid_chunk **table = kzalloc(PAGE_SIZE), **unused_table = table;
	struct pid_chunk *chunk = kzalloc(PAGE_SIZE), *unused_chunk = chunk;
	if (table && chunk) {
		tree_lock();
		struct pid_chunk ***t = &tables[id / (CHUNK_SLOTS * TABLE_CHUNKS)];
		if (!*t) {
			store_release(t, table);
			unused_table = nullptr;
		}
		struct pid_chunk **c = &(*t)[id / CHUNK_SLOTS % TABLE_CHUNKS];
		if (!*c) {
			store_release(c, chunk);
			unused_chunk = nullptr;
		}
		tree_unlock();
	}
	bool ok = table && chunk;
	kfree(unused_table);
	kfree(unused_chunk);
	return ok;
}

int pid_alloc(u32 *out)
{
	tree_lock();
	u32 id = last;
	for (u32 tried = 0; tried < limit; tried++) {
		if (++id >= limit)
			id = PID_RESERVED;
		struct pid_slot *slot = slot_find(id);
		if (unlikely(!slot)) {
			tree_unlock();
			if (!chunk_create(id))
				return -ENOMEM;
			tree_lock();
			slot = slot_find(id);
		}
		if (slot->uses)
			continue;
		slot->uses = 1;
		last = id;
		created++;
		tree_unlock();
		*out = id;
		return 0;
	}
	tree_unlock();
	return -EAGAIN;
}

static void slot_release(struct pid_slot *slot)
{
	assert(slot->uses);
	slot->uses--;
}

void pid_free(u32 id)
{
	tree_lock();
	pid_release_locked(id);
	tree_unlock();
}

void pid_release_locked(u32 id)
{
	assert_held(&process_tree_lock);
	slot_release(slot_find(id));
}

void pid_hold(u32 id)
{
	assert_held(&process_tree_lock);
	slot_find(id)->uses++;
}

// Each of these is a use of the number of its own: set takes one, clearing drops it. Tree lock.
void pid_set_task(u32 id, struct task *t)
{
	struct pid_slot *slot = slot_find(id);
	assert_held(&process_tree_lock);
	slot->uses += (t != nullptr) - (slot->task != nullptr);
	rcu_store(slot->task, t);
}

void pid_set_process(u32 id, struct process *p)
{
	struct pid_slot *slot = slot_find(id);
	assert_held(&process_tree_lock);
	slot->uses += (p != nullptr) - (slot->process != nullptr);
	rcu_store(slot->process, p);
}

void pid_set_pgrp(u32 id, struct pgrp *g)
{
	struct pid_slot *slot = slot_find(id);
	assert_held(&process_tree_lock);
	slot->uses += (g != nullptr) - (slot->pgrp != nullptr);
	rcu_store(slot->pgrp, g);
}

struct process *process_find(u32 pid)
{
	rcu_read_lock();
	struct pid_slot *slot = slot_find(pid);
	struct process *p = slot ? rcu_load(slot->process) : nullptr;
	if (p && !refcount_inc_not_zero(&p->refs))
		p = nullptr;
	rcu_read_unlock();
	return p;
}

struct task *task_find(u32 tid)
{
	rcu_read_lock();
	struct pid_slot *slot = slot_find(tid);
	struct task *t = slot ? rcu_load(slot->task) : nullptr;
	if (t && !refcount_inc_not_zero(&t->thread.refs))
		t = nullptr;
	rcu_read_unlock();
	return t;
}

struct pgrp *pgrp_find(u32 id)
{
	rcu_read_lock();
	struct pid_slot *slot = slot_find(id);
	struct pgrp *g = slot ? rcu_load(slot->pgrp) : nullptr;
	if (g && !refcount_inc_not_zero(&g->refs))
		g = nullptr;
	rcu_read_unlock();
	return g;
}

struct process *process_next(u32 *pid)
{
	for (u32 id = *pid; id < PID_MAX_LIMIT; id++) {
		struct pid_chunk **table = load_acquire(&tables[id / (CHUNK_SLOTS * TABLE_CHUNKS)]);
		if (!table) {
			id |= CHUNK_SLOTS * TABLE_CHUNKS - 1;
			continue;
		}
		struct pid_chunk *chunk = load_acquire(&table[id / CHUNK_SLOTS % TABLE_CHUNKS]);
		if (!chunk) {
			id |= CHUNK_SLOTS - 1;
			continue;
		}
		rcu_read_lock();
		struct process *p = rcu_load(chunk->slots[id % CHUNK_SLOTS].process);
		if (p && !refcount_inc_not_zero(&p->refs))
			p = nullptr;
		rcu_read_unlock();
		if (p) {
			*pid = id;
			return p;
		}
	}
	return nullptr;
}

u32 pid_max(void)
{
	return READ_ONCE(limit);
}

int pid_set_max(u32 max)
{
	if (max <= PID_RESERVED || max > PID_MAX_LIMIT)
		return -EINVAL;
	tree_lock();
	limit = max;
	tree_unlock();
	return 0;
}

u32 pid_last(void)
{
	return READ_ONCE(last);
}

u64 pid_created(void)
{
	return READ_ONCE(created);
}

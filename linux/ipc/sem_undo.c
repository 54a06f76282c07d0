// SPDX-License-Identifier: MIT
// sem_undo.c: what a process's end gives back to semaphores (SEM_UNDO). Privileged.
//
// A list belongs to the tasks that share it (CLONE_SYSVSEM: the threads of a process); in it lies,
// for each set that was operated on with SEM_UNDO, an adjustment for each of its semaphores. The
// last task's end adds them to the values.
//
// The set's lock comes before the list's. Two ends may meet at an entry: that of the process takes
// it out of the list, counts the set (whose own end needs the list's lock for each of its entries,
// so it is still there), and then waits for the set's lock; that of the set, which holds it, takes
// the entry out of the set and, if it is still there, out of the list. Who took it out of the list
// frees it. As long as an entry is in its set, its list exists.
#include "core/init.h"
#include "core/page.h"
#include "linux/ipc/sem.h"

// Bytes of all adjustments, and how many there may be.
static atomic_u64 undo_bytes;
static u64 undo_limit; // immutable after init

static size_t undo_size(const struct sem_set *s)
{
	return sizeof(struct sem_undo) + s->nsems * sizeof(s16);
}

static void undo_free(struct sem_undo *u, size_t size)
{
	atomic_sub(&undo_bytes, size);
	kfree(u);
}

static struct sem_undo_list *list_make(void)
{
	struct sem_undo_list *l = kmalloc(sizeof(*l));
	if (!l)
		return nullptr;
	refcount_set(&l->refs, 1);
	spin_lock_init(&l->lock, LOCK_sysv_undo);
	list_init(&l->undos);
	return l;
}

static struct sem_undo_list *current_list(void)
{
	struct task *t = current_task();
	if (!t->sem_undo)
		t->sem_undo = list_make();
	return t->sem_undo;
}

int sem_undo_fork(struct task *child, bool share)
{
	if (!share)
		return 0;
	child->sem_undo = current_list();
	if (!child->sem_undo)
		return -ENOMEM;
	refcount_inc(&child->sem_undo->refs);
	return 0;
}

struct sem_undo *sem_undo_of(struct sem_set *s)
{
	struct sem_undo_list *l = current_list();
	struct sem_undo *u;
	if (!l)
		return err_ptr(-ENOMEM);
	list_for_each_entry(u, &s->undos, set_link)
		if (u->owner == l)
			return u;
	size_t size = undo_size(s);
	if (atomic_add_return(&undo_bytes, size) > undo_limit) {
		atomic_sub(&undo_bytes, size);
		return err_ptr(-ENOMEM);
	}
	u = kzalloc(size);
	if (!u) {
		atomic_sub(&undo_bytes, size);
		return err_ptr(-ENOMEM);
	}
	u->set = s;
	u->owner = l;
	list_add_tail(&s->undos, &u->set_link);
	spin_lock(&l->lock);
	list_add_tail(&l->undos, &u->own_link);
	spin_unlock(&l->lock);
	return u;
}

void sem_undo_forget(struct sem_set *s, u32 first, u32 n)
{
	struct sem_undo *u;
	list_for_each_entry(u, &s->undos, set_link)
		for (u32 i = 0; i < n; i++)
			u->adjust[first + i] = 0;
}

void sem_undo_drop(struct sem_set *s)
{
	struct sem_undo *u, *next;
	list_for_each_entry_safe(u, next, &s->undos, set_link) {
		// Off the set's list first: the owner's end, when it has u already, frees it as
		// soon as the set's lock is free.
		struct sem_undo_list *l = u->owner;
		list_del_init(&u->set_link);
		spin_lock(&l->lock);
		bool mine = !list_empty(&u->own_link);
		if (mine)
			list_del_init(&u->own_link);
		spin_unlock(&l->lock);
		if (mine)
			undo_free(u, undo_size(s));
	}
}

static void apply_locked(struct sem_set *s, const struct sem_undo *u)
{
	for (u32 i = 0; i < s->nsems; i++) {
		struct sem *sem = &s->sems[i];
		if (!u->adjust[i])
			continue;
		sem->value = clamp(sem->value + u->adjust[i], 0, SEMVMX);
		sem->pid = (s32)current_pid();
	}
	s->otime = ipc_now();
	sem_wake_waiters(s);
}

// The next entry, out of the list, its set counted; nullptr: none is left.
static struct sem_undo *take_first(struct sem_undo_list *l)
{
	spin_lock(&l->lock);
	struct sem_undo *u = list_first_entry_or_null(&l->undos, struct sem_undo, own_link);
	if (u) {
		list_del_init(&u->own_link);
		refcount_inc(&u->set->o.refs); // its end waits for the list's lock
	}
	spin_unlock(&l->lock);
	return u;
}

void sem_undo_exit(struct task *t)
{
	struct sem_undo_list *l = t->sem_undo;
	struct sem_undo *u;
	t->sem_undo = nullptr;
	if (!l || !refcount_dec_and_test(&l->refs))
		return;
	while ((u = take_first(l))) {
		struct sem_set *s = u->set;
		mutex_lock(&s->lock);
		if (!list_empty(&u->set_link)) {
			list_del_init(&u->set_link);
			apply_locked(s, u);
		}
		mutex_unlock(&s->lock);
		undo_free(u, undo_size(s));
		sem_set_put(s);
	}
	kfree(l);
}

static void undo_init(void)
{
	undo_limit = page_managed_count() * PAGE_SIZE / 32;
}
INITCALL(3, undo_init);

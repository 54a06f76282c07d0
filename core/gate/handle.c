// SPDX-License-Identifier: MIT
// handle.c: the table of handles: what services name core's objects by.
//
// A handle is an index into the table, a generation and a kind in one number (abi/gate/service.h).
// A place in the table remembers the whole number, so one comparison tells whether a handle is
// alive. Lookups take no lock: entries are published with release, places are never freed, and an
// object that is found has a reference taken unless its count is 0; objects' memory is freed after
// an RCU grace period by who releases them (gate_object_free_rcu).
//
// Locks. handle_lock (LOCK_handle) guards the free list, and every service's list of objects.
//
// Lifetime. An object has one reference for its handle, and one for everybody who uses it. Closing
// takes it out of the table first, then calls detach, then drops the handle's reference.
#include "core/gate/gate_calls.h"
#include "core/log.h"
#include "core/rcu.h"
#include "core/slab.h"

constexpr u32 TABLE_SIZE = 8192;

struct place {
	u64 handle;		    // atomic; 0: free
	struct gate_object *object; // atomic
	u32 generation;		    // handle_lock
	u32 next_free;		    // handle_lock
};

static struct place table[TABLE_SIZE]; // place 0 is never used
static u32 first_free, never_used = 1; // handle_lock
static spinlock_t handle_lock = SPINLOCK_INIT(LOCK_handle);

void gate_object_init(struct gate_object *o, enum handle_kind kind,
		      const struct gate_object_ops *ops)
{
	*o = (struct gate_object){.ops = ops, .kind = kind};
	refcount_set(&o->refs, 1);
	list_init(&o->link);
}

void gate_object_put(struct gate_object *o)
{
	if (refcount_dec_and_test(&o->refs))
		o->ops->release(o);
}

static u32 place_take_locked(void)
{
	u32 i = first_free;

	if (i) {
		first_free = table[i].next_free;
		return i;
	}
	return never_used < TABLE_SIZE ? never_used++ : 0;
}

s64 handle_publish(struct service *s, struct gate_object *o)
{
	s64 r = -EMFILE;

	assert(!o->handle && o->kind < HANDLE_KINDS);
	spin_lock(&handle_lock);
	if (!load_once(&s->live)) {
		r = -EIO;
	} else if (s->nobjects < SERVICE_HANDLES_MAX) {
		u32 i = place_take_locked();

		r = -ENOMEM;
		if (i) {
			struct place *p = &table[i];

			p->generation++;
			o->handle = (u64)o->kind << HANDLE_KIND_SHIFT |
				    (u64)p->generation << HANDLE_GENERATION_SHIFT | i;
			o->owner = s;
			gate_object_get(o);
			list_add_tail(&s->objects, &o->link);
			s->nobjects++;
			store_once(&p->object, o);
			store_release(&p->handle, o->handle);
			r = (s64)o->handle;
		}
	}
	spin_unlock(&handle_lock);
	return r;
}

// kind may be any number that a service came up with.
static __always_inline const struct place *place_of(u64 handle, u64 kind)
{
	u64 i = handle & HANDLE_INDEX_MASK;

	if (unlikely(!i || i >= TABLE_SIZE || handle >> HANDLE_KIND_SHIFT != kind))
		return nullptr;
	return load_acquire(&table[i].handle) == handle ? &table[i] : nullptr;
}

// Under RCU.
static struct gate_object *object_of(u64 handle, u64 kind)
{
	const struct place *p = place_of(handle, kind);
	struct gate_object *o = p ? load_once(&p->object) : nullptr;

	// The place may have been given to another object after the comparison.
	return o && load_once(&o->handle) == handle ? o : nullptr;
}

struct gate_object *handle_get(u64 handle, u32 kind)
{
	rcu_read_lock();
	struct gate_object *o = object_of(handle, kind);

	if (o && !refcount_inc_not_zero(&o->refs))
		o = nullptr;
	rcu_read_unlock();
	return o;
}

bool handle_owned(const struct service *s, u64 handle, u32 kind)
{
	rcu_read_lock();
	const struct gate_object *o = object_of(handle, kind);
	bool owned = o && o->owner == s;

	rcu_read_unlock();
	return owned;
}

struct gate_object *handle_get_owned(const struct service *owner, u64 handle, u32 kind)
{
	struct gate_object *o = handle_get(handle, kind);

	if (o && o->owner != owner) {
		gate_object_put(o);
		o = nullptr;
	}
	return o;
}

struct service *service_of_handle(u64 self)
{
	struct gate_object *o = handle_get(self, HANDLE_SERVICE);
	struct service *s = o ? o->owner : nullptr;

	if (o)
		gate_object_put(o);
	return s;
}

// Out of the table. The handle's reference is the caller's now.
static void withdraw_locked(struct gate_object *o)
{
	u32 i = (u32)(o->handle & HANDLE_INDEX_MASK);

	store_release(&table[i].handle, 0ull);
	store_once(&table[i].object, nullptr);
	table[i].next_free = first_free;
	first_free = i;
	list_del_init(&o->link);
	o->owner->nobjects--;
}

static void finish(struct gate_object *o)
{
	if (o->ops->detach)
		o->ops->detach(o);
	gate_object_put(o);
}

int handle_close(struct service *owner, u64 handle)
{
	u64 kind = handle >> HANDLE_KIND_SHIFT;
	struct gate_object *o = nullptr;

	if (kind == HANDLE_SERVICE || kind == HANDLE_DEVICE || kind == HANDLE_SCAN)
		return -EINVAL;
	spin_lock(&handle_lock);
	const struct place *p = place_of(handle, kind);

	if (p && p->object->owner == owner) {
		o = p->object;
		withdraw_locked(o);
	}
	spin_unlock(&handle_lock);
	if (!o)
		return -EBADF;
	finish(o);
	return 0;
}

void handle_close_object(struct gate_object *o)
{
	spin_lock(&handle_lock);
	bool there = !list_empty(&o->link);

	if (there)
		withdraw_locked(o);
	spin_unlock(&handle_lock);
	if (there)
		finish(o);
}

// The newest first, as they may depend on older ones; or the newest event. nullptr: none is left.
static struct gate_object *newest_locked(struct service *s, bool event)
{
	for (struct list *l = s->objects.prev; l != &s->objects; l = l->prev) {
		struct gate_object *o = list_entry(l, struct gate_object, link);

		if (!event || o->kind == HANDLE_EVENT)
			return o;
	}
	return nullptr;
}

void handle_close_all(struct service *s)
{
	// Events before all else: a thread that sleeps in the service may hold a provider's lock,
	// which the end of a registration waits for.
	for (bool event = true;;) {
		spin_lock(&handle_lock);
		struct gate_object *o = newest_locked(s, event);

		if (o)
			withdraw_locked(o);
		spin_unlock(&handle_lock);
		if (o)
			finish(o);
		else if (event)
			event = false;
		else
			return;
	}
}

static void free_late(struct rcu_head *h)
{
	kfree(container_of(h, struct gate_object, rcu));
}

void gate_object_free(struct gate_object *o)
{
	rcu_call(&o->rcu, free_late);
}

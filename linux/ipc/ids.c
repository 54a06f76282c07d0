// SPDX-License-Identifier: MIT
// ids.c: System V IPC: tables of ids and keys, and who may do what. Privileged.
//
// Three kinds (shm.c, sem.c, msg.c) have a table each. An object is made by *get, found by its key
// or its id, and lives until it is removed, whatever becomes of the process that made it; shared
// memory that is removed while it is attached lives until the last detachment.
//
// An id is a place in the table and a sequence number above it, which goes up when places are used
// again: an old id does not lead to a new object.
//
// Locks: the table's mutex guards the table, every object's rights, and what each kind says. It
// lies inside the lock of an address space, because unmapping may end a segment. Sets of semaphores
// and queues of messages have a mutex of their own inside it, and a count, so that callers sleep
// without the table's. What programs give is copied before locks are taken. Every limit stands in
// /proc/sys/kernel.
#include "core/init.h"
#include "core/page.h"
#include "linux/ipc/ipc_priv.h"
#include "linux/fs.h"

constexpr u32 SEQ_MAX = INT32_MAX / IPC_IDS_MAX;

s64 ipc_now(void)
{
	return fs_time_now().sec;
}

// ---- places ----

struct ipc_object *ipc_at(struct ipc_ids *ids, u64 index)
{
	if (index >= IPC_IDS_MAX)
		return nullptr;
	struct ipc_object **chunk = load_acquire(&ids->chunks[index / IPC_CHUNK]);
	return chunk ? load_acquire(&chunk[index % IPC_CHUNK]) : nullptr;
}

struct ipc_object *ipc_find(struct ipc_ids *ids, s32 id)
{
	struct ipc_object *o = id < 0 ? nullptr : ipc_at(ids, (u32)id % IPC_IDS_MAX);
	return o && o->id == id ? o : err_ptr(-EINVAL);
}

long ipc_max_index(struct ipc_ids *ids)
{
	for (long i = IPC_IDS_MAX - 1; i > 0; i--) {
		if (!ids->chunks[i / IPC_CHUNK])
			i &= ~(long)(IPC_CHUNK - 1);
		else if (ipc_at(ids, (u64)i))
			return i;
	}
	return 0;
}

// The lowest free place; -ENOMEM.
static int place_find(struct ipc_ids *ids)
{
	for (u32 c = 0; c < IPC_IDS_MAX / IPC_CHUNK; c++) {
		if (ids->chunk_used[c] == IPC_CHUNK)
			continue;
		if (!ids->chunks[c])
			store_release(&ids->chunks[c],
				      kcalloc(IPC_CHUNK, sizeof(struct ipc_object *)));
		if (!ids->chunks[c])
			return -ENOMEM;
		u32 i = 0;
		while (ids->chunks[c][i])
			i++;
		return (int)(c * IPC_CHUNK + i);
	}
	return -ENOSPC;
}

// Pieces of the table stay once they are there, for readers under RCU.
static void place_set(struct ipc_ids *ids, u32 index, struct ipc_object *o)
{
	u32 c = index / IPC_CHUNK;
	store_release(&ids->chunks[c][index % IPC_CHUNK], o);
	ids->chunk_used[c] += o ? 1u : ~0u;
	ids->used += o ? 1u : ~0u;
}

// ---- keys ----

static bool by_key(const struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, const struct ipc_object, by_key)->key <
	       rb_entry(b, const struct ipc_object, by_key)->key;
}

static struct ipc_object *key_find(struct ipc_ids *ids, s32 key)
{
	struct rb_node *at = ids->keys.node;
	while (at) {
		struct ipc_object *o = rb_entry(at, struct ipc_object, by_key);
		if (o->key == key)
			return o;
		at = key < o->key ? at->left : at->right;
	}
	return nullptr;
}

void ipc_hide(struct ipc_ids *ids, struct ipc_object *o)
{
	if (o->key == IPC_PRIVATE)
		return;
	rb_erase(&o->by_key, &ids->keys);
	o->key = IPC_PRIVATE;
}

void ipc_remove(struct ipc_ids *ids, struct ipc_object *o)
{
	ipc_hide(ids, o);
	place_set(ids, (u32)o->id % IPC_IDS_MAX, nullptr);
}

// ---- making and finding ----

static int ipc_add(struct ipc_ids *ids, struct ipc_object *o, s32 key, u32 flags)
{
	const struct cred *c = current_cred();
	int index = place_find(ids);
	if (index < 0)
		return index;
	if (index <= ids->last_index)
		ids->seq = ids->seq < SEQ_MAX - 1 ? ids->seq + 1 : 0;
	ids->last_index = index;
	o->id = (s32)(ids->seq * IPC_IDS_MAX) + index;
	o->seq = ids->seq;
	o->key = key;
	o->uid = o->cuid = c->euid;
	o->gid = o->cgid = c->egid;
	o->mode = flags & 0777;
	refcount_set(&o->refs, 1);
	place_set(ids, (u32)index, o);
	if (key != IPC_PRIVATE)
		rb_add(&o->by_key, &ids->keys, by_key);
	return o->id;
}

static long make_locked(const struct ipc_kind *k, s32 key, u32 flags, const void *args)
{
	struct ipc_object *o = k->make(args, key, flags);
	if (is_err(o))
		return ptr_err(o);
	int r = k->ids->used >= load_once(k->limit) ? -ENOSPC : ipc_add(k->ids, o, key, flags);
	if (r < 0)
		k->unmake(o);
	else if (k->made)
		k->made(o);
	return r;
}

static long get_locked(const struct ipc_kind *k, s32 key, u32 flags, const void *args)
{
	struct ipc_object *o = key == IPC_PRIVATE ? nullptr : key_find(k->ids, key);
	if (!o)
		return key == IPC_PRIVATE || (flags & IPC_CREAT) ? make_locked(k, key, flags, args)
								 : -ENOENT;
	if ((flags & IPC_CREAT) && (flags & IPC_EXCL))
		return -EEXIST;
	int r = k->check(o, args);
	if (!r)
		r = ipc_permit(o, flags);
	return r ? r : o->id;
}

long ipc_get(const struct ipc_kind *k, s32 key, u32 flags, const void *args)
{
	mutex_lock(&k->ids->lock);
	long r = get_locked(k, key, flags, args);
	mutex_unlock(&k->ids->lock);
	return r;
}

struct ipc_object *ipc_get_counted(struct ipc_ids *ids, s32 id, u32 rights)
{
	rcu_read_lock();
	struct ipc_object *o = ipc_find(ids, id);
	int r = is_err(o) ? ptr_err(o) : ipc_permit(o, rights);
	if (!r && !refcount_inc_not_zero(&o->refs))
		r = -EIDRM;
	rcu_read_unlock();
	return r ? err_ptr(r) : o;
}

static void object_free(struct rcu_head *h)
{
	kfree(container_of(h, struct ipc_object, rcu));
}

void ipc_put(struct ipc_object *o)
{
	if (refcount_dec_and_test(&o->refs))
		rcu_call(&o->rcu, object_free);
}

struct ipc_object *ipc_find_stat(struct ipc_ids *ids, s32 id, bool by_index, bool any)
{
	struct ipc_object *o;
	if (by_index) {
		o = id < 0 ? nullptr : ipc_at(ids, (u32)id % IPC_IDS_MAX);
		if (!o)
			return err_ptr(-EINVAL);
	} else {
		o = ipc_find(ids, id);
		if (is_err(o))
			return o;
	}
	return !any && ipc_permit(o, 0444) ? err_ptr(-EACCES) : o;
}

// ---- rights ----

int ipc_permit(const struct ipc_object *o, u32 flags)
{
	const struct cred *c = current_cred();
	u32 wanted = (flags >> 6 | flags >> 3 | flags) & 7, granted = o->mode;
	if (c->euid == o->cuid || c->euid == o->uid)
		granted >>= 6;
	else if (cred_in_egroup(c, o->cgid) || cred_in_egroup(c, o->gid))
		granted >>= 3;
	return (wanted & ~granted & 7) && !capable(CAP_IPC_OWNER) ? -EACCES : 0;
}

int ipc_owner(const struct ipc_object *o)
{
	u32 euid = current_cred()->euid;
	return euid == o->cuid || euid == o->uid || capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
}

int ipc_set(struct ipc_object *o, const struct ipc64_perm *p)
{
	if (p->uid == UINT32_MAX || p->gid == UINT32_MAX)
		return -EINVAL;
	o->uid = p->uid;
	o->gid = p->gid;
	o->mode = (o->mode & ~0777u) | (p->mode & 0777);
	return 0;
}

void ipc_perm_fill(const struct ipc_object *o, struct ipc64_perm *p)
{
	*p = (struct ipc64_perm){.key = o->key,
				 .uid = o->uid,
				 .gid = o->gid,
				 .cuid = o->cuid,
				 .cgid = o->cgid,
				 .mode = o->mode,
				 .seq = (u16)o->seq};
}

// ---- memory of messages ----

static atomic_u64 message_bytes;
static u64 message_bytes_max; // immutable after init

void *ipc_message_alloc(u64 bytes)
{
	void *m = nullptr;
	if (atomic_add_return(&message_bytes, bytes) <= message_bytes_max)
		m = kmalloc(bytes);
	if (!m)
		atomic_sub(&message_bytes, bytes);
	return m;
}

void ipc_message_free(void *m, u64 bytes)
{
	kfree(m);
	atomic_sub(&message_bytes, bytes);
}

static void ids_init(void)
{
	message_bytes_max = page_managed_count() * PAGE_SIZE / 16;
}
INITCALL(3, ids_init);

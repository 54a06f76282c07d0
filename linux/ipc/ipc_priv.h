// SPDX-License-Identifier: MIT
// What the three kinds of System V IPC share: tables of ids, rights. Private to linux/ipc.
#pragma once
#include "abi/linux/ipc.h"
#include "base/err.h"
#include "base/rbtree.h"
#include "core/lock.h"
#include "core/rcu.h"
#include "core/slab.h"
#include "core/uaccess.h"
#include "core/wait.h"
#include "linux/cred.h"
#include "linux/ipc.h"
#include "linux/syscalls.h"
#include "linux/task.h"

constexpr u32 IPC_CHUNK = 256; // ids of one piece of a table

// First in each kind's struct. The table's lock guards changes; id and rights are also read under
// RCU.
struct ipc_object {
	refcount_t refs; // sets and queues: the table, and callers at work
	struct rcu_head rcu;
	s32 id;
	s32 key; // IPC_PRIVATE: cannot be found
	u32 uid, gid, cuid, cgid, mode, seq;
	struct rb_node by_key;
};

struct ipc_ids {
	mutex_t lock; // LOCK_sysv_ids: everything in here, and every ipc_object
	u32 used;
	s32 last_index; // of the id made last; -1: none
	u32 seq;
	u32 chunk_used[IPC_IDS_MAX / IPC_CHUNK];
	struct ipc_object **chunks[IPC_IDS_MAX / IPC_CHUNK];
	struct rb_root keys;
};
#define IPC_IDS_INIT(name) \
	((struct ipc_ids){.lock = MUTEX_INIT((name).lock, LOCK_sysv_ids), .last_index = -1})

struct ipc_kind {
	struct ipc_ids *ids;
	const u32 *limit; // of ids
	// A new object, zeroed but for its own part, not in the table: or err_ptr. Lock held.
	struct ipc_object *(*make)(const void *args, s32 key, u32 flags);
	void (*unmake)(struct ipc_object *o); // when it gets no id. Lock held
	void (*made)(struct ipc_object *o);   // when it has one; may be nullptr. Lock held
	int (*check)(struct ipc_object *o, const void *args); // may args get this one?
};

// shmget, semget, msgget: the id or an error.
long ipc_get(const struct ipc_kind *k, s32 key, u32 flags, const void *args);
// A set or a queue, counted: -EINVAL, -EACCES. Without the table's lock; ipc_put frees it after the
// last use and a grace period.
struct ipc_object *ipc_get_counted(struct ipc_ids *ids, s32 id, u32 rights);
void ipc_put(struct ipc_object *o);
// With the table's lock held.
struct ipc_object *ipc_find(struct ipc_ids *ids, s32 id);  // -EINVAL
struct ipc_object *ipc_at(struct ipc_ids *ids, u64 index); // nullptr
long ipc_max_index(struct ipc_ids *ids);		   // 0 when there is none
void ipc_remove(struct ipc_ids *ids, struct ipc_object *o);
void ipc_hide(struct ipc_ids *ids, struct ipc_object *o); // no longer found by its key
int ipc_permit(const struct ipc_object *o, u32 flags);	  // rights in any of the triples; -EACCES
int ipc_owner(const struct ipc_object *o);		  // may change or remove it; -EPERM
int ipc_set(struct ipc_object *o, const struct ipc64_perm *p); // IPC_SET
void ipc_perm_fill(const struct ipc_object *o, struct ipc64_perm *p);
// IPC_STAT, *_STAT and *_STAT_ANY (any): finds by id or by index, and checks.
struct ipc_object *ipc_find_stat(struct ipc_ids *ids, s32 id, bool by_index, bool any);

s64 ipc_now(void); // seconds

// Memory for a message of any kind of queue: all together may fill a sixteenth of the machine's.
// nullptr: they have, or there is none. bytes: of the whole allocation, both times.
[[nodiscard]] void *ipc_message_alloc(u64 bytes);
void ipc_message_free(void *m, u64 bytes);

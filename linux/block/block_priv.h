// SPDX-License-Identifier: MIT
// What the files of linux/block/ share.
#pragma once
#include "core/gate.h"
#include "core/panic.h"
#include "core/slab.h"
#include "core/thread.h"
#include "linux/block.h"
#include "linux/file.h"
#include "linux/vm.h"

constexpr u32 MINORS = 16; // of a disk: itself and 15 partitions

// ---- disk.c ----
enum disk_state : u32 {
	DISK_WAITING, // its service is away, and will be back: requests wait
	DISK_READY,
	DISK_GONE, // its service stays away: requests fail
};

struct disk_queue {
	struct disk *disk; // immutable
	u32 index;	   // immutable
	mutex_t lock;	   // LOCK_block_queue: calls of this queue into the service, and:
	bool bound;	   // the service takes requests
	u32 tail;
	spinlock_t slots_lock; // LOCK_block_slots
	struct list pending;   // requests that have no slot; slots_lock, as all that follows
	u64 free[BLOCK_DEPTH_MAX / 64];
	struct block_request *in_flight[BLOCK_DEPTH_MAX];
	u32 nin_flight;
	u32 life;		  // of the registration that the slots belong to
	struct block_slot *slots; // core's address of what the service sees; nullptr: none
	u16 *order;
	u64 slots_address, order_address; // the service's
	u64 next_order;
	u32 fired;		   // atomic: the interrupt came since the last poll
	struct wait_queue pollers; // threads that wait for a request of theirs, and poll meanwhile
	struct wait_queue idle;	   // the queue's thread
};

struct disk {
	struct list link; // disks_lock
	char name[8];
	spinlock_t serial_lock;	    // LOCK_block_serial
	char serial[DISK_SERIAL];   // serial_lock
	u32 index;		    // of its prefix; immutable
	char prefix[8];		    // immutable
	u64 identity;		    // of the device; immutable
	struct service *service;    // immutable
	enum disk_state state;	    // disks_lock; read atomically
	u64 sectors;		    // disks_lock; read atomically
	struct block_limits limits; // changes while no queue is bound
	u32 nqueues, depth;	    // immutable
	u32 lives;		    // registrations so far; disks_lock
	struct gate_port port;	    // the queues' locks
	struct disk_queue *queues;
	mutex_t partitions_lock; // LOCK_block_partitions
	struct bdev *
		bdevs[MINORS]; // [0]: the whole; made once, never freed; partitions_lock for making
	bool scanned;
	struct io_account account;
};
void disk_interrupt(struct disk *d, u32 queue);
struct disk *disk_next(struct disk *after); // nullptr: first

// ---- account.c ----
void account_begin(struct io_account *a, u64 now_ns);
void account_end(struct io_account *a, const struct block_request *r, u64 now_ns);

// ---- partition.c ----
void partitions_scan_later(struct disk *d);
void bdevs_note_change(const struct block_request *r); // a request that wrote is finished; any lock
struct bdev *bdev_make(struct disk *d, u32 partition); // partitions_lock held; nullptr: no memory

// ---- cache.c, writeback.c ----
extern const struct file_ops bdev_file_ops;
int cache_create(struct bdev *b); // 0 or -ENOMEM
void cache_invalidate(struct bdev *b, u64 first_page,
		      u64 last_page); // drops clean pages; callers wrote the dirty ones

// SPDX-License-Identifier: MIT
// Block devices: disks that services drive, their partitions, requests to them, and their files.
// Privileged. linux/block/disk.c says how requests travel.
#pragma once
#include "abi/gate/block.h"
#include "abi/gate/partition.h"
#include "base/atomic.h"
#include "base/list.h"
#include "core/lock.h"
#include "core/wait.h"

struct disk;
struct service;

// ---- requests ----

struct block_vec {
	phys_t at;
	u32 len; // bytes, a multiple of the disk's logical block
};

struct block_request {
	// the caller's
	enum block_op op;
	u32 nvec; // reads and writes: up to the disk's limit
	u32 nsectors;
	u64 sector; // of 512 bytes, on the disk
	const struct block_vec *vec;
	struct bdev *bdev; // whom to account it to besides the disk; may be nullptr
	// Finished: status is set. In the thread that found out, with a queue's lock held: may take
	// spinlocks, wake, queue work; may free r. Not called by disk_execute.
	void (*done)(struct block_request *r);
	int status; // 0 or a negative errno
	// disk.c's
	struct disk *disk;
	struct list link;
	struct thread *waiter;
	bool complete;
	u8 tries;
	u16 queue, tag;
	u64 order, started_ns;
};

// Starts a request; r and its vector stay in use until done. May sleep. The request's memory must
// stay where it is; its contents may change only before, or by the device.
void disk_submit(struct disk *d, struct block_request *r);
// The same, and waits: the status.
int disk_execute(struct disk *d, struct block_request *r);
// Empties the disk's own cache, if it has one: 0 or -EIO.
int disk_flush(struct disk *d);

// ---- disks ----

struct block_limits {
	u32 segments;	 // of one request
	u32 max_sectors; // of one read or write
	u32 max_discard_sectors, max_write_zeroes_sectors;
	u32 logical_block, physical_block; // bytes
	u32 flags;			   // enum block_flags
};

enum account_kind : u32 {
	ACCOUNT_READ,
	ACCOUNT_WRITE,
	ACCOUNT_DISCARD,
	ACCOUNT_FLUSH,
	ACCOUNT_KINDS,
};
struct io_account { // account.c's; all of it atomic
	atomic_u64 count[ACCOUNT_KINDS], sectors[ACCOUNT_KINDS], ns[ACCOUNT_KINDS];
	u64 busy; // requests under way, and since when there are any
	atomic_u64 busy_us;
};
struct disk_stats {
	u64 count[ACCOUNT_KINDS], sectors[ACCOUNT_KINDS], ms[ACCOUNT_KINDS];
	u64 busy_ms; // in which requests were under way
	u32 in_flight;
};

// A disk or a partition, as a file names it. Lives as long as the kernel; a partition that is no
// more has no sectors.
struct bdev {
	struct disk *disk;
	char name[16]; // "vda1"
	u32 major, minor;
	u32 partition; // 0: the whole disk
	u64 start,
		sectors; // of 512 bytes; change under the disk's partitions_lock, read atomically
	u8 uuid[16];
	char label[72];
	void *cache;		   // cache.c's
	bool named;		   // has a file in /dev; partitions_lock
	u32 opens;		   // partitions_lock
	bool stale;		   // its sectors were changed through another bdev; atomic
	struct io_account account; // of a partition; the whole disk's is the disk's
};

const struct block_limits *disk_limits(const struct disk *d);
const char *disk_name(const struct disk *d);
constexpr u32 DISK_SERIAL = 24;				 // bytes, the terminating zero included
void disk_serial(struct disk *d, char out[DISK_SERIAL]); // empty: not known
void bdev_stats_read(struct bdev *b, struct disk_stats *out);
// Every disk and its partitions, in order; nullptr: the first, or after the last.
struct bdev *bdev_next(struct bdev *after);
struct bdev *bdev_find(u32 major, u32 minor); // nullptr
// Reads the partition table again: 0; -EBUSY: a partition is open; -EIO; -ENODEV: nobody
// understands tables now.
int disk_rescan(struct disk *d);

// ---- cached access ----

u64 block_cache_pages(void);	   // in memory
u64 block_cache_clean_pages(void); // of those, that can be dropped
u64 block_cache_dirty_pages(void); // that wait to be written
u64 block_cache_writeback_pages(void);
// Drops up to n clean pages that nobody uses: how many. May sleep; no lock held.
u64 block_cache_shrink(u64 n);
void block_cache_drop(void);   // all clean pages
int block_sync_all(bool wait); // writes every dirty page of every device

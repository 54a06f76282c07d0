// SPDX-License-Identifier: MIT
// The class interface of block devices: what a disk's driver and the block layer owe each other.
//
// A driver registers a disk (gate_block_register) with a number of queues. Each queue has `depth`
// slots, in memory that the service can read and core writes: a slot holds one request, its index
// is the request's tag. Core describes requests in free slots, writes their tags behind one another
// into the queue's order ring, and calls submit(); the driver starts them and may have all in
// flight at once. When the device has finished some, the driver tells by gate_block_complete().
//
// Data. A request names its memory by bus addresses, for the device. A driver that moves data by
// the CPU itself (a RAM disk) asks for gate_block_map(), and gets the request's pages mapped until
// the request completes; it sets BLOCK_CPU_DATA.
//
// Concurrency. Of each queue at most one call (submit or poll) is in the driver at a time; calls of
// different queues run in parallel. So what belongs to one queue needs no lock.
//
// Faults. Requests that were in flight when the service died are submitted again to its successor,
// all but those whose time is up; the callers above notice nothing but the delay. So a driver must
// make sure, before it registers, that the device has dropped what an earlier instance gave it, and
// say so by gate_device_quiet().
#pragma once
#include "base/types.h"

enum block_op : u8 {
	BLOCK_READ,
	BLOCK_WRITE,
	BLOCK_FLUSH,	    // everything that completed before it is on stable storage
	BLOCK_DISCARD,	    // nsectors from sector on need no longer be kept
	BLOCK_WRITE_ZEROES, // nsectors from sector on read as zeroes
};

constexpr u32 BLOCK_SECTOR = 512; // bytes of a sector, in all sector numbers here
constexpr u32 BLOCK_SEGMENTS = 30;
constexpr u32 BLOCK_QUEUES_MAX = 64;
constexpr u32 BLOCK_DEPTH_MAX = 256;

struct block_segment {
	u64 bus_address;
	u32 len; // bytes, a multiple of BLOCK_SECTOR
	u32 unused;
};

struct block_slot {
	enum block_op op;
	u8 nsegments; // reads and writes
	u16 unused;
	u32 nsectors;
	u64 sector;
	struct block_segment segment[BLOCK_SEGMENTS];
};
static_assert(sizeof(struct block_slot) == 16 + 16 * BLOCK_SEGMENTS);

enum block_flags : u32 {
	BLOCK_READ_ONLY = 1 << 0,
	BLOCK_HAS_FLUSH = 1 << 1, // has a cache of its own that flush empties
	BLOCK_HAS_DISCARD = 1 << 2,
	BLOCK_HAS_WRITE_ZEROES = 1 << 3,
	BLOCK_CPU_DATA = 1 << 4, // uses gate_block_map
};

struct block_params {
	char prefix[8];	 // "vd": the disk becomes /dev/vda or the next free letter
	char serial[24]; // as the device tells it, or empty: gate_block_serial may tell it later
	u64 sectors;
	u32 flags;	    // enum block_flags
	u32 logical_block;  // bytes: 512 to 4096, a power of two
	u32 physical_block; // bytes: at least logical_block, a power of two
	u32 queues;	    // 1 to BLOCK_QUEUES_MAX
	u32 depth;	    // requests in flight in a queue: a power of two, up to BLOCK_DEPTH_MAX
	u32 segments;	    // of one request: 1 to BLOCK_SEGMENTS
	u32 max_sectors;    // of one read or write
	u32 max_discard_sectors;      // of one discard; 0: none
	u32 max_write_zeroes_sectors; // likewise
	u64 cookie;		      // first argument of the functions below
};

// Where a queue lies in the service's memory: gate_block_queue().
struct block_queue_info {
	u64 slots; // address of struct block_slot[depth]; read-only
	u64 order; // address of u16[depth]: tags in the order of submission; read-only
	u32 depth;
	u32 unused;
};

struct block_ops {
	// Starts what lies between the last tail and this one in the order ring. tail counts all
	// requests ever: entry number n is order[n % depth]. 0, or an error that counts as a fault
	// of the service.
	int (*submit)(u64 cookie, u32 queue, u32 tail);
	// The queue's interrupt came, or somebody wants to know: completes what is finished.
	int (*poll)(u64 cookie, u32 queue);
};

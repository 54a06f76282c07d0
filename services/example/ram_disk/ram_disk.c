// SPDX-License-Identifier: MIT
// ram_disk.c: a disk in memory, /dev/rama: the example of a service.
//
// It shows how any service is built. start() prepares everything and registers the functions that
// core calls from then on, here those of abi/gate/block.h; SERVICE() at the end presents it. What
// it wants of core it gets by the calls of abi/gate/calls.def. Nothing here knows whether it runs
// privileged, lowered or isolated: that is said at boot, by `service.ram_disk=lowered`.
//
// The memory is the service's own, so what the disk holds is lost when the service ends or
// restarts. The disk stays: core submits what was under way again, to a disk of zeroes.
#include "services/lib/service.h"
#include "abi/gate/block.h"
#include "base/string.h"

constexpr u64 DISK_BYTES = 8 * MiB;
constexpr u32 DEPTH = 16; // requests that core may submit at once

static u8 *memory;		       // [DISK_BYTES]
static u64 disk;		       // the handle that core gave us for it
static const struct block_slot *slots; // [DEPTH]: where core describes requests
static const u16 *order;	       // [DEPTH]: a ring of the slots that it submitted
static u32 head;		       // entries of the ring that were carried out, ever

// Carries out the request in a slot: 0 or a negative errno.
static s32 carry_out(u32 tag)
{
	const struct block_slot *slot = &slots[tag];
	u64 at = slot->sector * BLOCK_SECTOR, len = (u64)slot->nsectors * BLOCK_SECTOR;

	if (slot->op != BLOCK_READ && slot->op != BLOCK_WRITE)
		return -EOPNOTSUPP;
	if (at > DISK_BYTES || len > DISK_BYTES - at)
		return -EIO;
	s64 data = gate_block_map(disk, 0, tag); // the request's memory is ours until it completes

	if (GATE_IS_ERROR(data))
		return (s32)data;
	if (slot->op == BLOCK_READ)
		memcpy((void *)data, memory + at, len);
	else
		memcpy(memory + at, (const void *)data, len);
	return 0;
}

// Core put slots into the ring, up to entry number tail. There is one call at a time for a queue,
// so nothing needs a lock.
static int submit(u64 cookie, u32 queue, u32 tail)
{
	(void)cookie;
	for (; head != tail; head++) {
		u32 tag = order[head % DEPTH];

		(void)gate_block_complete(disk, queue, tag, carry_out(tag));
	}
	return 0;
}

// For devices with interrupts; here all is done when submit() returns.
static int poll(u64 cookie, u32 queue)
{
	(void)cookie, (void)queue;
	return 0;
}

static int start(u64 self)
{
	static const struct block_ops ops = {.submit = submit, .poll = poll};
	struct block_params params = {
		.prefix = "ram",
		.sectors = DISK_BYTES / BLOCK_SECTOR,
		.flags = BLOCK_CPU_DATA, // we use gate_block_map()
		.logical_block = 4096,	 // whole pages, so that it can map them
		.physical_block = 4096,
		.queues = 1,
		.depth = DEPTH,
		.segments = BLOCK_SEGMENTS,
		.max_sectors = 1024,
	};
	struct block_queue_info info;

	service_self = self; // for services/lib/
	s64 r = gate_memory_alloc(self, DISK_BYTES, 0);

	if (GATE_IS_ERROR(r))
		return (int)r;
	memory = (u8 *)r;
	r = gate_block_register(self, 0, &params, &ops);
	if (r < 0)
		return (int)r;
	disk = (u64)r;
	r = gate_block_queue(disk, 0, &info);
	if (r < 0)
		return (int)r;
	slots = (const struct block_slot *)info.slots;
	order = (const u16 *)info.order;
	return gate_block_ready(disk); // from here on submit() is called
}

SERVICE(ram_disk, "a disk in memory, as an example", .provides = GATE_BLOCK, .ops.start = start);

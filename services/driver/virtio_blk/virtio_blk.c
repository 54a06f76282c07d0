// SPDX-License-Identifier: MIT
// virtio_blk.c: disks of hypervisors (virtio 1.2, 5.2): /dev/vda and its kin.
//
// Each of core's queues is one virtqueue with an MSI-X entry of its own. A request's tag is its
// descriptor's number: that descriptor always points to the tag's own indirect table, in which
// stand a header, the data's segments, and a byte for the status. So a submission fills in the
// table and one entry of the available ring, and nothing has to be searched for. Core gets half of
// the descriptors; the one behind them is for a request of our own, which asks for the disk's
// serial number.
//
// What belongs to a queue is touched by one thread at a time (abi/gate/block.h), so there are no
// locks.
#include "services/lib/virtio.h"
#include "abi/gate/block.h"
#include "base/string.h"

constexpr u64 F_SIZE_MAX = 1 << 1, F_SEG_MAX = 1 << 2, F_RO = 1 << 5, F_BLK_SIZE = 1 << 6,
	      F_FLUSH = 1 << 9, F_TOPOLOGY = 1 << 10, F_MQ = 1 << 12, F_DISCARD = 1 << 13,
	      F_WRITE_ZEROES = 1 << 14;
enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPPORTED = 2, S_PENDING = 0xff };
// 5.2.4 configuration
enum {
	CONFIG_CAPACITY = 0,
	CONFIG_SIZE_MAX = 8,
	CONFIG_SEG_MAX = 12,
	CONFIG_BLK_SIZE = 20,
	CONFIG_PHYSICAL_EXP = 24,
	CONFIG_NUM_QUEUES = 34,
	CONFIG_MAX_DISCARD = 36,
	CONFIG_MAX_WRITE_ZEROES = 48,
};
constexpr u32 DEPTH_MAX = 128, ID_BYTES = 20, DISKS_MAX = 16;

// The part of a tag that the device reads and writes, but for its data.
struct request {
	struct {
		u32 type, reserved;
		u64 sector;
	} header;
	struct { // 5.2.6.4
		u64 sector;
		u32 nsectors, flags;
	} range;
	u8 status;
	u8 id[ID_BYTES];
	u8 unused[11];
	struct virtq_desc table[BLOCK_SEGMENTS + 2];
};
static_assert(sizeof(struct request) == 576);

struct queue {
	struct virtq vq;
	struct request *requests; // [depth + 1]
	u64 requests_bus;
	const struct block_slot *slots;
	const u16 *order;
	u32 head; // of the order ring: what was started
};

struct disk {
	struct virtio virtio;
	u64 handle; // HANDLE_BLOCK
	u32 nqueues, depth, size_max;
	struct queue queues[BLOCK_QUEUES_MAX];
};
static struct disk *disks[DISKS_MAX];
static u32 ndisks;

// ---- requests ----

static u64 request_bus(const struct queue *q, u32 tag)
{
	return q->requests_bus + tag * sizeof(struct request);
}

static struct virtq_desc desc(u64 addr, u32 len, u16 flags, u16 next)
{
	return (struct virtq_desc){.addr = addr, .len = len, .flags = flags, .next = next};
}

// Fills in the table of a request: how many entries.
static u32 table_fill(struct queue *q, u32 tag, const struct block_slot *slot)
{
	struct request *r = &q->requests[tag];
	u64 bus = request_bus(q, tag);
	u16 n = 1;

	r->header.sector = 0;
	switch (slot->op) {
	case BLOCK_READ:
	case BLOCK_WRITE:
		r->header.type = slot->op == BLOCK_READ ? T_IN : T_OUT;
		r->header.sector = slot->sector;
		for (u32 i = 0; i < slot->nsegments && i < BLOCK_SEGMENTS; i++, n++)
			r->table[n] = desc(slot->segment[i].bus_address, slot->segment[i].len,
					   VIRTQ_NEXT | (slot->op == BLOCK_READ ? VIRTQ_WRITE : 0),
					   n + 1);
		break;
	case BLOCK_FLUSH:
		r->header.type = T_FLUSH;
		break;
	case BLOCK_DISCARD:
	case BLOCK_WRITE_ZEROES:
		r->header.type = slot->op == BLOCK_DISCARD ? T_DISCARD : T_WRITE_ZEROES;
		r->range.sector = slot->sector;
		r->range.nsectors = slot->nsectors;
		r->range.flags = 0;
		r->table[n] = desc(bus + offsetof(struct request, range), sizeof(r->range),
				   VIRTQ_NEXT, n + 1);
		n++;
		break;
	}
	r->status = S_PENDING;
	r->table[n] = desc(bus + offsetof(struct request, status), 1, VIRTQ_WRITE, 0);
	return n + 1u;
}

static void start(struct queue *q, u32 tag, u32 entries)
{
	q->vq.desc[tag].len = entries * (u32)sizeof(struct virtq_desc);
	virtq_add(&q->vq, (u16)tag);
}

static int submit(u64 cookie, u32 queue, u32 tail)
{
	struct queue *q = &disks[cookie]->queues[queue];

	for (; q->head != tail; q->head++) {
		u32 tag = q->order[q->head & (disks[cookie]->depth - 1)];

		start(q, tag, table_fill(q, tag, &q->slots[tag]));
	}
	if (virtq_publish(&q->vq))
		virtq_kick(&q->vq);
	return 0;
}

static int status_errno(u8 status)
{
	return status == S_OK ? 0 : status == S_UNSUPPORTED ? -EOPNOTSUPP : -EIO;
}

// Asks for the serial number; the answer comes to poll.
static void id_request(struct disk *d)
{
	struct queue *q = &d->queues[0];
	struct request *r = &q->requests[d->depth];
	u64 bus = request_bus(q, d->depth);

	r->header.type = T_GET_ID;
	r->table[1] =
		desc(bus + offsetof(struct request, id), ID_BYTES, VIRTQ_NEXT | VIRTQ_WRITE, 2);
	r->table[2] = desc(bus + offsetof(struct request, status), 1, VIRTQ_WRITE, 0);
	r->status = S_PENDING;
	start(q, d->depth, 3);
	if (virtq_publish(&q->vq))
		virtq_kick(&q->vq);
}

static int poll(u64 cookie, u32 queue)
{
	struct disk *d = disks[cookie];
	struct queue *q = &d->queues[queue];
	struct virtq_used_elem e;

	while (virtq_next_used(&q->vq, &e)) {
		if (e.id < d->depth)
			(void)gate_block_complete(d->handle, queue, e.id,
						  status_errno(q->requests[e.id].status));
		else if (e.id > d->depth || queue)
			service_log(SERVICE_ERR,
				    "the device completed request %u, which does not exist", e.id);
		else if (q->requests[e.id].status == S_OK)
			(void)gate_block_serial(d->handle, q->requests[e.id].id, ID_BYTES);
	}
	return 0;
}

// ---- setting up ----

static int queue_begin(struct disk *d, u32 i)
{
	struct queue *q = &d->queues[i];
	int err = virtio_queue(&d->virtio, i, 2 * DEPTH_MAX, i + 1, &q->vq);

	if (err)
		return err;
	if (!i)
		d->depth = q->vq.size / 2;
	if (!d->depth || q->vq.size != 2 * d->depth)
		return -ENODEV;
	s64 memory = gate_memory_alloc(service_self, (d->depth + 1) * sizeof(struct request),
				       MEMORY_DMA);

	if (GATE_IS_ERROR(memory))
		return (int)memory;
	q->requests = (struct request *)memory;
	q->requests_bus = (u64)gate_memory_bus(service_self, (u64)memory);
	for (u32 tag = 0; tag <= d->depth; tag++) {
		struct request *r = &q->requests[tag];

		r->table[0] = desc(request_bus(q, tag), sizeof(r->header), VIRTQ_NEXT, 1);
		q->vq.desc[tag].addr = request_bus(q, tag) + offsetof(struct request, table);
		q->vq.desc[tag].flags = VIRTQ_INDIRECT;
	}
	return 0;
}

static void params_read(struct disk *d, struct block_params *p)
{
	struct virtio *v = &d->virtio;
	u64 f = v->features;

	*p = (struct block_params){
		.prefix = "vd",
		.sectors = virtio_config(v, CONFIG_CAPACITY, 8),
		.flags = (f & F_RO ? BLOCK_READ_ONLY : 0u) | (f & F_FLUSH ? BLOCK_HAS_FLUSH : 0u) |
			 (f & F_DISCARD ? BLOCK_HAS_DISCARD : 0u) |
			 (f & F_WRITE_ZEROES ? BLOCK_HAS_WRITE_ZEROES : 0u),
		.logical_block = f & F_BLK_SIZE ? (u32)virtio_config(v, CONFIG_BLK_SIZE, 4) : 512,
		.queues = d->nqueues,
		.depth = d->depth,
		.segments = f & F_SEG_MAX
				    ? min((u32)virtio_config(v, CONFIG_SEG_MAX, 4), BLOCK_SEGMENTS)
				    : 1,
		.max_sectors = 8192,
		.max_discard_sectors = (u32)virtio_config(v, CONFIG_MAX_DISCARD, 4),
		.max_write_zeroes_sectors = (u32)virtio_config(v, CONFIG_MAX_WRITE_ZEROES, 4),
	};
	p->physical_block = p->logical_block;
	if (f & F_TOPOLOGY)
		p->physical_block <<= min((u32)virtio_config(v, CONFIG_PHYSICAL_EXP, 1), 8u);
	// no segment may be larger than the device takes; core's are pages and runs of them
	if (f & F_SIZE_MAX)
		p->max_sectors = max((u32)virtio_config(v, CONFIG_SIZE_MAX, 4) / BLOCK_SECTOR, 1u);
}

static int irqs_attach(struct disk *d)
{
	for (u32 i = 0; i < d->nqueues; i++) {
		s64 irq = gate_irq_attach(d->virtio.device, i + 1, d->nqueues > 1 ? i : IRQ_CPU_ANY,
					  d->handle, i);
		if (irq == -EINVAL) // a queue more than there are CPUs
			irq = gate_irq_attach(d->virtio.device, i + 1, IRQ_CPU_ANY, d->handle, i);
		if (irq < 0)
			return (int)irq;
	}
	return 0;
}

static int disk_register(struct disk *d, u32 number)
{
	static const struct block_ops ops = {.submit = submit, .poll = poll};
	struct block_params p;

	params_read(d, &p);
	p.cookie = number;
	s64 handle = gate_block_register(service_self, d->virtio.device, &p, &ops);

	if (handle < 0)
		return (int)handle;
	d->handle = (u64)handle;
	for (u32 i = 0; i < d->nqueues; i++) {
		struct block_queue_info info;

		if (gate_block_queue(d->handle, i, &info))
			break; // core uses fewer
		d->queues[i].slots = (const struct block_slot *)info.slots;
		d->queues[i].order = (const u16 *)info.order;
	}
	int err = irqs_attach(d);

	if (!err)
		id_request(d); // before others' requests: the queue is ours until it is ready
	return err ?: gate_block_ready(d->handle);
}

static int probe(u64 self, u64 device)
{
	constexpr u64 WANTED = F_SIZE_MAX | F_SEG_MAX | F_RO | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY |
			       F_MQ | F_DISCARD | F_WRITE_ZEROES | VIRTIO_F_INDIRECT_DESC;
	struct device_info info;

	service_self = self;
	if (ndisks == DISKS_MAX || gate_device_info(device, &info))
		return -ENODEV;
	s64 memory = gate_memory_alloc(self, sizeof(struct disk), 0);

	if (GATE_IS_ERROR(memory))
		return (int)memory;
	struct disk *d = (struct disk *)memory;
	int err = virtio_begin(&d->virtio, device, WANTED);

	if (err)
		return err;
	if (!(d->virtio.features & VIRTIO_F_INDIRECT_DESC)) {
		service_log(SERVICE_ERR, "the device has no indirect descriptors");
		return -ENODEV;
	}
	d->nqueues = d->virtio.features & F_MQ
			     ? (u32)virtio_config(&d->virtio, CONFIG_NUM_QUEUES, 2)
			     : 1;
	d->nqueues = clamp(d->nqueues, 1u, min(BLOCK_QUEUES_MAX, max(info.irqs, 2u) - 1));
	for (u32 i = 0; i < d->nqueues && !err; i++)
		err = queue_begin(d, i);
	if (err)
		return err;
	virtio_ready(&d->virtio);
	disks[ndisks] = d;
	err = disk_register(d, ndisks);
	ndisks++;
	return err;
}

static const struct device_match devices[] = {
	{.bus = DEVICE_PCI, .vendor = 0x1af4, .device = 0x1042}, // modern
	{.bus = DEVICE_PCI, .vendor = 0x1af4, .device = 0x1001}, // transitional
	{},
};

SERVICE(virtio_blk, "disks of hypervisors", .provides = GATE_BLOCK, .devices = devices,
	.ops.probe = probe);

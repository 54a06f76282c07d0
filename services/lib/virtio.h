// SPDX-License-Identifier: MIT
// The virtio transport over PCI (modern: virtio 1.2, 4.1), and split virtqueues (2.7), for services
// that drive virtio devices. Every queue has a size that the service chooses, and belongs to one
// thread at a time.
#pragma once
#include "services/lib/service.h"

// 2.1 device status
enum virtio_status : u8 {
	VIRTIO_ACKNOWLEDGE = 1,
	VIRTIO_DRIVER = 2,
	VIRTIO_DRIVER_OK = 4,
	VIRTIO_FEATURES_OK = 8,
	VIRTIO_FAILED = 128,
};
// 6 reserved feature bits
constexpr u64 VIRTIO_F_INDIRECT_DESC = 1ull << 28, VIRTIO_F_EVENT_IDX = 1ull << 29,
	      VIRTIO_F_VERSION_1 = 1ull << 32;

// 2.7.5
enum virtq_desc_flags : u16 { VIRTQ_NEXT = 1, VIRTQ_WRITE = 2, VIRTQ_INDIRECT = 4 };
struct virtq_desc {
	u64 addr;
	u32 len;
	u16 flags; // enum virtq_desc_flags
	u16 next;
};
static_assert(sizeof(struct virtq_desc) == 16);
struct virtq_used_elem {
	u32 id, len;
};

struct virtq {
	u16 size; // entries: a power of two
	u16 index;
	u16 avail_index; // next entry of the available ring to fill: what the device will see
	u16 used_seen;	 // next entry of the used ring to look at
	volatile struct virtq_desc *desc;
	volatile u16 *avail; // flags, index, ring[size], used_event
	volatile u16 *used;  // flags, index, then struct virtq_used_elem[size]
	volatile u16 *notify;
};

struct virtio {
	u64 device;   // HANDLE_DEVICE
	u64 features; // negotiated
	volatile u8 *common, *config;
	u32 config_len;
	u8 *notify_base;
	u32 notify_multiplier;
	u8 *bars[6];
};

// Takes the device: enables it, finds its structures, resets it (and tells core that it is quiet),
// negotiates `wanted` features (VERSION_1 is demanded). 0; -ENODEV: no modern virtio device; -EIO:
// it does not behave.
int virtio_begin(struct virtio *v, u64 device, u64 wanted);
// Makes queue `index` with up to max entries, in one piece of memory; irq: its entry in the MSI-X
// table. *q is set up; 0, -ENOENT (the device has no such queue), -ENOMEM.
int virtio_queue(struct virtio *v, u32 index, u32 max, u32 irq, struct virtq *q);
void virtio_config_irq(struct virtio *v,
		       u32 irq);     // which entry tells of changes of the configuration
void virtio_ready(struct virtio *v); // DRIVER_OK: the device may work from here on
u16 virtio_queues(struct virtio *v); // that the device has
// Device-specific configuration (2.5), any width up to 8.
u64 virtio_config(struct virtio *v, u32 offset, u32 size);

// Puts descriptor chain `head` into the available ring. The device sees it after virtq_publish.
static inline void virtq_add(struct virtq *q, u16 head)
{
	q->avail[2 + (q->avail_index++ & (q->size - 1))] = head;
}
// Shows the device what was added, and whether it wants to be told (virtq_kick).
static inline bool virtq_publish(struct virtq *q)
{
	service_wmb();
	q->avail[1] = q->avail_index;
	service_mb(); // before looking at what the device wants
	return !(q->used[0] & 1);
}
static inline void virtq_kick(struct virtq *q)
{
	*q->notify = q->index;
}
// The next chain that the device is done with: false when there is none.
static inline bool virtq_next_used(struct virtq *q, struct virtq_used_elem *out)
{
	if (q->used[1] == q->used_seen)
		return false;
	service_rmb();
	const volatile struct virtq_used_elem *e =
		(const volatile struct virtq_used_elem *)(q->used + 2) +
		(q->used_seen & (q->size - 1));

	out->id = e->id;
	out->len = e->len;
	q->used_seen++;
	return true;
}

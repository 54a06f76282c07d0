// SPDX-License-Identifier: MIT
// virtio.c: the virtio transport over PCI, for services.
//
// What the device says (offsets, sizes, queue sizes) is checked before it is used: a bad device
// ends in an error.
#include "services/lib/virtio.h"

constexpr u32 PCI_COMMAND = 0x04, PCI_CAPABILITIES = 0x34, PCI_CAP_VENDOR = 0x09;
// 4.1.4 the kinds of structures
enum { CAP_COMMON = 1, CAP_NOTIFY = 2, CAP_DEVICE = 4 };
// 4.1.4.3 common configuration
enum {
	COMMON_FEATURE_SELECT = 0,
	COMMON_FEATURE = 4,
	COMMON_GUEST_SELECT = 8,
	COMMON_GUEST = 12,
	COMMON_CONFIG_IRQ = 16,
	COMMON_QUEUES = 18,
	COMMON_STATUS = 20,
	COMMON_QUEUE_SELECT = 22,
	COMMON_QUEUE_SIZE = 24,
	COMMON_QUEUE_IRQ = 26,
	COMMON_QUEUE_ENABLE = 28,
	COMMON_QUEUE_NOTIFY = 30,
	COMMON_QUEUE_DESC = 32,
	COMMON_QUEUE_AVAIL = 40,
	COMMON_QUEUE_USED = 48,
	COMMON_LEN = 56,
};
constexpr u16 NO_IRQ = 0xffff;
constexpr u64 RESET_NS = 5'000'000'000; // a device that takes longer is broken

static u16 read16(volatile u8 *base, u32 at)
{
	return *(volatile u16 *)(base + at);
}
static u32 read32(volatile u8 *base, u32 at)
{
	return *(volatile u32 *)(base + at);
}
static void write16(volatile u8 *base, u32 at, u16 v)
{
	*(volatile u16 *)(base + at) = v;
}
static void write32(volatile u8 *base, u32 at, u32 v)
{
	*(volatile u32 *)(base + at) = v;
}
static void write64(volatile u8 *base, u32 at, u64 v)
{
	write32(base, at, (u32)v);
	write32(base, at + 4, (u32)(v >> 32));
}

// A vendor's capability in PCI configuration space, as far as virtio's have one. Reading a word is
// an exit to the hypervisor: no more are read than are looked at.
struct capability {
	u8 id, next, len, type;
	u8 bar, padding[3];
	u32 offset, length;
	u32 notify_multiplier;
};
static_assert(sizeof(struct capability) == 20);

static bool config_read(const struct virtio *v, u32 at, void *to, u32 len)
{
	return gate_device_config(v->device, at, to, len) == (s64)len;
}

// The structure that a capability describes, mapped; nullptr: it is not where it could be.
static u8 *structure(struct virtio *v, const struct capability *c, const struct device_info *info,
		     u32 min_len)
{
	const struct device_resource *r = c->bar < 6 ? &info->resource[c->bar] : nullptr;

	if (!r || r->kind != RESOURCE_MEMORY || c->length < min_len || c->offset > r->len ||
	    c->length > r->len - c->offset || c->offset & 3)
		return nullptr;
	if (!v->bars[c->bar]) {
		s64 mapped = gate_device_map(v->device, c->bar);

		if (GATE_IS_ERROR(mapped))
			return nullptr;
		v->bars[c->bar] = (u8 *)mapped;
	}
	return v->bars[c->bar] + c->offset;
}

// The first of each kind counts (4.1.4).
static void structure_use(struct virtio *v, const struct capability *c,
			  const struct device_info *info)
{
	if (c->type == CAP_COMMON && !v->common) {
		v->common = structure(v, c, info, COMMON_LEN);
	} else if (c->type == CAP_NOTIFY && !v->notify_base) {
		v->notify_base = structure(v, c, info, 2);
		v->notify_multiplier = c->notify_multiplier;
	} else if (c->type == CAP_DEVICE && !v->config) {
		v->config = structure(v, c, info, 1);
		v->config_len = c->length;
	}
}

static int structures_find(struct virtio *v, const struct device_info *info)
{
	struct capability c = {};
	u32 word;

	if (!config_read(v, PCI_COMMAND, &word, 4) || !(word >> 16 & 0x10) ||
	    !config_read(v, PCI_CAPABILITIES, &word, 4))
		return -ENODEV;
	u32 at = word & 0xfc;

	for (u32 i = 0; at >= 0x40 && i < 48; i++) {
		if (!config_read(v, at, &c, 4))
			return -EIO;
		bool wanted = c.type == CAP_COMMON || c.type == CAP_NOTIFY || c.type == CAP_DEVICE;

		if (c.id == PCI_CAP_VENDOR && wanted) {
			u32 len = c.type == CAP_NOTIFY ? 20 : 16;

			if (config_read(v, at + 4, &c.bar,
					len - 4)) // else: it would go over the end
				structure_use(v, &c, info);
		}
		at = c.next & 0xfc;
	}
	return v->common && v->notify_base ? 0 : -ENODEV;
}

static int reset(struct virtio *v)
{
	s64 start = 0;

	v->common[COMMON_STATUS] = 0;
	while (v->common[COMMON_STATUS]) {
		if (!start)
			start = gate_clock_ns();
		if (gate_clock_ns() - start > (s64)RESET_NS)
			return -EIO;
		(void)gate_sleep_ns(100'000);
	}
	return 0;
}

static int negotiate(struct virtio *v, u64 wanted)
{
	u64 offered;

	write32(v->common, COMMON_FEATURE_SELECT, 0);
	offered = read32(v->common, COMMON_FEATURE);
	write32(v->common, COMMON_FEATURE_SELECT, 1);
	offered |= (u64)read32(v->common, COMMON_FEATURE) << 32;
	if (!(offered & VIRTIO_F_VERSION_1))
		return -ENODEV;
	v->features = offered & (wanted | VIRTIO_F_VERSION_1);
	write32(v->common, COMMON_GUEST_SELECT, 0);
	write32(v->common, COMMON_GUEST, (u32)v->features);
	write32(v->common, COMMON_GUEST_SELECT, 1);
	write32(v->common, COMMON_GUEST, (u32)(v->features >> 32));
	v->common[COMMON_STATUS] = VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK;
	return v->common[COMMON_STATUS] & VIRTIO_FEATURES_OK ? 0 : -EIO;
}

int virtio_begin(struct virtio *v, u64 device, u64 wanted)
{
	struct device_info info;
	int err;

	*v = (struct virtio){.device = device};
	err = gate_device_info(device, &info);
	if (!err)
		err = gate_device_enable(device);
	if (!err)
		err = structures_find(v, &info);
	if (!err)
		err = reset(v);
	if (!err)
		err = gate_device_quiet(device);
	if (err)
		return err;
	v->common[COMMON_STATUS] = VIRTIO_ACKNOWLEDGE;
	v->common[COMMON_STATUS] = VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER;
	err = negotiate(v, wanted);
	if (err)
		v->common[COMMON_STATUS] = VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FAILED;
	return err;
}

int virtio_queue(struct virtio *v, u32 index, u32 max, u32 irq, struct virtq *q)
{
	write16(v->common, COMMON_QUEUE_SELECT, (u16)index);
	u32 size = read16(v->common, COMMON_QUEUE_SIZE);

	if (!size)
		return -ENOENT;
	while (size > max)
		size /= 2;
	// 2.7: 16 bytes a descriptor; 6 and 2 each; 6 and 8 each, aligned by 4
	u64 avail = 16ull * size, used = align_up(avail + 6 + 2ull * size, 4ull);
	s64 memory = gate_memory_alloc(service_self, used + 6 + 8ull * size, MEMORY_DMA);

	if (GATE_IS_ERROR(memory))
		return -ENOMEM;
	s64 bus = gate_memory_bus(service_self, (u64)memory);

	*q = (struct virtq){.size = (u16)size,
			    .index = (u16)index,
			    .desc = (volatile struct virtq_desc *)memory,
			    .avail = (volatile u16 *)(memory + (s64)avail),
			    .used = (volatile u16 *)(memory + (s64)used)};
	write16(v->common, COMMON_QUEUE_SIZE, (u16)size);
	write64(v->common, COMMON_QUEUE_DESC, (u64)bus);
	write64(v->common, COMMON_QUEUE_AVAIL, (u64)bus + avail);
	write64(v->common, COMMON_QUEUE_USED, (u64)bus + used);
	write16(v->common, COMMON_QUEUE_IRQ, (u16)irq);
	q->notify = (volatile u16 *)(v->notify_base + (u64)read16(v->common, COMMON_QUEUE_NOTIFY) *
							      v->notify_multiplier);
	write16(v->common, COMMON_QUEUE_ENABLE, 1);
	return read16(v->common, COMMON_QUEUE_IRQ) == NO_IRQ ? -EIO : 0;
}

void virtio_config_irq(struct virtio *v, u32 irq)
{
	write16(v->common, COMMON_CONFIG_IRQ, (u16)irq);
}

void virtio_ready(struct virtio *v)
{
	v->common[COMMON_STATUS] |= VIRTIO_DRIVER_OK;
}

u16 virtio_queues(struct virtio *v)
{
	return read16(v->common, COMMON_QUEUES);
}

u64 virtio_config(struct virtio *v, u32 offset, u32 size)
{
	u64 value = 0;

	if (!v->config || offset > v->config_len || size > v->config_len - offset)
		return 0;
	// 2.5.1: fields over 32 bits are read in parts
	for (u32 i = 0; i < size; i += 4) {
		volatile u8 *at = v->config + offset + i;
		u32 n = min(size - i, 4u);
		u64 part = n == 1 ? *at : n == 2 ? read16(at, 0) : read32(at, 0);

		value |= part << 8 * i;
	}
	return value;
}

// SPDX-License-Identifier: MIT
// virtio_rng.c: random numbers from hypervisors (virtio 1.2, 5.4).
//
// A device has one queue, on which the driver puts a buffer to be filled, in part or wholly; there
// is one buffer here, for core's one question at a time.
//
// Locks. Each device's, held while it is served and while its function runs. Core's calls out of
// here do not wait for calls into here, so the lock may be held meanwhile.
#include "services/lib/virtio.h"
#include "abi/gate/entropy.h"
#include "base/string.h"

constexpr u32 DEVICES_MAX = 4, QUEUE = 0, IRQ_QUEUE = 1;

struct source {
	struct virtio virtio;
	struct service_mutex lock;
	u64 handle; // lock, as all below
	struct virtq queue;
	u8 *bytes;  // DMA memory: ENTROPY_BYTES_MAX
	u32 wanted; // of the question that the device has; 0: none
};
static struct source sources[DEVICES_MAX];
static u32 nsources; // devices that probe() saw

// Lock held.
static void ask(struct source *s)
{
	s->queue.desc[0].len = s->wanted;
	s->queue.desc[0].flags = VIRTQ_WRITE;
	virtq_add(&s->queue, 0);
	if (virtq_publish(&s->queue))
		virtq_kick(&s->queue);
}

static int request(u64 cookie, u32 len)
{
	struct source *s = &sources[cookie];

	guard(service_mutex, &s->lock);
	if (s->wanted)
		return -EAGAIN;
	s->wanted = len;
	ask(s);
	return 0;
}

static int interrupt(u64 self, u64 irq)
{
	struct source *s = &sources[irq];
	struct virtq_used_elem e;
	int n = 0;

	(void)self;
	guard(service_mutex, &s->lock);
	for (; virtq_next_used(&s->queue, &e); n++) {
		if (e.len > s->wanted)
			service_log(SERVICE_ERR, "the device gave %u bytes of %u", e.len,
				    s->wanted);
		if (!e.len || e.len > s->wanted) { // once more
			ask(s);
			continue;
		}
		s->wanted = 0;
		(void)gate_entropy_add(s->handle, s->bytes, e.len);
		memset(s->bytes, 0, e.len); // they are somebody's secret now
	}
	return n;
}

static int source_register(struct source *s)
{
	static const struct entropy_ops ops = {.request = request};
	u32 unit = (u32)(s - sources);
	struct entropy_params params = {.name = "virtio_rng.0", .cookie = unit};

	params.name[11] = (char)('0' + unit);
	s64 r = gate_entropy_register(service_self, &params, &ops);

	if (r < 0)
		return (int)r;
	s->handle = (u64)r;
	r = gate_irq_attach(s->virtio.device, IRQ_QUEUE, IRQ_CPU_ANY, 0, unit);
	return r < 0 ? (int)r : 0;
}

static int probe(u64 self, u64 device)
{
	struct device_info info;

	service_self = self;
	if (nsources == DEVICES_MAX || gate_device_info(device, &info) || info.irqs <= IRQ_QUEUE)
		return -ENODEV;
	struct source *s = &sources[nsources++];
	int err = service_mutex_init(&s->lock);

	if (err)
		return err;
	guard(service_mutex, &s->lock); // request() may be called before all is known
	err = virtio_begin(&s->virtio, device, 0);
	if (!err)
		err = virtio_queue(&s->virtio, QUEUE, 1, IRQ_QUEUE, &s->queue);
	if (err)
		return err;
	s64 memory = gate_memory_alloc(self, ENTROPY_BYTES_MAX, MEMORY_DMA);

	if (GATE_IS_ERROR(memory))
		return (int)memory;
	s->bytes = (u8 *)memory;
	s->queue.desc[0].addr = (u64)gate_memory_bus(self, (u64)memory);
	virtio_ready(&s->virtio);
	return source_register(s);
}

static const struct device_match devices[] = {
	{.bus = DEVICE_PCI, .vendor = 0x1af4, .device = 0x1044}, // modern
	{.bus = DEVICE_PCI, .vendor = 0x1af4, .device = 0x1005}, // transitional
	{},
};

SERVICE(virtio_rng, "random numbers from hypervisors", .provides = GATE_ENTROPY, .devices = devices,
	.ops.probe = probe, .ops.interrupt = interrupt);

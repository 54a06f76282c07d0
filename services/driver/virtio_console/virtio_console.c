// SPDX-License-Identifier: MIT
// virtio_console.c: consoles of hypervisors (virtio 1.2, 5.3): /dev/hvc0 and its kin, one a device.
//
// The device's first port is used, without the control queues of many ports: it has a queue for
// input, kept filled with buffers, and one for output, with one chunk at a time. Input that core
// has no room for stays in its buffers, which the device then does not get back.
//
// Locks. Each console's, held while it is served and while its functions run. Core's calls out of
// here do not wait for calls into here, so the lock may be held meanwhile.
#include "services/lib/virtio.h"
#include "abi/gate/console.h"
#include "base/string.h"

constexpr u64 F_SIZE = 1 << 0;
enum { CONFIG_COLUMNS = 0, CONFIG_ROWS = 2 }; // 5.3.4
enum { QUEUE_INPUT, QUEUE_OUTPUT };
enum { IRQ_CONFIG, IRQ_QUEUES, IRQS };
constexpr u32 CONSOLES_MAX = 8, INPUTS = 16, INPUT_BYTES = 256;
static_assert(INPUT_BYTES <= CONSOLE_CHUNK);

struct console {
	struct virtio virtio;
	struct service_mutex lock;
	u64 handle; // lock, as all below
	const u8 *buffer;
	struct virtq input, output;
	u8 *inputs, *chunk; // DMA memory: INPUTS times INPUT_BYTES, CONSOLE_CHUNK
	bool full;	    // core takes no input now
};
static struct console consoles[CONSOLES_MAX];
static u32 nconsoles; // devices that probe() saw

// ---- served with the lock held ----

static void input_offer(struct console *c, u16 i)
{
	c->input.desc[i].len = INPUT_BYTES;
	c->input.desc[i].flags = VIRTQ_WRITE;
	virtq_add(&c->input, i);
}

static bool input_serve(struct console *c)
{
	struct virtq_used_elem e;
	bool any = false;

	while (!c->full && virtq_next_used(&c->input, &e)) {
		any = true;
		if (e.id >= c->input.size || e.len > INPUT_BYTES) {
			service_log(SERVICE_ERR, "the device filled buffer %u with %u bytes", e.id,
				    e.len);
			continue;
		}
		if (e.len)
			c->full = gate_console_receive(c->handle, c->inputs + e.id * INPUT_BYTES,
						       e.len) == CONSOLE_FULL;
		input_offer(c, (u16)e.id);
	}
	if (any && virtq_publish(&c->input))
		virtq_kick(&c->input);
	return any;
}

static bool output_serve(struct console *c)
{
	struct virtq_used_elem e;
	bool any = false;

	while (virtq_next_used(&c->output, &e)) {
		any = true;
		(void)gate_console_sent(c->handle);
	}
	return any;
}

// ---- entered ----

static int transmit(u64 cookie, u32 len)
{
	struct console *c = &consoles[cookie];

	guard(service_mutex, &c->lock);
	memcpy(c->chunk, c->buffer, len);
	c->output.desc[0].len = len;
	virtq_add(&c->output, 0);
	if (virtq_publish(&c->output))
		virtq_kick(&c->output);
	return 0;
}

static int resume(u64 cookie)
{
	struct console *c = &consoles[cookie];

	guard(service_mutex, &c->lock);
	c->full = false;
	(void)input_serve(c);
	return 0;
}

static void size_tell(struct console *c)
{
	u16 columns = (u16)virtio_config(&c->virtio, CONFIG_COLUMNS, 2),
	    rows = (u16)virtio_config(&c->virtio, CONFIG_ROWS, 2);

	if (c->virtio.features & F_SIZE)
		(void)gate_console_resize(c->handle, columns, rows);
}

static int interrupt(u64 self, u64 irq)
{
	struct console *c = &consoles[irq / IRQS];

	(void)self;
	guard(service_mutex, &c->lock);
	if (irq % IRQS == IRQ_CONFIG) {
		size_tell(c);
		return 1;
	}
	bool input = input_serve(c), output = output_serve(c);

	return input || output;
}

// ---- setting up ----

static int queues_begin(struct console *c)
{
	int err = virtio_queue(&c->virtio, QUEUE_INPUT, INPUTS, IRQ_QUEUES, &c->input);

	if (!err)
		err = virtio_queue(&c->virtio, QUEUE_OUTPUT, 1, IRQ_QUEUES, &c->output);
	if (err)
		return err;
	s64 memory =
		gate_memory_alloc(service_self, INPUTS * INPUT_BYTES + CONSOLE_CHUNK, MEMORY_DMA);

	if (GATE_IS_ERROR(memory))
		return (int)memory;
	u64 bus = (u64)gate_memory_bus(service_self, (u64)memory);

	c->inputs = (u8 *)memory;
	c->chunk = c->inputs + INPUTS * INPUT_BYTES;
	c->output.desc[0].addr = bus + INPUTS * INPUT_BYTES;
	for (u16 i = 0; i < c->input.size; i++) {
		c->input.desc[i].addr = bus + i * INPUT_BYTES;
		input_offer(c, i);
	}
	return 0;
}

static int console_register(struct console *c)
{
	static const struct console_ops ops = {.transmit = transmit, .resume = resume};
	u32 unit = (u32)(c - consoles);
	struct console_params params = {.prefix = "hvc", .unit = unit, .cookie = unit};
	s64 r = gate_console_register(service_self, &params, &ops);

	if (r < 0)
		return (int)r;
	c->handle = (u64)r;
	r = gate_console_buffer(c->handle);
	if (GATE_IS_ERROR(r))
		return (int)r;
	c->buffer = (const u8 *)r;
	for (u32 i = 0; i < IRQS; i++) {
		r = gate_irq_attach(c->virtio.device, i, IRQ_CPU_ANY, 0, unit * IRQS + i);
		if (r < 0)
			return (int)r;
	}
	size_tell(c);
	return 0;
}

static int probe(u64 self, u64 device)
{
	struct device_info info;

	service_self = self;
	if (nconsoles == CONSOLES_MAX || gate_device_info(device, &info) || info.irqs < IRQS)
		return -ENODEV;
	struct console *c = &consoles[nconsoles++];
	int err = service_mutex_init(&c->lock);

	if (err)
		return err;
	guard(service_mutex, &c->lock); // functions may be called before all is known
	err = virtio_begin(&c->virtio, device, F_SIZE);
	if (!err)
		err = queues_begin(c);
	if (err)
		return err;
	virtio_config_irq(&c->virtio, IRQ_CONFIG);
	virtio_ready(&c->virtio);
	err = console_register(c);
	if (!err && virtq_publish(&c->input))
		virtq_kick(&c->input);
	return err;
}

static const struct device_match devices[] = {
	{.bus = DEVICE_PCI, .vendor = 0x1af4, .device = 0x1043}, // modern
	{.bus = DEVICE_PCI, .vendor = 0x1af4, .device = 0x1003}, // transitional
	{},
};

SERVICE(virtio_console, "consoles of hypervisors", .provides = GATE_CONSOLE, .devices = devices,
	.ops.probe = probe, .ops.interrupt = interrupt);

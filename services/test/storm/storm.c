// SPDX-License-Identifier: MIT
// storm.c: a service whose device interrupts without end: it drives QEMU's teaching device (edu),
// and raises the next interrupt while it handles the last one, finding nothing to do each time.
#include "services/lib/service.h"
#include "abi/gate/test.h"

enum { EDU_RAISE = 0x60, EDU_ACK = 0x64 };

static volatile u32 *registers;
static bool endless;

static int interrupt(u64 self, u64 irq)
{
	(void)self, (void)irq;
	registers[EDU_ACK / 4] = ~0u;
	if (endless)
		registers[EDU_RAISE / 4] = 1;
	return 0;
}

// a: 1 to begin
static s64 run(u64 cookie, u32 number, u64 a, u64 b)
{
	(void)cookie, (void)a, (void)b;
	if (!number)
		return 0;
	endless = true;
	registers[EDU_RAISE / 4] = 1;
	return gate_sleep_ns(60'000'000'000); // leaves when the service is ended
}

static int probe(u64 self, u64 device)
{
	static const struct test_ops ops = {.run = run};
	struct test_params params = {.name = "storm"};

	service_self = self;
	int err = gate_device_enable(device);

	if (err)
		return err;
	s64 mapped = gate_device_map(device, 0);

	if (GATE_IS_ERROR(mapped))
		return (int)mapped;
	registers = (volatile u32 *)mapped;
	s64 r = gate_device_quiet(device);

	if (!r)
		r = gate_irq_attach(device, 0, IRQ_CPU_ANY, 0, 0);
	if (r > 0)
		r = gate_test_register(self, &params, &ops);
	return r < 0 ? (int)r : 0;
}

static const struct device_match devices[] = {
	{.bus = DEVICE_PCI, .vendor = 0x1234, .device = 0x11e8}, {}};

SERVICE(storm, "interrupts without end", .provides = GATE_TEST, .devices = devices,
	.ops.probe = probe, .ops.interrupt = interrupt);

// SPDX-License-Identifier: MIT
// arguments.c: every call of core's with bad handles, kinds, ranges, lengths and functions, and
// more of everything than a service may have. Each must return an error and change nothing.
#include "services/test/faulty/faulty.h"
#include "abi/gate/block.h"
#include "abi/gate/console.h"
#include "abi/gate/entropy.h"
#include "abi/gate/partition.h"
#include "abi/gate/serial.h"

static u32 accepted; // calls that returned something else than an error

static void expect_error(const char *what, s64 r)
{
	if (GATE_IS_ERROR(r))
		return;
	accepted++;
	service_log(SERVICE_ERR, "%s was accepted: %lld", what, r);
}
#define BAD(call) expect_error(#call, (s64)(call))

// Handles that are none: of nothing, of another kind, of the past, of nobody, out of the table.
static u64 bad_handle(u32 i, u64 stale)
{
	switch (i) {
	case 0:
		return 0;
	case 1:
		return ~0ull;
	case 2:
		return stale;
	case 3:
		return faulty_test ^ 1ull << HANDLE_GENERATION_SHIFT; // another generation
	case 4:
		return (faulty_test & ~HANDLE_INDEX_MASK) | 0xffffff; // out of the table
	case 5:
		return (u64)HANDLE_KINDS << HANDLE_KIND_SHIFT | 1;
	default:
		return 0xffff800000000000;
	}
}
constexpr u32 BAD_HANDLES = 7;

static void handles(u64 h)
{
	static u8 bytes[16];
	struct device_info info;
	struct block_queue_info queue;
	struct block_params disk = {};
	struct block_ops disk_ops = {};
	struct serial_params serial = {};
	struct serial_ops serial_ops = {};
	struct console_params console = {};
	struct console_ops console_ops = {};
	struct entropy_params entropy = {};
	struct entropy_ops entropy_ops = {};
	struct partition_params partition = {};
	struct partition_ops partition_ops = {};
	struct partition_entry entry = {};
	struct test_params test = {};
	struct test_ops test_ops = {};

	BAD(gate_log(h, SERVICE_INFO, bytes, 1));
	BAD(gate_memory_alloc(h, 4096, 0));
	BAD(gate_memory_free(h, (u64)bytes));
	BAD(gate_memory_bus(h, (u64)bytes));
	BAD(gate_event_create(h));
	BAD(gate_event_signal(h));
	BAD(gate_event_wait(h, 0, 0));
	BAD(gate_thread_start(h, (u64)handles, 0, bytes, 1));
	BAD(gate_close(service_self, h));
	BAD(gate_close(h, h));
	BAD(gate_block_register(h, 0, &disk, &disk_ops));
	BAD(gate_block_register(service_self, h ?: 1, &disk, &disk_ops));
	BAD(gate_block_queue(h, 0, &queue));
	BAD(gate_block_ready(h));
	BAD(gate_block_complete(h, 0, 0, 0));
	BAD(gate_block_map(h, 0, 0));
	BAD(gate_serial_register(h, &serial, &serial_ops));
	BAD(gate_serial_buffer(h));
	BAD(gate_serial_receive(h, bytes, 1));
	BAD(gate_serial_break(h));
	BAD(gate_serial_space(h));
	BAD(gate_uart_transmit(h, bytes, 1));
	BAD(gate_console_register(h, &console, &console_ops));
	BAD(gate_console_receive(h, bytes, 1));
	BAD(gate_console_sent(h));
	BAD(gate_console_resize(h, 80, 25));
	BAD(gate_entropy_register(h, &entropy, &entropy_ops));
	BAD(gate_entropy_add(h, bytes, 1));
	BAD(gate_partition_register(h, &partition, &partition_ops));
	BAD(gate_partition_read(h, 0, bytes, 16));
	BAD(gate_partition_add(h, &entry));
	BAD(gate_test_register(h, &test, &test_ops));
	BAD(gate_test_target(h, TEST_CORE_DATA, 0));
	BAD(gate_test_grant(h, true));
	(void)info;
}

// Buffers that are not the service's, or not wholly.
static void buffers(void)
{
	u64 places[] = {0,
			8,
			0x7fffffffe000,
			0x1234567890abcdef,
			(u64)gate_test_target(faulty_test, TEST_CORE_DATA, 0),
			(u64)gate_test_target(faulty_test, TEST_OTHER_SERVICE, 0),
			(u64)gate_test_target(faulty_test, TEST_STUBS, 0),
			~0ull,
			(u64)&accepted + (2ull << 30)}; // behind its window
	struct test_ops ops = {};

	for (u32 i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		const void *at = (const void *)places[i];

		BAD(gate_log(service_self, SERVICE_INFO, at, 16));
		BAD(gate_thread_start(service_self, (u64)buffers, 0, at, 8));
		BAD(gate_test_register(service_self, at, &ops));
		BAD(gate_block_register(service_self, 0, at, (const struct block_ops *)&ops));
		BAD(gate_memory_free(service_self, places[i]));
		BAD(gate_memory_bus(service_self, places[i]));
	}
	// lengths: more than there is, more than a call takes, so much that address and length
	// overflow
	BAD(gate_log(service_self, SERVICE_INFO, &accepted, 481));
	BAD(gate_log(service_self, SERVICE_INFO, &accepted, ~0ull));
	BAD(gate_log(service_self, SERVICE_INFO, (const void *)~15ull, 32));
	BAD(gate_thread_start(service_self, (u64)buffers, 0, &accepted, 16));
	BAD(gate_log(service_self, 0, &accepted, 4)); // a level that is core's
	BAD(gate_log(service_self, 8, &accepted, 4));
	BAD(gate_memory_alloc(service_self, 0, 0));
	BAD(gate_memory_alloc(service_self, ~0ull, 0));
	BAD(gate_memory_alloc(service_self, 1ull << 40, 0));
	BAD(gate_memory_alloc(service_self, 5 << 20, MEMORY_DMA));
	BAD(gate_memory_alloc(service_self, 4096, 0xfe));
}

// Functions that are not in its code.
static void functions(void)
{
	u64 places[] = {0,
			8,
			(u64)&accepted,
			(u64)gate_test_target(faulty_test, TEST_CORE_TEXT, 0),
			(u64)gate_test_target(faulty_test, TEST_STUBS, 0),
			~0ull};
	struct test_params test = {.name = "elsewhere"};
	struct entropy_params entropy = {.name = "elsewhere"};
	struct partition_params partition = {};
	struct block_params disk = {.prefix = "bad",
				    .sectors = 8,
				    .logical_block = 512,
				    .physical_block = 512,
				    .queues = 1,
				    .depth = 1,
				    .segments = 1,
				    .max_sectors = 8};

	for (u32 i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		u64 ops[8];

		for (u32 n = 0; n < 8; n++)
			ops[n] = places[i];
		BAD(gate_thread_start(service_self, places[i], 0, "x", 1));
		BAD(gate_test_register(service_self, &test, (const struct test_ops *)ops));
		BAD(gate_entropy_register(service_self, &entropy, (const struct entropy_ops *)ops));
		BAD(gate_partition_register(service_self, &partition,
					    (const struct partition_ops *)ops));
		BAD(gate_block_register(service_self, 0, &disk, (const struct block_ops *)ops));
	}
	// and a disk whose parameters are out of all bounds
	struct block_ops good = {.submit = (int (*)(u64, u32, u32))functions,
				 .poll = (int (*)(u64, u32))functions};

	disk.depth = 3;
	BAD(gate_block_register(service_self, 0, &disk, &good));
	disk.depth = 1 << 20;
	BAD(gate_block_register(service_self, 0, &disk, &good));
	disk.depth = 1;
	disk.logical_block = 1u << 31;
	BAD(gate_block_register(service_self, 0, &disk, &good));
	disk.logical_block = 512;
	disk.queues = ~0u;
	BAD(gate_block_register(service_self, 0, &disk, &good));
	disk.queues = 1;
	disk.prefix[0] = 0;
	BAD(gate_block_register(service_self, 0, &disk, &good));
	for (u32 i = 0; i < sizeof(disk.prefix); i++)
		disk.prefix[i] = 'x';
	BAD(gate_block_register(service_self, 0, &disk, &good));
}

s64 fault_bad_arguments(void)
{
	s64 stale = gate_event_create(service_self);

	if (stale < 0)
		return stale;
	(void)gate_close(service_self, (u64)stale);
	accepted = 0;
	for (u32 i = 0; i < BAD_HANDLES; i++)
		handles(bad_handle(i, (u64)stale));
	handles(faulty_test ^ service_self); // no handle at all
	buffers();
	functions();
	return accepted;
}

// ---- too much ----

static s64 exhaust_memory(void)
{
	s64 first = 0, at, n = 0;

	for (;;) {
		at = gate_memory_alloc(service_self, 1 << 20, 0);
		if (GATE_IS_ERROR(at))
			break;
		*(volatile u64 *)at = (u64)first; // a chain, to give it back
		first = at;
		n++;
	}
	while (first) {
		s64 next = *(volatile s64 *)first;

		if (gate_memory_free(service_self, (u64)first))
			return -EIO;
		first = next;
	}
	return at == -ENOMEM && n > 16 ? 0 : -EIO;
}

static s64 exhaust_handles(void)
{
	static u64 events[4096];
	s64 r = 0;
	u32 n = 0;

	while (n < 4096 && (r = gate_event_create(service_self)) > 0)
		events[n++] = (u64)r;
	for (u32 i = 0; i < n; i++)
		if (gate_close(service_self, events[i]))
			return -EIO;
	return r == -EMFILE && n > 256 ? 0 : -EIO;
}

static void idle_thread(u64 event)
{
	while (gate_event_wait(event, 0, ~0ull) == 0)
		;
}

static s64 exhaust_threads(void)
{
	s64 event = gate_event_create(service_self);
	u32 n = 0;
	int r;

	while ((r = gate_thread_start(service_self, (u64)idle_thread, (u64)event, "idle", 4)) == 0)
		n++;
	(void)gate_close(service_self, (u64)event); // ends them all
	return r == -EAGAIN && n > 4 ? 0 : -EIO;
}

s64 fault_exhaust(u32 number)
{
	s64 at;

	switch (number) {
	case FAULT_FREE_TWICE:
		at = gate_memory_alloc(service_self, 4096, 0);
		if (GATE_IS_ERROR(at) || gate_memory_free(service_self, (u64)at))
			return -EIO;
		return gate_memory_free(service_self, (u64)at) == -EINVAL ? 0 : -EIO;
	case FAULT_CLOSE_TWICE:
		at = gate_event_create(service_self);
		if (at < 0 || gate_close(service_self, (u64)at))
			return -EIO;
		return gate_close(service_self, (u64)at) == -EBADF ? 0 : -EIO;
	case FAULT_EXHAUST_MEMORY:
		return exhaust_memory();
	case FAULT_EXHAUST_HANDLES:
		return exhaust_handles();
	case FAULT_EXHAUST_THREADS:
		return exhaust_threads();
	default:
		return -ENOSYS;
	}
}

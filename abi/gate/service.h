// SPDX-License-Identifier: MIT
// What every service and the core owe each other: how a service presents itself, the classes of
// isolation, the kinds of handles. Numbers and structs only; no code.
//
// A service is a shared object. It has one symbol that the loader looks for, `service_info`, and
// undefined ones, its imports, which are the calls of abi/gate/calls.def. The loader fills each
// import's place in the GOT: with the function itself when the service runs privileged, with a gate
// stub when it does not. Nothing in the service's source knows which.
//
// What crosses the line. Into a service: numbers, handles, and addresses of memory that is the
// service's own or was granted to it. Into the core: numbers, handles, and buffers (address and
// length) that must lie in the service's own memory; core copies them before it looks at them.
#pragma once
#include "base/types.h"

// Calls that return an address return errors as the last 4095 addresses; services lie in the upper
// half, so a good address is negative as a number.
#define GATE_IS_ERROR(r) ((u64)(r) >= (u64) - 4095)

// How far a service is confined. The numbers are part of the ABI of /proc/halyard/services only.
enum isolation : u8 {
	ISOLATION_PRIVILEGED, // ring 0 / EL1, direct calls
	ISOLATION_LOWERED,    // ring 3 / EL0; shares its view with the other lowered services
	ISOLATION_ISOLATED,   // ring 3 / EL0 in a view of its own; may not elevate
	ISOLATION_COUNT,
};

// Who may import a call, and which class interfaces a service has: bits of service_info.provides.
enum gate_importer : u32 {
	GATE_ANY = 0,		 // every service
	GATE_DEVICE = 1 << 0,	 // has a table of devices
	GATE_BLOCK = 1 << 1,	 // abi/gate/block.h
	GATE_SERIAL = 1 << 2,	 // abi/gate/serial.h
	GATE_CONSOLE = 1 << 3,	 // abi/gate/console.h
	GATE_ENTROPY = 1 << 4,	 // abi/gate/entropy.h
	GATE_PARTITION = 1 << 5, // abi/gate/partition.h
	GATE_TEST = 1 << 6,	 // abi/gate/test.h
};

// A handle names an object of core's that belongs to a service: index, generation and kind in one
// number. 0 is never a handle.
enum handle_kind : u8 {
	HANDLE_NONE,
	HANDLE_SERVICE, // the service itself: what start() is given
	HANDLE_DEVICE,
	HANDLE_IRQ,
	HANDLE_EVENT,
	HANDLE_THREAD,
	HANDLE_BLOCK, // a disk
	HANDLE_SERIAL,
	HANDLE_CONSOLE,
	HANDLE_ENTROPY,
	HANDLE_PARTITION,
	HANDLE_SCAN, // one search for partitions
	HANDLE_TEST,
	HANDLE_KINDS,
};
constexpr u32 HANDLE_KIND_SHIFT = 56;	    // bits 56 to 62: kind
constexpr u32 HANDLE_GENERATION_SHIFT = 24; // bits 24 to 55: generation; below: index
constexpr u64 HANDLE_INDEX_MASK = (1ull << HANDLE_GENERATION_SHIFT) - 1;

// A row of the table of devices that a service drives.
enum device_bus : u8 { DEVICE_END, DEVICE_PCI, DEVICE_PLATFORM };
constexpr u16 DEVICE_ID_ANY = 0xffff;
struct device_match {
	enum device_bus bus;
	u16 vendor, device; // PCI: ids; vendor DEVICE_ID_ANY: class and subclass decide
	u8 class_code, subclass;
	char name[16]; // platform: "uart16550"
};

constexpr u32 SERVICE_ABI = 1; // changes with everything in abi/gate/
constexpr u32 SERVICE_NAME_MAX = 32;

// The functions that every service has; they are entered as those of a class interface are. What
// start and probe return negative means that the service, or this device, stays unused; it is
// logged.
struct service_ops {
	int (*start)(u64 cookie);	      // once, before all others
	int (*probe)(u64 cookie, u64 device); // for each device that matches: HANDLE_DEVICE
	int (*interrupt)(u64 cookie,
			 u64 irq);	      // irq: the cookie of gate_irq_attach without a target
	int (*poke)(u64 cookie, u64 address); // writes to address, to see what comes of it
}; // cookie: HANDLE_SERVICE, the service itself
constexpr u64 POKE_VALUE = 0xbad0'bad0'bad0'bad0; // what poke writes

struct service_info {
	u32 abi; // SERVICE_ABI
	u32 provides;
	const char *name;
	const char *description;
	const struct device_match *devices; // up to a row of DEVICE_END; nullptr: needs none
	struct service_ops ops;
	// Filled by the macro SERVICE: the places that may elevate, as the linker collected them.
	const u64 *elevate_sites, *elevate_sites_end;
};

// The longest list of devices and of elevation sites that the loader takes.
constexpr u32 SERVICE_DEVICES_MAX = 64;
constexpr u32 SERVICE_SITES_MAX = 64;

// gate_device_info().
enum resource_kind : u8 { RESOURCE_NONE, RESOURCE_MEMORY, RESOURCE_PORTS };
constexpr u32 DEVICE_RESOURCES = 6;
struct device_resource {
	enum resource_kind kind;
	u64 len; // bytes, or ports
};
struct device_info {
	enum device_bus bus;
	u8 segment, pci_bus, slot, function;
	u16 vendor, device, subsystem_vendor, subsystem;
	u8 class_code, subclass, prog_if, revision;
	u32 irqs;     // how many interrupts it can have
	u32 unit;     // platform: which one of its name
	u32 clock_hz; // UARTs: what their speed is made of; 0: not known
	char name[16];
	struct device_resource resource[DEVICE_RESOURCES];
};

// gate_memory_alloc().
enum memory_flags : u32 {
	MEMORY_DMA = 1 << 0, // physically contiguous, has a bus address; up to 4 MiB
};

// gate_irq_attach(): served by whichever CPU core likes.
constexpr u32 IRQ_CPU_ANY = ~0u;

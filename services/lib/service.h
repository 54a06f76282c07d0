// SPDX-License-Identifier: MIT
// What a service's source includes first: the calls to core, the macro that presents the service,
// elevation, and a few helpers. Runs with whatever privilege the service has.
#pragma once
#include "base/compiler.h"
#include "base/errno.h"
#include "base/types.h"
#define GATE_IMPORT __attribute__((visibility("default")))
#include <gate/calls.h>
#include <service_arch/service.h> // elevate, lower, service_relax, I/O barriers

extern u64 service_self; // HANDLE_SERVICE; set before start() runs

// Presents the service. Once in each, in the file that has its ops:
//	SERVICE(ram_disk, "a disk in memory", .provides = GATE_BLOCK, .ops.start = start);
// start, probe and interrupt may be left out. poke is service.c's: every service can be made to do
// the wrong thing.
int service_start_nothing(u64 cookie);
int service_probe_nothing(u64 cookie, u64 device);
int service_interrupt_nothing(u64 cookie, u64 irq);
int service_poke(u64 cookie, u64 address);
extern const u64 __start_elevate_sites[] __weak __attribute__((visibility("hidden")));
extern const u64 __stop_elevate_sites[] __weak __attribute__((visibility("hidden")));
#define SERVICE(name_, description_, ...)                                             \
	_Pragma("clang diagnostic push")                                              \
		_Pragma("clang diagnostic ignored \"-Winitializer-overrides\"")       \
			__attribute__((visibility("default"), used))                  \
			const struct service_info service_info = {                    \
				.abi = SERVICE_ABI,                                   \
				.name = #name_,                                       \
				.description = description_,                          \
				.ops = {service_start_nothing, service_probe_nothing, \
					service_interrupt_nothing, service_poke},     \
				.elevate_sites = __start_elevate_sites,               \
				.elevate_sites_end = __stop_elevate_sites,            \
				__VA_ARGS__};                                         \
	_Pragma("clang diagnostic pop")

// A line in the kernel's log, behind the service's name. printf-like, up to 256 bytes.
__printf(2, 3) void service_log(u32 level, const char *fmt, ...);
constexpr u32 SERVICE_ERR = 3, SERVICE_WARN = 4, SERVICE_NOTICE = 5, SERVICE_INFO = 6,
	      SERVICE_DEBUG = 7;

// What must hold in the service's own logic: else it is reported and restarted. Not for what a
// device or a disk says: that is checked and answered with an error.
[[noreturn]] void service_assert_failed(const char *what, const char *file, int line);
#define service_assert(x) (likely(x) ? (void)0 : service_assert_failed(#x, __FILE__, __LINE__))

// Memory in pieces of any size up to a page, 16-byte aligned, zeroed; nullptr when it is out. From
// pages that are never given back to core before the service ends.
[[nodiscard]] void *service_alloc(size_t size);
void service_free(void *p, size_t size);

// A lock between the service's threads. Whoever waits sleeps in core.
struct service_mutex {
	u32 state; // 0 free, 1 held, 2 held and somebody waits
	u64 event;
};
int service_mutex_init(struct service_mutex *m); // 0 or -ENOMEM
void service_mutex_lock(struct service_mutex *m);
void service_mutex_unlock(struct service_mutex *m);
DEFINE_GUARD(service_mutex, struct service_mutex *, service_mutex_lock(_T),
	     service_mutex_unlock(_T));

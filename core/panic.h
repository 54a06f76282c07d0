// SPDX-License-Identifier: MIT
// Assertions, panic and oops. Privileged.
#pragma once
#include "base/compiler.h"
#include "base/types.h"
#include "core/log.h"

struct trap_frame;

// Prints "Kernel panic: TEXT" and a symbolised backtrace of every CPU, stops all CPUs and, as the
// command line says (panic=N as for Linux: N<0 reboot at once, 0 stay, N>0 after N s), restarts.
// Any context.
[[noreturn]] __printf(1, 2) void panic(const char *fmt, ...);

// A fault in the kernel at *frame: registers, backtrace, then panic. Any context.
[[noreturn]] void oops(const struct trap_frame *frame, const char *what);

// Prints the calls that lead here, from frame pointer fp; each frame is checked through the page
// tables before it is read. link: frame_link() where ip was interrupted, else 0.
void backtrace_print(enum log_level level, uintptr_t ip, uintptr_t fp, uintptr_t link);

// The same where the current thread is inside a service, wherever ip is: a service may have jumped
// into core, or into nothing. Its caller is found through the gate.
void backtrace_print_service(enum log_level level, uintptr_t ip, uintptr_t fp, uintptr_t link);

void backtrace_here(void);

// Name of the symbol holding addr, for logs: writes "name+0x12" (or the number). Returns buf.
const char *symbol_name(uintptr_t addr, char *buf, size_t cap);

[[noreturn]] void assert_failed(const char *what, const char *file, int line);

// What must hold in the kernel's own logic; never for what a program or a service sent.
#if CONFIG_DEBUG
#define assert(x) (likely(x) ? (void)0 : assert_failed(#x, __FILE__, __LINE__))
#else
#define assert(x) ((void)sizeof(!(x)))
#endif
// As assert, but in RELEASE builds too: for cold paths where going on would corrupt data.
#define assert_always(x)    (likely(x) ? (void)0 : assert_failed(#x, __FILE__, __LINE__))
#define unreachable_state() assert_failed("unreachable", __FILE__, __LINE__)

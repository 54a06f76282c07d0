// SPDX-License-Identifier: MIT
// Crossing between core and services, and the page tables that services see (x86-64). Privileged.
// Callers: core/gate/.
#pragma once
#include "base/types.h"
#include "core/log.h"
#include "core/percpu.h"
#include <arch/pte.h>

struct gate_port;
struct gate_stack;
struct trap_frame;
struct thread;

// The page of gate stubs, in every service's view. The first stub is where services are entered;
// that of call n comes n + 1 stubs later.
constexpr u64 GATE_STUBS_BASE = 0xfffff00000000000; // slot 480
constexpr u64 GATE_STUB_SIZE = 16;

// Enters a service: function op of the port, on the stack st, which the caller has claimed and
// prepared, and which is free again afterwards. Returns what the function returned, or what
// arch_gate_leave said. Interrupts on.
long arch_gate_enter(struct gate_stack *st, struct gate_port *p, u32 op, u64 a1, u64 a2, u64 a3,
		     u64 a4, u64 a5);
// Makes the arch_gate_enter of st return, from anywhere deeper on this thread's kernel stack.
// Interrupts off; they are on afterwards.
[[noreturn]] void arch_gate_leave(struct gate_stack *st, long result);
// A service that is not to learn anything from registers is about to be entered, was left: keeps
// the current thread's vector state away meanwhile. 0 or -ENOMEM.
int arch_gate_registers_hide(void **kept);
void arch_gate_registers_unhide(void *kept);
// Before the thread runs in the service again: loads its view (elevated: core's own). Interrupts
// off.
void arch_gate_view_load(const struct gate_stack *st, bool elevated);

// What a CPU loads for a view with this root. id: a small number of the view's own.
u64 arch_view_value(phys_t root, u32 id);
// A CPU whose loaded view is a service's loads a program's or the kernel's next.
DECLARE_PERCPU(u64, cpu_service_root); // value of the loaded service view; 0: none is loaded

// Entries of tables below a service's slot, and of roots above it. open: the services of this view
// reach what is below.
pte_t arch_service_pte(phys_t p, bool write, bool exec, bool device);
static __always_inline pte_t arch_service_table(phys_t table)
{
	return pte_table(table);
}
static __always_inline pte_t arch_slot_entry(phys_t table, bool open)
{
	return open ? pte_table(table) : pte_table_supervisor(table);
}

// Where the interrupted code was.
enum frame_context { FRAME_KERNEL, FRAME_PROGRAM, FRAME_SERVICE };
enum frame_context frame_context(const struct trap_frame *f);
// For backtraces: *ip returns into code that saved a whole trap frame, at frame pointer *fp. Puts
// there where the interrupted code was (*context: FRAME_KERNEL for whatever was interrupted but a
// program; FRAME_SERVICE: it made a call), whether that is a return address, and where it was
// interrupted frame_link(). False when *ip is ordinary code.
bool arch_backtrace_trap(uintptr_t *ip, uintptr_t *fp, uintptr_t *link, bool *is_return,
			 enum frame_context *context);
// A word of a kernel stack or of one inside a service; false: it cannot be read.
bool arch_word_read(uintptr_t at, uintptr_t *out);
// Where a service called from, behind the stub, by the frame of its call. 0: unknown. In that call.
u64 arch_stub_caller(const struct trap_frame *f);
// Where the function that entered the service called from.
void arch_gate_caller(const struct gate_stack *st, uintptr_t *ip, uintptr_t *fp);
constexpr u64 GATE_STUB_RETURNED =
	GATE_STUBS_BASE + 5; // the return address of a service's function
// For reports: the registers of a frame, a few to a line.
void arch_frame_print_short(enum log_level level, const struct trap_frame *f);

// Shared objects of this CPU: base/elf.h has the numbers.
constexpr u16 ARCH_ELF_MACHINE = 62;
constexpr u32 ARCH_R_RELATIVE = 8, ARCH_R_GLOB_DAT = 6, ARCH_R_ABS64 = 1;

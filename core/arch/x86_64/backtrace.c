// SPDX-License-Identifier: MIT
// backtrace.c: what crash reports must know about this CPU: its registers and the frames that
// entry.S builds. Privileged.
#include "core/log.h"
#include <arch/cpu.h>
#include <arch/frame.h>

extern const char trap_return[]; // entry.S: where trap_dispatch returns to

bool arch_backtrace_trap(uintptr_t ip, uintptr_t fp, uintptr_t *next_ip, uintptr_t *next_fp,
			 bool *from_program)
{
	// entry.S lets RBP point at the saved RBP, so that the chain of frames goes on through it.
	uintptr_t frame = fp - offsetof(struct trap_frame, rbp);

	if (ip != (uintptr_t)trap_return ||
	    !arch_kernel_range_readable(frame, sizeof(struct trap_frame)))
		return false;
	const struct trap_frame *f = (const struct trap_frame *)frame;
	*next_ip = f->rip;
	*next_fp = f->rbp;
	*from_program = (f->cs & 3) || !(f->rip >> 63);
	return true;
}

void arch_frame_print(const struct trap_frame *f)
{
	u64 cr2, cr3, cr4;

	__asm__ volatile("movq %%cr2, %0\n\tmovq %%cr3, %1\n\tmovq %%cr4, %2"
			 : "=r"(cr2), "=r"(cr3), "=r"(cr4));
	log_err("RIP: %04llx:%016llx RSP: %04llx:%016llx RFLAGS: %08llx", f->cs, f->rip, f->ss,
		f->rsp, f->rflags);
	log_err("RAX: %016llx RBX: %016llx RCX: %016llx", f->rax, f->rbx, f->rcx);
	log_err("RDX: %016llx RSI: %016llx RDI: %016llx", f->rdx, f->rsi, f->rdi);
	log_err("RBP: %016llx R08: %016llx R09: %016llx", f->rbp, f->r8, f->r9);
	log_err("R10: %016llx R11: %016llx R12: %016llx", f->r10, f->r11, f->r12);
	log_err("R13: %016llx R14: %016llx R15: %016llx", f->r13, f->r14, f->r15);
	log_err("CR2: %016llx CR3: %016llx CR4: %016llx", cr2, cr3, cr4);
}

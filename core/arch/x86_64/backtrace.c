// SPDX-License-Identifier: MIT
// backtrace.c: what crash reports must know about this CPU: its registers and the frames that
// entry.S and gate.S build. Privileged.
#include "core/gate/service.h"
#include "core/log.h"
#include <arch/cpu.h>
#include <arch/frame.h>
#include <arch/gate.h>
#include <arch/uaccess.h>

extern const char trap_return[];    // entry.S: where trap_dispatch returns to
extern const char gate_up_called[]; // gate.S: where calls from services return to

bool arch_backtrace_trap(uintptr_t *ip, uintptr_t *fp, uintptr_t *link, bool *is_return,
			 enum frame_context *context)
{
	// RBP points at the saved RBP, so that the chain of frames goes on through it.
	uintptr_t frame = *fp - offsetof(struct trap_frame, rbp);
	const struct trap_frame *f = (const struct trap_frame *)frame;

	if (*ip == (uintptr_t)trap_return) {
		if (!arch_kernel_range_readable(frame, sizeof(*f)))
			return false;
		*context = frame_context(f) == FRAME_PROGRAM ? FRAME_PROGRAM : FRAME_KERNEL;
		*ip = f->rip;
		*link = frame_link(f);
		*is_return = false;
	} else if (*ip == (uintptr_t)gate_up_called) {
		// the stub has no frame: who called it lies on top of the stack
		if (!arch_kernel_range_readable(frame, sizeof(*f)) || !arch_word_read(f->rsp, ip))
			return false;
		*context = FRAME_SERVICE;
		*is_return = true;
	} else {
		return false;
	}
	*fp = f->rbp;
	return true;
}

bool arch_word_read(uintptr_t at, uintptr_t *out)
{
	if (at % sizeof(*out) || !arch_kernel_range_readable(at, sizeof(*out)))
		return false;
	if (!cpu_has(CPU_SMAP)) { // a CPU that is only good for saying so
		*out = *(const volatile uintptr_t *)at;
		return true;
	}
	user_access_begin(); // it may lie on a stack inside a service
	*out = *(const volatile uintptr_t *)at;
	user_access_end();
	return true;
}

void arch_gate_caller(const struct gate_stack *st, uintptr_t *ip, uintptr_t *fp)
{
	// as gate.S says: entry_top, syscalls, R15 to R12, RBX, RBP, the return address
	const u64 *words = (const u64 *)st->saved_sp;

	*fp = words[7];
	*ip = words[8];
}

void arch_frame_print(const struct trap_frame *f)
{
	u64 cr2, cr3, cr4;

	__asm__ volatile("movq %%cr2, %0\n\tmovq %%cr3, %1\n\tmovq %%cr4, %2"
			 : "=r"(cr2), "=r"(cr3), "=r"(cr4));
	arch_frame_print_short(LOG_ERR, f);
	log_err("CR2: %016llx CR3: %016llx CR4: %016llx", cr2, cr3, cr4);
}

void arch_frame_print_short(enum log_level level, const struct trap_frame *f)
{
	klog(level, "RIP: %04llx:%016llx RSP: %04llx:%016llx RFLAGS: %08llx", f->cs, f->rip, f->ss,
	     f->rsp, f->rflags);
	klog(level, "RAX: %016llx RBX: %016llx RCX: %016llx", f->rax, f->rbx, f->rcx);
	klog(level, "RDX: %016llx RSI: %016llx RDI: %016llx", f->rdx, f->rsi, f->rdi);
	klog(level, "RBP: %016llx R08: %016llx R09: %016llx", f->rbp, f->r8, f->r9);
	klog(level, "R10: %016llx R11: %016llx R12: %016llx", f->r10, f->r11, f->r12);
	klog(level, "R13: %016llx R14: %016llx R15: %016llx", f->r13, f->r14, f->r15);
}

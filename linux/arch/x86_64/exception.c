// SPDX-License-Identifier: MIT
// Owns what an exception of a program means: which signal, with which code and address (x86-64).
#include "core/personality.h"
#include "linux/process/process.h"
#include "linux/signal.h"
#include "linux/task.h"
#include <arch/exception.h>
#include <arch/frame.h>
#include <linux_arch/signal.h>

// The x87 or SSE status, which is still the thread's, tells why. Its bits 0 to 5: invalid
// operation, denormal operand, division by zero, overflow, underflow, inexact result.
static int fpe_code(u32 vector)
{
	u32 status, mask;

	if (vector == VEC_MF) {
		u16 sw, cw;
		__asm__ volatile("fnstsw %0" : "=m"(sw));
		__asm__ volatile("fnstcw %0" : "=m"(cw));
		status = sw;
		mask = cw;
	} else {
		u32 mxcsr;
		__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
		status = mxcsr;
		mask = mxcsr >> 7;
	}
	u32 unmasked = status & ~mask;

	if (unmasked & 1)
		return FPE_FLTINV;
	if (unmasked & 4)
		return FPE_FLTDIV;
	if (unmasked & 8)
		return FPE_FLTOVF;
	if (unmasked & (2 | 16))
		return FPE_FLTUND;
	return unmasked & 32 ? FPE_FLTRES : FPE_FLTINV;
}

constexpr u64 DR6_HITS = 15, DR6_STEP = 1 << 14;

void signal_exception(struct trap_frame *f, const struct exception *e)
{
	struct task *t = current_task();

	trace_fault(f, e);
	t->fault_vector = e->vector;
	t->fault_error = e->error;
	t->fault_addr = e->vector == VEC_PF ? e->addr : 0;
	switch (e->vector) {
	case VEC_PF:
		signal_force_page_fault(e->addr, e->result);
		break;
	case VEC_UD:
		signal_force_fault(SIGILL, ILL_ILLOPN, f->rip);
		break;
	case VEC_DE:
		signal_force_fault(SIGFPE, FPE_INTDIV, f->rip);
		break;
	case VEC_MF:
	case VEC_XM:
		signal_force_fault(SIGFPE, fpe_code(e->vector), f->rip);
		break;
	case VEC_DB:
		signal_force_fault(SIGTRAP,
				   e->error & DR6_STEP	 ? TRAP_TRACE
				   : e->error & DR6_HITS ? TRAP_HWBKPT
							 : TRAP_BRKPT,
				   f->rip);
		break;
	case VEC_BP:
		signal_force(&(struct siginfo){.signo = SIGTRAP, .code = SI_KERNEL});
		break;
	case VEC_AC:
		signal_force_fault(SIGBUS, BUS_ADRALN, 0);
		break;
	default: // protection, segments, INTO
		signal_force(&(struct siginfo){.signo = SIGSEGV, .code = SI_KERNEL});
	}
}

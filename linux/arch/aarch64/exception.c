// SPDX-License-Identifier: MIT
// Owns what an exception of a program means: which signal, with which code and address (AArch64).
#include "core/personality.h"
#include "linux/process/process.h"
#include "linux/signal.h"
#include "linux/task.h"
#include <arch/exception.h>
#include <arch/frame.h>
#include <linux_arch/signal.h>

// Traps of floating point, on CPUs that have them: bits of the syndrome, which hold when TFV says
// so.
static int fpe_code(u64 esr)
{
	constexpr u64 TFV = 1 << 23;

	if (!(esr & TFV) || (esr & 1))
		return FPE_FLTINV;
	if (esr & 2)
		return FPE_FLTDIV;
	if (esr & 4)
		return FPE_FLTOVF;
	if (esr & 8)
		return FPE_FLTUND;
	return esr & 16 ? FPE_FLTRES : FPE_FLTINV;
}

// What the page tables do not explain: no matter of memory management.
static void signal_abort(const struct exception *e)
{
	if (esr_is_translation(e->error) || esr_is_access_flag(e->error) ||
	    esr_is_permission(e->error))
		signal_force_page_fault(e->addr, e->result);
	else if (esr_is_alignment(e->error))
		signal_force_fault(SIGBUS, BUS_ADRALN, e->addr);
	else
		signal_force_fault(SIGBUS, BUS_OBJERR, e->addr);
}

void signal_exception(struct trap_frame *f, const struct exception *e)
{
	struct task *t = current_task();

	trace_fault(f, e);
	t->fault_vector = e->vector;
	t->fault_error = e->error;
	t->fault_addr = e->addr;
	switch (e->vector) {
	case EC_IABORT_LOWER:
	case EC_IABORT_SAME:
	case EC_DABORT_LOWER:
	case EC_DABORT_SAME:
		signal_abort(e);
		break;
	case EC_PC_ALIGN:
		signal_force_fault(SIGBUS, BUS_ADRALN, f->pc);
		break;
	case EC_SP_ALIGN:
		signal_force_fault(SIGBUS, BUS_ADRALN, f->sp);
		break;
	case EC_FP_EXCEPTION:
		signal_force_fault(SIGFPE, fpe_code(e->error), f->pc);
		break;
	case EC_BRK:
		signal_force_fault(SIGTRAP, TRAP_BRKPT, f->pc);
		break;
	case EC_STEP_LOWER:
	case EC_STEP_SAME:
		signal_force_fault(SIGTRAP, TRAP_TRACE, f->pc);
		break;
	case EC_BREAKPOINT_LOWER:
	case EC_BREAKPOINT_SAME:
	case EC_WATCHPOINT_LOWER:
	case EC_WATCHPOINT_SAME:
		signal_force_fault(SIGTRAP, TRAP_HWBKPT, f->pc);
		break;
	case EC_PAC:
		signal_force_fault(SIGILL, ILL_ILLOPN, f->pc);
		break;
	default: // undefined, not for programs, or switched off
		signal_force_fault(SIGILL, ILL_ILLOPC, f->pc);
	}
}

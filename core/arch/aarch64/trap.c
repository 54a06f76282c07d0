// SPDX-License-Identifier: MIT
// What entry.S calls: faults, interrupts, the slow ways in and out of system calls (AArch64).
// Privileged.
//
// frame_context() tells whose a fault is. A program's (at EL0, or elevated) is resolved as demand
// paging or becomes an exception that the personality turns into a signal. A service's ends its
// life: gate_fault(). A fault of the kernel on a program's address is demand paging too if the
// instruction has a fix-up (uaccess); everything else is an oops.
#include "abi/native.h"
#include "base/fmt.h"
#include "core/arch/aarch64/asm_offsets.h"
#include "core/arch/aarch64/cpu_priv.h"
#include "core/gate/service.h"
#include "core/irq.h"
#include "core/log.h"
#include "core/mmu_space.h"
#include "core/panic.h"
#include "core/personality.h"
#include "core/rcu.h"
#include "core/time.h"
#include "core/uaccess.h"
#include <arch/elevate.h>
#include <arch/exception.h>
#include <arch/gate.h>
#include <arch/mmu.h>
#include <arch/timer.h>

const struct personality *personality;
u64 syscall_count;
const void *const *syscall_table;

void personality_register(const struct personality *p)
{
	assert_always(!personality);
	syscall_table = p->syscalls;
	__atomic_store_n(&personality, p, __ATOMIC_RELEASE);
	__atomic_store_n(&syscall_count, (u64)p->nsyscalls, __ATOMIC_RELEASE);
}

struct extable_entry {
	s32 insn, fixup; // relative to their own place
};

static u64 extable_find(u64 ip)
{
	extern const struct extable_entry __extable_start[], __extable_end[];
	for (const struct extable_entry *e = __extable_start; e < __extable_end; e++)
		if ((u64)&e->insn + (u64)(s64)e->insn == ip)
			return (u64)&e->fixup + (u64)(s64)e->fixup;
	return 0;
}

static u32 esr_class(u64 esr)
{
	return (u32)(esr >> ESR_EC_SHIFT & 0x3f);
}

static const char *fault_name(u32 class)
{
	switch (class) {
	case EC_UNKNOWN:
		return "undefined instruction";
	case EC_FP:
	case EC_SVE:
	case EC_SME:
		return "vector instruction that is switched off";
	case EC_BTI:
		return "branch to no landing place";
	case EC_ILLEGAL_STATE:
		return "illegal execution state";
	case EC_SVC64:
		return "system call in the kernel";
	case EC_SYSREG:
		return "forbidden system register";
	case EC_PAC:
		return "pointer authentication failure";
	case EC_IABORT_LOWER:
	case EC_IABORT_SAME:
	case EC_DABORT_LOWER:
	case EC_DABORT_SAME:
		return "page fault";
	case EC_PC_ALIGN:
		return "unaligned instruction address";
	case EC_SP_ALIGN:
		return "unaligned stack pointer";
	case EC_FP_EXCEPTION:
		return "floating-point exception";
	case EC_SERROR:
		return "system error";
	case EC_BREAKPOINT_LOWER:
	case EC_BREAKPOINT_SAME:
	case EC_STEP_LOWER:
	case EC_STEP_SAME:
	case EC_WATCHPOINT_LOWER:
	case EC_WATCHPOINT_SAME:
		return "debug exception";
	case EC_BRK:
		return "breakpoint instruction";
	default:
		return "unexpected exception";
	}
}

static bool is_abort(u32 class)
{
	return class == EC_IABORT_LOWER || class == EC_IABORT_SAME || class == EC_DABORT_LOWER ||
	       class == EC_DABORT_SAME;
}

// What an abort wanted to do.
static u32 abort_access(u64 esr)
{
	u32 class = esr_class(esr);

	if (class == EC_IABORT_LOWER || class == EC_IABORT_SAME)
		return VM_EXEC;
	return (esr & (ESR_WRITE | ESR_CACHE_OPERATION)) == ESR_WRITE ? VM_WRITE : VM_READ;
}

static void program_exception(struct trap_frame *f, u64 esr, u64 addr, int result)
{
	const struct exception e = {
		.vector = esr_class(esr), .error = esr, .addr = addr, .result = result};

	irq_enable();
	personality->exception(f, &e);
}

[[noreturn]] static void service_fault(struct trap_frame *f, u64 esr, u64 addr)
{
	char what[64], detail[128] = "", owner[96];
	u32 class = esr_class(esr), access = abort_access(esr);

	if (is_abort(class) && esr_is_alignment(esr)) {
		scnprintf(detail, sizeof(detail), "%#llx (%s)", addr,
			  address_describe(addr, owner, sizeof(owner)));
		gate_fault(f, "unaligned address", detail);
	}
	if (is_abort(class)) {
		scnprintf(what, sizeof(what), "page fault, %s of %#llx",
			  access == VM_EXEC    ? "execution"
			  : access == VM_WRITE ? "write"
					       : "read",
			  addr);
		scnprintf(detail, sizeof(detail), "%s%s",
			  address_describe(addr, owner, sizeof(owner)),
			  esr_is_translation(esr) ? ", not present" : "");
		gate_fault(f, what, detail);
	}
	scnprintf(detail, sizeof(detail), "syndrome %#llx", esr);
	gate_fault(f, fault_name(class), detail);
}

// A fault of the kernel that no fix-up knows, and no page.
[[noreturn]] static void core_fault(struct trap_frame *f, u64 esr, u64 addr)
{
	u32 class = esr_class(esr);

	if (is_abort(class)) {
		u32 access = abort_access(esr);

		klog(LOG_EMERG, "page fault at %#018llx (%s, %s)", addr,
		     esr_is_translation(esr)  ? "not present"
		     : esr_is_permission(esr) ? "rights"
		     : esr_is_alignment(esr)  ? "alignment"
					      : "bus",
		     access == VM_EXEC	  ? "fetch"
		     : access == VM_WRITE ? "write"
					  : "read");
	} else {
		klog(LOG_EMERG, "%s, syndrome %#llx", fault_name(class), esr);
	}
	oops(f, fault_name(class));
}

// An abort at an address of the program's half, in a thread that has a program.
static void program_half_fault(struct trap_frame *f, u64 esr, u64 addr, bool program)
{
	struct thread *t = current();
	u64 fixup = 0;

	// What a gate loaded may still be there, and has no program's half.
	if (unlikely(!mmu_space_is_active(t->space, (enum vm_view)t->view))) {
		space_reload();
		return;
	}
	if (!program) {
		fixup = extable_find(f->pc);
		if (!fixup)
			core_fault(f, esr, addr);
		if ((f->pstate & PSTATE_I) || (this_cpu_read(preempt_count) & PREEMPT_MASK)) {
			f->pc = fixup;
			return;
		}
	}
	irq_enable();
	int r = personality->fault(t->space, addr,
				   abort_access(esr) | (esr_is_permission(esr) ? VM_PRESENT : 0));

	if (!r && unlikely(esr_class(esr) == EC_IABORT_SAME) && esr_is_permission(esr) &&
	    elevate_fetch_is_refused(f, addr))
		r = -EACCES;
	if (likely(!r)) {
		// Unlike x86, the CPU keeps the entry that it refused to use.
		if (esr_is_permission(esr))
			arch_tlb_flush_page(addr);
		// ours: nobody else writes it
		atomic_store(&t->faults_minor, atomic_load(&t->faults_minor) + 1);
		return;
	}
	if (program)
		program_exception(f, esr, addr, r);
	else
		f->pc = fixup;
}

static void fault(struct trap_frame *f, u64 esr, u64 addr, enum frame_context context)
{
	bool program = context == FRAME_PROGRAM, abort = is_abort(esr_class(esr));
	struct thread *t = current();

	if (context == FRAME_SERVICE) {
		if (arch_gate_fault_is_stale(addr, esr))
			return;
		service_fault(f, esr, addr);
	}
	if (likely(abort && addr < USER_TOP && t && t->space) &&
	    (esr_is_translation(esr) || esr_is_permission(esr))) {
		program_half_fault(f, esr, addr, program);
		return;
	}
	if (program) {
		program_exception(f, esr, addr, abort ? -EFAULT : 0);
		return;
	}
	u64 fixup = extable_find(f->pc);

	if (!fixup)
		core_fault(f, esr, addr);
	f->pc = fixup;
}

static DEFINE_PERCPU(bool, tick_in_program);
bool trap_tick_was_program(void)
{
	return this_cpu_read(tick_in_program);
}

void trap_timer_interrupt(struct trap_frame *f)
{
	if (unlikely(frame_context(f) == FRAME_SERVICE))
		gate_tick();
	// It interrupts once: the condition stays true until the timer is programmed anew, which it
	// need not be.
	arch_timer_program(~0ull);
	timer_interrupt();
}

static void interrupt(struct trap_frame *f, enum frame_context context)
{
	this_cpu_write(tick_in_program, context == FRAME_PROGRAM);
	this_cpu_add(preempt_count, PREEMPT_IRQ);
	rcu_irq_enter();
	irq_timing_note();
	irq_handle(f);
	this_cpu_add(preempt_count, -PREEMPT_IRQ);
	if (!(this_cpu_read(preempt_count) &
	      PREEMPT_MASK)) // a program, or kernel code outside of read sections
		rcu_quiescent();
}

// Everything that must be done before a program (or elevated code) goes on. Interrupts off at entry
// and exit, on in between.
static void exit_work(struct trap_frame *f, bool in_syscall)
{
	struct thread *t = current();
	u32 work;

	while ((work = atomic_load(&t->work)) & ~(WORK_FULL_FRAME | WORK_TRACE_ENTRY)) {
		irq_enable();
		if (work & WORK_RESCHED)
			schedule();
		if (work & (WORK_SIGNAL | WORK_NOTIFY)) {
			personality->exit_to_user(f, in_syscall);
			in_syscall = false; // restarted or not, once
		}
		irq_disable();
		if (work & WORK_ROOT)
			space_reload();
	}
	atomic_andnot(&t->work, WORK_FULL_FRAME);
}

static void unrecoverable(struct trap_frame *f, u64 kind, u64 esr)
{
	const char *what = kind == TRAP_STACK_OVERFLOW ? "kernel stack overflow"
			   : kind == TRAP_SERROR       ? "system error"
						       : "exception of a kind that is not used";

	klog(LOG_EMERG, "%s, syndrome %#llx", what, esr);
	oops(f, what);
}

void trap_dispatch(struct trap_frame *f, u64 kind, u64 esr, u64 far)
{
	enum frame_context context = frame_context(f);

	if (kind == TRAP_IRQ) {
		interrupt(f, context);
		if (context == FRAME_KERNEL) {
			// kernel preemption: nothing holds it off and somebody else should run
			if (!this_cpu_read(preempt_count) && !(f->pstate & PSTATE_I))
				preempt_schedule_irq();
			irq_disable();
			return;
		}
	} else {
		if (unlikely(kind != TRAP_SYNC))
			unrecoverable(f, kind, esr);
		fault(f, esr, far, context);
		irq_disable();
		if (context == FRAME_KERNEL)
			return;
	}
	if (unlikely(context == FRAME_SERVICE))
		gate_resume(f);
	else
		exit_work(f, false);
}

static long native_call(u64 nr)
{
	return nr == HALYARD_NR_LOWER
		       ? 0
		       : -ENOSYS; // lower() by a thread that is not elevated: nothing to do
}

void syscall_slow_path(struct trap_frame *f)
{
	struct thread *t = current();
	bool traced = atomic_load(&t->work) & WORK_TRACE_ENTRY;

	if (unlikely(t->gate)) {
		char detail[32];

		scnprintf(detail, sizeof(detail), "number %lld", (s64)f->number);
		gate_fault(f, "system call by a service", detail);
	}
	if (traced && !personality->syscall_enter(f))
		goto leave;
	u64 nr = f->number;
	if (nr < personality->nsyscalls) {
		typedef long (*call_t)(u64, u64, u64, u64, u64, u64);
		call_t call = (call_t)syscall_table[nr];
		f->x[0] = (u64)call(f->orig_x0, f->x[1], f->x[2], f->x[3], f->x[4], f->x[5]);
	} else if (nr == HALYARD_NR_LOWER || nr == HALYARD_NR_ELEVATE) {
		f->x[0] = (u64)native_call(nr);
	} else {
		f->x[0] = (u64)personality->syscall_unknown(f, nr);
	}
leave:
	if (traced)
		personality->syscall_leave(f);
}

void syscall_exit_slow(struct trap_frame *f)
{
	exit_work(f, true);
}

void thread_first_return(struct trap_frame *f)
{
	irq_disable();
	exit_work(f, false);
}

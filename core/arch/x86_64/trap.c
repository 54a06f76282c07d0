// SPDX-License-Identifier: MIT
// What entry.S calls: faults, interrupts, the slow ways in and out of system calls (x86-64).
// Privileged.
//
// frame_context() tells whose a fault is. A program's (in ring 3, or elevated) is resolved as
// demand paging or becomes an exception that the personality turns into a signal. A service's ends
// its life: gate_fault(). A fault of the kernel on a program's address is demand paging too if the
// instruction has a fix-up (uaccess); everything else is an oops.
#include "abi/native.h"
#include "core/arch/x86_64/apic.h"
#include "core/arch/x86_64/asm_offsets.h"
#include "core/arch/x86_64/cpu_priv.h"
#include "core/arch/x86_64/x86.h"
#include "core/gate/service.h"
#include "core/irq.h"
#include "core/log.h"
#include "core/mmu_space.h"
#include "core/panic.h"
#include "core/personality.h"
#include "core/rcu.h"
#include "core/time.h"
#include "core/uaccess.h"
#include <arch/exception.h>
#include <arch/gate.h>
#include "base/fmt.h"

enum { PF_PRESENT = 1, PF_WRITE = 2, PF_USER = 4, PF_RESERVED = 8, PF_FETCH = 16 };

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

static const char *const fault_names[] = {
	"divide error",
	"debug exception",
	"NMI",
	"breakpoint",
	"overflow",
	"bound range",
	"invalid opcode",
	"device not available",
	"double fault",
	"coprocessor overrun",
	"invalid TSS",
	"segment not present",
	"stack-segment fault",
	"general protection fault",
	"page fault",
	"reserved",
	"x87 error",
	"alignment check",
	"machine check",
	"SIMD error",
};
static const char *fault_name(u64 vector)
{
	if (vector == VECTOR_STACK_OVERFLOW)
		return "kernel stack overflow";
	return vector < sizeof(fault_names) / sizeof(*fault_names) ? fault_names[vector]
								   : "unexpected exception";
}

static void program_exception(struct trap_frame *f, u64 vector, u64 error, u64 addr, int result)
{
	const struct exception e = {
		.vector = (u32)vector, .error = error, .addr = addr, .result = result};

	irq_enable();
	personality->exception(f, &e);
}

[[noreturn]] static void service_page_fault(struct trap_frame *f, u64 error, u64 addr)
{
	char what[64], detail[128], owner[96];

	scnprintf(what, sizeof(what), "page fault, %s of %#llx",
		  error & PF_FETCH   ? "execution"
		  : error & PF_WRITE ? "write"
				     : "read",
		  addr);
	scnprintf(detail, sizeof(detail), "%s%s", address_describe(addr, owner, sizeof(owner)),
		  error & PF_PRESENT ? "" : ", not present");
	gate_fault(f, what, detail);
}

static void page_fault(struct trap_frame *f, u64 error, u64 addr)
{
	struct thread *t = current();
	bool program = frame_context(f) == FRAME_PROGRAM;
	u64 fixup = 0;

	if (likely(addr < USER_TOP) && t && t->space && !(error & PF_RESERVED)) {
		// What a gate loaded may still be there, and has no program's half.
		if (unlikely(!mmu_space_is_active(t->space, (enum vm_view)t->view))) {
			space_reload();
			return;
		}
		u32 access = error & PF_FETCH ? VM_EXEC : error & PF_WRITE ? VM_WRITE : VM_READ;
		if (!program) {
			fixup = extable_find(f->rip);
			if (!fixup)
				goto bad;
			if (!(f->rflags & RFLAGS_IF) ||
			    (this_cpu_read(preempt_count) & PREEMPT_MASK)) {
				f->rip = fixup;
				return;
			}
		} else if (unlikely((error & (PF_PRESENT | PF_USER)) == PF_PRESENT &&
				    (f->cs & 3))) {
			// The CPU reached for a program's page on its own account, and SMAP forbids
			// that for good: there is nothing to repair. QEMU does so for far returns
			// and IRET in ring 3.
			program_exception(f, VEC_PF, error, addr, -EACCES);
			return;
		}
		irq_enable();
		int r = personality->fault(t->space, addr,
					   access | (error & PF_PRESENT ? VM_PRESENT : 0));
		if (likely(!r)) {
			atomic_store(&t->faults_minor, atomic_load(&t->faults_minor) +
							       1); // ours: nobody else writes it
			return;
		}
		if (program) {
			program_exception(f, VEC_PF, error, addr, r);
			return;
		}
		f->rip = fixup;
		return;
	}
	if (program) {
		program_exception(f, VEC_PF, error, addr, -EFAULT);
		return;
	}
	fixup = extable_find(f->rip);
	if (fixup) { // a program's non-canonical or kernel address that passed no range check
		f->rip = fixup;
		return;
	}
bad:
	klog(LOG_EMERG, "page fault at %#018llx (%s%s%s)", (unsigned long long)addr,
	     error & PF_PRESENT ? "rights" : "not present", error & PF_WRITE ? ", write" : ", read",
	     error & PF_FETCH ? ", fetch" : "");
	oops(f, "page fault");
}

[[noreturn]] static void service_exception(struct trap_frame *f, u64 vector, u64 error)
{
	char detail[32] = "";

	if (error)
		scnprintf(detail, sizeof(detail), "error code %#llx", error);
	gate_fault(f, fault_name(vector), detail);
}

static void fault(struct trap_frame *f, u64 vector, u64 error, u64 cr2, enum frame_context context)
{
	if (context == FRAME_SERVICE) {
		if (vector == VEC_PF)
			service_page_fault(f, error, cr2);
		if (vector == VEC_DB)
			__asm__ volatile("movq %0, %%dr6" ::"r"(0xffff0ff0ul));
		service_exception(f, vector, error);
	}
	if (vector == VEC_PF) {
		page_fault(f, error, cr2);
		return;
	}
	if (context == FRAME_PROGRAM) {
		if (vector == VEC_DB) {
			u64 dr6;
			__asm__ volatile("movq %%dr6, %0" : "=r"(dr6));
			current()->arch.debug[6] = dr6;
			__asm__ volatile("movq %0, %%dr6" ::"r"(0xffff0ff0ul));
			error = dr6;
		}
		program_exception(f, vector, error, 0, 0);
		return;
	}
	u64 fixup = extable_find(f->rip);
	if (fixup) {
		f->rip = fixup;
		return;
	}
	klog(LOG_EMERG, "%s, error code %#llx", fault_name(vector), (unsigned long long)error);
	oops(f, fault_name(vector));
}

static void interrupt(struct trap_frame *f, u64 vector)
{
	this_cpu_add(preempt_count, PREEMPT_IRQ);
	rcu_irq_enter();
	irq_timing_note();
	switch (vector) {
	case VECTOR_TIMER:
		lapic_eoi();
		timer_interrupt();
		break;
	case VECTOR_RESCHEDULE:
		lapic_eoi();
		sched_kicked();
		break;
	case VECTOR_CALL:
		lapic_eoi();
		smp_handle_call();
		break;
	case VECTOR_SPURIOUS:
		break;
	default:
		irq_dispatch((u32)vector);
	}
	this_cpu_add(preempt_count, -PREEMPT_IRQ);
	if (!(this_cpu_read(preempt_count) &
	      PREEMPT_MASK)) // a program, or kernel code outside of read sections
		rcu_quiescent();
	(void)f;
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
	if (unlikely(f->rip >= USER_TOP)) // IRET would fault in ring 0: let the program fault
					  // instead, on a page that is never there
		f->rip = USER_TOP;
}

static DEFINE_PERCPU(bool, tick_in_program);
bool trap_tick_was_program(void)
{
	return this_cpu_read(tick_in_program);
}

void trap_dispatch(struct trap_frame *f, u64 vector, u64 error, u64 cr2)
{
	enum frame_context context = frame_context(f);

	if (vector >= 32) {
		this_cpu_write(tick_in_program, context == FRAME_PROGRAM);
		if (unlikely(vector == VECTOR_TIMER && context == FRAME_SERVICE))
			gate_tick();
		interrupt(f, vector);
		if (context == FRAME_KERNEL) {
			// kernel preemption: nothing holds it off and somebody else should run
			if (!this_cpu_read(preempt_count) && (f->rflags & RFLAGS_IF))
				preempt_schedule_irq();
			irq_disable();
			return;
		}
	} else {
		fault(f, vector, error, cr2, context);
		irq_disable();
		if (context == FRAME_KERNEL)
			return;
	}
	if (unlikely(context == FRAME_SERVICE))
		gate_resume(f);
	else
		exit_work(f, false);
}

void trap_paranoid(struct trap_frame *f, u64 vector, u64 error, const struct cpu_words *w)
{
	if (vector == VEC_NMI) {
		smp_handle_stop(w, f->rbp);
		return;
	}
	if (vector == VEC_DB) { // entry.S has sent those of programs and services elsewhere
		// a program's watchpoint hit by the kernel's copies, or a step over SYSCALL: not
		// ours to report. What is not the current thread's goes off
		const struct thread *t = current();
		u64 dr7 = t && t->arch.uses_debug ? t->arch.debug[7] : 0x400;

		__asm__ volatile("movq %0, %%dr7; movq %1, %%dr6" ::"r"(dr7), "r"(0xffff0ff0ul));
		((struct cpu_words *)w)->rflags &= ~RFLAGS_TF;
		return;
	}
	struct trap_frame g = *f;
	g.orig_rax = ~0ull;
	g.rip = w->rip;
	g.cs = w->cs;
	g.rflags = w->rflags;
	g.rsp = w->rsp;
	g.ss = w->ss;
	klog(LOG_EMERG, "%s, error code %#llx", fault_name(vector), (unsigned long long)error);
	oops(&g, fault_name(vector));
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

		scnprintf(detail, sizeof(detail), "number %lld", (s64)f->orig_rax);
		gate_fault(f, "system call by a service", detail);
	}
	if (traced && !personality->syscall_enter(f))
		goto leave;
	u64 nr = f->orig_rax;
	if (nr < personality->nsyscalls) {
		typedef long (*call_t)(u64, u64, u64, u64, u64, u64);
		call_t call = (call_t)syscall_table[nr];
		f->rax = (u64)call(f->rdi, f->rsi, f->rdx, f->r10, f->r8, f->r9);
	} else if (nr == HALYARD_NR_LOWER || nr == HALYARD_NR_ELEVATE) {
		f->rax = (u64)native_call(nr);
	} else {
		f->rax = (u64)personality->syscall_unknown(f, nr);
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

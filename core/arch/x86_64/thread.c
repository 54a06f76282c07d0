// SPDX-License-Identifier: MIT
// Threads' CPU state: first frames, context switch, segment registers (x86-64). Privileged.
#include "base/errno.h"
#include "base/string.h"
#include "core/arch/x86_64/asm_offsets.h"
#include "core/arch/x86_64/cpu_priv.h"
#include "core/arch/x86_64/x86.h"
#include "core/mmu_space.h"
#include "core/panic.h"
#include "core/thread.h"
#include <arch/paging.h>

struct thread *arch_switch_stack(struct thread *prev, struct thread *next, u64 *save_rsp, u64 rsp);
extern void thread_trampoline(void);

constexpr uintptr_t KSTACK_MARGIN = 512; // room for a frame above the guard page

// What arch_switch_stack pops.
struct switch_frame {
	u64 r15, r14, r13, r12, rbx, rbp, ret;
};

struct trap_frame *thread_user_frame(struct thread *t)
{
	return (struct trap_frame *)(t->kstack_top - sizeof(struct trap_frame));
}

struct trap_frame *thread_entry_frame(struct thread *t)
{
	return (struct trap_frame *)(t->entry_top - sizeof(struct trap_frame));
}

static void first_switch_frame(struct thread *t, u64 sp, void *fn, void *arg)
{
	struct switch_frame *s = (struct switch_frame *)(sp - sizeof(*s));

	*s = (struct switch_frame){.rbx = (u64)fn, .r12 = (u64)arg, .ret = (u64)thread_trampoline};
	t->arch.rsp = (u64)s;
}

void arch_thread_init_kernel(struct thread *t, void (*fn)(void *), void *arg)
{
	// below the place of a program's frame: fn may become a program (arch_thread_enter_user)
	first_switch_frame(t, (u64)thread_user_frame(t), (void *)fn, arg);
}

void arch_thread_init_user(struct thread *t, u64 ip, u64 sp)
{
	struct trap_frame *f = thread_user_frame(t);

	*f = (struct trap_frame){.orig_rax = ~0ull,
				 .rip = ip,
				 .cs = USER_CS,
				 .rflags = RFLAGS_IF | 2,
				 .rsp = sp,
				 .ss = USER_DS};
	t->syscalls = syscall_count;
	if (t == current()) {
		atomic_or(&t->work, WORK_FULL_FRAME);
		return;
	}
	first_switch_frame(t, (u64)f, nullptr, nullptr);
}

// Puts the program's TLS bases back now, if a gate of this system call may have changed them.
static void tls_settle(void)
{
	if (atomic_load(&current()->work) & WORK_ROOT) {
		irqflags_t flags = irq_save();

		space_reload();
		irq_restore(flags);
	}
}

int arch_thread_fork(struct thread *child, struct thread *parent, const struct trap_frame *f,
		     u64 sp, bool set_tls, u64 tls)
{
	struct trap_frame *c = thread_user_frame(child);

	assert(parent == current());
	tls_settle();
	child->syscalls = syscall_count;
	preempt_disable();
	fpu_state_save(parent);
	memcpy(child->arch.fpu, parent->arch.fpu, fpu_state_size());
	preempt_enable();
	child->arch.fpu_cpu = 0;
	*c = *f;
	c->rax = 0;
	// privilege is not inherited: a child of elevated code begins lowered
	c->cs = USER_CS;
	c->ss = USER_DS;
	c->rflags = (c->rflags & RFLAGS_USER & ~RFLAGS_TF) | RFLAGS_IF | 2;
	if (f->cs == KERNEL_CS)
		c->rflags &= ~(u64)RFLAGS_AC;
	if (sp)
		c->rsp = sp;
	__asm__ volatile("rdfsbase %0" : "=r"(child->arch.fsbase));
	if (set_tls)
		child->arch.fsbase = tls;
	child->arch.gsbase = rdmsr(MSR_KERNEL_GS_BASE);
	__asm__ volatile("movw %%ds, %0" : "=r"(child->arch.ds));
	__asm__ volatile("movw %%es, %0" : "=r"(child->arch.es));
	__asm__ volatile("movw %%fs, %0" : "=r"(child->arch.fs));
	__asm__ volatile("movw %%gs, %0" : "=r"(child->arch.gs));
	if (set_tls)
		child->arch.fs = 0;
	first_switch_frame(child, (u64)c, nullptr, nullptr);
	return 0;
}

// Selectors as they were: a program may load any that its rights allow (USER_DS, 0). FS and GS
// first, because loading them changes their bases. GS is loaded between two swapgs, for the base
// that changes must be the program's.
static void segments_load(const struct arch_thread *a)
{
	__asm__ volatile("movw %0, %%ds" ::"r"(a->ds));
	__asm__ volatile("movw %0, %%es" ::"r"(a->es));
	__asm__ volatile("movw %0, %%fs" ::"r"(a->fs));
	__asm__ volatile("swapgs; movw %0, %%gs; swapgs" ::"r"(a->gs) : "memory");
}

// This CPU's debug registers are some thread's; threads without a program leave them alone.
static DEFINE_PERCPU(bool, debug_loaded);

static void debug_registers_load(const struct arch_thread *a)
{
	this_cpu_write(debug_loaded, a->uses_debug);
	__asm__ volatile("movq %0, %%db0" ::"r"(a->debug[0]));
	__asm__ volatile("movq %0, %%db1" ::"r"(a->debug[1]));
	__asm__ volatile("movq %0, %%db2" ::"r"(a->debug[2]));
	__asm__ volatile("movq %0, %%db3" ::"r"(a->debug[3]));
	__asm__ volatile("movq %0, %%db6" ::"r"(0xffff0ff0ul));
	__asm__ volatile("movq %0, %%db7" ::"r"(a->debug[7]));
}

struct thread *arch_switch(struct thread *prev, struct thread *next)
{
	struct arch_thread *p = &prev->arch, *n = &next->arch;

	fpu_switch(prev, next);
	if (prev->space) {
		__asm__ volatile("rdfsbase %0" : "=r"(p->fsbase));
		p->gsbase = rdmsr(MSR_KERNEL_GS_BASE);
		__asm__ volatile("movw %%ds, %0" : "=r"(p->ds));
		__asm__ volatile("movw %%es, %0" : "=r"(p->es));
		__asm__ volatile("movw %%fs, %0" : "=r"(p->fs));
		__asm__ volatile("movw %%gs, %0" : "=r"(p->gs));
	}
	if (next->space) {
		// the selectors in the registers are those of the last program that ran here
		u16 ds, es, fs, gs;
		__asm__ volatile("movw %%ds, %0; movw %%es, %1; movw %%fs, %2; movw %%gs, %3"
				 : "=r"(ds), "=r"(es), "=r"(fs), "=r"(gs));
		if (unlikely((ds ^ n->ds) | (es ^ n->es) | (fs ^ n->fs) | (gs ^ n->gs) | fs | gs))
			segments_load(n);
		__asm__ volatile("wrfsbase %0" ::"r"(n->fsbase));
		wrmsr(MSR_KERNEL_GS_BASE, n->gsbase);
		if (unlikely(this_cpu_read(debug_loaded) | n->uses_debug))
			debug_registers_load(n);
		if (likely(!next->gate)) // else the way back into the service loads its view
			mmu_space_activate(next->space, (enum vm_view)next->view);
	}
	this_cpu_write(cpu_current, next);
	this_cpu_write(cpu_kstack_top, next->entry_top);
	this_cpu_write(cpu_kstack_limit, (uintptr_t)next->kstack + KSTACK_MARGIN);
	return arch_switch_stack(prev, next, &p->rsp, n->rsp);
}

void arch_thread_exec(void)
{
	struct thread *t = current();

	fpu_state_reset();
	preempt_disable();
	t->arch.gate_tls[0] = t->arch.gate_tls[1] = 0;
	t->arch.ds = t->arch.es = t->arch.fs = t->arch.gs = 0;
	t->arch.fsbase = t->arch.gsbase = 0;
	memset(t->arch.debug, 0, sizeof(t->arch.debug));
	t->arch.uses_debug = false;
	if (this_cpu_read(debug_loaded))
		debug_registers_load(&t->arch);
	segments_load(&t->arch);
	__asm__ volatile("wrfsbase %0" ::"r"(0ul));
	wrmsr(MSR_KERNEL_GS_BASE, 0);
	preempt_enable();
}

void arch_set_kstack_top(uintptr_t top)
{
	this_cpu_write(cpu_kstack_top, top);
}

u64 arch_tls_get(bool gs)
{
	u64 v;
	tls_settle();
	if (gs)
		return rdmsr(MSR_KERNEL_GS_BASE);
	__asm__ volatile("rdfsbase %0" : "=r"(v));
	return v;
}

int arch_tls_set(bool gs, u64 base)
{
	if (base >= USER_TOP)
		return -EPERM;
	tls_settle();
	preempt_disable();
	if (gs)
		wrmsr(MSR_KERNEL_GS_BASE, base);
	else
		__asm__ volatile("wrfsbase %0" ::"r"(base));
	preempt_enable();
	return 0;
}

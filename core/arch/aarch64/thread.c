// SPDX-License-Identifier: MIT
// Threads' CPU state: first frames, context switch, TLS register (AArch64). Privileged.
#include "base/errno.h"
#include "base/string.h"
#include "core/arch/aarch64/cpu_priv.h"
#include "core/mmu_space.h"
#include "core/panic.h"
#include "core/thread.h"
#include <arch/elevate.h>
#include <arch/gate.h>
#include <arch/paging.h>

struct thread *arch_switch_stack(struct thread *prev, struct thread *next, u64 *save_sp, u64 sp);
extern void thread_trampoline(void);

constexpr u64 MDSCR_SS = 1 << 0;	 // software step, of EL0 alone: KDE is clear
constexpr uintptr_t KSTACK_MARGIN = 512; // room for a frame above the guard page

// What arch_switch_stack restores.
struct switch_frame {
	u64 x29, x30, x19, x20, x21, x22, x23, x24, x25, x26, x27, x28;
};
static_assert(sizeof(struct switch_frame) == 96);

struct trap_frame *thread_user_frame(struct thread *t)
{
	return (struct trap_frame *)align_down(t->kstack_top, 16) - 1;
}

struct trap_frame *thread_entry_frame(struct thread *t)
{
	return (struct trap_frame *)align_down(t->entry_top, 16) - 1;
}

static void first_switch_frame(struct thread *t, struct trap_frame *below, void *fn, void *arg)
{
	struct switch_frame *s = (struct switch_frame *)below - 1;

	*s = (struct switch_frame){.x19 = (u64)fn, .x20 = (u64)arg, .x30 = (u64)thread_trampoline};
	t->arch.sp = (u64)s;
}

void arch_thread_init_kernel(struct thread *t, void (*fn)(void *), void *arg)
{
	// below the place of a program's frame: fn may become a program (arch_thread_enter_user)
	first_switch_frame(t, thread_user_frame(t), (void *)fn, arg);
}

void arch_thread_init_user(struct thread *t, u64 ip, u64 sp)
{
	struct trap_frame *f = thread_user_frame(t);

	*f = (struct trap_frame){.number = ~0ull,
				 .pc = ip,
				 .pstate = PSTATE_EL0,
				 .sp = sp,
				 .native = elevate_native(t)};
	t->syscalls = syscall_count;
	if (t == current()) {
		atomic_or(&t->work, WORK_FULL_FRAME);
		return;
	}
	first_switch_frame(t, f, nullptr, nullptr);
}

// Puts the program's TLS register back now, if a gate of this system call may have changed it.
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
	*child->arch.fpu = *parent->arch.fpu;
	preempt_enable();
	child->arch.fpu_cpu = 0;
	*c = *f;
	c->x[0] = 0;
	// privilege is not inherited: a child of elevated code begins lowered
	c->pstate = (f->pstate & PSTATE_USER) | PSTATE_EL0;
	c->native = 0;
	c->elevations = 0;
	if (sp)
		c->sp = sp;
	child->arch.tls = set_tls ? tls : cpu_sysreg_read("tpidr_el0");
	first_switch_frame(child, c, nullptr, nullptr);
	return 0;
}

struct thread *arch_switch(struct thread *prev, struct thread *next)
{
	fpu_switch(prev, next);
	if (prev->space) {
		prev->arch.tls = cpu_sysreg_read("tpidr_el0");
		elevate_fold(prev);
	}
	if (next->space) {
		cpu_sysreg_write("tpidr_el0", next->arch.tls);
		if (likely(!next->gate)) // else the way back into the service loads its view
			mmu_space_activate(next->space, (enum vm_view)next->view);
	}
	if (unlikely(prev->arch.step != next->arch.step))
		cpu_sysreg_write("mdscr_el1", next->arch.step ? MDSCR_SS : 0);
	this_cpu_write(cpu_current, next);
	this_cpu_write(cpu_kstack_limit, (uintptr_t)next->kstack + KSTACK_MARGIN);
	return arch_switch_stack(prev, next, &prev->arch.sp, next->arch.sp);
}

void arch_tls_settle(void)
{
	preempt_disable();
	current()->arch.tls = cpu_sysreg_read("tpidr_el0");
	preempt_enable();
}

void arch_step_set(bool on)
{
	preempt_disable();
	current()->arch.step = on;
	cpu_sysreg_write("mdscr_el1", on ? MDSCR_SS : 0);
	preempt_enable();
}

void arch_thread_exec(void)
{
	struct thread *t = current();

	fpu_state_reset();
	preempt_disable();
	t->arch.gate_tls = 0;
	t->arch.tls = 0;
	cpu_sysreg_write("tpidr_el0", 0);
	preempt_enable();
}

void arch_set_kstack_top(uintptr_t)
{
	// SP_EL1 is where the running thread left it: nothing to note
}

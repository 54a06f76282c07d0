// SPDX-License-Identifier: MIT
// Crossing into services: what gate.S leaves to C (x86-64). Privileged.
#include "core/arch/x86_64/asm_offsets.h"
#include "core/arch/x86_64/cpu_priv.h"
#include "core/arch/x86_64/x86.h"
#include "core/elevate.h"
#include "core/gate/service.h"
#include "core/log.h"
#include "core/mmu_space.h"
#include "core/personality.h"
#include <arch/gate.h>
#include <arch/mmu.h>

static_assert(offsetof(struct gate_stack, saved_sp) == STACK_SAVED_SP);
static_assert(offsetof(struct gate_stack, root) == STACK_ROOT);
static_assert(offsetof(struct gate_stack, top) == STACK_TOP);
static_assert(offsetof(struct gate_stack, service) == STACK_SERVICE);
static_assert(offsetof(struct gate_stack, outer) == STACK_OUTER);
static_assert(offsetof(struct gate_stack, port) == STACK_PORT);
static_assert(offsetof(struct gate_stack, op) == STACK_OP);
static_assert(offsetof(struct gate_stack, ticks) == STACK_OP + 4);
static_assert(offsetof(struct gate_stack, deadline_ns) == STACK_DEADLINE);
static_assert(offsetof(struct gate_stack, calls_in) == STACK_CALLS_IN);
static_assert(offsetof(struct gate_stack, calls_out) == STACK_CALLS_OUT);
static_assert(sizeof(struct gate_stack) == 1 << STACK_SHIFT);
static_assert(offsetof(struct service, stack_waiters) == SERVICE_STACK_WAITERS);
static_assert(offsetof(struct service, stacks) == SERVICE_STACKS);
static_assert(offsetof(struct gate_port, service) == PORT_SERVICE);
static_assert(offsetof(struct gate_port, fast) == PORT_FAST);
static_assert(offsetof(struct gate_port, cookie) == PORT_COOKIE);
static_assert(offsetof(struct gate_port, entry) == PORT_ENTRY);
static_assert(offsetof(struct gate_stack, generation) == STACK_GENERATION);
static_assert(offsetof(struct service, live) == SERVICE_LIVE);
static_assert(offsetof(struct service, imports) == SERVICE_IMPORTS);
static_assert(GATE_STUBS_BASE == GATE_STUBS && GATE_CALLS_MAX == GATE_CALLS_MAX_);

DEFINE_PERCPU(u64, cpu_service_root);

u64 arch_view_value(phys_t root, u32 id)
{
	// Ids 0 to 12 are the kernel's and those of programs' spaces (tlb.c). Nothing is dropped on
	// a load: who changes a service's tables drops it everywhere.
	constexpr u64 FIRST_ID = 32, KEEP = 1ull << 63;

	return arch_mmu_has_ids ? root.addr | (FIRST_ID + id) | KEEP : root.addr;
}

void arch_gate_view_load(const struct gate_stack *st, bool elevated)
{
	if (elevated && elevate_backend == ELEVATE_VIEWS) {
		mmu_space_activate(nullptr, VIEW_PROGRAM);
	} else if (this_cpu_read(cpu_service_root) != st->root) {
		this_cpu_write(cpu_service_root, st->root);
		__asm__ volatile("movq %0, %%cr3" ::"r"(st->root) : "memory");
	}
}

// The program goes on, but a gate has left its service's view loaded, and the service may have
// changed the registers of its TLS bases. Interrupts off. Called from entry.S.
void space_reload(void)
{
	struct thread *t = current();

	atomic_andnot(&t->work, WORK_ROOT);
	preempt_disable();
	__asm__ volatile("wrfsbase %0" ::"r"(t->arch.gate_tls[0]));
	wrmsr(MSR_KERNEL_GS_BASE, t->arch.gate_tls[1]);
	mmu_space_activate(t->space, (enum vm_view)t->view);
	preempt_enable_no_resched();
}

pte_t arch_service_pte(phys_t p, bool write, bool exec, bool device)
{
	pte_t e = p.addr | PTE_PRESENT | PTE_USER | PTE_ACCESSED;

	if (write)
		e |= PTE_WRITE | PTE_DIRTY;
	if (!exec)
		e |= PTE_NO_EXEC;
	if (device)
		e |= PTE_CACHE_OFF | PTE_WRITE_THROUGH;
	return e;
}

int arch_gate_registers_hide(void **kept)
{
	void *spare = fpu_area_alloc();

	if (!spare)
		return -ENOMEM;
	*kept = fpu_area_exchange(spare, true);
	return 0;
}

void arch_gate_registers_unhide(void *kept)
{
	fpu_area_free(fpu_area_exchange(kept, false));
}

// Elevated code of a program has its RIP in the lower half; that of a service runs with IOPL=1,
// which core never does.
static bool frame_is_elevated(const struct trap_frame *f)
{
	if (f->cs & 3)
		return false;
	return f->rip >> 63 ? f->rflags & RFLAGS_IOPL1 : current() && current()->elevated;
}

enum frame_context frame_context(const struct trap_frame *f)
{
	if (!(f->cs & 3) && !frame_is_elevated(f))
		return FRAME_KERNEL;
	return current()->gate ? FRAME_SERVICE : FRAME_PROGRAM;
}

u64 arch_stub_caller(const struct trap_frame *f)
{
	u64 address = 0;

	return service_copy_in(&address, f->rsp, sizeof(address)) ? address : 0;
}

// ---- what services do that programs may not, and the reverse ----

// Number beyond the table, or a call that the service does not import.
[[noreturn]] void gate_strange_call(struct trap_frame *f)
{
	u64 number = f->orig_rax - NR_GATE_CALL;
	char detail[80];

	gate_strange_call_describe(number, detail, sizeof(detail));
	gate_fault(f, "gate call that the service did not import", detail);
}

// elevate() by a thread to which it was not granted, or that is inside a service. Interrupts off at
// entry and exit.
void elevate_ungranted(struct trap_frame *f)
{
	struct thread *t = current();

	if (!t->gate) {
		this_cpu_add(cpu_elevations_refused, 1);
		f->rax = (u64)-EPERM;
		syscall_exit_slow(f);
		return;
	}
	int r = gate_elevate(frame_ip(f));

	if (r == -EACCES)
		gate_fault(f, "elevation from a place that is not recorded", "");
	f->rax = (u64)(s64)r;
	if (!r) {
		t->elevated = 1;
		f->cs = KERNEL_CS;
		f->ss = KERNEL_DS;
		f->rflags |= elevate_rflags;
	}
	gate_resume(f);
}

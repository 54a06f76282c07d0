// SPDX-License-Identifier: MIT
// Crossing into services: what gate.S leaves to C (AArch64). Privileged.
#include "core/arch/aarch64/asm_offsets.h"
#include "core/arch/aarch64/cpu_priv.h"
#include "core/arch/aarch64/gate_priv.h"
#include "core/gate/service.h"
#include "core/log.h"
#include "core/mmu_space.h"
#include "core/personality.h"
#include "abi/native.h"
#include <arch/exception.h>
#include <arch/gate.h>
#include <arch/mmu.h>

static_assert(offsetof(struct gate_stack, thread) == STACK_THREAD);
static_assert(offsetof(struct gate_stack, saved_sp) == STACK_SAVED_SP);
static_assert(offsetof(struct gate_stack, root) == STACK_ROOT);
static_assert(offsetof(struct gate_stack, top) == STACK_TOP);
static_assert(offsetof(struct gate_stack, service) == STACK_SERVICE);
static_assert(offsetof(struct gate_stack, outer) == STACK_OUTER);
static_assert(offsetof(struct gate_stack, port) == STACK_OUTER + 8);
static_assert(offsetof(struct gate_stack, op) == STACK_OP);
static_assert(offsetof(struct gate_stack, ticks) == STACK_OP + 4);
static_assert(offsetof(struct gate_stack, deadline_ns) == STACK_OP + 8);
static_assert(offsetof(struct gate_stack, calls_in) == STACK_CALLS_IN);
static_assert(offsetof(struct gate_stack, calls_out) == STACK_CALLS_OUT);
static_assert(offsetof(struct gate_stack, generation) == STACK_GENERATION);
static_assert(sizeof(struct gate_stack) == 1 << STACK_SHIFT);
static_assert(offsetof(struct service, live) == SERVICE_LIVE);
static_assert(offsetof(struct service, stack_waiters) == SERVICE_STACK_WAITERS);
static_assert(offsetof(struct service, imports) == SERVICE_IMPORTS);
static_assert(offsetof(struct service, stacks) == SERVICE_STACKS);
static_assert(offsetof(struct gate_port, service) == PORT_SERVICE);
static_assert(offsetof(struct gate_port, fast) == PORT_FAST);
static_assert(offsetof(struct gate_port, cookie) == PORT_COOKIE);
static_assert(offsetof(struct gate_port, entry) == PORT_ENTRY);
static_assert(offsetof(struct trap_frame, native) == FRAME_NATIVE);
static_assert(offsetof(struct trap_frame, elevations) == FRAME_ELEVATIONS);
static_assert(offsetof(struct thread, entry_top) == THREAD_ENTRY_TOP);
static_assert(offsetof(struct thread, syscalls) == THREAD_ENTRY_TOP + 8);
static_assert(offsetof(struct thread, cpu) == THREAD_CPU);
static_assert(offsetof(struct thread, work) == 0 && WORK_RESCHED == WORK_RESCHED_BIT);
static_assert(WORK_ROOT == WORK_ROOT_BIT && WORK_ROOT_BIT == 1 << WORK_ROOT_SHIFT);
static_assert(NR_GATE_CALL == HALYARD_NR_GATE_CALL && NR_GATE_RETURN == HALYARD_NR_GATE_RETURN);
static_assert(GATE_STUBS_BASE == GATE_STUBS && GATE_CALLS_MAX == GATE_CALLS_MAX_);
static_assert(ROOT_UPPER == ARCH_ROOT_UPPER);

DEFINE_PERCPU(u64, cpu_service_root);
u64 kernel_root_upper; // TTBR1 for the kernel's own upper half: every slot of a service is closed

// ---- views ----

u64 arch_view_value(phys_t root, u32 id)
{
	// Ids 0 to 12 are the kernel's and those of programs' spaces (tlb.c). Nothing is dropped on
	// a load: who changes a service's tables drops it everywhere.
	constexpr u64 FIRST_ID = 32;

	static_assert(FIRST_ID + 1 + SERVICES_MAX < 256); // some CPUs' ids have 8 bits
	kernel_root_upper = kernel_space.root[VIEW_PROGRAM].addr + ARCH_ROOT_UPPER;
	return root.addr | (FIRST_ID + id) << ARCH_ID_SHIFT;
}

// As GATE_ENTER in gate.S, which says why in this order.
static void view_load(u64 value)
{
	if (this_cpu_read(cpu_service_root)) {
		cpu_sysreg_write("ttbr1_el1", kernel_root_upper);
		cpu_isb();
	}
	this_cpu_write(cpu_service_root, value);
	cpu_sysreg_write("ttbr0_el1", value);
	cpu_isb();
	cpu_sysreg_write("ttbr1_el1", (value & PTE_ADDR) + ARCH_ROOT_UPPER);
	cpu_isb();
}

// With both backends: in a service's own view its code is not EL1's to execute.
void arch_gate_view_load(const struct gate_stack *st, bool elevated)
{
	if (elevated)
		mmu_space_activate(nullptr, VIEW_PROGRAM);
	else if (this_cpu_read(cpu_service_root) != st->root)
		view_load(st->root);
}

// The program goes on, but a gate has left its service's view loaded, and the service may have
// changed the register of its TLS base. Interrupts off.
void space_reload(void)
{
	struct thread *t = current();

	atomic_andnot(&t->work, WORK_ROOT);
	preempt_disable();
	cpu_sysreg_write("tpidr_el0", t->arch.gate_tls);
	mmu_space_activate(t->space, (enum vm_view)t->view);
	preempt_enable_no_resched();
}

pte_t arch_service_pte(phys_t p, bool write, bool exec, bool device)
{
	return p.addr | PTE_PRESENT | PTE_SMALL | PTE_USER | PTE_ACCESSED | PTE_INNER_SHAREABLE |
	       PTE_NOT_GLOBAL | (write ? 0 : PTE_READ_ONLY) |
	       (exec ? 0 : PTE_NO_EXEC_CORE | PTE_NO_EXEC_USER) |
	       (device ? PTE_ATTR_DEVICE : PTE_ATTR_NORMAL) << PTE_ATTR_SHIFT;
}

// Whether the view that is loaded lets EL0 do at addr what was tried. The tables cannot go away
// meanwhile: who frees them waits for this CPU, whose interrupts are off.
static bool view_allows(u64 addr, u64 esr)
{
	const pte_t *table = phys_ptr(phys((cpu_sysreg_read("ttbr1_el1") & PTE_ADDR & PAGE_MASK)));
	pte_t e = pte_load(&table[pt_index(addr, PT_ROOT_LEVEL)]);

	if (e & PTE_TABLE_NO_USER)
		return false;
	for (u32 level = PT_ROOT_LEVEL; level > 0; level--) {
		if (!pte_is_table(e))
			return false;
		table = phys_ptr(pte_phys(e));
		e = pte_load(&table[pt_index(addr, level - 1)]);
	}
	if ((e & (PTE_PRESENT | PTE_USER)) != (PTE_PRESENT | PTE_USER))
		return false;
	if (esr >> ESR_EC_SHIFT == EC_IABORT_LOWER)
		return !(e & PTE_NO_EXEC_USER);
	return !(esr & ESR_WRITE) || (esr & ESR_CACHE_OPERATION) || !(e & PTE_READ_ONLY);
}

bool arch_gate_fault_is_stale(u64 addr, u64 esr)
{
	u64 class = esr >> ESR_EC_SHIFT;

	if ((class != EC_IABORT_LOWER && class != EC_DABORT_LOWER) || addr < SERVICE_BASE ||
	    !(esr_is_translation(esr) || esr_is_permission(esr)) || !view_allows(addr, esr))
		return false;
	arch_tlb_flush_page(addr);
	return true;
}

// ---- registers ----

int arch_gate_registers_hide(void **kept)
{
	struct fpu_state *spare = fpu_area_alloc();

	if (!spare)
		return -ENOMEM;
	*kept = fpu_area_exchange(spare, true);
	return 0;
}

void arch_gate_registers_unhide(void *kept)
{
	fpu_area_free(fpu_area_exchange(kept, false));
}

// ---- whose code was interrupted ----

void arch_gate_caller(const struct gate_stack *st, uintptr_t *ip, uintptr_t *fp)
{
	// as gate.S says: entry_top, syscalls, X19 to X28, X29, X30
	const u64 *words = (const u64 *)st->saved_sp;

	*fp = words[12];
	*ip = words[13];
}

enum frame_context frame_context(const struct trap_frame *f)
{
	if ((f->pstate & PSTATE_MODE) == PSTATE_EL1H)
		return FRAME_KERNEL;
	return current()->gate ? FRAME_SERVICE : FRAME_PROGRAM;
}

u64 arch_stub_caller(const struct trap_frame *f)
{
	return f->x[30];
}

// ---- what services do that programs may not, and the reverse ----

// Number beyond the table, or a call that the service does not import.
[[noreturn]] void gate_strange_call(struct trap_frame *f)
{
	u64 number = f->number - NR_GATE_CALL;
	char detail[80];

	gate_strange_call_describe(number, detail, sizeof(detail));
	gate_fault(f, "gate call that the service did not import", detail);
}

// A call returns to its service, not by the short way. Interrupts off at entry and exit.
void gate_up_resume(struct trap_frame *f)
{
	current()->elevated = frame_elevated(f);
	gate_resume(f);
}

static void service_elevate(struct trap_frame *f)
{
	struct thread *t = current();

	if (frame_elevated(f)) {
		f->x[0] = 1;
		return;
	}
	int r = gate_elevate(frame_ip(f));

	if (r == -EACCES)
		gate_fault(f, "elevation from a place that is not recorded", "");
	f->x[0] = (u64)(s64)r;
	if (!r) {
		t->elevated = 1;
		frame_raise(f);
	}
}

static void service_native_call(struct trap_frame *f)
{
	switch (f->number) {
	case NR_HALYARD_ELEVATE:
		service_elevate(f);
		break;
	case NR_HALYARD_LOWER:
		current()->elevated = 0;
		frame_lower(f);
		f->x[0] = 0;
		break;
	default:
		gate_strange_call(f);
	}
	gate_resume(f);
}

bool native_slow_path(struct trap_frame *f)
{
	if (current()->gate) {
		service_native_call(f);
		return true;
	}
	return program_native_call(f);
}

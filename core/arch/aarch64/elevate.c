// SPDX-License-Identifier: MIT
// Elevation of programs: backend, grants, view switches (AArch64). The short way is in gate.S.
// Privileged.
//
// Elevated code runs at EL1 on SP_EL0 (EL1t); exceptions take SP_EL1 and have vectors of their own,
// so nothing depends on what a program did to its registers.
//
// views: the elevated root makes the program's half supervisor memory (APTable, UXNTable), and has
// no PXNTable, by which the program view keeps EL1 from executing there.
//
// flat: no switch. A thread that may elevate always runs, lowered or not, on its space's elevated
// root, whose entries have no limits then: EL0 gets through as in the program view, and EL1 may
// execute. So the protection of the kernel against executing a program's pages is given up for the
// threads with the grant, and no others. PAN stays on in core; elevated code runs with it clear.
// One thing does not work: EL1 never executes pages that EL0 may write, whatever the tables say
// (Arm ARM, D8.4). Code that was written at run time must be made read-only before it is called
// elevated; else it is a signal (elevate_fetch_is_refused).
#include "core/elevate.h"
#include "base/errno.h"
#include "base/string.h"
#include "core/arch/aarch64/asm_offsets.h"
#include "core/arch/aarch64/cpu_priv.h"
#include "core/arch/aarch64/gate_priv.h"
#include "core/cmdline.h"
#include "core/log.h"
#include "core/mmu_space.h"
#include "core/smp.h"
#include <arch/elevate.h>
#include <arch/pte.h>

enum elevate_backend elevate_backend;
pte_t pte_root_elevated_limits = PTE_TABLE_NO_USER | PTE_TABLE_NO_EXEC_USER;

const char *elevate_backend_name(void)
{
	return elevate_backend == ELEVATE_VIEWS ? "views" : "flat";
}

// QEMU's emulation of no CPU in particular (-cpu max): architecture by features, part Q. Its
// emulations of real ones cannot be told from them.
static bool emulated(void)
{
	return cpu_sysreg_read("midr_el1") == 0x000f0510;
}

static enum elevate_backend choose(const char **why)
{
	const char *want = cmdline_value("elevate");

	*why = "as the command line says";
	if (want && !strcmp(want, "views"))
		return ELEVATE_VIEWS;
	if (want && !strcmp(want, "flat"))
		return ELEVATE_FLAT;
	if (want && strcmp(want, "auto"))
		log_warn("elevate=%s is not one of views, flat, auto; auto is used", want);
	if (emulated()) {
		*why = "every root switch flushes the TLB under emulation";
		return ELEVATE_FLAT;
	}
	*why = "ASIDs make root switches cheap";
	return ELEVATE_VIEWS;
}

void elevate_init(void)
{
	const char *why;

	elevate_backend = choose(&why);
	if (elevate_backend == ELEVATE_FLAT)
		pte_root_elevated_limits = 0;
	log_info("elevate: backend %s (%s)", elevate_backend_name(), why);
}

// Nothing is given up for all: see the top.
void elevate_allow(void)
{
}

static void activate(enum vm_view view)
{
	struct thread *t = current();

	preempt_disable();
	t->view = (typeof(t->view))view;
	mmu_space_activate(t->space, view);
	preempt_enable_no_resched();
}

void elevate_exec(bool granted)
{
	struct thread *t = current();

	t->may_elevate = granted;
	t->elevated = 0;
	activate(granted && elevate_backend == ELEVATE_FLAT ? VIEW_ELEVATED : VIEW_PROGRAM);
}

s64 elevate_native(const struct thread *t)
{
	return t->may_elevate && elevate_backend == ELEVATE_FLAT ? FRAME_MAY_ELEVATE : 0;
}

bool elevate_fetch_is_refused(const struct trap_frame *f, u64 addr)
{
	if (elevate_backend != ELEVATE_FLAT || !frame_elevated(f))
		return false;
	irqflags_t flags = irq_save();

	__asm__ volatile("at s1e0w, %0\n\tisb" ::"r"(addr) : "memory");
	bool writable = !(cpu_sysreg_read("par_el1") & 1);

	irq_restore(flags);
	return writable;
}

// ---- calls ----

static s64 elevate(struct trap_frame *f)
{
	if (frame_elevated(f)) // nested: the header counts, core does not
		return 0;
	if (!current()->may_elevate) {
		this_cpu_add(cpu_elevations_refused, 1);
		return -EPERM;
	}
	this_cpu_add(cpu_elevations, 1);
	if (elevate_backend == ELEVATE_VIEWS)
		activate(VIEW_ELEVATED);
	frame_raise(f);
	return 0;
}

static s64 lower(struct trap_frame *f)
{
	if (frame_elevated(f) && elevate_backend == ELEVATE_VIEWS)
		activate(VIEW_PROGRAM);
	frame_lower(f);
	return 0;
}

bool program_native_call(struct trap_frame *f)
{
	if (f->number == NR_HALYARD_ELEVATE)
		f->x[0] = (u64)elevate(f);
	else if (f->number == NR_HALYARD_LOWER)
		f->x[0] = (u64)lower(f);
	else
		return false;
	syscall_exit_slow(f);
	return true;
}

// ---- counts ----

void elevate_fold(struct thread *t)
{
	u64 *n = &thread_user_frame(t)->elevations;

	if (!*n)
		return;
	this_cpu_add(cpu_elevations, *n);
	*n = 0;
}

void elevate_counts_read(struct elevate_counts *c)
{
	*c = (struct elevate_counts){0};
	irqflags_t flags = irq_save();

	if (current()->space)
		elevate_fold(current());
	irq_restore(flags);
	for (u32 cpu = 0; cpu < smp_ncpus; cpu++) {
		c->elevations += *percpu_ptr(cpu_elevations, cpu);
		c->refused += *percpu_ptr(cpu_elevations_refused, cpu);
	}
}

// SPDX-License-Identifier: MIT
// Elevation of programs: backend, grants, view switches (x86-64). The entry and exit are in
// entry.S. Privileged.
#include "core/elevate.h"
#include "base/string.h"
#include "core/arch/x86_64/asm_offsets.h"
#include "core/arch/x86_64/cpu_priv.h"
#include "core/cmdline.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/mmu_space.h"
#include "core/panic.h"
#include "core/smp.h"
#include <arch/gate.h>

enum elevate_backend elevate_backend;
u32 elevate_switches_root; // 1: views. Read by entry.S; immutable after boot
u32 elevate_rflags = RFLAGS_IOPL1;

const char *elevate_backend_name(void)
{
	return elevate_backend == ELEVATE_VIEWS ? "views" : "flat";
}

// A root switch is cheap where its translations are tagged (PCID) and not emulated.
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
	if (cpu_has(CPU_TCG)) {
		*why = "every root switch flushes the TLB under emulation";
		return ELEVATE_FLAT;
	}
	*why = cpu_has(CPU_PCID) ? "PCID makes root switches cheap" : "no PCID";
	return cpu_has(CPU_PCID) ? ELEVATE_VIEWS : ELEVATE_FLAT;
}

void elevate_init(void)
{
	const char *why;

	elevate_backend = choose(&why);
	elevate_switches_root = elevate_backend == ELEVATE_VIEWS;
	if (elevate_backend == ELEVATE_FLAT)
		elevate_rflags |= RFLAGS_AC;
	log_info("elevate: backend %s (%s)", elevate_backend_name(), why);
}

static void smep_off(void *unused)
{
	(void)unused;
	cpu_set_smep(false);
}

void elevate_allow(void)
{
	static mutex_t lock = MUTEX_INIT(lock, LOCK_module_misc);
	static bool done; // lock

	if (elevate_backend != ELEVATE_FLAT)
		return;
	mutex_lock(&lock);
	if (!done) { // elevated code lies in user-accessible pages
		preempt_disable();
		smep_off(nullptr);
		smp_call(cpumask_all(), smep_off, nullptr);
		preempt_enable();
		log_notice("elevate: SMEP is off for the sake of what may elevate");
		done = true;
	}
	mutex_unlock(&lock);
}

void elevate_exec(bool granted)
{
	struct thread *t = current();

	if (granted)
		elevate_allow();
	t->may_elevate = granted;
	if (!t->elevated)
		return;
	t->elevated = 0;
	if (elevate_backend == ELEVATE_VIEWS)
		lower_activate_view();
}

static void activate(enum vm_view view)
{
	struct thread *t = current();

	preempt_disable();
	t->view = (typeof(t->view))view;
	mmu_space_activate(t->space, view);
	preempt_enable_no_resched(); // interrupts are off: a pending switch waits for the exit
				     // check or the next interrupt
}

void elevate_activate_view(void)
{
	activate(VIEW_ELEVATED);
}
void lower_activate_view(void)
{
	struct gate_stack *st = current()->gate;

	if (st)
		arch_gate_view_load(st, false);
	else
		activate(VIEW_PROGRAM);
}

void elevate_counts_read(struct elevate_counts *c)
{
	*c = (struct elevate_counts){0};
	for (u32 cpu = 0; cpu < smp_ncpus; cpu++) {
		c->elevations += *percpu_ptr(cpu_elevations, cpu);
		c->refused += *percpu_ptr(cpu_elevations_refused, cpu);
	}
}

// SPDX-License-Identifier: MIT
// Elevation of programs: backend, grants, view switches (x86-64). The entry and exit are in
// entry.S. Privileged.
#include "core/elevate.h"
#include "base/string.h"
#include "core/arch/x86_64/asm_offsets.h"
#include "core/arch/x86_64/cpu_priv.h"
#include "core/cmdline.h"
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

static bool any_grant(void)
{
	u32 cursor = 0;
	const char *path;
	return cmdline_next("halyard.elevate", &cursor, &path);
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
	elevate_init_cpu();
	log_info("elevate: backend %s (%s)%s", elevate_backend_name(), why,
		 elevate_backend == ELEVATE_FLAT && any_grant()
			 ? "; SMEP is off for the granted programs' sake"
			 : "");
}

void elevate_init_cpu(void)
{
	if (elevate_backend == ELEVATE_FLAT && any_grant())
		cpu_set_smep(false); // elevated code lies in user-accessible pages
}

bool elevate_path_granted(const char *path)
{
	u32 cursor = 0;
	const char *granted;

	while (cmdline_next("halyard.elevate", &cursor, &granted))
		if (!strcmp(granted, path))
			return true;
	return false;
}

void elevate_exec(struct thread *t, const char *path)
{
	t->may_elevate = elevate_path_granted(path);
	if (t != current() || !t->elevated)
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

// A service with places that elevate is about to run.
static void smep_off(void *unused)
{
	(void)unused;
	cpu_set_smep(false);
}

void elevate_allow_services(void)
{
	static bool done; // by the services' lock

	if (elevate_backend != ELEVATE_FLAT || done)
		return;
	done = true;
	preempt_disable();
	smep_off(nullptr);
	preempt_enable();
	smp_call(cpumask_all(), smep_off, nullptr);
	log_notice("elevate: SMEP is off for the sake of services that elevate");
}

void elevate_counts_read(struct elevate_counts *c)
{
	*c = (struct elevate_counts){0};
	for (u32 cpu = 0; cpu < smp_ncpus; cpu++) {
		c->elevations += *percpu_ptr(cpu_elevations, cpu);
		c->refused += *percpu_ptr(cpu_elevations_refused, cpu);
	}
}

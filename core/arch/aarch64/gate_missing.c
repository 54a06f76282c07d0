// SPDX-License-Identifier: MIT
// gate_missing.c: what stands in for gates and elevation until they exist on AArch64: refuses or
// panics, and says so at boot. Privileged.
#include "base/errno.h"
#include "core/arch/aarch64/cpu_priv.h"
#include "core/elevate.h"
#include "core/gate/service.h"
#include "core/log.h"
#include "core/mmu_space.h"
#include "core/panic.h"
#include <arch/gate.h>

DEFINE_PERCPU(u64, cpu_service_root);

enum elevate_backend elevate_backend;

const char *elevate_backend_name(void)
{
	return "none";
}

void elevate_init(void)
{
	log_err("elevate: this kernel has no elevation and no gates on AArch64; no service can start");
}

void elevate_allow(void)
{
	log_err("elevate: nothing can elevate");
}

void elevate_exec(bool granted)
{
	if (granted)
		log_err("elevate: the program is granted elevation, which this kernel does not have");
}

void elevate_counts_read(struct elevate_counts *c)
{
	*c = (struct elevate_counts){0};
}

void space_reload(void)
{
	struct thread *t = current();

	atomic_andnot(&t->work, WORK_ROOT);
	mmu_space_activate(t->space, (enum vm_view)t->view);
}

enum frame_context frame_context(const struct trap_frame *f)
{
	return (f->pstate & PSTATE_MODE) == PSTATE_EL1H ? FRAME_KERNEL : FRAME_PROGRAM;
}

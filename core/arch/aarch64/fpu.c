// SPDX-License-Identifier: MIT
// Vector and floating-point state of threads (AArch64: V0 to V31, FPSR, FPCR). Privileged. SVE and
// SME are not kept: their instructions stay switched off and are undefined to programs.
#include "base/errno.h"
#include "base/string.h"
#include "core/arch/aarch64/cpu_priv.h"
#include "core/log.h"
#include "core/slab.h"
#include "core/thread.h"
#include <arch/init.h>

void fpu_registers_save(struct fpu_state *s);
void fpu_registers_load(const struct fpu_state *s);

static struct slab_cache area_cache;

static_assert(offsetof(struct fpu_state, fpsr) == 512);

void fpu_init_cpu(void)
{
	static const struct fpu_state initial;

	cpu_sysreg_write("cpacr_el1", 3ull << 20); // vector registers work at EL0 and EL1; no more
	cpu_isb();
	fpu_registers_load(&initial);
}

void fpu_init(void)
{
	fpu_init_cpu();
	slab_cache_init(&area_cache, "fpu", sizeof(struct fpu_state), 16);
	log_info("fpu: vector state %zu bytes%s", sizeof(struct fpu_state),
		 cpu_has(CPU_SVE) ? "; SVE is left switched off" : "");
}

struct fpu_state *fpu_state_area(struct thread *t)
{
	return t->arch.fpu;
}

int arch_thread_alloc(struct thread *t)
{
	t->arch.fpu = fpu_area_alloc();
	if (!t->arch.fpu)
		return -ENOMEM;
	memset(t->arch.fpu, 0, sizeof(*t->arch.fpu));
	t->arch.fpu_cpu = 0;
	return 0;
}

void arch_thread_free(struct thread *t)
{
	fpu_area_free(t->arch.fpu);
	t->arch.fpu = nullptr;
}

void fpu_state_save(struct thread *t)
{
	preempt_disable();
	fpu_registers_save(t->arch.fpu);
	preempt_enable();
}

// Whose state the registers of this CPU hold; idle threads leave it alone. Owner CPU only.
static DEFINE_PERCPU(struct thread *, fpu_owner);

void fpu_switch(struct thread *prev, struct thread *next)
{
	u32 here = this_cpu_id() + 1;

	if (prev->arch.fpu) {
		fpu_registers_save(prev->arch.fpu);
		prev->arch.fpu_cpu = here;
		this_cpu_write(fpu_owner, prev);
	}
	if (next->arch.fpu && !(next->arch.fpu_cpu == here && this_cpu_read(fpu_owner) == next))
		fpu_registers_load(next->arch.fpu);
}

void fpu_state_load(void)
{
	struct thread *t = current();

	t->arch.fpu_cpu = 0; // let no CPU believe that its registers are newer
	fpu_registers_load(t->arch.fpu);
}

void fpu_state_reset(void)
{
	struct thread *t = current();

	preempt_disable();
	memset(t->arch.fpu, 0, sizeof(*t->arch.fpu));
	fpu_state_load();
	preempt_enable();
}

// ---- away from services ----

struct fpu_state *fpu_area_alloc(void)
{
	return slab_alloc(&area_cache);
}

void fpu_area_free(struct fpu_state *area)
{
	slab_free(&area_cache, area);
}

struct fpu_state *fpu_area_exchange(struct fpu_state *area, bool fresh)
{
	struct thread *t = current();

	preempt_disable();
	struct fpu_state *old = t->arch.fpu;

	if (fresh) {
		fpu_registers_save(old);
		memset(area, 0, sizeof(*area));
	}
	t->arch.fpu = area;
	fpu_state_load();
	preempt_enable();
	return old;
}

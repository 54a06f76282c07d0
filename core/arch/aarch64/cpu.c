// SPDX-License-Identifier: MIT
// This CPU: features, vectors, control registers (AArch64). Privileged.
#include "base/string.h"
#include "core/arch/aarch64/asm_offsets.h"
#include "core/arch/aarch64/boot_offsets.h"
#include "core/arch/aarch64/cpu_priv.h"
#include "core/page.h"
#include "core/panic.h"
#include "core/personality.h"
#include <arch/exception.h>
#include <arch/init.h>
#include "abi/native.h"

static_assert(offsetof(struct thread, work) == THREAD_WORK);
static_assert(offsetof(struct thread, space) == THREAD_SPACE);
static_assert(offsetof(struct thread, elevated) == THREAD_ELEVATED);
static_assert(offsetof(struct thread, may_elevate) == THREAD_MAY_ELEVATE);
static_assert(offsetof(struct thread, gate) == THREAD_GATE);
static_assert(offsetof(struct thread, entry_top) == THREAD_ENTRY_TOP);
static_assert(offsetof(struct thread, syscalls) == THREAD_SYSCALLS);
static_assert(offsetof(struct thread, arch.gate_tls) == THREAD_GATE_TLS);
static_assert(WORK_ROOT == WORK_ROOT_BIT && WORK_RESCHED == WORK_RESCHED_BIT);
static_assert(WORK_TRACE_ENTRY == WORK_TRACE_ENTRY_BIT);
static_assert(offsetof(struct trap_frame, x[28]) == FRAME_X28 &&
	      offsetof(struct trap_frame, sp) == FRAME_SP &&
	      offsetof(struct trap_frame, pc) == FRAME_PC &&
	      offsetof(struct trap_frame, orig_x0) == FRAME_ORIG_X0 &&
	      offsetof(struct trap_frame, number) == FRAME_NUMBER &&
	      sizeof(struct trap_frame) == FRAME_SIZE);
static_assert(PSTATE_EL1H == PSTATE_EL1H_ && PSTATE_EL1T == PSTATE_EL1T_ && EC_SVC64 == EC_SVC64_);
static_assert(NR_HALYARD_ELEVATE == HALYARD_NR_ELEVATE && NR_HALYARD_LOWER == HALYARD_NR_LOWER);

u64 cpu_features;

DEFINE_PERCPU(u32, cpu_number);
DEFINE_PERCPU(struct thread *, cpu_current);
DEFINE_PERCPU(uintptr_t, cpu_kstack_limit);
DEFINE_PERCPU(uintptr_t, cpu_emergency_top);
DEFINE_PERCPU(u64, cpu_elevations);
DEFINE_PERCPU(u64, cpu_elevations_refused);
DEFINE_PERCPU(u32, preempt_count) = PREEMPT_NO_RESCHED;
u64 percpu_offset[CPU_MAX];

static u8 boot_emergency_stack[EMERGENCY_STACK_SIZE] __aligned(16);

// A field of four bits of an id register, whose value 15 means as little as 0 where it is signed.
static u32 id_field(u64 id, u32 shift)
{
	return (u32)(id >> shift & 0xf);
}

static u64 features_read(void)
{
	u64 found = 0;
	u64 isar0 = cpu_sysreg_read("id_aa64isar0_el1"),
	    mmfr0 = cpu_sysreg_read("id_aa64mmfr0_el1"),
	    mmfr1 = cpu_sysreg_read("id_aa64mmfr1_el1"), pfr0 = cpu_sysreg_read("id_aa64pfr0_el1");

	found |= (u64)(bool)(id_field(mmfr1, 20)) << CPU_PAN;
	found |= (u64)(bool)(id_field(mmfr0, 4) == 2) << CPU_ASID16;
	found |= (u64)(bool)(id_field(isar0, 20)) << CPU_ATOMICS;
	found |= (u64)(bool)(id_field(isar0, 60)) << CPU_RNDR;
	found |= (u64)(bool)(id_field(pfr0, 32)) << CPU_SVE;
	found |= (u64)(bool)(!(cpu_sysreg_read("dczid_el0") & 0x10)) << CPU_DC_ZVA;
	return found;
}

bool cpu_features_present(void)
{
	return (features_read() & cpu_features) == cpu_features;
}

// What the kernel cannot do without.
static const char *missing_feature(void)
{
	u64 mmfr0 = cpu_sysreg_read("id_aa64mmfr0_el1"), pfr0 = cpu_sysreg_read("id_aa64pfr0_el1");

	if (id_field(mmfr0, 28) == 0xf)
		return "pages of 4 KiB";
	if (id_field(pfr0, 16) == 0xf || id_field(pfr0, 20) == 0xf)
		return "vector registers";
	return nullptr;
}

void cpu_vectors_load(u32 cpu)
{
	extern char vectors[];

	*percpu_ptr(cpu_number, cpu) = cpu;
	cpu_sysreg_write("vbar_el1", vectors);
	cpu_sysreg_write("tpidrro_el0", 0);
	cpu_isb();
}

void cpu_controls_init(void)
{
	u64 sctlr = SCTLR_ON | SCTLR_PROGRAMS;

	if (cpu_has(CPU_PAN))
		sctlr &= ~(u64)SCTLR_SPAN;
	cpu_sysreg_write("sctlr_el1", sctlr);
	cpu_sysreg_write("cpacr_el1", 3ull << 20);
	cpu_sysreg_write("mdscr_el1", 0);
	cpu_sysreg_write("oslar_el1", 0);   // else there are no debug exceptions
	cpu_sysreg_write("cntkctl_el1", 2); // programs read the virtual counter
	if (id_field(cpu_sysreg_read("id_aa64dfr0_el1"), 8))
		cpu_sysreg_write("pmuserenr_el0", 0);
	cpu_sysreg_write("tpidr_el0", 0);
	cpu_isb();
	if (cpu_has(CPU_PAN))
		__asm__ volatile(".inst 0xd500419f" ::: "memory"); // msr pan, #1
}

void *cpu_emergency_stack_alloc(void)
{
	struct page *p = page_alloc(1, OWNER_CORE, ALLOC_ZERO);

	static_assert(EMERGENCY_STACK_SIZE == 2 * PAGE_SIZE);
	return p ? page_ptr(p) : nullptr;
}

void cpu_early_init(void)
{
	extern char __percpu_start[], __percpu_end[], __percpu_pristine[];

	memcpy(__percpu_pristine, __percpu_start, (size_t)(__percpu_end - __percpu_start));
	cpu_emergency_top = (uintptr_t)boot_emergency_stack + EMERGENCY_STACK_SIZE;
	cpu_vectors_load(0);
	cpu_features = features_read();
	uart_early_init();
}

void cpu_protections_init(void)
{
	const char *missing = missing_feature();

	if (missing)
		panic("this CPU lacks %s, which Halyard needs", missing);
	cpu_controls_init();
}

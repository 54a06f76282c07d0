// SPDX-License-Identifier: MIT
// Vector and floating-point state of threads: XSAVE areas (x86-64). Privileged. Format: Intel SDM
// volume 1, chapter 13 (standard form, as signal frames need it).
#include "base/errno.h"
#include "base/string.h"
#include "core/arch/x86_64/cpu_priv.h"
#include "core/arch/x86_64/x86.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/slab.h"
#include "core/thread.h"

constexpr u64 XCR0_WANTED = 1 | 2 | 4 | 0xe0 | 0x200; // x87, SSE, AVX, AVX-512, PKRU
constexpr u32 XSAVE_LEGACY = 512, XSAVE_HEADER = 64;
extern u8 copy_uses_avx;

static u64 xcr0;      // immutable after fpu_init()
static u32 area_size; // bytes
static struct slab_cache area_cache;
static u8 initial_area[XSAVE_LEGACY + XSAVE_HEADER] __aligned(64);
static u32 mxcsr_mask = 0xffff;
static bool use_xsaveopt;

static inline void xsave(void *area)
{
	if (use_xsaveopt)
		__asm__ volatile("xsaveopt64 (%0)" ::"r"(area), "a"(~0u), "d"(~0u) : "memory");
	else
		__asm__ volatile("xsave64 (%0)" ::"r"(area), "a"(~0u), "d"(~0u) : "memory");
}
static inline void xrstor(const void *area)
{
	__asm__ volatile("xrstor64 (%0)" ::"r"(area), "a"(~0u), "d"(~0u) : "memory");
}

void fpu_init_cpu(void)
{
	__asm__ volatile("xsetbv" ::"c"(0), "a"((u32)xcr0), "d"((u32)(xcr0 >> 32)));
	__asm__ volatile("fninit");
}

void fpu_init(void)
{
	struct cpuid_regs r = cpuid(0xd, 0);

	xcr0 = ((u64)r.edx << 32 | r.eax) & XCR0_WANTED;
	if ((xcr0 & 0xe0) != 0xe0)
		xcr0 &= ~0xe0ull;
	if (!(xcr0 & 4))
		xcr0 &= ~0xe0ull;
	// protection keys are offered only together with CR4.PKE, which stays off
	xcr0 &= ~0x200ull;
	fpu_init_cpu();
	area_size = cpuid(0xd, 0).ebx; // for what is enabled now
	use_xsaveopt = cpu_has(CPU_XSAVEOPT);
	copy_uses_avx = (xcr0 & 4) && !(xcr0 & 0xe0);
	slab_cache_init(&area_cache, "xsave", (area_size + 63) & ~63u, 64);
	*(u16 *)(initial_area + 0) = 0x37f;   // FCW
	*(u32 *)(initial_area + 24) = 0x1f80; // MXCSR
	u8 probe[XSAVE_LEGACY] __aligned(16);
	__asm__ volatile("fxsave64 %0" : "=m"(probe));
	u32 mask = *(u32 *)(probe + 28);
	if (mask)
		mxcsr_mask = mask;
	log_info("fpu: XSAVE state %u bytes, features %#llx%s", area_size, (unsigned long long)xcr0,
		 copy_uses_avx ? ", kernel copies by AVX" : ", kernel copies by SSE");
}

u32 fpu_state_size(void)
{
	return area_size;
}
u32 fpu_mxcsr_mask(void)
{
	return mxcsr_mask;
}
u64 fpu_features(void)
{
	return xcr0;
}
void *fpu_state_area(struct thread *t)
{
	return t->arch.fpu;
}

static void set_initial(void *area)
{
	memset((u8 *)area + XSAVE_LEGACY, 0, area_size - XSAVE_LEGACY);
	memcpy(area, initial_area, XSAVE_LEGACY);
}

int arch_thread_alloc(struct thread *t)
{
	t->arch.fpu = slab_alloc(&area_cache);
	if (!t->arch.fpu)
		return -ENOMEM;
	set_initial(t->arch.fpu);
	t->arch.fpu_cpu = 0;
	return 0;
}

void arch_thread_free(struct thread *t)
{
	slab_free(&area_cache, t->arch.fpu);
	t->arch.fpu = nullptr;
}

void fpu_state_save(struct thread *t)
{
	preempt_disable();
	xsave(t->arch.fpu);
	preempt_enable();
}

// Whose state the registers of this CPU hold; idle threads leave it alone. Owner CPU only.
static DEFINE_PERCPU(struct thread *, fpu_owner);

void fpu_switch(struct thread *prev, struct thread *next)
{
	u32 here = this_cpu_id() + 1;

	if (prev->arch.fpu) {
		xsave(prev->arch.fpu);
		prev->arch.fpu_cpu = here;
		this_cpu_write(fpu_owner, prev);
	}
	if (next->arch.fpu && !(next->arch.fpu_cpu == here && this_cpu_read(fpu_owner) == next))
		xrstor(next->arch.fpu);
}

// The thread's area was written: load it, and let no CPU believe that its registers are newer.
static void reload(struct thread *t)
{
	t->arch.fpu_cpu = 0;
	xrstor(t->arch.fpu);
}

void fpu_state_load(bool legacy)
{
	struct thread *t = current();
	u8 *area = t->arch.fpu;
	u64 *header = (u64 *)(area + XSAVE_LEGACY);

	// Nothing may be left at which XRSTOR faults.
	header[0] = legacy ? 3 : header[0] & xcr0;
	for (u32 i = 1; i < 8; i++)
		header[i] = 0; // XCOMP_BV and reserved: standard form only
	*(u32 *)(area + 24) &= mxcsr_mask;
	reload(t);
}

void fpu_state_rewrite(void)
{
	u8 *area = current()->arch.fpu;

	// XSAVEOPT would believe that the area still holds what was not changed in the registers;
	// and no XSAVE writes the header's rest, at which XRSTOR faults.
	memset(area + XSAVE_LEGACY, 0, XSAVE_HEADER);
	__asm__ volatile("xsave64 (%0)" ::"r"(area), "a"(~0u), "d"(~0u) : "memory");
}

void fpu_state_reset(void)
{
	struct thread *t = current();

	preempt_disable();
	set_initial(t->arch.fpu);
	reload(t);
	preempt_enable();
}

// ---- away from services ----

void *fpu_area_alloc(void)
{
	return slab_alloc(&area_cache);
}

void fpu_area_free(void *area)
{
	slab_free(&area_cache, area);
}

// The current thread goes on with another area, in its initial state. Returns the one it had.
void *fpu_area_exchange(void *area, bool fresh)
{
	struct thread *t = current();

	preempt_disable();
	void *old = t->arch.fpu;

	if (fresh) {
		xsave(old);
		set_initial(area);
	}
	t->arch.fpu = area;
	reload(t);
	preempt_enable();
	return old;
}

// SPDX-License-Identifier: MIT
// Numbers from the CPU's generator (FEAT_RNG). Privileged.
#include <arch/cpu.h>
#include <linux_arch/random.h>

// Either may run dry for a while.
constexpr u32 TRIES = 16;

// A generator that always says the same is broken: it must not be credited.
static bool plausible(u64 v)
{
	return v != 0 && v != ~0ull;
}

// RNDRRS: seeded anew for this number. Z is set when there was none.
static bool random_reseeded(u64 *out)
{
	bool ok;
	__asm__ volatile("mrs %0, s3_3_c2_c4_1" : "=r"(*out), "=@ccne"(ok) : : "memory");
	return ok;
}

// RNDR
static bool random_number(u64 *out)
{
	bool ok;
	__asm__ volatile("mrs %0, s3_3_c2_c4_0" : "=r"(*out), "=@ccne"(ok) : : "memory");
	return ok;
}

u32 arch_random_seed(u64 *out)
{
	*out = 0;
	if (!cpu_has(CPU_RNDR))
		return 0;
	for (u32 i = 0; i < TRIES; i++) {
		if (random_reseeded(out))
			return plausible(*out) ? 64 : 0;
		cpu_relax();
	}
	// RNDR stretches one seed over many numbers: count half.
	for (u32 i = 0; i < TRIES; i++)
		if (random_number(out))
			return plausible(*out) ? 32 : 0;
	return 0;
}

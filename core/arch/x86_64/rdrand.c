// SPDX-License-Identifier: MIT
// rdrand.c: numbers from the CPU's generator (Intel SDM 1, 7.3.17). Privileged.
#include "core/arch/x86_64/x86.h"
#include <arch/cpu.h>

constexpr u32 CPUID1_ECX_RDRAND = 1u << 30;
constexpr u32 CPUID7_EBX_RDSEED = 1u << 18;

// RDSEED runs dry when several CPUs draw from it; RDRAND practically never fails ten times in a
// row.
constexpr u32 SEED_TRIES = 64;
constexpr u32 RAND_TRIES = 10;

enum generator : u8 { UNKNOWN, NONE, HAS_RDRAND, HAS_RDSEED };

static enum generator detect(void)
{
	if (cpuid(0, 0).eax >= 7 && (cpuid(7, 0).ebx & CPUID7_EBX_RDSEED))
		return HAS_RDSEED;
	return cpuid(1, 0).ecx & CPUID1_ECX_RDRAND ? HAS_RDRAND : NONE;
}

// A generator that always says the same is broken (some CPUs' after resume): it must not be
// credited.
static bool plausible(u64 v)
{
	return v != 0 && v != ~0ull;
}

u32 arch_random_seed(u64 *out)
{
	static enum generator generator; // every CPU finds the same: a race to set it is harmless
	bool ok = false;

	if (generator == UNKNOWN)
		generator = detect();
	*out = 0;
	if (generator == HAS_RDSEED) {
		for (u32 i = 0; i < SEED_TRIES && !ok; i++) {
			__asm__ volatile("rdseed %0" : "=r"(*out), "=@ccc"(ok) : : "memory");
			if (!ok)
				cpu_relax();
		}
		if (ok && plausible(*out))
			return 64;
	}
	// RDRAND stretches one seed over many numbers: count half.
	if (generator == HAS_RDSEED || generator == HAS_RDRAND) {
		for (u32 i = 0; i < RAND_TRIES && !ok; i++)
			__asm__ volatile("rdrand %0" : "=r"(*out), "=@ccc"(ok) : : "memory");
		if (ok && plausible(*out))
			return 32;
	}
	return 0;
}

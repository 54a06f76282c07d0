// SPDX-License-Identifier: MIT
// Numbers from the CPU's generator (Intel SDM 1, 7.3.17). Privileged.
#include <arch/cpu.h>
#include <linux_arch/random.h>

// RDSEED runs dry when several CPUs draw from it; RDRAND practically never fails ten times in a
// row.
constexpr u32 SEED_TRIES = 64;
constexpr u32 RAND_TRIES = 10;

// A generator that always says the same is broken (some CPUs' after resume): it must not be
// credited.
static bool plausible(u64 v)
{
	return v != 0 && v != ~0ull;
}

u32 arch_random_seed(u64 *out)
{
	bool ok = false;

	*out = 0;
	if (cpu_has(CPU_RDSEED)) {
		for (u32 i = 0; i < SEED_TRIES && !ok; i++) {
			__asm__ volatile("rdseed %0" : "=r"(*out), "=@ccc"(ok) : : "memory");
			if (!ok)
				cpu_relax();
		}
		if (ok && plausible(*out))
			return 64;
	}
	// RDRAND stretches one seed over many numbers: count half.
	if (cpu_has(CPU_RDRAND)) {
		for (u32 i = 0; i < RAND_TRIES && !ok; i++)
			__asm__ volatile("rdrand %0" : "=r"(*out), "=@ccc"(ok) : : "memory");
		if (ok && plausible(*out))
			return 32;
	}
	return 0;
}

// SPDX-License-Identifier: MIT
// The AArch64 CPU, brought into the state in which the protocol enters a kernel.
#include "base/elf.h"
#include "boot/arch.h"
#include "boot/arch/aarch64/jump.h"

const uint16_t arch_elf_machine = EM_AARCH64;
const uint32_t arch_elf_relative = R_AARCH64_RELATIVE;

#define READ(reg)                                                \
	({                                                       \
		uint64_t value;                                  \
		__asm__ volatile("mrs %0, " #reg : "=r"(value)); \
		value;                                           \
	})
#define WRITE(reg, value) __asm__ volatile("msr " #reg ", %0" : : "r"((uint64_t)(value)) : "memory")

static void isb(void)
{
	__asm__ volatile("isb" : : : "memory");
}

/* A field of four bits of an ID register. */
static unsigned id_field(uint64_t value, unsigned shift)
{
	return value >> shift & 15;
}

static bool at_el2(void)
{
	return READ(currentel) >> 2 == 2;
}

constexpr uint64_t HCR_E2H = 1ull << 34;

reason arch_check(void)
{
	if (id_field(READ(id_aa64mmfr0_el1), 28) == 15)
		return "cannot be used: its CPU has no pages of 4 KiB";
	/* Under E2H the registers of EL1 have other names and those of EL2 other contents. */
	if (at_el2() && READ(hcr_el2) & HCR_E2H)
		return "cannot be used: its firmware runs as a host for virtual machines (VHE)";
	return nullptr;
}

/* What is executed with caches off, or by a CPU that starts with them off, must be in memory. */
void arch_code_written(const void *start, uint64_t len_bytes)
{
	uint64_t line = 4ull << id_field(READ(ctr_el0), 16);
	uint64_t end = phys_of(start) + len_bytes;

	for (uint64_t at = align_down(phys_of(start), line); at < end; at += line)
		__asm__ volatile("dc cvac, %0" : : "r"(at) : "memory");
	__asm__ volatile("dsb ish; ic ialluis; dsb ish; isb" : : : "memory");
}

/* The firmware silences its interrupt controller and timer itself, when boot services end. */
void arch_prepare(const void *)
{
}

/* ---- EL2: what it decides for EL1, so that nothing of the kernel's traps to where no code is ----
 */

static void el2_open_features(void)
{
	uint64_t pfr0 = READ(id_aa64pfr0_el1), dfr0 = READ(id_aa64dfr0_el1);
	unsigned pmu = id_field(dfr0, 8);

	/* Floating point, and vectors of all lengths. The ones are reserved, or trap what programs
	 * learn of only from a kernel that knows EL2 (SME). */
	WRITE(cptr_el2, 0x32ff);
	isb();
	if (id_field(pfr0, 32))
		WRITE(S3_4_C1_C2_0 /* zcr_el2 */, 15);
	/* All counters of performance are EL1's. */
	WRITE(mdcr_el2, pmu && pmu != 15 ? READ(pmcr_el0) >> 11 & 31 : 0);
	/* The interrupt controller's registers, where it has registers. */
	if (id_field(pfr0, 24)) {
		WRITE(S3_4_C12_C9_5 /* icc_sre_el2 */, READ(S3_4_C12_C9_5) | 9 /* SRE, Enable */);
		isb();
		if (READ(S3_4_C12_C9_5) & 1)
			WRITE(S3_4_C12_C11_0 /* ich_hcr_el2 */, 0);
	}
	/* Fine-grained traps. */
	if (id_field(READ(id_aa64mmfr0_el1), 56)) {
		WRITE(S3_4_C1_C1_4 /* hfgrtr_el2 */, 0);
		WRITE(S3_4_C1_C1_5 /* hfgwtr_el2 */, 0);
		WRITE(S3_4_C1_C1_6 /* hfgitr_el2 */, 0);
		WRITE(S3_4_C3_C1_4 /* hdfgrtr_el2 */, 0);
		WRITE(S3_4_C3_C1_5 /* hdfgwtr_el2 */, 0);
	}
}

static void el2_open(void)
{
	constexpr uint64_t HCR_RW = 1ull << 31, HCR_HCD = 1ull << 29;
	constexpr uint64_t HCR_APK = 1ull << 40, HCR_API = 1ull << 41;
	uint64_t isar1 = READ(id_aa64isar1_el1), isar2 = READ(S3_0_C0_C6_2 /* id_aa64isar2_el1 */);
	bool pauth = id_field(isar1, 4) || id_field(isar1, 8) || id_field(isar2, 12);

	/* EL1 is 64-bit, and HVC is undefined there. The firmware of machines with an EL2 is called
	 * by SMC. */
	WRITE(hcr_el2, HCR_RW | HCR_HCD | (pauth ? HCR_APK | HCR_API : 0));
	WRITE(vttbr_el2, 0);
	WRITE(vpidr_el2, READ(midr_el1));
	WRITE(vmpidr_el2, READ(mpidr_el1));
	WRITE(hstr_el2, 0);
	/* Timers and counters. */
	WRITE(cnthctl_el2, 3);
	WRITE(cntvoff_el2, 0);
	el2_open_features();
	WRITE(sctlr_el1, SCTLR_OFF);
	isb();
}

/* ---- the way in ---- */

static uint64_t tcr_value(void)
{
	constexpr uint64_t size_48 = 64 - 48, walk_write_back = 1, walk_inner = 3, granule_4k = 2;
	constexpr uint64_t half =
		size_48 | walk_write_back << 8 | walk_write_back << 10 | walk_inner << 12;
	uint64_t address_size = id_field(READ(id_aa64mmfr0_el1), 0);

	/* Addresses of more than 48 bits need another format of entries. */
	if (address_size > 5)
		address_size = 5;
	return half | half << 16 | granule_4k << 30 | address_size << 32;
}

void arch_enter(const struct space *space, uint64_t entry, uint64_t stack_top,
		const struct leftovers *leftovers)
{
	/* Two pages of code, if they lie badly, share no table but the root. */
	constexpr unsigned bridge_pages = 7;
	static uint64_t bridge_pool[bridge_pages][512] __attribute__((aligned(4096)));
	static const uint64_t empty[512] __attribute__((aligned(4096)));
	const char *code = (const char *)jump_to_kernel;
	static struct space bridge;
	static struct jump jump;

	arch_code_written(code, (uint64_t)(jump_end - code));
	/* The pool suffices, so these cannot fail. */
	if (!space_init(&bridge, bridge_pool, bridge_pages) ||
	    !space_map(&bridge, phys_of(code), phys_of(code), (uint64_t)(jump_end - code),
		       MAP_EXEC))
		__builtin_trap();
	if (at_el2())
		el2_open();
	jump = (struct jump){
		.bridge_root = phys_of(bridge.root),
		.empty_root = phys_of(empty),
		.root = phys_of(space->root),
		.hhdm = arch_hhdm,
		.mair = MAIR_VALUE,
		.tcr = tcr_value(),
		.entry = entry,
		.stack_top = stack_top,
		.leftovers = (const void *)(arch_hhdm + phys_of(leftovers)),
	};
	jump_to_kernel(&jump);
}

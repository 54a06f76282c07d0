// SPDX-License-Identifier: MIT
// hwcap.c: what programs are told of the CPU's features, in the auxiliary vector and in
// /proc/cpuinfo (AArch64).
//
// Told is only what works here: no SVE, pointer authentication, branch targets or memory tags,
// whose state or setup the kernel does not keep; no event stream; and no "cpuid", for ID registers
// that a program reads are not emulated.
#include "linux/arch/aarch64/hwcap.h"
#include "base/atomic.h"
#include <arch/cpu.h>
#include <linux_arch/exec.h>

enum id_register : u8 { ISAR0, ISAR1, ISAR2, PFR0, PFR1, MMFR0, MMFR1, MMFR2 };

static u64 id_read(enum id_register r)
{
	switch (r) {
	case ISAR0:
		return cpu_sysreg_read("id_aa64isar0_el1");
	case ISAR1:
		return cpu_sysreg_read("id_aa64isar1_el1");
	case ISAR2:
		return cpu_sysreg_read("s3_0_c0_c6_2");
	case PFR0:
		return cpu_sysreg_read("id_aa64pfr0_el1");
	case PFR1:
		return cpu_sysreg_read("id_aa64pfr1_el1");
	case MMFR0:
		return cpu_sysreg_read("id_aa64mmfr0_el1");
	case MMFR1:
		return cpu_sysreg_read("id_aa64mmfr1_el1");
	case MMFR2:
		return cpu_sysreg_read("id_aa64mmfr2_el1");
	}
	return 0;
}

// A feature is there when a field of four bits has at least a value. The two fields of vectors are
// signed: all ones is none.
struct hwcap {
	const char *name;
	enum id_register reg;
	u8 shift;
	u8 least;
};
static const struct hwcap hwcaps[HWCAP_COUNT] = {
	[0] = {"fp", PFR0, 16, 0},
	[1] = {"asimd", PFR0, 20, 0},
	[3] = {"aes", ISAR0, 4, 1},
	[4] = {"pmull", ISAR0, 4, 2},
	[5] = {"sha1", ISAR0, 8, 1},
	[6] = {"sha2", ISAR0, 12, 1},
	[7] = {"crc32", ISAR0, 16, 1},
	[8] = {"atomics", ISAR0, 20, 2},
	[9] = {"fphp", PFR0, 16, 1},
	[10] = {"asimdhp", PFR0, 20, 1},
	[12] = {"asimdrdm", ISAR0, 28, 1},
	[13] = {"jscvt", ISAR1, 12, 1},
	[14] = {"fcma", ISAR1, 16, 1},
	[15] = {"lrcpc", ISAR1, 20, 1},
	[16] = {"dcpop", ISAR1, 0, 1},
	[17] = {"sha3", ISAR0, 32, 1},
	[18] = {"sm3", ISAR0, 36, 1},
	[19] = {"sm4", ISAR0, 40, 1},
	[20] = {"asimddp", ISAR0, 44, 1},
	[21] = {"sha512", ISAR0, 12, 2},
	[23] = {"asimdfhm", ISAR0, 48, 1},
	[24] = {"dit", PFR0, 48, 1},
	[25] = {"uscat", MMFR2, 32, 1},
	[26] = {"ilrcpc", ISAR1, 20, 2},
	[27] = {"flagm", ISAR0, 52, 1},
	[28] = {"ssbs", PFR1, 4, 2},
	[29] = {"sb", ISAR1, 36, 1},
	// AT_HWCAP2
	[64 + 0] = {"dcpodp", ISAR1, 0, 2},
	[64 + 7] = {"flagm2", ISAR0, 52, 2},
	[64 + 8] = {"frint", ISAR1, 32, 1},
	[64 + 13] = {"i8mm", ISAR1, 52, 1},
	[64 + 14] = {"bf16", ISAR1, 44, 1},
	[64 + 15] = {"dgh", ISAR1, 48, 1},
	[64 + 16] = {"rng", ISAR0, 60, 1},
	[64 + 19] = {"ecv", MMFR0, 60, 1},
	[64 + 20] = {"afp", MMFR1, 44, 1},
	[64 + 21] = {"rpres", ISAR2, 4, 1},
	[64 + 31] = {"wfxt", ISAR2, 0, 2},
	[64 + 32] = {"ebf16", ISAR1, 44, 2},
	[64 + 34] = {"cssc", ISAR2, 52, 1},
};

const char *hwcap_name(u32 n)
{
	const struct hwcap *h = &hwcaps[n];
	if (!h->name)
		return nullptr;
	u32 value = (u32)(id_read(h->reg) >> h->shift) & 15;
	bool none = h->reg == PFR0 && h->shift <= 20 && value == 15;
	return !none && value >= h->least ? h->name : nullptr;
}

static u64 hwcap_word(u32 first)
{
	u64 word = 0;
	for (u32 i = 0; i < 64; i++)
		if (hwcap_name(first + i))
			word |= 1ull << i;
	return word;
}

// Asked at each execve, and reading ID registers is slow where they are trapped or emulated.
u64 exec_hwcap(void)
{
	static u64 word; // only ever this one value; has "fp" at least
	u64 v = READ_ONCE(word);
	if (!v) {
		v = hwcap_word(0);
		WRITE_ONCE(word, v);
	}
	return v;
}

u64 exec_hwcap2(void)
{
	static u64 word = ~0ull; // not asked yet; then only ever this one value
	u64 v = READ_ONCE(word);
	if (v == ~0ull) {
		v = hwcap_word(64);
		WRITE_ONCE(word, v);
	}
	return v;
}

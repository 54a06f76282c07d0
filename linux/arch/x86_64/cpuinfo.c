// SPDX-License-Identifier: MIT
// Owns a CPU's paragraph of /proc/cpuinfo (x86-64). All CPUs are taken to be like the one that
// reads.
#include <linux_arch/cpuinfo.h>
#include "core/smp.h"
#include "core/time.h"
#include "linux/proc/text.h"
#include <arch/cpu.h>

// Linux's names for feature bits; bit n of a word is names[n], nullptr: not told to programs.
static const char *const leaf1_edx[32] = {
	"fpu",	"vme",	"de",	"pse", "tsc",  "msr", "pae",   "mce", "cx8",	 "apic",  nullptr,
	"sep",	"mtrr", "pge",	"mca", "cmov", "pat", "pse36", "pn",  "clflush", nullptr, "dts",
	"acpi", "mmx",	"fxsr", "sse", "sse2", "ss",  "ht",    "tm",  "ia64",	 "pbe",
};
static const char *const ext_edx[32] = {
	[11] = "syscall", [20] = "nx", [22] = "mmxext",	  [25] = "fxsr_opt", [26] = "pdpe1gb",
	[27] = "rdtscp",  [29] = "lm", [30] = "3dnowext", [31] = "3dnow",
};
static const char *const leaf1_ecx[32] = {
	"pni",	  "pclmulqdq",	"dtes64", "monitor", "ds_cpl",
	"vmx",	  "smx",	"est",	  "tm2",     "ssse3",
	nullptr,  "sdbg",	"fma",	  "cx16",    "xtpr",
	"pdcm",	  nullptr,	"pcid",	  "dca",     "sse4_1",
	"sse4_2", "x2apic",	"movbe",  "popcnt",  "tsc_deadline_timer",
	"aes",	  "xsave",	nullptr,  "avx",     "f16c",
	"rdrand", "hypervisor",
};
static const char *const ext_ecx[32] = {
	"lahf_lm", "cmp_legacy",  "svm",	   "extapic", "cr8_legacy", "abm",
	"sse4a",   "misalignsse", "3dnowprefetch", "osvw",    "ibs",	    "xop",
	"skinit",  "wdt",	  nullptr,	   "lwp",     "fma4",
};
static const char *const leaf7_ebx[32] = {
	"fsgsbase",   "tsc_adjust", "sgx",	  "bmi1",     "hle",	  "avx2",     nullptr,
	"smep",	      "bmi2",	    "erms",	  "invpcid",  "rtm",	  "cqm",      nullptr,
	"mpx",	      "rdt_a",	    "avx512f",	  "avx512dq", "rdseed",	  "adx",      "smap",
	"avx512ifma", nullptr,	    "clflushopt", "clwb",     "intel_pt", "avx512pf", "avx512er",
	"avx512cd",   "sha_ni",	    "avx512bw",	  "avx512vl",
};
static const char *const leaf7_ecx[32] = {
	[1] = "avx512vbmi",
	[2] = "umip",
	[3] = "pku",
	[5] = "waitpkg",
	[6] = "avx512_vbmi2",
	[8] = "gfni",
	[9] = "vaes",
	[10] = "vpclmulqdq",
	[11] = "avx512_vnni",
	[12] = "avx512_bitalg",
	[14] = "avx512_vpopcntdq",
	[16] = "la57",
	[22] = "rdpid",
	[25] = "cldemote",
	[27] = "movdiri",
	[28] = "movdir64b",
};
static const char *const leaf7_edx[32] = {[4] = "fsrm", [14] = "serialize"};

static void flags_show(struct text *t, u64 word, const char *const names[32])
{
	for (u32 i = 0; i < 32; i++)
		if ((word >> i & 1) && names[i]) {
			text_putc(t, ' ');
			text_puts(t, names[i]);
		}
}

void cpuinfo_show(struct text *t, u32 cpu)
{
	struct cpu_ident id;
	u64 khz = clock_tsc_hz() / 1000;
	cpu_ident(&id);
	text_printf(
		t,
		"processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\nmodel name\t: %s\nstepping\t: %u\n",
		cpu, id.vendor, id.family, id.model, cpu_model(), id.stepping);
	if (khz)
		text_printf(t, "cpu MHz\t\t: %llu.%03llu\n", khz / 1000, khz % 1000);
	text_printf(
		t,
		"cache size\t: %u KB\nphysical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\napicid\t\t: %u\n"
		"initial apicid\t: %u\nfpu\t\t: yes\nfpu_exception\t: yes\nwp\t\t: yes\nflags\t\t:",
		id.cache_kib, smp_ncpus, cpu, smp_ncpus, smp_hw_id(cpu), smp_hw_id(cpu));
	flags_show(t, id.leaf1_edx, leaf1_edx);
	flags_show(t, id.ext_edx, ext_edx);
	flags_show(t, id.leaf1_ecx, leaf1_ecx);
	flags_show(t, id.ext_ecx, ext_ecx);
	flags_show(t, id.leaf7_ebx, leaf7_ebx);
	flags_show(t, id.leaf7_ecx, leaf7_ecx);
	flags_show(t, id.leaf7_edx, leaf7_edx);
	text_puts(t, cpu_has(CPU_TSC_INVARIANT) ? " constant_tsc nonstop_tsc\n" : "\n");
	text_printf(
		t,
		"bogomips\t: %llu.%02llu\nclflush size\t: 64\ncache_alignment\t: 64\naddress sizes\t: %u bits physical, %u bits virtual\n\n",
		khz / 500, khz / 5 % 100, id.phys_bits, id.virt_bits);
}

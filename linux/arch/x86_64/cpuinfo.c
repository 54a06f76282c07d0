// SPDX-License-Identifier: MIT
// Owns a CPU's paragraph of /proc/cpuinfo (x86-64). All CPUs are taken to be like the one that
// reads.
#include <linux_arch/cpuinfo.h>
#include "base/string.h"
#include "core/smp.h"
#include "core/time.h"
#include "linux/proc/text.h"
#include <arch/cpu.h>
#include <arch/cpuid.h>

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

struct cpu_ident {
	char vendor[13];
	u32 family, model, stepping;
	u64 leaf1_ecx, leaf1_edx, leaf7_ebx, leaf7_ecx, leaf7_edx, ext_ecx, ext_edx;
	u32 cache_kib; // L2
	u32 phys_bits, virt_bits;
};

// As CPUID names it.
static const char *cpu_model(void)
{
	static char name[49];
	if (!name[0] && cpuid(0x80000000, 0).eax >= 0x80000004) {
		for (u32 i = 0; i < 3; i++) {
			struct cpuid_regs r = cpuid(0x80000002 + i, 0);
			memcpy(name + i * 16, &r, 16);
		}
	}
	const char *p = name;
	while (*p == ' ')
		p++;
	return p;
}

static void cpu_ident(struct cpu_ident *out)
{
	struct cpuid_regs r0 = cpuid(0, 0), r1 = cpuid(1, 0), r7 = {0}, e1 = cpuid(0x80000001, 0);
	u32 max_ext = cpuid(0x80000000, 0).eax;

	*out = (struct cpu_ident){0};
	memcpy(out->vendor, &r0.ebx, 4);
	memcpy(out->vendor + 4, &r0.edx, 4);
	memcpy(out->vendor + 8, &r0.ecx, 4);
	out->family = (r1.eax >> 8 & 15) + ((r1.eax >> 8 & 15) == 15 ? r1.eax >> 20 & 255 : 0);
	out->model = (r1.eax >> 4 & 15) | (r1.eax >> 12 & 0xf0);
	out->stepping = r1.eax & 15;
	if (r0.eax >= 7)
		r7 = cpuid(7, 0);
	out->leaf1_ecx = r1.ecx;
	out->leaf1_edx = r1.edx;
	out->leaf7_ebx = r7.ebx;
	out->leaf7_ecx = r7.ecx;
	out->leaf7_edx = r7.edx;
	out->ext_ecx = e1.ecx;
	out->ext_edx = e1.edx;
	out->phys_bits = 36;
	out->virt_bits = 48;
	if (max_ext >= 0x80000008) {
		u32 a = cpuid(0x80000008, 0).eax;
		out->phys_bits = a & 255;
		out->virt_bits = a >> 8 & 255;
	}
	if (max_ext >= 0x80000006)
		out->cache_kib = cpuid(0x80000006, 0).ecx >> 16;
}

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

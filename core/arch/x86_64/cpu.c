// SPDX-License-Identifier: MIT
// This CPU: features, descriptor tables, control registers (x86-64). Privileged.
#include "base/string.h"
#include "core/arch/x86_64/asm_offsets.h"
#include "core/arch/x86_64/cpu_priv.h"
#include "core/arch/x86_64/x86.h"
#include "core/elevate.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/personality.h"
#include "core/page.h"
#include <arch/init.h>
#include "abi/native.h"

static_assert(offsetof(struct thread, work) == THREAD_WORK);
static_assert(offsetof(struct thread, elevated) == THREAD_ELEVATED);
static_assert(offsetof(struct thread, may_elevate) == THREAD_MAY_ELEVATE);
static_assert(offsetof(struct thread, gate) == THREAD_GATE);
static_assert(offsetof(struct thread, entry_top) == THREAD_ENTRY_TOP);
static_assert(offsetof(struct thread, syscalls) == THREAD_SYSCALLS);
static_assert(offsetof(struct thread, arch.gate_tls) == THREAD_GATE_TLS);
static_assert(WORK_ROOT == WORK_ROOT_BIT && WORK_RESCHED == WORK_RESCHED_BIT);
static_assert(offsetof(struct trap_frame, rflags) == FRAME_RFLAGS &&
	      sizeof(struct trap_frame) == FRAME_SIZE);
static_assert(WORK_TRACE_ENTRY == WORK_TRACE_ENTRY_BIT);
static_assert(NR_HALYARD_ELEVATE == HALYARD_NR_ELEVATE && NR_HALYARD_LOWER == HALYARD_NR_LOWER);

u64 cpu_features;
u8 copy_uses_avx; // read by uaccess.S; immutable after fpu_init()

DEFINE_PERCPU(u64, percpu_self);
DEFINE_PERCPU(u32, cpu_number);
DEFINE_PERCPU(struct thread *, cpu_current);
DEFINE_PERCPU(uintptr_t, cpu_kstack_top);
DEFINE_PERCPU(uintptr_t, cpu_kstack_limit);
DEFINE_PERCPU(u64, cpu_user_rsp);
DEFINE_PERCPU(u64, cpu_elevations);
DEFINE_PERCPU(u64, cpu_elevations_refused);
DEFINE_PERCPU(u32, preempt_count) = PREEMPT_NO_RESCHED;
u64 percpu_offset[CPU_MAX];

// Interrupt stacks of one CPU, each IST_STACK_SIZE; the top word of each holds the CPU's per-CPU
// offset (entry.S).
enum ist { IST_COMMON = 1, IST_NMI, IST_DEBUG, IST_MCE, IST_DF, IST_COUNT = 5 };

struct __packed tss {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3, iomap;
};
static_assert(sizeof(struct tss) == 104);

struct gate {
	u16 offset_low, selector;
	u8 ist, type;
	u16 offset_mid;
	u32 offset_high, reserved;
};

struct cpu_tables {
	u64 gdt[8];
	struct tss tss;
};
static DEFINE_PERCPU(struct cpu_tables, cpu_tables);
static struct gate idt[256] __aligned(16);
static u8 boot_stacks[IST_COUNT][IST_STACK_SIZE] __aligned(IST_STACK_SIZE);
extern char trap_stubs[];
extern void syscall_entry(void);

static void idt_build(void)
{
	for (u32 v = 0; v < 256; v++) {
		u64 at = (u64)trap_stubs + v * 16;
		u8 ist = v == 1	   ? IST_DEBUG
			 : v == 2  ? IST_NMI
			 : v == 8  ? IST_DF
			 : v == 18 ? IST_MCE
				   : IST_COMMON;
		u8 dpl = v == 3 || v == 4 ? 3 : 0;
		idt[v] = (struct gate){(u16)at,		KERNEL_CS,	 ist, (u8)(0x8e | dpl << 5),
				       (u16)(at >> 16), (u32)(at >> 32), 0};
	}
}

void *cpu_stacks_alloc(void)
{
	// aligned to the size of one stack, because entry.S finds the top word by rounding RSP up
	struct page *p = page_alloc(4, OWNER_CORE, ALLOC_ZERO);
	static_assert(IST_COUNT * IST_STACK_SIZE <= 16 * PAGE_SIZE);
	return p ? page_ptr(p) : nullptr;
}

void cpu_tables_load(u32 cpu, void *stacks)
{
	struct cpu_tables *t = percpu_ptr(cpu_tables, cpu);
	u64 tss = (u64)&t->tss;
	struct __packed {
		u16 limit;
		u64 base;
	} ptr;

	t->gdt[KERNEL_CS / 8] = 0x00af9b000000ffff;
	t->gdt[KERNEL_DS / 8] = 0x00cf93000000ffff;
	t->gdt[3] = 0;
	t->gdt[USER_DS / 8] = 0x00cff3000000ffff;
	t->gdt[USER_CS / 8] = 0x00affb000000ffff;
	t->gdt[TSS_SELECTOR / 8] = (sizeof(struct tss) - 1) | (tss & 0xffffff) << 16 |
				   0x89ull << 40 | (tss >> 24 & 0xff) << 56;
	t->gdt[TSS_SELECTOR / 8 + 1] = tss >> 32;
	t->tss.iomap = sizeof(struct tss);
	for (u32 i = 0; i < IST_COUNT; i++) {
		u8 *top = (u8 *)stacks + (i + 1) * IST_STACK_SIZE - 16;
		*(u64 *)(top + 8) = percpu_offset[cpu];
		t->tss.ist[i] = (u64)top;
	}
	ptr.limit = sizeof(t->gdt) - 1;
	ptr.base = (u64)t->gdt;
	__asm__ volatile("lgdt %0" ::"m"(ptr));
	__asm__ volatile("pushq %0; leaq 1f(%%rip), %%rax; pushq %%rax; lretq; 1:" ::"i"(KERNEL_CS)
			 : "rax", "memory");
	__asm__ volatile(
		"movl %0, %%ds; movl %0, %%es; movl %0, %%ss; movl %1, %%fs; movl %1, %%gs" ::"r"(
			KERNEL_DS),
		"r"(0));
	wrmsr(MSR_GS_BASE, percpu_offset[cpu]); // loading the selector cleared it
	__asm__ volatile("ltr %w0" ::"r"(TSS_SELECTOR));
	__asm__ volatile("lldt %w0" ::"r"(
		0)); // a CPU comes out of reset with a table of 64 KiB at address 0
	ptr.limit = sizeof(idt) - 1;
	ptr.base = (u64)idt;
	__asm__ volatile("lidt %0" ::"m"(ptr));
	*percpu_ptr(percpu_self, cpu) = percpu_offset[cpu];
	*percpu_ptr(cpu_number, cpu) = cpu;
}

constexpr u64 CR4_OSFXSR = 1 << 9, CR4_OSXMMEXCPT = 1 << 10, CR4_UMIP = 1 << 11,
	      CR4_FSGSBASE = 1 << 16, CR4_OSXSAVE = 1 << 18, CR4_SMEP = 1 << 20, CR4_SMAP = 1 << 21;

void cpu_controls_init(void)
{
	u64 cr0, cr4 = read_cr4();

	__asm__ volatile("movq %%cr0, %0" : "=r"(cr0));
	cr0 &= ~(1ull << 2 | 1ull << 3 | 1ull << 29 | 1ull << 30); // EM, TS, NW, CD
	cr0 |= 1ull << 1 | 1ull << 5;				   // MP, NE
	__asm__ volatile("movq %0, %%cr0" ::"r"(cr0));
	cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_FSGSBASE | CR4_OSXSAVE | CR4_SMEP | CR4_SMAP;
	if (cpu_has(CPU_UMIP))
		cr4 |= CR4_UMIP;
	write_cr4(cr4);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | 1); // SCE
	// SYSCALL: CS 0x08, SS 0x10. SYSRET: SS = base + 8, CS = base + 16, from base 0x1b
	wrmsr(MSR_STAR, (u64)0x1b << 48 | (u64)KERNEL_CS << 32);
	wrmsr(MSR_LSTAR, (u64)syscall_entry);
	wrmsr(MSR_SYSCALL_MASK, RFLAGS_FMASK);
	wrmsr(MSR_KERNEL_GS_BASE, 0);
	if (cpu_has(CPU_RDTSCP))
		wrmsr(MSR_TSC_AUX, this_cpu_id());
	__asm__ volatile("clac" ::: "memory");
}

void cpu_set_smep(bool on)
{
	u64 cr4 = read_cr4();
	write_cr4(on ? cr4 | CR4_SMEP : cr4 & ~CR4_SMEP);
}

static void feature(enum cpu_feature f, bool present)
{
	cpu_features |= (u64)present << f;
}

static void features_probe(void)
{
	u32 max = cpuid(0, 0).eax, max_ext = cpuid(0x80000000, 0).eax;
	struct cpuid_regs l1 = cpuid(1, 0), l7 = {0}, e1 = {0}, e7 = {0};

	if (max >= 7)
		l7 = cpuid(7, 0);
	if (max_ext >= 0x80000001)
		e1 = cpuid(0x80000001, 0);
	if (max_ext >= 0x80000007)
		e7 = cpuid(0x80000007, 0);
	feature(CPU_PCID, l1.ecx >> 17 & 1);
	feature(CPU_RDRAND, l1.ecx >> 30 & 1);
	feature(CPU_HYPERVISOR, l1.ecx >> 31 & 1);
	feature(CPU_PGE, l1.edx >> 13 & 1);
	feature(CPU_RDSEED, l7.ebx >> 18 & 1);
	feature(CPU_SMAP, l7.ebx >> 20 & 1);
	feature(CPU_UMIP, l7.ecx >> 2 & 1);
	feature(CPU_RDTSCP, e1.edx >> 27 & 1);
	feature(CPU_TSC_INVARIANT, e7.edx >> 8 & 1);
	if (max >= 0xd)
		feature(CPU_XSAVEOPT, cpuid(0xd, 1).eax & 1);
	if (cpu_has(CPU_HYPERVISOR)) {
		struct cpuid_regs h = cpuid(0x40000000, 0);
		feature(CPU_TCG, h.ebx == 0x54474354 && h.ecx == 0x43544743 &&
					 h.edx == 0x47435447); // "TCGTCGTCGTCG"
	}
}

// What the kernel cannot do without, in the order in which a machine would lack it.
static const char *missing_feature(void)
{
	struct cpuid_regs l1 = cpuid(1, 0), e1 = cpuid(0x80000001, 0);
	u32 l7 = cpuid(0, 0).eax >= 7 ? cpuid(7, 0).ebx : 0;

	if (!(l1.edx >> 4 & 1))
		return "a TSC";
	if (!(l1.edx >> 9 & 1))
		return "a local APIC";
	if (!(l1.edx >> 24 & 1) || !(l1.edx >> 26 & 1))
		return "FXSR and SSE2";
	if (!(e1.edx >> 11 & 1))
		return "SYSCALL";
	if (!(e1.edx >> 20 & 1))
		return "NX";
	if (!(l1.ecx >> 26 & 1))
		return "XSAVE";
	if (!(l7 & 1))
		return "FSGSBASE";
	if (!(l7 >> 7 & 1))
		return "SMEP";
	if (!(l7 >> 20 & 1))
		return "SMAP";
	return nullptr;
}

void cpu_early_init(void)
{
	extern char __percpu_start[], __percpu_end[], __percpu_pristine[];

	memcpy(__percpu_pristine, __percpu_start, (size_t)(__percpu_end - __percpu_start));
	idt_build();
	wrmsr(MSR_GS_BASE, 0); // the boot CPU's variables are the linked ones
	cpu_tables_load(0, boot_stacks);
	features_probe();
	uart_early_init();
}

void cpu_protections_init(void)
{
	const char *missing = missing_feature();

	if (missing)
		panic("this CPU lacks %s, which Halyard needs (with QEMU use -cpu max)", missing);
	cpu_controls_init();
}

// SPDX-License-Identifier: MIT
// The probe kernel's part for x86-64: CPU state, page tables, COM1, and the end of QEMU through the
// isa-debug-exit device at port 0xf4.
#include "boot/probe/probe.h"

static void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

void arch_start(void)
{
}

void arch_put(char c)
{
	while (!(in8(0x3fd) & 0x20))
		;
	out8(0x3f8, (uint8_t)c);
}

void arch_power_off(void)
{
	__asm__ volatile("outl %0, %1" : : "a"(0), "Nd"((uint16_t)0xf4));
	for (;;)
		__asm__ volatile("cli; hlt");
}

/* ---- the machine's state ---- */

/* Saves what was in the registers: rax, rbx, ... r15 (without rsp), then flags. */
__asm__(".pushsection .text\n"
	".globl probe_start\n"
	"probe_start:\n"
	"	mov %rsp, saved_sp(%rip)\n"
	"	pushfq\n"
	"	push %r15; push %r14; push %r13; push %r12; push %r11; push %r10; push %r9; push %r8\n"
	"	push %rbp; push %rdi; push %rsi; push %rdx; push %rcx; push %rbx; push %rax\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call probe_main\n"
	".popsection\n");
uint64_t saved_sp;

static uint64_t read_msr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static uint16_t selector_limit_type(uint16_t selector)
{
	uint32_t rights;

	__asm__ volatile("lar %1, %0" : "=r"(rights) : "r"((uint32_t)selector));
	return rights >> 8 & 0xffff;
}

/* Descriptor registers hold limit and base. */
static uint64_t gdt_base(void)
{
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} gdtr;

	__asm__ volatile("sgdt %0" : "=m"(gdtr));
	return gdtr.base;
}

static bool lower_half_empty(void)
{
	for (uint64_t at = 0; at < 1ull << 47; at += 1ull << 39) {
		struct leaf leaf = arch_walk(at);

		if (leaf.present || leaf.left < 1ull << 39)
			return false;
	}
	return true;
}

static void check_segments(void)
{
	uint16_t cs, ds, es, ss, fs, gs;

	__asm__ volatile(
		"mov %%cs, %0; mov %%ds, %1; mov %%es, %2; mov %%ss, %3; mov %%fs, %4; mov %%gs, %5"
		: "=r"(cs), "=r"(ds), "=r"(es), "=r"(ss), "=r"(fs), "=r"(gs));
	check("CS is 0x28", cs == 0x28);
	check("data segments are 0x30",
	      ds == 0x30 && es == 0x30 && ss == 0x30 && fs == 0x30 && gs == 0x30);
	check("0x28 is 64-bit code", (selector_limit_type(0x28) & 0x20fa) == 0x209a);
	check("0x18 is 32-bit code", (selector_limit_type(0x18) & 0xc0fa) == 0xc09a);
	check("0x20 is 32-bit data", (selector_limit_type(0x20) & 0xc0fa) == 0xc092);
	check("GDT is the loader's", owned_by_loader((void *)gdt_base()));
}

void arch_check_cpu(const uint64_t *regs)
{
	uint64_t or_all = 0, cr0, cr4;

	for (int i = 0; i < 15; i++)
		or_all |= regs[i];
	check("general registers are zero", or_all == 0);
	check("IF, DF and VM are clear", !(regs[15] & (1 << 9 | 1 << 10 | 1 << 17)));
	check("stack holds a zero return address", *(uint64_t *)saved_sp == 0);
	check("stack is aligned as after a call", saved_sp % 16 == 8);
	check_segments();
	__asm__ volatile("mov %%cr0, %0; mov %%cr4, %1" : "=r"(cr0), "=r"(cr4));
	check("CR0 has PG, WP and PE", (cr0 & 0x80010001) == 0x80010001);
	check("CR4 has PAE and no LA57", (cr4 & 0x1020) == 0x20);
	check("EFER has NXE and LMA", (read_msr(0xc0000080) & 0xc00) == 0xc00);
	check("PAT", (read_msr(0x277) & 0xffffffffffff) == 0x010500070406);
	check("direct map is where four-level kernels expect it", direct_map == 0xffff800000000000);
	check("lower half is empty", lower_half_empty());
}

/* ---- page tables ---- */

enum : uint64_t { P = 1, W = 2, PS = 1 << 7, NX = 1ull << 63, ADDRESS = 0x000ffffffffff000 };

uint64_t arch_root(void)
{
	uint64_t cr3;

	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	return cr3 & ADDRESS;
}

/* The entry of the PAT that a page's entry names. */
static enum memory memory_of(uint64_t e, unsigned shift)
{
	unsigned pat = (e >> 3 & 3) | (e >> (shift == 12 ? 7 : 12) & 1) << 2;

	return pat == 0 ? MEMORY_WRITE_BACK : pat == 5 ? MEMORY_COMBINING : MEMORY_OTHER;
}

struct leaf arch_walk(uint64_t virt)
{
	struct leaf leaf = {.writable = true, .executable = true};
	uint64_t table = arch_root();

	for (unsigned shift = 39;; shift -= 9) {
		uint64_t e = ((uint64_t *)(direct_map + table))[virt >> shift & 511];
		uint64_t size = 1ull << shift;

		leaf.left = size - (virt & (size - 1));
		if (!(e & P))
			return leaf;
		leaf.writable &= (e & W) != 0;
		leaf.executable &= !(e & NX);
		table = e & ADDRESS;
		if (shift == 12 || (shift < 39 && (e & PS))) {
			leaf.present = true;
			leaf.phys = (table & ~(size - 1)) + (virt & (size - 1));
			leaf.memory = memory_of(e, shift);
			return leaf;
		}
	}
}

/* In the empty lower half. */
volatile void *arch_map(uint64_t phys)
{
	static uint64_t upper[512] __attribute__((aligned(4096)));
	static uint64_t middle[512] __attribute__((aligned(4096)));
	constexpr uint64_t window = 1ull << 39, size = 2 << 20;
	uint64_t cr3 = arch_root();

	for (unsigned i = 0; i < 2; i++)
		middle[i] = ((phys & ~(size - 1)) + i * size) | PS | W | P;
	upper[0] = arch_walk((uint64_t)middle).phys | W | P;
	((volatile uint64_t *)(direct_map + cr3))[1] = arch_walk((uint64_t)upper).phys | W | P;
	__asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
	return (volatile void *)(window + phys % size);
}

/* QEMU's machines have one I/O APIC, here. */
void arch_check_devices(void)
{
	volatile uint32_t *ioapic = arch_map(0xfec00000);
	bool masked = true;
	unsigned last;

	check("PICs are masked", in8(0x21) == 0xff && in8(0xa1) == 0xff);
	ioapic[0] = 1;
	last = ioapic[4] >> 16 & 0xff;
	for (unsigned i = 0; i <= last; i++) {
		ioapic[0] = 0x10 + 2 * i;
		masked &= (ioapic[4] & 1 << 16) || (ioapic[4] >> 8 & 7) > 1;
	}
	check("I/O APIC is masked", last >= 23 && masked);
}

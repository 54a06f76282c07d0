// SPDX-License-Identifier: MIT
// The probe kernel's part for AArch64: CPU state, page tables, the serial port of QEMU's machine
// `virt`, and the end of QEMU through PSCI.
#include "boot/probe/probe.h"

#define READ(reg)                                                \
	({                                                       \
		uint64_t value;                                  \
		__asm__ volatile("mrs %0, " #reg : "=r"(value)); \
		value;                                           \
	})
#define WRITE(reg, value) __asm__ volatile("msr " #reg ", %0" : : "r"((uint64_t)(value)) : "memory")

/* Arm ARM, D8.3. */
enum : uint64_t {
	VALID = 1,
	TABLE = 2,
	READ_ONLY = 1 << 7,
	INNER_SHAREABLE = 3 << 8,
	ACCESSED = 1 << 10,
	PXN = 1ull << 53,
	UXN = 1ull << 54,
	PXN_TABLE = 1ull << 59,
	READ_ONLY_TABLE = 1ull << 62,
	ADDRESS = 0x0000fffffffff000,
};

static uint64_t entry_mair;

static void barrier(void)
{
	__asm__ volatile("dsb sy; isb" : : : "memory");
}

/* ---- entry and exceptions ---- */

/* Saves x0 to x30. */
__asm__(".pushsection .text\n"
	".globl probe_start\n"
	"probe_start:\n"
	"	sub sp, sp, #256\n"
	"	stp x0, x1, [sp, #0]; stp x2, x3, [sp, #16]; stp x4, x5, [sp, #32]\n"
	"	stp x6, x7, [sp, #48]; stp x8, x9, [sp, #64]; stp x10, x11, [sp, #80]\n"
	"	stp x12, x13, [sp, #96]; stp x14, x15, [sp, #112]; stp x16, x17, [sp, #128]\n"
	"	stp x18, x19, [sp, #144]; stp x20, x21, [sp, #160]; stp x22, x23, [sp, #176]\n"
	"	stp x24, x25, [sp, #192]; stp x26, x27, [sp, #208]; stp x28, x29, [sp, #224]\n"
	"	str x30, [sp, #240]\n"
	"	add x0, sp, #256\n"
	"	adrp x1, saved_sp\n"
	"	str x0, [x1, :lo12:saved_sp]\n"
	"	mov x0, sp\n"
	"	bl probe_main\n"
	".balign 2048\n"
	"vectors:\n"
	"	.rept 16\n"
	"	mrs x0, esr_el1\n"
	"	mrs x1, elr_el1\n"
	"	mrs x2, far_el1\n"
	"	b probe_exception\n"
	"	.balign 128\n"
	"	.endr\n"
	".popsection\n");
uint64_t saved_sp;
static bool powering_off;

[[noreturn]] void probe_exception(uint64_t esr, uint64_t elr, uint64_t far);

/* PSCI's SYSTEM_OFF. Machines without EL2 are called by HVC, which is undefined on others. */
void arch_power_off(void)
{
	register uint64_t x0 __asm__("x0") = 0x84000008;

	powering_off = true;
	__asm__ volatile("hvc #0" : "+r"(x0) : : "x1", "x2", "x3", "memory");
	for (;;)
		__asm__ volatile("wfi");
}

void probe_exception(uint64_t esr, uint64_t elr, uint64_t far)
{
	register uint64_t x0 __asm__("x0") = 0x84000008;

	if (powering_off)
		__asm__ volatile("smc #0" : "+r"(x0) : : "x1", "x2", "x3", "memory");
	check("no exception", false);
	put_number("esr", esr);
	put_number("elr", elr);
	put_number("far", far);
	for (;;)
		__asm__ volatile("wfi");
}

/* ---- the lower half, which is the kernel's to use ---- */

static uint64_t low_root[512] __attribute__((aligned(4096)));
static uint64_t low_blocks[512] __attribute__((aligned(4096))); /* of 1 GiB */

static uint64_t phys_of(const void *p)
{
	__asm__ volatile("at s1e1r, %0; isb" : : "r"(p) : "memory");
	return (READ(par_el1) & ADDRESS) | ((uint64_t)p & 4095);
}

/* The index of the first memory type for which this holds; 8: there is none. */
static unsigned mair_find(uint64_t mair, uint8_t mask, uint8_t value)
{
	unsigned index = 0;

	while (index < 8 && ((mair >> (8 * index)) & mask) != value)
		index++;
	return index;
}

/* Where the next GiB is left out, a place at its very end is not seen: firmware tables are not
 * there. */
static volatile void *map_low(uint64_t phys, unsigned attribute)
{
	constexpr uint64_t gib = 1ull << 30;

	low_blocks[phys / gib] =
		(phys & -gib) | VALID | attribute << 2 | INNER_SHAREABLE | ACCESSED | PXN | UXN;
	barrier();
	__asm__ volatile("tlbi vmalle1" : : : "memory");
	barrier();
	return (volatile void *)phys;
}

volatile void *arch_map(uint64_t phys)
{
	return map_low(phys, mair_find(entry_mair, 0xff, 0xff));
}

static volatile uint32_t *uart;

void arch_start(void)
{
	constexpr uint64_t uart_phys = 0x09000000;
	static uint8_t exception_stack[16384] __attribute__((aligned(16)));
	unsigned device;

	__asm__ volatile("msr spsel, #1; mov sp, %0; msr spsel, #0"
			 :
			 : "r"(exception_stack + sizeof(exception_stack))
			 : "memory");
	__asm__ volatile("adr x0, vectors; msr vbar_el1, x0; isb" : : : "x0", "memory");
	entry_mair = READ(mair_el1);
	device = mair_find(entry_mair, 0xf3, 0);
	if (device == 8)
		WRITE(mair_el1, (entry_mair << 8 >> 8) | 4ull << (8 * (device = 7)));
	low_root[0] = phys_of(low_blocks) | TABLE | VALID;
	WRITE(ttbr0_el1, phys_of(low_root));
	uart = map_low(uart_phys, device);
}

/* PL011: data, and a flag that says that it can take no more. */
void arch_put(char c)
{
	while (uart[0x18 / 4] & 1 << 5)
		;
	uart[0] = (uint8_t)c;
}

/* ---- the machine's state ---- */

static bool counts(uint64_t (*read)(void))
{
	uint64_t start = read();

	for (unsigned i = 0; i < 10'000'000; i++)
		if (read() != start)
			return true;
	return false;
}

static uint64_t read_cntpct(void)
{
	__asm__ volatile("isb");
	return READ(cntpct_el0);
}

static uint64_t read_cntvct(void)
{
	__asm__ volatile("isb");
	return READ(cntvct_el0);
}

/* What a higher exception level could have kept for itself would end in its hands, and this kernel
 * in silence. */
static void check_higher_levels(void)
{
	constexpr uint64_t far = 1 << 30; /* many seconds of ticks */
	register uint64_t in __asm__("x1") = 0x123456789abcdef;
	register uint64_t out __asm__("x0");

	WRITE(cpacr_el1, READ(cpacr_el1) | 3 << 20);
	/* fmov d0, x1; fmov x0, d0: the compiler keeps away from vector registers here. */
	__asm__ volatile("isb; .inst 0x9e670020; .inst 0x9e660000" : "=r"(out) : "r"(in));
	check("vector registers can be used", out == in);
	check("physical counter counts", counts(read_cntpct));
	check("virtual counter counts", counts(read_cntvct));
	WRITE(cntp_tval_el0, far);
	check("physical timer can be used", READ(cntp_tval_el0) - 1 < far);
	WRITE(cntv_tval_el0, far);
	check("virtual timer can be used", READ(cntv_tval_el0) - 1 < far);
}

static void check_paging_state(void)
{
	uint64_t sctlr = READ(sctlr_el1), tcr = READ(tcr_el1);

	check("MMU and caches are on", (sctlr & 0x1005) == 0x1005);
	check("alignment is checked for SP alone", (sctlr & 0x1a) == 0x18);
	check("EL1 and EL0 are little-endian", !(sctlr & (3 << 24)));
	check("writable memory can be executed", !(sctlr & 1 << 19));
	check("both halves have 48 bits", (tcr & 0x3f) == 16 && (tcr >> 16 & 0x3f) == 16);
	check("both halves have pages of 4 KiB", (tcr >> 14 & 3) == 0 && (tcr >> 30 & 3) == 2);
	check("both halves are in use", !(tcr & (1 << 7 | 1 << 23)));
	check("MAIR has write-back memory", mair_find(entry_mair, 0xff, 0xff) < 8);
}

void arch_check_cpu(const uint64_t *regs)
{
	uint64_t or_all = 0;

	for (int i = 0; i < 31; i++)
		or_all |= regs[i];
	check("general registers are zero", or_all == 0);
	check("EL1 with SP_EL0", READ(currentel) >> 2 == 1 && READ(spsel) == 0);
	check("interrupts are masked", (READ(daif) >> 6 & 15) == 15);
	check("stack is aligned", saved_sp % 16 == 0);
	check_paging_state();
	check_higher_levels();
}

/* ---- page tables ---- */

uint64_t arch_root(void)
{
	return READ(ttbr1_el1) & ADDRESS;
}

/* Write-combining is what Arm calls normal memory that is not cached. */
static enum memory memory_of(uint64_t e)
{
	uint8_t attribute = (uint8_t)(entry_mair >> (8 * (e >> 2 & 7)));

	return attribute == 0xff   ? MEMORY_WRITE_BACK
	       : attribute == 0x44 ? MEMORY_COMBINING
				   : MEMORY_OTHER;
}

struct leaf arch_walk(uint64_t virt)
{
	struct leaf leaf = {.writable = true, .executable = true};
	uint64_t table = arch_root();

	for (unsigned shift = 39;; shift -= 9) {
		uint64_t e = ((uint64_t *)(direct_map + table))[virt >> shift & 511];
		uint64_t size = 1ull << shift;
		bool is_leaf = shift == 12 || !(e & TABLE);

		leaf.left = size - (virt & (size - 1));
		/* In the last level a block's pattern is no page. */
		if (!(e & VALID) || (shift == 12 && !(e & TABLE)))
			return leaf;
		leaf.writable &= !(e & (is_leaf ? READ_ONLY : READ_ONLY_TABLE));
		leaf.executable &= !(e & (is_leaf ? PXN : PXN_TABLE));
		table = e & ADDRESS;
		if (is_leaf) {
			leaf.present = e & ACCESSED;
			leaf.phys = (table & ~(size - 1)) + (virt & (size - 1));
			leaf.memory = memory_of(e);
			return leaf;
		}
	}
}

/* Beyond the protocol, but a kernel cannot do without: said, for the test to judge. */
void arch_check_devices(void)
{
	uint64_t isar1 = READ(id_aa64isar1_el1);

	if (READ(id_aa64pfr0_el1) >> 24 & 15)
		put_number("interrupt controller's registers",
			   READ(S3_0_C12_C12_5 /* icc_sre_el1 */));
	if (isar1 & 0xff0) {
		uint64_t signed_one = 0x1000;

		WRITE(sctlr_el1, READ(sctlr_el1) | 1ull << 31 /* EnIA */);
		__asm__ volatile(
			"isb; mov x17, %0; mov x16, #1; hint #8; mov %0, x17" /* pacia1716 */
			: "+r"(signed_one)
			:
			: "x16", "x17");
		put_number("signed pointer", signed_one);
	}
}

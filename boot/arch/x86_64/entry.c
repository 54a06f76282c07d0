// SPDX-License-Identifier: MIT
// The x86-64 CPU and its interrupt controllers, brought into the state in which the protocol enters
// a kernel.
#include "base/acpi.h"
#include "base/elf.h"
#include "boot/arch.h"
#include "boot/arch/x86_64/jump.h"

const uint16_t arch_elf_machine = EM_X86_64;
const uint32_t arch_elf_relative = R_X86_64_RELATIVE;

static uint64_t read_cr3(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr3, %0" : "=r"(value));
	return value;
}

static uint64_t read_cr4(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr4, %0" : "=r"(value));
	return value;
}

static uint64_t read_msr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static void write_msr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
}

static void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

reason arch_check(void)
{
	constexpr uint64_t CR4_LA57 = 1 << 12;
	uint32_t a = 0x80000001, b, c, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
	if (!(d & (1u << 20)))
		return "cannot be used: its CPU has no no-execute pages, or they are switched off in the setup";
	/* Changing the number of levels takes a detour through 32-bit mode, which the protocol's
	 * default would need. */
	if (read_cr4() & CR4_LA57)
		return "cannot be used: its firmware runs with five-level paging, this loader with four";
	return nullptr;
}

/* Nothing to do: instruction fetches see what was written. */
void arch_code_written(const void *, uint64_t)
{
}

/* ---- I/O APICs: found under the firmware, whose tables are mapped, and masked after it ---- */

constexpr unsigned IOAPICS_MAX = 64;
static uint32_t ioapics[IOAPICS_MAX]; /* physical addresses */
static unsigned nioapics;

static void madt_scan(const struct acpi_madt *madt)
{
	const struct acpi_madt_entry *entry;
	size_t pos = 0;

	while ((entry = acpi_madt_next(madt, &pos)))
		if (entry->type == ACPI_MADT_IOAPIC && nioapics < IOAPICS_MAX)
			ioapics[nioapics++] = ((const struct acpi_madt_ioapic *)entry)->addr;
}

/* The firmware's tables are mapped, whatever length they claim. */
static const struct acpi_header *table_at(uint64_t phys, const char *signature, size_t min_len)
{
	const struct acpi_header *table = at_phys(phys);

	return table ? acpi_table_check(table, table->length, signature, min_len) : nullptr;
}

void arch_prepare(const void *tables)
{
	const struct acpi_rsdp *rsdp = tables;
	const struct acpi_header *root;

	if (!rsdp || !acpi_rsdp_ok(rsdp, sizeof(*rsdp)))
		return;
	if (rsdp->revision >= 2 && rsdp->xsdt_addr)
		root = table_at(rsdp->xsdt_addr, "XSDT", sizeof(*root));
	else
		root = table_at(rsdp->rsdt_addr, "RSDT", sizeof(*root));
	for (size_t i = 0; root && i < acpi_root_count(root); i++) {
		const struct acpi_header *table =
			table_at(acpi_root_entry(root, i), "APIC", sizeof(struct acpi_madt));

		if (table)
			madt_scan((const struct acpi_madt *)table);
	}
}

/* The protocol: entries that deliver fixed or lowest-priority interrupts are masked; SMI, NMI and
 * such stay. */
static void ioapic_mask(uint32_t base)
{
	volatile uint32_t *select = at_phys(base), *window = at_phys(base + 0x10);
	unsigned last;

	*select = 1;
	last = *window >> 16 & 0xff;
	for (unsigned i = 0; i <= last; i++) {
		*select = 0x10 + i * 2;
		if ((*window >> 8 & 7) <= 1)
			*window |= 1 << 16;
	}
}

static void interrupts_silence(void)
{
	__asm__ volatile("cli");
	out8(0x21, 0xff);
	out8(0xa1, 0xff);
	for (unsigned i = 0; i < nioapics; i++)
		ioapic_mask(ioapics[i]);
}

/* ---- the way in ---- */

/* Flat segments as the protocol lists them: null; 16-bit code, data; 32-bit code, data; 64-bit
 * code, data. */
static const uint64_t gdt[7] = {
	0,
	0x00009b000000ffff,
	0x000093000000ffff,
	0x00cf9b000000ffff,
	0x00cf93000000ffff,
	0x00209b0000000000,
	0x0000930000000000,
};

void arch_enter(const struct space *space, uint64_t entry, uint64_t stack_top,
		const struct leftovers *leftovers)
{
	constexpr uint32_t MSR_EFER = 0xc0000080, MSR_PAT = 0x277;
	constexpr uint64_t EFER_NXE = 1 << 11;
	/* WB, WT, UC-, UC as after reset, then WP, WC, UC-, UC. The firmware uses none of the upper
	 * four. */
	constexpr uint64_t PAT = 0x0007010500070406;
	static uint64_t bridge[512] __attribute__((aligned(4096)));
	static struct jump jump;

	interrupts_silence();
	write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_NXE);
	write_msr(MSR_PAT, PAT);
	memcpy(bridge, at_phys(align_down(read_cr3(), PAGE_SIZE)), sizeof(bridge) / 2);
	memcpy(bridge + 256, space->root + 256, sizeof(bridge) / 2);
	jump = (struct jump){
		.bridge_root = phys_of(bridge),
		.root = phys_of(space->root),
		.hhdm = arch_hhdm,
		.gdt_limit = sizeof(gdt) - 1,
		.gdt_base = arch_hhdm + phys_of(gdt),
		.entry = entry,
		.stack_top = stack_top,
		.leftovers = (const void *)(arch_hhdm + phys_of(leftovers)),
	};
	jump_to_kernel(&jump);
}

// SPDX-License-Identifier: MIT
// A kernel whose only work is to check, from the inside, that its loader kept the Limine protocol.

/*
 * It prints one line for each check ("ok NAME" or "FAIL NAME"), a few lines KEY=VALUE for the test
 * that started it, and "probe: done"; then it ends QEMU through the isa-debug-exit device at port
 * 0xf4. It knows nothing of our loader: any other loader for the protocol can be judged by it.
 */

#include <stddef.h>
#include <stdint.h>

#include "abi/limine.h"

#define REQUEST __attribute__((section(".limine_requests"), used)) static volatile

__attribute__((section(".limine_requests_start"),
	       used)) static volatile uint64_t requests_start[4] = LIMINE_REQUESTS_START;
__attribute__((section(".limine_requests_end"), used)) static volatile uint64_t requests_end[2] =
	LIMINE_REQUESTS_END;

constexpr uint64_t WANTED_STACK = 256 << 10;

void probe_start(void);
void probe_wrong_entry(void);
[[noreturn]] void probe_main(const uint64_t *entry_state);

REQUEST uint64_t base_revision[3] = LIMINE_BASE_REVISION(3);
REQUEST struct limine_request loader = {LIMINE_BOOTLOADER_INFO_ID, 0, nullptr};
REQUEST struct limine_request cmdline = {LIMINE_EXECUTABLE_CMDLINE_ID, 0, nullptr};
REQUEST struct limine_request firmware = {LIMINE_FIRMWARE_TYPE_ID, 0, nullptr};
REQUEST struct limine_stack_size_request stack = {{LIMINE_STACK_SIZE_ID, 0, nullptr}, WANTED_STACK};
REQUEST struct limine_request hhdm = {LIMINE_HHDM_ID, 0, nullptr};
REQUEST struct limine_request framebuffer = {LIMINE_FRAMEBUFFER_ID, 0, nullptr};
REQUEST struct limine_paging_mode_request paging = {{LIMINE_PAGING_MODE_ID, 1, nullptr}, 1, 1, 0};
REQUEST struct limine_request memmap = {LIMINE_MEMMAP_ID, 0, nullptr};
REQUEST struct limine_entry_point_request entry_point = {{LIMINE_ENTRY_POINT_ID, 0, nullptr},
							 probe_start};
REQUEST struct limine_request executable = {LIMINE_EXECUTABLE_FILE_ID, 0, nullptr};
REQUEST struct limine_request modules = {LIMINE_MODULE_ID, 0, nullptr};
REQUEST struct limine_request rsdp = {LIMINE_RSDP_ID, 0, nullptr};
REQUEST struct limine_request address = {LIMINE_EXECUTABLE_ADDRESS_ID, 0, nullptr};
REQUEST struct limine_request unknown = {{LIMINE_COMMON_MAGIC, 0x1234, 0x5678}, 0, nullptr};

/* ---- output ---- */

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

static void put(const char *s)
{
	for (; *s; s++) {
		while (!(in8(0x3fd) & 0x20))
			;
		out8(0x3f8, (uint8_t)*s);
	}
}

static void put_number(const char *key, uint64_t n)
{
	char text[19] = "0x";

	for (int i = 0; i < 16; i++)
		text[2 + i] = "0123456789abcdef"[n >> (60 - 4 * i) & 15];
	put(key);
	put("=");
	put(text);
	put("\n");
}

static void check(const char *name, bool holds)
{
	put(holds ? "ok " : "FAIL ");
	put(name);
	put("\n");
}

[[noreturn]] static void stop(void)
{
	put("probe: done\n");
	__asm__ volatile("outl %0, %1" : : "a"(0), "Nd"((uint16_t)0xf4));
	for (;;)
		__asm__ volatile("cli; hlt");
}

void probe_wrong_entry(void)
{
	check("entry point request", false);
	stop();
}

/* ---- the machine's state ---- */

/* Saves what was in the registers: rax, rbx, ... r15 (without rsp), then rsp, flags and segments.
 */
__asm__(".pushsection .text\n"
	".globl probe_start\n"
	"probe_start:\n"
	"	mov %rsp, saved_rsp(%rip)\n"
	"	pushfq\n"
	"	push %r15; push %r14; push %r13; push %r12; push %r11; push %r10; push %r9; push %r8\n"
	"	push %rbp; push %rdi; push %rsi; push %rdx; push %rcx; push %rbx; push %rax\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call probe_main\n"
	".popsection\n");
__attribute__((used)) static uint64_t saved_rsp;

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

static void check_cpu(const uint64_t *regs)
{
	uint64_t or_all = 0, cr0, cr4;
	uint16_t cs, ds, es, ss, fs, gs;

	for (int i = 0; i < 15; i++)
		or_all |= regs[i];
	check("general registers are zero", or_all == 0);
	check("IF, DF and VM are clear", !(regs[15] & (1 << 9 | 1 << 10 | 1 << 17)));
	check("stack holds a zero return address", *(uint64_t *)saved_rsp == 0);
	check("stack is aligned as after a call", saved_rsp % 16 == 8);
	__asm__ volatile(
		"mov %%cs, %0; mov %%ds, %1; mov %%es, %2; mov %%ss, %3; mov %%fs, %4; mov %%gs, %5"
		: "=r"(cs), "=r"(ds), "=r"(es), "=r"(ss), "=r"(fs), "=r"(gs));
	check("CS is 0x28", cs == 0x28);
	check("data segments are 0x30",
	      ds == 0x30 && es == 0x30 && ss == 0x30 && fs == 0x30 && gs == 0x30);
	check("0x28 is 64-bit code", (selector_limit_type(0x28) & 0x20fa) == 0x209a);
	check("0x18 is 32-bit code", (selector_limit_type(0x18) & 0xc0fa) == 0xc09a);
	check("0x20 is 32-bit data", (selector_limit_type(0x20) & 0xc0fa) == 0xc092);
	__asm__ volatile("mov %%cr0, %0; mov %%cr4, %1" : "=r"(cr0), "=r"(cr4));
	check("CR0 has PG, WP and PE", (cr0 & 0x80010001) == 0x80010001);
	check("CR4 has PAE and no LA57", (cr4 & 0x1020) == 0x20);
	check("EFER has NXE and LMA", (read_msr(0xc0000080) & 0xc00) == 0xc00);
	check("PAT", (read_msr(0x277) & 0xffffffffffff) == 0x010500070406);
	check("PICs are masked", in8(0x21) == 0xff && in8(0xa1) == 0xff);
}

/* ---- page tables ---- */

enum : uint64_t { P = 1, W = 2, PS = 1 << 7, NX = 1ull << 63, ADDRESS = 0x000ffffffffff000 };

static uint64_t direct_map; /* offset */

struct leaf {
	uint64_t pte, phys;
	uint64_t left; /* bytes from here to the end of the page */
	bool writable, executable, present;
	unsigned pat;
};

static struct leaf walk(uint64_t virt)
{
	struct leaf leaf = {.writable = true, .executable = true};
	uint64_t cr3, table;

	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	table = cr3 & ADDRESS;
	for (unsigned shift = 39;; shift -= 9) {
		uint64_t e = ((uint64_t *)(direct_map + table))[virt >> shift & 511];
		uint64_t size = 1ull << shift;

		if (!(e & P)) {
			leaf.left = size - (virt & (size - 1));
			return leaf;
		}
		leaf.writable &= (e & W) != 0;
		leaf.executable &= !(e & NX);
		table = e & ADDRESS;
		if (shift == 12 || (shift < 39 && (e & PS))) {
			leaf.present = true;
			leaf.pte = e;
			leaf.left = size - (virt & (size - 1));
			leaf.phys = (table & ~(size - 1)) + (virt & (size - 1));
			leaf.pat = (e >> 3 & 3) | (e >> (shift == 12 ? 7 : 12) & 1) << 2;
			return leaf;
		}
	}
}

/* Whether all of [base, base + len) is in the direct map (want), with that PAT entry, or nothing of
 * it is. */
static bool direct_mapped(uint64_t base, uint64_t len, bool want, unsigned pat)
{
	for (uint64_t at = base; at < base + len;) {
		struct leaf leaf = walk(direct_map + at);

		if (leaf.present != want)
			return false;
		if (want && (leaf.phys != at || !leaf.writable || leaf.pat != pat))
			return false;
		at += leaf.left;
	}
	return true;
}

extern char text_start[], text_end[], rodata_start[], rodata_end[], data_start[], data_end[];

static bool mapped_as(const char *from, const char *to, bool writable, bool executable)
{
	struct limine_executable_address_response *r = address.response;

	for (uint64_t at = (uint64_t)from; at < (uint64_t)to; at += 4096) {
		struct leaf leaf = walk(at);

		if (!leaf.present || leaf.writable != writable || leaf.executable != executable ||
		    leaf.phys != at - r->virtual_base + r->physical_base)
			return false;
	}
	return true;
}

static bool lower_half_empty(void)
{
	for (uint64_t at = 0; at < 1ull << 47; at += 1ull << 39) {
		struct leaf leaf = walk(at);

		if (leaf.present || leaf.left < 1ull << 39)
			return false;
	}
	return true;
}

static bool top_has_only_the_image(void)
{
	for (uint64_t at = 0xffffffff80000000; at != 0;) {
		struct leaf leaf = walk(at);

		if (leaf.present && (at < (uint64_t)text_start || at >= (uint64_t)data_end))
			return false;
		if (leaf.present && leaf.writable && leaf.executable)
			return false;
		at += leaf.left;
	}
	return true;
}

static void check_paging(void)
{
	check("lower half is empty", lower_half_empty());
	check("text is read and execute", mapped_as(text_start, text_end, false, true));
	check("rodata is read only", mapped_as(rodata_start, rodata_end, false, false));
	check("data is read and write", mapped_as(data_start, data_end, true, false));
	check("nothing else is mapped beside the image", top_has_only_the_image());
}

/* ---- the memory map ---- */

static enum limine_memmap_type type_at(uint64_t phys)
{
	struct limine_memmap_response *r = memmap.response;

	for (uint64_t i = 0; i < r->entry_count; i++)
		if (phys >= r->entries[i]->base &&
		    phys - r->entries[i]->base < r->entries[i]->length)
			return r->entries[i]->type;
	return LIMINE_MEMMAP_RESERVED;
}

static bool owned_by_loader(const volatile void *p)
{
	return type_at((uint64_t)p - direct_map) == LIMINE_MEMMAP_BOOTLOADER_RECLAIMABLE;
}

static void check_memmap(void)
{
	struct limine_memmap_response *r = memmap.response;
	bool sorted = true, aligned = true, mapped = true, known = true;
	uint64_t end = 0, usable = 0;

	for (uint64_t i = 0; i < r->entry_count; i++) {
		struct limine_memmap_entry *e = r->entries[i];
		bool ram = e->type == LIMINE_MEMMAP_USABLE ||
			   e->type == LIMINE_MEMMAP_BOOTLOADER_RECLAIMABLE;
		bool fb = e->type == LIMINE_MEMMAP_FRAMEBUFFER;
		bool direct = ram || fb || e->type == LIMINE_MEMMAP_EXECUTABLE_AND_MODULES;

		sorted &= e->base >= end && e->length > 0;
		end = e->base + e->length;
		known &= e->type <= LIMINE_MEMMAP_FRAMEBUFFER;
		aligned &= !ram || ((e->base | e->length) % 4096 == 0 && e->base >= 4096);
		mapped &= direct_mapped(e->base, e->length, direct, fb ? 5 : 0);
		usable += e->type == LIMINE_MEMMAP_USABLE ? e->length : 0;
	}
	check("memory map is sorted without overlaps", sorted && known);
	check("RAM entries are page-aligned and above the first page", aligned);
	check("direct map covers what it must and nothing else", mapped);
	put_number("usable", usable);
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

static bool stack_usable(void)
{
	for (uint64_t at = saved_rsp - WANTED_STACK + 4096; at < saved_rsp - 8192; at += 4096) {
		if (!owned_by_loader((void *)at))
			return false;
		*(volatile uint64_t *)at = at;
		if (*(volatile uint64_t *)at != at)
			return false;
	}
	return true;
}

static void check_owners(void)
{
	uint64_t cr3;

	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	check("page tables are the loader's",
	      owned_by_loader((void *)(direct_map + (cr3 & ADDRESS))));
	check("GDT is the loader's", owned_by_loader((void *)gdt_base()));
	check("stack is the loader's and as large as asked", stack_usable());
	check("responses are the loader's",
	      owned_by_loader(memmap.response) && owned_by_loader(hhdm.response));
	check("image has its own type",
	      type_at(walk((uint64_t)data_start).phys) == LIMINE_MEMMAP_EXECUTABLE_AND_MODULES);
}

/* ---- the other answers ---- */

static bool starts_with(const void *p, const char *with)
{
	for (const char *s = p; *with; s++, with++)
		if (*s != *with)
			return false;
	return true;
}

static void check_files(void)
{
	struct limine_executable_file_response *e = executable.response;
	struct limine_module_response *m = modules.response;

	check("executable file", e && starts_with(e->executable_file->address, "\177ELF") &&
					 starts_with(e->executable_file->path, "/boot/"));
	check("module list", m != nullptr);
	for (uint64_t i = 0; m && i < m->module_count; i++) {
		struct limine_file *f = m->modules[i];
		uint64_t sum = 0;

		for (uint64_t at = 0; at < f->size; at++)
			sum = sum * 31 + ((uint8_t *)f->address)[at];
		check("module has its own type",
		      f->size == 0 || type_at((uint64_t)f->address - direct_map) ==
					      LIMINE_MEMMAP_EXECUTABLE_AND_MODULES);
		check("module is page-aligned", (uint64_t)f->address % 4096 == 0);
		put_number("module size", f->size);
		put_number("module sum", sum);
	}
}

static void check_framebuffer(void)
{
	struct limine_framebuffer_response *r = framebuffer.response;
	struct limine_framebuffer *fb;
	volatile uint32_t *pixel;

	if (!r) {
		put("framebuffer=none\n");
		return;
	}
	fb = r->framebuffers[0];
	put_number("framebuffer width", fb->width);
	put_number("framebuffer height", fb->height);
	check("framebuffer is 32 bits deep", fb->bpp == 32 &&
						     fb->memory_model == limine_framebuffer_rgb &&
						     fb->pitch >= fb->width * 4);
	check("framebuffer colours", fb->red_mask_size == 8 && fb->green_mask_size == 8 &&
					     fb->blue_mask_size == 8 && fb->green_mask_shift == 8);
	check("framebuffer has its own type",
	      type_at((uint64_t)fb->address - direct_map) == LIMINE_MEMMAP_FRAMEBUFFER);
	check("framebuffer is mapped to its end",
	      direct_mapped((uint64_t)fb->address - direct_map, fb->pitch * fb->height, true, 5));
	pixel = (volatile uint32_t *)((char *)fb->address + fb->pitch * (fb->height - 1)) +
		fb->width - 1;
	*pixel = 0x123456;
	check("framebuffer keeps a pixel", (*pixel & 0xffffff) == 0x123456);
}

/* Makes physical memory that the direct map of base revision 3 leaves out visible, in the empty
 * lower half: one place at a time, at least 2 MiB from phys. */
static volatile void *map_low(uint64_t phys)
{
	static uint64_t upper[512] __attribute__((aligned(4096)));
	static uint64_t middle[512] __attribute__((aligned(4096)));
	constexpr uint64_t window = 1ull << 39, size = 2 << 20;
	uint64_t cr3;

	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	for (unsigned i = 0; i < 2; i++)
		middle[i] = ((phys & ~(size - 1)) + i * size) | PS | W | P;
	upper[0] = walk((uint64_t)middle).phys | W | P;
	((volatile uint64_t *)(direct_map + (cr3 & ADDRESS)))[1] =
		walk((uint64_t)upper).phys | W | P;
	__asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
	return (volatile void *)(window + phys % size);
}

static void check_rsdp(void)
{
	struct limine_rsdp_response *r = rsdp.response;
	const volatile uint8_t *table;
	uint8_t sum = 0;

	check("RSDP is a physical address", r && r->address < direct_map);
	if (!r || r->address >= direct_map)
		return;
	table = map_low(r->address);
	for (int i = 0; i < 20; i++)
		sum += table[i];
	check("RSDP has its signature and checksum",
	      starts_with((const void *)table, "RSD PTR ") && sum == 0);
}

/* QEMU's machines have one I/O APIC, here. */
static void check_ioapic(void)
{
	volatile uint32_t *ioapic = map_low(0xfec00000);
	bool masked = true;
	unsigned last;

	ioapic[0] = 1;
	last = ioapic[4] >> 16 & 0xff;
	for (unsigned i = 0; i <= last; i++) {
		ioapic[0] = 0x10 + 2 * i;
		masked &= (ioapic[4] & 1 << 16) || (ioapic[4] >> 8 & 7) > 1;
	}
	check("I/O APIC is masked", last >= 23 && masked);
}

void probe_main(const uint64_t *entry_state)
{
	struct limine_bootloader_info_response *info = loader.response;
	struct limine_executable_cmdline_response *c = cmdline.response;
	struct limine_firmware_type_response *f = firmware.response;
	struct limine_paging_mode_response *p = paging.req.response;

	put("probe: start\n");
	check("base revision", base_revision[2] == 0 && base_revision[1] == 3);
	check("needed responses", hhdm.response && memmap.response && address.response);
	if (!hhdm.response || !memmap.response || !address.response)
		stop();
	direct_map = ((struct limine_hhdm_response *)hhdm.response)->offset;
	check("direct map is where four-level kernels expect it", direct_map == 0xffff800000000000);
	check("entry point response", entry_point.req.response);
	check("stack size response", stack.req.response);
	check("loader's name", info && info->name[0] && info->version[0]);
	check("firmware is 64-bit UEFI", f && f->firmware_type == LIMINE_FIRMWARE_EFI64);
	check("paging mode is four-level", p && p->mode == 0);
	check("unknown request stays unanswered", !unknown.response);
	put("cmdline=");
	put(c ? c->cmdline : "(no response)");
	put("\n");
	check_cpu(entry_state);
	check_paging();
	check_memmap();
	check_owners();
	check_files();
	check_framebuffer();
	check_rsdp();
	check_ioapic();
	stop();
}

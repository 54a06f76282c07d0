// SPDX-License-Identifier: MIT
// A kernel whose only work is to check, from the inside, that its loader kept the Limine protocol.

/*
 * It prints one line for each check ("ok NAME" or "FAIL NAME"), a few lines KEY=VALUE for the test
 * that started it, and "probe: done"; then it ends QEMU. It knows nothing of our loader: any other
 * loader for the protocol can be judged by it. What depends on the CPU lies in arch/<cpu>/test/.
 */

#include <stddef.h>
#include <stdint.h>

#include "abi/limine.h"
#include "boot/probe/probe.h"

#define REQUEST __attribute__((section(".limine_requests"), used)) static volatile

__attribute__((section(".limine_requests_start"),
	       used)) static volatile uint64_t requests_start[4] = LIMINE_REQUESTS_START;
__attribute__((section(".limine_requests_end"), used)) static volatile uint64_t requests_end[2] =
	LIMINE_REQUESTS_END;

constexpr uint64_t WANTED_STACK = 256 << 10;

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
REQUEST struct limine_request boot_time = {LIMINE_BOOT_TIME_ID, 0, nullptr};
REQUEST struct limine_request dtb = {LIMINE_DTB_ID, 0, nullptr};
REQUEST struct limine_request address = {LIMINE_EXECUTABLE_ADDRESS_ID, 0, nullptr};
REQUEST struct limine_request unknown = {{LIMINE_COMMON_MAGIC, 0x1234, 0x5678}, 0, nullptr};

/* ---- output ---- */

void put(const char *s)
{
	for (; *s; s++)
		arch_put(*s);
}

void put_number(const char *key, uint64_t n)
{
	char text[19] = "0x";

	for (int i = 0; i < 16; i++)
		text[2 + i] = "0123456789abcdef"[n >> (60 - 4 * i) & 15];
	put(key);
	put("=");
	put(text);
	put("\n");
}

void check(const char *name, bool holds)
{
	put(holds ? "ok " : "FAIL ");
	put(name);
	put("\n");
}

void stop(void)
{
	put("probe: done\n");
	arch_power_off();
}

void probe_wrong_entry(void)
{
	arch_start();
	check("entry point request", false);
	stop();
}

/* ---- page tables ---- */

uint64_t direct_map;

/* Whether all of [base, base + len) is in the direct map (want), as such memory, or nothing of it
 * is. */
static bool direct_mapped(uint64_t base, uint64_t len, bool want, enum memory memory)
{
	for (uint64_t at = base; at < base + len;) {
		struct leaf leaf = arch_walk(direct_map + at);

		if (leaf.present != want)
			return false;
		if (want && (leaf.phys != at || !leaf.writable || leaf.memory != memory))
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
		struct leaf leaf = arch_walk(at);

		if (!leaf.present || leaf.writable != writable || leaf.executable != executable ||
		    leaf.phys != at - r->virtual_base + r->physical_base)
			return false;
	}
	return true;
}

static bool top_has_only_the_image(void)
{
	for (uint64_t at = 0xffffffff80000000; at != 0;) {
		struct leaf leaf = arch_walk(at);

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

bool owned_by_loader(const volatile void *p)
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
		mapped &= direct_mapped(e->base, e->length, direct,
					fb ? MEMORY_COMBINING : MEMORY_WRITE_BACK);
		usable += e->type == LIMINE_MEMMAP_USABLE ? e->length : 0;
	}
	check("memory map is sorted without overlaps", sorted && known);
	check("RAM entries are page-aligned and above the first page", aligned);
	check("direct map covers what it must and nothing else", mapped);
	put_number("usable", usable);
}

static bool stack_usable(void)
{
	for (uint64_t at = saved_sp - WANTED_STACK + 4096; at < saved_sp - 8192; at += 4096) {
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
	check("page tables are the loader's", owned_by_loader((void *)(direct_map + arch_root())));
	check("stack is the loader's and as large as asked", stack_usable());
	check("responses are the loader's",
	      owned_by_loader(memmap.response) && owned_by_loader(hhdm.response));
	check("image has its own type", type_at(arch_walk((uint64_t)data_start).phys) ==
						LIMINE_MEMMAP_EXECUTABLE_AND_MODULES);
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
	      direct_mapped((uint64_t)fb->address - direct_map, fb->pitch * fb->height, true,
			    MEMORY_COMBINING));
	pixel = (volatile uint32_t *)((char *)fb->address + fb->pitch * (fb->height - 1)) +
		fb->width - 1;
	*pixel = 0x123456;
	check("framebuffer keeps a pixel", (*pixel & 0xffffff) == 0x123456);
}

static void check_rsdp(void)
{
	struct limine_rsdp_response *r = rsdp.response;
	const volatile uint8_t *table;
	uint8_t sum = 0;

	if (!r) {
		put("rsdp=none\n");
		return;
	}
	check("RSDP is a physical address", r->address < direct_map);
	if (r->address >= direct_map)
		return;
	table = arch_map(r->address);
	for (int i = 0; i < 20; i++)
		sum += table[i];
	check("RSDP has its signature and checksum",
	      starts_with((const void *)table, "RSD PTR ") && sum == 0);
}

static void check_dtb(void)
{
	struct limine_dtb_response *r = dtb.response;
	const uint32_t *blob;
	uint64_t size;

	if (!r) {
		put("dtb=none\n");
		return;
	}
	blob = r->dtb;
	check("device tree is in the direct map",
	      (uint64_t)blob >= direct_map && arch_walk((uint64_t)blob).present);
	check("device tree has its magic number", __builtin_bswap32(blob[0]) == 0xd00dfeed);
	size = __builtin_bswap32(blob[1]);
	check("device tree is mapped to its end",
	      direct_mapped((uint64_t)blob - direct_map, size, true, MEMORY_WRITE_BACK));
	put_number("dtb size", size);
}

void probe_main(const uint64_t *state)
{
	struct limine_bootloader_info_response *info = loader.response;
	struct limine_executable_cmdline_response *c = cmdline.response;
	struct limine_firmware_type_response *f = firmware.response;
	struct limine_paging_mode_response *p = paging.req.response;
	struct limine_boot_time_response *t = boot_time.response;

	arch_start();
	put("probe: start\n");
	check("base revision", base_revision[2] == 0 && base_revision[1] == 3);
	check("needed responses", hhdm.response && memmap.response && address.response);
	if (!hhdm.response || !memmap.response || !address.response)
		stop();
	direct_map = ((struct limine_hhdm_response *)hhdm.response)->offset;
	check("direct map is in the upper half", direct_map >> 63 && direct_map % 4096 == 0);
	check("entry point response", entry_point.req.response);
	check("stack size response", stack.req.response);
	check("loader's name", info && info->name[0] && info->version[0]);
	check("firmware is 64-bit UEFI", f && f->firmware_type == LIMINE_FIRMWARE_EFI64);
	check("paging mode is four-level", p && p->mode == 0);
	check("unknown request stays unanswered", !unknown.response);
	put("cmdline=");
	put(c ? c->cmdline : "(no response)");
	put("\n");
	put_number("boot time", t ? (uint64_t)t->boot_time : 0);
	arch_check_cpu(state);
	check_paging();
	check_memmap();
	check_owners();
	check_files();
	check_framebuffer();
	check_rsdp();
	check_dtb();
	arch_check_devices();
	stop();
}

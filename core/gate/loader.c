// SPDX-License-Identifier: MIT
// loader.c: makes a service's memory from its shared object, and connects its imports.
//
// A service is a shared object without dependencies (base/elf_so.h), with relocations (relative
// ones, and one GLOB_DAT for each import) and a dynamic symbol `service_info`. The loader
// places the segments at the start of the window: what cannot be written is mapped from the
// archive, where all lives share it; the rest is copied, and relocated. What PT_GNU_RELRO covers
// (the GOT) cannot be written from then on.
//
// The place of an import gets the address of the call's function when the service runs privileged,
// else that of its gate stub. So the privilege boundary lies in the GOT, and the code is the same.
//
// The file's bytes are not trusted: base/elf_so.c checks them, and what points into the image is
// checked here before it is followed. What the service tells about itself (service_info) is copied
// into core's memory once.
//
// All of it runs with services_lock held, in a life that has not begun.
#include "base/elf_so.h"
#include "base/fmt.h"
#include "base/string.h"
#include "core/elevate.h"
#include "core/gate/gate_calls.h"
#include "core/slab.h"
#include <arch/gate.h>

struct image {
	struct service *s;
	struct elf_so so;
	const char *why;
};

static int bad(struct image *im, const char *why)
{
	im->why = why;
	return -ENOEXEC;
}

static int bad_import(struct image *im, const char *name, const char *why)
{
	static char text[96]; // services_lock

	scnprintf(text, sizeof(text), "it imports %s, %s", name, why);
	return bad(im, text);
}

// In the place of calls that this kernel was built without.
static long missing_call(void)
{
	return -ENOSYS;
}

// Copies from the loaded image, by core's own mapping.
static bool image_read(struct service *s, void *dst, u64 address, u64 len)
{
	for (u64 done = 0; done < len;) {
		const void *at = service_core_address(s, address + done);
		u64 n = min(len - done, PAGE_SIZE - (address + done) % PAGE_SIZE);

		if (!at)
			return false;
		memcpy((u8 *)dst + done, at, n);
		done += n;
	}
	return true;
}

static void segment_copy(struct image *im, const struct elf64_phdr *p)
{
	for (u64 done = 0; done < p->p_filesz;) {
		u64 at = im->s->window + p->p_vaddr + done;
		u64 n = min(p->p_filesz - done, PAGE_SIZE - at % PAGE_SIZE);

		memcpy(service_core_address(im->s, at), im->s->file + p->p_offset + done, n);
		done += n;
	}
}

static int segments_map(struct image *im)
{
	struct service *s = im->s;
	int err = service_image_begin(s, im->so.layout.hi / PAGE_SIZE);

	for (u32 i = 0; i < im->so.ehdr.e_phnum && !err; i++) {
		const struct elf64_phdr *p = &im->so.phdrs[i];

		if (elf_so_loads(p) && !(p->p_flags & PF_W))
			err = service_image_share(s, p->p_vaddr, im->so.file + p->p_offset,
						  div_round_up(p->p_memsz, PAGE_SIZE),
						  p->p_flags & PF_X);
	}
	if (!err)
		err = service_image_fill(s);
	if (err)
		return err;
	s->text_start = s->window + im->so.text_start;
	s->text_end = s->window + im->so.text_end;
	for (u32 i = 0; i < im->so.ehdr.e_phnum; i++)
		if (elf_so_loads(&im->so.phdrs[i]) && (im->so.phdrs[i].p_flags & PF_W))
			segment_copy(im, &im->so.phdrs[i]);
	return 0;
}

// What goes into the place of an import; 0: there is no such call.
static u64 import_value(struct image *im, const char *name)
{
	struct service *s = im->s;

	for (u32 n = 0; n < gate_ncalls; n++) {
		if (strcmp(gate_calls[n].name, name) != 0)
			continue;
		s->imports[n / 64] |= 1ull << n % 64;
		return s->isolation == ISOLATION_PRIVILEGED
			       ? (u64)(gate_calls[n].function ?: (const void *)missing_call)
			       : GATE_STUBS_BASE + (u64)(n + 1) * GATE_STUB_SIZE;
	}
	return 0;
}

static int relocate_one(struct image *im, const struct elf64_rela *r)
{
	struct service *s = im->s;
	u64 *place = service_core_address(s, s->window + r->r_offset), value;
	u32 type = ELF64_R_TYPE(r->r_info);
	const struct elf64_sym *symbol;
	const char *name;

	if (type == ARCH_R_RELATIVE) {
		*place = s->window + (u64)r->r_addend;
		return 0;
	}
	symbol = elf_so_symbol(&im->so, ELF64_R_SYM(r->r_info), &name);
	if ((type != ARCH_R_GLOB_DAT && type != ARCH_R_ABS64) || !symbol)
		return bad(im, "a relocation of an unknown kind");
	value = symbol->st_shndx != SHN_UNDEF ? s->window + symbol->st_value
					      : import_value(im, name);
	if (!value)
		return bad_import(im, name, "which core does not export");
	*place = value + (u64)r->r_addend;
	return 0;
}

static int relocate(struct image *im)
{
	int err = 0;

	memset(im->s->imports, 0, sizeof(im->s->imports));
	for (u64 i = 0; i < im->so.nrelocations && !err; i++)
		err = relocate_one(im, &im->so.relocations[i]);
	return err;
}

static void relro_protect(struct image *im)
{
	u64 start = align_down(im->so.relro_start, PAGE_SIZE);
	// of its last page something else may need to be written
	u64 end = align_down(im->so.relro_end, PAGE_SIZE);

	if (start < end)
		service_image_protect(im->s, start, (end - start) / PAGE_SIZE);
}

// ---- what the service tells about itself ----

// The longest prefix of a string that fits.
static bool string_read(struct service *s, char *dst, size_t cap, u64 address)
{
	for (size_t i = 0; i < cap - 1; i++) {
		if (!image_read(s, &dst[i], address + i, 1))
			return false;
		if (!dst[i])
			return true;
	}
	dst[cap - 1] = 0;
	return true;
}

static int devices_read(struct image *im, u64 address)
{
	struct service *s = im->s;
	struct device_match *table = kcalloc(SERVICE_DEVICES_MAX, sizeof(*table));
	u32 n = 0;

	if (!table)
		return -ENOMEM;
	for (; n < SERVICE_DEVICES_MAX; n++) {
		if (!image_read(s, &table[n], address + n * sizeof(*table), sizeof(*table)) ||
		    table[n].bus == DEVICE_END)
			break;
		table[n].name[sizeof(table[n].name) - 1] = 0;
	}
	kfree((void *)s->devices);
	s->devices = table;
	s->ndevices = n;
	return 0;
}

static int sites_read(struct image *im, u64 start, u64 end)
{
	struct service *s = im->s;
	u64 n = (end - start) / sizeof(u64);
	u64 *sites;

	kfree((void *)s->sites);
	s->sites = nullptr;
	s->nsites = 0;
	if (start == end)
		return 0;
	if (end < start || n > SERVICE_SITES_MAX || !(sites = kcalloc(n, sizeof(*sites))))
		return bad(im, "damaged table of elevation sites");
	s->sites = sites;
	if (!image_read(s, sites, start, n * sizeof(*sites)))
		return bad(im, "the table of elevation sites lies outside of the image");
	for (u64 i = 0; i < n; i++)
		if (sites[i] < s->text_start || sites[i] >= s->text_end)
			return bad(im, "an elevation site lies outside of the code");
	s->nsites = (u32)n;
	if (s->isolation == ISOLATION_LOWERED)
		elevate_allow();
	return 0;
}

static int imports_check(struct image *im)
{
	const struct service *s = im->s;

	for (u32 n = 0; n < gate_ncalls; n++) {
		u32 importers = gate_calls[n].importers;

		if ((s->imports[n / 64] >> n % 64 & 1) && importers != GATE_ANY &&
		    !(importers & s->provides))
			return bad_import(im, gate_calls[n].name,
					  "which is not for services of its kind");
	}
	return 0;
}

static int info_read(struct image *im)
{
	struct service *s = im->s;
	struct service_info info;
	char name[SERVICE_NAME_MAX];
	const struct elf64_sym *symbol = elf_so_find(&im->so, "service_info");
	int err;

	if (!symbol || symbol->st_size != sizeof(info) ||
	    !image_read(s, &info, s->window + symbol->st_value, sizeof(info)))
		return bad(im, "no service_info");
	if (info.abi != SERVICE_ABI)
		return bad(im, "made for another version of abi/gate/");
	if (!string_read(s, name, sizeof(name), (u64)info.name) || strcmp(name, s->name) != 0)
		return bad(im, "its name is not that of its file");
	if (!string_read(s, s->description, sizeof(s->description), (u64)info.description))
		s->description[0] = 0;
	s->ndevices = 0;
	err = info.devices ? devices_read(im, (u64)info.devices) : 0;
	if (!err)
		err = sites_read(im, (u64)info.elevate_sites, (u64)info.elevate_sites_end);
	if (err)
		return err;
	s->provides = info.provides | (s->ndevices ? GATE_DEVICE : 0);
	s->ops = info.ops;
	return imports_check(im);
}

int service_load(struct service *s, const char **why)
{
	const struct elf_limits limits = {.page_size = PAGE_SIZE, .vaddr_end = 64 * MiB};
	struct image im = {.s = s};
	int err = elf_so_check(&im.so, s->file, s->file_len, ARCH_ELF_MACHINE, &limits, &im.why);

	if (!err)
		err = segments_map(&im);
	if (!err)
		err = relocate(&im);
	if (!err)
		err = info_read(&im);
	if (!err)
		relro_protect(&im);
	*why = err == -ENOMEM ? "no memory" : im.why;
	return err;
}

// ---- symbols, for reports ----

const char *service_symbol(const struct service *s, u64 address, u64 *offset, u64 *size)
{
	if (!s->window || address < s->text_start || address >= s->text_end)
		return nullptr;
	return elf_function_at(s->file, s->file_len, address - s->window, offset, size);
}

const char *service_symbol_of(u64 address, u64 *offset, u64 *size, const char **service)
{
	if (address >= GATE_STUBS_BASE &&
	    address < GATE_STUBS_BASE + (gate_ncalls + 1) * GATE_STUB_SIZE) {
		u64 n = (address - GATE_STUBS_BASE) / GATE_STUB_SIZE;

		*service = "gate stub";
		*offset = address % GATE_STUB_SIZE;
		*size = GATE_STUB_SIZE;
		return n ? gate_calls[n - 1].name : "gate_enter";
	}
	if (address < SERVICE_BASE ||
	    address >= SERVICE_BASE + SERVICE_SLOTS * pt_span(PT_ROOT_LEVEL))
		return nullptr;
	const struct service *s = service_by_id((u32)((address - SERVICE_BASE) >> 39));

	if (!s)
		return nullptr;
	*service = s->name;
	return service_symbol(s, address, offset, size);
}

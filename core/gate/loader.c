// SPDX-License-Identifier: MIT
// loader.c: makes a service's memory from its shared object, and connects its imports.
//
// A service is a shared object without dependencies, linked at 0: PT_LOAD segments, relocations
// (relative ones, and one GLOB_DAT for each import), a dynamic symbol `service_info`. The loader
// copies the segments to the start of the window, applies the relocations, and gives the pages
// their rights: what is executable or covered by PT_GNU_RELRO (the GOT) cannot be written from then
// on.
//
// The place of an import gets the address of the call's function when the service runs privileged,
// else that of its gate stub. So the privilege boundary lies in the GOT, and the code is the same.
//
// The file's bytes are not trusted: offsets, sizes and addresses are checked before they are
// followed. What the service tells about itself (service_info) is copied into core's memory once.
//
// All of it runs with services_lock held, in a life that has not begun.
#include "base/elf.h"
#include "base/fmt.h"
#include "base/string.h"
#include "core/elevate.h"
#include "core/gate/gate_calls.h"
#include "core/slab.h"
#include <arch/gate.h>

struct image {
	struct service *s;
	struct elf64_ehdr ehdr;
	const struct elf64_phdr *phdrs;
	struct elf_layout layout;
	const char *why;
	// of the dynamic section; addresses in the image
	u64 symtab, strtab, strsz, hash, rela, relasz;
	u32 nsymbols;
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

// The file's bytes at an address of the image; nullptr when they are not all there.
static const void *file_at(const struct image *im, u64 address, u64 len)
{
	for (u32 i = 0; i < im->ehdr.e_phnum; i++) {
		const struct elf64_phdr *p = &im->phdrs[i];

		if (p->p_type == PT_LOAD && address >= p->p_vaddr && len <= p->p_filesz &&
		    address - p->p_vaddr <= p->p_filesz - len)
			return im->s->file + p->p_offset + (address - p->p_vaddr);
	}
	return nullptr;
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

static int headers_read(struct image *im)
{
	const struct elf_limits limits = {.page_size = PAGE_SIZE, .vaddr_end = 64 * MiB};
	struct service *s = im->s;

	if (elf_header_check(s->file, s->file_len, s->file_len, ARCH_ELF_MACHINE, &im->ehdr,
			     &im->why))
		return -ENOEXEC;
	if (im->ehdr.e_type != ET_DYN)
		return bad(im, "not a shared object");
	im->phdrs = (const struct elf64_phdr *)(s->file + im->ehdr.e_phoff);
	if (elf_phdrs_check(&im->ehdr, im->phdrs, s->file_len, &limits, &im->layout, &im->why))
		return -ENOEXEC;
	if (im->layout.lo || !im->layout.hi || im->layout.dynamic < 0)
		return bad(im, "not linked at 0, or without a dynamic section");
	return 0;
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
	int err = service_image_map(s, im->layout.hi / PAGE_SIZE);

	if (err)
		return err;
	s->text_start = s->text_end = 0;
	for (u32 i = 0; i < im->ehdr.e_phnum; i++) {
		const struct elf64_phdr *p = &im->phdrs[i];

		if (p->p_type != PT_LOAD)
			continue;
		if ((p->p_flags & (PF_W | PF_X)) == (PF_W | PF_X))
			return bad(im, "a segment is writable and executable");
		segment_copy(im, p);
		if (!(p->p_flags & PF_X))
			continue;
		if (s->text_end)
			return bad(im, "more than one executable segment");
		s->text_start = s->window + p->p_vaddr;
		s->text_end = s->text_start + p->p_memsz;
	}
	return s->text_end ? 0 : bad(im, "no code");
}

static int dynamic_read(struct image *im)
{
	const struct elf64_phdr *p = &im->phdrs[im->layout.dynamic];
	const struct elf64_dyn *d = (const struct elf64_dyn *)(im->s->file + p->p_offset);

	for (u64 i = 0; i < p->p_filesz / sizeof(*d) && d[i].d_tag != DT_NULL; i++) {
		switch (d[i].d_tag) {
		case DT_SYMTAB:
			im->symtab = d[i].d_val;
			break;
		case DT_STRTAB:
			im->strtab = d[i].d_val;
			break;
		case DT_STRSZ:
			im->strsz = d[i].d_val;
			break;
		case DT_HASH:
			im->hash = d[i].d_val;
			break;
		case DT_RELA:
			im->rela = d[i].d_val;
			break;
		case DT_RELASZ:
			im->relasz = d[i].d_val;
			break;
		case DT_NEEDED:
			return bad(im, "it needs another shared object");
		case DT_JMPREL:
		case DT_INIT:
		case DT_INIT_ARRAY:
		case DT_REL:
		case DT_RELR:
			return bad(im,
				   "it has a PLT, constructors or an unknown kind of relocations");
		}
	}
	const u32 *hash = file_at(im, im->hash, 8); // number of buckets, of symbols

	if (!hash || !im->strsz)
		return bad(im, "no symbol table");
	im->nsymbols = hash[1];
	const char *strings = file_at(im, im->strtab, im->strsz);

	if (im->nsymbols > 4096 || !strings || strings[im->strsz - 1] ||
	    !file_at(im, im->symtab, im->nsymbols * sizeof(struct elf64_sym)))
		return bad(im, "damaged symbol table");
	return 0;
}

static const struct elf64_sym *symbol_at(const struct image *im, u32 i, const char **name)
{
	const struct elf64_sym *symbols =
		file_at(im, im->symtab, im->nsymbols * sizeof(struct elf64_sym));

	if (i >= im->nsymbols || symbols[i].st_name >= im->strsz)
		return nullptr;
	*name = (const char *)file_at(im, im->strtab, im->strsz) + symbols[i].st_name;
	return &symbols[i];
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

	if (!place || r->r_offset % sizeof(u64) || r->r_offset >= im->layout.hi)
		return bad(im, "a relocation lies outside of the image");
	if (type == ARCH_R_RELATIVE) {
		*place = s->window + (u64)r->r_addend;
		return 0;
	}
	symbol = symbol_at(im, ELF64_R_SYM(r->r_info), &name);
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
	const struct elf64_rela *r = file_at(im, im->rela, im->relasz);

	memset(im->s->imports, 0, sizeof(im->s->imports));
	if (im->relasz && !r)
		return bad(im, "damaged relocations");
	for (u64 i = 0; i < im->relasz / sizeof(*r); i++) {
		int err = relocate_one(im, &r[i]);

		if (err)
			return err;
	}
	return 0;
}

static void rights_set(struct image *im)
{
	for (u32 i = 0; i < im->ehdr.e_phnum; i++) {
		const struct elf64_phdr *p = &im->phdrs[i];
		u64 first = align_down(p->p_vaddr, PAGE_SIZE);
		u64 end = align_up(p->p_vaddr + p->p_memsz, PAGE_SIZE);

		if (p->p_type == PT_LOAD && !(p->p_flags & PF_W))
			service_image_protect(im->s, first, (end - first) / PAGE_SIZE, false,
					      p->p_flags & PF_X);
		else if (p->p_type == PT_GNU_RELRO && end <= im->layout.hi)
			service_image_protect(
				im->s, first,
				(align_down(p->p_vaddr + p->p_memsz, PAGE_SIZE) - first) /
					PAGE_SIZE,
				false, false);
	}
}

// ---- what the service tells about itself ----

static u64 symbol_find(struct image *im, const char *wanted, u64 size)
{
	const char *name;

	for (u32 i = 0; i < im->nsymbols; i++) {
		const struct elf64_sym *symbol = symbol_at(im, i, &name);

		if (symbol && symbol->st_shndx != SHN_UNDEF && !strcmp(name, wanted) &&
		    symbol->st_size == size)
			return im->s->window + symbol->st_value;
	}
	return 0;
}

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
	u64 at = symbol_find(im, "service_info", sizeof(info));
	int err;

	if (!at || !image_read(s, &info, at, sizeof(info)))
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
	struct image im = {.s = s};
	int err = headers_read(&im);

	if (!err)
		err = segments_map(&im);
	if (!err)
		err = dynamic_read(&im);
	if (!err)
		err = relocate(&im);
	if (!err)
		err = info_read(&im);
	if (!err)
		rights_set(&im);
	*why = err == -ENOMEM ? "no memory" : im.why;
	return err;
}

// ---- symbols, for reports ----

static const struct elf64_shdr *section_find(const struct service *s, u32 type)
{
	struct elf64_ehdr ehdr;

	memcpy(&ehdr, s->file, sizeof(ehdr));
	if (ehdr.e_shentsize != sizeof(struct elf64_shdr) || ehdr.e_shoff > s->file_len ||
	    ehdr.e_shnum > (s->file_len - ehdr.e_shoff) / sizeof(struct elf64_shdr))
		return nullptr;
	const struct elf64_shdr *sections = (const struct elf64_shdr *)(s->file + ehdr.e_shoff);

	for (u32 i = 0; i < ehdr.e_shnum; i++) {
		const struct elf64_shdr *h = &sections[i];

		if (h->sh_type == type && h->sh_offset <= s->file_len &&
		    h->sh_size <= s->file_len - h->sh_offset)
			return h->sh_link < ehdr.e_shnum || type != SHT_SYMTAB ? h : nullptr;
	}
	return nullptr;
}

const char *service_symbol(const struct service *s, u64 address, u64 *offset, u64 *size)
{
	const struct elf64_shdr *h = section_find(s, SHT_SYMTAB);
	struct elf64_ehdr ehdr;

	if (!h || !s->window || address < s->text_start || address >= s->text_end)
		return nullptr;
	memcpy(&ehdr, s->file, sizeof(ehdr));
	const struct elf64_shdr *strings =
		(const struct elf64_shdr *)(s->file + ehdr.e_shoff) + h->sh_link;
	const struct elf64_sym *symbols = (const struct elf64_sym *)(s->file + h->sh_offset);
	u64 at = address - s->window;

	if (strings->sh_offset > s->file_len || strings->sh_size > s->file_len - strings->sh_offset)
		return nullptr;
	for (u64 i = 0; i < h->sh_size / sizeof(*symbols); i++) {
		const struct elf64_sym *y = &symbols[i];

		if (ELF64_ST_TYPE(y->st_info) != STT_FUNC || at - y->st_value >= y->st_size ||
		    y->st_name >= strings->sh_size)
			continue;
		const char *name = (const char *)s->file + strings->sh_offset + y->st_name;

		if (!memchr(name, 0, strings->sh_size - y->st_name))
			return nullptr;
		*offset = at - y->st_value;
		*size = y->st_size;
		return name;
	}
	return nullptr;
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

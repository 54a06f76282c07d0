// SPDX-License-Identifier: MIT
// elf_so.c: shared objects that stand alone.
#include "base/elf_so.h"

#include "base/errno.h"
#include "base/string.h"

constexpr u32 SYMBOLS_MAX = 4096;

// What the dynamic section says; addresses in the image.
struct dynamic {
	u64 symtab, strtab, strsz, hash, rela, relasz;
};

static int refuse(const char **reason, const char *why)
{
	*reason = why;
	return -ENOEXEC;
}

static bool is_at(const void *p, size_t align)
{
	return is_aligned((uintptr_t)p, align);
}

bool elf_so_loads(const struct elf64_phdr *p)
{
	return p->p_type == PT_LOAD && p->p_memsz; // elf_phdrs_check passes over empty ones
}

// The file's bytes at an address of the image; nullptr when they are not all there.
static const void *file_at(const struct elf_so *so, u64 address, u64 len)
{
	for (u32 i = 0; i < so->ehdr.e_phnum; i++) {
		const struct elf64_phdr *p = &so->phdrs[i];

		if (elf_so_loads(p) && address >= p->p_vaddr && len <= p->p_filesz &&
		    address - p->p_vaddr <= p->p_filesz - len)
			return so->file + p->p_offset + (address - p->p_vaddr);
	}
	return nullptr;
}

static int headers_check(struct elf_so *so, u16 machine, const struct elf_limits *limits,
			 const char **reason)
{
	if (elf_header_check(so->file, so->file_len, so->file_len, machine, &so->ehdr, reason))
		return -ENOEXEC;
	if (so->ehdr.e_type != ET_DYN)
		return refuse(reason, "not a shared object");
	so->phdrs = (const struct elf64_phdr *)(so->file + so->ehdr.e_phoff);
	if (!is_at(so->phdrs, 8))
		return refuse(reason, "program headers are not aligned");
	if (elf_phdrs_check(&so->ehdr, so->phdrs, so->file_len, limits, &so->layout, reason))
		return -ENOEXEC;
	if (so->layout.lo || !so->layout.hi || so->layout.dynamic < 0)
		return refuse(reason, "not linked at 0, or without a dynamic section");
	return 0;
}

// Whether its pages can be mapped as they lie in the file.
static bool is_whole_pages(const struct elf_so *so, const struct elf64_phdr *p, u64 page_size)
{
	return is_aligned(p->p_vaddr | p->p_offset, page_size) && p->p_filesz == p->p_memsz &&
	       align_up(p->p_offset + p->p_filesz, page_size) <= so->file_len;
}

static int segments_check(struct elf_so *so, const struct elf_limits *limits, const char **reason)
{
	u64 constant_end = 0; // segments are sorted

	for (u32 i = 0; i < so->ehdr.e_phnum; i++) {
		const struct elf64_phdr *p = &so->phdrs[i];

		if (p->p_type == PT_GNU_RELRO) {
			if (p->p_vaddr > so->layout.hi || p->p_memsz > so->layout.hi - p->p_vaddr)
				return refuse(reason, "RELRO outside of the segments");
			so->relro_start = p->p_vaddr;
			so->relro_end = p->p_vaddr + p->p_memsz;
		}
		if (!elf_so_loads(p))
			continue;
		if (!(p->p_flags & PF_W)) {
			if (!is_whole_pages(so, p, limits->page_size))
				return refuse(reason,
					      "a segment of constants or code is not whole pages");
			constant_end = align_up(p->p_vaddr + p->p_memsz, limits->page_size);
		} else if (p->p_vaddr < constant_end) {
			return refuse(reason, "a page is constant and is not");
		}
		if (!(p->p_flags & PF_X))
			continue;
		if (p->p_flags & PF_W)
			return refuse(reason, "a segment is writable and executable");
		if (so->text_end)
			return refuse(reason, "more than one executable segment");
		so->text_start = p->p_vaddr;
		so->text_end = p->p_vaddr + p->p_memsz;
	}
	return so->text_end ? 0 : refuse(reason, "no code");
}

static int dynamic_read(const struct elf_so *so, struct dynamic *out, const char **reason)
{
	const struct elf64_phdr *p = &so->phdrs[so->layout.dynamic];
	const struct elf64_dyn *d = (const struct elf64_dyn *)(so->file + p->p_offset);

	if (!is_at(d, 8))
		return refuse(reason, "the dynamic section is not aligned");
	*out = (struct dynamic){};
	for (u64 i = 0; i < p->p_filesz / sizeof(*d) && d[i].d_tag != DT_NULL; i++) {
		switch (d[i].d_tag) {
		case DT_SYMTAB:
			out->symtab = d[i].d_val;
			break;
		case DT_STRTAB:
			out->strtab = d[i].d_val;
			break;
		case DT_STRSZ:
			out->strsz = d[i].d_val;
			break;
		case DT_HASH:
			out->hash = d[i].d_val;
			break;
		case DT_RELA:
			out->rela = d[i].d_val;
			break;
		case DT_RELASZ:
			out->relasz = d[i].d_val;
			break;
		case DT_NEEDED:
			return refuse(reason, "it needs another shared object");
		case DT_JMPREL:
		case DT_INIT:
		case DT_INIT_ARRAY:
		case DT_REL:
		case DT_RELR:
			return refuse(
				reason,
				"it has a PLT, constructors or an unknown kind of relocations");
		}
	}
	return 0;
}

static int symbols_find(struct elf_so *so, const struct dynamic *d, const char **reason)
{
	const u32 *hash = file_at(so, d->hash, 8); // number of buckets, of symbols

	if (!hash || !is_at(hash, 4) || !d->strsz)
		return refuse(reason, "no symbol table");
	so->nsymbols = hash[1];
	so->strings = file_at(so, d->strtab, d->strsz);
	so->strings_len = d->strsz;
	if (so->nsymbols <= SYMBOLS_MAX)
		so->symbols = file_at(so, d->symtab, (u64)so->nsymbols * sizeof(struct elf64_sym));
	if (!so->symbols || !is_at(so->symbols, 8) || !so->strings ||
	    so->strings[so->strings_len - 1])
		return refuse(reason, "damaged symbol table");
	so->relocations = file_at(so, d->rela, d->relasz);
	so->nrelocations = d->relasz / sizeof(struct elf64_rela);
	if (d->relasz && (!so->relocations || !is_at(so->relocations, 8)))
		return refuse(reason, "damaged relocations");
	return 0;
}

static bool can_be_written(const struct elf_so *so, u64 address, u64 len)
{
	for (u32 i = 0; i < so->ehdr.e_phnum; i++) {
		const struct elf64_phdr *p = &so->phdrs[i];

		if (elf_so_loads(p) && (p->p_flags & PF_W) && address >= p->p_vaddr &&
		    len <= p->p_memsz && address - p->p_vaddr <= p->p_memsz - len)
			return true;
	}
	return false;
}

static int relocations_check(const struct elf_so *so, const char **reason)
{
	for (u64 i = 0; i < so->nrelocations; i++) {
		u64 place = so->relocations[i].r_offset;

		if (!is_aligned(place, sizeof(u64)) || !can_be_written(so, place, sizeof(u64)))
			return refuse(reason, "a relocation lies outside of what can be written");
	}
	return 0;
}

int elf_so_check(struct elf_so *so, const void *file, u64 len, u16 machine,
		 const struct elf_limits *limits, const char **reason)
{
	struct dynamic d;
	int err;

	*so = (struct elf_so){.file = file, .file_len = len};
	err = headers_check(so, machine, limits, reason);
	if (!err)
		err = segments_check(so, limits, reason);
	if (!err)
		err = dynamic_read(so, &d, reason);
	if (!err)
		err = symbols_find(so, &d, reason);
	return err ?: relocations_check(so, reason);
}

const struct elf64_sym *elf_so_symbol(const struct elf_so *so, u32 i, const char **name)
{
	if (i >= so->nsymbols || so->symbols[i].st_name >= so->strings_len)
		return nullptr;
	*name = so->strings + so->symbols[i].st_name;
	return &so->symbols[i];
}

const struct elf64_sym *elf_so_find(const struct elf_so *so, const char *name)
{
	const char *this_name;

	for (u32 i = 0; i < so->nsymbols; i++) {
		const struct elf64_sym *s = elf_so_symbol(so, i, &this_name);

		if (s && s->st_shndx != SHN_UNDEF && !strcmp(this_name, name))
			return s;
	}
	return nullptr;
}

// ---- symbols for debuggers ----

// A section's bytes, which lie in the file.
static const void *section_bytes(const u8 *file, u64 len, const struct elf64_shdr *h)
{
	return h->sh_offset <= len && h->sh_size <= len - h->sh_offset ? file + h->sh_offset
								       : nullptr;
}

// The symbol table, and the strings that belong to it.
static const struct elf64_shdr *symtab_find(const u8 *file, u64 len,
					    const struct elf64_shdr **strings)
{
	struct elf64_ehdr ehdr;

	if (len < sizeof(ehdr))
		return nullptr;
	memcpy(&ehdr, file, sizeof(ehdr));
	if (ehdr.e_shentsize != sizeof(struct elf64_shdr) || ehdr.e_shoff > len ||
	    ehdr.e_shnum > (len - ehdr.e_shoff) / sizeof(struct elf64_shdr))
		return nullptr;
	const struct elf64_shdr *sections = (const struct elf64_shdr *)(file + ehdr.e_shoff);

	if (!is_at(sections, 8))
		return nullptr;
	for (u32 i = 0; i < ehdr.e_shnum; i++) {
		if (sections[i].sh_type != SHT_SYMTAB || sections[i].sh_link >= ehdr.e_shnum)
			continue;
		*strings = &sections[sections[i].sh_link];
		return &sections[i];
	}
	return nullptr;
}

const char *elf_function_at(const void *file, u64 len, u64 address, u64 *offset, u64 *size)
{
	const struct elf64_shdr *strtab, *symtab = symtab_find(file, len, &strtab);

	if (!symtab)
		return nullptr;
	const struct elf64_sym *symbols = section_bytes(file, len, symtab);
	const char *strings = section_bytes(file, len, strtab);

	if (!symbols || !is_at(symbols, 8) || !strings)
		return nullptr;
	for (u64 i = 0; i < symtab->sh_size / sizeof(*symbols); i++) {
		const struct elf64_sym *s = &symbols[i];

		if (ELF64_ST_TYPE(s->st_info) != STT_FUNC || address < s->st_value ||
		    address - s->st_value >= s->st_size || s->st_name >= strtab->sh_size)
			continue;
		if (!memchr(strings + s->st_name, 0, strtab->sh_size - s->st_name))
			return nullptr;
		*offset = address - s->st_value;
		*size = s->st_size;
		return strings + s->st_name;
	}
	return nullptr;
}

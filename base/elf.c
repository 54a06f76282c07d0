// SPDX-License-Identifier: MIT
// elf.c: checks of untrusted ELF64 executables.
#include "base/elf.h"

#include "base/bytes.h"
#include "base/errno.h"
#include "base/string.h"

static int refuse(const char **reason, const char *why)
{
	if (reason)
		*reason = why;
	return -ENOEXEC;
}

// Whether [start, start + len) lies in [0, end).
static bool range_fits(u64 start, u64 len, u64 end)
{
	return start <= end && len <= end - start;
}

int elf_header_check(const void *bytes, size_t len, u64 file_size, u16 machine,
		     struct elf64_ehdr *ehdr, const char **reason)
{
	if (len < sizeof(*ehdr))
		return refuse(reason, "too short for an ELF header");
	memcpy(ehdr, bytes, sizeof(*ehdr));
	if (load_le32(ehdr->e_ident) != ELF_MAGIC)
		return refuse(reason, "not an ELF file");
	if (ehdr->e_ident[EI_CLASS] != ELFCLASS64 || ehdr->e_ident[EI_DATA] != ELFDATA2LSB)
		return refuse(reason, "not a 64-bit little-endian ELF file");
	if (ehdr->e_ident[EI_VERSION] != EV_CURRENT || ehdr->e_version != EV_CURRENT)
		return refuse(reason, "unknown ELF version");
	if (ehdr->e_machine != machine)
		return refuse(reason, "ELF file for another machine");
	if (ehdr->e_type != ET_EXEC && ehdr->e_type != ET_DYN)
		return refuse(reason, "neither executable nor shared object");
	if (ehdr->e_phentsize != sizeof(struct elf64_phdr))
		return refuse(reason, "bad size of program headers");
	if (ehdr->e_phnum == 0 || ehdr->e_phnum > ELF_PHDRS_MAX)
		return refuse(reason, "bad number of program headers");
	if (!range_fits(ehdr->e_phoff, (u64)ehdr->e_phnum * sizeof(struct elf64_phdr), file_size))
		return refuse(reason, "program headers outside of the file");
	return 0;
}

// Checks one PT_LOAD with memory against file and limits, and takes it into the layout. `end` is
// the end of the PT_LOAD before it, 0 at the first.
static int check_load(const struct elf64_ehdr *ehdr, const struct elf64_phdr *p, u64 file_size,
		      const struct elf_limits *limits, u64 end, struct elf_layout *layout,
		      const char **reason)
{
	u64 page = limits->page_size;

	if (p->p_filesz > p->p_memsz)
		return refuse(reason, "segment larger in the file than in memory");
	if (!range_fits(p->p_offset, p->p_filesz, file_size))
		return refuse(reason, "segment outside of the file");
	if (!range_fits(p->p_vaddr, p->p_memsz, align_down(limits->vaddr_end, page)))
		return refuse(reason, "segment outside of the address space");
	if (ehdr->e_type == ET_EXEC && p->p_vaddr < limits->vaddr_min)
		return refuse(reason, "segment below the lowest address");
	if (p->p_filesz && (p->p_offset - p->p_vaddr) % page)
		return refuse(reason, "segment's offset and address are not congruent");
	if (p->p_align > 1 && !is_power_of_two(p->p_align))
		return refuse(reason, "segment's alignment is not a power of two");
	// Segments may share a page (the end of one and the start of the next), not bytes.
	if (layout->loads && p->p_vaddr < end)
		return refuse(reason, "segments overlap or are out of order");
	if (!layout->loads)
		layout->lo = align_down(p->p_vaddr, page);
	layout->loads++;
	layout->brk = p->p_vaddr + p->p_memsz;
	layout->hi = align_up(layout->brk, page);
	layout->align = max(layout->align, p->p_align);
	return 0;
}

// Where [e_phoff, + table) is mapped, if a PT_LOAD covers it.
static void find_phdrs(const struct elf64_ehdr *ehdr, const struct elf64_phdr *p,
		       struct elf_layout *layout)
{
	u64 table_len = (u64)ehdr->e_phnum * sizeof(*p);

	if (ehdr->e_phoff >= p->p_offset &&
	    range_fits(ehdr->e_phoff - p->p_offset, table_len, p->p_filesz))
		layout->phdr_vaddr = p->p_vaddr + (ehdr->e_phoff - p->p_offset);
}

static int check_others(const struct elf64_phdr *p, int index, u64 file_size,
			struct elf_layout *layout, const char **reason)
{
	switch (p->p_type) {
	case PT_INTERP:
		if (layout->interp >= 0)
			return refuse(reason, "more than one interpreter");
		if (p->p_filesz < 2 || p->p_filesz > ELF_INTERP_MAX)
			return refuse(reason, "bad length of the interpreter's path");
		layout->interp = index;
		break;
	case PT_DYNAMIC:
		layout->dynamic = index;
		break;
	case PT_TLS:
		if (p->p_filesz > p->p_memsz || (p->p_align > 1 && !is_power_of_two(p->p_align)))
			return refuse(reason, "bad TLS segment");
		layout->tls = index;
		break;
	case PT_GNU_STACK:
		layout->stack = index;
		return 0;
	default:
		return 0;
	}
	if (!range_fits(p->p_offset, p->p_filesz, file_size))
		return refuse(reason, "segment outside of the file");
	return 0;
}

static bool entry_is_executable(const struct elf64_ehdr *ehdr, const struct elf64_phdr *phdrs)
{
	// Shared objects need no entry point.
	if (ehdr->e_type == ET_DYN && ehdr->e_entry == 0)
		return true;
	for (int i = 0; i < ehdr->e_phnum; i++)
		if (phdrs[i].p_type == PT_LOAD && ehdr->e_entry >= phdrs[i].p_vaddr &&
		    ehdr->e_entry - phdrs[i].p_vaddr < phdrs[i].p_memsz)
			return phdrs[i].p_flags & PF_X;
	return false;
}

int elf_phdrs_check(const struct elf64_ehdr *ehdr, const struct elf64_phdr *phdrs, u64 file_size,
		    const struct elf_limits *limits, struct elf_layout *layout, const char **reason)
{
	*layout = (struct elf_layout){
		.align = limits->page_size,
		.interp = -1,
		.dynamic = -1,
		.tls = -1,
		.stack = -1,
	};
	for (int i = 0; i < ehdr->e_phnum; i++) {
		const struct elf64_phdr *p = &phdrs[i];
		int err = 0;

		if (p->p_type != PT_LOAD) {
			err = check_others(p, i, file_size, layout, reason);
		} else if (p->p_memsz) {
			err = check_load(ehdr, p, file_size, limits, layout->brk, layout, reason);
			if (!err)
				find_phdrs(ehdr, p, layout);
		}
		if (err)
			return err;
	}
	if (!layout->loads)
		return refuse(reason, "nothing to load");
	if (!entry_is_executable(ehdr, phdrs))
		return refuse(reason, "entry point outside of executable segments");
	return 0;
}

int elf_note_next(const void *notes, size_t len, u64 align, size_t *pos, struct elf_note *note)
{
	const u8 *at = (const u8 *)notes + *pos;
	size_t left = len - *pos;
	struct elf64_nhdr head;

	if (align != 8)
		align = 4;
	if (left < sizeof(head))
		return left ? -ENOEXEC : 0;
	memcpy(&head, at, sizeof(head));
	u64 desc = align_up(sizeof(head) + (u64)head.n_namesz, align);

	if (!range_fits(sizeof(head), head.n_namesz, left) ||
	    (head.n_descsz && !range_fits(desc, head.n_descsz, left)))
		return -ENOEXEC;
	*note = (struct elf_note){
		.name = (const char *)at + sizeof(head),
		.namesz = head.n_namesz,
		.desc = at + min(desc, (u64)left),
		.descsz = head.n_descsz,
		.type = head.n_type,
	};
	// The last note's padding may be cut off.
	*pos += min(align_up(desc + head.n_descsz, align), (u64)left);
	return 1;
}

// SPDX-License-Identifier: MIT
// Loads a kernel's ELF file. The file is not trusted: every number in it is checked before it is
// used.
#include <stdckdint.h>

#include "base/elf.h"
#include "boot/arch.h"
#include "boot/loader.h"

/* Where the protocol puts kernels, and more than any kernel needs below the end of the address
 * space. */
constexpr uint64_t TOP_2_GIB = 0xffffffff80000000;
constexpr uint64_t IMAGE_MAX = 1ull << 30;
constexpr uint64_t LARGE_PAGE = 2ull << 20;

static reason check_header(const struct file *file, const struct elf64_ehdr *e)
{
	static const uint8_t magic[7] = {0x7f, 'E', 'L', 'F', 2 /* 64-bit */, 1 /* little */, 1};
	uint64_t table_len, table_end;

	if (file->size < sizeof(*e))
		return "is too short to be a kernel";
	if (memcmp(e->e_ident, magic, sizeof(magic)) != 0)
		return "is not a 64-bit ELF file";
	if (e->e_machine != arch_elf_machine)
		return "is a program for another CPU";
	if (e->e_type != ET_EXEC && e->e_type != ET_DYN)
		return "is not an executable ELF file";
	if (e->e_phentsize != sizeof(struct elf64_phdr))
		return "has program headers of an unknown size";
	if (ckd_mul(&table_len, (uint64_t)e->e_phnum, sizeof(struct elf64_phdr)) ||
	    ckd_add(&table_end, e->e_phoff, table_len) || table_end > file->size || e->e_phoff % 8)
		return "is damaged or cut short: its program headers lie outside the file";
	return nullptr;
}

static reason check_load(const struct file *file, const struct elf64_phdr *s)
{
	uint64_t file_end, mem_end;

	if (s->p_filesz > s->p_memsz || ckd_add(&file_end, s->p_offset, s->p_filesz) ||
	    file_end > file->size)
		return "is damaged or cut short: a segment lies outside the file";
	/* Short of the last page: rounding up must not wrap. */
	if (ckd_add(&mem_end, s->p_vaddr, s->p_memsz) || mem_end > UINT64_MAX - PAGE_SIZE)
		return "has a segment that runs past the end of the address space";
	if ((s->p_flags & PF_W) && (s->p_flags & PF_X))
		return "has a segment that is both writable and executable";
	return nullptr;
}

/* Adds the pages of a segment. Segments come in ascending order, as ELF demands; that also makes
 * overlaps easy to see. */
static reason add_segment(struct image *image, const struct elf64_phdr *s)
{
	uint64_t start = align_down(s->p_vaddr, PAGE_SIZE);
	uint64_t end = align_up(s->p_vaddr + s->p_memsz, PAGE_SIZE);
	unsigned rights = (s->p_flags & PF_W ? MAP_WRITE : 0) | (s->p_flags & PF_X ? MAP_EXEC : 0);

	if (image->nsegments == SEGMENTS_MAX)
		return "has too many segments";
	if (image->nsegments) {
		struct segment *last = &image->segments[image->nsegments - 1];
		uint64_t last_end = last->virt + last->len_bytes;

		if (start < last_end) {
			if (start < last_end - PAGE_SIZE || rights != last->rights)
				return "has segments that share a page or are not in ascending order";
			start = last_end;
		}
	} else {
		image->virt = start;
	}
	if (end - image->virt > IMAGE_MAX)
		return "claims more than 1 GiB of address space";
	image->len_bytes = end - image->virt;
	if (start < end)
		image->segments[image->nsegments++] = (struct segment){start, end - start, rights};
	return nullptr;
}

/* The image's own copy of [virt, virt + len), addresses as linked; null when it is not inside. */
static void *linked_range(const struct image *image, uint64_t virt, uint64_t len)
{
	uint64_t offset;

	if (ckd_sub(&offset, virt, image->virt) || offset > image->len_bytes ||
	    len > image->len_bytes - offset)
		return nullptr;
	return image->mem + offset;
}

/* Position-independent kernels hold their own addresses in the file only as relocations. */
static reason relocate(const struct image *image, const struct elf64_phdr *dynamic, uint64_t slide)
{
	uint64_t rela = 0, rela_size = 0, rela_entry = sizeof(struct elf64_rela);
	const struct elf64_dyn *d = linked_range(image, dynamic->p_vaddr, dynamic->p_memsz);
	const struct elf64_rela *r;

	if (!d || dynamic->p_vaddr % 8)
		return "has a dynamic section outside its segments";
	for (uint64_t n = dynamic->p_memsz / sizeof(*d); n && d->d_tag != DT_NULL; n--, d++) {
		if (d->d_tag == DT_RELA)
			rela = d->d_val;
		else if (d->d_tag == DT_RELASZ)
			rela_size = d->d_val;
		else if (d->d_tag == DT_RELAENT)
			rela_entry = d->d_val;
		else if (d->d_tag == DT_REL || d->d_tag == DT_RELR || d->d_tag == DT_JMPREL)
			return "has relocations of a form that this loader does not know";
	}
	if (rela_size == 0)
		return nullptr;
	r = linked_range(image, rela, rela_size);
	if (!r || rela % 8 || rela_entry != sizeof(*r))
		return "has a relocation table outside its segments";
	for (uint64_t n = rela_size / sizeof(*r); n; n--, r++) {
		uint64_t value = (uint64_t)r->r_addend + slide;
		void *place = linked_range(image, r->r_offset, sizeof(value));

		if (ELF64_R_TYPE(r->r_info) == 0)
			continue;
		if (r->r_info != arch_elf_relative || !place)
			return "has a relocation that this loader does not know";
		memcpy(place, &value, sizeof(value));
	}
	return nullptr;
}

/* How far from its link address the image goes: nowhere, unless it is position-independent and
 * linked low. */
static reason choose_slide(const struct elf64_ehdr *e, const struct image *image, uint64_t *slide)
{
	*slide = 0;
	if (image->virt >= TOP_2_GIB)
		return nullptr;
	if (e->e_type != ET_DYN)
		return "is not linked into the top 2 GiB of the address space";
	*slide = TOP_2_GIB - image->virt;
	if (image->virt % PAGE_SIZE || image->len_bytes > IMAGE_MAX)
		return "cannot be moved into the top 2 GiB of the address space";
	return nullptr;
}

static void image_move(struct image *image, uint64_t slide)
{
	image->virt += slide;
	image->entry += slide;
	for (unsigned i = 0; i < image->nsegments; i++)
		image->segments[i].virt += slide;
}

static reason collect_segments(const struct file *file, const struct elf64_ehdr *e,
			       const struct elf64_phdr *table, struct image *out)
{
	for (unsigned i = 0; i < e->e_phnum; i++) {
		reason why;

		if (table[i].p_type == PT_INTERP)
			return "is a dynamically linked program, not a kernel";
		if (table[i].p_type != PT_LOAD || table[i].p_memsz == 0)
			continue;
		why = check_load(file, &table[i]);
		if (!why)
			why = add_segment(out, &table[i]);
		if (why)
			return why;
	}
	return out->nsegments ? nullptr : "has nothing to load";
}

reason elf_load(const struct file *file, struct image *out)
{
	const struct elf64_ehdr *e = (const struct elf64_ehdr *)file->data;
	const struct elf64_phdr *table;
	uint64_t slide;
	reason why = check_header(file, e);

	if (why)
		return why;
	table = (const struct elf64_phdr *)(file->data + e->e_phoff);
	*out = (struct image){.entry = e->e_entry};
	why = collect_segments(file, e, table, out);
	if (!why)
		why = choose_slide(e, out, &slide);
	if (why)
		return why;
	/* So that the kernel can keep its text on large pages. */
	out->mem = pages_alloc(out->len_bytes, LARGE_PAGE);
	if (!out->mem)
		return "does not fit into memory";
	for (unsigned i = 0; i < e->e_phnum; i++)
		if (table[i].p_type == PT_LOAD && table[i].p_memsz)
			memcpy(out->mem + (table[i].p_vaddr - out->virt),
			       file->data + table[i].p_offset, table[i].p_filesz);
	for (unsigned i = 0; i < e->e_phnum && !why; i++)
		if (table[i].p_type == PT_DYNAMIC)
			why = relocate(out, &table[i], slide);
	image_move(out, slide);
	return why;
}

bool image_may_enter(const struct image *image, uint64_t virt)
{
	for (unsigned i = 0; i < image->nsegments; i++) {
		const struct segment *s = &image->segments[i];

		if (virt >= s->virt && virt - s->virt < s->len_bytes)
			return s->rights & MAP_EXEC;
	}
	return false;
}

// SPDX-License-Identifier: MIT
// Loads a kernel's ELF file. The file is not trusted: every number in it is checked before it is
// used.
#include <stdckdint.h>

#include "boot/arch.h"
#include "boot/loader.h"

/* ELF-64 object file format, version 1.5. */
struct elf_header {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
static_assert(sizeof(struct elf_header) == 64);

struct elf_segment {
	uint32_t type, flags;
	uint64_t offset, virt, phys, filesz, memsz, align;
};
static_assert(sizeof(struct elf_segment) == 56);

struct elf_dynamic {
	int64_t tag;
	uint64_t value;
};

struct elf_rela {
	uint64_t offset, info;
	int64_t addend;
};

enum { ET_EXEC = 2, ET_DYN = 3 };
enum { PT_LOAD = 1, PT_DYNAMIC = 2, PT_INTERP = 3 };
enum { PF_X = 1, PF_W = 2 };
enum {
	DT_NULL = 0,
	DT_RELA = 7,
	DT_RELASZ = 8,
	DT_RELAENT = 9,
	DT_REL = 17,
	DT_JMPREL = 23,
	DT_RELR = 36
};

/* Where the protocol puts kernels, and more than any kernel needs below the end of the address
 * space. */
constexpr uint64_t TOP_2_GIB = 0xffffffff80000000;
constexpr uint64_t IMAGE_MAX = 1ull << 30;
constexpr uint64_t LARGE_PAGE = 2ull << 20;

static reason check_header(const struct file *file, const struct elf_header *e)
{
	static const uint8_t magic[7] = {0x7f, 'E', 'L', 'F', 2 /* 64-bit */, 1 /* little */, 1};
	uint64_t table_len, table_end;

	if (file->size < sizeof(*e))
		return "is too short to be a kernel";
	if (memcmp(e->ident, magic, sizeof(magic)) != 0)
		return "is not a 64-bit ELF file";
	if (e->machine != arch_elf_machine)
		return "is a program for another CPU";
	if (e->type != ET_EXEC && e->type != ET_DYN)
		return "is not an executable ELF file";
	if (e->phentsize != sizeof(struct elf_segment))
		return "has program headers of an unknown size";
	if (ckd_mul(&table_len, (uint64_t)e->phnum, sizeof(struct elf_segment)) ||
	    ckd_add(&table_end, e->phoff, table_len) || table_end > file->size || e->phoff % 8)
		return "is damaged or cut short: its program headers lie outside the file";
	return nullptr;
}

static reason check_load(const struct file *file, const struct elf_segment *s)
{
	uint64_t file_end, mem_end;

	if (s->filesz > s->memsz || ckd_add(&file_end, s->offset, s->filesz) ||
	    file_end > file->size)
		return "is damaged or cut short: a segment lies outside the file";
	/* Short of the last page: rounding up must not wrap. */
	if (ckd_add(&mem_end, s->virt, s->memsz) || mem_end > UINT64_MAX - PAGE_SIZE)
		return "has a segment that runs past the end of the address space";
	if ((s->flags & PF_W) && (s->flags & PF_X))
		return "has a segment that is both writable and executable";
	return nullptr;
}

/* Adds the pages of a segment. Segments come in ascending order, as ELF demands; that also makes
 * overlaps easy to see. */
static reason add_segment(struct image *image, const struct elf_segment *s)
{
	uint64_t start = align_down(s->virt, PAGE_SIZE);
	uint64_t end = align_up(s->virt + s->memsz, PAGE_SIZE);
	unsigned rights = (s->flags & PF_W ? MAP_WRITE : 0) | (s->flags & PF_X ? MAP_EXEC : 0);

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
static reason relocate(const struct image *image, const struct elf_segment *dynamic, uint64_t slide)
{
	uint64_t rela = 0, rela_size = 0, rela_entry = sizeof(struct elf_rela);
	const struct elf_dynamic *d = linked_range(image, dynamic->virt, dynamic->memsz);
	const struct elf_rela *r;

	if (!d || dynamic->virt % 8)
		return "has a dynamic section outside its segments";
	for (uint64_t n = dynamic->memsz / sizeof(*d); n && d->tag != DT_NULL; n--, d++) {
		if (d->tag == DT_RELA)
			rela = d->value;
		else if (d->tag == DT_RELASZ)
			rela_size = d->value;
		else if (d->tag == DT_RELAENT)
			rela_entry = d->value;
		else if (d->tag == DT_REL || d->tag == DT_RELR || d->tag == DT_JMPREL)
			return "has relocations of a form that this loader does not know";
	}
	if (rela_size == 0)
		return nullptr;
	r = linked_range(image, rela, rela_size);
	if (!r || rela % 8 || rela_entry != sizeof(*r))
		return "has a relocation table outside its segments";
	for (uint64_t n = rela_size / sizeof(*r); n; n--, r++) {
		uint64_t value = (uint64_t)r->addend + slide;
		void *place = linked_range(image, r->offset, sizeof(value));

		if ((uint32_t)r->info == 0)
			continue;
		if (r->info != arch_elf_relative || !place)
			return "has a relocation that this loader does not know";
		memcpy(place, &value, sizeof(value));
	}
	return nullptr;
}

/* How far from its link address the image goes: nowhere, unless it is position-independent and
 * linked low. */
static reason choose_slide(const struct elf_header *e, const struct image *image, uint64_t *slide)
{
	*slide = 0;
	if (image->virt >= TOP_2_GIB)
		return nullptr;
	if (e->type != ET_DYN)
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

static reason collect_segments(const struct file *file, const struct elf_header *e,
			       const struct elf_segment *table, struct image *out)
{
	for (unsigned i = 0; i < e->phnum; i++) {
		reason why;

		if (table[i].type == PT_INTERP)
			return "is a dynamically linked program, not a kernel";
		if (table[i].type != PT_LOAD || table[i].memsz == 0)
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
	const struct elf_header *e = (const struct elf_header *)file->data;
	const struct elf_segment *table;
	uint64_t slide;
	reason why = check_header(file, e);

	if (why)
		return why;
	table = (const struct elf_segment *)(file->data + e->phoff);
	*out = (struct image){.entry = e->entry};
	why = collect_segments(file, e, table, out);
	if (!why)
		why = choose_slide(e, out, &slide);
	if (why)
		return why;
	/* So that the kernel can keep its text on large pages. */
	out->mem = pages_alloc(out->len_bytes, LARGE_PAGE);
	if (!out->mem)
		return "does not fit into memory";
	for (unsigned i = 0; i < e->phnum; i++)
		if (table[i].type == PT_LOAD && table[i].memsz)
			memcpy(out->mem + (table[i].virt - out->virt), file->data + table[i].offset,
			       table[i].filesz);
	for (unsigned i = 0; i < e->phnum && !why; i++)
		if (table[i].type == PT_DYNAMIC)
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

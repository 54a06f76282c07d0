// SPDX-License-Identifier: MIT
// elf_test.c: tests of elf.c: a small good executable, and each way to damage it.
#include "base/elf.h"
#include "base/errno.h"
#include "base/ktest.h"
#include "base/string.h"

constexpr u64 FILE_SIZE = 0x5000;

struct image {
	struct elf64_ehdr ehdr;
	struct elf64_phdr phdrs[5];
};

static const struct elf_limits limits = {
	.page_size = 0x1000,
	.vaddr_min = 0x10000,
	.vaddr_end = 0x7ffffffff000,
};

enum { PH_TEXT, PH_DATA, PH_INTERP, PH_DYNAMIC, PH_STACK };

static struct image sample(void)
{
	return (struct image){
		.ehdr =
			{
				.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB,
					    EV_CURRENT},
				.e_type = ET_EXEC,
				.e_machine = EM_X86_64,
				.e_version = EV_CURRENT,
				.e_entry = 0x401000,
				.e_phoff = sizeof(struct elf64_ehdr),
				.e_ehsize = sizeof(struct elf64_ehdr),
				.e_phentsize = sizeof(struct elf64_phdr),
				.e_phnum = 5,
			},
		.phdrs =
			{
				[PH_TEXT] = {PT_LOAD, PF_R | PF_X, 0, 0x400000, 0, 0x2100, 0x2100,
					     0x1000},
				[PH_DATA] = {PT_LOAD, PF_R | PF_W, 0x2100, 0x403100, 0, 0x900,
					     0x5000, 0x1000},
				[PH_INTERP] = {PT_INTERP, PF_R, 0x200, 0x400200, 0, 28, 28, 1},
				[PH_DYNAMIC] = {PT_DYNAMIC, PF_R, 0x2200, 0x403200, 0, 0x100, 0x100,
						8},
				[PH_STACK] = {PT_GNU_STACK, PF_R | PF_W, 0, 0, 0, 0, 0, 16},
			},
	};
}

static int check(const struct image *im, struct elf_layout *layout, const char **reason)
{
	struct elf64_ehdr ehdr;
	int err = elf_header_check(im, sizeof(*im), FILE_SIZE, EM_X86_64, &ehdr, reason);

	// A count beyond our array is one that a loader would have to read first.
	if (!err && ehdr.e_phnum > ARRAY_SIZE(im->phdrs))
		return -E2BIG;
	return err ?: elf_phdrs_check(&ehdr, im->phdrs, FILE_SIZE, &limits, layout, reason);
}

KTEST(elf, layout)
{
	struct image im = sample();
	struct elf_layout l;
	const char *reason = nullptr;

	ASSERT_EQ(check(&im, &l, &reason), 0);
	EXPECT_NULL(reason);
	EXPECT_EQ(l.lo, 0x400000);
	EXPECT_EQ(l.hi, 0x409000);
	EXPECT_EQ(l.brk, 0x408100);
	EXPECT_EQ(l.align, 0x1000);
	EXPECT_EQ(l.loads, 2);
	EXPECT_EQ(l.phdr_vaddr, 0x400040);
	EXPECT_EQ(l.interp, PH_INTERP);
	EXPECT_EQ(l.dynamic, PH_DYNAMIC);
	EXPECT_EQ(l.tls, -1);
	EXPECT_EQ(l.stack, PH_STACK);
}

KTEST(elf, position_independent)
{
	struct image im = sample();
	struct elf_layout l;

	im.ehdr.e_type = ET_DYN;
	im.ehdr.e_entry = 0x1000;
	im.phdrs[PH_TEXT].p_vaddr = 0;
	im.phdrs[PH_TEXT].p_align = 0x200000;
	im.phdrs[PH_DATA].p_vaddr = 0x3100;
	ASSERT_EQ(check(&im, &l, nullptr), 0);
	EXPECT_EQ(l.lo, 0);
	EXPECT_EQ(l.align, 0x200000);
	im.ehdr.e_entry = 0; // a library
	EXPECT_EQ(check(&im, &l, nullptr), 0);
}

KTEST(elf, other_machine)
{
	struct image im = sample();
	struct elf64_ehdr ehdr;

	EXPECT_EQ(elf_header_check(&im, sizeof(im), FILE_SIZE, EM_AARCH64, &ehdr, nullptr),
		  -ENOEXEC);
	im.ehdr.e_machine = EM_AARCH64;
	EXPECT_EQ(elf_header_check(&im, sizeof(im), FILE_SIZE, EM_AARCH64, &ehdr, nullptr), 0);
	EXPECT_EQ(elf_header_check(&im, 63, FILE_SIZE, EM_AARCH64, &ehdr, nullptr), -ENOEXEC);
}

static void swap_phdrs(struct elf64_phdr *a, struct elf64_phdr *b)
{
	swap(*a, *b);
}

#define EXPECT_DAMAGED(change)                                     \
	do {                                                       \
		struct image im = sample();                        \
		struct elf_layout layout;                          \
		const char *reason = nullptr;                      \
		(change);                                          \
		EXPECT_EQ(check(&im, &layout, &reason), -ENOEXEC); \
		EXPECT_NOT_NULL(reason);                           \
	} while (0)

KTEST(elf, damaged_header)
{
	EXPECT_DAMAGED(im.ehdr.e_ident[0] = 0);
	EXPECT_DAMAGED(im.ehdr.e_ident[EI_CLASS] = 1);
	EXPECT_DAMAGED(im.ehdr.e_ident[EI_DATA] = 2);
	EXPECT_DAMAGED(im.ehdr.e_ident[EI_VERSION] = 0);
	EXPECT_DAMAGED(im.ehdr.e_version = 2);
	EXPECT_DAMAGED(im.ehdr.e_type = ET_REL);
	EXPECT_DAMAGED(im.ehdr.e_type = ET_CORE);
	EXPECT_DAMAGED(im.ehdr.e_phentsize = 32);
	EXPECT_DAMAGED(im.ehdr.e_phnum = 0);
	EXPECT_DAMAGED(im.ehdr.e_phnum = PN_XNUM);
	EXPECT_DAMAGED(im.ehdr.e_phoff = FILE_SIZE - 5 * 56 + 1);
	EXPECT_DAMAGED(im.ehdr.e_phoff = ~0ull - 10);
}

KTEST(elf, damaged_segments)
{
	EXPECT_DAMAGED(im.phdrs[PH_TEXT].p_filesz = 0x2101);
	EXPECT_DAMAGED(im.phdrs[PH_DATA].p_offset = FILE_SIZE);
	EXPECT_DAMAGED(im.phdrs[PH_DATA].p_offset = ~0ull - 0x6ff);
	EXPECT_DAMAGED(im.phdrs[PH_DATA].p_memsz = ~0ull);
	EXPECT_DAMAGED(im.phdrs[PH_DATA].p_memsz = limits.vaddr_end);
	EXPECT_DAMAGED(im.phdrs[PH_DATA].p_vaddr = ~0ull - 0xeff);
	EXPECT_DAMAGED(im.phdrs[PH_DATA].p_vaddr = 0x403101);
	EXPECT_DAMAGED(im.phdrs[PH_DATA].p_vaddr = 0x401100); // overlaps the text;
	EXPECT_DAMAGED(im.phdrs[PH_DATA].p_align = 0x1001);
	EXPECT_DAMAGED(im.phdrs[PH_TEXT].p_vaddr = 0x1000);
	EXPECT_DAMAGED(im.phdrs[PH_TEXT].p_flags = PF_R);
	EXPECT_DAMAGED(im.ehdr.e_entry = 0x404000);
	EXPECT_DAMAGED(im.ehdr.e_entry = 0x402100);
	EXPECT_DAMAGED(im.ehdr.e_entry = 0);
	EXPECT_DAMAGED((im.phdrs[0].p_type = PT_NULL, im.phdrs[1].p_type = PT_NULL));
	// Order: the second segment before the first.
	EXPECT_DAMAGED(swap_phdrs(&im.phdrs[0], &im.phdrs[1]));
}

KTEST(elf, damaged_others)
{
	EXPECT_DAMAGED(im.phdrs[PH_INTERP].p_filesz = 1);
	EXPECT_DAMAGED(im.phdrs[PH_INTERP].p_filesz = ELF_INTERP_MAX + 1);
	EXPECT_DAMAGED(im.phdrs[PH_INTERP].p_offset = FILE_SIZE - 5);
	EXPECT_DAMAGED(im.phdrs[PH_STACK].p_type = PT_INTERP);
	EXPECT_DAMAGED(im.phdrs[PH_STACK] = im.phdrs[PH_INTERP]);
	EXPECT_DAMAGED(im.phdrs[PH_DYNAMIC].p_filesz = FILE_SIZE);
	EXPECT_DAMAGED((im.phdrs[PH_DYNAMIC].p_type = PT_TLS, im.phdrs[PH_DYNAMIC].p_align = 3));
	EXPECT_DAMAGED((im.phdrs[PH_DYNAMIC].p_type = PT_TLS, im.phdrs[PH_DYNAMIC].p_memsz = 1));
}

// What is accepted keeps its promise, whatever the bytes.
KTEST(elf, mutations)
{
	u64 seed = 16;
	u32 accepted = 0;

	for (int round = 0; round < 20000; round++) {
		struct image im = sample();
		struct elf_layout l;

		for (u64 n = ktest_random(&seed) % 4; n; n--)
			((u8 *)&im)[ktest_random(&seed) % sizeof(im)] = (u8)ktest_random(&seed);
		if (check(&im, &l, nullptr))
			continue;
		accepted++;
		ASSERT_LT(l.lo, l.hi);
		ASSERT_LE(l.hi, limits.vaddr_end);
		for (int i = 0; i < im.ehdr.e_phnum && i < 5; i++) {
			struct elf64_phdr *p = &im.phdrs[i];

			if (p->p_type != PT_LOAD || !p->p_memsz)
				continue;
			ASSERT_LE(p->p_offset, FILE_SIZE);
			ASSERT_LE(p->p_filesz, FILE_SIZE - p->p_offset);
			ASSERT_GE(p->p_vaddr, l.lo);
			ASSERT_LE(p->p_memsz, l.hi - p->p_vaddr);
		}
	}
	EXPECT_GT(accepted, 1000);
}

KTEST(elf, notes)
{
	struct __packed {
		struct elf64_nhdr a;
		char a_name[4];
		u32 a_desc[2];
		struct elf64_nhdr b;
		char b_name[8];
	} notes = {
		{4, 8, NT_GNU_BUILD_ID}, "GNU", {0x11, 0x22}, {5, 0, 7}, "Xen\0",
	};
	struct elf_note note;
	size_t pos = 0;

	ASSERT_EQ(elf_note_next(&notes, sizeof(notes), 4, &pos, &note), 1);
	EXPECT_EQ(note.type, NT_GNU_BUILD_ID);
	EXPECT_STREQ(note.name, "GNU");
	ASSERT_EQ(note.descsz, 8);
	EXPECT_MEMEQ(note.desc, notes.a_desc, 8);
	ASSERT_EQ(elf_note_next(&notes, sizeof(notes), 4, &pos, &note), 1);
	EXPECT_EQ(note.type, 7);
	EXPECT_EQ(note.descsz, 0);
	EXPECT_EQ(elf_note_next(&notes, sizeof(notes), 4, &pos, &note), 0);
	pos = 0;
	EXPECT_EQ(elf_note_next(&notes, 11, 4, &pos, &note), -ENOEXEC);
	EXPECT_EQ(elf_note_next(&notes, 23, 4, &pos, &note), -ENOEXEC);
	notes.a.n_namesz = ~0u;
	EXPECT_EQ(elf_note_next(&notes, sizeof(notes), 4, &pos, &note), -ENOEXEC);
	notes.a.n_namesz = 4;
	notes.a.n_descsz = ~0u;
	EXPECT_EQ(elf_note_next(&notes, sizeof(notes), 4, &pos, &note), -ENOEXEC);
}

// SPDX-License-Identifier: MIT
// elf_so_test.c: a small good shared object, each way to damage it, and damage at random.
#include "base/elf_so.h"
#include "base/ktest.h"
#include "base/string.h"

constexpr u64 TEXT = 0x1000, DATA = 0x2000, FILE_SIZE = 0x2000;

enum { PH_READ, PH_TEXT, PH_DATA, PH_DYNAMIC, PH_RELRO, PH_COUNT };
enum { SYM_NONE, SYM_IMPORT, SYM_INFO, SYM_COUNT };
enum { D_HASH, D_SYMTAB, D_STRTAB, D_STRSZ, D_RELA, D_RELASZ, D_END, D_COUNT };
enum { SH_NONE, SH_SYMTAB, SH_STRTAB, SH_COUNT };

// The file: the first page is mapped read-only, half of the second as code, the rest is data.
struct sample {
	struct elf64_ehdr ehdr;
	struct elf64_phdr phdrs[PH_COUNT];
	u32 hash[4];
	struct elf64_sym symbols[SYM_COUNT];
	struct elf64_rela rela[2];
	char strings[24];
	struct elf64_shdr sections[SH_COUNT];
	struct elf64_sym symtab[2];
	char strtab[16];
};
static_assert(sizeof(struct sample) <= 0x1000);

static alignas(16) union {
	struct sample s;
	u8 bytes[FILE_SIZE];
	struct {
		u8 before[0x1800];
		struct elf64_dyn dynamic[D_COUNT];
	};
} file;

static const struct elf_limits limits = {.page_size = 0x1000, .vaddr_end = 64 * MiB};
static struct elf_so so;
static const char *reason;

static void sample(void)
{
	memset(&file, 0, sizeof(file));
	file.s = (struct sample){
		.ehdr = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
			 .e_type = ET_DYN,
			 .e_machine = EM_X86_64,
			 .e_version = EV_CURRENT,
			 .e_phoff = offsetof(struct sample, phdrs),
			 .e_shoff = offsetof(struct sample, sections),
			 .e_phentsize = sizeof(struct elf64_phdr),
			 .e_phnum = PH_COUNT,
			 .e_shentsize = sizeof(struct elf64_shdr),
			 .e_shnum = SH_COUNT},
		.phdrs = {[PH_READ] = {PT_LOAD, PF_R, 0, 0, 0, 0x1000, 0x1000, 0x1000},
			  [PH_TEXT] = {PT_LOAD, PF_R | PF_X, 0x1000, TEXT, 0, 0x800, 0x800, 0x1000},
			  [PH_DATA] = {PT_LOAD, PF_R | PF_W, 0x1800, DATA + 0x800, 0, 0x800, 0x1000,
				       0x1000},
			  [PH_DYNAMIC] = {PT_DYNAMIC, PF_R, 0x1800, DATA + 0x800, 0,
					  sizeof(file.dynamic), sizeof(file.dynamic), 8},
			  [PH_RELRO] = {PT_GNU_RELRO, PF_R, 0x1800, DATA + 0x800, 0, 0x800, 0x800,
					1}},
		.hash = {1, SYM_COUNT},
		.symbols = {[SYM_IMPORT] = {.st_name = 1, .st_shndx = SHN_UNDEF},
			    [SYM_INFO] = {.st_name = 8,
					  .st_shndx = 1,
					  .st_value = DATA + 0x900,
					  .st_size = 64}},
		.rela = {{DATA + 0x900, (u64)SYM_IMPORT << 32 | R_X86_64_GLOB_DAT, 0},
			 {DATA + 0x908, R_X86_64_RELATIVE, 0x1234}},
		.strings = "\0import\0info",
		.sections = {[SH_SYMTAB] = {.sh_type = SHT_SYMTAB,
					    .sh_offset = offsetof(struct sample, symtab),
					    .sh_size = sizeof(file.s.symtab),
					    .sh_link = SH_STRTAB},
			     [SH_STRTAB] = {.sh_type = SHT_STRTAB,
					    .sh_offset = offsetof(struct sample, strtab),
					    .sh_size = sizeof(file.s.strtab)}},
		.symtab = {[1] = {.st_name = 1,
				  .st_info = ELF64_ST_INFO(STB_LOCAL, STT_FUNC),
				  .st_value = TEXT + 0x10,
				  .st_size = 0x20}},
		.strtab = "\0probe",
	};
	file.dynamic[D_HASH] = (struct elf64_dyn){DT_HASH, offsetof(struct sample, hash)};
	file.dynamic[D_SYMTAB] = (struct elf64_dyn){DT_SYMTAB, offsetof(struct sample, symbols)};
	file.dynamic[D_STRTAB] = (struct elf64_dyn){DT_STRTAB, offsetof(struct sample, strings)};
	file.dynamic[D_STRSZ] = (struct elf64_dyn){DT_STRSZ, sizeof(file.s.strings)};
	file.dynamic[D_RELA] = (struct elf64_dyn){DT_RELA, offsetof(struct sample, rela)};
	file.dynamic[D_RELASZ] = (struct elf64_dyn){DT_RELASZ, sizeof(file.s.rela)};
}

static bool good(void)
{
	reason = nullptr;
	return elf_so_check(&so, &file, sizeof(file), EM_X86_64, &limits, &reason) == 0;
}

KTEST(elf_so, a_good_one)
{
	const char *name;

	sample();
	ASSERT_TRUE(good());
	EXPECT_EQ(so.layout.hi, 0x4000);
	EXPECT_EQ(so.text_start, TEXT);
	EXPECT_EQ(so.text_end, TEXT + 0x800);
	EXPECT_EQ(so.relro_start, DATA + 0x800);
	EXPECT_EQ(so.relro_end, DATA + 0x1000);
	ASSERT_EQ(so.nsymbols, SYM_COUNT);
	ASSERT_EQ(so.nrelocations, 2);
	EXPECT_EQ(so.relocations[1].r_addend, 0x1234);
	EXPECT_NOT_NULL(elf_so_symbol(&so, SYM_IMPORT, &name));
	EXPECT_STREQ(name, "import");
	EXPECT_NULL(elf_so_symbol(&so, SYM_COUNT, &name));
	ASSERT_NOT_NULL(elf_so_find(&so, "info"));
	EXPECT_EQ(elf_so_find(&so, "info")->st_value, DATA + 0x900);
	EXPECT_NULL(elf_so_find(&so, "import")); // it is not defined here
}

KTEST(elf_so, functions_have_names)
{
	u64 offset, size;

	sample();
	EXPECT_NULL(elf_function_at(&file, sizeof(file), TEXT + 0xf, &offset, &size));
	EXPECT_STREQ(elf_function_at(&file, sizeof(file), TEXT + 0x11, &offset, &size), "probe");
	EXPECT_EQ(offset, 1);
	EXPECT_EQ(size, 0x20);
	EXPECT_NULL(elf_function_at(&file, sizeof(file), TEXT + 0x30, &offset, &size));
	EXPECT_NULL(elf_function_at(&file, 40, TEXT + 0x11, &offset, &size));
	memset(file.s.strtab, 'x', sizeof(file.s.strtab)); // no end
	EXPECT_NULL(elf_function_at(&file, sizeof(file), TEXT + 0x11, &offset, &size));
}

#define EXPECT_REFUSED(damage, why)                                      \
	do {                                                             \
		sample();                                                \
		damage;                                                  \
		EXPECT_FALSE(good());                                    \
		EXPECT_NOT_NULL(reason ? strstr(reason, why) : nullptr); \
	} while (0)

KTEST(elf_so, damage)
{
	EXPECT_REFUSED(file.s.ehdr.e_type = ET_EXEC, "shared object");
	EXPECT_REFUSED(file.s.ehdr.e_machine = EM_AARCH64, "machine");
	EXPECT_REFUSED(file.s.ehdr.e_phoff++, "aligned");
	EXPECT_REFUSED(file.s.phdrs[PH_DYNAMIC].p_type = PT_NULL, "dynamic section");
	EXPECT_REFUSED(file.s.phdrs[PH_READ].p_memsz = file.s.phdrs[PH_READ].p_filesz = 0,
		       "linked at 0");
	EXPECT_REFUSED(file.s.phdrs[PH_TEXT].p_flags = PF_R, "no code");
	EXPECT_REFUSED(file.s.phdrs[PH_TEXT].p_flags = PF_R | PF_W | PF_X, "writable and exec");
	EXPECT_REFUSED(file.s.phdrs[PH_READ].p_flags = PF_R | PF_X, "more than one");
	EXPECT_REFUSED(file.s.phdrs[PH_RELRO].p_memsz = ~0ull, "RELRO");
	EXPECT_REFUSED(file.s.phdrs[PH_RELRO].p_vaddr = ~0ull, "RELRO");
	EXPECT_REFUSED(file.dynamic[D_END].d_tag = DT_NEEDED, "another shared object");
	EXPECT_REFUSED(file.dynamic[D_END].d_tag = DT_JMPREL, "PLT");
	EXPECT_REFUSED(file.dynamic[D_HASH].d_val = 0x5000, "no symbol table");
	EXPECT_REFUSED(file.dynamic[D_STRSZ].d_val = 0, "no symbol table");
	EXPECT_REFUSED(file.dynamic[D_STRSZ].d_val = 3, "damaged symbol table");
	EXPECT_REFUSED(file.dynamic[D_SYMTAB].d_val++, "damaged symbol table");
	EXPECT_REFUSED(file.s.hash[1] = 4097, "damaged symbol table");
	EXPECT_REFUSED(file.s.hash[1] = 4096, "damaged symbol table");
	EXPECT_REFUSED(file.dynamic[D_RELASZ].d_val = ~0ull, "damaged relocations");
	EXPECT_REFUSED(file.s.rela[1].r_offset = 0x800, "can be written"); // in the first page
	EXPECT_REFUSED(file.s.rela[1].r_offset = DATA + 0x1800, "can be written");
	EXPECT_REFUSED(file.s.rela[1].r_offset = DATA + 0x17f9, "can be written");
	EXPECT_REFUSED(file.s.rela[1].r_offset = ~7ull, "can be written");
	EXPECT_REFUSED(file.s.phdrs[PH_TEXT].p_memsz++, "whole pages");
	EXPECT_REFUSED(file.s.phdrs[PH_TEXT].p_vaddr = file.s.phdrs[PH_TEXT].p_offset = 0x1010,
		       "whole pages");
	EXPECT_REFUSED(file.s.phdrs[PH_DATA].p_vaddr = TEXT + 0x800, "constant and is not");
}

// An empty segment is not checked against the file, and must not be looked into.
KTEST(elf_so, an_empty_segment_is_none)
{
	sample();
	file.s.phdrs[PH_RELRO] =
		(struct elf64_phdr){PT_LOAD, PF_R | PF_X, 1ull << 60, 0x800, 0, 1ull << 40, 0, 1};
	file.dynamic[D_HASH].d_val = 1ull << 39;
	EXPECT_FALSE(good());
	EXPECT_STREQ(reason, "no symbol table");
}

KTEST(elf_so, random_damage)
{
	u64 seed = 7, offset, size, accepted = 0;

	for (u32 round = 0; round < 20000; round++) {
		sample();
		for (u32 n = (u32)(ktest_random(&seed) % 4) + 1; n; n--) {
			u64 at = ktest_random(&seed) %
				 (sizeof(struct sample) + sizeof(file.dynamic));
			u8 *place = at < sizeof(struct sample)
					    ? &file.bytes[at]
					    : (u8 *)file.dynamic + (at - sizeof(struct sample));

			*place = (u8)(ktest_random(&seed) & 1 ? ktest_random(&seed) : 0xff);
		}
		if (good()) {
			const char *name;

			accepted++;
			for (u32 i = 0; i < so.nsymbols; i++)
				if (elf_so_symbol(&so, i, &name))
					EXPECT_LE(strlen(name), sizeof(file));
			for (u64 i = 0; i < so.nrelocations; i++)
				seed ^= (u64)so.relocations[i].r_addend;
			(void)elf_so_find(&so, "info");
			for (u32 i = 0; i < so.ehdr.e_phnum; i++)
				if (elf_so_loads(&so.phdrs[i]) && so.phdrs[i].p_filesz)
					seed ^= file.bytes[so.phdrs[i].p_offset +
							   so.phdrs[i].p_filesz - 1];
		}
		(void)elf_function_at(&file, sizeof(file), TEXT + 0x11, &offset, &size);
	}
	EXPECT_GT(accepted, 1000);
}

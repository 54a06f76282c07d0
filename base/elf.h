// SPDX-License-Identifier: MIT
// elf.h: ELF64 structures, auxiliary vector tags, and checks of untrusted executables.
//
// The checks are pure functions on bytes. What they let through can be mapped without further
// arithmetic worries: nothing in it overflows or lies outside of the file.
#pragma once

#include "base/types.h"

#define ELF_MAGIC 0x464c457fu // "\177ELF", little-endian

struct elf64_ehdr {
	u8 e_ident[16];
	u16 e_type;
	u16 e_machine;
	u32 e_version;
	u64 e_entry;
	u64 e_phoff;
	u64 e_shoff;
	u32 e_flags;
	u16 e_ehsize;
	u16 e_phentsize;
	u16 e_phnum;
	u16 e_shentsize;
	u16 e_shnum;
	u16 e_shstrndx;
};
static_assert(sizeof(struct elf64_ehdr) == 64);

struct elf64_phdr {
	u32 p_type;
	u32 p_flags;
	u64 p_offset;
	u64 p_vaddr;
	u64 p_paddr;
	u64 p_filesz;
	u64 p_memsz;
	u64 p_align;
};
static_assert(sizeof(struct elf64_phdr) == 56);

struct elf64_shdr {
	u32 sh_name;
	u32 sh_type;
	u64 sh_flags;
	u64 sh_addr;
	u64 sh_offset;
	u64 sh_size;
	u32 sh_link;
	u32 sh_info;
	u64 sh_addralign;
	u64 sh_entsize;
};
static_assert(sizeof(struct elf64_shdr) == 64);

struct elf64_sym {
	u32 st_name;
	u8 st_info;
	u8 st_other;
	u16 st_shndx;
	u64 st_value;
	u64 st_size;
};
static_assert(sizeof(struct elf64_sym) == 24);

struct elf64_rela {
	u64 r_offset;
	u64 r_info;
	s64 r_addend;
};
static_assert(sizeof(struct elf64_rela) == 24);

struct elf64_dyn {
	s64 d_tag;
	u64 d_val;
};
static_assert(sizeof(struct elf64_dyn) == 16);

struct elf64_nhdr {
	u32 n_namesz;
	u32 n_descsz;
	u32 n_type;
};
static_assert(sizeof(struct elf64_nhdr) == 12);

// e_ident
enum {
	EI_CLASS = 4,
	EI_DATA = 5,
	EI_VERSION = 6,
	EI_OSABI = 7,
	ELFCLASS64 = 2,
	ELFDATA2LSB = 1,
	EV_CURRENT = 1,
	ELFOSABI_NONE = 0,
	ELFOSABI_GNU = 3,
};
// e_type, e_machine
enum { ET_NONE = 0, ET_REL = 1, ET_EXEC = 2, ET_DYN = 3, ET_CORE = 4 };
enum { EM_X86_64 = 62, EM_AARCH64 = 183 };
// p_type
#define PT_NULL		0u
#define PT_LOAD		1u
#define PT_DYNAMIC	2u
#define PT_INTERP	3u
#define PT_NOTE		4u
#define PT_PHDR		6u
#define PT_TLS		7u
#define PT_GNU_EH_FRAME 0x6474e550u
#define PT_GNU_STACK	0x6474e551u
#define PT_GNU_RELRO	0x6474e552u
#define PT_GNU_PROPERTY 0x6474e553u
// p_flags
enum { PF_X = 1, PF_W = 2, PF_R = 4 };
#define PN_XNUM 0xffffu
// sh_type
enum {
	SHT_NULL = 0,
	SHT_PROGBITS = 1,
	SHT_SYMTAB = 2,
	SHT_STRTAB = 3,
	SHT_RELA = 4,
	SHT_DYNAMIC = 6,
	SHT_NOTE = 7,
	SHT_NOBITS = 8,
	SHT_DYNSYM = 11,
};
// Symbols
#define ELF64_ST_BIND(info)	  ((info) >> 4)
#define ELF64_ST_TYPE(info)	  ((info) & 15)
#define ELF64_ST_INFO(bind, type) ((u8)((bind) << 4 | ((type) & 15)))
enum { STB_LOCAL = 0, STB_GLOBAL = 1, STB_WEAK = 2 };
enum { STT_NOTYPE = 0, STT_OBJECT = 1, STT_FUNC = 2, STT_SECTION = 3, STT_FILE = 4 };
enum { SHN_UNDEF = 0, SHN_ABS = 0xfff1 };
// Relocations
#define ELF64_R_SYM(info)  ((u32)((info) >> 32))
#define ELF64_R_TYPE(info) ((u32)(info))
enum { R_X86_64_64 = 1, R_X86_64_GLOB_DAT = 6, R_X86_64_JUMP_SLOT = 7, R_X86_64_RELATIVE = 8 };
enum {
	R_AARCH64_ABS64 = 257,
	R_AARCH64_GLOB_DAT = 1025,
	R_AARCH64_JUMP_SLOT = 1026,
	R_AARCH64_RELATIVE = 1027,
};
// d_tag
enum {
	DT_NULL = 0,
	DT_NEEDED = 1,
	DT_PLTRELSZ = 2,
	DT_HASH = 4,
	DT_STRTAB = 5,
	DT_SYMTAB = 6,
	DT_RELA = 7,
	DT_RELASZ = 8,
	DT_RELAENT = 9,
	DT_STRSZ = 10,
	DT_SYMENT = 11,
	DT_INIT = 12,
	DT_FINI = 13,
	DT_SONAME = 14,
	DT_REL = 17,
	DT_JMPREL = 23,
	DT_INIT_ARRAY = 25,
	DT_INIT_ARRAYSZ = 27,
	DT_FLAGS = 30,
	DT_RELR = 36,
	DT_GNU_HASH = 0x6ffffef5,
	DT_VERSYM = 0x6ffffff0,
	DT_FLAGS_1 = 0x6ffffffb,
	DT_VERDEF = 0x6ffffffc,
	DT_VERDEFNUM = 0x6ffffffd,
};
// n_type
enum { NT_PRSTATUS = 1, NT_GNU_BUILD_ID = 3, NT_GNU_PROPERTY_TYPE_0 = 5 };

// Tags of the auxiliary vector that a program finds above its environment.
enum {
	AT_NULL = 0,
	AT_IGNORE = 1,
	AT_EXECFD = 2,
	AT_PHDR = 3,
	AT_PHENT = 4,
	AT_PHNUM = 5,
	AT_PAGESZ = 6,
	AT_BASE = 7,
	AT_FLAGS = 8,
	AT_ENTRY = 9,
	AT_NOTELF = 10,
	AT_UID = 11,
	AT_EUID = 12,
	AT_GID = 13,
	AT_EGID = 14,
	AT_PLATFORM = 15,
	AT_HWCAP = 16,
	AT_CLKTCK = 17,
	AT_SECURE = 23,
	AT_BASE_PLATFORM = 24,
	AT_RANDOM = 25,
	AT_HWCAP2 = 26,
	AT_RSEQ_FEATURE_SIZE = 27,
	AT_RSEQ_ALIGN = 28,
	AT_EXECFN = 31,
	AT_SYSINFO_EHDR = 33,
	AT_MINSIGSTKSZ = 51,
};

// More program headers than this are refused; Linux allows 64 KiB worth of them.
#define ELF_PHDRS_MAX  1170u
// PT_INTERP paths, with the NUL.
#define ELF_INTERP_MAX 4096u

// Checks the first bytes of a file of file_size bytes (len of them are at hand, at least 64 if the
// file has that many) as an executable or shared object for `machine`: identification, type, entry
// size, and that the program headers lie within the file. Copies the header to *ehdr.
// 0; -ENOEXEC when it is no such ELF file or malformed; *reason (may be nullptr) gets a short
// phrase.
[[nodiscard]] int elf_header_check(const void *bytes, size_t len, u64 file_size, u16 machine,
				   struct elf64_ehdr *ehdr, const char **reason);

// Bounds that the caller sets.
struct elf_limits {
	u64 page_size; // a power of two
	u64 vaddr_min; // of ET_EXEC segments
	u64 vaddr_end; // no segment reaches beyond; for ET_DYN: the largest extent
};

// What a loader wants to know from the program headers.
struct elf_layout {
	u64 lo;		// lowest p_vaddr of the PT_LOADs, rounded down to a page
	u64 hi;		// end of the highest one, rounded up to a page
	u64 align;	// largest p_align of the PT_LOADs, at least a page
	u64 phdr_vaddr; // where the program headers are in memory; 0: nowhere
	u64 brk;	// end of the highest PT_LOAD, not rounded
	u32 loads;	// number of PT_LOADs with p_memsz > 0
	int interp;	// index of PT_INTERP, or -1
	int dynamic;	// index of PT_DYNAMIC, or -1
	int tls;	// index of PT_TLS, or -1
	int stack;	// index of PT_GNU_STACK, or -1
};

// Checks the program headers of a header that elf_header_check accepted: sizes and offsets of each
// PT_LOAD, PT_INTERP, PT_DYNAMIC and PT_TLS against the file and the limits, congruence of offset
// and address, ascending PT_LOADs whose pages do not overlap with different contents, the entry
// point within a segment. 0 or -ENOEXEC.
[[nodiscard]] int elf_phdrs_check(const struct elf64_ehdr *ehdr, const struct elf64_phdr *phdrs,
				  u64 file_size, const struct elf_limits *limits,
				  struct elf_layout *layout, const char **reason);

// Walks the notes in a PT_NOTE segment or SHT_NOTE section. Start with *pos = 0. 1 and a note, 0 at
// the end, -ENOEXEC when malformed. `align` is 4 or 8 (p_align of the segment).
struct elf_note {
	const char *name; // namesz bytes, with the NUL
	u32 namesz;
	const void *desc;
	u32 descsz;
	u32 type;
};
int elf_note_next(const void *notes, size_t len, u64 align, size_t *pos, struct elf_note *note);

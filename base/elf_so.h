// SPDX-License-Identifier: MIT
// elf_so.h: shared objects that stand alone, as services are: checks of an untrusted file, and what
// its loader and its debugger want to know of it.
//
// Such an object is linked at 0, needs no other one, has neither PLT nor constructors, and its only
// relocations are those of DT_RELA, none of which lies in a segment that cannot be written. Those
// are whole pages of the file, to be mapped as they are. One is executable.
#pragma once

#include "base/elf.h"

struct elf_so {
	const u8 *file; // what else is here points into it
	u64 file_len;
	struct elf64_ehdr ehdr;
	const struct elf64_phdr *phdrs; // ehdr.e_phnum; those that elf_so_loads lie in the file
	struct elf_layout layout;
	u64 text_start, text_end;   // addresses of the executable segment
	u64 relro_start, relro_end; // addresses of what is constant once relocated; equal: none
	const struct elf64_sym *symbols; // the dynamic ones
	u32 nsymbols;
	const char *strings;
	u64 strings_len; // the last byte is 0
	const struct elf64_rela *relocations;
	u64 nrelocations;
};

// Checks a file, which lies at a multiple of 8 bytes. 0; -ENOEXEC when it is no such object or
// damaged: *reason gets a short phrase.
[[nodiscard]] int elf_so_check(struct elf_so *so, const void *file, u64 len, u16 machine,
			       const struct elf_limits *limits, const char **reason);

// Whether a program header is that of a segment in memory.
bool elf_so_loads(const struct elf64_phdr *p);

// The dynamic symbol with this number, and its name; nullptr: there is none, or none with a name.
const struct elf64_sym *elf_so_symbol(const struct elf_so *so, u32 i, const char **name);
// The dynamic symbol of this name that the object defines; nullptr: none.
const struct elf64_sym *elf_so_find(const struct elf_so *so, const char *name);

// The name of the function that address lies in, by the symbol table of any ELF file, with the
// distance from its start and its size. nullptr: none, or the file is damaged.
const char *elf_function_at(const void *file, u64 len, u64 address, u64 *offset, u64 *size);

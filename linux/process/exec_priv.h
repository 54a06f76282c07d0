// SPDX-License-Identifier: MIT
// The parts of execve. Private to linux/process.
#pragma once
#include "base/elf.h"
#include "linux/file.h"
#include "linux/process/process.h"

// The strings of argv, then envp, then the program's name: one stream of bytes in pages, each
// string with its NUL.
struct exec_args {
	u8 **pages; // of PAGE_SIZE
	u32 npages, cap;
	u64 len;   // bytes in the stream
	u64 limit; // most bytes, strings and pointers
	u32 argc, envc;
	u32 argc_given;	 // before scripts changed it
	u64 env_offset;	 // in the stream
	u64 name_offset; // of the program's name
	u64 skip;	 // bytes at the stream's start that a script's prefix replaces (argv[0])
	char *prefix;	 // strings that a script puts before the stream; kmalloc'ed
	u32 prefix_len;
};
// From a program's pointers, or (kernel) from kernel memory. 0, -E2BIG, -EFAULT, -ENOMEM.
int exec_args_init(struct exec_args *a);
void exec_args_destroy(struct exec_args *a);
int exec_args_add_vector(struct exec_args *a, u64 vector, bool kernel, u32 *count);
int exec_args_add_kernel(struct exec_args *a, const char *s);
// Writes the prefix and the stream at addr of space s: 0 or -EFAULT.
int exec_args_write(const struct exec_args *a, struct vm_space *s, u64 addr);
static inline u64 exec_args_len(const struct exec_args *a)
{
	return a->prefix_len + a->len - a->skip;
}

struct exec {
	struct file *file;   // the program; counted
	struct file *interp; // PT_INTERP's; counted or nullptr
	struct exec_args args;
	struct vm_space *space; // being built
	struct elf64_ehdr ehdr;
	struct elf_layout layout;
	u64 bias;	 // load address - link address of the program
	u64 entry;	 // first instruction (the interpreter's, if there is one)
	u64 interp_base; // 0: none
	u64 phdr;	 // address of the program headers
	u64 sp;
	bool executable_stack;
	bool secure; // AT_SECURE
	bool randomize;
	struct cred *cred;	      // the new ones
	u32 secure_personality_clear; // personality bits that a privileged program does not inherit
	char head[256];		      // first bytes of the file
	u32 head_len;
	const char *path; // as given, for AT_EXECFN and comm
};
int exec_elf_load(struct exec *x);    // maps the program (and interpreter) into x->space
int exec_stack_build(struct exec *x); // arguments and auxiliary vector
struct file *exec_open(int dirfd, const char *path,
		       u32 lookup_flags); // with execute rights, writers kept out; err_ptr
void exec_file_put(struct file *f);

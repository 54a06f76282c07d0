// SPDX-License-Identifier: MIT
// Owns the mapping of ELF programs and of their interpreters into a new address space, and the
// stack that they start with.
//
// The space is not yet anybody's: it is filled through vm_map and vm_access_remote, and thrown away
// when anything fails.
#include "abi/linux/mount.h"
#include "abi/linux/rseq.h"
#include "base/string.h"
#include "core/log.h"
#include "linux/random.h"
#include "linux/process/exec_priv.h"
#include <linux_arch/exec.h>

struct image {
	struct file *file;
	struct elf64_ehdr ehdr;
	struct elf64_phdr *phdrs; // kmalloc'ed
	struct elf_layout layout;
};

static int image_read(struct image *im, const void *head, u32 head_len)
{
	u64 size = (u64)inode_size(im->file->inode);
	int r = elf_header_check(head, head_len, size, ELF_MACHINE, &im->ehdr, nullptr);
	if (r)
		return r;
	u64 len = (u64)im->ehdr.e_phnum * sizeof(struct elf64_phdr);
	im->phdrs = kmalloc(len);
	if (!im->phdrs)
		return -ENOMEM;
	if (im->ehdr.e_phoff + len <= head_len) {
		memcpy(im->phdrs, (const u8 *)head + im->ehdr.e_phoff, len);
	} else if (file_read_kernel(im->file, (s64)im->ehdr.e_phoff, im->phdrs, len) !=
		   (ssize_t)len) {
		kfree(im->phdrs);
		im->phdrs = nullptr;
		return -ENOEXEC;
	}
	struct elf_limits limits = {
		.page_size = PAGE_SIZE, .vaddr_min = USER_MIN, .vaddr_end = USER_TOP};
	r = elf_phdrs_check(&im->ehdr, im->phdrs, size, &limits, &im->layout, nullptr);
	if (r) {
		kfree(im->phdrs);
		im->phdrs = nullptr;
	}
	return r;
}

static u32 segment_prot(const struct elf64_phdr *ph)
{
	return (ph->p_flags & PF_R ? PROT_READ : 0) | (ph->p_flags & PF_W ? PROT_WRITE : 0) |
	       (ph->p_flags & PF_X ? PROT_EXEC : 0);
}

static int zero_tail(struct vm_space *s, u64 from, u64 to)
{
	static const u8 zeroes[256];
	while (from < to) {
		u64 n = min((u64)sizeof(zeroes), to - from);
		if (vm_access_remote(s, from, (void *)zeroes, n, true, true) != (ssize_t)n)
			return -ENOMEM;
		from += n;
	}
	return 0;
}

static int segment_map(struct exec *x, struct image *im, const struct elf64_phdr *ph, u64 bias)
{
	u64 start = align_down(ph->p_vaddr + bias, PAGE_SIZE), at;
	u64 file_end = ph->p_vaddr + bias + ph->p_filesz, end = ph->p_vaddr + bias + ph->p_memsz;
	u64 mapped_end = align_up(file_end, PAGE_SIZE), bss_end = align_up(end, PAGE_SIZE);
	u32 prot = segment_prot(ph);
	int r;
	if (ph->p_filesz) {
		struct vm_map_args a = {
			.addr = start,
			.len = mapped_end - start,
			.prot = prot,
			.max_prot = PROT_READ | PROT_WRITE | PROT_EXEC,
			.flags = VM_FIXED,
			.offset = align_down(ph->p_offset, PAGE_SIZE),
			.file = im->file,
		};
		r = im->file->ops->mmap ? im->file->ops->mmap(im->file, &a) : -ENOEXEC;
		if (!r)
			r = vm_map(x->space, &a, &at);
		// The rest of the last page belongs to the bss, beyond its end too: ld.so's first
		// allocations lie there.
		if (!r && end > file_end && (prot & PROT_WRITE))
			r = zero_tail(x->space, file_end, mapped_end);
		if (r)
			return r;
	} else {
		mapped_end = start;
	}
	if (bss_end <= mapped_end)
		return 0;
	struct vm_map_args a = {.addr = mapped_end,
				.len = bss_end - mapped_end,
				.prot = prot,
				.max_prot = PROT_READ | PROT_WRITE | PROT_EXEC,
				.flags = VM_FIXED};
	return vm_map(x->space, &a, &at);
}

static int image_map(struct exec *x, struct image *im, u64 bias)
{
	for (u32 i = 0; i < im->ehdr.e_phnum; i++) {
		const struct elf64_phdr *ph = &im->phdrs[i];
		if (ph->p_type != PT_LOAD || !ph->p_memsz)
			continue;
		int r = segment_map(x, im, ph, bias);
		if (r)
			return r;
		u64 start = ph->p_vaddr + bias, end = start + ph->p_filesz;
		if (im->file != x->file)
			continue;
		struct vm_space *s = x->space;
		if ((ph->p_flags & PF_X) && (!s->code_start || start < s->code_start))
			s->code_start = start;
		if ((ph->p_flags & PF_X) && end > s->code_end)
			s->code_end = end;
		if (!(ph->p_flags & PF_X) && (ph->p_flags & PF_W)) {
			s->data_start = start;
			s->data_end = end;
		}
	}
	return 0;
}

static u64 random_pages(const struct exec *x, u32 bits)
{
	return x->randomize ? (random_u64() & ((1ull << bits) - 1)) << PAGE_SHIFT : 0;
}

// Where mappings without a wish go: below the stack, whatever it may grow to, and a gap.
static u64 mmap_base(const struct exec *x)
{
	u64 gap = clamp(rlimit(RLIMIT_STACK), 128 * MiB, USER_TOP / 6 * 5);
	gap += STACK_RANDOM_SPAN + MiB;
	return align_down(USER_TOP - min(gap, USER_TOP / 6 * 5) - random_pages(x, 28), PAGE_SIZE);
}

static int interp_load(struct exec *x, struct image *program)
{
	const struct elf64_phdr *ph = &program->phdrs[program->layout.interp];
	struct image im = {};
	if (ph->p_filesz < 2 || ph->p_filesz > ELF_INTERP_MAX)
		return -ENOEXEC;
	char *path = kmalloc(ph->p_filesz);
	u8 *head = kmalloc(512);
	int r = -ENOMEM;
	if (!path || !head)
		goto out;
	r = -ENOEXEC;
	if (file_read_kernel(x->file, (s64)ph->p_offset, path, ph->p_filesz) !=
		    (ssize_t)ph->p_filesz ||
	    path[ph->p_filesz - 1])
		goto out;
	im.file = exec_open(AT_FDCWD_KERNEL, path, LOOKUP_FOLLOW);
	if (is_err(im.file)) {
		r = ptr_err(im.file);
		goto out;
	}
	ssize_t n = file_read_kernel(im.file, 0, head, 512);
	r = n < 0 ? (int)n : image_read(&im, head, (u32)n);
	if (r == -ENOEXEC)
		r = -ELIBBAD;
	if (r)
		goto out_file;
	u64 bias = 0;
	if (im.ehdr.e_type == ET_DYN) {
		u64 extent = im.layout.hi - im.layout.lo;
		if (extent > x->space->mmap_base / 2) {
			r = -ENOMEM;
			goto out_file;
		}
		bias = align_down(x->space->mmap_base - extent, im.layout.align) - im.layout.lo;
	}
	r = image_map(x, &im, bias);
	x->interp_base = bias;
	x->entry = im.ehdr.e_entry + bias;
out_file:
	exec_file_put(im.file);
	kfree(im.phdrs);
out:
	kfree(head);
	kfree(path);
	return r;
}

int exec_elf_load(struct exec *x)
{
	struct image im = {.file = x->file};
	int r = image_read(&im, x->head, x->head_len);
	if (r)
		return r;
	struct vm_space *s = x->space;
	x->ehdr = im.ehdr;
	x->layout = im.layout;
	x->executable_stack = im.layout.stack >= 0 && (im.phdrs[im.layout.stack].p_flags & PF_X);
	s->mmap_base = mmap_base(x);
	if (im.ehdr.e_type == ET_DYN) {
		// A program with an interpreter goes to two thirds of the address space; one
		// without (the interpreter itself) is a mapping.
		u64 extent = im.layout.hi - im.layout.lo;
		u64 base = im.layout.interp >= 0 ? USER_TOP / 3 * 2 + random_pages(x, 28)
						 : s->mmap_base - min(extent, s->mmap_base / 2);
		x->bias = align_down(base, im.layout.align) - im.layout.lo;
	}
	r = image_map(x, &im, x->bias);
	x->entry = im.ehdr.e_entry + x->bias;
	x->phdr = im.layout.phdr_vaddr ? im.layout.phdr_vaddr + x->bias : 0;
	if (!r && im.layout.interp >= 0)
		r = interp_load(x, &im);
	s->brk_start = s->brk_end =
		align_up(im.layout.brk + x->bias, PAGE_SIZE) + random_pages(x, 13);
	kfree(im.phdrs);
	return r;
}

// ---- the first stack (psABI, "Initial Stack and Register State") ----

struct auxv {
	u64 *at; // pairs
	u32 n, cap;
};
static void aux(struct auxv *v, u64 tag, u64 value)
{
	assert(v->n + 2 <= v->cap);
	v->at[v->n++] = tag;
	v->at[v->n++] = value;
}

static void auxv_fill(struct exec *x, struct auxv *v, u64 random_at, u64 platform_at, u64 name_at)
{
	const struct cred *c = x->cred;
	if (x->space->vdso)
		aux(v, AT_SYSINFO_EHDR, x->space->vdso);
	aux(v, AT_MINSIGSTKSZ, exec_min_signal_stack());
	aux(v, AT_HWCAP, exec_hwcap());
	aux(v, AT_PAGESZ, PAGE_SIZE);
	aux(v, AT_CLKTCK, 100);
	aux(v, AT_PHDR, x->phdr);
	aux(v, AT_PHENT, sizeof(struct elf64_phdr));
	aux(v, AT_PHNUM, x->ehdr.e_phnum);
	aux(v, AT_BASE, x->interp_base);
	aux(v, AT_FLAGS, 0);
	aux(v, AT_ENTRY, x->ehdr.e_entry + x->bias);
	aux(v, AT_UID, c->uid);
	aux(v, AT_EUID, c->euid);
	aux(v, AT_GID, c->gid);
	aux(v, AT_EGID, c->egid);
	aux(v, AT_SECURE, x->secure);
	aux(v, AT_RANDOM, random_at);
	aux(v, AT_HWCAP2, exec_hwcap2());
	aux(v, AT_RSEQ_FEATURE_SIZE, RSEQ_FEATURE_SIZE);
	aux(v, AT_RSEQ_ALIGN, RSEQ_ALIGN);
	aux(v, AT_EXECFN, name_at);
	aux(v, AT_PLATFORM, platform_at);
	aux(v, AT_NULL, 0);
}

// The addresses of count strings that lie one after the other from *at on in the prefix and the
// stream.
struct string_walk {
	const struct exec_args *a;
	u64 offset; // in prefix + stream
	u64 addr;
};
static u8 walk_byte(const struct string_walk *w, u64 offset)
{
	if (offset < w->a->prefix_len)
		return (u8)w->a->prefix[offset];
	offset = offset - w->a->prefix_len + w->a->skip;
	return w->a->pages[offset / PAGE_SIZE][offset % PAGE_SIZE];
}
static u64 walk_next(struct string_walk *w)
{
	u64 start = w->offset;
	while (walk_byte(w, w->offset))
		w->offset++;
	w->offset++;
	return w->addr + start;
}

// Puts argc, argv, envp and the auxiliary vector at x->sp and on, through a page-sized buffer.
static int vectors_write(struct exec *x, u64 strings_at, const struct auxv *v)
{
	struct string_walk w = {.a = &x->args, .addr = strings_at};
	struct vm_space *s = x->space;
	u64 *buf = kmalloc(PAGE_SIZE), at = x->sp;
	u32 n = 0, total = 1 + x->args.argc + 1 + x->args.envc + 1 + v->n;
	int r = 0;
	if (!buf)
		return -ENOMEM;
	for (u32 i = 0; i < total && !r; i++) {
		u64 word;
		u32 k = i - 1;
		if (i == 0)
			word = x->args.argc;
		else if (k < x->args.argc)
			word = walk_next(&w);
		else if (k == x->args.argc)
			word = 0, s->env_start = strings_at + w.offset;
		else if (k < x->args.argc + 1 + x->args.envc)
			word = walk_next(&w);
		else if (k == x->args.argc + 1 + x->args.envc)
			word = 0, s->env_end = strings_at + w.offset;
		else
			word = v->at[k - x->args.argc - x->args.envc - 2];
		buf[n++] = word;
		if (n < PAGE_SIZE / sizeof(u64) && i + 1 < total)
			continue;
		if (vm_access_remote(s, at, buf, n * sizeof(u64), true, false) !=
		    (ssize_t)(n * sizeof(u64)))
			r = -ENOMEM;
		at += n * sizeof(u64);
		n = 0;
	}
	kfree(buf);
	return r;
}

int exec_stack_build(struct exec *x)
{
	struct vm_space *s = x->space;
	u64 top = USER_TOP - (x->randomize ? random_u64() % STACK_RANDOM_SPAN & PAGE_MASK : 0), at;
	u64 strings = exec_args_len(&x->args);
	u64 vectors = ((u64)x->args.argc + x->args.envc + 64) * sizeof(u64);
	u64 size = align_up(strings + vectors + 4096 + 128 * KiB, PAGE_SIZE);
	struct vm_map_args a = {
		.addr = top - size,
		.len = size,
		.prot = PROT_READ | PROT_WRITE | (x->executable_stack ? PROT_EXEC : 0),
		.max_prot = PROT_READ | PROT_WRITE | PROT_EXEC,
		.flags = VM_FIXED | VM_GROWSDOWN | VM_STACK,
	};
	int r = vm_map(s, &a, &at);
	if (r)
		return r;
	u64 strings_at = top - 8 - strings;
	struct {
		u64 random[2];
		char platform[16];
	} extra = {.platform = ELF_PLATFORM};
	extra.random[0] = random_u64();
	extra.random[1] = random_u64();
	u64 extra_at = align_down(
		strings_at - sizeof(extra) - (x->randomize ? random_u64() % 8192 : 0), 16);
	u64 words[64];
	struct auxv v = {.at = words, .cap = ARRAY_SIZE(words)};
	auxv_fill(x, &v, extra_at, extra_at + sizeof(extra.random),
		  strings_at + x->args.prefix_len + x->args.name_offset - x->args.skip);
	u64 nwords = 1 + (u64)x->args.argc + 1 + x->args.envc + 1 + v.n;
	x->sp = align_down(extra_at - nwords * sizeof(u64), 16);
	s->arg_start = strings_at;
	s->stack_start = x->sp;
	r = exec_args_write(&x->args, s, strings_at);
	if (!r &&
	    vm_access_remote(s, extra_at, &extra, sizeof(extra), true, false) != sizeof(extra))
		r = -ENOMEM;
	if (!r)
		r = vectors_write(x, strings_at, &v);
	s->arg_end = s->env_start;
	s->auxv_len = v.n * sizeof(u64);
	static_assert(sizeof(words) <= sizeof(s->auxv));
	memcpy(s->auxv, words, s->auxv_len);
	return r;
}

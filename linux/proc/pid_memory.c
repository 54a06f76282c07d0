// SPDX-License-Identifier: MIT
// Owns what a process's files in /proc show of its memory: areas, usage, strings of the first
// stack, and the bytes themselves.
#include "base/string.h"
#include "core/page.h"
#include "core/slab.h"
#include "linux/proc/proc.h"
#include "linux/vm.h"

// ---- maps, smaps ----

constexpr size_t NAME_COLUMN = 73; // where names begin

struct area_names { // what telling areas' names needs, found once
	struct path root;
	char *buf; // PATH_MAX
};

static int names_begin(struct area_names *a)
{
	a->buf = kmalloc(PATH_MAX);
	if (!a->buf)
		return -ENOMEM;
	a->root = (struct path){fs_root_mount, fs_root_mount->root};
	if (current_is_task() && current_task()->fs)
		fs_context_get_paths(current_task()->fs, &a->root, nullptr);
	else
		path_get(&a->root);
	return 0;
}

static void names_end(struct area_names *a)
{
	path_put(&a->root);
	kfree(a->buf);
}

static const char *area_name(struct area_names *n, const struct vm_space *s,
			     const struct vm_area *a)
{
	if (a->file) {
		char *path = d_path_from(&a->file->path, &n->root, n->buf, PATH_MAX);
		return is_err(path) ? "?" : path;
	}
	if (a->flags & VM_SPECIAL)
		return a->start == s->vdso ? "[vdso]" : "[vvar]";
	if (a->flags & VM_BRK)
		return "[heap]";
	if (a->flags & VM_STACK)
		return "[stack]";
	return a->flags & VM_SHARED ? "/dev/zero (deleted)" : nullptr;
}

static void area_line(struct text *t, struct area_names *n, const struct vm_space *s,
		      const struct vm_area *a)
{
	size_t line = t->len;
	u64 dev = a->file ? a->file->inode->sb->dev : 0;
	text_hex(t, a->start, 8, '-');
	text_hex(t, a->end, 8, ' ');
	text_putc(t, a->prot & PROT_READ ? 'r' : '-');
	text_putc(t, a->prot & PROT_WRITE ? 'w' : '-');
	text_putc(t, a->prot & PROT_EXEC ? 'x' : '-');
	text_puts(t, a->flags & VM_SHARED ? "s " : "p ");
	text_hex(t, a->file ? a->offset : 0, 8, ' ');
	text_hex(t, dev_major(dev), 2, ':');
	text_hex(t, dev_minor(dev), 2, ' ');
	text_u64(t, a->file ? a->file->inode->ino : 0, ' ');
	const char *name = area_name(n, s, a);
	if (name) {
		while (t->len - line < NAME_COLUMN && !t->failed)
			text_putc(t, ' ');
		text_escaped(t, name, "\n");
	}
	text_putc(t, '\n');
}

static void kib_line(struct text *t, const char *name, u64 pages)
{
	text_printf(t, "%-16s%8llu kB\n", name, pages * (PAGE_SIZE / KiB));
}

static void usage_lines(struct text *t, const struct vm_usage *u)
{
	kib_line(t, "Rss:", u->present);
	text_printf(t, "%-16s%8llu kB\n", "Pss:", u->share_bytes / KiB);
	kib_line(t, "Shared_Clean:", u->shared - u->shared_dirty);
	kib_line(t, "Shared_Dirty:", u->shared_dirty);
	kib_line(t, "Private_Clean:", u->present - u->shared - (u->dirty - u->shared_dirty));
	kib_line(t, "Private_Dirty:", u->dirty - u->shared_dirty);
	kib_line(t, "Referenced:", u->present);
	kib_line(t, "Anonymous:", u->anon);
	kib_line(t, "LazyFree:", 0);
	kib_line(t, "AnonHugePages:", u->huge);
	kib_line(t, "Swap:", 0);
	kib_line(t, "SwapPss:", 0);
}

static void area_flags(struct text *t, const struct vm_area *a)
{
	static const struct {
		u32 flag;
		const char *name;
	} flags[] = {
		{VM_SHARED, "sh "},	{VM_GROWSDOWN, "gd "}, {VM_LOCKED, "lo "},
		{VM_DONTFORK, "dc "},	{VM_SPECIAL, "de "},   {VM_NORESERVE, "nr "},
		{VM_WIPEONFORK, "wf "}, {VM_DONTDUMP, "dd "},  {VM_HUGE, "hg "},
		{VM_NOHUGE, "nh "},
	};
	text_puts(t, "VmFlags: ");
	text_puts(t, a->prot & PROT_READ ? "rd " : "");
	text_puts(t, a->prot & PROT_WRITE ? "wr " : "");
	text_puts(t, a->prot & PROT_EXEC ? "ex " : "");
	text_puts(t, a->max_prot & PROT_READ ? "mr " : "");
	text_puts(t, a->max_prot & PROT_WRITE ? "mw " : "");
	text_puts(t, a->max_prot & PROT_EXEC ? "me " : "");
	for (u32 i = 0; i < ARRAY_SIZE(flags); i++)
		if (a->flags & flags[i].flag)
			text_puts(t, flags[i].name);
	text_putc(t, '\n');
}

// Calls show for each area under the space's lock.
static int areas_show(struct text *t, struct node *n,
		      void (*show)(struct text *t, struct area_names *names, struct vm_space *s,
				   struct vm_area *a))
{
	struct area_names names;
	struct vm_space *s = node_space(n);
	if (!s)
		return 0;
	int err = names_begin(&names);
	if (!err) {
		read_lock(&s->lock);
		for (struct vm_area *a = vm_area_find_next(s, 0); a; a = vm_area_following(a))
			show(t, &names, s, a);
		read_unlock(&s->lock);
		names_end(&names);
	}
	vm_space_put(s);
	return err;
}

static void map_show(struct text *t, struct area_names *names, struct vm_space *s,
		     struct vm_area *a)
{
	area_line(t, names, s, a);
}

static void smap_show(struct text *t, struct area_names *names, struct vm_space *s,
		      struct vm_area *a)
{
	struct vm_usage u;
	area_line(t, names, s, a);
	vm_area_usage(a, &u);
	kib_line(t, "Size:", (a->end - a->start) / PAGE_SIZE);
	kib_line(t, "KernelPageSize:", 1);
	kib_line(t, "MMUPageSize:", 1);
	usage_lines(t, &u);
	kib_line(t, "Locked:", a->flags & VM_LOCKED ? u.present : 0);
	area_flags(t, a);
}

int pid_show_maps(struct text *t, struct node *n)
{
	return areas_show(t, n, map_show);
}

int pid_show_smaps(struct text *t, struct node *n)
{
	return areas_show(t, n, smap_show);
}

int pid_show_smaps_rollup(struct text *t, struct node *n)
{
	struct vm_usage sum = {}, u;
	struct vm_space *s = node_space(n);
	u64 first = 0, end = 0;
	if (!s)
		return -ESRCH;
	read_lock(&s->lock);
	for (struct vm_area *a = vm_area_find_next(s, 0); a; a = vm_area_following(a)) {
		vm_area_usage(a, &u);
		sum.present += u.present;
		sum.anon += u.anon;
		sum.shared += u.shared;
		sum.dirty += u.dirty;
		sum.shared_dirty += u.shared_dirty;
		sum.share_bytes += u.share_bytes;
		sum.huge += u.huge;
		first = end ? first : a->start;
		end = a->end;
	}
	read_unlock(&s->lock);
	vm_space_put(s);
	text_hex(t, first, 8, '-');
	text_hex(t, end, 8, ' ');
	text_puts(t, "---p 00000000 00:00 0                                  [rollup]\n");
	usage_lines(t, &sum);
	return 0;
}

// ---- strings of the first stack ----

// Appends what lies in [start, end) of the space; stops where it cannot be read.
static void append_memory(struct text *t, struct vm_space *s, u64 start, u64 end)
{
	while (start < end) {
		size_t len = min(end - start, PAGE_SIZE);
		char *at = text_room(t, len);
		ssize_t got = at ? vm_access_remote(s, start, at, len, false, true) : 0;
		if (got <= 0)
			return;
		t->len += (size_t)got;
		start += (u64)got;
		if ((size_t)got < len)
			return;
	}
}

// The arguments; when the program has overwritten their last NUL to show a longer title, the title,
// which reaches into the environment.
int pid_show_cmdline(struct text *t, struct node *n)
{
	struct vm_space *s = node_space(n);
	if (!s)
		return 0;
	u64 end = READ_ONCE(s->arg_end), env_end = READ_ONCE(s->env_end);
	append_memory(t, s, READ_ONCE(s->arg_start), end);
	if (t->len && t->buf[t->len - 1] && env_end > end) {
		append_memory(t, s, end, env_end);
		const char *nul = memchr(t->buf, 0, t->len);
		if (nul)
			t->len = (size_t)(nul - t->buf) + 1;
	}
	vm_space_put(s);
	return 0;
}

int pid_show_environ(struct text *t, struct node *n)
{
	struct vm_space *s = node_space(n);
	if (!s)
		return 0;
	append_memory(t, s, READ_ONCE(s->env_start), READ_ONCE(s->env_end));
	vm_space_put(s);
	return 0;
}

int pid_show_auxv(struct text *t, struct node *n)
{
	struct vm_space *s = node_space(n);
	if (!s)
		return 0;
	text_append(t, (const char *)s->auxv, min(s->auxv_len, (u32)sizeof(s->auxv)));
	vm_space_put(s);
	return 0;
}

// ---- mem: the space as a file; it keeps the space that it was opened on ----

static int mem_open(struct inode *inode, struct file *f)
{
	struct node *n = inode_node(inode);
	if (!process_may_access(n->process, true))
		return -EACCES;
	f->private_data = node_space(n);
	return 0;
}

static void mem_release(struct file *f)
{
	if (f->private_data)
		vm_space_put(f->private_data);
}

static ssize_t mem_transfer(struct file *f, struct io *io, bool write)
{
	struct vm_space *s = f->private_data;
	ssize_t total = 0;
	if (!s || !io->left)
		return 0;
	if (write && s->elevates && s != current_space())
		return -EPERM; // its code may run with privilege
	char *page = kmalloc(PAGE_SIZE);
	if (!page)
		return -ENOMEM;
	while (io->left) {
		size_t len = min(io->left, (size_t)PAGE_SIZE);
		ssize_t done;
		if (write && io_copy_from(io, page, len) < len) {
			total = total ?: -EFAULT;
			break;
		}
		done = vm_access_remote(s, (u64)io->pos, page, len, write, true);
		if (done > 0 && !write)
			done = (ssize_t)io_copy_to(io, page, (size_t)done);
		if (done <= 0) {
			total = total ?: -EIO;
			break;
		}
		io->pos += done;
		total += done;
		if ((size_t)done < len)
			break;
	}
	kfree(page);
	return total;
}

static ssize_t mem_read(struct file *f, struct io *io)
{
	return mem_transfer(f, io, false);
}

static ssize_t mem_write(struct file *f, struct io *io)
{
	return mem_transfer(f, io, true);
}

const struct file_ops pid_mem_ops = {.open = mem_open,
				     .release = mem_release,
				     .read = mem_read,
				     .write = mem_write,
				     .lseek = text_file_lseek};

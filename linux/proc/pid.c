// SPDX-License-Identifier: MIT
// Owns the directory of a process in /proc: its table, its links, its descriptors and threads.
#include "base/fmt.h"
#include "base/string.h"
#include "core/page.h"
#include "linux/cred.h"
#include "linux/proc/proc.h"
#include "linux/vm.h"

struct task *node_task(const struct node *n)
{
	if (!n->tid)
		return process_any_task(n->process);
	struct task *t = task_find(n->tid);
	if (t && t->process != n->process) {
		task_put(t);
		return nullptr;
	}
	return t;
}

struct vm_space *node_space(const struct node *n)
{
	struct task *t = node_task(n);
	if (!t)
		return nullptr;
	struct vm_space *s = task_space_get(t);
	task_put(t);
	// The first thread may have ended before the others.
	return s || n->tid ? s : process_space_get(n->process);
}

// ---- links ----

static int fs_paths(const struct node *n, struct path *root, struct path *cwd)
{
	struct task *t = node_task(n);
	struct fs_context *fs = t ? task_fs_get(t) : nullptr;
	if (t)
		task_put(t);
	if (!fs)
		return -ENOENT;
	fs_context_get_paths(fs, root, cwd);
	fs_context_put(fs);
	return 0;
}

static int jump_cwd(struct node *n, struct path *out)
{
	return fs_paths(n, nullptr, out);
}

static int jump_root(struct node *n, struct path *out)
{
	return fs_paths(n, out, nullptr);
}

static int jump_exe(struct node *n, struct path *out)
{
	struct vm_space *s = node_space(n);
	int err = -ENOENT;
	if (!s)
		return err;
	read_lock(&s->lock);
	if (s->exe) {
		*out = s->exe->path;
		path_get(out);
		err = 0;
	}
	read_unlock(&s->lock);
	vm_space_put(s);
	return err;
}

// ---- descriptors ----

// Looks at a table under the locks that guard it, without a reference: it could be the last one,
// and closing files sleeps, while a directory may be locked here. Returns with both locks held, or
// nullptr.
static struct fd_table *files_lock(const struct node *n, struct task **task)
{
	*task = node_task(n);
	if (!*task)
		return nullptr;
	spin_lock(&n->process->lock);
	struct fd_table *files = (*task)->files;
	if (files)
		return files;
	spin_unlock(&n->process->lock);
	task_put(*task);
	return nullptr;
}

static void files_unlock(const struct node *n, struct task *task)
{
	spin_unlock(&n->process->lock);
	task_put(task);
}

static struct file *node_file(const struct node *n, bool *cloexec)
{
	struct task *task;
	struct fd_table *files = files_lock(n, &task);
	if (!files)
		return nullptr;
	struct file *f = files_get_file(files, (u32)n->id);
	*cloexec = f && files_is_cloexec(files, (u32)n->id);
	files_unlock(n, task);
	return f;
}

static bool fd_next(const struct node *dir, u64 *id)
{
	struct task *task;
	struct fd_table *files = *id < ~0u ? files_lock(dir, &task) : nullptr;
	if (!files)
		return false;
	int fd = files_next_open(files, (u32)*id);
	files_unlock(dir, task);
	if (fd < 0)
		return false;
	*id = (u64)fd;
	return true;
}

// The link's mode tells how the descriptor was opened.
static bool fd_bind(struct node *n)
{
	struct task *task;
	struct fd_table *files = files_lock(n, &task);
	if (!files)
		return false;
	u32 fd = (u32)n->id, mode = 0;
	spin_lock(&files->lock);
	const struct file *f = fd < files->table->size ? files->table->files[fd] : nullptr;
	if (f)
		mode = f->mode;
	spin_unlock(&files->lock);
	files_unlock(n, task);
	if (S_ISLNK(n->inode.mode))
		n->inode.mode =
			S_IFLNK | (mode & FILE_READ ? 0500 : 0) | (mode & FILE_WRITE ? 0300 : 0);
	n->inode.size = 64; // as Linux has it: programs take it for a hint of the text's length
	return f;
}

u32 node_files_size(const struct node *n)
{
	struct task *task;
	struct fd_table *files = files_lock(n, &task);
	if (!files)
		return 0;
	spin_lock(&files->lock);
	u32 size = files->table->size;
	spin_unlock(&files->lock);
	files_unlock(n, task);
	return size;
}

static int jump_fd(struct node *n, struct path *out)
{
	bool cloexec;
	struct file *f = node_file(n, &cloexec);
	if (!f)
		return -ENOENT;
	*out = f->path;
	path_get(out);
	file_put(f);
	return 0;
}

static int show_fdinfo(struct text *t, struct node *n)
{
	char more[512];
	bool cloexec;
	struct file *f = node_file(n, &cloexec);
	if (!f)
		return -ENOENT;
	u32 flags = load_once(&f->flags) | (cloexec ? (u32)O_CLOEXEC : 0) |
		    (f->mode & FILE_PATH ? (u32)O_PATH : 0);
	text_printf(t, "pos:\t%lld\nflags:\t0%o\nmnt_id:\t%u\nino:\t%llu\n", f->pos, flags,
		    f->path.mnt ? f->path.mnt->id : 0, f->inode->ino);
	if (f->ops->fdinfo) {
		int len = f->ops->fdinfo(f, more, sizeof(more));
		if (len > 0)
			text_append(t, more, min((size_t)len, sizeof(more) - 1));
	}
	file_put(f);
	return 0;
}

static const struct entry fd_entry = {"", S_IFLNK | 0700, ENTRY_PTRACE, .jump = jump_fd};
static const struct entry fdinfo_entry = {"", S_IFREG | 0444, ENTRY_PTRACE, .show = show_fdinfo};
static const struct entry_dynamic fds = {.entry = &fd_entry, .next = fd_next, .bind = fd_bind};
static const struct entry_dynamic fdinfos = {
	.entry = &fdinfo_entry, .next = fd_next, .bind = fd_bind};

// ---- small files ----

static int show_comm(struct text *t, struct node *n)
{
	struct task *task = node_task(n);
	text_printf(t, "%.15s\n", task ? task->thread.name : n->process->exit_name);
	if (task)
		task_put(task);
	return 0;
}

// Threads of one process name each other.
static ssize_t store_comm(struct node *n, char *data, size_t len)
{
	if (!current_is_task() || current_process() != n->process)
		return -EINVAL;
	struct task *task = node_task(n);
	if (!task)
		return -ESRCH;
	char name[sizeof(task->thread.name)] = {};
	strscpy(name, data, sizeof(name));
	memcpy(task->thread.name, name, sizeof(name));
	task_put(task);
	return (ssize_t)len;
}

static int show_oom_score_adj(struct text *t, struct node *n)
{
	text_s64(t, READ_ONCE(n->process->oom_score_adj), '\n');
	return 0;
}

static ssize_t store_oom_score_adj(struct node *n, char *data, size_t len)
{
	u64 value;
	bool minus = data[0] == '-';
	int err = store_parse_u64(data + minus, &value);
	if (err || value > 1000)
		return -EINVAL;
	s16 adj = minus ? (s16) - (s16)value : (s16)value;
	if (adj < READ_ONCE(n->process->oom_score_adj) && !capable(CAP_SYS_RESOURCE))
		return -EACCES;
	WRITE_ONCE(n->process->oom_score_adj, adj);
	return (ssize_t)len;
}

// 0..2000 as Linux scales it: thousandths of memory in use, plus the wish, of which two thirds.
static int show_oom_score(struct text *t, struct node *n)
{
	struct page_stats st;
	struct vm_space *s = node_space(n);
	s64 points = 0;
	if (s) {
		page_stats_read(&st);
		u64 pages = atomic_load(&s->mmu.rss_anon) + atomic_load(&s->mmu.rss_file) +
			    atomic_load(&s->mmu.table_pages);
		points = (1000 + (s64)(pages * 1000 / max(st.total, 1ull)) +
			  READ_ONCE(n->process->oom_score_adj)) *
			 2 / 3;
		vm_space_put(s);
	}
	text_s64(t, max(points, (s64)0), '\n');
	return 0;
}

static int show_personality(struct text *t, struct node *n)
{
	struct task *task = node_task(n);
	if (!task)
		return -ESRCH;
	text_printf(t, "%08x\n", task->personality);
	task_put(task);
	return 0;
}

static int show_timer_slack(struct text *t, struct node *n)
{
	struct task *task = node_task(n);
	if (!task)
		return -ESRCH;
	text_u64(t, task->timer_slack_ns, '\n');
	task_put(task);
	return 0;
}

static int show_wchan(struct text *t, struct node *n)
{
	struct task *task = process_may_access(n->process, true) ? node_task(n) : nullptr;
	const char *why = task && atomic_load(&task->thread.state) != THREAD_RUNNABLE
				  ? READ_ONCE(task->thread.wait_reason)
				  : nullptr;
	text_puts(t, why ?: "0");
	if (task)
		task_put(task);
	return 0;
}

static int show_cgroup(struct text *t, struct node *n)
{
	(void)n;
	text_puts(t, "0::/\n"); // there is one group, and all are in it
	return 0;
}

static int show_id_map(struct text *t, struct node *n)
{
	(void)n;
	text_puts(t, "         0          0 4294967295\n");
	return 0;
}

// ---- threads ----

static bool thread_next(const struct node *dir, u64 *id)
{
	u32 tid = (u32)*id;
	struct task *t = *id < PID_MAX_LIMIT ? process_task_next(dir->process, &tid) : nullptr;
	if (!t)
		return false;
	task_put(t);
	*id = tid;
	return true;
}

static bool thread_bind(struct node *n)
{
	n->tid = (u32)n->id;
	struct task *t = node_task(n);
	if (!t)
		return false;
	task_put(t);
	return true;
}

static u32 thread_count(struct node *n)
{
	return 2 + READ_ONCE(n->process->nthreads);
}

static const struct entry thread_entry;
static const struct entry_dynamic threads = {
	.entry = &thread_entry, .next = thread_next, .bind = thread_bind};

// A process's table; its threads' begins with the second row.
static const struct entry pid_entries[] = {
	{"task", S_IFDIR | 0555, .dynamic = &threads, .nlink = thread_count},
	{"auxv", S_IFREG | 0400, ENTRY_PTRACE, .show = pid_show_auxv},
	{"cgroup", S_IFREG | 0444, .show = show_cgroup},
	{"cmdline", S_IFREG | 0444, .show = pid_show_cmdline},
	{"comm", S_IFREG | 0644, .show = show_comm, .store = store_comm},
	{"cwd", S_IFLNK | 0777, ENTRY_PTRACE, .jump = jump_cwd},
	{"environ", S_IFREG | 0400, ENTRY_PTRACE, .show = pid_show_environ},
	{"exe", S_IFLNK | 0777, ENTRY_PTRACE, .jump = jump_exe},
	{"fd", S_IFDIR | 0500, ENTRY_PTRACE, .dynamic = &fds},
	{"fdinfo", S_IFDIR | 0555, ENTRY_PTRACE, .dynamic = &fdinfos},
	{"gid_map", S_IFREG | 0444, .show = show_id_map},
	{"io", S_IFREG | 0400, ENTRY_PTRACE, .show = pid_show_io},
	{"limits", S_IFREG | 0444, .show = pid_show_limits},
	{"maps", S_IFREG | 0444, ENTRY_PTRACE, .show = pid_show_maps},
	{"mem", S_IFREG | 0600, .ops = &pid_mem_ops},
	{"mountinfo", S_IFREG | 0444, .show = pid_show_mountinfo, .ops = &pid_mounts_ops},
	{"mounts", S_IFREG | 0444, .show = pid_show_mounts, .ops = &pid_mounts_ops},
	{"oom_score", S_IFREG | 0444, .show = show_oom_score},
	{"oom_score_adj", S_IFREG | 0644, .show = show_oom_score_adj, .store = store_oom_score_adj},
	{"personality", S_IFREG | 0400, ENTRY_PTRACE, .show = show_personality},
	{"root", S_IFLNK | 0777, ENTRY_PTRACE, .jump = jump_root},
	{"smaps", S_IFREG | 0444, ENTRY_PTRACE, .show = pid_show_smaps},
	{"smaps_rollup", S_IFREG | 0444, ENTRY_PTRACE, .show = pid_show_smaps_rollup},
	{"stat", S_IFREG | 0444, .show = pid_show_stat},
	{"statm", S_IFREG | 0444, .show = pid_show_statm},
	{"status", S_IFREG | 0444, .show = pid_show_status},
	{"timerslack_ns", S_IFREG | 0444, ENTRY_PTRACE, .show = show_timer_slack},
	{"uid_map", S_IFREG | 0444, .show = show_id_map},
	{"wchan", S_IFREG | 0444, .show = show_wchan},
	{},
};
static const struct entry thread_entry = {"", S_IFDIR | 0555, .children = pid_entries + 1};
const struct entry proc_pid_entry = {"", S_IFDIR | 0555, .children = pid_entries};

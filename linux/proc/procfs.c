// SPDX-License-Identifier: MIT
// procfs.c owns the file system type "proc" and its root directory. Privileged.
//
// What is shown is true or not shown: a file whose numbers this kernel does not have does not
// exist, and a field that Linux has and we do not is 0 where the format needs one.
#include "linux/ipc.h"
#include "linux/proc/proc.h"
#include "base/fmt.h"
#include "core/init.h"
#include "linux/misc/kmsg.h"
#include "linux/proc/disks.h"
#include "linux/proc/sysfs.h"

// ---- processes in the root ----

static bool next_process(const struct node *dir, u64 *id)
{
	u32 pid = (u32)*id;
	(void)dir;
	struct process *p = *id < PID_MAX_LIMIT ? process_next(&pid) : nullptr;
	if (!p)
		return false;
	process_put(p);
	*id = pid;
	return true;
}

// Threads are found by their number too, though they are not listed.
static bool bind_process(struct node *n)
{
	n->process = process_find((u32)n->id);
	if (n->process)
		return true;
	struct task *t = n->id < PID_MAX_LIMIT ? task_find((u32)n->id) : nullptr;
	if (!t)
		return false;
	n->process = process_get(t->process);
	n->tid = (u32)n->id;
	task_put(t);
	return true;
}

static const struct entry_dynamic processes = {
	.entry = &proc_pid_entry, .next = next_process, .bind = bind_process};

// ---- links to the reader ----

static const char *link_self(struct node *n, struct link_buf *buf)
{
	(void)n;
	if (!current_is_task())
		return err_ptr(-ENOENT);
	snprintf(buf->text, sizeof(buf->text), "%u", current_pid());
	return buf->text;
}

static const char *link_thread_self(struct node *n, struct link_buf *buf)
{
	(void)n;
	if (!current_is_task())
		return err_ptr(-ENOENT);
	snprintf(buf->text, sizeof(buf->text), "%u/task/%u", current_pid(), current_tid());
	return buf->text;
}

static const char *link_mounts(struct node *n, struct link_buf *buf)
{
	(void)n;
	(void)buf;
	return "self/mounts";
}

static int show_sysv_msg(struct text *t, struct node *n)
{
	(void)n;
	msg_show(t);
	return 0;
}

static int show_sysv_sem(struct text *t, struct node *n)
{
	(void)n;
	sem_show(t);
	return 0;
}

static int show_sysv_shm(struct text *t, struct node *n)
{
	(void)n;
	shm_show(t);
	return 0;
}

static const struct entry sysvipc_entries[] = {
	{"msg", S_IFREG | 0444, .show = show_sysv_msg},
	{"sem", S_IFREG | 0444, .show = show_sysv_sem},
	{"shm", S_IFREG | 0444, .show = show_sysv_shm},
	{},
};

static const struct entry root_entries[] = {
	{"cmdline", S_IFREG | 0444, .show = proc_show_cmdline},
	{"cpuinfo", S_IFREG | 0444, .show = proc_show_cpuinfo},
	{"devices", S_IFREG | 0444, .show = proc_show_devices},
	{"diskstats", S_IFREG | 0444, .show = proc_show_diskstats},
	{"filesystems", S_IFREG | 0444, .show = proc_show_filesystems},
	{"halyard", S_IFDIR | 0555, .children = proc_halyard_entries},
	{"interrupts", S_IFREG | 0444, .show = proc_show_interrupts},
	{"kmsg", S_IFREG | 0400, .ops = &proc_kmsg_ops},
	{"loadavg", S_IFREG | 0444, .show = proc_show_loadavg},
	{"meminfo", S_IFREG | 0444, .show = proc_show_meminfo},
	{"modules", S_IFREG | 0444, .show = proc_show_modules},
	{"mounts", S_IFLNK | 0777, .link = link_mounts},
	{"partitions", S_IFREG | 0444, .show = proc_show_partitions},
	{"self", S_IFLNK | 0777, .link = link_self},
	{"slabinfo", S_IFREG | 0400, .show = proc_show_slabinfo},
	{"stat", S_IFREG | 0444, .show = proc_show_stat},
	{"swaps", S_IFREG | 0444, .show = proc_show_swaps},
	{"sys", S_IFDIR | 0555, .children = proc_sys_entries},
	{"sysvipc", S_IFDIR | 0555, .children = sysvipc_entries},
	{"thread-self", S_IFLNK | 0777, .link = link_thread_self},
	{"uptime", S_IFREG | 0444, .show = proc_show_uptime},
	{"version", S_IFREG | 0444, .show = proc_show_version},
	{"vmstat", S_IFREG | 0444, .show = proc_show_vmstat},
	{},
};
static u32 root_nlink(struct node *n)
{
	return n->inode.nlink + task_count();
}

static const struct entry root = {"/", S_IFDIR | 0555, .children = root_entries,
				  .dynamic = &processes, .nlink = root_nlink};

static int proc_mount(const struct fs_type *type, const char *source, const char *options,
		      u64 flags, struct super_block **out)
{
	static struct super_block *the_tree;
	(void)source;
	(void)options;
	(void)flags;
	return tree_mount(type, &root, &the_tree, out);
}

static struct fs_type proc_type = {.name = "proc", .magic = 0x9fa0, .mount = proc_mount};

static void proc_init(void)
{
	tree_init();
	(void)fs_register(&proc_type); // the names are ours: neither can be taken
	(void)fs_register(&sysfs_type);
}
INITCALL(3, proc_init);

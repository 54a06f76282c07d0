// SPDX-License-Identifier: MIT
// Owns /proc/PID/mounts and mountinfo: the mount table as a process sees it from its root. A change
// wakes who polls.
#include "abi/linux/mount.h"
#include "base/string.h"
#include "core/slab.h"
#include "linux/poll.h"
#include "linux/proc/proc.h"

struct mount_list {
	struct text *text;
	struct path root;
	char *buf; // PATH_MAX
	bool info; // mountinfo rather than mounts
};

static const char blanks[] = " \t\n";

static void mount_flags(struct text *t, u32 flags)
{
	static const struct {
		u32 flag;
		const char *name;
	} names[] = {
		{MS_NOSUID, ",nosuid"},		  {MS_NODEV, ",nodev"},
		{MS_NOEXEC, ",noexec"},		  {MS_NOATIME, ",noatime"},
		{MS_NODIRATIME, ",nodiratime"},	  {MS_RELATIME, ",relatime"},
		{MS_NOSYMFOLLOW, ",nosymfollow"},
	};
	for (u32 i = 0; i < ARRAY_SIZE(names); i++)
		if (flags & names[i].flag)
			text_puts(t, names[i].name);
}

static void super_options(struct mount_list *l, struct super_block *sb)
{
	if (!sb->ops || !sb->ops->show_options)
		return;
	l->buf[0] = 0;
	sb->ops->show_options(sb, l->buf, PATH_MAX);
	text_puts(l->text, l->buf);
}

static bool mount_show(void *ctx, struct mount *m)
{
	struct mount_list *l = ctx;
	struct text *t = l->text;
	struct path at = {.mnt = m, .dentry = m->root};
	size_t line = t->len;
	u32 flags = load_once(&m->flags);
	bool sb_ro = load_once(&m->sb->flags) & SB_RDONLY;

	if (l->info) {
		text_printf(t, "%u %u %u:%u ", m->id, m->parent ? m->parent->id : m->id,
			    dev_major(m->sb->dev), dev_minor(m->sb->dev));
		char *root = dentry_path(m->root, l->buf, PATH_MAX);
		text_escaped(t, is_err(root) ? "?" : root, blanks);
		text_putc(t, ' ');
	} else {
		text_escaped(t, m->source, blanks);
		text_putc(t, ' ');
	}
	char *path = d_path_from(&at, &l->root, l->buf, PATH_MAX);
	if (is_err(path) || path[0] != '/') { // not below the process's root
		t->len = line;
		return true;
	}
	text_escaped(t, path, blanks);
	if (l->info) {
		text_puts(t, flags & MS_RDONLY ? " ro" : " rw");
		mount_flags(t, flags);
		text_printf(t, " - %s ", m->sb->type->name);
		text_escaped(t, m->source, blanks);
		text_puts(t, sb_ro ? " ro" : " rw");
		super_options(l, m->sb);
		text_putc(t, '\n');
		return true;
	}
	text_printf(t, " %s %s", m->sb->type->name, sb_ro || (flags & MS_RDONLY) ? "ro" : "rw");
	super_options(l, m->sb);
	mount_flags(t, flags);
	text_puts(t, " 0 0\n");
	return true;
}

static int mounts_show(struct text *t, struct node *n, bool info)
{
	struct mount_list l = {.text = t, .info = info};
	struct task *task = node_task(n);
	struct fs_context *fs = task ? task_fs_get(task) : nullptr;
	if (task)
		task_put(task);
	if (!fs)
		return -EINVAL; // a zombie has no root
	fs_context_get_paths(fs, &l.root, nullptr);
	fs_context_put(fs);
	l.buf = kmalloc(PATH_MAX);
	if (l.buf)
		mount_for_each(mount_show, &l);
	path_put(&l.root);
	kfree(l.buf);
	return l.buf ? 0 : -ENOMEM;
}

int pid_show_mounts(struct text *t, struct node *n)
{
	return mounts_show(t, n, false);
}

int pid_show_mountinfo(struct text *t, struct node *n)
{
	return mounts_show(t, n, true);
}

static int mounts_open(struct inode *inode, struct file *f)
{
	int err = text_file_open(inode, f);
	if (!err)
		((struct text_file *)f->private_data)->generation = mount_generation();
	return err;
}

// Always readable; POLLERR and POLLPRI tell that the table has changed since the last poll.
static u32 mounts_poll(struct file *f, struct poll_table *table)
{
	struct text_file *tf = f->private_data;
	poll_wait(f, &mount_waiters, table);
	u64 now = mount_generation();
	u32 events = POLLIN | POLLRDNORM;
	if (load_once(&tf->generation) != now) {
		store_once(&tf->generation, now);
		events |= POLLERR | POLLPRI;
	}
	return events;
}

const struct file_ops pid_mounts_ops = {
	.open = mounts_open,
	.release = text_file_release,
	.read = text_file_read,
	.lseek = text_file_lseek,
	.poll = mounts_poll,
};

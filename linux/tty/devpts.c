// SPDX-License-Identifier: MIT
// devpts.c: the file system of pseudo terminals' names, usually at /dev/pts. Privileged.
//
// There is one instance, however often it is mounted; `newinstance` is accepted and means nothing.
#include "abi/linux/fcntl.h"
#include "abi/linux/stat.h"
#include "base/fmt.h"
#include "base/parse.h"
#include "base/string.h"
#include "core/init.h"
#include "core/log.h"
#include "linux/tty/pty_priv.h"

constexpr u64 DEVPTS_MAGIC = 0x1cd1;

static struct super_block *devpts;	 // immutable after boot
static u32 slave_gid, slave_mode = 0600; // of names made from now on; atomic
static bool slave_gid_set;

static int devpts_mount(const struct fs_type *type, const char *source, const char *options,
			u64 flags, struct super_block **out);
static struct fs_type devpts_type = {
	.name = "devpts", .magic = DEVPTS_MAGIC, .mount = devpts_mount};
static const struct inode_ops dir_inode_ops = {}; // names are made by the kernel only
static const struct inode_ops node_inode_ops = {};
static const struct file_ops dir_file_ops = {.iterate = dcache_iterate, .lseek = dcache_dir_lseek};

static void show_options(struct super_block *sb, char *buf, size_t cap)
{
	(void)sb;
	int n = slave_gid_set ? scnprintf(buf, cap, ",gid=%u", slave_gid) : 0;
	(void)scnprintf(buf + n, cap - (size_t)n, ",mode=%03o,ptmxmode=000", slave_mode);
}

static const struct super_ops devpts_super_ops = {.show_options = show_options};

// One of "gid=5,mode=620,...". What is not known is ignored, as long as it is one of devpts' own.
static int option_parse(const char *s, size_t len)
{
	u64 v;

	if (len > 4 && !memcmp(s, "gid=", 4)) {
		if (!parse_u64_prefix(s + 4, len - 4, 10, &v) || v > ~0u)
			return -EINVAL;
		store_once(&slave_gid, (u32)v);
		store_once(&slave_gid_set, true);
	} else if (len > 5 && !memcmp(s, "mode=", 5)) {
		if (!parse_u64_prefix(s + 5, len - 5, 8, &v))
			return -EINVAL;
		store_once(&slave_mode, (u32)v & 0777);
	}
	return 0;
}

static int devpts_mount(const struct fs_type *type, const char *source, const char *options,
			u64 flags, struct super_block **out)
{
	(void)type, (void)source, (void)flags;
	while (options && *options) {
		size_t n = strcspn(options, ",");
		int r = option_parse(options, n);
		if (r)
			return r;
		options += n + (options[n] == ',');
	}
	refcount_inc(&devpts->refs);
	*out = devpts;
	return 0;
}

static struct inode *node_create(u32 mode, u64 dev)
{
	struct inode *i = inode_alloc(devpts, mode);

	if (!i)
		return nullptr;
	i->ops = &node_inode_ops;
	inode_init_special(i, dev);
	return i;
}

int devpts_add(u32 index, struct dentry **out)
{
	char name[16];
	struct inode *i = node_create(S_IFCHR | load_once(&slave_mode), dev_make(MAJOR_PTS, index));

	if (!i)
		return -ENOMEM;
	i->uid = current_cred()->fsuid;
	i->gid = load_once(&slave_gid_set) ? load_once(&slave_gid) : current_cred()->fsgid;
	(void)snprintf(name, sizeof(name), "%u", index);
	return dentry_add(devpts->root, name, i, out);
}

void devpts_remove(struct dentry *d)
{
	dentry_remove(d);
	dentry_put(d);
}

struct file *devpts_open(struct dentry *d, int flags)
{
	struct path dir;
	int r = path_lookup(AT_FDCWD_KERNEL, "/dev/pts", LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &dir);

	if (r)
		return err_ptr(r);
	struct file *f = err_ptr(-ENOENT); // something else is mounted there
	if (dir.dentry->sb == devpts) {
		struct path p = {dir.mnt, d};
		f = file_open_path(&p, flags);
	}
	path_put(&dir);
	return f;
}

static void devpts_start(void)
{
	devpts = super_alloc(&devpts_type, &devpts_super_ops);
	if (!devpts)
		goto fail;
	devpts->flags |= SB_DCACHE_COMPLETE | SB_NOEXEC;
	devpts->magic = DEVPTS_MAGIC;
	struct inode *root = inode_alloc(devpts, S_IFDIR | 0755), *ptmx;
	if (!root)
		goto fail;
	root->ops = &dir_inode_ops;
	root->file_ops = &dir_file_ops;
	root->nlink = 2;
	devpts->root = dentry_alloc_root(devpts, root);
	ptmx = node_create(S_IFCHR, dev_make(5, 2));
	if (!devpts->root || !ptmx || dentry_add(devpts->root, "ptmx", ptmx, nullptr) ||
	    fs_register(&devpts_type))
		goto fail;
	return;
fail:
	panic("devpts: out of memory at boot");
}
INITCALL(3, devpts_start);

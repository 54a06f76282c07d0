// SPDX-License-Identifier: MIT
// mqueue_fs.c: the file system of POSIX message queues' names, usually at /dev/mqueue. Privileged.
//
// There is one. mq_open(2) and mq_unlink(2) work in its root whether it is mounted or not. Names
// are in the dcache only, each pinned, as in tmpfs; the root's lock guards them and `queues`.
#include "linux/ipc/mqueue.h"
#include "abi/linux/fcntl.h"
#include "abi/linux/stat.h"
#include "base/string.h"
#include "core/init.h"
#include "core/panic.h"
#include "linux/notify.h"

constexpr s64 ENTRY_SIZE = 20, FILE_SIZE = 80; // as Linux shows them
constexpr u64 MAXMSG_HARD = 65536, MSGSIZE_HARD = 16777216;

u32 mqueue_max_queues = 256, mqueue_max_messages = 10, mqueue_max_size = 8192;
u32 mqueue_default_messages = 10, mqueue_default_size = 8192;

static struct mount *home; // immutable after init
static u32 queues;	   // the root's lock

static struct inode *root_inode(void)
{
	return home->root->inode;
}

// ---- making ----

static int queue_attr_check(const struct mq_attr *a)
{
	bool may = capable(CAP_SYS_RESOURCE);
	u64 maxmsg = may ? MAXMSG_HARD : load_once(&mqueue_max_messages);
	u64 msgsize = may ? MSGSIZE_HARD : load_once(&mqueue_max_size);
	if (a->maxmsg <= 0 || a->msgsize <= 0 || (u64)a->maxmsg > maxmsg ||
	    (u64)a->msgsize > msgsize)
		return -EINVAL;
	return 0;
}

static struct mq_attr attr_default(void)
{
	return (struct mq_attr){
		.maxmsg = min(load_once(&mqueue_default_messages), load_once(&mqueue_max_messages)),
		.msgsize = min(load_once(&mqueue_default_size), load_once(&mqueue_max_size))};
}

static const struct inode_ops queue_inode_ops = {};

// The root's lock is held; d has no inode yet.
static int queue_create_locked(struct inode *dir, struct dentry *d, u32 mode,
			       const struct mq_attr *given)
{
	struct mq_attr a = given ? *given : attr_default();
	int r = given ? queue_attr_check(given) : 0;
	if (!r)
		r = inode_permission(dir, MAY_WRITE | MAY_EXEC);
	if (!r && queues >= load_once(&mqueue_max_queues) && !capable(CAP_SYS_RESOURCE))
		r = -ENOSPC;
	if (r)
		return r;
	struct mqueue *q = mqueue_make((u64)a.maxmsg, (u64)a.msgsize);
	if (is_err(q))
		return ptr_err(q);
	struct inode *i = inode_alloc(dir->sb, mode);
	if (!i) {
		mqueue_free(q);
		return -ENOMEM;
	}
	inode_init_owner(i, dir, mode);
	i->ops = &queue_inode_ops;
	i->file_ops = &mqueue_ops;
	i->private_data = q;
	i->size = FILE_SIZE;
	queues++;
	dir->size += ENTRY_SIZE;
	dir->mtime = dir->ctime = i->ctime;
	dentry_set_inode(d, i);
	return 0;
}

// open(2) of a new name where it is mounted.
static int mqueue_create(struct inode *dir, struct dentry *d, u32 mode, u64 dev)
{
	(void)dev;
	return S_ISREG(mode) ? queue_create_locked(dir, d, mode, nullptr) : -EPERM;
}

static int mqueue_remove(struct inode *dir, struct dentry *d)
{
	queues--;
	dir->size -= ENTRY_SIZE;
	dir->mtime = dir->ctime = fs_time_now();
	d->inode->ctime = dir->ctime;
	d->inode->nlink--;
	return 0;
}

static const struct inode_ops mqueue_dir_ops = {.create = mqueue_create, .unlink = mqueue_remove};
static const struct file_ops mqueue_dir_file_ops = {.iterate = dcache_iterate,
						    .lseek = dcache_dir_lseek};

// ---- mq_open, mq_unlink ----

// -EACCES: what is no name of a queue.
static int name_check(const char *name)
{
	return strchr(name, '/') || str_equal(name, ".") || str_equal(name, "..") ? -EACCES : 0;
}

static int find_or_create(const char *name, u32 flags, u32 mode, const struct mq_attr *attr,
			  struct dentry **out)
{
	struct inode *dir = root_inode();
	bool made = false;
	mutex_lock(&dir->lock);
	struct dentry *d = dentry_lookup_locked(home->root, name, (u32)strlen(name));
	int r = ptr_err_or_zero(d);
	if (!r && d->inode)
		r = (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL) ? -EEXIST : 0;
	else if (!r && !(flags & O_CREAT))
		r = -ENOENT;
	else if (!r &&
		 !(r = queue_create_locked(dir, d, S_IFREG | fs_mode_masked(mode & 0777), attr)))
		made = true;
	if (!r && !made) {
		static const u32 rights[] = {MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE};
		u32 access = flags & O_ACCMODE;
		r = access > O_RDWR ? -EINVAL : inode_permission(d->inode, rights[access]);
	}
	mutex_unlock(&dir->lock);
	if (r && !is_err(d))
		dentry_put(d);
	if (made)
		notify_name(dir, IN_CREATE, 0, name, (u32)strlen(name));
	*out = d;
	return r;
}

struct file *mqueue_open(const char *name, u32 flags, u32 mode, const struct mq_attr *attr)
{
	struct dentry *d;
	int r = name_check(name);
	if (!r)
		r = find_or_create(name, flags, mode, attr, &d);
	if (r)
		return err_ptr(r);
	mount_get(home);
	struct path p = {.mnt = home, .dentry = d};
	return file_create_on(&p, &mqueue_ops, file_mode_of_flags(flags) | FILE_POS_LOCK,
			      flags & (O_ACCMODE | O_NONBLOCK));
}

int mqueue_unlink(const char *name)
{
	struct path dir = {.mnt = home, .dentry = home->root};
	int r = name_check(name);
	return r ?: fs_remove_in(&dir, name, (u32)strlen(name));
}

// ---- the file system ----

static void mqueue_evict(struct inode *i)
{
	if (i->private_data)
		mqueue_free(i->private_data);
}

static const struct super_ops mqueue_super_ops = {.evict_inode = mqueue_evict};

static int mqueue_mount(const struct fs_type *type, const char *source, const char *options,
			u64 flags, struct super_block **out)
{
	(void)type;
	(void)source;
	(void)options;
	(void)flags;
	refcount_inc(&home->sb->refs);
	*out = home->sb;
	return 0;
}

static struct fs_type mqueue_type = {.name = "mqueue", .magic = 0x19800202, .mount = mqueue_mount};

static void mqueue_fs_init(void)
{
	struct super_block *sb = super_alloc(&mqueue_type, &mqueue_super_ops);
	assert_always(sb);
	sb->flags = SB_DCACHE_COMPLETE;
	struct inode *root = inode_alloc(sb, S_IFDIR | 01777);
	assert_always(root);
	root->ops = &mqueue_dir_ops;
	root->file_ops = &mqueue_dir_file_ops;
	root->nlink = 2;
	root->size = 2 * ENTRY_SIZE;
	sb->root = dentry_alloc_root(sb, root);
	assert_always(sb->root);
	home = mount_create_kernel(sb);
	assert_always(home);
	int err = fs_register(&mqueue_type);
	assert_always(!err);
}
INITCALL(3, mqueue_fs_init);

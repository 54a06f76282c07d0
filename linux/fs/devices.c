// SPDX-License-Identifier: MIT
// devices.c owns the table of device numbers and devtmpfs, the file system of their names.
// Privileged.
//
// A driver registers a number with its operations and, usually, a name; opening any node with that
// number uses the operations. devtmpfs is a tmpfs with one super block that lives for ever; each
// mount of it shows the same tree.
#include "linux/fs/fs_priv.h"
#include "core/init.h"

struct device {
	struct list link; // table lock
	bool block;
	u32 major, first, count;
	const char *name; // nullptr: no node
	u32 mode;
	const struct file_ops *ops;
};

static struct list devices = LIST_INIT(devices);
static spinlock_t devices_lock = SPINLOCK_INIT(LOCK_devices);
static struct super_block *dev_super;

// ---- nodes ----

// The directory or node `name` in dir, made when it is missing: counted dentry or err_ptr.
static struct dentry *dev_make_entry(struct dentry *dir, const char *name, u32 len, u32 mode,
				     u64 dev)
{
	mutex_lock(&dir->inode->lock);
	struct dentry *d = dentry_lookup_locked(dir, name, len);
	if (!is_err(d) && !d->inode) {
		int err = dir->inode->ops->create(dir->inode, d, mode, dev);
		if (err) {
			dentry_put(d);
			d = err_ptr(err);
		} else {
			d->inode->uid = d->inode->gid = 0;
		}
	}
	mutex_unlock(&dir->inode->lock);
	return d;
}

static int dev_make_node(const char *name, u32 mode, u64 dev)
{
	struct dentry *dir = dev_super->root;
	dentry_get(dir);
	for (;;) {
		const char *slash = strchr(name, '/');
		u32 len = (u32)(slash ? (size_t)(slash - name) : strlen(name));
		struct dentry *d = dev_make_entry(dir, name, len, slash ? S_IFDIR | 0755 : mode,
						  slash ? 0 : dev);
		dentry_put(dir);
		if (is_err(d))
			return ptr_err(d);
		if (!slash) {
			dentry_put(d);
			return 0;
		}
		dir = d;
		name = slash + 1;
	}
}

static void dev_remove_node(const char *name)
{
	struct path root = {.dentry = dev_super->root}, p;
	struct mount *m = mount_create_kernel_ref(dev_super);
	if (!m)
		return;
	root.mnt = m;
	if (!path_lookup_from(&root, &root, name, 0, &p)) {
		dentry_remove(p.dentry);
		path_put(&p);
	}
	mount_put(m);
}

// ---- numbers ----

static struct device *device_find_locked(bool block, u32 major, u32 minor)
{
	struct device *d;
	list_for_each_entry(d, &devices, link) {
		if (d->block == block && d->major == major && minor >= d->first &&
		    minor - d->first < d->count)
			return d;
	}
	return nullptr;
}

static int device_register(bool block, u32 major, u32 first, u32 count, const char *name, u32 mode,
			   const struct file_ops *ops, bool node)
{
	struct device *d = kzalloc(sizeof(*d));
	if (!d)
		return -ENOMEM;
	*d = (struct device){.block = block,
			     .major = major,
			     .first = first,
			     .count = count,
			     .mode = mode,
			     .ops = ops};
	d->name = kstrdup(name, NAME_MAX);
	if (!d->name) {
		kfree(d);
		return -ENOMEM;
	}
	if (!node)
		d->mode = 0;
	spin_lock(&devices_lock);
	bool taken = device_find_locked(block, major, first);
	if (!taken)
		list_add_tail(&devices, &d->link);
	spin_unlock(&devices_lock);
	if (taken) {
		kfree((char *)d->name);
		kfree(d);
		return -EBUSY;
	}
	return node ? dev_make_node(name, (block ? S_IFBLK : S_IFCHR) | mode,
				    dev_make(major, first))
		    : 0;
}

int dev_register_char(u32 major, u32 minor, const char *name, u32 mode, const struct file_ops *ops)
{
	return device_register(false, major, minor, 1, name ? name : "", mode, ops, name);
}

int dev_register_char_region(u32 major, u32 first, u32 count, const char *name,
			     const struct file_ops *ops)
{
	return device_register(false, major, first, count, name, 0, ops, false);
}

int dev_register_block(u32 major, u32 minor, const char *name, u32 mode, const struct file_ops *ops)
{
	return device_register(true, major, minor, 1, name ? name : "", mode, ops, name);
}

void dev_unregister(bool block, u32 major, u32 minor, const char *name)
{
	spin_lock(&devices_lock);
	struct device *d = device_find_locked(block, major, minor);
	if (d)
		list_del(&d->link);
	spin_unlock(&devices_lock);
	if (!d)
		return;
	if (name)
		dev_remove_node(name);
	kfree((char *)d->name);
	kfree(d);
}

bool dev_info_get(bool block, u32 index, u32 *major, const char **name)
{
	struct device *d;
	bool found = false;
	spin_lock(&devices_lock);
	list_for_each_entry(d, &devices, link) {
		if (d->block == block && !index--) {
			*major = d->major;
			*name = d->name;
			found = true;
			break;
		}
	}
	spin_unlock(&devices_lock);
	return found;
}

void dev_for_each(void (*fn)(void *ctx, bool block, u32 major, u32 minor, const char *name),
		  void *ctx)
{
	for (u32 index = 0;; index++) {
		struct device *d, copy = {};
		u32 n = index;
		spin_lock(&devices_lock);
		list_for_each_entry(d, &devices, link) {
			if (!n--) {
				copy = *d;
				break;
			}
		}
		spin_unlock(&devices_lock);
		if (!copy.ops)
			return;
		if (copy.mode)
			fn(ctx, copy.block, copy.major, copy.first, copy.name);
	}
}

int device_open(struct inode *inode, struct file *f)
{
	spin_lock(&devices_lock);
	struct device *d = device_find_locked(S_ISBLK(inode->mode), dev_major(inode->rdev),
					      dev_minor(inode->rdev));
	const struct file_ops *ops = d ? d->ops : nullptr;
	spin_unlock(&devices_lock);
	if (!ops)
		return -ENXIO;
	f->ops = ops;
	return ops->open ? ops->open(inode, f) : 0;
}

const struct file_ops char_device_ops = {.open = device_open};
const struct file_ops block_device_ops = {.open = device_open};

// ---- the file system ----

static int devtmpfs_mount(const struct fs_type *t, const char *source, const char *options,
			  u64 flags, struct super_block **out)
{
	(void)t;
	(void)source;
	(void)options;
	(void)flags;
	refcount_inc(&dev_super->refs);
	*out = dev_super;
	return 0;
}

struct fs_type devtmpfs_type = {.name = "devtmpfs", .magic = 0x01021994, .mount = devtmpfs_mount};

void devtmpfs_init(void)
{
	int err = tmpfs_mount_kernel(&devtmpfs_type, 0755, true, &dev_super);
	assert_always(!err);
	(void)fs_register(&devtmpfs_type);
}

// SPDX-License-Identifier: MIT
// memfd.c owns memfd_create: files of a tmpfs that is mounted nowhere. Privileged.
#include "linux/fs/fs_priv.h"
#include "base/fmt.h"
#include "linux/vm.h"

constexpr u32 MEMFD_NAME_MAX = 249;
static struct mount *shm_mount;

static int memfd_describe(struct dentry *d, char *buf, size_t cap)
{
	return snprintf(buf, cap, "/memfd:%s (deleted)", d->name);
}
static const struct dentry_ops memfd_dentry_ops = {.describe = memfd_describe};

static int sysv_describe(struct dentry *d, char *buf, size_t cap)
{
	return snprintf(buf, cap, "/%s (deleted)", d->name);
}
static const struct dentry_ops sysv_dentry_ops = {.describe = sysv_describe};

static struct file *file_create(const char *name, u32 mode, const struct dentry_ops *ops)
{
	char padded[NAME_MAX + 1 + NAME_SLACK] = {};
	strscpy(padded, name, NAME_MAX + 1);
	struct component c = {.name = padded, .len = (u32)strlen(padded)};
	struct inode *i = tmpfs_file_inode(shm_super, mode);
	if (is_err(i))
		return err_cast(i);
	struct dentry *d = dentry_alloc(shm_super, nullptr, &c);
	if (!d) {
		inode_put(i);
		return err_ptr(-ENOMEM);
	}
	d->inode = i;
	d->ops = ops;
	d->flags = DENTRY_UNLINKED | DENTRY_ANONYMOUS;
	mount_get(shm_mount);
	struct path p = {.mnt = shm_mount, .dentry = d};
	struct file *f = file_create_on(
		&p, i->file_ops, FILE_READ | FILE_WRITE | FILE_POS_LOCK | FILE_WRITER, O_RDWR);
	if (!is_err(f))
		atomic_inc(&i->writers);
	return f;
}

// An open, empty file without a name; counted or err_ptr.
struct file *shm_file_create(const char *name, u32 mode)
{
	return file_create(name, mode, &memfd_dentry_ops);
}

struct file *shm_file_create_sysv(u32 key, u64 size_bytes)
{
	char name[16];
	scnprintf(name, sizeof(name), "SYSV%08x", key);
	struct file *f = file_create(name, 0777, &sysv_dentry_ops);
	if (is_err(f))
		return f;
	f->inode->size = (s64)size_bytes;
	vm_object_set_size(f->inode->object, size_bytes);
	return f;
}

SYSCALL(memfd_create, const char __user *uname, u32 flags)
{
	char name[MEMFD_NAME_MAX + 1];
	if (flags & ~(u32)(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC))
		return -EINVAL; // huge pages too
	if ((flags & MFD_NOEXEC_SEAL) && (flags & MFD_EXEC))
		return -EINVAL;
	ssize_t len = copy_string_from_user(name, uname, sizeof(name));
	if (len < 0)
		return len == -ENAMETOOLONG ? -EINVAL : len;
	struct file *f = shm_file_create(name, flags & MFD_NOEXEC_SEAL ? 0666 : 0777);
	if (is_err(f))
		return ptr_err(f);
	int err = 0;
	if (flags & MFD_NOEXEC_SEAL)
		err = tmpfs_add_seals(f, F_SEAL_EXEC);
	else if (!(flags & MFD_ALLOW_SEALING))
		err = tmpfs_add_seals(f, F_SEAL_SEAL);
	if (err) {
		file_put(f);
		return err;
	}
	return fd_install_new(f, flags & MFD_CLOEXEC ? O_CLOEXEC : 0);
}

void memfd_init(void)
{
	shm_mount = mount_create_kernel(shm_super);
	assert_always(shm_mount);
}

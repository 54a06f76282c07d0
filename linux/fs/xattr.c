// SPDX-License-Identifier: MIT
// xattr.c owns the calls on extended attributes. Privileged.
#include "linux/fs/fs_priv.h"
#include "linux/notify.h"

static int name_from_user(char name[XATTR_NAME_MAX + 1], const char __user *uname)
{
	ssize_t len = copy_string_from_user(name, uname, XATTR_NAME_MAX + 1);
	if (len == -ENAMETOOLONG || !len)
		return -ERANGE;
	return len < 0 ? (int)len : 0;
}

// Rights for a name: trusted needs CAP_SYS_ADMIN, user follows the file's mode.
static int xattr_permission(const struct path *p, const char *name, u32 mask)
{
	struct inode *i = p->dentry->inode;
	if (mask & MAY_WRITE) {
		int err = path_check_write(p);
		if (err)
			return err;
		if (i->flags & (INODE_IMMUTABLE | INODE_APPEND))
			return -EPERM;
	}
	if (str_starts_with(name, "trusted."))
		return capable(CAP_SYS_ADMIN) ? 0 : mask & MAY_WRITE ? -EPERM : -ENODATA;
	if (str_starts_with(name, "security."))
		return !(mask & MAY_WRITE) || capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
	if (!str_starts_with(name, "user."))
		return 0;
	if (S_ISDIR(i->mode) && (i->mode & S_ISVTX) && (mask & MAY_WRITE) &&
	    !inode_owner_or_capable(i))
		return -EPERM;
	return inode_permission(i, mask);
}

static long xattr_set(const struct path *p, const char __user *uname, const void __user *uvalue,
		      size_t len, int flags)
{
	char name[XATTR_NAME_MAX + 1];
	struct inode *i = p->dentry->inode;
	if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	int err = name_from_user(name, uname);
	if (err)
		return err;
	if (len > XATTR_SIZE_MAX)
		return -E2BIG;
	err = xattr_permission(p, name, MAY_WRITE);
	if (err)
		return err;
	if (!i->ops || !i->ops->xattr_set)
		return -EOPNOTSUPP;
	void *value = kmalloc(max(len, (size_t)1));
	if (!value)
		return -ENOMEM;
	err = len ? copy_from_user(value, uvalue, len) : 0;
	if (!err)
		err = i->ops->xattr_set(i, name, value, len, (u32)flags);
	kfree(value);
	if (!err)
		notify_dentry(p->dentry, IN_ATTRIB);
	return err;
}

static long xattr_get(const struct path *p, const char __user *uname, void __user *uvalue,
		      size_t len)
{
	char name[XATTR_NAME_MAX + 1];
	struct inode *i = p->dentry->inode;
	int err = name_from_user(name, uname);
	if (!err)
		err = xattr_permission(p, name, MAY_READ);
	if (err)
		return err;
	if (!i->ops || !i->ops->xattr_get)
		return -EOPNOTSUPP;
	len = min(len, (size_t)XATTR_SIZE_MAX);
	void *value = len ? kmalloc(len) : nullptr;
	if (len && !value)
		return -ENOMEM;
	ssize_t n = i->ops->xattr_get(i, name, value, len);
	if (n > 0 && len && copy_to_user(uvalue, value, (size_t)n))
		n = -EFAULT;
	kfree(value);
	return n;
}

static long xattr_list(const struct path *p, char __user *ulist, size_t len)
{
	struct inode *i = p->dentry->inode;
	if (!i->ops || !i->ops->xattr_list)
		return 0;
	len = min(len, (size_t)XATTR_LIST_MAX);
	char *list = len ? kmalloc(len) : nullptr;
	if (len && !list)
		return -ENOMEM;
	ssize_t n = i->ops->xattr_list(i, list, len);
	if (n > 0 && len && copy_to_user(ulist, list, (size_t)n))
		n = -EFAULT;
	kfree(list);
	return n;
}

static long xattr_remove(const struct path *p, const char __user *uname)
{
	char name[XATTR_NAME_MAX + 1];
	struct inode *i = p->dentry->inode;
	int err = name_from_user(name, uname);
	if (!err)
		err = xattr_permission(p, name, MAY_WRITE);
	if (err)
		return err;
	if (!i->ops || !i->ops->xattr_set)
		return -EOPNOTSUPP;
	err = i->ops->xattr_set(i, name, nullptr, 0, XATTR_REPLACE);
	if (!err)
		notify_dentry(p->dentry, IN_ATTRIB);
	return err;
}

// Each call in its three forms: by name, by name without following, by descriptor.
#define BY_NAME(lookup, action)                                  \
	struct path p;                                           \
	long res = path_lookup_user(AT_FDCWD, path, lookup, &p); \
	if (!res) {                                              \
		res = action;                                    \
		path_put(&p);                                    \
	}                                                        \
	return res

#define BY_FD(action)                         \
	struct fdref r = fd_get(fd);          \
	long res = -EBADF;                    \
	if (r.file) {                         \
		struct path p = r.file->path; \
		res = action;                 \
	}                                     \
	fd_put(r);                            \
	return res

SYSCALL(setxattr, const char __user *path, const char __user *name, const void __user *value,
	size_t len, int flags)
{
	BY_NAME(LOOKUP_FOLLOW, xattr_set(&p, name, value, len, flags));
}

SYSCALL(lsetxattr, const char __user *path, const char __user *name, const void __user *value,
	size_t len, int flags)
{
	BY_NAME(0, xattr_set(&p, name, value, len, flags));
}

SYSCALL(fsetxattr, int fd, const char __user *name, const void __user *value, size_t len, int flags)
{
	BY_FD(xattr_set(&p, name, value, len, flags));
}

SYSCALL(getxattr, const char __user *path, const char __user *name, void __user *value, size_t len)
{
	BY_NAME(LOOKUP_FOLLOW, xattr_get(&p, name, value, len));
}

SYSCALL(lgetxattr, const char __user *path, const char __user *name, void __user *value, size_t len)
{
	BY_NAME(0, xattr_get(&p, name, value, len));
}

SYSCALL(fgetxattr, int fd, const char __user *name, void __user *value, size_t len)
{
	BY_FD(xattr_get(&p, name, value, len));
}

SYSCALL(listxattr, const char __user *path, char __user *list, size_t len)
{
	BY_NAME(LOOKUP_FOLLOW, xattr_list(&p, list, len));
}

SYSCALL(llistxattr, const char __user *path, char __user *list, size_t len)
{
	BY_NAME(0, xattr_list(&p, list, len));
}

SYSCALL(flistxattr, int fd, char __user *list, size_t len)
{
	BY_FD(xattr_list(&p, list, len));
}

SYSCALL(removexattr, const char __user *path, const char __user *name)
{
	BY_NAME(LOOKUP_FOLLOW, xattr_remove(&p, name));
}

SYSCALL(lremovexattr, const char __user *path, const char __user *name)
{
	BY_NAME(0, xattr_remove(&p, name));
}

SYSCALL(fremovexattr, int fd, const char __user *name)
{
	BY_FD(xattr_remove(&p, name));
}

// Handles would have to outlive names; the file systems in memory give none, and ours say so for
// all.
SYSCALL(name_to_handle_at, int dirfd, const char __user *name, void __user *handle,
	void __user *mount_id, int flags)
{
	(void)dirfd;
	(void)name;
	(void)handle;
	(void)mount_id;
	return flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH) ? -EINVAL : -EOPNOTSUPP;
}

// SPDX-License-Identifier: MIT
// tmpfs_xattr.c owns the extended attributes of tmpfs, a list at each inode. Privileged.
#include "linux/fs/tmpfs_priv.h"

struct xattr {
	struct list link;
	u32 len;
	char *value;
	char name[];
};

static bool xattr_allowed(const struct inode *i, const char *name)
{
	if (str_starts_with(name, "user."))
		return S_ISREG(i->mode) || S_ISDIR(i->mode);
	return str_starts_with(name, "trusted.") || str_starts_with(name, "security.");
}

static struct xattr *xattr_find(struct tmpfs_inode *t, const char *name)
{
	struct xattr *x;
	list_for_each_entry(x, &t->xattrs, link) {
		if (str_equal(x->name, name))
			return x;
	}
	return nullptr;
}

ssize_t tmpfs_xattr_get(struct inode *i, const char *name, void *value, size_t len)
{
	ssize_t n = -ENODATA;
	if (!xattr_allowed(i, name))
		return str_starts_with(name, "user.") ? -ENODATA : -EOPNOTSUPP;
	mutex_lock(&i->lock);
	struct xattr *x = xattr_find(tmpfs_i(i), name);
	if (x) {
		n = x->len;
		if (len && x->len > len)
			n = -ERANGE;
		else if (len)
			memcpy(value, x->value, x->len);
	}
	mutex_unlock(&i->lock);
	return n;
}

static struct xattr *xattr_make(const char *name, const void *value, size_t len)
{
	size_t name_len = strlen(name) + 1;
	struct xattr *x = kmalloc(sizeof(*x) + name_len);
	if (!x)
		return nullptr;
	x->len = (u32)len;
	x->value = kmalloc(max(len, (size_t)1));
	if (!x->value) {
		kfree(x);
		return nullptr;
	}
	memcpy(x->name, name, name_len);
	memcpy(x->value, value, len);
	return x;
}

static void xattr_free(struct xattr *x)
{
	kfree(x->value);
	kfree(x);
}

void tmpfs_xattr_free_all(struct tmpfs_inode *t)
{
	struct xattr *x, *next;
	list_for_each_entry_safe(x, next, &t->xattrs, link)
		xattr_free(x);
}

int tmpfs_xattr_set(struct inode *i, const char *name, const void *value, size_t len, u32 flags)
{
	struct tmpfs_inode *t = tmpfs_i(i);
	if (!xattr_allowed(i, name))
		return str_starts_with(name, "user.") ? -EPERM : -EOPNOTSUPP;
	struct xattr *new = value ? xattr_make(name, value, len) : nullptr, *old;
	if (value && !new)
		return -ENOMEM;
	mutex_lock(&i->lock);
	old = xattr_find(t, name);
	int err = old				      ? (flags & XATTR_CREATE ? -EEXIST : 0)
		  : (flags & XATTR_REPLACE) || !value ? -ENODATA
						      : 0;
	if (!err) {
		if (old) {
			list_del(&old->link);
			xattr_free(old);
		}
		if (new)
			list_add_tail(&t->xattrs, &new->link);
		i->ctime = fs_time_now();
		new = nullptr;
	}
	mutex_unlock(&i->lock);
	if (new)
		xattr_free(new);
	return err;
}

ssize_t tmpfs_xattr_list(struct inode *i, char *names, size_t len)
{
	struct xattr *x;
	size_t used = 0;
	bool trusted = capable(CAP_SYS_ADMIN);
	mutex_lock(&i->lock);
	list_for_each_entry(x, &tmpfs_i(i)->xattrs, link) {
		size_t n = strlen(x->name) + 1;
		if (str_starts_with(x->name, "trusted.") && !trusted)
			continue;
		if (len && used + n <= len)
			memcpy(names + used, x->name, n);
		used += n;
	}
	mutex_unlock(&i->lock);
	return len && used > len ? -ERANGE : (ssize_t)used;
}

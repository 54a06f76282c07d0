// SPDX-License-Identifier: MIT
// Owns the system calls that show and change user ids, group ids and capabilities.
#include "abi/linux/capability.h"
#include "base/sort.h"
#include "core/uaccess.h"
#include "linux/process/process.h"
#include "linux/syscalls.h"

constexpr u32 UNCHANGED = ~0u;

SYSCALL(getuid, void)
{
	return current_cred()->uid;
}
SYSCALL(geteuid, void)
{
	return current_cred()->euid;
}
SYSCALL(getgid, void)
{
	return current_cred()->gid;
}
SYSCALL(getegid, void)
{
	return current_cred()->egid;
}

SYSCALL(getresuid, u32 __user *r, u32 __user *e, u32 __user *s)
{
	const struct cred *c = current_cred();
	return put_user(c->uid, r) || put_user(c->euid, e) || put_user(c->suid, s) ? -EFAULT : 0;
}

SYSCALL(getresgid, u32 __user *r, u32 __user *e, u32 __user *s)
{
	const struct cred *c = current_cred();
	return put_user(c->gid, r) || put_user(c->egid, e) || put_user(c->sgid, s) ? -EFAULT : 0;
}

// What a change of user ids does to capabilities (capabilities(7), "Effect of user ID changes").
static void caps_follow_uids(struct cred *c, const struct cred *old)
{
	if (c->securebits & SECBIT_NO_SETUID_FIXUP)
		return;
	bool was_root = !old->uid || !old->euid || !old->suid,
	     is_root = !c->uid || !c->euid || !c->suid;
	if (was_root && !is_root) {
		if (!(c->securebits & SECBIT_KEEP_CAPS)) {
			c->cap_permitted = 0;
			c->cap_effective = 0;
		}
		c->cap_ambient = 0;
	}
	if (!old->euid && c->euid)
		c->cap_effective = 0;
	if (old->euid && !c->euid)
		c->cap_effective = c->cap_permitted;
}

static long finish_uids(struct cred *c, u32 uid)
{
	if (uid != c->uid || c->user->uid != uid) {
		int r = cred_set_user(c, uid);
		if (r) {
			cred_abort(c);
			return r;
		}
	}
	caps_follow_uids(c, current_cred());
	cred_commit(c);
	return 0;
}

SYSCALL(setuid, u32 uid)
{
	const struct cred *old = current_cred();
	u32 real = old->uid;
	if (uid == UNCHANGED)
		return -EINVAL;
	struct cred *c = cred_prepare();
	if (!c)
		return -ENOMEM;
	if (capable(CAP_SETUID)) {
		c->suid = uid;
		real = uid;
	} else if (uid != old->uid && uid != old->suid) {
		cred_abort(c);
		return -EPERM;
	}
	c->euid = c->fsuid = uid;
	return finish_uids(c, real);
}

SYSCALL(setgid, u32 gid)
{
	const struct cred *old = current_cred();
	if (gid == UNCHANGED)
		return -EINVAL;
	struct cred *c = cred_prepare();
	if (!c)
		return -ENOMEM;
	if (capable(CAP_SETGID)) {
		c->gid = c->sgid = gid;
	} else if (gid != old->gid && gid != old->sgid) {
		cred_abort(c);
		return -EPERM;
	}
	c->egid = c->fsgid = gid;
	cred_commit(c);
	return 0;
}

// What a process may do with one of its ids without a capability: leave it, or make it one of
// these.
static bool keeps_or_takes(u32 id, u32 a, u32 b, u32 c)
{
	return id == UNCHANGED || id == a || id == b || id == c;
}

SYSCALL(setreuid, u32 r, u32 e)
{
	const struct cred *old = current_cred();
	if (!capable(CAP_SETUID) && !(keeps_or_takes(r, old->uid, old->euid, old->euid) &&
				      keeps_or_takes(e, old->uid, old->euid, old->suid)))
		return -EPERM;
	struct cred *c = cred_prepare();
	if (!c)
		return -ENOMEM;
	if (e != UNCHANGED)
		c->euid = e;
	if (r != UNCHANGED || (e != UNCHANGED && e != old->uid))
		c->suid = c->euid;
	c->fsuid = c->euid;
	return finish_uids(c, r != UNCHANGED ? r : old->uid);
}

SYSCALL(setregid, u32 r, u32 e)
{
	const struct cred *old = current_cred();
	if (!capable(CAP_SETGID) && !(keeps_or_takes(r, old->gid, old->egid, old->egid) &&
				      keeps_or_takes(e, old->gid, old->egid, old->sgid)))
		return -EPERM;
	struct cred *c = cred_prepare();
	if (!c)
		return -ENOMEM;
	if (r != UNCHANGED)
		c->gid = r;
	if (e != UNCHANGED)
		c->egid = e;
	if (r != UNCHANGED || (e != UNCHANGED && e != old->gid))
		c->sgid = c->egid;
	c->fsgid = c->egid;
	cred_commit(c);
	return 0;
}

SYSCALL(setresuid, u32 r, u32 e, u32 s)
{
	const struct cred *old = current_cred();
	if (!capable(CAP_SETUID) && !(keeps_or_takes(r, old->uid, old->euid, old->suid) &&
				      keeps_or_takes(e, old->uid, old->euid, old->suid) &&
				      keeps_or_takes(s, old->uid, old->euid, old->suid)))
		return -EPERM;
	struct cred *c = cred_prepare();
	if (!c)
		return -ENOMEM;
	if (e != UNCHANGED)
		c->euid = e;
	if (s != UNCHANGED)
		c->suid = s;
	c->fsuid = c->euid;
	return finish_uids(c, r != UNCHANGED ? r : old->uid);
}

SYSCALL(setresgid, u32 r, u32 e, u32 s)
{
	const struct cred *old = current_cred();
	if (!capable(CAP_SETGID) && !(keeps_or_takes(r, old->gid, old->egid, old->sgid) &&
				      keeps_or_takes(e, old->gid, old->egid, old->sgid) &&
				      keeps_or_takes(s, old->gid, old->egid, old->sgid)))
		return -EPERM;
	struct cred *c = cred_prepare();
	if (!c)
		return -ENOMEM;
	if (r != UNCHANGED)
		c->gid = r;
	if (e != UNCHANGED)
		c->egid = e;
	if (s != UNCHANGED)
		c->sgid = s;
	c->fsgid = c->egid;
	cred_commit(c);
	return 0;
}

constexpr u64 FS_CAPS = 1ull << CAP_CHOWN | 1ull << CAP_DAC_OVERRIDE | 1ull << CAP_DAC_READ_SEARCH |
			1ull << CAP_FOWNER | 1ull << CAP_FSETID | 1ull << CAP_LINUX_IMMUTABLE |
			1ull << CAP_MKNOD | 1ull << CAP_MAC_OVERRIDE;

// Both return the id before, whether or not it changed.
SYSCALL(setfsuid, u32 uid)
{
	const struct cred *old = current_cred();
	u32 before = old->fsuid;
	if (uid == before ||
	    (uid != old->uid && uid != old->euid && uid != old->suid && !capable(CAP_SETUID)) ||
	    uid == UNCHANGED)
		return before;
	struct cred *c = cred_prepare();
	if (!c)
		return before;
	c->fsuid = uid;
	if (!(c->securebits & SECBIT_NO_SETUID_FIXUP)) {
		if (!before && uid)
			c->cap_effective &= ~FS_CAPS;
		if (before && !uid)
			c->cap_effective |= c->cap_permitted & FS_CAPS;
	}
	cred_commit(c);
	return before;
}

SYSCALL(setfsgid, u32 gid)
{
	const struct cred *old = current_cred();
	u32 before = old->fsgid;
	if (gid == before ||
	    (gid != old->gid && gid != old->egid && gid != old->sgid && !capable(CAP_SETGID)) ||
	    gid == UNCHANGED)
		return before;
	struct cred *c = cred_prepare();
	if (!c)
		return before;
	c->fsgid = gid;
	cred_commit(c);
	return before;
}

SYSCALL(getgroups, int size, u32 __user *list)
{
	const struct group_list *g = current_cred()->groups;
	int n = g ? (int)g->n : 0;
	if (size < 0)
		return -EINVAL;
	if (!size)
		return n;
	if (size < n)
		return -EINVAL;
	if (n && copy_to_user(list, g->gid, (size_t)n * sizeof(u32)))
		return -EFAULT;
	return n;
}

static int gid_compare(const void *a, const void *b, void *ctx)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;
	(void)ctx;
	return x < y ? -1 : x > y;
}

SYSCALL(setgroups, int size, const u32 __user *list)
{
	if (!capable(CAP_SETGID))
		return -EPERM;
	if (size < 0 || (u32)size > NGROUPS_MAX)
		return -EINVAL;
	struct group_list *g = nullptr;
	if (size) {
		g = kmalloc(sizeof(*g) + (size_t)size * sizeof(u32));
		if (!g)
			return -ENOMEM;
		refcount_set(&g->refs, 1);
		g->n = (u32)size;
		if (copy_from_user(g->gid, list, (size_t)size * sizeof(u32))) {
			kfree(g);
			return -EFAULT;
		}
		sort(g->gid, g->n, sizeof(u32), gid_compare, nullptr);
	}
	struct cred *c = cred_prepare();
	if (!c) {
		kfree(g);
		return -ENOMEM;
	}
	if (c->groups && refcount_dec_and_test(&c->groups->refs))
		kfree(c->groups);
	c->groups = g;
	cred_commit(c);
	return 0;
}

// ---- capabilities: versions 1 (one word) and 2 or 3 (two words) ----

static int cap_header(struct linux_cap_header __user *uh, struct linux_cap_header *h, u32 *words)
{
	if (copy_from_user(h, uh, sizeof(*h)))
		return -EFAULT;
	switch (h->version) {
	case LINUX_CAPABILITY_VERSION_1:
		*words = 1;
		return 0;
	case LINUX_CAPABILITY_VERSION_2:
	case LINUX_CAPABILITY_VERSION_3:
		*words = 2;
		return 0;
	}
	if (put_user(LINUX_CAPABILITY_VERSION_3, &uh->version))
		return -EFAULT;
	return -EINVAL;
}

SYSCALL(capget, struct linux_cap_header __user *uh, struct linux_cap_data __user *udata)
{
	struct linux_cap_header h;
	struct linux_cap_data d[2];
	u32 words;
	int r = cap_header(uh, &h, &words);
	if (r)
		return r == -EINVAL && !udata ? 0 : r;
	if (h.pid < 0)
		return -EINVAL;
	const struct cred *c;
	if (h.pid && (u32)h.pid != current_tid()) {
		struct task *t = task_find((u32)h.pid);
		if (!t)
			return -ESRCH;
		c = task_cred_get(t);
		task_put(t);
	} else {
		c = cred_get(current_cred());
	}
	for (u32 i = 0; i < 2; i++)
		d[i] = (struct linux_cap_data){(u32)(c->cap_effective >> 32 * i),
					       (u32)(c->cap_permitted >> 32 * i),
					       (u32)(c->cap_inheritable >> 32 * i)};
	cred_put(c);
	return udata ? copy_to_user(udata, d, words * sizeof(d[0])) : 0;
}

SYSCALL(capset, struct linux_cap_header __user *uh, const struct linux_cap_data __user *udata)
{
	struct linux_cap_header h;
	struct linux_cap_data d[2] = {};
	u32 words;
	int r = cap_header(uh, &h, &words);
	if (r)
		return r;
	if (h.pid && (u32)h.pid != current_tid())
		return -EPERM;
	if (copy_from_user(d, udata, words * sizeof(d[0])))
		return -EFAULT;
	u64 effective = (d[0].effective | (u64)d[1].effective << 32) & CAP_ALL;
	u64 permitted = (d[0].permitted | (u64)d[1].permitted << 32) & CAP_ALL;
	u64 inheritable = (d[0].inheritable | (u64)d[1].inheritable << 32) & CAP_ALL;
	const struct cred *old = current_cred();
	if ((inheritable & ~(old->cap_inheritable | old->cap_permitted) && !capable(CAP_SETPCAP)) ||
	    (inheritable & ~(old->cap_inheritable | old->cap_bset)) ||
	    (permitted & ~old->cap_permitted) || (effective & ~permitted))
		return -EPERM;
	struct cred *c = cred_prepare();
	if (!c)
		return -ENOMEM;
	c->cap_effective = effective;
	c->cap_permitted = permitted;
	c->cap_inheritable = inheritable;
	c->cap_ambient &= permitted & inheritable;
	cred_commit(c);
	return 0;
}

// SPDX-License-Identifier: MIT
// Owns prctl and personality: small settings of a task or a process.
#include "abi/linux/capability.h"
#include "abi/linux/prctl.h"
#include "base/string.h"
#include "core/uaccess.h"
#include "linux/process/process.h"
#include "linux/process/seccomp.h"
#include "linux/syscalls.h"

static long name_set(const char __user *uname)
{
	char name[sizeof(current()->name)] = {};
	ssize_t n = copy_string_from_user(name, uname, sizeof(name) - 1);
	if (n < 0 && n != -ENAMETOOLONG)
		return n;
	if (n >= 0)
		memset(name + n, 0, sizeof(name) - (size_t)n);
	memcpy(current()->name, name, sizeof(name));
	return 0;
}

static long securebits_set(u64 bits)
{
	constexpr u64 locks = 0xaa, all = 0xff;
	const struct cred *old = current_cred();
	if ((bits & ~all) || ((old->securebits & locks) >> 1 & (old->securebits ^ bits)) ||
	    (old->securebits & locks & ~bits) || !capable(CAP_SETPCAP))
		return -EPERM;
	struct cred *c = cred_prepare();
	if (!c)
		return -ENOMEM;
	c->securebits = (u32)bits;
	cred_commit(c);
	return 0;
}

static long keepcaps_set(u64 on)
{
	if (on > 1)
		return -EINVAL;
	if (current_cred()->securebits & SECBIT_KEEP_CAPS_LOCKED)
		return -EPERM;
	struct cred *c = cred_prepare();
	if (!c)
		return -ENOMEM;
	c->securebits =
		on ? c->securebits | SECBIT_KEEP_CAPS : c->securebits & ~(u32)SECBIT_KEEP_CAPS;
	cred_commit(c);
	return 0;
}

static long capbset_drop(u64 cap)
{
	if (!capable(CAP_SETPCAP))
		return -EPERM;
	if (cap >= CAP_COUNT)
		return -EINVAL;
	struct cred *c = cred_prepare();
	if (!c)
		return -ENOMEM;
	c->cap_bset &= ~BIT(cap);
	cred_commit(c);
	return 0;
}

static long ambient(u64 what, u64 cap)
{
	const struct cred *old = current_cred();
	if (what == PR_CAP_AMBIENT_CLEAR_ALL ? cap != 0 : cap >= CAP_COUNT)
		return -EINVAL;
	if (what == PR_CAP_AMBIENT_IS_SET)
		return old->cap_ambient >> cap & 1;
	if (what == PR_CAP_AMBIENT_RAISE &&
	    (!(old->cap_permitted & old->cap_inheritable & BIT(cap)) ||
	     (old->securebits & SECBIT_NO_CAP_AMBIENT_RAISE)))
		return -EPERM;
	if (what < PR_CAP_AMBIENT_IS_SET || what > PR_CAP_AMBIENT_CLEAR_ALL)
		return -EINVAL;
	struct cred *c = cred_prepare();
	if (!c)
		return -ENOMEM;
	if (what == PR_CAP_AMBIENT_CLEAR_ALL)
		c->cap_ambient = 0;
	else if (what == PR_CAP_AMBIENT_RAISE)
		c->cap_ambient |= BIT(cap);
	else
		c->cap_ambient &= ~BIT(cap);
	cred_commit(c);
	return 0;
}

// Descendants' orphans may look for a subreaper among their ancestors from now on.
static void subreaper_set(struct process *me, bool on)
{
	tree_lock();
	me->is_subreaper = on;
	if (on) {
		struct process *c;
		list_for_each_entry(c, &me->children, sibling)
			c->has_subreaper = true;
	}
	tree_unlock();
}

SYSCALL(prctl, int option, u64 a2, u64 a3, u64 a4, u64 a5)
{
	struct task *t = current_task();
	struct process *p = t->process;
	switch (option) {
	case PR_SET_PDEATHSIG:
		if (a2 > SIGRTMAX)
			return -EINVAL;
		t->pdeath_signal = (u32)a2;
		return 0;
	case PR_GET_PDEATHSIG:
		return put_user(t->pdeath_signal, user_ptr(u32, a2));
	case PR_GET_DUMPABLE:
		return task_space(t)->dumpable;
	case PR_SET_DUMPABLE:
		if (a2 > 1)
			return -EINVAL;
		task_space(t)->dumpable = a2;
		return 0;
	case PR_GET_KEEPCAPS:
		return !!(current_cred()->securebits & SECBIT_KEEP_CAPS);
	case PR_SET_KEEPCAPS:
		return keepcaps_set(a2);
	case PR_GET_TIMING:
		return 0;
	case PR_SET_TIMING:
		return a2 ? -EINVAL : 0;
	case PR_SET_NAME:
		return name_set(user_ptr(const char, a2));
	case PR_GET_NAME:
		return copy_to_user(user_ptr(char, a2), t->thread.name, sizeof(t->thread.name));
	case PR_GET_SECCOMP:
		return t->seccomp_mode;
	case PR_SET_SECCOMP:
		return seccomp_prctl(a2, a3);
	case PR_CAPBSET_READ:
		return a2 < CAP_COUNT ? (long)(current_cred()->cap_bset >> a2 & 1) : -EINVAL;
	case PR_CAPBSET_DROP:
		return capbset_drop(a2);
	case PR_GET_SECUREBITS:
		return current_cred()->securebits;
	case PR_SET_SECUREBITS:
		return securebits_set(a2);
	case PR_SET_TIMERSLACK:
		t->timer_slack_ns = (s64)a2 <= 0 ? 50000 : a2;
		return 0;
	case PR_GET_TIMERSLACK:
		return (long)t->timer_slack_ns;
	case PR_SET_CHILD_SUBREAPER:
		subreaper_set(p, a2);
		return 0;
	case PR_GET_CHILD_SUBREAPER:
		return put_user((int)p->is_subreaper, user_ptr(int, a2));
	case PR_SET_NO_NEW_PRIVS:
		if (a2 != 1 || a3 || a4 || a5)
			return -EINVAL;
		t->no_new_privs = true;
		return 0;
	case PR_GET_NO_NEW_PRIVS:
		return a2 || a3 || a4 || a5 ? -EINVAL : t->no_new_privs;
	case PR_GET_TID_ADDRESS:
		return put_user(t->clear_child_tid, user_ptr(u64, a2));
	case PR_CAP_AMBIENT:
		return a4 || a5 ? -EINVAL : ambient(a2, a3);
	}
	return -EINVAL;
}

SYSCALL(personality, u32 persona)
{
	struct task *t = current_task();
	u32 old = t->personality;
	if (persona != 0xffffffff)
		t->personality = persona;
	return old;
}

// SPDX-License-Identifier: MIT
// Owns credentials and the accounts of users.
#include "linux/cred.h"
#include "abi/linux/capability.h"
#include "base/hash.h"
#include "base/string.h"
#include "linux/process/process.h"

// ---- accounts: a table by uid; an account lives as long as a credential or a queued signal names
// it ----

constexpr u32 BUCKETS = 256;
static struct hlist accounts[BUCKETS]; // accounts_lock
static spinlock_t accounts_lock = SPINLOCK_INIT(LOCK_user_accounts);
static struct user_account root_account = {.refs = REFCOUNT_INIT(1)};

struct cred cred_kernel = {
	.refs = REFCOUNT_INIT(1),
	.cap_permitted = CAP_ALL,
	.cap_effective = CAP_ALL,
	.cap_bset = CAP_ALL,
	.user = &root_account,
};

static struct user_account *account_find_locked(u32 uid)
{
	struct user_account *u;
	hlist_for_each_entry(u, &accounts[hash_u64(uid) % BUCKETS], link)
		if (u->uid == uid && refcount_inc_not_zero(&u->refs))
			return u;
	return nullptr;
}

struct user_account *user_account_get(u32 uid)
{
	if (!uid) {
		refcount_inc(&root_account.refs);
		return &root_account;
	}
	spin_lock(&accounts_lock);
	struct user_account *u = account_find_locked(uid);
	spin_unlock(&accounts_lock);
	if (u)
		return u;
	struct user_account *fresh = kzalloc(sizeof(*fresh));
	if (!fresh)
		return nullptr;
	refcount_set(&fresh->refs, 1);
	fresh->uid = uid;
	spin_lock(&accounts_lock);
	u = account_find_locked(uid);
	if (!u)
		hlist_add_head(&accounts[hash_u64(uid) % BUCKETS], &fresh->link);
	spin_unlock(&accounts_lock);
	if (!u)
		return fresh;
	kfree(fresh);
	return u;
}

void user_account_hold(struct user_account *u)
{
	refcount_inc(&u->refs);
}

void user_account_put(struct user_account *u)
{
	if (!refcount_dec_and_test(&u->refs))
		return;
	spin_lock(&accounts_lock);
	hlist_del(&u->link);
	spin_unlock(&accounts_lock);
	kfree(u);
}

// ---- credentials ----

const struct cred *current_cred(void)
{
	return current_is_task() ? current_task()->cred : &cred_kernel;
}

static void groups_put(struct group_list *g)
{
	if (g && refcount_dec_and_test(&g->refs))
		kfree(g);
}

static void cred_free_rcu(struct rcu_head *h)
{
	struct cred *c = container_of(h, struct cred, rcu);
	groups_put(c->groups);
	user_account_put(c->user);
	kfree(c);
}

void cred_put(const struct cred *c)
{
	struct cred *m = (struct cred *)c;
	if (refcount_dec_and_test(&m->refs))
		rcu_call(&m->rcu, cred_free_rcu);
}

const struct cred *task_cred_get(struct task *t)
{
	const struct cred *c;
	rcu_read_lock();
	do
		c = rcu_load(t->cred);
	while (!refcount_inc_not_zero((refcount_t *)&c->refs));
	rcu_read_unlock();
	return c;
}

struct cred *cred_prepare(void)
{
	const struct cred *old = current_cred();
	struct cred *c = kmalloc(sizeof(*c));
	if (!c)
		return nullptr;
	*c = *old;
	refcount_set(&c->refs, 1);
	if (c->groups)
		refcount_inc(&c->groups->refs);
	user_account_hold(c->user);
	return c;
}

void cred_abort(struct cred *c)
{
	groups_put(c->groups);
	user_account_put(c->user);
	kfree(c);
}

static bool ids_differ(const struct cred *a, const struct cred *b)
{
	return a->euid != b->euid || a->egid != b->egid || a->fsuid != b->fsuid ||
	       a->fsgid != b->fsgid || (b->cap_permitted & ~a->cap_permitted);
}

void cred_commit(struct cred *c)
{
	struct task *t = current_task();
	const struct cred *old = t->cred;
	if (ids_differ(old, c)) {
		if (t->thread.space)
			task_space(t)->dumpable = false;
		t->pdeath_signal = 0;
	}
	if (old->user != c->user) {
		atomic_inc(&c->user->processes);
		atomic_dec(&old->user->processes);
	}
	rcu_store(t->cred, (const struct cred *)c);
	cred_put(old);
}

int cred_set_user(struct cred *c, u32 uid)
{
	struct user_account *u = user_account_get(uid);
	if (!u)
		return -ENOMEM;
	user_account_put(c->user);
	c->user = u;
	c->uid = uid;
	return 0;
}

bool cred_has_cap(const struct cred *c, enum capability cap)
{
	return c->cap_effective >> cap & 1;
}

bool capable(enum capability cap)
{
	return cred_has_cap(current_cred(), cap);
}

static bool in_groups(const struct cred *c, u32 gid)
{
	if (!c->groups)
		return false;
	u32 lo = 0, hi = c->groups->n;
	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;
		if (c->groups->gid[mid] == gid)
			return true;
		if (c->groups->gid[mid] < gid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

bool cred_in_group(const struct cred *c, u32 gid)
{
	return c->fsgid == gid || in_groups(c, gid);
}

bool cred_in_egroup(const struct cred *c, u32 gid)
{
	return c->egid == gid || in_groups(c, gid);
}

const struct cred *cred_override_real(void)
{
	struct task *t = current_task();
	struct cred *c = cred_prepare();
	if (!c)
		return nullptr;
	c->fsuid = c->uid;
	c->fsgid = c->gid;
	c->cap_effective = c->uid ? 0 : c->cap_permitted;
	const struct cred *old = t->cred;
	rcu_store(t->cred, (const struct cred *)c);
	return old;
}

void cred_restore(const struct cred *old)
{
	struct task *t = current_task();
	const struct cred *mine = t->cred;
	rcu_store(t->cred, old);
	cred_put(mine);
}

// execve's rules (capabilities(7)): root by any id has all of the bounding set; others keep what is
// ambient.
void cred_exec(struct cred *c, bool setuid, u32 uid, bool setgid, u32 gid, bool *secure)
{
	u32 ruid = c->uid;
	if (setuid)
		c->euid = uid;
	if (setgid)
		c->egid = gid;
	bool changed = c->euid != ruid || c->egid != c->gid;
	if (setuid || setgid)
		c->cap_ambient = 0;
	c->cap_permitted = c->cap_ambient;
	c->cap_effective = c->cap_ambient;
	if (!(c->securebits & SECBIT_NOROOT) && (c->euid == 0 || ruid == 0)) {
		c->cap_permitted = c->cap_bset | c->cap_inheritable;
		c->cap_effective = c->euid == 0 ? c->cap_permitted : 0;
	}
	c->suid = c->fsuid = c->euid;
	c->sgid = c->fsgid = c->egid;
	c->securebits &= ~(u32)SECBIT_KEEP_CAPS;
	*secure = changed || (ruid != 0 && (c->cap_effective & ~c->cap_ambient));
}

// SPDX-License-Identifier: MIT
// Owns process groups and sessions: membership, job control's orphan rule, setpgid and setsid.
#include "linux/process/process.h"
#include "linux/syscalls.h"

struct pgrp *pgrp_create(u32 id, struct session *s)
{
	struct pgrp *g = kzalloc(sizeof(*g));
	if (!g)
		return nullptr;
	refcount_set(&g->refs, 1); // of its members together; dropped by the last one to leave
	g->id = id;
	g->session = session_get(s);
	list_init(&g->members);
	return g;
}

void session_put(struct session *s)
{
	if (refcount_dec_and_test(&s->refs))
		kfree(s);
}

static void pgrp_free_rcu(struct rcu_head *h)
{
	kfree(container_of(h, struct pgrp, rcu));
}

void pgrp_put(struct pgrp *g)
{
	if (!refcount_dec_and_test(&g->refs))
		return;
	session_put(g->session);
	rcu_call(&g->rcu, pgrp_free_rcu);
}

void process_join_pgrp(struct process *p, struct pgrp *g)
{
	assert_held(&process_tree_lock);
	if (!g->nmembers++)
		pid_set_pgrp(g->id, g);
	if (!g->session->nmembers++)
		pid_hold(g->session->id);
	p->pgrp = g;
	list_add_tail(&g->members, &p->pgrp_link);
}

// *dropped: the group when nobody is left in it; the caller puts it after the lock.
void process_leave_pgrp_locked(struct process *p, struct pgrp **dropped)
{
	struct pgrp *g = p->pgrp;
	assert_held(&process_tree_lock);
	*dropped = nullptr;
	list_del_init(&p->pgrp_link);
	p->pgrp = nullptr;
	if (!--g->session->nmembers)
		pid_release_locked(g->session->id);
	if (--g->nmembers)
		return;
	pid_set_pgrp(g->id, nullptr);
	*dropped = g;
}

// Would the group have no member that a job-control shell of its session looks after? ignored is
// about to leave.
bool pgrp_orphaned_locked(struct pgrp *g, struct process *ignored)
{
	struct process *p;
	list_for_each_entry(p, &g->members, pgrp_link) {
		if (p == ignored || p->state != PROCESS_ALIVE || p->parent == init_process ||
		    !p->parent->pgrp)
			continue;
		if (p->parent->pgrp != g && p->parent->pgrp->session == g->session)
			return false;
	}
	return true;
}

bool pgrp_is_orphaned(struct pgrp *g)
{
	tree_lock();
	bool r = pgrp_orphaned_locked(g, nullptr);
	tree_unlock();
	return r;
}

bool pgrp_has_stopped_locked(struct pgrp *g)
{
	struct process *p;
	list_for_each_entry(p, &g->members, pgrp_link)
		if (READ_ONCE(p->stopped))
			return true;
	return false;
}

static void pgrp_signal_locked(struct pgrp *g, int sig)
{
	struct siginfo info = {.signo = sig, .code = SI_KERNEL};
	struct process *p;
	list_for_each_entry(p, &g->members, pgrp_link) {
		spin_lock(&p->lock);
		signal_send_locked(p, nullptr, &info);
		spin_unlock(&p->lock);
	}
}

// p exits or changes its parent: if that orphans p's group (p's link to parent was its last tie)
// and somebody in it is stopped, the group is told, for nobody else would continue it.
void pgrp_check_orphaned_locked(struct process *p, struct process *parent)
{
	struct pgrp *g = p->pgrp;
	struct process *ignored = p;
	if (!parent)
		parent = p->parent; // p itself exits
	else
		ignored = nullptr; // p loses its parent
	if (!g || !parent || !parent->pgrp || parent->pgrp == g ||
	    parent->pgrp->session != g->session)
		return;
	if (pgrp_orphaned_locked(g, ignored) && pgrp_has_stopped_locked(g)) {
		pgrp_signal_locked(g, SIGHUP);
		pgrp_signal_locked(g, SIGCONT);
	}
}

u32 process_ppid(struct process *p)
{
	tree_lock();
	u32 id = p->parent && p->parent != p ? p->parent->pid : 0;
	tree_unlock();
	return id;
}

u32 process_pgid(struct process *p)
{
	tree_lock();
	u32 id = p->pgrp ? p->pgrp->id : 0;
	tree_unlock();
	return id;
}

u32 process_sid(struct process *p)
{
	tree_lock();
	u32 id = p->pgrp ? p->pgrp->session->id : 0;
	tree_unlock();
	return id;
}

struct pgrp *process_pgrp_get(struct process *p)
{
	tree_lock();
	struct pgrp *g = p->pgrp ? pgrp_get(p->pgrp) : nullptr;
	tree_unlock();
	return g;
}

struct session *process_session_get(struct process *p)
{
	tree_lock();
	struct session *s = p->pgrp ? session_get(p->pgrp->session) : nullptr;
	tree_unlock();
	return s;
}

SYSCALL(getpid, void)
{
	return current_pid();
}

SYSCALL(gettid, void)
{
	return current_tid();
}

SYSCALL(getppid, void)
{
	return process_ppid(current_process());
}

SYSCALL(getpgrp, void)
{
	return process_pgid(current_process());
}

static long id_of(int pid, u32 (*id)(struct process *p))
{
	if (!pid)
		return id(current_process());
	struct process *p = process_find((u32)pid);
	if (!p)
		return -ESRCH;
	long r = id(p);
	process_put(p);
	return r ? r : -ESRCH;
}

SYSCALL(getpgid, int pid)
{
	return id_of(pid, process_pgid);
}

SYSCALL(getsid, int pid)
{
	return id_of(pid, process_sid);
}

// May `me` move p into group pgid? Tree lock.
static int setpgid_check_locked(struct process *me, struct process *p, u32 pgid, struct pgrp *g)
{
	if (p->state != PROCESS_ALIVE)
		return -ESRCH;
	if (p != me) {
		if (p->parent != me)
			return -ESRCH;
		if (p->pgrp->session != me->pgrp->session)
			return -EPERM;
		if (p->did_exec)
			return -EACCES;
	}
	if (p->pgrp->session->leader == p)
		return -EPERM;
	if (pgid != p->pid && (!g || !g->nmembers || g->session != me->pgrp->session))
		return -EPERM;
	if (pgid == p->pid && g && g->session != p->pgrp->session)
		return -EPERM;
	return 0;
}

SYSCALL(setpgid, int pid, int pgid)
{
	struct process *me = current_process();
	if (pgid < 0)
		return -EINVAL;
	struct process *p = pid ? process_find((u32)pid) : process_get(me);
	if (!p)
		return -ESRCH;
	u32 id = pgid ? (u32)pgid : p->pid;
	struct pgrp *found = pgrp_find(id), *fresh = nullptr, *dropped = nullptr;
	if (!found && id == p->pid) {
		struct session *s = process_session_get(p);
		fresh = s ? pgrp_create(id, s) : nullptr;
		if (s)
			session_put(s);
	}
	tree_lock();
	int r = setpgid_check_locked(me, p, id, found);
	if (!r && !found && (!fresh || fresh->session != p->pgrp->session))
		r = id == p->pid ? -ENOMEM : -EPERM;
	struct pgrp *to = found ? found : fresh;
	if (!r && to != p->pgrp) {
		process_leave_pgrp_locked(p, &dropped);
		process_join_pgrp(p, to);
		fresh = nullptr;
	}
	tree_unlock();
	if (dropped)
		pgrp_put(dropped);
	if (fresh)
		pgrp_put(fresh);
	if (found)
		pgrp_put(found);
	process_put(p);
	return r;
}

SYSCALL(setsid, void)
{
	struct process *p = current_process();
	struct session *s = kzalloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	refcount_set(&s->refs, 1);
	s->id = p->pid;
	struct pgrp *g = pgrp_create(p->pid, s), *dropped = nullptr;
	session_put(s); // the group has it now
	if (!g)
		return -ENOMEM;
	struct pgrp *existing = pgrp_find(p->pid);
	tree_lock();
	long r = -EPERM;
	if (!existing && p->pgrp->session->leader != p) {
		s->leader = p;
		process_leave_pgrp_locked(p, &dropped);
		process_join_pgrp(p, g);
		g = nullptr;
		r = p->pid;
	}
	tree_unlock();
	if (existing)
		pgrp_put(existing);
	if (dropped)
		pgrp_put(dropped);
	if (g)
		pgrp_put(g);
	return r;
}

// SPDX-License-Identifier: MIT
// job.c: sessions and their controlling terminals: who may use one, who gets its signals.
// Privileged.
//
// session.tty, tty.session and tty.pgrp change together under the tree lock; each counts what it
// points to.
#include "linux/signal.h"
#include "linux/tty.h"
#include "linux/tty/tty_priv.h"

int tty_job_check(struct tty *t, int sig)
{
	struct process *p = current_process();
	struct pgrp *front = READ_ONCE(t->pgrp), *mine = READ_ONCE(p->pgrp);

	if (likely(!front || front == mine)) // both counted by their holders: equal pointers are
					     // the same group
		return 0;
	tree_lock();
	mine = p->pgrp;
	bool background = mine && mine->session->tty == t && t->pgrp && t->pgrp != mine;
	if (background)
		pgrp_get(mine);
	tree_unlock();
	if (!background)
		return 0;
	int r;
	if (signal_is_ignored_or_blocked(current_task(), sig)) {
		r = sig == SIGTTIN ? -EIO : 0;
	} else if (pgrp_is_orphaned(mine)) {
		r = -EIO;
	} else {
		signal_kernel_pgrp(mine, sig);
		r = -ERESTARTSYS;
	}
	pgrp_put(mine);
	return r;
}

static struct pgrp *foreground_get(struct tty *t)
{
	tree_lock();
	struct pgrp *g = t->pgrp ? pgrp_get(t->pgrp) : nullptr;
	tree_unlock();
	return g;
}

void tty_signal(struct tty *t, int sig)
{
	struct pgrp *g = foreground_get(t);

	if (!g)
		return;
	signal_kernel_pgrp(g, sig);
	pgrp_put(g);
}

// ---------------------------------------------------------------- getting and losing a terminal

struct bond { // what a disconnection gives back, outside of the lock
	struct session *session;
	struct pgrp *pgrp;
	struct process *leader; // alive
};

// The tty's own reference stays with the caller, as part of *out.
static void disconnect_locked(struct tty *t, struct bond *out)
{
	*out = (struct bond){t->session, t->pgrp, nullptr};
	t->session = nullptr;
	t->pgrp = nullptr;
	if (!out->session)
		return;
	out->session->tty = nullptr;
	if (out->session->leader)
		out->leader = process_get(out->session->leader);
}

static void bond_end(struct tty *t, struct bond *b, bool signals)
{
	if (b->leader) {
		if (signals) {
			signal_kernel_process(b->leader, SIGHUP);
			signal_kernel_process(b->leader, SIGCONT);
		}
		process_put(b->leader);
	}
	if (b->pgrp) {
		if (signals) {
			signal_kernel_pgrp(b->pgrp, SIGHUP);
			signal_kernel_pgrp(b->pgrp, SIGCONT);
		}
		pgrp_put(b->pgrp);
	}
	if (b->session) {
		session_put(b->session);
		tty_put(t);
	}
}

void tty_disconnect(struct tty *t)
{
	struct bond b;

	tree_lock();
	disconnect_locked(t, &b);
	tree_unlock();
	bond_end(t, &b, true);
}

static void leader_exited(struct session *s)
{
	tree_lock();
	struct tty *t = s->tty;
	if (t)
		tty_get(t);
	tree_unlock();
	if (!t)
		return;
	if (t->driver->is_pty)
		tty_disconnect(t); // the master decides when the line is gone
	else
		tty_hangup(t);
	tty_put(t);
}

int tty_control(struct tty *t, bool steal)
{
	struct process *p = current_process();
	struct bond old = {};
	int r = -EPERM;

	tree_lock();
	struct session *s = p->pgrp->session;
	if (t->session == s && s->leader == p) {
		r = 0;
	} else if (s->leader == p && !s->tty && (!t->session || steal)) {
		disconnect_locked(t, &old);
		tty_get(t);
		s->tty = t;
		s->leader_exited = leader_exited;
		t->session = session_get(s);
		t->pgrp = pgrp_get(p->pgrp);
		r = 0;
	}
	tree_unlock();
	bond_end(t, &old, false);
	return r;
}

struct tty *tty_current_get(void)
{
	struct process *p = current_process();

	tree_lock();
	struct tty *t = p->pgrp ? p->pgrp->session->tty : nullptr;
	if (t)
		tty_get(t);
	tree_unlock();
	return t;
}

static bool is_mine_locked(const struct tty *t)
{
	return current_process()->pgrp->session->tty == t;
}

int tty_give_up(struct tty *t)
{
	struct bond b = {};
	int r = -ENOTTY;

	tree_lock();
	if (is_mine_locked(t)) {
		r = 0;
		if (t->session->leader == current_process())
			disconnect_locked(t, &b);
	}
	tree_unlock();
	if (b.leader) { // that is the caller, who asked for it
		process_put(b.leader);
		b.leader = nullptr;
	}
	bond_end(t, &b, true);
	return r;
}

// ---------------------------------------------------------------- what ioctl tells and sets

long tty_get_pgrp(struct tty *t, bool any, s32 __user *out)
{
	tree_lock();
	bool mine = any || is_mine_locked(t);
	s32 id = t->pgrp ? (s32)t->pgrp->id : 0;
	tree_unlock();
	return mine ? put_user(id, out) : -ENOTTY;
}

long tty_get_sid(struct tty *t, bool any, s32 __user *out)
{
	tree_lock();
	bool mine = (any || is_mine_locked(t)) && t->session;
	s32 id = t->session ? (s32)t->session->id : 0;
	tree_unlock();
	return mine ? put_user(id, out) : -ENOTTY;
}

long tty_set_pgrp(struct tty *t, const s32 __user *in)
{
	s32 id;
	long r = tty_job_check(t, SIGTTOU);

	if (r)
		return r;
	if (get_user(id, in))
		return -EFAULT;
	if (id < 0)
		return -EINVAL;
	struct pgrp *g = pgrp_find((u32)id), *old = nullptr;
	tree_lock();
	if (!is_mine_locked(t))
		r = -ENOTTY;
	else if (!g || !g->nmembers)
		r = -ESRCH;
	else if (g->session != t->session)
		r = -EPERM;
	else
		old = xchg(&t->pgrp, pgrp_get(g));
	tree_unlock();
	if (old)
		pgrp_put(old);
	if (g)
		pgrp_put(g);
	return r;
}

u64 session_tty_info(struct session *s, u32 *pgrp)
{
	tree_lock();
	u64 dev = s->tty ? s->tty->dev : 0;
	*pgrp = s->tty && s->tty->pgrp ? s->tty->pgrp->id : 0;
	tree_unlock();
	return dev;
}

// SPDX-License-Identifier: MIT
// sem.c: System V semaphores: semget and semctl. Privileged.
//
// A set has a mutex; its operations are all or nothing (sem_op.c). A set that is removed leaves the
// table, wakes who waits with EIDRM, and its memory goes when the last caller at work has left it.
#include "linux/ipc/sem.h"
#include "core/init.h"
#include "core/page.h"
#include "linux/proc/text.h"
#include <linux_arch/abi_ipc.h>

u32 sem_max_per_set = 32000, sem_max_total = 1024000000, sem_max_ops = SEMOPM_MAX,
    sem_max_sets = 32000;

struct ipc_ids sem_ids = IPC_IDS_INIT(sem_ids);
static u64 total_sems; // table lock

// ---- a set's life ----

static struct ipc_object *sem_make(const void *args, s32 key, u32 flags)
{
	u32 n = *(const u32 *)args;
	(void)key;
	(void)flags;
	if (!n)
		return err_ptr(-EINVAL);
	if (total_sems + n > load_once(&sem_max_total))
		return err_ptr(-ENOSPC);
	struct sem_set *s = kzalloc(sizeof(*s) + n * sizeof(struct sem));
	if (!s)
		return err_ptr(-ENOMEM);
	s->nsems = n;
	mutex_init(&s->lock, LOCK_sysv_object);
	list_init(&s->waiters);
	list_init(&s->undos);
	s->ctime = ipc_now();
	total_sems += n;
	return &s->o;
}

static void sem_unmake(struct ipc_object *o)
{
	total_sems -= ((struct sem_set *)o)->nsems;
	kfree(o);
}

static int sem_check(struct ipc_object *o, const void *args)
{
	return *(const u32 *)args > ((struct sem_set *)o)->nsems ? -EINVAL : 0;
}

SYSCALL(semget, s32 key, s32 n, u32 flags)
{
	static const struct ipc_kind kind = {.ids = &sem_ids,
					     .limit = &sem_max_sets,
					     .make = sem_make,
					     .unmake = sem_unmake,
					     .check = sem_check};
	u32 args = (u32)n;
	if (n < 0 || args > load_once(&sem_max_per_set))
		return -EINVAL;
	return ipc_get(&kind, key, flags, &args);
}

static long sem_remove(s32 id)
{
	mutex_lock(&sem_ids.lock);
	struct ipc_object *o = ipc_find(&sem_ids, id);
	int r = is_err(o) ? ptr_err(o) : ipc_owner(o);
	struct sem_set *s = (struct sem_set *)o;
	if (!r) {
		ipc_remove(&sem_ids, o);
		total_sems -= s->nsems;
	}
	mutex_unlock(&sem_ids.lock);
	if (r)
		return r;
	mutex_lock(&s->lock);
	s->removed = true;
	sem_end_waiters(s);
	sem_undo_drop(s);
	mutex_unlock(&s->lock);
	sem_set_put(s);
	return 0;
}

// ---- one value ----

static u32 count_waiters(const struct sem_set *s, u32 num, bool zero)
{
	struct sem_waiter *w;
	u32 n = 0;
	list_for_each_entry(w, &s->waiters, link) {
		const struct sembuf *op = &w->ops[w->blocking];
		n += op->num == num && (op->op == 0) == zero;
	}
	return n;
}

static long get_one_locked(const struct sem_set *s, u32 num, u32 cmd)
{
	switch (cmd) {
	case SEM_GETVAL:
		return s->sems[num].value;
	case SEM_GETPID:
		return s->sems[num].pid;
	default:
		return count_waiters(s, num, cmd == SEM_GETZCNT);
	}
}

static void set_one_locked(struct sem_set *s, u32 num, s32 value)
{
	s->sems[num] = (struct sem){.value = value, .pid = (s32)current_pid()};
	s->ctime = ipc_now();
	sem_undo_forget(s, num, 1);
	sem_wake_waiters(s);
}

static long sem_one(s32 id, s32 num, u32 cmd, u64 arg)
{
	bool set = cmd == SEM_SETVAL;
	s32 value = (s32)arg;
	if (set && (value < 0 || value > SEMVMX))
		return -ERANGE;
	struct sem_set *s = sem_set_get(id, set ? 0222 : 0444);
	if (is_err(s))
		return ptr_err(s);
	long r = 0;
	mutex_lock(&s->lock);
	if (s->removed)
		r = -EIDRM;
	else if (num < 0 || (u32)num >= s->nsems)
		r = -EINVAL;
	else if (set)
		set_one_locked(s, (u32)num, value);
	else
		r = get_one_locked(s, (u32)num, cmd);
	mutex_unlock(&s->lock);
	sem_set_put(s);
	return r;
}

// ---- all values ----

static int set_all(struct sem_set *s, const u16 *values)
{
	int r = 0;
	for (u32 i = 0; i < s->nsems; i++)
		if (values[i] > SEMVMX)
			return -ERANGE;
	mutex_lock(&s->lock);
	if (s->removed) {
		r = -EIDRM;
	} else {
		for (u32 i = 0; i < s->nsems; i++)
			s->sems[i] = (struct sem){.value = values[i], .pid = (s32)current_pid()};
		s->ctime = ipc_now();
		sem_undo_forget(s, 0, s->nsems);
		sem_wake_waiters(s);
	}
	mutex_unlock(&s->lock);
	return r;
}

static int get_all(struct sem_set *s, u16 *values)
{
	mutex_lock(&s->lock);
	int r = s->removed ? -EIDRM : 0;
	for (u32 i = 0; i < s->nsems; i++)
		values[i] = (u16)s->sems[i].value;
	mutex_unlock(&s->lock);
	return r;
}

static long sem_all(s32 id, u32 cmd, u16 __user *uvalues)
{
	bool set = cmd == SEM_SETALL;
	struct sem_set *s = sem_set_get(id, set ? 0222 : 0444);
	if (is_err(s))
		return ptr_err(s);
	size_t size = s->nsems * sizeof(u16);
	u16 *values = kmalloc(size);
	int r = values ? 0 : -ENOMEM;
	if (!r && set) {
		r = copy_from_user(values, uvalues, size);
		if (!r)
			r = set_all(s, values);
	} else if (!r) {
		r = get_all(s, values);
		if (!r)
			r = copy_to_user(uvalues, values, size);
	}
	kfree(values);
	sem_set_put(s);
	return r;
}

// ---- the set ----

static long sem_stat(s32 id, u32 cmd, struct semid64_ds __user *uout)
{
	struct semid64_ds out = {};
	bool by_index = cmd != IPC_STAT;
	mutex_lock(&sem_ids.lock);
	struct ipc_object *o = ipc_find_stat(&sem_ids, id, by_index, cmd == SEM_STAT_ANY);
	long r = is_err(o) ? ptr_err(o) : by_index ? o->id : 0;
	if (r >= 0) {
		struct sem_set *s = (struct sem_set *)o;
		ipc_perm_fill(o, &out.perm);
		out.otime = load_once(&s->otime);
		out.ctime = load_once(&s->ctime);
		out.nsems = s->nsems;
	}
	mutex_unlock(&sem_ids.lock);
	return r >= 0 && copy_to_user(uout, &out, sizeof(out)) ? -EFAULT : r;
}

static long sem_info(u32 cmd, struct seminfo __user *uout)
{
	struct seminfo out = {
		.semmap = (s32)load_once(&sem_max_total),
		.semmni = (s32)load_once(&sem_max_sets),
		.semmns = (s32)load_once(&sem_max_total),
		.semmnu = (s32)load_once(&sem_max_total),
		.semmsl = (s32)load_once(&sem_max_per_set),
		.semopm = (s32)load_once(&sem_max_ops),
		.semume = (s32)load_once(&sem_max_ops),
		.semusz = 20,
		.semvmx = SEMVMX,
		.semaem = SEMVMX,
	};
	mutex_lock(&sem_ids.lock);
	if (cmd == SEM_INFO) {
		out.semusz = (s32)sem_ids.used;
		out.semaem = (s32)total_sems;
	}
	long r = ipc_max_index(&sem_ids);
	mutex_unlock(&sem_ids.lock);
	return copy_to_user(uout, &out, sizeof(out)) ? -EFAULT : r;
}

static long sem_ipc_set(s32 id, const struct semid64_ds __user *uin)
{
	struct semid64_ds in;
	if (copy_from_user(&in, uin, sizeof(in)))
		return -EFAULT;
	mutex_lock(&sem_ids.lock);
	struct ipc_object *o = ipc_find(&sem_ids, id);
	long r = is_err(o) ? ptr_err(o) : ipc_owner(o);
	if (!r)
		r = ipc_set(o, &in.perm);
	if (!r)
		store_once(&((struct sem_set *)o)->ctime, ipc_now());
	mutex_unlock(&sem_ids.lock);
	return r;
}

SYSCALL(semctl, s32 id, s32 num, u32 cmd, u64 arg)
{
	if (id < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_INFO:
	case SEM_INFO:
		return sem_info(cmd, user_ptr(struct seminfo, arg));
	case IPC_STAT:
	case SEM_STAT:
	case SEM_STAT_ANY:
		return sem_stat(id, cmd, user_ptr(struct semid64_ds, arg));
	case SEM_GETVAL:
	case SEM_GETPID:
	case SEM_GETNCNT:
	case SEM_GETZCNT:
	case SEM_SETVAL:
		return sem_one(id, num, cmd, arg);
	case SEM_GETALL:
	case SEM_SETALL:
		return sem_all(id, cmd, user_ptr(u16, arg));
	case IPC_SET:
		return sem_ipc_set(id, user_ptr(struct semid64_ds, arg));
	case IPC_RMID:
		return sem_remove(id);
	default:
		return -EINVAL;
	}
}

void sem_show(struct text *t)
{
	text_puts(t, "       key      semid perms      nsems   uid   gid  cuid  cgid      otime"
		     "      ctime\n");
	mutex_lock(&sem_ids.lock);
	for (u32 i = 0; i < IPC_IDS_MAX; i++) {
		struct sem_set *s = (struct sem_set *)ipc_at(&sem_ids, i);
		if (s)
			text_printf(t, "%10d %10d  %4o %10u %5u %5u %5u %5u %10lld %10lld\n",
				    s->o.key, s->o.id, s->o.mode, s->nsems, s->o.uid, s->o.gid,
				    s->o.cuid, s->o.cgid, load_once(&s->otime),
				    load_once(&s->ctime));
	}
	mutex_unlock(&sem_ids.lock);
}

// Programs may fill a sixteenth of memory with semaphores.
static void sem_init(void)
{
	u64 bytes = page_managed_count() * PAGE_SIZE;
	sem_max_total = (u32)min((u64)sem_max_total, bytes / 16 / sizeof(struct sem));
}
INITCALL(3, sem_init);

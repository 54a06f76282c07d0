// SPDX-License-Identifier: MIT
// msg.c: System V message queues: msgget, msgsnd, msgrcv, msgctl. Privileged.
//
// A queue has a mutex and a list of messages in the order of their sending. Who finds no message,
// or no room, sleeps on one of two wait queues until something was sent, taken or changed, and
// looks again. A queue that is removed wakes all with EIDRM; its memory goes when the last caller
// at work has left it, its messages at once.
#include "base/string.h"
#include "linux/ipc/ipc_priv.h"
#include "linux/proc/text.h"

struct msg {
	struct list link;
	s64 type;
	size_t size;
	u8 data[];
};

struct msg_queue {
	struct ipc_object o; // first
	mutex_t lock;	     // LOCK_sysv_object: all below
	bool removed;	     // read without the lock by who waits
	s64 stime, rtime, ctime;
	u64 cbytes, qnum, qbytes;
	s32 lspid, lrpid;
	struct list messages;
	u32 changes; // grows with each message sent or taken and each IPC_SET; read likewise
	struct wait_queue readers, writers;
};

u32 msg_max_bytes = 8192, msg_max_queue_bytes = 16384, msg_max_queues = 32000;

static struct ipc_ids ids = IPC_IDS_INIT(ids);

static atomic_u64 total_messages, total_bytes;

// ---- messages ----

static void msg_free(struct msg *m)
{
	ipc_message_free(m, sizeof(*m) + m->size);
}

static struct msg *msg_alloc(size_t size)
{
	struct msg *m = ipc_message_alloc(sizeof(*m) + size);
	if (!m)
		return err_ptr(-ENOMEM);
	m->size = size;
	return m;
}

static struct msg *msg_from_user(s64 type, const void __user *text, size_t size)
{
	struct msg *m = msg_alloc(size);
	if (is_err(m))
		return m;
	m->type = type;
	if (copy_from_user(m->data, text, size)) {
		msg_free(m);
		return err_ptr(-EFAULT);
	}
	return m;
}

// ---- a queue's life ----

static struct ipc_object *msg_make(const void *args, s32 key, u32 flags)
{
	(void)args;
	(void)key;
	(void)flags;
	struct msg_queue *q = kzalloc(sizeof(*q));
	if (!q)
		return err_ptr(-ENOMEM);
	mutex_init(&q->lock, LOCK_sysv_object);
	list_init(&q->messages);
	wait_queue_init(&q->readers);
	wait_queue_init(&q->writers);
	q->qbytes = load_once(&msg_max_queue_bytes);
	q->ctime = ipc_now();
	return &q->o;
}

static void msg_unmake(struct ipc_object *o)
{
	kfree(o);
}

static int msg_check(struct ipc_object *o, const void *args)
{
	(void)o;
	(void)args;
	return 0;
}

static void queue_put(struct msg_queue *q)
{
	ipc_put(&q->o);
}

static struct msg_queue *queue_get(s32 id, u32 rights)
{
	return (struct msg_queue *)ipc_get_counted(&ids, id, rights);
}

static void message_out_locked(struct msg_queue *q, struct msg *m)
{
	list_del(&m->link);
	q->cbytes -= m->size;
	q->qnum--;
	atomic_dec(&total_messages);
	atomic_sub(&total_bytes, m->size);
}

static void changed_locked(struct msg_queue *q, struct wait_queue *who)
{
	store_once(&q->changes, q->changes + 1);
	wake_all(who);
}

SYSCALL(msgget, s32 key, u32 flags)
{
	static const struct ipc_kind kind = {.ids = &ids,
					     .limit = &msg_max_queues,
					     .make = msg_make,
					     .unmake = msg_unmake,
					     .check = msg_check};
	return ipc_get(&kind, key, flags, nullptr);
}

static long msg_remove(s32 id)
{
	mutex_lock(&ids.lock);
	struct ipc_object *o = ipc_find(&ids, id);
	int r = is_err(o) ? ptr_err(o) : ipc_owner(o);
	if (!r)
		ipc_remove(&ids, o);
	mutex_unlock(&ids.lock);
	if (r)
		return r;
	struct msg_queue *q = (struct msg_queue *)o;
	struct msg *m, *next;
	mutex_lock(&q->lock);
	store_once(&q->removed, true);
	list_for_each_entry_safe(m, next, &q->messages, link) {
		message_out_locked(q, m);
		msg_free(m);
	}
	wake_all(&q->readers);
	wake_all(&q->writers);
	mutex_unlock(&q->lock);
	queue_put(q);
	return 0;
}

// Sleeps until the queue has changed; its lock is free meanwhile. Linux starts neither call again
// after a handler.
static int queue_wait(struct msg_queue *q, struct wait_queue *where)
{
	u32 seen = q->changes;
	mutex_unlock(&q->lock);
	int r = wait_event_interruptible(where,
					 load_once(&q->changes) != seen || load_once(&q->removed));
	mutex_lock(&q->lock);
	return q->removed ? -EIDRM : r ? -ERESTARTNOHAND : 0;
}

// ---- sending ----

static bool has_room(const struct msg_queue *q, const struct msg *m)
{
	return m->size <= q->qbytes && q->cbytes <= q->qbytes - m->size && q->qnum < q->qbytes;
}

static int send_locked(struct msg_queue *q, struct msg *m, u32 flags)
{
	int r = q->removed ? -EIDRM : 0;
	while (!r && !has_room(q, m))
		r = flags & IPC_NOWAIT ? -EAGAIN : queue_wait(q, &q->writers);
	if (r)
		return r;
	list_add_tail(&q->messages, &m->link);
	q->cbytes += m->size;
	q->qnum++;
	atomic_inc(&total_messages);
	atomic_add(&total_bytes, m->size);
	q->lspid = (s32)current_pid();
	q->stime = ipc_now();
	changed_locked(q, &q->readers);
	return 0;
}

SYSCALL(msgsnd, s32 id, const s64 __user *umsg, size_t size, u32 flags)
{
	s64 type;
	if (get_user(type, umsg))
		return -EFAULT;
	if (size > load_once(&msg_max_bytes) || id < 0 || type < 1)
		return -EINVAL;
	struct msg *m = msg_from_user(type, umsg + 1, size);
	if (is_err(m))
		return ptr_err(m);
	struct msg_queue *q = queue_get(id, 0222);
	long r = ptr_err_or_zero(q);
	if (!r) {
		mutex_lock(&q->lock);
		r = send_locked(q, m, flags);
		mutex_unlock(&q->lock);
		queue_put(q);
	}
	if (r)
		msg_free(m);
	return r;
}

// ---- receiving ----

// The message that is wanted, or nullptr. type: as msgrcv has it.
static struct msg *find_locked(struct msg_queue *q, s64 type, u32 flags)
{
	struct msg *m, *best = nullptr;
	s64 n = 0;
	list_for_each_entry(m, &q->messages, link) {
		if (flags & MSG_COPY) {
			if (n++ == type)
				return m;
		} else if (type < 0) {
			s64 most = best ? best->type - 1 : type == INT64_MIN ? INT64_MAX : -type;
			if (m->type <= most)
				best = m;
		} else if (!type || (m->type == type) != (bool)(flags & MSG_EXCEPT)) {
			return m;
		}
	}
	return best;
}

// A message to look at (MSG_COPY) or to keep: the caller frees it.
static struct msg *take_locked(struct msg_queue *q, struct msg *m, u32 flags)
{
	if (flags & MSG_COPY) {
		struct msg *copy = msg_alloc(m->size);
		if (is_err(copy))
			return copy;
		copy->type = m->type;
		memcpy(copy->data, m->data, m->size);
		return copy;
	}
	message_out_locked(q, m);
	q->lrpid = (s32)current_pid();
	q->rtime = ipc_now();
	changed_locked(q, &q->writers);
	return m;
}

static struct msg *receive_locked(struct msg_queue *q, size_t size, s64 type, u32 flags)
{
	int r = q->removed ? -EIDRM : 0;
	struct msg *m = nullptr;
	while (!r && !(m = find_locked(q, type, flags)))
		r = flags & IPC_NOWAIT ? -ENOMSG : queue_wait(q, &q->readers);
	if (!r && m->size > size && !(flags & MSG_NOERROR))
		r = -E2BIG;
	return r ? err_ptr(r) : take_locked(q, m, flags);
}

SYSCALL(msgrcv, s32 id, s64 __user *umsg, size_t size, s64 type, u32 flags)
{
	if (id < 0 || (ssize_t)size < 0)
		return -EINVAL;
	if ((flags & MSG_COPY) && ((flags & MSG_EXCEPT) || !(flags & IPC_NOWAIT)))
		return -EINVAL;
	struct msg_queue *q = queue_get(id, 0444);
	if (is_err(q))
		return ptr_err(q);
	mutex_lock(&q->lock);
	struct msg *m = receive_locked(q, size, type, flags);
	mutex_unlock(&q->lock);
	queue_put(q);
	if (is_err(m))
		return ptr_err(m);
	size = min(size, m->size);
	long r = (long)size;
	if (put_user(m->type, umsg) || copy_to_user(umsg + 1, m->data, size))
		r = -EFAULT; // and the message is lost, as on Linux
	msg_free(m);
	return r;
}

// ---- control ----

static long msg_stat(s32 id, u32 cmd, struct msqid64_ds __user *uout)
{
	struct msqid64_ds out = {};
	bool by_index = cmd != IPC_STAT;
	mutex_lock(&ids.lock);
	struct ipc_object *o = ipc_find_stat(&ids, id, by_index, cmd == MSG_STAT_ANY);
	long r = is_err(o) ? ptr_err(o) : by_index ? o->id : 0;
	if (r >= 0) {
		struct msg_queue *q = (struct msg_queue *)o;
		mutex_lock(&q->lock);
		out = (struct msqid64_ds){.stime = q->stime,
					  .rtime = q->rtime,
					  .ctime = q->ctime,
					  .cbytes = q->cbytes,
					  .qnum = q->qnum,
					  .qbytes = q->qbytes,
					  .lspid = q->lspid,
					  .lrpid = q->lrpid};
		mutex_unlock(&q->lock);
		ipc_perm_fill(o, &out.perm);
	}
	mutex_unlock(&ids.lock);
	return r >= 0 && copy_to_user(uout, &out, sizeof(out)) ? -EFAULT : r;
}

static long msg_info(u32 cmd, struct msginfo __user *uout)
{
	struct msginfo out = {.msgpool = 512000,
			      .msgmap = 16384,
			      .msgmax = (s32)load_once(&msg_max_bytes),
			      .msgmnb = (s32)load_once(&msg_max_queue_bytes),
			      .msgmni = (s32)load_once(&msg_max_queues),
			      .msgssz = 16,
			      .msgtql = 16384,
			      .msgseg = 0xffff};
	mutex_lock(&ids.lock);
	if (cmd == MSG_INFO) {
		out.msgpool = (s32)ids.used;
		out.msgmap = (s32)atomic_load(&total_messages);
		out.msgtql = (s32)atomic_load(&total_bytes);
	}
	long r = ipc_max_index(&ids);
	mutex_unlock(&ids.lock);
	return copy_to_user(uout, &out, sizeof(out)) ? -EFAULT : r;
}

static int set_locked(struct msg_queue *q, const struct msqid64_ds *in)
{
	int r = ipc_owner(&q->o);
	if (!r && in->qbytes > load_once(&msg_max_queue_bytes) && !capable(CAP_SYS_RESOURCE))
		r = -EPERM;
	if (!r)
		r = ipc_set(&q->o, &in->perm);
	if (r)
		return r;
	mutex_lock(&q->lock);
	q->qbytes = in->qbytes;
	q->ctime = ipc_now();
	changed_locked(q, &q->writers);
	mutex_unlock(&q->lock);
	return 0;
}

static long msg_ipc_set(s32 id, const struct msqid64_ds __user *uin)
{
	struct msqid64_ds in;
	if (copy_from_user(&in, uin, sizeof(in)))
		return -EFAULT;
	mutex_lock(&ids.lock);
	struct ipc_object *o = ipc_find(&ids, id);
	long r = is_err(o) ? ptr_err(o) : set_locked((struct msg_queue *)o, &in);
	mutex_unlock(&ids.lock);
	return r;
}

SYSCALL(msgctl, s32 id, u32 cmd, void __user *arg)
{
	if (id < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_INFO:
	case MSG_INFO:
		return msg_info(cmd, arg);
	case IPC_STAT:
	case MSG_STAT:
	case MSG_STAT_ANY:
		return msg_stat(id, cmd, arg);
	case IPC_SET:
		return msg_ipc_set(id, arg);
	case IPC_RMID:
		return msg_remove(id);
	default:
		return -EINVAL;
	}
}

void msg_show(struct text *t)
{
	text_puts(t, "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid"
		     "  cuid  cgid      stime      rtime      ctime\n");
	mutex_lock(&ids.lock);
	for (u32 i = 0; i < IPC_IDS_MAX; i++) {
		struct msg_queue *q = (struct msg_queue *)ipc_at(&ids, i);
		if (!q)
			continue;
		mutex_lock(&q->lock);
		text_printf(t, "%10d %10d  %4o  %10llu %10llu %5u %5u %5u %5u %5u %5u ", q->o.key,
			    q->o.id, q->o.mode, q->cbytes, q->qnum, (u32)q->lspid, (u32)q->lrpid,
			    q->o.uid, q->o.gid, q->o.cuid, q->o.cgid);
		text_printf(t, "%10lld %10lld %10lld\n", q->stime, q->rtime, q->ctime);
		mutex_unlock(&q->lock);
	}
	mutex_unlock(&ids.lock);
}

// SPDX-License-Identifier: MIT
// Owns restartable sequences: rseq(2).
//
// Purpose. A thread registers an area of its memory. There it reads which CPU it runs on, and names
// a critical section: instructions that take effect by their last one, and that must begin anew
// when the thread did not get to that one undisturbed on one CPU. The area is brought up to date,
// and the section left for its abort handler, only on the way back to the program, by the thread
// itself: nobody can observe it earlier.
//
// When. A thread that is registered has thread.notify_moves set, and core then sets WORK_NOTIFY
// whenever it was preempted, moves to another CPU, or sleeps outside of system calls: in a page
// fault, or stopped. A system call that slept and goes on where it was costs nothing: no critical
// section may contain one, and the CPU is still the right one. A handler's frame is made after the
// section was left, so that it returns to the abort handler.
//
// States. Not registered, or registered with an address, a length and a signature. Threads begin
// without; fork takes the registration along with the copied memory; execve ends it.
//
// Concurrency ids (mm_cid) are numbers of CPUs that the address space's threads have used, given
// out in that order: small, and different for threads that run at the same time. A thread that has
// the space to itself gets 0.
//
// Locks: none. task.rseq is the thread's own, and of vm_space the CPU's own entry is changed with
// preemption off. Failure: everything in the area and in the descriptor of the section is the
// program's and checked each time; what makes no sense is SIGSEGV, as on Linux.
#include "abi/linux/rseq.h"
#include "base/string.h"
#include "core/smp.h"
#include "core/uaccess.h"
#include "linux/process/process.h"
#include "linux/syscalls.h"
#include <linux_arch/signal.h>

static void area_wanted(struct task *t)
{
	atomic_or(&t->thread.work, WORK_NOTIFY);
}

// Preemption is off: the CPU stays.
static u32 concurrency_id(struct vm_space *s)
{
	u8 *mine = &s->cid_of_cpu[this_cpu_id()]; // 0: none yet, else the id + 1

	if (refcount_read(&s->users) == 1) { // no other thread: its ids are forgotten
		memset(s->cid_of_cpu, 0, sizeof(s->cid_of_cpu));
		*mine = 1;
		atomic_store(&s->cids, 1);
	} else if (!*mine) {
		*mine = (u8)(atomic_fetch_add(&s->cids, 1) + 1);
	}
	return *mine - 1u;
}

static int area_update(const struct task *t)
{
	struct linux_rseq __user *area = user_ptr(struct linux_rseq, t->rseq.area);

	preempt_disable();
	u32 cpu = this_cpu_id(), cid = concurrency_id(task_space(t));
	preempt_enable(); // if it moves from here on, WORK_NOTIFY is set again
	struct linux_rseq now;
	if (get_user(now.cpu_id_start, &area->cpu_id_start) ||
	    get_user(now.cpu_id, &area->cpu_id) || get_user(now.node_id, &area->node_id) ||
	    get_user(now.mm_cid, &area->mm_cid))
		return -EFAULT;
	if (now.cpu_id_start == cpu && now.cpu_id == cpu && !now.node_id && now.mm_cid == cid)
		return 0; // after fork: no need for a copy of the page
	return put_user(cpu, &area->cpu_id_start) || put_user(cpu, &area->cpu_id) ||
			       put_user(0u, &area->node_id) || put_user(cid, &area->mm_cid)
		       ? -EFAULT
		       : 0;
}

// The critical section that the area names; start_ip 0 and no length: none. 0 or -errno.
static int section_get(const struct task *t, struct linux_rseq_cs *cs)
{
	struct linux_rseq __user *area = user_ptr(struct linux_rseq, t->rseq.area);
	u64 at;
	u32 signature;

	*cs = (struct linux_rseq_cs){};
	if (get_user(at, &area->rseq_cs))
		return -EFAULT;
	if (!at)
		return 0;
	if (copy_from_user(cs, user_ptr(void, at), sizeof(*cs)))
		return -EFAULT;
	u64 end;
	if (cs->version || cs->start_ip >= USER_TOP || cs->abort_ip >= USER_TOP ||
	    __builtin_add_overflow(cs->start_ip, cs->post_commit_offset, &end) || end >= USER_TOP)
		return -EINVAL;
	if (cs->abort_ip - cs->start_ip < cs->post_commit_offset)
		return -EINVAL; // the abort handler lies inside
	// Only what says that it is an abort handler is jumped to.
	if (get_user(signature, user_ptr(u32, cs->abort_ip - sizeof(u32))))
		return -EFAULT;
	return signature == t->rseq.signature ? 0 : -EINVAL;
}

// Leaves the critical section, if f is in one.
static int section_leave(const struct task *t, struct trap_frame *f)
{
	struct linux_rseq __user *area = user_ptr(struct linux_rseq, t->rseq.area);
	struct linux_rseq_cs cs;
	u32 flags;
	int r = section_get(t, &cs);

	if (r || !cs.abort_ip)
		return r;
	bool inside = frame_ip(f) - cs.start_ip < cs.post_commit_offset;
	if (inside && (get_user(flags, &area->flags) || flags || cs.flags))
		return -EINVAL;
	if (put_user(0ull, &area->rseq_cs))
		return -EFAULT;
	if (inside)
		frame_set_ip(f, cs.abort_ip);
	return 0;
}

int rseq_leave(const struct task *t, struct trap_frame *f)
{
	return t->rseq.area ? section_leave(t, f) : 0;
}

void rseq_refresh(struct task *t, struct trap_frame *f)
{
	if (!t->rseq.area)
		return;
	if (section_leave(t, f) || area_update(t))
		signal_force(&(struct siginfo){.signo = SIGSEGV, .code = SI_KERNEL});
}

void rseq_fork(struct task *child, const struct task *parent)
{
	child->rseq = parent->rseq;
	child->thread.notify_moves = parent->thread.notify_moves;
	if (child->rseq.area)
		area_wanted(child);
}

static void registration_end(struct task *t)
{
	t->thread.notify_moves = false;
	t->rseq = (struct rseq_registration){};
}

void rseq_exec(struct task *t)
{
	registration_end(t);
}

// What a program reads that looks without being registered.
static int area_reset(const struct task *t)
{
	struct linux_rseq __user *area = user_ptr(struct linux_rseq, t->rseq.area);

	if (put_user(0u, &area->cpu_id_start) ||
	    put_user(RSEQ_CPU_ID_UNINITIALIZED, &area->cpu_id) || put_user(0u, &area->node_id) ||
	    put_user(0u, &area->mm_cid))
		return -EFAULT;
	return 0;
}

static int unregister(struct task *t, u64 area, u32 len, u32 signature)
{
	if (!t->rseq.area || t->rseq.area != area || t->rseq.len != len)
		return -EINVAL;
	if (t->rseq.signature != signature)
		return -EPERM;
	int r = area_reset(t);
	if (!r)
		registration_end(t);
	return r;
}

static bool placed_well(u64 area, u32 len)
{
	return len >= RSEQ_SIZE_FIRST && !(area & (RSEQ_ALIGN - 1));
}

SYSCALL(rseq, u64 area, u32 len, int flags, u32 signature)
{
	struct task *t = current_task();

	if (flags == RSEQ_FLAG_UNREGISTER)
		return unregister(t, area, len, signature);
	if (flags)
		return -EINVAL;
	if (t->rseq.area) {
		if (t->rseq.area != area || t->rseq.len != len)
			return -EINVAL;
		return t->rseq.signature != signature ? -EPERM : -EBUSY;
	}
	if (!area || !placed_well(area, len))
		return -EINVAL;
	if (!user_range_ok(user_ptr(void, area), len))
		return -EFAULT;
	t->rseq = (struct rseq_registration){.area = area, .len = len, .signature = signature};
	t->thread.notify_moves = true;
	if (area_update(t))
		area_wanted(t); // SIGSEGV then
	return 0;
}

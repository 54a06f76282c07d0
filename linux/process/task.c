// SPDX-License-Identifier: MIT
// Owns the memory of tasks and processes, and the questions that other parts ask about them.
#include "linux/process/process.h"
#include "abi/linux/time.h"
#include "base/muldiv.h"
#include "base/string.h"
#include "linux/file.h"
#include "linux/process/ptrace.h"
#include "linux/process/seccomp.h"

struct slab_cache task_cache, process_cache;
atomic_u32 task_counter;
struct process *init_process;

static void task_free_rcu(struct rcu_head *h)
{
	slab_free(&task_cache, container_of(h, struct task, rcu));
}

// The last reference to the thread is gone; it left every list long ago. Lookups may still look at
// the memory under RCU.
static void task_release(struct thread *thread)
{
	struct task *t = (struct task *)thread;
	task_space_drop(t);
	if (t->cred)
		cred_put(t->cred);
	tracing_free(t->tracing);
	seccomp_free(t);
	if (t->process)
		process_put(t->process);
	rcu_call(&t->rcu, task_free_rcu);
}

struct task *task_alloc(const char *name)
{
	struct task *t = slab_zalloc(&task_cache);
	if (!t)
		return nullptr;
	if (thread_init(&t->thread, name, task_release)) {
		slab_free(&task_cache, t);
		return nullptr;
	}
	sigpending_init(&t->pending);
	list_init(&t->process_link);
	list_init(&t->pi.owned);
	trace_task(t);
	return t;
}

void task_abort(struct task *t)
{
	task_put(t);
}

static void process_free_rcu(struct rcu_head *h)
{
	slab_free(&process_cache, container_of(h, struct process, rcu));
}

void process_put(struct process *p)
{
	if (!refcount_dec_and_test(&p->refs))
		return;
	assert(!p->timers && list_empty(&p->pending.queue));
	if (p->sighand)
		sighand_put(p->sighand);
	rcu_call(&p->rcu, process_free_rcu);
}

struct process *process_alloc(void)
{
	struct process *p = slab_zalloc(&process_cache);
	if (!p)
		return nullptr;
	refcount_set(&p->refs, 1);
	list_init(&p->children);
	list_init(&p->zombies);
	list_init(&p->tracees);
	list_init(&p->sibling);
	list_init(&p->pgrp_link);
	list_init(&p->threads);
	spin_lock_init(&p->lock, LOCK_signal);
	wait_queue_init(&p->child_wait);
	wait_queue_init(&p->signal_wait);
	wait_queue_init(&p->pidfd_wait);
	sigpending_init(&p->pending);
	p->cpu_limit_next_ns = ~0ull;
	p->start_ns = clock_monotonic_ns();
	itimer_real_init(p);
	return p;
}

u32 task_count(void)
{
	return atomic_load(&task_counter);
}

struct task *process_task_next(struct process *p, u32 *tid)
{
	struct task *t, *best = nullptr;
	spin_lock(&p->lock);
	list_for_each_entry(t, &p->threads, process_link)
		if (t->thread.id >= *tid && (!best || t->thread.id < best->thread.id))
			best = t;
	if (best) {
		*tid = best->thread.id;
		task_get(best);
	}
	spin_unlock(&p->lock);
	return best;
}

struct task *process_any_task(struct process *p)
{
	struct task *t = nullptr;
	spin_lock(&p->lock);
	if (!list_empty(&p->threads))
		t = task_get(list_first_entry(&p->threads, struct task, process_link));
	spin_unlock(&p->lock);
	return t;
}

struct vm_space *task_space_get(struct task *t)
{
	struct vm_space *s = nullptr;
	spin_lock(&t->process->lock);
	if (!list_empty(&t->process_link) && t->thread.space) {
		s = task_space(t);
		vm_space_get(s);
	}
	spin_unlock(&t->process->lock);
	return s;
}

struct vm_space *process_space_get(struct process *p)
{
	struct vm_space *s = nullptr;
	struct task *t;
	spin_lock(&p->lock);
	list_for_each_entry(t, &p->threads, process_link)
		if (t->thread.space) {
			s = task_space(t);
			vm_space_get(s);
			break;
		}
	spin_unlock(&p->lock);
	return s;
}

struct fd_table *task_files_get(struct task *t)
{
	spin_lock(&t->process->lock);
	struct fd_table *f = t->files;
	if (f)
		files_share(f);
	spin_unlock(&t->process->lock);
	return f;
}

struct fs_context *task_fs_get(struct task *t)
{
	spin_lock(&t->process->lock);
	struct fs_context *fs = t->fs;
	if (fs)
		fs_context_share(fs);
	spin_unlock(&t->process->lock);
	return fs;
}

void task_space_drop(struct task *t)
{
	struct vm_space *s = task_space(t);
	if (!s)
		return;
	if (&t->thread == current()) {
		// This CPU must be off the page tables before the last reference to them can go.
		spin_lock(&t->process->lock);
		t->process->dead_threads.maxrss_kib = max(t->process->dead_threads.maxrss_kib,
							  vm_space_rss_peak(s) * (PAGE_SIZE / KiB));
		mmu_space_activate(nullptr, VIEW_PROGRAM);
		t->thread.space = nullptr;
		spin_unlock(&t->process->lock);
	} else {
		t->thread.space = nullptr;
	}
	vm_space_put(s);
}

// ---- times and usage ----

void rusage_add(struct rusage_sums *to, const struct rusage_sums *from)
{
	to->user_ns += from->user_ns;
	to->system_ns += from->system_ns;
	to->faults_minor += from->faults_minor;
	to->faults_major += from->faults_major;
	to->switches_voluntary += from->switches_voluntary;
	to->switches_forced += from->switches_forced;
	to->blocks_in += from->blocks_in;
	to->blocks_out += from->blocks_out;
	to->maxrss_kib = max(to->maxrss_kib, from->maxrss_kib);
	to->rchar += from->rchar;
	to->wchar += from->wchar;
	to->syscr += from->syscr;
	to->syscw += from->syscw;
}

void task_times(const struct task *t, u64 *user_ns, u64 *system_ns)
{
	u64 total = thread_runtime_ns(&t->thread);
	u64 user = t->thread.user_ticks, system = t->thread.system_ticks;

	if (!(user + system)) { // never met by a tick: programs mostly run their own code
		*user_ns = t->thread.space ? total : 0;
		*system_ns = total - *user_ns;
		return;
	}
	*user_ns = mul_div_u64(total, user, user + system);
	*system_ns = total - *user_ns;
}

void task_sums(struct task *t, struct rusage_sums *out)
{
	*out = (struct rusage_sums){
		.faults_minor = atomic_load(&t->thread.faults_minor),
		.faults_major = atomic_load(&t->thread.faults_major),
		.switches_voluntary = atomic_load(&t->thread.switches_voluntary),
		.switches_forced = atomic_load(&t->thread.switches_forced),
		.blocks_in = t->io_blocks_in,
		.blocks_out = t->io_blocks_out,
		.rchar = t->rchar,
		.wchar = t->wchar,
		.syscr = t->syscr,
		.syscw = t->syscw,
	};
	task_times(t, &out->user_ns, &out->system_ns);
}

void process_sums_add_task(struct rusage_sums *s, struct task *t)
{
	struct rusage_sums one;
	task_sums(t, &one);
	rusage_add(s, &one);
}

void process_rusage(struct process *p, struct rusage_sums *out)
{
	struct task *t;
	spin_lock(&p->lock);
	*out = p->dead_threads;
	list_for_each_entry(t, &p->threads, process_link) {
		process_sums_add_task(out, t);
		if (t->thread.space)
			out->maxrss_kib = max(out->maxrss_kib,
					      vm_space_rss_peak(task_space(t)) * (PAGE_SIZE / KiB));
	}
	spin_unlock(&p->lock);
}

void process_times(struct process *p, u64 *user_ns, u64 *system_ns)
{
	struct rusage_sums s;
	process_rusage(p, &s);
	*user_ns = s.user_ns;
	*system_ns = s.system_ns;
}

char task_state_char(struct task *t)
{
	u32 s = atomic_load(&t->thread.state);
	if (s & THREAD_DEAD)
		return 'X';
	if (s & THREAD_STOPPED)
		return 'T';
	if (s & THREAD_TRACED)
		return 't';
	if (s & (THREAD_UNINTERRUPTIBLE | THREAD_KILLABLE))
		return 'D';
	return s & THREAD_INTERRUPTIBLE ? 'S' : 'R';
}

bool process_may_access(struct process *p, bool fs_ids)
{
	if (p == current_process())
		return true;
	struct task *t = process_any_task(p);
	if (!t)
		return true; // a zombie has nothing left to hide
	const struct cred *me = current_cred(), *it = task_cred_get(t);
	u32 uid = fs_ids ? me->fsuid : me->uid, gid = fs_ids ? me->fsgid : me->gid;
	bool same = uid == it->uid && uid == it->euid && uid == it->suid && gid == it->gid &&
		    gid == it->egid && gid == it->sgid;
	bool ok = cred_has_cap(me, CAP_SYS_PTRACE);
	if (!ok && same && (it->cap_permitted & ~me->cap_permitted) == 0) {
		struct vm_space *s = task_space_get(t);
		ok = !s || READ_ONCE(s->dumpable);
		if (s)
			vm_space_put(s);
	}
	cred_put(it);
	task_put(t);
	return ok;
}

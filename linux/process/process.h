// SPDX-License-Identifier: MIT
// What the files of linux/process share with each other. Private to linux/process, linux/time and
// linux/arch.
#pragma once
#include "core/lock.h"
#include "core/panic.h"
#include "core/slab.h"
#include "linux/task.h"

// What a process does about each signal. Shared by CLONE_SIGHAND without CLONE_THREAD (rare), else
// by the process's tasks only. Guarded by the process's signal lock, and when refs > 1 by `lock`
// too (sighand_lock).
struct sighand {
	refcount_t refs;
	spinlock_t lock;
	struct linux_sigaction action[64]; // of signal n: [n - 1]
};

struct sigqueue {
	struct list link; // sigpending.queue
	struct siginfo info;
	struct user_account *user; // whose sigpending counts it; nullptr: not counted
	// A POSIX timer's own entry: called with the signal lock held when it leaves the queue,
	// info given when it is delivered. It is not freed.
	void (*dequeued)(struct sigqueue *q, struct siginfo *info);
};

// ---- ids (pid.c) ----
int pid_alloc(u32 *out); // reserves a number: 0, -EAGAIN (none left), -ENOMEM
void pid_free(u32 id); // gives back what pid_alloc reserved (or the last user of a number dropped)
void pid_set_task(u32 id, struct task *t);
void pid_set_process(u32 id, struct process *p);
void pid_set_pgrp(u32 id, struct pgrp *g);
void pid_release_locked(u32 id);
void pid_hold(u32 id); // another use of a number that is in use: sessions. Tree lock

// ---- tasks and processes (task.c) ----
extern struct slab_cache task_cache, process_cache, sighand_cache;
struct task *task_alloc(const char *name); // nullptr: out of memory
void task_abort(struct task *t);	   // of a task that never ran
struct process *process_alloc(void);
void process_sums_add_task(struct rusage_sums *s, struct task *t);
void rusage_add(struct rusage_sums *to, const struct rusage_sums *from);
extern atomic_u32 task_counter;

// ---- groups (group.c) ----
void process_join_pgrp(struct process *p, struct pgrp *g); // takes over the reference; tree lock
void process_leave_pgrp_locked(struct process *p, struct pgrp **dropped);
bool pgrp_orphaned_locked(struct pgrp *g, struct process *ignored);
bool pgrp_has_stopped_locked(struct pgrp *g);
void pgrp_check_orphaned_locked(struct process *p, struct process *parent);
struct pgrp *pgrp_create(u32 id,
			 struct session *s); // takes a new reference of s; nullptr: out of memory

// ---- signals (signal_send.c, signal_deliver.c) ----
struct sighand *sighand_create(void);
struct sighand *sighand_copy(struct process *from); // nullptr: out of memory
void sighand_clear(struct sighand *s); // all but ignored ones back to their default actions
void sighand_put(struct sighand *s);
[[nodiscard]] static inline bool sighand_lock(
	struct sighand *s) // the signal lock is held: refs cannot go up from 1
{
	bool shared = unlikely(refcount_read(&s->refs) > 1);
	if (shared)
		spin_lock(&s->lock);
	return shared;
}
static inline void sighand_unlock(struct sighand *s, bool locked)
{
	if (locked)
		spin_unlock(&s->lock);
}
static inline void sigpending_init(struct sigpending *p)
{
	p->set = 0;
	list_init(&p->queue);
}
void sigpending_flush(struct sigpending *p); // signal lock, or nobody else can reach it
void sigpending_remove(struct sigpending *p, sigset_t set); // signal lock
// Signal lock held. t nullptr: to the process as a whole. force: from the kernel to pid 1 too, with
// ignored signals not dropped.
int signal_send_locked(struct process *p, struct task *t, const struct siginfo *info);
// The same with a caller's own queue entry (POSIX timers); 1 when it is queued already or ignored.
int signal_send_entry_locked(struct process *p, struct task *t, struct sigqueue *q);
void sigqueue_withdraw_locked(struct process *p, struct sigqueue *entry);
void process_kill_all_locked(struct process *p, u32 status); // starts the end of every task
bool signal_child_unwanted_locked(
	struct process *parent); // does its SIGCHLD action reap children by itself? signal lock
void signal_task_leaves_locked(struct process *p, struct task *t);
void process_reap_finish(struct process *p);	   // after process_reap_locked, without locks
void process_zap_others_locked(struct process *p); // exec: every task but the current one
bool signal_wanted(struct task *t); // is there a reason for exit_to_user? signal lock or own thread
void signal_recalc(struct task *t);
void signal_handle(struct trap_frame *f, bool in_syscall); // exit_to_user
void signal_exec_reset(struct process *p,
		       struct sighand *fresh); // fresh (or nullptr) takes the place of the actions
int signal_dequeue_locked(struct task *t, sigset_t blocked, struct siginfo *info); // 0: none
bool signal_default_ignores(int sig);
bool signal_default_stops(int sig);
void signal_init_caches(void);
void child_info_fill(struct siginfo *info, struct process *child, int code, int status);

// ---- halyard.trace (trace.c) ----
struct exception;
void trace_init(void);
void trace_task(struct task *t);	 // a new one: traced like all others
void trace_calls_off(struct task *t);	 // no tracer wants its calls any more; signal lock
bool trace_call(struct trap_frame *f);	 // syscall_enter
void trace_result(struct trap_frame *f); // syscall_leave
void trace_fault(const struct trap_frame *f, const struct exception *e);

// ---- other parts that fork, exec and exit call ----
void futex_init(void);
void futex_exit(struct task *t); // robust list; memory is still there
void futex_exec(struct task *t);
void futex_wake_addr(u64 uaddr, u32 n); // clear_child_tid
// Scheduling as the task asked for it, whatever priority it has inherited. set: arguments are
// valid; 0 or -errno.
struct sched_params task_sched_get(struct task *t);
int task_sched_set(struct task *t, struct sched_params p);
void task_sched_inherit(struct task *child); // of the current task: policy, nice, affinity
// rseq.c: the thread itself on its way to its program.
int rseq_leave(const struct task *t, struct trap_frame *f); // before a handler's frame: 0 or -errno
void rseq_refresh(struct task *t, struct trap_frame *f);    // it may have moved or been preempted
void rseq_fork(struct task *child, const struct task *parent); // memory was copied
void rseq_exec(struct task *t);
void vfork_complete(struct task *t);
void task_space_drop(struct task *t);
void limits_init(struct process *p);
void itimers_exit(struct process *p);
void itimer_real_init(struct process *p);
void posix_timers_exit(struct process *p);
void posix_timers_exec(struct process *p);
void process_tick(bool user); // personality.tick
void process_cpu_limit_update_locked(struct process *p);
void process_cpu_timers_run(struct task *t); // on the way out after a tick saw one expire
void process_reap_locked(struct process *p); // zombie -> reaped: out of the tree; tree lock. The
					     // caller then drops the reference of the tree
int exec_path(const char *path, const char *const *argv,
	      const char *const *envp); // first program; on success the frame is set up

// pidfd.c
constexpr int PIDFD_CLOEXEC = 02000000, PIDFD_NONBLOCK = 04000;
struct file *pidfd_create(struct process *p, int flags); // takes a reference of p; err_ptr
struct process *pidfd_process(int fd);			 // counted, or err_ptr(-EBADF)

// Copies a struct that programs may know in another size (clone3, sched_setattr): what they lack is
// zero; -E2BIG when they set what we do not know; -EFAULT.
int copy_struct_from_user(void *dst, size_t dst_size, const void __user *src, size_t src_size);

// user accounts (cred.c)
struct user_account *user_account_get(u32 uid); // nullptr: out of memory
void user_account_hold(struct user_account *u);
void user_account_put(struct user_account *u);
void cred_init(void);
void cred_exec(struct cred *c, bool setuid, u32 uid, bool setgid, u32 gid,
	       bool *secure); // the rules of execve for ids and capabilities

// SPDX-License-Identifier: MIT
// Tasks (threads as Linux knows them), processes, process groups and sessions. Privileged.
//
// A task is one thread; a process is a thread group with everything that its threads share. A
// process outlives its last task as a zombie until its parent has waited for it.
//
// Locks: tree lock (LOCK_pidmap, one, short): ids, parents, children, groups, sessions. Signal lock
// (LOCK_signal, one a process): its list of tasks, pending signals, stop and exit state. The tree
// lock is taken first. Lifetime: a task is kept by thread.refs, a process by refs; both are freed
// after an RCU grace period, so lookups by id only need an RCU read section and
// refcount_inc_not_zero.
#pragma once
#include "base/atomic.h"
#include "base/list.h"
#include "core/rcu.h"
#include "core/thread.h"
#include "core/time.h"
#include "core/wait.h"
#include "core/work.h"
#include "linux/cred.h"
#include "linux/signal.h"
#include "linux/vm.h"

struct fd_table;   // linux/file.h
struct fs_context; // linux/fs.h
struct file;
struct tty;
struct sighand;
struct posix_timers;
struct robust_list_head;
struct tracing;

enum task_limits : u32 { PID_MAX_DEFAULT = 32768, PID_MAX_LIMIT = 4 * 1024 * 1024 };

struct sched_params {
	enum sched_policy policy;
	u8 priority; // real-time policies: 1..99, else 0
	s8 nice;
};

struct task {
	struct thread thread;	  // must be first. thread.id is the tid, thread.name is comm
	struct process *process;  // immutable; counted
	struct list process_link; // process->threads; signal lock
	// private to the thread, but others may look with task_files_get and the like (then: signal
	// lock)
	struct fd_table *files; // nullptr once it exits. Changed by the thread itself with the
				// signal lock held
	struct fs_context *fs;	// likewise
	struct sem_undo_list *sem_undo; // linux/ipc; own thread, and its maker before it runs
	const struct cred *cred;	// RCU; changed by the thread itself
	// signals: signal lock of the process, but for what is said
	sigset_t blocked; // changed by the thread itself with the lock held; itself reads without
	sigset_t saved_mask;   // thread itself
	bool saved_mask_valid; // thread itself: give saved_mask back when the call ends
	sigset_t real_blocked; // sigtimedwait: what is blocked but for the wait
	bool group_exiting;    // told to die by exit_group, exec or a fatal signal
	bool exiting;	       // no longer a target of signals
	bool stop_counted;     // takes part in the current group stop and has stopped
	u32 exit_code;	       // wait status of this thread
	struct sigpending pending;
	u64 altstack_sp, altstack_size; // thread itself
	u32 altstack_flags;
	struct restart_block restart;		   // thread itself
	u64 fault_vector, fault_error, fault_addr; // the last one, for signal frames; thread itself
	// memory that the program asked the kernel to touch; thread itself
	u64 clear_child_tid, set_child_tid;
	u64 robust_list;
	struct rseq_registration {
		u64 area; // 0: none
		u32 len, signature;
	} rseq;
	struct task_pi {	   // linux/process/futex_pi.c and its lock
		struct list owned; // pi_state.owner_link
		struct pi_waiter *blocked;
		struct sched_params own; // what it asked for, while boosted
		bool boosted, dead;
	} pi;
	u32 pdeath_signal;
	u32 personality;
	u32 mempolicy; // of a machine with one node (linux/mm/policy.c)
	bool no_new_privs;
	u32 seccomp_mode;		// SECCOMP_MODE_*; signal lock, itself reads without
	struct seccomp_filter *seccomp; // the youngest; likewise
	bool keep_caps;
	u64 timer_slack_ns;
	// Made when it is first traced, signal lock; itself reads without. Gone when it ends
	struct tracing *tracing;
	u64 vfork_done; // thread itself and its parent: struct vfork_wait *, atomic exchange
	// per-thread CPU time and I/O counts for /proc and getrusage; owner only, read racily
	u64 rchar, wchar, syscr, syscw;
	u64 io_blocks_in, io_blocks_out;
	u64 work_done_ns;
	struct rcu_head rcu;
};

// One process group: exists while it has members or something refers to it.
struct pgrp {
	refcount_t refs;
	u32 id;			 // immutable
	struct session *session; // immutable; counted
	struct list members;	 // process.pgrp_link; tree lock
	u32 nmembers;		 // tree lock
	struct rcu_head rcu;
};

struct session {
	refcount_t refs;
	u32 id;			// immutable
	u32 nmembers;		// tree lock
	struct process *leader; // tree lock; nullptr once it has exited
	// The controlling terminal. Tree lock; set and cleared by linux/tty, which keeps what it
	// needs counted.
	struct tty *tty;
	void (*leader_exited)(struct session *s); // called without locks when the leader exits and
						  // tty is set; may sleep
};

struct rusage_sums { // signal lock
	u64 user_ns, system_ns;
	u64 faults_minor, faults_major;
	u64 switches_voluntary, switches_forced;
	u64 blocks_in, blocks_out;
	u64 maxrss_kib;
	u64 rchar, wchar, syscr, syscw;
};

struct rlimit_pair {
	u64 cur, max;
};
enum rlimit_kind {
	RLIMIT_CPU,
	RLIMIT_FSIZE,
	RLIMIT_DATA,
	RLIMIT_STACK,
	RLIMIT_CORE,
	RLIMIT_RSS,
	RLIMIT_NPROC,
	RLIMIT_NOFILE,
	RLIMIT_MEMLOCK,
	RLIMIT_AS,
	RLIMIT_LOCKS,
	RLIMIT_SIGPENDING,
	RLIMIT_MSGQUEUE,
	RLIMIT_NICE,
	RLIMIT_RTPRIO,
	RLIMIT_RTTIME,
	RLIMIT_COUNT,
};
constexpr u64 RLIM_INFINITY = ~0ull;

enum process_state : u8 {
	PROCESS_ALIVE,
	PROCESS_ZOMBIE, // all tasks are gone; the status is there to be waited for
	PROCESS_REAPED, // nobody will find it any more
};

struct itimer_cpu {
	u64 expires_ns, interval_ns;
}; // of process CPU time; signal lock

struct process {
	refcount_t refs;
	u32 pid; // immutable
	// tree lock
	struct process *parent; // counted by being a child; the first process has itself
	struct list children;	// alive, by sibling
	struct list zombies;	// dead and not waited for, by sibling, in the order of death
	struct list sibling;
	struct pgrp *pgrp;	   // Reading the pointer: tree lock; the id alone: process_pgid
	struct pgrp *dropped_pgrp; // left as its last member; put by whoever reaps
	struct list pgrp_link;
	struct list tracees;		// struct tracing of what its tasks trace
	struct tracing *leader_tracing; // its leader is traced, or was when it ended
	u32 ended_tracees;  // its threads that ended and whose tracers have not waited; tree lock
	u32 creator_tid;    // who made it, for PTRACE_TRACEME; immutable
	bool is_subreaper;  // own threads
	bool has_subreaper; // an ancestor may be one; hint
	bool did_exec;
	u8 exit_signal;	    // to the parent: SIGCHLD, another or 0
	u32 exit_uid;	    // real user of the last task; valid when a zombie
	char exit_name[16]; // its name, likewise
	u32 parent_exec_generation;
	struct wait_queue child_wait; // waits of this process's threads for its children
	// signal lock
	spinlock_t lock;
	enum process_state state;  // changed with tree lock and signal lock held
	u32 nthreads;		   // that have not begun to exit
	struct list threads;	   // task.process_link, in order of creation, exiting ones included
	struct sighand *sighand;   // counted; changed by exec
	struct sigpending pending; // for the process as a whole
	u32 exit_status;	// as wait4 reports it; valid from group_exit or the last task's end
	bool group_exit;	// every task is to end
	struct task *exec_task; // waits for all others to end
	u32 execs_running;	// its tasks that are in execve: nobody may attach
	u32 stop_signal;	// a group stop is under way or complete; 0: none
	u32 stop_remaining;	// tasks that have not stopped yet
	bool stopped;		// complete
	bool stop_reportable, continue_reportable; // wait4 has not told yet
	u32 notify_stop; // CLD_STOPPED / CLD_CONTINUED to send to the parent on the way out, 0 none
	struct wait_queue signal_wait;		  // signalfd, sigtimedwait
	struct wait_queue pidfd_wait;		  // woken when it becomes a zombie
	struct rusage_sums dead_threads;	  // of tasks that ended
	struct rusage_sums children_sums;	  // of children that were waited for
	struct rlimit_pair rlimits[RLIMIT_COUNT]; // written with the signal lock held; read without
						  // (64-bit reads)
	struct timer itimer_real;
	struct work itimer_work;
	u64 itimer_real_expires_ns, itimer_real_interval_ns; // 0: not armed
	bool itimer_real_used;
	struct itimer_cpu itimer_virtual, itimer_prof;
	u64 cpu_limit_next_ns;	// RLIMIT_CPU: when SIGXCPU comes next; ~0 none
	bool cpu_timers_active; // any of the three is on: the tick looks. Atomic
	struct posix_timers *timers;
	u64 start_ns;			  // monotonic; immutable
	atomic_u32 membarrier_registered; // commands; own threads
	s16 oom_score_adj;		  // atomic
	u32 exec_generation;		  // incremented by each exec
	struct rcu_head rcu;
};

static inline struct task *current_task(void) // only in a program's thread
{
	return (struct task *)current();
}
static inline struct process *current_process(void)
{
	return current_task()->process;
}
// A task's address space: the current one's, one that does not run yet, or as long as the signal
// lock is held. nullptr: none any more.
static inline struct vm_space *task_space(const struct task *t)
{
	return vm_space_of(t->thread.space);
}
static inline struct vm_space *current_space(void) // nullptr in a kernel thread
{
	return vm_space_of(current()->space);
}
static inline bool current_is_task(void)
{
	return current()->id != 0;
}
static inline struct task *thread_task(struct thread *t)
{
	return t->id ? (struct task *)t : nullptr;
}

extern struct process *init_process; // pid 1; set before it runs

// ---- references and lookups ----
static inline struct task *task_get(struct task *t)
{
	thread_get(&t->thread);
	return t;
}
static inline void task_put(struct task *t)
{
	thread_put(&t->thread);
}
static inline struct process *process_get(struct process *p)
{
	refcount_inc(&p->refs);
	return p;
}
void process_put(struct process *p);
struct process *process_find(u32 pid); // with a reference, zombies included; nullptr
struct task *task_find(u32 tid);       // with a reference; nullptr
struct process *process_next(
	u32 *pid); // the first with pid >= *pid, which is set to its pid; with a reference
// The process's first task with tid >= *tid (set to it), with a reference; nullptr at the end.
struct task *process_task_next(struct process *p, u32 *tid);
struct task *process_any_task(struct process *p); // some living task with a reference (the leader
						  // if it lives); nullptr: zombie
struct pgrp *pgrp_find(u32 id); // with a reference
static inline struct pgrp *pgrp_get(struct pgrp *g)
{
	refcount_inc(&g->refs);
	return g;
}
void pgrp_put(struct pgrp *g);
static inline struct session *session_get(struct session *s)
{
	refcount_inc(&s->refs);
	return s;
}
void session_put(struct session *s);
u32 pid_max(void);
int pid_set_max(u32 max); // -EINVAL outside 301..PID_MAX_LIMIT
u32 pid_last(void);	  // most recently given id, for /proc/loadavg
u64 pid_created(void);	  // numbers given out since boot, for /proc/stat
u32 task_count(void);	  // living tasks

extern spinlock_t process_tree_lock;
static inline void tree_lock(void)
{
	spin_lock(&process_tree_lock);
}
static inline void tree_unlock(void)
{
	spin_unlock(&process_tree_lock);
}

// ---- ids: any process, any context; racy by nature ----
u32 process_ppid(struct process *p);
u32 process_pgid(struct process *p);
u32 process_sid(struct process *p);
static inline u32 current_pid(void)
{
	return current_process()->pid;
}
static inline u32 current_tid(void)
{
	return current()->id;
}
struct pgrp *process_pgrp_get(struct process *p);	// with a reference
struct session *process_session_get(struct process *p); // with a reference
// A group none of whose members has a parent in another group of the same session: its stopped
// members cannot be continued by job control. Takes the tree lock.
bool pgrp_is_orphaned(struct pgrp *g);

// ---- what belongs to another task; with a reference, nullptr when it is gone ----
struct vm_space *process_space_get(struct process *p);
struct vm_space *task_space_get(struct task *t);
struct fd_table *task_files_get(struct task *t);
struct fs_context *task_fs_get(struct task *t);

// ---- limits and accounting ----
static inline u64 rlimit(enum rlimit_kind k)
{
	return READ_ONCE(current_process()->rlimits[k].cur);
}
static inline u64 process_rlimit(struct process *p, enum rlimit_kind k)
{
	return READ_ONCE(p->rlimits[k].cur);
}
int process_rlimit_set(struct process *p, enum rlimit_kind k,
		       const struct rlimit_pair *new); // privilege was checked
void process_times(struct process *p, u64 *user_ns,
		   u64 *system_ns); // all its threads, dead ones included
void process_rusage(struct process *p, struct rusage_sums *out); // likewise
void task_sums(struct task *t, struct rusage_sums *out);	 // of one thread
// Its CPU time, split as the ticks have met it. Any context.
void task_times(const struct task *t, u64 *user_ns, u64 *system_ns);
// May the current thread look into p (ptrace's read rule, /proc/PID/*)? fs: by fs ids, else by real
// ids.
bool process_may_access(struct process *p, bool fs_ids);
char task_state_char(struct task *t); // R S D T t Z X as ps shows it

// ---- lifecycle used elsewhere ----
[[noreturn]] void task_exit(u32 wait_status);	       // the current thread only
[[noreturn]] void process_exit_group(u32 wait_status); // the current process
void linux_start(void);				       // personality->start
bool oom_kill(void); // memory is out: kills a process. true: try again; may sleep

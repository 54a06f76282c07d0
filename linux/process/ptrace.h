// SPDX-License-Identifier: MIT
// Tracing: what the rest of linux/ needs to know of a traced task. Private to linux/.
#pragma once
#include "abi/linux/ptrace.h"
#include "linux/task.h"

struct trap_frame;

enum trace_calls : u8 { TRACE_CALLS_NOT, TRACE_CALLS_STOP, TRACE_CALLS_EMULATE };

// One tracee. Made when a task is first traced; the task owns it until it ends (traced or not).
// Of a task that ended traced, the tracer's list owns it until the tracer has waited.
struct tracing {
	struct task *task;	 // tree and signal lock; nullptr: it has ended
	struct process *process; // immutable; counted
	u32 tid;		 // tree lock
	// Written with the tree lock and the process's signal lock held, read with either.
	struct task *tracer; // nullptr: not traced now
	struct list link;    // process.tracees of the tracer's process; tree lock alone
	bool seized;
	bool capable; // the tracer may trace everybody: programs keep their privilege at exec
	u32 options;
	// Signal lock.
	bool stopped;	  // in a stop: only a request (or death) ends it
	bool listening;	  // PTRACE_LISTEN: in a stop for job control, but no requests
	bool trap_stop;	  // has to stop at the next opportunity
	bool trap_notify; // job control did something that a seizing tracer must hear of
	bool step;	  // one instruction at a time
	enum trace_calls calls;
	bool signal_stop;  // the stop is for a signal about to be delivered
	bool has_info;	   // info is the stop's
	u32 stop_code;	   // of the stop, until wait has told it; 0: none
	u32 resume_signal; // what the tracer said at the end of the stop
	u64 message;	   // PTRACE_GETEVENTMSG
	struct siginfo info;
	// Thread itself.
	bool step_flag;	   // the CPU's step flag was set by us, not by the program
	bool call_traced;  // core will call ptrace_call_leave() at the end of this system call
	bool call_end_due; // nobody else will report the end of this call
	// Valid once task is nullptr; tree lock.
	u32 exit_status, exit_uid;
};

// ---- questions ----
static inline bool task_is_traced(const struct task *t) // signal lock of its process, or a hint
{
	return unlikely(t->tracing) && READ_ONCE(t->tracing->tracer);
}
// Does its tracer want to be told of the event? As ptrace_event() will see it, or a hint.
static inline bool ptrace_event_wanted(const struct task *t, u32 event)
{
	return task_is_traced(t) && (READ_ONCE(t->tracing->options) >> event & 1);
}
// Does it stand still (job control or tracer), so that signals wait? Signal lock.
static inline bool task_stands_still(const struct task *t)
{
	return task_is_traced(t) ? t->tracing->stopped : t->stop_counted;
}
static inline bool ptrace_trap_wanted(const struct task *t) // signal lock, or the thread itself
{
	return task_is_traced(t) && (t->tracing->trap_stop || t->tracing->trap_notify);
}
u32 ptrace_tracer_tid(struct task *t); // 0: none; for /proc. Takes the tree lock
// Is the leader of p traced by a process that is not its parent? Tree lock.
bool ptrace_reparented_locked(const struct process *p);

// ---- creation, exec, exit ----
int ptrace_child_prepare(struct task *child); // makes its record: 0 or -ENOMEM
// The new child is traced as its creator is. Tree lock and the child's signal lock.
void ptrace_child_link_locked(struct task *child);
// Which event the creation of a task is to the tracer: 0 none.
u32 ptrace_clone_event(u64 flags, u32 exit_signal);
void ptrace_event(u32 event, u64 message); // stops when the tracer wants that event
void ptrace_exec_done(u32 old_tid);
void ptrace_exec_takes_tid_locked(struct task *t); // t becomes its process's leader; tree lock
// t ends, it was just taken off its process's list. Tree and signal lock. What is returned goes to
// tracing_free() after the locks.
struct tracing *ptrace_task_ends_locked(struct task *t, u32 status);
void ptrace_tell_end_locked(struct tracing *tr); // of a thread, or of a process by its leader
// The tracer t ends: its tracees are let go. Zombies that nobody wants go to reaped. Tree lock.
void ptrace_tracer_ends_locked(struct task *t, struct list *reaped);
void tracing_free(struct tracing *tr);
// A zombie whose tracer has waited, or is gone: on to its parent (tell: which has not heard of it).
// true: reaped, the caller finishes. Tree lock. (exit.c)
bool zombie_to_parent_locked(struct process *p, bool tell);
// Not traced any more; a stop ends with signal. Tree lock. A record without a task is to be freed.
void ptrace_unlink_locked(struct tracing *tr, u32 signal);
struct tracing *tracing_alloc(struct task *t);
// tracer (of creds that may trace everybody: capable) traces t. Tree and signal lock.
void ptrace_link_locked(struct tracing *tr, struct task *tracer, bool capable);

// ---- signals ----
void ptrace_let_die_locked(struct task *t); // a kill ends whatever stop it is in; signal lock
void ptrace_notify_locked(struct task *t);  // job control happened; signal lock
// With the signal lock held, released inside and taken again:
int ptrace_signal_locked(struct task *t, int sig, struct siginfo *info); // what is left of it; 0
void ptrace_trap_locked(struct task *t);
bool stop_count_locked(struct task *t); // t takes part in the group stop: true: complete with it
void stop_notify_parent(struct process *p, int code, int status); // signal_deliver.c

// ---- on the way in and out ----
bool ptrace_call_enter(struct trap_frame *f); // false: skip the call
void ptrace_call_leave(struct trap_frame *f);
void ptrace_exit_begins(struct task *t, struct trap_frame *f, bool in_syscall);
void ptrace_exit_ends(struct task *t, struct trap_frame *f);
void ptrace_handler_entered(struct task *t); // a handler's frame was built

// SPDX-License-Identifier: MIT
// Threads and the scheduler. Privileged.
//
// States: RUNNABLE (on a run queue or running) <-> SLEEPING (waits; thread_wake ends it) -> DEAD
// (never runs again; freed when the last reference goes). A thread changes only its own state to
// sleeping; others only wake.
#pragma once
#include "base/atomic.h"
#include "base/list.h"
#include "base/rbtree.h"
#include "base/types.h"
#include "core/lock.h"
#include "core/smp.h"
#include <arch/thread.h> // struct arch_thread, current()

struct mmu_space;
struct gate_stack;
struct thread;

enum thread_state : u32 {
	THREAD_RUNNABLE = 0,
	THREAD_INTERRUPTIBLE = 1, // a pending interrupt (signal) ends the wait
	THREAD_UNINTERRUPTIBLE = 2,
	THREAD_KILLABLE = 4, // only a kill ends the wait
	THREAD_STOPPED = 8,  // the personality's stop (job control); woken by it or a kill
	THREAD_TRACED = 16,
	THREAD_DEAD = 32,
};

// Real-time threads get at most so much of each period while others want to run, on each CPU.
constexpr u64 SCHED_RT_PERIOD_US = 1'000'000, SCHED_RT_RUNTIME_US = 950'000;
enum sched_policy : u8 {
	POLICY_NORMAL,
	POLICY_FIFO,
	POLICY_RR,
	POLICY_BATCH,
	POLICY_IDLE = 5
}; // Linux's numbers

// Why the way back to a program must take the slow path. thread.work, atomic bits.
enum thread_work : u32 {
	WORK_RESCHED = 1 << 0,	  // core: another thread should run
	WORK_SIGNAL = 1 << 1,	  // personality: look for signals
	WORK_NOTIFY = 1 << 2,	  // personality: anything else (exit_to_user is called)
	WORK_FULL_FRAME = 1 << 3, // registers were changed: return by the full path. Cleared by it
	WORK_ROOT = 1 << 4,	  // core: a gate left a service's view loaded
	WORK_TRACE_ENTRY =
		1 << 8, // personality->syscall_enter and syscall_leave run around system calls
};

struct sched_entity { // run-queue lock of thread.cpu
	struct rb_node node;
	u64 vruntime;	// weighted ns
	u64 exec_start; // ns
	u64 sum_exec;	// ns run since creation; read racily
	u64 slice_start;
	u32 weight;
	bool queued;
	struct list rt_link;
	u64 rr_left;
};

struct thread {
	// hot: touched by entry, exit and switch
	atomic_u32 work;	 // enum thread_work
	atomic_u32 state;	 // enum thread_state
	uintptr_t kstack_top;	 // immutable
	struct mmu_space *space; // own thread (exec) or creation; nullptr: kernel thread,
				 // which runs on whatever is loaded
	enum vm_view_tag : u32 { THREAD_VIEW_PROGRAM, THREAD_VIEW_ELEVATED } view; // own thread
	u32 elevated;		 // nesting as core knows it: 0 or 1. Own thread
	bool may_elevate;	 // granted. Set while the thread is stopped or by itself
	bool notify_moves;	 // WORK_NOTIFY when preempted, on another CPU, or asleep outside of
				 // system calls; own thread
	struct gate_stack *gate; // the innermost service that it is inside of; own thread
	uintptr_t entry_top;	 // where entries build their frames: kstack_top, or below what an
				 // enclosing gate keeps; own thread
	u64 syscalls; // its system-call numbers are below this; 0 inside a service. Own thread
	struct arch_thread arch;
	// scheduling
	struct sched_entity se;
	enum sched_policy policy; // run-queue lock
	u8 rt_priority;		  // 1..99
	s8 nice;		  // -20..19
	bool reset_on_fork;
	bool on_cpu;		      // atomic; its registers are on a CPU right now
	u32 cpu;		      // run-queue lock; atomic read
	cpumask_t affinity;	      // run-queue lock
	u64 user_ticks, system_ticks; // ticks that met it in its program, in the kernel; owner CPU
	u64 start_ns;		      // immutable; monotonic
	atomic_u64 switches_voluntary, switches_forced, faults_minor, faults_major;
	// waiting
	atomic_u32 interrupted; // bit 0: interruptible waits end (signal), bit 1: killable waits
				// end too
#if CONFIG_DEBUG
	struct held_lock {
		const void *lock;
		u16 cls;
		uintptr_t ip;
	} held[16]; // own thread: sleeping locks
	u32 nheld;
#endif
	// identity
	refcount_t refs;
	u32 id; // the personality's thread id; 0 for kernel threads
	char name[16];
	void *kstack;
	void (*release)(struct thread *t); // frees the memory after the last reference; may sleep
	const char *wait_reason;	   // for /proc/PID/wchan and hang reports; own thread
};

// Kernel thread: runs fn(arg), then exits. nullptr when memory is out. Starts when thread_start is
// called.
[[nodiscard]] struct thread *kthread_create(void (*fn)(void *arg), void *arg, const char *name);
// Prepares a thread embedded in the personality's own structure (zeroed by the caller); refs = 1.
// The caller then sets up its first frame by arch_thread_init_user / arch_thread_fork. 0 or
// -ENOMEM.
[[nodiscard]] int thread_init(struct thread *t, const char *name, void (*release)(struct thread *));
void thread_start(struct thread *t); // first time on a run queue
[[noreturn]] void thread_exit(void); // the personality has cleaned up; drops the self reference
static inline void thread_get(struct thread *t)
{
	refcount_inc(&t->refs);
}
void thread_put(struct thread *t); // any context that holds no spinlock of rank above run_queue;
				   // release runs in deferred work

// Ends a sleep whose state is in mask (enum thread_state bits). true: it was woken by this call.
// Any context.
bool thread_wake_state(struct thread *t, u32 mask);
static inline bool thread_wake(struct thread *t)
{
	return thread_wake_state(t,
				 THREAD_INTERRUPTIBLE | THREAD_UNINTERRUPTIBLE | THREAD_KILLABLE);
}
// As thread_wake, told that the caller is about to sleep itself: the thread is best placed on this
// CPU.
bool thread_wake_sync(struct thread *t);
// Makes interruptible (and with kill killable) waits of t end with -ERESTARTSYS / -EINTR, and t
// look at WORK_SIGNAL. Any context.
void thread_interrupt(struct thread *t, bool kill);
static inline bool thread_interrupt_pending(u32 state); // would a sleep in this state end at once?
void thread_interrupt_clear(void); // own thread: signals were looked at. The kill bit stays

// Sleeping by hand: thread_prepare_sleep(state); if (!condition) schedule(); thread_finish_sleep();
void thread_prepare_sleep(u32 state);
void thread_finish_sleep(void);
void schedule(void);		      // picks the next thread; sleeps when the state says so
bool schedule_until(u64 deadline_ns); // as schedule, ends at the monotonic time too (~0: never);
				      // false: time was up
void sched_yield(void);
void thread_sleep_ns(u64 ns); // uninterruptible

// Policies. -EINVAL for bad combinations. Any thread; takes its run-queue lock.
int sched_set_policy(struct thread *t, enum sched_policy policy, int rt_priority, int nice);
// What a thread that was not started yet takes from the current one: policy, priorities, affinity;
// with reset_on_fork, which stays behind, nothing above the ordinary.
void sched_inherit(struct thread *child);
int sched_set_affinity(struct thread *t,
		       cpumask_t mask); // -EINVAL: no CPU of it runs; migrates at once when needed
u64 sched_rr_interval_ns(const struct thread *t);
u64 thread_runtime_ns(const struct thread *t); // CPU time so far, the running slice included

struct sched_stats {
	u64 switches;
	u64 user_ns, nice_ns, system_ns, idle_ns, irq_ns;
	u32 running;
};
void sched_cpu_stats(u32 cpu, struct sched_stats *out);
u32 sched_nr_running(void); // threads that run or could, on all CPUs
void sched_init(void);
struct thread *sched_idle_create(u32 cpu); // the idle thread of a CPU about to start; its run queue
					   // works from then on. nullptr: no memory
void sched_kicked(void); // the reschedule interrupt arrived; interrupts off
[[noreturn]] void sched_idle_loop(void);

static inline bool thread_interrupt_pending(u32 state)
{
	u32 i = atomic_load(&current()->interrupted);
	return unlikely(i) &&
	       ((state & THREAD_INTERRUPTIBLE) || ((i & 2) && (state & THREAD_KILLABLE)));
}
static inline bool thread_killed(void)
{
	return atomic_load(&current()->interrupted) & 2;
}

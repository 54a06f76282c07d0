// SPDX-License-Identifier: MIT
// Signals: sending, blocking, waiting. Privileged.
//
// Sending takes the signal lock of the process: never in interrupts (queue a work item there) and
// never under locks of rank >= LOCK_signal. It does not sleep.
#pragma once
#include "abi/linux/signal.h"
#include "base/list.h"
#include "base/types.h"

struct task;
struct process;
struct pgrp;
struct trap_frame;
struct wait_queue;

typedef u64 sigset_t; // bit n-1: signal n
static inline sigset_t sigmask(int sig)
{
	return 1ull << (sig - 1);
}
constexpr sigset_t SIGSET_UNBLOCKABLE = 1ull << (SIGKILL - 1) | 1ull << (SIGSTOP - 1);
constexpr sigset_t SIGSET_STOP = 1ull << (SIGSTOP - 1) | 1ull << (SIGTSTP - 1) |
				 1ull << (SIGTTIN - 1) | 1ull << (SIGTTOU - 1);

struct sigpending {	   // signal lock of the process
	sigset_t set;	   // atomic reads are allowed as a hint
	struct list queue; // struct sigqueue
};

// ---- sending, by the kernel itself: no permission checks. 0, or -EAGAIN when a real-time signal's
// queue is full, -ESRCH ----
int signal_send_process(struct process *p, const struct siginfo *info);
int signal_send_task(struct task *t, const struct siginfo *info);
int signal_kernel_process(struct process *p, int sig); // si_code SI_KERNEL
int signal_kernel_task(struct task *t, int sig);
// To every process of the group; 0 when at least one was reached, else -ESRCH.
int signal_send_pgrp(struct pgrp *g, const struct siginfo *info);
int signal_kernel_pgrp(struct pgrp *g, int sig);
// The current thread must take this one (a fault): unblocked and un-ignored if necessary, which
// then kills.
void signal_force(const struct siginfo *info);
void signal_force_fault(int sig, int code, u64 addr);
// The same for a page fault at addr that personality.fault answered by result.
void signal_force_page_fault(u64 addr, int result);
// SIGPIPE and SIGXFSZ to the current thread, as write(2) sends them.
void signal_self(int sig);
// May the current thread signal p (kill(2)'s rule)? 0 or -EPERM.
int signal_may_send(struct process *p, int sig);

// ---- waiting calls ----
// Is a signal pending that will be delivered on the way out? Long loops ask.
bool signal_pending(void);
bool signal_fatal_pending(void); // being killed

// ppoll, pselect6, epoll_pwait...: installs *mask until the call ends. The old mask comes back by
// itself when a handler ran; otherwise signal_mask_restore must be called before the call returns
// without -EINTR / -ERESTARTNOHAND. umask is the program's pointer (nullptr: no change); size must
// be 8: 0, -EINVAL, -EFAULT.
int signal_mask_push_user(const u64 __user *umask, u64 size);
void signal_mask_push(sigset_t mask);
void signal_mask_restore(int result); // result of the call: keeps the temporary mask when it is
				      // -EINTR or a restart code

// ---- alternate stacks ----
struct linux_stack;
// Does t run on its alternate stack, with its stack pointer there?
bool altstack_holds(const struct task *t, u64 sp);
// Where a handler's frame begins, downwards, for a thread whose stack pointer is sp. *lowest: below
// that it may not reach; 0: no bound.
u64 altstack_choose(const struct task *t, const struct linux_sigaction *a, u64 sp, u64 *lowest);
// As sigaltstack(2) and frames tell it.
struct linux_stack altstack_get(const struct task *t, u64 sp);
// A frame that holds altstack_get()'s answer was pushed: SS_AUTODISARM.
void altstack_disarm(struct task *t);
// What a frame says is set, where sigaltstack(2) would let it. sp: after the return.
void altstack_restore(struct task *t, u64 sp, const struct linux_stack *s);

sigset_t signal_blocked(void); // of the current thread
void signal_set_blocked(sigset_t set);

// The state of a blocking call that must be restarted with other arguments (nanosleep, poll,
// futex).
struct restart_block {
	long (*fn)(struct restart_block *r); // what restart_syscall(2) runs
	union {
		struct {
			u64 deadline_ns;
			u32 clock;
			void __user *rem;
		} sleep;
		struct {
			u32 __user *uaddr;
			u64 deadline_ns;
			u32 val, flags, bitset;
			bool realtime;
		} futex;
		struct {
			void __user *fds;
			u32 nfds;
			bool has_timeout;
			u64 deadline_ns;
		} poll;
	};
};
struct restart_block *current_restart_block(void); // fill it and return -ERESTART_RESTARTBLOCK

// ---- signalfd and the like ----
// Takes one pending signal of the set for the current thread: its number with *info filled, or 0.
int signal_dequeue(sigset_t set, struct siginfo *info);
sigset_t signal_pending_set(void); // own and shared, whatever is blocked
struct wait_queue *signal_wait_queue(
	void); // of the current process: woken whenever a signal is queued (signalfd's poll)

// ---- default actions ----
bool signal_is_ignored_or_blocked(struct task *t,
				  int sig); // for tty's background rules (SIGTTIN, SIGTTOU)
// Which signals p ignores and which it has handlers for; for /proc.
void signal_action_sets(struct process *p, sigset_t *ignored, sigset_t *caught);
const char *signal_name(int sig); // "SIGSEGV", "SIG34"

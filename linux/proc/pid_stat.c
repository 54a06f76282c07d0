// SPDX-License-Identifier: MIT
// Owns what a process's files in /proc say about its state, times, credentials and limits.
#include "base/string.h"
#include "core/page.h"
#include "linux/cred.h"
#include "linux/proc/proc.h"
#include "linux/process/ptrace.h"
#include "linux/signal.h"
#include "linux/tty.h"
#include "linux/vm.h"

// What stat and status tell, gathered for a thread or for a process as a whole, zombies included.
struct snapshot {
	struct task *task;	// counted; nullptr: zombie
	struct vm_space *space; // counted; nullptr: none
	struct rusage_sums own, children;
	char name[16];
	char state;
	u32 nthreads;
	u64 start_ns;
};

static void snapshot_take(struct node *n, struct snapshot *s)
{
	struct process *p = n->process;
	*s = (struct snapshot){.task = node_task(n), .state = 'Z', .start_ns = p->start_ns};
	if (s->task) {
		s->space = node_space(n);
		s->state = task_state_char(s->task);
	}
	memcpy(s->name, s->task ? s->task->thread.name : p->exit_name, sizeof(s->name));
	s->name[sizeof(s->name) - 1] = 0;
	if (n->tid && s->task) {
		task_sums(s->task, &s->own);
		s->start_ns = s->task->thread.start_ns;
	} else {
		process_rusage(p, &s->own);
	}
	spin_lock(&p->lock);
	s->children = p->children_sums;
	s->nthreads = p->nthreads;
	spin_unlock(&p->lock);
	if (!s->task && READ_ONCE(p->state) == PROCESS_REAPED)
		s->state = 'X';
}

static void snapshot_drop(struct snapshot *s)
{
	if (s->space)
		vm_space_put(s->space);
	if (s->task)
		task_put(s->task);
}

// ---- stat ----

static void stat_terminal(struct text *t, struct process *p)
{
	u32 pgrp = 0;
	struct session *s = process_session_get(p);
	u64 dev = s ? session_tty_info(s, &pgrp) : 0;
	if (s)
		session_put(s);
	text_u64(t, dev ? dev_encode(dev) & 0xffffffff : 0, ' ');
	text_s64(t, dev ? (s64)pgrp : -1, ' ');
}

static void stat_times(struct text *t, const struct snapshot *s)
{
	const struct rusage_sums *o = &s->own, *c = &s->children;
	text_u64(t, o->faults_minor, ' ');
	text_u64(t, c->faults_minor, ' ');
	text_u64(t, o->faults_major, ' ');
	text_u64(t, c->faults_major, ' ');
	text_u64(t, proc_ticks(o->user_ns), ' ');
	text_u64(t, proc_ticks(o->system_ns), ' ');
	text_u64(t, proc_ticks(c->user_ns), ' ');
	text_u64(t, proc_ticks(c->system_ns), ' ');
}

static u64 space_rss(struct vm_space *s)
{
	return atomic_load(&s->mmu.rss_anon) + atomic_load(&s->mmu.rss_file);
}

// Addresses are for those who may look into the process; others see the 1 that Linux puts there for
// "has memory".
static void stat_memory(struct text *t, struct process *p, const struct snapshot *s, bool may)
{
	struct vm_space *m = s->space;
	text_u64(t, m ? READ_ONCE(m->total_pages) * PAGE_SIZE : 0, ' ');
	text_u64(t, m ? space_rss(m) : 0, ' ');
	text_u64(t, process_rlimit(p, RLIMIT_RSS), ' ');
	text_u64(t, m ? (may ? m->code_start : 1) : 0, ' ');
	text_u64(t, m ? (may ? m->code_end : 1) : 0, ' ');
	text_u64(t, m && may ? m->stack_start : 0, ' ');
	text_puts(t, "0 0 "); // stack and instruction pointer: Linux shows them for threads that
			      // are ending only
}

static void stat_signals(struct text *t, struct process *p, const struct snapshot *s)
{
	constexpr u64 classic = 0x7fffffff; // the field holds the first 31
	sigset_t ignored, caught;
	signal_action_sets(p, &ignored, &caught);
	text_u64(t, (s->task ? READ_ONCE(s->task->pending.set) : 0) & classic, ' ');
	text_u64(t, (s->task ? READ_ONCE(s->task->blocked) : 0) & classic, ' ');
	text_u64(t, ignored & classic, ' ');
	text_u64(t, caught & classic, ' ');
}

int pid_show_stat(struct text *t, struct node *n)
{
	struct process *p = n->process;
	struct snapshot s;
	snapshot_take(n, &s);
	const struct thread *th = s.task ? &s.task->thread : nullptr;
	bool may = process_may_access(p, true);
	bool rt = th && (th->policy == POLICY_FIFO || th->policy == POLICY_RR);

	text_u64(t, n->tid ?: p->pid, ' ');
	text_printf(t, "(%s) %c ", s.name, s.state);
	text_u64(t, process_ppid(p), ' ');
	text_u64(t, process_pgid(p), ' ');
	text_u64(t, process_sid(p), ' ');
	stat_terminal(t, p);
	text_puts(t, p->did_exec
			     ? "4194304 "
			     : "4194368 "); // flags: PF_RANDOMIZE, and PF_FORKNOEXEC before an exec
	stat_times(t, &s);
	text_s64(t, rt ? -1 - (s64)th->rt_priority : 20 + (th ? th->nice : 0), ' ');
	text_s64(t, th ? th->nice : 0, ' ');
	text_u64(t, s.nthreads, ' ');
	text_puts(t, "0 ");
	text_u64(t, proc_ticks(s.start_ns), ' ');
	stat_memory(t, p, &s, may);
	stat_signals(t, p, &s);
	text_puts(t, s.state == 'S' || s.state == 'D'
			     ? "1 0 0 "
			     : "0 0 0 "); // waits at an address; swapped pages
	text_s64(t, n->tid && n->tid != p->pid ? -1 : p->exit_signal, ' ');
	text_u64(t, th ? READ_ONCE(th->cpu) : 0, ' ');
	text_u64(t, rt ? th->rt_priority : 0, ' ');
	text_u64(t, th ? th->policy : 0, ' ');
	text_puts(t, "0 0 0 "); // block delays, guests
	const struct vm_space *m = may ? s.space : nullptr;
	text_u64(t, m ? m->data_start : 0, ' ');
	text_u64(t, m ? m->data_end : 0, ' ');
	text_u64(t, m ? m->brk_start : 0, ' ');
	text_u64(t, m ? m->arg_start : 0, ' ');
	text_u64(t, m ? m->arg_end : 0, ' ');
	text_u64(t, m ? m->env_start : 0, ' ');
	text_u64(t, m ? m->env_end : 0, ' ');
	text_u64(t, may && !s.task ? READ_ONCE(p->exit_status) : 0, '\n');
	snapshot_drop(&s);
	return 0;
}

int pid_show_statm(struct text *t, struct node *n)
{
	struct vm_space *m = node_space(n);
	if (!m) {
		text_puts(t, "0 0 0 0 0 0 0\n");
		return 0;
	}
	text_u64(t, READ_ONCE(m->total_pages), ' ');
	text_u64(t, space_rss(m), ' ');
	text_u64(t, atomic_load(&m->mmu.rss_file), ' ');
	text_u64(t,
		 (align_up(m->code_end, PAGE_SIZE) - align_down(m->code_start, PAGE_SIZE)) /
			 PAGE_SIZE,
		 ' ');
	text_puts(t, "0 ");
	text_u64(t, READ_ONCE(m->data_pages) + READ_ONCE(m->stack_pages), ' ');
	text_puts(t, "0\n");
	vm_space_put(m);
	return 0;
}

// ---- status ----

static void status_ids(struct text *t, const struct cred *c)
{
	text_printf(t, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\n", c->uid, c->euid, c->suid,
		    c->fsuid, c->gid, c->egid, c->sgid, c->fsgid);
}

static void status_groups(struct text *t, const struct cred *c)
{
	text_puts(t, "Groups:\t");
	for (u32 i = 0; c->groups && i < c->groups->n; i++)
		text_u64(t, c->groups->gid[i], ' ');
	text_puts(t, c->groups && c->groups->n ? "\n" : " \n");
}

static void status_kib(struct text *t, const char *name, u64 kib)
{
	text_printf(t, "%s:\t%8llu kB\n", name, kib);
}

static void status_memory(struct text *t, struct vm_space *m)
{
	constexpr u64 page_kib = PAGE_SIZE / KiB;
	u64 text_kib =
		(align_up(m->code_end, PAGE_SIZE) - align_down(m->code_start, PAGE_SIZE)) / KiB;
	u64 exec_kib = READ_ONCE(m->exec_pages) * page_kib;
	text_kib = min(text_kib, exec_kib);
	status_kib(t, "VmSize", READ_ONCE(m->total_pages) * page_kib);
	status_kib(t, "VmLck", READ_ONCE(m->locked_pages) * page_kib);
	status_kib(t, "VmHWM", vm_space_rss_peak(m) * page_kib);
	status_kib(t, "VmRSS", space_rss(m) * page_kib);
	status_kib(t, "RssAnon", atomic_load(&m->mmu.rss_anon) * page_kib);
	status_kib(t, "RssFile", atomic_load(&m->mmu.rss_file) * page_kib);
	status_kib(t, "RssShmem", 0);
	status_kib(t, "VmData", READ_ONCE(m->data_pages) * page_kib);
	status_kib(t, "VmStk", READ_ONCE(m->stack_pages) * page_kib);
	status_kib(t, "VmExe", text_kib);
	status_kib(t, "VmLib", exec_kib - text_kib);
	status_kib(t, "VmPTE", atomic_load(&m->mmu.table_pages) * page_kib);
	status_kib(t, "VmSwap", 0);
}

static void status_set(struct text *t, const char *name, u64 set)
{
	text_puts(t, name);
	text_hex(t, set, 16, '\n');
}

static void status_signals(struct text *t, struct process *p, struct task *task,
			   const struct cred *c)
{
	sigset_t ignored, caught;
	signal_action_sets(p, &ignored, &caught);
	text_printf(t, "SigQ:\t%lld/%llu\n",
		    c->user ? (long long)atomic_load(&c->user->sigpending) : 0,
		    process_rlimit(p, RLIMIT_SIGPENDING));
	status_set(t, "SigPnd:\t", READ_ONCE(task->pending.set));
	status_set(t, "ShdPnd:\t", READ_ONCE(p->pending.set));
	status_set(t, "SigBlk:\t", READ_ONCE(task->blocked));
	status_set(t, "SigIgn:\t", ignored);
	status_set(t, "SigCgt:\t", caught);
}

static void status_capabilities(struct text *t, const struct task *task, const struct cred *c)
{
	status_set(t, "CapInh:\t", c->cap_inheritable);
	status_set(t, "CapPrm:\t", c->cap_permitted);
	status_set(t, "CapEff:\t", c->cap_effective);
	status_set(t, "CapBnd:\t", c->cap_bset);
	status_set(t, "CapAmb:\t", c->cap_ambient);
	text_printf(t, "NoNewPrivs:\t%d\nSeccomp:\t%u\n", task->no_new_privs,
		    load_once(&task->seccomp_mode));
}

static void status_placement(struct text *t, struct task *task, const struct rusage_sums *sums)
{
	cpumask_t cpus = READ_ONCE(task->thread.affinity) & cpumask_all();
	text_printf(t, "Cpus_allowed:\t%llx\nCpus_allowed_list:\t", cpus);
	text_bit_list(t, cpus);
	text_printf(
		t,
		"\nMems_allowed:\t1\nMems_allowed_list:\t0\nvoluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_switches:\t%llu\n",
		sums->switches_voluntary, sums->switches_forced);
}

static const char *state_name(char state)
{
	switch (state) {
	case 'R':
		return "R (running)";
	case 'S':
		return "S (sleeping)";
	case 'D':
		return "D (disk sleep)";
	case 'T':
		return "T (stopped)";
	case 't':
		return "t (tracing stop)";
	case 'Z':
		return "Z (zombie)";
	default:
		return "X (dead)";
	}
}

static void status_umask(struct text *t, struct task *task)
{
	struct fs_context *fs = task_fs_get(task);
	if (!fs)
		return;
	text_printf(t, "Umask:\t%04o\n", load_once(&fs->umask));
	fs_context_put(fs);
}

int pid_show_status(struct text *t, struct node *n)
{
	struct process *p = n->process;
	struct snapshot s;
	snapshot_take(n, &s);
	const struct cred *c = s.task ? task_cred_get(s.task) : nullptr;
	text_puts(t, "Name:\t");
	text_escaped(t, s.name, "\n");
	text_putc(t, '\n');
	if (s.task)
		status_umask(t, s.task);
	text_printf(t, "State:\t%s\nTgid:\t%u\nNgid:\t0\nPid:\t%u\nPPid:\t%u\nTracerPid:\t%u\n",
		    state_name(s.state), p->pid, n->tid ?: p->pid, process_ppid(p),
		    s.task ? ptrace_tracer_tid(s.task) : 0);
	if (c) {
		status_ids(t, c);
		text_printf(t, "FDSize:\t%u\n", node_files_size(n));
		status_groups(t, c);
	} else {
		u32 uid = READ_ONCE(p->exit_uid);
		text_printf(t, "Uid:\t%u\t%u\t%u\t%u\n", uid, uid, uid, uid);
	}
	text_printf(t, "NStgid:\t%u\nNSpid:\t%u\nNSpgid:\t%u\nNSsid:\t%u\n", p->pid,
		    n->tid ?: p->pid, process_pgid(p), process_sid(p));
	if (s.space)
		status_memory(t, s.space);
	text_printf(t, "Threads:\t%u\n", max(s.nthreads, 1u));
	if (c) {
		status_signals(t, p, s.task, c);
		status_capabilities(t, s.task, c);
		status_placement(t, s.task, &s.own);
		cred_put(c);
	}
	snapshot_drop(&s);
	return 0;
}

// ---- io, limits ----

int pid_show_io(struct text *t, struct node *n)
{
	struct snapshot s;
	snapshot_take(n, &s);
	text_printf(
		t,
		"rchar: %llu\nwchar: %llu\nsyscr: %llu\nsyscw: %llu\nread_bytes: %llu\nwrite_bytes: %llu\ncancelled_write_bytes: 0\n",
		s.own.rchar, s.own.wchar, s.own.syscr, s.own.syscw, s.own.blocks_in * 512,
		s.own.blocks_out * 512);
	snapshot_drop(&s);
	return 0;
}

static void limit_value(struct text *t, u64 value)
{
	if (value == RLIM_INFINITY)
		text_printf(t, "%-20s ", "unlimited");
	else
		text_printf(t, "%-20llu ", value);
}

int pid_show_limits(struct text *t, struct node *n)
{
	static const struct {
		const char *name, *unit;
	} rows[RLIMIT_COUNT] = {
		[RLIMIT_CPU] = {"Max cpu time", "seconds"},
		[RLIMIT_FSIZE] = {"Max file size", "bytes"},
		[RLIMIT_DATA] = {"Max data size", "bytes"},
		[RLIMIT_STACK] = {"Max stack size", "bytes"},
		[RLIMIT_CORE] = {"Max core file size", "bytes"},
		[RLIMIT_RSS] = {"Max resident set", "bytes"},
		[RLIMIT_NPROC] = {"Max processes", "processes"},
		[RLIMIT_NOFILE] = {"Max open files", "files"},
		[RLIMIT_MEMLOCK] = {"Max locked memory", "bytes"},
		[RLIMIT_AS] = {"Max address space", "bytes"},
		[RLIMIT_LOCKS] = {"Max file locks", "locks"},
		[RLIMIT_SIGPENDING] = {"Max pending signals", "signals"},
		[RLIMIT_MSGQUEUE] = {"Max msgqueue size", "bytes"},
		[RLIMIT_NICE] = {"Max nice priority", ""},
		[RLIMIT_RTPRIO] = {"Max realtime priority", ""},
		[RLIMIT_RTTIME] = {"Max realtime timeout", "us"},
	};
	text_printf(t, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
	for (u32 i = 0; i < RLIMIT_COUNT; i++) {
		text_printf(t, "%-25s ", rows[i].name);
		limit_value(t, READ_ONCE(n->process->rlimits[i].cur));
		limit_value(t, READ_ONCE(n->process->rlimits[i].max));
		text_printf(t, "%-10s\n", rows[i].unit);
	}
	return 0;
}

// SPDX-License-Identifier: MIT
// The parts of procfs that its root puts together. Private to linux/proc.
#pragma once
#include "linux/proc/tree.h"

// Rows of the root that stand elsewhere.
extern const struct entry proc_sys_entries[];	  // sysctl.c: children of /proc/sys
extern const struct entry proc_halyard_entries[]; // halyard.c
extern const struct entry proc_pid_entry;	  // pid.c: a process's directory

// system.c: what the machine as a whole does.
int proc_show_cmdline(struct text *t, struct node *n);
int proc_show_cpuinfo(struct text *t, struct node *n);
int proc_show_devices(struct text *t, struct node *n);
int proc_show_filesystems(struct text *t, struct node *n);
int proc_show_interrupts(struct text *t, struct node *n);
int proc_show_loadavg(struct text *t, struct node *n);
int proc_show_meminfo(struct text *t, struct node *n);
int proc_show_modules(struct text *t, struct node *n);
int proc_show_slabinfo(struct text *t, struct node *n);
int proc_show_stat(struct text *t, struct node *n);
int proc_show_swaps(struct text *t, struct node *n);
int proc_show_uptime(struct text *t, struct node *n);
int proc_show_version(struct text *t, struct node *n);
int proc_show_vmstat(struct text *t, struct node *n);

// services.c
int proc_show_services(struct text *t, struct node *n);
ssize_t proc_store_services(struct node *n, char *data, size_t len);

// pid_*.c: files of a process.
struct task *node_task(const struct node *n); // the thread, or the process's first living one;
					      // counted; nullptr: zombie
u32 node_files_size(const struct node *n);    // places in the descriptor table
int pid_show_stat(struct text *t, struct node *n);
int pid_show_statm(struct text *t, struct node *n);
int pid_show_status(struct text *t, struct node *n);
int pid_show_io(struct text *t, struct node *n);
int pid_show_limits(struct text *t, struct node *n);
int pid_show_maps(struct text *t, struct node *n);
int pid_show_smaps(struct text *t, struct node *n);
int pid_show_smaps_rollup(struct text *t, struct node *n);
int pid_show_cmdline(struct text *t, struct node *n);
int pid_show_environ(struct text *t, struct node *n);
int pid_show_auxv(struct text *t, struct node *n);
extern const struct file_ops pid_mem_ops;
int pid_show_mounts(struct text *t, struct node *n);
int pid_show_mountinfo(struct text *t, struct node *n);
extern const struct file_ops pid_mounts_ops;

// What the scheduler and page allocator know, in the units of /proc.
u64 proc_ticks(u64 ns);				   // clock ticks (USER_HZ)
struct vm_space *node_space(const struct node *n); // counted; nullptr: none (zombie, exiting)

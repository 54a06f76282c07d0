// SPDX-License-Identifier: MIT
// System V IPC: what processes and /proc ask of it. Privileged.
#pragma once
#include "base/types.h"

struct task;
struct text;

// The adjustments of semaphores (SEM_UNDO) that a task's end owes. share: CLONE_SYSVSEM. 0 or
// -ENOMEM; the current task is the parent.
int sem_undo_fork(struct task *child, bool share);
void sem_undo_exit(struct task *t); // also of a task that never ran; may sleep

// /proc/sys/kernel; atomic
extern u64 shm_max_bytes, shm_max_pages;
extern u32 shm_max_segments;
extern u32 sem_max_per_set, sem_max_total, sem_max_ops, sem_max_sets;
extern u32 msg_max_bytes, msg_max_queue_bytes, msg_max_queues;
constexpr u32 IPC_IDS_MAX = 32768;

// /proc/sys/fs/mqueue; atomic
extern u32 mqueue_max_queues, mqueue_max_messages, mqueue_max_size;
extern u32 mqueue_default_messages, mqueue_default_size;

// /proc/sysvipc
void shm_show(struct text *t);
void sem_show(struct text *t);
void msg_show(struct text *t);

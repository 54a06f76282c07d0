// SPDX-License-Identifier: MIT
// Waiting for files to become ready: what file_ops.poll and its callers (poll, select, epoll)
// share. Privileged.
#pragma once
#include "abi/linux/poll.h"
#include "core/wait.h"

struct file;

// Handed to file_ops.poll by who wants to be woken. A caller that only wants to know what holds now
// passes nullptr.
struct poll_table {
	// Adds a waiter to q; nullptr once it is known that the caller will not sleep.
	void (*add)(struct poll_table *t, struct file *f, struct wait_queue *q);
	u32 events; // what the caller waits for (POLL*), POLLERR and POLLHUP included
};

// In file_ops.poll: the file becomes ready when q is woken. Call it before looking at the state; it
// ends with a full barrier.
static inline void poll_wait(struct file *f, struct wait_queue *q, struct poll_table *t)
{
	if (t && t->add)
		t->add(t, f, q);
}

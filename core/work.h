// SPDX-License-Identifier: MIT
// Deferred work: functions run later in kernel threads. Privileged.
#pragma once
#include "base/list.h"
#include "core/time.h"

struct work {
	struct list link; // work_queue lock
	void (*fn)(struct work *w);
	bool queued; // work_queue lock
};
void work_init(struct work *w, void (*fn)(struct work *));
bool work_queue(struct work *w); // false: it was queued already. Any context. fn may sleep and may free w
void work_flush(struct work *w); // waits until it is neither queued nor running
struct delayed_work { struct work work; struct timer timer; };
void delayed_work_init(struct delayed_work *w, void (*fn)(struct work *));
void delayed_work_start(struct delayed_work *w, u64 delay_ns);
void delayed_work_cancel(struct delayed_work *w);
void work_init_all(void);

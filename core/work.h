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
// False: it was queued already. Any context that holds no lock of rank work_queue or above. fn may
// sleep and may free w; it never runs twice at the same time.
bool work_queue(struct work *w);
void work_flush(struct work *w); // waits until it is neither queued nor running; not from fn
struct delayed_work {
	struct work work;
	struct timer timer;
};
void delayed_work_init(struct delayed_work *w, void (*fn)(struct work *));
void delayed_work_start(struct delayed_work *w, u64 delay_ns); // (re)arms; any context
// Neither the timer nor the function runs afterwards, unless it is started again. May sleep; not
// from fn.
void delayed_work_cancel(struct delayed_work *w);
void work_init_all(void); // makes the threads; what was queued before runs then

// SPDX-License-Identifier: MIT
// Owns the load averages: every 5 s the number of threads that run is averaged, exponentially
// damped over 1, 5 and 15 minutes.
#include "linux/proc/loadavg.h"
#include "core/init.h"
#include "core/thread.h"
#include "core/work.h"

constexpr u64 PERIOD_NS = 5'000'000'000;

static u64 loadavg[3]; // written by one worker; atomic
static struct delayed_work work;

static void sample(struct work *w)
{
	static const u64 damp[3] = {1884, 2014, 2037}; // 2048 * e^(-5 s / period)
	u64 active = (u64)sched_nr_running() * LOADAVG_ONE;

	active = active > LOADAVG_ONE ? active - LOADAVG_ONE : 0; // without this worker
	for (u32 i = 0; i < 3; i++)
		WRITE_ONCE(loadavg[i], (loadavg[i] * damp[i] + active * (LOADAVG_ONE - damp[i])) >>
					       LOADAVG_SHIFT);
	delayed_work_start(container_of(w, struct delayed_work, work), PERIOD_NS);
}

void loadavg_read(u64 out[3])
{
	for (u32 i = 0; i < 3; i++)
		out[i] = READ_ONCE(loadavg[i]);
}

static void loadavg_init(void)
{
	delayed_work_init(&work, sample);
	delayed_work_start(&work, PERIOD_NS);
}
INITCALL(3, loadavg_init);

// SPDX-License-Identifier: MIT
// Owns the choice of what ends when memory is out.
#include "core/log.h"
#include "linux/process/process.h"

// As Linux counts: pages in memory, shifted by the program's own wish; -1000 is never chosen.
static s64 badness(struct process *p, u64 total)
{
	s64 adj = READ_ONCE(p->oom_score_adj);
	if (p == init_process || adj == -1000 || p->state != PROCESS_ALIVE)
		return -1;
	struct vm_space *s = process_space_get(p);
	if (!s)
		return -1;
	s64 pages = (s64)(atomic_load(&s->mmu.rss_anon) + atomic_load(&s->mmu.rss_file) +
			  atomic_load(&s->mmu.table_pages));
	vm_space_put(s);
	pages += adj * (s64)(total / 1000);
	return max(pages, (s64)1);
}

bool oom_kill(void)
{
	struct page_stats stats;
	struct process *worst = nullptr, *p;
	s64 points = 0;
	bool dying = false;
	if (thread_killed())
		return false;
	page_stats_read(&stats);
	for (u32 pid = 1; (p = process_next(&pid)); pid++) {
		dying |= p->group_exit && p->state == PROCESS_ALIVE;
		s64 b = badness(p, stats.total);
		if (b > points) {
			if (worst)
				process_put(worst);
			worst = process_get(p);
			points = b;
		}
		process_put(p);
	}
	// Somebody is on the way out already: wait for its memory rather than kill another.
	if (!dying && worst) {
		struct task *t = process_any_task(worst);
		log_err("Out of memory: Killed process %u (%s) with %lld pages", worst->pid,
			t ? t->thread.name : "?", (long long)points);
		if (t)
			task_put(t);
		spin_lock(&worst->lock);
		if (!worst->group_exit)
			process_kill_all_locked(worst, SIGKILL);
		spin_unlock(&worst->lock);
	}
	bool again = dying || worst;
	if (worst)
		process_put(worst);
	if (again)
		thread_sleep_ns(10'000'000);
	return again && !thread_killed();
}

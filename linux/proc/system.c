// SPDX-License-Identifier: MIT
// Owns the files of /proc that tell about the machine as a whole: memory, processors, time,
// devices.
#include "abi/linux/time.h"
#include "base/string.h"
#include "core/cmdline.h"
#include "core/irq.h"
#include "core/page.h"
#include "core/slab.h"
#include "core/smp.h"
#include "core/thread.h"
#include "core/time.h"
#include "linux/misc/uname.h"
#include "linux/proc/loadavg.h"
#include "linux/proc/memory_sums.h"
#include "linux/proc/proc.h"
#include <linux_arch/cpuinfo.h>

u64 proc_ticks(u64 ns)
{
	return ns / (NSEC_PER_SEC / USER_HZ);
}

int proc_show_cmdline(struct text *t, struct node *n)
{
	(void)n;
	text_puts(t, cmdline_text());
	text_putc(t, '\n');
	return 0;
}

int proc_show_version(struct text *t, struct node *n)
{
	(void)n;
	text_printf(t, "%s version %s (halyard@localhost) (%s) %s\n", uname_sysname,
		    uname_release(), uname_compiler, uname_version);
	return 0;
}

int proc_show_cpuinfo(struct text *t, struct node *n)
{
	(void)n;
	for (u32 cpu = 0; cpu < smp_ncpus; cpu++)
		cpuinfo_show(t, cpu);
	return 0;
}

int proc_show_filesystems(struct text *t, struct node *n)
{
	const struct fs_type *type;
	(void)n;
	for (u32 i = 0; fs_type_get(i, &type); i++)
		if (type->mount)
			text_printf(t, "%s\t%s\n", type->needs_device ? "" : "nodev", type->name);
	return 0;
}

int proc_show_devices(struct text *t, struct node *n)
{
	(void)n;
	for (u32 block = 0; block < 2; block++) {
		u32 major;
		const char *name;
		text_puts(t, block ? "\nBlock devices:\n" : "Character devices:\n");
		for (u32 i = 0; dev_info_get(block, i, &major, &name); i++)
			text_printf(t, "%3u %s\n", major, name);
	}
	return 0;
}

int proc_show_interrupts(struct text *t, struct node *n)
{
	struct irq_info info;
	(void)n;
	text_puts(t, "    ");
	for (u32 cpu = 0; cpu < smp_ncpus; cpu++)
		text_printf(t, "       CPU%-2u", cpu);
	text_putc(t, '\n');
	for (u32 i = 0; irq_info_get(i, &info); i++) {
		text_printf(t, "%3u:", info.number);
		for (u32 cpu = 0; cpu < smp_ncpus; cpu++)
			text_printf(t, " %10llu", info.counts[cpu]);
		text_printf(t, "  %s  %s\n", info.chip ?: "", info.name ?: "");
	}
	return 0;
}

int proc_show_loadavg(struct text *t, struct node *n)
{
	u64 load[3];
	(void)n;
	loadavg_read(load);
	for (u32 i = 0; i < 3; i++) {
		u64 x = load[i] + LOADAVG_ONE / 200; // rounded to hundredths
		text_printf(t, "%llu.%02llu ", x / LOADAVG_ONE,
			    x % LOADAVG_ONE * 100 / LOADAVG_ONE);
	}
	text_printf(t, "%u/%u %u\n", sched_nr_running(), task_count(), pid_last());
	return 0;
}

int proc_show_uptime(struct text *t, struct node *n)
{
	u64 up = proc_ticks(clock_monotonic_ns()), idle = 0;
	(void)n;
	for (u32 cpu = 0; cpu < smp_ncpus; cpu++) {
		struct sched_stats s;
		sched_cpu_stats(cpu, &s);
		idle += s.idle_ns;
	}
	idle = proc_ticks(idle);
	text_printf(t, "%llu.%02llu %llu.%02llu\n", up / 100, up % 100, idle / 100, idle % 100);
	return 0;
}

// ---- memory ----

static void meminfo_line(struct text *t, const char *name, u64 pages)
{
	text_printf(t, "%-16s%8llu kB\n", name, pages * (PAGE_SIZE / KiB));
}

int proc_show_meminfo(struct text *t, struct node *n)
{
	struct memory_sums m;
	(void)n;
	memory_sums_read(&m);
	meminfo_line(t, "MemTotal:", m.total);
	meminfo_line(t, "MemFree:", m.free);
	meminfo_line(t, "MemAvailable:", m.available);
	meminfo_line(t, "Buffers:", m.buffers);
	meminfo_line(t, "Cached:", m.cached);
	meminfo_line(t, "SwapCached:", 0);
	meminfo_line(t, "Active:", m.anon + m.cached); // nothing is aged: what cannot be dropped
	meminfo_line(t, "Inactive:", m.buffers);       // is in use
	meminfo_line(t, "SwapTotal:", 0);
	meminfo_line(t, "SwapFree:", 0);
	meminfo_line(t, "Dirty:", m.dirty);
	meminfo_line(t, "Writeback:", m.writeback);
	meminfo_line(t, "AnonPages:", m.anon);
	meminfo_line(t, "Shmem:", m.cached);
	meminfo_line(t, "KReclaimable:", 0);
	meminfo_line(t, "Slab:", m.slab);
	meminfo_line(t, "SReclaimable:", 0);
	meminfo_line(t, "SUnreclaim:", m.slab);
	meminfo_line(t, "PageTables:", m.tables);
	meminfo_line(t, "Hugepagesize:", 1u << PAGE_ORDER_HUGE);
	return 0;
}

int proc_show_vmstat(struct text *t, struct node *n)
{
	struct memory_sums m;
	(void)n;
	memory_sums_read(&m);
	text_printf(t, "nr_free_pages %llu\n", m.free);
	text_printf(t, "nr_anon_pages %llu\nnr_file_pages %llu\nnr_dirty %llu\nnr_writeback %llu\n",
		    m.anon, m.cached + m.buffers, m.dirty, m.writeback);
	text_printf(
		t,
		"nr_slab_reclaimable 0\nnr_slab_unreclaimable %llu\nnr_page_table_pages %llu\nnr_shmem %llu\n",
		m.slab, m.tables, m.cached);
	text_printf(t, "pgpgin 0\npgpgout 0\npswpin 0\npswpout 0\n"); // no block device, no swap
	return 0;
}

int proc_show_slabinfo(struct text *t, struct node *n)
{
	struct slab_info s;
	(void)n;
	text_puts(
		t,
		"slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> "
		"<batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>\n");
	for (u32 i = 0; slab_info_get(i, &s); i++) {
		u32 per_page = max((u32)(PAGE_SIZE / s.size), 1u),
		    pages = max((u32)div_round_up(s.size, PAGE_SIZE), 1u);
		u64 slabs = s.pages / pages;
		text_printf(
			t,
			"%-17s %6llu %6llu %6u %4u %4u : tunables 0 0 0 : slabdata %6llu %6llu 0\n",
			s.name, s.in_use, slabs * per_page, s.size, per_page, pages, slabs, slabs);
	}
	return 0;
}

int proc_show_swaps(struct text *t, struct node *n)
{
	(void)n;
	text_puts(t, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
	return 0;
}

// Nothing is loaded.
int proc_show_modules(struct text *t, struct node *n)
{
	(void)t;
	(void)n;
	return 0;
}

// ---- processors ----

static void stat_cpu(struct text *t, const struct sched_stats *s)
{
	text_u64(t, proc_ticks(s->user_ns), ' ');
	text_u64(t, proc_ticks(s->nice_ns), ' ');
	text_u64(t, proc_ticks(s->system_ns), ' ');
	text_u64(t, proc_ticks(s->idle_ns), ' ');
	text_puts(t, "0 "); // waiting for I/O
	text_u64(t, proc_ticks(s->irq_ns), ' ');
	text_puts(t, "0 0 0 0\n"); // softirq, steal, guests
}

int proc_show_stat(struct text *t, struct node *n)
{
	struct sched_stats sum = {}, s;
	struct irq_info irq;
	u64 interrupts = 0;
	(void)n;
	for (u32 cpu = 0; cpu < smp_ncpus; cpu++) {
		sched_cpu_stats(cpu, &s);
		sum.user_ns += s.user_ns;
		sum.nice_ns += s.nice_ns;
		sum.system_ns += s.system_ns;
		sum.idle_ns += s.idle_ns;
		sum.irq_ns += s.irq_ns;
		sum.switches += s.switches;
	}
	text_puts(t, "cpu  ");
	stat_cpu(t, &sum);
	for (u32 cpu = 0; cpu < smp_ncpus; cpu++) {
		sched_cpu_stats(cpu, &s);
		text_puts(t, "cpu");
		text_u64(t, cpu, ' ');
		stat_cpu(t, &s);
	}
	for (u32 i = 0; irq_info_get(i, &irq); i++)
		for (u32 cpu = 0; cpu < smp_ncpus; cpu++)
			interrupts += irq.counts[cpu];
	text_printf(t, "intr %llu\nctxt %llu\nbtime %llu\n", interrupts, sum.switches,
		    (clock_realtime_ns() - clock_monotonic_ns()) / NSEC_PER_SEC);
	text_printf(t, "processes %llu\nprocs_running %u\nprocs_blocked 0\n", pid_created(),
		    sched_nr_running());
	return 0;
}

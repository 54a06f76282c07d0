// SPDX-License-Identifier: MIT
// All CPUs: starting them, calls across them, stopping them (x86-64). Privileged.
#include "core/smp.h"
#include "base/errno.h"
#include "base/string.h"
#include "core/arch/x86_64/apic.h"
#include "core/arch/x86_64/clock.h"
#include "core/arch/x86_64/cpu_priv.h"
#include "core/arch/x86_64/x86.h"
#include "core/cmdline.h"
#include "core/log.h"
#include "core/mmu_space.h"
#include "core/page.h"
#include "core/panic.h"
#include "core/slab.h"
#include "core/time.h"
#include <arch/gate.h>

u32 smp_ncpus = 1;
static u32 apic_ids[CPU_MAX]; // immutable after the CPU is up

u32 smp_hw_id(u32 cpu)
{
	return apic_ids[cpu];
}
void smp_kick(u32 cpu)
{
	lapic_send_ipi(apic_ids[cpu], VECTOR_RESCHEDULE);
}

// ---- calls: one slot a caller; each target has a mask of callers that want it ----

struct call {
	void (*fn)(void *);
	void *arg;
	atomic_u64 pending; // targets that have not finished
};
static DEFINE_PERCPU(struct call, call_slot);
static DEFINE_PERCPU(atomic_u64, calls_wanted); // bit n: CPU n's slot

void smp_handle_call(void)
{
	u64 from = __atomic_exchange_n(&this_cpu_ptr(calls_wanted)->v, 0, __ATOMIC_ACQ_REL);

	for_each_cpu(cpu, from) {
		struct call *c = percpu_ptr(call_slot, cpu);
		c->fn(c->arg);
		__atomic_fetch_and(&c->pending.v, ~(1ull << this_cpu_id()), __ATOMIC_RELEASE);
	}
}

void smp_call(cpumask_t mask, void (*fn)(void *arg), void *arg)
{
	preempt_disable();
	u32 me = this_cpu_id();
	mask &= cpumask_all() & ~(1ull << me);
	if (mask) {
		struct call *c = this_cpu_ptr(call_slot);
		// a call from an interrupt would meet the interrupted one's slot in use
		assert(irqs_enabled() && !in_interrupt() && !atomic_load(&c->pending));
		c->fn = fn;
		c->arg = arg;
		__atomic_store_n(&c->pending.v, mask, __ATOMIC_RELEASE);
		for_each_cpu(cpu, mask) {
			// whoever set the first bit sends the interrupt
			if (!__atomic_fetch_or(&percpu_ptr(calls_wanted, cpu)->v, 1ull << me,
					       __ATOMIC_ACQ_REL))
				lapic_send_ipi(apic_ids[cpu], VECTOR_CALL);
		}
		while (__atomic_load_n(&c->pending.v, __ATOMIC_ACQUIRE))
			cpu_relax();
	}
	preempt_enable();
}

// ---- stopping, for panic ----

static atomic_u32 stopping;
static atomic_u64 stopped;

void smp_handle_stop(const struct cpu_words *w, u64 rbp)
{
	if (!atomic_load(&stopping))
		return; // an NMI of the machine's own: nothing to do here
	u32 me = this_cpu_id();
	struct trap_frame f = {.rip = w->rip, .cs = w->cs, .rflags = w->rflags};
	enum frame_context context = frame_context(&f);

	if (context != FRAME_KERNEL)
		klog(LOG_EMERG, "CPU %u: in a %s", me,
		     context == FRAME_SERVICE ? "service" : "program");
	else {
		klog(LOG_EMERG, "CPU %u:", me);
		backtrace_print(LOG_ERR, w->rip, rbp, 0);
	}
	__atomic_fetch_or(&stopped.v, 1ull << me, __ATOMIC_RELEASE);
	cpu_halt_forever();
}

void smp_stop_others(void)
{
	u32 me = this_cpu_id();

	atomic_store(&stopping, 1);
	for (u32 cpu = 0; cpu < smp_ncpus; cpu++) {
		if (cpu == me)
			continue;
		lapic_send_nmi(apic_ids[cpu]);
		// one after the other, so that the backtraces do not mix; the clock may be what is
		// broken: count
		for (u32 i = 0;
		     i < 20'000'000 && !(__atomic_load_n(&stopped.v, __ATOMIC_ACQUIRE) >> cpu & 1);
		     i++)
			cpu_relax();
	}
}

// ---- starting ----

constexpr u64 AP_BASE = 0x8000, AP_PML4 = 0x9000, AP_PDPT = 0xa000,
	      AP_PD = 0xb000; // low memory that bootinfo reserves
static u32 starting_cpu;
static void *starting_stacks;
static struct thread *starting_idle;
static atomic_u32 started;

[[noreturn]] static void ap_start(void)
{
	u32 cpu = starting_cpu;
	struct thread *idle = starting_idle;

	wrmsr(MSR_GS_BASE, percpu_offset[cpu]);
	cpu_tables_load(cpu, starting_stacks);
	this_cpu_write(cpu_current, idle);
	this_cpu_write(cpu_kstack_top, idle->kstack_top);
	mmu_init_cpu(); // off the trampoline's root
	cpu_controls_init();
	fpu_init_cpu();
	lapic_init_ap();
	time_init_cpu();
	__atomic_store_n(&started.v, 1, __ATOMIC_RELEASE);
	preempt_enable_no_resched();
	irq_enable();
	sched_idle_loop();
}

static int percpu_area_create(u32 cpu)
{
	extern char __percpu_start[], __percpu_end[], __percpu_pristine[];
	size_t size = (size_t)(__percpu_end - __percpu_start);
	u32 order = 0;

	while ((PAGE_SIZE << order) < size)
		order++;
	struct page *p = page_alloc(order, OWNER_CORE, ALLOC_ZERO);
	if (!p)
		return -ENOMEM;
	memcpy(page_ptr(p), __percpu_pristine, size);
	percpu_offset[cpu] = (u64)page_ptr(p) - (u64)__percpu_start;
	*percpu_ptr(preempt_count, cpu) = PREEMPT_NO_RESCHED + 1;
	*percpu_ptr(cpu_number, cpu) = cpu;
	*percpu_ptr(percpu_self, cpu) = percpu_offset[cpu];
	return 0;
}

static void trampoline_prepare(void)
{
	extern char ap_code[], ap_code_end[], ap_cr3[], ap_entry[];
	u8 *base = phys_ptr((phys_t){AP_BASE});
	u64 *pml4 = phys_ptr((phys_t){AP_PML4}), *pdpt = phys_ptr((phys_t){AP_PDPT}),
	    *pd = phys_ptr((phys_t){AP_PD});

	memcpy(base, ap_code, (size_t)(ap_code_end - ap_code));
	memcpy(pml4, phys_ptr(kernel_space.root[VIEW_PROGRAM]), PAGE_SIZE);
	memset(pdpt, 0, PAGE_SIZE);
	memset(pd, 0, PAGE_SIZE);
	pml4[0] = AP_PDPT | 3;
	pdpt[0] = AP_PD | 3;
	pd[0] = 0x83; // the first 2 MiB, where this runs
	*(u64 *)(base + (ap_cr3 - ap_code)) = AP_PML4;
	*(u64 *)(base + (ap_entry - ap_code)) = (u64)ap_start;
}

static bool wait_started(u64 ns)
{
	u64 until = clock_monotonic_ns() + ns;
	while (!__atomic_load_n(&started.v, __ATOMIC_ACQUIRE)) {
		if (clock_monotonic_ns() > until)
			return false;
		clock_sync_source();
		cpu_relax();
	}
	return true;
}

static bool start_cpu(u32 cpu, u32 apic_id)
{
	extern char ap_code[], ap_stack[];

	if (percpu_area_create(cpu))
		return false;
	starting_stacks = cpu_stacks_alloc();
	starting_idle = starting_stacks ? sched_idle_create(cpu) : nullptr;
	if (!starting_idle)
		return false;
	starting_cpu = cpu;
	apic_ids[cpu] = apic_id;
	*(u64 *)((u8 *)phys_ptr((phys_t){AP_BASE}) + (ap_stack - ap_code)) =
		starting_idle->kstack_top - 8;
	__atomic_store_n(&started.v, 0, __ATOMIC_RELEASE);
	lapic_send_init(apic_id);
	lapic_send_startup(apic_id, AP_BASE >> 12);
	if (!wait_started(1'000'000)) {
		lapic_send_startup(apic_id, AP_BASE >> 12);
		if (!wait_started(1'000'000'000))
			return false;
	}
	return true;
}

void smp_init(void)
{
	static u32 ids[CPU_MAX];
	u32 max = cmdline_has("nosmp") ? 1 : (u32)cmdline_u64("maxcpus", CPU_MAX);
	u32 found = madt_cpu_list(ids, CPU_MAX); // as firmware lists them

	apic_ids[0] = ids[0];
	if (found > 1 && max > 1)
		trampoline_prepare();
	for (u32 i = 1; i < found && i < max; i++) {
		u32 cpu = smp_ncpus;
		if (!start_cpu(cpu, ids[i])) {
			log_err("smp: the CPU with APIC id %u did not start; going on without it",
				ids[i]);
			break;
		}
		__atomic_store_n(&smp_ncpus, cpu + 1, __ATOMIC_RELEASE);
	}
	log_info("smp: %u of %u CPUs run", smp_ncpus, found);
}

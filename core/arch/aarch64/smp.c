// SPDX-License-Identifier: MIT
// All CPUs: starting them, calls across them, stopping them (AArch64). Privileged.
#include "core/smp.h"
#include "base/errno.h"
#include "base/string.h"
#include "core/arch/aarch64/boot_offsets.h"
#include "core/arch/aarch64/cpu_priv.h"
#include "core/bootinfo.h"
#include "core/cmdline.h"
#include "core/log.h"
#include "core/mmu_space.h"
#include "core/page.h"
#include "core/panic.h"
#include "core/slab.h"
#include "core/time.h"
#include <arch/gate.h>
#include <arch/mmu.h>

u32 smp_ncpus = 1;
static u64 mpidrs[CPU_MAX]; // immutable after the CPU is up

u32 smp_hw_id(u32 cpu)
{
	return (u32)mpidrs[cpu];
}
u64 smp_mpidr(u32 cpu)
{
	return mpidrs[cpu];
}
void smp_kick(u32 cpu)
{
	irq_send_ipi(cpu, IPI_RESCHEDULE);
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
				irq_send_ipi((u32)cpu, IPI_CALL);
		}
		while (__atomic_load_n(&c->pending.v, __ATOMIC_ACQUIRE))
			cpu_relax();
	}
	preempt_enable();
}

// ---- stopping, for panic ----

static atomic_u32 stopping;
static atomic_u64 stopped;

void smp_handle_stop(const struct trap_frame *f)
{
	if (!atomic_load(&stopping))
		return;
	u32 me = this_cpu_id();
	enum frame_context context = frame_context(f);

	if (context != FRAME_KERNEL)
		klog(LOG_EMERG, "CPU %u: in a %s", me,
		     context == FRAME_SERVICE ? "service" : "program");
	else {
		klog(LOG_EMERG, "CPU %u:", me);
		backtrace_print(LOG_ERR, f->pc, f->x[29], f->x[30]);
	}
	__atomic_fetch_or(&stopped.v, 1ull << me, __ATOMIC_RELEASE);
	cpu_halt_forever();
}

// An interrupt does it, so a CPU that has them off goes on unseen, and is told of.
void smp_stop_others(void)
{
	u32 me = this_cpu_id();

	atomic_store(&stopping, 1);
	for (u32 cpu = 0; cpu < smp_ncpus; cpu++) {
		if (cpu == me)
			continue;
		irq_send_ipi(cpu, IPI_STOP);
		// one after the other, so that the backtraces do not mix; the clock may be what is
		// broken: count
		for (u32 i = 0;
		     i < 20'000'000 && !(__atomic_load_n(&stopped.v, __ATOMIC_ACQUIRE) >> cpu & 1);
		     i++)
			cpu_relax();
		if (!(__atomic_load_n(&stopped.v, __ATOMIC_ACQUIRE) >> cpu & 1))
			klog(LOG_EMERG, "CPU %u: does not stop", cpu);
	}
}

// ---- starting ----

// What the new CPU reads: the first two words with its MMU off (boot_image.S).
struct secondary_boot {
	u64 ttbr0, ttbr1;
	u64 percpu, stack;
};
static_assert(offsetof(struct secondary_boot, ttbr1) == SECONDARY_TTBR1 &&
	      offsetof(struct secondary_boot, percpu) == SECONDARY_PERCPU &&
	      offsetof(struct secondary_boot, stack) == SECONDARY_STACK);
extern struct secondary_boot secondary_boot;
struct secondary_boot secondary_boot __aligned(64);
static u32 starting_cpu;
static struct thread *starting_idle;
static atomic_u32 started;

enum start_result : u32 { START_PENDING, START_OK, START_MISSING_FEATURE };

// The virtual timer's interrupt and the interrupt controller are this CPU's own.
[[noreturn]] void secondary_start(void);
void secondary_start(void)
{
	u32 cpu = starting_cpu;
	struct thread *idle = starting_idle;

	cpu_vectors_load(cpu);
	this_cpu_write(cpu_current, idle);
	mmu_init_cpu(); // off the identity map
	if (!cpu_features_present()) {
		__atomic_store_n(&started.v, START_MISSING_FEATURE, __ATOMIC_RELEASE);
		cpu_halt_forever();
	}
	cpu_controls_init();
	fpu_init_cpu();
	irq_init_cpu();
	time_init_cpu();
	__atomic_store_n(&started.v, START_OK, __ATOMIC_RELEASE);
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
	return 0;
}

// To memory, past the caches that a CPU with its MMU off does not look into.
static void clean_to_memory(const void *p, size_t len)
{
	u64 line = 4ull << (cpu_sysreg_read("ctr_el0") >> 16 & 0xf);

	for (u64 a = align_down((u64)p, line); a < (u64)p + len; a += line)
		__asm__ volatile("dc cvac, %0" ::"r"(a) : "memory");
	__asm__ volatile("dsb sy" ::: "memory");
}

// A root whose lower half maps the GiB of the kernel's image where it lies, for the few
// instructions between the MMU's start and the jump to the upper half. nullptr: no memory.
static pte_t *identity_root_make(void)
{
	u64 at = bootinfo.kernel_phys.addr;
	struct page *r = page_alloc(0, OWNER_TABLE, ALLOC_ZERO),
		    *m = page_alloc(0, OWNER_TABLE, ALLOC_ZERO);

	if (!r || !m) {
		if (r)
			page_free(r, 0);
		if (m)
			page_free(m, 0);
		return nullptr;
	}
	pte_t *root = page_ptr(r), *middle = page_ptr(m);

	pte_store(&middle[pt_index(at, 2)],
		  align_down(at, pt_span(2)) | BLOCK_NORMAL | PTE_READ_ONLY | PTE_NOT_GLOBAL);
	pte_store(&root[pt_index(at, 3)], arch_service_table(page_phys(m)));
	return root;
}

static u32 wait_started(u64 ns)
{
	u64 until = clock_monotonic_ns() + ns;
	u32 result;

	while (!(result = __atomic_load_n(&started.v, __ATOMIC_ACQUIRE)) &&
	       clock_monotonic_ns() < until)
		cpu_relax();
	return result;
}

static bool start_cpu(u32 cpu, u64 mpidr, const pte_t *identity)
{
	extern char secondary_entry[], __kernel_start[];
	u64 image = bootinfo.kernel_phys.addr - (u64)__kernel_start;

	if (percpu_area_create(cpu))
		return false;
	void *stack = cpu_emergency_stack_alloc();

	starting_idle = stack ? sched_idle_create(cpu) : nullptr;
	if (!starting_idle)
		return false;
	*percpu_ptr(cpu_emergency_top, cpu) = (uintptr_t)stack + EMERGENCY_STACK_SIZE;
	starting_cpu = cpu;
	mpidrs[cpu] = mpidr;
	secondary_boot = (struct secondary_boot){
		.ttbr0 = ptr_phys(identity).addr,
		.ttbr1 = kernel_space.root[VIEW_PROGRAM].addr + ARCH_ROOT_UPPER,
		.percpu = percpu_offset[cpu],
		.stack = align_down(starting_idle->kstack_top, 16)};
	clean_to_memory(&secondary_boot, sizeof(secondary_boot));
	__atomic_store_n(&started.v, START_PENDING, __ATOMIC_RELEASE);
	int err = psci_cpu_on(mpidr, (u64)secondary_entry + image, (u64)&secondary_boot + image);

	if (err) {
		log_err("smp: firmware does not start the CPU %#llx: error %d", mpidr, -err);
		return false;
	}
	u32 result = wait_started(1'000'000'000);

	if (result == START_MISSING_FEATURE)
		log_err("smp: the CPU %#llx lacks what the first one has", mpidr);
	return result == START_OK;
}

void smp_init(void)
{
	static u64 ids[CPU_MAX];
	u32 max = cmdline_has("nosmp") ? 1 : (u32)cmdline_u64("maxcpus", CPU_MAX);
	u32 found = firmware_cpu_list(ids, CPU_MAX); // as firmware lists them
	pte_t *identity = nullptr;

	mpidrs[0] = ids[0];
	if (found > 1 && max > 1)
		identity = identity_root_make();
	for (u32 i = 1; i < found && i < max && identity; i++) {
		u32 cpu = smp_ncpus;
		if (!start_cpu(cpu, ids[i], identity)) {
			log_err("smp: the CPU %#llx did not start; going on without it", ids[i]);
			break;
		}
		__atomic_store_n(&smp_ncpus, cpu + 1, __ATOMIC_RELEASE);
	}
	log_info("smp: %u of %u CPUs run", smp_ncpus, found);
}

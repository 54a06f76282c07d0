// SPDX-License-Identifier: MIT
// The order in which the core comes up. Privileged; boot CPU.
#include "core/acpi.h"
#include "core/bootinfo.h"
#include "core/cmdline.h"
#include "core/elevate.h"
#include "core/gate.h"
#include "core/init.h"
#include "core/irq.h"
#include "core/ktest.h"
#include "core/log.h"
#include "core/mmu_space.h"
#include "core/page.h"
#include "core/panic.h"
#include "core/personality.h"
#include "core/rcu.h"
#include "core/slab.h"
#include "core/smp.h"
#include "core/thread.h"
#include "core/time.h"
#include "core/work.h"
#include "core/version.h"
#include <arch/cpu.h>
#include <arch/init.h>

static void initcalls_run(void)
{
	extern const initcall_t __initcall_start[], __initcall_end[];
	for (const initcall_t *i = __initcall_start; i < __initcall_end; i++)
		(*i)();
}

// What needs to sleep goes on here, in a thread of its own, while the boot thread becomes the idle
// thread.
static void boot_rest(void *unused)
{
	(void)unused;
	rcu_start_threads();
	work_init_all();
	smp_init();
	page_reclaim_boot(BOOTMEM_LOADER);
	initcalls_run();
	services_boot();
	ktest_run_if_asked();
	if (!personality)
		panic("no personality: this kernel was built without linux/");
	personality->start();
}

void kernel_main(void)
{
	cpu_early_init();
	cmdline_init();
	cpu_protections_init();
	log_notice("Halyard %s, entered by %s", HALYARD_VERSION, bootinfo.door);
	bootinfo_add_mem(
		0, 0x10000,
		BOOTMEM_RESERVED); // the interrupt vectors of old, and the other CPUs' first code
	bootinfo_finish();
	sched_init(); // from here on current() works
	page_init();
	slab_init();
	mmu_init();
	acpi_init();
	irq_init();
	time_init();
	fpu_init();
	elevate_init();
	struct thread *rest = kthread_create(boot_rest, nullptr, "boot");
	if (!rest)
		panic("memory is out before the first thread");
	thread_start(rest);
	irq_enable();
	sched_idle_loop();
}

// SPDX-License-Identifier: MIT
// irq_test.c: messages reach their handler on the CPU they were made for, once, until they are
// freed. Privileged.
#include "base/errno.h"
#include "base/ktest.h"
#include "base/string.h"
#include "core/arch/x86_64/apic.h"
#include "core/arch/x86_64/clock.h"
#include "core/irq.h"
#include "core/smp.h"
#include "core/time.h"

struct probe {
	atomic_u32 calls;
	atomic_u32 cpu;
};

static void probe_fire(void *arg)
{
	struct probe *p = arg;

	atomic_store(&p->cpu, this_cpu_id());
	(void)atomic_inc_return(&p->calls);
}

static bool wait_calls(struct probe *p, u32 calls)
{
	for (u64 end = clock_monotonic_ns() + 1000000000; clock_monotonic_ns() < end;) {
		if (atomic_load_acquire(&p->calls) == calls)
			return true;
		cpu_pause();
	}
	return false;
}

static u64 irq_count(const char *name, u32 cpu)
{
	static struct irq_info info; // too large for a stack; tests run one at a time

	for (u32 i = 0; irq_info_get(i, &info); i++) {
		if (strcmp(info.name, name) == 0)
			return info.counts[cpu];
	}
	return ~0ull;
}

KTEST(irq, message_reaches_its_cpu)
{
	for (u32 cpu = 0; cpu < smp_ncpus; cpu++) {
		struct probe p = {0};
		u64 address;
		u32 data, handle;

		ASSERT_EQ(irq_msi_alloc(0, cpu, probe_fire, &p, "test probe", &address, &data,
					&handle),
			  0);
		EXPECT_EQ(address, 0xfee00000 | (u64)smp_hw_id(cpu) << 12);
		for (u32 i = 1; i <= 3; i++) {
			lapic_send_ipi(smp_hw_id(cpu), data); // as the device's write would
			EXPECT_TRUE(wait_calls(&p, i));
		}
		EXPECT_EQ(atomic_load(&p.cpu), cpu);
		EXPECT_EQ(irq_count("test probe", cpu), 3);
		irq_msi_free(handle);
		EXPECT_EQ(irq_count("test probe", cpu), ~0ull);
	}
}

KTEST(irq, vectors_are_given_back)
{
	struct probe p = {0};
	u64 address;
	u32 data, handle, first = 0;

	for (u32 i = 0; i < 4; i++) {
		ASSERT_EQ(
			irq_msi_alloc(0, 0, probe_fire, &p, "test probe", &address, &data, &handle),
			0);
		if (!i)
			first = data;
		EXPECT_EQ(data, first);
		irq_msi_free(handle);
	}
}

KTEST(irq, bad_requests_are_refused)
{
	struct probe p = {0};
	u64 address;
	u32 data, handle;

	EXPECT_EQ(irq_msi_alloc(0, CPU_MAX, probe_fire, &p, "test probe", &address, &data, &handle),
		  -EINVAL);
	EXPECT_EQ(irq_line_add(16, true, probe_fire, &p, "test probe"), -EINVAL);
	EXPECT_EQ(irq_line_add(100000, false, probe_fire, &p, "test probe"), -EINVAL);
}

// SPDX-License-Identifier: MIT
// irq_test.c: messages reach their handler on the CPU they were made for, once, until they are
// freed; lines that are held do not interrupt. Privileged.
#include "base/errno.h"
#include "base/ktest.h"
#include "base/string.h"
#include "core/arch/aarch64/cpu_priv.h"
#include "core/arch/aarch64/gic.h"
#include "core/arch/aarch64/irq_lines.h"
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
		cpu_relax();
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

// As the device's write would.
static void message_raise(u32 handle)
{
	if (handle >= GIC_LPI_FIRST)
		its_raise(handle);
	else
		v2m_raise(handle);
}

// A function that no PCI bus here has: 0:31.7.
constexpr u32 SOURCE = 31 << 3 | 7;

KTEST(irq, message_reaches_its_cpu)
{
	for (u32 cpu = 0; cpu < smp_ncpus; cpu++) {
		struct probe p = {0};
		u64 address;
		u32 data, handle;
		int err = irq_msi_alloc(SOURCE, cpu, probe_fire, &p, "test probe", &address, &data,
					&handle);

		if (err == -ENODEV)
			ktest_skip("this machine's interrupt controller takes no messages");
		ASSERT_EQ(err, 0);
		for (u32 i = 1; i <= 3; i++) {
			message_raise(handle);
			EXPECT_TRUE(wait_calls(&p, i));
		}
		EXPECT_EQ(atomic_load(&p.cpu), cpu);
		EXPECT_EQ(irq_count("test probe", cpu), 3);
		irq_msi_free(handle);
		EXPECT_EQ(irq_count("test probe", cpu), ~0ull);
	}
}

KTEST(irq, numbers_are_given_back)
{
	struct probe p = {0};
	u64 address;
	u32 data, handle, first = 0;

	for (u32 i = 0; i < 4; i++) {
		int err = irq_msi_alloc(SOURCE, 0, probe_fire, &p, "test probe", &address, &data,
					&handle);

		if (err == -ENODEV)
			ktest_skip("this machine's interrupt controller takes no messages");
		ASSERT_EQ(err, 0);
		if (!i)
			first = handle;
		EXPECT_EQ(handle, first);
		irq_msi_free(handle);
	}
}

KTEST(irq, two_messages_of_one_sender)
{
	struct probe p[2] = {};
	u64 address[2];
	u32 data[2], handle[2], last = smp_ncpus - 1;

	for (u32 i = 0; i < 2; i++) {
		int err = irq_msi_alloc(SOURCE, i ? last : 0, probe_fire, &p[i], "test probe",
					&address[i], &data[i], &handle[i]);

		if (err == -ENODEV)
			ktest_skip("this machine's interrupt controller takes no messages");
		ASSERT_EQ(err, 0);
	}
	EXPECT_EQ(address[0], address[1]);
	EXPECT_NE(data[0], data[1]);
	message_raise(handle[1]);
	EXPECT_TRUE(wait_calls(&p[1], 1));
	EXPECT_EQ(atomic_load(&p[0].calls), 0);
	irq_msi_free(handle[1]);
	message_raise(handle[0]);
	EXPECT_TRUE(wait_calls(&p[0], 1));
	EXPECT_EQ(atomic_load(&p[1].calls), 1);
	irq_msi_free(handle[0]);
}

// ---- lines: one that no device has, raised at the distributor ----

struct line_probe {
	struct probe p; // first
	u32 line;
	bool hold;
};

static void line_fire(void *arg)
{
	struct line_probe *l = arg;

	irq_line_lower(l->line);
	if (l->hold)
		irq_line_hold(l->line, false, line_fire, l, true);
	probe_fire(&l->p);
}

KTEST(irq, held_line_is_silent)
{
	struct line_probe l = {.line = GIC_SPI_FIRST + 200, .hold = true};
	u64 end;

	ASSERT_EQ(irq_line_add(l.line, false, line_fire, &l, "test line"), 0);
	irq_line_raise(l.line);
	EXPECT_TRUE(wait_calls(&l.p, 1));
	irq_line_raise(l.line);
	for (end = clock_monotonic_ns() + 20000000; clock_monotonic_ns() < end;)
		cpu_relax();
	EXPECT_EQ(atomic_load(&l.p.calls), 1);
	irq_line_hold(l.line, false, line_fire, &l, false);
	EXPECT_TRUE(wait_calls(&l.p, 2));
	irq_line_remove(l.line, false, line_fire, &l);
	irq_line_raise(l.line); // nobody's
	for (end = clock_monotonic_ns() + 20000000; clock_monotonic_ns() < end;)
		cpu_relax();
	EXPECT_EQ(atomic_load(&l.p.calls), 2);
	irq_line_lower(l.line);
}

// A handler that goes takes its hold along, and only its own, however often it was said.
KTEST(irq, holds_are_the_handlers)
{
	struct line_probe l[2] = {{.line = GIC_SPI_FIRST + 200, .hold = true},
				  {.line = GIC_SPI_FIRST + 200, .hold = true}};

	for (u32 i = 0; i < 2; i++)
		ASSERT_EQ(irq_line_add(l[i].line, false, line_fire, &l[i], "test line"), 0);
	irq_line_raise(l[0].line);
	EXPECT_TRUE(wait_calls(&l[0].p, 1) && wait_calls(&l[1].p, 1));
	irq_line_hold(l[0].line, false, line_fire, &l[0], true);
	irq_line_hold(l[0].line, false, line_fire, &l[0], false);
	irq_line_hold(l[0].line, false, line_fire, &l[0], false);
	irq_line_raise(l[0].line);
	for (u64 end = clock_monotonic_ns() + 20000000; clock_monotonic_ns() < end;)
		cpu_relax();
	EXPECT_EQ(atomic_load(&l[0].p.calls), 1); // the other holds it still
	irq_line_remove(l[1].line, false, line_fire, &l[1]);
	EXPECT_TRUE(wait_calls(&l[0].p, 2));
	irq_line_hold(l[1].line, false, line_fire, &l[1], false); // is nobody's
	irq_line_remove(l[0].line, false, line_fire, &l[0]);
	irq_line_lower(l[0].line);
}

KTEST(irq, bad_requests_are_refused)
{
	struct probe p = {0};
	u64 address;
	u32 data, handle;

	EXPECT_EQ(irq_msi_alloc(SOURCE, CPU_MAX, probe_fire, &p, "test probe", &address, &data,
				&handle),
		  -EINVAL);
	EXPECT_EQ(irq_line_add(GIC_SPI_FIRST, true, probe_fire, &p, "test probe"), -EINVAL);
	EXPECT_EQ(irq_line_add(0, false, probe_fire, &p, "test probe"), -EINVAL);
	EXPECT_EQ(irq_line_add(27, false, probe_fire, &p, "test probe"), -EINVAL);
	EXPECT_EQ(irq_line_add(GIC_SPI_END, false, probe_fire, &p, "test probe"), -EINVAL);
	EXPECT_EQ(irq_line_add(GIC_LPI_FIRST, false, probe_fire, &p, "test probe"), -EINVAL);
}

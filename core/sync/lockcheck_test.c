// SPDX-License-Identifier: MIT
// lockcheck_test.c: the lock checker finds what it is there for, and nothing else.
#include "core/ktest.h"
#include "core/lock.h"
#include "core/smp.h"
#include "core/sync/lockcheck.h"
#include "core/time.h"
#include <arch/cpu.h>

#include "base/string.h"

static u32 violations;
static char last_text[256];

static void note(const char *text)
{
	violations++;
	strscpy(last_text, text, sizeof(last_text));
}

static void begin(void)
{
	violations = 0;
	last_text[0] = '\0';
	lockcheck_test_hook(note);
}

// How many violations there were since begin().
static u32 end(void)
{
	lockcheck_test_hook(nullptr);
	return violations;
}

KTEST(lockcheck, right_order_is_silent)
{
	mutex_t outer, inner;
	spinlock_t spin = SPINLOCK_INIT(LOCK_test_spin);

	mutex_init(&outer, LOCK_test_outer);
	mutex_init(&inner, LOCK_test_inner);
	begin();
	mutex_lock(&outer);
	mutex_lock(&inner);
	spin_lock(&spin);
	assert_held(&outer);
	assert_held(&spin);
	spin_unlock(&spin);
	mutex_unlock(&outer); // not the reverse order, which is no matter
	mutex_unlock(&inner);
	EXPECT_EQ(end(), 0u);
}

KTEST(lockcheck, mutexes_in_wrong_order)
{
	mutex_t outer, inner;

	mutex_init(&outer, LOCK_test_outer);
	mutex_init(&inner, LOCK_test_inner);
	begin();
	mutex_lock(&inner);
	mutex_lock(&outer);
	mutex_unlock(&outer);
	mutex_unlock(&inner);
	EXPECT_EQ(end(), 1u);
	EXPECT_NOT_NULL(strstr(last_text, "wrong order: test_outer"));
	EXPECT_NOT_NULL(strstr(last_text, "under test_inner"));
}

KTEST(lockcheck, two_of_one_class)
{
	mutex_t a, b;

	mutex_init(&a, LOCK_test_outer);
	mutex_init(&b, LOCK_test_outer);
	begin();
	mutex_lock(&a);
	mutex_lock_nested(&b);
	mutex_unlock(&b);
	EXPECT_EQ(end(), 0u);
	begin();
	mutex_lock(&b);
	EXPECT_EQ(end(), 1u);
	mutex_unlock(&b);
	mutex_unlock(&a);
}

// The remaining tests tell the checker about locks without waiting for them: some would deadlock.
static const char lock_a, lock_b;

KTEST(lockcheck, recursion)
{
	begin();
	preempt_disable();
	lockcheck_acquire(&lock_a, LOCK_test_spin, false, 0);
	lockcheck_acquire(&lock_a, LOCK_test_spin, true, 0);
	lockcheck_release(&lock_a, LOCK_test_spin);
	lockcheck_release(&lock_a, LOCK_test_spin);
	preempt_enable();
	EXPECT_EQ(end(), 1u);
	EXPECT_NOT_NULL(strstr(last_text, "taken twice"));
}

KTEST(lockcheck, release_of_what_is_not_held)
{
	begin();
	preempt_disable();
	lockcheck_release(&lock_a, LOCK_test_spin);
	preempt_enable();
	EXPECT_EQ(end(), 1u);
}

KTEST(lockcheck, sleeping_lock_under_spinlock)
{
	begin();
	preempt_disable();
	lockcheck_acquire(&lock_a, LOCK_test_spin, false, 0);
	lockcheck_acquire(&lock_b, LOCK_test_outer, false, 0);
	lockcheck_release(&lock_b, LOCK_test_outer);
	lockcheck_release(&lock_a, LOCK_test_spin);
	preempt_enable();
	EXPECT_EQ(end(), 1u);
	EXPECT_NOT_NULL(strstr(last_text, "may sleep"));
}

KTEST(lockcheck, sleeping_under_spinlock)
{
	spinlock_t spin = SPINLOCK_INIT(LOCK_test_spin);

	begin();
	spin_lock(&spin);
	lockcheck_no_spinlocks("test");
	spin_unlock(&spin);
	EXPECT_EQ(end(), 1u);
}

KTEST(lockcheck, sleeping_in_a_read_section)
{
	begin();
	preempt_disable();
	lockcheck_no_spinlocks("test");
	preempt_enable();
	EXPECT_EQ(end(), 1u);
	EXPECT_NOT_NULL(strstr(last_text, "with preemption off"));
}

KTEST(lockcheck, irq_class_with_interrupts_on)
{
	begin();
	preempt_disable();
	lockcheck_acquire(&lock_a, LOCK_timer, false, 0);
	irqflags_t flags = irq_save();
	lockcheck_release(&lock_a, LOCK_timer);
	irq_restore(flags);
	preempt_enable();
	EXPECT_EQ(end(), 1u);
}

KTEST(lockcheck, unsafe_class_under_irq_class)
{
	begin();
	irqflags_t flags = irq_save();
	lockcheck_acquire(&lock_a, LOCK_wait_queue, false, 0);
	lockcheck_acquire(&lock_b, LOCK_vm_kernel, false, 0);
	lockcheck_release(&lock_b, LOCK_vm_kernel);
	lockcheck_release(&lock_a, LOCK_wait_queue);
	irq_restore(flags);
	EXPECT_EQ(end(), 1u);
}

static u32 interrupt_done;

static void lock_in_interrupt(struct timer *)
{
	lockcheck_acquire(&lock_a, LOCK_test_spin, false, 0);
	lockcheck_release(&lock_a, LOCK_test_spin);
	store_release(&interrupt_done, 1u);
}

KTEST(lockcheck, unsafe_class_in_an_interrupt)
{
	static struct timer timer;
	u64 give_up = clock_monotonic_ns() + 5'000'000'000;

	interrupt_done = 0;
	timer_init(&timer, lock_in_interrupt);
	begin();
	preempt_disable(); // the interrupt shall meet this thread
	timer_start(&timer, clock_monotonic_ns() + 1'000'000);
	while (!load_acquire(&interrupt_done) && clock_monotonic_ns() < give_up)
		cpu_relax();
	preempt_enable();
	EXPECT_EQ(end(), 1u);
	EXPECT_NOT_NULL(strstr(last_text, "taken in an interrupt"));
	timer_cancel_sync(&timer);
}

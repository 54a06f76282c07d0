// SPDX-License-Identifier: MIT
// test.c: provider of abi/gate/test.h: a device file for each test service, by which programs enter
// it; and the addresses of core's that such a service tries to damage. Privileged.
//
// Registrations live for ever: a service that comes back finds its device file again. `lock` guards
// the list and the binding of ports; calls into a service run without it.
#include "base/fmt.h"
#include "base/parse.h"
#include "base/string.h"
#include "core/gate.h"
#include "core/init.h"
#include "core/log.h"
#include "core/pagetable.h"
#include "core/percpu.h"
#include "core/slab.h"
#include "linux/fs.h"
#include "linux/file.h"
#include "linux/cred.h"
#include "linux/service.h"
#include "linux/vm.h"
#include <gate/calls.h>
#include <gate/interfaces.h>

constexpr u32 TEST_MAJOR = 240; // the first for local use
constexpr u32 TESTS_MAX = 8;

struct test_device {
	struct gate_port port;
	char name[16];
	u32 minor;
};
struct test_object {
	struct gate_object object; // first
	struct test_device *device;
	struct gate_grant grant; // the last one
	struct page *page;	 // that was granted
	mutex_t lock;		 // grant, page
};

static struct test_device *tests[TESTS_MAX];
static mutex_t lock = MUTEX_INIT(lock, LOCK_test_devices);

// ---- the device file ----

// What a service returns may be anything.
static s64 enter(struct test_device *d, u32 number, u64 a, u64 b)
{
	s64 r = test_gate_run(&d->port, number, a, b);

	return r < -MAX_ERRNO ? -EIO : r;
}

// What the function of services/test/null does, to be called directly.
static __noinline s64 something(u32 number, u64 a)
{
	return (s64)(number ^ a);
}

static __noinline s64 nothing(u64 cookie, u32 number, u64 a, u64 b)
{
	(void)cookie, (void)b;
	__asm__ volatile(""); // not to be moved out of the loop
	return likely(!number) ? 0 : something(number, a);
}

static s64 repeat(struct test_device *d, u32 cmd, u64 times)
{
	u64 zero = 0;
	s64 r = 0;

	__asm__("" : "+r"(zero)); // a number that the compiler does not know
	switch (cmd) {
	case TEST_LOOP:
		for (u64 i = 0; i < times && !r; i++)
			__asm__ volatile("" : "+r"(r));
		break;
	case TEST_DIRECT:
		for (u64 i = 0; i < times && !r; i++)
			r = nothing(zero, (u32)zero, zero, zero);
		break;
	case TEST_REPEAT:
		for (u64 i = 0; i < times && !r; i++)
			r = test_gate_run(&d->port, (u32)zero, zero, zero);
		break;
	case TEST_REENTER:
		for (u64 i = 0; i < times && !r; i++) {
			r = test_gate_run(&d->port, (u32)zero, zero, zero);
			preempt_disable(); // as if the program had run
			mmu_space_activate(current()->space, VIEW_PROGRAM);
			preempt_enable();
		}
		break;
	}
	return r;
}

static long test_ioctl(struct file *f, u32 cmd, u64 arg)
{
	struct test_device *d = f->private_data;
	struct test_request r;

	if (cmd < TEST_RUN || cmd > TEST_LOOP)
		return -ENOTTY;
	if (copy_from_user(&r, user_ptr(const void, arg), sizeof(r)))
		return -EFAULT;
	r.result = cmd == TEST_RUN ? enter(d, (u32)r.number, r.a, r.b) : repeat(d, cmd, r.a);
	if (gate_failed(r.result))
		return (long)r.result;
	return copy_to_user(user_ptr(void, arg), &r, sizeof(r));
}

static ssize_t test_write(struct file *f, struct io *io)
{
	char text[80];
	size_t n = io->left;
	u64 number[3] = {};
	const char *at = text;

	if (n >= sizeof(text))
		return -EINVAL;
	if (io_copy_from(io, text, n) != n)
		return -EFAULT;
	text[n] = 0;
	for (u32 i = 0; i < 3; i++) {
		while (*at == ' ' || *at == '\n')
			at++;
		size_t used = *at ? parse_u64_prefix(at, strlen(at), 0, &number[i]) : 0;

		if (*at && !used)
			return -EINVAL;
		at += used;
	}
	s64 r = enter(f->private_data, (u32)number[0], number[1], number[2]);

	return r < 0 ? (ssize_t)r : (ssize_t)n;
}

static int test_open(struct inode *inode, struct file *f)
{
	u32 minor = dev_minor(inode->rdev);

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (minor >= TESTS_MAX || !tests[minor])
		return -ENXIO;
	f->private_data = tests[minor];
	return 0;
}

static const struct file_ops test_file_ops = {
	.open = test_open, .write = test_write, .ioctl = test_ioctl};

// ---- calls ----

static struct test_object *object_of(struct gate_object *o)
{
	return container_of(o, struct test_object, object);
}

static void grant_drop(struct test_object *t)
{
	gate_grant_end(&t->grant);
	if (t->page)
		page_put(t->page);
	t->page = nullptr;
}

static void test_detach(struct gate_object *o)
{
	gate_port_unbind(&object_of(o)->device->port);
}

static void test_release(struct gate_object *o)
{
	grant_drop(object_of(o));
	gate_object_free(o);
}

static const struct gate_object_ops test_object_ops = {.detach = test_detach,
						       .release = test_release};

static struct test_device *device_find(const char *name)
{
	u32 i = 0;

	while (i < TESTS_MAX && tests[i] && strcmp(tests[i]->name, name) != 0)
		i++;
	if (i == TESTS_MAX)
		return err_ptr(-ENOMEM);
	if (tests[i])
		return tests[i];
	struct test_device *d = kzalloc(sizeof(*d));

	if (!d)
		return err_ptr(-ENOMEM);
	strscpy(d->name, name, sizeof(d->name));
	d->minor = i;
	int err = dev_register_char(TEST_MAJOR, i, d->name, 0600, &test_file_ops);

	if (err) {
		kfree(d);
		return err_ptr(err);
	}
	tests[i] = d;
	return d;
}

s64 gate_test_register(u64 self, const struct test_params *params, const struct test_ops *ops)
{
	struct service *s = service_of_handle(self);
	char name[sizeof(params->name)];
	s64 r;

	if (!s)
		return -EBADF;
	strscpy(name, params->name, sizeof(name));
	if (!name[0] || strchr(name, '/'))
		return -EINVAL;
	struct test_object *t = kzalloc(sizeof(*t));

	if (!t)
		return -ENOMEM;
	gate_object_init(&t->object, HANDLE_TEST, &test_object_ops);
	mutex_init(&t->lock, LOCK_test_grant);
	mutex_lock(&lock);
	t->device = device_find(name);
	r = ptr_err_or_zero(t->device);
	if (!r && t->device->port.service && t->device->port.service != s)
		r = -EBUSY;
	if (!r)
		r = gate_port_bind(&t->device->port, s, &gate_test_interface, params->cookie, ops);
	if (!r)
		r = handle_publish(s, &t->object);
	mutex_unlock(&lock);
	gate_object_put(&t->object);
	return r;
}

int gate_test_null(u64 value)
{
	return (int)(value & 0x7fffffff);
}

// A page of shared memory, until the next grant.
s64 gate_test_grant(u64 test, bool writable)
{
	struct gate_object *o = handle_get(test, HANDLE_TEST);
	s64 r = -ENOMEM;

	if (!o)
		return -EBADF;
	struct test_object *t = object_of(o);

	mutex_lock(&t->lock);
	grant_drop(t);
	t->page = page_alloc(0, OWNER_SHARED, ALLOC_ZERO);
	if (t->page)
		r = gate_grant_begin(o->owner, &t->grant, &t->page, 1, writable);
	mutex_unlock(&t->lock);
	gate_object_put(o);
	return r;
}

// ---- what a test service tries to damage ----

// Words that stand for all of core's data: sentinels that tests look at, through
// /proc/halyard/sentinels.
u64 test_sentinel = 0x5e47191e15a11c0d;
static DEFINE_PERCPU(u64, test_percpu_sentinel) = 0x5e47191e15a11c0d;
static struct thread *sentinel_thread; // asleep; its stack is a target

u64 test_sentinels_sum(void)
{
	u64 sum = test_sentinel;

	for (u32 cpu = 0; cpu < smp_ncpus; cpu++)
		sum = sum * 31 + *percpu_ptr(test_percpu_sentinel, cpu);
	// all of a sleeping thread's stack, and core's constants and code
	extern const char __text_start[], __rodata_end[];
	const u64 *stack = sentinel_thread->kstack;

	for (size_t i = 0; i < 16384 / 8; i++)
		sum = sum * 31 + stack[i];
	for (const u64 *p = (const u64 *)__text_start; p < (const u64 *)__rodata_end; p += 64)
		sum = sum * 31 + *p;
	// and the reader's own page table
	const u64 *root =
		current()->space ? phys_ptr(current()->space->root[VIEW_PROGRAM]) : nullptr;

	for (u32 i = 0; root && i < PT_ENTRIES; i++)
		sum = sum * 31 + root[i];
	return sum;
}

static void sentinel_main(void *unused)
{
	(void)unused;
	for (;;) {
		thread_prepare_sleep(THREAD_UNINTERRUPTIBLE);
		schedule();
	}
}

// Core's own address of a byte in the calling program's memory.
static s64 program_byte(u64 addr)
{
	struct page *page, *counted;

	if (!current()->space || vm_page_pin(current_space(), addr, true, &page, &counted))
		return -ENOENT;
	s64 at = (s64)page_ptr(page) + (s64)(addr % PAGE_SIZE);

	page_put(counted); // the program has it mapped, and waits for us
	return at;
}

// What does not depend on who asks; -EINVAL for the rest.
static s64 core_target(u32 target)
{
	switch (target) {
	case TEST_CORE_DATA:
		return (s64)&test_sentinel;
	case TEST_CORE_TEXT:
		return (s64)nothing;
	case TEST_PAGE_TABLE:
		return current()->space ? (s64)phys_ptr(current()->space->root[VIEW_PROGRAM])
					: -ENOENT;
	case TEST_PERCPU:
		return (s64)this_cpu_ptr(test_percpu_sentinel);
	case TEST_KERNEL_STACK:
		return (s64)(sentinel_thread->kstack_top - 1024);
	case TEST_STUBS:
		return (s64)gate_stubs_address();
	default:
		return -EINVAL;
	}
}

s64 test_target_address(const char *name)
{
	static const char *const names[TEST_TARGETS] = {
		[TEST_CORE_DATA] = "core-data",	  [TEST_CORE_TEXT] = "core-code",
		[TEST_PAGE_TABLE] = "page-table", [TEST_PERCPU] = "cpu-data",
		[TEST_KERNEL_STACK] = "stack",	  [TEST_STUBS] = "stubs",
	};

	if (!strcmp(name, "null"))
		return 0;
	for (u32 i = 0; i < TEST_TARGETS; i++)
		if (names[i] && !strcmp(name, names[i]))
			return core_target(i);
	return -EINVAL;
}

// Data of another service of this kind, which no console and no disk depends on.
static s64 other_service_data(const struct service *s)
{
	s64 at = -ENOENT;

	mutex_lock(&lock);
	for (u32 i = 0; i < TESTS_MAX && tests[i] && at < 0; i++) {
		struct service *other = tests[i]->port.service;

		if (other && other != s)
			at = service_data_address(other);
	}
	mutex_unlock(&lock);
	return at;
}

s64 gate_test_target(u64 test, u32 target, u64 hint)
{
	struct gate_object *o = handle_get(test, HANDLE_TEST);
	s64 r;

	if (!o)
		return -EBADF;
	switch (target) {
	case TEST_PROGRAM:
		r = program_byte(hint);
		break;
	case TEST_OTHER_SERVICE:
		r = other_service_data(o->owner);
		break;
	case TEST_GRANT:
		mutex_lock(&object_of(o)->lock);
		r = object_of(o)->grant.address ? (s64)object_of(o)->grant.address : -ENOENT;
		gate_grant_end(&object_of(o)->grant);
		mutex_unlock(&object_of(o)->lock);
		break;
	default:
		r = core_target(target);
	}
	gate_object_put(o);
	return r;
}

static void test_init(void)
{
	sentinel_thread = kthread_create(sentinel_main, nullptr, "sentinel");
	if (!sentinel_thread)
		log_err("no memory for the tests' thread");
	else
		thread_start(sentinel_thread);
}
INITCALL(4, test_init);

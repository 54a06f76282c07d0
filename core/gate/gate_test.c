// SPDX-License-Identifier: MIT
// gate_test.c: tests of handles, and of ports whose service is not there.
#include "base/ktest.h"
#include "core/gate/gate_calls.h"
#include "core/rcu.h"
#include "core/slab.h"

static u32 released, detached;

static void object_detach(struct gate_object *o)
{
	(void)o;
	detached++;
}

static void object_release(struct gate_object *o)
{
	released++;
	gate_object_free(o);
}

static const struct gate_object_ops object_ops = {.detach = object_detach,
						  .release = object_release};

static struct gate_object *object_make(enum handle_kind kind)
{
	struct gate_object *o = kzalloc(sizeof(*o));

	if (o)
		gate_object_init(o, kind, &object_ops);
	return o;
}

// A service that never ran, as its ports and handles see one.
static struct service *service_make(u32 live)
{
	struct service *s = kzalloc(sizeof(*s));

	if (!s)
		return nullptr;
	list_init(&s->objects);
	wait_queue_init(&s->stack_wait);
	s->live = s->generation = live;
	for (u32 i = 0; i < GATE_STACKS; i++)
		s->stacks[i].service = s;
	return s;
}

KTEST(gate, a_dead_service_is_not_entered)
{
	for (u32 class = 0; class < ISOLATION_COUNT; class ++) {
		struct service *s = service_make(0);
		struct gate_port p = {};

		ASSERT_TRUE(s);
		s->isolation = (enum isolation) class;
		s->generation = 3;
		EXPECT_EQ(gate_call(&p, 0, 0, 0, 0, 0, 0), -ENODEV); // never bound
		const struct gate_interface none = {"none", 0, nullptr};

		EXPECT_EQ(gate_port_bind(&p, s, &none, 0, nullptr), 0);
		p.direct = false; // or it would be called without a gate
		EXPECT_EQ(gate_call(&p, 0, 0, 0, 0, 0, 0), -EIO);
		gate_port_unbind(&p);
		EXPECT_EQ(gate_call(&p, 0, 0, 0, 0, 0, 0), -ENODEV);
		for (u32 i = 0; i < GATE_STACKS; i++)
			EXPECT_TRUE(!s->stacks[i].thread);
		kfree(s);
	}
}

KTEST(gate, ops_outside_of_the_code_are_refused)
{
	struct service *s = service_make(1);
	const char *const names[] = {"a", "b"};
	const struct gate_interface two = {"two", 2, names};
	struct gate_port p = {};

	ASSERT_TRUE(s);
	s->text_start = 0x1000;
	s->text_end = 0x2000;
	const u64 good[] = {0x1000, 0x1fff}, low[] = {0xfff, 0x1000}, high[] = {0x1000, 0x2000};

	EXPECT_EQ(gate_port_bind(&p, s, &two, 0, good), 0);
	EXPECT_EQ(gate_port_bind(&p, s, &two, 0, low), -EINVAL);
	EXPECT_EQ(gate_port_bind(&p, s, &two, 0, high), -EINVAL);
	EXPECT_EQ(p.entry[1], 0x1fffu);
	kfree(s);
}

KTEST(gate, handles_are_one_time_names)
{
	struct service *s = service_make(1), *other = service_make(1);
	struct gate_object *a = object_make(HANDLE_EVENT), *b = object_make(HANDLE_EVENT), *found;

	ASSERT_TRUE(s && other && a && b);
	released = detached = 0;
	u64 first = (u64)handle_publish(s, a);

	EXPECT_EQ(handle_get(first, HANDLE_EVENT), a);
	gate_object_put(a);
	EXPECT_NULL(handle_get(first, HANDLE_IRQ));	  // another kind
	EXPECT_NULL(handle_get(first + 1, HANDLE_EVENT)); // another place
	EXPECT_NULL(handle_get(first ^ 1ull << HANDLE_GENERATION_SHIFT, HANDLE_EVENT));
	EXPECT_NULL(handle_get(0, HANDLE_EVENT));
	EXPECT_NULL(handle_get(~0ull, HANDLE_EVENT));
	EXPECT_NULL(handle_get_owned(other, first, HANDLE_EVENT));
	found = handle_get_owned(s, first, HANDLE_EVENT);
	EXPECT_EQ(found, a);
	handle_close_object(found);
	EXPECT_EQ(detached, 1u);
	EXPECT_EQ(released, 0u); // we have references still
	gate_object_put(found);
	gate_object_put(a);
	EXPECT_EQ(released, 1u);
	EXPECT_NULL(handle_get(first, HANDLE_EVENT));
	u64 second = (u64)handle_publish(s, b); // in the same place

	EXPECT_EQ(second & HANDLE_INDEX_MASK, first & HANDLE_INDEX_MASK);
	EXPECT_NULL(handle_get(first, HANDLE_EVENT));
	gate_object_put(b);
	EXPECT_EQ(s->nobjects, 1u);
	s->live = 0;
	handle_close_all(s);
	EXPECT_EQ(s->nobjects, 0u);
	EXPECT_EQ(released, 2u);
	rcu_synchronize();
	kfree(s);
	kfree(other);
}

KTEST(gate, a_service_has_so_many_handles)
{
	struct service *s = service_make(1);
	struct gate_object *o = nullptr;
	u32 n = 0;
	s64 r = 0;

	ASSERT_TRUE(s);
	released = 0;
	for (; n <= SERVICE_HANDLES_MAX; n++) {
		o = object_make(HANDLE_EVENT);
		ASSERT_TRUE(o);
		r = handle_publish(s, o);
		gate_object_put(o);
		if (r < 0)
			break;
	}
	EXPECT_EQ(r, -EMFILE);
	EXPECT_EQ(n, SERVICE_HANDLES_MAX);
	s->live = 0;
	o = object_make(HANDLE_EVENT);
	EXPECT_EQ(handle_publish(s, o), -EIO); // it died
	gate_object_put(o);
	handle_close_all(s);
	EXPECT_EQ(released, SERVICE_HANDLES_MAX + 2);
	rcu_synchronize();
	kfree(s);
}

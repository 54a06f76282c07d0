// SPDX-License-Identifier: MIT
// Tests of id allocation, lookups, time conversions and the signal queues' limits inside the
// kernel.
#include "base/ktest.h"
#include "linux/process/process.h"
#include "linux/process/usage.h"

KTEST(process, pid_numbers_rest_before_reuse)
{
	u32 a, b, c;
	EXPECT_EQ(pid_alloc(&a), 0);
	EXPECT_EQ(pid_alloc(&b), 0);
	EXPECT_TRUE(a != b);
	pid_free(a);
	EXPECT_EQ(pid_alloc(&c), 0);
	EXPECT_TRUE(c != a && c != b); // not given out again at once
	EXPECT_TRUE(!process_find(b)); // reserved, but nothing yet
	EXPECT_TRUE(!task_find(b));
	EXPECT_TRUE(!pgrp_find(b));
	pid_free(b);
	pid_free(c);
}

KTEST(process, pid_limit_is_checked)
{
	u32 before = pid_max();
	EXPECT_EQ(pid_set_max(300), -EINVAL);
	EXPECT_EQ(pid_set_max(PID_MAX_LIMIT + 1), -EINVAL);
	EXPECT_EQ(pid_set_max(PID_MAX_LIMIT), 0);
	EXPECT_EQ(pid_set_max(before), 0);
	EXPECT_TRUE(!process_find(~0u));
	EXPECT_TRUE(!task_find(PID_MAX_LIMIT));
}

KTEST(process, timespec_conversions_saturate)
{
	u64 ns;
	EXPECT_TRUE(timespec_to_ns(&(struct linux_timespec){1, 5}, &ns));
	EXPECT_EQ(ns, 1000000005ull);
	EXPECT_TRUE(!timespec_to_ns(&(struct linux_timespec){-1, 0}, &ns));
	EXPECT_TRUE(!timespec_to_ns(&(struct linux_timespec){0, 1000000000}, &ns));
	EXPECT_TRUE(!timespec_to_ns(&(struct linux_timespec){0, -1}, &ns));
	EXPECT_TRUE(timespec_to_ns(&(struct linux_timespec){0x7fffffffffffffff, 999999999}, &ns));
	EXPECT_EQ(ns, ~0ull >> 1);
	EXPECT_TRUE(!timeval_to_ns(&(struct linux_timeval){0, 1000000}, &ns));
}

KTEST(process, credentials_by_groups_and_capabilities)
{
	struct group_list *g = kmalloc(sizeof(*g) + 3 * sizeof(u32));
	EXPECT_TRUE(g);
	if (!g)
		return;
	refcount_set(&g->refs, 1);
	g->n = 3;
	g->gid[0] = 5;
	g->gid[1] = 10;
	g->gid[2] = 4000000000;
	struct cred c = {.fsgid = 7, .egid = 8, .groups = g, .cap_effective = 1ull << CAP_KILL};
	EXPECT_TRUE(cred_in_group(&c, 7) && !cred_in_egroup(&c, 7));
	EXPECT_TRUE(cred_in_egroup(&c, 8) && !cred_in_group(&c, 8));
	EXPECT_TRUE(cred_in_group(&c, 5) && cred_in_group(&c, 10) && cred_in_group(&c, 4000000000));
	EXPECT_TRUE(!cred_in_group(&c, 6) && !cred_in_group(&c, 4000000001));
	EXPECT_TRUE(cred_has_cap(&c, CAP_KILL) && !cred_has_cap(&c, CAP_CHOWN));
	bool secure;
	struct cred user = {
		.uid = 1000, .euid = 1000, .gid = 100, .egid = 100, .cap_bset = CAP_ALL};
	cred_exec(&user, true, 0, false, 0, &secure);
	EXPECT_TRUE(secure && user.euid == 0 && user.suid == 0 && user.uid == 1000 &&
		    user.cap_effective == CAP_ALL);
	struct cred plain = {.uid = 1000, .euid = 1000, .suid = 1000, .cap_bset = CAP_ALL};
	cred_exec(&plain, false, 0, false, 0, &secure);
	EXPECT_TRUE(!secure && !plain.cap_effective && !plain.cap_permitted);
	kfree(g);
}

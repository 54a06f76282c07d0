// SPDX-License-Identifier: MIT
// Owns NUMA policies of a machine with one node of memory, number 0.
//
// A policy changes nothing about where memory comes from, but programs set policies and ask for
// them, and are told what they have set. A task's policy is its own and inherited by fork; that of
// an area lies in its flags (VM_POLICY), so that areas split and merge by it. Of the nodes that a
// policy names only node 0 exists; names of others are dropped, as Linux does.
#include "abi/linux/mempolicy.h"
#include "base/err.h"
#include "core/smp.h"
#include "core/slab.h"
#include "core/uaccess.h"
#include "linux/mm/mm.h"
#include "linux/syscalls.h"
#include "linux/task.h"

constexpr u64 NODES_MAX = 1024; // the longest mask that may have bits set, as Debian's Linux has it
constexpr u64 NODE_WORDS = NODES_MAX / 64;

// mode | flags: a policy in the form that programs pass it, and packed into six bits.
static u32 policy_pack(u32 mode)
{
	return (mode & 7) | (mode >> MPOL_FLAGS_SHIFT & 7) << 3;
}
static u32 policy_unpack(u32 packed)
{
	return (packed & 7) | (packed >> 3 & 7) << MPOL_FLAGS_SHIFT;
}

// Which nodes a program's mask names: whether node 0, whether any. -EINVAL, -EFAULT.
static int nodes_get(const u64 __user *mask, u64 maxnode, bool *first, bool *any)
{
	*first = *any = false;
	maxnode--; // as Linux counts
	if (!maxnode || !mask)
		return 0;
	if (maxnode > PAGE_SIZE * 8)
		return -EINVAL;
	for (u64 i = 0; i < (maxnode + 63) / 64; i++) {
		u64 word;
		if (get_user(word, mask + i))
			return -EFAULT;
		if (maxnode - i * 64 < 64)
			word &= (1ull << (maxnode - i * 64)) - 1;
		if (word && i >= NODE_WORDS)
			return -EINVAL;
		if (!i)
			*first = word & 1;
		*any |= word != 0;
	}
	return 0;
}

// Checks a mode with its mask. 0 and *out, the policy as get_mempolicy shows it.
static int policy_make(int wanted, const u64 __user *mask, u64 maxnode, u32 *out)
{
	u32 flags = (u32)wanted & MPOL_MODE_FLAGS, mode = (u32)wanted & ~(u32)MPOL_MODE_FLAGS;
	bool first, any, fixed = flags & (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES);

	if (mode > MPOL_PREFERRED_MANY)
		return -EINVAL;
	if ((flags & MPOL_F_STATIC_NODES) && (flags & MPOL_F_RELATIVE_NODES))
		return -EINVAL;
	if ((flags & MPOL_F_NUMA_BALANCING) && mode != MPOL_BIND)
		return -EINVAL;
	int r = nodes_get(mask, maxnode, &first, &any);
	if (r)
		return r;
	*out = mode | flags;
	switch (mode) {
	case MPOL_DEFAULT:
		*out = MPOL_DEFAULT;
		return any ? -EINVAL : 0;
	case MPOL_LOCAL:
		return any || fixed ? -EINVAL : 0;
	case MPOL_PREFERRED:
		if (!any) {
			*out = MPOL_LOCAL;
			return fixed ? -EINVAL : 0;
		}
		break;
	}
	// Relative nodes are numbers among the nodes that there are: all of them are the one.
	return first || (any && (flags & MPOL_F_RELATIVE_NODES)) ? 0 : -EINVAL;
}

SYSCALL(set_mempolicy, int mode, const u64 __user *mask, u64 maxnode)
{
	u32 policy;
	int r = policy_make(mode, mask, maxnode, &policy);

	if (!r)
		current_task()->mempolicy = policy;
	return r;
}

static u64 policy_nodes(u32 policy)
{
	u32 mode = policy & ~(u32)MPOL_MODE_FLAGS;

	return mode != MPOL_DEFAULT && mode != MPOL_LOCAL;
}

// The policy of the area at addr: 0 or -EFAULT.
static int policy_at(u64 addr, u32 *policy)
{
	struct vm_space *s = current_space();
	int r = -EFAULT;

	read_lock(&s->lock);
	struct vm_area *a = vm_area_find(s, addr);
	if (a) {
		*policy = policy_unpack(a->flags >> VM_POLICY_SHIFT & VM_POLICY_MASK);
		r = 0;
	}
	read_unlock(&s->lock);
	return r;
}

// The node of the page at addr, which is brought in.
static int node_at(u64 addr)
{
	u8 byte;

	return get_user(byte, user_ptr(const u8, addr)) ? -EFAULT : 0;
}

static int nodes_put(u64 __user *mask, u64 maxnode, u64 nodes)
{
	u64 bytes = (maxnode - 1 + 63) / 64 * sizeof(u64);

	if (bytes > PAGE_SIZE)
		return -EINVAL;
	if (bytes > sizeof(u64) && clear_user_partial(mask + 1, bytes - sizeof(u64)))
		return -EFAULT;
	return bytes ? put_user(nodes, mask) : 0;
}

SYSCALL(get_mempolicy, int __user *out, u64 __user *mask, u64 maxnode, u64 addr, u64 flags)
{
	u32 policy = current_task()->mempolicy;
	u64 nodes;
	int r = 0;

	if (mask && !maxnode)
		return -EINVAL;
	if (flags & ~(u64)(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED))
		return -EINVAL;
	if ((flags & MPOL_F_MEMS_ALLOWED) && (flags & (MPOL_F_NODE | MPOL_F_ADDR)))
		return -EINVAL;
	if (flags & MPOL_F_ADDR)
		r = policy_at(addr, &policy);
	else if (addr && !(flags & MPOL_F_MEMS_ALLOWED))
		r = -EINVAL;
	if (r)
		return r;
	nodes = policy_nodes(policy);
	if (flags & MPOL_F_MEMS_ALLOWED) {
		policy = 0;
		nodes = 1;
	} else if (flags & MPOL_F_NODE) {
		if (flags & MPOL_F_ADDR)
			r = node_at(addr);
		else if ((policy & ~(u32)MPOL_MODE_FLAGS) != MPOL_INTERLEAVE)
			r = -EINVAL; // else the node that comes next: the only one
		policy = 0;
	}
	if (r)
		return r;
	if (out && put_user((int)policy, out))
		return -EFAULT;
	return mask ? nodes_put(mask, maxnode, nodes) : 0;
}

SYSCALL(mbind, u64 addr, u64 len, int mode, const u64 __user *mask, u64 maxnode, u32 flags)
{
	u32 policy;
	u64 rounded, end;
	int r = policy_make(mode, mask, maxnode, &policy);

	if (r)
		return r;
	if (flags & ~(u32)(MPOL_MF_STRICT | MPOL_MF_MOVE | MPOL_MF_MOVE_ALL))
		return -EINVAL;
	if ((flags & MPOL_MF_MOVE_ALL) && !capable(CAP_SYS_NICE))
		return -EPERM;
	if (!is_aligned(addr, PAGE_SIZE) || !align_up_checked(len, PAGE_SIZE, &rounded) ||
	    __builtin_add_overflow(addr, rounded, &end))
		return -EINVAL;
	if (!rounded)
		return 0;
	return vm_policy_set(current_space(), addr, end, policy_pack(policy));
}

// ---- pages that are to move to a node: they are there already, or nowhere ----

// The space of the process that pid means (0: the current one), which the caller may look into.
static struct vm_space *space_of(int pid)
{
	struct task *t = pid ? task_find((u32)pid) : task_get(current_task());

	if (!t)
		return err_ptr(-ESRCH);
	struct vm_space *s =
		process_may_access(t->process, false) ? task_space_get(t) : err_ptr(-EPERM);
	task_put(t);
	return s ? s : err_ptr(-EINVAL);
}

SYSCALL(migrate_pages, int pid, u64 maxnode, const u64 __user *from, const u64 __user *to)
{
	bool first, any;
	int r = nodes_get(from, maxnode, &first, &any);

	if (!r)
		r = nodes_get(to, maxnode, &first, &any);
	if (r)
		return r;
	struct vm_space *s = space_of(pid);
	if (is_err(s))
		return ptr_err(s);
	vm_space_put(s);
	return first ? 0 : -EINVAL;
}

// Where the page of addr is, or what is the matter with it.
static int page_status(struct vm_space *s, u64 addr)
{
	read_lock(&s->lock);
	int r = vm_page_at(s, addr & PAGE_MASK);
	read_unlock(&s->lock);
	return r;
}

static int pages_walk(struct vm_space *s, u64 n, const u64 __user *pages, const int __user *nodes,
		      int __user *status)
{
	for (u64 i = 0; i < n; i++) {
		u64 addr;
		int node = 0;
		if (get_user(addr, pages + i) || (nodes && get_user(node, nodes + i)))
			return -EFAULT;
		if (node)
			return -ENODEV;
		if (put_user(page_status(s, addr), status + i))
			return -EFAULT;
		if (signal_fatal_pending())
			return -EINTR;
	}
	return 0;
}

SYSCALL(move_pages, int pid, u64 n, const u64 __user *pages, const int __user *nodes,
	int __user *status, int flags)
{
	if (flags & ~(int)(MPOL_MF_MOVE | MPOL_MF_MOVE_ALL))
		return -EINVAL;
	if ((flags & MPOL_MF_MOVE_ALL) && !capable(CAP_SYS_NICE))
		return -EPERM;
	struct vm_space *s = space_of(pid);
	if (is_err(s))
		return ptr_err(s);
	int r = pages_walk(s, n, pages, nodes, status);
	vm_space_put(s);
	return r;
}

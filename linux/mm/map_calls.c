// SPDX-License-Identifier: MIT
// Owns the system calls about a process's memory; the work is that of linux/vm.h.
#include "abi/linux/mman.h"
#include "abi/linux/mount.h"
#include "base/err.h"
#include "core/slab.h"
#include "core/uaccess.h"
#include "linux/file.h"
#include "linux/syscalls.h"
#include "linux/task.h"
#include "linux/vm.h"

static struct vm_space *space(void)
{
	return current_space();
}

constexpr u32 PROT_ALL = PROT_READ | PROT_WRITE | PROT_EXEC;
constexpr u64 MAP_KNOWN = MAP_TYPE | MAP_FIXED | MAP_ANONYMOUS | MAP_32BIT | MAP_GROWSDOWN |
			  MAP_DENYWRITE | MAP_EXECUTABLE | MAP_LOCKED | MAP_NORESERVE |
			  MAP_POPULATE | MAP_NONBLOCK | MAP_STACK | MAP_HUGETLB |
			  MAP_FIXED_NOREPLACE;

static u32 area_flags(u64 flags)
{
	u32 f = 0;
	if (flags & MAP_FIXED_NOREPLACE)
		f |= VM_FIXED_NOREPLACE;
	else if (flags & MAP_FIXED)
		f |= VM_FIXED;
	if (flags & MAP_GROWSDOWN)
		f |= VM_GROWSDOWN;
	if (flags & MAP_LOCKED)
		f |= VM_LOCKED | VM_POPULATE;
	if (flags & MAP_NORESERVE)
		f |= VM_NORESERVE;
	if ((flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE)
		f |= VM_POPULATE;
	return f;
}

// The rules of a file mapping: rights of the descriptor, of the mount, and what the file's own mmap
// says.
static int file_rules(struct file *f, struct vm_map_args *a, bool shared)
{
	if (!(f->mode & FILE_READ))
		return -EACCES;
	if (shared) {
		if ((a->prot & PROT_WRITE) && !(f->mode & FILE_WRITE))
			return -EACCES;
		if (!(f->mode & FILE_WRITE))
			a->max_prot &= ~(u32)PROT_WRITE;
	}
	if (f->path.mnt && (f->path.mnt->flags & MS_NOEXEC)) {
		if (a->prot & PROT_EXEC)
			return -EPERM;
		a->max_prot &= ~(u32)PROT_EXEC;
	}
	if (!f->ops->mmap)
		return -ENODEV;
	a->file = f;
	return f->ops->mmap(f, a);
}

SYSCALL(mmap, u64 addr, u64 len, u64 prot, u64 flags, int fd, u64 offset)
{
	struct vm_map_args a = {.addr = addr,
				.len = len,
				.prot = (u32)prot & PROT_ALL,
				.max_prot = PROT_ALL,
				.offset = offset};
	u32 type = flags & MAP_TYPE;
	u64 end, out;
	int r;
	if (offset & (PAGE_SIZE - 1))
		return -EINVAL;
	if (!len)
		return -EINVAL;
	if (len > USER_TOP || __builtin_add_overflow(offset, align_up(len, PAGE_SIZE), &end))
		return len > USER_TOP ? -ENOMEM : -EOVERFLOW;
	if (type == MAP_SHARED_VALIDATE && (flags & ~MAP_KNOWN))
		return -EOPNOTSUPP;
	if (type != MAP_SHARED && type != MAP_PRIVATE && type != MAP_SHARED_VALIDATE)
		return -EINVAL;
	if (flags & MAP_HUGETLB)
		return -ENOMEM; // there is no pool of huge pages; ordinary mappings become huge by
				// themselves
	bool shared = type != MAP_PRIVATE;
	a.flags = area_flags(flags) | (shared ? VM_SHARED : 0);
	if ((flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) && (addr & (PAGE_SIZE - 1)))
		return -EINVAL;
	if ((flags & MAP_LOCKED) && !capable(CAP_IPC_LOCK) && rlimit(RLIMIT_MEMLOCK) == 0)
		return -EPERM;
	if (flags & MAP_ANONYMOUS) {
		a.offset = 0;
		r = vm_map(space(), &a, &out);
		return r ? r : (long)out;
	}
	if (flags & MAP_GROWSDOWN)
		return -EINVAL;
	struct fdref ref = fd_get(fd);
	if (!ref.file)
		return -EBADF;
	r = file_rules(ref.file, &a, shared);
	if (!r)
		r = vm_map(space(), &a, &out);
	fd_put(ref);
	return r ? r : (long)out;
}

SYSCALL(munmap, u64 addr, u64 len)
{
	if ((addr & (PAGE_SIZE - 1)) || !len || addr > USER_TOP || len > USER_TOP - addr)
		return -EINVAL;
	return vm_unmap(space(), addr, len);
}

SYSCALL(mprotect, u64 addr, u64 len, u64 prot)
{
	u64 grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP), rounded;
	prot &= ~(u64)(PROT_GROWSDOWN | PROT_GROWSUP);
	if ((addr & (PAGE_SIZE - 1)) || (prot & ~(u64)(PROT_ALL | PROT_SEM)) ||
	    grows == (PROT_GROWSDOWN | PROT_GROWSUP))
		return -EINVAL;
	if (!len)
		return 0;
	if (!align_up_checked(len, PAGE_SIZE, &rounded) || addr > USER_TOP ||
	    rounded > USER_TOP - addr)
		return -ENOMEM;
	if (grows & PROT_GROWSUP)
		return -EINVAL;	      // no stack grows upwards here
	if (grows & PROT_GROWSDOWN) { // to the beginning of the stack's area
		struct vm_space *s = space();
		read_lock(&s->lock);
		struct vm_area *a = vm_area_find(s, addr);
		bool ok = a && (a->flags & VM_GROWSDOWN);
		if (ok) {
			rounded += addr - a->start;
			addr = a->start;
		}
		read_unlock(&s->lock);
		if (!ok)
			return -EINVAL;
	}
	return vm_protect(space(), addr, rounded, (u32)prot & PROT_ALL);
}

SYSCALL(mremap, u64 old, u64 old_len, u64 new_len, u64 flags, u64 new_addr)
{
	u64 out;
	if (flags & ~(u64)(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP))
		return -EINVAL;
	if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && !(flags & MREMAP_MAYMOVE))
		return -EINVAL;
	if ((old & (PAGE_SIZE - 1)) || !new_len || old_len > USER_TOP || new_len > USER_TOP)
		return -EINVAL;
	if ((flags & MREMAP_DONTUNMAP) && old_len != new_len)
		return -EINVAL;
	int r = vm_remap(space(), old, old_len, new_len, (u32)flags, new_addr, &out);
	return r ? r : (long)out;
}

SYSCALL(madvise, u64 addr, u64 len, int advice)
{
	u64 rounded;
	if ((addr & (PAGE_SIZE - 1)) || !align_up_checked(len, PAGE_SIZE, &rounded) ||
	    addr > USER_TOP || rounded > USER_TOP - addr)
		return -EINVAL;
	return vm_advise(space(), addr, rounded, advice);
}

SYSCALL(brk, u64 wanted)
{
	return (long)vm_brk(space(), wanted);
}

SYSCALL(mincore, u64 addr, u64 len, u8 __user *vec)
{
	constexpr u64 AT_ONCE = 512; // pages
	u8 out[AT_ONCE];
	if (addr & (PAGE_SIZE - 1))
		return -EINVAL;
	u64 pages = len / PAGE_SIZE + (len % PAGE_SIZE != 0);
	if (addr > USER_TOP || len > USER_TOP - addr)
		return -ENOMEM;
	if (!user_range_ok(vec, pages))
		return -EFAULT;
	while (pages) {
		u64 n = min(pages, AT_ONCE);
		int r = vm_mincore(space(), addr, n * PAGE_SIZE, out);
		if (r)
			return r;
		if (copy_to_user(vec, out, n))
			return -EFAULT;
		addr += n * PAGE_SIZE;
		vec += n;
		pages -= n;
		if (signal_fatal_pending())
			return -EINTR;
	}
	return 0;
}

SYSCALL(msync, u64 addr, u64 len, int flags)
{
	u64 rounded;
	if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) || (addr & (PAGE_SIZE - 1)) ||
	    ((flags & MS_ASYNC) && (flags & MS_SYNC)))
		return -EINVAL;
	if (!align_up_checked(len, PAGE_SIZE, &rounded) || addr > USER_TOP ||
	    rounded > USER_TOP - addr)
		return -ENOMEM;
	return rounded ? vm_sync(space(), addr, rounded, flags) : 0;
}

// ---- locking: there is no swap, so a locked page is one that is present ----

static int lock_range(u64 addr, u64 len, bool lock)
{
	u64 start = align_down(addr, PAGE_SIZE), end;
	if (__builtin_add_overflow(addr, len, &end) || !align_up_checked(end, PAGE_SIZE, &end))
		return -EINVAL;
	if (start == end)
		return 0;
	if (end > USER_TOP)
		return -ENOMEM;
	if (lock && !capable(CAP_IPC_LOCK)) {
		u64 limit = rlimit(RLIMIT_MEMLOCK);
		if (!limit)
			return -EPERM;
		if (READ_ONCE(space()->locked_pages) + (end - start) / PAGE_SIZE >
		    limit / PAGE_SIZE)
			return -ENOMEM;
	}
	return vm_lock_range(space(), start, end - start, lock);
}

SYSCALL(mlock, u64 addr, u64 len)
{
	return lock_range(addr, len, true);
}

SYSCALL(mlock2, u64 addr, u64 len, int flags)
{
	if (flags & ~MLOCK_ONFAULT)
		return -EINVAL;
	return lock_range(addr, len, true);
}

SYSCALL(munlock, u64 addr, u64 len)
{
	return lock_range(addr, len, false);
}

static int lock_every_area(bool lock)
{
	struct vm_space *s = space();
	u64 at = 0;
	for (;;) {
		read_lock(&s->lock);
		struct vm_area *a = vm_area_find_next(s, at);
		u64 start = a ? a->start : 0, end = a ? a->end : 0;
		bool skip = a && (a->flags & VM_SPECIAL);
		read_unlock(&s->lock);
		if (!end)
			return 0;
		int r = skip ? 0 : vm_lock_range(s, start, end - start, lock);
		if (r && r != -ENOMEM) // areas that went away meanwhile are nobody's loss
			return r;
		at = end;
		if (signal_fatal_pending())
			return -EINTR;
	}
}

SYSCALL(mlockall, int flags)
{
	if (!flags || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) || flags == MCL_ONFAULT)
		return -EINVAL;
	if (!capable(CAP_IPC_LOCK)) {
		u64 limit = rlimit(RLIMIT_MEMLOCK);
		if (!limit)
			return -EPERM;
		if ((flags & MCL_CURRENT) && READ_ONCE(space()->total_pages) > limit / PAGE_SIZE)
			return -ENOMEM;
	}
	return flags & MCL_CURRENT ? lock_every_area(true) : 0;
}

SYSCALL(munlockall, void)
{
	return lock_every_area(false);
}

// SPDX-License-Identifier: MIT
// Owns process file descriptors.
#include "abi/linux/fcntl.h"
#include "base/fmt.h"
#include "linux/file.h"
#include "linux/poll.h"
#include "linux/process/process.h"
#include "linux/syscalls.h"

static void pidfd_release(struct file *f)
{
	process_put(f->private_data);
}

static u32 pidfd_poll(struct file *f, struct poll_table *table)
{
	struct process *p = f->private_data;
	poll_wait(f, &p->pidfd_wait, table);
	return READ_ONCE(p->state) != PROCESS_ALIVE ? POLLIN | POLLRDNORM : 0;
}

static int pidfd_info(struct file *f, char *buf, size_t cap)
{
	struct process *p = f->private_data;
	bool there = READ_ONCE(p->state) != PROCESS_REAPED;
	return snprintf(buf, cap, "Pid:\t%d\nNSpid:\t%d\n", there ? (int)p->pid : -1,
			there ? (int)p->pid : -1);
}

static const struct file_ops pidfd_ops = {
	.release = pidfd_release,
	.poll = pidfd_poll,
	.fdinfo = pidfd_info,
};

struct file *pidfd_create(struct process *p, int flags)
{
	struct file *f = pseudo_file_create("[pidfd]", &pidfd_ops, process_get(p),
					    O_RDWR | (flags & PIDFD_NONBLOCK));
	if (is_err(f))
		process_put(p);
	return f;
}

struct process *pidfd_process(int fd)
{
	struct fdref ref = fd_get(fd);
	struct process *p = ref.file && ref.file->ops == &pidfd_ops
				    ? process_get(ref.file->private_data)
				    : err_ptr(-EBADF);
	if (ref.file)
		fd_put(ref);
	return p;
}

SYSCALL(pidfd_open, int pid, u32 flags)
{
	if (pid <= 0 || (flags & ~(u32)PIDFD_NONBLOCK))
		return -EINVAL;
	struct process *p = process_find((u32)pid);
	if (!p) {
		struct task *t = task_find((u32)pid);
		if (!t)
			return -ESRCH;
		task_put(t);
		return -EINVAL; // a thread that is no process
	}
	struct file *f = pidfd_create(p, (int)flags);
	process_put(p);
	return is_err(f) ? ptr_err(f) : fd_install_new(f, O_CLOEXEC);
}

SYSCALL(pidfd_getfd, int pidfd, int fd, u32 flags)
{
	if (flags)
		return -EINVAL;
	struct process *p = pidfd_process(pidfd);
	if (is_err(p))
		return ptr_err(p);
	struct task *t = process_any_task(p);
	int r = t ? process_may_access(p, false) ? 0 : -EPERM : -ESRCH;
	struct fd_table *files = r ? nullptr : task_files_get(t);
	struct file *f = files ? files_get_file(files, (u32)fd) : nullptr;
	if (files)
		files_put(files);
	if (t)
		task_put(t);
	process_put(p);
	if (r)
		return r;
	return f ? fd_install_new(f, O_CLOEXEC) : -EBADF;
}

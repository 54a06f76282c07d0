// SPDX-License-Identifier: MIT
// signalfd.c: signalfd4(2): pending signals as something to read. Privileged.
//
// A signalfd is about whoever reads or polls it: it takes that thread's signals and its process's.
// An epoll instance may outlive the process that put a signalfd into it, so the signalfd counts
// every process on whose queue it was ever waited for.
#include "abi/linux/epoll.h"
#include "abi/linux/fcntl.h"
#include "base/fmt.h"
#include "core/slab.h"
#include "linux/file.h"
#include "linux/poll.h"
#include "linux/signal.h"
#include "linux/syscalls.h"

struct waited {
	struct waited *next;
	struct process *process; // counted
};

struct signalfd {
	sigset_t set;	       // atomic
	struct waited *waited; // only grows, by compare-and-exchange
};

static const struct file_ops signalfd_ops;

static void fill(struct signalfd_siginfo *out, const struct siginfo *in)
{
	*out = (struct signalfd_siginfo){
		.signo = (u32)in->signo, .error = in->error, .code = in->code};
	switch (in->signo) {
	case SIGCHLD:
		if (in->code <= 0)
			break;
		out->pid = (u32)in->child.pid;
		out->uid = in->child.uid;
		out->status = in->child.status;
		out->utime = (u64)in->child.utime;
		out->stime = (u64)in->child.stime;
		return;
	case SIGSEGV:
	case SIGBUS:
	case SIGILL:
	case SIGFPE:
	case SIGTRAP:
		if (in->code <= 0)
			break;
		out->addr = in->fault.addr;
		return;
	case SIGSYS:
		out->call_addr = in->sys.call_addr;
		out->syscall = in->sys.nr;
		out->arch = in->sys.arch;
		return;
	default:
		break;
	}
	if (in->code == SI_TIMER) {
		out->tid = (u32)in->timer.id;
		out->overrun = (u32)in->timer.overrun;
		out->value_ptr = in->timer.value;
		out->value_int = (s32)in->timer.value;
	} else if (in->code >= POLL_IN && in->code <= POLL_HUP) {
		out->band = (u32)in->poll.band;
		out->fd = in->poll.fd;
	} else {
		out->pid = (u32)in->rt.pid;
		out->uid = in->rt.uid;
		out->value_ptr = in->rt.value;
		out->value_int = (s32)in->rt.value;
	}
}

static bool any_pending(const struct signalfd *s)
{
	return signal_pending_set() & load_once(&s->set);
}

static ssize_t signalfd_read(struct file *f, struct io *io)
{
	struct signalfd *s = f->private_data;
	size_t done = 0;

	if (io->left < sizeof(struct signalfd_siginfo))
		return -EINVAL;
	while (io->left >= sizeof(struct signalfd_siginfo)) {
		struct siginfo info;
		struct signalfd_siginfo out;
		if (!signal_dequeue(load_once(&s->set), &info)) {
			if (done)
				break;
			if (io->flags & IO_NONBLOCK)
				return -EAGAIN;
			int r = wait_event_interruptible(signal_wait_queue(), any_pending(s));
			if (r)
				return r;
			continue;
		}
		fill(&out, &info);
		if (io_copy_to(io, &out, sizeof(out)) != sizeof(out))
			return done ? (ssize_t)done : -EFAULT;
		done += sizeof(out);
	}
	return (ssize_t)done;
}

// Makes sure that the current process is counted. False: out of memory.
static bool waited_add(struct signalfd *s)
{
	struct process *p = current_process();
	struct waited *head = load_acquire(&s->waited);

	for (struct waited *w = head; w; w = w->next)
		if (w->process == p)
			return true;
	struct waited *w = kmalloc(sizeof(*w));
	if (!w)
		return false;
	w->process = process_get(p);
	do
		w->next = head;
	while (!try_cmpxchg(&s->waited, &head, w));
	return true;
}

static u32 signalfd_poll(struct file *f, struct poll_table *table)
{
	struct signalfd *s = f->private_data;

	if (table && table->add && !waited_add(s))
		return POLLERR;
	poll_wait(f, signal_wait_queue(), table);
	return any_pending(s) ? POLLIN | POLLRDNORM : 0;
}

static void signalfd_release(struct file *f)
{
	struct signalfd *s = f->private_data;

	while (s->waited) {
		struct waited *w = s->waited;
		s->waited = w->next;
		process_put(w->process);
		kfree(w);
	}
	kfree(s);
}

static int signalfd_fdinfo(struct file *f, char *buf, size_t cap)
{
	struct signalfd *s = f->private_data;
	return snprintf(buf, cap, "sigmask:\t%016llx\n", load_once(&s->set));
}

static const struct file_ops signalfd_ops = {
	.release = signalfd_release,
	.read = signalfd_read,
	.poll = signalfd_poll,
	.fdinfo = signalfd_fdinfo,
};

static long signalfd_create(sigset_t set, int flags)
{
	struct signalfd *s = kmalloc(sizeof(*s));

	if (!s)
		return -ENOMEM;
	*s = (struct signalfd){.set = set};
	struct file *f =
		pseudo_file_create("[signalfd]", &signalfd_ops, s, O_RDWR | (flags & SFD_NONBLOCK));
	if (is_err(f)) {
		kfree(s);
		return ptr_err(f);
	}
	return fd_install_new(f, flags & SFD_CLOEXEC);
}

static long signalfd_common(int fd, const u64 __user *uset, size_t size, int flags)
{
	sigset_t set;

	if (size != sizeof(set) || (flags & ~(SFD_NONBLOCK | SFD_CLOEXEC)))
		return -EINVAL;
	if (get_user(set, uset))
		return -EFAULT;
	set &= ~SIGSET_UNBLOCKABLE;
	if (fd == -1)
		return signalfd_create(set, flags);
	struct fdref ref = fd_get(fd);
	long r = fd;
	if (!ref.file) {
		r = -EBADF;
	} else if (ref.file->ops != &signalfd_ops) {
		r = -EINVAL;
	} else {
		store_once(&((struct signalfd *)ref.file->private_data)->set, set);
		wake_all(signal_wait_queue());
	}
	fd_put(ref);
	return r;
}

SYSCALL(signalfd4, int fd, const u64 __user *uset, size_t size, int flags)
{
	return signalfd_common(fd, uset, size, flags);
}

SYSCALL(signalfd, int fd, const u64 __user *uset, size_t size)
{
	return signalfd_common(fd, uset, size, 0);
}

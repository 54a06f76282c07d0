// SPDX-License-Identifier: MIT
// pty.c: Unix 98 pseudo terminals. Privileged.
//
// The slave is a terminal like any other; its driver is the master's file: what the slave's
// programs write waits in `out` for the master to read, and what the master writes goes through the
// slave's line discipline at once. The master has no terminal of its own: terminal ioctls on it are
// about the slave.
//
// Lock: the slave's t->lock guards all of a pair. Lifetime: slave files, sessions and the master
// count the slave; the number is free again when all have gone. The master's end hangs the slave up
// and removes its name.
#include "abi/linux/fcntl.h"
#include "abi/linux/ioctl.h"
#include "base/bitmap.h"
#include "core/init.h"
#include "core/log.h"
#include "core/slab.h"
#include "linux/poll.h"
#include "linux/signal.h"
#include "linux/tty/pty_priv.h"

constexpr u32 OUT_RING_BYTES = 8192;
constexpr u32 MASTER_CHUNK = 512;
constexpr u32 MAJOR_PTMX = 5, MINOR_PTMX = 2;

struct pty {
	struct tty tty;
	struct dentry *name; // in devpts; the master's
	bool locked;	     // until unlockpt(3)
	bool packet;	     // TIOCPKT
	bool was_opened;     // the slave, since the pair was made
	u8 status;	     // enum tty_packet bits to report
	struct wait_queue master_read;
	struct ring out;
	u8 out_bytes[OUT_RING_BYTES];
};

static mutex_t table_lock = MUTEX_INIT(table_lock, LOCK_module_misc);
static struct pty *ptys[PTY_MAX]; // table_lock

static struct pty *pty_of(struct tty *t)
{
	return container_of(t, struct pty, tty);
}

static void wake_master(struct pty *p, u32 events)
{
	wait_queue_wake_sync(&p->master_read, ~0u, events);
}

// ---------------------------------------------------------------- the driver of the slave

static size_t pty_write(struct tty *t, const u8 *bytes, size_t len)
{
	struct pty *p = pty_of(t);
	size_t n = ring_write(&p->out, bytes, len);

	if (n)
		wake_master(p, POLLIN | POLLRDNORM);
	return n;
}

static size_t pty_pending(struct tty *t)
{
	return ring_used(&pty_of(t)->out);
}

static void pty_discard(struct tty *t)
{
	struct pty *p = pty_of(t);
	store_release(&p->out.head, load_acquire(&p->out.tail));
}

static void pty_flushed(struct tty *t, u8 bits)
{
	struct pty *p = pty_of(t);
	static const u8 pairs[][2] = {{TIOCPKT_STOP, TIOCPKT_START},
				      {TIOCPKT_NOSTOP, TIOCPKT_DOSTOP}};

	if (!p->packet)
		return;
	for (u32 i = 0; i < ARRAY_SIZE(pairs); i++) // of each pair the latest counts
		if (bits & (pairs[i][0] | pairs[i][1]))
			p->status &= ~(pairs[i][0] | pairs[i][1]);
	p->status |= bits;
	wake_master(p, POLLIN | POLLRDNORM | POLLPRI);
}

static void pty_opened(struct tty *t)
{
	pty_of(t)->was_opened = true;
}

static void pty_closed(struct tty *t)
{
	wake_master(pty_of(t), 0);
}

static void pty_release(struct tty *t)
{
	struct pty *p = pty_of(t);

	mutex_lock(&table_lock);
	ptys[t->index] = nullptr;
	mutex_unlock(&table_lock);
	kfree(p);
}

static const struct tty_driver pty_driver = {
	.name = "pts",
	.is_pty = true,
	.write = pty_write,
	.pending = pty_pending,
	.discard = pty_discard,
	.flushed = pty_flushed,
	.opened = pty_opened,
	.closed = pty_closed,
	.release = pty_release,
};

static int slave_open(struct inode *inode, struct file *f)
{
	u32 n = dev_minor(inode->rdev);

	mutex_lock(&table_lock);
	struct pty *p = n < PTY_MAX ? ptys[n] : nullptr;
	if (p && !refcount_inc_not_zero(&p->tty.refs))
		p = nullptr;
	mutex_unlock(&table_lock);
	if (!p)
		return -ENXIO;
	int r = load_once(&p->locked) || !load_once(&p->name)
			? -EIO
			: tty_file_open(&p->tty, f, !(f->flags & O_NOCTTY), true);
	tty_put(&p->tty);
	return r;
}

static const struct file_ops slave_ops = {.open = slave_open};

// ---------------------------------------------------------------- the master's file

static bool slave_gone(const struct pty *p)
{
	return load_once(&p->was_opened) && !load_once(&p->tty.opens);
}

// What is there for the master: bytes, 0 for nothing, or an error.
static ssize_t master_take(struct pty *p, struct io *io)
{
	size_t done = 0;

	if (p->packet) {
		u8 status = p->status;
		if (!status && ring_empty(&p->out))
			return 0;
		p->status = 0;
		if (io_copy_to(io, &status, 1) != 1)
			return -EFAULT;
		done = 1;
		if (status)
			return 1;
	}
	while (io->left) {
		u32 head = p->out.head, at = head & p->out.mask;
		size_t n = min(min(ring_used(&p->out), p->out.mask + 1 - at),
			       (u32)min(io->left, (size_t)OUT_RING_BYTES));
		if (!n)
			break;
		size_t moved = io_copy_to(io, p->out.buf + at, n);
		store_release(&p->out.head, head + (u32)moved);
		done += moved;
		if (moved < n)
			return done ? (ssize_t)done : -EFAULT;
		output_push(&p->tty);
	}
	return (ssize_t)done;
}

static bool master_may_read(const struct pty *p)
{
	return !ring_empty(&p->out) || load_once(&p->status) || slave_gone(p);
}

static ssize_t master_read(struct file *f, struct io *io)
{
	struct pty *p = f->private_data;

	if (!io->left)
		return 0;
	for (;;) {
		mutex_lock(&p->tty.lock);
		ssize_t n = master_take(p, io);
		bool gone = slave_gone(p), space = output_push(&p->tty);
		mutex_unlock(&p->tty.lock);
		if (n && space)
			wait_queue_wake_sync(&p->tty.write_wait, ~0u, POLLOUT | POLLWRNORM);
		if (n)
			return n;
		if (gone)
			return -EIO;
		if (io->flags & IO_NONBLOCK)
			return -EAGAIN;
		n = wait_event_interruptible(&p->master_read, master_may_read(p));
		if (n)
			return n;
	}
}

static bool slave_has_room(const struct tty *t)
{
	return LINE_BYTES - (load_once(&t->head) - load_once(&t->tail)) >= 3 ||
	       ((t->termios.t.lflag & ICANON) && load_once(&t->canon_head) == load_once(&t->tail));
}

// All of a chunk goes in, or the wait for room ends the call. Bytes that went in; *err is why not
// all did.
static size_t master_put(struct tty *t, const u8 *bytes, size_t len, bool nonblock, int *err)
{
	size_t done = 0;

	for (;;) {
		mutex_lock(&t->lock);
		done += line_receive(t, bytes + done, len - done);
		mutex_unlock(&t->lock);
		if (done == len)
			return done;
		*err = nonblock ? -EAGAIN
				: wait_event_interruptible(&t->read_room, slave_has_room(t));
		if (*err)
			return done;
	}
}

static ssize_t master_write(struct file *f, struct io *io)
{
	struct pty *p = f->private_data;
	u8 chunk[MASTER_CHUNK];
	size_t done = 0;
	int err = 0;

	while (io->left && !err) {
		size_t n = min(io->left, sizeof(chunk));
		size_t copied = io_copy_from(io, chunk, n);
		if (copied < n)
			err = -EFAULT;
		done += master_put(&p->tty, chunk, copied, io->flags & IO_NONBLOCK, &err);
	}
	return done ? (ssize_t)done : err;
}

static u32 master_poll(struct file *f, struct poll_table *table)
{
	struct pty *p = f->private_data;
	u32 ev = 0;

	poll_wait(f, &p->master_read, table);
	poll_wait(f, &p->tty.read_room, table);
	if (!ring_empty(&p->out) || load_once(&p->status))
		ev |= POLLIN | POLLRDNORM;
	if (load_once(&p->status))
		ev |= POLLPRI;
	if (slave_gone(p))
		ev |= POLLHUP;
	if (slave_has_room(&p->tty))
		ev |= POLLOUT | POLLWRNORM;
	return ev;
}

static long packet_set(struct pty *p, bool on)
{
	mutex_lock(&p->tty.lock);
	p->packet = on;
	p->status = 0;
	mutex_unlock(&p->tty.lock);
	return 0;
}

static long peer_open(struct pty *p, u64 flags)
{
	struct file *s = devpts_open(p->name, (int)flags & (O_ACCMODE | O_NOCTTY | O_NONBLOCK));

	return is_err(s) ? ptr_err(s) : fd_install_new(s, (int)flags & O_CLOEXEC);
}

static long slave_signal(struct pty *p, u64 sig)
{
	if (sig != SIGINT && sig != SIGQUIT && sig != SIGTSTP)
		return -EINVAL;
	mutex_lock(&p->tty.lock);
	line_flush(&p->tty);
	tty_signal(&p->tty, (int)sig);
	mutex_unlock(&p->tty.lock);
	return 0;
}

static long master_ioctl(struct file *f, u32 cmd, u64 arg)
{
	struct pty *p = f->private_data;
	s32 v;

	switch (cmd) {
	case TIOCGPTN:
		return put_user(p->tty.index, user_ptr(u32, arg));
	case TIOCSPTLCK:
	case TIOCPKT:
		if (get_user(v, user_ptr(const s32, arg)))
			return -EFAULT;
		if (cmd == TIOCPKT)
			return packet_set(p, v);
		store_once(&p->locked, v != 0);
		return 0;
	case TIOCGPTLCK:
		return put_user((s32)p->locked, user_ptr(s32, arg));
	case TIOCGPKT:
		return put_user((s32)p->packet, user_ptr(s32, arg));
	case TIOCGPTPEER:
		return peer_open(p, arg);
	case TIOCSIG:
		return slave_signal(p, arg);
	case FIONREAD:
		return put_user((s32)ring_used(&p->out), user_ptr(s32, arg));
	case TCFLSH: // the master's input is the slave's output
		return tty_ioctl(&p->tty, f, cmd,
				 arg == TCIFLUSH   ? TCOFLUSH
				 : arg == TCOFLUSH ? TCIFLUSH
						   : arg,
				 true);
	default:
		return tty_ioctl(&p->tty, f, cmd, arg, true);
	}
}

static void master_release(struct file *f)
{
	struct pty *p = f->private_data;
	struct dentry *name = xchg(&p->name, nullptr);

	devpts_remove(name);
	tty_hangup(&p->tty);
	tty_put(&p->tty);
}

static const struct file_ops master_ops = {
	.release = master_release,
	.read = master_read,
	.write = master_write,
	.poll = master_poll,
	.ioctl = master_ioctl,
};

static struct pty *pty_create(void)
{
	struct pty *p = kzalloc(sizeof(*p));
	u32 n = 0;

	if (!p)
		return err_ptr(-ENOMEM);
	mutex_lock(&table_lock);
	while (n < PTY_MAX && ptys[n])
		n++;
	if (n < PTY_MAX) {
		tty_init(&p->tty, &pty_driver, dev_make(MAJOR_PTS, n), n);
		ring_init(&p->out, p->out_bytes, OUT_RING_BYTES);
		wait_queue_init(&p->master_read);
		p->locked = true;
		ptys[n] = p;
	}
	mutex_unlock(&table_lock);
	if (n < PTY_MAX)
		return p;
	kfree(p);
	return err_ptr(-ENOSPC);
}

static int ptmx_open(struct inode *inode, struct file *f)
{
	(void)inode;
	struct pty *p = pty_create();

	if (is_err(p))
		return ptr_err(p);
	int r = devpts_add(p->tty.index, &p->name);
	if (r) {
		tty_put(&p->tty);
		return r;
	}
	f->private_data = p;
	f->ops = &master_ops;
	f->mode |= FILE_STREAM;
	return 0;
}

const struct file_ops ptmx_ops = {.open = ptmx_open};

static void pty_start(void)
{
	int r = dev_register_char(MAJOR_PTMX, MINOR_PTMX, "ptmx", 0666, &ptmx_ops);

	if (!r)
		r = dev_register_char_region(MAJOR_PTS, 0, PTY_MAX, "pts", &slave_ops);
	if (r)
		log_err("pty: no pseudo terminals: error %d", -r);
}
INITCALL(3, pty_start);

// SPDX-License-Identifier: MIT
// tty.c: terminals: their files, and the way of bytes between drivers, the line discipline and
// programs. Privileged.
//
// A driver puts input into t->raw and queues work; the work (or a reader, or a pty's writer) runs
// it through the line discipline under t->lock, where echo and signals happen. Output goes through
// output processing into t->out, at most OUT_BYTES of it, and from there to the driver; what the
// driver has no room for waits there until it calls tty_write_space.
//
// Flow control of input: tty_receive says that the ring fills up, and the driver stops; who empties
// it again calls the driver's resume(). The driver must see to it that a resume() which comes
// before it has stopped is not lost.
//
// Locks: t->lock (a mutex, held while copying from and to programs and while the driver works,
// never while waiting for a terminal); the tree lock of processes for the link between session and
// terminal; t->input_lock for the throttle. One write(2) is not mixed with another: writers take
// turns. Lifetime: files and the session count. A hangup makes the files opened so far dead
// (t->hangups has grown since); those of /dev/console live on.
#include "base/fmt.h"
#include "base/string.h"
#include "core/init.h"
#include "core/log.h"
#include "core/time.h"
#include "abi/linux/fcntl.h"
#include "linux/poll.h"
#include "linux/signal.h"
#include "linux/syscalls.h"
#include "linux/tty/tty_priv.h"

constexpr u32 MAJOR_AUX = 5;   // /dev/tty is 0
constexpr s64 NEVER_DEAD = -1; // file.pos of /dev/console
constexpr u64 DECISECOND_NS = 100'000'000;

// ---------------------------------------------------------------- life

static void tty_work(struct work *w);

static const struct linux_termios2 default_termios = {
	.t =
		{
			.iflag = ICRNL | IXON,
			.oflag = OPOST | ONLCR,
			.cflag = B38400 | CS8 | CREAD | HUPCL,
			.lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
			.cc = {[VINTR] = 3,
			       [VQUIT] = 034,
			       [VERASE] = 0177,
			       [VKILL] = 025,
			       [VEOF] = 4,
			       [VMIN] = 1,
			       [VSTART] = 021,
			       [VSTOP] = 023,
			       [VSUSP] = 032,
			       [VREPRINT] = 022,
			       [VDISCARD] = 017,
			       [VWERASE] = 027,
			       [VLNEXT] = 026},
		},
	.ispeed = 38400,
	.ospeed = 38400,
};

void tty_init(struct tty *t, const struct tty_driver *d, u64 dev, u32 index)
{
	t->driver = d;
	t->dev = dev;
	t->index = index;
	refcount_set(&t->refs, 1);
	mutex_init(&t->lock, LOCK_tty);
	t->termios = default_termios;
	wait_queue_init(&t->read_wait);
	wait_queue_init(&t->write_wait);
	wait_queue_init(&t->turn_wait);
	wait_queue_init(&t->read_room);
	work_init(&t->work, tty_work);
	spin_lock_init(&t->input_lock, LOCK_tty_input);
	ring_init(&t->raw, t->raw_bytes, RAW_BYTES);
}

void tty_put(struct tty *t)
{
	if (refcount_dec_and_test(&t->refs))
		t->driver->release(t);
}

// ---------------------------------------------------------------- from drivers

bool tty_receive(struct tty *t, const u8 *bytes, size_t len)
{
	irqflags_t flags = spin_lock_irqsave(&t->input_lock);

	ring_write(&t->raw, bytes, len); // what does not fit is lost, as in a device's own FIFO
	bool full = ring_free(&t->raw) < RAW_BYTES / 2;

	if (full)
		t->throttled = true;
	spin_unlock_irqrestore(&t->input_lock, flags);
	work_queue(&t->work);
	return full;
}

void tty_line_break(struct tty *t)
{
	store_once(&t->broken, true);
	work_queue(&t->work);
}

void tty_write_space(struct tty *t)
{
	work_queue(&t->work);
}

void tty_refresh(struct tty *t)
{
	store_once(&t->refresh, true);
	work_queue(&t->work);
}

void tty_resize(struct tty *t, u16 columns, u16 rows)
{
	struct linux_winsize w = t->winsize;

	w.cols = columns ?: w.cols;
	w.rows = rows ?: w.rows;
	if (!memcmp(&w, &t->winsize, sizeof(w)))
		return;
	t->winsize = w;
	tty_signal(t, SIGWINCH);
}

// Runs what the driver left through the line discipline, as far as there is room.
static void raw_run(struct tty *t)
{
	if (unlikely(xchg(&t->broken, false)))
		line_break(t);
	for (;;) {
		u32 head = t->raw.head, at = head & t->raw.mask;
		size_t n = min(ring_used(&t->raw), t->raw.mask + 1 - at);
		if (!n)
			break;
		size_t taken = line_receive(t, t->raw.buf + at, n);
		store_release(&t->raw.head, head + (u32)taken);
		if (taken < n)
			break;
	}
	if (likely(!load_once(&t->throttled)) || ring_free(&t->raw) < RAW_BYTES * 3 / 4)
		return;
	irqflags_t flags = spin_lock_irqsave(&t->input_lock);
	t->throttled = false;
	spin_unlock_irqrestore(&t->input_lock, flags);
	if (t->driver->resume)
		t->driver->resume(t);
}

static void tty_work(struct work *w)
{
	struct tty *t = container_of(w, struct tty, work);

	mutex_lock(&t->lock);
	if (unlikely(xchg(&t->refresh, false)))
		t->driver->refresh(t);
	raw_run(t);
	bool space = output_push(t);
	mutex_unlock(&t->lock);
	if (space)
		wait_queue_wake(&t->write_wait, ~0u, POLLOUT | POLLWRNORM);
}

// ---------------------------------------------------------------- reading

bool tty_file_dead(const struct tty *t, const struct file *f)
{
	return f->pos != NEVER_DEAD && (u64)f->pos != load_once(&t->hangups);
}

static bool read_may_end(const struct tty *t, const struct file *f)
{
	return line_ready(t) || tty_file_dead(t, f);
}

struct read_rules {	      // of raw mode
	u32 min;	      // bytes that end the call
	u64 first_ns, gap_ns; // time for the first byte, and between bytes; ~0: for ever
};

static struct read_rules read_rules(const struct tty *t)
{
	const u8 *cc = t->termios.t.cc;
	u64 time = cc[VTIME] ? cc[VTIME] * DECISECOND_NS : ~0ull;

	if (t->termios.t.lflag & ICANON)
		return (struct read_rules){1, ~0ull, ~0ull};
	if (cc[VMIN])
		return (struct read_rules){cc[VMIN], ~0ull, time};
	return (struct read_rules){1, cc[VTIME] ? time : 0, 0};
}

static u64 deadline_after(u64 ns)
{
	return ns == ~0ull ? ns : clock_monotonic_ns() + ns;
}

// One look at the input: bytes, 0 for nothing there (*eof: nor will be), or an error. Makes room
// for what waits.
static ssize_t read_once(struct tty *t, struct file *f, struct io *io, struct read_rules *rules,
			 bool *eof)
{
	ssize_t n = 0;

	mutex_lock(&t->lock);
	if (!ring_empty(&t->raw))
		raw_run(t);
	*rules = read_rules(t);
	if (tty_file_dead(t, f)) {
		*eof = true;
	} else if (line_ready(t)) {
		n = line_read(t, io);
		*eof = n == 0 ||
		       (t->termios.t.lflag & ICANON); // a line, perhaps the empty one of VEOF
		if (!ring_empty(&t->raw))
			raw_run(t);
		wait_queue_wake(&t->read_room, ~0u, POLLOUT | POLLWRNORM);
	}
	mutex_unlock(&t->lock);
	return n;
}

static ssize_t tty_read(struct file *f, struct io *io)
{
	struct tty *t = f->private_data;
	struct read_rules rules;
	size_t done = 0;
	bool eof = false;
	ssize_t n = 0;

	if (!io->left)
		return 0;
	for (;;) {
		n = tty_job_check(t, SIGTTIN);
		if (n)
			break;
		n = read_once(t, f, io, &rules, &eof);
		if (n > 0)
			done += (size_t)n;
		if (n < 0 || eof || !io->left || done >= rules.min)
			break;
		u64 wait_ns = done ? rules.gap_ns : rules.first_ns;
		if (!wait_ns)
			break;
		if (io->flags & IO_NONBLOCK) {
			n = -EAGAIN;
			break;
		}
		n = wait_event_interruptible_until(&t->read_wait, read_may_end(t, f),
						   deadline_after(wait_ns));
		if (n) {
			n = n == -ETIMEDOUT ? 0 : n;
			break;
		}
	}
	return done ? (ssize_t)done : n;
}

// ---------------------------------------------------------------- writing

static int write_turn_take(struct tty *t, bool nonblock)
{
	if (likely(!xchg(&t->writing, true)))
		return 0;
	if (nonblock)
		return -EAGAIN;
	return wait_event_interruptible_exclusive(&t->turn_wait, !xchg(&t->writing, true));
}

static void write_turn_give(struct tty *t)
{
	store_release(&t->writing, false);
	wake_one(&t->turn_wait);
}

static bool write_may_go_on(const struct tty *t, const struct file *f)
{
	return (load_once(&t->out_start) == load_once(&t->out_end) && !load_once(&t->stopped)) ||
	       (f && tty_file_dead(t, f));
}

// What fits now: bytes, 0: no room, or an error.
static ssize_t write_once(struct tty *t, struct file *f, struct io *io)
{
	ssize_t n = 0;

	mutex_lock(&t->lock);
	if (f && tty_file_dead(t, f))
		n = -EIO;
	else if (!t->stopped && output_push(t))
		n = output_fill(t, io);
	mutex_unlock(&t->lock);
	return n;
}

// All of it, by whoever has the turn. f: nullptr for the kernel itself.
static ssize_t write_all(struct tty *t, struct file *f, struct io *io)
{
	size_t done = 0;
	ssize_t n = 0;

	while (io->left) {
		n = write_once(t, f, io);
		if (n < 0)
			break;
		done += (size_t)n;
		if (n)
			continue;
		n = io->flags & IO_NONBLOCK
			    ? -EAGAIN
			    : wait_event_interruptible(&t->write_wait, write_may_go_on(t, f));
		if (n)
			break;
	}
	return done ? (ssize_t)done : n;
}

static ssize_t tty_write(struct file *f, struct io *io)
{
	struct tty *t = f->private_data;
	ssize_t n = 0;

	if (t->termios.t.lflag & TOSTOP) {
		n = tty_job_check(t, SIGTTOU);
		if (n)
			return n;
	}
	n = write_turn_take(t, io->flags & IO_NONBLOCK);
	if (n)
		return n;
	n = write_all(t, f, io);
	write_turn_give(t);
	return n;
}

void tty_print(struct tty *t, const char *line, size_t len)
{
	u8 end[] = "\r\n";
	struct io text = io_kernel((void *)line, len, 0);

	if (write_turn_take(t, false))
		return;
	// Output processing makes the carriage return, when it is on.
	u32 skip = (t->termios.t.oflag & (OPOST | ONLCR)) == (OPOST | ONLCR);
	struct io before = io_kernel(end + skip, 2 - skip, 0), after = before;

	if (!load_once(&t->column) || write_all(t, nullptr, &before) > 0)
		if (write_all(t, nullptr, &text) > 0)
			(void)write_all(t, nullptr, &after);
	write_turn_give(t);
}

// ---------------------------------------------------------------- poll

static u32 tty_poll(struct file *f, struct poll_table *table)
{
	struct tty *t = f->private_data;
	const struct linux_termios *m = &t->termios.t;
	u32 ev = 0;

	poll_wait(f, &t->read_wait, table);
	poll_wait(f, &t->write_wait, table);
	if (tty_file_dead(t, f))
		return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLERR | POLLHUP;
	if (!ring_empty(&t->raw)) { // the work may not have run yet
		mutex_lock(&t->lock);
		raw_run(t);
		mutex_unlock(&t->lock);
	}
	u32 wanted = m->lflag & ICANON || m->cc[VTIME] || !m->cc[VMIN] ? 1 : m->cc[VMIN];
	if (line_ready(t) && (wanted == 1 || load_once(&t->head) - load_once(&t->tail) >= wanted))
		ev |= POLLIN | POLLRDNORM;
	if (write_may_go_on(t, f))
		ev |= POLLOUT | POLLWRNORM;
	return ev;
}

// ---------------------------------------------------------------- opening and closing

int tty_file_open(struct tty *t, struct file *f, bool may_control, bool hangs_up)
{
	mutex_lock(&t->lock);
	if (t->exclusive && !capable(CAP_SYS_ADMIN)) {
		mutex_unlock(&t->lock);
		return -EBUSY;
	}
	if (!t->opens++ && t->driver->opened)
		t->driver->opened(t);
	f->pos = hangs_up ? (s64)t->hangups : NEVER_DEAD;
	mutex_unlock(&t->lock);
	tty_get(t);
	f->private_data = t;
	f->ops = &tty_ops;
	f->mode |= FILE_STREAM;
	if (may_control && (f->mode & FILE_READ))
		(void)tty_control(t, false); // it is no error when the session has one, or is not
					     // ours to decide for
	return 0;
}

void tty_file_close(struct tty *t)
{
	mutex_lock(&t->lock);
	if (!--t->opens) {
		t->exclusive = false;
		if (t->driver->closed)
			t->driver->closed(t);
	}
	mutex_unlock(&t->lock);
	tty_put(t);
}

static void tty_release(struct file *f)
{
	tty_file_close(f->private_data);
}

static long tty_file_ioctl(struct file *f, u32 cmd, u64 arg)
{
	return tty_ioctl(f->private_data, f, cmd, arg, false);
}

const struct file_ops tty_ops = {
	.release = tty_release,
	.read = tty_read,
	.write = tty_write,
	.poll = tty_poll,
	.ioctl = tty_file_ioctl,
};

void tty_hangup(struct tty *t)
{
	mutex_lock(&t->lock);
	store_once(&t->hangups, t->hangups + 1);
	line_flush(t);
	t->stopped = false;
	output_flush(t);
	if (t->driver->hangup)
		t->driver->hangup(t);
	mutex_unlock(&t->lock);
	tty_disconnect(t);
	wait_queue_wake(&t->read_wait, ~0u, 0);
	wait_queue_wake(&t->write_wait, ~0u, 0);
}

SYSCALL(vhangup, void)
{
	if (!capable(CAP_SYS_TTY_CONFIG))
		return -EPERM;
	struct tty *t = tty_current_get();
	if (t) {
		tty_hangup(t);
		tty_put(t);
	}
	return 0;
}

// ---------------------------------------------------------------- /dev/tty

static int current_tty_open(struct inode *inode, struct file *f)
{
	(void)inode;
	struct tty *t = tty_current_get();

	if (!t)
		return -ENXIO;
	int r = tty_file_open(t, f, false, true);
	tty_put(t);
	return r;
}

static const struct file_ops current_tty_ops = {.open = current_tty_open};

static void tty_start(void)
{
	int r = dev_register_char(MAJOR_AUX, 0, "tty", 0666, &current_tty_ops);

	if (r)
		log_err("tty: no /dev/tty: error %d", -r);
}
INITCALL(3, tty_start);

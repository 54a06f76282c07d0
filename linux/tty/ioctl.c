// SPDX-License-Identifier: MIT
// ioctl.c: a terminal's settings as programs read and change them. Privileged.
#include "abi/linux/ioctl.h"
#include "base/string.h"
#include "linux/poll.h"
#include "linux/signal.h"
#include "linux/tty/tty_priv.h"

// ---------------------------------------------------------------- speeds

static const u32 speeds[] = {0,	  50,	75,   110,  134,  150,	200,   300,
			     600, 1200, 1800, 2400, 4800, 9600, 19200, 38400};
static const u32 fast_speeds[] = {57600,   115200,  230400,  460800,  500000,
				  576000,  921600,  1000000, 1152000, 1500000,
				  2000000, 2500000, 3000000, 3500000, 4000000};

static u32 speed_of(u32 bits, u32 other)
{
	u32 low = bits & 017;

	if (!(bits & BOTHER))
		return speeds[low];
	return !low ? other : low <= ARRAY_SIZE(fast_speeds) ? fast_speeds[low - 1] : 38400;
}

static void speeds_set(struct linux_termios2 *m)
{
	u32 in = (m->t.cflag & CIBAUD) >> 16;

	m->ospeed = speed_of(m->t.cflag & CBAUD, m->ospeed);
	m->ispeed = in ? speed_of(in, m->ispeed) : m->ospeed;
}

// ---------------------------------------------------------------- termios

static int output_wait(struct tty *t)
{
	if (!t->driver->drain)
		return 0;
	int r = wait_event_interruptible(&t->write_wait,
					 load_once(&t->out_start) == load_once(&t->out_end));
	if (!r)
		t->driver->drain(t);
	return r;
}

enum set_when { SET_NOW, SET_DRAINED, SET_FLUSHED };

static void termios_apply(struct tty *t, const struct linux_termios2 *m)
{
	struct linux_termios2 old = t->termios;
	bool flow_was = (old.t.iflag & IXON) && old.t.cc[VSTOP] == 023 && old.t.cc[VSTART] == 021;
	bool flow_is = (m->t.iflag & IXON) && m->t.cc[VSTOP] == 023 && m->t.cc[VSTART] == 021;

	t->termios = *m;
	speeds_set(&t->termios);
	line_mode_changed(t, old.t.lflag & ICANON);
	if ((old.t.iflag & IXON) && !(m->t.iflag & IXON))
		output_stop(t, false);
	if (t->driver->set_termios)
		t->driver->set_termios(t);
	if (t->driver->flushed && flow_was != flow_is)
		t->driver->flushed(t, flow_is ? TIOCPKT_DOSTOP : TIOCPKT_NOSTOP);
	wait_queue_wake(&t->read_wait, ~0u, 0); // VMIN and VTIME may say something else now
}

enum termios_form { FORM_TERMIO, FORM_TERMIOS, FORM_TERMIOS2 };

static long termios_get(struct tty *t, enum termios_form form, u64 arg)
{
	mutex_lock(&t->lock);
	struct linux_termios2 m = t->termios;
	mutex_unlock(&t->lock);
	if (form == FORM_TERMIO) {
		struct linux_termio old = {(u16)m.t.iflag,
					   (u16)m.t.oflag,
					   (u16)m.t.cflag,
					   (u16)m.t.lflag,
					   m.t.line,
					   {},
					   0};
		memcpy(old.cc, m.t.cc, sizeof(old.cc));
		return copy_to_user(user_ptr(void, arg), &old, sizeof(old));
	}
	return copy_to_user(user_ptr(void, arg), &m,
			    form == FORM_TERMIOS ? sizeof(m.t) : sizeof(m));
}

static long termios_set(struct tty *t, enum termios_form form, enum set_when when, u64 arg)
{
	struct linux_termios2 m;
	long r = tty_job_check(t, SIGTTOU);

	if (r)
		return r;
	mutex_lock(&t->lock);
	m = t->termios;
	mutex_unlock(&t->lock);
	if (form == FORM_TERMIO) {
		struct linux_termio old;
		if (copy_from_user(&old, user_ptr(void, arg), sizeof(old)))
			return -EFAULT;
		m.t.iflag = (m.t.iflag & ~0xffffu) | old.iflag;
		m.t.oflag = (m.t.oflag & ~0xffffu) | old.oflag;
		m.t.cflag = (m.t.cflag & ~0xffffu) | old.cflag;
		m.t.lflag = (m.t.lflag & ~0xffffu) | old.lflag;
		memcpy(m.t.cc, old.cc, sizeof(old.cc));
	} else if (copy_from_user(&m, user_ptr(void, arg),
				  form == FORM_TERMIOS ? sizeof(m.t) : sizeof(m))) {
		return -EFAULT;
	}
	if (when == SET_FLUSHED) {
		mutex_lock(&t->lock);
		line_flush(t);
		mutex_unlock(&t->lock);
	}
	if (when != SET_NOW) {
		r = output_wait(t);
		if (r)
			return r;
	}
	mutex_lock(&t->lock);
	m.t.line = 0;
	termios_apply(t, &m);
	mutex_unlock(&t->lock);
	return 0;
}

// ---------------------------------------------------------------- windows, flow, flushing

static long winsize_get(struct tty *t, u64 arg)
{
	mutex_lock(&t->lock);
	struct linux_winsize w = t->winsize;
	mutex_unlock(&t->lock);
	return copy_to_user(user_ptr(void, arg), &w, sizeof(w));
}

static long winsize_set(struct tty *t, u64 arg)
{
	struct linux_winsize w;

	if (copy_from_user(&w, user_ptr(void, arg), sizeof(w)))
		return -EFAULT;
	mutex_lock(&t->lock);
	bool changed = memcmp(&w, &t->winsize, sizeof(w)) != 0;
	t->winsize = w;
	mutex_unlock(&t->lock);
	if (changed)
		tty_signal(t, SIGWINCH);
	return 0;
}

static void send_cc(struct tty *t, enum termios_cc which)
{
	u8 c = t->termios.t.cc[which];

	if (c)
		(void)t->driver->write(t, &c, 1);
}

static long flow(struct tty *t, u64 action)
{
	long r = tty_job_check(t, SIGTTOU);

	if (r)
		return r;
	mutex_lock(&t->lock);
	if (action == TCOOFF)
		output_stop(t, true);
	else if (action == TCOON)
		output_stop(t, false);
	else if (action == TCIOFF || action == TCION)
		send_cc(t, action == TCIOFF ? VSTOP : VSTART);
	else
		r = -EINVAL;
	mutex_unlock(&t->lock);
	return r;
}

static long flush(struct tty *t, u64 what)
{
	long r = tty_job_check(t, SIGTTOU);

	if (r)
		return r;
	if (what > TCIOFLUSH)
		return -EINVAL;
	mutex_lock(&t->lock);
	if (what != TCOFLUSH) {
		line_flush(t);
		store_release(&t->raw.head, load_acquire(&t->raw.tail));
	}
	if (what != TCIFLUSH)
		output_flush(t);
	if (t->driver->flushed)
		t->driver->flushed(t, (what != TCOFLUSH ? TIOCPKT_FLUSHREAD : 0) |
					      (what != TCIFLUSH ? TIOCPKT_FLUSHWRITE : 0));
	mutex_unlock(&t->lock);
	wait_queue_wake(&t->read_room, ~0u, POLLOUT | POLLWRNORM);
	work_queue(&t->work); // it may be the driver's turn again, now that the ring is empty
	return 0;
}

static void break_set(struct tty *t, bool on)
{
	mutex_lock(&t->lock);
	if (t->driver->send_break)
		t->driver->send_break(t, on);
	mutex_unlock(&t->lock);
}

// TCSBRK with an argument is tcdrain(3), without one a break.
static long send_break(struct tty *t, bool really, u64 ns)
{
	long r = tty_job_check(t, SIGTTOU);

	if (!r)
		r = output_wait(t);
	if (r || !really)
		return r;
	break_set(t, true);
	thread_sleep_ns(ns);
	break_set(t, false);
	return signal_pending() ? -EINTR : 0;
}

static long exclusive_set(struct tty *t, bool on)
{
	mutex_lock(&t->lock);
	t->exclusive = on;
	mutex_unlock(&t->lock);
	return 0;
}

static long input_count(struct tty *t)
{
	mutex_lock(&t->lock);
	u32 n = line_bytes(t);
	mutex_unlock(&t->lock);
	return n;
}

static long output_count(struct tty *t)
{
	mutex_lock(&t->lock);
	size_t n = t->out_end - t->out_start + (t->driver->pending ? t->driver->pending(t) : 0);
	mutex_unlock(&t->lock);
	return (long)n;
}

constexpr u64 BREAK_NS = 250'000'000;

static long job_ioctl(struct tty *t, struct file *f, u32 cmd, u64 arg, bool master)
{
	switch (cmd) {
	case TIOCGPGRP:
		return tty_get_pgrp(t, master, user_ptr(s32, arg));
	case TIOCSPGRP:
		return tty_set_pgrp(t, user_ptr(const s32, arg));
	case TIOCGSID:
		return tty_get_sid(t, master, user_ptr(s32, arg));
	case TIOCSCTTY:
		if (master || (!(f->mode & FILE_READ) && !capable(CAP_SYS_ADMIN)))
			return -EPERM;
		return tty_control(t, arg == 1 && capable(CAP_SYS_ADMIN));
	case TIOCNOTTY:
		return tty_give_up(t);
	case TIOCVHANGUP:
		if (!capable(CAP_SYS_ADMIN))
			return -EPERM;
		tty_hangup(t);
		return 0;
	default:
		return -ENOTTY;
	}
}

long tty_ioctl(struct tty *t, struct file *f, u32 cmd, u64 arg, bool master)
{
	if (!master && tty_file_dead(t, f))
		return cmd == TIOCSPGRP ? -ENOTTY : -EIO;
	switch (cmd) {
	case TCGETS:
		return termios_get(t, FORM_TERMIOS, arg);
	case TCGETS2:
		return termios_get(t, FORM_TERMIOS2, arg);
	case TCGETA:
		return termios_get(t, FORM_TERMIO, arg);
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
		return termios_set(t, FORM_TERMIOS, (enum set_when)(cmd - TCSETS), arg);
	case TCSETS2:
	case TCSETSW2:
	case TCSETSF2:
		return termios_set(t, FORM_TERMIOS2, (enum set_when)(cmd - TCSETS2), arg);
	case TCSETA:
	case TCSETAW:
	case TCSETAF:
		return termios_set(t, FORM_TERMIO, (enum set_when)(cmd - TCSETA), arg);
	case TIOCGWINSZ:
		return winsize_get(t, arg);
	case TIOCSWINSZ:
		return winsize_set(t, arg);
	case TCXONC:
		return flow(t, arg);
	case TCFLSH:
		return flush(t, arg);
	case TCSBRK:
		return send_break(t, !arg, BREAK_NS);
	case TCSBRKP:
		return send_break(t, true, arg && arg < 600 ? arg * 100'000'000 : BREAK_NS);
	case TIOCSBRK:
	case TIOCCBRK:
		break_set(t, cmd == TIOCSBRK);
		return 0;
	case TIOCEXCL:
	case TIOCNXCL:
		return exclusive_set(t, cmd == TIOCEXCL);
	case TIOCGEXCL:
		return put_user((s32)t->exclusive, user_ptr(s32, arg));
	case FIONREAD:
		return put_user((s32)input_count(t), user_ptr(s32, arg));
	case TIOCOUTQ:
		return put_user((s32)output_count(t), user_ptr(s32, arg));
	case TIOCSTI:
		return -EIO; // typing for others was a hole; refused as Linux does now
	case TIOCGETD:
		return put_user(0, user_ptr(s32, arg));
	case TIOCSETD: {
		s32 line;
		if (get_user(line, user_ptr(s32, arg)))
			return -EFAULT;
		return line ? -EINVAL : 0;
	}
	case TIOCGDEV:
		return put_user((u32)dev_encode(t->dev), user_ptr(u32, arg));
	case TIOCGSOFTCAR:
		return put_user((s32) !!(t->termios.t.cflag & CLOCAL), user_ptr(s32, arg));
	default:
		return job_ioctl(t, f, cmd, arg, master);
	}
}

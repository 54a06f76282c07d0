// SPDX-License-Identifier: MIT
// output.c: a terminal's output processing (c_oflag) and the little buffer before the driver.
// Privileged.
#include "base/string.h"
#include "linux/poll.h"
#include "linux/tty/tty_priv.h"

constexpr u32 TAB = 8;

static bool utf8_continues(const struct tty *t, u8 c)
{
	return (t->termios.t.iflag & IUTF8) && (c & 0xc0) == 0x80;
}

// What c becomes, in dst (room for TAB bytes): how many bytes. Keeps the column.
static u32 process(struct tty *t, u8 c, u8 *dst)
{
	u32 flags = t->termios.t.oflag;

	dst[0] = c;
	if (!(flags & OPOST))
		return 1;
	switch (c) {
	case '\n':
		if (flags & (ONLRET | ONLCR))
			t->column = 0;
		t->canon_column = t->column;
		if (!(flags & ONLCR))
			return 1;
		dst[0] = '\r';
		dst[1] = '\n';
		return 2;
	case '\r':
		if ((flags & ONOCR) && !t->column)
			return 0;
		if (flags & OCRNL) {
			dst[0] = '\n';
			if (!(flags & ONLRET))
				return 1;
		}
		t->column = t->canon_column = 0;
		return 1;
	case '\t': {
		u32 n = TAB - t->column % TAB;
		t->column += n;
		if ((flags & TABDLY) != XTABS)
			return 1;
		memset(dst, ' ', n);
		return n;
	}
	case '\b':
		if (t->column)
			t->column--;
		return 1;
	default:
		if (c < ' ' || c == 0x7f)
			return 1;
		if ((flags & OLCUC) && c >= 'a' && c <= 'z')
			dst[0] = c - 'a' + 'A';
		if (!utf8_continues(t, c))
			t->column++;
		return 1;
	}
}

bool output_push(struct tty *t)
{
	if (t->out_start == t->out_end)
		return true;
	if (t->stopped)
		return false;
	t->out_start += (u32)t->driver->write(t, t->out + t->out_start, t->out_end - t->out_start);
	if (t->out_start != t->out_end)
		return false;
	t->out_start = t->out_end = 0;
	return true;
}

ssize_t output_fill(struct tty *t, struct io *io)
{
	u32 flags = t->termios.t.oflag;
	u8 in[OUT_BYTES / 2];
	size_t want, n;

	t->out_start = t->out_end = 0;
	if (!(flags & OPOST)) {
		n = io_copy_from(io, t->out, min(io->left, sizeof(t->out)));
		t->out_end = (u32)n;
	} else {
		want = min(io->left, (flags & TABDLY) == XTABS ? sizeof(t->out) / TAB : sizeof(in));
		n = io_copy_from(io, in, want);
		for (size_t i = 0; i < n; i++) {
			// A byte may need TAB bytes while it is made, though fewer are kept.
			u8 made[TAB];
			u32 k = process(t, in[i], made);
			for (u32 j = 0; j < k; j++)
				t->out[t->out_end++] = made[j];
		}
	}
	if (!n)
		return -EFAULT;
	output_push(t);
	return (ssize_t)n;
}

void output_echo(struct tty *t, u8 c)
{
	u8 made[TAB];

	if (t->out_end + TAB > sizeof(t->out)) {
		output_push(t);
		memmove(t->out, t->out + t->out_start, t->out_end - t->out_start);
		t->out_end -= t->out_start;
		t->out_start = 0;
		if (t->out_end + TAB > sizeof(t->out))
			return;
	}
	u32 n = process(t, c, made);
	memcpy(t->out + t->out_end, made, n);
	t->out_end += n;
}

void output_flush(struct tty *t)
{
	t->out_start = t->out_end = 0;
	if (t->driver->discard)
		t->driver->discard(t);
	wait_queue_wake(&t->write_wait, ~0u, POLLOUT | POLLWRNORM);
}

void output_stop(struct tty *t, bool stop)
{
	if (t->stopped == stop)
		return;
	t->stopped = stop;
	if (t->driver->flushed && (t->termios.t.iflag & IXON))
		t->driver->flushed(t, stop ? TIOCPKT_STOP : TIOCPKT_START);
	if (!stop && output_push(t))
		wait_queue_wake(&t->write_wait, ~0u, POLLOUT | POLLWRNORM);
}

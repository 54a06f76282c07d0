// SPDX-License-Identifier: MIT
// line.c: the line discipline: input processing (c_iflag, c_lflag), line editing, echo. Privileged.
//
// Input lies in t->line between tail and head (counters that run on; the place is the counter
// modulo the size). In canonical mode only what lies before canon_head can be read, a line at a
// time; what lies behind is being edited. line_end marks each line's last byte, line_eof those that
// only end it (VEOF).
#include "base/string.h"
#include "linux/poll.h"
#include "linux/signal.h"
#include "linux/tty/tty_priv.h"

constexpr u32 MASK = LINE_BYTES - 1;
constexpr u8 CC_DISABLED = 0;

static bool lflag(const struct tty *t, u32 f)
{
	return t->termios.t.lflag & f;
}

static bool iflag(const struct tty *t, u32 f)
{
	return t->termios.t.iflag & f;
}

static bool is_cc(const struct tty *t, u8 c, enum termios_cc which)
{
	return c != CC_DISABLED && t->termios.t.cc[which] == c;
}

static bool bit_get(const u64 *map, u32 at)
{
	return map[(at & MASK) / 64] >> (at % 64) & 1;
}

static void bit_set(u64 *map, u32 at, bool on)
{
	u64 bit = 1ull << (at % 64);
	u64 *w = &map[(at & MASK) / 64];

	*w = on ? *w | bit : *w & ~bit;
}

static void put(struct tty *t, u8 c)
{
	bit_set(t->line_end, t->head, false);
	bit_set(t->line_eof, t->head, false);
	t->line[t->head & MASK] = c;
	store_once(&t->head, t->head + 1);
}

static void end_line(struct tty *t, u8 c, bool eof)
{
	put(t, c);
	bit_set(t->line_end, t->head - 1, true);
	bit_set(t->line_eof, t->head - 1, eof);
	store_release(&t->canon_head, t->head);
}

// ---- echo ----

static bool is_control(u8 c)
{
	return c < ' ' || c == 0x7f;
}

static void echo_control_aware(struct tty *t, u8 c)
{
	if (lflag(t, ECHOCTL) && is_control(c) && c != '\t' && c != '\n') {
		output_echo(t, '^');
		output_echo(t, c ^ 0100);
	} else {
		output_echo(t, c);
	}
}

static void echo(struct tty *t, u8 c)
{
	if (lflag(t, ECHO))
		echo_control_aware(t, c);
}

// ---- erasing ----

static bool is_utf8_tail(const struct tty *t, u8 c)
{
	return iflag(t, IUTF8) && (c & 0xc0) == 0x80;
}

// The column after the line being edited: tabs need to know.
static u32 edit_column(struct tty *t)
{
	u32 col = t->canon_column;

	for (u32 i = t->canon_head; i != t->head; i++) {
		u8 c = t->line[i & MASK];
		if (c == '\t')
			col = (col | 7) + 1;
		else if (is_control(c))
			col += lflag(t, ECHOCTL) ? 2 : 0;
		else if (!is_utf8_tail(t, c))
			col++;
	}
	return col;
}

static void erase_columns(struct tty *t, u32 n, bool blank)
{
	while (n--) {
		output_echo(t, '\b');
		if (blank) {
			output_echo(t, ' ');
			output_echo(t, '\b');
		}
	}
}

// Takes back the last character, of several bytes perhaps.
static void erase_one(struct tty *t)
{
	u8 c;

	do {
		c = t->line[--t->head & MASK];
	} while (is_utf8_tail(t, c) && t->head != t->canon_head);
	if (!lflag(t, ECHO))
		return;
	if (!lflag(t, ECHOE)) {
		echo(t, t->termios.t.cc[VERASE]);
		return;
	}
	if (c == '\t')
		erase_columns(t, 8 - edit_column(t) % 8, false);
	else if (is_control(c))
		erase_columns(t, lflag(t, ECHOCTL) ? 2 : 0, true);
	else
		erase_columns(t, 1, true);
}

static bool is_word(u8 c)
{
	return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z') || c >= 0x80;
}

static void erase_word(struct tty *t)
{
	bool seen = false;

	while (t->head != t->canon_head) {
		bool word = is_word(t->line[(t->head - 1) & MASK]);
		if (seen && !word)
			return;
		seen |= word;
		erase_one(t);
	}
}

static void erase_line(struct tty *t)
{
	if (lflag(t, ECHO) && lflag(t, ECHOK) && lflag(t, ECHOKE) && lflag(t, ECHOE)) {
		while (t->head != t->canon_head)
			erase_one(t);
		return;
	}
	t->head = t->canon_head;
	if (!lflag(t, ECHO))
		return;
	echo(t, t->termios.t.cc[VKILL]);
	if (lflag(t, ECHOK))
		output_echo(t, '\n');
}

static void reprint(struct tty *t)
{
	echo(t, t->termios.t.cc[VREPRINT]);
	output_echo(t, '\n');
	for (u32 i = t->canon_head; i != t->head; i++)
		echo(t, t->line[i & MASK]);
}

// ---- input ----

static void signal_char(struct tty *t, int sig, u8 c)
{
	if (!lflag(t, NOFLSH)) {
		line_flush(t);
		output_flush(t);
	}
	output_stop(t, false);
	echo(t, c);
	tty_signal(t, sig);
}

// START, STOP, INTR, QUIT, SUSP: true when c was one of them.
static bool receive_control(struct tty *t, u8 c)
{
	if (iflag(t, IXON)) {
		if (is_cc(t, c, VSTOP) && !(is_cc(t, c, VSTART) && t->stopped)) {
			output_stop(t, true);
			return true;
		}
		if (is_cc(t, c, VSTART)) {
			output_stop(t, false);
			return true;
		}
	}
	if (lflag(t, ISIG)) {
		int sig = is_cc(t, c, VINTR)   ? SIGINT
			  : is_cc(t, c, VQUIT) ? SIGQUIT
			  : is_cc(t, c, VSUSP) ? SIGTSTP
					       : 0;
		if (sig) {
			signal_char(t, sig, c);
			return true;
		}
	}
	if (t->stopped && iflag(t, IXON) && iflag(t, IXANY))
		output_stop(t, false);
	return false;
}

// Editing characters and line ends of canonical mode: true when c was one.
static bool receive_editing(struct tty *t, u8 c)
{
	bool extended = lflag(t, IEXTEN), edited = t->head != t->canon_head;

	if (is_cc(t, c, VERASE)) {
		if (edited)
			erase_one(t);
	} else if (is_cc(t, c, VKILL)) {
		if (edited)
			erase_line(t);
	} else if (extended && is_cc(t, c, VWERASE)) {
		erase_word(t);
	} else if (extended && is_cc(t, c, VLNEXT)) {
		t->lnext = true;
		if (lflag(t, ECHO) && lflag(t, ECHOCTL)) {
			output_echo(t, '^');
			output_echo(t, '\b');
		}
	} else if (extended && lflag(t, ECHO) && is_cc(t, c, VREPRINT)) {
		reprint(t);
	} else if (c == '\n') {
		if (lflag(t, ECHO) || lflag(t, ECHONL))
			output_echo(t, '\n');
		end_line(t, c, false);
	} else if (is_cc(t, c, VEOF)) {
		end_line(t, 0, true);
	} else if (is_cc(t, c, VEOL) || (extended && is_cc(t, c, VEOL2))) {
		echo(t, c);
		end_line(t, c, false);
	} else {
		return false;
	}
	return true;
}

static u32 room(const struct tty *t)
{
	return LINE_BYTES - (t->head - t->tail);
}

// An ordinary character. It must leave a place for the line's end.
static void receive_plain(struct tty *t, u8 c)
{
	if (lflag(t, ICANON) && room(t) < 3) {
		if (iflag(t, IMAXBEL))
			output_echo(t, '\a');
		return;
	}
	if (lflag(t, ECHO)) {
		if (t->head == t->canon_head)
			t->canon_column = t->column;
		if (c == '\n')
			output_echo(t, c);
		else
			echo_control_aware(t, c);
	}
	if (c == 0xff && iflag(t, PARMRK))
		put(t, c);
	put(t, c);
}

static void receive_byte(struct tty *t, u8 c)
{
	if (iflag(t, ISTRIP))
		c &= 0x7f;
	if (iflag(t, IUCLC) && lflag(t, IEXTEN) && c >= 'A' && c <= 'Z')
		c += 'a' - 'A';
	if (t->lnext) {
		t->lnext = false;
		receive_plain(t, c);
		return;
	}
	if (receive_control(t, c))
		return;
	if (c == '\r') {
		if (iflag(t, IGNCR))
			return;
		if (iflag(t, ICRNL))
			c = '\n';
	} else if (c == '\n' && iflag(t, INLCR)) {
		c = '\r';
	}
	if (lflag(t, ICANON) && receive_editing(t, c))
		return;
	receive_plain(t, c);
}

// Nothing looks at the bytes.
static bool is_transparent(const struct tty *t)
{
	return !lflag(t, ICANON | ISIG | ECHO) &&
	       !iflag(t, ISTRIP | IUCLC | IXON | IGNCR | ICRNL | INLCR | PARMRK) && !t->lnext;
}

static size_t receive_transparent(struct tty *t, const u8 *bytes, size_t len)
{
	size_t done = 0;

	len = min(len, (size_t)room(t));
	while (done < len) {
		u32 at = t->head & MASK;
		size_t n = min(len - done, (size_t)(LINE_BYTES - at));
		memcpy(t->line + at, bytes + done, n);
		store_release(&t->head, t->head + (u32)n);
		done += n;
	}
	return done;
}

size_t line_receive(struct tty *t, const u8 *bytes, size_t len)
{
	bool was_ready = line_ready(t);
	u32 before = t->head;
	size_t n = 0;

	if (is_transparent(t)) {
		n = receive_transparent(t, bytes, len);
	} else {
		// Full lines that nobody reads stop the input; one line that grows too long does
		// not (its end must get in).
		while (n < len && (room(t) >= 3 || (lflag(t, ICANON) && t->canon_head == t->tail)))
			receive_byte(t, bytes[n++]);
		output_push(t);
	}
	if (!was_ready || t->head != before)
		if (line_ready(t))
			wait_queue_wake(&t->read_wait, ~0u, POLLIN | POLLRDNORM);
	return n;
}

void line_break(struct tty *t)
{
	if (iflag(t, IGNBRK))
		return;
	if (iflag(t, BRKINT)) {
		line_flush(t);
		tty_signal(t, SIGINT);
	} else if (room(t) >= 3) {
		// not as input: there a 0xff is doubled, so that it is no mark
		if (iflag(t, PARMRK)) {
			put(t, 0xff);
			put(t, 0);
		}
		put(t, 0);
		if (line_ready(t))
			wait_queue_wake(&t->read_wait, ~0u, POLLIN | POLLRDNORM);
	}
}

// ---- reading ----

bool line_ready(const struct tty *t)
{
	u32 tail = load_once(&t->tail);

	if (lflag(t, ICANON))
		return load_acquire(&t->canon_head) != tail;
	return load_acquire(&t->head) != tail;
}

// Takes up to n bytes that lie before `end`.
static ssize_t take(struct tty *t, struct io *io, u32 n)
{
	u32 done = 0;

	while (done < n) {
		u32 at = t->tail & MASK;
		u32 chunk = min(n - done, LINE_BYTES - at);
		u32 moved = (u32)io_copy_to(io, t->line + at, chunk);
		store_once(&t->tail, t->tail + moved);
		done += moved;
		if (moved < chunk)
			return done ? (ssize_t)done : -EFAULT;
	}
	return (ssize_t)done;
}

static ssize_t take_line(struct tty *t, struct io *io)
{
	u32 n = 0, all = t->canon_head - t->tail, fit = (u32)min((size_t)all, io->left);

	while (n < fit && !bit_get(t->line_end, t->tail + n))
		n++;
	if (n < all &&
	    bit_get(t->line_eof,
		    t->tail + n)) { // also when the buffer was just filled: no empty read follows
		ssize_t r = take(t, io, n);
		if (r == (ssize_t)n)
			store_once(&t->tail, t->tail + 1);
		return r;
	}
	return take(t, io, n < fit ? n + 1 : n);
}

ssize_t line_read(struct tty *t, struct io *io)
{
	if (lflag(t, ICANON))
		return take_line(t, io);
	return take(t, io, (u32)min((size_t)(t->head - t->tail), io->left));
}

u32 line_bytes(struct tty *t)
{
	if (!lflag(t, ICANON))
		return t->head - t->tail;
	u32 n = t->canon_head - t->tail;
	for (u32 i = t->tail; i != t->canon_head; i++)
		n -= bit_get(t->line_eof, i);
	return n;
}

void line_flush(struct tty *t)
{
	t->lnext = false;
	store_once(&t->tail, t->head);
	store_once(&t->canon_head, t->head);
}

void line_mode_changed(struct tty *t, bool was_canonical)
{
	if (was_canonical == lflag(t, ICANON))
		return;
	t->lnext = false;
	if (was_canonical) {
		t->canon_head = t->tail;
		if (line_ready(t))
			wait_queue_wake(&t->read_wait, ~0u, POLLIN | POLLRDNORM);
		return;
	}
	memset(t->line_end, 0, sizeof(t->line_end));
	memset(t->line_eof, 0, sizeof(t->line_eof));
	t->canon_head = t->head; // what came raw can be read as it is
}

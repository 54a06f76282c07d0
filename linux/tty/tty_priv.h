// SPDX-License-Identifier: MIT
// What the files of linux/tty/ share: the terminal, its driver, its parts.
//
// A driver moves bytes and knows nothing of lines, echo or sessions: it calls tty_receive and
// tty_write_space, and has the operations of struct tty_driver.
#pragma once
#include "abi/linux/termios.h"
#include "base/ring.h"
#include "core/lock.h"
#include "core/wait.h"
#include "core/work.h"
#include "linux/file.h"

struct tty;

// Called with the terminal's lock held unless stated, from threads; they may sleep. Null ones do
// nothing.
struct tty_driver {
	const char *name;
	bool is_pty;
	size_t (*write)(
		struct tty *t, const u8 *bytes,
		size_t len); // takes what it can; after less than len it calls tty_write_space
	size_t (*pending)(struct tty *t); // bytes taken that have not left
	void (*discard)(struct tty *t);	  // forgets those
	void (*drain)(struct tty *t);	  // without the lock: sleeps until they have left
	void (*resume)(struct tty *t);	  // there is room again after tty_receive() said full
	void (*refresh)(struct tty *t);	  // by the terminal's work, after tty_refresh()
	void (*set_termios)(struct tty *t);
	void (*send_break)(struct tty *t, bool on);
	void (*flushed)(struct tty *t, u8 packet); // enum tty_packet bits happened
	void (*hangup)(struct tty *t);
	void (*opened)(struct tty *t); // first opening
	void (*closed)(struct tty *t); // last closing
	void (*release)(
		struct tty *t); // no references any more; may sleep; frees it. Without the lock
};

constexpr u32 LINE_BYTES = 4096; // unread input
constexpr u32 RAW_BYTES = 4096;	 // from the interrupt to the line discipline
constexpr u32 OUT_BYTES = 512;	 // processed output that the driver has not taken yet

struct tty {
	const struct tty_driver *driver; // immutable
	void *data;			 // driver's; immutable
	u64 dev;			 // immutable
	u32 index;			 // immutable
	refcount_t refs;		 // files, sessions; the driver's own

	mutex_t lock;		       // LOCK_tty. Guards what follows, down to the waits
	struct linux_termios2 termios; // flags are read racily by poll
	struct linux_winsize winsize;
	u32 opens;
	bool exclusive;
	bool stopped;	    // output, by ^S or TCOOFF
	bool input_stopped; // a STOP character was sent
	u64 hangups;	    // files opened before the last one are dead; read racily
	// line discipline: counters of bytes ever put and taken; those of lines lie between
	u32 head, tail;		  // all input; read racily by poll
	u32 canon_head;		  // end of the last complete line
	u32 column, canon_column; // of the cursor, and where the line being edited begins
	bool lnext;		  // the next character is taken literally
	u32 out_start, out_end;	  // in out[]
	u8 out[OUT_BYTES];
	u64 line_end[LINE_BYTES / 64]; // bit set: the byte ends a line
	u64 line_eof[LINE_BYTES / 64]; // ... and is not delivered
	u8 line[LINE_BYTES];

	// tree lock; both counted. The session has a reference to the terminal
	struct session *session;
	struct pgrp *pgrp; // foreground; read racily to compare

	struct wait_queue read_wait, write_wait, turn_wait;
	struct wait_queue
		read_room;     // woken when input was taken: the other side of a pty waits here
	bool writing;	       // somebody's turn to write; atomic
	struct work work;      // input and output that drivers left
	spinlock_t input_lock; // LOCK_tty_input, interrupts off: throttled, and the raw ring's end
	bool throttled;	       // the driver was told to stop; read racily
	bool broken;	       // a break came and was not looked at; atomic
	bool refresh;	       // the driver wants its refresh(); atomic
	struct ring raw;       // producer: the driver's interrupt; consumer: lock
	u8 raw_bytes[RAW_BYTES];
};

// tty.c
void tty_init(struct tty *t, const struct tty_driver *d, u64 dev,
	      u32 index); // t is zeroed; refs = 1
static inline void tty_get(struct tty *t)
{
	refcount_inc(&t->refs);
}
void tty_put(struct tty *t); // may sleep
// By drivers, any context. Full (true): the next RAW_BYTES / 4 still fit, and what comes after them
// is lost, until the driver's resume().
bool tty_receive(struct tty *t, const u8 *bytes, size_t len);
void tty_line_break(struct tty *t);		       // by drivers, any context, as the two below
void tty_write_space(struct tty *t);		       // write() takes bytes again
void tty_refresh(struct tty *t);		       // calls the driver's refresh() soon
void tty_resize(struct tty *t, u16 columns, u16 rows); // with the lock; 0: unknown, left as it is
int tty_file_open(struct tty *t, struct file *f, bool may_control,
		  bool hangs_up); // takes a reference on success
void tty_file_close(struct tty *t);
bool tty_file_dead(const struct tty *t, const struct file *f); // hung up since it was opened
void tty_hangup(struct tty *t);				       // may sleep
// Writes a line of the kernel's: on a fresh line, never inside of another's write(2). Sleeps until
// all of it is the driver's.
void tty_print(struct tty *t, const char *line, size_t len);
extern const struct file_ops tty_ops;

// line.c: input. All with the lock held.
size_t line_receive(struct tty *t, const u8 *bytes,
		    size_t len); // how many were taken; less when there is no room
void line_break(struct tty *t);	 // the line was held in the break state
ssize_t line_read(
	struct tty *t,
	struct io *io); // what is there; *line_read may be 0 with end of file, see line_ready
bool line_ready(const struct tty *t); // lock not needed: is there something to read?
u32 line_bytes(struct tty *t);	      // FIONREAD
void line_flush(struct tty *t);
void line_mode_changed(struct tty *t, bool was_canonical);

// output.c. With the lock held.
bool output_push(struct tty *t); // gives the driver what waits; true: nothing waits any more
ssize_t output_fill(struct tty *t,
		    struct io *io);    // after a successful push: bytes taken from io or -EFAULT
void output_echo(struct tty *t, u8 c); // through output processing; dropped when there is no room
void output_flush(struct tty *t);      // TCOFLUSH
void output_stop(struct tty *t, bool stop);

// job.c
int tty_job_check(struct tty *t, int sig); // may the current process use its terminal? 0, -EIO,
					   // -ERESTARTSYS (a signal was sent)
void tty_signal(struct tty *t, int sig); // to the foreground group
int tty_control(
	struct tty *t,
	bool steal); // becomes the controlling terminal of the current process's session, or -EPERM
// From its session, with SIGHUP and SIGCONT to the leader (but for the one that exits) and the
// foreground group.
void tty_disconnect(struct tty *t);
struct tty *tty_current_get(void); // the session's terminal, counted, or nullptr
long tty_get_pgrp(struct tty *t, bool any, s32 __user *out);
long tty_set_pgrp(struct tty *t, const s32 __user *in);
long tty_get_sid(struct tty *t, bool any, s32 __user *out);
int tty_give_up(struct tty *t); // TIOCNOTTY

// ioctl.c. master: asked at the other side of a pty
long tty_ioctl(struct tty *t, struct file *f, u32 cmd, u64 arg, bool master);

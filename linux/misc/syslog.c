// SPDX-License-Identifier: MIT
// Owns syslog(2) and /proc/kmsg: the kernel's log as text with levels and times.
//
// Both read from one place, which moves on with every byte: what one reader got, no other gets
// (/dev/kmsg gives each its own). The log can be written in any context, with any lock held, so it
// wakes nobody: whoever waits for a record looks again now and then.
#include "abi/linux/poll.h"
#include "base/fmt.h"
#include "core/init.h"
#include "core/log.h"
#include "core/slab.h"
#include "core/uaccess.h"
#include "core/wait.h"
#include "core/work.h"
#include "linux/cred.h"
#include "linux/misc/kmsg.h"
#include "linux/poll.h"
#include "linux/syscalls.h"

enum {
	SYSLOG_CLOSE,
	SYSLOG_OPEN,
	SYSLOG_READ,
	SYSLOG_READ_ALL,
	SYSLOG_READ_CLEAR,
	SYSLOG_CLEAR,
	SYSLOG_CONSOLE_OFF,
	SYSLOG_CONSOLE_ON,
	SYSLOG_CONSOLE_LEVEL,
	SYSLOG_SIZE_UNREAD,
	SYSLOG_SIZE_BUFFER,
};
constexpr size_t LINE_MAX =
	1024; // a record's text with its header: longer than what the log keeps of one
constexpr u64 LOOK_NS = 100'000'000;
constexpr u32 LOG_BYTES = 256 * KiB; // the ring

static mutex_t reader_lock = MUTEX_INIT(reader_lock, LOCK_proc_text);
static u64 read_seq;	// reader_lock: the next record to give out
static size_t read_off; // reader_lock: bytes of it that were given out

// ---- waiting ----

static struct wait_queue waiters = WAIT_QUEUE_INIT(waiters);
static struct delayed_work look;
static u64 looked_at; // the look's own: what was there the last time
static atomic_u32
	readers; // threads in log_take: those that a look has woken are off the queue for a moment

static void look_again(struct work *w)
{
	(void)w;
	u64 next = log_seq_next();
	if (next != looked_at) {
		looked_at = next;
		wake_all(&waiters);
	}
	if (atomic_load(&readers) || wait_queue_active(&waiters))
		delayed_work_start(&look, LOOK_NS);
}

static void look_init(void)
{
	delayed_work_init(&look, look_again);
}
INITCALL(3, look_init);

// ---- records as lines ----

// Formats the record at *seq, or the first that is still there: its length with *seq behind it, or
// -EAGAIN.
static ssize_t line_format(u64 *seq, char *line)
{
	struct log_record_info info;
	char text[LINE_MAX - 64];
	ssize_t n = log_read(seq, &info, text, sizeof(text));
	if (n < 0)
		return n;
	return scnprintf(line, LINE_MAX, "<%u>[%5llu.%06llu] %.*s\n", info.level,
			 info.time_ns / 1000000000, info.time_ns / 1000 % 1000000, (int)n, text);
}

static bool unread(void)
{
	return log_seq_next() > load_once(&read_seq);
}

// Takes up to len bytes from the common place. 0: nothing there.
static ssize_t read_some(char __user *buf, size_t len, char *line)
{
	size_t done = 0;
	while (done < len) {
		u64 seq = read_seq;
		ssize_t n = line_format(&seq, line);
		if (n < 0)
			break;
		if (seq !=
		    read_seq + 1) // records were lost meanwhile: the offset belongs to another
			read_off = 0;
		size_t off = min(read_off, (size_t)n), part = min((size_t)n - off, len - done);
		if (copy_to_user(buf + done, line + off, part))
			return done ? (ssize_t)done : -EFAULT;
		done += part;
		if (off + part == (size_t)n) {
			store_once(&read_seq, seq);
			read_off = 0;
		} else {
			store_once(&read_seq, seq - 1);
			read_off = off + part;
		}
	}
	return (ssize_t)done;
}

static ssize_t log_take(char __user *buf, size_t len, bool nonblock)
{
	if (!len)
		return 0;
	char *line = kmalloc(LINE_MAX);
	if (!line)
		return -ENOMEM;
	ssize_t n;
	for (;;) {
		mutex_lock(&reader_lock);
		n = read_some(buf, len, line);
		mutex_unlock(&reader_lock);
		if (n)
			break;
		n = -EAGAIN;
		if (nonblock)
			break;
		atomic_inc(&readers);
		delayed_work_start(&look, LOOK_NS);
		n = wait_event_interruptible(&waiters, unread());
		atomic_dec(&readers);
		if (n)
			break;
	}
	kfree(line);
	return n;
}

// ---- /proc/kmsg ----

static int kmsg_open(struct inode *inode, struct file *f)
{
	(void)inode;
	f->mode |= FILE_STREAM;
	return capable(CAP_SYSLOG) || capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
}

static ssize_t kmsg_read(struct file *f, struct io *io)
{
	(void)f;
	if (io->kind != IO_USER || io->nvec)
		return -EINVAL; // a record's rest could be lost at a fault in a later piece
	return log_take((char __user *)io->ubuf, io->left, io->flags & IO_NONBLOCK);
}

static u32 kmsg_poll(struct file *f, struct poll_table *table)
{
	poll_wait(f, &waiters, table);
	if (unread())
		return POLLIN | POLLRDNORM;
	if (table)
		delayed_work_start(&look, LOOK_NS);
	return 0;
}

const struct file_ops proc_kmsg_ops = {.open = kmsg_open, .read = kmsg_read, .poll = kmsg_poll};

// ---- syslog(2) ----

static u64 cleared_seq; // atomic

u64 kmsg_cleared_seq(void)
{
	return load_once(&cleared_seq);
}

static void clear_mark(void)
{
	store_once(&cleared_seq, log_seq_next());
}

// The newest records that fit into len bytes, oldest first.
static long log_copy_all(char __user *buf, size_t len, bool clear)
{
	char *line = kmalloc(LINE_MAX);
	if (!line)
		return -ENOMEM;
	u64 first = kmsg_cleared_seq(), end = log_seq_next(), seq;
	size_t total = 0, done = 0;
	for (seq = first; seq < end;) {
		ssize_t n = line_format(&seq, line);
		if (n < 0)
			break;
		total += (size_t)n;
	}
	for (seq = first; seq < end && total > len;) {
		ssize_t n = line_format(&seq, line);
		if (n < 0)
			break;
		total -= (size_t)n;
		first = seq;
	}
	long err = 0;
	for (seq = first; seq < end;) {
		ssize_t n = line_format(&seq, line);
		if (n < 0 || (size_t)n > len - done)
			break;
		err = copy_to_user(buf + done, line, (size_t)n);
		if (err)
			break;
		done += (size_t)n;
	}
	if (!err && clear)
		clear_mark();
	kfree(line);
	return err ?: (long)done;
}

static long size_unread(void)
{
	char *line = kmalloc(LINE_MAX);
	long total = 0;
	if (!line)
		return -ENOMEM;
	mutex_lock(&reader_lock);
	size_t off = read_off;
	for (u64 seq = read_seq, end = log_seq_next(); seq < end; off = 0) {
		ssize_t n = line_format(&seq, line);
		if (n < 0)
			break;
		total += n - (ssize_t)min(off, (size_t)n);
	}
	mutex_unlock(&reader_lock);
	kfree(line);
	return total;
}

static u32 saved_level; // of SYSLOG_CONSOLE_OFF; atomic. 0: none

SYSCALL(syslog, int type, char __user *buf, int len)
{
	bool reads_all = type == SYSLOG_READ_ALL || type == SYSLOG_SIZE_BUFFER; // everybody may
	if (!reads_all && !capable(CAP_SYSLOG) && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	switch (type) {
	case SYSLOG_CLOSE:
	case SYSLOG_OPEN:
		return 0;
	case SYSLOG_READ:
	case SYSLOG_READ_ALL:
	case SYSLOG_READ_CLEAR:
		if (!buf || len < 0)
			return -EINVAL;
		if (!user_range_ok(buf, (size_t)len))
			return -EFAULT;
		if (type == SYSLOG_READ)
			return log_take(buf, (size_t)len, false);
		return len ? log_copy_all(buf, (size_t)len, type == SYSLOG_READ_CLEAR) : 0;
	case SYSLOG_CLEAR:
		clear_mark();
		return 0;
	case SYSLOG_CONSOLE_OFF: {
		u32 level = log_set_console_level(1), none = 0;
		(void)try_cmpxchg(&saved_level, &none, level);
		return 0;
	}
	case SYSLOG_CONSOLE_ON: {
		u32 level = __atomic_exchange_n(&saved_level, 0, __ATOMIC_RELAXED);
		if (level)
			log_set_console_level(level);
		return 0;
	}
	case SYSLOG_CONSOLE_LEVEL:
		if (len < 1 || len > 8)
			return -EINVAL;
		store_once(&saved_level, 0u);
		log_set_console_level((u32)len);
		return 0;
	case SYSLOG_SIZE_UNREAD:
		return size_unread();
	case SYSLOG_SIZE_BUFFER:
		return LOG_BYTES;
	}
	return -EINVAL;
}

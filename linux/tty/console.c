// SPDX-License-Identifier: MIT
// console.c: /dev/console: which terminal it is, and what it is when there is none; the kernel's
// log on terminals that core cannot write to by itself. Privileged.
//
// /dev/console leads to the last terminal that console= names and that exists when it is opened
// (without any console=, the first serial port). When none does, what is written goes to the
// kernel's own consoles, and there is nothing to read.
#include "base/fmt.h"
#include "base/string.h"
#include "core/cmdline.h"
#include "core/init.h"
#include "core/log.h"
#include "core/time.h"
#include "linux/tty.h"
#include "linux/tty/service_tty.h"

constexpr u32 MAJOR_AUX = 5, MINOR_CONSOLE = 1;
constexpr u64 LOG_LOOK_NS = 50'000'000; // the log wakes nobody
constexpr u64 DRAIN_NS = 1'000'000'000, DRAIN_LOOK_NS = 1'000'000;

static struct service_tty *console_find(void)
{
	struct service_tty *found = nullptr;
	const char *name;
	u32 cursor = 0;
	bool any = false;

	while (cmdline_next("console", &cursor, &name)) {
		any = true;
		found = service_tty_find(name, strcspn(name, ",")) ?: found;
	}
	return any ? found : service_tty_find("ttyS0", 5) ?: service_tty_find("ttyAMA0", 7);
}

bool console_is(const struct service_tty *st)
{
	return console_find() == st;
}

// ---- the kernel's own consoles ----

// Consoles put a carriage return before each newline; terminals have mostly done so.
void console_emit(const u8 *bytes, size_t len)
{
	for (size_t at = 0; at < len;) {
		const u8 *end = memchr(bytes + at, '\r', len - at);
		size_t n = end ? (size_t)(end - bytes) - at : len - at;
		bool drop = end && at + n + 1 < len && end[1] == '\n';

		n += end && !drop;
		if (n)
			console_write((const char *)bytes + at, n);
		at += n + drop;
	}
}

static ssize_t nobody_read(struct file *f, struct io *io)
{
	(void)f, (void)io;
	return 0;
}

static ssize_t nobody_write(struct file *f, struct io *io)
{
	u8 bytes[256];
	size_t done = 0;

	(void)f;
	while (io->left) {
		size_t want = min(io->left, sizeof(bytes)), n = io_copy_from(io, bytes, want);

		console_emit(bytes, n);
		done += n;
		if (n < want)
			return done ? (ssize_t)done : -EFAULT;
		if (io->left && signal_pending())
			break;
	}
	return (ssize_t)done;
}

static const struct file_ops nobody_ops = {.read = nobody_read, .write = nobody_write};

static int console_open(struct inode *inode, struct file *f)
{
	struct service_tty *st = console_find();

	(void)inode;
	if (st)
		return tty_file_open(&st->tty, f, false, false);
	f->ops = &nobody_ops;
	f->mode |= FILE_STREAM;
	return 0;
}

static const struct file_ops console_ops = {.open = console_open};

// ---- the log ----

static void record_print(struct tty *t, const struct log_record_info *info, const char *text,
			 size_t len)
{
	char line[600];

	// every line of a record gets its own time, as on core's consoles
	for (size_t at = 0; at <= len;) {
		const char *end = memchr(text + at, '\n', len - at);
		size_t part = end ? (size_t)(end - text) - at : len - at;
		int n = scnprintf(line, sizeof(line), "[%5llu.%06llu] %.*s",
				  info->time_ns / 1'000'000'000, info->time_ns / 1000 % 1'000'000,
				  (int)part, text + at);

		tty_print(t, line, (size_t)n);
		at += part + 1;
	}
}

static struct wait_queue log_wait = WAIT_QUEUE_INIT(log_wait);
static bool log_flush;		// atomic: do not wait for the next look
static u64 log_printed = ~0ull; // atomic: records below are out. All, when nobody prints

static void log_main(void *arg)
{
	struct tty *t = arg;
	struct log_record_info info;
	char text[512];
	u64 seq = 0; // what was logged before comes first

	for (;;) {
		ssize_t n = log_read(&seq, &info, text, sizeof(text));

		if (n < 0) {
			store_release(&log_printed, seq);
			(void)wait_event_until(&log_wait, xchg(&log_flush, false),
					       clock_monotonic_ns() + LOG_LOOK_NS);
		} else if (info.level < log_console_level() || cmdline_has("ignore_loglevel")) {
			record_print(t, &info, text, (size_t)n);
		}
	}
}

void console_added(struct service_tty *st)
{
	const char *name;
	u32 cursor = 0;
	bool named = false;

	while (cmdline_next("console", &cursor, &name))
		named |= strcspn(name, ",") == strlen(st->name) &&
			 !memcmp(name, st->name, strlen(st->name));
	if (!named || !st->kind->prints_log)
		return;
	struct thread *thread = kthread_create(log_main, &st->tty, "log");

	if (thread)
		thread_start(thread);
	else
		log_err("%s: no memory for the log's thread", st->name);
}

void terminals_drain(void)
{
	u64 deadline = clock_monotonic_ns() + DRAIN_NS, all = log_seq_next();
	struct service_tty *st;

	store_once(&log_flush, true);
	wake_all(&log_wait);
	while (load_acquire(&log_printed) < all && clock_monotonic_ns() < deadline)
		thread_sleep_ns(DRAIN_LOOK_NS);
	for (u32 i = 0; (st = service_tty_nth(i)); i++)
		while (service_tty_busy(st) && clock_monotonic_ns() < deadline)
			thread_sleep_ns(DRAIN_LOOK_NS);
}

static void console_start(void)
{
	int r = dev_register_char(MAJOR_AUX, MINOR_CONSOLE, "console", 0600, &console_ops);

	if (r)
		log_err("tty: no /dev/console: error %d", -r);
}
INITCALL(3, console_start);

// SPDX-License-Identifier: MIT
// log.c: the kernel's log: the ring of records (base/logring.h), and the way from there to the
// consoles. Privileged.
//
// Who may log: everybody, NMI handlers and the code under the log's own lock (a fault there)
// included.
//   - The text is formatted on the stack, before any lock.
//   - log_lock guards the ring; it is held, with interrupts off, for one copy. `entered` counts,
//     per CPU, how deep this CPU is in that section: an NMI that finds itself inside does not wait
//     for the lock, which would be for ever, but leaves its text in a small array (`aside`) from
//     which the next record's writer fetches it.
//   - After panic the lock may belong to a stopped CPU: one tries for a while and goes on without
//     it.
//
// To the consoles: whoever appended a record prints what has not been printed yet, unless another
// CPU is at it already (`printing`), which then prints this one too. So records come out whole and
// in order, nobody waits for a console but the one who prints, and `printing` is given up after
// every record, so that preemption is off for one line at most. Until a console is there records
// just collect.
#include <stdarg.h>

#include "core/log.h"
#include "core/cmdline.h"
#include "core/lock.h"
#include "core/percpu.h"
#include "core/time.h"
#include <arch/cpu.h>

#include "base/errno.h"
#include "base/fmt.h"
#include "base/logring.h"
#include "base/string.h"

constexpr size_t RING_BYTES = 256 * KiB;
constexpr size_t TEXT_MAX = 480;
constexpr u32 PANIC_TRIES = 1'000'000;
constexpr u32 CONSOLE_LEVEL_DEFAULT = 7;
constexpr u32 CONSOLE_LEVEL_QUIET = 4;
constexpr u32 CONSOLE_LEVEL_DEBUG = 10;

static alignas(LOGRING_ALIGN) char ring_bytes[RING_BYTES];
static struct logring ring = LOGRING_INIT(ring_bytes); // log_lock
static spinlock_t log_lock = SPINLOCK_INIT(LOCK_log);
static struct logring_cursor last_read; // log_lock; readers come in order: where the last one ended
static struct logring_cursor next_print;	  // whoever holds `printing`
static u32 console_level = CONSOLE_LEVEL_DEFAULT; // atomic
static bool show_all;				  // immutable after boot

static DEFINE_PERCPU(u32, entered); // owner CPU only: depth inside the section of log_lock

static u32 printing;		 // atomic; 1: somebody is at the consoles
static struct console *consoles; // grows at its end only; atomic
static bool in_panic;		 // atomic; set once

// ---- the ring ----

// False: no lock could be had and the ring must not be touched, for this CPU is in the middle of
// changing it.
static bool log_enter(irqflags_t *flags, bool *locked)
{
	*flags = irq_save();
	*locked = false;
	if (this_cpu_read(entered)) {
		irq_restore(*flags);
		return false;
	}
	this_cpu_write(entered, 1);
	if (likely(!load_once(&in_panic))) {
		spin_lock(&log_lock);
		*locked = true;
		return true;
	}
	for (u32 i = 0; i < PANIC_TRIES && !*locked; i++) {
		*locked = spin_trylock(&log_lock);
		if (!*locked)
			cpu_relax();
	}
	return true;
}

static void log_leave(irqflags_t flags, bool locked)
{
	if (locked)
		spin_unlock(&log_lock);
	this_cpu_write(entered, 0);
	irq_restore(flags);
}

// ---- what NMIs leave ----

constexpr u32 ASIDE_SLOTS = 8;
static struct {
	u32 state; // atomic: 0 free, 1 being filled, 2 full
	enum log_level level;
	u16 len;
	u64 time_ns;
	char text[TEXT_MAX];
} aside[ASIDE_SLOTS];
static u32 aside_lost; // atomic

static void put_aside(enum log_level level, u64 time_ns, const char *text, size_t len)
{
	for (u32 i = 0; i < ASIDE_SLOTS; i++) {
		u32 expected = 0;

		if (!try_cmpxchg(&aside[i].state, &expected, 1u))
			continue;
		aside[i].level = level;
		aside[i].time_ns = time_ns;
		aside[i].len = (u16)len;
		memcpy(aside[i].text, text, len);
		store_release(&aside[i].state, 2u);
		return;
	}
	__atomic_fetch_add(&aside_lost, 1, __ATOMIC_RELAXED);
}

static void fetch_aside(void)
{
	for (u32 i = 0; i < ASIDE_SLOTS; i++) {
		if (likely(load_acquire(&aside[i].state) != 2))
			continue;
		logring_append(&ring, aside[i].level, aside[i].time_ns, aside[i].text,
			       aside[i].len);
		store_release(&aside[i].state, 0u);
	}
	if (unlikely(load_once(&aside_lost))) {
		static const char text[] = "(some lines were lost here)";

		store_once(&aside_lost, 0u);
		logring_append(&ring, LOG_WARN, clock_monotonic_ns(), text, sizeof(text) - 1);
	}
}

// ---- consoles ----

// After panic: the console that this CPU is at. A console that faults then is left out of the
// report of that fault.
static DEFINE_PERCPU(struct console *, panic_console);

void console_write(const char *text, size_t len)
{
	for (struct console *c = load_acquire(&consoles); c; c = load_acquire(&c->next)) {
		struct console *outer = this_cpu_read(panic_console);

		if (likely(!load_once(&in_panic))) {
			c->write(text, len);
		} else if (outer != c) {
			this_cpu_write(panic_console, c);
			c->write(text, len);
			this_cpu_write(panic_console, outer);
		}
	}
}

static void put_line(u64 time_ns, const char *text, size_t len)
{
	static char line[TEXT_MAX + 32]; // whoever holds `printing`
	int n = scnprintf(line, sizeof(line), "[%5llu.%06llu] ", time_ns / 1'000'000'000,
			  time_ns / 1000 % 1'000'000);

	memcpy(line + n, text, len);
	line[(size_t)n + len] = '\n';
	console_write(line, (size_t)n + len + 1);
}

// Prints the next record, if there is one, on the consoles. `printing` is held.
static bool print_next(void)
{
	static char text[TEXT_MAX]; // whoever holds `printing`
	const struct logring_record *r;
	struct logring_record head = {};
	irqflags_t flags;
	bool locked;

	if (!log_enter(&flags, &locked))
		return false;
	r = logring_next(&ring, &next_print, 0);
	if (r) {
		head = *r;
		memcpy(text, r->text, r->len);
	}
	log_leave(flags, locked);
	if (!r)
		return false;
	if (head.level >= load_once(&console_level) && !show_all && !load_once(&in_panic))
		return true;
	// Every line of a record gets its own time, so that a column of text stays one.
	for (size_t at = 0; at <= head.len;) {
		const char *end = memchr(text + at, '\n', head.len - at);
		size_t len = end ? (size_t)(end - text) - at : head.len - at;

		put_line(head.time_ns, text + at, len);
		at += len + 1;
	}
	return true;
}

static bool unprinted(void)
{
	return load_once(&next_print.offset) < load_once(&ring.newest.offset);
}

static void print_all(void)
{
	bool more = load_once(&consoles) != nullptr;

	while (more) {
		preempt_disable();
		// In panic the one who held `printing` may have been stopped.
		if (xchg(&printing, 1u) && !load_once(&in_panic)) {
			preempt_enable();
			return;
		}
		more = print_next();
		store_release(&printing, 0u);
		smp_mb(); // somebody may have appended and found us printing
		more = more || (unprinted() && !this_cpu_read(entered));
		preempt_enable();
	}
}

void console_register(struct console *c)
{
	struct console **end = &consoles;
	irqflags_t flags = spin_lock_irqsave(&log_lock);

	c->next = nullptr;
	while (*end)
		end = &(*end)->next;
	store_release(end, c);
	spin_unlock_irqrestore(&log_lock, flags);
	print_all();
}

void console_set_panic(void)
{
	__atomic_store_n(&in_panic, true, __ATOMIC_SEQ_CST);
}

bool console_in_panic(void)
{
	return load_once(&in_panic);
}

// ---- writing and reading ----

void klog(enum log_level level, const char *fmt, ...)
{
	char text[TEXT_MAX + 1];
	u64 now = clock_monotonic_ns();
	irqflags_t flags;
	bool locked;
	va_list args;

	va_start(args, fmt);
	size_t len = (size_t)vscnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (len && text[len - 1] == '\n')
		len--;
	if (!log_enter(&flags, &locked)) {
		if (load_once(&in_panic)) // nobody may come to fetch it
			put_line(now, text, len);
		else
			put_aside(level, now, text, len);
		return;
	}
	fetch_aside();
	logring_append(&ring, level, now, text, len);
	log_leave(flags, locked);
	print_all();
}

ssize_t log_read(u64 *seq, struct log_record_info *info, char *buf, size_t cap)
{
	irqflags_t flags = spin_lock_irqsave(&log_lock);
	struct logring_cursor c = last_read.seq <= *seq ? last_read : ring.oldest;
	const struct logring_record *r = logring_next(&ring, &c, *seq);
	ssize_t len = -EAGAIN;

	if (r) {
		*info = (struct log_record_info){
			.seq = r->seq, .time_ns = r->time_ns, .level = (enum log_level)r->level};
		len = (ssize_t)min((size_t)r->len, cap);
		memcpy(buf, r->text, (size_t)len);
		last_read = c;
		*seq = r->seq + 1;
	}
	spin_unlock_irqrestore(&log_lock, flags);
	return len;
}

u64 log_seq_first(void)
{
	irqflags_t flags = spin_lock_irqsave(&log_lock);
	u64 seq = ring.oldest.seq;

	spin_unlock_irqrestore(&log_lock, flags);
	return seq;
}

u64 log_seq_next(void)
{
	irqflags_t flags = spin_lock_irqsave(&log_lock);
	u64 seq = ring.newest.seq;

	spin_unlock_irqrestore(&log_lock, flags);
	return seq;
}

u32 log_set_console_level(u32 level)
{
	return xchg(&console_level, level);
}

u32 log_console_level(void)
{
	return load_once(&console_level);
}

void log_configure(void)
{
	u32 level = CONSOLE_LEVEL_DEFAULT;

	if (cmdline_has("quiet"))
		level = CONSOLE_LEVEL_QUIET;
	if (cmdline_has("debug"))
		level = CONSOLE_LEVEL_DEBUG;
	if (cmdline_value("loglevel"))
		level = (u32)clamp(cmdline_u64("loglevel", level), 1, 15);
	show_all = cmdline_has("ignore_loglevel");
	log_set_console_level(level);
}

// SPDX-License-Identifier: MIT
// The kernel's log: a ring of records, copied to the console as they come. Privileged.
#pragma once
#include "base/compiler.h"
#include "base/types.h"

enum log_level : u8 {
	LOG_EMERG,
	LOG_ALERT,
	LOG_CRIT,
	LOG_ERR,
	LOG_WARN,
	LOG_NOTICE,
	LOG_INFO,
	LOG_DEBUG
};

// Appends one line (a trailing newline is optional) to the ring and, when level < console level, to
// the console. Any context, NMI included; never sleeps, never allocates; lines over 480 bytes are
// cut.
__printf(2, 3) void klog(enum log_level level, const char *fmt, ...);

#define log_err(...)	klog(LOG_ERR, __VA_ARGS__)
#define log_warn(...)	klog(LOG_WARN, __VA_ARGS__)
#define log_notice(...) klog(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)	klog(LOG_INFO, __VA_ARGS__)
#define log_debug(...)	klog(LOG_DEBUG, __VA_ARGS__)

// Reading the ring, as syslog(2) and /dev/kmsg need it. seq is a record's number, from 0; *seq is
// moved to the record that was found (older ones may be gone) and to the one after it on return.
// Returns the record's bytes copied to buf (the text without newline, cut to cap), or -EAGAIN when
// there is none yet.
struct log_record_info {
	u64 seq;
	u64 time_ns; // monotonic
	enum log_level level;
};
ssize_t log_read(u64 *seq, struct log_record_info *info, char *buf, size_t cap);
u64 log_seq_first(void);
u64 log_seq_next(void);
u32 log_set_console_level(u32 level); // returns the level before; records with level < it are shown
u32 log_console_level(void);
void log_configure(void); // takes loglevel=N, quiet, debug and ignore_loglevel from the command
			  // line; once it is parsed

// Where console text goes. Registered at boot; the first one gets what was logged before. write
// must work in any context.
struct console {
	const char *name; // "ttyS0"
	void (*write)(const char *text,
		      size_t len); // with its own lock; must also work after panic broke the locks
	struct console *next;
};
void console_register(struct console *c);
void console_write(const char *text, size_t len); // to every console, unformatted
void console_set_panic(void); // from now on consoles ignore their locks, and every record is shown
bool console_in_panic(void);

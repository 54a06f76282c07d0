// SPDX-License-Identifier: MIT
// Terminals whose driver is a service: what serial ports and consoles have in common.
#pragma once
#include "core/gate.h"
#include "linux/tty/tty_priv.h"

// A kind of terminal; one for each class interface. Constant.
struct service_tty_kind {
	const char *prefix;	       // of the names: "ttyS"
	u32 major, first_minor, count; // of the device files
	size_t size;		       // of the struct that begins with a struct service_tty
	bool prints_log; // the kernel's log comes here through the terminal, if console= says so
	enum handle_kind handle;
	const struct gate_interface *interface;
	const struct tty_driver *driver;
	void (*init)(struct tty *t, const void *params); // a new one, before anybody sees it
};

struct service_tty {
	struct tty tty;			     // first
	const struct service_tty_kind *kind; // immutable, as the name
	char name[16];
	struct gate_port port; // tty.lock, as all below
	bool bound;	    // the service lives, as far as is known: calls may be made by the port
	bool gone;	    // it will not come back by itself
	u32 life;	    // counts registrations, from 1
	u8 *buffer;	    // a page that the service can read; valid only while it is bound
	u64 buffer_address; // as the service sees it
	u32 buffer_life;    // of the service (gate_port.generation) that the page belongs to
};

static inline struct service_tty *service_tty_of(struct tty *t)
{
	return container_of(t, struct service_tty, tty);
}

// Ends the service's life, for what it did, unless it is over already; nothing is to be asked of it
// until it is back. tty.lock held.
void service_tty_fault(struct service_tty *st, const char *why);
// Whether the service survived the call by the port that returned r.
static inline bool service_tty_alive(struct service_tty *st, s64 r)
{
	if (likely(!gate_failed(r)))
		return true;
	service_tty_fault(st, "a terminal's driver says that it is dead");
	return false;
}

// A service registers a terminal: the handle, or an error (abi/gate/calls.def). The first time it
// makes the terminal, which then lives for ever. The driver's refresh() follows in any case.
s64 service_tty_register(u64 self, const struct service_tty_kind *kind, const char prefix[8],
			 u32 unit, u64 cookie, const void *ops, const void *params);
// The terminal behind a handle of that kind, and which life it belongs to; nullptr: bad handle. A
// service's late call may come when the terminal is bound to its successor.
struct service_tty *service_tty_get(u64 handle, enum handle_kind kind, u32 *life);
s64 service_tty_buffer(u64 handle, enum handle_kind kind); // its address in the service, or -EBADF
struct service_tty *service_tty_find(const char *name, size_t len); // nullptr: no such
struct service_tty *service_tty_nth(u32 index);			    // nullptr: after the last
bool service_tty_busy(struct service_tty *st); // is there output that the service could still send?

// console.c
bool console_is(const struct service_tty *st);	// /dev/console leads to it
void console_added(struct service_tty *st);	// a new terminal; console= may name it
void console_emit(const u8 *bytes, size_t len); // terminal output to the kernel's own consoles

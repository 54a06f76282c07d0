// SPDX-License-Identifier: MIT
// poll(2) and epoll(7): event bits and structs as programs see them. Numbers only.
#pragma once
#include "base/types.h"

enum poll_events : u32 {
	POLLIN = 0x1,
	POLLPRI = 0x2,
	POLLOUT = 0x4,
	POLLERR = 0x8,
	POLLHUP = 0x10,
	POLLNVAL = 0x20,
	POLLRDNORM = 0x40,
	POLLRDBAND = 0x80,
	POLLWRNORM = 0x100,
	POLLWRBAND = 0x200,
	POLLMSG = 0x400,
	POLLRDHUP = 0x2000,
	// epoll's own
	EPOLLEXCLUSIVE = 1u << 28,
	EPOLLWAKEUP = 1u << 29,
	EPOLLONESHOT = 1u << 30,
	EPOLLET = 1u << 31,
};

struct pollfd {
	s32 fd;
	s16 events, revents;
};

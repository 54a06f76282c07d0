// SPDX-License-Identifier: MIT
// struct epoll_event is packed on this CPU alone, so that 32-bit programs have the same one.
#pragma once
#define EPOLL_EVENT_PACKED __attribute__((packed))

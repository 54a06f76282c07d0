// SPDX-License-Identifier: MIT
// struct epoll_event has its natural layout (AArch64).
#pragma once
#define EPOLL_EVENT_PACKED

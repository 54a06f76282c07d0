// SPDX-License-Identifier: MIT
// Every list of implemented system calls. Expanded with SYS(name) by syscall_table.c; included
// several times, so there is no guard.
#ifndef SYS
#define SYS(name)
#endif
#if __has_include("linux/fs/syscalls.def")
#include "linux/fs/syscalls.def"
#endif
#include "linux/process/syscalls.def"
#include "linux/mm/syscalls.def"
#include "linux/time/syscalls.def"
#include <linux_arch/syscalls.def>
#if __has_include("linux/event/syscalls.def")
#include "linux/event/syscalls.def"
#endif
#include "linux/ipc/syscalls.def"
#if __has_include("linux/net/syscalls.def")
#include "linux/net/syscalls.def"
#endif
#if __has_include("linux/tty/syscalls.def")
#include "linux/tty/syscalls.def"
#endif
#include "linux/misc/syscalls.def"

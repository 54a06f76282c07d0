// SPDX-License-Identifier: MIT
// Pseudo terminals: what pty.c (the pairs) and devpts.c (their names) share.
#pragma once
#include "linux/tty/tty_priv.h"

constexpr u32 PTY_MAX = 4096;
constexpr u32 MAJOR_PTS = 136;

// Makes /dev/pts/INDEX, owned by the current user: its dentry through *out, for devpts_remove.
int devpts_add(u32 index, struct dentry **out);
void devpts_remove(struct dentry *d);
struct file *devpts_open(struct dentry *d, int flags); // TIOCGPTPEER
extern const struct file_ops ptmx_ops;

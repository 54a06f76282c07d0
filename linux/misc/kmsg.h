// SPDX-License-Identifier: MIT
// The kernel's log as a file. Private to linux/.
#pragma once
#include "linux/file.h"

extern const struct file_ops proc_kmsg_ops; // /proc/kmsg
// The number of the first record after what syslog(2) cleared last.
u64 kmsg_cleared_seq(void);

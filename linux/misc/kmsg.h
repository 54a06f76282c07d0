// SPDX-License-Identifier: MIT
// The kernel's log as a file. Private to linux/.
#pragma once
#include "linux/file.h"
extern const struct file_ops proc_kmsg_ops; // /proc/kmsg

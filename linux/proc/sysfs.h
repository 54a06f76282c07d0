// SPDX-License-Identifier: MIT
// The file system type "sysfs". Private to linux/proc.
#pragma once
#include "linux/fs.h"
extern struct fs_type sysfs_type;

// SPDX-License-Identifier: MIT
// What /proc and /sys show of block devices. Private to linux/proc.
#pragma once
#include "linux/proc/tree.h"

extern const struct entry_dynamic sysfs_disks;	       // /sys/block
extern const struct entry_dynamic sysfs_class_block;   // /sys/class/block
extern const struct entry_dynamic sysfs_block_numbers; // /sys/dev/block

int proc_show_diskstats(struct text *t, struct node *n);
int proc_show_partitions(struct text *t, struct node *n);

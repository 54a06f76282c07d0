// SPDX-License-Identifier: MIT
// The class interface of partition tables: who understands what is written at a disk's start.
//
// The bytes of a disk are not trusted, so they are parsed by a service. Core calls scan() when a
// disk has come or changed; the service reads what it wants by gate_partition_read() and reports
// what it found by gate_partition_add(). All of a scan happens within the call.
//
// Concurrency. One scan at a time.
//
// Faults. The disk has no partitions until somebody asks for another scan (BLKRRPART); the disk
// itself stays.
#pragma once
#include "base/types.h"

constexpr u32 PARTITIONS_MAX = 128;
constexpr u32 PARTITION_READ_MAX = 4096; // bytes of one gate_partition_read

enum partition_table : u8 { PARTITION_TABLE_NONE, PARTITION_TABLE_MBR, PARTITION_TABLE_GPT };

struct partition_entry {
	u32 number; // 1 to PARTITIONS_MAX, as in /dev/vda1
	u32 flags;
	u64 sector, sectors; // in sectors of 512 bytes
	u8 type[16];	     // GPT: type GUID; MBR: the type in type[0]
	u8 uuid[16];	     // GPT: unique GUID, as on the disk; MBR: disk signature and number
	char name[72];	     // GPT: UTF-8, NUL-terminated
};

struct partition_params {
	u64 cookie;
};

struct partition_ops {
	// disk: HANDLE_SCAN. sectors: of 512 bytes; block: the device's logical block in bytes. The
	// kind of table that was found (enum partition_table), or a negative errno.
	int (*scan)(u64 cookie, u64 disk, u64 sectors, u32 block);
};

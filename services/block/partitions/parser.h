// SPDX-License-Identifier: MIT
// The parser of partition tables: bytes of a disk in, partitions out. It calls nothing but the two
// functions that it is given, so it runs wherever they do: in the service, in tests, in a fuzzer.
//
// The bytes are not trusted. Every size and place is checked before it is used; how much is read is
// bounded by constants, whatever the disk says.
#pragma once
#include "abi/gate/partition.h"

struct parser {
	// the caller's
	void *context;
	u64 sectors; // of the disk, 512 bytes each
	u32 block;   // the disk's logical block: 512 to 4096 bytes, a power of two
	// Reads len bytes (a multiple of 512, up to PARTITION_READ_MAX) that lie within the disk:
	// 0 or a negative errno.
	int (*read)(void *context, u64 sector, void *bytes, u32 len);
	// A partition that lies within the disk, each number once: 0, or a negative errno, which
	// ends the search.
	int (*add)(void *context, const struct partition_entry *entry);

	// the answer, besides the partitions
	const char *remark; // what is wrong with the table, for the log; nullptr: nothing

	// the parser's own
	u8 bytes[PARTITION_READ_MAX];
};

// Finds the disk's partitions. The kind of table (enum partition_table), or a negative errno: the
// first block could not be read, add() refused, or block is none.
int partitions_parse(struct parser *p);

// SPDX-License-Identifier: MIT
// What the parser's files share.
#pragma once
#include "services/block/partitions/parser.h"

constexpr u32 SECTOR = 512;
constexpr u32 MBR_ENTRIES = 4;

// A master boot record, or an extended one: in blocks of the disk.
struct mbr_entry {
	u8 boot; // indicator: 0x80 for the partition that is booted, else 0
	u8 type;
	u32 start, blocks;
};
struct mbr {
	u32 signature; // of the disk
	struct mbr_entry entry[MBR_ENTRIES];
};

static inline u64 disk_blocks(const struct parser *p)
{
	return p->sectors / (p->block / SECTOR);
}

static inline void parser_remark(struct parser *p, const char *text)
{
	p->remark = p->remark ?: text; // the first thing that was wrong may explain the others
}

// Reads len bytes from a block on into p->bytes. -EINVAL: they do not all lie on the disk.
int parser_read(struct parser *p, u64 block, u32 len);

// Reads and decodes the record in a block: 1; 0: there is none; or a negative errno.
int mbr_read(struct parser *p, u64 block, struct mbr *out);
bool mbr_is_protective(const struct mbr *m); // stands in front of a GPT
int mbr_parse(struct parser *p, const struct mbr *m);
int gpt_parse(struct parser *p);

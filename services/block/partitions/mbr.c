// SPDX-License-Identifier: MIT
// mbr.c: partition tables of master boot records, with logical partitions in chains of extended
// ones. Found, numbered and cut as Linux does it.
//
// The record's layout is that of UEFI 2.10, 5.2.1. An extended partition begins with a record of
// its own (EBR): mostly one entry for a logical partition, which counts from that record, and one
// that leads to the next record, which counts from the extended partition's begin. No standard says
// so; DOS did it, and what tools write ever since is what is read here.
#include "services/block/partitions/parser_priv.h"
#include "base/bytes.h"
#include "base/errno.h"

constexpr u32 AT_SIGNATURE = 440, AT_ENTRIES = 446, ENTRY_BYTES = 16, AT_MAGIC = 510;
constexpr u16 MAGIC = 0xaa55;
constexpr u8 BOOT_INDICATOR = 0x80;
constexpr u8 TYPE_PROTECTIVE = 0xee; // 5.2.3
constexpr u32 LOGICAL_FIRST = 5;     // numbers up to 4 are those of the record's entries
constexpr u32 CHAIN_MAX = 256;	     // records of one extended partition

int mbr_read(struct parser *p, u64 block, struct mbr *out)
{
	int err = parser_read(p, block, SECTOR);

	if (err)
		return err;
	if (load_le16(p->bytes + AT_MAGIC) != MAGIC)
		return 0;
	out->signature = load_le32(p->bytes + AT_SIGNATURE);
	for (u32 i = 0; i < MBR_ENTRIES; i++) {
		const u8 *e = p->bytes + AT_ENTRIES + i * ENTRY_BYTES;

		out->entry[i] = (struct mbr_entry){.boot = e[0],
						   .type = e[4],
						   .start = load_le32(e + 8),
						   .blocks = load_le32(e + 12)};
	}
	return 1;
}

bool mbr_is_protective(const struct mbr *m)
{
	for (u32 i = 0; i < MBR_ENTRIES; i++)
		if (m->entry[i].type == TYPE_PROTECTIVE && m->entry[i].start == 1)
			return true;
	return false;
}

static bool is_extended(const struct mbr_entry *e)
{
	return e->blocks && (e->type == 0x05 || e->type == 0x0f || e->type == 0x85);
}

// The magic number is also that of boot sectors, of a FAT file system for instance, which have code
// where a table would be.
static bool is_table(const struct mbr *m)
{
	for (u32 i = 0; i < MBR_ENTRIES; i++)
		if (m->entry[i].boot & ~BOOT_INDICATOR || m->entry[i].type == TYPE_PROTECTIVE)
			return false;
	return true;
}

// Reports blocks [start, start + blocks) as far as the disk has them.
static int add(struct parser *p, u32 signature, u32 number, u8 type, u64 start, u64 blocks)
{
	u64 end = disk_blocks(p), scale = p->block / SECTOR;
	struct partition_entry e = {.number = number, .sector = start * scale, .type = {type}};

	if (start >= end) {
		parser_remark(p, "a partition begins behind the disk's end and is left out");
		return 0;
	}
	if (blocks > end - start)
		parser_remark(p, "a partition extends beyond the disk's end and is cut");
	e.sectors = min(blocks, end - start) * scale;
	store_le32(e.uuid, signature);
	e.uuid[4] = (u8)number;
	return p->add(p->context, &e);
}

// ---- extended partitions ----

struct chain {
	u32 signature;		   // of the disk
	u32 first, blocks;	   // the extended partition
	u64 record, record_blocks; // where the current record is, and what it describes
	u32 nseen;
	u32 seen[CHAIN_MAX]; // records, from the extended partition's begin
};

// The third and fourth entry of a record are sometimes rubbish.
static bool is_plausible(const struct chain *c, const struct mbr_entry *e)
{
	u64 end = (u64)e->start + e->blocks; // from the record on

	return end <= c->record_blocks && c->record + end <= (u64)c->first + c->blocks;
}

static int logical_add(struct parser *p, const struct chain *c, const struct mbr *m, u32 *number)
{
	for (u32 i = 0; i < MBR_ENTRIES && *number <= PARTITIONS_MAX; i++) {
		const struct mbr_entry *e = &m->entry[i];

		if (!e->blocks || is_extended(e) || (i >= 2 && !is_plausible(c, e)))
			continue;
		int err =
			add(p, c->signature, (*number)++, e->type, c->record + e->start, e->blocks);

		if (err)
			return err;
	}
	return 0;
}

// Goes on to the next record, if this one leads to one that was not seen yet.
static bool chain_next(struct parser *p, struct chain *c, const struct mbr *m)
{
	u32 i = 0;

	while (i < MBR_ENTRIES && !is_extended(&m->entry[i]))
		i++;
	if (i == MBR_ENTRIES)
		return false;
	for (u32 n = 0; n < c->nseen; n++)
		if (c->seen[n] == m->entry[i].start) {
			parser_remark(p, "the chain of extended partitions is a loop");
			return false;
		}
	if (c->nseen == CHAIN_MAX) {
		parser_remark(p, "the chain of extended partitions is too long");
		return false;
	}
	c->seen[c->nseen++] = m->entry[i].start;
	c->record = (u64)c->first + m->entry[i].start;
	c->record_blocks = m->entry[i].blocks;
	return true;
}

static int extended_parse(struct parser *p, u32 signature, const struct mbr_entry *e, u32 *number)
{
	struct chain c = {.signature = signature,
			  .first = e->start,
			  .blocks = e->blocks,
			  .record = e->start,
			  .record_blocks = e->blocks,
			  .nseen = 1}; // the one at 0
	struct mbr m;
	int err;

	do {
		int r = mbr_read(p, c.record, &m);

		if (r <= 0) { // what was found so far is good nevertheless
			parser_remark(p, "the chain of extended partitions is broken");
			return 0;
		}
		err = logical_add(p, &c, &m, number);
	} while (!err && *number <= PARTITIONS_MAX && chain_next(p, &c, &m));
	return err;
}

int mbr_parse(struct parser *p, const struct mbr *m)
{
	u32 logical = LOGICAL_FIRST;

	if (!is_table(m))
		return PARTITION_TABLE_NONE;
	for (u32 i = 0; i < MBR_ENTRIES; i++) {
		const struct mbr_entry *e = &m->entry[i];
		u64 blocks = e->blocks;
		int err = 0;

		if (!blocks)
			continue;
		// Of an extended partition itself just enough for a boot loader: whoever made a
		// file system on all of it would lose the logical ones.
		if (is_extended(e))
			blocks = min(blocks, max(2 * SECTOR / p->block, 1u));
		err = add(p, m->signature, i + 1, e->type, e->start, blocks);
		if (!err && is_extended(e))
			err = extended_parse(p, m->signature, e, &logical);
		if (err)
			return err;
	}
	return PARTITION_TABLE_MBR;
}

// SPDX-License-Identifier: MIT
// fuzz.c: libFuzzer's entry to the parser of partition tables.
//
// An input describes a sparse disk: flags, the disk's size, and then pieces, a block number and
// what that block begins with. Sums that a fuzzer would never find by chance are put right when the
// flags say so, so that it gets behind them. What the parser promises (parser.h) is checked.
#include <stdlib.h>

#include "base/bytes.h"
#include "base/crc32.h"
#include "base/errno.h"
#include "base/string.h"
#include "services/block/partitions/parser.h"

constexpr u32 PIECES_MAX = 300, PIECE = 512, HEAD = 12;
constexpr u32 READS_MAX = 4200; // an array of 4 MiB three times, four chains of extended partitions
enum { FLAG_BLOCK = 3, FLAG_SUMS = 4, FLAG_TAIL = 8 }; // two bits; repair sums; not whole blocks

static struct {
	u64 lba[PIECES_MAX];
	u8 bytes[PIECES_MAX][PIECE];
	u32 npieces, reads, nfound, seen[PARTITIONS_MAX + 1];
	struct parser p;
} disk;

static u8 *piece_find(u64 lba)
{
	for (u32 i = 0; i < disk.npieces; i++)
		if (disk.lba[i] == lba)
			return disk.bytes[i];
	return nullptr;
}

static void check(bool good)
{
	if (!good)
		abort();
}

static int read(void *context, u64 sector, void *bytes, u32 len)
{
	u32 scale = disk.p.block / PIECE;

	check(context == &disk && ++disk.reads <= READS_MAX);
	check(len && len % PIECE == 0 && len <= PARTITION_READ_MAX && sector % scale == 0);
	check(sector < disk.p.sectors && len / PIECE <= disk.p.sectors - sector);
	memset(bytes, 0, len);
	for (u32 at = 0; at < len; at += disk.p.block) {
		const u8 *piece = piece_find(sector / scale + at / disk.p.block);

		if (piece && load_le16(piece + 508) == 0xbad)
			return -EIO;
		if (piece)
			memcpy((u8 *)bytes + at, piece, PIECE);
	}
	return 0;
}

static bool is_utf8(const char *s)
{
	for (const u8 *c = (const u8 *)s; *c;) {
		u32 more = *c < 0x80   ? 0
			   : *c < 0xc2 ? 9
			   : *c < 0xe0 ? 1
			   : *c < 0xf0 ? 2
			   : *c < 0xf5 ? 3
				       : 9;

		c++;
		if (more == 9)
			return false;
		while (more--)
			if ((*c++ & 0xc0) != 0x80)
				return false;
	}
	return true;
}

static int add(void *context, const struct partition_entry *e)
{
	check(context == &disk && e->number && e->number <= PARTITIONS_MAX);
	check(!disk.seen[e->number]++);
	check(e->sectors && e->sector < disk.p.sectors && e->sectors <= disk.p.sectors - e->sector);
	check((e->sector | e->sectors) % (disk.p.block / PIECE) == 0);
	check(memchr(e->name, 0, sizeof(e->name)) && is_utf8(e->name));
	return ++disk.nfound == 100 ? -ENOMEM : 0;
}

// The sum of an array of entries as the parser will read it; arrays that it would refuse need none.
static u32 array_sum(u64 lba, u64 len)
{
	static u8 bytes[64 * KiB];

	if (len > sizeof(bytes))
		return 0;
	memset(bytes, 0, sizeof(bytes));
	for (u64 at = 0; at < len; at += disk.p.block) {
		const u8 *piece = piece_find(lba + at / disk.p.block);

		if (piece)
			memcpy(bytes + at, piece, PIECE);
	}
	return crc32_update(0, bytes, len);
}

static void sums_repair(u64 lba)
{
	u8 *h = piece_find(lba);
	static u8 block[4096];

	if (!h)
		return;
	store_le32(h + 88,
		   array_sum(load_le64(h + 72), (u64)load_le32(h + 80) * load_le32(h + 84)));
	store_le32(h + 16, 0);
	memset(block, 0, sizeof(block));
	memcpy(block, h, PIECE);
	store_le32(h + 16, crc32_update(0, block, min(load_le32(h + 12), disk.p.block)));
}

// Numbers of pieces from the top half on count from the disk's end.
static u64 lba_of(u16 number, u64 blocks)
{
	return number < 0x8000 ? number : blocks - (0x10000u - number);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	if (size < HEAD)
		return 0;
	u8 flags = data[0];
	u32 block = PIECE << (flags & FLAG_BLOCK);
	u64 blocks = load_le64(data + 4) >> 8;

	disk.npieces = disk.reads = disk.nfound = 0;
	memset(disk.seen, 0, sizeof(disk.seen));
	disk.p = (struct parser){
		.context = &disk,
		.sectors = blocks * (block / PIECE) + (flags & FLAG_TAIL ? block / PIECE - 1 : 0),
		.block = block,
		.read = read,
		.add = add,
	};
	for (size_t at = HEAD; size - at > 2 && disk.npieces < PIECES_MAX;) {
		size_t len = min(size - at - 2, (size_t)PIECE);
		u8 *bytes = disk.bytes[disk.npieces];

		memset(bytes, 0, PIECE);
		memcpy(bytes, data + at + 2, len);
		disk.lba[disk.npieces++] = lba_of(load_le16(data + at), blocks);
		at += 2 + len;
	}
	if (flags & FLAG_SUMS && blocks) {
		sums_repair(1);
		sums_repair(blocks - 1);
	}
	int r = partitions_parse(&disk.p);

	check(r <= PARTITION_TABLE_GPT &&
	      (r > PARTITION_TABLE_NONE || !disk.nfound || r == -ENOMEM || r == -EIO));
	return 0;
}

// SPDX-License-Identifier: MIT
// parser_test.c: tests of the parser, on disks that are made here as UEFI 2.10, chapter 5 and DOS
// say. tests/unit/test_partitions_oracle.py compares disks that other programs made.
#include "services/block/partitions/parser_priv.h"
#include "base/bytes.h"
#include "base/crc32.h"
#include "base/errno.h"
#include "base/ktest.h"
#include "base/string.h"

constexpr u64 SECTORS = 4096; // 2 MiB
constexpr u32 FOUND_MAX = 256;

// A disk, and what the parser said about it.
static struct {
	u8 bytes[SECTORS * SECTOR];
	u64 bad_sector; // cannot be read; ~0: all can
	u32 reads;
	int add_error;
	struct partition_entry found[FOUND_MAX];
	u32 nfound;
	struct parser p;
} disk;

static int disk_read(void *context, u64 sector, void *bytes, u32 len)
{
	struct ktest *ktest_ctx = context;
	bool good = len && len % SECTOR == 0 && len <= PARTITION_READ_MAX &&
		    sector < disk.p.sectors && len / SECTOR <= disk.p.sectors - sector;

	EXPECT_TRUE(good);
	disk.reads++;
	if (!good || disk.bad_sector - sector < len / SECTOR)
		return -EIO;
	memcpy(bytes, disk.bytes + sector * SECTOR, len);
	return 0;
}

static int disk_add(void *context, const struct partition_entry *e)
{
	struct ktest *ktest_ctx = context;

	EXPECT_TRUE(e->number && e->number <= PARTITIONS_MAX);
	EXPECT_TRUE(e->sectors && e->sector < disk.p.sectors &&
		    e->sectors <= disk.p.sectors - e->sector);
	EXPECT_NOT_NULL(memchr(e->name, 0, sizeof(e->name)));
	for (u32 i = 0; i < disk.nfound; i++)
		EXPECT_NE(disk.found[i].number, e->number);
	if (disk.add_error)
		return disk.add_error;
	disk.found[disk.nfound++] = *e;
	return 0;
}

static void disk_begin(u32 block)
{
	memset(&disk, 0, sizeof(disk));
	disk.bad_sector = ~0ull;
	disk.p = (struct parser){
		.sectors = SECTORS, .block = block, .read = disk_read, .add = disk_add};
}

static int parse(struct ktest *t)
{
	disk.p.context = t;
	disk.nfound = disk.reads = 0;
	return partitions_parse(&disk.p);
}

static u8 *block_at(u64 block)
{
	return disk.bytes + block * disk.p.block;
}

// Writes an entry of the record in a block, and the record's magic number.
static void mbr_set(u64 block, u32 i, u8 boot, u8 type, u32 start, u32 blocks)
{
	u8 *e = block_at(block) + 446 + i * 16;

	e[0] = boot;
	e[4] = type;
	store_le32(e + 8, start);
	store_le32(e + 12, blocks);
	store_le16(block_at(block) + 510, 0xaa55);
}

static const struct partition_entry *found(u32 number)
{
	static const struct partition_entry nothing;

	for (u32 i = 0; i < disk.nfound; i++)
		if (disk.found[i].number == number)
			return &disk.found[i];
	return &nothing;
}

#define EXPECT_FOUND(number, start, len)                 \
	do {                                             \
		EXPECT_EQ(found(number)->sector, start); \
		EXPECT_EQ(found(number)->sectors, len);  \
	} while (0)
#define EXPECT_REMARK(words) EXPECT_TRUE(disk.p.remark &&strstr(disk.p.remark, words))

// ---- no table ----

KTEST(partitions, empty_disks)
{
	disk_begin(512);
	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_NONE);
	EXPECT_EQ(disk.reads, 1);
	mbr_set(0, 0, 0, 0x83, 1, 1);
	disk.p.sectors = 0;
	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_NONE);
	disk.p.sectors = 7; // less than one block
	disk.p.block = 4096;
	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_NONE);
	EXPECT_EQ(disk.reads, 0);
	disk.p.sectors = 1;
	disk.p.block = 512;
	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_MBR);
	EXPECT_EQ(disk.nfound, 0);
}

KTEST(partitions, bad_blocks_and_errors)
{
	disk_begin(512);
	for (u32 block = 0; block < 20000; block++) {
		disk.p.block = block;
		if (block < 512 || block > 4096 || !is_power_of_two(block))
			EXPECT_EQ(parse(ktest_ctx), -EINVAL);
	}
	disk.p.block = 512;
	disk.bad_sector = 0;
	EXPECT_EQ(parse(ktest_ctx), -EIO);
	disk.bad_sector = ~0ull;
	mbr_set(0, 0, 0, 0x83, 1, 1);
	disk.add_error = -ENOMEM;
	EXPECT_EQ(parse(ktest_ctx), -ENOMEM);
}

KTEST(partitions, boot_sectors_are_no_tables)
{
	disk_begin(512);
	mbr_set(0, 0, 0, 0x83, 1, 1);
	for (u32 i = 0; i < 4; i++)
		for (u32 boot = 0; boot < 256; boot++) {
			mbr_set(0, i, (u8)boot, 0x83, 1, 1);
			EXPECT_EQ(parse(ktest_ctx), boot == 0 || boot == 0x80
							    ? PARTITION_TABLE_MBR
							    : PARTITION_TABLE_NONE);
			mbr_set(0, i, 0, 0x83, 1, 1);
		}
	// What mkfs.fat writes: code and a message, and zeroes where a table would be.
	disk_begin(512);
	memcpy(disk.bytes, "\xeb\x3c\x90mkfs.fat", 11);
	store_le16(disk.bytes + 510, 0xaa55);
	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_MBR);
	EXPECT_EQ(disk.nfound, 0);
}

// ---- MBR ----

KTEST(partitions, mbr_primary)
{
	disk_begin(512);
	store_le32(disk.bytes + 440, 0xcafe1234);
	mbr_set(0, 0, 0x80, 0x83, 63, 1000);
	mbr_set(0, 1, 0, 0x82, 0, 0); // unused, whatever its type
	mbr_set(0, 2, 0, 0x07, 2000, 1);
	mbr_set(0, 3, 0, 0x00, 3000, 96); // a size makes it used, even without a type
	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_MBR);
	EXPECT_EQ(disk.nfound, 3);
	EXPECT_FOUND(1, 63, 1000);
	EXPECT_FOUND(3, 2000, 1);
	EXPECT_FOUND(4, 3000, 96);
	EXPECT_EQ(found(1)->type[0], 0x83);
	EXPECT_MEMEQ(found(3)->uuid, "\x34\x12\xfe\xca\x03", 6);
	EXPECT_STREQ(found(1)->name, "");
	EXPECT_NULL(disk.p.remark);
}

KTEST(partitions, mbr_counts_in_blocks)
{
	for (u32 block = 512; block <= 4096; block *= 2) {
		u32 scale = block / 512;

		disk_begin(block);
		mbr_set(0, 0, 0, 0x83, 8, 100);
		mbr_set(0, 1, 0, 0x05, 200, 100);
		mbr_set(200, 0, 0, 0x83, 2, 3);
		EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_MBR);
		EXPECT_EQ(disk.nfound, 3);
		EXPECT_FOUND(1, 8 * scale, 100 * scale);
		EXPECT_FOUND(2, 200 * scale, max(scale, 2u));
		EXPECT_FOUND(5, 202 * scale, 3 * scale);
	}
}

KTEST(partitions, mbr_beyond_the_end)
{
	disk_begin(512);
	mbr_set(0, 0, 0, 0x83, 4000, 97);	  // one too many
	mbr_set(0, 1, 0, 0x83, 4096, 1);	  // behind the last one
	mbr_set(0, 2, 0, 0x83, 4095, 0xffffffff); // overflows 32 bits
	mbr_set(0, 3, 0, 0x83, 0xffffffff, 0xffffffff);
	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_MBR);
	EXPECT_EQ(disk.nfound, 2);
	EXPECT_FOUND(1, 4000, 96);
	EXPECT_FOUND(3, 4095, 1);
	EXPECT_REMARK("cut");
	disk_begin(4096); // a last piece that is no whole block
	disk.p.sectors = 8 * 100 + 7;
	mbr_set(0, 0, 0, 0x83, 50, 51);
	mbr_set(0, 1, 0, 0x83, 100, 1);
	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_MBR);
	EXPECT_EQ(disk.nfound, 1);
	EXPECT_FOUND(1, 400, 400);
}

// ---- extended partitions ----

// An extended partition in slot 1, of blocks 1000 to 2999, with n logical ones of 10 blocks.
static void extended_make(u32 n)
{
	mbr_set(0, 1, 0, 0x05, 1000, 2000);
	for (u32 i = 0; i < n; i++) {
		u32 at = 1000 + i * 15;

		mbr_set(at, 0, 0, 0x83, 2, 10);
		if (i + 1 < n)
			mbr_set(at, 1, 0, 0x05, (i + 1) * 15, 15);
	}
}

KTEST(partitions, logical)
{
	disk_begin(512);
	mbr_set(0, 3, 0, 0x83, 100, 100);
	extended_make(40);
	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_MBR);
	EXPECT_EQ(disk.nfound, 42);
	EXPECT_FOUND(2, 1000, 2);
	EXPECT_FOUND(4, 100, 100);
	for (u32 i = 0; i < 40; i++)
		EXPECT_FOUND(5 + i, 1002 + i * 15, 10);
	EXPECT_EQ(found(44)->uuid[4], 44);
	EXPECT_NULL(disk.p.remark);
}

KTEST(partitions, types_of_extended)
{
	for (u32 type = 1; type < 256; type++) {
		bool extended = type == 0x05 || type == 0x0f || type == 0x85;

		if (type == 0xee)
			continue;
		disk_begin(512);
		extended_make(2);
		mbr_set(0, 1, 0, (u8)type, 1000, 2000);
		mbr_set(1000, 1, 0, (u8)type, 15, 15);
		EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_MBR);
		EXPECT_EQ(disk.nfound, extended ? 3 : 1);
	}
}

KTEST(partitions, one_block_of_extended)
{
	disk_begin(512);
	mbr_set(0, 0, 0, 0x05, 1000, 1); // too small for a boot loader
	mbr_set(1000, 0, 0, 0x83, 1, 1);
	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_MBR);
	EXPECT_FOUND(1, 1000, 1);
	EXPECT_FOUND(5, 1001, 1);
}

KTEST(partitions, entries_of_extended_records)
{
	disk_begin(512);
	extended_make(2);
	// The link first; more partitions in the third and fourth, the one rubbish, the other not.
	mbr_set(1000, 0, 0, 0x05, 15, 15);
	mbr_set(1000, 1, 0, 0x83, 2, 10);
	mbr_set(1000, 2, 0, 0x83, 12, 3);
	mbr_set(1000, 3, 0, 0x83, 12, 1989);
	mbr_set(1015, 2, 0, 0x83, 12, 4); // beyond what the link says that there is
	mbr_set(1015, 3, 0, 0x83, 0xfffffff0, 0x20);
	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_MBR);
	EXPECT_EQ(disk.nfound, 4);
	EXPECT_FOUND(5, 1002, 10);
	EXPECT_FOUND(6, 1012, 3);
	EXPECT_FOUND(7, 1017, 10);
	mbr_set(1000, 0, 0, 0x05, 15, 3000); // a link that says more than the extended one has
	mbr_set(1015, 2, 0, 0x83, 12, 1973);
	mbr_set(1015, 3, 0, 0x83, 12, 1974);
	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_MBR);
	EXPECT_EQ(disk.nfound, 5);
	EXPECT_FOUND(8, 1027, 1973);
}

KTEST(partitions, two_extended)
{
	disk_begin(512);
	extended_make(3);
	mbr_set(0, 2, 0, 0x0f, 3000, 100);
	mbr_set(3000, 0, 0, 0x83, 2, 10);
	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_MBR);
	EXPECT_EQ(disk.nfound, 6);
	EXPECT_FOUND(3, 3000, 2);
	EXPECT_FOUND(8, 3002, 10);
}

KTEST(partitions, loops)
{
	for (u32 back = 0; back < 3; back++) {
		disk_begin(512);
		extended_make(3);
		mbr_set(1030, 1, 0, 0x05, back * 15, 15); // the last one leads to itself or back
		EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_MBR);
		EXPECT_EQ(disk.nfound, 4);
		EXPECT_FOUND(7, 1032, 10);
		EXPECT_REMARK("loop");
		EXPECT_EQ(disk.reads, 4);
	}
}

KTEST(partitions, broken_chains)
{
	disk_begin(512);
	extended_make(3);
	mbr_set(1030, 1, 0, 0x05, 0xffffff00, 15); // off the disk, and beyond 32 bits
	mbr_set(744, 0, 0, 0x83, 2, 10);	   // what it must not lead to
	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_MBR);
	EXPECT_EQ(disk.nfound, 4);
	EXPECT_REMARK("broken");
	store_le16(block_at(1030) + 510, 0);
	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_MBR);
	EXPECT_EQ(disk.nfound, 3);
	EXPECT_REMARK("broken");
	disk.bad_sector = 1015;
	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_MBR);
	EXPECT_EQ(disk.nfound, 2);
	EXPECT_FOUND(5, 1002, 10);
}

KTEST(partitions, chains_without_end)
{
	disk_begin(512);
	extended_make(133);
	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_MBR);
	EXPECT_EQ(disk.nfound, 1 + PARTITIONS_MAX - 4);
	EXPECT_FOUND(PARTITIONS_MAX, 1002 + 123 * 15, 10);
	EXPECT_LE(disk.reads, 1 + PARTITIONS_MAX);
	mbr_set(1000, 2, 0, 0x83, 2, 10); // four numbers are left for the last record's entries
	mbr_set(1000, 3, 0, 0x83, 2, 10);
	for (u32 i = 0; i < 4; i++)
		mbr_set(1000 + 120 * 15, i, 0, 0x83, 2, 10);
	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_MBR);
	EXPECT_EQ(disk.nfound, 1 + PARTITIONS_MAX - 4);
	// Links only: nothing is ever found.
	disk_begin(512);
	mbr_set(0, 0, 0, 0x05, 1, 4000);
	for (u32 i = 0; i < 4000; i++)
		mbr_set(1 + i, 0, 0, 0x05, i + 1, 1);
	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_MBR);
	EXPECT_EQ(disk.nfound, 1);
	EXPECT_REMARK("too long");
	EXPECT_LE(disk.reads, 300);
}

// ---- GPT ----

struct gpt_shape {
	u32 count, size;
};
constexpr u64 ARRAY_LBA = 2;

static u64 last_lba(void)
{
	return disk.p.sectors * SECTOR / disk.p.block - 1;
}

static u64 shape_blocks(struct gpt_shape s)
{
	return div_round_up((u64)s.count * s.size, disk.p.block);
}

static u8 *backup_array(struct gpt_shape s)
{
	return block_at(last_lba() - shape_blocks(s));
}

// The header's sum, over as many bytes as it says.
static void header_seal(u8 *h)
{
	store_le32(h + 16, 0);
	store_le32(h + 16, crc32_update(0, h, min(load_le32(h + 12), disk.p.block + 1)));
}

static void header_make(u64 lba, u64 alternate, u64 array, struct gpt_shape s)
{
	u8 *h = block_at(lba);
	u64 head = ARRAY_LBA + shape_blocks(s);

	memcpy(h, "EFI PART\0\0\1\0", 12);
	store_le32(h + 12, 92);
	store_le64(h + 24, lba);
	store_le64(h + 32, alternate);
	store_le64(h + 40, head);
	store_le64(h + 48, last_lba() - head + 1);
	store_le64(h + 72, array);
	store_le32(h + 80, s.count);
	store_le32(h + 84, s.size);
	store_le32(h + 88, crc32_update(0, block_at(array), (size_t)s.count * s.size));
	header_seal(h);
}

// After the primary array was filled in: headers and backup.
static void gpt_seal(struct gpt_shape s)
{
	u64 last = last_lba();

	mbr_set(0, 0, 0, 0xee, 1, (u32)last);
	memcpy(backup_array(s), block_at(ARRAY_LBA), (size_t)s.count * s.size);
	header_make(1, last, ARRAY_LBA, s);
	header_make(last, 1, last - shape_blocks(s), s);
}

static void entry_set(struct gpt_shape s, u32 i, u64 first, u64 last)
{
	u8 *e = block_at(ARRAY_LBA) + (size_t)i * s.size;

	memset(e, (int)i + 1, 32); // type and GUID
	store_le64(e + 32, first);
	store_le64(e + 40, last);
	store_le16(e + 56, 'p');
	store_le16(e + 58, 0xe9);
}

static const struct gpt_shape usual = {128, 128};

static void gpt_make(u32 block)
{
	disk_begin(block);
	entry_set(usual, 0, 200, 299);
	entry_set(usual, 4, 100, 100);
	entry_set(usual, 127, 300, 301);
	gpt_seal(usual);
}

static void gpt_expect(struct ktest *ktest_ctx)
{
	u32 scale = disk.p.block / SECTOR;

	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_GPT);
	EXPECT_EQ(disk.nfound, 3);
	EXPECT_FOUND(1, 200 * scale, 100 * scale);
	EXPECT_FOUND(5, 100 * scale, scale);
	EXPECT_FOUND(128, 300 * scale, 2 * scale);
	EXPECT_MEMEQ(found(5)->type, "\5\5\5\5\5\5\5\5\5\5\5\5\5\5\5\5", 16);
	EXPECT_MEMEQ(found(5)->uuid, found(5)->type, 16);
	EXPECT_STREQ(found(128)->name, "p\xc3\xa9");
}

KTEST(partitions, gpt)
{
	for (u32 block = 512; block <= 4096; block *= 2) {
		gpt_make(block);
		gpt_expect(ktest_ctx);
		EXPECT_NULL(disk.p.remark);
	}
}

KTEST(partitions, gpt_shapes)
{
	static const struct gpt_shape shapes[] = {{1, 128},   {5, 128},	  {129, 128},
						  {300, 128}, {128, 256}, {128, 512},
						  {40, 4096}, {9, 8192},  {33, 16384}};

	for (u32 i = 0; i < ARRAY_SIZE(shapes); i++) {
		struct gpt_shape s = shapes[i];

		disk_begin(512);
		for (u32 n = 0; n < s.count && n < 128; n++)
			entry_set(s, n, 1700 + n, 1700 + n);
		gpt_seal(s);
		EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_GPT);
		EXPECT_EQ(disk.nfound, min(s.count, 128u));
		EXPECT_FOUND(disk.nfound, 1699 + disk.nfound, 1);
		EXPECT_NULL(disk.p.remark);
		block_at(1)[0] ^= 1;
		EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_GPT);
		EXPECT_EQ(disk.nfound, min(s.count, 128u));
	}
}

KTEST(partitions, gpt_more_than_have_numbers)
{
	struct gpt_shape s = {200, 128};

	disk_begin(512);
	for (u32 i = 0; i < s.count; i++)
		entry_set(s, i, 1000 + i, 1000 + i);
	gpt_seal(s);
	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_GPT);
	EXPECT_EQ(disk.nfound, PARTITIONS_MAX);
	EXPECT_REMARK("more partitions");
}

KTEST(partitions, gpt_damage_anywhere)
{
	for (u32 at = 0; at < 92; at++) { // in the header
		gpt_make(512);
		block_at(1)[at] ^= 0x40;
		gpt_expect(ktest_ctx);
		EXPECT_REMARK("backup");
	}
	for (u32 at = 0; at < 128 * 128; at += 61) { // in the array
		gpt_make(512);
		block_at(ARRAY_LBA)[at] ^= 1;
		gpt_expect(ktest_ctx);
		EXPECT_REMARK("backup");
	}
	for (u64 sector = 1; sector < 34; sector++) { // that cannot be read
		gpt_make(512);
		disk.bad_sector = sector;
		gpt_expect(ktest_ctx);
		EXPECT_REMARK("backup");
	}
	gpt_make(4096);
	memset(block_at(1), 0, 5 * 4096);
	gpt_expect(ktest_ctx);
	// The backup does not matter while the primary is good.
	gpt_make(512);
	memset(block_at(last_lba() - 32), 0xff, 33 * SECTOR);
	gpt_expect(ktest_ctx);
	EXPECT_NULL(disk.p.remark);
	// Both: nothing, and the MBR's entry is none either.
	memset(block_at(1), 0xff, SECTOR);
	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_NONE);
	EXPECT_EQ(disk.nfound, 0);
	EXPECT_REMARK("no valid GPT");
}

// Both headers get this value in a field, and sums that are right as far as the disk has what they
// are of: is the table valid?
static bool gpt_good_with(struct ktest *ktest_ctx, u32 field, u32 bytes, u64 value)
{
	gpt_make(512);
	block_at(ARRAY_LBA)[0] = 0; // as the byte behind a block in the parser's buffer is
	gpt_seal(usual);
	for (u32 i = 0; i < 2; i++) {
		u8 *h = i ? block_at(last_lba()) : block_at(1);

		if (bytes == 8)
			store_le64(h + field, value);
		else
			store_le32(h + field, (u32)value);
		if (field == 80 || field == 84) {
			u64 size = (u64)load_le32(h + 80) * load_le32(h + 84);

			size = min(size, sizeof(disk.bytes) - load_le64(h + 72) * SECTOR);
			store_le32(h + 88, crc32_update(0, block_at(load_le64(h + 72)), size));
		}
		header_seal(h);
	}
	return parse(ktest_ctx) == PARTITION_TABLE_GPT;
}

KTEST(partitions, gpt_header_fields)
{
	struct {
		u32 field, bytes;
		u64 value;
		bool good;
	} static const cases[] = {
		{8, 4, 0x00020000, true}, // a later revision, with sizes that say the truth
		{12, 4, 0, false},
		{12, 4, 91, false},
		{12, 4, 512, true},
		{12, 4, 513, false},
		{12, 4, 0xffffffff, false},
		{24, 8, 7, false},
		{40, 8, 4062, true}, // the first usable block, up to the last
		{40, 8, 4063, false},
		{40, 8, ~0ull, false},
		{48, 8, 33, false},
		{48, 8, 4095, true},
		{48, 8, 4096, false},
		{48, 8, ~0ull, false},
		{72, 8, 4096, false},
		{72, 8, 4065, false}, // the array ends behind the disk
		{72, 8, ~0ull, false},
		{72, 8, ~0ull - 30, false},
		{80, 4, 0, false},
		{80, 4, 0xffffffff, false},
		{80, 4, 1 << 15, false}, // as many as are read, but not
					 // as the disk has
		{84, 4, 0, false},
		{84, 4, 64, false},
		{84, 4, 127, false},
		{84, 4, 192, false},
		{84, 4, 0x80000000, false},
		{88, 4, 0, false},
	};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++)
		if (gpt_good_with(ktest_ctx, cases[i].field, cases[i].bytes, cases[i].value) !=
		    cases[i].good)
			ktest_fail(KTEST_AT, "field %u with %llx", cases[i].field, cases[i].value);
}

KTEST(partitions, gpt_entries_off_the_disk)
{
	disk_begin(512);
	entry_set(usual, 0, 4000, 4095); // in the backup, but on the disk
	entry_set(usual, 1, 4000, 4096);
	entry_set(usual, 2, 200, 199);
	entry_set(usual, 3, 0, ~0ull);
	entry_set(usual, 4, ~0ull, ~0ull);
	entry_set(usual, 5, 300, 300);
	memset(block_at(ARRAY_LBA) + 5 * 128, 0, 16); // without a type: not used
	gpt_seal(usual);
	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_GPT);
	EXPECT_EQ(disk.nfound, 1);
	EXPECT_FOUND(1, 4000, 96);
	EXPECT_REMARK("does not lie");
}

KTEST(partitions, gpt_longest_name)
{
	disk_begin(512);
	entry_set(usual, 0, 100, 200);
	for (u32 i = 0; i < 36; i++)
		store_le16(block_at(ARRAY_LBA) + 56 + 2 * i, 0x20ac);
	gpt_seal(usual);
	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_GPT);
	EXPECT_EQ(strlen(found(1)->name), 69); // 23 whole characters
}

KTEST(partitions, gpt_needs_a_protective_mbr)
{
	gpt_make(512);
	memset(block_at(0), 0, SECTOR);
	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_NONE);
	mbr_set(0, 0, 0, 0xee, 2, 4095); // not what 5.2.3 says, and no table of its own
	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_NONE);
	mbr_set(0, 0, 0, 0x83, 2000, 10);
	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_MBR);
	EXPECT_FOUND(1, 2000, 10);
	mbr_set(0, 2, 0x77, 0xee, 1, 1); // hybrid; the indicator does not count here
	gpt_expect(ktest_ctx);
}

// The most that a table can make the parser read: an array of 4 MiB twice, of a disk that has it.
static int zeroes_read(void *context, u64 sector, void *bytes, u32 len)
{
	(void)context;
	disk.reads++;
	if (sector < 2 || sector == disk.p.sectors - 1)
		memcpy(bytes, disk.bytes + min(sector, 2ull) * SECTOR, SECTOR);
	else
		memset(bytes, 0, len);
	return 0;
}

KTEST(partitions, gpt_work_is_bounded)
{
	static u8 zeroes[4 * MiB];

	disk_begin(512);
	disk.p.read = zeroes_read;
	disk.p.sectors = 1ull << 40;
	mbr_set(0, 0, 0, 0xee, 1, 1);
	for (u32 i = 1; i <= 2; i++) {
		u8 *h = block_at(i);

		header_make(i, 1, 3, usual);
		store_le64(h + 24, i == 1 ? 1 : last_lba());
		store_le32(h + 80, 32768);
		store_le32(h + 88, crc32_update(0, zeroes, sizeof(zeroes)) ^ (i == 1)); // wrong
		header_seal(h);
	}
	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_GPT);
	EXPECT_EQ(disk.nfound, 0);
	EXPECT_EQ(disk.reads, 3 + 3 * 1024);
	for (u32 i = 1; i <= 2; i++) { // one entry more: not even looked at
		store_le32(block_at(i) + 80, 32769);
		header_seal(block_at(i));
	}
	EXPECT_EQ(parse(ktest_ctx), PARTITION_TABLE_NONE);
	EXPECT_EQ(disk.reads, 3);
}

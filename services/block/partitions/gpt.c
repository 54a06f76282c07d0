// SPDX-License-Identifier: MIT
// gpt.c: GUID partition tables (UEFI 2.10, 5.3): the primary one behind the protective MBR, or the
// backup at the disk's end when the primary is damaged.
#include "services/block/partitions/parser_priv.h"
#include "base/bytes.h"
#include "base/crc32.h"
#include "base/errno.h"
#include "base/string.h"
#include "base/utf16.h"

// 5.3.2, table 5-5: the header
enum {
	HEADER_SIGNATURE = 0,
	HEADER_SIZE = 12,
	HEADER_CRC = 16,
	HEADER_MY_LBA = 24,
	HEADER_FIRST_USABLE = 40,
	HEADER_LAST_USABLE = 48,
	HEADER_ENTRIES_LBA = 72,
	HEADER_ENTRIES = 80,
	HEADER_ENTRY_SIZE = 84,
	HEADER_ENTRIES_CRC = 88,
	HEADER_MIN = 92,
};
// 5.3.3, table 5-6: an entry
enum {
	ENTRY_TYPE = 0,
	ENTRY_UNIQUE = 16,
	ENTRY_FIRST = 32,
	ENTRY_LAST = 40,
	ENTRY_NAME = 56,
	ENTRY_MIN = 128,
};
constexpr u32 NAME_UNITS = 36; // UTF-16
constexpr u64 PRIMARY_LBA = 1;
constexpr u64 ARRAY_MAX = 4 * MiB; // more than tools make, and than Linux takes

struct gpt {
	u64 entries_lba;
	u32 entries, entry_size, entries_crc;
};

static u64 array_bytes(const struct gpt *g)
{
	return (u64)g->entries * g->entry_size;
}

// Reads the piece of the array of entries that begins at a multiple of the buffer's size: how many
// bytes of it are the array's, or a negative errno.
static int array_read(struct parser *p, const struct gpt *g, u64 offset)
{
	u32 len = (u32)min(array_bytes(g) - offset, (u64)sizeof(p->bytes));
	int err = parser_read(p, g->entries_lba + offset / p->block, align_up(len, p->block));

	return err ?: (int)len;
}

static bool array_good(struct parser *p, const struct gpt *g)
{
	u64 blocks = disk_blocks(p), need = div_round_up(array_bytes(g), p->block);
	u32 crc = 0;

	if (g->entries_lba >= blocks || need > blocks - g->entries_lba)
		return false;
	for (u64 at = 0; at < array_bytes(g); at += sizeof(p->bytes)) {
		int len = array_read(p, g, at);

		if (len < 0)
			return false;
		crc = crc32_update(crc, p->bytes, (size_t)len);
	}
	return crc == g->entries_crc;
}

// 5.3.2 says what makes a header valid.
static bool header_decode(struct parser *p, u64 lba, struct gpt *out)
{
	u8 *h = p->bytes;
	u32 size = load_le32(h + HEADER_SIZE), crc = load_le32(h + HEADER_CRC);
	u64 first = load_le64(h + HEADER_FIRST_USABLE), last = load_le64(h + HEADER_LAST_USABLE);

	if (memcmp(h + HEADER_SIGNATURE, "EFI PART", 8) != 0 || size < HEADER_MIN ||
	    size > p->block)
		return false;
	store_le32(h + HEADER_CRC, 0);
	if (crc32_update(0, h, size) != crc || load_le64(h + HEADER_MY_LBA) != lba ||
	    first > last || last >= disk_blocks(p))
		return false;
	*out = (struct gpt){.entries_lba = load_le64(h + HEADER_ENTRIES_LBA),
			    .entries = load_le32(h + HEADER_ENTRIES),
			    .entry_size = load_le32(h + HEADER_ENTRY_SIZE),
			    .entries_crc = load_le32(h + HEADER_ENTRIES_CRC)};
	return out->entry_size >= ENTRY_MIN && is_power_of_two(out->entry_size) && out->entries &&
	       array_bytes(out) <= ARRAY_MAX;
}

static bool table_good(struct parser *p, u64 lba, struct gpt *out)
{
	return !parser_read(p, lba, p->block) && header_decode(p, lba, out) && array_good(p, out);
}

// Reports an entry, unless it is unused or leads beyond the disk.
static int entry_add(struct parser *p, u32 index, const u8 *bytes)
{
	u64 first = load_le64(bytes + ENTRY_FIRST), last = load_le64(bytes + ENTRY_LAST),
	    scale = p->block / SECTOR;
	struct partition_entry e = {.number = index + 1};

	if (!memchr_inv(bytes + ENTRY_TYPE, 0, sizeof(e.type)))
		return 0;
	if (first > last || last >= disk_blocks(p)) {
		parser_remark(p, "a partition does not lie on the disk and is left out");
		return 0;
	}
	if (index >= PARTITIONS_MAX) {
		parser_remark(p, "there are more partitions than can have numbers");
		return 0;
	}
	e.sector = first * scale;
	e.sectors = (last - first + 1) * scale;
	memcpy(e.type, bytes + ENTRY_TYPE, sizeof(e.type));
	memcpy(e.uuid, bytes + ENTRY_UNIQUE, sizeof(e.uuid));
	(void)utf16le_to_utf8(e.name, sizeof(e.name), bytes + ENTRY_NAME, NAME_UNITS);
	return p->add(p->context, &e);
}

static int entries_add(struct parser *p, const struct gpt *g)
{
	int len = 0;

	for (u32 i = 0; i < g->entries; i++) {
		u64 at = (u64)i * g->entry_size;
		u32 offset = (u32)(at % sizeof(p->bytes)); // an entry never lies across two pieces

		if (!offset)
			len = array_read(p, g, at);
		if (len < 0)
			return len;
		int err = entry_add(p, i, p->bytes + offset);

		if (err)
			return err;
	}
	return PARTITION_TABLE_GPT;
}

int gpt_parse(struct parser *p)
{
	struct gpt g;

	if (table_good(p, PRIMARY_LBA, &g))
		return entries_add(p, &g);
	if (table_good(p, disk_blocks(p) - 1, &g)) {
		parser_remark(p, "the GPT is damaged; its backup is used");
		return entries_add(p, &g);
	}
	parser_remark(p, "there is a protective MBR, but no valid GPT");
	return PARTITION_TABLE_NONE;
}

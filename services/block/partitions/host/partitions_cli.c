// SPDX-License-Identifier: MIT
// partitions_cli.c: lists the partitions of a disk image by the service's parser, for comparison
// with other programs.
//
// usage: partitions_cli IMAGE [BLOCK]
// A line for each partition, of fields between tabs: number, first sector, sectors (of 512 bytes),
// type, UUID (both in hexadecimal, as on the disk), name. The last line is the kind of table,
// `none`, `mbr` or `gpt`, and the parser's remark. Exit status 1 on an error.
#include <stdio.h>
#include <stdlib.h>

#include "base/errno.h"
#include "services/block/partitions/parser.h"

static int read_image(void *context, u64 sector, void *bytes, u32 len)
{
	FILE *image = context;

	return fseek(image, (long)(sector * 512), SEEK_SET) || fread(bytes, 1, len, image) != len
		       ? -EIO
		       : 0;
}

static void print_bytes(const u8 *bytes)
{
	for (u32 i = 0; i < 16; i++)
		printf("%02x", bytes[i]);
	putchar('\t');
}

static int print_entry(void *, const struct partition_entry *e)
{
	printf("%u\t%llu\t%llu\t", e->number, e->sector, e->sectors);
	print_bytes(e->type);
	print_bytes(e->uuid);
	puts(e->name);
	return 0;
}

int main(int argc, char **argv)
{
	static const char *const tables[] = {"none", "mbr", "gpt"};
	FILE *image = argc > 1 ? fopen(argv[1], "rb") : nullptr;
	struct parser p = {.context = image,
			   .block = argc > 2 ? (u32)atoi(argv[2]) : 512,
			   .read = read_image,
			   .add = print_entry};

	if (!image || fseek(image, 0, SEEK_END)) {
		fprintf(stderr, "usage: %s IMAGE [BLOCK]\n", argv[0]);
		return 2;
	}
	p.sectors = (u64)ftell(image) / 512;
	int r = partitions_parse(&p);

	fclose(image);
	if (r < 0) {
		fprintf(stderr, "error %s\n", errno_name(r));
		return 1;
	}
	printf("%s\t%s\n", tables[r], p.remark ?: "");
	return 0;
}

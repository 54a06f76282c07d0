// SPDX-License-Identifier: MIT
// partitions.c: the service that finds partitions: MBR and GPT. It lends the parser core's calls.
#include "services/lib/service.h"
#include "services/block/partitions/parser.h"

static struct parser parser; // core makes one scan at a time

static int read(void *context, u64 sector, void *bytes, u32 len)
{
	int r = gate_partition_read(*(const u64 *)context, sector, bytes, len);

	return r == (int)len ? 0 : r < 0 ? r : -EIO;
}

static int add(void *context, const struct partition_entry *entry)
{
	return gate_partition_add(*(const u64 *)context, entry);
}

static int scan(u64 cookie, u64 disk, u64 sectors, u32 block)
{
	(void)cookie;
	parser = (struct parser){
		.context = &disk, .sectors = sectors, .block = block, .read = read, .add = add};
	int r = partitions_parse(&parser);

	if (r >= 0 && parser.remark)
		service_log(SERVICE_WARN, "a disk of %llu sectors: %s", sectors, parser.remark);
	return r;
}

static int start(u64 self)
{
	static const struct partition_ops ops = {.scan = scan};
	struct partition_params params = {};

	service_self = self;
	s64 r = gate_partition_register(self, &params, &ops);

	return r < 0 ? (int)r : 0;
}

SERVICE(partitions, "finds partitions: MBR, GPT", .provides = GATE_PARTITION, .ops.start = start);

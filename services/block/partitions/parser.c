// SPDX-License-Identifier: MIT
// parser.c: which kind of partition table a disk has.
#include "services/block/partitions/parser_priv.h"
#include "base/errno.h"

int parser_read(struct parser *p, u64 block, u32 len)
{
	u64 blocks = disk_blocks(p);

	if (block >= blocks || div_round_up(len, p->block) > blocks - block)
		return -EINVAL;
	return p->read(p->context, block * (p->block / SECTOR), p->bytes, len);
}

int partitions_parse(struct parser *p)
{
	struct mbr m;

	p->remark = nullptr;
	if (p->block < SECTOR || p->block > sizeof(p->bytes) || !is_power_of_two(p->block))
		return -EINVAL;
	if (!disk_blocks(p))
		return PARTITION_TABLE_NONE;
	int r = mbr_read(p, 0, &m);

	if (r <= 0)
		return r;
	return mbr_is_protective(&m) ? gpt_parse(p) : mbr_parse(p, &m);
}

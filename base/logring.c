// SPDX-License-Identifier: MIT
// logring.c: a ring of log records.
#include "base/logring.h"

#include "base/string.h"

// What is left at the ring's end is 0 or has room for a header.
static_assert(sizeof(struct logring_record) <= LOGRING_ALIGN);

static struct logring_record *record_at(const struct logring *r, u64 offset)
{
	return (struct logring_record *)&r->bytes[offset % r->size];
}

static const struct logring_record *pass(const struct logring *r, struct logring_cursor *c)
{
	const struct logring_record *record = record_at(r, c->offset);

	if (record->level != LOGRING_PAD)
		c->seq++;
	c->offset += record->size;
	return record;
}

static void write(struct logring *r, u8 level, u64 time_ns, const char *text, size_t len,
		  size_t size)
{
	struct logring_record *record;

	while (r->newest.offset + size - r->oldest.offset > r->size)
		pass(r, &r->oldest);
	record = record_at(r, r->newest.offset);
	*record = (struct logring_record){.seq = r->newest.seq,
					  .time_ns = time_ns,
					  .size = (u32)size,
					  .len = (u16)len,
					  .level = level};
	memcpy(record->text, text, len);
	pass(r, &r->newest);
}

void logring_append(struct logring *r, u8 level, u64 time_ns, const char *text, size_t len)
{
	size_t size = align_up(sizeof(struct logring_record) + len, LOGRING_ALIGN);
	size_t to_end = r->size - r->newest.offset % r->size;

	if (to_end < size)
		write(r, LOGRING_PAD, time_ns, "", 0, to_end);
	write(r, level, time_ns, text, len, size);
}

const struct logring_record *logring_next(const struct logring *r, struct logring_cursor *c,
					  u64 seq)
{
	if (c->offset < r->oldest.offset)
		*c = r->oldest;
	while (c->offset < r->newest.offset) {
		const struct logring_record *record = pass(r, c);

		if (record->level != LOGRING_PAD && record->seq >= seq)
			return record;
	}
	return nullptr;
}

// SPDX-License-Identifier: MIT
// cpio_cli.c: lists an archive by base/cpio.c, for comparison with other implementations.
//
// usage: cpio_cli iter|CHUNK < archive
// With `iter` by the iterator, else by the stream, fed CHUNK bytes at a time. One line an entry:
// mode (octal) nlink uid gid mtime size rdev-major rdev-minor crc32 (hexadecimal) name
// Exit status 1 on an error, with "error <errno> <offset> <reason>" on stderr.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpio.h"
#include "base/crc32.h"
#include "base/errno.h"

static u32 data_crc;

static int begin_entry(void *, const struct cpio_entry *)
{
	data_crc = 0;
	return 0;
}

static int data(void *, const u8 *bytes, size_t len)
{
	data_crc = crc32_update(data_crc, bytes, len);
	return 0;
}

static int end_entry(void *, const struct cpio_entry *e)
{
	printf("%06o %u %u %u %u %u %u %u %08x %s\n", e->mode, e->nlink, e->uid, e->gid, e->mtime,
	       e->size, e->rdev_major, e->rdev_minor, data_crc, e->name);
	return 0;
}

static const struct cpio_stream_ops ops = {begin_entry, data, end_entry};

static int list_iter(const u8 *in, size_t len, u64 *offset, const char **reason)
{
	struct cpio_iter it;
	struct cpio_entry e;
	int got;

	cpio_iter_init(&it, in, len);
	while ((got = cpio_next(&it, &e)) > 0) {
		begin_entry(nullptr, &e);
		data(nullptr, e.data, e.size);
		end_entry(nullptr, &e);
	}
	*offset = it.pos;
	*reason = it.reason;
	if (!got && it.pos != len) {
		*reason = "not a cpio archive";
		return -EINVAL;
	}
	return got;
}

static int list_stream(const u8 *in, size_t len, size_t chunk, u64 *offset, const char **reason)
{
	struct cpio_stream *s = malloc(sizeof(*s));
	int err = 0;

	cpio_stream_init(s, &ops, nullptr);
	for (size_t at = 0; at < len && !err; at += chunk)
		err = cpio_stream_feed(s, in + at, min(chunk, len - at));
	if (!err)
		err = cpio_stream_finish(s);
	*offset = s->offset;
	*reason = s->reason;
	free(s);
	return err;
}

int main(int argc, char **argv)
{
	size_t cap = 64 << 20, chunk = argc == 2 ? strtoull(argv[1], nullptr, 0) : 0;
	bool iter = argc == 2 && !strcmp(argv[1], "iter");
	u64 offset;
	const char *reason;

	if (!iter && !chunk) {
		fprintf(stderr, "usage: %s iter|CHUNK\n", argv[0]);
		return 2;
	}
	u8 *in = malloc(cap);
	size_t len = fread(in, 1, cap, stdin);
	int err;

	in = realloc(in, len ? len : 1);
	err = iter ? list_iter(in, len, &offset, &reason)
		   : list_stream(in, len, chunk, &offset, &reason);
	free(in);
	if (!err)
		return 0;
	fprintf(stderr, "error %s %llu %s\n", errno_name(err), offset, reason);
	return 1;
}

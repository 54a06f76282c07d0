// SPDX-License-Identifier: MIT
// cpio.h: reads cpio archives ("newc" 070701, and 070702 whose checksums are verified).
//
// The bytes are not trusted. Two forms: an iterator over an archive in one piece, and a stream that
// takes the archive in chunks of any size (from a decompressor) and holds no file data itself.
//
// Hard links: entries with the same dev and ino and nlink > 1 are one file; in this format usually
// only the last of them carries the data. That is for the caller to put together.
#pragma once

#include "base/types.h"

#define CPIO_HEADER_LEN 110
#define CPIO_NAME_MAX	4096 // with the NUL; longer names are refused

// File types in mode.
#define CPIO_S_IFMT 0170000u

struct cpio_entry {
	const char *name; // NUL-terminated; without the NUL name_len bytes
	size_t name_len;
	u32 ino;
	u32 mode;
	u32 uid;
	u32 gid;
	u32 nlink;
	u32 mtime; // seconds since 1970
	u32 dev_major;
	u32 dev_minor;
	u32 rdev_major;
	u32 rdev_minor;
	u32 check; // byte sum of the data if has_check
	bool has_check;
	u32 size;	// data bytes; a symbolic link's target is its data
	const u8 *data; // iterator only; nullptr in the stream
};

struct cpio_iter {
	const u8 *bytes;
	size_t len;
	size_t pos;	    // after an error: the offset of the bad header or data
	const char *reason; // after an error: a short phrase, e.g. "truncated file data"
	bool in_archive;    // an entry was seen since the last trailer
};

static inline void cpio_iter_init(struct cpio_iter *it, const void *bytes, size_t len)
{
	*it = (struct cpio_iter){.bytes = bytes, .len = len};
}

// The next file: 1; 0 at the end. Trailers and the zero padding behind them are skipped and a
// concatenated archive is continued. The end is the end of the bytes or, behind a trailer or at the
// very start, something that is not cpio (it->pos stands there: it may be a compressed archive).
// Errors: -EINVAL (malformed header, a missing trailer), -EIO (truncated), -EBADMSG (checksum);
// it->reason.
int cpio_next(struct cpio_iter *it, struct cpio_entry *entry);

// Whether the bytes begin with one of the two magic numbers.
bool cpio_is_magic(const void *bytes, size_t len);

// The stream's receiver. Each returns 0 or a negative errno, which stops the stream and is returned
// by cpio_stream_feed. The entry and its name live until end_entry returns.
struct cpio_stream_ops {
	int (*begin_entry)(void *ctx, const struct cpio_entry *entry);
	// entry->size bytes in total, in order, in pieces of any size >= 1.
	int (*data)(void *ctx, const u8 *bytes, size_t len);
	int (*end_entry)(void *ctx, const struct cpio_entry *entry);
};

enum cpio_stream_state : u8 {
	CPIO_STREAM_PADDING, // between archives: zeros or a header
	CPIO_STREAM_HEADER,
	CPIO_STREAM_NAME,
	CPIO_STREAM_NAME_PAD,
	CPIO_STREAM_DATA,
	CPIO_STREAM_DATA_PAD,
	CPIO_STREAM_FAILED,
};

struct cpio_stream {
	const struct cpio_stream_ops *ops;
	void *ctx;
	u64 offset;	    // bytes taken so far; after an error: near the bad byte
	const char *reason; // after an error
	struct cpio_entry entry;
	enum cpio_stream_state state;
	bool in_archive; // an entry was seen since the last trailer
	int error;
	u32 have; // bytes of the current header, name or padding
	u32 name_size;
	u32 data_left;
	u32 sum;
	u8 header[CPIO_HEADER_LEN];
	char name[CPIO_NAME_MAX];
};

// Prepares a stream (about 4 KiB, the caller's memory).
void cpio_stream_init(struct cpio_stream *s, const struct cpio_stream_ops *ops, void *ctx);

// Takes the next bytes. 0, -EINVAL, -EBADMSG, or what the receiver returned. Zeros between archives
// are skipped; anything else there is an error. After an error every call returns it again.
[[nodiscard]] int cpio_stream_feed(struct cpio_stream *s, const void *bytes, size_t len);

// Declares the end of input: 0, or -EIO when it comes inside an entry or before a trailer.
[[nodiscard]] int cpio_stream_finish(struct cpio_stream *s);

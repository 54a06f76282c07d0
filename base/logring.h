// SPDX-License-Identifier: MIT
// logring.h: a ring of log records of different lengths, of which the newest overwrite the oldest.
//
// A record is a header and its text, aligned, never wrapped round the ring's end: what does not fit
// there is filled by a record that no reader sees. Offsets only grow; the place in the ring is the
// offset modulo its size. Nothing here is synchronised, and no writer ever waits for a reader: a
// reader that was overtaken goes on with the oldest record that is left.
#pragma once

#include "base/types.h"

constexpr size_t LOGRING_ALIGN = 32;

struct logring_record {
	u64 seq; // its number, from 0
	u64 time_ns;
	u32 size; // bytes to the next record
	u16 len;  // of text
	u8 level; // below LOGRING_PAD
	u8 unused;
	char text[];
};
constexpr u8 LOGRING_PAD = 0xff;

// A place in the ring, with the number of the record there. All zero: the beginning.
struct logring_cursor {
	u64 seq;
	u64 offset;
};

struct logring {
	char *bytes; // aligned by LOGRING_ALIGN, as is their number
	size_t size;
	struct logring_cursor oldest, newest; // newest: where the next record goes
};
#define LOGRING_INIT(bytes_) ((struct logring){.bytes = (bytes_), .size = sizeof(bytes_)})

// Adds a record. With its header it must be smaller than the ring, and len fit 16 bits.
void logring_append(struct logring *r, u8 level, u64 time_ns, const char *text, size_t len);

// The first record from the cursor on whose number is at least seq (0: any), or nullptr when there
// is none yet. The cursor moves behind it, else to the end.
const struct logring_record *logring_next(const struct logring *r, struct logring_cursor *c,
					  u64 seq);

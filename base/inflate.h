// SPDX-License-Identifier: MIT
// inflate.h: decompresses deflate data (RFC 1951) and gzip members (RFC 1952).
//
// The input is untrusted and lies in one piece. The output goes either to a sink, in chunks of at
// most INFLATE_CHUNK bytes (so that nothing needs memory of the size of the output), or to a flat
// buffer.
#pragma once

#include "base/types.h"

#define INFLATE_WINDOW (32u * 1024)
#define INFLATE_CHUNK  (64u * 1024)

#define INFLATE_LITLEN_BITS	11
#define INFLATE_OFFSET_BITS	8
#define INFLATE_CODELEN_BITS	7
// The largest tables (first level and subtables) that 288 codes of at most 15 bits, 32 of at most
// 15 bits, and 19 of at most 7 bits can need.
#define INFLATE_LITLEN_ENTRIES	2342
#define INFLATE_OFFSET_ENTRIES	402
#define INFLATE_CODELEN_ENTRIES 128

// Working memory, about 110 KiB: the caller allocates it, its contents before a call do not matter,
// and it is free for reuse after the call.
struct inflate {
	u32 litlen[INFLATE_LITLEN_ENTRIES];
	u32 offset[INFLATE_OFFSET_ENTRIES];
	u32 codelen[INFLATE_CODELEN_ENTRIES];
	u16 sorted[288];
	u8 lengths[288 + 32 + 138];
	// History first, then room for one chunk.
	u8 buffer[INFLATE_WINDOW + INFLATE_CHUNK];
};

// Takes the next `len` bytes of output. A negative errno stops the decompression and is its result.
typedef int inflate_sink_fn(void *ctx, const u8 *data, size_t len);

struct inflate_result {
	size_t in_used;	    // input bytes consumed; after an error: near the bad place
	u64 out_len;	    // bytes produced
	const char *reason; // after an error: a short phrase, e.g. "truncated input"
};

// Unpack one gzip member and verify its CRC and length. max_out bounds the output (a member that
// has more fails with -EFBIG). 0; -EINVAL (no gzip member, or malformed data), -EIO (truncated),
// -EBADMSG (CRC or length wrong), -EFBIG, or the sink's error. On success result->in_used is where
// the member ends; what follows (padding, another member, a plain archive) is the caller's.
[[nodiscard]] int gzip_unpack(struct inflate *state, const void *in, size_t in_len, u64 max_out,
			      inflate_sink_fn *sink, void *ctx, struct inflate_result *result);

// The same into a buffer of `cap` bytes; more output is -EFBIG.
[[nodiscard]] int gzip_unpack_flat(struct inflate *state, const void *in, size_t in_len, void *out,
				   size_t cap, struct inflate_result *result);

// The same for raw deflate data, which carries no checksum.
[[nodiscard]] int inflate_raw(struct inflate *state, const void *in, size_t in_len, u64 max_out,
			      inflate_sink_fn *sink, void *ctx, struct inflate_result *result);
[[nodiscard]] int inflate_raw_flat(struct inflate *state, const void *in, size_t in_len, void *out,
				   size_t cap, struct inflate_result *result);

// Whether the bytes begin like a gzip member.
bool gzip_is_magic(const void *bytes, size_t len);

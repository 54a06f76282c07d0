// SPDX-License-Identifier: MIT
// inflate.c: deflate and gzip decompressor.
//
// Codes are looked up by the next bits of input in a table; codes longer than the table's index go
// on in a second-level table. An entry tells all about one step, so that the usual symbol costs one
// load:
//
//	bits 0-7	bits to take from the input: the code's (rest) and, for lengths and
//			offsets, their extra bits
//	bits 8-11	of these, the code's
//	bits 12-14	kind
//	bits 16-31	literal; base of the length or offset; start of the second-level table,
//			whose index width is then in bits 8-11
//
// Input goes through a 64-bit buffer. While at least 16 bytes of input and room for a longest match
// are left, decode_fast runs without bounds checks, refilling by one unaligned 8-byte load; near
// either end, decode_slow takes over one symbol at a time. Both keep the same state, so they can
// alternate. Past the end of the input the slow path feeds zero bits and counts them; consuming one
// of those is truncation.
//
// Output is a buffer in which matches copy from what was written before: either the caller's flat
// buffer, or the window, which hands a chunk to the sink when full and keeps the last 32 KiB as
// history.
#include "base/inflate.h"

#include "base/bytes.h"
#include "base/crc32.h"
#include "base/errno.h"
#include "base/string.h"

enum kind : u32 {
	KIND_LITERAL = 0u << 12,
	KIND_COPY = 1u << 12,
	KIND_SUBTABLE = 2u << 12,
	KIND_END = 3u << 12,
	KIND_INVALID = 4u << 12,
	KIND_MASK = 7u << 12,
};

#define ENTRY_TAKE(e)	   ((e) & 0xff)
#define ENTRY_CODE_BITS(e) ((e) >> 8 & 15)
#define ENTRY_KIND(e)	   ((e) & KIND_MASK)
#define ENTRY_VALUE(e)	   ((e) >> 16)

constexpr unsigned int MAX_CODE_LEN = 15;
constexpr unsigned int MAX_MATCH = 258;
// What the fast path may write beyond the end of a match: the copy goes by 8 bytes.
constexpr unsigned int COPY_SLOP = 8;
// Room the fast path asks for: three literals, a longest match and its slop.
constexpr unsigned int FAST_OUT = 3 + MAX_MATCH + COPY_SLOP;
constexpr unsigned int FAST_IN = 16;

struct stream {
	struct inflate *state;
	const u8 *in_start;
	const u8 *in;
	const u8 *in_end;
	u64 bits; // at least `count` valid bits; those above agree with the input at `in`
	u32 count;
	u32 overrun;   // zero bytes made up behind the end of the input
	u8 *out_start; // matches reach back to here at most
	u8 *out;
	u8 *out_end;
	u8 *flushed; // window: first byte that the sink has not got
	u64 flushed_total;
	u64 max_out;
	inflate_sink_fn *sink; // nullptr: flat
	void *ctx;
	bool want_crc;
	u32 crc;
	const char *reason;
};

static int fail(struct stream *s, int err, const char *reason)
{
	s->reason = reason;
	return err;
}

// Literal symbols, then end of block, then 29 lengths and two that must not occur.
constexpr unsigned int LITLEN_SYMBOLS = 288;
constexpr unsigned int OFFSET_SYMBOLS = 32;
constexpr unsigned int CODELEN_SYMBOLS = 19;

static const u16 length_base[29] = {3,	4,  5,	6,  7,	8,  9,	10, 11,	 13,  15,  17,	19,  23, 27,
				    31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
static const u8 length_extra[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
				    2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
static const u16 offset_base[30] = {1,	  2,	3,    4,    5,	  7,	9,    13,    17,    25,
				    33,	  49,	65,   97,   129,  193,	257,  385,   513,   769,
				    1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};

// The entry of a symbol, but for its code length.
static u32 litlen_symbol(unsigned int symbol)
{
	if (symbol < 256)
		return KIND_LITERAL | symbol << 16;
	if (symbol == 256)
		return KIND_END;
	if (symbol - 257 >= ARRAY_SIZE(length_base))
		return KIND_INVALID;
	return KIND_COPY | (u32)length_base[symbol - 257] << 16 | length_extra[symbol - 257];
}

static u32 offset_symbol(unsigned int symbol)
{
	if (symbol >= ARRAY_SIZE(offset_base))
		return KIND_INVALID;
	return KIND_COPY | (u32)offset_base[symbol] << 16 | (symbol < 4 ? 0 : symbol / 2 - 1);
}

static u32 codelen_symbol(unsigned int symbol)
{
	return KIND_LITERAL | symbol << 16;
}

// An entry for a code that has `code_bits` bits left to take, on top of the symbol's extra bits.
static u32 finish_entry(u32 symbol_entry, unsigned int code_bits)
{
	return symbol_entry + code_bits + (code_bits << 8);
}

static unsigned int reverse_bits(unsigned int code, unsigned int len)
{
	return __builtin_bitreverse16((u16)code) >> (16 - len);
}

struct table {
	u32 *entries;
	unsigned int capacity;
	unsigned int index_bits;
	u32 (*symbol_entry)(unsigned int symbol);
	// Whether a single code of one bit is allowed, although it leaves the code incomplete.
	bool allow_single;
};

// Builds the lookup table of a code given by its lengths. False when the code is over-subscribed or
// incomplete (but see allow_single; a code without any symbol is allowed there too, and every
// lookup is invalid). The lengths are at most MAX_CODE_LEN.
static bool table_build(struct stream *s, const struct table *t, const u8 *lengths,
			unsigned int symbols)
{
	u16 count[MAX_CODE_LEN + 1] = {}, place[MAX_CODE_LEN + 2];
	u16 *sorted = s->state->sorted;
	unsigned int table_size = 1u << t->index_bits, used = table_size;
	int left = 1;

	for (unsigned int i = 0; i < symbols; i++)
		count[lengths[i]]++;
	place[1] = 0;
	for (unsigned int len = 1; len <= MAX_CODE_LEN; len++) {
		left = 2 * left - count[len];
		if (left < 0)
			return false;
		place[len + 1] = place[len] + count[len];
	}
	if (left > 0) {
		if (!t->allow_single || place[MAX_CODE_LEN + 1] > 1 ||
		    place[MAX_CODE_LEN + 1] != count[1])
			return false;
		// One bit too many falls on these.
		for (unsigned int i = 0; i < table_size; i++)
			t->entries[i] = finish_entry(KIND_INVALID, 1);
	}
	for (unsigned int i = 0; i < symbols; i++)
		if (lengths[i])
			sorted[place[lengths[i]]++] = (u16)i;

	// Codes ascend with length and symbol. `sorted` is walked once; `code` is the current code.
	unsigned int code = 0, next = 0, sub_start = 0, sub_bits = 0, sub_prefix = UINT32_MAX;

	for (unsigned int len = 1; len <= MAX_CODE_LEN; len++, code <<= 1) {
		for (unsigned int n = 0; n < count[len]; n++, code++) {
			u32 entry = t->symbol_entry(sorted[next++]);
			unsigned int reversed = reverse_bits(code, len);

			if (len <= t->index_bits) {
				entry = finish_entry(entry, len);
				for (unsigned int i = reversed; i < table_size; i += 1u << len)
					t->entries[i] = entry;
				continue;
			}
			unsigned int prefix = reversed & (table_size - 1);

			if (prefix != sub_prefix) {
				// A new second-level table, wide enough for all codes of its
				// prefix: widen while the codes to come do not fill it.
				unsigned int space, width = len - t->index_bits;

				space = (1u << width);
				unsigned int fill = count[len] - n;

				while (fill < space && t->index_bits + width < MAX_CODE_LEN) {
					width++;
					space <<= 1;
					fill = 2 * fill + count[t->index_bits + width];
				}
				sub_prefix = prefix;
				sub_start = used;
				sub_bits = width;
				used += 1u << width;
				if (used > t->capacity)
					return false;
				t->entries[prefix] = KIND_SUBTABLE | sub_start << 16 |
						     sub_bits << 8 | t->index_bits;
			}
			entry = finish_entry(entry, len - t->index_bits);
			for (unsigned int i = reversed >> t->index_bits; i < 1u << sub_bits;
			     i += 1u << (len - t->index_bits))
				t->entries[sub_start + i] = entry;
		}
	}
	return true;
}

static bool litlen_build(struct stream *s, const u8 *lengths, unsigned int symbols)
{
	struct table t = {
		.entries = s->state->litlen,
		.capacity = INFLATE_LITLEN_ENTRIES,
		.index_bits = INFLATE_LITLEN_BITS,
		.symbol_entry = litlen_symbol,
		.allow_single = true,
	};

	return table_build(s, &t, lengths, symbols);
}

static bool offset_build(struct stream *s, const u8 *lengths, unsigned int symbols)
{
	struct table t = {
		.entries = s->state->offset,
		.capacity = INFLATE_OFFSET_ENTRIES,
		.index_bits = INFLATE_OFFSET_BITS,
		.symbol_entry = offset_symbol,
		.allow_single = true,
	};

	return table_build(s, &t, lengths, symbols);
}

static bool codelen_build(struct stream *s, const u8 *lengths)
{
	struct table t = {
		.entries = s->state->codelen,
		.capacity = INFLATE_CODELEN_ENTRIES,
		.index_bits = INFLATE_CODELEN_BITS,
		.symbol_entry = codelen_symbol,
	};

	return table_build(s, &t, lengths, CODELEN_SYMBOLS);
}

// Makes at least 56 bits valid, reading bytewise and making up zeros behind the end.
static void refill_slow(struct stream *s)
{
	while (s->count <= 56) {
		if (s->in < s->in_end)
			s->bits |= (u64)*s->in++ << s->count;
		else
			s->overrun++;
		s->count += 8;
	}
}

static void drop_bits(struct stream *s, unsigned int n)
{
	s->bits >>= n;
	s->count -= n;
}

// Takes n <= 16 bits.
static u32 take_bits(struct stream *s, unsigned int n)
{
	refill_slow(s);
	u32 value = (u32)(s->bits & (BIT(n) - 1));

	drop_bits(s, n);
	return value;
}

// Whether bits behind the end of the input were consumed. Made-up bits are the last ones in the
// buffer.
static bool is_truncated(const struct stream *s)
{
	return s->overrun * 8 > s->count;
}

// Gives the buffer's whole bytes back to the input and drops the rest: the input continues at a
// byte.
static void align_input(struct stream *s)
{
	s->in -= s->count / 8 - s->overrun;
	s->bits = 0;
	s->count = 0;
	s->overrun = 0;
}

// Hands what is new in the window to the sink and counts it into the checksum.
static int flush(struct stream *s)
{
	size_t len = (size_t)(s->out - s->flushed);
	int err = 0;

	if (s->want_crc)
		s->crc = crc32_update(s->crc, s->flushed, len);
	if (s->sink && len)
		err = s->sink(s->ctx, s->flushed, len);
	s->flushed_total += len;
	s->flushed = s->out;
	return err ? fail(s, err, "refused by the receiver") : 0;
}

// Called when out_end is reached and more is to come: makes room.
static int make_room(struct stream *s)
{
	int err = flush(s);

	if (err)
		return err;
	if (!s->sink || s->flushed_total >= s->max_out)
		return fail(s, -EFBIG, "more output than allowed");
	// The buffer begins with the history; it holds at least a window's worth by now.
	u8 *buffer = s->state->buffer;
	size_t history = min((size_t)(s->out - s->out_start), (size_t)INFLATE_WINDOW);

	memmove(buffer + INFLATE_WINDOW - history, s->out - history, history);
	s->out_start = buffer + INFLATE_WINDOW - history;
	s->out = buffer + INFLATE_WINDOW;
	s->flushed = s->out;
	s->out_end = s->out + min((u64)INFLATE_CHUNK, s->max_out - s->flushed_total);
	return 0;
}

static int copy_stored(struct stream *s)
{
	refill_slow(s);
	drop_bits(s, s->count % 8);
	u32 len = take_bits(s, 16), complement = take_bits(s, 16);

	if (is_truncated(s))
		return fail(s, -EIO, "truncated input");
	if (len != (complement ^ 0xffff))
		return fail(s, -EINVAL, "bad length of a stored block");
	align_input(s);
	if ((size_t)(s->in_end - s->in) < len)
		return fail(s, -EIO, "truncated input");
	while (len) {
		if (s->out == s->out_end) {
			int err = make_room(s);

			if (err)
				return err;
		}
		size_t n = min((size_t)len, (size_t)(s->out_end - s->out));

		memcpy(s->out, s->in, n);
		s->out += n;
		s->in += n;
		len -= (u32)n;
	}
	return 0;
}

static void build_fixed(struct stream *s)
{
	u8 *lengths = s->state->lengths;

	memset(lengths, 8, 144);
	memset(lengths + 144, 9, 256 - 144);
	memset(lengths + 256, 7, 280 - 256);
	memset(lengths + 280, 8, LITLEN_SYMBOLS - 280);
	(void)litlen_build(s, lengths, LITLEN_SYMBOLS);
	memset(lengths, 5, OFFSET_SYMBOLS);
	(void)offset_build(s, lengths, OFFSET_SYMBOLS);
}

static int read_codelens(struct stream *s, unsigned int symbols)
{
	u8 *lengths = s->state->lengths;

	for (unsigned int i = 0; i < symbols;) {
		refill_slow(s);
		u32 entry = s->state->codelen[s->bits & (BIT(INFLATE_CODELEN_BITS) - 1)];
		u32 symbol = ENTRY_VALUE(entry);
		unsigned int repeat;
		u8 value = 0;

		drop_bits(s, ENTRY_TAKE(entry));
		if (symbol < 16) {
			lengths[i++] = (u8)symbol;
			continue;
		}
		if (symbol == 16) {
			if (i == 0)
				return fail(s, -EINVAL, "repeat without a code length");
			value = lengths[i - 1];
			repeat = 3 + take_bits(s, 2);
		} else if (symbol == 17) {
			repeat = 3 + take_bits(s, 3);
		} else {
			repeat = 11 + take_bits(s, 7);
		}
		if (repeat > symbols - i)
			return fail(s, -EINVAL, "too many code lengths");
		memset(lengths + i, value, repeat);
		i += repeat;
	}
	return is_truncated(s) ? fail(s, -EIO, "truncated input") : 0;
}

static int read_dynamic(struct stream *s)
{
	static const u8 order[CODELEN_SYMBOLS] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
						  11, 4,  12, 3, 13, 2, 14, 1, 15};
	u8 codelen_lengths[CODELEN_SYMBOLS] = {};
	unsigned int litlens = 257 + take_bits(s, 5);
	unsigned int offsets = 1 + take_bits(s, 5);
	unsigned int codelens = 4 + take_bits(s, 4);

	if (litlens > 286 || offsets > 30)
		return fail(s, -EINVAL, "too many symbols in a block");
	for (unsigned int i = 0; i < codelens; i++)
		codelen_lengths[order[i]] = (u8)take_bits(s, 3);
	if (is_truncated(s))
		return fail(s, -EIO, "truncated input");
	if (!codelen_build(s, codelen_lengths))
		return fail(s, -EINVAL, "bad code of code lengths");
	int err = read_codelens(s, litlens + offsets);

	if (err)
		return err;
	if (!s->state->lengths[256])
		return fail(s, -EINVAL, "block without an end code");
	if (!litlen_build(s, s->state->lengths, litlens))
		return fail(s, -EINVAL, "bad literal and length code");
	if (!offset_build(s, s->state->lengths + litlens, offsets))
		return fail(s, -EINVAL, "bad distance code");
	return 0;
}

// Looks up the next code in a table and resolves the second level. Needs 15 valid bits.
static __always_inline u32 lookup(u64 *bits, u32 *count, const u32 *entries,
				  unsigned int index_bits)
{
	u32 entry = entries[*bits & (BIT(index_bits) - 1)];

	if (unlikely(ENTRY_KIND(entry) == KIND_SUBTABLE)) {
		*bits >>= index_bits;
		*count -= index_bits;
		entry = entries[ENTRY_VALUE(entry) + (*bits & (BIT(ENTRY_CODE_BITS(entry)) - 1))];
	}
	return entry;
}

// The value of a length or offset entry: its base plus the extra bits behind the code.
static __always_inline u32 entry_with_extra(u32 entry, u64 bits)
{
	return ENTRY_VALUE(entry) +
	       (u32)((bits & (BIT(ENTRY_TAKE(entry)) - 1)) >> ENTRY_CODE_BITS(entry));
}

// Copies a match; may write up to COPY_SLOP - 1 bytes behind it.
static __always_inline void copy_match(u8 *out, u32 offset, u32 len)
{
	const u8 *from = out - offset;
	u8 *end = out + len;

	if (offset >= 8) {
		do {
			store_le64(out, load_le64(from));
			out += 8;
			from += 8;
		} while (out < end);
	} else if (offset == 1) {
		u64 word = *from * 0x0101010101010101ull;

		do {
			store_le64(out, word);
			out += 8;
		} while (out < end);
	} else {
		do {
			*out++ = *from++;
		} while (out < end);
	}
}

enum outcome { BLOCK_GOES_ON, BLOCK_ENDED, BLOCK_INVALID, BLOCK_TOO_FAR };

// Decodes symbols while both ends are far. The state is kept in locals, which the compiler can hold
// in registers although `out` may alias anything.
static enum outcome decode_fast(struct stream *s)
{
	const u32 *litlen = s->state->litlen, *offsets = s->state->offset;
	const u8 *in = s->in, *in_limit = s->in_end - FAST_IN;
	u8 *out = s->out, *out_limit = s->out_end - FAST_OUT, *out_start = s->out_start;
	u64 bits = s->bits;
	u32 count = s->count;
	enum outcome outcome = BLOCK_GOES_ON;

// Makes 56 to 63 bits valid. The bits above are loaded as well; a later load ORs the same bits
// there.
#define REFILL()                                \
	do {                                    \
		bits |= load_le64(in) << count; \
		in += (63 - count) >> 3;        \
		count |= 56;                    \
	} while (0)
#define DROP(n)               \
	do {                  \
		bits >>= (n); \
		count -= (n); \
	} while (0)

	while (in <= in_limit && out <= out_limit) {
		REFILL();
		u32 entry = lookup(&bits, &count, litlen, INFLATE_LITLEN_BITS);

		// Up to three literals of at most 15 bits, which leaves 11 of 56 bits: then refill.
		if (ENTRY_KIND(entry) == KIND_LITERAL) {
			DROP(ENTRY_TAKE(entry));
			*out++ = (u8)ENTRY_VALUE(entry);
			entry = lookup(&bits, &count, litlen, INFLATE_LITLEN_BITS);
			if (ENTRY_KIND(entry) == KIND_LITERAL) {
				DROP(ENTRY_TAKE(entry));
				*out++ = (u8)ENTRY_VALUE(entry);
				entry = lookup(&bits, &count, litlen, INFLATE_LITLEN_BITS);
				if (ENTRY_KIND(entry) == KIND_LITERAL) {
					DROP(ENTRY_TAKE(entry));
					*out++ = (u8)ENTRY_VALUE(entry);
					continue;
				}
			}
		}
		if (unlikely(ENTRY_KIND(entry) != KIND_COPY)) {
			DROP(ENTRY_TAKE(entry));
			outcome = ENTRY_KIND(entry) == KIND_END ? BLOCK_ENDED : BLOCK_INVALID;
			break;
		}
		// Two literals and a length code take at most 15 + 15 + 20 bits.
		u32 len = entry_with_extra(entry, bits);

		DROP(ENTRY_TAKE(entry));
		REFILL();
		entry = lookup(&bits, &count, offsets, INFLATE_OFFSET_BITS);
		if (unlikely(ENTRY_KIND(entry) != KIND_COPY)) {
			outcome = BLOCK_INVALID;
			break;
		}
		u32 offset = entry_with_extra(entry, bits);

		DROP(ENTRY_TAKE(entry));
		if (unlikely(offset > (size_t)(out - out_start))) {
			outcome = BLOCK_TOO_FAR;
			break;
		}
		copy_match(out, offset, len);
		out += len;
	}
#undef REFILL
#undef DROP
	s->in = in;
	s->out = out;
	s->bits = bits;
	s->count = count;
	return outcome;
}

// Writes len bytes from offset back, bytewise, across chunks.
static int copy_match_slow(struct stream *s, u32 offset, u32 len)
{
	for (; len; len--) {
		if (s->out == s->out_end) {
			int err = make_room(s);

			if (err)
				return err;
		}
		*s->out = *(s->out - offset);
		s->out++;
	}
	return 0;
}

// Decodes one symbol with all checks. 1 at the end of the block, 0, or an error.
static int decode_slow(struct stream *s)
{
	refill_slow(s);
	u32 entry = lookup(&s->bits, &s->count, s->state->litlen, INFLATE_LITLEN_BITS);
	u32 value = entry_with_extra(entry, s->bits);

	drop_bits(s, ENTRY_TAKE(entry));
	if (is_truncated(s))
		return fail(s, -EIO, "truncated input");
	switch (ENTRY_KIND(entry)) {
	case KIND_LITERAL:
		if (s->out == s->out_end) {
			int err = make_room(s);

			if (err)
				return err;
		}
		*s->out++ = (u8)value;
		return 0;
	case KIND_END:
		return 1;
	case KIND_COPY:
		break;
	default:
		return fail(s, -EINVAL, "invalid code");
	}
	refill_slow(s);
	entry = lookup(&s->bits, &s->count, s->state->offset, INFLATE_OFFSET_BITS);
	if (ENTRY_KIND(entry) != KIND_COPY)
		return fail(s, -EINVAL, "invalid code");
	u32 offset = entry_with_extra(entry, s->bits);

	drop_bits(s, ENTRY_TAKE(entry));
	if (is_truncated(s))
		return fail(s, -EIO, "truncated input");
	if (offset > (size_t)(s->out - s->out_start))
		return fail(s, -EINVAL, "distance reaches before the start");
	return copy_match_slow(s, offset, value);
}

static int decode_block(struct stream *s)
{
	for (;;) {
		if (s->in_end - s->in >= FAST_IN && s->out_end - s->out >= FAST_OUT) {
			switch (decode_fast(s)) {
			case BLOCK_ENDED:
				return 0;
			case BLOCK_INVALID:
				return fail(s, -EINVAL, "invalid code");
			case BLOCK_TOO_FAR:
				return fail(s, -EINVAL, "distance reaches before the start");
			case BLOCK_GOES_ON:
				break;
			}
		}
		int got = decode_slow(s);

		if (got)
			return min(got, 0);
	}
}

// Decompresses up to the final block's end; the input then continues at a byte.
static int inflate_blocks(struct stream *s)
{
	bool last;

	do {
		last = take_bits(s, 1);
		u32 type = take_bits(s, 2);
		int err = 0;

		if (is_truncated(s))
			return fail(s, -EIO, "truncated input");
		if (type == 0) {
			err = copy_stored(s);
		} else if (type == 3) {
			err = fail(s, -EINVAL, "bad block type");
		} else {
			if (type == 1)
				build_fixed(s);
			else
				err = read_dynamic(s);
			err = err ?: decode_block(s);
		}
		if (err)
			return err;
	} while (!last);
	align_input(s);
	return flush(s);
}

static void stream_init(struct stream *s, struct inflate *state, const void *in, size_t in_len)
{
	*s = (struct stream){
		.state = state,
		.in_start = in,
		.in = in,
		.in_end = (const u8 *)in + in_len,
	};
}

static void stream_to_sink(struct stream *s, u64 max_out, inflate_sink_fn *sink, void *ctx)
{
	s->sink = sink;
	s->ctx = ctx;
	s->max_out = max_out;
	s->out_start = s->state->buffer + INFLATE_WINDOW;
	s->out = s->out_start;
	s->flushed = s->out;
	s->out_end = s->out + min((u64)INFLATE_CHUNK, max_out);
}

static void stream_to_flat(struct stream *s, void *out, size_t cap)
{
	s->max_out = cap;
	s->out_start = out;
	s->out = out;
	s->flushed = out;
	s->out_end = (u8 *)out + cap;
}

static int stream_finish(struct stream *s, int err, struct inflate_result *result)
{
	*result = (struct inflate_result){
		.in_used = (size_t)(s->in - s->in_start),
		.out_len = s->flushed_total,
		.reason = err ? s->reason : nullptr,
	};
	return err;
}

bool gzip_is_magic(const void *bytes, size_t len)
{
	const u8 *p = bytes;

	return len >= 3 && p[0] == 0x1f && p[1] == 0x8b && p[2] == 8;
}

// Skips a NUL-terminated string.
static bool skip_string(struct stream *s)
{
	const u8 *nul = memchr(s->in, 0, (size_t)(s->in_end - s->in));

	if (!nul)
		return false;
	s->in = nul + 1;
	return true;
}

static bool skip_bytes(struct stream *s, size_t n)
{
	if ((size_t)(s->in_end - s->in) < n)
		return false;
	s->in += n;
	return true;
}

enum { GZIP_HCRC = 2, GZIP_EXTRA = 4, GZIP_NAME = 8, GZIP_COMMENT = 16, GZIP_RESERVED = 0xe0 };

static int read_gzip_header(struct stream *s)
{
	const u8 *header = s->in;

	if (!gzip_is_magic(header, (size_t)(s->in_end - s->in)))
		return fail(s, -EINVAL, "not gzip data");
	if (!skip_bytes(s, 10))
		return fail(s, -EIO, "truncated gzip header");
	u8 flags = header[3];

	if (flags & GZIP_RESERVED)
		return fail(s, -EINVAL, "unknown gzip flags");
	if (flags & GZIP_EXTRA) {
		const u8 *len = s->in;

		if (!skip_bytes(s, 2) || !skip_bytes(s, load_le16(len)))
			return fail(s, -EIO, "truncated gzip header");
	}
	if (((flags & GZIP_NAME) && !skip_string(s)) || ((flags & GZIP_COMMENT) && !skip_string(s)))
		return fail(s, -EIO, "truncated gzip header");
	if (flags & GZIP_HCRC) {
		u16 crc = (u16)crc32_update(0, header, (size_t)(s->in - header));
		const u8 *stored = s->in;

		if (!skip_bytes(s, 2))
			return fail(s, -EIO, "truncated gzip header");
		if (load_le16(stored) != crc)
			return fail(s, -EBADMSG, "wrong checksum of the gzip header");
	}
	return 0;
}

static int gzip_member(struct stream *s)
{
	int err = read_gzip_header(s);

	if (err)
		return err;
	s->want_crc = true;
	err = inflate_blocks(s);
	if (err)
		return err;
	const u8 *trailer = s->in;

	if (!skip_bytes(s, 8))
		return fail(s, -EIO, "truncated gzip trailer");
	if (load_le32(trailer) != s->crc)
		return fail(s, -EBADMSG, "wrong checksum of the data");
	if (load_le32(trailer + 4) != (u32)s->flushed_total)
		return fail(s, -EBADMSG, "wrong length of the data");
	return 0;
}

int gzip_unpack(struct inflate *state, const void *in, size_t in_len, u64 max_out,
		inflate_sink_fn *sink, void *ctx, struct inflate_result *result)
{
	struct stream s;

	stream_init(&s, state, in, in_len);
	stream_to_sink(&s, max_out, sink, ctx);
	return stream_finish(&s, gzip_member(&s), result);
}

int gzip_unpack_flat(struct inflate *state, const void *in, size_t in_len, void *out, size_t cap,
		     struct inflate_result *result)
{
	struct stream s;

	stream_init(&s, state, in, in_len);
	stream_to_flat(&s, out, cap);
	return stream_finish(&s, gzip_member(&s), result);
}

int inflate_raw(struct inflate *state, const void *in, size_t in_len, u64 max_out,
		inflate_sink_fn *sink, void *ctx, struct inflate_result *result)
{
	struct stream s;

	stream_init(&s, state, in, in_len);
	stream_to_sink(&s, max_out, sink, ctx);
	return stream_finish(&s, inflate_blocks(&s), result);
}

int inflate_raw_flat(struct inflate *state, const void *in, size_t in_len, void *out, size_t cap,
		     struct inflate_result *result)
{
	struct stream s;

	stream_init(&s, state, in, in_len);
	stream_to_flat(&s, out, cap);
	return stream_finish(&s, inflate_blocks(&s), result);
}

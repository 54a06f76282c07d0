// SPDX-License-Identifier: MIT
// cpio.c: reads newc archives.
//
// An entry is a header of 110 characters, the name padded to 4 bytes (counted from the header's
// start), and the data padded to 4 bytes. An archive ends with an entry called TRAILER!!!; zeros
// fill its last block.
#include "base/cpio.h"

#include "base/errno.h"
#include "base/string.h"

static const char TRAILER[] = "TRAILER!!!";

// The header's fields behind the magic number: eight hexadecimal digits each.
enum field {
	FIELD_INO,
	FIELD_MODE,
	FIELD_UID,
	FIELD_GID,
	FIELD_NLINK,
	FIELD_MTIME,
	FIELD_SIZE,
	FIELD_DEV_MAJOR,
	FIELD_DEV_MINOR,
	FIELD_RDEV_MAJOR,
	FIELD_RDEV_MINOR,
	FIELD_NAME_SIZE,
	FIELD_CHECK,
	FIELDS,
};
constexpr size_t MAGIC_LEN = 6;
constexpr size_t FIELD_LEN = 8;
static_assert(MAGIC_LEN + FIELDS * FIELD_LEN == CPIO_HEADER_LEN);

bool cpio_is_magic(const void *bytes, size_t len)
{
	const char *magic = bytes;

	return len >= MAGIC_LEN && memcmp(magic, "07070", 5) == 0 &&
	       (magic[5] == '1' || magic[5] == '2');
}

static bool parse_hex8(const u8 *text, u32 *value)
{
	u32 v = 0;

	for (size_t i = 0; i < FIELD_LEN; i++) {
		u8 c = text[i] | 0x20;

		if (c >= '0' && c <= '9')
			v = v << 4 | (u32)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (u32)(c - 'a' + 10);
		else
			return false;
	}
	*value = v;
	return true;
}

// Decodes a header. nullptr, or what is wrong with it. The name and data pointers are not set.
static const char *parse_header(const u8 *header, struct cpio_entry *e, u32 *name_size)
{
	u32 f[FIELDS];

	if (!cpio_is_magic(header, CPIO_HEADER_LEN))
		return "not a newc header";
	for (size_t i = 0; i < FIELDS; i++)
		if (!parse_hex8(header + MAGIC_LEN + i * FIELD_LEN, &f[i]))
			return "bad digit in a header";
	if (f[FIELD_NAME_SIZE] == 0 || f[FIELD_NAME_SIZE] > CPIO_NAME_MAX)
		return "bad length of a name";
	*name_size = f[FIELD_NAME_SIZE];
	*e = (struct cpio_entry){
		.name_len = f[FIELD_NAME_SIZE] - 1,
		.ino = f[FIELD_INO],
		.mode = f[FIELD_MODE],
		.uid = f[FIELD_UID],
		.gid = f[FIELD_GID],
		.nlink = f[FIELD_NLINK],
		.mtime = f[FIELD_MTIME],
		.dev_major = f[FIELD_DEV_MAJOR],
		.dev_minor = f[FIELD_DEV_MINOR],
		.rdev_major = f[FIELD_RDEV_MAJOR],
		.rdev_minor = f[FIELD_RDEV_MINOR],
		.check = f[FIELD_CHECK],
		.has_check = header[5] == '2',
		.size = f[FIELD_SIZE],
	};
	return nullptr;
}

// The name is a string of exactly name_size bytes.
static bool name_is_string(const char *name, u32 name_size)
{
	return strnlen(name, name_size) == name_size - 1;
}

static bool is_trailer(const struct cpio_entry *e)
{
	return e->name_len == sizeof(TRAILER) - 1 && memcmp(e->name, TRAILER, e->name_len) == 0;
}

static u32 padding(u64 len)
{
	return (u32)(-len & 3);
}

static __wraps u32 byte_sum(u32 sum, const u8 *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += bytes[i];
	return sum;
}

// Only regular files carry a checksum; other types have 0 there whatever their data.
static bool check_is_wrong(const struct cpio_entry *e, u32 sum)
{
	return e->has_check && e->check && sum != e->check;
}

static int iter_fail(struct cpio_iter *it, int err, const char *reason)
{
	it->reason = reason;
	return err;
}

// Reads the entry at it->pos, moving behind it. 1 or an error.
static int read_entry(struct cpio_iter *it, struct cpio_entry *e)
{
	const u8 *header = it->bytes + it->pos;
	size_t left = it->len - it->pos, used;
	u32 name_size;

	if (left < CPIO_HEADER_LEN)
		return iter_fail(it, -EIO, "truncated header");
	const char *wrong = parse_header(header, e, &name_size);

	if (wrong)
		return iter_fail(it, -EINVAL, wrong);
	used = CPIO_HEADER_LEN + name_size;
	if (left < used)
		return iter_fail(it, -EIO, "truncated name");
	e->name = (const char *)header + CPIO_HEADER_LEN;
	if (!name_is_string(e->name, name_size))
		return iter_fail(it, -EINVAL, "bad name");
	used += padding(used);
	// Padding may be missing at the very end of the input.
	if (left < used + (u64)e->size && e->size)
		return iter_fail(it, -EIO, "truncated file data");
	e->data = header + min(used, left);
	if (e->has_check && check_is_wrong(e, byte_sum(0, e->data, e->size)))
		return iter_fail(it, -EBADMSG, "wrong checksum of file data");
	used += e->size + padding(e->size);
	it->pos += min(used, left);
	return 1;
}

int cpio_next(struct cpio_iter *it, struct cpio_entry *entry)
{
	for (;;) {
		if (!it->in_archive) {
			while (it->pos < it->len && it->bytes[it->pos] == 0)
				it->pos++;
			if (!cpio_is_magic(it->bytes + it->pos, it->len - it->pos))
				return 0;
		} else if (it->pos == it->len) {
			return iter_fail(it, -EIO, "the archive has no trailer");
		}
		int got = read_entry(it, entry);

		if (got < 0)
			return got;
		it->in_archive = !is_trailer(entry);
		if (it->in_archive)
			return 1;
	}
}

void cpio_stream_init(struct cpio_stream *s, const struct cpio_stream_ops *ops, void *ctx)
{
	s->ops = ops;
	s->ctx = ctx;
	s->offset = 0;
	s->reason = nullptr;
	s->state = CPIO_STREAM_PADDING;
	s->in_archive = false;
	s->error = 0;
	s->have = 0;
}

static int stream_fail(struct cpio_stream *s, int err, const char *reason)
{
	s->state = CPIO_STREAM_FAILED;
	s->error = err;
	s->reason = reason;
	return err;
}

// Gathers bytes into a buffer until it has `want`. Result: bytes taken.
static size_t gather(struct cpio_stream *s, void *buf, u32 want, const u8 *bytes, size_t len)
{
	size_t n = min(len, (size_t)(want - s->have));

	memcpy((u8 *)buf + s->have, bytes, n);
	s->have += (u32)n;
	return n;
}

static void enter(struct cpio_stream *s, enum cpio_stream_state state)
{
	s->state = state;
	s->have = 0;
}

// Behind an entry's last data byte.
static int end_entry(struct cpio_stream *s)
{
	if (check_is_wrong(&s->entry, s->sum))
		return stream_fail(s, -EBADMSG, "wrong checksum of file data");
	int err = s->in_archive ? s->ops->end_entry(s->ctx, &s->entry) : 0;

	if (err)
		return stream_fail(s, err, "refused by the receiver");
	enter(s, CPIO_STREAM_DATA_PAD);
	return 0;
}

static int header_done(struct cpio_stream *s)
{
	const char *wrong = parse_header(s->header, &s->entry, &s->name_size);

	if (wrong)
		return stream_fail(s, -EINVAL, wrong);
	enter(s, CPIO_STREAM_NAME);
	return 0;
}

static int name_done(struct cpio_stream *s)
{
	if (!name_is_string(s->name, s->name_size))
		return stream_fail(s, -EINVAL, "bad name");
	s->entry.name = s->name;
	s->in_archive = !is_trailer(&s->entry);
	enter(s, CPIO_STREAM_NAME_PAD);
	return 0;
}

static int begin_entry(struct cpio_stream *s)
{
	int err = s->in_archive ? s->ops->begin_entry(s->ctx, &s->entry) : 0;

	if (err)
		return stream_fail(s, err, "refused by the receiver");
	s->data_left = s->entry.size;
	s->sum = 0;
	enter(s, CPIO_STREAM_DATA);
	return s->data_left ? 0 : end_entry(s);
}

static int pass_data(struct cpio_stream *s, const u8 *bytes, size_t n)
{
	if (s->entry.has_check)
		s->sum = byte_sum(s->sum, bytes, n);
	int err = s->in_archive ? s->ops->data(s->ctx, bytes, n) : 0;

	if (err)
		return stream_fail(s, err, "refused by the receiver");
	s->data_left -= (u32)n;
	return s->data_left ? 0 : end_entry(s);
}

// Skips padding. Result: bytes taken; the last of them changes the state.
static size_t skip(struct cpio_stream *s, u32 want, size_t len)
{
	size_t n = min(len, (size_t)(want - s->have));

	s->have += (u32)n;
	return n;
}

// Takes at least one byte, or changes the state. *taken gets the number of bytes.
static int step(struct cpio_stream *s, const u8 *bytes, size_t len, size_t *taken)
{
	u32 want;

	*taken = 0;
	switch (s->state) {
	case CPIO_STREAM_PADDING:
		if (bytes[0] == 0)
			*taken = 1;
		else
			enter(s, CPIO_STREAM_HEADER);
		return 0;
	case CPIO_STREAM_HEADER:
		*taken = gather(s, s->header, CPIO_HEADER_LEN, bytes, len);
		return s->have == CPIO_HEADER_LEN ? header_done(s) : 0;
	case CPIO_STREAM_NAME:
		*taken = gather(s, s->name, s->name_size, bytes, len);
		return s->have == s->name_size ? name_done(s) : 0;
	case CPIO_STREAM_NAME_PAD:
		want = padding(CPIO_HEADER_LEN + s->name_size);
		*taken = skip(s, want, len);
		return s->have == want ? begin_entry(s) : 0;
	case CPIO_STREAM_DATA:
		*taken = min(len, (size_t)s->data_left);
		return pass_data(s, bytes, *taken);
	case CPIO_STREAM_DATA_PAD:
		want = padding(s->entry.size);
		*taken = skip(s, want, len);
		if (s->have == want)
			enter(s, s->in_archive ? CPIO_STREAM_HEADER : CPIO_STREAM_PADDING);
		return 0;
	case CPIO_STREAM_FAILED:
		break;
	}
	return s->error;
}

int cpio_stream_feed(struct cpio_stream *s, const void *bytes, size_t len)
{
	const u8 *p = bytes;

	if (s->state == CPIO_STREAM_FAILED)
		return s->error;
	while (len) {
		size_t taken;
		int err = step(s, p, len, &taken);

		s->offset += taken;
		if (err)
			return err;
		p += taken;
		len -= taken;
	}
	return 0;
}

int cpio_stream_finish(struct cpio_stream *s)
{
	if (s->state == CPIO_STREAM_FAILED)
		return s->error;
	if (s->state == CPIO_STREAM_PADDING)
		return 0;
	// The trailer's own padding may be missing.
	if (!s->in_archive && s->state == CPIO_STREAM_DATA_PAD)
		return 0;
	if (!s->in_archive && s->state == CPIO_STREAM_NAME_PAD && !s->entry.size)
		return 0;
	bool between = s->state == CPIO_STREAM_HEADER && s->have == 0;

	return stream_fail(s, -EIO, between ? "the archive has no trailer" : "truncated entry");
}

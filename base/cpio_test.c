// SPDX-License-Identifier: MIT
// cpio_test.c: tests of cpio.c: iterator and stream must agree, on good and on damaged archives.
//
// tests/unit/test_cpio_oracle.py compares archives that GNU cpio made.
#include "base/cpio.h"
#include "base/crc32.h"
#include "base/errno.h"
#include "base/fmt.h"
#include "base/ktest.h"
#include "base/string.h"

struct archive {
	u8 bytes[2048];
	size_t len;
};

static void append(struct archive *a, const void *bytes, size_t len)
{
	memcpy(a->bytes + a->len, bytes, len);
	a->len += len;
}

static void pad(struct archive *a, size_t align)
{
	while (a->len % align)
		append(a, "", 1);
}

// Appends an entry; checksum -1: magic 070701.
static void add_entry(struct archive *a, const char *name, u32 mode, const char *data, s64 checksum)
{
	char header[CPIO_HEADER_LEN + 1];
	size_t len = data ? strlen(data) : 0;

	scnprintf(header, sizeof(header),
		  "07070%c%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x",
		  checksum < 0 ? '1' : '2', 77, mode, 1000, 100, 1, 1234567890, len, 8, 1, 4, 64,
		  strlen(name) + 1, checksum < 0 ? 0 : (u32)checksum);
	append(a, header, CPIO_HEADER_LEN);
	append(a, name, strlen(name) + 1);
	pad(a, 4);
	append(a, data ? data : "", len);
	pad(a, 4);
}

static void add_trailer(struct archive *a)
{
	add_entry(a, "TRAILER!!!", 0, nullptr, -1);
}

static struct archive archive;

static struct archive *sample(void)
{
	archive.len = 0;
	add_entry(&archive, ".", 0040755, nullptr, -1);
	add_entry(&archive, "etc/hostname", 0100644, "halyard\n", -1);
	add_entry(&archive, "bin", 0120777, "usr/bin", -1);
	add_entry(&archive, "dev/console", 0020600, nullptr, -1);
	add_trailer(&archive);
	return &archive;
}

// Both readers reduce an archive to this.
struct summary {
	int result;
	u32 entries;
	u32 digest;
	u32 open; // begun and not ended
};

static struct summary by_iterator(const void *bytes, size_t len)
{
	struct summary s = {};
	struct cpio_iter it;
	struct cpio_entry e;

	cpio_iter_init(&it, bytes, len);
	while ((s.result = cpio_next(&it, &e)) > 0) {
		s.digest = crc32_update(s.digest, e.name, e.name_len);
		s.digest = crc32_update(s.digest, &e.mode, sizeof(e.mode));
		s.digest = crc32_update(s.digest, e.data, e.size);
		s.entries++;
	}
	if (!s.result && it.pos != len)
		s.result = -EINVAL;
	return s;
}

static int begin_entry(void *ctx, const struct cpio_entry *e)
{
	struct summary *s = ctx;

	s->digest = crc32_update(s->digest, e->name, e->name_len);
	s->digest = crc32_update(s->digest, &e->mode, sizeof(e->mode));
	s->open++;
	return e->mode == 0 ? -EPERM : 0;
}

static int take_data(void *ctx, const u8 *bytes, size_t len)
{
	struct summary *s = ctx;

	s->digest = crc32_update(s->digest, bytes, len);
	return 0;
}

static int end_entry(void *ctx, const struct cpio_entry *)
{
	struct summary *s = ctx;

	s->entries++;
	s->open--;
	return 0;
}

static const struct cpio_stream_ops ops = {begin_entry, take_data, end_entry};
static struct cpio_stream stream;

static struct summary by_stream(const u8 *bytes, size_t len, size_t chunk)
{
	struct summary s = {};

	cpio_stream_init(&stream, &ops, &s);
	for (size_t at = 0; at < len && !s.result; at += chunk)
		s.result = cpio_stream_feed(&stream, bytes + at, min(chunk, len - at));
	if (!s.result)
		s.result = cpio_stream_finish(&stream);
	return s;
}

KTEST(cpio, fields)
{
	struct archive *a = sample();
	struct cpio_iter it;
	struct cpio_entry e;

	cpio_iter_init(&it, a->bytes, a->len);
	ASSERT_EQ(cpio_next(&it, &e), 1);
	EXPECT_STREQ(e.name, ".");
	EXPECT_EQ(e.mode, 0040755);
	ASSERT_EQ(cpio_next(&it, &e), 1);
	EXPECT_STREQ(e.name, "etc/hostname");
	EXPECT_EQ(e.name_len, 12);
	EXPECT_EQ(e.ino, 77);
	EXPECT_EQ(e.uid, 1000);
	EXPECT_EQ(e.gid, 100);
	EXPECT_EQ(e.nlink, 1);
	EXPECT_EQ(e.mtime, 1234567890);
	EXPECT_EQ(e.dev_major, 8);
	EXPECT_EQ(e.dev_minor, 1);
	ASSERT_EQ(e.size, 8);
	EXPECT_MEMEQ(e.data, "halyard\n", 8);
	ASSERT_EQ(cpio_next(&it, &e), 1);
	EXPECT_MEMEQ(e.data, "usr/bin", 7);
	ASSERT_EQ(cpio_next(&it, &e), 1);
	EXPECT_EQ(e.rdev_major, 4);
	EXPECT_EQ(e.rdev_minor, 64);
	EXPECT_EQ(cpio_next(&it, &e), 0);
	EXPECT_EQ(it.pos, a->len);
}

KTEST(cpio, stream_in_chunks_of_any_size)
{
	struct archive *a = sample();
	struct summary expected = by_iterator(a->bytes, a->len);

	EXPECT_EQ(expected.result, 0);
	EXPECT_EQ(expected.entries, 4);
	for (size_t chunk = 1; chunk <= a->len; chunk++) {
		struct summary got = by_stream(a->bytes, a->len, chunk);

		ASSERT_EQ(got.result, 0);
		ASSERT_EQ(got.entries, 4);
		ASSERT_EQ(got.digest, expected.digest);
	}
}

KTEST(cpio, concatenated_archives)
{
	struct archive *a = sample();

	pad(a, 512);
	add_entry(a, "second", 0100600, "x", -1);
	add_trailer(a);
	pad(a, 512);
	struct summary iterated = by_iterator(a->bytes, a->len);
	struct summary streamed = by_stream(a->bytes, a->len, 100);

	EXPECT_EQ(iterated.result, 0);
	EXPECT_EQ(iterated.entries, 5);
	EXPECT_EQ(streamed.result, 0);
	EXPECT_EQ(streamed.digest, iterated.digest);
}

KTEST(cpio, stops_at_what_is_not_cpio)
{
	struct archive *a = sample();
	struct cpio_iter it;
	struct cpio_entry e;
	size_t end = a->len;

	append(a, "\x1f\x8b\x08", 3);
	cpio_iter_init(&it, a->bytes, a->len);
	while (cpio_next(&it, &e) > 0)
		;
	EXPECT_EQ(it.pos, end);
	EXPECT_EQ(by_stream(a->bytes, a->len, 10).result, -EIO);
	append(a, a->bytes, 200);
	EXPECT_EQ(by_stream(a->bytes, a->len, 10).result, -EINVAL);
	cpio_iter_init(&it, "", 0);
	EXPECT_EQ(cpio_next(&it, &e), 0);
	EXPECT_EQ(by_stream((const u8 *)"", 0, 1).result, 0);
}

KTEST(cpio, checksums)
{
	archive.len = 0;
	add_entry(&archive, "good", 0100644, "ab", 'a' + 'b');
	add_trailer(&archive);
	EXPECT_EQ(by_iterator(archive.bytes, archive.len).result, 0);
	EXPECT_EQ(by_stream(archive.bytes, archive.len, 1).result, 0);
	archive.len = 0;
	add_entry(&archive, "bad", 0100644, "ab", 'a' + 'b' + 1);
	add_trailer(&archive);
	EXPECT_EQ(by_iterator(archive.bytes, archive.len).result, -EBADMSG);
	EXPECT_EQ(by_stream(archive.bytes, archive.len, 1).result, -EBADMSG);
	EXPECT_STREQ(stream.reason, "wrong checksum of file data");
}

KTEST(cpio, every_truncation_is_noticed)
{
	struct archive *a = sample();

	for (size_t len = 1; len < a->len; len++) {
		int iterated = by_iterator(a->bytes, len).result;
		int streamed = by_stream(a->bytes, len, 7).result;

		// Less than a magic number is not recognised as an archive.
		ASSERT_EQ(iterated, len < 6 ? -EINVAL : len < a->len - 3 ? -EIO : 0);
		ASSERT_EQ(streamed, len < a->len - 3 ? -EIO : 0);
	}
}

KTEST(cpio, malformed_headers)
{
	static const struct {
		u16 at;
		const char *text;
	} damage[] = {
		{5, "7"},	   // magic
		{6, "xxxxxxxx"},   // inode
		{94, "00000000"},  // no name
		{94, "00001001"},  // a name of 4097 bytes
		{94, "ffffffff"},  // and more
		{94, "00000004"},  // not as long as its string
		{54, "fffffffff"}, // a file beyond the end (and a device out of step)
	};

	for (size_t i = 0; i < ARRAY_SIZE(damage); i++) {
		// The first entry is intact, the second one damaged.
		archive.len = 0;
		add_entry(&archive, "f", 0100644, nullptr, -1);
		size_t second = archive.len;

		add_entry(&archive, "f", 0100644, "data", -1);
		add_trailer(&archive);
		memcpy(archive.bytes + second + damage[i].at, damage[i].text,
		       strlen(damage[i].text));
		struct summary iterated = by_iterator(archive.bytes, archive.len);
		struct summary streamed = by_stream(archive.bytes, archive.len, 50);

		EXPECT_LT(iterated.result, 0);
		EXPECT_EQ(iterated.entries, 1);
		EXPECT_EQ(streamed.result, iterated.result);
		EXPECT_EQ(streamed.entries, 1);
	}
}

KTEST(cpio, receiver_can_refuse)
{
	archive.len = 0;
	add_entry(&archive, "f", 0, "data", -1);
	add_trailer(&archive);
	EXPECT_EQ(by_stream(archive.bytes, archive.len, 50).result, -EPERM);
	EXPECT_EQ(cpio_stream_feed(&stream, "x", 1), -EPERM);
	EXPECT_EQ(cpio_stream_finish(&stream), -EPERM);
}

KTEST(cpio, mutations)
{
	u64 seed = 15;

	for (int round = 0; round < 5000; round++) {
		struct archive *a = sample();

		for (u64 n = 1 + ktest_random(&seed) % 4; n; n--) {
			// Mostly digits, which get further than noise.
			u64 r = ktest_random(&seed);

			a->bytes[ktest_random(&seed) % a->len] =
				r & 1 ? (u8) "0123456789abcdefF"[r / 2 % 17] : (u8)(r >> 8);
		}
		struct summary iterated = by_iterator(a->bytes, a->len);
		struct summary streamed = by_stream(a->bytes, a->len, 1 + round % 90);

		if (!iterated.result && !streamed.result) {
			ASSERT_EQ(streamed.digest, iterated.digest);
			ASSERT_EQ(streamed.open, 0);
		} else if (iterated.result != -EINVAL) {
			// -EINVAL is the iterator's word also for what it leaves to the caller.
			ASSERT_NE(streamed.result, 0);
		}
	}
}

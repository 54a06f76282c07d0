// SPDX-License-Identifier: MIT
// inflate_cli.c: decompresses a file by base/inflate.c, for comparison with other implementations.
//
// usage: inflate_cli gzip|raw sink|flat MAX_OUT < input > output
// Successive gzip members, with zero padding between them, are decompressed one after the other.
// For each member one line goes to stderr: "member <bytes used> <bytes produced>". Exit status 1 on
// an error, with "error <errno> <offset> <reason>".
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/errno.h"
#include "base/inflate.h"

static unsigned char *read_all(FILE *f, size_t *len)
{
	size_t cap = 1 << 16;
	unsigned char *buf = malloc(cap);

	*len = 0;
	for (;;) {
		size_t got = fread(buf + *len, 1, cap - *len, f);

		if (!got)
			break;
		*len += got;
		if (*len == cap)
			buf = realloc(buf, cap *= 2);
	}
	// An exact copy, so that a read beyond the end is seen.
	unsigned char *exact = malloc(*len ? *len : 1);

	memcpy(exact, buf, *len);
	free(buf);
	return exact;
}

static int write_chunk(void *ctx, const u8 *data, size_t len)
{
	return fwrite(data, 1, len, ctx) == len ? 0 : -EIO;
}

static int unpack(bool gzip, bool flat, const u8 *in, size_t len, u64 max_out,
		  struct inflate_result *result)
{
	struct inflate *state = malloc(sizeof(*state));
	int err;

	if (!flat) {
		err = (gzip ? gzip_unpack : inflate_raw)(state, in, len, max_out, write_chunk,
							 stdout, result);
	} else {
		u8 *out = malloc(max_out ? max_out : 1);

		err = (gzip ? gzip_unpack_flat : inflate_raw_flat)(state, in, len, out, max_out,
								   result);
		fwrite(out, 1, result->out_len, stdout);
		free(out);
	}
	free(state);
	return err;
}

int main(int argc, char **argv)
{
	size_t len, at = 0;

	if (argc != 4) {
		fprintf(stderr, "usage: %s gzip|raw sink|flat MAX_OUT\n", argv[0]);
		return 2;
	}
	bool gzip = !strcmp(argv[1], "gzip"), flat = !strcmp(argv[2], "flat");
	u64 max_out = strtoull(argv[3], nullptr, 0);
	u8 *in = read_all(stdin, &len);
	int status = 0;

	do {
		struct inflate_result result;
		int err = unpack(gzip, flat, in + at, len - at, max_out, &result);

		if (err) {
			fprintf(stderr, "error %s %zu %s\n", errno_name(err), at + result.in_used,
				result.reason);
			status = 1;
			break;
		}
		fprintf(stderr, "member %zu %llu\n", result.in_used, result.out_len);
		at += result.in_used;
		while (gzip && at < len && !in[at])
			at++;
	} while (gzip && at < len);
	free(in);
	return status;
}

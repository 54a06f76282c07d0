// SPDX-License-Identifier: MIT
// chacha20.c: ChaCha20 (RFC 8439, 2.3 and 2.4).
#include "base/chacha20.h"

#include "base/bytes.h"
#include "base/string.h"

static __always_inline u32 rotl(u32 x, unsigned int n)
{
	return x << n | x >> (32 - n);
}

static __always_inline __wraps void quarter_round(u32 s[16], int a, int b, int c, int d)
{
	s[a] += s[b];
	s[d] = rotl(s[d] ^ s[a], 16);
	s[c] += s[d];
	s[b] = rotl(s[b] ^ s[c], 12);
	s[a] += s[b];
	s[d] = rotl(s[d] ^ s[a], 8);
	s[c] += s[d];
	s[b] = rotl(s[b] ^ s[c], 7);
}

__wraps void chacha20_block(const u32 key[8], u32 counter, const u32 nonce[3],
			    u8 out[CHACHA20_BLOCK])
{
	const u32 input[16] = {
		0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, // "expand 32-byte k"
		key[0],	    key[1],	key[2],	    key[3],	key[4],	  key[5],
		key[6],	    key[7],	counter,    nonce[0],	nonce[1], nonce[2],
	};
	u32 s[16];

	memcpy(s, input, sizeof(s));
	for (int i = 0; i < 10; i++) {
		quarter_round(s, 0, 4, 8, 12);
		quarter_round(s, 1, 5, 9, 13);
		quarter_round(s, 2, 6, 10, 14);
		quarter_round(s, 3, 7, 11, 15);
		quarter_round(s, 0, 5, 10, 15);
		quarter_round(s, 1, 6, 11, 12);
		quarter_round(s, 2, 7, 8, 13);
		quarter_round(s, 3, 4, 9, 14);
	}
	for (int i = 0; i < 16; i++)
		store_le32(out + 4 * i, s[i] + input[i]);
	memzero_explicit(s, sizeof(s));
}

void chacha20_keystream(const u32 key[8], u32 counter, const u32 nonce[3], void *out, size_t len)
{
	u8 *p = out, block[CHACHA20_BLOCK];

	for (; len >= CHACHA20_BLOCK; len -= CHACHA20_BLOCK, p += CHACHA20_BLOCK)
		chacha20_block(key, counter++, nonce, p);
	if (len) {
		chacha20_block(key, counter, nonce, block);
		memcpy(p, block, len);
		memzero_explicit(block, sizeof(block));
	}
}

void chacha20_xor(const u32 key[8], u32 counter, const u32 nonce[3], void *data, size_t len)
{
	u8 *p = data, block[CHACHA20_BLOCK];

	while (len) {
		size_t n = min(len, sizeof(block));

		chacha20_block(key, counter++, nonce, block);
		for (size_t i = 0; i < n; i++)
			p[i] ^= block[i];
		p += n;
		len -= n;
	}
	memzero_explicit(block, sizeof(block));
}

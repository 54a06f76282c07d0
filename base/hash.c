// SPDX-License-Identifier: MIT
// hash.c: SipHash (Aumasson, Bernstein: "SipHash: a fast short-input PRF").
#include "base/hash.h"

#include "base/bytes.h"
#include "base/string.h"

struct sip {
	u64 v0, v1, v2, v3;
};

static __always_inline u64 rotl(u64 x, unsigned int n)
{
	return x << n | x >> (64 - n);
}

static __always_inline __wraps void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v1 = rotl(s->v1, 13) ^ s->v0;
	s->v0 = rotl(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotl(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotl(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotl(s->v1, 17) ^ s->v2;
	s->v2 = rotl(s->v2, 32);
}

static __always_inline void sip_word(struct sip *s, u64 word, unsigned int rounds)
{
	s->v3 ^= word;
	for (unsigned int i = 0; i < rounds; i++)
		sip_round(s);
	s->v0 ^= word;
}

static __always_inline u64 sip(const void *data, size_t len, const struct hash_seed *seed,
			       unsigned int word_rounds, unsigned int final_rounds)
{
	struct sip s = {
		.v0 = seed->k[0] ^ 0x736f6d6570736575ull,
		.v1 = seed->k[1] ^ 0x646f72616e646f6dull,
		.v2 = seed->k[0] ^ 0x6c7967656e657261ull,
		.v3 = seed->k[1] ^ 0x7465646279746573ull,
	};
	const u8 *p = data;
	u64 last = (u64)len << 56;
	size_t left = len;

	for (; left >= 8; left -= 8, p += 8)
		sip_word(&s, load_le64(p), word_rounds);
	for (size_t i = 0; i < left; i++)
		last |= (u64)p[i] << (8 * i);
	sip_word(&s, last, word_rounds);
	s.v2 ^= 0xff;
	for (unsigned int i = 0; i < final_rounds; i++)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

u64 hash_sip(const void *data, size_t len, const struct hash_seed *seed, unsigned int word_rounds,
	     unsigned int final_rounds)
{
	return sip(data, len, seed, word_rounds, final_rounds);
}

u64 hash_bytes(const void *data, size_t len, const struct hash_seed *seed)
{
	return sip(data, len, seed, 1, 3);
}

u64 hash_string(const char *s, const struct hash_seed *seed)
{
	return hash_bytes(s, strlen(s), seed);
}

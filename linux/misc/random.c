// SPDX-License-Identifier: MIT
// random.c: random numbers for the kernel and for programs. Privileged.
//
// Three layers:
//   timing    per CPU, four words into which interrupts mix the cycle counter (core/irq.h); whoever
//             wants numbers takes them up from time to time
//   base      one ChaCha20 key under base_lock. What is mixed in is absorbed: key = ChaCha20(key ^
//             input). Whoever does not know the key learns nothing from controlling inputs, and old
//             keys cannot be computed from new ones
//   streams   per CPU, a key of its own drawn from base, and a buffer of key stream: fast key
//             erasure. Each refill makes a new key first and overwrites the old one; each byte is
//             erased as it is given out. Numbers given out before stay secret whatever is read from
//             memory later
// A stream draws a new key when base has absorbed new entropy (`generation`) and after so many
// refills.
//
// Numbers can always be had. random_ready() is false until 256 bits of entropy have been counted;
// with a generator in the CPU that is so after random_init.
#include "linux/random.h"
#include "core/bootinfo.h"
#include "core/init.h"
#include "core/irq.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/percpu.h"
#include "core/smp.h"
#include "core/time.h"
#include <arch/cpu.h>
#include <linux_arch/random.h>

#include "base/chacha20.h"
#include "base/string.h"

constexpr size_t KEY_BYTES = 32;
constexpr size_t BUFFER_BYTES = 4 * CHACHA20_BLOCK;
constexpr u32 READY_BITS = 256;
constexpr u32 REFILLS_PER_KEY = 1024;
// Of 128 interrupts' arrival times eight bits are counted: a careful guess, for emulated clocks are
// coarse.
constexpr u32 TIMING_SAMPLES = 128;
constexpr u32 TIMING_BITS = 8;

struct stream { // owner CPU only, interrupts off
	u32 key[KEY_BYTES / 4];
	u64 generation; // of base when key was drawn; 0: never
	u32 refills;	// since then
	u32 left;	// unused bytes, at the buffer's end
	u8 buffer[BUFFER_BYTES];
};

static spinlock_t base_lock = SPINLOCK_INIT(LOCK_random);
static u32 base_key[KEY_BYTES / 4]; // base_lock
static u32 entropy_bits;	    // base_lock; atomic read; saturates at READY_BITS
static u32 fresh_bits;		    // base_lock; since the last generation
static u64 generation = 1;	    // base_lock; atomic read
static u32 timing_taken[CPU_MAX];   // base_lock; atomic read; by CPU: irq_timing.count up to where

static DEFINE_PERCPU(struct stream, streams);

static constexpr u32 no_nonce[3] = {0, 0, 0};

// base_lock held.
static void absorb(const void *data, size_t len)
{
	const u8 *bytes = data;

	do {
		u8 input[KEY_BYTES] = {};
		u32 words[KEY_BYTES / 4];
		u8 block[CHACHA20_BLOCK];
		size_t n = min(len, KEY_BYTES - 1);

		memcpy(input, bytes, n);
		input[KEY_BYTES - 1] = (u8)n; // inputs of different lengths differ
		memcpy(words, input, KEY_BYTES);
		for (u32 i = 0; i < ARRAY_SIZE(words); i++)
			base_key[i] ^= words[i];
		chacha20_block(base_key, 0, no_nonce, block);
		memcpy(base_key, block, KEY_BYTES);
		memzero_explicit(block, sizeof(block));
		bytes += n;
		len -= n;
	} while (len);
}

// base_lock held.
static void count_entropy(u32 bits)
{
	fresh_bits = min(fresh_bits + min(bits, READY_BITS), READY_BITS);
	// Streams follow at once while entropy is scarce, later only when a whole key's worth has
	// come in.
	if (fresh_bits && (fresh_bits == READY_BITS || entropy_bits < READY_BITS)) {
		store_once(&entropy_bits, min(entropy_bits + fresh_bits, READY_BITS));
		store_once(&generation, generation + 1);
		fresh_bits = 0;
	}
}

// base_lock held. What the machine itself can give at any time.
static u32 absorb_machine(u32 seeds)
{
	u64 input[3];
	u32 bits = 0;

	for (u32 i = 0; i < seeds; i++) {
		bits += arch_random_seed(&input[0]);
		input[1] = cpu_cycles();
		input[2] = clock_monotonic_ns();
		absorb(input, sizeof(input));
	}
	memzero_explicit(input, sizeof(input));
	return bits;
}

void random_add(const void *data, size_t len, u32 bits)
{
	irqflags_t flags = spin_lock_irqsave(&base_lock);

	absorb(data, len);
	count_entropy(bits);
	spin_unlock_irqrestore(&base_lock, flags);
}

static bool timing_is_due(u32 cpu)
{
	const struct irq_timing *t = percpu_ptr(irq_timing, cpu);

	return READ_ONCE(t->count) - load_once(&timing_taken[cpu]) >= TIMING_SAMPLES;
}

// Takes up what the interrupts of a CPU have left.
static __noinline void timing_take(u32 cpu)
{
	const struct irq_timing *t = percpu_ptr(irq_timing, cpu);
	irqflags_t flags = spin_lock_irqsave(&base_lock);
	u32 times = (READ_ONCE(t->count) - timing_taken[cpu]) / TIMING_SAMPLES;

	if (times) { // nobody was faster
		store_once(&timing_taken[cpu], timing_taken[cpu] + times * TIMING_SAMPLES);
		absorb(t->words, sizeof(t->words));
		count_entropy(min(times, READY_BITS / TIMING_BITS) * TIMING_BITS);
	}
	spin_unlock_irqrestore(&base_lock, flags);
}

bool random_ready(void)
{
	if (likely(load_once(&entropy_bits) >= READY_BITS))
		return true;
	for_each_cpu(cpu, cpumask_all())
		if (timing_is_due((u32)cpu))
			timing_take((u32)cpu);
	return load_once(&entropy_bits) >= READY_BITS;
}

// A new key for a stream; base moves on, so that the stream's key does not tell base's.
static __noinline void draw_key(struct stream *s)
{
	u8 block[CHACHA20_BLOCK];
	u64 input[2] = {this_cpu_id(), cpu_cycles()};

	spin_lock(&base_lock);
	absorb(input, sizeof(input));
	absorb_machine(1);
	s->generation = generation;
	chacha20_block(base_key, 1, no_nonce, block);
	memcpy(s->key, block + KEY_BYTES, KEY_BYTES);
	chacha20_block(base_key, 2, no_nonce, block);
	memcpy(base_key, block, KEY_BYTES);
	spin_unlock(&base_lock);
	memzero_explicit(block, sizeof(block));
	s->refills = 0;
}

// The buffer's first bytes are the next key.
static void refill(struct stream *s)
{
	if (s->generation != load_once(&generation) || s->refills >= REFILLS_PER_KEY)
		draw_key(s);
	chacha20_keystream(s->key, 0, no_nonce, s->buffer, sizeof(s->buffer));
	memcpy(s->key, s->buffer, KEY_BYTES);
	memset(s->buffer, 0, KEY_BYTES);
	s->left = sizeof(s->buffer) - KEY_BYTES;
	s->refills++;
}

static void take(void *out, size_t len)
{
	u8 *to = out;
	irqflags_t flags = irq_save();
	struct stream *s = this_cpu_ptr(streams);

	if (unlikely(timing_is_due(this_cpu_id())))
		timing_take(this_cpu_id());
	while (len) {
		if (!s->left || s->generation != load_once(&generation))
			refill(s);
		size_t n = min(len, (size_t)s->left);
		u8 *from = s->buffer + sizeof(s->buffer) - s->left;

		memcpy(to, from, n);
		memset(from, 0, n);
		s->left -= (u32)n;
		to += n;
		len -= n;
	}
	irq_restore(flags);
}

void random_bytes(void *out, size_t len)
{
	u32 key[KEY_BYTES / 4];
	u8 *to = out;

	if (len <= BUFFER_BYTES) {
		take(out, len);
		return;
	}
	// Much at once: a key for this request alone, so that interrupts stay on. Its counter is
	// good for 256 GiB; a fresh key well before.
	while (len) {
		size_t n = min(len, (size_t)MiB);

		take(key, sizeof(key));
		chacha20_keystream(key, 0, no_nonce, to, n);
		to += n;
		len -= n;
	}
	memzero_explicit(key, sizeof(key));
}

u64 random_u64(void)
{
	u64 v;

	take(&v, sizeof(v));
	return v;
}

static void random_init(void)
{
	irqflags_t flags = spin_lock_irqsave(&base_lock);
	u32 bits;

	// These differ between machines, if nothing else does.
	absorb(bootinfo.mem, bootinfo.nmem * sizeof(bootinfo.mem[0]));
	absorb(bootinfo.cmdline, strlen(bootinfo.cmdline));
	bits = absorb_machine(8);
	bool by_cpu = bits >= READY_BITS;

	absorb(bootinfo.seed, bootinfo.seed_len);
	memzero_explicit(bootinfo.seed, sizeof(bootinfo.seed));
	bits += 8 * bootinfo.seed_len;
	count_entropy(bits);
	spin_unlock_irqrestore(&base_lock, flags);
	log_info("Random numbers: %s.", by_cpu ? "seeded by the CPU's generator"
					: bits >= READY_BITS
						? "seeded by the boot loader"
						: "waiting for entropy from interrupts");
}
INITCALL(0, random_init);

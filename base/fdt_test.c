// SPDX-License-Identifier: MIT
// fdt_test.c: tests of fdt.c on trees built here, whole and damaged.
#if __STDC_HOSTED__
#include <stdlib.h>
#endif

#include "base/bytes.h"
#include "base/errno.h"
#include "base/fdt.h"
#include "base/ktest.h"
#include "base/string.h"

// ---- a writer of trees ----

struct writer {
	u8 structure[2048], strings[512], blob[4096];
	u32 structure_len, strings_len, blob_len;
};
static struct writer w; // tests run one at a time

static void put32(u32 x)
{
	store_be32(w.structure + w.structure_len, x);
	w.structure_len += 4;
}

static void put_bytes(const void *bytes, u32 len)
{
	memcpy(w.structure + w.structure_len, bytes, len);
	w.structure_len += len;
	while (w.structure_len % 4)
		w.structure[w.structure_len++] = 0;
}

static void node_begin(const char *name)
{
	put32(1);
	put_bytes(name, (u32)strlen(name) + 1);
}

static void node_end(void)
{
	put32(2);
}

static u32 string_add(const char *s)
{
	for (u32 at = 0; at < w.strings_len; at += (u32)strlen((char *)w.strings + at) + 1)
		if (strcmp((char *)w.strings + at, s) == 0)
			return at;
	u32 at = w.strings_len;

	memcpy(w.strings + at, s, strlen(s) + 1);
	w.strings_len += (u32)strlen(s) + 1;
	return at;
}

static void prop(const char *name, const void *value, u32 len)
{
	put32(3);
	put32(len);
	put32(string_add(name));
	put_bytes(value, len);
}

static void prop_cells(const char *name, u32 n, const u32 *cells)
{
	u8 bytes[64];

	for (u32 i = 0; i < n; i++)
		store_be32(bytes + 4 * i, cells[i]);
	prop(name, bytes, 4 * n);
}
#define PROP_CELLS(name, ...) \
	prop_cells((name), ARRAY_SIZE(((u32[]){__VA_ARGS__})), (u32[]){__VA_ARGS__})
#define PROP_STRING(name, s) prop((name), (s), sizeof(s))

static void writer_begin(void)
{
	w = (struct writer){};
}

// Header, one reservation, structure, strings.
static void writer_end(void)
{
	u32 at = FDT_HEADER_LEN;

	put32(9);
	store_be64(w.blob + at, 0x1000);
	store_be64(w.blob + at + 8, 0x2000);
	at += 32;
	memcpy(w.blob + at, w.structure, w.structure_len);
	memcpy(w.blob + at + w.structure_len, w.strings, w.strings_len);
	w.blob_len = at + w.structure_len + w.strings_len;
	const u32 header[] = {0xd00dfeed, w.blob_len, at, at + w.structure_len, FDT_HEADER_LEN,
			      17,	  16,	      3,  w.strings_len,	w.structure_len};

	for (u32 i = 0; i < ARRAY_SIZE(header); i++)
		store_be32(w.blob + 4 * i, header[i]);
}

// Like a machine: a bus that moves addresses, one that has its own, two controllers.
static void write_machine(void)
{
	writer_begin();
	node_begin("");
	PROP_CELLS("#address-cells", 2);
	PROP_CELLS("#size-cells", 2);
	PROP_CELLS("interrupt-parent", 1);
	PROP_STRING("model", "test");
	node_begin("memory@40000000");
	PROP_CELLS("reg", 0, 0x40000000, 0, 0x10000000, 1, 0, 2, 0);
	node_end();
	put32(4); // a NOP
	node_begin("gic@8000000");
	PROP_CELLS("phandle", 1);
	PROP_CELLS("#interrupt-cells", 3);
	PROP_STRING("compatible", "arm,gic-v3");
	node_begin("its@8080000");
	PROP_CELLS("phandle", 2);
	PROP_CELLS("#interrupt-cells", 1);
	node_end();
	node_end();
	node_begin("bus@10000000");
	PROP_STRING("compatible", "vendor,special\0simple-bus");
	PROP_CELLS("#address-cells", 1);
	PROP_CELLS("#size-cells", 1);
	PROP_CELLS("ranges", 0, 0, 0x10000000, 0x1000, 0x1000, 1, 0, 0x1000);
	node_begin("uart@10");
	PROP_CELLS("reg", 0x10, 0x20, 0x1800, 0x10, 0x9000, 0x10);
	PROP_STRING("compatible", "arm,pl011\0arm,primecell");
	PROP_CELLS("interrupts", 0, 1, 4, 0, 2, 1);
	node_end();
	node_begin("uart@20");
	PROP_CELLS("interrupts-extended", 2, 7, 1, 1, 13, 8);
	PROP_STRING("compatible", "arm,pl011");
	PROP_STRING("status", "disabled");
	node_end();
	node_begin("uart@30");
	PROP_STRING("compatible", "arm,pl011");
	PROP_STRING("status", "okay");
	node_end();
	node_end();
	node_begin("i2c");
	PROP_CELLS("#address-cells", 1);
	PROP_CELLS("#size-cells", 0);
	node_begin("chip@50");
	PROP_CELLS("reg", 0x50);
	node_end();
	node_end();
	node_end();
	writer_end();
}

static bool machine_open(struct fdt *t)
{
	write_machine();
	return fdt_open(t, w.blob, w.blob_len) == 0;
}

// ---- whole trees ----

KTEST(fdt, nodes)
{
	struct fdt t;
	u32 depth = 0, n = 0, deepest = 0;

	ASSERT_TRUE(machine_open(&t));
	EXPECT_EQ(fdt_total_len(w.blob), w.blob_len);
	EXPECT_EQ(t.boot_cpu, 3);
	for (u32 node = fdt_root(&t); node != FDT_NONE; node = fdt_next(&t, node, &depth), n++)
		deepest = max(deepest, depth);
	EXPECT_EQ(n, 10);
	EXPECT_EQ(deepest, 2);
	u32 bus = fdt_path(&t, "/bus"), uart = fdt_path(&t, "/bus@10000000/uart@20");

	ASSERT_NE(bus, FDT_NONE);
	ASSERT_NE(uart, FDT_NONE);
	EXPECT_STREQ(fdt_name(&t, bus), "bus@10000000");
	EXPECT_EQ(fdt_parent(&t, uart), bus);
	EXPECT_EQ(fdt_parent(&t, bus), fdt_root(&t));
	EXPECT_EQ(fdt_parent(&t, fdt_root(&t)), FDT_NONE);
	EXPECT_EQ(fdt_sibling(&t, bus), fdt_path(&t, "/i2c"));
	EXPECT_EQ(fdt_sibling(&t, fdt_path(&t, "/i2c")), FDT_NONE);
	EXPECT_EQ(fdt_sibling(&t, fdt_path(&t, "/gic/its")), FDT_NONE);
	EXPECT_EQ(fdt_child(&t, uart), FDT_NONE);
	EXPECT_STREQ(fdt_name(&t, fdt_child(&t, bus)), "uart@10");
	EXPECT_EQ(fdt_path(&t, "/"), fdt_root(&t));
	EXPECT_EQ(fdt_path(&t, "/bu"), FDT_NONE);
	EXPECT_EQ(fdt_path(&t, "/bus@1/uart"), FDT_NONE);
	EXPECT_EQ(fdt_by_phandle(&t, 2), fdt_path(&t, "/gic/its"));
	EXPECT_EQ(fdt_by_phandle(&t, 3), FDT_NONE);
	EXPECT_EQ(fdt_by_phandle(&t, 0), FDT_NONE);
}

KTEST(fdt, properties)
{
	struct fdt t;
	u32 len;
	u64 addr, n;

	ASSERT_TRUE(machine_open(&t));
	u32 root = fdt_root(&t), bus = fdt_path(&t, "/bus");

	EXPECT_STREQ(fdt_string(&t, root, "model"), "test");
	EXPECT_NULL(fdt_string(&t, root, "mode"));
	EXPECT_NULL(fdt_string(&t, fdt_path(&t, "/memory"), "ranges"));
	EXPECT_NOT_NULL(fdt_prop(&t, bus, "ranges", &len));
	EXPECT_EQ(len, 32);
	EXPECT_NULL(fdt_prop(&t, root, "ranges", &len));
	EXPECT_EQ(len, 0);
	EXPECT_EQ(fdt_u32(&t, root, "#size-cells", 9), 2);
	EXPECT_EQ(fdt_u32(&t, root, "model", 9), 9);
	EXPECT_TRUE(fdt_is_compatible(&t, bus, "simple-bus"));
	EXPECT_FALSE(fdt_is_compatible(&t, bus, "simple"));
	EXPECT_FALSE(fdt_is_compatible(&t, bus, "bus"));
	u32 uart = fdt_compatible_next(&t, FDT_NONE, "arm,pl011");

	EXPECT_EQ(uart, fdt_path(&t, "/bus/uart@10"));
	uart = fdt_compatible_next(&t, uart, "arm,pl011"); // one is disabled
	EXPECT_EQ(uart, fdt_path(&t, "/bus/uart@30"));
	EXPECT_EQ(fdt_compatible_next(&t, uart, "arm,pl011"), FDT_NONE);
	EXPECT_TRUE(fdt_reservation(&t, 0, &addr, &n));
	EXPECT_EQ(addr, 0x1000);
	EXPECT_EQ(n, 0x2000);
	EXPECT_FALSE(fdt_reservation(&t, 1, &addr, &n));
	EXPECT_FALSE(fdt_reservation(&t, ~0u, &addr, &n));
}

KTEST(fdt, addresses)
{
	struct fdt t;
	u64 addr, len;

	ASSERT_TRUE(machine_open(&t));
	u32 memory = fdt_path(&t, "/memory"), uart = fdt_path(&t, "/bus/uart@10");

	EXPECT_TRUE(fdt_reg(&t, memory, 1, &addr, &len));
	EXPECT_EQ(addr, 0x100000000);
	EXPECT_EQ(len, 0x200000000);
	EXPECT_FALSE(fdt_reg(&t, memory, 2, &addr, &len));
	EXPECT_TRUE(fdt_reg(&t, uart, 0, &addr, &len)); // by the bus's first range
	EXPECT_EQ(addr, 0x10000010);
	EXPECT_EQ(len, 0x20);
	EXPECT_TRUE(fdt_reg(&t, uart, 1, &addr, &len)); // by its second
	EXPECT_EQ(addr, 0x100000800);
	EXPECT_FALSE(fdt_reg(&t, uart, 2, &addr, &len)); // by none
	EXPECT_FALSE(fdt_reg(&t, uart, ~0u, &addr, &len));
	EXPECT_FALSE(fdt_reg(&t, fdt_path(&t, "/i2c/chip"), 0, &addr, &len)); // a bus of its own
	EXPECT_FALSE(fdt_reg(&t, fdt_root(&t), 0, &addr, &len));
}

KTEST(fdt, interrupts)
{
	struct fdt t;
	struct fdt_irq irq;

	ASSERT_TRUE(machine_open(&t));
	u32 gic = fdt_path(&t, "/gic"), its = fdt_path(&t, "/gic/its"),
	    uart = fdt_path(&t, "/bus/uart@10");

	ASSERT_TRUE(fdt_irq(&t, uart, 1, &irq));
	EXPECT_EQ(irq.controller, gic);
	EXPECT_EQ(irq.ncells, 3);
	EXPECT_EQ(irq.cells[1], 2);
	EXPECT_EQ(irq.cells[2], 1);
	EXPECT_FALSE(fdt_irq(&t, uart, 2, &irq));
	uart = fdt_path(&t, "/bus/uart@20");
	ASSERT_TRUE(fdt_irq(&t, uart, 0, &irq));
	EXPECT_EQ(irq.controller, its);
	EXPECT_EQ(irq.cells[0], 7);
	ASSERT_TRUE(fdt_irq(&t, uart, 1, &irq));
	EXPECT_EQ(irq.controller, gic);
	EXPECT_EQ(irq.cells[1], 13);
	EXPECT_FALSE(fdt_irq(&t, uart, 2, &irq));
	EXPECT_FALSE(fdt_irq(&t, fdt_path(&t, "/bus/uart@30"), 0, &irq));
}

// ---- malformed ones ----

// Uses everything; the sanitizers say whether that was right.
static void use_all(const struct fdt *t)
{
	u64 addr, len;
	u32 depth = 0, nodes = 0;
	struct fdt_irq irq;

	for (u32 node = fdt_root(t); node != FDT_NONE; node = fdt_next(t, node, &depth)) {
		const char *name;
		const void *value;
		u32 bytes, sum = 0;

		for (u32 i = 0; fdt_prop_at(t, node, i, &name, &value, &bytes); i++)
			for (u32 b = 0; b < bytes; b++)
				sum += ((const u8 *)value)[b];
		*(volatile u32 *)&sum = sum + (u32)strlen(fdt_name(t, node));
		(void)fdt_parent(t, node);
		(void)fdt_sibling(t, node);
		(void)fdt_child(t, node);
		(void)fdt_is_enabled(t, node);
		for (u32 i = 0; i < 4; i++) {
			(void)fdt_reg(t, node, i, &addr, &len);
			(void)fdt_irq(t, node, i, &irq);
		}
		if (nodes++ > 4096) // more than fit
			__builtin_trap();
	}
	(void)fdt_compatible_next(t, FDT_NONE, "arm,pl011");
	(void)fdt_path(t, "/bus@10000000/uart@20");
	for (u32 i = 0; i < 300 && fdt_reservation(t, i, &addr, &len); i++)
		;
}

// The bytes on the heap where the host has one, so that the sanitizer sees an access behind them.
static void try_bytes(const u8 *bytes, u32 len)
{
	struct fdt t;
#if __STDC_HOSTED__
	u8 *copy = malloc(max(len, 1u));

	memcpy(copy, bytes, len);
	if (fdt_open(&t, copy, len) == 0)
		use_all(&t);
	free(copy);
#else
	if (fdt_open(&t, bytes, len) == 0)
		use_all(&t);
#endif
}

KTEST(fdt, truncated)
{
	struct fdt t;

	write_machine();
	for (u32 len = 0; len < w.blob_len; len++) {
		EXPECT_EQ(fdt_open(&t, w.blob, len), -EINVAL);
		EXPECT_NOT_NULL(t.reason);
		if (len < FDT_HEADER_LEN)
			continue;
		u8 saved[4]; // and with a header that says so

		memcpy(saved, w.blob + 4, 4);
		store_be32(w.blob + 4, len);
		try_bytes(w.blob, len);
		memcpy(w.blob + 4, saved, 4);
	}
	EXPECT_EQ(fdt_open(&t, w.blob, w.blob_len), 0);
}

KTEST(fdt, every_word_wrong)
{
	static const u32 values[] = {
		0, 1, 2, 3, 4, 9, 0x7fffffff, 0x80000000, ~0u, 0xfffffffc, 0xffffffff - 7};

	write_machine();
	for (u32 at = 0; at + 4 <= w.blob_len; at += 4) {
		u8 saved[4];

		memcpy(saved, w.blob + at, 4);
		for (u32 i = 0; i < ARRAY_SIZE(values); i++) {
			store_be32(w.blob + at, values[i]);
			try_bytes(w.blob, w.blob_len);
		}
		memcpy(w.blob + at, saved, 4);
	}
}

KTEST(fdt, random_damage)
{
	u64 seed = 20;

	for (u32 round = 0; round < 20000; round++) {
		write_machine();
		for (u64 n = ktest_random(&seed) % 6 + 1; n; n--)
			w.blob[ktest_random(&seed) % w.blob_len] = (u8)ktest_random(&seed);
		try_bytes(w.blob, w.blob_len);
	}
}

static const char *why_refused(void)
{
	struct fdt t;

	writer_end();
	return fdt_open(&t, w.blob, w.blob_len) ? t.reason : "nothing";
}

KTEST(fdt, malformed_structures)
{
	writer_begin();
	EXPECT_STREQ(why_refused(), "its structure ends inside of a node"); // no root
	writer_begin();
	node_begin("");
	EXPECT_STREQ(why_refused(), "its structure ends inside of a node");
	writer_begin();
	node_begin("");
	node_end();
	node_end();
	EXPECT_STREQ(why_refused(), "a node ends that did not begin");
	writer_begin();
	node_begin("");
	node_end();
	node_begin("");
	node_end();
	EXPECT_STREQ(why_refused(), "it has two roots");
	writer_begin();
	PROP_CELLS("a", 1);
	EXPECT_STREQ(why_refused(), "a property stands outside of a node, or behind its nodes");
	writer_begin();
	node_begin("");
	node_begin("a");
	node_end();
	PROP_CELLS("a", 1);
	node_end();
	EXPECT_STREQ(why_refused(), "a property stands outside of a node, or behind its nodes");
	writer_begin();
	for (u32 i = 0; i <= FDT_DEPTH_MAX; i++)
		node_begin("");
	for (u32 i = 0; i <= FDT_DEPTH_MAX; i++)
		node_end();
	EXPECT_STREQ(why_refused(), "its nodes lie too deep in one another");
	writer_begin();
	put32(5);
	EXPECT_STREQ(why_refused(), "a token of its structure is malformed");
}

// The deepest tree that is allowed: what counts depths must not run over.
KTEST(fdt, deep)
{
	struct fdt t;
	u32 depth = 0, last = FDT_NONE;

	writer_begin();
	for (u32 i = 0; i < FDT_DEPTH_MAX; i++)
		node_begin(i ? "n" : "");
	for (u32 i = 0; i < FDT_DEPTH_MAX; i++)
		node_end();
	writer_end();
	ASSERT_EQ(fdt_open(&t, w.blob, w.blob_len), 0);
	for (u32 node = fdt_root(&t); node != FDT_NONE; node = fdt_next(&t, node, &depth))
		last = node;
	EXPECT_EQ(depth, FDT_DEPTH_MAX - 1);
	EXPECT_EQ(fdt_sibling(&t, last), FDT_NONE);
	depth = 0;
	for (u32 node = last; node != FDT_NONE; node = fdt_parent(&t, node))
		depth++;
	EXPECT_EQ(depth, FDT_DEPTH_MAX);
}

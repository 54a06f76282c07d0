// SPDX-License-Identifier: MIT
// fdt_cli.c: prints a device tree by base/fdt.c, for comparison with other implementations.
//
// usage: fdt_cli props|regs < tree
// props: one line a property: path, name, value in hexadecimal bytes. regs: one line for each
// entry of `reg` that the CPU sees: path, address, length. Exit status 1 on an error, with the
// reason on stderr.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fdt.h"

static struct fdt tree;

static void print_path(u32 node)
{
	u32 up = fdt_parent(&tree, node);

	if (up == FDT_NONE)
		return;
	print_path(up); // as deep as the tree, which is bounded
	printf("/%s", fdt_name(&tree, node));
}

static void print_props(u32 node)
{
	const char *name;
	const void *value;
	u32 len;

	for (u32 i = 0; fdt_prop_at(&tree, node, i, &name, &value, &len); i++) {
		print_path(node);
		printf(" %s", name);
		for (u32 b = 0; b < len; b++)
			printf(" %02x", ((const u8 *)value)[b]);
		putchar('\n');
	}
}

static void print_regs(u32 node)
{
	u64 addr, len;

	for (u32 i = 0; fdt_reg(&tree, node, i, &addr, &len); i++) {
		print_path(node);
		printf(" %llx %llx\n", addr, len);
	}
}

int main(int argc, char **argv)
{
	bool props = argc == 2 && !strcmp(argv[1], "props");

	if (!props && (argc != 2 || strcmp(argv[1], "regs") != 0)) {
		fprintf(stderr, "usage: %s props|regs\n", argv[0]);
		return 2;
	}
	u8 *in = malloc(FDT_LEN_MAX);
	size_t len = fread(in, 1, FDT_LEN_MAX, stdin);

	in = realloc(in, len ? len : 1);
	if (fdt_open(&tree, in, len)) {
		fprintf(stderr, "%s\n", tree.reason);
		free(in);
		return 1;
	}
	for (u32 node = fdt_root(&tree); node != FDT_NONE; node = fdt_next(&tree, node, nullptr))
		(props ? print_props : print_regs)(node);
	free(in);
	return 0;
}

// SPDX-License-Identifier: MIT
// fdt_cli.c: prints a device tree by base/fdt.c, for comparison with other implementations.
//
// usage: fdt_cli props|regs|machine < tree
// props: one line a property: path, name, value in hexadecimal bytes. regs: one line for each
// entry of `reg` that the CPU sees: path, address, length. machine: what base/fdt_machine.c
// makes of it. Exit status 1 on an error, with the reason on stderr.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fdt_machine.h"

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

static void print_range(const char *what, struct machine_range r)
{
	printf("%s %llx %llx\n", what, r.base, r.len);
}

static void print_pci(const struct machine_pci *p)
{
	printf("pci %x %x %x%s\n", p->segment, p->first_bus, p->last_bus, p->keep ? " keep" : "");
	print_range("ecam", p->ecam);
	for (u32 i = 0; i < p->nwindows; i++)
		printf("window %llx %llx %llx%s%s\n", p->windows[i].pci, p->windows[i].cpu,
		       p->windows[i].len, p->windows[i].io ? " io" : "",
		       p->windows[i].wide ? " wide" : "");
	for (u32 i = 0; i < p->nmaps; i++)
		printf("msi %x %x %x its %x\n", p->maps[i].first, p->maps[i].n, p->maps[i].id,
		       p->maps[i].its);
}

static void print_machine(void)
{
	static const char *const conduits[] = {"none", "hvc", "smc"};
	struct machine m = {};

	printf("gic %s", fdt_machine(&tree, &m) ? "" : "none ");
	printf("%u\npsci %s\ntimer %u%s\n", m.gic + 1, conduits[m.psci], m.timer.intid,
	       m.timer.level ? " level" : "");
	for (u32 i = 0; i < m.ncpus; i++)
		printf("cpu %llx\n", m.mpidr[i]);
	print_range("gicd", m.gicd);
	print_range("gicc", m.gicc);
	for (u32 i = 0; i < m.ngicrs; i++)
		print_range("gicr", m.gicrs[i]);
	for (u32 i = 0; i < m.nits; i++)
		print_range("its", m.its[i]);
	for (u32 i = 0; i < m.nv2ms; i++)
		print_range("v2m", m.v2m[i].registers);
	for (u32 i = 0; i < m.nuarts; i++) {
		print_range(i == m.console ? "console" : "uart", m.uarts[i].registers);
		printf("irq %u clock %u\n", m.uarts[i].irq.intid, m.uarts[i].clock_hz);
	}
	print_range("rtc", m.rtc);
	for (u32 i = 0; i < m.npcis; i++)
		print_pci(&m.pcis[i]);
}

int main(int argc, char **argv)
{
	bool props = argc == 2 && !strcmp(argv[1], "props");
	bool machine = argc == 2 && !strcmp(argv[1], "machine");

	if (!props && !machine && (argc != 2 || strcmp(argv[1], "regs") != 0)) {
		fprintf(stderr, "usage: %s props|regs|machine\n", argv[0]);
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
	if (machine)
		print_machine();
	for (u32 node = machine ? FDT_NONE : fdt_root(&tree); node != FDT_NONE;
	     node = fdt_next(&tree, node, nullptr))
		(props ? print_props : print_regs)(node);
	free(in);
	return 0;
}

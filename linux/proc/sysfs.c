// SPDX-License-Identifier: MIT
// sysfs.c owns the file system type "sysfs": processors, memory node, clock, PCI functions and the
// kernel's own facts, as a table; block devices stand in disks.c. Privileged.
//
// It shows what programs look for and what is true here; there is no tree of kernel objects behind
// it.
#include "linux/proc/sysfs.h"
#include "base/fmt.h"
#include "base/string.h"
#include "core/page.h"
#include "core/pci.h"
#include "core/smp.h"
#include "core/time.h"
#include "linux/proc/disks.h"
#include "linux/proc/memory_sums.h"
#include "linux/proc/proc.h"
#include "linux/service.h"

static int put_line(struct text *t, const char *s)
{
	text_puts(t, s);
	text_putc(t, '\n');
	return 0;
}

// ---- processors ----

static int show_cpu_list(struct text *t, struct node *n)
{
	(void)n;
	text_bit_list(t, cpumask_all());
	text_putc(t, '\n');
	return 0;
}

static int show_cpu_map(struct text *t, struct node *n)
{
	(void)n;
	text_hex(t, cpumask_all(), div_round_up(smp_ncpus, 4), '\n');
	return 0;
}

static int show_offline(struct text *t, struct node *n)
{
	(void)n;
	text_putc(t, '\n');
	return 0;
}

static int show_kernel_max(struct text *t, struct node *n)
{
	(void)n;
	text_u64(t, CPU_MAX - 1, '\n');
	return 0;
}

static int show_own_list(struct text *t, struct node *n)
{
	text_u64(t, n->id, '\n');
	return 0;
}

static int show_own_map(struct text *t, struct node *n)
{
	text_hex(t, 1ull << n->id, div_round_up(smp_ncpus, 4), '\n');
	return 0;
}

static int show_1(struct text *t, struct node *n)
{
	(void)n;
	return put_line(t, "1");
}

static int show_0(struct text *t, struct node *n)
{
	(void)n;
	return put_line(t, "0");
}

static bool cpu_next(const struct node *dir, u64 *id)
{
	(void)dir;
	return *id < smp_ncpus;
}

// One socket with a core for each CPU: what firmware says about threads and sockets is not looked
// at.
static const struct entry topology_entries[] = {
	{"core_cpus", S_IFREG | 0444, .show = show_own_map},
	{"core_cpus_list", S_IFREG | 0444, .show = show_own_list},
	{"core_id", S_IFREG | 0444, .show = show_own_list},
	{"core_siblings", S_IFREG | 0444, .show = show_cpu_map},
	{"core_siblings_list", S_IFREG | 0444, .show = show_cpu_list},
	{"package_cpus", S_IFREG | 0444, .show = show_cpu_map},
	{"package_cpus_list", S_IFREG | 0444, .show = show_cpu_list},
	{"physical_package_id", S_IFREG | 0444, .show = show_0},
	{"thread_siblings", S_IFREG | 0444, .show = show_own_map},
	{"thread_siblings_list", S_IFREG | 0444, .show = show_own_list},
	{},
};
static const struct entry one_cpu_entries[] = {
	{"online", S_IFREG | 0444, .show = show_1},
	{"topology", S_IFDIR | 0555, .children = topology_entries},
	{},
};
static const struct entry one_cpu = {"", S_IFDIR | 0555, .children = one_cpu_entries};
static const struct entry_dynamic cpus = {.entry = &one_cpu, .prefix = "cpu", .next = cpu_next};

static const struct entry cpu_entries[] = {
	{"kernel_max", S_IFREG | 0444, .show = show_kernel_max},
	{"offline", S_IFREG | 0444, .show = show_offline},
	{"online", S_IFREG | 0444, .show = show_cpu_list},
	{"possible", S_IFREG | 0444, .show = show_cpu_list},
	{"present", S_IFREG | 0444, .show = show_cpu_list},
	{},
};

// ---- memory ----

static int show_node_meminfo(struct text *t, struct node *n)
{
	constexpr u64 page_kib = PAGE_SIZE / KiB;
	struct memory_sums m;
	(void)n;
	memory_sums_read(&m);
	const struct {
		const char *name;
		u64 pages;
	} rows[] = {
		{"MemTotal:", m.total},		{"MemFree:", m.free},
		{"MemUsed:", m.total - m.free}, {"FilePages:", m.cached + m.buffers},
		{"AnonPages:", m.anon},		{"Shmem:", m.cached},
		{"PageTables:", m.tables},	{"Slab:", m.slab},
		{"SReclaimable:", 0},		{"SUnreclaim:", m.slab},
	};
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
		text_printf(t, "Node 0 %-15s%8llu kB\n", rows[i].name, rows[i].pages * page_kib);
	return 0;
}

static int show_distance(struct text *t, struct node *n)
{
	(void)n;
	return put_line(t, "10");
}

static const struct entry node0_entries[] = {
	{"cpulist", S_IFREG | 0444, .show = show_cpu_list},
	{"cpumap", S_IFREG | 0444, .show = show_cpu_map},
	{"distance", S_IFREG | 0444, .show = show_distance},
	{"meminfo", S_IFREG | 0444, .show = show_node_meminfo},
	{},
};
static const struct entry node_entries[] = {
	{"has_cpu", S_IFREG | 0444, .show = show_0},
	{"has_memory", S_IFREG | 0444, .show = show_0},
	{"node0", S_IFDIR | 0555, .children = node0_entries},
	{"online", S_IFREG | 0444, .show = show_0},
	{"possible", S_IFREG | 0444, .show = show_0},
	{},
};

// ---- clock ----

static int show_clocksource(struct text *t, struct node *n)
{
	(void)n;
	return put_line(t, clock_source_name());
}

static const struct entry clocksource0_entries[] = {
	{"available_clocksource", S_IFREG | 0444, .show = show_clocksource},
	{"current_clocksource", S_IFREG | 0444, .show = show_clocksource},
	{},
};
static const struct entry clocksource_entries[] = {
	{"clocksource0", S_IFDIR | 0555, .children = clocksource0_entries},
	{},
};

// ---- PCI functions: numbered in the order in which they were found ----

static struct pci_device *pci_nth(u64 id)
{
	struct pci_device *d = pci_next(nullptr);
	while (d && id--)
		d = pci_next(d);
	return d;
}

static bool pci_child_next(const struct node *dir, u64 *id)
{
	(void)dir;
	return pci_nth(*id) != nullptr;
}

static void pci_child_name(const struct node *dir, u64 id, char *buf, size_t cap)
{
	const struct pci_device *d = pci_nth(id);
	(void)dir;
	snprintf(buf, cap, "%04x:%02x:%02x.%x", d->segment, d->bus, d->slot, d->function);
}

static int show_vendor(struct text *t, struct node *n)
{
	text_printf(t, "0x%04x\n", pci_nth(n->id)->vendor);
	return 0;
}

static int show_device(struct text *t, struct node *n)
{
	text_printf(t, "0x%04x\n", pci_nth(n->id)->device);
	return 0;
}

static int show_subsystem_vendor(struct text *t, struct node *n)
{
	text_printf(t, "0x%04x\n", pci_nth(n->id)->subsystem_vendor);
	return 0;
}

static int show_subsystem_device(struct text *t, struct node *n)
{
	text_printf(t, "0x%04x\n", pci_nth(n->id)->subsystem);
	return 0;
}

static int show_class(struct text *t, struct node *n)
{
	const struct pci_device *d = pci_nth(n->id);
	text_printf(t, "0x%02x%02x%02x\n", d->class_code, d->subclass, d->prog_if);
	return 0;
}

static int show_revision(struct text *t, struct node *n)
{
	text_printf(t, "0x%02x\n", pci_nth(n->id)->revision);
	return 0;
}

static int show_modalias(struct text *t, struct node *n)
{
	const struct pci_device *d = pci_nth(n->id);
	text_printf(t, "pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X\n", d->vendor, d->device,
		    d->subsystem_vendor, d->subsystem, d->class_code, d->subclass, d->prog_if);
	return 0;
}

static int show_uevent(struct text *t, struct node *n)
{
	const struct pci_device *d = pci_nth(n->id);
	text_printf(
		t,
		"PCI_CLASS=%X%02X%02X\nPCI_ID=%04X:%04X\nPCI_SUBSYS_ID=%04X:%04X\nPCI_SLOT_NAME=%04x:%02x:%02x.%x\n",
		d->class_code, d->subclass, d->prog_if, d->vendor, d->device, d->subsystem_vendor,
		d->subsystem, d->segment, d->bus, d->slot, d->function);
	return 0;
}

// The first 64 bytes of configuration space: the standard header, which has no side effects when
// read.
static int show_config(struct text *t, struct node *n)
{
	const struct pci_device *d = pci_nth(n->id);
	for (u32 at = 0; at < 64; at += 4) {
		u32 word = pci_config_read(d, at, 4);
		text_append(t, (const char *)&word, sizeof(word));
	}
	return 0;
}

static const struct entry pci_device_entries[] = {
	{"class", S_IFREG | 0444, .show = show_class},
	{"config", S_IFREG | 0444, .show = show_config},
	{"device", S_IFREG | 0444, .show = show_device},
	{"modalias", S_IFREG | 0444, .show = show_modalias},
	{"revision", S_IFREG | 0444, .show = show_revision},
	{"subsystem_device", S_IFREG | 0444, .show = show_subsystem_device},
	{"subsystem_vendor", S_IFREG | 0444, .show = show_subsystem_vendor},
	{"uevent", S_IFREG | 0444, .show = show_uevent},
	{"vendor", S_IFREG | 0444, .show = show_vendor},
	{},
};
static const struct entry pci_device_entry = {"", S_IFDIR | 0555, .children = pci_device_entries};
static const struct entry_dynamic pci_devices = {
	.entry = &pci_device_entry, .next = pci_child_next, .name = pci_child_name};

static const struct entry pci_entries[] = {
	{"devices", S_IFDIR | 0555, .dynamic = &pci_devices},
	{},
};

// ---- character devices by number ----

struct device_search {
	u64 at; // numbers below do not count
	bool found;
	u64 dev;
	char name[64];
};

static void device_look(void *ctx, bool block, u32 major, u32 minor, const char *name)
{
	struct device_search *s = ctx;
	u64 dev = dev_make(major, minor);
	if (block || dev < s->at || (s->found && dev >= s->dev))
		return;
	s->found = true;
	s->dev = dev;
	strscpy(s->name, name, sizeof(s->name));
}

// The first device whose number is at least dev.
static bool device_find(u64 dev, struct device_search *s)
{
	*s = (struct device_search){.at = dev};
	dev_for_each(device_look, s);
	return s->found;
}

static bool char_next(const struct node *dir, u64 *id)
{
	struct device_search s;
	(void)dir;
	if (!device_find(*id, &s))
		return false;
	*id = s.dev;
	return true;
}

static void char_name(const struct node *dir, u64 id, char *buf, size_t cap)
{
	(void)dir;
	snprintf(buf, cap, "%u:%u", dev_major(id), dev_minor(id));
}

static int show_dev(struct text *t, struct node *n)
{
	text_printf(t, "%u:%u\n", dev_major(n->id), dev_minor(n->id));
	return 0;
}

static int show_dev_uevent(struct text *t, struct node *n)
{
	struct device_search s;
	if (!device_find(n->id, &s) || s.dev != n->id)
		return -ENODEV;
	text_printf(t, "MAJOR=%u\nMINOR=%u\nDEVNAME=%s\n", dev_major(s.dev), dev_minor(s.dev),
		    s.name);
	return 0;
}

static const struct entry char_device_entries[] = {
	{"dev", S_IFREG | 0444, .show = show_dev},
	{"uevent", S_IFREG | 0444, .show = show_dev_uevent},
	{},
};
static const struct entry char_device_entry = {"", S_IFDIR | 0555, .children = char_device_entries};
static const struct entry_dynamic char_devices = {
	.entry = &char_device_entry, .next = char_next, .name = char_name};

static const struct entry dev_entries[] = {
	{"block", S_IFDIR | 0555, .dynamic = &sysfs_block_numbers},
	{"char", S_IFDIR | 0555, .dynamic = &char_devices},
	{},
};

// ---- random number generators ----

static int show_rng_current(struct text *t, struct node *n)
{
	(void)n;
	return put_line(t, hwrng_name(0) ?: "none");
}

static int show_rng_available(struct text *t, struct node *n)
{
	const char *name;

	(void)n;
	for (u32 i = 0; (name = hwrng_name(i)); i++)
		text_printf(t, i ? " %s" : "%s", name);
	text_putc(t, '\n');
	return 0;
}

static const struct entry hw_random_entries[] = {
	{"rng_available", S_IFREG | 0444, .show = show_rng_available},
	{"rng_current", S_IFREG | 0444, .show = show_rng_current},
	{},
};
static const struct entry misc_entries[] = {
	{"hw_random", S_IFDIR | 0555, .children = hw_random_entries},
	{},
};
static const struct entry class_entries[] = {
	{"block", S_IFDIR | 0555, .dynamic = &sysfs_class_block},
	{"misc", S_IFDIR | 0555, .children = misc_entries},
	{},
};

// ---- the kernel ----

static int show_thp_enabled(struct text *t, struct node *n)
{
	(void)n;
	return put_line(t, "[always] madvise never");
}

static int show_hpage_pmd_size(struct text *t, struct node *n)
{
	(void)n;
	text_u64(t, PAGE_SIZE << PAGE_ORDER_HUGE, '\n');
	return 0;
}

static const struct entry thp_entries[] = {
	{"enabled", S_IFREG | 0444, .show = show_thp_enabled},
	{"hpage_pmd_size", S_IFREG | 0444, .show = show_hpage_pmd_size},
	{},
};
static const struct entry mm_entries[] = {
	{"transparent_hugepage", S_IFDIR | 0555, .children = thp_entries},
	{},
};
static const struct entry kernel_entries[] = {
	{"mm", S_IFDIR | 0555, .children = mm_entries},
	{},
};

// ---- the tree ----

static const struct entry system_entries[] = {
	{"clocksource", S_IFDIR | 0555, .children = clocksource_entries},
	{"cpu", S_IFDIR | 0555, .children = cpu_entries, .dynamic = &cpus},
	{"node", S_IFDIR | 0555, .children = node_entries},
	{},
};
static const struct entry devices_entries[] = {
	{"system", S_IFDIR | 0555, .children = system_entries},
	{},
};
static const struct entry bus_entries[] = {
	{"pci", S_IFDIR | 0555, .children = pci_entries},
	{},
};
static const struct entry root_entries[] = {
	{"block", S_IFDIR | 0555, .dynamic = &sysfs_disks},
	{"bus", S_IFDIR | 0555, .children = bus_entries},
	{"class", S_IFDIR | 0555, .children = class_entries},
	{"dev", S_IFDIR | 0555, .children = dev_entries},
	{"devices", S_IFDIR | 0555, .children = devices_entries},
	{"kernel", S_IFDIR | 0555, .children = kernel_entries},
	{},
};
static const struct entry root = {"/", S_IFDIR | 0555, .children = root_entries};

static int sysfs_mount(const struct fs_type *type, const char *source, const char *options,
		       u64 flags, struct super_block **out)
{
	static struct super_block *the_tree;
	(void)source;
	(void)options;
	(void)flags;
	return tree_mount(type, &root, &the_tree, out);
}

struct fs_type sysfs_type = {.name = "sysfs", .magic = 0x62656572, .mount = sysfs_mount};

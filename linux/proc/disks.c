// SPDX-License-Identifier: MIT
// disks.c: block devices in /proc/partitions, /proc/diskstats, /sys/block, /sys/class/block and
// /sys/dev/block. Privileged.
//
// The number by which a directory of sysfs finds a disk or a partition is its device number. The
// directories themselves are those of /sys/block; everything else is a link to them. A partition
// may go while its files are open: they answer -ENODEV.
#include "linux/proc/disks.h"
#include "base/fmt.h"
#include "base/string.h"
#include "core/page.h"
#include "linux/block.h"

constexpr u32 SECTORS_IN_KIB = 1024 / BLOCK_SECTOR;

static u64 bdev_sectors(const struct bdev *b)
{
	return load_once(&b->sectors);
}

// ---- statistics ----

// The numbers of one device, in the order and units of Linux (Documentation/admin-guide/iostats).
static void put_stats(struct text *t, struct bdev *b)
{
	struct disk_stats s;
	u64 total_ms = 0;

	bdev_stats_read(b, &s);
	for (u32 i = 0; i < ACCOUNT_KINDS; i++)
		total_ms += s.ms[i];
	for (u32 i = ACCOUNT_READ; i <= ACCOUNT_WRITE; i++) // 0: nothing is merged
		text_printf(t, " %llu 0 %llu %llu", s.count[i], s.sectors[i], s.ms[i]);
	text_printf(t, " %u %llu %llu", s.in_flight, s.busy_ms, total_ms);
	text_printf(t, " %llu 0 %llu %llu", s.count[ACCOUNT_DISCARD], s.sectors[ACCOUNT_DISCARD],
		    s.ms[ACCOUNT_DISCARD]);
	text_printf(t, " %llu %llu\n", s.count[ACCOUNT_FLUSH], s.ms[ACCOUNT_FLUSH]);
}

int proc_show_diskstats(struct text *t, struct node *n)
{
	(void)n;
	for (struct bdev *b = bdev_next(nullptr); b; b = bdev_next(b)) {
		text_printf(t, "%4u %7u %s", b->major, b->minor, b->name);
		put_stats(t, b);
	}
	return 0;
}

int proc_show_partitions(struct text *t, struct node *n)
{
	(void)n;
	text_puts(t, "major minor  #blocks  name\n\n");
	for (struct bdev *b = bdev_next(nullptr); b; b = bdev_next(b))
		if (bdev_sectors(b))
			text_printf(t, "%4u  %7u %10llu %s\n", b->major, b->minor,
				    bdev_sectors(b) / SECTORS_IN_KIB, b->name);
	return 0;
}

// ---- one device ----

static u64 bdev_id(const struct bdev *b)
{
	return dev_make(b->major, b->minor);
}

// What a node stands for; nullptr: a partition that is no more.
static struct bdev *node_bdev(const struct node *n)
{
	struct bdev *b = bdev_find(dev_major(n->id), dev_minor(n->id));

	return b && (!b->partition || bdev_sectors(b)) ? b : nullptr;
}

#define BDEV_OR_RETURN(b, n)             \
	struct bdev *(b) = node_bdev(n); \
	do {                             \
		if (!(b))                \
			return -ENODEV;  \
	} while (0)

static int show_dev(struct text *t, struct node *n)
{
	text_printf(t, "%u:%u\n", dev_major(n->id), dev_minor(n->id));
	return 0;
}

static int show_size(struct text *t, struct node *n)
{
	BDEV_OR_RETURN(b, n);
	text_u64(t, bdev_sectors(b), '\n');
	return 0;
}

static int show_start(struct text *t, struct node *n)
{
	BDEV_OR_RETURN(b, n);
	text_u64(t, load_once(&b->start), '\n');
	return 0;
}

static int show_partition(struct text *t, struct node *n)
{
	BDEV_OR_RETURN(b, n);
	text_u64(t, b->partition, '\n');
	return 0;
}

static int show_ro(struct text *t, struct node *n)
{
	BDEV_OR_RETURN(b, n);
	text_u64(t, disk_limits(b->disk)->flags & BLOCK_READ_ONLY ? 1 : 0, '\n');
	return 0;
}

static int show_serial(struct text *t, struct node *n)
{
	char serial[DISK_SERIAL];

	BDEV_OR_RETURN(b, n);
	disk_serial(b->disk, serial);
	text_puts(t, serial); // without a newline, as Linux has it
	return 0;
}

static int show_stat(struct text *t, struct node *n)
{
	BDEV_OR_RETURN(b, n);
	put_stats(t, b);
	return 0;
}

static int show_uevent(struct text *t, struct node *n)
{
	BDEV_OR_RETURN(b, n);
	text_printf(t, "MAJOR=%u\nMINOR=%u\nDEVNAME=%s\nDEVTYPE=%s\n", b->major, b->minor, b->name,
		    b->partition ? "partition" : "disk");
	if (b->partition)
		text_printf(t, "PARTN=%u\n", b->partition);
	if (b->label[0]) { // from the disk: not to be believed
		text_puts(t, "PARTNAME=");
		text_escaped(t, b->label, "");
		text_putc(t, '\n');
	}
	return 0;
}

static int show_zero(struct text *t, struct node *n)
{
	(void)n;
	text_puts(t, "0\n");
	return 0;
}

// ---- its queue ----

static int show_logical_block(struct text *t, struct node *n)
{
	BDEV_OR_RETURN(b, n);
	text_u64(t, disk_limits(b->disk)->logical_block, '\n');
	return 0;
}

static int show_physical_block(struct text *t, struct node *n)
{
	BDEV_OR_RETURN(b, n);
	text_u64(t, disk_limits(b->disk)->physical_block, '\n');
	return 0;
}

static int show_max_sectors(struct text *t, struct node *n)
{
	BDEV_OR_RETURN(b, n);
	text_u64(t, disk_limits(b->disk)->max_sectors / SECTORS_IN_KIB, '\n');
	return 0;
}

static int show_max_segments(struct text *t, struct node *n)
{
	BDEV_OR_RETURN(b, n);
	text_u64(t, disk_limits(b->disk)->segments, '\n');
	return 0;
}

static int show_discard_max(struct text *t, struct node *n)
{
	BDEV_OR_RETURN(b, n);
	text_u64(t, (u64)disk_limits(b->disk)->max_discard_sectors * BLOCK_SECTOR, '\n');
	return 0;
}

static int show_discard_granularity(struct text *t, struct node *n)
{
	BDEV_OR_RETURN(b, n);
	const struct block_limits *l = disk_limits(b->disk);

	text_u64(t, l->max_discard_sectors ? l->logical_block : 0, '\n');
	return 0;
}

static int show_write_zeroes_max(struct text *t, struct node *n)
{
	BDEV_OR_RETURN(b, n);
	text_u64(t, (u64)disk_limits(b->disk)->max_write_zeroes_sectors * BLOCK_SECTOR, '\n');
	return 0;
}

static int show_write_cache(struct text *t, struct node *n)
{
	BDEV_OR_RETURN(b, n);
	text_puts(t, disk_limits(b->disk)->flags & BLOCK_HAS_FLUSH ? "write back\n"
								   : "write through\n");
	return 0;
}

static const struct entry queue_entries[] = {
	{"discard_granularity", S_IFREG | 0444, .show = show_discard_granularity},
	{"discard_max_bytes", S_IFREG | 0444, .show = show_discard_max},
	{"hw_sector_size", S_IFREG | 0444, .show = show_logical_block},
	{"logical_block_size", S_IFREG | 0444, .show = show_logical_block},
	{"max_sectors_kb", S_IFREG | 0444, .show = show_max_sectors},
	{"max_segments", S_IFREG | 0444, .show = show_max_segments},
	{"minimum_io_size", S_IFREG | 0444, .show = show_physical_block},
	{"optimal_io_size", S_IFREG | 0444, .show = show_zero},
	{"physical_block_size", S_IFREG | 0444, .show = show_physical_block},
	{"rotational", S_IFREG | 0444, .show = show_zero},
	{"write_cache", S_IFREG | 0444, .show = show_write_cache},
	{"write_zeroes_max_bytes", S_IFREG | 0444, .show = show_write_zeroes_max},
	{},
};

// ---- directories ----

static const char *link_subsystem(struct node *n, struct link_buf *buf)
{
	const struct bdev *b = node_bdev(n);

	(void)buf;
	if (!b)
		return err_ptr(-ENODEV);
	return b->partition ? "../../../class/block" : "../../class/block";
}

// The first device whose number is at least *id, of those that are wanted.
static bool device_next(u64 *id, bool (*wanted)(const struct bdev *b, u64 dir), u64 dir)
{
	u64 best = ~0ull;

	for (struct bdev *b = bdev_next(nullptr); b; b = bdev_next(b))
		if (bdev_id(b) >= *id && bdev_id(b) < best && (!wanted || wanted(b, dir)))
			best = bdev_id(b);
	*id = best;
	return best != ~0ull;
}

static void device_name(const struct node *dir, u64 id, char *buf, size_t cap)
{
	const struct bdev *b = bdev_find(dev_major(id), dev_minor(id));

	(void)dir;
	strscpy(buf, b ? b->name : "", cap);
}

static bool is_disk(const struct bdev *b, u64 dir)
{
	(void)dir;
	return !b->partition;
}

static bool is_partition_of(const struct bdev *b, u64 dir)
{
	const struct bdev *disk = bdev_find(dev_major(dir), dev_minor(dir));

	return b->partition && disk && b->disk == disk->disk;
}

static bool disk_child_next(const struct node *dir, u64 *id)
{
	(void)dir;
	return device_next(id, is_disk, 0);
}

static bool partition_child_next(const struct node *dir, u64 *id)
{
	return device_next(id, is_partition_of, dir->id);
}

static bool any_child_next(const struct node *dir, u64 *id)
{
	(void)dir;
	return device_next(id, nullptr, 0);
}

static const struct entry partition_entries[] = {
	{"alignment_offset", S_IFREG | 0444, .show = show_zero},
	{"dev", S_IFREG | 0444, .show = show_dev},
	{.name = "holders", .mode = S_IFDIR | 0555},
	{"partition", S_IFREG | 0444, .show = show_partition},
	{"ro", S_IFREG | 0444, .show = show_ro},
	{"size", S_IFREG | 0444, .show = show_size},
	{"start", S_IFREG | 0444, .show = show_start},
	{"stat", S_IFREG | 0444, .show = show_stat},
	{"subsystem", S_IFLNK | 0777, .link = link_subsystem},
	{"uevent", S_IFREG | 0444, .show = show_uevent},
	{},
};
static const struct entry partition_entry = {"", S_IFDIR | 0555, .children = partition_entries};
static const struct entry_dynamic partitions = {
	.entry = &partition_entry, .next = partition_child_next, .name = device_name};

static const struct entry disk_entries[] = {
	{"alignment_offset", S_IFREG | 0444, .show = show_zero},
	{"dev", S_IFREG | 0444, .show = show_dev},
	{.name = "holders", .mode = S_IFDIR | 0555},
	{"queue", S_IFDIR | 0555, .children = queue_entries},
	{"removable", S_IFREG | 0444, .show = show_zero},
	{"ro", S_IFREG | 0444, .show = show_ro},
	{"size", S_IFREG | 0444, .show = show_size},
	{"serial", S_IFREG | 0444, .show = show_serial},
	{.name = "slaves", .mode = S_IFDIR | 0555},
	{"stat", S_IFREG | 0444, .show = show_stat},
	{"subsystem", S_IFLNK | 0777, .link = link_subsystem},
	{"uevent", S_IFREG | 0444, .show = show_uevent},
	{},
};
static const struct entry disk_entry = {"", S_IFDIR | 0555, .children = disk_entries,
					.dynamic = &partitions};
const struct entry_dynamic sysfs_disks = {
	.entry = &disk_entry, .next = disk_child_next, .name = device_name};

// ---- links to them ----

static const char *link_device(struct node *n, struct link_buf *buf)
{
	const struct bdev *b = node_bdev(n);

	if (!b)
		return err_ptr(-ENODEV);
	snprintf(buf->text, sizeof(buf->text), "../../block/%s%s%s", disk_name(b->disk),
		 b->partition ? "/" : "", b->partition ? b->name : "");
	return buf->text;
}

static void number_name(const struct node *dir, u64 id, char *buf, size_t cap)
{
	(void)dir;
	snprintf(buf, cap, "%u:%u", dev_major(id), dev_minor(id));
}

static const struct entry device_link = {"", S_IFLNK | 0777, .link = link_device};
const struct entry_dynamic sysfs_class_block = {
	.entry = &device_link, .next = any_child_next, .name = device_name};
const struct entry_dynamic sysfs_block_numbers = {
	.entry = &device_link, .next = any_child_next, .name = number_name};

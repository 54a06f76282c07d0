// SPDX-License-Identifier: MIT
// partition.c: provider of abi/gate/partition.h: partitions of disks, which a service finds, and
// the names of both in /dev. Privileged.
//
// A disk is scanned by a thread, when it has come or a program asks for it. The service's answers
// go into a list that belongs to the scan; only when it has ended well do they become bdevs. A bdev
// is made once for a number and lives for ever; when its partition is gone it has no sectors, and
// no file in /dev.
//
// Locks. disk.partitions_lock: its bdevs. provider_lock (shared while a scan runs): who scans.
#include "base/fmt.h"
#include "base/string.h"
#include "core/init.h"
#include "core/log.h"
#include "core/work.h"
#include "linux/block/cache.h"
#include "linux/fs.h"
#include <gate/calls.h>
#include <gate/interfaces.h>

static struct gate_port provider; // provider_lock
static mutex_t provider_lock = MUTEX_INIT(provider_lock, LOCK_block_provider);
static struct wait_queue provider_wait = WAIT_QUEUE_INIT(provider_wait);

static u32 major_of(const char *prefix)
{
	return !strcmp(prefix, "vd") ? 254 : !strcmp(prefix, "ram") ? 251 : 259;
}

struct bdev *bdev_make(struct disk *d, u32 partition)
{
	struct bdev *b = kzalloc(sizeof(*b));

	if (!b)
		return nullptr;
	b->disk = d;
	b->partition = partition;
	b->major = major_of(d->prefix);
	b->minor = d->index * MINORS + partition;
	if (partition)
		scnprintf(b->name, sizeof(b->name), "%s%u", d->name, partition);
	else
		strscpy(b->name, d->name, sizeof(b->name));
	if (cache_create(b)) {
		kfree(b);
		return nullptr;
	}
	return b;
}

// partitions_lock held.
static struct bdev *bdev_get(struct disk *d, u32 partition)
{
	struct bdev *b = d->bdevs[partition] ?: bdev_make(d, partition);

	if (b)
		store_release(&d->bdevs[partition], b);
	return b;
}

// Says where a bdev lies; partitions_lock held. A partition has a file in /dev while it has
// sectors.
static void bdev_set(struct bdev *b, u64 start, u64 sectors)
{
	bool named = sectors || !b->partition;
	int err = 0;

	if (b->start != start || b->sectors > sectors)
		cache_forget(bdev_cache(b));
	b->start = start;
	store_once(&b->sectors, sectors);
	vm_object_set_size(&bdev_cache(b)->object, sectors * BLOCK_SECTOR);
	if (named && !b->named)
		err = dev_register_block(b->major, b->minor, b->name, 0660, &bdev_file_ops);
	else if (!named && b->named)
		dev_unregister(true, b->major, b->minor, b->name);
	b->named = named;
	if (err)
		log_err("%s: no file in /dev: error %d", b->name, -err);
}

struct bdev *bdev_find(u32 major, u32 minor)
{
	for (struct disk *d = disk_next(nullptr); d; d = disk_next(d)) {
		struct bdev *b = load_acquire(&d->bdevs[minor % MINORS]);

		if (b && b->major == major && b->minor == minor)
			return b;
	}
	return nullptr;
}

struct bdev *bdev_next(struct bdev *after)
{
	struct disk *d = after ? after->disk : disk_next(nullptr);
	u32 i = after ? after->partition + 1 : 0;

	for (; d; d = disk_next(d), i = 0)
		for (; i < MINORS; i++) {
			struct bdev *b = load_acquire(&d->bdevs[i]);

			if (b && (!i || load_once(&b->sectors)))
				return b;
		}
	return nullptr;
}

// A disk and its partitions keep pages of their own for the same sectors. Who opens one of them
// when nobody has it open finds what was written through another.
void bdevs_note_change(const struct block_request *r)
{
	for (u32 i = 0; i < MINORS; i++) {
		struct bdev *b = load_acquire(&r->disk->bdevs[i]);

		if (b && b != r->bdev && !load_once(&b->stale) &&
		    r->sector < load_once(&b->start) + load_once(&b->sectors) &&
		    load_once(&b->start) < r->sector + r->nsectors)
			store_once(&b->stale, true);
	}
}

// ---- one scan ----

struct found {
	struct list link;
	struct partition_entry entry;
};
struct scan {
	struct gate_object object; // first
	struct disk *disk;
	mutex_t lock; // LOCK_block_scan: the list
	struct list found;
};

static struct scan *scan_of(struct gate_object *o)
{
	return container_of(o, struct scan, object);
}

static void scan_release(struct gate_object *o)
{
	struct found *f, *next;

	list_for_each_entry_safe(f, next, &scan_of(o)->found, link)
		kfree(f);
	gate_object_free(o);
}
static const struct gate_object_ops scan_ops = {.release = scan_release};

int gate_partition_read(u64 disk, u64 sector, void *bytes, u64 len)
{
	struct gate_object *o = handle_get(disk, HANDLE_SCAN);
	int r = -EINVAL;

	if (!o)
		return -EBADF;
	struct bdev *b = scan_of(o)->disk->bdevs[0];
	u64 sectors = load_once(&b->sectors);

	if (len && len % BLOCK_SECTOR == 0 && sector < sectors &&
	    len / BLOCK_SECTOR <= sectors - sector) {
		u64 pos = sector * BLOCK_SECTOR, done = 0;

		for (r = 0; done < len && !r;) {
			u32 off = (u32)((pos + done) & (PAGE_SIZE - 1));
			u64 n = min(len - done, PAGE_SIZE - off);
			struct page *p;

			r = cache_page_get(bdev_cache(b), (pos + done) >> PAGE_SHIFT, 1, &p);
			if (r)
				break;
			memcpy((u8 *)bytes + done, (u8 *)page_ptr(p) + off, n);
			page_put(p);
			done += n;
		}
		r = r ?: (int)len;
	}
	gate_object_put(o);
	return r;
}

static bool entry_good(const struct disk *d, const struct partition_entry *e)
{
	u64 sectors = load_once(&d->sectors);

	return e->number && e->number <= PARTITIONS_MAX && e->sectors && e->sector < sectors &&
	       e->sectors <= sectors - e->sector && memchr(e->name, 0, sizeof(e->name));
}

static int entry_add(struct scan *s, const struct partition_entry *e)
{
	struct found *f;

	list_for_each_entry(f, &s->found, link) {
		if (f->entry.number == e->number)
			return -EEXIST;
	}
	f = kmalloc(sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->entry = *e;
	list_add_tail(&s->found, &f->link);
	return 0;
}

int gate_partition_add(u64 disk, const struct partition_entry *entry)
{
	struct gate_object *o = handle_get(disk, HANDLE_SCAN);
	int r = -EINVAL;

	if (!o)
		return -EBADF;
	struct scan *s = scan_of(o);

	if (entry_good(s->disk, entry)) {
		mutex_lock(&s->lock);
		r = entry_add(s, entry);
		mutex_unlock(&s->lock);
	}
	gate_object_put(o);
	return r;
}

// partitions_lock held. What was found becomes what there is.
static void partitions_take(struct disk *d, struct scan *s)
{
	const struct found *f;
	bool there[MINORS] = {};
	u32 dropped = 0, n = 0;

	list_for_each_entry(f, &s->found, link) {
		const struct partition_entry *e = &f->entry;

		if (e->number >= MINORS) {
			dropped++;
			continue;
		}
		struct bdev *b = bdev_get(d, e->number);

		if (!b)
			continue;
		there[e->number] = true;
		n++;
		memcpy(b->uuid, e->uuid, sizeof(b->uuid));
		strscpy(b->label, e->name, sizeof(b->label));
		bdev_set(b, e->sector, e->sectors);
	}
	for (u32 i = 1; i < MINORS; i++)
		if (d->bdevs[i] && !there[i])
			bdev_set(d->bdevs[i], 0, 0);
	if (dropped)
		log_warn("%s: %u partitions have numbers above %u and are left out", d->name,
			 dropped, MINORS - 1);
	if (n)
		log_info("%s: %u partitions", d->name, n);
}

// -ENODEV: there is no service for it now; -EIO: the scan failed, whatever the service answered.
static s64 scan_enter(struct disk *d, struct scan *s)
{
	s64 r = -ENODEV;

	mutex_lock(&provider_lock);
	if (provider.service && provider.generation)
		r = handle_publish(provider.service, &s->object);
	if (r == -EIO) // it died just now
		r = -ENODEV;
	if (r > 0) {
		r = partition_gate_scan(&provider, (u64)r, load_once(&d->sectors),
					d->limits.logical_block);
		if (r < 0 && r != -ENODEV)
			r = -EIO;
	}
	mutex_unlock(&provider_lock);
	return r;
}

static int partitions_scan(struct disk *d)
{
	struct scan *s = kzalloc(sizeof(*s));

	if (!s)
		return -ENOMEM;
	gate_object_init(&s->object, HANDLE_SCAN, &scan_ops);
	mutex_init(&s->lock, LOCK_block_scan);
	list_init(&s->found);
	s->disk = d;
	s64 r = scan_enter(d, s);

	handle_close_object(&s->object);
	if (r >= 0) {
		mutex_lock(&d->partitions_lock);
		partitions_take(d, s);
		mutex_unlock(&d->partitions_lock);
	} else {
		log_warn("%s: the partition table was not read: error %lld", d->name, -r);
	}
	gate_object_put(&s->object);
	return r < 0 ? (int)r : 0;
}

int disk_rescan(struct disk *d)
{
	bool busy = false;

	mutex_lock(&d->partitions_lock);
	for (u32 i = 1; i < MINORS; i++)
		busy |= d->bdevs[i] && d->bdevs[i]->opens;
	mutex_unlock(&d->partitions_lock);
	if (busy)
		return -EBUSY;
	// What programs wrote is to be found, and what came onto the disk in other ways.
	int err = cache_clear(bdev_cache(d->bdevs[0]), 0, ~0ull);

	return err ?: partitions_scan(d);
}

// ---- when ----

static struct work scan_work;

// Every disk that is ready and was not looked at yet.
static void scan_all(struct work *w)
{
	(void)w;
	for (struct disk *d = disk_next(nullptr); d; d = disk_next(d)) {
		if (load_once(&d->state) != DISK_READY)
			continue;
		mutex_lock(&d->partitions_lock);
		struct bdev *b = bdev_get(d, 0);

		if (b)
			bdev_set(b, 0, load_once(&d->sectors));
		bool first = b && !d->scanned && load_once(&provider.service);

		d->scanned |= first;
		mutex_unlock(&d->partitions_lock);
		if (first)
			(void)partitions_scan(d);
	}
	wake_all(&provider_wait);
}

void partitions_scan_later(struct disk *d)
{
	(void)d;
	work_queue(&scan_work);
}

static void provider_detach(struct gate_object *o)
{
	(void)o;
	mutex_lock(&provider_lock);
	gate_port_unbind(&provider);
	mutex_unlock(&provider_lock);
}
static const struct gate_object_ops provider_ops = {.detach = provider_detach,
						    .release = gate_object_free};

s64 gate_partition_register(u64 self, const struct partition_params *params,
			    const struct partition_ops *ops)
{
	struct service *s = service_of_handle(self);
	struct gate_object *o = s ? kzalloc(sizeof(*o)) : nullptr;
	s64 r;

	if (!o)
		return s ? -ENOMEM : -EBADF;
	gate_object_init(o, HANDLE_PARTITION, &provider_ops);
	mutex_lock(&provider_lock);
	if (provider.service && (provider.service != s || provider.generation))
		r = -EBUSY;
	else
		r = gate_port_bind(&provider, s, &gate_partition_interface, params->cookie, ops);
	if (!r) {
		r = handle_publish(s, o);
		if (r < 0) // it died meanwhile: its next life may register
			gate_port_unbind(&provider);
	}
	mutex_unlock(&provider_lock);
	gate_object_put(o);
	if (r > 0)
		work_queue(&scan_work);
	return r;
}

static void partition_init(void)
{
	work_init(&scan_work, scan_all);
}
INITCALL(2, partition_init);

// SPDX-License-Identifier: MIT
// initramfs.c owns the unpacking of the boot archive into the root file system. Privileged.
//
// The archive is what the loader put into memory: any number of cpio archives, plain or compressed
// by gzip, one behind the other with zeroes between. It is not trusted: what is malformed ends the
// unpacking with one sentence, and what was unpacked until then stays, as on Linux; if /init is
// missing after that, the sentence that says so repeats the reason.
#include "linux/fs/fs_priv.h"
#include "base/cpio.h"
#include "base/fmt.h"
#include "base/hash.h"
#include "base/inflate.h"
#include "core/bootinfo.h"
#include "core/log.h"
#include "core/page.h"

constexpr u32 LINK_BUCKETS = 64;

// The first name of a file with several.
struct link_entry {
	struct link_entry *next;
	u64 dev;
	u32 ino;
	char path[];
};

struct unpack {
	struct cpio_stream stream;
	struct file *file; // being written; nullptr: its data is skipped
	s64 pos;
	char *link; // target of the symbolic link being read
	u32 link_len;
	u64 nfiles, nfailed;
	struct link_entry *links[LINK_BUCKETS];
	char path[CPIO_NAME_MAX + 2];
};

static char problem[160];

const char *initramfs_problem(void)
{
	return problem[0] ? problem : nullptr;
}

static __printf(1, 2) void fail(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vscnprintf(problem, sizeof(problem), format, args);
	va_end(args);
	log_err("initramfs: %s; what was unpacked so far is used", problem);
}

// "./usr//bin" -> "/usr/bin"; "." -> "/"
static void entry_path(struct unpack *u, const struct cpio_entry *e)
{
	const char *s = e->name;
	size_t n = 0;
	while (*s) {
		while (*s == '/')
			s++;
		size_t len = strcspn(s, "/");
		if (len && !(len == 1 && s[0] == '.')) {
			u->path[n++] = '/';
			memcpy(u->path + n, s, len);
			n += len;
		}
		s += len;
	}
	if (!n)
		u->path[n++] = '/';
	u->path[n] = 0;
}

static void set_attributes(struct inode *i, const struct cpio_entry *e)
{
	i->mode = (i->mode & S_IFMT) | (e->mode & 07777);
	i->uid = e->uid;
	i->gid = e->gid;
	i->atime = i->mtime = (struct fs_time){.sec = e->mtime};
}

static void set_attributes_at(struct unpack *u, const struct cpio_entry *e)
{
	struct path p;
	if (path_lookup(AT_FDCWD, u->path, 0, &p))
		return;
	if ((p.dentry->inode->mode & S_IFMT) == (e->mode & S_IFMT))
		set_attributes(p.dentry->inode, e);
	path_put(&p);
}

static struct link_entry *link_find(struct unpack *u, const struct cpio_entry *e)
{
	u64 dev = dev_make(e->dev_major, e->dev_minor);
	struct link_entry *l = u->links[hash_u64(e->ino) % LINK_BUCKETS];
	while (l && (l->ino != e->ino || l->dev != dev))
		l = l->next;
	return l;
}

static int link_remember(struct unpack *u, const struct cpio_entry *e)
{
	size_t len = strlen(u->path) + 1;
	struct link_entry *l = kmalloc(sizeof(*l) + len);
	if (!l)
		return -ENOMEM;
	struct link_entry **bucket = &u->links[hash_u64(e->ino) % LINK_BUCKETS];
	*l = (struct link_entry){
		.next = *bucket, .dev = dev_make(e->dev_major, e->dev_minor), .ino = e->ino};
	memcpy(l->path, u->path, len);
	*bucket = l;
	return 0;
}

static void links_forget(struct unpack *u)
{
	for (u32 i = 0; i < LINK_BUCKETS; i++) {
		while (u->links[i]) {
			struct link_entry *l = u->links[i];
			u->links[i] = l->next;
			kfree(l);
		}
	}
}

// What stands in the way of a new entry goes, unless both are directories.
static void make_way(struct unpack *u, u32 mode)
{
	struct path p;
	if (path_lookup(AT_FDCWD, u->path, 0, &p))
		return;
	bool dir = S_ISDIR(p.dentry->inode->mode);
	path_put(&p);
	if (dir && !S_ISDIR(mode))
		(void)fs_rmdir(u->path);
	else if (!dir)
		(void)fs_unlink(u->path);
}

static int begin_file(struct unpack *u, const struct cpio_entry *e)
{
	struct link_entry *first = e->nlink > 1 ? link_find(u, e) : nullptr;
	if (first) {
		if (!str_equal(first->path, u->path)) {
			make_way(u, e->mode);
			int err = fs_link(first->path, u->path);
			if (err)
				return err;
		}
		if (!e->size)
			return 0;
	} else {
		make_way(u, e->mode);
	}
	struct file *f = file_open_kernel(
		u->path, O_WRONLY | O_CREAT | O_LARGEFILE | (first ? O_TRUNC : 0), e->mode & 07777);
	if (is_err(f))
		return ptr_err(f);
	u->file = f;
	u->pos = 0;
	return e->nlink > 1 && !first ? link_remember(u, e) : 0;
}

static int begin_other(struct unpack *u, const struct cpio_entry *e)
{
	if (!(S_ISDIR(e->mode) && str_equal(u->path, "/"))) {
		make_way(u, e->mode);
		u64 dev = dev_make(e->rdev_major, e->rdev_minor);
		int err = fs_mknod(u->path, e->mode & (S_IFMT | 07777), dev);
		if (err && !(err == -EEXIST && S_ISDIR(e->mode)))
			return err;
	}
	set_attributes_at(u, e);
	return 0;
}

static int begin_entry(void *ctx, const struct cpio_entry *e)
{
	struct unpack *u = ctx;
	int err = 0;
	entry_path(u, e);
	u->nfiles++;
	switch (e->mode & S_IFMT) {
	case S_IFREG:
		err = begin_file(u, e);
		break;
	case S_IFLNK:
		if (e->size && e->size < PATH_MAX) {
			u->link = kmalloc(e->size + 1);
			u->link_len = 0;
		}
		err = u->link ? 0 : -EINVAL;
		break;
	case S_IFDIR:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		err = begin_other(u, e);
		break;
	default:
		err = -EINVAL;
		break;
	}
	if (err && !u->nfailed++)
		log_warn("initramfs: %s could not be made (%s)", u->path, errno_name(err));
	return err == -ENOMEM || err == -ENOSPC ? err : 0;
}

static int entry_data(void *ctx, const u8 *bytes, size_t len)
{
	struct unpack *u = ctx;
	if (u->link) {
		memcpy(u->link + u->link_len, bytes, len);
		u->link_len += (u32)len;
	} else if (u->file) {
		ssize_t n = file_write_kernel(u->file, u->pos, bytes, len);
		if (n < (ssize_t)len)
			return n < 0 ? (int)n : -ENOSPC;
		u->pos += n;
	}
	return 0;
}

static int end_entry(void *ctx, const struct cpio_entry *e)
{
	struct unpack *u = ctx;
	if (u->link) {
		u->link[u->link_len] = 0;
		make_way(u, e->mode);
		int err = fs_symlink(u->link, u->path);
		kfree(u->link);
		u->link = nullptr;
		if (!err)
			set_attributes_at(u, e);
		else if (!u->nfailed++)
			log_warn("initramfs: %s could not be made (%s)", u->path, errno_name(err));
	}
	if (u->file) {
		set_attributes(u->file->inode, e);
		file_put(u->file);
		u->file = nullptr;
	}
	return 0;
}

static const struct cpio_stream_ops stream_ops = {
	.begin_entry = begin_entry, .data = entry_data, .end_entry = end_entry};

static void abandon_entry(struct unpack *u)
{
	if (u->file)
		file_put(u->file);
	kfree(u->link);
	u->file = nullptr;
	u->link = nullptr;
}

static const char *why(int err, const char *reason)
{
	return reason		? reason
	       : err == -ENOSPC ? "the root file system is full"
	       : err == -ENOMEM ? "out of memory"
				: errno_name(err);
}

// A plain archive (or several): bytes used, or -1 after a failure.
static ssize_t unpack_plain(struct unpack *u, const u8 *bytes, size_t len, u64 offset)
{
	struct cpio_iter it;
	struct cpio_entry e;
	int r;
	cpio_iter_init(&it, bytes, len);
	while ((r = cpio_next(&it, &e)) > 0) {
		r = begin_entry(u, &e);
		if (!r && e.size)
			r = entry_data(u, e.data, e.size);
		if (!r)
			r = end_entry(u, &e);
		if (r)
			break;
	}
	if (!r)
		return (ssize_t)it.pos;
	fail("the archive is damaged at byte %llu: %s", offset + it.pos, why(r, it.reason));
	abandon_entry(u);
	return -1;
}

static int feed_stream(void *ctx, const u8 *data, size_t len)
{
	struct unpack *u = ctx;
	return cpio_stream_feed(&u->stream, data, len);
}

static ssize_t unpack_gzip(struct unpack *u, struct inflate *state, const u8 *bytes, size_t len,
			   u64 offset)
{
	struct inflate_result res = {};
	cpio_stream_init(&u->stream, &stream_ops, u);
	int err = gzip_unpack(state, bytes, len, ~0ull, feed_stream, u, &res);
	const char *reason = u->stream.reason ? u->stream.reason : res.reason;
	if (!err) {
		err = cpio_stream_finish(&u->stream);
		reason = u->stream.reason;
	}
	if (!err)
		return (ssize_t)res.in_used;
	fail("the compressed archive is damaged near byte %llu: %s", offset + res.in_used,
	     why(err, reason));
	abandon_entry(u);
	return -1;
}

static void unpack_all(struct unpack *u, struct inflate *state, const u8 *bytes, size_t len)
{
	size_t at = 0;
	while (at < len) {
		if (!bytes[at]) {
			at++;
			continue;
		}
		ssize_t n;
		if (gzip_is_magic(bytes + at, len - at)) {
			n = unpack_gzip(u, state, bytes + at, len - at, at);
		} else if (cpio_is_magic(bytes + at, len - at)) {
			n = unpack_plain(u, bytes + at, len - at, at);
		} else {
			fail("byte %zu begins neither a cpio archive nor gzip data (0x%02x%02x)",
			     at, bytes[at], at + 1 < len ? bytes[at + 1] : 0);
			return;
		}
		if (n <= 0)
			return;
		at += (size_t)n;
	}
}

// What Linux's built-in archive holds: a place to mount on and a console for /init.
static void make_defaults(void)
{
	(void)fs_mkdir("/dev", 0755);
	(void)fs_mknod("/dev/console", S_IFCHR | 0600, dev_make(5, 1));
	(void)fs_mkdir("/root", 0700);
}

void initramfs_unpack(void)
{
	make_defaults();
	if (!bootinfo.initrd_len) {
		scnprintf(problem, sizeof(problem), "the boot loader gave no initramfs");
		return;
	}
	struct unpack *u = kzalloc(sizeof(*u));
	struct inflate *state = kmalloc(sizeof(*state));
	if (u && state) {
		unpack_all(u, state, phys_ptr(bootinfo.initrd), bootinfo.initrd_len);
		links_forget(u);
		log_info("initramfs: %llu entries from %llu KiB", u->nfiles,
			 bootinfo.initrd_len / 1024);
	} else {
		fail("there is not enough memory to unpack it");
	}
	kfree(u);
	kfree(state);
	page_reclaim_boot(BOOTMEM_INITRD);
}

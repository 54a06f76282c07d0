// SPDX-License-Identifier: MIT
// memdev.c owns the devices without hardware: null, zero, full, random, urandom, kmsg. Privileged.
#include "linux/fs/fs_priv.h"
#include "base/fmt.h"
#include "core/init.h"
#include "core/log.h"
#include "linux/random.h"
#include "core/time.h"
#include "linux/misc/kmsg.h"
#include "linux/vm.h"

constexpr u32 MEM_MAJOR = 1;

static ssize_t null_read(struct file *f, struct io *io)
{
	(void)f;
	(void)io;
	return 0;
}

static ssize_t null_write(struct file *f, struct io *io)
{
	size_t n = io->left;
	(void)f;
	io->left = io->seg_left = 0;
	return (ssize_t)n;
}

static ssize_t zero_read(struct file *f, struct io *io)
{
	size_t done = 0;
	(void)f;
	while (io->left) {
		size_t want = min(io->left, 64 * KiB), n = io_clear(io, want);
		done += n;
		if (n < want)
			return done ? (ssize_t)done : -EFAULT;
		if (io->left && signal_fatal_pending())
			break;
	}
	return (ssize_t)done;
}

static int zero_mmap(struct file *f, struct vm_map_args *a)
{
	(void)f;
	a->object = nullptr; // anonymous memory, shared or private
	return 0;
}

static ssize_t full_write(struct file *f, struct io *io)
{
	(void)f;
	(void)io;
	return -ENOSPC;
}

static ssize_t random_read(struct file *f, struct io *io)
{
	u8 buf[256];
	size_t done = 0;
	(void)f;
	while (io->left) {
		size_t want = min(io->left, sizeof(buf));
		random_bytes(buf, want);
		size_t n = io_copy_to(io, buf, want);
		done += n;
		if (n < want) {
			if (!done)
				done = (size_t)-EFAULT;
			break;
		}
		if (io->left && signal_fatal_pending())
			break;
	}
	memzero_explicit(buf, sizeof(buf));
	return (ssize_t)done;
}

static ssize_t random_write(struct file *f, struct io *io)
{
	u8 buf[256];
	size_t done = 0;
	(void)f;
	while (io->left) {
		size_t want = min(io->left, sizeof(buf)), n = io_copy_from(io, buf, want);
		random_add(buf, n, 0);
		done += n;
		if (n < want)
			return done ? (ssize_t)done : -EFAULT;
	}
	return (ssize_t)done;
}

constexpr u32 RNDGETENTCNT = 0x80045200, RNDADDTOENTCNT = 0x40045201, RNDADDENTROPY = 0x40085203,
	      RNDZAPENTCNT = 0x5204, RNDCLEARPOOL = 0x5206, RNDRESEEDCRNG = 0x5207;

static long random_ioctl(struct file *f, u32 cmd, u64 arg)
{
	(void)f;
	switch (cmd) {
	case RNDGETENTCNT:
		return put_user(random_ready() ? 256 : 0, user_ptr(s32, arg));
	case RNDADDTOENTCNT:
	case RNDADDENTROPY:
	case RNDZAPENTCNT:
	case RNDCLEARPOOL:
	case RNDRESEEDCRNG:
		return capable(CAP_SYS_ADMIN) ? 0
					      : -EPERM; // the pool is credited by the kernel alone
	default:
		return -ENOTTY;
	}
}

// ---- kmsg: one record a read, one line a write ----

struct kmsg_reader {
	mutex_t lock;
	u64 seq; // lock
};
constexpr u32 KMSG_LINE = 1024;
constexpr u64 KMSG_POLL_NS = 100000000; // the log wakes nobody: readers that wait look this often
static struct wait_queue kmsg_wait = WAIT_QUEUE_INIT(kmsg_wait);

static int kmsg_open(struct inode *inode, struct file *f)
{
	(void)inode;
	f->mode |= FILE_STREAM;
	if (!(f->mode & FILE_READ))
		return 0;
	struct kmsg_reader *r = kmalloc(sizeof(*r));
	if (!r)
		return -ENOMEM;
	mutex_init(&r->lock, LOCK_module_misc);
	r->seq = log_seq_first();
	f->private_data = r;
	f->mode &= ~(u32)FILE_STREAM; // it can be rewound
	return 0;
}

static void kmsg_release(struct file *f)
{
	kfree(f->private_data);
}

static ssize_t kmsg_record(struct kmsg_reader *r, char *line)
{
	struct log_record_info info;
	char text[512];
	ssize_t n = log_read(&r->seq, &info, text, sizeof(text));
	if (n < 0)
		return n;
	return scnprintf(line, KMSG_LINE, "%u,%llu,%llu,-;%.*s\n", info.level, info.seq,
			 info.time_ns / 1000, (int)n, text);
}

static ssize_t kmsg_read(struct file *f, struct io *io)
{
	struct kmsg_reader *r = f->private_data;
	char line[KMSG_LINE];
	for (;;) {
		mutex_lock(&r->lock);
		u64 at = r->seq;
		ssize_t n = kmsg_record(r, line);
		if (n > 0 && (size_t)n > io->left) {
			r->seq = at;
			n = -EINVAL;
		}
		mutex_unlock(&r->lock);
		if (n > 0)
			return io_copy_to(io, line, (size_t)n) == (size_t)n ? n : -EFAULT;
		if (n != -EAGAIN || (io->flags & IO_NONBLOCK))
			return n;
		int err = wait_event_interruptible_until(&kmsg_wait, log_seq_next() > r->seq,
							 clock_monotonic_ns() + KMSG_POLL_NS);
		if (err && err != -ETIMEDOUT)
			return err;
	}
}

static ssize_t kmsg_write(struct file *f, struct io *io)
{
	char line[480];
	size_t total = io->left, n = io_copy_from(io, line, min(total, sizeof(line) - 1));
	(void)f;
	if (!n && total)
		return -EFAULT;
	line[n] = 0;
	// "<5>text": facility and level in front
	u32 level = LOG_NOTICE;
	char *text = line;
	if (line[0] == '<') {
		char *end = strchr(line, '>');
		u32 value = 0;
		for (char *c = line + 1; end && c < end && *c >= '0' && *c <= '9'; c++)
			value = value * 10 + (u32)(*c - '0');
		if (end) {
			level = value & 7;
			text = end + 1;
		}
	}
	klog((enum log_level)level, "%s", text);
	return (ssize_t)total;
}

static s64 kmsg_lseek(struct file *f, s64 offset, int whence)
{
	struct kmsg_reader *r = f->private_data;
	if (!r)
		return -EBADF;
	if (offset)
		return -ESPIPE;
	mutex_lock(&r->lock);
	u64 seq = whence == SEEK_SET	? log_seq_first()
		  : whence == SEEK_DATA ? kmsg_cleared_seq()
		  : whence == SEEK_END	? log_seq_next()
					: ~0ull;
	if (seq != ~0ull)
		r->seq = seq;
	mutex_unlock(&r->lock);
	return seq == ~0ull ? -EINVAL : 0;
}

static const struct file_ops null_ops = {
	.read = null_read, .write = null_write, .lseek = lseek_zero};
static const struct file_ops zero_ops = {
	.read = zero_read, .write = null_write, .lseek = lseek_zero, .mmap = zero_mmap};
static const struct file_ops full_ops = {
	.read = zero_read, .write = full_write, .lseek = lseek_zero};
static const struct file_ops random_ops = {
	.read = random_read, .write = random_write, .lseek = lseek_zero, .ioctl = random_ioctl};
static const struct file_ops kmsg_ops = {.open = kmsg_open,
					 .release = kmsg_release,
					 .read = kmsg_read,
					 .write = kmsg_write,
					 .lseek = kmsg_lseek};

static void memdev_init(void)
{
	static const struct {
		u32 minor;
		const char *name;
		u32 mode;
		const struct file_ops *ops;
	} nodes[] = {
		{3, "null", 0666, &null_ops},	   {5, "zero", 0666, &zero_ops},
		{7, "full", 0666, &full_ops},	   {8, "random", 0666, &random_ops},
		{9, "urandom", 0666, &random_ops}, {11, "kmsg", 0644, &kmsg_ops},
	};
	for (u32 i = 0; i < ARRAY_SIZE(nodes); i++) {
		if (dev_register_char(MEM_MAJOR, nodes[i].minor, nodes[i].name, nodes[i].mode,
				      nodes[i].ops))
			log_err("devices: /dev/%s could not be made", nodes[i].name);
	}
}
INITCALL(3, memdev_init);

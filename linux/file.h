// SPDX-License-Identifier: MIT
// Open files and descriptors. Privileged.
//
// A struct file is an open file description; descriptor tables (struct fd_table) hold references to
// it. fd_get() is a few instructions: a process with one thread cannot close a descriptor while it
// uses it, so no reference is counted for it.
#pragma once
#include "base/atomic.h"
#include "base/err.h"
#include "base/list.h"
#include "base/types.h"
#include "core/lock.h"
#include "core/rcu.h"
#include "core/uaccess.h"
#include "linux/fs.h"
#include "linux/task.h" // current_task()->files

struct poll_table; // linux/poll.h
struct vm_map_args;

// ---------------------------------------------------------------- transfers

struct iovec { // as programs lay it out
	u64 base;
	u64 len;
};

enum io_kind : u8 { IO_USER, IO_KERNEL };
enum io_flags : u8 {
	IO_NONBLOCK = 1 << 0, // O_NONBLOCK or RWF_NOWAIT: -EAGAIN rather than sleep
	IO_APPEND = 1 << 1,   // write at the end
	IO_DSYNC = 1 << 2,
};

// Where the bytes of one read or write go or come from, and at which position of the file.
// Operations move bytes by io_copy_* (which advance it), move pos themselves, and return the bytes
// done or an error when none were.
struct io {
	size_t left; // bytes still wanted, all segments together
	union {
		u8 __user *ubuf; // of the current segment
		u8 *kbuf;
	};
	size_t seg_left;	 // of the current segment
	const struct iovec *vec; // further segments (kernel memory)
	u32 nvec;
	enum io_kind kind;
	u8 flags; // enum io_flags
	s64 pos;
};

constexpr u64 IO_MAX = 0x7ffff000; // bytes of one read or write, as Linux limits them

static inline struct io io_user(void __user *buf, size_t len, s64 pos)
{
	return (struct io){.left = len, .ubuf = buf, .seg_left = len, .kind = IO_USER, .pos = pos};
}
static inline struct io io_kernel(void *buf, size_t len, s64 pos)
{
	return (struct io){
		.left = len, .kbuf = buf, .seg_left = len, .kind = IO_KERNEL, .pos = pos};
}
// Bytes moved, less than len only at a fault (then the caller returns what was done, or -EFAULT
// when nothing was). len <= io->left. They may sleep (page faults), except while
// preemption is off.
size_t io_copy_to(struct io *io, const void *src, size_t len); // file -> program (read)
size_t io_copy_from(struct io *io, void *dst, size_t len);     // program -> file (write)
size_t io_clear(struct io *io, size_t len);		       // zeroes -> program
bool io_skip(
	struct io *io,
	size_t len); // as if len bytes, within the segment, had been moved; false: all are done
void io_truncate(struct io *io, u64 len); // at most len bytes are wanted from here on
void io_revert(struct io *io, const struct io *saved,
	       size_t done); // back to saved, then forward by done
// Fills *io from a program's iovec array (into fast[] or *allocated, which the caller kfree's):
// total bytes or -EINVAL, -EFAULT, -ENOMEM.
constexpr u32 IOV_FAST = 8;
ssize_t io_from_user_vec(struct io *io, const struct iovec __user *vec, u32 n,
			 struct iovec fast[IOV_FAST], struct iovec **allocated);

// ---------------------------------------------------------------- files

enum file_mode : u32 {
	FILE_READ = 1 << 0,	// may be read
	FILE_WRITE = 1 << 1,	// may be written
	FILE_EXEC = 1 << 2,	// being executed: keeps writers out
	FILE_PATH = 1 << 3,	// O_PATH: a place, not an open file
	FILE_STREAM = 1 << 4,	// no position: pipes, sockets, terminals; pread is -ESPIPE
	FILE_POS_LOCK = 1 << 5, // position is locked while others may share it (regular files and
				// directories)
	FILE_WRITER = 1 << 6,	// counted in inode->writers
	FILE_RCU = 1 << 7,    // was in a shared table: memory is freed after a grace period. Atomic
	FILE_LOCKED = 1 << 8, // may hold file locks: look at release. Atomic
	FILE_NOATIME = 1 << 9,
	FILE_OPENED = 1 << 10, // ops->release is owed
};

struct file {
	// hot
	const struct file_ops *ops;
	u32 mode;	     // enum file_mode
	u32 flags;	     // O_* as F_GETFL shows them; atomic
	refcount_t refs;     // tables, users of shared tables, mappings
	s64 pos;	     // pos_lock when shared
	struct inode *inode; // path.dentry's (which holds the reference)
	void *private_data;  // the operations' own
	struct path path;
	mutex_t pos_lock;	   // LOCK_file_pos
	void *epoll;		   // linux/event: the sets that watch it; its lock
	struct file_owner *owner;  // F_SETOWN, F_SETSIG, O_ASYNC; atomic pointer
	struct dentry *dir_cursor; // iterate of file systems in memory; counted
	union {
		struct rcu_head rcu;
		struct list pending; // a release that had to be deferred
	};
};

struct dir_context {
	// Called by iterate for each entry; false: the buffer is full, stop before this entry. pos
	// is the entry's own position; ctx->pos is set by iterate to where to go on.
	bool (*emit)(struct dir_context *ctx, const char *name, u32 len, u64 ino,
		     u32 type); // type: DT_*
	s64 pos;
};
// "." and ".." at positions 0 and 1 for iterate functions whose own entries begin at 2. false:
// full.
bool dir_emit_dots(struct file *f, struct dir_context *ctx);
static inline bool dir_emit(struct dir_context *ctx, const char *name, u32 len, u64 ino, u32 type)
{
	return ctx->emit(ctx, name, len, ino, type);
}

// Null operations: read, write -EINVAL; lseek -ESPIPE; ioctl -ENOTTY; poll: always readable and
// writable; mmap -ENODEV; fsync -EINVAL; iterate -ENOTDIR; fallocate -EOPNOTSUPP. All may sleep but
// where stated.
struct file_ops {
	int (*open)(struct inode *inode,
		    struct file *f);	 // may replace f->ops; on failure release is not called
	void (*release)(struct file *f); // last reference gone
	int (*flush)(struct file *f);	 // each close(2) of a descriptor
	ssize_t (*read)(struct file *f, struct io *io);
	ssize_t (*write)(struct file *f, struct io *io);
	s64 (*lseek)(struct file *f, s64 offset,
		     int whence); // returns the new position and stores it in f->pos
	long (*ioctl)(struct file *f, u32 cmd, u64 arg);
	u32 (*poll)(struct file *f,
		    struct poll_table *table); // poll events that hold now; registers on wait
					       // queues when table is given
	int (*mmap)(struct file *f,
		    struct vm_map_args
			    *a); // sets a->object (no reference is passed), may lower a->max_prot
	void (*mapped)(struct file *f);	  // an area that maps it has come or gone; the space's lock
	void (*unmapped)(struct file *f); // may be held
	int (*fsync)(struct file *f, s64 first, s64 last, bool data_only);
	int (*iterate)(struct file *f, struct dir_context *ctx); // directory lock held
	int (*fallocate)(struct file *f, u32 mode, s64 offset, s64 len);
	int (*set_flags)(struct file *f, u32 flags); // F_SETFL: before f->flags changes; may refuse
	int (*set_async)(struct file *f, bool on);   // O_ASYNC
	int (*fdinfo)(struct file *f, char *buf,
		      size_t cap); // more lines for /proc/PID/fdinfo; snprintf conventions
};
s64 lseek_generic(struct file *f, s64 offset,
		  int whence); // by inode size; for regular files and fixed texts
s64 lseek_zero(struct file *f, s64 offset, int whence); // any seek gives 0 (/dev/null)

[[nodiscard]] static inline struct file *file_get(struct file *f)
{
	refcount_inc(&f->refs);
	return f;
}
void file_put_last(struct file *f);
void epoll_file_release(struct file *f); // linux/event: f->epoll is set and f has no users any more
// May sleep. Never under a spinlock.
static inline void file_put(struct file *f)
{
	if (refcount_dec_and_test(&f->refs))
		file_put_last(f);
}

// Opens by path with current's rights (flags: O_*, mode for O_CREAT); counted file or err_ptr.
struct file *file_open_kernel(const char *path, int flags, u32 mode);
struct file *file_open_path(const struct path *p, int flags); // reopens what p names
// For execve, which has checked the right to execute and called inode_deny_write: the file's end
// calls inode_allow_write. On failure the caller does.
struct file *file_open_exec(const struct path *p);
ssize_t file_read_kernel(struct file *f, s64 pos, void *buf,
			 size_t len); // bytes; loops over short reads
ssize_t file_write_kernel(struct file *f, s64 pos, const void *buf, size_t len);
u32 file_mode_of_flags(u32 flags); // FILE_READ and FILE_WRITE as O_ACCMODE of flags has them
// An open file on a place, without open's checks. mode: enum file_mode; flags: O_*. Takes over p's
// references, also on failure. counted file or err_ptr(-ENOMEM).
struct file *file_create_on(const struct path *p, const struct file_ops *ops, u32 mode, u32 flags);
// An open file on an anonymous object (eventfd, epoll, socket): /proc/PID/fd shows
// "anon_inode:NAME". flags: O_* access mode and O_NONBLOCK. counted file or err_ptr.
struct file *pseudo_file_create(const char *name, const struct file_ops *ops, void *priv,
				int flags);
// The same with an inode of its own (fstat tells them apart): "pipe:[INO]", "socket:[INO]". mode:
// S_IFIFO, S_IFSOCK.
struct file *pseudo_file_create_inode(const char *prefix, u32 mode, const struct file_ops *ops,
				      void *priv, int flags);
struct file *shm_file_create(const char *name,
			     u32 mode); // an empty file of a tmpfs without a name: memfd
// The same for System V shared memory, of a size: /proc/PID/maps shows "/SYSV%08x (deleted)".
struct file *shm_file_create_sysv(u32 key, u64 size_bytes);
u32 file_poll(struct file *f, struct poll_table *table);
int file_async_set(struct file *f, bool on);
void file_async_notify(struct file *f, u32 poll_events); // SIGIO to the owner when O_ASYNC is set;
							 // any context that may take spinlocks

// ---------------------------------------------------------------- descriptor tables

constexpr u32 FD_FIRST = 64; // descriptors that need no extra memory

struct fd_array {
	u32 size;	     // multiple of 64
	struct file **files; // RCU
	u64 *open, *cloexec; // bitmaps; files.lock
	struct rcu_head rcu;
};

struct fd_table {
	refcount_t refs; // tasks that share it. Others (procfs) use it under its lock while they
			 // hold the task
	struct fd_array *table; // RCU; lock
	spinlock_t lock;	// LOCK_fdtable
	u32 next;		// no free descriptor lies below; lock
	struct fd_array first;
	struct file *first_files[FD_FIRST];
	u64 first_open, first_cloexec;
};

struct fd_table *files_create(void); // nullptr: out of memory
struct fd_table *files_copy(
	struct fd_table *from); // fork: same files, same descriptors; err_ptr(-ENOMEM)
static inline void files_share(struct fd_table *f)
{
	refcount_inc(&f->refs);
} // CLONE_FILES
void files_put(struct fd_table *f); // exit; closes what is open; may sleep
int files_unshare(void);	    // current gets a table of its own (exec, unshare). 0 or -ENOMEM
void files_close_on_exec(void);	    // of current

// Another process's file (procfs, pidfd_getfd): counted or nullptr. fd_next_open: the first open
// descriptor >= from, or -1.
struct file *files_get_file(struct fd_table *f, u32 fd);
int files_next_open(struct fd_table *f, u32 from);
bool files_is_cloexec(struct fd_table *f, u32 fd);

struct fdref {
	struct file *file; // nullptr: bad descriptor
	u32 held;	   // enum fdref_held
};
enum fdref_held : u32 { FDREF_COUNTED = 1, FDREF_POS = 2 };
struct fdref fd_get_counted(struct fd_table *t, u32 fd);

// The file behind a descriptor of current, O_PATH ones included; fd_put ends the use.
static __always_inline struct fdref fd_get_any(int fd)
{
	struct fd_table *t = current_task()->files;
	if (likely(refcount_read(&t->refs) == 1)) {
		struct fd_array *ft = t->table;
		return (struct fdref){likely((u32)fd < ft->size) ? ft->files[(u32)fd] : nullptr, 0};
	}
	return fd_get_counted(t, (u32)fd);
}
static __always_inline void fd_put(struct fdref r)
{
	if (unlikely(r.held & FDREF_COUNTED))
		file_put(r.file);
}
// The same but O_PATH descriptors are bad ones.
static __always_inline struct fdref fd_get(int fd)
{
	struct fdref r = fd_get_any(fd);
	if (r.file && unlikely(r.file->mode & FILE_PATH)) {
		fd_put(r);
		return (struct fdref){};
	}
	return r;
}

// Reserves the lowest free descriptor >= from (below RLIMIT_NOFILE): it or -EMFILE, -ENOMEM. flags:
// O_CLOEXEC.
int fd_alloc(u32 from, int flags);
void fd_install(int fd, struct file *f); // puts f (the caller's reference) at a reserved descriptor
void fd_cancel(int fd);			 // gives a reserved descriptor back
// Both at once: the descriptor or an error, in which case f has been put.
int fd_install_new(struct file *f, int flags);
int fd_close(int fd); // close(2)

// ---------------------------------------------------------------- root, working directory, umask

struct fs_context {
	refcount_t refs; // tasks that share it (CLONE_FS)
	spinlock_t lock; // LOCK_fs_misc: the paths, when shared or read from outside
	struct path root, cwd;
	u32 umask;
};
u32 fs_mode_masked(u32 mode);		    // without what current's umask takes away
struct fs_context *fs_context_create(void); // at the root of rootfs, umask 022
struct fs_context *fs_context_copy(struct fs_context *from); // err_ptr(-ENOMEM)
static inline void fs_context_share(struct fs_context *c)
{
	refcount_inc(&c->refs);
}
void fs_context_put(struct fs_context *c);
int fs_context_unshare(void); // of current
void fs_context_replace_root(const struct path *old,
			     const struct path *new); // of current, where they are old
void fs_context_get_paths(struct fs_context *c, struct path *root,
			  struct path *cwd); // counted; either may be nullptr

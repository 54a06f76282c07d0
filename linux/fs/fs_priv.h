// SPDX-License-Identifier: MIT
// What the files of linux/fs/ share among themselves: names, walks, opening.
#pragma once
#include "abi/linux/fcntl.h"
#include "abi/linux/mount.h"
#include "abi/linux/stat.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/string.h"
#include "core/panic.h"
#include "core/slab.h"
#include "core/uaccess.h"
#include "core/wait.h"
#include "linux/cred.h"
#include "linux/file.h"
#include "linux/fs.h"
#include "linux/syscalls.h"
#include "linux/task.h"

// ---------------------------------------------------------------- strings from programs

constexpr u32 NAME_SLACK = 8; // readable bytes behind each path text: names are read by the word
constexpr u32 NAME_INLINE = 248;

// A path in kernel memory, NUL-terminated, with NAME_SLACK bytes behind it.
struct pathname {
	char *text;
	u32 len;
	char inline_text[NAME_INLINE + NAME_SLACK];
};
int pathname_from_user(struct pathname *n, const char __user *s); // -EFAULT, -ENAMETOOLONG, -ENOMEM
int pathname_from_kernel(struct pathname *n, const char *s);
void pathname_free_big(struct pathname *n);
static inline void pathname_free(struct pathname *n)
{
	if (unlikely(n->text != n->inline_text))
		pathname_free_big(n);
}

// ---------------------------------------------------------------- hashes of names

extern u64 name_seed; // random, set before the first name; immutable

static __always_inline u64 name_mix(u64 h, u64 word)
{
	h = (h ^ word) * 0x9fb21c651e98df25ull;
	return h ^ h >> 32;
}
static __always_inline u64 name_hash_start(const struct dentry *parent)
{
	return (u64)(uintptr_t)parent ^ name_seed;
}
u64 name_hash(const struct dentry *parent, const char *name, u32 len);

// One component of a path.
struct component {
	const char *name; // not terminated; NAME_SLACK readable bytes behind it
	u32 len;
	u64 hash; // with its directory
};

// ---------------------------------------------------------------- the directory cache (dcache.c)

extern u32 name_seq_word; // odd: a rename or mount is being made
u32 name_seq_begin_slow(void);
static __always_inline u32 name_seq_begin(void)
{
	u32 s = load_acquire(&name_seq_word);
	return likely(!(s & 1)) ? s : name_seq_begin_slow();
}
static __always_inline bool name_seq_retry(u32 s)
{
	smp_rmb();
	return unlikely(load_once(&name_seq_word) != s);
}
void name_seq_write_begin(void);
void name_seq_write_end(void);

extern struct hlist *dcache_table;
extern u64 dcache_mask;
struct dentry *dcache_find(const struct dentry *parent,
			   const struct component *c); // RCU; not counted; nullptr: not cached
struct dentry *dentry_alloc(struct super_block *sb, struct dentry *parent,
			    const struct component *c); // refs 1, not hashed
void dentry_hash(struct dentry *d);
// Looks c up in dir, whose lock is held: counted dentry (perhaps negative and unhashed, for create)
// or err_ptr.
struct dentry *dentry_lookup_component(struct dentry *dir, const struct component *c);
void dentry_unlink(struct dentry *d); // name removed; directory lock held
// A rename: memory first, so that nothing can fail once the file system has changed its side.
struct long_name;
struct move_room {
	struct long_name *for_a, *for_b;
};
int dentry_move_prepare(struct dentry *a, struct dentry *b, bool exchange, struct move_room *room);
void dentry_move_cancel(struct move_room *room);
void dentry_move(struct dentry *d, struct dentry *to,
		 struct move_room *room); // d takes place and name of the unborn or doomed `to`
void dentry_exchange(struct dentry *a, struct dentry *b, struct move_room *room);
static inline bool dentry_hashed(const struct dentry *d)
{
	return load_once(&d->hash.link) != nullptr;
}
static inline u32 dentry_flags(const struct dentry *d)
{
	return load_once(&d->flags);
}
static inline void dentry_set_flag(struct dentry *d, u32 f)
{
	__atomic_fetch_or(&d->flags, f, __ATOMIC_RELAXED);
}
static inline void dentry_clear_flag(struct dentry *d, u32 f)
{
	__atomic_fetch_and(&d->flags, ~f, __ATOMIC_RELAXED);
}

// ---------------------------------------------------------------- walks (walk.c)

enum walk_flags : u32 {	       // beyond enum lookup_flags
	WALK_PARENT = 1 << 16, // stop at the directory that holds the last component
	WALK_CREATE = 1 << 17, // when the last component is missing, stop there: -ENOENT with
			       // walk.create set
};
constexpr u32 WALK_LINKS_MAX = 40;
constexpr u32 WALK_ARENA = 256;

enum last_type : u8 { LAST_NORMAL, LAST_ROOT, LAST_DOT, LAST_DOTDOT };

// A walk's state. Between walk_start and walk_end.
struct walk {
	struct path cur;     // where we are; not counted, safe under RCU
	struct inode *inode; // cur.dentry's
	struct path root;
	struct path anchor;	// counted; what a sleeping step left us with
	struct path roots_held; // counted root when the context is shared
	struct path start;
	u32 seq;
	u32 flags; // lookup_flags, walk_flags
	u32 nlinks;
	u32 depth;
	bool trailing_slash;
	bool create; // ended at a missing last component
	enum last_type last_type;
	struct component last;
	struct fdref dirfd;
	struct path cwd_held;
	struct text_chunk *chunks; // link texts that did not fit
	u32 arena_used;
	const char *rest[WALK_LINKS_MAX];
	char arena[WALK_ARENA + NAME_SLACK];
};
// On success (0) the walk is at its end, inside an RCU section and not yet validated: call
// walk_take or walk_validate, then walk_end. On failure everything is released and the section
// left.
int walk_run(struct walk *w, int dirfd, const char *name, u32 flags);
int walk_take(struct walk *w, struct path *out); // counted result, leaves RCU; -ECHILD: run again.
						 // Ends the walk in both cases
bool walk_validate(
	struct walk *w); // true: what was read is consistent. Ends the walk in both cases

int walk_to_path(int dirfd, const char *name, u32 flags, struct path *out);
// The directory of the last component, counted, and the component (pointing into name or held,
// which the caller frees).
struct parent_walk {
	struct path dir;
	struct component last;
	enum last_type type;
	bool trailing_slash;
	char *held;
};
int walk_to_parent(int dirfd, const char *name, u32 flags, struct parent_walk *out);
void parent_walk_end(struct parent_walk *p);

int path_check_write(const struct path *p); // -EROFS
static inline bool mnt_readonly(const struct mount *m)
{
	return (load_once(&m->flags) & MS_RDONLY) || (load_once(&m->sb->flags) & SB_RDONLY);
}
struct mount *mount_find(const struct mount *parent, const struct dentry *d); // RCU

// ---------------------------------------------------------------- inodes, attributes

int inode_permission_rcu(struct inode *inode, u32 mask); // -ECHILD: ask outside RCU
int path_permission(const struct path *p, u32 mask);
void inode_touch_atime_slow(struct inode *inode, struct mount *mnt);
// relatime: only when it is older than a change, or a day.
static inline bool fs_time_before(const struct fs_time *a, const struct fs_time *b)
{
	return a->sec < b->sec || (a->sec == b->sec && a->nsec < b->nsec);
}
extern s64 atime_stale_sec; // an access time before this is over a day old; advanced now and then
static inline void inode_accessed(struct inode *i, struct mount *mnt)
{
	if (likely(!(load_once(&mnt->flags) & MS_STRICTATIME)) &&
	    fs_time_before(&i->mtime, &i->atime) && fs_time_before(&i->ctime, &i->atime) &&
	    i->atime.sec >= load_once(&atime_stale_sec))
		return;
	inode_touch_atime_slow(i, mnt);
}
static inline void file_accessed(struct file *f)
{
	if (!(f->mode & FILE_NOATIME))
		inode_accessed(f->inode, f->path.mnt);
}
int inode_kill_priv(struct inode *inode); // a write: drop set-id bits. Lock held
int path_truncate(const struct path *p, struct file *f, s64 size, u32 extra);

// ---------------------------------------------------------------- files

struct file *file_alloc(void); // refs 1, nothing in it; nullptr: out of memory
struct file *file_open_at(int dirfd, const char *name, const struct open_how *how,
			  u32 lookup); // how is checked
int open_how_check(struct open_how *how, u32 *lookup);
long fd_dup_from(struct file *f, u64 from, int flags); // F_DUPFD
long fd_cloexec_get(int fd);
void fd_cloexec_set(int fd, bool on);
long ioctl_file(struct file *f, int fd, u32 cmd, u64 arg);
ssize_t file_read(struct file *f, struct io *io);
ssize_t file_write(struct file *f, struct io *io);
void file_owner_free(struct file *f);
int pseudo_path_create(const char *prefix, u32 mode, const struct file_ops *ops, struct path *out);

void locks_release_file(struct file *f); // OFD and flock locks
void locks_release_owner(struct file *f,
			 struct fd_table *owner); // POSIX locks of a table, at each close
void locks_free(struct inode *inode);
long locks_fcntl(struct file *f, u32 cmd, struct flock __user *arg);

struct pipe;
int pipe_create_files(struct file *out[2], int flags);
long pipe_set_size(struct file *f, u64 size);
long pipe_get_size(struct file *f);
struct pipe *file_pipe(struct file *f); // nullptr: not a pipe
extern const struct file_ops pipe_ops;
extern const struct file_ops fifo_ops;
void pipe_free_inode(struct inode *inode);
// Splicing: bytes from a pipe into a function that takes kernel memory, and back.
ssize_t pipe_drain(struct pipe *p, size_t len, bool nonblock, bool keep,
		   ssize_t (*take)(void *ctx, const void *data, size_t len), void *ctx);
ssize_t pipe_fill(struct pipe *p, size_t len, bool nonblock,
		  ssize_t (*give)(void *ctx, void *buf, size_t len), void *ctx);
int pipe_wait_data(struct pipe *p, bool nonblock); // 1: there is some, 0: end of file, or an error

// ---------------------------------------------------------------- parts that start up

void dcache_init(void);
void inode_cache_init(void);
void file_cache_init(void);
void file_tables_init(void);
void mount_init(void);
void pseudo_init(void);
void pipe_init(void);
extern struct fs_type tmpfs_type, rootfs_type, ramfs_type, devtmpfs_type;
int tmpfs_mount_kernel(const struct fs_type *t, u32 mode, bool limited, struct super_block **out);
void tmpfs_init(void);
void devtmpfs_init(void);
void memfd_init(void);
int device_open(struct inode *inode, struct file *f);
extern const struct file_ops char_device_ops, block_device_ops, no_open_ops;
int tmpfs_get_seals(struct file *f);
int tmpfs_add_seals(struct file *f, u32 seals);
struct inode *tmpfs_file_inode(struct super_block *sb, u32 mode);
extern struct super_block *shm_super; // a tmpfs that is not mounted: memfd

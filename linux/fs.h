// SPDX-License-Identifier: MIT
// The virtual file system: inodes, dentries, mounts, path lookup, and what a file-system type
// implements. Privileged.
//
// An inode is a file; a dentry is a name in a directory (or the root) and holds a reference to its
// inode; a mount places a dentry tree of one super block somewhere in the tree of names. Path walks
// run under RCU without touching a reference count as long as names are in the directory cache;
// only the end of the walk (or a missing name) takes references.
//
// A dentry's inode pointer changes once at most: from nullptr (a name known not to exist) to an
// inode. Unlinking takes the dentry out of the hash; whoever still holds it keeps the inode.
#pragma once
#include "base/atomic.h"
#include "base/list.h"
#include "base/types.h"
#include "core/lock.h"
#include "core/rcu.h"

struct cred;
struct dentry;
struct file;
struct file_ops;
struct fs_type;
struct inode;
struct mount;
struct path;
struct super_block;
struct vm_object;

struct fs_time {
	s64 sec; // since 1970
	u32 nsec;
};
struct fs_time fs_time_now(void);

// ---------------------------------------------------------------- inodes

struct file_locks; // POSIX, OFD and flock locks of an inode; linux/fs/locks.c

struct inode {
	// hot: path walk and stat
	u32 mode; // S_IFMT and permissions; inode lock, read racily
	u32 uid, gid;
	u32 flags;		     // enum inode_flags
	const struct inode_ops *ops; // immutable
	const struct file_ops
		*file_ops;	// immutable; for devices and FIFOs set by inode_init_special
	struct super_block *sb; // immutable
	u64 ino;		// immutable
	u32 nlink;		// inode lock
	refcount_t refs;	// dentries, and whoever called inode_get
	s64 size;		// inode lock; read by inode_size()
	u64 blocks; // of 512 bytes; inode lock. With an object, stat counts its pages instead
		    // (unless getattr knows better)
	u64 rdev;   // devices: dev_make(major, minor); immutable
	struct fs_time atime, mtime, ctime, btime; // inode lock for changes; read racily
	struct vm_object *object; // page cache: what mmap maps; nullptr: none. Immutable
	const char *link;   // symbolic links that live in memory: the target. Freed with the inode,
			    // after RCU
	mutex_t lock;	    // LOCK_dir for directories, else LOCK_inode
	atomic_s32 writers; // >0: open for writing; <0: being executed (writing is ETXTBSY)
	struct file_locks *locks; // atomic pointer; made by the first lock
	struct hlist watches;	  // inotify's; its watch lock, read racily
	void *special;		  // FIFO: its pipe; socket: its address; by inode lock
	void *private_data;	  // the file system's
	struct rcu_head rcu;
};

enum inode_flags : u32 {
	INODE_NOATIME = 1 << 0,
	INODE_APPEND = 1 << 1,
	INODE_IMMUTABLE = 1 << 2,
	INODE_NO_MODE_CHECK = 1 << 3, // ops->permission decides alone
	INODE_DEAD = 1 << 4,	      // removed directory: nothing can be created in it
};

constexpr u32 MAY_EXEC = 1, MAY_WRITE = 2, MAY_READ = 4; // the bits of one rwx triple
constexpr u32 MAY_APPEND = 8, MAY_OPEN = 16;

// What stat sees. Filled from the inode by default.
struct kstat {
	u64 dev, ino, rdev;
	u32 mode, nlink, uid, gid;
	s64 size;
	u64 blocks;
	u32 blksize;
	u32 attributes; // STATX_ATTR_*
	struct fs_time atime, mtime, ctime, btime;
	u64 mount_id;
};

enum attr_mask : u32 {
	ATTR_MODE = 1 << 0,
	ATTR_UID = 1 << 1,
	ATTR_GID = 1 << 2,
	ATTR_SIZE = 1 << 3,
	ATTR_ATIME = 1 << 4,
	ATTR_MTIME = 1 << 5,
	ATTR_CTIME = 1 << 6,
	ATTR_ATIME_SET = 1 << 7, // to a given time rather than now
	ATTR_MTIME_SET = 1 << 8,
	ATTR_KILL_PRIV = 1 << 9, // drop set-user-ID and set-group-ID bits
	ATTR_OPEN = 1 << 10,	 // truncation by open(O_TRUNC) or through a descriptor: rights were
				 // checked then
};
struct attr_change {
	u32 mask; // enum attr_mask
	u32 mode, uid, gid;
	s64 size;
	struct fs_time atime, mtime, ctime;
};

// Room for a symbolic link's target that is made on demand.
struct link_buf {
	char text[256];
	char *big; // kmalloc'ed by the file system when text is too short; freed by the caller
};

// Directory operations are called with the directory's lock held (rename: both, in a safe order);
// names have been checked for length, existence and rights. `d` is an unborn (or negative) dentry
// of that directory. Null operations mean -EPERM (changes), -ENOTDIR (lookup), -EINVAL (readlink),
// or the default in the comment.
struct inode_ops {
	// Finds d->name: dentry_set_inode(d, inode) and 0; or 0 without setting: no such name; or
	// an error. Null with a file system whose dcache is complete (SB_DCACHE_COMPLETE).
	int (*lookup)(struct inode *dir, struct dentry *d);
	// Makes a file of any type (S_IFMT in mode; S_IFDIR too) and calls dentry_set_inode. dev:
	// for S_IFCHR and S_IFBLK.
	int (*create)(struct inode *dir, struct dentry *d, u32 mode, u64 dev);
	int (*symlink)(struct inode *dir, struct dentry *d, const char *target);
	int (*link)(struct inode *target, struct inode *dir, struct dentry *d);
	int (*unlink)(struct inode *dir, struct dentry *d);
	int (*rmdir)(struct inode *dir, struct dentry *d); // -ENOTEMPTY
	// new's inode is replaced when it has one. flags: RENAME_*. The caller moves the dentries
	// afterwards.
	int (*rename)(struct inode *old_dir, struct dentry *old, struct inode *new_dir,
		      struct dentry *new, u32 flags);
	int (*tmpfile)(struct inode *dir, u32 mode,
		       struct inode **out); // O_TMPFILE: nlink 0. Null: -EOPNOTSUPP
	// The target of a symbolic link without inode->link: text (in buf or longer-lived) or
	// err_ptr. May sleep.
	const char *(*get_link)(struct inode *inode, struct link_buf *buf);
	// A link that leads to an object rather than to a name (/proc/PID/exe, fd, cwd): path with
	// references. May sleep. When both are given, get_link serves readlink and jump_link the
	// walk.
	int (*jump_link)(struct inode *inode, struct path *out);
	// After the default has filled st. May sleep. Null: the default is all.
	int (*getattr)(struct inode *inode, struct kstat *st);
	// Rights were checked. Null: attr_apply (and -EPERM for ATTR_SIZE). Inode lock held.
	int (*setattr)(struct inode *inode, const struct attr_change *a);
	// Under RCU when `rcu`: must then not sleep, -ECHILD asks to be called again outside. Null:
	// mode bits and capabilities.
	int (*permission)(struct inode *inode, u32 mask, bool rcu);
	// Extended attributes; value in kernel memory. get and list: len 0 asks for the size;
	// -ERANGE, -ENODATA. Null: -EOPNOTSUPP.
	ssize_t (*xattr_get)(struct inode *inode, const char *name, void *value, size_t len);
	int (*xattr_set)(struct inode *inode, const char *name, const void *value, size_t len,
			 u32 flags); // value nullptr: remove
	ssize_t (*xattr_list)(struct inode *inode, char *names, size_t len);
};

// Prepares an inode in the file system's memory (zeroed): refs 1, nlink 1, times now, lock; sb's
// ops free it at the end.
void inode_init(struct inode *inode, struct super_block *sb, u32 mode);
// A new inode from the common cache (for file systems without an inode struct of their own).
// nullptr when memory is out.
[[nodiscard]] struct inode *inode_alloc(struct super_block *sb, u32 mode);
// Frees the memory of an inode_alloc inode after a grace period (what sb->ops->free_inode does by
// default).
void inode_free(struct inode *inode);
static inline void inode_get(struct inode *inode)
{
	refcount_inc(&inode->refs);
}
void inode_put(struct inode *inode); // the last one evicts and frees it; may sleep
// Owner, group (set-group-ID directories) and mode of a new file in dir, by current's credentials.
void inode_init_owner(struct inode *inode, const struct inode *dir, u32 mode);
void inode_init_special(struct inode *inode,
			u64 dev); // file_ops by mode: character device, block device, FIFO, socket
static inline s64 inode_size(const struct inode *inode)
{
	return load_once(&inode->size);
}
int inode_permission(
	struct inode *inode,
	u32 mask); // current's rights; -EACCES, -EROFS (mounts are checked elsewhere), -EPERM
bool inode_owner_or_capable(const struct inode *inode);
int attr_check(struct inode *inode,
	       struct attr_change *a); // may current make this change? Adjusts implied bits
void attr_apply(struct inode *inode,
		const struct attr_change *a); // the change in the inode itself, size excepted
int path_change_attr(const struct path *p, struct attr_change *a); // checks, locks, ops->setattr
void inode_fill_stat(struct inode *inode, struct kstat *st);	   // the default part
int path_stat(const struct path *p, struct kstat *st);
int inode_deny_write(struct inode *inode); // exec: -ETXTBSY when it is open for writing
void inode_allow_write(struct inode *inode);
u64 ino_next(void); // unique numbers for file systems in memory

// ---------------------------------------------------------------- names

constexpr u32 NAME_MAX = 255;  // bytes of one component
constexpr u32 PATH_MAX = 4096; // bytes of a path, NUL included
constexpr u32 DNAME_INLINE = 40;

enum dentry_flags : u32 {
	DENTRY_MOUNTED = 1 << 0,    // some mount sits on it
	DENTRY_PINNED = 1 << 1,	    // one reference belongs to the directory that holds it (file
				    // systems in memory)
	DENTRY_REVALIDATE = 1 << 2, // ops->revalidate decides whether it still holds
	DENTRY_UNLINKED = 1 << 3,   // removed: paths show " (deleted)"
	DENTRY_ANONYMOUS = 1 << 4,  // pipes, sockets, memfd: no place in the tree
};

struct dentry_ops {
	// Is the name still right? Under RCU: must not sleep. false: it is dropped and looked up
	// again.
	bool (*revalidate)(struct dentry *d);
	// Text for /proc/PID/fd of anonymous objects ("pipe:[123]"). snprintf conventions.
	int (*describe)(struct dentry *d, char *buf, size_t cap);
	void (*release)(struct dentry *d); // before the memory goes, without locks
};

struct dentry {
	// hot: the walk reads these
	struct hlist_node hash; // bucket's lock; RCU
	struct dentry
		*parent; // counted; the root's is itself. Changed by rename under the name sequence
	u64 hashval;	 // of the name, mixed with the parent
	struct inode *inode; // counted; nullptr: negative
	u32 len;	     // bytes of name
	u32 flags;	     // enum dentry_flags; atomic
	const char *name;    // NUL-terminated, zero-padded to 8; short_name or kmalloc'ed
	char short_name[DNAME_INLINE];
	refcount_t refs;
	spinlock_t lock;	// LOCK_dentry: children
	struct list children;	// of a directory: dentry.sibling
	struct list sibling;	// parent's lock
	u64 cookie;		// place in the parent's list: grows with each entry; parent's lock
	u64 next_cookie;	// of a directory: the next child's; own lock
	struct super_block *sb; // immutable
	const struct dentry_ops *ops;
	void *private_data;
	struct rcu_head rcu;
};

static inline bool dentry_is_root(const struct dentry *d)
{
	return d->parent == d;
}
static inline void dentry_get(struct dentry *d)
{
	refcount_inc(&d->refs);
}
void dentry_put(struct dentry *d); // may sleep; nullptr is fine
// Gives a new or negative dentry its inode (takes over the caller's reference to it) and makes it
// visible.
void dentry_set_inode(struct dentry *d, struct inode *inode);
[[nodiscard]] struct dentry *dentry_alloc_root(
	struct super_block *sb, struct inode *root); // takes over root; nullptr: out of memory
// Finds or makes the child `name` and looks it up; a counted dentry (its inode may be nullptr) or
// err_ptr. Directory lock held.
struct dentry *dentry_lookup_locked(struct dentry *dir, const char *name, u32 len);
void dentry_drop(struct dentry *d); // out of the hash: not found again
bool dentry_is_ancestor(const struct dentry *ancestor, const struct dentry *d); // or equal

// For file systems in memory that make their trees themselves (procfs' fixed part, sysfs): adds
// name with a pinned dentry. Takes over inode, also on failure. counted dentry through *out when
// out is given. -EEXIST, -ENOMEM.
int dentry_add(struct dentry *dir, const char *name, struct inode *inode, struct dentry **out);
void dentry_remove(struct dentry *d); // takes a pinned dentry (with all below it) out of the tree
// file_ops.iterate and .lseek of directories whose dcache is complete.
struct dir_context;
int dcache_iterate(struct file *f, struct dir_context *ctx);
s64 dcache_dir_lseek(struct file *f, s64 offset, int whence);

struct path {
	struct mount *mnt;
	struct dentry *dentry;
};
void path_get(const struct path *p);
void path_put(const struct path *p); // both may be nullptr
static inline bool path_equal(const struct path *a, const struct path *b)
{
	return a->mnt == b->mnt && a->dentry == b->dentry;
}

enum lookup_flags : u32 {
	LOOKUP_FOLLOW = 1 << 0,	     // follow a symbolic link at the end
	LOOKUP_DIRECTORY = 1 << 1,   // the result must be a directory
	LOOKUP_EMPTY = 1 << 2,	     // "" means the start itself (AT_EMPTY_PATH)
	LOOKUP_NO_SYMLINKS = 1 << 3, // openat2's RESOLVE_*
	LOOKUP_NO_MAGICLINKS = 1 << 4,
	LOOKUP_NO_XDEV = 1 << 5,
	LOOKUP_BENEATH = 1 << 6,
	LOOKUP_IN_ROOT = 1 << 7,
	LOOKUP_CACHED = 1 << 8,
	LOOKUP_NO_AUTOMOUNT = 1 << 9, // accepted, means nothing
};
constexpr int AT_FDCWD_KERNEL = -100; // AT_FDCWD

// Walks a kernel string from dirfd (AT_FDCWD: current's working directory). *out is counted.
// Linux's errors. May sleep.
int path_lookup(int dirfd, const char *name, u32 flags, struct path *out);
// The same for a program's string.
int path_lookup_user(int dirfd, const char __user *name, u32 flags, struct path *out);
// Starts at a given place, with root as the top.
int path_lookup_from(const struct path *base, const struct path *root, const char *name, u32 flags,
		     struct path *out);

// The text of a path as seen from current's root, built at the end of buf: pointer into buf or
// err_ptr(-ENAMETOOLONG). Unreachable paths begin with "(unreachable)"; removed names end with "
// (deleted)".
char *d_path(const struct path *p, char *buf, size_t cap);
char *d_path_from(const struct path *p, const struct path *root, char *buf, size_t cap);
// Within its file system only.
char *dentry_path(const struct dentry *d, char *buf, size_t cap);

// Kernel-side changes of the tree, with current's rights unless stated; for initramfs, devfs and
// tests. Paths from current's root.
int fs_mkdir(const char *path, u32 mode);
int fs_mknod(const char *path, u32 mode, u64 dev);
int fs_symlink(const char *target, const char *path);
int fs_link(const char *old, const char *new);
int fs_unlink(const char *path);
int fs_rmdir(const char *path);
int fs_mount(const char *source, const char *target, const char *type, u64 flags,
	     const char *options);
int fs_umount(const char *target); // -EBUSY while it is in use

// Takes a file's name (len <= NAME_MAX bytes) out of the directory dir, with current's rights.
// -ENOENT, -EISDIR, ...
int fs_remove_in(const struct path *dir, const char *name, u32 len);

// Makes a node for an AF_UNIX address in the tree: counted path; -EADDRINUSE when the name exists.
int fs_bind_socket(const char *path, u32 mode, struct path *out);

// ---------------------------------------------------------------- file systems and mounts

enum sb_flags : u32 {
	SB_RDONLY = 1 << 0,
	SB_DCACHE_COMPLETE =
		1 << 1,		 // what is not in the dcache does not exist; dentries are pinned
	SB_KERNEL = 1 << 2,	 // never mounted by programs (pipes, sockets)
	SB_CACHE_NAMES = 1 << 3, // unused dentries stay cached
	SB_NODEV = 1 << 4,
	SB_NOEXEC = 1 << 5,
};

struct statfs_info {
	u64 type, bsize, blocks, bfree, bavail, files, ffree, fsid, namelen, frsize;
};

struct super_ops {
	void (*evict_inode)(struct inode *inode); // last reference gone: drop contents. May sleep
	void (*free_inode)(struct inode *inode);  // gives the memory back; readers under RCU may
						  // still look. Null: inode_free
	int (*statfs)(struct super_block *sb, struct statfs_info *out);
	int (*sync)(struct super_block *sb, bool wait);
	int (*remount)(struct super_block *sb, u64 flags, const char *options);
	void (*show_options)(struct super_block *sb, char *buf, size_t cap); // ",size=4096k"
	void (*release)(struct super_block *sb); // unmounted for the last time
};

struct super_block {
	const struct fs_type *type;
	const struct super_ops *ops;
	struct dentry *root; // counted
	u64 dev;	     // what st_dev shows
	u32 flags;	     // enum sb_flags; atomic
	u32 block_size;
	u64 magic;	     // statfs.f_type
	s64 max_bytes;	     // largest file
	refcount_t refs;     // mounts, and the type while it is a singleton
	mutex_t rename_lock; // LOCK_fs_rename: renames across directories
	void *private_data;
};
[[nodiscard]] struct super_block *super_alloc(
	const struct fs_type *type, const struct super_ops *ops); // fresh anonymous dev, refs 1
void super_put(struct super_block *sb);

struct fs_type {
	const char *name;
	bool needs_device; // without "nodev" in /proc/filesystems
	u64 magic;
	// Makes (or finds: take a reference) a super block with its root. options: "a=b,c" or
	// nullptr. flags: MS_*. May sleep.
	int (*mount)(const struct fs_type *type, const char *source, const char *options, u64 flags,
		     struct super_block **out);
	struct fs_type *next; // fs.c's
};
int fs_register(struct fs_type *type); // never unregistered. -EBUSY: the name is taken
bool fs_type_get(u32 index, const struct fs_type **out); // for /proc/filesystems

// Mounts outside the tree; nullptr: out of memory. The first takes over a reference of sb, _ref
// takes one of its own.
struct mount *mount_create_kernel(struct super_block *sb);
struct mount *mount_create_kernel_ref(struct super_block *sb);

struct mount {
	struct hlist_node hash;	   // by (parent, mountpoint); mount lock; RCU
	struct mount *parent;	   // counted; nullptr: the first mount, or detached
	struct dentry *mountpoint; // counted
	struct dentry *root;	   // counted
	struct super_block *sb;
	u32 flags;	 // MNT_*: MS_RDONLY, NOSUID, NODEV, NOEXEC, NOATIME, NODIRATIME, RELATIME,
			 // STRICTATIME of abi/linux/mount.h; atomic
	u32 id;		 // for mountinfo; immutable
	refcount_t refs; // paths
	u32 nchildren;	 // mounts on it; mount lock
	struct list all; // mount order; mount lock
	char *source;	 // "tmpfs", "none", "/dev/vda1"; immutable
	struct rcu_head rcu;
};
extern struct mount *fs_root_mount; // rootfs; immutable after boot
void mount_put(struct mount *m);
static inline void mount_get(struct mount *m)
{
	refcount_inc(&m->refs);
}
// For /proc/mounts and mountinfo: calls show for each mount that is reachable from root until it
// returns false. Mount lock is held: show must not look up paths.
void mount_for_each(bool (*show)(void *ctx, struct mount *m), void *ctx);
u64 mount_generation(void); // changes with every mount and unmount: poll on /proc/mounts
struct wait_queue;
extern struct wait_queue mount_waiters; // woken then

// ---------------------------------------------------------------- devices

// Device numbers in the kernel: 32 bits major, 32 bits minor; programs see Linux's encodings.
static inline u64 dev_make(u32 major, u32 minor)
{
	return (u64)major << 32 | minor;
}
static inline u32 dev_major(u64 dev)
{
	return (u32)(dev >> 32);
}
static inline u32 dev_minor(u64 dev)
{
	return (u32)dev;
}
static inline u64 dev_encode(u64 dev) // glibc's makedev(), as in struct stat
{
	u64 ma = dev >> 32, mi = (u32)dev;
	return (mi & 0xff) | (ma & 0xfff) << 8 | (mi & ~0xffull) << 12 | (ma & ~0xfffull) << 32;
}
static inline u64 dev_decode(u64 e)
{
	return dev_make((u32)((e >> 8 & 0xfff) | (e >> 32 & ~0xfffull)),
			(u32)((e & 0xff) | (e >> 12 & ~0xffull)));
}

// Makes opens of the character device (major, minor) use ops, and makes /dev/NAME (name may hold
// '/', nullptr: no node) with mode in devtmpfs. Any time after INITCALL level 2 began; may sleep.
// -EBUSY, -ENOMEM.
int dev_register_char(u32 major, u32 minor, const char *name, u32 mode, const struct file_ops *ops);
int dev_register_char_region(u32 major, u32 first, u32 count, const char *name,
			     const struct file_ops *ops); // no nodes
int dev_register_block(u32 major, u32 minor, const char *name, u32 mode,
		       const struct file_ops *ops);
void dev_unregister(bool block, u32 major, u32 minor, const char *name);
bool dev_info_get(bool block, u32 index, u32 *major, const char **name); // for /proc/devices
// Calls fn for every registered device with a node (for sysfs).
void dev_for_each(void (*fn)(void *ctx, bool block, u32 major, u32 minor, const char *name),
		  void *ctx);

// Extracts the initramfs (bootinfo) into rootfs; logs one sentence when it is damaged. Called by
// the personality's start.
void initramfs_unpack(void);
// Why unpacking stopped early, for the sentence that tells that there is no init: nullptr when all
// is well.
const char *initramfs_problem(void);

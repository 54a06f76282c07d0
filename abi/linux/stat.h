// SPDX-License-Identifier: MIT
// File types and modes, statx(2), statfs(2), directory entries.
#pragma once
#include "base/types.h"
#include <linux_arch/abi_fs.h> // struct stat

enum {
	S_IFMT = 0170000,
	S_IFSOCK = 0140000,
	S_IFLNK = 0120000,
	S_IFREG = 0100000,
	S_IFBLK = 0060000,
	S_IFDIR = 0040000,
	S_IFCHR = 0020000,
	S_IFIFO = 0010000,
	S_ISUID = 04000,
	S_ISGID = 02000,
	S_ISVTX = 01000,
	S_IRUSR = 0400,
	S_IWUSR = 0200,
	S_IXUSR = 0100,
	S_IRGRP = 0040,
	S_IWGRP = 0020,
	S_IXGRP = 0010,
	S_IROTH = 0004,
	S_IWOTH = 0002,
	S_IXOTH = 0001,
	S_IRWXUGO = 0777,
	S_IXUGO = 0111,
};
#define S_ISDIR(m)  (((m) & S_IFMT) == S_IFDIR)
#define S_ISREG(m)  (((m) & S_IFMT) == S_IFREG)
#define S_ISLNK(m)  (((m) & S_IFMT) == S_IFLNK)
#define S_ISCHR(m)  (((m) & S_IFMT) == S_IFCHR)
#define S_ISBLK(m)  (((m) & S_IFMT) == S_IFBLK)
#define S_ISFIFO(m) (((m) & S_IFMT) == S_IFIFO)
#define S_ISSOCK(m) (((m) & S_IFMT) == S_IFSOCK)

enum {
	DT_UNKNOWN = 0,
	DT_FIFO = 1,
	DT_CHR = 2,
	DT_DIR = 4,
	DT_BLK = 6,
	DT_REG = 8,
	DT_LNK = 10,
	DT_SOCK = 12
};

struct dirent64 { // getdents64(2)
	u64 d_ino;
	s64 d_off;
	u16 d_reclen;
	u8 d_type;
	char d_name[];
};
struct dirent_old { // getdents(2); the type is the record's last byte
	u64 d_ino;
	u64 d_off;
	u16 d_reclen;
	char d_name[];
};

struct statx_timestamp {
	s64 tv_sec;
	u32 tv_nsec;
	s32 pad;
};
struct statx {
	u32 stx_mask;
	u32 stx_blksize;
	u64 stx_attributes;
	u32 stx_nlink;
	u32 stx_uid;
	u32 stx_gid;
	u16 stx_mode;
	u16 pad0;
	u64 stx_ino;
	u64 stx_size;
	u64 stx_blocks;
	u64 stx_attributes_mask;
	struct statx_timestamp stx_atime, stx_btime, stx_ctime, stx_mtime;
	u32 stx_rdev_major, stx_rdev_minor;
	u32 stx_dev_major, stx_dev_minor;
	u64 stx_mnt_id;
	u32 stx_dio_mem_align, stx_dio_offset_align;
	u64 spare[12];
};
static_assert(sizeof(struct statx) == 256);
enum {
	STATX_BASIC_STATS = 0x7ff,
	STATX_BTIME = 0x800,
	STATX_MNT_ID = 0x1000,
	STATX_ATTR_APPEND = 0x20,
	STATX_ATTR_IMMUTABLE = 0x10,
	STATX_ATTR_MOUNT_ROOT = 0x2000,
};
constexpr u32 STATX_RESERVED = 0x80000000;

struct statfs {
	s64 f_type;
	s64 f_bsize;
	u64 f_blocks;
	u64 f_bfree;
	u64 f_bavail;
	u64 f_files;
	u64 f_ffree;
	s32 f_fsid[2];
	s64 f_namelen;
	s64 f_frsize;
	s64 f_flags;
	s64 f_spare[4];
};
static_assert(sizeof(struct statfs) == 120);
enum {
	ST_RDONLY = 0x1,
	ST_NOSUID = 0x2,
	ST_NODEV = 0x4,
	ST_NOEXEC = 0x8,
	ST_VALID = 0x20,
	ST_NOATIME = 0x400,
	ST_NODIRATIME = 0x800,
	ST_RELATIME = 0x1000,
};

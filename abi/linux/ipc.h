// SPDX-License-Identifier: MIT
// System V IPC as programs see it. Numbers and structs only.
#pragma once
#include "base/types.h"

enum : u32 { IPC_CREAT = 01000, IPC_EXCL = 02000, IPC_NOWAIT = 04000 };
constexpr s32 IPC_PRIVATE = 0;

enum ipc_command {
	IPC_RMID = 0,
	IPC_SET = 1,
	IPC_STAT = 2,
	IPC_INFO = 3,
	SHM_LOCK = 11,
	SHM_UNLOCK = 12,
	SHM_STAT = 13,
	SHM_INFO = 14,
	SHM_STAT_ANY = 15,
	SEM_GETPID = 11,
	SEM_GETVAL = 12,
	SEM_GETALL = 13,
	SEM_GETNCNT = 14,
	SEM_GETZCNT = 15,
	SEM_SETVAL = 16,
	SEM_SETALL = 17,
	SEM_STAT = 18,
	SEM_INFO = 19,
	SEM_STAT_ANY = 20,
	MSG_STAT = 11,
	MSG_INFO = 12,
	MSG_STAT_ANY = 13,
};

struct ipc64_perm {
	s32 key;
	u32 uid, gid, cuid, cgid, mode;
	u16 seq, pad;
	u64 unused[2];
};

// ---- shared memory ----

enum : u32 {
	SHM_HUGETLB = 04000,
	SHM_RDONLY = 010000,
	SHM_RND = 020000,
	SHM_REMAP = 040000,
	SHM_EXEC = 0100000,
	SHM_DEST = 01000,   // mode: goes when nobody has it attached any more
	SHM_LOCKED = 02000, // mode
};

struct shmid64_ds {
	struct ipc64_perm perm;
	u64 segsz;
	s64 atime, dtime, ctime;
	s32 cpid, lpid;
	u64 nattch, unused[2];
};
struct shminfo64 {
	u64 shmmax, shmmin, shmmni, shmseg, shmall, unused[4];
};
struct shm_info {
	s32 used_ids, pad; // named, so that it is cleared
	u64 shm_tot, shm_rss, shm_swp, swap_attempts, swap_successes;
};

// ---- semaphores; struct semid64_ds depends on the CPU ----

enum : u16 { SEM_UNDO = 0x1000 };
constexpr s32 SEMVMX = 32767;
constexpr u32 SEMOPM_MAX = 500; // at most, whatever /proc/sys/kernel/sem says

struct sembuf {
	u16 num;
	s16 op;
	s16 flags;
};
struct seminfo {
	s32 semmap, semmni, semmns, semmnu, semmsl, semopm, semume, semusz, semvmx, semaem;
};

// ---- messages ----

enum : u32 { MSG_NOERROR = 010000, MSG_EXCEPT = 020000, MSG_COPY = 040000 };

struct msqid64_ds {
	struct ipc64_perm perm;
	s64 stime, rtime, ctime;
	u64 cbytes, qnum, qbytes;
	s32 lspid, lrpid;
	u64 unused[2];
};
struct msginfo {
	s32 msgpool, msgmap, msgmax, msgmnb, msgmni, msgssz, msgtql;
	u16 msgseg, pad; // named, so that it is cleared
};
// ---- POSIX message queues ----

struct mq_attr {
	s64 flags, maxmsg, msgsize, curmsgs;
	s64 reserved[4];
};

static_assert(sizeof(struct shmid64_ds) == 112 && sizeof(struct msqid64_ds) == 120);

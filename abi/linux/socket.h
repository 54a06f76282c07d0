// SPDX-License-Identifier: MIT
// Sockets as programs see them: numbers and structs only.
#pragma once
#include "base/types.h"

enum { AF_UNSPEC = 0, AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10, AF_NETLINK = 16, AF_MAX = 46 };
enum {
	SOCK_STREAM = 1,
	SOCK_DGRAM = 2,
	SOCK_RAW = 3,
	SOCK_SEQPACKET = 5,
	SOCK_TYPE_MASK = 15,
	SOCK_NONBLOCK = 04000,
	SOCK_CLOEXEC = 02000000
};
enum { SHUT_RD = 0, SHUT_WR = 1, SHUT_RDWR = 2 };
constexpr s32 SOMAXCONN = 4096;

enum message_flags : u32 {
	MSG_OOB = 0x1,
	MSG_PEEK = 0x2,
	MSG_DONTROUTE = 0x4,
	MSG_CTRUNC = 0x8,
	MSG_TRUNC = 0x20,
	MSG_DONTWAIT = 0x40,
	MSG_EOR = 0x80,
	MSG_WAITALL = 0x100,
	MSG_NOSIGNAL = 0x4000,
	MSG_MORE = 0x8000,
	MSG_WAITFORONE = 0x10000,
	MSG_CMSG_CLOEXEC = 0x40000000,
};

enum { SOL_SOCKET = 1 };
enum socket_option {
	SO_DEBUG = 1,
	SO_REUSEADDR,
	SO_TYPE,
	SO_ERROR,
	SO_DONTROUTE,
	SO_BROADCAST,
	SO_SNDBUF,
	SO_RCVBUF,
	SO_KEEPALIVE,
	SO_OOBINLINE,
	SO_NO_CHECK,
	SO_PRIORITY,
	SO_LINGER,
	SO_BSDCOMPAT,
	SO_REUSEPORT,
	SO_PASSCRED,
	SO_PEERCRED,
	SO_RCVLOWAT,
	SO_SNDLOWAT,
	SO_RCVTIMEO,
	SO_SNDTIMEO,
	SO_TIMESTAMP = 29,
	SO_ACCEPTCONN = 30,
	SO_PEERSEC = 31,
	SO_SNDBUFFORCE = 32,
	SO_RCVBUFFORCE = 33,
	SO_PROTOCOL = 38,
	SO_DOMAIN = 39,
};
enum { SCM_RIGHTS = 1, SCM_CREDENTIALS = 2 };
constexpr u32 SCM_MAX_FD = 253;
constexpr u32 SIOCOUTQ = 0x5411;

constexpr u32 SOCKADDR_MAX = 128;
struct sockaddr_any {
	u16 family;
	u8 data[SOCKADDR_MAX - 2];
};
constexpr u32 UNIX_PATH_MAX = 108;

struct linux_ucred {
	s32 pid;
	u32 uid, gid;
};
struct linux_linger {
	s32 on, seconds;
};
struct linux_msghdr {
	u64 name;
	s32 namelen;
	u32 pad0;
	u64 iov;
	u64 iovlen;
	u64 control;
	u64 controllen;
	u32 flags;
	u32 pad1;
};
static_assert(sizeof(struct linux_msghdr) == 56);
struct linux_mmsghdr {
	struct linux_msghdr hdr;
	u32 len;
	u32 pad;
};
static_assert(sizeof(struct linux_mmsghdr) == 64);
struct linux_cmsghdr {
	u64 len; // with this header
	s32 level, type;
};
static_assert(sizeof(struct linux_cmsghdr) == 16);

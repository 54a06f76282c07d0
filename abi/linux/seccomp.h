// SPDX-License-Identifier: MIT
// seccomp(2) and classic BPF as Linux has them.
#pragma once
#include "base/types.h"

enum : u32 { SECCOMP_MODE_DISABLED, SECCOMP_MODE_STRICT, SECCOMP_MODE_FILTER };
enum : u32 {
	SECCOMP_SET_MODE_STRICT,
	SECCOMP_SET_MODE_FILTER,
	SECCOMP_GET_ACTION_AVAIL,
	SECCOMP_GET_NOTIF_SIZES,
};
enum : u32 {
	SECCOMP_FILTER_FLAG_TSYNC = 1,
	SECCOMP_FILTER_FLAG_LOG = 2,
	SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4,
	SECCOMP_FILTER_FLAG_NEW_LISTENER = 8,
	SECCOMP_FILTER_FLAG_TSYNC_ESRCH = 16,
};
enum : u32 {
	SECCOMP_RET_KILL_PROCESS = 0x80000000,
	SECCOMP_RET_KILL_THREAD = 0,
	SECCOMP_RET_TRAP = 0x00030000,
	SECCOMP_RET_ERRNO = 0x00050000,
	SECCOMP_RET_USER_NOTIF = 0x7fc00000,
	SECCOMP_RET_TRACE = 0x7ff00000,
	SECCOMP_RET_LOG = 0x7ffc0000,
	SECCOMP_RET_ALLOW = 0x7fff0000,
	SECCOMP_RET_ACTION_FULL = 0xffff0000,
	SECCOMP_RET_DATA = 0xffff,
};

struct sock_filter {
	u16 code;
	u8 jt, jf;
	u32 k;
};
struct sock_fprog {
	u16 len;
	u64 filter;
};
struct seccomp_data {
	s32 nr;
	u32 arch;
	u64 instruction_pointer;
	u64 args[6];
};
static_assert(sizeof(struct sock_filter) == 8 && sizeof(struct sock_fprog) == 16);
static_assert(sizeof(struct seccomp_data) == 64);

constexpr u32 BPF_MAXINSNS = 4096, BPF_MEMWORDS = 16;
// Classes, then what is joined to them.
enum : u16 { BPF_LD, BPF_LDX, BPF_ST, BPF_STX, BPF_ALU, BPF_JMP, BPF_RET, BPF_MISC };
enum : u16 { BPF_W = 0, BPF_IMM = 0, BPF_ABS = 0x20, BPF_MEM = 0x60, BPF_LEN = 0x80 };
enum : u16 {
	BPF_ADD = 0,
	BPF_SUB = 0x10,
	BPF_MUL = 0x20,
	BPF_DIV = 0x30,
	BPF_OR = 0x40,
	BPF_AND = 0x50,
	BPF_LSH = 0x60,
	BPF_RSH = 0x70,
	BPF_NEG = 0x80,
	BPF_XOR = 0xa0,
};
enum : u16 { BPF_JA = 0, BPF_JEQ = 0x10, BPF_JGT = 0x20, BPF_JGE = 0x30, BPF_JSET = 0x40 };
enum : u16 { BPF_K = 0, BPF_X = 8, BPF_A = 0x10, BPF_TAX = 0, BPF_TXA = 0x80 };

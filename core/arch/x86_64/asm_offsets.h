/* SPDX-License-Identifier: MIT */
/* Numbers that assembly shares with C; cpu.c asserts that they are right (x86-64). Privileged. */
#pragma once
#define KERNEL_CS    0x08
#define KERNEL_DS    0x10
/* 0x18: the slot of a 32-bit code segment, which SYSRET's layout wants and we leave empty */
#define USER_DS	     0x23
#define USER_CS	     0x2b
#define TSS_SELECTOR 0x30

#define FRAME_R15      0
#define FRAME_R14      8
#define FRAME_R13      16
#define FRAME_R12      24
#define FRAME_RBP      32
#define FRAME_RBX      40
#define FRAME_R11      48
#define FRAME_R10      56
#define FRAME_R9       64
#define FRAME_R8       72
#define FRAME_RAX      80
#define FRAME_RCX      88
#define FRAME_RDX      96
#define FRAME_RSI      104
#define FRAME_RDI      112
#define FRAME_ORIG_RAX 120
#define FRAME_RIP      128
#define FRAME_CS       136
#define FRAME_RFLAGS   144
#define FRAME_RSP      152
#define FRAME_SS       160
#define FRAME_SIZE     168

#define THREAD_WORK	   0
#define THREAD_SPACE	   16
#define THREAD_ELEVATED	   28
#define THREAD_MAY_ELEVATE 32
#define THREAD_GATE	   40
#define THREAD_ENTRY_TOP   48
#define THREAD_SYSCALLS	   56
#define THREAD_GATE_TLS	   64

/* struct gate_stack, struct service */
#define STACK_THREAD	      0
#define STACK_SAVED_SP	      8
#define STACK_ROOT	      16
#define STACK_TOP	      24
#define STACK_SERVICE	      32
#define STACK_OUTER	      40
#define STACK_PORT	      48
#define STACK_OP	      56
#define STACK_DEADLINE	      64
#define STACK_CALLS_IN	      72
#define STACK_CALLS_OUT	      80
#define STACK_GENERATION      88
#define STACK_SHIFT	      7 /* sizeof(struct gate_stack) */
#define SERVICE_LIVE	      0
#define SERVICE_STACK_WAITERS 4
#define SERVICE_IMPORTS	      8
#define SERVICE_STACKS	      128
#define PORT_SERVICE	      0
#define PORT_FAST	      8
#define PORT_COOKIE	      16
#define PORT_ENTRY	      24

/* In the views of services only: the page of gate stubs. */
#define GATE_STUBS	0xfffff00000000000
#define GATE_CALLS_MAX_ 128

#define RFLAGS_IF    0x200
#define RFLAGS_IOPL1 0x1000
#define RFLAGS_AC    0x40000
#define RFLAGS_FMASK 0x47700 /* IF, TF, DF, NT, IOPL, AC: what SYSCALL clears */

#define IST_STACK_SIZE 8192

#define WORK_RESCHED_BIT     0x1
#define WORK_ROOT_BIT	     0x10
#define WORK_TRACE_ENTRY_BIT 0x100
/* Native calls lie above Linux's numbers (abi/native.h). */
#define NR_HALYARD_ELEVATE   0x10000
#define NR_HALYARD_LOWER     0x10001
#define NR_GATE_RETURN	     0x10002
#define NR_GATE_CALL	     0x10100

#define VECTOR_STACK_OVERFLOW 256 /* not the CPU's: see trap_entry */

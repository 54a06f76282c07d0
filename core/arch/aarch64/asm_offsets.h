/* SPDX-License-Identifier: MIT */
/* Numbers that assembly shares with C; cpu.c asserts that they are right (AArch64). Privileged. */
#pragma once

#define FRAME_X0	 0
#define FRAME_X2	 16
#define FRAME_X4	 32
#define FRAME_X6	 48
#define FRAME_X8	 64
#define FRAME_X10	 80
#define FRAME_X12	 96
#define FRAME_X14	 112
#define FRAME_X16	 128
#define FRAME_X18	 144
#define FRAME_X20	 160
#define FRAME_X22	 176
#define FRAME_X24	 192
#define FRAME_X26	 208
#define FRAME_X28	 224
#define FRAME_X29	 232
#define FRAME_X30	 240
#define FRAME_SP	 248
#define FRAME_PC	 256
#define FRAME_PSTATE	 264
#define FRAME_ORIG_X0	 272
#define FRAME_NUMBER	 280
#define FRAME_NATIVE	 288
#define FRAME_ELEVATIONS 296
#define FRAME_SIZE	 304

#define THREAD_WORK	   0
#define THREAD_SPACE	   16
#define THREAD_ELEVATED	   28
#define THREAD_MAY_ELEVATE 32
#define THREAD_GATE	   40
#define THREAD_ENTRY_TOP   48
#define THREAD_SYSCALLS	   56
#define THREAD_GATE_TLS	   64
#define THREAD_CPU	   200

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
#define ROOT_UPPER	0x800 /* TTBR1 lies so far above the root */

#define PSTATE_EL1T_ 0x4
#define PSTATE_EL1H_ 0x5
#define PSTATE_DAIF_ 0x3c0

#define ESR_EC_SHIFT 26
#define EC_SVC64_    0x15

#define WORK_RESCHED_BIT     0x1
#define WORK_ROOT_BIT	     0x10
#define WORK_ROOT_SHIFT	     4
#define WORK_TRACE_ENTRY_BIT 0x100
/* Native calls lie above Linux's numbers (abi/native.h). */
#define NR_HALYARD_BIT	     16 /* set in all of them */
#define NR_HALYARD_ELEVATE   0x10000
#define NR_HALYARD_LOWER     0x10001
#define NR_GATE_RETURN	     0x10002
#define NR_GATE_CALL	     0x10100
#define NR_GATE_CALL_BIT     8 /* set in those of calls, in no other */

/* What entry.S tells trap_dispatch. */
#define TRAP_SYNC	    0
#define TRAP_IRQ	    1
#define TRAP_FIQ	    2
#define TRAP_SERROR	    3
#define TRAP_STACK_OVERFLOW 4

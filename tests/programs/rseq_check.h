// SPDX-License-Identifier: MIT
// What rseq_sections shares with its parts in arch/: a critical section, and the thread's area.
#pragma once
#include <stdint.h>
#include <sys/rseq.h>

struct cs {
	uint32_t version, flags;
	uint64_t start, length, abort;
} __attribute__((aligned(32)));

static volatile struct {
	uint32_t cpu_id_start, cpu_id;
	uint64_t rseq_cs;
	uint32_t flags, node_id, mm_cid;
} *area(void)
{
	return (void *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

extern struct cs cs_spin, cs_add; // stand in cpu_rseq.h, in assembly

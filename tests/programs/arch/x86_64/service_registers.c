// SPDX-License-Identifier: MIT
// What a service leaves in the registers of the program that called it: asks `faulty` to change
// them, and compares. Prints "NAME kept" or "NAME changed" for each. Usage: service_registers
// NUMBER (services/test/faulty/arch/).
#include "abi/test_device.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct state {
	uint64_t xmm0[2], xmm9[2];
	uint64_t fs, gs, flags, r[6];
	uint16_t ds, es, fs_selector, gs_selector;
} __attribute__((aligned(16)));

static void read_bases(struct state *s)
{
	__asm__ volatile("rdfsbase %0; rdgsbase %1" : "=r"(s->fs), "=r"(s->gs));
	__asm__ volatile("movw %%ds, %0; movw %%es, %1; movw %%fs, %2; movw %%gs, %3"
			 : "=m"(s->ds), "=m"(s->es), "=m"(s->fs_selector), "=m"(s->gs_selector));
}

// The ioctl, with known values in registers that a call keeps, read back directly after it.
static long call(int fd, struct test_request *q, struct state *s)
{
	long r = SYS_ioctl;

	__asm__ volatile("movdqa %[x0], %%xmm0\n\tmovdqa %[x9], %%xmm9\n\t"
			 "movq $0x1111, %%rbx\n\tmovq $0x2222, %%r12\n\tmovq $0x3333, %%r13\n\t"
			 "movq $0x4444, %%r14\n\tmovq $0x5555, %%r15\n\t"
			 "syscall\n\t"
			 "pushfq\n\tpopq %[flags]\n\t"
			 "movdqa %%xmm0, %[x0]\n\tmovdqa %%xmm9, %[x9]\n\t"
			 "movq %%rbx, %[r0]\n\tmovq %%r12, %[r1]\n\tmovq %%r13, %[r2]\n\t"
			 "movq %%r14, %[r3]\n\tmovq %%r15, %[r4]"
			 : "+a"(r), [x0] "+m"(s->xmm0), [x9] "+m"(s->xmm9), [flags] "=m"(s->flags),
			   [r0] "=m"(s->r[0]), [r1] "=m"(s->r[1]), [r2] "=m"(s->r[2]),
			   [r3] "=m"(s->r[3]), [r4] "=m"(s->r[4])
			 : "D"((long)fd), "S"((long)TEST_RUN), "d"(q)
			 : "rcx", "r11", "rbx", "r12", "r13", "r14", "r15", "xmm0", "xmm9",
			   "memory", "cc");
	return r;
}

static void tell(const char *what, int same)
{
	printf("%s %s\n", what, same ? "kept" : "changed");
}

int main(int argc, char **argv)
{
	static const uint64_t pattern[2] = {0x0123456789abcdef, 0xfedcba9876543210};
	struct test_request q = {.number = argc > 1 ? strtoull(argv[1], NULL, 0) : 0};
	struct state before, after;
	int fd = open("/dev/faulty", O_RDWR);

	if (fd < 0) {
		perror("/dev/faulty");
		return 2;
	}
	__asm__ volatile("wrgsbase %0" ::"r"(0x123456789000ul));
	memset(&before, 0, sizeof(before));
	read_bases(&before);
	after = before;
	memcpy(after.xmm0, pattern, 16);
	memcpy(after.xmm9, pattern, 16);
	long r = call(fd, &q, &after);
	read_bases(&after);
	printf("result %ld\n", r ? r : (long)q.result);
	tell("fs base", before.fs == after.fs);
	tell("gs base", before.gs == after.gs);
	tell("selectors", before.ds == after.ds && before.es == after.es &&
				  before.fs_selector == after.fs_selector &&
				  before.gs_selector == after.gs_selector);
	tell("vector registers",
	     !memcmp(after.xmm0, pattern, 16) && !memcmp(after.xmm9, pattern, 16));
	tell("general registers", after.r[0] == 0x1111 && after.r[1] == 0x2222 &&
					  after.r[2] == 0x3333 && after.r[3] == 0x4444 &&
					  after.r[4] == 0x5555);
	tell("flags", !(after.flags & 0x47700 & ~0x200u));
	return 0;
}

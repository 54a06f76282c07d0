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
	uint64_t v[3][2];
	uint64_t tls, nzcv, fpcr, fpsr, sp, x[8];
};

// The ioctl, with known values in registers that a call keeps, read back directly after it. X8
// holds the number and X0 the result; all others stay.
static long call(int fd, struct test_request *q, struct state *s)
{
	register long x8 __asm__("x8") = SYS_ioctl;
	register long x0 __asm__("x0") = fd;
	register long x1 __asm__("x1") = TEST_RUN;
	register void *x2 __asm__("x2") = q;
	register struct state *x3 __asm__("x3") = s;

	__asm__ volatile(
		"ldp q0, q1, [x3]\n\tmov v9.16b, v1.16b\n\tldr q31, [x3, #32]\n\t"
		"mov x4, #0x4444\n\tmov x9, #0x9999\n\tmov x16, #0x1616\n\tmov x17, #0x1717\n\t"
		"mov x18, #0x1818\n\tmov x19, #0x1919\n\tmov x28, #0x2828\n\tmov x30, #0x3030\n\t"
		"mov x5, #0x03c00000\n\tmsr fpcr, x5\n\tmsr fpsr, xzr\n\t"
		"mov x6, sp\n\tmov x7, #0x60000000\n\tmsr nzcv, x7\n\t"
		"svc #0\n\t"
		"mrs x7, nzcv\n\tmrs x5, fpcr\n\tmrs x10, fpsr\n\tmov x11, sp\n\tsub x11, x11, x6\n\t"
		"str q0, [x3]\n\tstr q9, [x3, #16]\n\tstr q31, [x3, #32]\n\t"
		"mrs x12, tpidr_el0\n\tstp x12, x7, [x3, #48]\n\tstp x5, x10, [x3, #64]\n\t"
		"stp x11, x4, [x3, #80]\n\tstp x9, x16, [x3, #96]\n\tstp x17, x18, [x3, #112]\n\t"
		"stp x19, x28, [x3, #128]\n\tstr x30, [x3, #144]\n\tmsr fpcr, xzr\n\t"
		: "+r"(x0), "+r"(x1), "+r"(x2)
		: "r"(x8), "r"(x3)
		: "x4", "x5", "x6", "x7", "x9", "x10", "x11", "x12", "x16", "x17", "x18", "x19",
		  "x28", "x30", "v0", "v1", "v9", "v31", "memory", "cc");
	return x0;
}

static void tell(const char *what, int same)
{
	printf("%s %s\n", what, same ? "kept" : "changed");
}

int main(int argc, char **argv)
{
	static const uint64_t general[] = {0x4444, 0x9999, 0x1616, 0x1717,
					   0x1818, 0x1919, 0x2828, 0x3030};
	static const struct state before = {.v = {{0x0123456789abcdef, 0xfedcba9876543210},
						  {0x1122334455667788, 0x99aabbccddeeff00},
						  {0x0f1e2d3c4b5a6978, 0x8796a5b4c3d2e1f0}}};
	struct test_request q = {.number = argc > 1 ? strtoull(argv[1], NULL, 0) : 0};
	struct state after = before;
	uint64_t tls;
	int fd = open("/dev/faulty", O_RDWR);

	if (fd < 0) {
		perror("/dev/faulty");
		return 2;
	}
	__asm__ volatile("mrs %0, tpidr_el0" : "=r"(tls));
	long r = call(fd, &q, &after);
	printf("result %ld\n", r ? r : (long)q.result);
	tell("thread pointer", after.tls == tls);
	tell("stack pointer", after.sp == 0);
	tell("vector registers", !memcmp(after.v, before.v, sizeof(after.v)));
	tell("rounding", after.fpcr == 0x03c00000 && after.fpsr == 0);
	tell("general registers", !memcmp(after.x, general, sizeof(general)));
	tell("flags", after.nzcv == 0x60000000);
	return 0;
}

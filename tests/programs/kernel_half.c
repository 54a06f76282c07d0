// SPDX-License-Identifier: MIT
// Looks for memory of the kernel or of services that a program can reach: reads, writes and jumps
// to addresses all over the kernel's half, those where services lie above all, by itself and
// through system calls, also directly after services ran on this thread and while they run on
// another CPU. Every try must be a fault or EFAULT. On Linux too, but for what it means to show
// (x86's vsyscall page). Usage: kernel_half [SERVICE'S DEVICE]...
#define _GNU_SOURCE
#include "tests/programs/check.h"
#include "abi/test_device.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

typedef uint64_t u64;

enum {
	SLOTS = 256,   // of 512 GiB
	SERVICES = 32, // slots of services, from FIRST_SERVICE on
	FIRST_SERVICE = 160,
	WINDOW_BITS = 31, // of a service's life
	WINDOWS = 8,	  // that are looked at
};
static const u64 HALF = 0xffff800000000000;
static const u64 STUBS = 0xfffff00000000000;
static const u64 IMAGE = 0xffffffff80000000;

static sigjmp_buf back;
static unsigned long tried;
static int null_fd = -1, pipes[2];
static int devices[8], ndevices;

static void on_fault(int sig)
{
	(void)sig;
	siglongjmp(back, 1);
}

static int reads(u64 at)
{
	if (sigsetjmp(back, 0))
		return 0;
	(void)*(volatile unsigned char *)at;
	return 1;
}

static int writes(u64 at)
{
	if (sigsetjmp(back, 0))
		return 0;
	*(volatile unsigned char *)at = 0x5a;
	return 1;
}

static int jumps(u64 at)
{
	if (sigsetjmp(back, 0))
		return 0;
	((void (*)(void))at)();
	return 1;
}

// What the kernel does when it is asked to: it must not be talked into it.
static void by_calls(u64 at)
{
	struct iovec v = {(void *)at, 8};

	CHECK_ERR(write(pipes[1], (void *)at, 8), EFAULT);
	CHECK_ERR(writev(pipes[1], &v, 1), EFAULT);
	CHECK_ERR(read(null_fd, (void *)at, 8), EFAULT); // /dev/zero
}

static void enter_services(void)
{
	struct test_request r = {.number = 0};

	for (int i = 0; i < ndevices; i++)
		CHECK(ioctl(devices[i], TEST_RUN, &r) == 0);
}

static void look(u64 at)
{
	if (tried++ % 8 == 0)
		enter_services();
	if (reads(at))
		printf("FAILED: %#lx can be read\n", (unsigned long)at), check_failures++;
	if (tried % 4 == 0 && writes(at))
		printf("FAILED: %#lx can be written\n", (unsigned long)at), check_failures++;
	if (tried % 4 == 1 && jumps(at & ~63ull))
		printf("FAILED: %#lx can be executed\n", (unsigned long)at), check_failures++;
	if (tried % 16 == 2)
		by_calls(at);
}

static void look_at_service(u64 slot)
{
	// where each kind of memory begins in a window (core/gate/memory.c), and what is around
	static const u64 kinds[] = {0, 64, 128, 768, 1024, 1280, 1536};

	for (u64 w = 0; w < WINDOWS; w++) {
		u64 window = HALF + (slot << 39) + (w << WINDOW_BITS);
		for (unsigned k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
			for (u64 page = 0; page < 20; page++)
				look(window + (kinds[k] << 20) + (page << 12) + page * 8);
		for (u64 stack = 1; stack < 8; stack++) // each at the top of 64 KiB
			look(window + (64ull << 20) + (stack + 1) * 65536 - 16);
	}
}

static void look_everywhere(void)
{
	for (u64 slot = 0; slot < SLOTS; slot++)
		for (u64 bit = 12; bit < 39; bit += 3)
			look(HALF + (slot << 39) + (1ull << bit) - 8);
	for (u64 at = 0; at < 1ull << 31; at += 3 << 20) // the direct map, the image
		look(HALF + at);
	for (u64 at = 0; at < 16ull << 20; at += 0x11000)
		look(IMAGE + at);
	for (u64 at = 0; at < 16384; at += 16)
		look(STUBS + at);
	for (u64 slot = FIRST_SERVICE; slot < FIRST_SERVICE + SERVICES; slot++)
		look_at_service(slot);
	look(~0ull - 7);
}

static volatile int stop;

static void *keep_services_busy(void *unused)
{
	while (!stop)
		enter_services();
	return unused;
}

int main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
	pthread_t other;

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGILL, &sa, NULL);
	null_fd = open("/dev/zero", O_RDONLY);
	CHECK(null_fd >= 0 && pipe2(pipes, O_NONBLOCK) == 0);
	for (int i = 1; i < argc && ndevices < 8; i++) {
		devices[ndevices] = open(argv[i], O_RDWR);
		CHECK(devices[ndevices++] >= 0);
	}
	// that the tries work: what is ours can be reached
	static unsigned char own[4096];
	CHECK(reads((u64)own) && writes((u64)own) && own[0] == 0x5a);
	CHECK(pthread_create(&other, NULL, keep_services_busy, NULL) == 0);
	look_everywhere();
	stop = 1;
	pthread_join(other, NULL);
	printf("%lu addresses\n", tried);
	return check_done("kernel_half");
}

// SPDX-License-Identifier: MIT
// All memory comes back: a thousand each of processes, programs, threads, mappings, pipes, sockets,
// and files leave no page behind.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/programs/check.h"

enum { TIMES = 1000, PAGE = 4096, SLACK_KIB = 512 }; // what per-CPU caches may hold on to

static long free_kib(void)
{
	char text[256];
	int fd = open("/proc/meminfo", O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	text[n > 0 ? n : 0] = 0;
	const char *at = strstr(text, "MemFree:");
	return at ? atol(at + 8) : -1;
}

static void processes(void)
{
	pid_t pid = fork();
	if (!pid)
		_exit(0);
	CHECK(waitpid(pid, NULL, 0) == pid);
}

static void programs(void)
{
	pid_t pid = vfork();
	if (!pid) {
		execl("/proc/self/exe", "give_back", "child", NULL);
		_exit(1);
	}
	int status = -1;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void *nothing(void *arg)
{
	return arg;
}

static void threads(void)
{
	pthread_t t;
	CHECK(pthread_create(&t, NULL, nothing, NULL) == 0 && pthread_join(t, NULL) == 0);
}

static void mappings(void)
{
	char *p = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 64; i += 3)
		p[i * PAGE] = 1;
	munmap(p + 10 * PAGE, PAGE);
	CHECK(munmap(p, 64 * PAGE) == 0);
	p = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	p[5 * PAGE] = 1;
	CHECK(munmap(p, 8 * PAGE) == 0);
}

static void pipes(void)
{
	static char bytes[3 * PAGE];
	int fds[2];
	CHECK(pipe(fds) == 0 && write(fds[1], bytes, sizeof(bytes)) == sizeof(bytes));
	close(fds[0]);
	close(fds[1]);
}

static void sockets(void)
{
	static char bytes[2 * PAGE];
	int fds[2];
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0 &&
	      write(fds[1], bytes, sizeof(bytes)) == sizeof(bytes));
	// and a descriptor in flight when both ends close
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {bytes, 1};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	*c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
			      .cmsg_level = SOL_SOCKET,
			      .cmsg_type = SCM_RIGHTS};
	int other = open("/dev/null", O_RDONLY);
	memcpy(CMSG_DATA(c), &other, sizeof(other));
	CHECK(sendmsg(fds[0], &m, 0) == 1);
	close(other);
	close(fds[0]);
	close(fds[1]);
}

static void files(void)
{
	static char bytes[5 * PAGE];
	int fd = open("/tmp/give_back", O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(write(fd, bytes, sizeof(bytes)) == sizeof(bytes));
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	p[0] = 1;
	CHECK(unlink("/tmp/give_back") == 0);
	close(fd);
	CHECK(munmap(p, 2 * PAGE) == 0);
	CHECK(mkdir("/tmp/give_back.d", 0700) == 0 && rmdir("/tmp/give_back.d") == 0);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*once)(void);
	} parts[] = {{"processes", processes}, {"programs", programs}, {"threads", threads},
		     {"mappings", mappings},   {"pipes", pipes},       {"sockets", sockets},
		     {"files", files}};

	if (argc > 1 && !strcmp(argv[1], "child"))
		return 0;
	for (unsigned i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		for (int n = 0; n < 50; n++)
			parts[i].once();
		long before = free_kib();
		for (int n = 0; n < TIMES; n++)
			parts[i].once();
		long after = free_kib(), lost = before - after;
		for (int n = 0; n < 20 && lost > SLACK_KIB;
		     n++) { // what is freed later, by other threads of the kernel
			usleep(50000);
			lost = before - free_kib();
		}
		if (lost > SLACK_KIB)
			printf("%s: %ld KiB are gone\n", parts[i].name, lost);
		CHECK(lost <= SLACK_KIB);
	}
	(void)argv;
	return check_done("give_back");
}

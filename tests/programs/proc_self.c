// SPDX-License-Identifier: MIT
// What /proc tells a process about itself: numbers that it knows from elsewhere must agree. Exit
// status 1 at the first that does not.
#define _GNU_SOURCE
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/programs/proc_check.h"

static void check_stat(void)
{
	int pid, ppid, pgrp, session;
	char comm[64], state;
	slurp("/proc/self/stat");
	char *close_paren = strrchr(text, ')');
	CHECK(sscanf(text, "%d (%63[^)])", &pid, comm) == 2);
	CHECK(sscanf(close_paren + 2, "%c %d %d %d", &state, &ppid, &pgrp, &session) == 4);
	CHECK(pid == getpid() && ppid == getppid() && pgrp == getpgrp() && session == getsid(0));
	CHECK(state == 'R' && !strncmp(comm, "proc_self", 9));
	int fields = 2;
	for (char *p = close_paren; (p = strchr(p, ' ')); p++)
		fields++;
	CHECK(fields == 52);
}

static void check_status(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	signal(SIGUSR2, SIG_IGN);
	slurp("/proc/self/status");
	CHECK(value("Pid:") == getpid() && value("PPid:") == getppid() &&
	      value("Tgid:") == getpid());
	CHECK(value("Uid:") == getuid() && value("Gid:") == getgid());
	CHECK(value("Threads:") == 1 && value("VmRSS:") > 0 && value("VmSize:") >= value("VmRSS:"));
	CHECK(strstr(text, "SigBlk:\t0000000000000200") &&
	      strstr(text, "SigPnd:\t0000000000000200"));
	CHECK(strtoull(strstr(text, "SigIgn:") + 8, NULL, 16) & 1 << (SIGUSR2 - 1));
	signal(SIGUSR1, SIG_IGN);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void check_strings(char **argv)
{
	ssize_t len = slurp("/proc/self/cmdline");
	size_t at = 0;
	for (int i = 0; argv[i]; at += strlen(argv[i++]) + 1)
		CHECK(!strcmp(text + at, argv[i]));
	CHECK(at == (size_t)len);
	len = slurp("/proc/self/environ");
	CHECK(!environ[0] || !strcmp(text, environ[0]));

	len = slurp("/proc/self/auxv");
	CHECK(len % sizeof(Elf64_auxv_t) == 0);
	bool page_size = false;
	for (Elf64_auxv_t *a = (Elf64_auxv_t *)text; (char *)a < text + len; a++)
		page_size |= a->a_type == AT_PAGESZ &&
			     a->a_un.a_val == (unsigned long)sysconf(_SC_PAGESIZE);
	CHECK(page_size);
}

static void check_comm(void)
{
	int fd = open("/proc/self/comm", O_RDWR);
	CHECK(fd >= 0 && write(fd, "a name that is long", 19) == 19);
	close(fd);
	slurp("/proc/thread-self/comm");
	CHECK(!strcmp(text, "a name that is \n"));
	pid_t kid = fork();
	if (!kid) {
		char path[64];
		snprintf(path, sizeof(path), "/proc/%d/comm", getppid());
		fd = open(path, O_WRONLY);
		_exit(fd < 0 || (write(fd, "x", 1) == -1 && errno == EINVAL)
			      ? 0
			      : 1); // another process's
	}
	int st;
	CHECK(waitpid(kid, &st, 0) == kid && st == 0);
}

// Line of maps that covers an address; its rights in *rights.
static char *mapping_of(const void *p, char rights[5])
{
	slurp("/proc/self/maps");
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		unsigned long start, end;
		CHECK(sscanf(line, "%lx-%lx %4s", &start, &end, rights) == 3);
		if ((unsigned long)p >= start && (unsigned long)p < end)
			return line;
	}
	return NULL;
}

static void check_maps(void)
{
	char rights[5], *line;
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	CHECK(mprotect(p + 4096, 4096, PROT_NONE) == 0);
	CHECK(mapping_of(p, rights) && !strcmp(rights, "rw-p"));
	CHECK(mapping_of(p + 4096, rights) && !strcmp(rights, "---p"));
	CHECK((line = mapping_of(check_maps, rights)) && !strcmp(rights, "r-xp") &&
	      strstr(line, "/proc_self"));
	CHECK((line = mapping_of(&line, rights)) && strstr(line, "[stack]"));
	munmap(p, 8192);
	CHECK(!mapping_of(p, rights));
	slurp("/proc/self/smaps_rollup");
	CHECK(value("Rss:") > 0 && value("Private_Dirty:") > 0 && value("Pss:") <= value("Rss:"));
	slurp("/proc/self/statm");
	CHECK(strtol(text, NULL, 10) > 0);
}

static void check_mem(void)
{
	static volatile int word = 42;
	const int *constant = (const int *)&"read-only text";
	int fd = open("/proc/self/mem", O_RDWR), got = 0, other = 43;
	CHECK(fd >= 0);
	CHECK(pread(fd, &got, sizeof(got), (off_t)(uintptr_t)&word) == sizeof(got) && got == 42);
	CHECK(pwrite(fd, &other, sizeof(other), (off_t)(uintptr_t)&word) == sizeof(other) &&
	      word == 43);
	CHECK(pread(fd, &got, sizeof(got), (off_t)(uintptr_t)constant) == sizeof(got) &&
	      !memcmp(&got, constant, sizeof(got)));
	CHECK(pread(fd, &got, sizeof(got), 0) == -1 && errno == EIO);
	close(fd);
}

static void check_fds(void)
{
	char path[64], target[256] = {0};
	int pipes[2], fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && read(fd, target, 4) == 4 && !memcmp(target, "\177ELF", 4));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	memset(target, 0, sizeof(target));
	CHECK(readlink(path, target, sizeof(target) - 1) > 0 && strstr(target, "/proc_self"));
	int again = open(path, O_RDONLY);
	struct stat a, b, l;
	CHECK(again >= 0 && again != fd && fstat(fd, &a) == 0 && fstat(again, &b) == 0 &&
	      a.st_ino == b.st_ino);
	CHECK(stat(path, &b) == 0 && a.st_ino == b.st_ino);
	CHECK(lstat(path, &l) == 0 && l.st_mode == (S_IFLNK | 0500) && l.st_size == 64);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	slurp(path);
	CHECK(value("pos:") == 4 && strtol(strstr(text, "flags:") + 7, NULL, 8) & O_CLOEXEC);

	CHECK(pipe(pipes) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", pipes[0]);
	memset(target, 0, sizeof(target));
	CHECK(fstat(pipes[0], &a) == 0 && readlink(path, target, sizeof(target) - 1) > 0);
	snprintf(path, sizeof(path), "pipe:[%lu]", (unsigned long)a.st_ino);
	CHECK(!strcmp(path, target));
	close(pipes[0]);
	close(pipes[1]);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", pipes[0]);
	CHECK(readlink(path, target, sizeof(target)) == -1 && errno == ENOENT);

	int seen = 0;
	DIR *d = opendir("/proc/self/fd");
	CHECK(d);
	for (struct dirent *e; (e = readdir(d));)
		seen += atoi(e->d_name) == fd && e->d_type == DT_LNK;
	CHECK(seen == 1);
	closedir(d);
	close(fd);
	close(again);
}

static void check_links(void)
{
	char a[512] = {0}, b[512] = {0};
	CHECK(readlink("/proc/self/cwd", a, sizeof(a) - 1) > 0 && getcwd(b, sizeof(b)) &&
	      !strcmp(a, b));
	memset(a, 0, sizeof(a));
	CHECK(readlink("/proc/self", a, sizeof(a) - 1) > 0 && atoi(a) == getpid());
	memset(a, 0, sizeof(a));
	snprintf(b, sizeof(b), "%d/task/%ld", getpid(), syscall(SYS_gettid));
	CHECK(readlink("/proc/thread-self", a, sizeof(a) - 1) > 0 && !strcmp(a, b));
	CHECK(access("/proc/self/root/proc/self/stat", R_OK) == 0);
	CHECK(open("/proc/self/nonsense", O_RDONLY) == -1 && errno == ENOENT);
	CHECK(mkdir("/proc/self/x", 0700) == -1);
	CHECK(open("/proc/04294967295", O_RDONLY) == -1 && errno == ENOENT);
}

static int ready[2], stop[2];
static pid_t thread_id;

static void *thread_main(void *arg)
{
	char c;
	(void)arg;
	thread_id = (pid_t)syscall(SYS_gettid);
	CHECK(pthread_setname_np(pthread_self(), "second") == 0);
	CHECK(write(ready[1], "x", 1) == 1 && read(stop[0], &c, 1) == 1);
	return NULL;
}

static void check_threads(void)
{
	pthread_t thread;
	char c, path[64];
	int seen = 0;
	struct stat st;
	CHECK(pipe(ready) == 0 && pipe(stop) == 0);
	CHECK(pthread_create(&thread, NULL, thread_main, NULL) == 0 && read(ready[0], &c, 1) == 1);
	DIR *d = opendir("/proc/self/task");
	CHECK(d);
	for (struct dirent *e; (e = readdir(d));)
		seen += atoi(e->d_name) == getpid() || atoi(e->d_name) == thread_id;
	closedir(d);
	CHECK(seen == 2 && stat("/proc/self/task", &st) == 0 && st.st_nlink == 4);
	snprintf(path, sizeof(path), "/proc/self/task/%d/comm", thread_id);
	slurp(path);
	CHECK(!strcmp(text, "second\n"));
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", thread_id);
	slurp(path);
	CHECK(atoi(text) == thread_id);
	snprintf(path, sizeof(path), "/proc/%d/status", thread_id); // found, though not listed
	slurp(path);
	CHECK(value("Tgid:") == getpid() && value("Pid:") == thread_id && value("Threads:") == 2);
	CHECK(write(stop[1], "x", 1) == 1 && pthread_join(thread, NULL) == 0);
	snprintf(path, sizeof(path), "/proc/self/task/%d/comm", thread_id);
	for (int i = 0; i < 100 && access(path, F_OK) == 0; i++) // it may be on its way out still
		usleep(10000);
	CHECK(open(path, O_RDONLY) == -1 && errno == ENOENT);
}

static void check_zombie(void)
{
	char path[64];
	siginfo_t info;
	pid_t kid = fork();
	if (!kid)
		_exit(3);
	CHECK(waitid(P_PID, (id_t)kid, &info, WEXITED | WNOWAIT) == 0);
	snprintf(path, sizeof(path), "/proc/%d/stat", kid);
	slurp(path);
	CHECK(strstr(text, ") Z ") && strstr(text, "(proc_self"));
	int fd = open(path, O_RDONLY);
	snprintf(path, sizeof(path), "/proc/%d/cmdline", kid);
	CHECK(slurp(path) == 0);
	CHECK(waitpid(kid, NULL, 0) == kid);
	CHECK(open(path, O_RDONLY) == -1 && errno == ENOENT);
	CHECK(read(fd, text, 10) == -1 &&
	      errno == ESRCH); // the name is gone, and so is what it meant
	close(fd);
}

static void check_reads(void)
{
	char whole[8192], pieces[8192];
	int fd = open("/proc/self/limits", O_RDONLY);
	ssize_t len = read(fd, whole, sizeof(whole)), at = 0, n;
	CHECK(len > 500 && lseek(fd, 0, SEEK_SET) == 0);
	while ((n = read(fd, pieces + at, 7)) > 0)
		at += n;
	CHECK(at == len && !memcmp(whole, pieces, (size_t)len));
	CHECK(pread(fd, pieces, 100, 50) == 100 && !memcmp(pieces, whole + 50, 100));
	CHECK(lseek(fd, 10, SEEK_SET) == 10 && read(fd, pieces, 5) == 5 &&
	      !memcmp(pieces, whole + 10, 5));
	CHECK(lseek(fd, 5, SEEK_CUR) == 20);
	CHECK(syscall(SYS_read, fd, 1, 10) == -1 && errno == EFAULT);
	CHECK(write(fd, "x", 1) == -1 && errno == EBADF);
	close(fd);
}

// What others may not see: environment, memory and descriptors of another user's process.
static void check_rights(void)
{
	if (getuid() != 0)
		return;
	char path[64];
	pid_t kid = fork();
	if (!kid) {
		static const char *const names[] = {"environ", "mem", "maps", "auxv", "io", "fd"};
		CHECK(setresgid(1000, 1000, 1000) == 0 && setresuid(1000, 1000, 1000) == 0);
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			snprintf(path, sizeof(path), "/proc/%d/%s", getppid(), names[i]);
			int fd = open(path, O_RDONLY);
			if (fd >= 0)
				CHECK(read(fd, path, 1) == -1);
			CHECK(errno == EACCES || errno == EPERM);
		}
		snprintf(path, sizeof(path), "/proc/%d/exe", getppid());
		CHECK(readlink(path, text, sizeof(text)) == -1 &&
		      (errno == EACCES || errno == EPERM));
		snprintf(path, sizeof(path), "/proc/%d/stat", getppid());
		CHECK(slurp(path) > 0);
		CHECK(open("/proc/sys/kernel/hostname", O_WRONLY) == -1 && errno == EACCES);
		_exit(0);
	}
	int st;
	CHECK(waitpid(kid, &st, 0) == kid && st == 0);
}

static void check_oom(void)
{
	int fd = open("/proc/self/oom_score_adj", O_RDWR);
	CHECK(fd >= 0 && write(fd, "500", 3) == 3);
	slurp("/proc/self/oom_score_adj");
	CHECK(!strcmp(text, "500\n"));
	CHECK(pwrite(fd, "1001", 4, 0) == -1 && errno == EINVAL);
	CHECK(pwrite(fd, "nonsense", 8, 0) == -1 && errno == EINVAL);
	close(fd);
}

static void check_mounts(void)
{
	int fd = open("/proc/self/mounts", O_RDONLY);
	struct pollfd p = {.fd = fd, .events = POLLPRI};
	CHECK(fd >= 0 && poll(&p, 1, 0) >= 0);
	slurp("/proc/mounts");
	CHECK(strstr(text, " /proc proc rw"));
	slurp("/proc/self/mountinfo");
	CHECK(strstr(text, " / /proc "));
	if (getuid() == 0 && mkdir("/tmp/proc_self.mnt", 0700) == 0) {
		CHECK(poll(&p, 1, 0) == 0);
		CHECK(mount("a name", "/tmp/proc_self.mnt", "tmpfs", MS_NOSUID, "size=1m") == 0);
		CHECK(poll(&p, 1, 0) == 1 &&
		      (p.revents & (POLLERR | POLLPRI)) == (POLLERR | POLLPRI));
		slurp("/proc/self/mounts");
		CHECK(strstr(text, "\na\\040name /tmp/proc_self.mnt tmpfs rw,") &&
		      strstr(text, "nosuid"));
		CHECK(umount("/tmp/proc_self.mnt") == 0 && rmdir("/tmp/proc_self.mnt") == 0);
		slurp("/proc/self/mounts");
		CHECK(!strstr(text, "proc_self.mnt"));
	}
	close(fd);
}

int main(int argc, char **argv)
{
	(void)argc;
	check_stat();
	check_status();
	check_strings(argv);
	check_maps();
	check_mem();
	check_fds();
	check_links();
	check_threads();
	check_zombie();
	check_reads();
	check_rights();
	check_oom();
	check_mounts();
	check_comm();
	puts("ok");
	return 0;
}

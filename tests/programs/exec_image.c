// SPDX-License-Identifier: MIT
// execve: arguments, environment, auxiliary vector, what survives and what does not, scripts,
// limits, threads.
#define _GNU_SOURCE
#include "tests/programs/check.h"
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static char self[4096];

static int run(char *const argv[], char *const envp[])
{
	int status;
	pid_t p = fork();
	if (!p) {
		execve(argv[0], argv, envp);
		_exit(200 + (errno & 31));
	}
	waitpid(p, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	unlink(path);
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, mode);
	CHECK(fd >= 0);
	CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static int child(int argc, char **argv, char **envp)
{
	if (!strcmp(argv[1], "args")) {
		if (argc != 4 || strcmp(argv[2], "two words") || argv[3][0])
			return 1;
		if (strcmp(envp[0], "A=1") || strcmp(envp[1], "B=") || envp[2])
			return 2;
		return 42;
	}
	if (!strcmp(argv[1], "auxv")) {
		CHECK_EQ(getauxval(AT_PAGESZ), 4096);
		CHECK_EQ(getauxval(AT_UID), getuid());
		CHECK_EQ(getauxval(AT_SECURE), 0);
		CHECK_EQ(getauxval(AT_CLKTCK), 100);
		CHECK(getauxval(AT_RANDOM) && getauxval(AT_PHDR) && getauxval(AT_ENTRY) &&
		      getauxval(AT_SYSINFO_EHDR));
		CHECK_EQ(getauxval(AT_PHENT), sizeof(Elf64_Phdr));
		CHECK(!strcmp((char *)getauxval(AT_EXECFN), self));
		CHECK(((unsigned long)__builtin_frame_address(0) & 15) == 0);
		return check_failures ? 1 : 42;
	}
	if (!strcmp(argv[1], "state")) {
		struct sigaction sa;
		sigset_t set;
		sigaction(SIGUSR1, NULL, &sa);
		CHECK(sa.sa_handler == SIG_DFL);
		sigaction(SIGUSR2, NULL, &sa);
		CHECK(sa.sa_handler == SIG_IGN);
		sigprocmask(SIG_SETMASK, NULL, &set);
		CHECK(sigismember(&set, SIGHUP));
		sigpending(&set);
		CHECK(sigismember(&set, SIGHUP));
		CHECK_ERR(fcntl(100, F_GETFD), EBADF);
		CHECK_EQ(fcntl(101, F_GETFD), 0);
		CHECK_EQ(getpid(), atoi(argv[2]));
		CHECK_EQ(syscall(SYS_gettid), getpid());
		stack_t ss;
		sigaltstack(NULL, &ss);
		CHECK(ss.ss_flags & SS_DISABLE);
		return check_failures ? 1 : 42;
	}
	if (!strcmp(argv[1], "count"))
		return argc == atoi(argv[2]) ? 42 : 1;
	if (!strcmp(argv[1],
		    "script-arg")) // interpreter's argument, then the script's path, then the rest
		return argc == 4 && strstr(argv[2], "script") && !strcmp(argv[3], "x") ? 42 : 1;
	return 3;
}

static void noop(int sig)
{
	(void)sig;
}

static void *exec_thread(void *arg)
{
	char *argv[] = {self, "state", arg, NULL};
	execve(self, argv, (char *[]){NULL});
	_exit(99);
}
static __attribute__((noreturn)) void *idle_thread(void *arg)
{
	(void)arg;
	for (;;)
		pause();
}

static void prepare_state(void)
{
	sigset_t set;
	signal(SIGUSR1, noop);
	signal(SIGUSR2, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGHUP);
	static char stack[65536];
	sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof(stack)}, NULL);
	int fd = open("/dev/null", O_RDWR);
	dup3(fd, 100, O_CLOEXEC);
	dup2(fd, 101);
}

static int state_with_thread(int from_thread)
{
	int status;
	pid_t p = fork();
	if (!p) {
		char pid[16];
		pthread_t t;
		prepare_state();
		snprintf(pid, sizeof(pid), "%d", getpid());
		for (int i = 0; i < 3 * from_thread; i++)
			pthread_create(&t, NULL, idle_thread, NULL);
		if (from_thread) {
			pthread_create(&t, NULL, exec_thread, pid);
			pthread_join(t, NULL);
			_exit(98);
		}
		exec_thread(pid);
	}
	waitpid(p, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void test_scripts(void)
{
	char text[5000];
	snprintf(text, sizeof(text), "#! %s script-arg \nrest\n", self);
	write_file("/tmp/exec_script", text, 0755);
	CHECK_EQ(run((char *[]){"/tmp/exec_script", "x", NULL}, (char *[]){NULL}), 42);
	write_file("/tmp/exec_script2", "#!/tmp/exec_script\n", 0755);
	(void)run((char *[]){"/tmp/exec_script2", "x", NULL}, (char *[]){NULL});
	write_file("/tmp/exec_loop", "#!/tmp/exec_loop\n", 0755);
	CHECK_EQ(run((char *[]){"/tmp/exec_loop", NULL}, (char *[]){NULL}), 200 + (ELOOP & 31));
	write_file("/tmp/exec_none", "#!/tmp/does-not-exist\n", 0755);
	CHECK_EQ(run((char *[]){"/tmp/exec_none", NULL}, (char *[]){NULL}), 200 + ENOENT);
	write_file("/tmp/exec_empty", "#!  \n", 0755);
	CHECK_EQ(run((char *[]){"/tmp/exec_empty", NULL}, (char *[]){NULL}), 200 + ENOEXEC);
	write_file("/tmp/exec_text", "echo no\n", 0755);
	CHECK_EQ(run((char *[]){"/tmp/exec_text", NULL}, (char *[]){NULL}), 200 + ENOEXEC);
	write_file("/tmp/exec_noexec", "#!/bin/sh\n", 0644);
	CHECK_EQ(run((char *[]){"/tmp/exec_noexec", NULL}, (char *[]){NULL}), 200 + EACCES);
	CHECK_EQ(run((char *[]){"/tmp", NULL}, (char *[]){NULL}), 200 + EACCES);
	CHECK_EQ(run((char *[]){"/tmp/nothing-here", NULL}, (char *[]){NULL}), 200 + ENOENT);
	write_file("/tmp/exec_bad", "\177ELF garbage that is no program", 0755);
	CHECK_EQ(run((char *[]){"/tmp/exec_bad", NULL}, (char *[]){NULL}), 200 + ENOEXEC);
	const char *names[] = {"script", "script2", "loop",   "none",
			       "empty",	 "text",    "noexec", "bad"};
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(text, sizeof(text), "/tmp/exec_%s", names[i]);
		unlink(text);
	}
}

static void test_limits(void)
{
	char *big = malloc(200000);
	memset(big, 'x', 199999);
	big[199999] = 0;
	CHECK_EQ(run((char *[]){self, "count", "3", big, NULL}, (char *[]){NULL}), 200 + E2BIG);
	big[100000] = 0;
	CHECK_EQ(run((char *[]){self, "count", "4", big, NULL}, (char *[]){NULL}), 42);
	char **many = calloc(20003, sizeof(char *));
	many[0] = self;
	many[1] = "count";
	many[2] = "20001";
	for (int i = 3; i < 20001; i++)
		many[i] = "0123456789012345678901234567890123456789";
	CHECK_EQ(run(many, (char *[]){NULL}), 42);
	free(many);
	free(big);
}

int main(int argc, char **argv, char **envp)
{
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n < 0)
		strcpy(self, argv[0]);
	if (argc > 1)
		return child(argc, argv, envp);
	CHECK_EQ(
		run((char *[]){self, "args", "two words", "", NULL}, (char *[]){"A=1", "B=", NULL}),
		42);
	CHECK_EQ(run((char *[]){self, "auxv", NULL}, (char *[]){NULL}), 42);
	CHECK_EQ(state_with_thread(0), 42);
	CHECK_EQ(state_with_thread(1), 42);
	test_scripts();
	test_limits();
	pid_t p;
	int status;
	CHECK_EQ(posix_spawn(&p, self, NULL, NULL, (char *[]){self, "count", "3", NULL},
			     (char *[]){NULL}),
		 0);
	CHECK_EQ(waitpid(p, &status, 0), p);
	CHECK_EQ(WEXITSTATUS(status), 42);
	CHECK_EQ(posix_spawn(&p, "/nothing", NULL, NULL, (char *[]){self, NULL}, (char *[]){NULL}),
		 ENOENT);
	CHECK_ERR(open(self, O_WRONLY), ETXTBSY);
	return check_done("exec_image");
}

// SPDX-License-Identifier: MIT
// Terminals through a pseudo terminal: line editing, echo, raw reads, signals, job control,
// hangups, sizes.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include "tests/programs/check.h"

static int master, slave;
static char buf[512];

static void pair_open(void)
{
	char name[64];

	master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	CHECK(master >= 0);
	int unlocked = open(ptsname(master), O_RDWR | O_NOCTTY);
	CHECK(unlocked == -1 && errno == EIO);
	CHECK(grantpt(master) == 0 && unlockpt(master) == 0);
	CHECK(ptsname_r(master, name, sizeof(name)) == 0);
	slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	CHECK(slave >= 0 && isatty(slave));
	CHECK(ttyname(slave) && !strcmp(ttyname(slave), name));
}

static void pair_close(void)
{
	close(slave);
	close(master);
}

// What the other side sees within a short time.
static const char *see(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	size_t n = 0;

	while (n < sizeof(buf) - 1 && poll(&p, 1, n ? 20 : 500) > 0 && (p.revents & POLLIN)) {
		ssize_t r = read(fd, buf + n, sizeof(buf) - 1 - n);
		if (r <= 0)
			break;
		n += (size_t)r;
	}
	buf[n] = 0;
	return buf;
}

static void type(const char *text)
{
	CHECK(write(master, text, strlen(text)) == (ssize_t)strlen(text));
}

#define CHECK_SEE(fd, text)                                             \
	do {                                                            \
		const char *seen = see(fd);                             \
		if (strcmp(seen, text)) {                               \
			CHECK(!"seen is not " text);                    \
			for (const char *c = seen; *c; c++)             \
				printf(*c < ' ' ? "\\%03o" : "%c", *c); \
			printf("\n");                                   \
		}                                                       \
	} while (0)

static void test_editing(void)
{
	pair_open();
	type("ab\177c\n");
	CHECK_SEE(master, "ab\b \bc\r\n");
	CHECK_SEE(slave, "ac\n");
	type("one two\027x\r");
	CHECK_SEE(slave, "one x\n");
	see(master);
	type("gone\025kept\n");
	CHECK_SEE(slave, "kept\n");
	CHECK_SEE(master, "gone\b \b\b \b\b \b\b \bkept\r\n");
	type("a\026\003b\n");
	CHECK_SEE(slave, "a\003b\n");
	CHECK_SEE(master, "a^\b^Cb\r\n");
	type("x\ty\177\177\177z\n");
	CHECK_SEE(slave, "z\n");
	see(master);
	type("two\nlines\n");
	CHECK(read(slave, buf, sizeof(buf)) == 4); // one at a time
	CHECK(read(slave, buf, 3) == 3 && read(slave, buf, sizeof(buf)) == 3);
	type("part\004");
	CHECK_SEE(slave, "part");
	type("\004");
	CHECK(read(slave, buf, sizeof(buf)) == 0);
	see(master);
	CHECK(write(slave, "out\n", 4) == 4);
	CHECK_SEE(master, "out\r\n");
	pair_close();
}

static void test_raw(void)
{
	struct termios t;
	struct timespec a, b;
	int n;

	pair_open();
	CHECK(tcgetattr(slave, &t) == 0);
	CHECK((t.c_lflag & (ICANON | ECHO | ISIG)) == (ICANON | ECHO | ISIG));
	type("kept");
	cfmakeraw(&t);
	t.c_cc[VMIN] = 0;
	t.c_cc[VTIME] = 1;
	CHECK(tcsetattr(slave, TCSANOW, &t) == 0);
	CHECK_SEE(slave, "kept");
	see(master);
	type("\003\r\377");
	while (!ioctl(slave, FIONREAD, &n) && n < 3) // it may take its time
		poll(NULL, 0, 1);
	CHECK(ioctl(slave, FIONREAD, &n) == 0 && n == 3);
	CHECK(read(slave, buf, sizeof(buf)) == 3 && !memcmp(buf, "\003\r\377", 3));
	clock_gettime(CLOCK_MONOTONIC, &a);
	CHECK(read(slave, buf, 1) == 0);
	clock_gettime(CLOCK_MONOTONIC, &b);
	CHECK((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 >= 90);
	t.c_cc[VMIN] = 4;
	t.c_cc[VTIME] = 0;
	CHECK(tcsetattr(slave, TCSAFLUSH, &t) == 0);
	struct pollfd p = {.fd = slave, .events = POLLIN};
	type("abc");
	CHECK(poll(&p, 1, 20) == 0);
	type("d");
	CHECK(poll(&p, 1, 500) == 1 && read(slave, buf, sizeof(buf)) == 4);
	fcntl(slave, F_SETFL, O_NONBLOCK);
	CHECK_ERR(read(slave, buf, 1), EAGAIN);
	CHECK(write(slave, "a\nb", 3) == 3);
	CHECK_SEE(master, "a\nb");
	pair_close();
}

static void test_flow_and_size(void)
{
	struct winsize w = {50, 132, 0, 0}, got;

	pair_open();
	fcntl(slave, F_SETFL, O_NONBLOCK);
	type("\023");
	struct pollfd p = {.fd = slave, .events = POLLOUT};
	CHECK(poll(&p, 1, 10) == 0);
	type("\021");
	CHECK(poll(&p, 1, 500) == 1);
	CHECK(ioctl(master, TIOCSWINSZ, &w) == 0 && ioctl(slave, TIOCGWINSZ, &got) == 0 &&
	      got.ws_row == 50 && got.ws_col == 132);
	char c = 'x';
	CHECK(ioctl(slave, TIOCSTI, &c) == 0 || errno == EIO); // newer systems refuse it
	pair_close();
}

static volatile int last_signal;

static void on_signal(int sig)
{
	last_signal = sig;
}

static int in_session(void)
{
	char c;
	sigset_t set;

	setsid();
	if (ioctl(slave, TIOCSCTTY, 0))
		return 10;
	int tty = open("/dev/tty", O_RDWR);
	if (tty < 0 || tcgetpgrp(tty) != getpgrp() || tcgetsid(slave) != getpid())
		return 11;
	for (int i = 1; i < 32; i++)
		sigaction(i, &(struct sigaction){.sa_handler = on_signal}, NULL);
	signal(SIGCHLD, SIG_DFL);
	if (write(tty, "ready\n", 6) != 6 || read(tty, &c, 1) != -1 || errno != EINTR ||
	    last_signal != SIGINT)
		return 12;
	if (write(tty, "again\n", 6) != 6 || read(tty, &c, 1) != -1 || errno != EINTR ||
	    last_signal != SIGWINCH)
		return 13;
	// A child in the background must not read.
	pid_t pid = fork();
	if (!pid) {
		setpgid(0, 0);
		signal(SIGTTIN, SIG_DFL);
		signal(SIGCONT, SIG_DFL);
		_exit(read(tty, &c, 1) == 1 ? 0 : 1);
	}
	setpgid(pid, pid);
	int status;
	if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status) ||
	    WSTOPSIG(status) != SIGTTIN)
		return 14;
	signal(SIGTTOU, SIG_IGN);
	if (tcsetpgrp(tty, pid) || kill(-pid, SIGCONT))
		return 15;
	if (write(tty, "child\n", 6) != 6 || waitpid(pid, &status, 0) != pid || status)
		return 16;
	if (tcsetpgrp(tty, getpgrp()))
		return 17;
	sigemptyset(&set);
	last_signal = 0;
	if (write(tty, "end\n", 4) != 4)
		return 18;
	while (last_signal != SIGHUP && last_signal != SIGCONT)
		pause();
	if (read(tty, &c, 1) != 0 || write(tty, "x", 1) != -1 || errno != EIO)
		return 19;
	return open("/dev/tty", O_RDWR) == -1 && errno == ENXIO ? 0 : 20;
}

static void test_session(void)
{
	struct winsize w = {10, 20, 0, 0};
	int status;

	pair_open();
	pid_t pid = fork();
	if (!pid) {
		close(master);
		_exit(in_session());
	}
	CHECK_SEE(master, "ready\r\n");
	type("\003");
	CHECK_SEE(master, "^Cagain\r\n");
	CHECK(ioctl(master, TIOCSWINSZ, &w) == 0);
	CHECK_SEE(master, "child\r\n");
	type("z\n");
	CHECK_SEE(master, "z\r\nend\r\n");
	close(slave);
	close(master);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_EQ(status, 0);
}

static void test_ends(void)
{
	char name[64];

	pair_open();
	CHECK(write(slave, "last", 4) == 4);
	close(slave);
	CHECK(read(master, buf, sizeof(buf)) == 4);
	CHECK_ERR(read(master, buf, 1), EIO);
	struct pollfd p = {.fd = master, .events = POLLIN};
	CHECK(poll(&p, 1, 0) == 1 && (p.revents & POLLHUP));
	strcpy(name, ptsname(master));
	slave = open(name, O_RDWR | O_NOCTTY);
	CHECK(slave >= 0 && poll(&p, 1, 0) == 0);
	close(master);
	CHECK(read(slave, buf, 1) == 0);
	CHECK_ERR(write(slave, "x", 1), EIO);
	CHECK_ERR(open(name, O_RDWR), ENOENT);
	close(slave);
}

int main(void)
{
	signal(SIGHUP, SIG_IGN);
	test_editing();
	test_raw();
	test_flow_and_size();
	test_session();
	test_ends();
	return check_done("pty_lines");
}

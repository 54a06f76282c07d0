// SPDX-License-Identifier: MIT
// AF_UNIX streams: pairs, names, connections, shutdown, peeking, descriptors, limits.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/programs/check.h"

static short events(int fd, short want)
{
	struct pollfd p = {.fd = fd, .events = want};
	CHECK(poll(&p, 1, 0) >= 0);
	return p.revents;
}

static void test_pair(void)
{
	int s[2], n;
	char buf[16];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	CHECK(events(s[0], POLLIN | POLLOUT) == POLLOUT);
	CHECK(write(s[0], "hello", 5) == 5 && write(s[0], "world", 5) == 5);
	CHECK(events(s[1], POLLIN | POLLOUT) == (POLLIN | POLLOUT));
	CHECK(ioctl(s[1], FIONREAD, &n) == 0 && n == 10);
	CHECK(recv(s[1], buf, 7, MSG_PEEK) == 7 && !memcmp(buf, "hellowo", 7));
	CHECK(read(s[1], buf, 3) == 3 && !memcmp(buf, "hel", 3));
	CHECK(read(s[1], buf, sizeof(buf)) == 7 && !memcmp(buf, "loworld", 7));
	CHECK(recv(s[1], buf, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
	CHECK(shutdown(s[0], SHUT_WR) == 0);
	CHECK(read(s[1], buf, 1) == 0);
	CHECK(events(s[1], POLLIN | POLLRDHUP) == (POLLIN | POLLRDHUP));
	CHECK(write(s[1], "x", 1) == 1 && read(s[0], buf, 1) == 1);
	CHECK(send(s[0], "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
	close(s[1]);
	CHECK(events(s[0], POLLIN) & POLLHUP);
	close(s[0]);
}

static void test_unread_is_reset(void)
{
	int s[2];
	char c;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	CHECK(write(s[0], "x", 1) == 1);
	close(s[1]);
	CHECK(read(s[0], &c, 1) == -1 && errno == ECONNRESET);
	CHECK(read(s[0], &c, 1) == 0);
	close(s[0]);
}

static void test_sigpipe(void)
{
	int s[2], status;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	pid_t pid = fork();
	if (!pid) {
		close(s[1]);
		signal(SIGPIPE, SIG_DFL);
		(void)!write(s[0], "x", 1);
		_exit(1);
	}
	close(s[1]);
	close(s[0]);
	CHECK(waitpid(pid, &status, 0) == pid);
	// The child has closed its s[1] copy, the parent too: the write must have killed it, or
	// come before our close.
	CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE) || WIFEXITED(status));
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	close(s[1]);
	signal(SIGPIPE, SIG_IGN);
	CHECK(write(s[0], "x", 1) == -1 && errno == EPIPE);
	close(s[0]);
}

static void test_bulk(void)
{
	enum { TOTAL = 4 << 20 };
	static unsigned char buf[100000];
	int s[2];
	size_t done = 0;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	pid_t pid = fork();
	if (!pid) {
		close(s[0]);
		while (done < TOTAL) {
			size_t n = TOTAL - done < sizeof(buf) ? TOTAL - done : sizeof(buf);
			for (size_t i = 0; i < n; i++)
				buf[i] = (unsigned char)((done + i) * 31 >> 3);
			if (write(s[1], buf, n) != (ssize_t)n)
				_exit(1);
			done += n;
		}
		_exit(0);
	}
	close(s[1]);
	ssize_t n;
	while ((n = read(s[0], buf, 70000)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			if (buf[i] != (unsigned char)((done + (size_t)i) * 31 >> 3)) {
				CHECK(!"bytes differ");
				return;
			}
		done += (size_t)n;
	}
	CHECK(n == 0 && done == TOTAL);
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	close(s[0]);
}

static socklen_t name_set(struct sockaddr_un *a, const char *name, int abstract)
{
	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	strcpy(a->sun_path + abstract, name);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name) + 1);
}

static void test_names(int abstract)
{
	struct sockaddr_un a, b;
	socklen_t len = name_set(&a, abstract ? "unix_stream_test" : "/tmp/unix_stream_test",
				 abstract),
		  blen = sizeof(b);
	struct ucred cred;
	socklen_t clen = sizeof(cred);
	char c;

	if (!abstract)
		unlink(a.sun_path);
	int l = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(l >= 0);
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(connect(s, (void *)&a, len) == -1 && errno == (abstract ? ECONNREFUSED : ENOENT));
	CHECK(bind(l, (void *)&a, len) == 0);
	int other = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(bind(other, (void *)&a, len) == -1 && errno == EADDRINUSE);
	close(other);
	CHECK(connect(s, (void *)&a, len) == -1 && errno == ECONNREFUSED);
	CHECK(listen(l, 1) == 0);
	CHECK(connect(s, (void *)&a, len) == 0);
	CHECK(connect(s, (void *)&a, len) == -1 && errno == EISCONN);
	CHECK(write(s, "early", 5) == 5);
	CHECK(events(l, POLLIN) == POLLIN);
	int n = accept4(l, (void *)&b, &blen, SOCK_NONBLOCK);
	CHECK(n >= 0 && blen == sizeof(sa_family_t));
	CHECK((fcntl(n, F_GETFL) & O_NONBLOCK) != 0);
	char buf[8];
	CHECK(read(n, buf, sizeof(buf)) == 5);
	CHECK(read(n, &c, 1) == -1 && errno == EAGAIN);
	blen = sizeof(b);
	CHECK(getpeername(s, (void *)&b, &blen) == 0 && blen == len && !memcmp(&a, &b, len));
	blen = sizeof(b);
	CHECK(getsockname(n, (void *)&b, &blen) == 0 && blen == len && !memcmp(&a, &b, len));
	CHECK(getsockopt(n, SOL_SOCKET, SO_PEERCRED, &cred, &clen) == 0 && cred.pid == getpid() &&
	      cred.uid == geteuid());
	fcntl(l, F_SETFL, O_NONBLOCK);
	CHECK(accept(l, NULL, NULL) == -1 && errno == EAGAIN);
	close(l);
	other = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(connect(other, (void *)&a, len) == -1 && errno == ECONNREFUSED);
	close(other);
	close(n);
	CHECK(read(s, &c, 1) == 0);
	close(s);
	if (!abstract)
		CHECK(unlink(a.sun_path) == 0);
}

static int send_fd(int sock, int fd, const char *text)
{
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec v = {(char *)text, strlen(text)};
	struct msghdr m = {.msg_iov = &v,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return (int)sendmsg(sock, &m, 0);
}

static void test_rights(void)
{
	int s[2], p[2], got = -1;
	char control[256], buf[32];
	struct iovec v = {buf, sizeof(buf)};
	struct msghdr m = {.msg_iov = &v,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && pipe(p) == 0);
	CHECK(write(s[0], "ab", 2) == 2);
	CHECK(send_fd(s[0], p[1], "cd") == 2);
	CHECK(write(s[0], "ef", 2) == 2);
	close(p[1]);
	CHECK(recvmsg(s[1], &m, MSG_CMSG_CLOEXEC) ==
	      4); // bytes before it are glued, those after it are not
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	CHECK(c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)));
	if (c)
		memcpy(&got, CMSG_DATA(c), sizeof(got));
	CHECK(fcntl(got, F_GETFD) == FD_CLOEXEC);
	CHECK(write(got, "z", 1) == 1 && read(p[0], buf, 1) == 1 && buf[0] == 'z');
	close(got);
	CHECK(read(p[0], buf, 1) == 0); // nobody else has it
	CHECK(read(s[1], buf, sizeof(buf)) == 2);
	// A descriptor nobody receives is closed with its message.
	CHECK(pipe(p) == 0 && send_fd(s[0], p[1], "x") == 1);
	close(p[1]);
	CHECK(read(s[1], buf, sizeof(buf)) == 1 && read(p[0], buf, 1) == 0);
	close(p[0]);
	close(s[0]);
	close(s[1]);
}

static void test_options(void)
{
	int s[2], v;
	socklen_t n = sizeof(v);
	struct timeval t = {.tv_usec = 30000};
	char c;

	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s) == 0);
	CHECK(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &v, &n) == 0 && v == SOCK_SEQPACKET);
	CHECK(getsockopt(s[0], SOL_SOCKET, SO_DOMAIN, &v, &n) == 0 && v == AF_UNIX);
	CHECK(getsockopt(s[0], SOL_SOCKET, SO_ACCEPTCONN, &v, &n) == 0 && v == 0);
	CHECK(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) == 0);
	CHECK(read(s[0], &c, 1) == -1 && errno == EAGAIN);
	v = 8192;
	CHECK(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, sizeof(v)) == 0);
	for (int name = -1; name >= -64; name--)
		CHECK_ERR(setsockopt(s[0], SOL_SOCKET, name, &v, sizeof(v)), ENOPROTOOPT);
	CHECK(getsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, &n) == 0 && v == 16384);
	CHECK(socket(AF_UNIX, SOCK_STREAM, 77) == -1 && errno == EPROTONOSUPPORT);
	CHECK(listen(0, 1) == -1 && (errno == ENOTSOCK || errno == EBADF));
	close(s[0]);
	close(s[1]);
}

int main(void)
{
	test_pair();
	test_unread_is_reset();
	test_sigpipe();
	test_bulk();
	test_names(0);
	test_names(1);
	test_rights();
	test_options();
	return check_done("unix_stream");
}

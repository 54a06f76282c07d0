// SPDX-License-Identifier: MIT
// AF_UNIX datagrams and packets: boundaries, truncation, sources, credentials, many messages at
// once.
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "tests/programs/check.h"

static void test_packets(void)
{
	int s[2];
	char buf[8];
	struct iovec v = {buf, 4};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};

	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s) == 0);
	CHECK(write(s[0], "one", 3) == 3 && write(s[0], "longer", 6) == 6);
	CHECK(recvmsg(s[1], &m, 0) == 3 && !(m.msg_flags & MSG_TRUNC));
	CHECK(recvmsg(s[1], &m, MSG_PEEK | MSG_TRUNC) == 6 && (m.msg_flags & MSG_TRUNC));
	CHECK(recvmsg(s[1], &m, 0) == 4 && (m.msg_flags & MSG_TRUNC));
	CHECK(recv(s[1], buf, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
	close(s[0]);
	CHECK(read(s[1], buf, 1) == 0);
	close(s[1]);
}

static socklen_t name_set(struct sockaddr_un *a, const char *name)
{
	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	memcpy(a->sun_path + 1, name, strlen(name));
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
}

static void test_sources(void)
{
	struct sockaddr_un a, b, from;
	socklen_t alen = name_set(&a, "dgram_a"), blen = name_set(&b, "dgram_b"), n = sizeof(from);
	int sa = socket(AF_UNIX, SOCK_DGRAM, 0), sb = socket(AF_UNIX, SOCK_DGRAM, 0),
	    sc = socket(AF_UNIX, SOCK_DGRAM, 0);
	char buf[8];

	CHECK(sendto(sa, "x", 1, 0, (void *)&b, blen) == -1 && errno == ECONNREFUSED);
	CHECK(write(sa, "x", 1) == -1 && errno == ENOTCONN);
	CHECK(bind(sa, (void *)&a, alen) == 0 && bind(sb, (void *)&b, blen) == 0);
	CHECK(sendto(sa, "hi", 2, 0, (void *)&b, blen) == 2);
	CHECK(recvfrom(sb, buf, sizeof(buf), 0, (void *)&from, &n) == 2);
	CHECK(n == alen && !memcmp(&from, &a, alen));
	CHECK(sendto(sc, "", 0, 0, (void *)&b, blen) == 0); // an empty one, from nobody
	n = sizeof(from);
	CHECK(recvfrom(sb, buf, sizeof(buf), 0, (void *)&from, &n) == 0 && n == 0);
	CHECK(connect(sb, (void *)&a, alen) == 0);
	CHECK(sendto(sc, "x", 1, 0, (void *)&b, blen) == -1 && errno == EPERM);
	CHECK(write(sb, "back", 4) == 4 && read(sa, buf, sizeof(buf)) == 4);
	close(sa);
	CHECK(write(sb, "x", 1) == -1 && errno == ECONNREFUSED);
	close(sb);
	close(sc);
}

static void test_credentials(void)
{
	int s[2], on = 1;
	char buf[4], control[128];
	struct iovec v = {buf, sizeof(buf)};
	struct msghdr m = {.msg_iov = &v,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	struct ucred cred = {0};

	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
	CHECK(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0);
	CHECK(write(s[0], "x", 1) == 1);
	CHECK(recvmsg(s[1], &m, 0) == 1);
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	CHECK(c && c->cmsg_type == SCM_CREDENTIALS);
	if (c)
		memcpy(&cred, CMSG_DATA(c), sizeof(cred));
	CHECK(cred.pid == getpid() && cred.uid == getuid() && cred.gid == getgid());
	close(s[0]);
	close(s[1]);
}

static void test_many(void)
{
	int s[2];
	char out[3][4] = {"a", "bb", "ccc"}, in[3][4];
	struct iovec vo[3], vi[3];
	struct mmsghdr mo[3], mi[3];

	memset(mo, 0, sizeof(mo));
	memset(mi, 0, sizeof(mi));
	for (int i = 0; i < 3; i++) {
		vo[i] = (struct iovec){out[i], (size_t)i + 1};
		vi[i] = (struct iovec){in[i], 4};
		mo[i].msg_hdr = (struct msghdr){.msg_iov = &vo[i], .msg_iovlen = 1};
		mi[i].msg_hdr = (struct msghdr){.msg_iov = &vi[i], .msg_iovlen = 1};
	}
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
	CHECK(sendmmsg(s[0], mo, 3, 0) == 3 && mo[2].msg_len == 3);
	CHECK(recvmmsg(s[1], mi, 3, MSG_DONTWAIT, NULL) == 3);
	CHECK(mi[0].msg_len == 1 && mi[1].msg_len == 2 && !memcmp(in[2], "ccc", 3));
	close(s[0]);
	close(s[1]);
}

int main(void)
{
	test_packets();
	test_sources();
	test_credentials();
	test_many();
	return check_done("unix_dgram");
}

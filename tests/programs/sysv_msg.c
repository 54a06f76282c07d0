// SPDX-License-Identifier: MIT
// System V message queues: types, sizes, full and empty queues, removal under waiters, rights,
// statistics, and what is given back under SIGKILL.
#include "tests/programs/sysv_check.h"

struct message {
	long type;
	char text[8192];
};

static struct message buf;

static int queue(void)
{
	int id = msgget(IPC_PRIVATE, 0600);
	CHECK(id >= 0);
	return id;
}

static int put(int id, long type, const char *text, int flags)
{
	struct message m = {.type = type};
	strcpy(m.text, text);
	return msgsnd(id, &m, strlen(text), flags);
}

// Does the next message of this type hold this text?
static void expect_at(int line, int id, long wanted, int flags, long type, const char *text)
{
	memset(&buf, 0, sizeof(buf));
	ssize_t n = msgrcv(id, &buf, sizeof(buf.text), wanted, flags | IPC_NOWAIT);
	if (n == (ssize_t)strlen(text) && buf.type == type && !strcmp(buf.text, text))
		return;
	printf("FAILED line %d: wanted %ld '%s', got %zd: %ld '%s' errno %d\n", line, type, text, n,
	       buf.type, buf.text, errno);
	check_failed();
}
#define EXPECT(id, wanted, flags, type, text) expect_at(__LINE__, id, wanted, flags, type, text)

static struct msqid_ds stat_of(int id)
{
	struct msqid_ds d = {};
	CHECK_EQ(msgctl(id, IPC_STAT, &d), 0);
	return d;
}

static void end(int id)
{
	CHECK_EQ(msgctl(id, IPC_RMID, NULL), 0);
}

static void test_basics(void)
{
	int id = msgget(KEY, IPC_CREAT | IPC_EXCL | 0640);
	CHECK(id >= 0);
	CHECK_EQ(msgget(KEY, 0), id);
	CHECK_ERR(msgget(KEY, IPC_CREAT | IPC_EXCL), EEXIST);
	CHECK_ERR(msgget(KEY + 1, 0), ENOENT);
	CHECK_ERR(put(id, 0, "x", 0), EINVAL);
	CHECK_ERR(put(id, -1, "x", 0), EINVAL);
	CHECK_ERR(put(-1, 1, "x", 0), EINVAL);
	CHECK_ERR(msgsnd(id, &buf, (size_t)-1, 0), EINVAL);
	buf.type = 1;
	CHECK_ERR(msgsnd(id, &buf, 8193, 0), EINVAL);
	CHECK_ERR(msgsnd(id, (void *)8, 1, 0), EFAULT);
	CHECK_ERR(msgrcv(id, &buf, (size_t)-1, 0, IPC_NOWAIT), EINVAL);
	CHECK_ERR(msgrcv(id, &buf, 10, 0, IPC_NOWAIT), ENOMSG);
	CHECK_ERR(msgctl(id, 99, NULL), EINVAL);
	CHECK_ERR(msgctl(id, IPC_STAT, (void *)8), EFAULT);
	CHECK_EQ(put(id, 5, "hello", 0), 0);
	CHECK_EQ(put(id, 6, "", 0), 0);
	struct msqid_ds d = stat_of(id);
	CHECK(d.msg_qnum == 2 && d.__msg_cbytes == 5 && d.msg_lspid == getpid());
	CHECK(d.msg_stime > 0 && d.msg_rtime == 0 && d.msg_perm.mode == 0640);
	EXPECT(id, 0, 0, 5, "hello");
	EXPECT(id, 0, 0, 6, "");
	d = stat_of(id);
	CHECK(d.msg_qnum == 0 && d.__msg_cbytes == 0 && d.msg_lrpid == getpid() && d.msg_rtime);
	end(id);
	CHECK_ERR(put(id, 1, "x", 0), EINVAL);
	CHECK_ERR(msgctl(id, IPC_RMID, NULL), EINVAL);
}

static void test_types(void)
{
	int id = queue();
	put(id, 3, "c1", 0);
	put(id, 2, "b1", 0);
	put(id, 3, "c2", 0);
	put(id, 1, "a1", 0);
	put(id, 2, "b2", 0);
	EXPECT(id, 2, 0, 2, "b1");  // the first of a type
	EXPECT(id, -2, 0, 1, "a1"); // the lowest type up to
	EXPECT(id, -9, 0, 2, "b2");
	CHECK_ERR(msgrcv(id, &buf, 10, -2, IPC_NOWAIT), ENOMSG);
	put(id, 4, "d1", 0);
	EXPECT(id, 3, MSG_EXCEPT, 4, "d1");
	CHECK_ERR(msgrcv(id, &buf, 10, 7, IPC_NOWAIT), ENOMSG);
	CHECK_ERR(msgrcv(id, &buf, 1, 0, 0), E2BIG);
	CHECK_EQ(stat_of(id).msg_qnum, 2);
	CHECK_EQ(msgrcv(id, &buf, 1, 0, MSG_NOERROR), 1); // cut
	CHECK(buf.text[0] == 'c');
	EXPECT(id, LONG_MIN, 0, 3, "c2");
	// MSG_COPY looks at the nth without taking it.
	put(id, 1, "first", 0);
	put(id, 2, "second", 0);
	if (msgrcv(id, &buf, 100, 1, MSG_COPY | IPC_NOWAIT) >= 0 || errno != ENOSYS) {
		EXPECT(id, 1, MSG_COPY, 2, "second");
		EXPECT(id, 0, MSG_COPY, 1, "first");
		CHECK_ERR(msgrcv(id, &buf, 100, 2, MSG_COPY | IPC_NOWAIT), ENOMSG);
		CHECK_ERR(msgrcv(id, &buf, 100, 0, MSG_COPY), EINVAL);
		CHECK_ERR(msgrcv(id, &buf, 100, 0, MSG_COPY | MSG_EXCEPT | IPC_NOWAIT), EINVAL);
	}
	CHECK_EQ(stat_of(id).msg_qnum, 2);
	CHECK_ERR(msgrcv(id, (void *)8, 100, 0, 0), EFAULT); // and it is lost
	EXPECT(id, 0, 0, 2, "second");
	end(id);
}

static int status_of(pid_t p)
{
	int st = -1;
	waitpid(p, &st, 0);
	return WIFEXITED(st) ? WEXITSTATUS(st) : -1;
}

static pid_t child_receives(int id, long type)
{
	pid_t p = fork();
	if (p)
		return p;
	_exit(msgrcv(id, &buf, 100, type, 0) < 0 ? errno : 0);
}

static pid_t child_sends(int id, long type)
{
	pid_t p = fork();
	if (p)
		return p;
	_exit(put(id, type, "x", 0) ? errno : 0);
}

static void nothing(int s)
{
	(void)s;
}

static void test_waiting(void)
{
	int id = queue();
	pid_t a = child_receives(id, 2), b = child_receives(id, 0);
	usleep(20000);
	put(id, 1, "for b", 0);
	CHECK_EQ(status_of(b), 0);
	put(id, 2, "for a", 0);
	CHECK_EQ(status_of(a), 0);
	// A queue that is full: in bytes, in messages.
	struct msqid_ds d = stat_of(id);
	unsigned long old = d.msg_qbytes;
	d.msg_qbytes = 3;
	CHECK_EQ(msgctl(id, IPC_SET, &d), 0);
	CHECK_EQ(put(id, 1, "12", 0), 0);
	CHECK_ERR(put(id, 1, "34", IPC_NOWAIT), EAGAIN);
	CHECK_EQ(put(id, 1, "", 0), 0);
	CHECK_EQ(put(id, 1, "", 0), 0);
	CHECK_ERR(put(id, 1, "", IPC_NOWAIT), EAGAIN); // as many messages as bytes
	a = child_sends(id, 9);
	usleep(20000);
	EXPECT(id, 0, 0, 1, "12");
	CHECK_EQ(status_of(a), 0);
	EXPECT(id, 9, 0, 9, "x");
	put(id, 1, "x", 0);
	a = child_sends(id, 9); // room comes by IPC_SET too
	usleep(20000);
	d.msg_qbytes = old;
	CHECK_EQ(msgctl(id, IPC_SET, &d), 0);
	CHECK_EQ(status_of(a), 0);
	// A signal, even with SA_RESTART.
	a = fork();
	if (!a) {
		struct sigaction sa = {.sa_handler = nothing, .sa_flags = SA_RESTART};
		sigaction(SIGALRM, &sa, NULL);
		ualarm(20000, 0);
		_exit(msgrcv(id, &buf, 100, 77, 0) < 0 ? errno : 0);
	}
	CHECK_EQ(status_of(a), EINTR);
	// Removal.
	d.msg_qbytes = 1;
	msgctl(id, IPC_SET, &d);
	a = child_receives(id, 77);
	b = child_sends(id, 1);
	usleep(20000);
	end(id);
	CHECK(status_of(a) == EIDRM && status_of(b) == EIDRM);
}

static void user_denied(int id)
{
	struct msqid_ds d;
	CHECK_ERR(put(id, 1, "x", 0), EACCES);
	EXPECT(id, 0, 0, 1, "x");
	CHECK_EQ(msgctl(id, IPC_STAT, &d), 0);
	CHECK_ERR(msgctl(id, IPC_SET, &d), EPERM);
	CHECK_ERR(msgctl(id, IPC_RMID, NULL), EPERM);
	CHECK_ERR(msgget(KEY, 0200), EACCES);
}

static void user_owns(int id)
{
	struct msqid_ds d;
	CHECK_EQ(msgctl(id, IPC_STAT, &d), 0);
	d.msg_qbytes = 1u << 20;
	CHECK_ERR(msgctl(id, IPC_SET, &d), EPERM); // more than msgmnb
	d.msg_qbytes = 100;
	CHECK_EQ(msgctl(id, IPC_SET, &d), 0);
	CHECK_EQ(msgctl(id, IPC_RMID, NULL), 0);
}

static void test_rights_and_info(void)
{
	struct msginfo before, info;
	struct msqid_ds d;
	char line[512];
	unsigned mode, found = 0;
	unsigned long cbytes, qnum;
	int key;
	CHECK(msgctl(0, MSG_INFO, (void *)&before) >= 0);
	int id = msgget(KEY, IPC_CREAT | 0644), max;
	put(id, 1, "x", 0);
	CHECK((max = msgctl(0, MSG_INFO, (void *)&info)) >= 0);
	CHECK(info.msgpool == before.msgpool + 1 && info.msgmap == before.msgmap + 1 &&
	      info.msgtql == before.msgtql + 1);
	CHECK(msgctl(0, IPC_INFO, (void *)&info) >= 0);
	CHECK(info.msgmax == 8192 && info.msgmnb == 16384 && info.msgmni > 0);
	for (int i = 0; i <= max; i++)
		found += msgctl(i, MSG_STAT, &d) == id;
	CHECK_EQ(found, 1);
	CHECK(sysv_line("/proc/sysvipc/msg", id, line));
	CHECK_EQ(sscanf(line, "%d %*d %o %lu %lu", &key, &mode, &cbytes, &qnum), 4);
	CHECK(key == KEY && mode == 0644 && cbytes == 1 && qnum == 1);
	if (!geteuid()) {
		sysv_as_user(user_denied, id);
		d = stat_of(id);
		d.msg_perm.uid = 1000;
		CHECK_EQ(msgctl(id, IPC_SET, &d), 0);
		sysv_as_user(user_owns, id);
	} else {
		end(id);
	}
}

// ---- many at once ----

enum { PAIRS = 3, EACH = 400 };

static void test_traffic(void)
{
	int id = queue();
	pid_t p[2 * PAIRS];
	for (int c = 0; c < 2 * PAIRS; c++) {
		if ((p[c] = fork()))
			continue;
		long type = c % PAIRS + 1;
		for (int i = 0; i < EACH; i++) {
			struct message m = {.type = type};
			if (c < PAIRS) {
				memcpy(m.text, &i, sizeof(i));
				if (msgsnd(id, &m, sizeof(i) + (size_t)(i % 500), 0))
					_exit(1);
			} else if (msgrcv(id, &m, sizeof(m.text), type, 0) !=
					   (ssize_t)sizeof(i) + i % 500 ||
				   memcmp(m.text, &i, sizeof(i))) {
				_exit(2); // each type arrives whole and in order
			}
		}
		_exit(0);
	}
	for (int c = 0; c < 2 * PAIRS; c++)
		CHECK_EQ(status_of(p[c]), 0);
	CHECK_EQ(stat_of(id).msg_qnum, 0);
	end(id);
}

static void churn(int c, int id)
{
	for (;;) {
		int own = msgget(KEY + c % 2, IPC_CREAT | 0600);
		put(own, 1, "some text", IPC_NOWAIT);
		put(id, c + 1, "more text", 0);
		msgrcv(own, &buf, 100, 0, IPC_NOWAIT);
		msgrcv(id, &buf, 100, 0, 0);
		put(own, 2, "left behind", IPC_NOWAIT);
		msgctl(own, IPC_RMID, NULL);
	}
}

static void test_kills(int rounds)
{
	for (int r = 0; r < rounds; r++) {
		pid_t p[4];
		int id = queue();
		for (int c = 0; c < 4; c++)
			if (!(p[c] = fork()))
				churn(c, id);
		usleep(10000 + 1000 * (r % 9));
		for (int c = 0; c < 4; c++)
			kill(p[c], SIGKILL);
		for (int c = 0; c < 4; c++)
			CHECK_EQ(status_of(p[c]), -1);
		end(id);
		for (int c = 0; c < 2; c++)
			msgctl(msgget(KEY + c, 0), IPC_RMID, NULL);
	}
}

int main(void)
{
	struct msginfo before, after;
	setvbuf(stdout, NULL, _IOLBF, 0);
	msgctl(0, MSG_INFO, (void *)&before);
	test_basics();
	test_types();
	test_waiting();
	test_rights_and_info();
	test_traffic();
	test_kills(2);
	long kib = sysv_free_kib();
	test_kills(15);
	msgctl(0, MSG_INFO, (void *)&after);
	CHECK(!memcmp(&before, &after, sizeof(before)));
	if (on_halyard())
		sysv_all_back(kib);
	return check_done("sysv_msg");
}

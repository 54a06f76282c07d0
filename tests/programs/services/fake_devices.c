// SPDX-License-Identifier: MIT
// What the system calls make of terminals and /dev/hwrng, with the service `fake` as their driver:
// flow control, flushing, what the driver says about itself, signals, O_NONBLOCK.
#include "abi/test_device.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <termios.h>
#include "tests/programs/check.h"

// services/test/fake/fake.c
enum { FAKE_SERIAL = 4, FAKE_TYPE, FAKE_BREAK, FAKE_ENTROPY };
enum { SERIAL_ECHOES, SERIAL_FULL_UP = 4 };
enum { ENTROPY_CONSTANT, ENTROPY_BUSY };

static int fake;

static void ask(uint64_t number, uint64_t a)
{
	struct test_request r = {.number = number, .a = a};

	CHECK(ioctl(fake, TEST_RUN, &r) == 0 && r.result == 0);
}

// ---- the serial port ----

static int serial_open(void)
{
	int fd = open("/dev/ttyS3", O_RDWR | O_NOCTTY);
	struct termios t;

	CHECK(fd >= 0 && isatty(fd) && tcgetattr(fd, &t) == 0);
	cfmakeraw(&t);
	CHECK(cfsetspeed(&t, B9600) == 0 && tcsetattr(fd, TCSANOW, &t) == 0);
	return fd;
}

static int readable(int fd, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, timeout_ms);
}

// What was typed beyond the terminal's own room comes after a flush, and all of it in the end.
static void flush_lets_more_come(int fd)
{
	char bytes[4096];
	long seen = 0;

	ask(FAKE_TYPE, 100000);
	usleep(100000); // so that no work is under way, which would let more in anyhow
	CHECK_EQ(tcflush(fd, TCIFLUSH), 0);
	CHECK_EQ(readable(fd, 5000), 1);
	while (readable(fd, 100) == 1) {
		ssize_t n = read(fd, bytes, sizeof(bytes));

		CHECK(n > 0);
		seen += n;
	}
	CHECK(seen > 80000 && seen < 100000);
}

static void driver_says(int fd)
{
	struct {
		unsigned iflag, oflag, cflag, lflag;
		unsigned char line, cc[19];
		unsigned ispeed, ospeed;
	} t2;
	int n = -1;

	CHECK_EQ(ioctl(fd, 0x802c542a /* TCGETS2 */, &t2), 0);
	CHECK_EQ(t2.ospeed, 300); // it does not do 9600
	CHECK_EQ(ioctl(fd, TIOCOUTQ, &n), 0);
	CHECK_EQ(n, 0); // less than nothing waits there, it says
	ask(FAKE_SERIAL, SERIAL_FULL_UP);
	CHECK_EQ(write(fd, "12345", 5), 5);
	CHECK_EQ(ioctl(fd, TIOCOUTQ, &n), 0);
	CHECK_EQ(n, 1005);
	CHECK_EQ(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	CHECK_ERR(write(fd, "6", 1), EAGAIN);
	CHECK_EQ(fcntl(fd, F_SETFL, 0), 0);
	CHECK_EQ(tcflush(fd, TCOFLUSH), 0);
	ask(FAKE_SERIAL, SERIAL_ECHOES);
	CHECK_EQ(write(fd, "789", 3), 3);
	CHECK_EQ(tcdrain(fd), 0);
	char bytes[8];
	CHECK_EQ(read(fd, bytes, sizeof(bytes)), 3);
	CHECK(!memcmp(bytes, "789", 3));
	CHECK_EQ(tcsendbreak(fd, 0), 0);
}

// A break is a zero byte, or three that mark it, or an interrupt.
static void breaks(int fd)
{
	struct termios t;
	char bytes[8];
	int status;

	ask(FAKE_BREAK, 0);
	CHECK_EQ(read(fd, bytes, sizeof(bytes)), 1);
	CHECK_EQ(bytes[0], 0);
	CHECK_EQ(tcgetattr(fd, &t), 0);
	t.c_iflag |= PARMRK;
	CHECK_EQ(tcsetattr(fd, TCSANOW, &t), 0);
	ask(FAKE_BREAK, 0);
	CHECK_EQ(read(fd, bytes, sizeof(bytes)), 3);
	CHECK(!memcmp(bytes, "\377\0\0", 3));
	t.c_iflag = BRKINT;
	CHECK_EQ(tcsetattr(fd, TCSANOW, &t), 0);
	pid_t child = fork();
	if (!child) {
		signal(SIGINT, SIG_DFL);
		if (setsid() < 0 || ioctl(fd, TIOCSCTTY, 0))
			_exit(1);
		ask(FAKE_BREAK, 0);
		for (;;)
			pause();
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
}

// ---- random numbers ----

static volatile sig_atomic_t alarms;

static void on_alarm(int number)
{
	struct test_request r = {.number = FAKE_ENTROPY, .a = ENTROPY_CONSTANT};

	(void)number;
	if (++alarms == 2) // the call that is made again finds an answer
		ioctl(fake, TEST_RUN, &r);
}

static void alarm_soon(int flags)
{
	struct sigaction a = {.sa_handler = on_alarm, .sa_flags = flags};
	struct itimerval t = {.it_value.tv_usec = 30000};

	CHECK(sigaction(SIGALRM, &a, NULL) == 0 && setitimer(ITIMER_REAL, &t, NULL) == 0);
}

static void hwrng(void)
{
	char bytes[1000];

	CHECK_ERR(open("/dev/hwrng", O_RDWR), EINVAL);
	CHECK_ERR(open("/dev/hwrng", O_WRONLY), EINVAL);
	int fd = open("/dev/hwrng", O_RDONLY), now = open("/dev/hwrng", O_RDONLY | O_NONBLOCK), n;

	CHECK(fd >= 0 && now >= 0);
	CHECK_EQ(read(fd, bytes, 0), 0);
	CHECK_EQ(read(fd, bytes, sizeof(bytes)), sizeof(bytes));
	CHECK_ERR(syscall(SYS_read, fd, 1ul, 10ul), EFAULT);
	CHECK_ERR(lseek(fd, 0, SEEK_SET), ESPIPE);
	ask(FAKE_ENTROPY, ENTROPY_BUSY);
	for (n = 0; n < 100 && read(now, bytes, 10) > 0; n++) // what was answered before
		;
	CHECK(n < 100);
	CHECK_ERR(read(now, bytes, 10), EAGAIN);
	alarm_soon(0);
	CHECK_ERR(read(fd, bytes, 10), EINTR);
	alarm_soon(SA_RESTART);
	CHECK_EQ(read(fd, bytes, 10), 10);
	CHECK_EQ(alarms, 2);
	CHECK_EQ(read(now, bytes, 10), 10); // the answer comes during the call here
}

int main(void)
{
	fake = open("/dev/fake", O_RDWR);
	CHECK(fake >= 0);
	int fd = serial_open();

	flush_lets_more_come(fd);
	driver_says(fd);
	breaks(fd);
	hwrng();
	return check_done("fake_devices");
}

// SPDX-License-Identifier: MIT
// A program that is elevated while it enters a service (/dev/null_service): the service is not, and
// goes on in its own view whenever it was interrupted. Needs the grant.
#define CHECK_FATAL 1
#include "abi/test_device.h"
#include "tests/programs/check.h"
#include <fcntl.h>
#include <halyard.h>
#include <sys/ioctl.h>

int main(void)
{
	enum { LOOP = 3 }; // services/test/null
	int fd = open("/dev/null_service", O_RDWR);

	CHECK(fd >= 0);
	CHECK_EQ(halyard_elevate(), 0);
	for (int i = 0; i < 5; i++) {
		struct test_request r = {.number = LOOP, .a = 30000000};
		CHECK_EQ(ioctl(fd, TEST_RUN, &r), 0);
		CHECK_EQ(r.result, 0);
	}
	halyard_lower();
	return check_done("elevated_gate");
}

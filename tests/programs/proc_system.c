// SPDX-License-Identifier: MIT
// What /proc, /sys and the calls beside them tell about the machine must agree with each other.
// Exit status 1 at the first that does not.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/programs/proc_check.h"

static void check_memory(void)
{
	struct sysinfo si;
	CHECK(sysinfo(&si) == 0);
	slurp("/proc/meminfo");
	long long total = value("MemTotal:"), unused = value("MemFree:"),
		  available = value("MemAvailable:");
	CHECK(total > 0 && unused > 0 && unused <= total && available <= total &&
	      value("Cached:") >= 0 && value("Shmem:") >= 0);
	CHECK(total == (long long)(si.totalram * si.mem_unit / 1024));
	CHECK(sysconf(_SC_PHYS_PAGES) * (sysconf(_SC_PAGESIZE) / 1024) == total);
	CHECK(si.procs > 0 && si.uptime >= 0);
}

static void check_time(void)
{
	struct timespec now;
	slurp("/proc/uptime");
	double up = atof(text);
	CHECK(clock_gettime(CLOCK_BOOTTIME, &now) == 0);
	CHECK((double)now.tv_sec + 1 >= up && up + 5 >= (double)now.tv_sec);
	slurp("/proc/stat");
	long long boot = value("btime ");
	CHECK(llabs(time(NULL) - now.tv_sec - boot) <= 2);
	CHECK(value("ctxt ") > 0 && value("processes ") > 0 && value("procs_running ") > 0 &&
	      value("cpu0 ") >= 0);
	slurp("/proc/loadavg");
	double a, b, c;
	int running, all, last;
	CHECK(sscanf(text, "%lf %lf %lf %d/%d %d", &a, &b, &c, &running, &all, &last) == 6 &&
	      running > 0 && all > 0 && last > 0);
}

static void check_cpus(void)
{
	cpu_set_t set;
	int cpus = 0;
	CHECK(sched_getaffinity(0, sizeof(set), &set) == 0);
	slurp("/proc/cpuinfo");
	for (char *p = text; (p = strstr(p, "processor\t:")); p++)
		cpus++;
	CHECK(cpus == CPU_COUNT(&set) && cpus == sysconf(_SC_NPROCESSORS_ONLN));
	char expected[32];
	snprintf(expected, sizeof(expected), cpus > 1 ? "0-%d\n" : "0\n", cpus - 1);
	slurp("/sys/devices/system/cpu/online");
	CHECK(!strcmp(text, expected));
	slurp("/sys/devices/system/cpu/cpu0/topology/core_id");
	CHECK(!strcmp(text, "0\n"));
	int found = 0;
	DIR *d = opendir("/sys/devices/system/cpu");
	CHECK(d);
	for (struct dirent *e; (e = readdir(d));)
		found +=
			!strncmp(e->d_name, "cpu", 3) && e->d_name[3] >= '0' && e->d_name[3] <= '9';
	closedir(d);
	CHECK(found >= cpus);
	slurp("/sys/devices/system/clocksource/clocksource0/current_clocksource");
	CHECK(strlen(text) > 1);
}

static void check_names(void)
{
	struct utsname u;
	CHECK(uname(&u) == 0);
	CHECK(!strcmp(u.sysname, "Linux"));
	slurp("/proc/sys/kernel/osrelease");
	text[strcspn(text, "\n")] = 0;
	CHECK(!strcmp(text, u.release));
	slurp("/proc/version");
	CHECK(!strncmp(text, "Linux version ", 14) && strstr(text, u.release) &&
	      strstr(text, u.version));
	if (getuid() != 0)
		return;
	CHECK(sethostname("a-test", 6) == 0 && uname(&u) == 0 && !strcmp(u.nodename, "a-test"));
	slurp("/proc/sys/kernel/hostname");
	CHECK(!strcmp(text, "a-test\n"));
	int fd = open("/proc/sys/kernel/hostname", O_WRONLY | O_TRUNC);
	CHECK(fd >= 0 && write(fd, "other\n", 6) == 6 && uname(&u) == 0 &&
	      !strcmp(u.nodename, "other"));
	close(fd);
	CHECK(syscall(SYS_sethostname, "x", 65) == -1 && errno == EINVAL);
	CHECK(syscall(SYS_sethostname, 1, 4) == -1 && errno == EFAULT);
	CHECK(setdomainname("example", 7) == 0 && uname(&u) == 0 &&
	      !strcmp(u.domainname, "example"));
	pid_t kid = fork();
	if (!kid) {
		CHECK(setuid(1000) == 0);
		_exit(sethostname("no", 2) == -1 && errno == EPERM ? 0 : 1);
	}
	int st;
	CHECK(waitpid(kid, &st, 0) == kid && st == 0);
	CHECK(sethostname("halyard", 7) == 0);
}

static void check_random(void)
{
	char a[64] = {0}, b[64] = {0};
	CHECK(getrandom(a, sizeof(a), 0) == sizeof(a) &&
	      getrandom(b, sizeof(b), GRND_NONBLOCK) == sizeof(b) && memcmp(a, b, sizeof(a)));
	CHECK(getrandom(a, sizeof(a), 0x100) == -1 && errno == EINVAL);
	CHECK(syscall(SYS_getrandom, 1, 10, 0) == -1 && errno == EFAULT);
	CHECK(getrandom(a, 0, 0) == 0);
	slurp("/proc/sys/kernel/random/uuid");
	memcpy(a, text, 37);
	CHECK(a[8] == '-' && a[14] == '4' && a[36] == '\n');
	slurp("/proc/sys/kernel/random/uuid");
	CHECK(memcmp(a, text, 36));
	slurp("/proc/sys/kernel/random/boot_id");
	memcpy(a, text, 37);
	slurp("/proc/sys/kernel/random/boot_id");
	CHECK(!memcmp(a, text, 37));
}

static void check_log(void)
{
	char marker[64];
	if (getuid() != 0)
		return;
	int fd = open("/dev/kmsg", O_WRONLY), size = klogctl(10, NULL, 0);
	if (fd < 0)
		return; // a container has none
	snprintf(marker, sizeof(marker), "a line of proc_system %d\n", getpid());
	CHECK(write(fd, marker, strlen(marker)) == (ssize_t)strlen(marker));
	close(fd);
	CHECK(size > 0);
	char *log = malloc((size_t)size + 1);
	int n = klogctl(3, log, size);
	CHECK(n > 0);
	log[n] = 0;
	CHECK(strstr(log, marker)); // the newline belongs to it
	n = klogctl(3, text, 100);  // only the newest records fit
	CHECK(n > 0 && n <= 100);
	free(log);
	CHECK(klogctl(3, text, -1) == -1 && errno == EINVAL);
	CHECK(klogctl(99, NULL, 0) == -1 && errno == EINVAL);
	CHECK(klogctl(8, NULL, 9) == -1 && errno == EINVAL);
}

static void check_reboot(void)
{
	CHECK(syscall(SYS_reboot, 0xfee1dead, 1, 0, 0) == -1 &&
	      (errno == EINVAL || errno == EPERM));
	CHECK(syscall(SYS_reboot, 0, 672274793, 0x4321fedc, 0) == -1 &&
	      (errno == EINVAL || errno == EPERM));
	CHECK(syscall(SYS_reboot, 0xfee1dead, 672274793, 12345, 0) == -1 &&
	      (errno == EINVAL || errno == EPERM));
}

static void check_sysctl(void)
{
	slurp("/proc/sys/kernel/pid_max");
	CHECK(atoi(text) >= 301);
	slurp("/proc/sys/kernel/ngroups_max");
	CHECK(atoi(text) == sysconf(_SC_NGROUPS_MAX));
	slurp("/proc/sys/kernel/cap_last_cap");
	CHECK(atoi(text) >= 37 && atoi(text) < 64);
	slurp("/proc/sys/vm/overcommit_memory");
	CHECK(text[0] >= '0' && text[0] <= '2');
	if (getuid() != 0)
		return;
	int fd = open("/proc/sys/kernel/pid_max", O_WRONLY);
	if (fd < 0)
		return; // read-only in containers
	CHECK(write(fd, "5\n", 2) == -1 && errno == EINVAL);
	CHECK(write(fd, "many\n", 5) == -1 && errno == EINVAL);
	close(fd);
}

static void check_file_systems(void)
{
	struct statfs s;
	CHECK(statfs("/proc", &s) == 0 && s.f_type == 0x9fa0);
	CHECK(statfs("/sys", &s) == 0 && s.f_type == 0x62656572);
	slurp("/proc/filesystems");
	CHECK(strstr(text, "nodev\tproc\n") && strstr(text, "nodev\tsysfs\n") &&
	      strstr(text, "nodev\ttmpfs\n"));
	int self = 0, seen = 0, meminfo = 0;
	DIR *d = opendir("/proc");
	CHECK(d);
	for (struct dirent *e; (e = readdir(d));) {
		self += !strcmp(e->d_name, "self") && e->d_type == DT_LNK;
		meminfo += !strcmp(e->d_name, "meminfo") && e->d_type == DT_REG;
		seen += atoi(e->d_name) == getpid() && e->d_type == DT_DIR;
	}
	CHECK(self == 1 && seen == 1 && meminfo == 1);
	// A listing goes on where it was left.
	rewinddir(d);
	struct dirent *e = readdir(d);
	for (int i = 0; i < 5 && e; i++)
		e = readdir(d);
	CHECK(e);
	long at = telldir(d);
	e = readdir(d);
	CHECK(e);
	char name[256];
	strcpy(name, e->d_name);
	seekdir(d, at);
	e = readdir(d);
	CHECK(e && !strcmp(name, e->d_name));
	closedir(d);
	struct stat st;
	CHECK(stat("/proc/meminfo", &st) == 0 && st.st_size == 0 && st.st_mode == (S_IFREG | 0444));
}

int main(void)
{
	check_memory();
	check_time();
	check_cpus();
	check_names();
	check_random();
	check_log();
	check_reboot();
	check_sysctl();
	check_file_systems();
	puts("ok");
	return 0;
}

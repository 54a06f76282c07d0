// SPDX-License-Identifier: MIT
// Owns calls about the machine as a whole: sysinfo, getrandom, reboot.
#include "core/acpi.h"
#include "core/log.h"
#include "linux/random.h"
#include "core/thread.h"
#include "core/time.h"
#include "core/uaccess.h"
#include "core/wait.h"
#include "abi/linux/time.h"
#include "linux/cred.h"
#include "linux/proc/loadavg.h"
#include "linux/proc/memory_sums.h"
#include "linux/signal.h"
#include "linux/syscalls.h"
#include "linux/task.h"
#include "linux/tty.h"
#include "base/string.h"

// ---- sysinfo ----

struct sysinfo {
	s64 uptime;
	u64 loads[3]; // 16 fraction bits
	u64 totalram, freeram, sharedram, bufferram, totalswap, freeswap;
	u16 procs, pad;
	u32 pad2;
	u64 totalhigh, freehigh;
	u32 mem_unit;
	u32 pad3;
};
static_assert(sizeof(struct sysinfo) == 112);

SYSCALL(sysinfo, struct sysinfo __user *out)
{
	struct memory_sums m;
	struct sysinfo info;
	memset(&info, 0, sizeof(info));
	memory_sums_read(&m);
	info.uptime = (s64)div_round_up(clock_monotonic_ns(), NSEC_PER_SEC);
	loadavg_read(info.loads);
	for (u32 i = 0; i < 3; i++)
		info.loads[i] <<= 16 - LOADAVG_SHIFT;
	info.totalram = m.total * PAGE_SIZE;
	info.freeram = m.free * PAGE_SIZE;
	info.sharedram = m.cached * PAGE_SIZE;
	info.bufferram = m.buffers * PAGE_SIZE;
	info.procs = (u16)min(task_count(), 65535u);
	info.mem_unit = 1;
	return copy_to_user(out, &info, sizeof(info));
}

// ---- getrandom ----

enum : u32 { GRND_NONBLOCK = 1, GRND_RANDOM = 2, GRND_INSECURE = 4 };
constexpr u64 RANDOM_POLL_NS =
	50'000'000; // nobody wakes us when there is enough entropy: it takes interrupts, thus time

static int random_wait(u32 flags)
{
	while (unlikely(!random_ready()) && !(flags & GRND_INSECURE)) {
		if (flags & GRND_NONBLOCK)
			return -EAGAIN;
		thread_prepare_sleep(THREAD_INTERRUPTIBLE);
		if (thread_interrupt_pending(THREAD_INTERRUPTIBLE)) {
			thread_finish_sleep();
			return -ERESTARTSYS;
		}
		schedule_until(clock_monotonic_ns() + RANDOM_POLL_NS);
		thread_finish_sleep();
	}
	return 0;
}

SYSCALL(getrandom, void __user *buf, size_t len, u32 flags)
{
	u8 bytes[256];
	size_t done = 0;
	if ((flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE)) ||
	    (flags & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	int err = random_wait(flags);
	if (err)
		return err;
	len = min(len, (size_t)INT32_MAX);
	while (done < len) {
		size_t n = min(len - done, sizeof(bytes));
		random_bytes(bytes, n);
		size_t left = copy_to_user_partial((u8 __user *)buf + done, bytes, n);
		done += n - left;
		if (left || (done < len && signal_pending()))
			break;
	}
	memzero_explicit(bytes, min(len, sizeof(bytes)));
	return done || !len ? (long)done : -EFAULT;
}

// ---- reboot ----

enum : u32 {
	REBOOT_MAGIC1 = 0xfee1dead,
	REBOOT_MAGIC2 = 672274793,
	REBOOT_MAGIC2A = 85072278,
	REBOOT_MAGIC2B = 369367448,
	REBOOT_MAGIC2C = 537993216,
	REBOOT_CMD_RESTART = 0x01234567,
	REBOOT_CMD_HALT = 0xcdef0123,
	REBOOT_CMD_CAD_ON = 0x89abcdef,
	REBOOT_CMD_CAD_OFF = 0,
	REBOOT_CMD_POWER_OFF = 0x4321fedc,
	REBOOT_CMD_RESTART2 = 0xa1b2c3d4,
	REBOOT_CMD_KEXEC = 0x45584543,
};

long sys_sync(void);

// Sleeps for ever: this thread's program is not to go on, the others may until the power goes.
[[noreturn]] static void halt(const char *what)
{
	klog(LOG_EMERG, "reboot: System halted%s", what);
	for (;;)
		thread_sleep_ns(3600 * NSEC_PER_SEC);
}

SYSCALL(reboot, u32 magic1, u32 magic2, u32 cmd, void __user *arg)
{
	(void)arg; // a restart command: no firmware of ours takes one
	if (!capable(CAP_SYS_BOOT))
		return -EPERM;
	if (magic1 != REBOOT_MAGIC1 || (magic2 != REBOOT_MAGIC2 && magic2 != REBOOT_MAGIC2A &&
					magic2 != REBOOT_MAGIC2B && magic2 != REBOOT_MAGIC2C))
		return -EINVAL;
	switch (cmd) {
	case REBOOT_CMD_CAD_ON: // there is no Ctrl-Alt-Del to switch on or off
	case REBOOT_CMD_CAD_OFF:
		return 0;
	case REBOOT_CMD_RESTART:
	case REBOOT_CMD_RESTART2:
		sys_sync();
		log_notice("reboot: Restarting system");
		terminals_drain();
		power_restart();
		halt(": the machine has no way to restart");
	case REBOOT_CMD_POWER_OFF:
		sys_sync();
		log_notice("reboot: Power down");
		terminals_drain();
		power_off();
		halt(": the machine has no way to switch itself off");
	case REBOOT_CMD_HALT:
		sys_sync();
		halt("");
	}
	return -EINVAL;
}

// SPDX-License-Identifier: MIT
// Owns the system's names: uname, sethostname, setdomainname.
#include "linux/misc/uname.h"
#include "abi/linux/personality.h"
#include "base/string.h"
#include "base/fmt.h"
#include "core/lock.h"
#include "core/uaccess.h"
#include "core/version.h"
#include "linux/cred.h"
#include "linux/syscalls.h"
#include "linux/task.h"
#include <linux_arch/cpuinfo.h>

#if CONFIG_DEBUG
#define BUILD_MODE "DEBUG"
#else
#define BUILD_MODE "RELEASE"
#endif

const char uname_sysname[] = "Linux";
const char uname_version[] = "#1 SMP Halyard " HALYARD_VERSION " " BUILD_MODE;
const char uname_compiler[] = "clang " __clang_version__;

// One short copy under a spinlock: readers are rare, and a name must not be seen half changed.
static spinlock_t names_lock = SPINLOCK_INIT(LOCK_fs_misc);
static char names[UTS_NAMES][UTS_LEN] = {
	[UTS_HOSTNAME] = "(none)", [UTS_DOMAINNAME] = "(none)"}; // names_lock

const char *uname_release(void)
{
	return HALYARD_UNAME_RELEASE;
}

void uts_name_get(enum uts_name which, char out[UTS_LEN])
{
	spin_lock(&names_lock);
	memcpy(out, names[which], UTS_LEN);
	spin_unlock(&names_lock);
}

void uts_name_set(enum uts_name which, const char *name, size_t len)
{
	spin_lock(&names_lock);
	memset(names[which], 0, UTS_LEN);
	memcpy(names[which], name, len);
	spin_unlock(&names_lock);
}

struct utsname {
	char sysname[UTS_LEN], nodename[UTS_LEN], release[UTS_LEN], version[UTS_LEN],
		machine[UTS_LEN], domainname[UTS_LEN];
};
static_assert(sizeof(struct utsname) == 390);

// For programs that know only Linux 2.6: 6.1.x is 2.6.61.x to them.
static void release_26(char out[UTS_LEN])
{
	const char *rest = strchr(uname_release(), '.') + 1;
	u32 minor = 0;
	while (*rest >= '0' && *rest <= '9')
		minor = minor * 10 + (u32)(*rest++ - '0');
	scnprintf(out, UTS_LEN, "2.6.%u%s", 60 + minor, rest);
}

SYSCALL(uname, struct utsname __user *out)
{
	struct utsname u = {};
	strscpy(u.sysname, uname_sysname, UTS_LEN);
	uts_name_get(UTS_HOSTNAME, u.nodename);
	if (unlikely(current_task()->personality & UNAME26))
		release_26(u.release);
	else
		strscpy(u.release, HALYARD_UNAME_RELEASE, UTS_LEN);
	strscpy(u.version, uname_version, UTS_LEN);
	strscpy(u.machine, UNAME_MACHINE, UTS_LEN);
	uts_name_get(UTS_DOMAINNAME, u.domainname);
	return copy_to_user(out, &u, sizeof(u));
}

static long name_set_user(enum uts_name which, const char __user *name, s32 len)
{
	char text[UTS_LEN];
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (len < 0 || len >= (s32)UTS_LEN)
		return -EINVAL;
	if (copy_from_user(text, name, (size_t)len))
		return -EFAULT;
	uts_name_set(which, text, (size_t)len);
	return 0;
}

SYSCALL(sethostname, const char __user *name, s32 len)
{
	return name_set_user(UTS_HOSTNAME, name, len);
}

SYSCALL(setdomainname, const char __user *name, s32 len)
{
	return name_set_user(UTS_DOMAINNAME, name, len);
}
